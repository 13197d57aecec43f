"""Slots that stay full, and prefixes that are taken in once.

    python benchmarks/batching.py [--quick] [--json FILE]

Sounds whose lengths spread 1:10 are drawn by one sampler in three ways (parts/schedules.py says
which). Slots that lie in one tile are computed together: that is where a static batch wastes most.
Of several tiles, the sampler gives up those that a draining batch no longer needs.

Then so many images that begin with the same upper half are drawn, and as many that begin with
different ones (parts/forks.py). Medians of several runs, each with other lengths and prefixes;
random weights, one thread.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import torch
from parts.forks import Forked, Taken, fork
from parts.networks import NETWORKS, WAVENET, Network
from parts.options import command
from parts.schedules import Drawn, continuous, padded, spread_lengths, static
from parts.written import machine, write

from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig

#: Samples of the shortest sound; the longest has ten times as many.
SHORTEST = 400

#: Slots, and how many sounds each slot draws.
SOUNDS_BY_SLOTS, QUICK_SOUNDS_BY_SLOTS = {16: 12, 64: 6}, {16: 12}

#: Images that begin alike.
FORKED = 16

#: Continuous over static where all slots lie in one tile, over padded everywhere; and the share of
#: computed symbols that belong to an event.
TARGET_RATIO, TARGET_OCCUPANCY = 1.6, 0.95
ONE_TILE = 16


@dataclass(frozen=True)
class BatchingRow:
    """Useful samples a second of each schedule; ratios are the continuous rate over the others'."""

    network: str
    numerics: str
    slots: int
    sounds: int
    shortest: int
    longest: int
    continuous_per_second: float
    static_per_second: float
    padded_per_second: float
    ratio: float
    ratio_to_padded: float
    occupancy: float
    slots_taken: float
    repeats: int
    target_ratio: float | None
    target_ratio_to_padded: float = TARGET_RATIO
    target_occupancy: float = TARGET_OCCUPANCY

    @property
    def misses(self) -> list[str]:
        """Which targets it stays below."""
        pairs = {
            "ratio": (self.ratio, self.target_ratio),
            "to padded": (self.ratio_to_padded, self.target_ratio_to_padded),
            "occupancy": (self.occupancy, self.target_occupancy),
        }
        return [
            name
            for name, (reached, wanted) in pairs.items()
            if wanted is not None and reached < wanted
        ]


@dataclass(frozen=True)
class ForkRow:
    """Medians for all samples together; `ratio` is what separate prefixes take over what a fork
    does."""

    network: str
    numerics: str
    samples: int
    given: int
    drawn: int
    fork: Taken
    kept: Taken
    separate: Taken
    ratio: float
    repeats: int


def batching_row(slots: int, sounds_each: int, config: WaveNetConfig, repeats: int) -> BatchingRow:
    """One sampler, all schedules in turn, over the same lengths."""
    torch.manual_seed(0)
    sampler = Sampler(WaveNet(config), slots=slots)
    rate = config.sample_rate_hz

    def request(number: int, length: int) -> SampleRequest:
        return SampleRequest(number, {"seconds": length / rate}, seed=number)

    continuous(sampler, [SHORTEST] * slots, request)
    runs: list[tuple[Drawn, Drawn, Drawn]] = []
    for repeat in range(repeats):
        print(f"{slots} slots, run {repeat + 1} of {repeats}", file=sys.stderr)
        lengths = spread_lengths(slots * sounds_each, SHORTEST, seed=repeat)
        runs.append(
            (
                continuous(sampler, lengths, request),
                static(sampler, lengths, request),
                padded(sampler, lengths, request),
            )
        )

    def median(figure: Callable[[Drawn, Drawn, Drawn], float]) -> float:
        return statistics.median(figure(*run) for run in runs)

    return BatchingRow(
        network="wavenet",
        numerics=sampler.numerics,
        slots=slots,
        sounds=slots * sounds_each,
        shortest=SHORTEST,
        longest=10 * SHORTEST,
        continuous_per_second=median(lambda full, _, __: full.useful_per_second),
        static_per_second=median(lambda _, drained, __: drained.useful_per_second),
        padded_per_second=median(lambda _, __, longest: longest.useful_per_second),
        ratio=median(lambda full, drained, _: full.useful_per_second / drained.useful_per_second),
        ratio_to_padded=median(
            lambda full, _, longest: full.useful_per_second / longest.useful_per_second
        ),
        occupancy=median(lambda full, _, __: full.occupancy),
        slots_taken=median(lambda full, _, __: full.slots_taken),
        repeats=repeats,
        target_ratio=TARGET_RATIO if slots <= ONE_TILE else None,
    )


