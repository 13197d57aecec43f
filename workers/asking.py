"""What a row asks of its network, by the kind of its job; the media that it gives become symbols.

generate      fields                             ─► fields
complete      fields, prefix, keep               ─► fields, and the first symbols of the event
reconstruct   fields, image, second_image, ...   ─► fields with a latent vector
score         fields, artifact                   ─► fields, and all symbols of the event
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from ancestral.jobs.kinds import KIND_FIELDS, LATENT
from ancestral.jobs.media_values import MediaValue
from ancestral.models import Autoregressive, DataError, from_media
from ancestral.models.sampling.torch_state import full_precision, single_threaded
from ancestral.workers.errors import RowRefused
from ancestral.workers.given import beginning, fits, read_given, wrong_shape

#: A row's checked fields, those of its kind of job among them.
Fields = Mapping[str, Any]
Signature = Mapping[str, Any]


class Encoder(Protocol):
    """What a network also is whose signature says that it can reconstruct."""

    def encode(self, x: Tensor) -> Tensor:
        """The latent vectors (B, Z) of symbols (B, *E)."""


@dataclass(frozen=True)
class Asked:
    """The network's own fields, and the symbols (n,) that the event begins with, if any."""

    fields: dict[str, Any]
    prefix: Tensor | None = None


def own_fields(fields: Fields) -> dict[str, Any]:
    """Those that are the network's own, and not its kind of job's."""
    return {name: value for name, value in fields.items() if name not in KIND_FIELDS}


@torch.inference_mode()
@single_threaded()
@full_precision()
def completion(signature: Signature, net: Autoregressive, fields: Fields) -> Asked:
    """The event with a given beginning.

    Raises RowRefused when the prefix cannot begin it, and ConditionError when the fields do not fit
    the network.
    """
    own = own_fields(fields)
    kept = beginning(signature, read_given(signature, "prefix", fields["prefix"]), fields["keep"])
    symbols = torch.from_numpy(_symbols(signature, "prefix", kept)).reshape(-1)
    length = math.prod(net.event_shape(own))
    if len(symbols) >= length:
        raise RowRefused(
            f"'prefix' leaves nothing to draw, {len(symbols)} of {length} symbols: say with "
            "'keep' how much of it to keep"
        )
    return Asked(own, symbols)


@torch.inference_mode()
@single_threaded()
@full_precision()
def reconstruction(
    signature: Signature, net: Autoregressive, device: torch.device, fields: Fields
) -> Asked:
    """An event by one image's latent vector, or by one on the straight way from it to another's.

    Images are encoded one by one, so that no bit depends on a neighbour. Raises RowRefused when one
    is not what the network draws.
    """

    def encoded(name: str) -> list[float]:
        x = torch.from_numpy(whole_event(signature, name, fields[name]))
        latents = cast(Encoder, net).encode(x.unsqueeze(0).to(device))
        return cast(list[float], latents[0].tolist())

    latent, fraction = encoded("image"), fields["fraction"]
    if fraction:
        towards = encoded("second_image")
        latent = [(1 - fraction) * a + fraction * b for a, b in zip(latent, towards, strict=True)]
    return Asked({**own_fields(fields), LATENT: latent})


def whole_event(signature: Signature, name: str, value: MediaValue) -> np.ndarray:
    """The symbols (*E) of a medium. Raises RowRefused when the network draws no such event."""
    array = read_given(signature, name, value)
    if not fits(signature["shape"], array.shape):
        raise RowRefused(wrong_shape(signature, name, array))
    longest = signature.get("max_length") or len(array)
    if len(array) > longest:
        raise RowRefused(f"{name!r} is {len(array)} long, and the model draws {longest} at most")
    return _symbols(signature, name, array)


def _symbols(signature: Signature, name: str, array: np.ndarray) -> np.ndarray:
    """int64, or float64 where levels are null. Raises RowRefused."""
    try:
        return from_media(signature, array)
    except DataError as error:
        raise RowRefused(f"{name!r} cannot be used: {error}") from error
