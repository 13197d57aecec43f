"""What a DARN is made of, and presets."""

from __future__ import annotations

from dataclasses import dataclass

from ancestral.models.errors import ConfigError
from ancestral.models.image_conditions import check_labels


@dataclass(frozen=True)
class DarnConfig:
    """A net of black and white images. `labels` are the categories it can be asked for."""

    height: int
    width: int
    labels: tuple[int | str, ...] = ()
    #: C: bits of the hidden code.
    code: int = 200
    #: M: units of the deterministic layer between code and image; 0 for none.
    deterministic: int = 500
    #: L: units of the local layer at each pixel; 0 for none.
    local: int = 0
    #: How far these look: in rows above, and in columns to both sides.
    reach: int = 5
    #: Z: how many layers of them there are; a deeper one looks at the one before, at its own pixel.
    local_depth: int = 1
    #: Units of the encoder's hidden layer.
    encoder: int = 500
    #: The share of pixels that the pixels behind them do not see in training, but by the local
    #: layer.
    dropout: float = 0.0
    #: Codes of an image that its score is from.
    score_codes: int = 100

    def __post_init__(self) -> None:
        """Raises ConfigError when a size makes no network."""
        for name in ("height", "width", "code", "encoder", "local_depth", "reach", "score_codes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("deterministic", "local"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, but is {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and below 1, not {self.dropout}")
        check_labels(self.labels)


def binarized_mnist() -> DarnConfig:
    """Handwritten digits of 28 by 28 bits, the yardstick of the literature."""
    return DarnConfig(height=28, width=28)


def digits20() -> DarnConfig:
    """Handwritten digits of 20 by 20 bits, with their labels."""
    labels = tuple(range(10))
    return DarnConfig(20, 20, labels, code=64, deterministic=128, encoder=256, dropout=0.2)
