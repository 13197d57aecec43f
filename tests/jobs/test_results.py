"""What a job made, read back."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ancestral.jobs import layout, public_table
from ancestral.jobs.errors import CorruptObject, NotFound, PathRefused, StoreDenied
from ancestral.jobs.finalise import finalise
from ancestral.jobs.index import IndexRow, encode_part, schema
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import FileFact, RowsRecord
from ancestral.jobs.results import Artifact, Results
from ancestral.jobs.spec import Job
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs import deciding
from tests.jobs.drawn import accept_job, draw
from tests.jobs.published import decide_all

Commit = Callable[..., RowsRecord]
MakeJob = Callable[..., Job]

NOWHERE = open_store("memory://nowhere")


def named(request_id: str, sample: int = 0) -> str:
    row = {"request_id": request_id, "sample": sample, "media_type": "image/png"}
    return Artifact(row, NOWHERE).file_name


@pytest.fixture
def job(store: Store, make_job: MakeJob, commit: Commit) -> Job:
    """A job of eight rows in three units, of which the last is undecided."""
    job = make_job(8, 3)
    commit(store, job, Unit(0, 3), "ofo")
    commit(store, job, Unit(3, 6), "roo")
    return job


def test_decided_rows_are_there_in_order(store: Store, job: Job, commit: Commit) -> None:
    # Given a running job
    results = Results(store, job)
    assert len(results) == 6
    # Then its decided rows can be read
    artifacts = list(results)
    assert [artifact.row["ordinal"] for artifact in artifacts] == [0, 1, 2, 3, 4, 5]
    assert [artifact.ok for artifact in artifacts] == [True, False, True, False, True, True]
    assert artifacts[4].bytes() == b"image 4"
    assert artifacts[4].open().read() == b"image 4"
    # And once the rest is decided, it is there as well
    commit(store, job, Unit(6, 8))
    assert len(results) == 8
    assert [artifact.row["ordinal"] for artifact in results][6:] == [6, 7]


def test_a_job_without_a_decided_row_has_no_results(store: Store, make_job: MakeJob) -> None:
    results = Results(store, make_job(8, 3))
    assert len(results) == 0
    assert list(results) == []
    assert results.table().num_rows == 0
    assert "condition_label" in results.table().column_names


def test_only_rows_of_records_that_count_are_there(store: Store) -> None:
    # Given a unit that was split at another row than the one that somebody committed for
    job = deciding.make_job(8, 4)
    deciding.split(store, job, Unit(0, 4), 1)
    deciding.commit(store, job, Unit(0, 2))
    deciding.commit(store, job, Unit(1, 4))
    # And a seal, after which somebody committed the rest
    Ledger(store, job.job_id).seal(job)
    deciding.commit(store, job, Unit(4, 8))
    # Then the rows of the one record that counts are there, in every way to look at them
    results = Results(store, job)
    assert len(results) == 3
    assert [artifact.row["ordinal"] for artifact in results] == [1, 2, 3]
    assert results.table()["ordinal"].to_pylist() == [1, 2, 3]


def test_a_spread_of_the_index_comes_from_all_of_it(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    # Given units of ten labels, each of which comes again after ten units
    job = make_job(400, 2)
    for unit in job.units():
        commit(local_store, job, unit)
    results = Results(local_store, job)

    # When a tenth of them is read
    table = results.spread(40)

    # Then they are whole units in order, from each tenth of the job, and of all labels
    ordinals = table["ordinal"].to_pylist()
    assert ordinals == sorted(ordinals)
    assert [first // 20 for first in ordinals[::2]] == list(range(20))
    assert [first + 1 for first in ordinals[::2]] == ordinals[1::2]
    assert {first // 2 % 10 for first in ordinals} == set(range(10))
    assert table.schema == results.table().schema


def test_a_spread_reads_no_other_part(store: Store, job: Job) -> None:
    record = Ledger(store, job.job_id).lookup(Unit(3, 6))
    assert isinstance(record, RowsRecord)
    store.put(record.index_part.path, b"damaged")

    assert Results(store, job).spread(5)["ordinal"].to_pylist() == [0, 1, 2]
    with pytest.raises(CorruptObject):
        Results(store, job).spread(6)


def test_a_spread_of_few_rows_is_all_of_them(store: Store, job: Job, make_job: MakeJob) -> None:
    assert Results(store, job).spread(6).equals(Results(store, job).table())
    assert Results(store, make_job(8, 3, "digits-2")).spread(6).num_rows == 0


def test_rows_that_are_not_ok_are_found_in_the_table(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a finished job, whose table has two parts and whose units cannot be read any more
    monkeypatch.setattr(public_table, "PART_ROWS", 6)
    job = decide_all(store, deciding.make_job(12, 3), "ofoorrfoooof")
    manifest = finalise(store, job.job_id)
    for path in store.list(layout.records_folder(job.job_id)):
        store.put(path, b"damaged")
    results = Results(store, job)

    # Then they are there in order, whatever became of them, and as many as are asked for
    for count in range(7):
        found = results.not_ok(manifest.parts, count)
        assert found["ordinal"].to_pylist() == [1, 4, 5, 6, 11][:count]
        assert found.schema == schema(job.signature)


def test_no_more_is_read_for_what_is_not_ok_than_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table whose second part of what failed cannot be read
    monkeypatch.setattr(public_table, "PART_ROWS", 6)
    job = decide_all(store, deciding.make_job(12, 3), "ofoorrfoooof")
    manifest = finalise(store, job.job_id)
    _, second = [part for part in manifest.parts if part.outcome == "failed"]
    store.put(second.path, b"damaged")
    results = Results(store, job)

    assert results.not_ok(manifest.parts, 1)["ordinal"].to_pylist() == [1]
    assert results.errors(manifest.parts, 1) == ["no luck"]
    for read in (results.not_ok, results.errors):
        with pytest.raises(CorruptObject, match="no part of the table"):
            read(manifest.parts, 2)


def test_a_row_of_the_table_leads_to_its_artifact(store: Store, job: Job) -> None:
    results = Results(store, job)
    assert [results.artifact(row) for row in results.table().to_pylist()] == list(results)


def test_a_row_of_a_pandas_frame_leads_to_its_artifact(store: Store, job: Job) -> None:
    # Given a frame that has floats in place of whole numbers, and NaN in place of null
    results = Results(store, job)
    frame = results.table().to_pandas()
    assert frame["offset"].dtype == float

    artifacts = [results.artifact(row) for row in frame.to_dict("records")]

    assert [artifact.stored for artifact in artifacts] == [True, False, True, False, True, True]
    assert artifacts[4].bytes() == b"image 4"
    with pytest.raises(NotFound, match="was not drawn, failed: no luck"):
        artifacts[1].bytes()


def test_a_row_that_was_not_drawn_has_no_bytes(store: Store, job: Job) -> None:
    failed = list(Results(store, job))[1]
    with pytest.raises(NotFound, match=r"row 1 \('request 1'\) was not drawn, failed: no luck"):
        failed.bytes()


def test_a_job_that_scores_has_rows_and_no_files(
    store: Store, make_job: MakeJob, make_row: Callable[..., IndexRow], tmp_path: Path
) -> None:
    # Given a unit whose rows are ok, and that wrote no pack
    job, unit = make_job(2, 2), Unit(0, 2)
    path = layout.attempt_path(job.job_id, unit, "a" * 32)
    part = encode_part([make_row(job, ordinal) for ordinal in (0, 1)], job.signature)
    store.put(path, part)
    record = RowsRecord(
        start=0,
        end=2,
        attempt="a" * 32,
        worker="ann",
        device="cpu",
        numerics="x86-64/reference/float32",
        model_digest=job.model.digest,
        code_version="0.1.0",
        statuses="oo",
        index_part=FileFact.of(path, part),
        packs=(),
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        sampling_seconds=0.5,
    )
    Ledger(store, job.job_id).decide(record)

    results = Results(store, job)

    assert [(artifact.ok, artifact.stored) for artifact in results] == [(True, False)] * 2
    with pytest.raises(NotFound, match=r"row 0 \('request 0'\) was only scored"):
        next(iter(results)).bytes()
    assert results.download(tmp_path / "files") == 0
    assert list((tmp_path / "files").iterdir()) == []


def test_damaged_bytes_are_noticed(store: Store, job: Job) -> None:
    first = next(iter(Results(store, job)))
    path = first.row["uri"].removeprefix(f"{store.uri}/")
    sound = store.read(path)
    for damaged in (b"IMAGE 0image 2", sound[:3]):
        store.put(path, damaged)
        with pytest.raises(CorruptObject, match=r"^row 0 \('request 0'\)"):
            first.bytes()
    store.put(path, sound)
    assert first.bytes() == b"image 0"


def test_an_artifact_whose_pack_is_gone_says_so(store: Store, job: Job) -> None:
    first = next(iter(Results(store, job)))
    store.delete(first.row["uri"].removeprefix(f"{store.uri}/"))

    with pytest.raises(CorruptObject, match=r"^row 0 \('request 0'\): its pack .*\.tar is gone$"):
        first.bytes()


def test_what_is_damaged_keeps_nothing_else_from_being_downloaded(
    store: Store, job: Job, tmp_path: Path
) -> None:
    # Given a pack that is gone, and a row of another one whose bytes were changed
    artifacts = list(Results(store, job))
    gone, changed = (
        artifacts[ordinal].row["uri"].removeprefix(f"{store.uri}/") for ordinal in (0, 4)
    )
    store.delete(gone)
    store.put(changed, store.read(changed).replace(b"image 4", b"IMAGE 4"))
    seen: list[tuple[int, int]] = []
    damaged: list[str] = []

    # When what is ok is downloaded
    written = Results(store, job).download(
        tmp_path / "files",
        lambda done, total: seen.append((done, total)),
        damaged=lambda error: damaged.append(str(error)),
    )

    # Then the rest is there, and what is not is named in order
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["request%205-0.png"]
    assert (written, seen[-1]) == (1, (4, 4))
    assert [sentence.partition(" (")[0] for sentence in damaged] == ["row 0", "row 2", "row 4"]

    # And who does not ask for that is told at the first
    with pytest.raises(CorruptObject, match="row 0"):
        Results(store, job).download(tmp_path / "files")


@pytest.mark.parametrize("folder", ["s3://bucket/files", Path("s3://bucket/files")])
def test_a_download_goes_to_no_bucket(
    store: Store, job: Job, folder: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(PathRefused, match=r"folder of this machine, no s3:// URI: `export`"):
        Results(store, job).download(folder)

    assert not list(tmp_path.glob("s3*"))


def test_a_uri_elsewhere_is_not_followed(store: Store, job: Job) -> None:
    first = next(iter(Results(store, job)))
    for uri in ("/etc/passwd", f"{store.uri}/packs/other/0-1.tar", "s3://other/pack.tar"):
        with pytest.raises(CorruptObject, match="is no pack of job digits-1"):
            Artifact({**first.row, "uri": uri}, store).bytes()


def test_an_output_that_was_moved_can_be_read(
    local_store: Store, make_job: MakeJob, commit: Commit, tmp_path: Path
) -> None:
    job = make_job(2, 2)
    commit(local_store, job, Unit(0, 2))
    shutil.move(local_store.uri, tmp_path / "moved")
    moved = Results(open_store(str(tmp_path / "moved")), job)
    assert [artifact.bytes() for artifact in moved] == [b"image 0", b"image 1"]


def test_the_table_is_what_other_readers_see(
    local_store: Store, make_job: MakeJob, commit: Commit
) -> None:
    # Given a finished job
    job = make_job(8, 3)
    local_store.put(layout.spec_path(job.job_id), job.to_json())
    for unit, statuses in zip(job.units(), ["ofo", "roo", "oo"], strict=True):
        commit(local_store, job, unit, statuses)
    index = finalise(local_store, job.job_id).index
    # Then its table has the rows and columns of the Parquet files
    ours = Results(local_store, job).table().to_pandas()
    public = pd.read_parquet(index).drop(columns="outcome").sort_values("ordinal")
    pd.testing.assert_frame_equal(ours, public.reset_index(drop=True))


def test_a_download_writes_each_ok_artifact(store: Store, job: Job, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    folder = tmp_path / "not" / "yet"
    written = Results(store, job).download(folder, lambda done, total: seen.append((done, total)))
    assert written == 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        f"request%20{number}-0.png": f"image {number}".encode() for number in (0, 2, 4, 5)
    }


def test_those_that_were_rejected_can_be_downloaded_too(local_store: Store, tmp_path: Path) -> None:
    job = accept_job(local_store, 4, samples=1, unit_rows=4)
    draw(local_store, job, Unit(0, 4), "orof")

    results = Results(local_store, job)

    assert results.download(tmp_path / "files", status="rejected") == 1
    [file] = (tmp_path / "files").iterdir()
    assert (file.name, file.read_bytes()) == ("r1-0.png", list(results)[1].bytes())


def test_a_download_can_be_repeated(store: Store, job: Job, tmp_path: Path) -> None:
    results = Results(store, job)
    results.download(tmp_path)
    (tmp_path / "request%200-0.png").write_bytes(b"half")
    assert results.download(str(tmp_path)) == 4
    assert (tmp_path / "request%200-0.png").read_bytes() == b"image 0"


def test_a_download_to_where_nothing_can_be_written_is_denied(
    local_store: Store, make_job: MakeJob, commit: Commit, tmp_path: Path
) -> None:
    job = make_job(2, 2)
    commit(local_store, job, Unit(0, 2))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreDenied, match="cannot write to"):
        Results(local_store, job).download(tmp_path / "file" / "below")
    (tmp_path / "request%200-0.png").mkdir()
    with pytest.raises(StoreDenied, match="cannot write to"):
        Results(local_store, job).download(tmp_path)


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
pairs = st.tuples(texts | st.text(alphabet="a0-.%+/", max_size=6), st.integers(0, 20))


@given(pairs)
@example(("../../etc/passwd", 0))
@example(("..", 0))
@example((".bashrc", 0))
@example(("", 0))
@example(("a\0b", 0))
@example(("x" * 5000, 0))
@example(("é" * 100, 0))
def test_a_file_stays_in_its_folder(pair: tuple[str, int]) -> None:
    name = named(*pair)
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")
    assert name.endswith(".png")
    assert len(name.encode()) <= 255


@given(pairs, pairs)
@example(("a-1", 0), ("a", 10))
@example(("a-1", 1), ("a", 1))
@example((".a", 0), ("%2Ea", 0))
@example(("x" * 5000, 0), ("x" * 5001, 0))
@example(("x" * 151, 0), (named("x" * 151)[:-6], 0))
def test_two_artifacts_never_share_a_file(one: tuple[str, int], other: tuple[str, int]) -> None:
    assert (named(*one) == named(*other)) == (one == other)


@pytest.mark.parametrize(
    ("media_type", "extension"),
    [
        ("image/png", "png"),
        ("image/webp", "webp"),
        ("audio/flac", "flac"),
        ("audio/wav", "wav"),
        ("video/mp4", "mp4"),
        ("application/x-npy", "npy"),
        ("x/y", "bin"),
    ],
)
def test_a_file_has_the_extension_of_its_medium(media_type: str, extension: str) -> None:
    row = {"request_id": "seven", "sample": 3, "media_type": media_type}
    assert Artifact(row, NOWHERE).file_name == f"seven-3.{extension}"
