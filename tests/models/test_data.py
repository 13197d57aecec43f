"""Every pass visits every item, shared between ranks; padding weighs nothing."""

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.aligned_encoder import aligned_features
from ancestral.models.data import (
    Item,
    batches_in_order,
    collate,
    normalise_loudness,
    prepare,
)
from ancestral.models.errors import DataError
from ancestral.models.symbols import amplitudes
from ancestral.models.video_pixel import VideoPixel, VideoPixelConfig
from ancestral.models.visits import shuffled_batches
from ancestral.models.wavenet import WaveNet
from tests.models.nets import all_cases

CASES = all_cases()
IMAGES, SOUNDS = CASES["gated_pixelcnn by label"].net, CASES["wavenet by both"].net
assert isinstance(SOUNDS, WaveNet)
HOP, HATS = SOUNDS.config.hop, SOUNDS.config.hats


def sounds(*lengths: int) -> list[Item]:
    """Recordings that are nowhere silent."""
    recordings = [np.full(length, 9000, dtype=np.int16) for length in lengths]
    fields = [{"digit": 1, "speaker": "bob"} for _ in lengths]
    return prepare(SOUNDS, recordings, fields)


def numbered(count: int) -> list[Item]:
    """Items that are nothing but their number."""
    return [Item(torch.tensor([n]), torch.ones(1), {}) for n in range(count)]


def test_an_image_becomes_symbols_with_its_label() -> None:
    array = np.array([[0, 255] * 3] * 5, dtype=np.uint8)
    (item,) = prepare(IMAGES, [array], [{"label": 2}])
    assert item.x.tolist() == [[0, 6] * 3] * 5
    assert item.conditions["label"].tolist() == [2]
    assert item.weights.eq(1).all()


