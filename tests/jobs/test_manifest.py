"""The manifest, at rest."""

import json

import pytest

from ancestral.jobs import layout
from ancestral.jobs.errors import CorruptObject
from ancestral.jobs.manifest import Manifest, Part, read_manifest
from ancestral.jobs.states import State
from ancestral.jobs.store import Store
from ancestral.jobs.units import RowCounts, Unit

MANIFEST = Manifest(
    job_id="digits-1",
    name="digits",
    state=State.CANCELLED,
    reason="a typo; 2 of 8 rows were not drawn",
    rows=8,
    rows_ok=3,
    rows_failed=2,
    rows_rejected=1,
    rows_cancelled=2,
    cancelled=(Unit(0, 1), Unit(7, 8)),
    model="digits",
    model_digest="d" * 64,
    numerics=("x86-64/reference/float32",),
    index="/lake/artifacts",
    parts=(Part("artifacts/part-00000.parquet", 0, "ok", 3),),
    packs="/lake/packs.txt",
    pack_count=1,
    pack_bytes=77,
    sampling_seconds=0.5,
    finished_at="2026-11-22T15:30:12Z",
)


def test_a_manifest_survives_its_json() -> None:
    read = Manifest.from_json(MANIFEST.to_json(), "manifest.json")
    assert read == MANIFEST
    assert read.state is State.CANCELLED
    assert read.counts == RowCounts(3, 2, 1, 2)


def test_other_programs_read_it() -> None:
    document = json.loads(MANIFEST.to_json())
    assert document["state"] == "cancelled"
    assert document["cancelled"] == [{"start": 0, "end": 1}, {"start": 7, "end": 8}]


def test_what_is_no_manifest_is_corrupt(local_store: Store) -> None:
    assert read_manifest(local_store, "digits-1") is None
    sound = MANIFEST.to_json()
    for data in (
        b"",
        b"{}",
        b"[]",
        b'{"parts": 3}',
        sound.replace(b'": "cancelled"', b'": "asleep"'),
    ):
        local_store.put(layout.manifest_path("digits-1"), data)
        with pytest.raises(CorruptObject, match=r"/_jobs/digits-1/manifest.json is no manifest: b"):
            read_manifest(local_store, "digits-1")
    local_store.put(layout.manifest_path("digits-1"), sound)
    assert read_manifest(local_store, "digits-1") == MANIFEST
