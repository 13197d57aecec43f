"""`ancestral estimate`: what it says, what it prints for programs, its exit codes."""

from __future__ import annotations

import math
import re

import pytest

from tests.orchestration.home import Home, requests_file
from tests.orchestration.tiny import publish_tiny, tiny_spec


def test_it_tells_rows_units_time_and_bytes_and_submits_nothing(home: Home) -> None:
    file = home.write(tiny_spec(home.lake, samples=10))

    code, out, err = home.call("estimate", file, "--seconds", "0.2", "--samplers", "3")

    assert code == 0
    for line in (
        r"job +tiny job: generate by tiny",
        r"rows +100 of 10 requests",
        r"units +17 of 6 rows",
        r"measured +0\.\d s, 34 slots, [\d,]+ rows? ended",
        r"speed +[\d,.]+ rows/s of one sampler",
        r"in all +.* of one sampler",
        r"time +.* with 3 samplers, once started",
        r"artifacts +\d+\.\d kB, \d+ bytes a row",
    ):
        assert re.search(rf"^{line}$", out, re.M), line
    assert "estimate  0 of 0 s" in err
    assert home.nothing_was_submitted() and not home.lake.exists()

    told = home.call_json("estimate", file, "--seconds", "0.2", "--samplers", "3")
    assert {
        name: told[name] for name in ("rows", "requests", "units", "unit_rows", "samplers")
    } == {
        "rows": 100,
        "requests": 10,
        "units": 17,
        "unit_rows": 6,
        "samplers": 3,
    }
    assert told["speed"]["slots"] == 34 and told["speed"]["numerics"].startswith("cpu-")
    assert told["sampler_seconds"] == pytest.approx(100 / told["speed"]["rows_per_second"])
    assert told["wall_seconds"] == pytest.approx(34 / told["speed"]["rows_per_second"])
    assert told["bytes"] == round(100 * told["speed"]["bytes_per_row"])
    assert told["samplers_in_time"] is None


def test_it_tells_how_many_samplers_meet_a_deadline(home: Home) -> None:
    file = home.write(tiny_spec(home.lake, samples=100_000, deadline="1s"))

    told = home.call_json("estimate", file, "--seconds", "0.2")
    assert told["samplers_in_time"] == math.ceil(told["sampler_seconds"]) > 1
    out = home.call("estimate", file, "--seconds", "0.2")[1]
    line = r"deadline +1s from submission: [\d,]+ samplers, once started"
    assert re.search(rf"^{line}$", out, re.M)

    # And where nothing is drawn, none is known
    assert home.call_json("estimate", file, "--seconds", "0")["samplers_in_time"] is None
    assert "deadline" not in home.call("estimate", file, "--seconds", "0")[1]


def test_without_seconds_it_only_counts(home: Home) -> None:
    file = home.write(tiny_spec(home.lake))

    told = home.call_json("estimate", file, "--seconds", "0")

    assert told["rows"] == 30
    assert told["speed"] is told["bytes"] is told["sampler_seconds"] is None
    out = home.call("estimate", file, "--seconds", "0")[1]
    assert [line.split()[0] for line in out.splitlines()] == ["job", "rows", "units"]


def test_what_is_not_known_is_said(home: Home) -> None:
    # Given images that are too large to end in the shortest time
    publish_tiny(home.settings, 20, 20)
    file = home.write(tiny_spec(home.lake))

    out = home.call("estimate", file, "--seconds", "0.001")[1]
    assert re.search(r"^artifacts +not known, as no row ended: take more --seconds$", out, re.M)
    assert re.search(r"^speed +[\d,.]+ rows/s", out, re.M)

    # And requests that are all wrong, which is recorded
    wrong = requests_file(home.folder, "r.csv", "request_id,label\na,11\nb,12\n")
    file = home.write({**wrong, "on_invalid": "record"})

    out = home.call("estimate", file, "--seconds", "0.001")[1]
    assert re.search(r"^speed +no row can be drawn$", out, re.M)
    assert "in all" not in out and "artifacts" not in out


def test_wrong_rows_are_listed_as_submit_lists_them(home: Home) -> None:
    file = home.write(requests_file(home.folder, "r.csv", "request_id,label\na,3\nb,11\na,4\n"))

    told = [home.call(command, file) for command in ("estimate", "submit")]

    assert told[0] == told[1]
    code, out, err = told[0]
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "ancestral: 2 rows are wrong; nothing was submitted"


def test_a_device_that_is_not_there_is_exit_code_2(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    code, out, err = home.call("estimate", home.write(tiny_spec(home.lake)), "--device", "cuda")

    assert (code, out) == (2, "")
    assert "cuda does not draw job tiny job: torch finds no GPU here" in err
