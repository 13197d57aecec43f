"""How the demo shares out its time, and where a trained model goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ancestral.jobs.registry import Registry
from ancestral.models import save_bundle
from ancestral.orchestration.commands.train import keep
from ancestral.orchestration.demo import ACTS, recipes_for
from ancestral.orchestration.rank import Trained
from ancestral.orchestration.recipe import find_recipe
from tests.models.nets import DIGITS, image_case
from tests.orchestration.tiny import tiny_settings


def test_a_budget_is_shared_as_the_recipes_share_theirs() -> None:
    usual = [find_recipe(act.recipe).budget_seconds for act in ACTS]

    assert [each.budget_seconds for each in recipes_for(None).values()] == usual
    scaled = [each.budget_seconds for each in recipes_for(27.0).values()]
    assert sum(scaled) == pytest.approx(27.0)
    assert scaled[0] / scaled[1] == pytest.approx(usual[0] / usual[1])


def test_the_demo_leaves_time_to_draw_within_eight_minutes() -> None:
    assert sum(each.budget_seconds for each in recipes_for(None).values()) <= 300


@pytest.mark.parametrize("output", [None, "a/folder"])
def test_a_trained_model_goes_where_it_was_asked_for(
    output: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.chdir(tmp_path)
    settings = tiny_settings(tmp_path)
    metrics = {"held_out_bits_per_dim": 1.5}
    digest = save_bundle(
        tmp_path / "b", image_case(labels=DIGITS).net, card="A card.", metrics=metrics
    )
    files = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}

    # When
    document = keep(Trained(files, metrics, b"a picture"), settings, "mine", output)

    # Then
    registry = Registry(settings.state_uri, settings.cache_folder)
    found = registry.resolve("mine" if output is None else document["uri"])
    assert (found.uri, found.digest) == (document["uri"], document["digest"])
    assert found.digest == digest
    assert document["held_out_bits_per_dim"] == 1.5
    assert Path(document["samples"]).read_bytes() == b"a picture"
    if output is not None:
        assert document["uri"] == str(tmp_path / "a" / "folder")
        assert [entry.name for entry in registry.list()] == ["tiny"]
