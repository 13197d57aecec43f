"""What moves the weights: AdamW, or Muon for the kernels of convolutions and AdamW for the rest.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks") moves a kernel
in every direction alike. It is a matrix to it, of outputs by what each of them reads, and of the
running mean M = U S Vᵀ of its gradients U Vᵀ is kept. A polynomial of odd powers comes near to that
without a decomposition: five times

    X ← a X + (b X Xᵀ + c (X Xᵀ)²) X,    from X = M / |M|

Kernels of the first and the last layer are among them, which the authors leave to AdamW.

The move is as long as AdamW's usually is, 0.2 of the learning rate for each weight (Liu et al.
2025, "Muon is Scalable for LLM Training", equation 4), so that one learning rate serves both.

torch.optim.Muon computes in bfloat16 alone, for which a processor without such products takes seven
times as long, and has no kernels of four dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from ancestral.models.train_settings import TrainSettings

#: a, b and c, which the authors chose for a steep beginning: after five rounds singular values of
#: 0.003 |M| and more are between 0.68 and 1.21; smaller ones stay smaller.
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5

#: What a running mean of gradients keeps at each step.
_MOMENTUM = 0.95

#: The root mean square of what AdamW usually adds to a weight, by the learning rate.
_USUAL_MOVE = 0.2


class Muon(torch.optim.Optimizer):
    """Of weights (D, ...) that are matrices of D rows. Each keeps a running mean "mean"."""

    def __init__(
        self, weights: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
    ) -> None:
        super().__init__(weights, {"lr": learning_rate, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move by the gradients that the weights have."""
        assert closure is None, "a gradient is computed once"
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group["lr"], group["weight_decay"])
        return None

    def _move(self, weight: nn.Parameter, rate: float, decay: float) -> None:
        assert weight.grad is not None
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"].lerp_(weight.grad, 1 - _MOMENTUM)
        # As Nesterov: a step ahead of the mean.
        ahead = weight.grad.lerp(mean, _MOMENTUM).flatten(1)
        move = orthogonal(ahead) * (_USUAL_MOVE * max(ahead.shape) ** 0.5)
        weight.mul_(1 - rate * decay).add_(move.view(weight.shape), alpha=-rate)


def orthogonal(matrix: Tensor) -> Tensor:
    """About U Vᵀ of a matrix U S Vᵀ (D, K), in its dtype; of zeros, zeros."""
    a, b, c = _POLYNOMIAL
    upright = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if upright else matrix
    tiny = torch.finfo(x.dtype).tiny
    # First by the largest: the squares of small numbers, of which the norm is, would be none.
    x = x / x.abs().max().clamp(min=tiny)
    x = x / x.norm().clamp(min=tiny)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if upright else x


def optimizers_of(network: nn.Module, settings: TrainSettings) -> list[torch.optim.Optimizer]:
    """Those that move each weight that learns, once."""
    learning = [weights for weights in network.parameters() if weights.requires_grad]
    kernels = [w for w in learning if w.ndim > 2] if settings.optimizer == "muon" else []
    rest = [w for w in learning if w.ndim <= 2] if kernels else learning
    groups = [
        {"params": [w for w in rest if w.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [w for w in rest if w.ndim <= 1], "weight_decay": 0.0},
    ]
    # Fused: all weights in one pass, at a sixth of the time that a loop over them takes.
    adamw = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=settings.betas, fused=True)
    if not kernels:
        return [adamw]
    return [adamw, Muon(kernels, settings.learning_rate, settings.weight_decay)]
