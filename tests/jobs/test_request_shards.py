"""Shards: requests written once and read back by the row."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.jobs.errors import CorruptObject, NotFound
from ancestral.jobs.folders import Folder
from ancestral.jobs.request_shards import (
    LocalShard,
    Request,
    Row,
    fail_repeats,
    read_rows,
    write_shards,
)
from ancestral.jobs.spec import Job, JobSpec, ModelReference, Sampling, Shard
from ancestral.jobs.store import Store, open_store
from ancestral.jobs.units import Unit
from tests.jobs.bundles import DIGITS


def requests_of(count: int) -> list[Request]:
    return [Request(f"r{index}", index * 7, {"label": index % 10}) for index in range(count)]


def job_in(
    store: Store,
    folder: Path,
    requests: list[Request],
    samples: int,
    shard_requests: int,
    parent: str | None = None,
) -> Job:
    """A job whose shards are in `store`."""
    shards = []
    for local in write_shards(requests, folder, shard_requests):
        data = local.path.read_bytes()
        path = f"shards/{local.path.name}"
        store.create(path, data)
        shards.append(
            Shard(
                path=path,
                first_request=local.first_request,
                requests=local.requests,
                sha256=hashlib.sha256(data).hexdigest(),
            )
        )
    return Job(
        job_id="j",
        parent=parent,
        spec=JobSpec(
            name="j", model="m", input="i", output="o", sampling=Sampling(samples=samples)
        ),
        model=ModelReference(name="m", uri="/m", digest="d", family="f"),
        signature=DIGITS,
        requests=len(requests),
        rows=len(requests) * (samples if parent is None else 1),
        unit_rows=16,
        shards=tuple(shards),
        inputs=(),
        submitted_at="2026-11-22T15:30:12Z",
    )


@settings(max_examples=40)
@given(
    count=st.integers(1, 60),
    samples=st.integers(1, 5),
    shard_requests=st.integers(1, 70),
    unit_rows=st.integers(1, 80),
)
def test_the_units_of_a_job_are_its_rows(
    count: int, samples: int, shard_requests: int, unit_rows: int
) -> None:
    requests = requests_of(count)
    with TemporaryDirectory() as folder:
        store = open_store(f"{folder}/store")
        job = job_in(store, Path(folder), requests, samples, shard_requests)
        job = job.model_copy(update={"unit_rows": unit_rows})
        rows = [row for unit in job.units() for row in read_rows(store, job, unit)]
    assert rows == [
        Row(index * samples + sample, each.request_id, sample, each.seed, each.fields, None)
        for index, each in enumerate(requests)
        for sample in range(samples)
    ]


def test_fields_and_errors_come_back_as_they_were(tmp_path: Path) -> None:
    requests = [
        Request("größe ∀", 2**63 - 1, {"label": "é", "speed": 0.1, "take": -(2**63)}),
        Request("#1", 0, {}, "\udcff.jsonl, line 2: is not valid JSON"),
    ]
    store = open_store(str(tmp_path / "store"))
    job = job_in(store, tmp_path, requests, samples=1, shard_requests=10)
    first, second = read_rows(store, job, Unit(0, 2))
    assert first == Row(
        0, "größe ∀", 0, 2**63 - 1, {"label": "é", "speed": 0.1, "take": -(2**63)}, None
    )
    # And where an error quotes what is no text, it has a question mark
    assert second == Row(1, "#1", 0, 0, {}, "?.jsonl, line 2: is not valid JSON")


def test_the_rows_of_a_child_are_its_requests(tmp_path: Path) -> None:
    # Given a child of a job of five samples for each request
    requests = [Request("a", 7, {"label": n}, sample=n) for n in (4, 0)]
    requests += [Request("b", 8, {"label": 1}, sample=3)]
    store = open_store(str(tmp_path / "store"))
    job = job_in(store, tmp_path, requests, samples=5, shard_requests=2, parent="i")
    # Then each row is the sample that its request names
    assert read_rows(store, job, Unit(0, 3)) == [
        Row(0, "a", 4, 7, {"label": 4}, None),
        Row(1, "a", 0, 7, {"label": 0}, None),
        Row(2, "b", 3, 8, {"label": 1}, None),
    ]


def test_stores_of_one_name_do_not_share_what_was_read(tmp_path: Path) -> None:
    # Given two jobs that are alike to the name of their store, but not in what they hold
    jobs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        store = Store("sim://lake", Folder(str(tmp_path / name)))
        requests = [Request(name, 1, {"label": 1})]
        jobs.append((store, job_in(store, tmp_path / name, requests, 1, 10)))
    # Then each reads its own
    names = [read_rows(store, job, Unit(0, 1))[0].request_id for store, job in jobs]
    assert names == ["a", "b"]


def test_equal_requests_are_equal_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shards = write_shards(requests_of(5000), tmp_path / name)
        contents.append([shard.path.read_bytes() for shard in shards])
    assert contents[0] == contents[1]


def test_repeats_fail_and_get_an_id_of_their_own(tmp_path: Path) -> None:
    requests = [
        *requests_of(3),
        Request("r0", 5, {"label": 1}),
        Request("r1", 6, {}, "unknown label"),
    ]
    store = open_store(str(tmp_path / "store"))
    for shard in write_shards(requests, tmp_path, shard_requests=3):
        if shard.first_request == 3:
            fail_repeats(shard, {3: "repeats r0", 4: "repeats r1"})
    second = LocalShard(tmp_path / "requests-00001", 3, 2, 0)
    store.create("second", second.path.read_bytes())
    job = job_in(store, tmp_path, requests, samples=1, shard_requests=3)
    patched = Shard(
        path="second",
        first_request=3,
        requests=2,
        sha256=hashlib.sha256(store.read("second")).hexdigest(),
    )
    job = job.model_copy(update={"shards": (job.shards[0], patched)})
    rows = read_rows(store, job, Unit(2, 5))
    assert [(row.request_id, row.seed, row.fields, row.error) for row in rows] == [
        ("r2", 14, {"label": 2}, None),
        ("r0#3", 5, {}, "repeats r0"),
        ("r1#4", 6, {}, "unknown label"),
    ]


def test_a_shard_that_changed_is_refused(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    job = job_in(store, tmp_path, requests_of(5), samples=1, shard_requests=10)
    store.put(job.shards[0].path, b"something else")
    with pytest.raises(CorruptObject, match="is not what the job was accepted with"):
        read_rows(store, job, Unit(0, 5))


def test_a_shard_that_is_gone_is_named(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    job = job_in(store, tmp_path, requests_of(5), samples=1, shard_requests=10)
    store.delete(job.shards[0].path)
    with pytest.raises(NotFound, match="requests-00000"):
        read_rows(store, job, Unit(0, 5))
