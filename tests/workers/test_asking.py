"""What rows ask of networks: media that become symbols, and media that do not fit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from ancestral.jobs.kinds import signature_of
from ancestral.jobs.media_values import MediaValue
from ancestral.jobs.signature import check_fields
from ancestral.jobs.spec import Media
from ancestral.models import ConditionError, from_media, to_media
from ancestral.workers.asking import completion, reconstruction, whole_event
from ancestral.workers.encode import encode
from ancestral.workers.errors import RowRefused
from tests.models.nets import DIGITS, image_case, sound_case

IMAGES = image_case(labels=DIGITS)
SOUNDS = sound_case(speaker=False, digit=False)
CPU = torch.device("cpu")


class Means:
    """Encodes an image as the means of its rows."""

    def encode(self, x: Tensor) -> Tensor:
        assert len(x) == 1, "images are encoded one by one"
        assert torch.backends.cudnn.conv.fp32_precision == "ieee", "and are not rounded"
        return x.double().mean(2)


def medium(signature: dict[str, Any], symbols: np.ndarray) -> MediaValue:
    """Symbols in a file, as one of our own artifacts has them."""
    return MediaValue(encode(signature, to_media(signature, symbols), {}, Media()).data)


def picture(height: int = 5, width: int = 6) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 7, (height, width))


def asked(kind: str, signature: dict[str, Any], **given: Any) -> dict[str, Any]:
    return check_fields(signature_of(signature, kind), given)


@pytest.mark.parametrize(("height", "keep", "kept"), [(5, 2, 2), (3, None, 3), (9, 4, 4)])
def test_the_first_rows_of_an_image_are_its_first_symbols(
    height: int, keep: int | None, kept: int
) -> None:
    signature = IMAGES.net.signature
    symbols = picture(height)
    fields = asked("complete", signature, label=1, prefix=medium(signature, symbols), keep=keep)

    result = completion(signature, IMAGES.net, fields)

    assert result.fields == {"label": 1}
    assert result.prefix is not None
    assert result.prefix.tolist() == symbols[:kept].reshape(-1).tolist()


def test_the_first_seconds_of_a_sound_are_its_first_symbols() -> None:
    signature = SOUNDS.net.signature
    symbols = np.arange(16).repeat(2)
    given = medium(signature, symbols)

    result = completion(
        signature, SOUNDS.net, asked("complete", signature, seconds=0.04, prefix=given, keep=0.01)
    )

    assert result.fields == {"seconds": 0.04}
    assert result.prefix is not None
    assert result.prefix.tolist() == symbols[:10].tolist()


def test_a_sound_that_is_shorter_than_what_is_kept_is_refused_in_seconds() -> None:
    signature = SOUNDS.net.signature
    given = medium(signature, np.arange(16).repeat(2))
    fields = asked("complete", signature, seconds=0.04, prefix=given, keep=0.05)
    with pytest.raises(RowRefused) as caught:
        completion(signature, SOUNDS.net, fields)
    assert str(caught.value) == "'keep' asks for 0.05 seconds of a 'prefix' that has 0.032"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prefix": picture(5)}, "'prefix' leaves nothing to draw, 30 of 30 symbols: say with"),
        ({"prefix": picture(7)}, "'prefix' leaves nothing to draw, 42 of 30 symbols"),
        ({"prefix": picture(2), "keep": 3}, "'keep' asks for 3 rows of a 'prefix' that has 2"),
        ({"prefix": picture(2, 7)}, "'prefix' is 2 x 7, and the model draws 5 x 6"),
        ({"prefix": b"no picture"}, "'prefix' cannot be used: these 10 bytes are not an image"),
    ],
)
def test_a_prefix_that_cannot_begin_the_event_is_refused(
    given: dict[str, Any], sentence: str
) -> None:
    signature = IMAGES.net.signature
    prefix = given["prefix"]
    if isinstance(prefix, np.ndarray):
        given = {**given, "prefix": medium(signature, prefix)}
    fields = asked("complete", signature, label=1, **given)
    with pytest.raises(RowRefused) as caught:
        completion(signature, IMAGES.net, fields)
    assert str(caught.value).startswith(sentence)


def test_fields_that_do_not_fit_the_network_are_its_own_to_refuse() -> None:
    words = sound_case(speaker=False, digit=True).net
    prefix = medium(words.signature, np.arange(5))
    fields = asked("complete", words.signature, digit=1, prefix=prefix)
    with pytest.raises(ConditionError):
        completion(words.signature, words, {**fields, "digit": 99})


def autoencoder() -> dict[str, Any]:
    fields = {"latent": {"type": "vector", "length": 5}}
    return {**IMAGES.net.signature, "kinds": ["reconstruct"], "fields": fields}


def test_an_image_becomes_its_latent_vector() -> None:
    signature, symbols = autoencoder(), picture()
    fields = asked("reconstruct", signature, image=medium(signature, symbols))
    result = reconstruction(signature, Means(), CPU, fields)
    assert result.fields == {"latent": symbols.mean(1).tolist()}
    assert result.prefix is None


@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_between_two_images_lies_a_straight_way(fraction: float) -> None:
    signature, one = autoencoder(), picture()
    other = 6 - one
    fields = asked(
        "reconstruct",
        signature,
        image=medium(signature, one),
        second_image=medium(signature, other),
        fraction=fraction,
    )
    result = reconstruction(signature, Means(), CPU, fields)
    expected = one.mean(1) + fraction * (other.mean(1) - one.mean(1))
    np.testing.assert_allclose(result.fields["latent"], expected)


def test_a_whole_event_is_all_of_its_symbols() -> None:
    signature, symbols = IMAGES.net.signature, picture()
    np.testing.assert_array_equal(
        whole_event(signature, "artifact", medium(signature, symbols)), symbols
    )
    sound = np.arange(16)
    np.testing.assert_array_equal(
        whole_event(SOUNDS.net.signature, "artifact", medium(SOUNDS.net.signature, sound)), sound
    )


@pytest.mark.parametrize("height", [4, 6])
def test_an_event_of_another_size_is_refused(height: int) -> None:
    signature = IMAGES.net.signature
    with pytest.raises(RowRefused, match=f"'artifact' is {height} x 6, and the model draws 5 x 6"):
        whole_event(signature, "artifact", medium(signature, picture(height)))


def sound(samples: int) -> MediaValue:
    """So many samples of silence, in a file."""
    file = io.BytesIO()
    rate = SOUNDS.net.signature["sample_rate_hz"]
    soundfile.write(file, np.zeros(samples, np.int16), rate, format="WAV", subtype="PCM_16")
    return MediaValue(file.getvalue())


def test_an_event_is_no_longer_than_the_network_draws_and_not_empty() -> None:
    signature = SOUNDS.net.signature
    longest = signature["max_length"]
    assert whole_event(signature, "artifact", sound(longest)).shape == (longest,)
    for samples, sentence in [
        (longest + 1, f"'artifact' is {longest + 1} long, and the model draws {longest} at most"),
        (0, "'artifact' is empty"),
    ]:
        with pytest.raises(RowRefused, match=sentence):
            whole_event(signature, "artifact", sound(samples))


def test_an_empty_prefix_is_refused() -> None:
    signature = SOUNDS.net.signature
    fields = asked("complete", signature, seconds=0.04, prefix=sound(0))
    with pytest.raises(RowRefused, match="'prefix' is empty"):
        completion(signature, SOUNDS.net, fields)


def test_a_series_of_no_numbers_is_refused() -> None:
    signature = {"medium": "series", "levels": None, "shape": [None], "fields": {}}
    values = np.array([0.5, -2.0, 1e300])
    given = medium(signature, values)
    np.testing.assert_array_equal(
        whole_event(signature, "artifact", given), from_media(signature, values)
    )
    with pytest.raises(RowRefused, match="'artifact' holds values that are no numbers"):
        whole_event(signature, "artifact", medium(signature, np.array([0.5, np.nan])))
