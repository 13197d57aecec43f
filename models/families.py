"""The families of networks by name, and their configurations as plain JSON.

A package of anybody's adds a family by an entry point of the group `ancestral.models`, whose name
is the family's and which stands for a `Family`:

    [project.entry-points."ancestral.models"]
    my_family = "my_package.my_module:FAMILY"

A configuration is a frozen dataclass whose fields are int, float, str, bool, Literal, None, unions
of these, and tuples of them, of a fixed length or of any; a field of type Any is not checked.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.darn import Darn
from ancestral.models.darn_config import DarnConfig
from ancestral.models.errors import ConfigError
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.linear import LinearAR, LinearConfig
from ancestral.models.made import Made, MadeConfig
from ancestral.models.pixelcnn import PixelCNN, PixelCNNConfig
from ancestral.models.pixelcnn_autoencoder import PixelCNNAutoencoder, PixelCNNAutoencoderConfig
from ancestral.models.pixelcnn_pp import PixelCNNPlusPlus, PixelCNNPlusPlusConfig
from ancestral.models.video_pixel import VideoPixel, VideoPixelConfig
from ancestral.models.wavenet import WaveNet
from ancestral.models.wavenet_config import WaveNetConfig

#: The group of entry points in which packages name their families.
ENTRY_POINTS = "ancestral.models"


@dataclass(frozen=True)
class Family:
    """A network class and the frozen dataclass that configures it."""

    net: type[Autoregressive]
    config: type[Any]


#: The families that ship.
FAMILIES: Mapping[str, Family] = types.MappingProxyType(
    {
        family.net.family: family
        for family in (
            Family(LinearAR, LinearConfig),
            Family(Darn, DarnConfig),
            Family(Made, MadeConfig),
            Family(PixelCNN, PixelCNNConfig),
            Family(GatedPixelCNN, GatedPixelCNNConfig),
            Family(PixelCNNPlusPlus, PixelCNNPlusPlusConfig),
            Family(PixelCNNAutoencoder, PixelCNNAutoencoderConfig),
            Family(WaveNet, WaveNetConfig),
            Family(VideoPixel, VideoPixelConfig),
        )
    }
)


def find_family(name: str) -> Family:
    """The family of that name: one that ships, or one that an installed package adds.

    Raises ConfigError for an unknown family, and for one whose package is broken.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    added = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if name not in added:
        raise ConfigError(f"no family {name!r}: there are {', '.join(sorted({*FAMILIES, *added}))}")
    return _load(added[name])


def build(family: str, config: Mapping[str, Any]) -> Autoregressive:
    """A fresh network of a family, in evaluation mode.

    Raises ConfigError for an unknown family, an unknown or missing key, a value that does not fit,
    or a network that does not keep what it is built from.
    """
    entry = find_family(family)
    net_class = cast(Any, entry.net)
    values = read_config(entry.config, config)
    net = cast(Autoregressive, net_class(values))
    # Else it would be missed only when a bundle is written, which is after its whole training.
    if getattr(net, "config", None) != values:
        raise ConfigError(f"{entry.net.__name__} should keep what it is built from as self.config")
    return net.eval()


def config_of(net: Autoregressive) -> dict[str, Any]:
    """A network's configuration, such that `build(net.family, config_of(net))` makes its twin."""
    return dataclasses.asdict(net.config)


def read_config(config_class: type[Any], values: Mapping[str, Any]) -> Any:
    """A configuration from plain JSON or YAML values: lists become tuples.

    Raises ConfigError for an unknown or missing key, a value that does not fit, or a field of a
    type that configurations do not hold.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    hints = get_type_hints(config_class)
    title = config_class.__name__
    for key in fields:
        if not _is_held(hints[key]):
            raise ConfigError(
                f"{title}: {key} cannot be read: configurations hold int, float, str, bool, "
                "Literal, None and tuples of them"
            )
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"{title} has no {key!r}: it has {', '.join(fields)}")
        if not _fits(_tuples(value), hints[key]):
            raise ConfigError(f"{title}: {key} cannot be {value!r}")
    for name, field in fields.items():
        defaults = (field.default, field.default_factory)
        if all(default is dataclasses.MISSING for default in defaults) and name not in values:
            raise ConfigError(f"{title} needs {name!r}")
    return config_class(**{key: _tuples(value) for key, value in values.items()})


def _load(entry: EntryPoint) -> Family:
    try:
        family = entry.load()
    # Importing runs somebody else's module, which may raise anything.
    except Exception as error:
        raise ConfigError(f"the family {entry.name!r} cannot be loaded: {error}") from error
    if not isinstance(family, Family) or getattr(family.net, "family", None) != entry.name:
        raise ConfigError(f"{entry.value} should be the Family called {entry.name!r}")
    return family


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _is_held(hint: Any) -> bool:
    """Whether configurations hold values of an annotated type."""
    if get_origin(hint) in (Union, types.UnionType, tuple):
        return all(_is_held(option) for option in get_args(hint) if option is not Ellipsis)
    held = (Any, int, float, str, bool, tuple, types.NoneType)
    return get_origin(hint) is Literal or hint in held


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type that is held."""
    origin, options = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in options)
    if origin is Literal:
        return any(type(value) is type(option) and value == option for option in options)
    if origin is tuple and isinstance(value, tuple):
        if Ellipsis in options:
            options = options[:1] * len(value)
        return len(value) == len(options) and all(map(_fits, value, options))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, origin or hint) and not (hint is int and isinstance(value, bool))
