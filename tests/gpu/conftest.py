"""On a machine with a GPU pytest runs what `make gpu` runs. Without one it collects nothing here;
`tests/benchmarks/test_gpu.py` has `make gpu` itself run on the processor."""

from __future__ import annotations

import pytest
import torch

collect_ignore_glob = [] if torch.cuda.is_available() else ["test_*.py"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives each parameter of a test its values."""
    from tests.gpu.asked import values

    for name, given in values("cuda", few=False).items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, given)
