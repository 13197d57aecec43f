"""Commands that look at jobs: what they say, what they print for programs, their exit codes."""

from __future__ import annotations

import shutil

import pytest

from ancestral.jobs import layout
from ancestral.jobs.client import Client
from ancestral.jobs.finalise import finalise
from ancestral.jobs.requests import TOLD_REQUESTS
from ancestral.jobs.spec import Job
from ancestral.orchestration import progress
from ancestral.orchestration.commands import output, results
from ancestral.orchestration.serve import publish_report
from ancestral.workers.here import run_here
from tests.jobs.drawn import draw
from tests.orchestration.home import Home, requests_file, work
from tests.orchestration.tiny import tiny_spec


def finish_with_failures(client: Client, job: Job) -> None:
    """Publish a job in whose second unit every row failed."""
    _, second, _ = job.units()
    draw(client.store(job.job_id), job, second, "f" * second.rows)
    work(client, job)


def test_submit_and_status_tell_the_same(home: Home) -> None:
    file = home.write(tiny_spec(home.lake))

    submitted = home.call_json("submit", file)

    assert home.call_json("status", submitted["job_id"]) == submitted
    assert (submitted["state"], submitted["rows"], submitted["index"]) == ("pending", 30, None)
    code, out, err = home.call("submit", file)
    assert code == 0
    assert "pending" in out
    assert "ancestral run --resume" in err


def test_a_finished_job(home: Home) -> None:
    # Given a job with a wrong request, which is recorded
    spec = requests_file(home.folder, "r.csv", "request_id,label\na,3\nb,11\n")
    spec = {**spec, "on_invalid": "record", "sampling": {"samples": 1}}
    run_here(spec, settings=home.settings, slots=2)
    job_id = Client(home.settings).jobs()[0]

    # Then its exit code says that a row failed
    status = home.call_json("status", job_id, code=1)
    assert (status["state"], status["rows_ok"], status["rows_failed"]) == ("done_with_errors", 1, 1)
    assert home.call_json("watch", job_id, code=1) == status
    code, out, _ = home.call("status", job_id)
    assert code == 1
    assert "1 ok, 1 failed" in out and status["index"] in out

    # And what came out can be downloaded
    assert home.call_json("results", job_id, "--to", "files")["files"] == 1
    assert [path.name for path in (home.folder / "files").iterdir()] == ["a-0.png"]
    assert "1 files in" in home.call("results", job_id, "--to", "files")[1]

    # And nothing can be wanted of it, nor its wrong request drawn again
    for command in ("pause", "resume", "cancel"):
        code, out, err = home.call(command, job_id)
        assert (code, out) == (2, "")
        assert f"job {job_id} is done_with_errors" in err
    code, out, err = home.call("retry", job_id, "--failed")
    assert (code, out) == (2, "")
    assert "has no failed row to draw again" in err


def test_why_rows_failed_is_told_the_commonest_error_first(home: Home, client: Client) -> None:
    # Given a job whose units failed each in a way of its own
    trace = 'given up; the last: Traceback\n  File "net.py"\nOutOfMemory: 3 GB\x1b[2J\n'
    errors = ["too dark\nby far", "too long", trace, "too short"]
    sampling = {"seed": 5, "samples": 3}
    job = client.submit(tiny_spec(home.lake, sampling=sampling, unit={"rows": 8}))
    store = client.store(job.job_id)
    for unit, error in zip(job.units(), errors, strict=True):
        draw(store, job, unit, "f" * (unit.rows - 1) + "o", {"error": error})

    # Then nothing is told of it before the job is finished
    assert "errors" not in home.call("status", job.job_id)[1]

    # And then each in one line
    finalise(store, job.job_id)
    told = [
        "errors  7 rows: too dark",
        "        7 rows: too long",
        "        7 rows: OutOfMemory: 3 GB\N{REPLACEMENT CHARACTER}[2J",
        "        5 rows with other errors",
    ]
    for command in ("status", "watch", "results"):
        assert home.call(command, job.job_id)[1].splitlines()[3:7] == told

    # And where the index is gone, the rest is told
    shutil.rmtree(home.lake / "artifacts")
    code, out, _ = home.call("status", job.job_id)
    assert code == 1
    assert "errors  cannot be read: " in out and "4 ok, 26 failed" in out


def test_only_the_first_errors_of_a_large_job_are_read(
    home: Home, client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "READ_ERRORS", 8)
    finish_with_failures(client, job)

    lines = home.call("status", job.job_id)[1].splitlines()

    assert lines[3:5] == [
        "errors  8 rows: no luck",
        "        2 rows whose errors were not read here",
    ]


