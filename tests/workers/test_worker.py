"""The trip: every row is drawn and written once, and a bad row costs one row."""

from __future__ import annotations

import hashlib
import json
import math
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
import webdataset

from ancestral.jobs import layout
from ancestral.jobs.finalise import finalise
from ancestral.jobs.ledger import Ledger
from ancestral.jobs.records import RowsRecord
from ancestral.jobs.request_shards import Row
from ancestral.jobs.units import RowCounts, Unit
from ancestral.workers.events import (
    UnitCommitted,
    UnitFailed,
)
from ancestral.workers.images import decode_image
from tests.workers.fakes import (
    HOLD,
    FakeModels,
    House,
    eventually,
    picture,
)


def test_every_row_is_there_once_with_all_its_facts(house: House) -> None:
    # Given a job of 7 requests, two samples each, in units that do not divide it.
    job = house.submit(["plain"] * 7, unit_rows=4, samples=2, gates={"constant_image": True})

    # When a worker runs.
    diary = house.work(job)

    # Then each row tells what was asked and what was made.
    rows = house.rows(job)
    assert [(row["ordinal"], row["request_id"], row["sample"]) for row in rows] == [
        (2 * request + sample, f"r{request}", sample) for request in range(7) for sample in (0, 1)
    ]
    for row in rows:
        symbols = picture(row["seed"], row["sample"])
        assert row["seed"] == row["ordinal"] // 2
        assert (row["status"], row["error"]) == ("ok", None)
        assert (row["kind"], row["model"], row["model_digest"]) == (
            "generate",
            "model",
            job.model.digest,
        )
        device = f"{socket.gethostname()}/cpu"
        assert (row["numerics"], row["device"], row["worker"]) == ("fake/int16", device, "ann")
        assert (row["width"], row["height"], row["media_type"]) == (5, 3, "image/png")
        assert (row["conditioning"], row["condition_label"]) == ('{"label":"plain"}', "plain")
        assert (row["likelihood_kind"], row["sampling_seconds"]) == ("exact", 0.5)
        assert row["log_likelihood_nats"] == -float(symbols.sum()) - 1
        assert row["bits_per_dim"] == pytest.approx((symbols.sum() + 1) / (math.log(2) * 15))
        raster = symbols.astype("<i2").tobytes()
        assert row["symbols_sha256"] == hashlib.sha256(raster).hexdigest()
    units = [Unit(0, 4), Unit(4, 8), Unit(8, 12), Unit(12, 14)]
    assert {event.unit: event.counts for event in diary.of(UnitCommitted)} == {
        unit: RowCounts(ok=unit.rows) for unit in units
    }


def test_the_artifact_is_where_the_index_says_and_tells_where_it_is_from(house: House) -> None:
    sampling = {"temperature": 0.5, "top_k": 2, "samples": 2}
    job = house.submit(["plain"] * 3, sampling=sampling)

    house.work(job)

    artifacts = list(house.client.results(job.job_id))
    assert len(artifacts) == 6
    for artifact in artifacts:
        row = artifact.row
        with Path(row["uri"]).open("rb") as pack:
            pack.seek(row["offset"])
            data = pack.read(row["length"])
        assert data == artifact.bytes()
        array, metadata = decode_image(data)
        np.testing.assert_array_equal(array, picture(row["seed"], row["sample"]) * 85)
        assert metadata == {
            "model": job.model.digest,
            "seed": str(row["seed"]),
            "sample": str(row["sample"]),
            "settings": '{"temperature":0.5,"top_k":2,"top_p":null}',
        }


# WebDataset leaves the files that it opened to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_reads_the_packs_of_a_finished_job(house: House) -> None:
    job = house.submit(["plain", "plain", "poison", "plain", "plain"], unit_rows=2)
    house.work(job)
    store = house.client.store(job.job_id)
    finalise(store, job.job_id)

    names = store.read(layout.packs_list_path(job.job_id)).decode().split()
    folder = Path(store.uri) / layout.packs_folder(job.job_id)
    packs = [str(folder / Path(name).name) for name in names]
    samples = list(webdataset.WebDataset(packs, shardshuffle=False))

    assert [sample["__key__"] for sample in samples] == [f"{n:012d}" for n in (0, 1, 3, 4)]
    for sample in samples:
        description = json.loads(sample["json"])
        seed = description["seed"]
        assert description["request_id"] == f"r{seed}"
        assert description["fields"] == {"label": "plain"}
        assert description["log_likelihood_nats"] == -float(picture(seed, 0).sum()) - 1
        array, _ = decode_image(sample["png"])
        np.testing.assert_array_equal(array, picture(seed, 0) * 85)


