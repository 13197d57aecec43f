"""What each kind of job asks for, made from a model's own signature."""

from __future__ import annotations

from typing import Any

import pytest

from ancestral.jobs.errors import RequestProblem, SpecError
from ancestral.jobs.kinds import (
    KIND_FIELDS,
    KINDS,
    check_together,
    fields_of,
    kinds_of,
    signature_of,
)
from ancestral.jobs.signature import check_fields
from tests.jobs.bundles import AUTOENCODER, CLIPS, DIGITS, SERIES, SPEECH

ALL = [DIGITS, SPEECH, CLIPS, SERIES, AUTOENCODER]


def test_what_a_model_can_do() -> None:
    assert kinds_of(DIGITS) == ("generate", "complete", "score")
    assert kinds_of(AUTOENCODER) == ("generate", "reconstruct", "score")


@pytest.mark.parametrize("signature", ALL)
def test_a_job_that_generates_asks_what_the_model_asks(signature: dict[str, Any]) -> None:
    assert signature_of(signature, "generate") == signature


def test_a_job_that_completes_also_asks_for_the_beginning() -> None:
    assert list(fields_of(SERIES, "complete")) == ["length", "initial", "prefix", "keep"]
    assert (
        check_fields(signature_of(DIGITS, "complete"), {"label": 3, "prefix": b"x"})["keep"] is None
    )


@pytest.mark.parametrize(
    ("signature", "kind", "least", "most"),
    [
        (DIGITS, "integer", 1, 19),
        (CLIPS, "integer", 1, 5),
        (SERIES, "integer", 1, 499),
        (SPEECH, "number", 1 / 8000, 19999 / 8000),
        ({**SERIES, "max_length": None}, "integer", 1, None),
    ],
)
def test_something_is_kept_and_something_is_left_to_draw(
    signature: dict[str, Any], kind: str, least: float, most: float | None
) -> None:
    keep = fields_of(signature, "complete")["keep"]
    assert (keep["type"], keep["minimum"], keep.get("maximum")) == (kind, least, most)


def test_a_job_that_scores_asks_for_the_artifact_and_not_for_its_length() -> None:
    assert list(fields_of(SERIES, "score")) == ["initial", "artifact"]
    assert list(fields_of(DIGITS, "score")) == ["label", "artifact"]


def test_a_model_with_an_encoder_scores_by_the_latent_vector_of_the_artifact_itself() -> None:
    assert list(fields_of(AUTOENCODER, "score")) == ["place", "artifact"]
    decoder = {**AUTOENCODER, "kinds": ["score"]}
    assert list(fields_of(decoder, "score")) == ["latent", "place", "artifact"]


def test_a_job_that_reconstructs_asks_for_images_in_place_of_the_latent() -> None:
    signature = signature_of(AUTOENCODER, "reconstruct")
    assert list(signature["fields"]) == ["place", "image", "second_image", "fraction"]
    checked = check_fields(signature, {"image": b"x"})
    assert (checked["second_image"], checked["fraction"]) == (None, 0.0)


def test_a_way_between_two_images_needs_both() -> None:
    check_together({"image": b"x", "second_image": None, "fraction": 0.0})
    check_together({"image": b"x", "second_image": b"y", "fraction": 0.5})
    check_together({"label": 3})
    with pytest.raises(RequestProblem, match="'fraction' needs a 'second_image'"):
        check_together({"image": b"x", "second_image": None, "fraction": 0.5})


@pytest.mark.parametrize("signature", ALL)
def test_the_names_that_kinds_add_are_known(signature: dict[str, Any]) -> None:
    for kind in kinds_of(signature):
        added = set(fields_of(signature, kind)) - set(signature["fields"])
        assert added <= set(KIND_FIELDS)


@pytest.mark.parametrize("signature", ALL)
def test_what_a_model_cannot_do_is_refused(signature: dict[str, Any]) -> None:
    able = kinds_of(signature)
    for kind in set(KINDS) - set(able):
        with pytest.raises(SpecError) as caught:
            signature_of(signature, kind)
        assert str(caught.value) == (
            f"this model cannot do 'kind: {kind}': it can do {', '.join(able)}"
        )
