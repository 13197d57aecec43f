"""Muon moves kernels in every direction alike, and AdamW whatever else learns."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.made import Made, MadeConfig
from ancestral.models.optimizer import Muon, optimizers_of, orthogonal
from ancestral.models.train_settings import TrainSettings

MUON = TrainSettings("muon", learning_rate=0.01)


@given(st.integers(1, 20), st.integers(1, 20), st.floats(1e-4, 1e4), st.integers(0, 2**31))
def test_it_keeps_directions_and_evens_out_how_long_they_are(
    rows: int, columns: int, size: float, seed: int
) -> None:
    # Given a matrix U S Vᵀ whose longest direction is at most 100 times its shortest
    random = torch.Generator().manual_seed(seed)
    count = min(rows, columns)
    u = torch.linalg.qr(torch.randn(rows, count, generator=random, dtype=torch.float64)).Q
    v = torch.linalg.qr(torch.randn(columns, count, generator=random, dtype=torch.float64)).Q
    lengths = 10 ** (2 * torch.rand(count, generator=random, dtype=torch.float64) - 2) * size

    even = orthogonal(u @ lengths.diag() @ v.T)

    # Then it has the same directions, of length 1 about
    along = u.T @ even @ v
    torch.testing.assert_close(u @ along.diag().diag() @ v.T, even)
    assert along.diag().min() > 0.6
    assert along.diag().max() < 1.25


def test_nothing_stays_nothing() -> None:
    assert orthogonal(torch.zeros(3, 5)).equal(torch.zeros(3, 5))


@pytest.mark.parametrize("flush", [False, True], ids=["denormal", "flushed"])
def test_a_gradient_that_dies_away_keeps_its_directions(flush: bool) -> None:
    # Given a matrix of numbers whose squares are too small for float32
    torch.manual_seed(0)
    matrix = torch.randn(6, 9)
    torch.set_flush_denormal(flush)
    try:
        even = orthogonal(1e-30 * matrix)
        torch.testing.assert_close(even, orthogonal(matrix))
    finally:
        torch.set_flush_denormal(False)


def test_a_move_is_as_long_as_adamw_would_make_it() -> None:
    # Given a kernel of 12 outputs that read 40 values each, and a gradient of any size
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.zeros(12, 4, 2, 5))
    kernel.grad = 1e-3 * torch.randn_like(kernel)

    Muon([kernel], learning_rate=0.01, weight_decay=0.0).step()

    moved = kernel.detach()
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.2)
    assert float((moved * kernel.grad).sum()) < 0


def test_kernels_that_are_not_pulled_only_decay() -> None:
    kernel = nn.Parameter(torch.ones(2, 2, 1, 1))
    kernel.grad = torch.zeros_like(kernel)
    Muon([kernel], learning_rate=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(kernel.detach(), torch.full((2, 2, 1, 1), 0.95))


def test_each_weight_that_learns_is_moved_by_one_of_them() -> None:
    net = GatedPixelCNN(GatedPixelCNNConfig(4, 4, 2, (0, 1), channels=8, layers=2, head=8))
    net.logits.weight.requires_grad_(requires_grad=False)

    adamw, muon = optimizers_of(net, MUON)

    # Then Muon has the kernels, but tables and biases are AdamW's
    def of(optimizer: torch.optim.Optimizer) -> set[int]:
        return {id(weight) for group in optimizer.param_groups for weight in group["params"]}

    names = {id(weight): name for name, weight in net.named_parameters()}
    assert "asked.label.weight" in {names[each] for each in of(adamw)}
    assert all(names[each].endswith(".weight") for each in of(muon))
    assert of(adamw) | of(muon) == set(names) - {id(net.logits.weight)}
    assert not of(adamw) & of(muon)


def test_a_network_without_convolutions_is_adamw_s() -> None:
    net = Made(MadeConfig(4, 4, 2, hidden=(8,)))
    assert [type(each) for each in optimizers_of(net, MUON)] == [torch.optim.AdamW]
