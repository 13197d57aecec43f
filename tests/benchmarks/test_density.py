"""Rows of the density benchmark say of what kind they are, and how sure their mean is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from parts import compared, mnist
from parts.cases import Case
from parts.learning import Events, Learned, fresh, held_out_nats

from ancestral.models import Item
from ancestral.models.data import collate


def test_every_event_has_nats_of_its_own() -> None:
    # Given more events than are scored at a time
    net = fresh(Case("made", "digits-made").read()).eval()
    images = torch.randint(2, (100, 20, 20))
    items = [Item(image, torch.ones(20, 20), {}) for image in images]

    # When
    nats = held_out_nats(net, items)

    # Then they are what the network says of all at once
    batch = collate(items)
    with torch.no_grad():
        expected = -net.score(batch.x, batch.conditions)
    assert len(nats) == 100
    assert nats == pytest.approx(expected.tolist(), rel=1e-5)


def test_nats_of_mnist_come_with_their_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a training that ends with these scores, and no table
    nats = [80.0, 90.0, 100.0, 94.0]

    def read(*asked: object) -> Events:
        return Events({"likelihood_kind": "exact"}, [], [])

    def learn(*asked: object, **named: object) -> Learned:
        return Learned(0.17, nats, 10, 1, 1.0)

    monkeypatch.setattr(mnist, "read_events", read)
    monkeypatch.setattr(mnist, "learn", learn)

    # When
    result = mnist.learn_mnist("made", None, None)

    # Then
    assert result.validation_nats == 91.0
    assert result.standard_error == pytest.approx(statistics.stdev(nats) / math.sqrt(4))


@pytest.mark.parametrize("medium", ["image", "video", "audio"])
def test_baselines_say_of_what_kind_they_are(medium: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given events, and a VAE that learns nothing
    shapes = {"image": (8, 8), "video": (2, 8, 8), "audio": (512,)}
    levels = 256 if medium == "audio" else 2
    generator = np.random.default_rng(0)
    symbols = [generator.integers(0, levels, shapes[medium]) for _ in range(4)]

    def vae_bits(train: Sequence[object], *others: object) -> float:
        return 1.0

    def events(self: Events, *, held_out: bool) -> list[np.ndarray]:  # type: ignore[type-arg]
        return symbols

    monkeypatch.setattr(compared, "vae_bits", vae_bits)
    monkeypatch.setattr(Events, "symbols", events)
    signature = {
        "medium": medium,
        "levels": levels,
        "shape": list(shapes[medium]),
        "hidden": 0,
        "sample_rate_hz": 8000,
        "encoding": "mu-law",
    }

    # When
    rows = list(compared.baselines(Events(signature, [], []), 1.0))

    # Then what is no likelihood is no exact one
    kinds = {row.what: row.kind for row in rows}
    files = {row.what for row in rows if row.bytes is not None}
    assert files and all(kinds[what] == "code length" for what in files)
    vaes = {what for what in kinds if what.startswith("VAE")}
    assert vaes and all(kinds[what] == "bound" for what in vaes)
    others = set(kinds) - files - vaes
    assert others and all(kinds[what] == "exact" for what in others)