def test_a_recording_is_padded_with_weightless_silence_to_whole_columns() -> None:
    # Given a recording of two columns and a half
    (item,) = sounds(2 * HOP + HOP // 2)
    # Then three columns of features follow its own length, not that of the table
    assert item.x.shape == (3 * HOP,)
    assert item.columns == 3
    expected = aligned_features(1, 3, HATS, 3)
    assert torch.equal(item.conditions["features"][0], expected)
    assert item.weights.tolist() == [1.0] * (2 * HOP + HOP // 2) + [0.0] * (HOP // 2)
    assert item.x[item.weights == 0].eq(8).all()


def test_a_batch_pads_symbols_weights_and_features_alike() -> None:
    batch = collate(sounds(3 * HOP, HOP, 2 * HOP - 1))
    assert batch.x.shape == batch.weights.shape == (3, 3 * HOP)
    assert batch.conditions["features"].shape == (3, 3 * HATS, 3)
    assert batch.conditions["speaker"].tolist() == [1, 1, 1]
    assert batch.weights.sum(1).tolist() == [3 * HOP, HOP, 2 * HOP - 1]
    assert not batch.conditions["features"][1, :, 1:].any()
    # And the network takes it as it is
    assert SOUNDS(batch.x, batch.conditions).shape == (3, 16, 3 * HOP)


def test_clips_of_different_lengths_are_padded_with_weightless_frames() -> None:
    # Given clips of three and of five frames
    torch.manual_seed(0)
    net = VideoPixel(
        VideoPixelConfig(
            3, 4, 4, frames=5, frames_by_request=True, embedding=3, encoder_channels=4,
            encoder_layers=2, channels=4, layers=2, head=5,
        )
    )  # fmt: skip
    generator = np.random.default_rng(0)
    clips = [generator.integers(0, 256, (frames, 3, 4), np.uint8) for frames in (3, 5)]
    items = prepare(net, clips, [{}, {}])

    # When
    batch = collate(items)

    # Then whole frames are padding, which the frames before know nothing of
    assert batch.x.shape == batch.weights.shape == (2, 5, 3, 4)
    assert batch.weights.mean((2, 3)).tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    with torch.no_grad():
        nats = (net.training_nats(batch.x, batch.conditions) * batch.weights).flatten(1).sum(1)
        alone = [net.training_nats(item.x[None], item.conditions).sum() for item in items]
    assert torch.allclose(nats, torch.stack(alone), rtol=1e-5)


@settings(max_examples=40)
@given(
    count=st.integers(1, 20),
    world_size=st.integers(1, 4),
    batch_size=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_ranks_share_every_pass_between_them(
    count: int, world_size: int, batch_size: int, seed: int
) -> None:
    if count < world_size:
        with pytest.raises(DataError, match=f"{count} training rows cannot be shared by"):
            shuffled_batches(numbered(count), batch_size, seed=seed, world_size=world_size)
        return
    # When each rank visits its share of `batch_size` passes
    visits: list[int] = []
    for rank in range(world_size):
        share = len(range(rank, count, world_size))
        batches = shuffled_batches(
            numbered(count), batch_size, seed=seed, rank=rank, world_size=world_size
        )
        visits += [n for batch in islice(batches, share) for n in batch.x.flatten().tolist()]
    # Then every item has been visited once a pass
    assert Counter(visits) == Counter(dict.fromkeys(range(count), batch_size))


def test_batches_are_a_function_of_the_seed() -> None:
    def order(seed: int) -> list[int]:
        batches = islice(shuffled_batches(numbered(50), 10, seed=seed), 10)
        return [n for batch in batches for n in batch.x.flatten().tolist()]

    assert order(1) == order(1) != order(2)
    assert order(1)[:50] != order(1)[50:]


def test_crops_keep_symbols_and_features_together() -> None:
    # Given a recording in which every column is told apart by its loudness
    columns = 6
    wave = np.repeat(amplitudes(16)[9 : 9 + columns], HOP)
    (item,) = prepare(SOUNDS, [wave], [{"digit": 1, "speaker": "bob"}])
    features = item.conditions["features"][0]

    # When it is visited in pieces of two columns
    batches = list(islice(shuffled_batches([item], 3, seed=0, crop_samples=2 * HOP), 20))

    # Then a piece is two neighbouring columns, with exactly their features
    starts = Counter[int]()
    for batch in batches:
        assert batch.x.shape == (3, 2 * HOP)
        for row in range(3):
            start = item.x.tolist().index(int(batch.x[row, 0])) // HOP
            starts[start] += 1
            assert torch.equal(batch.x[row], item.x[start * HOP : (start + 2) * HOP])
            assert torch.equal(batch.conditions["features"][row], features[:, start : start + 2])
    assert set(starts) == set(range(columns - 1))


def test_sounds_without_features_are_cut_anywhere() -> None:
    # Given samples that are their own numbers, and another event that is too short to cut
    long = Item(torch.arange(10), torch.ones(10), {"speaker": torch.tensor([1])})
    short = Item(torch.arange(3), torch.ones(3), {"speaker": torch.tensor([0])})

    batches = list(islice(shuffled_batches([long, short], 1, seed=0, crop_samples=4), 200))

    # Then every neighbourhood of four is visited, and of four visits one is to the short event
    pieces = Counter(tuple(batch.x[0].tolist()) for batch in batches)
    assert pieces[0, 1, 2] == 50
    assert set(pieces) - {(0, 1, 2)} == {tuple(range(n, n + 4)) for n in range(7)}
    assert {batch.conditions["speaker"].item() for batch in batches if len(batch.x[0]) == 4} == {1}


def test_a_column_is_the_shortest_piece() -> None:
    batches = shuffled_batches(sounds(5 * HOP), 1, seed=0, crop_samples=1)

    assert [next(batches).x.shape for _ in range(9)] == [(1, HOP)] * 9


def test_an_image_is_not_cut() -> None:
    items = prepare(IMAGES, [np.zeros((5, 6), np.uint8)], [{"label": 0}])

    with pytest.raises(DataError, match="only sounds and series can be cut"):
        shuffled_batches(items, 1, seed=0, crop_samples=3)


def test_columns_at_the_ends_are_visited_as_often_as_those_in_the_middle() -> None:
    # Given a recording in which every column is told apart by its loudness
    wave = np.repeat(amplitudes(16)[3:14], HOP)[: 11 * HOP - 1]
    (item,) = prepare(SOUNDS, [wave], [{"digit": 1, "speaker": "bob"}])

    # When many pieces of three columns are visited
    batches = islice(shuffled_batches([item], 1, seed=0, crop_samples=3 * HOP), 4000)
    columns = Counter(level for batch in batches for level in batch.x[0, ::HOP].tolist())

    # Then no column is seen less than those in the middle, and some up to twice as often
    shares = [columns[level] / 4000 for level in item.x[::HOP].tolist()]
    assert shares == pytest.approx([n / 13 for n in (3, 4, 5, 3, 3, 3, 3, 3, 5, 4, 3)], abs=0.04)


def test_longer_recordings_are_visited_in_more_pieces() -> None:
    items = sounds(2 * HOP, 9 * HOP)
    batches = list(islice(shuffled_batches(items, 1, seed=0, crop_samples=3 * HOP), 4))
    assert sorted(batch.x.shape[1] for batch in batches) == [2 * HOP] + [3 * HOP] * 3


def test_validation_sees_every_item_once_and_whole() -> None:
    items = sounds(2 * HOP, 9 * HOP, 4 * HOP)
    batches = list(batches_in_order(items, 2))
    assert [batch.weights.sum().item() for batch in batches] == [11 * HOP, 4 * HOP]


def test_loudness_becomes_what_was_asked_for() -> None:
    wave = (3000 * np.sin(np.arange(8000) / 5) + 700).astype(np.int16)
    loud = normalise_loudness(wave, dbfs=-20.0).astype(float)
    assert 20 * np.log10(np.sqrt(np.mean(loud**2)) / 32767) == pytest.approx(-20, abs=0.01)
    assert abs(loud.mean()) < 1
    assert not normalise_loudness(np.zeros(9, dtype=np.int16)).any()
    clipped = normalise_loudness(np.array([0] * 999 + [32767], dtype=np.int16), dbfs=-6.0)
    assert clipped.max() == 32767


@pytest.mark.parametrize(
    ("array", "fields", "message"),
    [
        (np.zeros((5, 6), np.uint8), {"label": 9}, "training row 1: label cannot be 9"),
        (np.zeros((5, 6), np.uint8), {}, "training row 1: the model needs the field 'label'"),
        (np.zeros((6, 5), np.uint8), {"label": 0}, r"training row 1: an event of \(5, 6\)"),
        (np.zeros((5, 6), np.int64), {"label": 0}, "training row 1: such image is uint8"),
    ],
)
def test_a_row_that_does_not_fit_is_named(array: Any, fields: Any, message: str) -> None:
    good = np.zeros((5, 6), np.uint8)
    with pytest.raises(DataError, match=message):
        prepare(IMAGES, [good, array], [{"label": 0}, fields])


def test_arrays_without_fields_are_refused() -> None:
    with pytest.raises(DataError, match="1 arrays with the fields of 0"):
        prepare(IMAGES, [np.zeros((5, 6), np.uint8)], [])
