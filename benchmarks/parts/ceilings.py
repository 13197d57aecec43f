"""What this processor could give, measured in the run that claims a share of it; one thread.

product        torch.mm, the best of three shapes: what a sampler reaches that leaves its
               products to a library
multiply-add   vector multiply-adds on registers alone: what no sampler of that dtype exceeds
streaming      torch.mv over as many bytes as a network's weights have: a single slot uses each
               weight once a step
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ancestral.models.sampling.native import library
from parts.protocol import median_seconds

#: Rows, depth and columns of the products.
PRODUCTS = ((64, 128, 128), (256, 128, 128), (1024, 1024, 1024))

#: Widths of the matrices that are streamed; the best counts.
STREAMED_WIDTHS = (128, 512, 2048)

#: How long a timed call lasts, about.
_CALL_SECONDS = 0.05


@dataclass(frozen=True)
class Ceilings:
    """GFLOP/s of a thread: products by dtype and shape, and multiply-adds by dtype, of those that
    the native executor has here."""

    products: Mapping[str, Mapping[str, float]]
    multiply_adds: Mapping[str, float]

    def product_gflops(self, dtype: str) -> float:
        """The best of all shapes."""
        return max(self.products[dtype].values())


def measure_ceilings(dtypes: Sequence[str], repeats: int) -> Ceilings:
    """The ceilings of these dtypes."""
    products = {
        dtype: {
            "x".join(map(str, shape)): _product_gflops(dtype, shape, repeats) for shape in PRODUCTS
        }
        for dtype in dtypes
    }
    peaks: dict[str, float] = {}
    if library.available():
        build, seconds = library.load(), repeats * _CALL_SECONDS
        for dtype in dtypes:
            peaks[dtype] = build.multiply_add_gflops(seconds, bfloat16=dtype == "bfloat16")
    return Ceilings(products, {dtype: peak for dtype, peak in peaks.items() if peak})


def streaming_bytes_per_second(weight_bytes: int, repeats: int) -> float:
    """How fast so many bytes of weights come to the processor, over and over."""
    return max(_streaming(weight_bytes, width, repeats) for width in STREAMED_WIDTHS)


def _product_gflops(dtype: str, shape: tuple[int, int, int], repeats: int) -> float:
    rows, depth, columns = shape
    left = torch.randn(rows, depth).to(getattr(torch, dtype))
    right = torch.randn(depth, columns).to(left)
    product = torch.empty(rows, columns, dtype=left.dtype)
    flops = 2 * rows * depth * columns
    # Even at 500 GFLOP/s a call lasts long enough for the clock.
    calls = max(1, int(_CALL_SECONDS * 1e11 / flops))
    seconds = median_seconds(
        lambda: [torch.mm(left, right, out=product) for _ in range(calls)], repeats
    )
    return flops * calls / seconds / 1e9


def _streaming(weight_bytes: int, width: int, repeats: int) -> float:
    # In float32, whatever the weights are: only the bytes count.
    matrix = torch.randn(max(1, weight_bytes // (4 * width)), width)
    vector, product = torch.randn(width), torch.empty(len(matrix))
    calls = max(1, int(_CALL_SECONDS * 2e10 / matrix.nbytes))
    seconds = median_seconds(
        lambda: [torch.mv(matrix, vector, out=product) for _ in range(calls)], repeats
    )
    return matrix.nbytes * calls / seconds
