"""Families by name: those that ship, and those that installed packages add."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch

from ancestral.models import Family, GatedPixelCNN, GatedPixelCNNConfig, build, find_family
from ancestral.models.errors import ConfigError
from ancestral.models.families import config_of, read_config

#: What a package may name by its entry point, right and wrong.
MODULE = """
import ancestral.models as models

FAMILY = models.FAMILIES["gated_pixelcnn"]
NO_FAMILY = 7
NAMELESS = models.Family(models.Autoregressive, models.GatedPixelCNNConfig)


class Forgetful(models.GatedPixelCNN):
    family = "added"

    def __init__(self, config):
        super().__init__(config)
        del self.config


class Faithful(models.GatedPixelCNN):
    family = "added"


FORGETS = models.Family(Forgetful, models.GatedPixelCNNConfig)
KEEPS = models.Family(Faithful, models.GatedPixelCNNConfig)
"""

SIZES = {"height": 3, "width": 3, "levels": 4}


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, module: str = MODULE
) -> None:
    """A package with one entry point, as an installer leaves it."""
    (folder / "added_family.py").write_text(module)
    # The module of another test may have been imported under that name.
    monkeypatch.delitem(sys.modules, "added_family", raising=False)
    facts = folder / "added-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[ancestral.models]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(folder)


def test_a_family_that_ships_is_found() -> None:
    assert find_family("gated_pixelcnn") == Family(GatedPixelCNN, GatedPixelCNNConfig)


def test_an_unknown_family_is_named_beside_all_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "added", "added_family:FAMILY")
    with pytest.raises(ConfigError, match=r"no family 'cnn': there are added, darn, .*wavenet"):
        find_family("cnn")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:FAMILY", "'added' cannot be loaded: No module named 'no_such_module'"),
        ("added_family:MISSING", "'added' cannot be loaded: .*MISSING"),
        ("added_family:NO_FAMILY", "should be the Family called 'added'"),
        ("added_family:FAMILY", "should be the Family called 'added'"),
        ("added_family:NAMELESS", "should be the Family called 'added'"),
    ],
)
def test_a_package_that_is_broken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    install(tmp_path, monkeypatch, "added", value)
    with pytest.raises(ConfigError, match=message):
        find_family("added")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("FAMILY = Missing", "'added' cannot be loaded: name 'Missing' is not defined"),
        ("FAMILY =", "'added' cannot be loaded: invalid syntax"),
        ("1 / 0", "'added' cannot be loaded: division by zero"),
    ],
)
def test_whatever_a_package_raises_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    install(tmp_path, monkeypatch, "added", "added_family:FAMILY", module)
    with pytest.raises(ConfigError, match=message):
        find_family("added")


def test_a_network_that_forgets_what_it_was_built_from_is_refused_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "added", "added_family:FORGETS")
    with pytest.raises(ConfigError, match=r"Forgetful should keep what .* as self\.config"):
        build("added", SIZES)


def test_a_network_that_keeps_it_has_a_twin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "added", "added_family:KEEPS")
    net = build("added", SIZES)
    assert config_of(build(net.family, config_of(net))) == config_of(net)


def test_a_network_that_was_built_scores_alike_each_time() -> None:
    # Given a family with dropout
    net = build("made", {"height": 4, "width": 4, "hidden": [32], "dropout": 0.5})
    x = torch.zeros(1, 4, 4, dtype=torch.int64)

    # Then none is dropped
    assert net.score(x, {}).equal(net.score(x, {}))


@dataclass(frozen=True)
class Held:
    """All that configurations hold."""

    shared: ClassVar[list[int]] = []
    whole: int = 1
    mode: Literal["same", 3] = "same"
    pair: tuple[int, float] = (1, 2.0)
    rows: tuple[tuple[int, ...], ...] = ()
    none: tuple[str, ...] | None = None
    open: Any = None
    made: tuple[int, ...] = field(default_factory=lambda: (1, 2))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mode": 3, "pair": [4, 5], "none": ["a"], "made": []},
        {"rows": [[1], []], "open": {"any": "thing"}},
    ],
)
def test_what_configurations_hold_is_read(values: dict[str, Any]) -> None:
    config = read_config(Held, values)
    for key, value in values.items():
        assert json.loads(json.dumps(getattr(config, key))) == value
    assert config.made == tuple(values.get("made", (1, 2)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mode", "other"),
        ("mode", 3.0),
        ("pair", [1]),
        ("pair", [1, 2, 3]),
        ("pair", [1.5, 2.0]),
        ("pair", 1),
        ("rows", [1]),
        ("none", [1]),
        ("whole", True),
    ],
)
def test_a_value_of_another_type_is_named(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"Held: {key} cannot be "):
        read_config(Held, {key: value})


@dataclass(frozen=True)
class Listed:
    """A list would come back from a bundle as a tuple."""

    sizes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Mapped:
    """Nor do they hold anything by name."""

    sizes: tuple[dict[str, int] | None, ...] = ()


@pytest.mark.parametrize("config", [Listed, Mapped])
def test_a_field_that_configurations_do_not_hold_is_named_before_it_is_used(
    config: type[Any],
) -> None:
    message = "sizes cannot be read: configurations hold int, float, str, bool, Literal, None and t"
    with pytest.raises(ConfigError, match=f"{config.__name__}: {message}"):
        read_config(config, {})
