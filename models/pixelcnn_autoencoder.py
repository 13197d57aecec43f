"""The PixelCNN autoencoder: van den Oord et al. 2016, "Conditional Image Generation with PixelCNN
Decoders", section 2.4.

    image ──encoder──▶ latent h ──▶ gated PixelCNN ──▶ p(image | h)

The encoder is a plain convolutional network; the decoder is a gated PixelCNN that is asked with the
latent vector. Trained together, end to end, the decoder takes care of the texture, which is local,
and the latent vector is left to say what the image shows: other samples for the same latent vector
are images like the one that was encoded.

    encoder     H x W ──▶ H/2 x W/2 ──▶ H/4 x W/4 ──▶ ... ──▶ dense ──▶ normalise ──▶ latent
                each arrow between sizes a 3 x 3 convolution with stride 2 and a rectifier

The latent vector is brought to mean 0 and variance 1 over its floats, so that the decoder hears it
from the first step on; else it learns to do without.

Shapes: B batch, H rows, W columns, L levels, Z floats of the latent vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional as F

from ancestral.models.autoregressive import Autoregressive, Conditions, Projection
from ancestral.models.errors import ConditionError, ConfigError
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.masked import WIDTH
from ancestral.models.sampling.distributions import Distribution
from ancestral.models.sampling.program import StepProgram


@dataclass(frozen=True)
class PixelCNNAutoencoderConfig(GatedPixelCNNConfig):
    """The decoder's sizes, and the encoder's. `latent` is the length of the latent vector."""

    latent: int = 10
    #: Channels of the encoder's convolutions, from the image to the latent vector.
    encoder: tuple[int, ...] = (32, 64, 64)

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        super().__post_init__()
        # Two floats that are normalised are one bit.
        if self.latent < 3:
            raise ConfigError(f"latent must be at least 3, not {self.latent}")
        if not self.encoder or min(self.encoder) < 1:
            raise ConfigError(f"encoder needs channels of at least 1, not {self.encoder}")

    @property
    def decoder(self) -> GatedPixelCNNConfig:
        """What the decoder alone is made of."""
        shared = {field.name: getattr(self, field.name) for field in fields(GatedPixelCNNConfig)}
        return GatedPixelCNNConfig(**shared)


def digits20() -> PixelCNNAutoencoderConfig:
    """Handwritten digits of 20 by 20 pixels as ten numbers."""
    return PixelCNNAutoencoderConfig(height=20, width=20, levels=16, layers=4)


class _SteadyLinear(nn.Linear):
    """A dense layer of two or more outputs, rows of which do not depend on their place in a batch.

    Its inputs are padded like those of `steady_product`; its outputs are not, so that they keep the
    bits that they had without.
    """

    def forward(self, x: Tensor) -> Tensor:
        wider = (0, -self.in_features % WIDTH)
        return F.linear(F.pad(x, wider), F.pad(self.weight, wider), self.bias)


class PixelCNNAutoencoder(Autoregressive):
    """p(image | latent vector), and the latent vector of an image."""

    family: ClassVar[str] = "pixelcnn_autoencoder"
    config: PixelCNNAutoencoderConfig

    def __init__(self, config: PixelCNNAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.decoder = GatedPixelCNN(config.decoder)
        convolutions: list[nn.Module] = []
        channels, height, width = 1, config.height, config.width
        for wider in config.encoder:
            convolutions += [nn.Conv2d(channels, wider, 3, stride=2, padding=1), nn.ReLU()]
            channels, height, width = wider, -(-height // 2), -(-width // 2)
        self.encoder = nn.Sequential(
            *convolutions,
            nn.Flatten(),
            _SteadyLinear(channels * height * width, config.latent),
            nn.LayerNorm(config.latent, elementwise_affine=False),
        )

    @property
    def signature(self) -> dict[str, Any]:
        kinds = ["generate", "complete", "reconstruct", "score"]
        return {**self.decoder.signature, "kinds": kinds}

    @property
    def distribution(self) -> Distribution:
        return self.decoder.distribution

    def encode(self, x: Tensor) -> Tensor:
        """The latent vectors (B, Z) of images, symbols (B, H, W)."""
        scaled = x.to(self.decoder.table.weight.dtype) * (2 / (self.config.levels - 1)) - 1
        return cast(Tensor, self.encoder(scaled.unsqueeze(1)))

    def conditions(self, fields: Mapping[str, Any]) -> dict[str, Tensor]:
        return self.decoder.conditions(fields)

    def event_shape(self, fields: Mapping[str, Any]) -> tuple[int, ...]:
        return self.decoder.event_shape(fields)

    def project(self, conditions: Conditions) -> Projection:
        return self.decoder.project(conditions)

    def forward(self, x: Tensor, conditions: Conditions) -> Tensor:
        """Symbols (B, H, W) to logits (B, L, H, W); `conditions` has "latent" (B, Z)."""
        return cast(Tensor, self.decoder(x, conditions))

    def program(self) -> StepProgram:
        return self.decoder.program()

    def example(self, x: Tensor, fields: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """A real image is its own condition: its latent vector is computed where it is scored or
        trained on."""
        if "latent" in fields:
            raise ConditionError("a real image has the latent vector that its encoder gives it")
        x, conditions = self.decoder.example(x, {**fields, "latent": [0.0] * self.config.latent})
        del conditions["latent"]
        return x, conditions

    def score(self, x: Tensor, conditions: Conditions) -> Tensor:
        """log p(x | the latent vector of x) in nats, (B,) float64."""
        return self.log_prob(x, {**conditions, "latent": self.encode(x)})

    def training_nats(self, x: Tensor, conditions: Conditions) -> Tensor:
        return super().training_nats(x, {**conditions, "latent": self.encode(x)})
