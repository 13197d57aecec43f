"""`ancestral verify`: what it says, what it prints for programs, its exit codes."""

from __future__ import annotations

import re

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.spec import Job
from ancestral.orchestration.commands import verify as command
from ancestral.workers.here import run_here
from tests.jobs.published import retell
from tests.orchestration.home import Home
from tests.orchestration.tiny import tiny_spec


@pytest.fixture
def drawn(home: Home) -> str:
    """The id of a finished job of 30 rows."""
    run_here(tiny_spec(home.lake), settings=home.settings)
    return Client(home.settings).jobs()[0]


def test_equal_rows_are_exit_code_0(home: Home, drawn: str) -> None:
    code, out, err = home.call("verify", drawn, "--fraction", "0.5")

    assert code == 0
    assert re.search(r"^rows +30, of which 30 were drawn$", out, re.M)
    assert re.search(r"^compared +15: 15 equal, 0 different$", out, re.M)
    assert out.endswith("\nEvery row that was compared is what it was.\n")
    assert "verify  15 of 15 rows" in err

    # And by itself it takes a hundredth of the rows, and one at least
    told = home.call_json("verify", drawn)
    assert {name: told[name] for name in ("rows", "compared", "equal", "not_comparable")} == {
        "rows": 30,
        "compared": 1,
        "equal": 1,
        "not_comparable": 0,
    }
    assert (told["job_id"], told["verified"], told["different"]) == (drawn, True, [])
    assert told["numerics"].startswith("cpu-")


def test_rows_that_differ_are_exit_code_1_and_named(
    home: Home, drawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Client(home.settings).store(drawn)
    retell(store, drawn, lambda row: {"sha256": "0" * 64} if row["ordinal"] in (3, 7) else {})

    code, out, _ = home.call("verify", drawn, "--fraction", "1")
    assert code == 1
    assert "- row 3 ('1', sample 0) has another sha256\n" in out
    assert "- row 7 ('2', sample 1) has another sha256\n" in out
    assert out.endswith("\n2 of 30 rows are not what they were.\n")

    told = home.call_json("verify", drawn, "--fraction", "1", code=1)
    assert (told["compared"], told["equal"], told["verified"]) == (30, 28, False)
    different = {each["ordinal"]: each for each in told["different"]}
    assert sorted(different) == [3, 7]
    assert different[3] == {
        "request_id": "1",
        "sample": 0,
        "ordinal": 3,
        "columns": ["sha256"],
        "error": None,
    }

    monkeypatch.setattr(command, "LISTED_ROWS", 1)
    out = home.call("verify", drawn, "--fraction", "1")[1]
    assert out.count("- row ") == 1 and "- and 1 more\n" in out


def test_what_cannot_be_compared_is_exit_code_1(home: Home, drawn: str) -> None:
    # Given a job that was drawn elsewhere
    store = Client(home.settings).store(drawn)
    retell(store, drawn, lambda row: {"numerics": "abacus/by-hand"})

    code, out, _ = home.call("verify", drawn, "--fraction", "0.1")

    assert code == 1
    assert re.search(r"^not comparable +3 drawn by abacus/by-hand$", out, re.M)
    assert "Nothing could be compared: verify the job on a machine" in out
    told = home.call_json("verify", drawn, "--fraction", "0.1", code=1)
    assert told["numerics_elsewhere"] == {"abacus/by-hand": 3}
    assert (told["compared"], told["not_comparable"], told["verified"]) == (0, 3, False)


def test_a_job_of_which_nothing_was_drawn_is_exit_code_1(
    home: Home, client: Client, job: Job
) -> None:
    client.cancel(job.job_id)
    finalise(client.store(job.job_id), job.job_id)

    code, out, _ = home.call("verify", job.job_id)

    assert code == 1
    assert out.endswith("Nothing could be compared: none of the job's rows was drawn.\n")


def test_an_unfinished_job_is_exit_code_2_and_says_what_to_do(home: Home, job: Job) -> None:
    code, out, err = home.call("verify", job.job_id)

    assert (code, out) == (2, "")
    assert f"job {job.job_id} is not finished" in err
    assert f"`ancestral run --resume {job.job_id}` draws it here" in err


def test_a_device_that_is_not_there_is_exit_code_2(
    home: Home, drawn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    code, out, err = home.call("verify", drawn, "--device", "cuda")

    assert (code, out) == (2, "")
    assert f"cuda does not draw job {drawn}: torch finds no GPU here" in err
