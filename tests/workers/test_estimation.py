"""What a job will take, told from some of its rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ancestral.jobs.errors import ConflictError, RequestsInvalid, SpecError, UsageError
from ancestral.jobs.store import Store
from ancestral.models import Sampler
from ancestral.models.scoring import Scorer
from ancestral.workers.errors import JobRefused, SlotsLost
from ancestral.workers.estimation import SAMPLE_ROWS, Estimate, _sample, estimate
from ancestral.workers.here import run_here
from ancestral.workers.samplers import WarmSampler
from tests.models.nets import DIGITS
from tests.workers.toys import Toys


class Place(Toys):
    """Where time passes only as symbols become known."""

    sampling: ClassVar = {"seed": 7, "samples": 100}
    now = 0.0

    def estimate(self, spec: dict[str, Any], **given: Any) -> Estimate:
        asked = {"samplers": 1, "clock": lambda: self.now, **given}
        return estimate(spec, settings=self.settings, **asked)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A thousandth of a second passes with each position of a sampler, or event of a scorer."""
    place = Place(tmp_path)

    def timed(advance: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def advance_in_time(self: Any) -> Any:
            before = self.steps
            ended = advance(self)
            place.now += 0.001 * (self.steps - before)
            return ended

        return advance_in_time

    for kind in (Sampler, Scorer):
        monkeypatch.setattr(kind, "advance", timed(kind.advance))
    return place


def test_rows_and_units_are_counted_and_nothing_is_written(place: Place) -> None:
    before = sorted(place.folder.rglob("*"))

    found = place.estimate(place.spec("images"), seconds=0)

    assert (found.requests, found.rows, found.units, found.unit_rows) == (3, 300, 17, 18)
    assert (found.name, found.kind, found.model) == ("tiny images", "generate", "images")
    assert found.speed is None
    assert (found.bytes, found.sampler_seconds, found.wall_seconds) == (None, None, None)
    assert sorted(place.folder.rglob("*")) == before


def test_rows_a_second_are_those_of_full_slots(place: Place) -> None:
    # Given images of 30 symbols, of which 64 are drawn in 4 tiles, of 30 positions each
    spec = place.spec("images", sampling={"samples": 1000})
    found = place.estimate(spec, seconds=1.0, samplers=2)

    speed = found.speed
    assert speed is not None and speed.rows_per_second is not None
    tiles = {"native": 4, "reference": 1}[speed.numerics.split("/")[1]]
    assert speed.slots == 64
    assert speed.rows_per_second == pytest.approx(64 / (0.030 * tiles))
    assert speed.rows_ended >= 64 * 0.9 / (0.030 * tiles)
    assert found.sampler_seconds == pytest.approx(3000 / speed.rows_per_second)
    assert found.wall_seconds == pytest.approx(1500 / speed.rows_per_second)


def test_artifacts_are_as_large_as_they_will_be(place: Place) -> None:
    spec = place.spec("sounds", sampling={"samples": 20})

    found = place.estimate(spec, seconds=0.5)

    table = run_here(spec, settings=place.settings).table()
    assert found.bytes == pytest.approx(sum(table["length"].to_pylist()), rel=0.05)


def test_rows_of_different_lengths_count_by_their_symbols(place: Place) -> None:
    # Given sounds of 8 to 40 samples, and how fast they are in the long run
    spec = place.spec("sounds")
    long = place.estimate(spec, seconds=1.0).speed
    assert long is not None and long.rows_per_second is not None

    # Then a moment in which the shortest have not ended tells about the same
    short = place.estimate(spec, seconds=0.001).speed
    assert short is not None
    assert short.rows_ended < 64 < long.rows_ended
    assert short.rows_per_second == pytest.approx(long.rows_per_second, rel=0.25)


def test_a_sampler_has_no_more_slots_than_rows(place: Place) -> None:
    found = place.estimate(place.spec("images", sampling={"samples": 4}), seconds=0.1, samplers=2)

    assert found.speed is not None
    assert (found.rows, found.speed.slots) == (12, 6)


def test_no_more_rows_are_drawn_than_the_job_has(place: Place) -> None:
    spec = place.spec("images", sampling={"samples": 4})
    short, long = (place.estimate(spec, seconds=seconds) for seconds in (20.0, 40.0))

    # Then no time is taken for more, of slots that are all full
    assert short.speed is not None
    assert 12 <= short.speed.rows_ended <= 12 + short.speed.slots
    assert short.speed == long.speed
    assert isinstance(short.bytes, int)
    assert short.bytes == pytest.approx(12 * (short.speed.bytes_per_row or 0), abs=0.5)


def test_given_beginnings_take_their_time_and_are_not_drawn(place: Place) -> None:
    # Given images to be completed from their first 3 of 5 rows
    whole = place.estimate(place.spec("images"), seconds=0.2).speed
    (artifact, *_) = run_here(
        place.spec("images", sampling={"samples": 1}), settings=place.settings
    )
    (place.folder / "given.png").write_bytes(artifact.bytes())
    grid = {"label": [1], "prefix": [str(place.folder / "given.png")], "keep": [3]}

    completed = place.estimate(place.spec("images", kind="complete", grid=grid), seconds=0.2).speed

    assert whole is not None and whole.rows_per_second is not None
    assert completed is not None and completed.rows_per_second is not None
    assert completed.rows_per_second > 1.5 * whole.rows_per_second


def test_beginnings_are_taken_in_each_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given images to be completed, of which each sampler keeps what their beginnings leave behind
    (artifact, *_) = run_here(
        place.spec("images", sampling={"samples": 1}), settings=place.settings
    )
    (place.folder / "given.png").write_bytes(artifact.bytes())
    given = {"prefix": str(place.folder / "given.png"), "keep": 2}
    requests = [{"label": label, **given} for label in DIGITS] * 200
    samplers: list[Sampler] = []
    monkeypatch.setattr(Sampler, "forget", lambda self: samplers.append(self))

    spec = place.spec("images", kind="complete", input=place.requests(*requests), sampling={})
    speed = place.estimate(spec, seconds=5.0).speed

    # Then it lets that go before the rows that stand for all are gone through again
    assert speed is not None
    assert len(samplers) >= speed.rows_ended // SAMPLE_ROWS >= 2


def test_a_job_of_few_rows_takes_as_long_as_the_busiest_sampler(place: Place) -> None:
    found = place.estimate(place.spec("images", sampling={"samples": 1}), seconds=0.1, samplers=2)

    assert found.rows == 3 and found.speed is not None
    assert found.wall_seconds == pytest.approx(2 / (found.speed.rows_per_second or 0))


def test_given_media_are_held_in_bounded_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (artifact, *_) = run_here(
        place.spec("images", sampling={"samples": 1}), settings=place.settings
    )
    (place.folder / "given.png").write_bytes(artifact.bytes())
    monkeypatch.setattr(
        "ancestral.workers.estimation.LARGEST_UNIT_BYTES", 3 * artifact.row["length"]
    )
    grid = {"label": [1], "artifact": [str(place.folder / "given.png")] * 100}

    with place.client.draft(place.spec("images", kind="score", grid=grid, sampling={})) as drafted:
        assert len(_sample(*drafted)) == 4


def test_scores_have_a_speed_and_no_artifacts(place: Place) -> None:
    (artifact, *_) = run_here(
        place.spec("images", sampling={"samples": 1}), settings=place.settings
    )
    (place.folder / "given.png").write_bytes(artifact.bytes())
    grid = {"label": [1], "artifact": [str(place.folder / "given.png")] * 200}

    spec = place.spec("images", kind="score", grid=grid, sampling={})
    found = place.estimate(spec, seconds=0.01)

    assert found.speed is not None
    # A batch of 64 takes a thousandth of a second here.
    assert found.speed.rows_per_second == pytest.approx(64_000)
    assert (found.speed.bytes_per_row, found.bytes) == (0, 0)


def test_wrong_requests_that_are_recorded_take_no_time(place: Place) -> None:
    requests = [{"label": 1 if number % 4 else 99} for number in range(400)]
    sound = place.estimate(place.spec("images"), seconds=0.3).speed

    spec = place.spec("images", input=place.requests(*requests), on_invalid="record", sampling={})
    speed = place.estimate(spec, seconds=0.3).speed

    assert speed is not None and speed.rows_per_second is not None
    assert sound is not None and sound.rows_per_second is not None
    assert speed.rows_per_second == pytest.approx(sound.rows_per_second / 0.75, rel=0.05)


def test_rows_that_the_model_refuses_take_no_time_either(place: Place) -> None:
    # Given files of which only what is inside is wrong, which is found when they are drawn
    (place.folder / "bad.png").write_bytes(b"BM, and no image")
    (artifact, *_) = run_here(
        place.spec("images", sampling={"samples": 1}), settings=place.settings
    )
    (place.folder / "good.png").write_bytes(artifact.bytes())

    def of(*names: str) -> float | None:
        grid = {"prefix": [str(place.folder / name) for name in names], "label": [1], "keep": [2]}
        spec = place.spec("images", kind="complete", grid=grid)
        speed = place.estimate(spec, seconds=0.1).speed
        assert speed is not None
        return speed.rows_per_second

    half, whole = of("good.png", "bad.png"), of("good.png")
    assert half is not None and whole is not None
    assert half == pytest.approx(2 * whole, rel=0.1)
    assert of("bad.png") is None


def test_what_was_measured_before_slots_were_lost_does_not_count(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a device whose memory runs out after a while
    spec, advances = place.spec("images"), 0
    undisturbed = place.estimate(spec, seconds=0.4).speed
    advance = WarmSampler.advance

    def run_out(self: WarmSampler) -> Any:
        nonlocal advances
        advances += 1
        if advances == 4:
            self._sampler = self._fitting(32)
            raise SlotsLost(32)
        return advance(self)

    monkeypatch.setattr(WarmSampler, "advance", run_out)

    speed = place.estimate(spec, seconds=0.4).speed

    assert speed is not None and undisturbed is not None
    assert speed.slots == 32 and undisturbed.slots == 64
    assert speed.seconds < undisturbed.seconds
    if "native" in speed.numerics:
        # Two tiles of 16 go on in half the time of four.
        assert speed.rows_per_second == pytest.approx(undisturbed.rows_per_second)


def test_progress_is_told_in_seconds(place: Place) -> None:
    told: list[tuple[float, float]] = []

    place.estimate(
        place.spec("images"), seconds=0.4, progress=lambda done, of: told.append((done, of))
    )

    assert len(told) > 2 and told == sorted(told)
    assert told[-1] == (0.4, 0.4)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grid": {"label": [1, 10]}}, RequestsInvalid),
        ({"sampling": {"temprature": 1}}, SpecError),
        ({"idempotency_key": "taken"}, ConflictError),
    ],
)
def test_what_submit_refuses_is_refused(
    place: Place, change: dict[str, Any], error: type[Exception]
) -> None:
    place.client.submit(place.spec("sounds", idempotency_key="taken"))

    with pytest.raises(error):
        place.estimate({**place.spec("images"), **change}, seconds=0)


@pytest.mark.parametrize("seconds", [-1.0, math.inf, math.nan])
def test_seconds_that_are_none_are_refused(place: Place, seconds: float) -> None:
    with pytest.raises(UsageError, match="seconds of drawing should be 0 or more, not"):
        place.estimate(place.spec("images"), seconds=seconds)


def test_a_job_that_this_device_does_not_draw_is_refused_by_name(place: Place) -> None:
    spec = place.spec("images", sampling={"precision": "bfloat16", "tiles": "few"})

    with pytest.raises(JobRefused, match=r"cpu does not draw job tiny images: tiles of few rows"):
        place.estimate(spec)


def test_requests_are_read_from_this_machine_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Store, path: str, data: bytes | memoryview) -> None:
        raise AssertionError(f"{path} is written")

    for name in ("create", "put"):
        monkeypatch.setattr(Store, name, refuse)
    monkeypatch.setattr(Store, "probe", refuse)

    assert place.estimate(place.spec("images"), seconds=0.1).speed is not None
