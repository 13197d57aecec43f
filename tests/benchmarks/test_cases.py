"""Every case of the density benchmark is a network that can learn, asked for nothing; models that
ship can be asked for what benchmarks ask of them."""

from __future__ import annotations

import importlib
import itertools

import pytest

from ancestral.jobs.settings import SHIPPED_MODELS
from ancestral.jobs.signature import check_fields
from ancestral.models import load_bundle
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
    # Given cases of another family than that of a recipe with an optimizer
    others = [case for case in CASES if case.family is not None]

    # Then they say by what they learn, and how fast
    assert others
    for case in others:
        own = find_recipe(case.recipe).training
        assert own is not None
        assert own.optimizer is None or {"optimizer", "learning_rate"} <= set(case.training or {})


def test_models_that_ship_can_be_asked_for_what_benchmarks_ask() -> None:
    # Given what is asked of them, in all combinations
    drift, fleet = importlib.import_module("drift"), importlib.import_module("fleet")
    asked = [(case.model, fields) for case in drift.CASES.values() for fields in case.asked]
    for model, grid in fleet.GRIDS.items():
        asked += [
            (model, dict(zip(grid, values, strict=True)))
            for values in itertools.product(*grid.values())
        ]

    # Then they take it
    for model, fields in asked:
        signature = load_bundle(SHIPPED_MODELS / model).net.signature
        assert fields.items() <= check_fields(signature, fields).items()
