"""`ancestral export`: what it says, what it prints for programs, its exit codes."""

from __future__ import annotations

from ancestral.jobs.client import Client
from ancestral.jobs.spec import Job
from tests.jobs.drawn import draw
from tests.orchestration.home import Home, work


def test_a_job_is_exported_once(home: Home, client: Client, job: Job) -> None:
    # Given a finished job with two rows rejected
    draw(client.store(job.job_id), job, next(job.units()), "oorroooooo")
    work(client, job)
    table = str(home.folder / "table")

    # When it is exported, as a program does it
    told = home.call_json("export", job.job_id, "--to", "delta", "table")

    # Then it tells what it did
    assert told == {
        "job_id": job.job_id,
        "format": "delta",
        "uri": table,
        "rows": 28,
        "added": 28,
    }

    # And people are told what was there before
    code, out, err = home.call("export", job.job_id, "--to", "delta", "table")
    assert (code, err) == (0, "export  28 of 28 rows\n")
    assert out.splitlines() == [
        f"28 rows in {table}, and nothing to add",
        "2 rejected rows are not among them (--rejected)",
    ]
    code, out, err = home.call("export", job.job_id, "--to", "delta", "table", "--rejected")
    assert (code, out) == (0, f"30 rows in {table}; 28 were there before\n")
    assert err.splitlines() == ["export  28 of 30 rows", "export  30 of 30 rows"]


def test_a_job_with_failed_rows_is_exported_without_them(
    home: Home, client: Client, job: Job
) -> None:
    draw(client.store(job.job_id), job, next(job.units()), "f" * 10)
    work(client, job)

    code, out, _ = home.call("export", job.job_id, "--to", "hf", "dataset")

    assert (code, out) == (0, f"20 rows in {home.folder}/dataset\n")


def test_wrong_use(home: Home, client: Client, job: Job) -> None:
    work(client, job)

    for arguments, named in (
        (["--to", "hf"], "URI"),
        (["out"], "--to"),
        (["out", "--to", "csv"], "'csv'"),
        (["Memory://out", "--to", "hf"], "Memory://out would end with this command: give a folder"),
        (["digits", "--to", "iceberg"], "NAMESPACE.NAME"),
        (["s3://key:secret@lake/x", "--to", "delta"], "cannot hold credentials"),
    ):
        code, out, err = home.call("export", job.job_id, *arguments)

        assert (code, out) == (2, "")
        assert named in err and "secret" not in err and "Traceback" not in err


def test_a_job_that_is_unknown_or_not_finished_is_named(home: Home, job: Job) -> None:
    for job_id, words in (("no-such-job", "'no-such-job'"), (job.job_id, "is not finished")):
        code, out, err = home.call("export", job_id, "--to", "hf", "out")

        assert (code, out) == (2, "")
        assert words in err and len(err.splitlines()) == 1
