"""Shares stand beside their intervals, and figures of one case leave those of others alone."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from parts.judgements import Fidelity, Judgement, interval


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (975, 1000, 0.9634, 0.9830),
        (20, 20, 0.8389, 1.0),
        (250, 250, 0.9849, 1.0),
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_an_interval_is_wilsons(right: int, count: int, low: float, high: float) -> None:
    assert interval(right, count) == pytest.approx((low, high), abs=5e-5)
    assert 0 <= interval(right, count)[0] < interval(right, count)[1] <= 1


JUDGEMENT = Judgement(
    condition="label",
    classes=["0", "1"],
    samples=1000,
    accuracy=0.975,
    interval=interval(975, 1000),
    held_out=450,
    held_out_accuracy=0.98,
    held_out_interval=interval(441, 450),
    ratio=0.995,
    target=0.97,
    confusion=[[500, 0], [25, 475]],
    held_out_confusion=[[225, 0], [9, 216]],
    training_items=4050,
    epochs=20,
)
FIDELITY = Fidelity("digits", "digits", "d" * 64, 1.0, None, 0.0, 1000, 12.0, [JUDGEMENT], [])


def test_figures_of_other_cases_and_settings_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a command that measures at once
    fidelity = importlib.import_module("fidelity")

    def measure(asked: Any, each: int, epochs: int) -> Fidelity:
        return replace(FIDELITY, temperature=asked.temperature, samples=10 * each)

    def open_bundle(model: str, temperature: float, *others: Any) -> Any:
        return SimpleNamespace(model=model, temperature=temperature)

    case = replace(fidelity.CASES["digits"], measure=measure)
    monkeypatch.setattr(fidelity, "CASES", {"digits": case})
    monkeypatch.setattr(fidelity, "open_bundle", open_bundle)
    monkeypatch.setattr(fidelity, "compute_on", lambda threads: None)
    file = tmp_path / "fidelity.json"

    # When it is run at two temperatures, and in haste at the first one
    for options in ("", "--temperature 0.9", "--quick"):
        line = f"fidelity --cases digits --json {file} {options}"
        monkeypatch.setattr(sys, "argv", line.split())
        fidelity.main()

    # Then they are there, and the first as it was before it was measured in haste
    cases = json.loads(file.read_text())["cases"]
    assert [(case["temperature"], case["samples"]) for case in cases] == [
        (1.0, 1000),
        (0.9, 1000),
        (1.0, 100),
    ]
    assert cases[0]["judgements"][0]["interval"] == list(JUDGEMENT.interval)
    # And the share stands beside its interval
    assert "97.5%   96.3% to 98.3%" in capsys.readouterr().out
