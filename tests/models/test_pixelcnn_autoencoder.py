"""The laws, given a latent vector; and that an image's own latent vector tells of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ancestral.models.autoregressive import TrainingLoss
from ancestral.models.data import Batch
from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.pixelcnn_autoencoder import PixelCNNAutoencoder, PixelCNNAutoencoderConfig
from ancestral.models.train import train
from ancestral.models.train_settings import TrainSettings
from tests.models import laws
from tests.models.nets import random_fields


@st.composite
def nets(draw: st.DrawFn) -> PixelCNNAutoencoder:
    """Random weights in any small shape."""
    config = PixelCNNAutoencoderConfig(
        height=draw(st.integers(1, 5)),
        width=draw(st.integers(1, 5)),
        levels=draw(st.integers(2, 9)),
        labels=draw(st.sampled_from([(), (1, 2)])),
        latent=draw(st.integers(3, 5)),
        channels=draw(st.integers(1, 6)),
        layers=draw(st.integers(1, 3)),
        dropout=draw(st.sampled_from([0.0, 0.5])),
        encoder=draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)),
    )
    torch.manual_seed(draw(st.integers(0, 999)))
    return PixelCNNAutoencoder(config).eval()


@settings(max_examples=15)
@given(net=nets(), position=st.integers(0, 24), seed=st.integers(0, 999))
def test_law_of_causality(net: PixelCNNAutoencoder, position: int, seed: int) -> None:
    laws.check_causality(net, random_fields(net.signature, seed), position, seed)


@settings(max_examples=15)
@given(net=nets(), seed=st.integers(0, 999))
def test_laws_of_sameness_definition_and_log_prob(net: PixelCNNAutoencoder, seed: int) -> None:
    fields = random_fields(net.signature, seed)
    laws.check_sameness(net, [fields, random_fields(net.signature, seed + 1)], seed)
    laws.check_definition(net, fields, seed)
    laws.check_log_prob(net, fields, seed)


def test_law_of_normalisation() -> None:
    torch.manual_seed(0)
    net = PixelCNNAutoencoder(PixelCNNAutoencoderConfig(2, 3, 3, channels=4, layers=2, latent=3))
    laws.check_normalisation(net, {"latent": [1.0, -1.0, 0.5]})


def test_a_real_image_is_scored_under_its_own_latent_vector() -> None:
    torch.manual_seed(0)
    net = PixelCNNAutoencoder(PixelCNNAutoencoderConfig(4, 4, 4, latent=3, encoder=(4,))).eval()
    x = torch.randint(0, 4, (2, 4, 4))
    with torch.inference_mode():
        given = {"latent": net.encode(x)}
        torch.testing.assert_close(net.score(x, {}), net.log_prob(x, given))
    # And whoever shows it a real image says nothing of its latent vector
    assert net.example(x[0], {})[1] == {}
    with pytest.raises(ConditionError, match="that its encoder gives it"):
        net.example(x[0], {"latent": [0, 0, 0]})


def test_features_of_the_decoder_alone_are_left_out_and_in_training_only() -> None:
    torch.manual_seed(0)
    config = PixelCNNAutoencoderConfig(4, 4, 4, layers=2, dropout=0.5, encoder=(4,))
    net = PixelCNNAutoencoder(config).eval()
    x = torch.randint(0, 4, (1, 4, 4))
    assert torch.equal(net.training_nats(x, {}), net.training_nats(x, {}))
    net.train()
    assert not torch.equal(net.training_nats(x, {}), net.training_nats(x, {}))
    assert torch.equal(net.encode(x), net.encode(x))


def test_trained_end_to_end_the_latent_vector_tells_images_apart() -> None:
    # Given four images, each a row of one column
    torch.manual_seed(0)
    net = PixelCNNAutoencoder(
        PixelCNNAutoencoderConfig(4, 4, 2, channels=8, layers=2, latent=4, encoder=(8,))
    )
    x = torch.zeros(4, 4, 4, dtype=torch.int64)
    for column in range(4):
        x[column, :, column] = 1
    batch = Batch(x, {}, torch.ones(x.shape))
    # When it is trained for a moment
    settings = TrainSettings(learning_rate=0.02)
    train(
        TrainingLoss(net), net, iter([batch] * 60), settings, fraction_done=lambda step: step / 60
    )
    # Then an image is likelier under its own latent vector than under another's
    with torch.inference_mode():
        latents = net.encode(x)
        own, other = (net.log_prob(x, {"latent": z}) for z in (latents, latents.roll(1, 0)))
    assert (own > other + 1).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent": 2}, "latent must be at least 3, not 2"),
        ({"encoder": ()}, "encoder needs channels"),
        ({"encoder": (4, 0)}, "encoder needs channels"),
        ({"channels": 0}, "channels must be at least 1"),
    ],
)
def test_sizes_that_make_no_network_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PixelCNNAutoencoderConfig(**{"height": 4, "width": 4, "levels": 4, **change})
