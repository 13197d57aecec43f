"""A network that learns something first does so once, from all training events."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from ancestral.jobs.recipe import Recipe
from ancestral.models import build, load_bundle
from ancestral.orchestration.errors import Stopped
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.training.checkpoints import Checkpoints
from ancestral.orchestration.training.learners import learner
from ancestral.orchestration.training.news import Began, News, Said
from ancestral.orchestration.training.run import plan_training
from ancestral.orchestration.training.train import train, write_bundle
from tests.orchestration.tiny import AskedWhen, small_ray
from tests.orchestration.training.counting_family import install
from tests.orchestration.training.stripes import recipe, registry_in


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe for a network that counts first."""
    install(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    # The processes of Ray find it there.
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("COUNTING_LOG", str(tmp_path / "log"))
    # Long enough that it can be stopped on the way.
    steps = recipe(tmp_path, steps=400, checkpoint_seconds=0.1)
    return steps.model_copy(update={"family": "counting"})


def test_only_those_that_say_so_learn_first(counting: Recipe) -> None:
    config = {**counting.model, "labels": [0, 1, 2]}

    assert learner(build("counting", config)) is not None
    assert learner(build("counting", {**config, "counts": False})) is None
    assert learner(build("gated_pixelcnn", config)) is None


@pytest.mark.ray
def test_a_run_that_was_stopped_goes_on_and_all_ranks_have_what_it_learnt_once(
    counting: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that was stopped after the network had learnt and all ranks had taken steps
    monkeypatch.setattr("ancestral.orchestration.training.train.LOOK_SECONDS", 0.01)
    news, went_on = list[News](), list[News]()
    run = plan_training(counting, registry_in(tmp_path))
    checkpoints = Checkpoints(run.state_uri, run.name)
    stepped = AskedWhen(lambda: any(step > 0 for step in checkpoints.steps()))
    with small_ray():
        with pytest.raises(Stopped, match="the same command goes on from the last checkpoint"):
            train(
                run,
                workers=2,
                picture=False,
                stream=io.StringIO(),
                interrupt=stepped,
                listen=news.append,
            )

        # When it goes on, alone
        kept = checkpoints.steps()[-1]
        again = plan_training(counting, registry_in(tmp_path))
        trained = train(
            again,
            workers=1,
            picture=False,
            stream=io.StringIO(),
            interrupt=Interrupt(),
            listen=went_on.append,
        )

    # Then it does so from where it was
    assert (run.step, again.name, again.step) == (0, run.name, kept)
    assert 0 < kept < 400
    assert went_on[0] == Began(kept)
    assert (trained.metrics["steps"], trained.picture) == (400, None)

    # And no rank failed for want of what had been learnt, and had all begin again
    assert [each for each in news if isinstance(each, Began)] == [Began(0)]

    # And it has learnt once, of the 48 images to learn from, said so, and it is in the bundle
    assert (tmp_path / "log").read_text() == "counted\n"
    assert Said("counted with seed 3") in news
    write_bundle(trained, tmp_path / "bundle")
    net = load_bundle(tmp_path / "bundle").net
    assert net.get_buffer("counts").sum() == net.get_parameter("total") == 48 * 16
