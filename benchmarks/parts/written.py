"""Figures as JSON: written whenever something is known, so that whoever stops us loses nothing."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ancestral.jobs.errors import SpecError


def machine() -> dict[str, str]:
    """What figures were measured on."""
    return {"processor": processor(), "torch": torch.__version__}


def processor() -> str:
    """The processor as its maker names it, with the numbers that tell generations apart where its
    name does not; its architecture where the system says no more."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    said = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if "model name" not in said:
        return platform.processor() or platform.machine()
    return f"{said['model name']}, family {said.get('cpu family')}, model {said.get('model')}"


def write(file: Path | None, figures: Mapping[str, Any]) -> None:
    """The figures, in place of what the file held; None writes nothing."""
    if file is None:
        return
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(figures, indent=2) + "\n")
    partial.replace(file)


def earlier(file: Path | None, key: str) -> Any:
    """What a file of an earlier run holds under this key; None if there is no file. Raises
    SpecError when it is a file of something else."""
    if file is None or not file.exists():
        return None
    try:
        return json.loads(file.read_text())[key]
    except (ValueError, KeyError, TypeError) as error:
        raise SpecError(f"{file} holds other figures: name another file") from error
