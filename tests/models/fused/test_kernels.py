"""Kernels, by Triton's interpreter, do what their twin in plain torch does.

The interpreter takes a millisecond for each word of a text and position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.sampling.draw import Settings
from ancestral.models.sampling.executors import ExecutorName
from ancestral.models.sampling.fused.executor import FusedExecutor
from ancestral.models.sampling.fused.op_text import DRAWN_SLOTS
from ancestral.models.sampling.sampler import Sampler
from ancestral.models.sampling.samples import Sample, SampleRequest
from tests.models.fused.smallest import smallest

#: Of a sigmoid far from zero, which the interpreter takes by its definition.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")

SETTINGS = [
    Settings(),
    Settings(temperature=0.7, top_k=3),
    Settings(top_p=0.6),
    Settings(temperature=1.3, top_k=5, top_p=0.8),
    Settings(top_p=1e-46),
]


def _requests(
    fields: list[Mapping[str, Any]], prefix: torch.Tensor | None = None
) -> list[SampleRequest]:
    """One of each setting, of which the third goes on from a prefix."""
    return [
        SampleRequest(
            number,
            fields[number % len(fields)],
            seed=10**12 + number,
            sample=number,
            settings=settings,
            prefix=prefix if number == 2 else None,
        )
        for number, settings in enumerate(SETTINGS)
    ]


def _drawn(
    net: Autoregressive,
    requests: list[SampleRequest],
    dtype: torch.dtype,
    executor: ExecutorName = "fused-few",
) -> dict[object, Sample]:
    sampler = Sampler(net, slots=len(requests), executor=executor, dtype=dtype)
    return {sample.key: sample for sample in sampler.sample(requests)}


def _assert_like(
    interpreted: Mapping[object, Sample], twin: Mapping[object, Sample], nats: float
) -> None:
    assert interpreted.keys() == twin.keys()
    for key, sample in interpreted.items():
        assert sample.error is None
        assert np.array_equal(sample.symbols, twin[key].symbols), f"sample {key}"
        apart = abs(sample.log_likelihood_nats - twin[key].log_likelihood_nats)
        assert apart < nats * sample.symbols.size


VOICES = [{"digit": digit, "speaker": name} for digit in (0, 1) for name in ("ada", "bob")]
MAPS = [{"label": label, "map": [1.0, -2.0, 0.5, label]} for label in (0, 1)]
IMAGES: dict[str, list[Any]] = {
    "gated_pixelcnn": MAPS,
    "pixelcnn in colour": [{}],
    "pixelcnn_pp in colour": [{"label": 0}, {"label": 1}],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_sounds(dtype: torch.dtype, interpreted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given sounds of several lengths, conditions of both kinds, every setting, and a prefix
    net = smallest("sound")
    requests = _requests(VOICES, prefix=torch.tensor([3, 1, 4]))
    # When the interpreter draws them in runs of 5, which no length is a multiple of
    monkeypatch.setattr(FusedExecutor, "chunk_positions", 5)
    drawn = _drawn(net, requests, dtype)
    monkeypatch.delenv("TRITON_INTERPRET")
    # Then they are those of the twin; the interpreter cuts off what bfloat16 rounds
    nats = 1e-5 if dtype == torch.float32 else 2e-2
    _assert_like(drawn, _drawn(net, requests, dtype), nats)


def test_slots_that_draw_one_part_after_another(
    interpreted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given more slots of a tile than draw at the same time, with every setting
    net = smallest("sound")
    requests = [
        SampleRequest(
            number,
            VOICES[number % len(VOICES)],
            seed=10**12 + number,
            settings=SETTINGS[number % len(SETTINGS)],
        )
        for number in range(DRAWN_SLOTS + len(SETTINGS))
    ]
    # When the interpreter draws them in one tile
    drawn = _drawn(net, requests, torch.float32, "fused")
    monkeypatch.delenv("TRITON_INTERPRET")
    # Then they are those of the twin, in a tile that draws all at the same time
    _assert_like(drawn, _drawn(net, requests, torch.float32, "fused-few"), 1e-5)


@pytest.mark.parametrize("narrower", [0.0, 30.0])
def test_mixtures(narrower: float, interpreted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given mixtures whose scales are as they come, or at their floor
    net = smallest("sound of mixtures")
    with torch.no_grad():
        net.output.bias[4:] -= narrower  # type: ignore[union-attr,operator,index]
    requests = _requests(VOICES)
    drawn = _drawn(net, requests, torch.float32)
    monkeypatch.delenv("TRITON_INTERPRET")
    _assert_like(drawn, _drawn(net, requests, torch.float32), 1e-4)


@pytest.mark.parametrize("name", IMAGES, ids=lambda name: name.replace(" ", "-"))
def test_images(name: str, interpreted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given images with sweeps, coarser grids, colours: every setting, and a prefix
    net = smallest(name)
    requests = _requests(IMAGES[name], prefix=torch.tensor([2, 0, 1, 3]))
    # When the interpreter draws them
    drawn = _drawn(net, requests, torch.float32)
    monkeypatch.delenv("TRITON_INTERPRET")
    # Then they are those of the twin
    _assert_like(drawn, _drawn(net, requests, torch.float32), 1e-4)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_slot_whose_logits_are_not_finite_is_told(
    interpreted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a network that breaks for one label
    net, broken = smallest("gated_pixelcnn"), smallest("gated_pixelcnn")
    with torch.no_grad():
        broken.asked.label.weight[1] = torch.nan  # type: ignore[union-attr,operator,index]
    # When the interpreter draws both labels side by side
    drawn = _drawn(broken, _requests(MAPS), torch.float32)
    monkeypatch.delenv("TRITON_INTERPRET")
    # Then only one fails, and its neighbours are as the twin draws them
    failed = {key for key, sample in drawn.items() if sample.error is not None}
    assert failed == {1, 3}
    twin = _drawn(net, _requests(MAPS), torch.float32)
    healthy = (0, 2, 4)
    _assert_like({k: drawn[k] for k in healthy}, {k: twin[k] for k in healthy}, 1e-5)
