"""A job into tars of its own, fewer and larger than its packs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ancestral.jobs import export_webdataset
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.export import export
from ancestral.jobs.finalise import finalise
from ancestral.jobs.results import Results
from ancestral.jobs.store import Store, open_store
from tests.jobs.deciding import make_job
from tests.jobs.finished import finished, image, members
from tests.jobs.published import decide_all

#: Of a job's tars: its id, and when it was submitted.
NAME = "digits-1-20261122153012"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_tars_have_the_samples_of_the_packs(local_store: Store, folder: Path) -> None:
    # Given a job of three units, with rows that failed and were rejected
    job = finished(local_store, "oofroroooo")

    # When it is exported with what was rejected
    export(local_store, job, "webdataset", str(folder), rejected=True)

    # Then each kind of rows is a tar of samples by rising ordinals
    tars = {file.name: members(file.read_bytes()) for file in folder.iterdir()}
    assert tars.keys() == {f"{NAME}-ok-000000.tar", f"{NAME}-rejected-000000.tar"}
    for name, ordinals in (("ok", [0, 1, 4, 6, 7, 8, 9]), ("rejected", [3, 5])):
        expected = {}
        for ordinal in ordinals:
            expected[f"{ordinal:012d}.png"] = image(ordinal)
            expected[f"{ordinal:012d}.json"] = f'{{"row": {ordinal}}}'.encode()
        found = tars[f"{NAME}-{name}-000000.tar"]
        assert found == expected and list(found) == list(expected)


def test_packs_are_put_together_up_to_so_many_bytes_and_exports_go_on(
    local_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given units of two rows, of which the second has nothing to export, in packs of 5 kB
    monkeypatch.setattr(export_webdataset, "SHARD_BYTES", 12_000)
    job = finished(local_store, "ooff" + "o" * 8, unit_rows=2)

    # When it is exported, twice, and a tar is lost on the way
    assert export(local_store, job, "webdataset", str(folder)).added == 10
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / f"{NAME}-ok-000001.tar").unlink()
    assert export(local_store, job, "webdataset", str(folder)).added == 4

    # Then there are the same files
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
    assert [len(members(files[name])) // 2 for name in sorted(files)] == [4, 4, 2]


def test_jobs_may_share_a_folder(local_store: Store, folder: Path) -> None:
    for name in ("digits-1", "digits-2"):
        job = finished(local_store, "oo", job_id=name)
        assert export(local_store, job, "webdataset", str(folder)).added == 2

    assert len(list(folder.iterdir())) == 2


def test_a_job_of_another_state_may_have_the_same_id(tmp_path: Path, folder: Path) -> None:
    stores = [open_store(str(tmp_path / name)) for name in ("here", "there")]
    here, there = (finished(store, "oo") for store in stores)
    there = there.model_copy(update={"submitted_at": "2026-11-23T00:00:00Z"})

    for pair in zip(stores, (here, there), strict=True):
        assert export(*pair, "webdataset", str(folder)).added == 2


def test_a_damaged_pack_is_named(local_store: Store, folder: Path) -> None:
    job = finished(local_store, "oo")
    pack = Path(Results(local_store, job).table()["uri"][0].as_py())
    pack.write_bytes(pack.read_bytes()[:-1])

    with pytest.raises(CorruptObject, match=pack.name):
        export(local_store, job, "webdataset", str(folder))

    assert not folder.exists()


def test_what_is_no_pack_is_named(local_store: Store, folder: Path) -> None:
    # Given packs that are no tars
    job = decide_all(local_store, make_job(2, 2), "oo")
    finalise(local_store, job.job_id)

    with pytest.raises(CorruptObject, match="is no pack of ours"):
        export(local_store, job, "webdataset", str(folder))
