"""What is wrong with a benchmark's options is said before its work, and what it wrote stays."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[[str], int]


def began(*given: object, **named: object) -> None:
    """In place of what takes long."""
    raise AssertionError("it went to work")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in this process, without the tables that do not ship; its exit code."""
    monkeypatch.delenv("ANCESTRAL_DATA", raising=False)

    def run(line: str) -> int:
        name, *options = line.split()
        command = importlib.import_module(name)
        monkeypatch.setattr(sys, "argv", [name, *options])
        # The other tests compute as they would without this one.
        monkeypatch.setattr(command, "compute_on", lambda threads: None, raising=False)
        try:
            command.main()
        except SystemExit as error:
            assert isinstance(error.code, int)
            return error.code
        return 0

    return run


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("density --seconds -1", "'-1' is not a number above 0"),
        ("density --seconds 0 --mnist", "'0' is not a number above 0"),
        ("density --cases linear --json nowhere/a.json", "there is no folder nowhere"),
        ("density --json .", ". is a folder"),
        ("parallel_training --threads 0", "'0' is not a whole number above 0"),
        ("parallel_training --seconds nan", "'nan' is not a number above 0"),
        ("training --cases nosuch", "nosuch"),
        ("training --cases digits,piano-linear", "piano-linear takes no steps"),
        ("training --cases spoken-digits", "no table 'fsdd' ships"),
        ("training --svg curves.svg", "say --curves, too"),
        ("training --curves --seconds 3", "--curves take no --cases and no --seconds"),
        ("fidelity --json nowhere/a.json", "there is no folder nowhere"),
        ("fidelity --quick --cases digits speech", "no table 'fsdd' ships"),
        ("drift --json nowhere/a.json", "there is no folder nowhere"),
        ("batching --json nowhere/a.json", "there is no folder nowhere"),
        ("sampling --json nowhere/a.json", "there is no folder nowhere"),
        ("sampling --peer adapter.py --only made", "--peer takes no --only and no --dtype"),
        ("recovery --json nowhere/a.json", "there is no folder nowhere"),
        ("fleet --json nowhere/a.json", "there is no folder nowhere"),
        ("fleet --models digits,nosuch", "'nosuch' is not one of digits, emoji"),
        ("fleet --samplers 0", "'0' is not a whole number above 0"),
    ],
)
def test_what_is_wrong_is_said_at_once(
    line: str,
    said: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Given a command that is not to begin
    command = importlib.import_module(line.split()[0])
    for work in ("measure", "compare", "open_bundle", "measure_ceilings", "batching_row"):
        monkeypatch.setattr(command, work, began, raising=False)

    # When, then
    assert run(line) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["density --mnist --quick --cases made", "fidelity --quick --cases digits"]
)
def test_a_file_of_other_figures_is_left_as_it_is(
    line: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given the figures of something else
    file = tmp_path / "rows.json"
    file.write_text('{"rows": []}')

    # When, then
    assert run(f"{line} --json {file}") == 2
    assert "holds other figures" in capsys.readouterr().err
    assert file.read_text() == '{"rows": []}'


def test_quick_training_is_of_the_cases_that_are_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given a measurement that is interrupted after its first row
    training = importlib.import_module("training")
    named: list[tuple[str, float]] = []

    def measure(recipes: list[object], seconds: float) -> object:
        for recipe in recipes:
            named.append((recipe.name, seconds))  # type: ignore[attr-defined]
            yield training.Row("digits", 4, 8.0, 8.0, 1.0, 0.0, 0.0, 10, seconds)
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "measure", measure)
    file = tmp_path / "rows.json"

    # When
    with pytest.raises(KeyboardInterrupt):
        run(f"training --quick --cases telephone-digits,digits --json {file}")

    # Then the row that was there is written
    assert named == [("telephone-digits", training.QUICK_SECONDS)]
    assert [row["steps"] for row in json.loads(file.read_text())["rows"]] == [10]
