"""Options that benchmarks share. What is wrong with them is said before the work, not after it."""

from __future__ import annotations

import math
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path


def command(about: str, quick: str) -> ArgumentParser:
    """A benchmark's command line, told by the first line of its docstring: `--quick`, `--json`."""
    parser = ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--json", type=file_to_write, metavar="FILE", help="write the figures there too"
    )
    return parser


def positive(text: str) -> float:
    """Seconds or minutes, of which there are some, and an end."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def count(text: str) -> int:
    """One at least."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def file_to_write(text: str) -> Path:
    """A file, there already or not, in a folder that is."""
    file = Path(text)
    if not file.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {file.parent}")
    if file.is_dir():
        raise ArgumentTypeError(f"{file} is a folder")
    return file
