"""Every case of the density benchmark is a network that can learn, asked for nothing."""

from __future__ import annotations

import pytest

from ancestral.orchestration.training.recipe import find_recipe
from benchmarks.parts.cases import CASES, Case
from benchmarks.parts.learning import fresh


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_every_case_is_a_network_that_is_asked_for_nothing(case: Case) -> None:
    # When its network is made, which takes no table
    net = fresh(case.read())

    # Then whatever a request could say of an event has a default, or is how long it is
    fields = net.signature["fields"].values()
    assert all("default" in field or "decides" in field for field in fields)


def test_another_family_does_not_learn_by_the_optimizer_of_the_recipes_own() -> None:
    # Given cases that give a learning rate in place of that of a recipe with an optimizer
    chosen = [case for case in CASES if case.training and "learning_rate" in case.training]

    # Then they say as well what it was chosen for
    assert chosen
    for case in chosen:
        recipe, own = case.read().training, find_recipe(case.recipe).training
        assert recipe is not None and own is not None
        assert own.optimizer is None or "optimizer" in (case.training or {})
