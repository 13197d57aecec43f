"""A catalog of Iceberg tables on this machine, as PyIceberg's configuration would name it."""

from __future__ import annotations

from pathlib import Path

import pytest


def sqlite_catalog(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(
        monkeypatch,
        type="sql",
        uri=f"sqlite:///{folder}/catalog.db",
        warehouse=f"file://{folder}/warehouse",
    )


def configure(monkeypatch: pytest.MonkeyPatch, **properties: str) -> None:
    """The default catalog by the environment, which PyIceberg reads when it is imported."""
    from pyiceberg import catalog
    from pyiceberg.utils.config import Config

    for name, value in properties.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__DEFAULT__{name.upper()}", value)
    monkeypatch.setattr(catalog, "_ENV_CONFIG", Config())
