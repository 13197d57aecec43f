"""A model's whole trip, as a user makes it: a table, a recipe, a model, a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from ancestral.models import load_bundle
from tests.orchestration.shell import Shell
from tests.orchestration.tiny import tiny_spec
from tests.orchestration.training.event_curves import read_curve
from tests.orchestration.training.stripes import recipe

pytestmark = [pytest.mark.ray, pytest.mark.redis]


def test_a_model_from_its_recipe_to_a_job(shell: Shell, tmp_path: Path) -> None:
    # Given a table of one's own and a recipe for it
    document = recipe(tmp_path, steps=20).document()
    file = shell.write("recipe.yaml", document)

    # When
    trained = shell.run_json("train", file, "--workers", "1", "--name", "my-stripes")

    # Then it is in the registry, with its figures and a picture
    assert trained["name"] == "my-stripes"
    assert (trained["steps"], trained["workers"]) == (20, 1)
    assert 0 < trained["held_out_bits_per_dim"] < 2.1
    assert Path(trained["samples"]).read_bytes().startswith(b"\x89PNG")
    assert load_bundle(trained["uri"]).digest == trained["digest"]

    # And TensorBoard can show how it learnt
    [run] = (shell.settings.home / "runs").iterdir()
    assert set(read_curve(run, "bits_per_dim/train")) == {5, 10, 15, 20}
    assert "my-stripes" in shell.run("models", "ls")

    # And a job can ask for what the table had
    spec = tiny_spec(tmp_path / "lake", model="my-stripes@latest", grid={"label": [0, 1, 2]})
    job = shell.run_json("run", shell.write("job.yaml", spec))
    assert (job["state"], job["rows_ok"]) == ("done", 9)
