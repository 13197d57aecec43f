"""One row of the sampling benchmark: a network, so many slots, and what became of the ceilings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import SampleRequest
from parts.ceilings import Ceilings, streaming_bytes_per_second
from parts.networks import Network, Variant
from parts.protocol import Windows, event_rate, median_seconds, sound_rate


@dataclass(frozen=True)
class Row:
    """One line of the table. A unit is a sample of a sound, an image or a vector.

    `flops_per_unit` are useful ones: two for each weight that a position needs, none of them twice.
    The ceilings are for `threads` threads. None is what does not apply.
    """

    network: str
    parameters: int
    executor: str
    numerics: str
    slots: int
    threads: int
    dtype: str
    unit: str
    flops_per_unit: float
    per_second: float
    best_per_second: float
    repeats: int
    processor_share: float
    gflops: float
    product_ceiling_gflops: float
    share_of_product: float
    multiply_add_ceiling_gflops: float | None
    share_of_multiply_add: float | None
    streaming_ceiling_per_second: float | None
    share_of_streaming: float | None
    naive_per_second: float
    times_naive: float
    ratio: float | None
    ratio_to: str | None
    target_per_second: float | None
    target_share_of_multiply_add: float | None
    target_ratio: float | None

    @property
    def misses(self) -> list[str]:
        """Which targets it stays below."""
        pairs = {
            self.unit: (self.per_second, self.target_per_second),
            "share": (self.share_of_multiply_add, self.target_share_of_multiply_add),
            "ratio": (self.ratio, self.target_ratio),
        }
        return [
            name
            for name, (reached, wanted) in pairs.items()
            if reached is not None and wanted is not None and reached < wanted
        ]


class Measured:
    """Rows of one network after the other; each knows those before it, to be compared with."""

    def __init__(self, ceilings: Ceilings, windows: Windows) -> None:
        self._ceilings = ceilings
        self._windows = windows
        self._rates: dict[tuple[str, Variant], float] = {}

    def rows(self, network: Network, variants: list[Variant]) -> Iterator[Row]:
        """A row for each of these variants, as soon as it is measured."""
        net = network.fresh()
        naive = 1 / (
            naive_symbol_seconds(network, net, self._windows.repeats)
            * network.symbols_per_unit(net)
        )
        for variant in variants:
            yield self._row(network, net, variant, naive)

    def _row(self, network: Network, net: Autoregressive, variant: Variant, naive: float) -> Row:
        sampler = Sampler(
            net,
            slots=variant.slots,
            dtype=getattr(torch, variant.dtype),
            executor=variant.executor,
            threads=variant.threads,
        )
        measure = sound_rate if network.unit == "samples" else event_rate
        rate = measure(sampler, requests_of(network), self._windows, variant.threads)
        symbols = network.symbols_per_unit(net)
        per_second = rate.per_second / symbols
        self._rates[network.name, variant] = per_second
        flops = 2 * net.program().multiply_adds_per_step * symbols / net.channels
        gflops = flops * per_second / 1e9
        product = self._ceilings.product_gflops(variant.dtype) * variant.threads
        peak = self._ceilings.multiply_adds.get(variant.dtype)
        streaming = self._streaming_ceiling(net, variant)
        compared = variant.compared_with
        other = None if compared is None else self._rates.get(compared)
        return Row(
            network=network.name,
            parameters=sum(parameter.numel() for parameter in net.parameters()),
            executor=_executor(sampler),
            numerics=sampler.numerics,
            slots=variant.slots,
            threads=variant.threads,
            dtype=variant.dtype,
            unit=network.unit,
            flops_per_unit=flops,
            per_second=per_second,
            best_per_second=rate.best_per_second / symbols,
            repeats=rate.repeats,
            processor_share=rate.processor_share,
            gflops=gflops,
            product_ceiling_gflops=product,
            share_of_product=gflops / product,
            multiply_add_ceiling_gflops=peak and peak * variant.threads,
            share_of_multiply_add=peak and gflops / (peak * variant.threads),
            streaming_ceiling_per_second=streaming,
            share_of_streaming=streaming and per_second / streaming,
            naive_per_second=naive,
            times_naive=per_second / naive,
            ratio=other and per_second / other,
            ratio_to=_title(*compared) if compared and other else None,
            target_per_second=variant.target.per_second,
            target_share_of_multiply_add=variant.target.share_of_multiply_add,
            target_ratio=variant.target.ratio,
        )

    def _streaming_ceiling(self, net: Autoregressive, variant: Variant) -> float | None:
        """Samples a second of one slot that uses every weight once a step. A sweep uses weights for
        a whole row, so of images it says nothing."""
        program = net.program()
        if variant.slots > 1 or program.columns is not None:
            return None
        dtype: torch.dtype = getattr(torch, variant.dtype)
        weight_bytes = program.multiply_adds_per_step * dtype.itemsize
        return streaming_bytes_per_second(int(weight_bytes), self._windows.repeats) / weight_bytes


def requests_of(network: Network) -> Iterator[SampleRequest]:
    """Requests without an end."""
    for number in itertools.count():
        yield SampleRequest(number, network.fields(number), seed=number)


@torch.inference_mode()
def naive_symbol_seconds(network: Network, net: Autoregressive, repeats: int) -> float:
    """What one symbol costs without a cache: one forward pass."""
    x, conditions = network.naive_pass(net)
    return median_seconds(lambda: net(x, conditions), repeats)


def _executor(sampler: Sampler) -> str:
    return sampler.numerics.split("/")[1]


def _title(network: str, variant: Variant) -> str:
    return f"{network}, {variant.slots} slots, {variant.threads} threads"
