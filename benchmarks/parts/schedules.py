"""Ways to draw events of different lengths in a fixed number of slots.

    continuous   ▇▇▇▇▇▇▇▇▇▇▇▇      a slot takes the next event as soon as its own has ended
                 ▇▇▇▆▆▆▆▆▆▆▆▆
                 ▇▇▇▇▇▇▅▅▅▅▅▅

    static       ▇▇▇▇▇▇▇▇▇▇▅▅▅     a full batch, and when all of it has ended the next; what slots
                 ▇▇▇       ▅▅▅▅    without an event cost meanwhile is the sampler's affair
                 ▇▇▇▇▇▇    ▅▅

    padded       the same, and every event of a batch is drawn for as long as the longest: what a
                 sampler does that can only advance a whole batch

Only what was asked for counts as useful.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from parts.protocol import fill

#: From a number and a length in samples to a request for a sound.
MakeRequest = Callable[[int, int], SampleRequest]


@dataclass(frozen=True)
class Drawn:
    """What drawing a list of events took, from the first admission to the end of the last event.

    `occupancy` is the share of the symbols computed in slots that belonged to an event, as long as
    more events waited than there were free slots; `slots_taken` is the share of slots, over that
    time, in which there was an event.
    """

    useful: int
    seconds: float
    occupancy: float
    slots_taken: float

    @property
    def useful_per_second(self) -> float:
        """Samples that were asked for."""
        return self.useful / self.seconds


def spread_lengths(count: int, shortest: int, seed: int) -> list[int]:
    """Lengths from `shortest` to ten times that, spread evenly in their logarithm."""
    generator = random.Random(seed)
    return [round(shortest * math.exp(generator.uniform(0, math.log(10)))) for _ in range(count)]


def continuous(sampler: Sampler, lengths: Sequence[int], make: MakeRequest) -> Drawn:
    """Admit whenever a slot is free."""
    return _drawn(sampler, _requests(lengths, make), sum(lengths), batches=False)


def static(sampler: Sampler, lengths: Sequence[int], make: MakeRequest) -> Drawn:
    """Admit a full batch when all slots are free."""
    return _drawn(sampler, _requests(lengths, make), sum(lengths), batches=True)


def padded(sampler: Sampler, lengths: Sequence[int], make: MakeRequest) -> Drawn:
    """Draw whole batches, each event for as long as its batch's longest."""
    slots = sampler.slots
    batches = [lengths[start : start + slots] for start in range(0, len(lengths), slots)]
    longest = [max(batch) for batch in batches for _ in batch]
    return _drawn(sampler, _requests(longest, make), sum(lengths), batches=True)


def _requests(lengths: Sequence[int], make: MakeRequest) -> Iterator[SampleRequest]:
    return (make(number, length) for number, length in enumerate(lengths))


def _drawn(
    sampler: Sampler, requests: Iterator[SampleRequest], useful: int, *, batches: bool
) -> Drawn:
    began = time.perf_counter()
    symbols, computed = sampler.symbols, sampler.slot_symbols
    occupancy = taken_seconds = waiting_seconds = 0.0
    waiting = True
    while True:
        if waiting and not (batches and sampler.active):
            fill(sampler, requests)
            # A slot that stays free says that no request is left.
            waiting = not sampler.free
        if not sampler.active:
            break
        advance_began, active = time.perf_counter(), sampler.active
        sampler.advance()
        if waiting:
            seconds = time.perf_counter() - advance_began
            waiting_seconds += seconds
            taken_seconds += seconds * active / sampler.slots
            occupancy = (sampler.symbols - symbols) / (sampler.slot_symbols - computed)
    return Drawn(useful, time.perf_counter() - began, occupancy, taken_seconds / waiting_seconds)
