"""The demo on a tiny model that ships, and where a trained model goes."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.redis_queue import RedisQueue
from ancestral.jobs.registry import Registry
from ancestral.jobs.settings import SHIPPED_MODELS, Settings
from ancestral.jobs.signature import check_fields
from ancestral.models import Autoregressive, WaveNet, WaveNetConfig, save_bundle
from ancestral.orchestration import demo
from ancestral.orchestration.commands.train import keep
from ancestral.orchestration.demo import (
    ACTS,
    LIVE,
    LIVE_NAME,
    Act,
    Stage,
    requests_of,
    run_demo,
    shipped_models,
)
from ancestral.orchestration.interrupt import Interrupt
from ancestral.orchestration.serve import Service
from ancestral.orchestration.training.rank import Trained
from ancestral.orchestration.training.recipe import find_recipe
from tests.models.nets import DIGITS, image_case
from tests.orchestration.report.pages import read_page
from tests.orchestration.tiny import small_ray, tiny_settings


def piano() -> Autoregressive:
    """Sounds at so low a rate that eight seconds take no time."""
    config = WaveNetConfig(sample_rate_hz=100, max_length=1000, residual=4, skip=4, depth=2)
    return WaveNet(config).eval()


def ship(settings: Settings, folder: Path, **nets: Autoregressive) -> Settings:
    """The same settings, with these models as those that ship."""
    for name, net in nets.items():
        save_bundle(folder / name, net, card="# tiny\n", metrics={})
    return replace(settings, shipped_folder=folder)


@pytest.mark.ray
@pytest.mark.redis
def test_the_demo_trains_one_model_and_plays_those_that_ship(
    tmp_path: Path, redis_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given one of the models of the acts, and another one that ships; few processes, few samples
    monkeypatch.setattr(demo, "RANKS", 1)
    monkeypatch.setattr(demo, "LIVE", replace(LIVE, samples=3))
    settings = ship(tiny_settings(tmp_path), tmp_path / "ships", piano=piano(), other=piano())
    queue = RedisQueue(redis_url, namespace=namespace)
    service = Service(Client(settings, queue), queue, samplers=1, slots=16, device="cpu")
    said: list[str] = []

    # When
    with small_ray(), Interrupt() as interrupt:
        stage = Stage(service, tmp_path / "demo", io.StringIO(), said.append, interrupt)
        outcomes = run_demo(stage, budget_seconds=1.0)

    # Then there is a report of each, all rows are there, and what was trained can be asked again
    assert list(outcomes) == [LIVE_NAME, "piano"]
    live, loops = outcomes.values()
    assert (live.status.rows_ok, loops.status.rows_ok) == (30, 16)
    assert [line.strip() for line in said if " of 2: " in line] == [
        f"1 of 2: {LIVE.title}",
        "2 of 2: loops of piano",
    ]
    assert live.judgement is not None and live.judgement.sentence() in said
    assert live.judgement.details() in read_page(live.report).text
    assert len(read_page(loops.report).all("audio")) == 16
    assert live.held_out_bits_per_dim is not None and loops.held_out_bits_per_dim is None
    entry = service.client.registry.resolve(LIVE_NAME)
    assert entry.metrics["held_out_bits_per_dim"] == live.held_out_bits_per_dim


def test_the_model_that_ships_is_played_whatever_else_has_its_name(tmp_path: Path) -> None:
    # Given another model that was published under the name
    settings = ship(tiny_settings(tmp_path), tmp_path / "ships", piano=piano())
    registry = Client(settings).registry
    save_bundle(tmp_path / "mine", image_case().net, card="# mine\n", metrics={})
    registry.publish(tmp_path / "mine", "piano")

    models = shipped_models(registry)

    assert [model.family for model in models.values()] == ["wavenet"]
    assert registry.resolve("piano").family == "gated_pixelcnn"


@pytest.mark.parametrize("act", [LIVE, *ACTS], ids=lambda act: act.title)
def test_every_act_knows_the_recipe_of_its_model(act: Act) -> None:
    assert find_recipe(act.model).name == act.model


@pytest.mark.parametrize(
    "act", [act for act in ACTS if (SHIPPED_MODELS / act.model).exists()], ids=lambda act: act.title
)
def test_models_that_ship_take_what_their_acts_ask_for(act: Act, tmp_path: Path) -> None:
    registry = Registry(str(tmp_path / "state"), tmp_path / "cache", SHIPPED_MODELS)
    signature = shipped_models(registry)[act.model].signature

    grid = requests_of(act, signature)

    assert set(act.asked) <= set(signature["fields"])
    for values in product(*grid.values()):
        check_fields(signature, dict(zip(grid, values, strict=True)))


@pytest.mark.parametrize("output", [None, "a/folder"])
def test_a_trained_model_goes_where_it_was_asked_for(output: str | None, tmp_path: Path) -> None:
    # Given
    folder = tmp_path / output if output is not None else None
    settings = tiny_settings(tmp_path)
    metrics = {"held_out_bits_per_dim": 1.5}
    digest = save_bundle(
        tmp_path / "b", image_case(labels=DIGITS).net, card="A card.", metrics=metrics
    )
    files = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}

    # When
    document = keep(Trained(files, metrics, b"a picture"), settings, "mine", folder)

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
