"""What decides the bits that torch gives: its device, threads and precision; and their name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ancestral.models.errors import ConfigError


def device_of(name: str | torch.device) -> torch.device:
    """The device of that name. Raises ConfigError when torch has none here."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"torch knows no device {name!r}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"torch finds no GPU here for device {name!r}: take 'cpu'")
    return device


@contextmanager
def single_threaded() -> Iterator[None]:
    """One torch thread within, as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 within are of float32, whatever the caller's settings say: by default a
    GPU rounds what it convolves to 10 bits (TF32).

    They are settings of the process, so that no other thread should change them meanwhile.
    """
    kinds = (
        torch.backends.cuda.matmul,
        torch.backends.mkldnn.matmul,  # type: ignore[attr-defined]
        torch.backends.cudnn.conv,  # type: ignore[attr-defined]
        torch.backends.mkldnn.conv,  # type: ignore[attr-defined]
    )
    before = [kind.fp32_precision for kind in kinds]
    try:
        matmul = torch.get_float32_matmul_precision()
    except RuntimeError:
        # The caller's settings contradict each other, and torch will not say the old one.
        matmul = "highest"
    try:
        # First the old setting of products, with which the new ones have to agree.
        torch.set_float32_matmul_precision("highest")
        for kind in kinds:
            kind.fp32_precision = "ieee"
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        for kind, precision in zip(kinds, before, strict=True):
            kind.fp32_precision = precision


def numerics_class(executor: str, device: torch.device, dtype: torch.dtype) -> str:
    """The name within which equal requests give equal bytes: processor, executor, dtype, torch.

    Conditioning is projected by torch on every executor, by kernels that torch chooses for the
    processor: so both are part of the name.
    """
    processor = f"{device.type}-{torch.backends.cpu.get_cpu_capability().lower()}"
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device).replace(" ", "-").lower()
    version = torch.__version__.split("+")[0]
    return f"{processor}/{executor}/{str(dtype).removeprefix('torch.')}/torch-{version}"