def test_units_and_slots_do_not_show_in_the_artifacts(tmp_path: Path) -> None:
    columns = set()
    for unit_rows, slots in ((1, 3), (4, 1), (64, 16)):
        house = House(tmp_path / f"{unit_rows}")
        job = house.submit(["plain"] * 20, unit_rows=unit_rows, samples=2)
        house.work(job, FakeModels(slots))
        rows = house.rows(job)
        assert len(rows) == 40
        columns.add(tuple((row["sha256"], row["symbols_sha256"]) for row in rows))

    assert len(columns) == 1
    assert len(set(*columns)) == 40


def test_rows_of_many_units_share_the_slots(house: House) -> None:
    # Given units of one row, and a sampler that does not go on before all its slots are taken.
    filled = threading.Event()

    def wait_for_company(rows: list[Row]) -> object:
        if len(rows) == 4:
            filled.set()
        return None if filled.is_set() else HOLD

    job = house.submit(["plain"] * 12, unit_rows=1)

    # When a worker runs, then it does go on.
    house.work(job, FakeModels(slots=4, before_advance=wait_for_company))

    assert [row["status"] for row in house.rows(job)] == ["ok"] * 12


@pytest.mark.parametrize(
    ("label", "error"),
    [
        ("poison", "the logits are not finite"),
        ("refused", "no such thing can be drawn"),
    ],
)
def test_a_bad_row_costs_one_row(house: House, label: str, error: str) -> None:
    job = house.submit(["plain", "plain", label, "plain", "plain"], unit_rows=5)

    diary = house.work(job)

    rows = house.rows(job)
    assert [row["status"] for row in rows] == ["ok", "ok", "failed", "ok", "ok"]
    assert rows[2]["error"] == error
    assert (rows[2]["uri"], rows[2]["sha256"], rows[2]["log_likelihood_nats"]) == (None,) * 3
    assert diary.of(UnitFailed) == []


def test_a_request_that_was_recorded_as_wrong_is_a_failed_row(house: House) -> None:
    job = house.submit(["plain", "nonsense", "plain"], on_invalid="record")
    models = FakeModels()

    house.work(job, models)

    rows = house.rows(job)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok"]
    assert "nonsense" in rows[1]["error"]
    assert sorted(models.admitted) == [0, 2]


def test_a_unit_without_artifacts_writes_no_pack(house: House) -> None:
    job = house.submit(["refused", "poison"], unit_rows=2)

    diary = house.work(job)

    store = house.client.store(job.job_id)
    record = Ledger(store, job.job_id).lookup(Unit(0, 2))
    assert isinstance(record, RowsRecord)
    assert (record.packs, record.statuses) == ((), "ff")
    assert [event.pack_bytes for event in diary.of(UnitCommitted)] == [0]
    assert store.list(layout.packs_folder(job.job_id)) == []


def test_what_a_gate_rejects_can_still_be_looked_at(house: House) -> None:
    job = house.submit(["plain", "blank", "plain"], gates={"constant_image": True})

    house.work(job)

    rows = house.rows(job)
    assert [row["status"] for row in rows] == ["ok", "rejected", "ok"]
    assert rows[1]["error"] == "constant image: every pixel is 170"
    rejected = list(house.client.results(job.job_id))[1]
    np.testing.assert_array_equal(decode_image(rejected.bytes())[0], np.full((3, 5), 170))
    assert rows[1]["log_likelihood_nats"] == -31


def test_sampling_goes_on_while_an_artifact_is_being_written(house: House) -> None:
    # Given a writer that does not get on with its first row before the sampler drew four more.
    models = FakeModels(slots=1)
    job = house.submit(["plain"] * 8, unit_rows=8)

    class Slow(type(models.get(job))):  # type: ignore[misc]
        def to_media(self, symbols: np.ndarray) -> np.ndarray:
            eventually(lambda: len(models.admitted) >= 5)
            return super().to_media(symbols)  # type: ignore[no-any-return]

    models.samplers[0].__class__ = Slow

    house.work(job, models)

    assert len(house.rows(job)) == 8


def test_the_model_is_loaded_once_for_all_units(house: House) -> None:
    models = FakeModels()
    job = house.submit(["plain"] * 9, unit_rows=1)

    house.work(job, models)

    assert len(models.samplers) == 1
