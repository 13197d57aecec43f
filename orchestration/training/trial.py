"""A network tried: whether a few symbols can be drawn and scored, and whether they are as probable
by its step program as by its `forward`.

What is wrong with a family of somebody else's would else be found at the first validation, or by
whoever looks at what was drawn.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ancestral.models import Autoregressive, Item, ProgramError, Sampler, SampleRequest
from ancestral.models.visits import shuffled_batches
from ancestral.orchestration.training.learners import learner

#: How far the two may lie apart, for each symbol and each nat: a thousand times what float32 rounds
#: off in models that ship.
TOLERANCE = 1e-3


def try_drawing(net: Autoregressive, fields: Mapping[str, Any]) -> None:
    """Draw the first symbols of an event.

    What has to learn something first can only be told how it will be drawn from. Raises ModelError
    when the network cannot be drawn from.
    """
    sampler = Sampler(net, slots=1)
    if learner(net) is not None:
        return
    sampler.admit(SampleRequest("trial", fields, seed=0))
    ended = sampler.advance()
    if ended:
        if ended[0].error is None:
            check_program(net, fields, ended[0].symbols, ended[0].log_likelihood_nats)
        return
    begun = sampler.save("trial").so_far
    assert begun is not None, "an event that has a slot has begun"
    check_program(net, fields, begun.symbols, begun.log_likelihood_nats)


@torch.no_grad()
def try_learning(net: Autoregressive, item: Item, crop_samples: int | None) -> None:
    """Compute once what training minimises, of two events, or of two pieces of one.

    Raises ModelError when it cannot be computed.
    """
    batch = next(shuffled_batches([item, item], 2, seed=0, crop_samples=crop_samples))
    net.training_nats(batch.x, batch.conditions)


@torch.no_grad()
def check_program(
    net: Autoregressive, fields: Mapping[str, Any], symbols: NDArray[Any], nats: float
) -> None:
    """Raises ProgramError unless the first `symbols` of an event, which a step program drew with a
    log-likelihood of `nats`, are as probable by `forward`.

    Of real numbers that can hardly be foretold, float32 has too few digits to say so.
    """
    law = net.distribution
    if law.levels is None:
        return
    shape, given = net.event_shape(fields), net.prefix(fields)
    known = torch.from_numpy(np.asarray(symbols)).flatten()
    x = torch.zeros(math.prod(shape), dtype=law.symbol_dtype)
    x[: len(known)] = known
    event = x.view(1, *shape)
    # A symbol depends on those before it alone, so it is no matter what follows.
    each = law.log_prob(net(event, net.conditions(fields)).double(), event).flatten()
    drawn = each[0 if given is None else len(given) : len(known)]
    by_forward = float(drawn.sum())
    if not abs(nats - by_forward) <= TOLERANCE * (len(drawn) + abs(by_forward)):
        raise ProgramError(
            f"program() and forward() of the family {net.family!r} disagree: of {len(drawn)} drawn "
            f"symbols the log-likelihood is {nats:.3f} nats by the one, {by_forward:.3f} by the "
            "other"
        )


def described(error: Exception) -> str:
    """An error that is none of this program's own, in a line: its type, the first line of what it
    says, and where it comes from, which is the last line that is none of torch's."""
    torch_folder = Path(torch.__file__).parent
    frames = traceback.extract_tb(error.__traceback__)
    last = [each for each in frames if torch_folder not in Path(each.filename).parents][-1]
    place = f"{Path(last.filename).name}, line {last.lineno}, in {last.name}"
    first_line = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first_line} ({place})"
