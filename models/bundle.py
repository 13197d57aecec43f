"""A bundle is a trained network as a folder.

    config.json         {"config", "family", "signature", "weights": {"bytes", "sha256"}}
    model.safetensors   the weights: plain numbers, nothing that runs when it is read
    card.md             what it is, for people
    metrics.json        what was measured

The digest of a bundle is the sha256 of config.json, which names the sha256 of the weights: it
stands for everything that decides what the network draws, and for nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import BundleError, ConfigError
from ancestral.models.families import build, config_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "card.md"
METRICS = "metrics.json"


@dataclass(frozen=True)
class Bundle:
    """A network read from a folder, in evaluation mode."""

    net: Autoregressive
    digest: str
    metrics: dict[str, Any]
    folder: Path


def save_bundle(folder: Path, net: Autoregressive, *, card: str, metrics: Mapping[str, Any]) -> str:
    """Writes a bundle, making the folder; returns its digest."""
    weights = save({name: tensor.contiguous() for name, tensor in net.state_dict().items()})
    config = canonical_json(
        {
            "family": net.family,
            "config": config_of(net),
            "signature": net.signature,
            "weights": {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)},
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / CARD).write_text(card, encoding="utf-8")
    (folder / METRICS).write_bytes(canonical_json(dict(metrics)))
    (folder / CONFIG).write_bytes(config)
    return hashlib.sha256(config).hexdigest()


def load_bundle(folder: Path | str) -> Bundle:
    """Reads a bundle and checks its weights against their sha256.

    Raises BundleError when a file is missing or broken, the weights are not what config.json says,
    or this version knows no such network.
    """
    folder = Path(folder)
    config_bytes = _read(folder / CONFIG)
    document = _json(folder / CONFIG, config_bytes)
    metrics = _json(folder / METRICS, _read(folder / METRICS))
    weights = _read(folder / WEIGHTS)
    try:
        family, config = document["family"], document["config"]
        sha256 = document["weights"]["sha256"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"{folder / CONFIG} does not describe a model") from error
    if not isinstance(family, str) or not isinstance(config, dict):
        raise BundleError(f"{folder / CONFIG} does not describe a model")
    if hashlib.sha256(weights).hexdigest() != sha256:
        raise BundleError(f"{folder / WEIGHTS} is not the file that {CONFIG} names: sha256 differs")
    try:
        net = build(family, config)
        net.load_state_dict(load(weights))
    except ConfigError as error:
        raise BundleError(f"{folder} holds a model that cannot be built: {error}") from error
    except (SafetensorError, RuntimeError) as error:
        raise BundleError(f"{folder / WEIGHTS} does not fit the model in {CONFIG}") from error
    digest = hashlib.sha256(config_bytes).hexdigest()
    return Bundle(net.eval(), digest, metrics, folder)


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces, so that equal contents are equal bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path} is not a JSON object")
    return document