def fork_row(network: Network, repeats: int) -> ForkRow:
    """Images whose upper half is given."""
    net, fields = network.fresh(), network.fields(0)
    height, width = net.event_shape(fields)
    given = height // 2 * width
    runs = [fork(net, fields, FORKED, given, seed) for seed in range(repeats)]

    def median(figure: Callable[[Forked], Taken]) -> Taken:
        return sorted(map(figure, runs), key=lambda taken: taken.seconds)[repeats // 2]

    return ForkRow(
        network=network.name,
        numerics=runs[0].numerics,
        samples=FORKED,
        given=given,
        drawn=height * width - given,
        fork=median(lambda run: run.fork),
        kept=median(lambda run: run.kept),
        separate=median(lambda run: run.separate),
        ratio=statistics.median(run.separate.seconds / run.fork.seconds for run in runs),
        repeats=repeats,
    )


def print_batching(rows: Sequence[BatchingRow]) -> None:
    """Useful samples a second, a star where a target is missed."""
    print(
        f"{'slots':>5} {'sounds':>6} {'lengths':>10} {'continuous':>10} {'static':>8} "
        f"{'padded':>8} {'ratio':>6} {'to padded':>9} {'occupancy':>9} {'slots taken':>11}"
    )
    for row in rows:
        missed = "".join(f" *{name}" for name in row.misses)
        print(
            f"{row.slots:5} {row.sounds:6} {f'{row.shortest}-{row.longest}':>10} "
            f"{row.continuous_per_second:10,.0f} {row.static_per_second:8,.0f} "
            f"{row.padded_per_second:8,.0f} {row.ratio:6.2f} {row.ratio_to_padded:9.2f} "
            f"{row.occupancy:9.1%} {row.slots_taken:11.1%}{missed}"
        )


def print_fork(row: ForkRow) -> None:
    """Seconds, and what the sampler looked up."""
    print(f"\n{row.network}, {row.samples} samples, {row.given} symbols given, {row.drawn} drawn")
    print(f"{'prefixes':24} {'seconds':>7} {'found':>5} {'made':>5}")
    ways = {
        "one, forked": row.fork,
        "one, kept": row.kept,
        f"{row.samples}, separate": row.separate,
    }
    for name, taken in ways.items():
        print(f"{name:24} {taken.seconds:7.3f} {taken.hits:5} {taken.misses:5}")
    print(f"separate prefixes take {row.ratio:.2f} times as long as the fork")


def main() -> None:
    parser = command(__doc__, quick="one run, and smaller networks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config, repeats, name = WAVENET, 3, "gated_pixelcnn"
    sounds_by_slots = SOUNDS_BY_SLOTS
    if arguments.quick:
        config, repeats, name = WaveNetConfig(depth=5, stacks=1), 1, "digits"
        sounds_by_slots = QUICK_SOUNDS_BY_SLOTS
    batching = [
        batching_row(slots, sounds, config, repeats) for slots, sounds in sounds_by_slots.items()
    ]
    print("one thread; useful samples a second of sounds whose lengths spread 1:10")
    print_batching(batching)
    image_net = next(network for network in NETWORKS if network.name == name)
    forked = fork_row(image_net, repeats)
    print_fork(forked)
    write(
        arguments.json,
        {**machine(), "batching": [asdict(row) for row in batching], "fork": asdict(forked)},
    )


if __name__ == "__main__":
    main()
