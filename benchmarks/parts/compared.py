"""All baselines of a table of events, by medium."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ancestral.models import to_media
from parts import files, marginals
from parts.learning import Events
from parts.prediction import adaptive_bits
from parts.vae import vae_bits

Symbols = Sequence[NDArray[np.int64]]

#: Samples of a piece of sound that the VAE takes as a whole.
PIECE = 256


@dataclass(frozen=True)
class Baseline:
    """`bytes` is set for files, whose kind is "code length": all bytes of the held-out events,
    headers included. Other kinds are "exact", and "bound"."""

    what: str
    bits_per_dim: float
    kind: str = "exact"
    bytes: int | None = None


def baselines(events: Events, seconds: float) -> Iterator[Baseline]:
    """Bits for each held-out symbol; what learns by gradients may take so many seconds."""
    train, held_out = events.symbols(held_out=False), events.symbols(held_out=True)
    if events.signature["medium"] in ("audio", "series"):
        yield from _sounds(events, train, held_out, seconds)
    elif events.signature["medium"] == "video":
        yield from _clips(events, train, held_out, seconds)
    else:
        yield from _images(events, train, held_out, seconds)


def _images(
    events: Events, train: Symbols, held_out: Symbols, seconds: float
) -> Iterator[Baseline]:
    levels = events.levels
    yield Baseline("independent marginals", marginals.position_bits(train, held_out, levels))
    yield from _image_files(events, held_out)
    yield _vae(
        [_channels_first(e) for e in train], [_channels_first(e) for e in held_out], levels, seconds
    )


def _clips(events: Events, train: Symbols, held_out: Symbols, seconds: float) -> Iterator[Baseline]:
    levels = events.levels
    known, heard = ([f for clip in clips for f in clip] for clips in (train, held_out))
    yield Baseline("independent marginals", marginals.position_bits(known, heard, levels))
    yield from _image_files(events, heard)
    clips = [to_media(events.signature, clip) for clip in held_out]
    size = sum(map(files.webp_clip_bytes, clips))
    yield _file("WebP, an animation of each clip", size, held_out)
    yield _vae(
        [f[None] for f in known],
        [f[None] for f in heard],
        levels,
        seconds,
        name="VAE of single frames",
    )


def _image_files(events: Events, images: Symbols) -> Iterator[Baseline]:
    levels = events.levels
    # Real images come without the hidden code that a network may draw before them.
    visible = {**events.signature, "hidden": 0}
    pixels = [to_media(visible, image) for image in images]
    sizes = {
        "PNG, a file each": sum(files.png_bytes(image, levels) for image in images),
        "PNG, on one sheet": sum(files.png_bytes(s, levels) for s in files.sheets(images)),
        "WebP lossless, a file each": sum(map(files.webp_bytes, pixels)),
        "WebP lossless, on one sheet": sum(map(files.webp_bytes, files.sheets(pixels))),
    }
    for name, size in sizes.items():
        yield _file(name, size, images)


def _sounds(
    events: Events, train: Symbols, held_out: Symbols, seconds: float
) -> Iterator[Baseline]:
    levels, rate = events.levels, events.signature.get("sample_rate_hz", 8000)
    values = _amplitudes(events)
    if levels == 65536:
        bits = marginals.gaussian_bits([values[e] for e in train], [values[e] for e in held_out])
        yield Baseline("independent, normal", bits, "density")
    else:
        bits = marginals.symbol_bits(train, held_out, levels)
        yield Baseline("independent marginal (order-0 entropy)", bits)
        each = sum(files.flac_bytes(e - levels // 2, rate, "PCM_S8") for e in held_out)
        yield _file("FLAC of the symbols as 8 bits, a file each", each, held_out)
        one = files.flac_bytes(np.concatenate(held_out) - levels // 2, rate, "PCM_S8")
        yield _file("FLAC of the symbols as 8 bits, one file", one, held_out)
    waves = [values[e] for e in held_out]
    each = sum(files.flac_bytes(wave, rate, "PCM_16") for wave in waves)
    yield _file("FLAC of the sounds as 16 bits, a file each", each, held_out)
    one = files.flac_bytes(np.concatenate(waves), rate, "PCM_16")
    yield _file("FLAC of the sounds as 16 bits, one file", one, held_out)
    bits = adaptive_bits(held_out, values.astype(np.float64))
    yield Baseline("adaptive linear prediction", bits)
    yield _vae(
        _pieces(train),
        _pieces(held_out),
        levels,
        seconds,
        name=f"VAE of pieces of {PIECE} samples",
    )


def _amplitudes(events: Events) -> NDArray[np.int16]:
    """What each symbol of a sound stands for."""
    if events.signature["medium"] == "series":
        return np.arange(-32768, 32768).astype(np.int16)
    return to_media(events.signature, np.arange(events.levels)).astype(np.int16)


def _pieces(sounds: Symbols) -> list[NDArray[np.int64]]:
    """Sounds cut up for the VAE, as images of one row; what is left at their ends is left out."""
    return [
        sound[start : start + PIECE][None, None]
        for sound in sounds
        for start in range(0, len(sound) - PIECE + 1, PIECE)
    ]


def _channels_first(image: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.moveaxis(image, -1, 0) if image.ndim == 3 else image[None]


def _vae(
    train: Symbols, held_out: Symbols, levels: int, seconds: float, name: str = "VAE"
) -> Baseline:
    return Baseline(name, vae_bits(train, held_out, levels, seconds), "bound")


def _file(name: str, size: int, held_out: Symbols) -> Baseline:
    bits = 8 * size / sum(event.size for event in held_out)
    return Baseline(name, bits, "code length", size)
