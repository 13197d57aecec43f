"""Networks are tried before a run begins."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from ancestral.jobs.errors import SpecError
from ancestral.models import (
    Autoregressive,
    ConfigError,
    GatedPixelCNN,
    GatedPixelCNNConfig,
    Item,
    ProgramError,
    Sampler,
    SampleRequest,
    StepProgram,
    build,
)
from ancestral.orchestration.training.contact_sheet import asked_in_rows, draw_contact_sheet
from ancestral.orchestration.training.trial import (
    check_program,
    described,
    try_drawing,
    try_learning,
)
from tests.models.nets import all_cases, lively, sound_case
from tests.orchestration.training.stripes import plan


@pytest.mark.parametrize("name", all_cases())
def test_what_ships_is_drawn_from_as_it_foretells(name: str) -> None:
    net = all_cases()[name].net
    try_drawing(net, asked_in_rows(net.signature)[0])


def contradict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step programs of gated PixelCNNs are from now on those of other weights."""
    program = GatedPixelCNN.program

    def of_others(net: GatedPixelCNN) -> StepProgram:
        other = deepcopy(net)
        with torch.no_grad():
            other.table.weight.mul_(3)
        return program(other)

    monkeypatch.setattr(GatedPixelCNN, "program", of_others)


@pytest.mark.parametrize("side", [5, 20], ids=["whole", "begun"])
def test_a_program_that_contradicts_its_network_is_found(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given events that are drawn at once, or of which only the first symbols are
    config = GatedPixelCNNConfig(height=side, width=side, levels=4, layers=2, first_reach=1)
    net = lively(GatedPixelCNN, config)
    try_drawing(net, {})
    contradict(monkeypatch)

    for tried in (lambda: try_drawing(net, {}), lambda: draw_contact_sheet(net, small=True)):
        with pytest.raises(ProgramError, match=r"of the family 'gated_pixelcnn' disagree: of \d+"):
            tried()


def test_symbols_that_are_given_are_not_counted() -> None:
    # Given an event of which the fields fix the first four symbols
    net = build("darn", {"height": 3, "width": 3, "code": 4})
    fields = {"code": [0, 1, 1, 0]}
    (sample,) = Sampler(net).sample([SampleRequest(0, fields, seed=1)])
    nats = sample.log_likelihood_nats

    check_program(net, fields, sample.symbols, nats)

    with pytest.raises(ProgramError, match="of 9 drawn symbols"):
        check_program(net, fields, sample.symbols, nats - 1)


def test_real_numbers_are_not_compared() -> None:
    net = build("linear", {"order": 1})
    check_program(net, {"length": 3}, np.zeros(3), -1e9)


@pytest.mark.parametrize(
    ("method", "error"), [("program", ProgramError), ("training_nats", ConfigError)]
)
def test_a_run_whose_network_fails_does_not_begin(
    method: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise error("it cannot be done")

    monkeypatch.setattr(GatedPixelCNN, method, broken)

    with pytest.raises(SpecError, match="the recipe 'stripes': it cannot be done"):
        plan(tmp_path)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("method", ["program", "forward", "training_nats", "example"])
def test_a_run_whose_family_raises_anything_does_not_begin(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("it cannot be done\nas it is")

    monkeypatch.setattr(GatedPixelCNN, method, broken)

    place = rf"\(test_trial\.py, line {broken.__code__.co_firstlineno + 1}, in broken\)"
    with pytest.raises(SpecError, match=rf"'stripes': ValueError: it cannot be done {place}$"):
        plan(tmp_path)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("folder", "file"), [("torch", "test_trial.py"), ("torch_more", "nn.py")])
def test_the_place_of_an_error_is_none_of_torch(folder: str, file: str) -> None:
    # Given code that is torch's own, and code that lies beside it
    path = Path(torch.__file__).parents[1] / folder / "nn.py"
    code = compile("raise ValueError('so')", str(path), "exec")

    with pytest.raises(ValueError, match="so") as raised:
        exec(code, {})

    assert described(raised.value).startswith(f"ValueError: so ({file}, line ")


def test_a_long_sound_is_tried_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a network that is asked for what it is trained on
    net = sound_case(speaker=False, digit=False).net
    shapes = list[tuple[int, ...]]()

    def seen(_: Autoregressive, x: torch.Tensor, conditions: object) -> torch.Tensor:
        shapes.append(tuple(x.shape))
        return x

    monkeypatch.setattr(type(net), "training_nats", seen)
    sound = Item(torch.zeros(40, dtype=torch.int64), torch.ones(40), {})

    for crop_samples in (None, 8):
        try_learning(net, sound, crop_samples)

    assert shapes == [(2, 40), (2, 8)]
