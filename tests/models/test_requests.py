"""What requests ask for is made once for equal fields, and changes no request for others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ancestral.models.errors import ConditionError
from ancestral.models.naive import sample_naive
from ancestral.models.sampling import requests
from ancestral.models.sampling.requests import Requests
from ancestral.models.sampling.samples import SampleRequest
from ancestral.models.sampling.warm import WarmCache
from tests.models.nets import DIGITS, Case, all_cases, image_case, series_case, sound_case


class Counted(Requests):
    """The requests of a case's network; `made` has the fields whose conditions were made."""

    def __init__(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        net = case.net
        super().__init__(net, net.program(), torch.device("cpu"), WarmCache())
        self.made: list[dict[str, Any]] = []
        conditions = net.conditions

        def counted(fields: dict[str, Any]) -> Any:
            self.made.append(fields)
            return conditions(fields)

        monkeypatch.setattr(net, "conditions", counted)

    def digest(self, **fields: Any) -> bytes:
        """Of what these fields ask for, by way of the digest of their prefix."""
        asked = self.ask(SampleRequest("a", fields, seed=1, prefix=torch.zeros(29).long()))
        assert asked.digest is not None
        return asked.digest


@pytest.fixture
def by_label(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(image_case(labels=DIGITS), monkeypatch)


def test_equal_fields_are_made_into_conditions_once(by_label: Counted) -> None:
    # When
    first = [by_label.digest(label=label) for label in DIGITS]
    again = [by_label.digest(label=label) for label in DIGITS]

    # Then
    assert first == again
    assert len(set(first)) == len(DIGITS)
    assert by_label.made == [{"label": label} for label in DIGITS]


def test_the_order_of_fields_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = Counted(sound_case(speaker=True, digit=True), monkeypatch)

    for fields in ({"speaker": "ada", "digit": 1}, {"digit": 1, "speaker": "ada"}):
        sounds.ask(SampleRequest("a", fields, seed=1))

    assert len(sounds.made) == 1


@pytest.mark.parametrize("other", [True, 1.0, "1"])
def test_fields_that_python_calls_equal_or_look_alike_are_told_apart(
    by_label: Counted, other: object
) -> None:
    """Whatever the network says to a field, it says after its like was asked for."""

    def said(label: object) -> bytes | str:
        try:
            return by_label.digest(label=label)
        except ConditionError as error:
            return str(error)

    before = said(other)
    by_label.digest(label=1)
    assert said(other) == before
    assert {"label": 1} in [fields for fields in by_label.made if type(fields["label"]) is int]


def test_what_is_refused_is_refused_again(by_label: Counted) -> None:
    for _ in range(2):
        with pytest.raises(ConditionError):
            by_label.digest(label=77)


def test_fields_that_hold_more_than_plain_values_are_made_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_latent = Counted(image_case(latent=3), monkeypatch)

    for _ in range(2):
        by_latent.ask(SampleRequest("a", {"latent": [0.5, -1.0, 2.0]}, seed=1))

    assert len(by_latent.made) == 2


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given room for two
    monkeypatch.setattr(requests, "KEPT_CONDITIONS_BYTES", 2200)
    by_label = Counted(image_case(labels=DIGITS), monkeypatch)

    # When a third is asked for, and the first again
    for label in (*DIGITS[:3], DIGITS[0]):
        by_label.digest(label=label)

    # Then that was made anew
    assert [fields["label"] for fields in by_label.made] == [*DIGITS[:3], DIGITS[0]]


#: A family whose fields fix the first symbols, fields that do, and prefixes that begin so and not.
CODE, SERIES = {"code": [1, 0, 1, 1, 0]}, {"length": 20, "initial": [1, 2, 3]}


@pytest.mark.parametrize(
    ("family", "fields", "prefix"),
    [
        ("darn", CODE, [0]),
        ("darn", CODE, [1, 0, 1, 1]),
        ("darn", CODE, [1, 0, 1, 1, 1, 0]),
        ("linear", SERIES, [1.0, 2.0, 3.5]),
        ("linear", SERIES, [9.0, 2.0, 3.0, 4.0]),
    ],
)
def test_a_prefix_does_not_override_what_the_fields_fix(
    family: str, fields: dict[str, Any], prefix: list[float]
) -> None:
    net, given = all_cases()[family].net, torch.tensor(prefix)
    requests = Requests(net, net.program(), torch.device("cpu"), WarmCache())
    with pytest.raises(ConditionError, match="does not begin with what the fields fix"):
        requests.ask(SampleRequest("a", fields, seed=1, prefix=given))
    with pytest.raises(ConditionError, match="does not begin with what the fields fix"):
        sample_naive(net, fields, seed=1, prefix=given)


@pytest.mark.parametrize(
    ("family", "fields", "prefix"),
    [
        ("darn", CODE, [1, 0, 1, 1, 0]),
        ("darn", CODE, [1, 0, 1, 1, 0, 1, 1]),
        ("linear", SERIES, [1.0, 2.0, 3.0, 4.5]),
        # In float32 these are other numbers.
        ("linear", {**SERIES, "initial": [0.1, 0.2, 0.3]}, [0.1, 0.2, 0.3, 4.5]),
    ],
)
def test_a_prefix_goes_on_from_what_the_fields_fix(
    family: str, fields: dict[str, Any], prefix: list[float]
) -> None:
    net, given = all_cases()[family].net, torch.tensor(prefix)
    requests = Requests(net, net.program(), torch.device("cpu"), WarmCache())
    asked = requests.ask(SampleRequest("a", fields, seed=1, prefix=given))
    assert asked.start.prefix is given


@pytest.mark.parametrize(
    ("case", "prefix", "message"),
    [
        (image_case, [1, 2], "flat tensor of whole numbers, not list"),
        (image_case, torch.zeros(2, 3).long(), r"not \(2, 3\) of torch.int64"),
        (image_case, torch.tensor(3), r"not \(\) of torch.int64"),
        (image_case, torch.tensor([0.5, 1.0]), r"not \(2,\) of torch.float32"),
        (series_case, torch.zeros(1, 3), r"flat tensor of numbers, not \(1, 3\) of torch.float32"),
    ],
)
def test_a_prefix_of_another_form_is_refused(
    case: Callable[[], Case], prefix: Any, message: str
) -> None:
    net, fields = case().net, case().requests[0]
    requests = Requests(net, net.program(), torch.device("cpu"), WarmCache())
    with pytest.raises(ConditionError, match=message):
        requests.ask(SampleRequest("a", fields, seed=1, prefix=prefix))
