"""Families by name: those that ship, and those that installed packages add."""

from __future__ import annotations

from pathlib import Path

import pytest

from ancestral.models import Family, GatedPixelCNN, GatedPixelCNNConfig, find_family
from ancestral.models.errors import ConfigError

#: What a package may name by its entry point, right and wrong.
MODULE = """
import ancestral.models as models

FAMILY = models.FAMILIES["gated_pixelcnn"]
NO_FAMILY = 7
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A package with one entry point, as an installer leaves it."""
    (folder / "added_family.py").write_text(MODULE)
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
    ],
)
def test_a_package_that_is_broken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    install(tmp_path, monkeypatch, "added", value)
    with pytest.raises(ConfigError, match=message):
        find_family("added")