@pytest.mark.redis
def test_run_tells_why_rows_failed(
    home: Home, client: Client, job: Job, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_with_failures(client, job)
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", redis_url)

    code, out, _ = home.call("run", "--resume", job.job_id)

    assert code == 1
    assert "\nerrors  10 rows: no luck\n" in out


@pytest.mark.parametrize("command", ["submit", "run"])
def test_a_check_that_takes_a_while_is_told_of(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    # Given a job whose last request is wrong
    rows = "".join(f"{number},3\n" for number in range(2 * TOLD_REQUESTS))
    spec = requests_file(home.folder, "r.csv", f"request_id,label\n{rows}last,11\n")
    monkeypatch.setattr(progress, "UNTOLD_SECONDS", 0.0)

    code, out, err = home.call(command, home.write(spec))

    assert (code, out) == (2, "")
    assert f"{spec['name']}  {TOLD_REQUESTS} requests checked\n" in err


def test_what_a_gate_rejected_can_be_downloaded_too(home: Home, job: Job, client: Client) -> None:
    # Given a job with two rows rejected
    draw(client.store(job.job_id), job, next(job.units()), "oorroooooo")

    # Then who downloads it is told of them
    code, out, _ = home.call("results", job.job_id, "--to", "files")
    assert (code, "8 files in" in out) == (0, True)
    assert "2 rejected ones are not among them (--rejected)" in out
    assert len(list((home.folder / "files").iterdir())) == 8

    # And can have them in a folder of their own
    told = home.call_json("results", job.job_id, "--to", "files", "--rejected")
    assert (told["files"], told["rejected_files"]) == (8, 2)
    assert len(list((home.folder / "files" / "rejected").iterdir())) == 2
    out = home.call("results", job.job_id, "--to", "files", "--rejected")[1]
    assert f"2 files in {home.folder}/files/rejected" in out
    code, _, err = home.call("results", job.job_id, "--rejected")
    assert (code, "--rejected needs --to DIR" in err) == (2, True)


@pytest.mark.parametrize("folder", ["s3://bucket/files", "s3:/bucket/files"])
def test_results_go_to_no_bucket(home: Home, client: Client, job: Job, folder: str) -> None:
    work(client, job)

    code, out, err = home.call("results", job.job_id, "--to", folder)

    assert (code, out) == (2, "")
    assert "--to is a folder of this machine" in err
    assert f"`ancestral export {job.job_id} --to webdataset URI`" in err
    assert not list(home.folder.glob("s3*"))


def test_what_is_damaged_keeps_nothing_else_from_being_downloaded(
    home: Home, client: Client, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job of which a pack with nine artifacts that are ok and a rejected one is gone
    monkeypatch.setattr(results, "LISTED_ARTIFACTS", 2)
    draw(client.store(job.job_id), job, next(job.units()), "oorooooooo")
    work(client, job)
    row = next(iter(client.results(job.job_id))).row
    (home.lake / layout.pack_of(job.job_id, row["uri"])).unlink()

    # When all is downloaded, then the rest is there, and the first of what is not is named
    arguments = ("results", job.job_id, "--to", "files", "--rejected")
    code, out, err = home.call(*arguments)
    assert code == 1
    assert "20 files in" in out and "\n0 files in" in out
    assert len(list((home.folder / "files").glob("*.png"))) == 20
    first = f"row 0 ({row['request_id']!r}): its pack {row['uri']} is gone"
    assert f"- {first}\n- row 1 (" in err
    assert err.endswith(
        "- and 8 more\n10 artifacts cannot be read any more; all others were written\n"
    )
    told = home.call_json(*arguments, code=1)
    assert (told["files"], told["rejected_files"], told["damaged_files"]) == (20, 0, 10)

    # And an export, which is all or nothing, says the same of the first of them
    code, out, err = home.call("export", job.job_id, "--to", "hf", "out")
    assert (code, out) == (1, "")
    assert first in err


@pytest.mark.redis
def test_a_part_of_the_table_that_is_gone_is_made_anew(
    home: Home, client: Client, job: Job, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a finished job whose table lost a part
    work(client, job)
    (part,) = home.lake.glob("artifacts/**/part-00000.parquet")
    before = part.read_bytes()
    part.unlink()
    assert not home.call_json("fsck", job.job_id, code=1)["sound"]

    # When it is resumed
    monkeypatch.setenv("ANCESTRAL_REDIS_URL", redis_url)
    assert home.call_json("run", "--resume", job.job_id)["state"] == "done"

    # Then it is what it was
    assert part.read_bytes() == before
    assert home.call_json("fsck", job.job_id)["sound"]


def test_the_report_of_a_finished_job_is_found(home: Home) -> None:
    # Given a job that was drawn without a fleet, so that nobody wrote a report
    run_here(tiny_spec(home.lake, samples=1), settings=home.settings)
    client = Client(home.settings)
    (job_id,) = client.jobs()
    for command in ("status", "watch", "results"):
        assert home.call_json(command, job_id)["report"] is None
    assert home.call_json("ls")[0]["report"] is None

    # When one is written
    job, store = client.job(job_id), client.store(job_id)
    report = publish_report(client, job, finalise(store, job_id))

    # Then it is named
    assert report == str(home.lake / "reports" / f"{job_id}.html")
    for command in ("status", "watch", "results"):
        assert home.call_json(command, job_id)["report"] == report
        assert f"report  {report}\n" in home.call(command, job_id)[1]
    assert home.call_json("ls")[0]["report"] == report


def test_jobs_are_listed_newest_first(home: Home, client: Client, job: Job) -> None:
    # Given two jobs, and one whose output is gone
    later = client.submit(tiny_spec(home.lake, name="later"))
    gone = client.submit(tiny_spec(home.folder / "elsewhere"))
    (home.folder / "elsewhere").rename(home.folder / "away")
    for known, moment in ((job, "2026-11-22T15:30:12Z"), (later, "2026-11-23T00:00:00Z")):
        spec = home.lake / "_jobs" / known.job_id / "spec.json"
        spec.write_bytes(known.model_copy(update={"submitted_at": moment}).to_json())

    listed = home.call_json("ls")

    assert [each["job_id"] for each in listed] == [later.job_id, job.job_id, gone.job_id]
    assert [each["state"] for each in listed] == ["pending", "pending", "unreadable"]
    assert listed[0] == {
        **home.call_json("status", later.job_id),
        "submitted_at": "2026-11-23T00:00:00Z",
    }
    lines = home.call("ls")[1].splitlines()
    reason = "no queue is at hand to say who works on it"
    assert "0 of 30" in lines[1] and lines[1].endswith(f"  later     {reason}")
    assert "unreadable" in lines[3] and str(home.folder / "elsewhere") in lines[3]

    # And of a job that is finished no reason is given
    work(client, job)
    assert home.call("ls")[1].splitlines()[2].endswith("  tiny job")


def test_a_deadline_and_whether_it_is_met_are_told(home: Home, client: Client, job: Job) -> None:
    # Given a job that is due long after it was submitted, of which nobody drew anything
    due = client.submit(tiny_spec(home.lake, name="due", deadline="1.5h"))
    spec = home.lake / "_jobs" / due.job_id / "spec.json"

    def submitted(moment: str) -> None:
        spec.write_bytes(due.model_copy(update={"submitted_at": moment}).to_json())

    def told() -> tuple[str, str]:
        """What `status` and `ls` say."""
        (line,) = [
            each
            for each in home.call("status", due.job_id)[1].splitlines()
            if each.startswith("deadline")
        ]
        (listed,) = [each for each in home.call("ls")[1].splitlines() if due.job_id in each]
        return line.removeprefix("deadline").strip(), listed

    submitted("2999-01-01T00:00:00Z")
    assert told()[0] == "2999-01-01T01:30:00Z"
    assert "2999-01-01T01:30:00Z  due" in told()[1]
    status = home.call_json("status", due.job_id)
    assert (status["deadline"], status["late"]) == ("2999-01-01T01:30:00Z", None)

    # When its time is over, then it is late, and goes on
    submitted("2020-01-01T00:00:00Z")
    assert told()[0] == "2020-01-01T01:30:00Z, late"
    assert "2020-01-01T01:30:00Z, late" in told()[1] and "pending" in told()[1]

    # When it is drawn before that, then it was in time
    work(client, due)
    assert told()[0] == "2020-01-01T01:30:00Z, late"
    submitted("2999-01-01T00:00:00Z")
    assert told()[0] == "2999-01-01T01:30:00Z, in time"
    assert home.call_json("watch", due.job_id)["late"] is False

    # And nothing is told of a job without a deadline
    assert "\ndeadline" not in home.call("status", job.job_id)[1]


def test_who_watches_a_job_is_told_of_its_deadline(
    home: Home, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a job that is drawn once somebody has had a look at it
    due = client.submit(tiny_spec(home.lake, deadline="1.5h"))
    monkeypatch.setattr("time.sleep", lambda seconds: work(client, due))
    monkeypatch.setattr("ancestral.orchestration.commands.status.REPORT_SECONDS", 0.0)

    err = home.call("watch", due.job_id)[2]

    at = due.deadline_at
    assert f" · deadline {at:%Y-%m-%dT%H:%M:%SZ}\n" in err


def test_without_a_job_there_is_nothing_to_list(home: Home) -> None:
    assert home.call_json("ls") == []
    told = home.call("ls")[1]
    assert f"There are no jobs in {home.settings.state_uri} yet" in told
    assert "ancestral run JOB.yaml" in told


def test_fsck_finds_nothing_and_then_something(home: Home, client: Client, job: Job) -> None:
    # Given a job under way
    code, out, _ = home.call("fsck", job.job_id)
    assert code == 0
    assert "30 undecided" in out and "not finished" in out

    # When it is finished
    work(client, job)
    report = home.call_json("fsck", job.job_id)
    assert (report["sound"], report["rows_ok"], report["problems"]) == (True, 30, [])
    code, out, err = home.call("fsck", job.job_id)
    assert code == 0
    assert out.endswith("Everything is as it should be.\n")
    assert "30 of 30 rows" in err

    # And a pack is damaged
    pack = next(home.lake.glob("packs/*/*.tar"))
    pack.write_bytes(pack.read_bytes()[:-1])
    report = home.call_json("fsck", job.job_id, code=1)
    assert (report["sound"], report["problem_count"]) == (False, 1)
    code, out, _ = home.call("fsck", job.job_id)
    assert code == 1
    assert out.endswith("1 problem\n") and str(pack) in out


def test_fsck_compares_with_another_run(home: Home, client: Client, job: Job) -> None:
    # Given a job, the same again in other units, and one with another seed
    jobs = [
        job,
        client.submit(tiny_spec(home.lake, unit={"rows": 7})),
        client.submit(tiny_spec(home.lake, sampling={"seed": 6, "samples": 3})),
    ]
    for each in jobs:
        work(client, each)
    same, other = (each.job_id for each in jobs[1:])

    report = home.call_json("fsck", job.job_id, "--against", same)
    assert (report["sound"], report["against"]["rows_compared"]) == (True, 30)

    report = home.call_json("fsck", job.job_id, "--against", other, code=1)
    assert (report["sound"], report["problems"]) == (False, [])
    assert report["against"]["problem_count"] == 30
    assert "30 problems" in home.call("fsck", job.job_id, "--against", other)[1]


def test_gc_removes_what_lost(home: Home, client: Client, job: Job) -> None:
    # Given a job under way
    code, out, err = home.call("gc", job.job_id)
    assert (code, out) == (2, "")
    assert f"job {job.job_id} is not finished" in err

    # When it is finished, and a zombie writes on
    work(client, job)
    draw(client.store(job.job_id), job, next(job.units()))
    assert "2 objects of" in home.call("gc", job.job_id, "--dry-run")[1]
    collected = home.call_json("gc", job.job_id)

    # Then it is removed, once
    assert (collected["objects"], collected["dry_run"]) == (2, False)
    assert home.call_json("gc", job.job_id)["objects"] == 0
    assert home.call_json("fsck", job.job_id)["sound"]


def test_what_failed_is_drawn_by_a_child_as_it_would_have_been(
    home: Home, client: Client, job: Job
) -> None:
    # Given a job in whose second unit all rows failed, and a run without that
    finish_with_failures(client, job)
    whole = client.submit(tiny_spec(home.lake, unit={"rows": 10}))
    work(client, whole)

    # When they are retried, twice
    retried = home.call_json("retry", job.job_id, "--failed")
    assert home.call_json("retry", job.job_id, "--failed") == retried
    assert (retried["state"], retried["rows"], retried["parent"]) == ("pending", 10, job.job_id)
    code, _, err = home.call("retry", job.job_id, "--failed")
    assert code == 0
    assert f"ancestral run --resume {retried['job_id']}" in err

    # Then the child draws what there should have been
    child = client.job(retried["job_id"])
    work(client, child)
    assert home.call_json("status", child.job_id)["state"] == "done"
    rows = {
        (each.row["request_id"], each.row["sample"]): (each.row["seed"], each.bytes())
        for each in client.results(whole.job_id)
    }
    drawn = list(client.results(child.job_id))
    assert len(drawn) == 10
    for each in drawn:
        key = each.row["request_id"], each.row["sample"]
        assert (each.row["seed"], each.bytes()) == rows[key]
    assert home.call_json("fsck", child.job_id)["sound"]
