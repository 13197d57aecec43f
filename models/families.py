"""The families of networks by name, and their configurations as plain JSON."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import ConfigError
from ancestral.models.gated_pixelcnn import GatedPixelCNN, GatedPixelCNNConfig
from ancestral.models.wavenet import WaveNet, WaveNetConfig


@dataclass(frozen=True)
class Family:
    """A network class and the frozen dataclass that configures it."""

    net: type[Autoregressive]
    config: type[Any]


FAMILIES: Mapping[str, Family] = types.MappingProxyType(
    {
        GatedPixelCNN.family: Family(GatedPixelCNN, GatedPixelCNNConfig),
        WaveNet.family: Family(WaveNet, WaveNetConfig),
    }
)


def build(family: str, config: Mapping[str, Any]) -> Autoregressive:
    """A fresh network of a family.

    Raises ConfigError for an unknown family, an unknown or missing key, or a value that does not
    fit.
    """
    entry = FAMILIES.get(family)
    if entry is None:
        raise ConfigError(f"no family {family!r}: there are {', '.join(sorted(FAMILIES))}")
    net_class = cast(Any, entry.net)
    return cast(Autoregressive, net_class(read_config(entry.config, config)))


def config_of(net: Autoregressive) -> dict[str, Any]:
    """A network's configuration, such that `build(net.family, config_of(net))` makes its twin."""
    return dataclasses.asdict(cast(Any, net).config)


def read_config(config_class: type[Any], values: Mapping[str, Any]) -> Any:
    """A configuration from plain JSON or YAML values: lists become tuples.

    Raises ConfigError for an unknown or missing key, or a value that does not fit.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    hints = get_type_hints(config_class)
    title = config_class.__name__
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"{title} has no {key!r}: it has {', '.join(fields)}")
        if not _fits(_tuples(value), hints[key]):
            raise ConfigError(f"{title}: {key} cannot be {value!r}")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in values:
            raise ConfigError(f"{title} needs {name!r}")
    return config_class(**{key: _tuples(value) for key, value in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type: int, float, str, T | U, tuple[T, ...]."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        (item,) = (argument for argument in get_args(hint) if argument is not Ellipsis)
        return isinstance(value, tuple) and all(_fits(part, item) for part in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))
