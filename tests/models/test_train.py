"""Training learns, keeps its budget, can be continued, and ends in averaged weights."""

import copy
import math
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
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

    # Then so are those of the network that is left
    assert not net.training
    assert seen[-1].validation_bits_per_dim == pytest.approx(bits_per_dim(net, batches))


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
    torch.save(states[-2], tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    assert state["step"] == 3
    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(optimizer),
        fraction_done=steps(4),
        resume=state,
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_can_be_gone_on_from_twice(optimizer: str) -> None:
    state = states_of(4, optimizer)[1]

    def ended() -> GatedPixelCNN:
        net = GatedPixelCNN(STRIPES)
        settings = TrainSettings(optimizer)
        batches = islice(cycle(stripes()), state["step"], None)
        train(TrainingLoss(net), net, batches, settings, fraction_done=steps(4), resume=state)
        return net

    first, second = ended(), ended()

    assert all(map(torch.equal, first.parameters(), second.parameters()))


@pytest.mark.parametrize(
    ("config", "optimizer"),
    [(STRIPES, "muon"), (replace(STRIPES, layers=3), "adamw"), (replace(STRIPES, head=9), "adamw")],
    ids=["another optimizer", "more layers", "a wider head"],
)
def test_a_state_of_something_else_is_refused(config: GatedPixelCNNConfig, optimizer: str) -> None:
    state, net = states_of(4, "adamw")[1], GatedPixelCNN(config)
    with pytest.raises(ModelError, match="from this state, which is of another network or opt"):
        train(
            TrainingLoss(net),
            net,
            never(),
            TrainSettings(optimizer),
            fraction_done=steps(4),
            resume=state,
        )


def states_of(count: int, optimizer: str) -> list[TrainState]:
    """After each of so many steps."""
    net, states = fresh(), list[TrainState]()
    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(optimizer, validations=count),
        fraction_done=steps(count),
        save=lambda state: states.append(copy.deepcopy(state)),
    )
    return states


def test_a_state_is_let_go_once_training_goes_on() -> None:
    # Given a state that nobody else holds
    states, net, alive = [states_of(4, "adamw")[1]], fresh(), list[bool]()
    kept = weakref.ref(states[0]["network"]["logits.weight"])

    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(validations=4),
        fraction_done=steps(4),
        look=lambda step, average: alive.append(kept() is not None),
        resume=states.pop(),
    )

    assert alive == [False, False]


def test_a_validation_that_was_due_when_it_was_interrupted_is_made() -> None:
    # Given a state from just before half of the budget, which the clock is past by now
    state, net, seen = states_of(10, "adamw")[3], fresh(), list[TrainProgress]()
    assert state["fraction"] == 0.4

    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(validations=2),
        fraction_done=lambda step: 0.6 if step < 9 else 1.0,
        validation=stripes(),
        report=seen.append,
        resume=state,
    )

    # Then it is made after the next step
    assert [p.step for p in seen if p.validation_bits_per_dim is not None] == [5, 9]


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
    with pytest.raises(ModelError, match="loss or the gradient of step 1 is not finite"):
        train(TrainingLoss(net), net, cycle(stripes()), TrainSettings(), fraction_done=steps(5))


class Steep(TrainingLoss):
    """Has a gradient that is not finite from its third call on, though the loss is."""

    calls = 0

    def forward(self, *arguments: Any) -> torch.Tensor:
        self.calls += 1
        nats: torch.Tensor = super().forward(*arguments)
        # The root of 0 is 0, and infinitely steep.
        return nats + (nats * 0).abs().sqrt() if self.calls == 3 else nats


def test_a_gradient_that_explodes_moves_nothing() -> None:
    net, states = fresh(), list[TrainState]()
    with pytest.raises(ModelError, match="loss or the gradient of step 3 is not finite"):
        train(
            Steep(net),
            net,
            cycle(stripes()),
            TrainSettings(),
            fraction_done=steps(5),
            save=lambda state: states.append(copy.deepcopy(state)),
            save_due=lambda: True,
        )
    assert [state["step"] for state in states] == [0, 1, 2]
    for name, weights in net.state_dict().items():
        assert torch.equal(weights, states[-1]["network"][name])
        assert weights.isfinite().all()


def test_gradients_that_something_else_left_are_no_part_of_a_step() -> None:
    # Given two networks with weights that do not learn, one of them with a gradient all the same
    clean, stale = fresh(), fresh()
    for net in (clean, stale):
        net.get_parameter("logits.weight").requires_grad_(False)
    left = stale.get_parameter("logits.weight")
    left.grad = torch.full_like(left, 100.0)

    for net in (clean, stale):
        train(
            TrainingLoss(net), net, cycle(stripes()), TrainSettings("muon"), fraction_done=steps(3)
        )

    # Then they learn the same
    assert all(map(torch.equal, clean.parameters(), stale.parameters()))


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


def joined(parts: Sequence[Batch]) -> Batch:
    """One batch of all of them."""
    return Batch(
        torch.cat([part.x for part in parts]),
        {"label": torch.cat([part.conditions["label"] for part in parts])},
        torch.cat([part.weights for part in parts]),
    )


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

    together, apart = trained_on([joined(parts)]), trained_on(parts, accumulate=4)

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
    # Given another rank, which has as many symbols to learn from, and whose share of the held-out
    # batches is the second one
    other = -net.log_prob(shares[1].x, shares[1].conditions).sum().detach()
    theirs = iter([[32.0, 1.0], [float(other), 32.0]])

    train(
        TrainingLoss(net),
        net,
        cycle(stripes()),
        TrainSettings(learning_rate=1e-12, validations=1),
        fraction_done=steps(1),
        validation=shares[:1],
        summed=lambda mine: mine + torch.tensor(next(theirs)).double(),
        report=seen.append,
    )

    assert seen[-1].validation_bits_per_dim == pytest.approx(bits_per_dim(net, shares), rel=1e-5)


def test_symbols_weigh_alike_whichever_rank_has_them() -> None:
    # Given two ranks, of which one has three pictures, and the other one a quarter of a picture
    parts = many(4)
    parts[3].weights[0, 1:] = 0
    shares = [joined(parts[:3]), parts[3]]
    told = list[TrainProgress]()

    def gradient(batch: Batch, others: list[float]) -> list[torch.Tensor]:
        net = fresh().double()
        train(
            TrainingLoss(net),
            net,
            iter([batch]),
            TrainSettings(gradient_clip=1e9, report_every=1),
            fraction_done=steps(1),
            summed=lambda mine: mine + torch.tensor(others, dtype=torch.float64),
            report=told.append,
        )
        return [each.grad for each in net.parameters() if each.grad is not None]

    # When they take the mean of their gradients
    mine, theirs = gradient(shares[0], [4.0, 1.0]), gradient(shares[1], [48.0, 1.0])
    mean = [(one + other) / 2 for one, other in zip(mine, theirs, strict=True)]

    # Then it is that of one rank that has them all, though each tells of its own batch
    for one, other in zip(mean, gradient(joined(parts), [0.0, 0.0]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    apart = [bits_per_dim(fresh().double(), [share]) for share in shares]
    assert [each.bits_per_dim for each in told[:2]] == pytest.approx(apart)


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
