"""Training learns, keeps its budget, can be continued, and ends in averaged weights."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import pytest
import torch
from torch import nn

from ancestral.models.autoregressive import TrainingLoss
from ancestral.models.data import Batch, Item, batches_in_order, collate
from ancestral.models.errors import ConfigError, ModelError
from ancestral.models.families import build
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.train import (
    TrainProgress,
    TrainState,
    bits_per_dim,
    learning_rate,
    train,
)
from ancestral.models.train_settings import OPTIMIZERS, TrainSettings
from ancestral.models.visits import shuffled_batches
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig
from tests.models.test_data import HOP, SOUNDS, sounds

STRIPES = GatedPixelCNNConfig(4, 4, 2, (0, 1), channels=8, layers=2, first_reach=1, head=8)


def stripes() -> list[Batch]:
    """Label 0 is horizontal stripes, label 1 vertical ones, beginning with black or white."""
    batches = []
    for first in (0, 1):
        across = (torch.arange(4) + first) % 2
        x = torch.stack([across.unsqueeze(1).expand(4, 4), across.unsqueeze(0).expand(4, 4)])
        batches.append(Batch(x, {"label": torch.tensor([0, 1])}, torch.ones(2, 4, 4)))
    return batches


def fresh() -> GatedPixelCNN:
    torch.manual_seed(0)
    return GatedPixelCNN(STRIPES)


def steps(count: int) -> Any:
    return lambda step: step / count


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_learns_what_there_is_to_learn(optimizer: str) -> None:
    # Given images of 16 pixels in which only the first is a matter of chance
    net, seen = fresh(), list[TrainProgress]()
    before = bits_per_dim(net, stripes())

    taken = train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(optimizer, learning_rate=0.02, validations=2, report_every=30),
        fraction_done=steps(150),
        validation=stripes(),
        report=seen.append,
    )

    # Then little more than that bit per image remains, and the averaged weights, which were scored
    # last, are in the network
    assert taken == 150
    assert before > 0.9
    assert 1 / 16 <= bits_per_dim(net, stripes()) < 3 / 16
    assert seen[-1].validation_bits_per_dim == pytest.approx(bits_per_dim(net, stripes()))
    assert [p.step for p in seen] == [30, 60, 75, 105, 135, 150]
    assert [p.step for p in seen if p.validation_bits_per_dim is not None] == [75, 150]
    assert [p.fraction for p in seen] == [p.step / 150 for p in seen]


def test_held_out_batches_are_scored_without_dropout() -> None:
    torch.manual_seed(0)
    net = build("made", {"height": 4, "width": 4, "hidden": [16], "dropout": 0.5})
    batches = [Batch(batch.x, {}, batch.weights) for batch in stripes()]
    seen = list[TrainProgress]()

    train(
        TrainingLoss(net),
        net,
        cycle(batches),
        TrainSettings(validations=1),
        fraction_done=steps(3),
        validation=batches,
        report=seen.append,
    )

    assert seen[-1].validation_bits_per_dim == pytest.approx(bits_per_dim(net.eval(), batches))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_is_continued_where_it_was_saved(optimizer: str) -> None:
    settings = TrainSettings(optimizer, learning_rate=0.01, validations=4)
    # Given a training that runs through, and its states
    states: list[TrainState] = []
    whole = fresh()
    train(
        TrainingLoss(whole),
        whole,
        cycle(stripes()),
        settings,
        fraction_done=steps(40),
        save=lambda state: states.append(copy.deepcopy(state)),
    )
    assert [state["step"] for state in states] == [10, 20, 30, 40]

    # When another process goes on from the second state
    later = GatedPixelCNN(STRIPES)
    batches = islice(cycle(stripes()), 20, None)
    taken = train(
        TrainingLoss(later), later, batches, settings, fraction_done=steps(40), resume=states[1]
    )

    # Then it ends with the same weights
    assert taken == 40
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(later.state_dict()[name], tensor)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_survives_a_file_that_holds_no_code(optimizer: str, tmp_path: Any) -> None:
    states: list[TrainState] = []
    net = fresh()
    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(optimizer),
        fraction_done=steps(4),
        save=states.append,
    )
    torch.save(states[-1], tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(optimizer),
        fraction_done=steps(6),
        resume=state,
    )


def test_padding_weighs_nothing() -> None:
    short, long = sounds(HOP + 1, 5 * HOP)
    apart = bits_per_dim(SOUNDS, batches_in_order([short, long], 1))
    assert bits_per_dim(SOUNDS, [collate([short, long])]) == pytest.approx(apart, rel=1e-5)


def test_whatever_stands_in_the_padding_teaches_nothing() -> None:
    def gradients(batch: Batch) -> list[torch.Tensor]:
        net = copy.deepcopy(SOUNDS)
        train(
            TrainingLoss(net),
            net,
            iter([batch]),
            TrainSettings(ema_decay=0.0),
            fraction_done=steps(1),
        )
        return list(net.parameters())

    batch = collate(sounds(HOP + 1))
    other = Batch(torch.where(batch.weights == 0, 3, batch.x), batch.conditions, batch.weights)
    assert not torch.equal(batch.x, other.x)
    for one, two in zip(gradients(batch), gradients(other), strict=True):
        assert torch.equal(one, two)


def test_the_learning_rate_rises_and_falls() -> None:
    settings = TrainSettings(learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(settings, step, step / 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(0.98, abs=0.01)
    assert rates.index(max(rates)) == 9
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert learning_rate(settings, 100, 1.0) == pytest.approx(0.0)


def test_a_used_budget_trains_nothing() -> None:
    net, untouched = fresh(), fresh()
    assert (
        train(TrainingLoss(net), net, never(), TrainSettings(), fraction_done=lambda step: 1.0) == 0
    )
    assert all(map(torch.equal, net.parameters(), untouched.parameters()))


def never() -> Iterator[Batch]:
    raise AssertionError("a batch was asked for")
    yield


def test_the_module_that_is_trained_may_wrap_the_network() -> None:
    class Wrapped(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner, self.calls = inner, 0

        def forward(self, *arguments: Any) -> Any:
            self.calls += 1
            return self.inner(*arguments)

    net = fresh()
    module = Wrapped(TrainingLoss(net))
    train(module, net, cycle(stripes()), TrainSettings(), fraction_done=steps(5))
    assert module.calls == 5
    assert not any(map(torch.equal, net.parameters(), fresh().parameters()))


def test_a_loss_that_explodes_is_an_error_that_says_where() -> None:
    net = fresh()
    with torch.no_grad():
        net.logits.bias[0] = float("nan")
    with pytest.raises(ModelError, match="the loss of step 1 is not finite"):
        train(TrainingLoss(net), net, cycle(stripes()), TrainSettings(), fraction_done=steps(5))


def test_crops_of_recordings_can_be_trained_on() -> None:
    net = copy.deepcopy(SOUNDS)
    items = sounds(9 * HOP, 3 * HOP)
    batches = shuffled_batches(items, 4, seed=0, crop_samples=4 * HOP)
    held_out = list(batches_in_order(items, 2))
    before = bits_per_dim(net, held_out)
    train(
        TrainingLoss(net), net, batches, TrainSettings(learning_rate=0.01), fraction_done=steps(20)
    )
    assert bits_per_dim(net, held_out) < before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"gradient_clip": -1.0}, "gradient_clip must be above 0"),
        ({"warmup_steps": 0}, "warmup_steps must be at least 1"),
        ({"accumulate": 0}, "accumulate must be at least 1"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"weight_decay": 1.0}, "weight_decay is at least 0 and below 1"),
        ({"optimizer": "sgd"}, "optimizer is adamw or muon, not 'sgd'"),
        ({"precision": "float16"}, "precision is float32 or bfloat16, not 'float16'"),
        ({"ema_decay": 1.0}, "ema_decay and betas must be"),
        ({"betas": (0.9, 1.5)}, "ema_decay and betas must be"),
    ],
)
def test_settings_that_train_nothing_are_named(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainSettings(**setting)


def many(count: int) -> list[Batch]:
    """So many pictures, each a batch of one."""
    whole = collate([item for batch in stripes() for item in items(batch)][:count])
    return [
        Batch(
            whole.x[n : n + 1],
            {"label": whole.conditions["label"][n : n + 1]},
            whole.weights[n : n + 1],
        )
        for n in range(count)
    ]


def items(batch: Batch) -> list[Item]:
    return [
        Item(x, weights, {"label": label[None]})
        for x, weights, label in zip(batch.x, batch.weights, batch.conditions["label"], strict=True)
    ]


def trained_on(batches: list[Batch], **settings: Any) -> GatedPixelCNN:
    net = fresh().double()
    train(
        TrainingLoss(net),
        net,
        cycle(batches),
        TrainSettings(ema_decay=0.0, **settings),
        fraction_done=steps(3),
    )
    return net


def test_a_step_in_parts_is_the_step_of_all_together() -> None:
    # Given four pictures, of which one counts in parts only
    parts = many(4)
    parts[1].weights[0, 2:] = 0
    whole = Batch(
        torch.cat([part.x for part in parts]),
        {"label": torch.cat([part.conditions["label"] for part in parts])},
        torch.cat([part.weights for part in parts]),
    )

    together, apart = trained_on([whole]), trained_on(parts, accumulate=4)

    for one, other in zip(together.parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert not any(map(torch.equal, together.parameters(), trained_on(parts).parameters()))


def test_matrices_decay_and_biases_do_not() -> None:
    class Nothing(TrainingLoss):
        """There is nothing to learn."""

        def forward(self, *arguments: Any) -> torch.Tensor:
            return super().forward(*arguments) * 0

    net = fresh()
    nn.init.ones_(net.get_parameter("logits.bias"))
    before = copy.deepcopy(net)
    settings = TrainSettings(learning_rate=0.1, warmup_steps=1, ema_decay=0.0, weight_decay=0.5)

    train(Nothing(net), net, cycle(stripes()), settings, fraction_done=steps(1))

    for old, new in zip(before.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(new, old * (0.95 if old.ndim > 1 else 1.0))


def test_products_in_bfloat16_learn_the_same_about_as_well() -> None:
    nets = {}
    for precision in ("float32", "bfloat16"):
        net = nets[precision] = fresh()
        train(
            TrainingLoss(net),
            net,
            cycle(stripes()),
            TrainSettings(learning_rate=0.02, precision=precision),
            fraction_done=steps(100),
        )
    exact, coarse = (bits_per_dim(net, stripes()) for net in nets.values())
    assert all(weights.dtype == torch.float32 for weights in nets["bfloat16"].parameters())
    assert not any(map(torch.equal, *(net.parameters() for net in nets.values())))
    assert coarse == pytest.approx(exact, abs=0.1)


def test_where_a_mixture_stands_is_told_exactly_whatever_products_are_of() -> None:
    # Given a net that says of each sample: at a third, two levels of 65,536 wide
    config = WaveNetConfig(encoding="linear", levels=65536, components=1, depth=1, stacks=1)
    net = WaveNet(config)
    with torch.no_grad():
        net.output.weight.zero_()
        net.output.bias.copy_(torch.tensor([0.0, 1 / 3, math.log(4 / 65535)]))
    x = torch.randint(43685, 43695, (2, 50))

    # When products are of bfloat16 numbers, none of which is near a third
    with torch.autocast("cpu", torch.bfloat16):
        coarse = TrainingLoss(net)(x, {})

    # Then the loss is that of float32
    assert coarse.dtype == torch.float32
    torch.testing.assert_close(coarse, TrainingLoss(net)(x, {}))


def test_batches_that_end_too_soon_are_an_error() -> None:
    net = fresh()
    with pytest.raises(ModelError, match="the batches end after 2 steps, before the budget"):
        train(TrainingLoss(net), net, iter(stripes()), TrainSettings(), fraction_done=steps(3))


def forgetful(net: GatedPixelCNN) -> Callable[[int, Any], None]:
    """From step 20 on, whoever looks wipes all that was learnt."""

    def look(step: int, average: Any) -> None:
        if step >= 20:
            for weights in (*net.parameters(), *average.parameters()):
                weights.data.zero_()

    return look


def test_the_best_weights_are_kept_and_patience_ends() -> None:
    # Given a network that forgets everything after its second validation
    net, seen, states = fresh(), list[TrainProgress](), list[TrainState]()
    settings = TrainSettings(learning_rate=0.02, validations=10, patience=3)
    taken = train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        settings,
        fraction_done=steps(100),
        validation=stripes(),
        report=seen.append,
        look=forgetful(net),
        save=lambda state: states.append(copy.deepcopy(state)),
    )

    # Then it stops three validations later, with the weights of the second
    scores = [each.validation_bits_per_dim for each in seen]
    assert taken == 50
    assert min(scores) == scores[1] == bits_per_dim(net, stripes())  # type: ignore[type-var]
    assert states[-1]["best"]["step"] == 20

    # And whoever goes on from there does nothing more
    again = fresh()
    assert (
        train(
            TrainingLoss(again),
            again,
            never(),
            settings,
            fraction_done=steps(100),
            resume=states[-1],
        )
        == 50
    )
    assert all(map(torch.equal, again.parameters(), net.parameters()))


def test_what_is_told_after_an_interruption_is_what_would_have_been_told() -> None:
    def told(resume: TrainState | None, states: list[TrainState]) -> dict[int, Any]:
        seen, net = list[TrainProgress](), fresh()
        train(
            TrainingLoss(net),
            net,
            islice(cycle(stripes()), resume["step"] if resume else 0, None),
            TrainSettings(report_every=7),
            fraction_done=steps(40),
            validation=stripes(),
            report=seen.append,
            save=lambda state: states.append(copy.deepcopy(state)),
            save_due=lambda: True,
            resume=resume,
        )
        return {p.step: (p.bits_per_dim, p.validation_bits_per_dim, p.gradient_norm) for p in seen}

    states: list[TrainState] = []
    whole = told(None, states)
    assert [state["step"] for state in states] == list(range(41))

    # When training goes on between two reports
    later = told(states[17], [])

    assert later == {step: each for step, each in whole.items() if step > 17}


def test_ranks_score_together() -> None:
    net, seen = fresh(), list[TrainProgress]()
    shares = stripes()
    # Given another rank, whose share of the held-out batches is the second one
    other = -net.log_prob(shares[1].x, shares[1].conditions).sum() / math.log(2)

    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(learning_rate=1e-12, validations=1),
        fraction_done=steps(1),
        validation=shares[:1],
        summed=lambda mine: mine + torch.tensor([other * math.log(2), 32.0]).double(),
        report=seen.append,
    )

    assert seen[-1].validation_bits_per_dim == pytest.approx(bits_per_dim(net, shares), rel=1e-5)


def test_it_tells_where_the_time_goes() -> None:
    def slow() -> Iterator[Batch]:
        for batch in cycle(stripes()):
            time.sleep(0.02)
            yield batch

    net, seen = fresh(), list[TrainProgress]()
    train(
        TrainingLoss(net),
        net,
        slow(),
        TrainSettings(validations=1),
        fraction_done=steps(20),
        report=seen.append,
        save=lambda state: time.sleep(0.05),
        save_due=lambda: len(seen) == 1,
    )

    last = seen[-1]
    assert last.seconds_waited >= 20 * 0.02
    assert last.seconds_saved >= 0.05
    assert last.seconds >= last.seconds_waited + last.seconds_saved
    assert 0 < last.steps_per_second <= 50


def test_what_has_no_gradient_stays_as_it_is() -> None:
    net = fresh()
    frozen = next(net.parameters()).requires_grad_(False)
    before = frozen.clone()
    train(TrainingLoss(net), net, cycle(stripes()), TrainSettings(), fraction_done=steps(5))
    assert torch.equal(frozen, before)
