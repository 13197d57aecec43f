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
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch.overrides import TorchFunctionMode

from ancestral.models.autoregressive import Autoregressive
from ancestral.models.errors import BundleError, ConfigError
from ancestral.models.families import build, config_of

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "card.md"
METRICS = "metrics.json"

#: While it is built, a network may ask for so many times the numbers of its weights (some are
#: needed for a moment only), and so many more.
ASKED_FOR, ASKED_BESIDES = 4, 2**24

#: Every tensor counts as this many numbers at least: a layer takes memory, however small it is.
LAYER = 1024

#: What makes tensors of a size that a configuration says.
_MAKERS = (torch.arange, torch.empty, torch.full, torch.ones, torch.rand, torch.randn, torch.zeros)


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

    Raises BundleError when a file is missing or broken, the weights or the signature are not what
    config.json says, or this version knows no such network.
    """
    folder = Path(folder)
    config_bytes = _read(folder / CONFIG)
    document = _json(folder / CONFIG, config_bytes)
    metrics = _json(folder / METRICS, _read(folder / METRICS))
    weights = _read(folder / WEIGHTS)
    try:
        family, config = document["family"], document["config"]
        signature, sha256 = document["signature"], document["weights"]["sha256"]
    except (KeyError, TypeError) as error:
        raise BundleError(f"{folder / CONFIG} does not describe a model") from error
    if not isinstance(family, str) or not isinstance(config, dict):
        raise BundleError(f"{folder / CONFIG} does not describe a model")
    if hashlib.sha256(weights).hexdigest() != sha256:
        raise BundleError(f"{folder / WEIGHTS} is not the file that {CONFIG} names: sha256 differs")
    try:
        tensors = load(weights)
        with _Allowance(sum(tensor.numel() for tensor in tensors.values())):
            net = build(family, config)
        net.load_state_dict(tensors)
    except ConfigError as error:
        raise BundleError(f"{folder} holds a model that cannot be built: {error}") from error
    except (SafetensorError, RuntimeError) as error:
        raise BundleError(f"{folder / WEIGHTS} does not fit the model in {CONFIG}") from error
    # Requests are checked against it, and media are made by it.
    if _undescribed(json.loads(json.dumps(net.signature))) != _undescribed(signature):
        raise BundleError(f"{folder / CONFIG}: its signature is not that of its network")
    digest = hashlib.sha256(config_bytes).hexdigest()
    return Bundle(net, digest, metrics, folder)


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces, so that equal contents are equal bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


class _Allowance(TorchFunctionMode):
    """Within it, this thread can ask for only so many numbers as weights of that size let expect.

    A configuration that asks for more is refused before its memory is taken. Raises ConfigError.
    """

    def __init__(self, weights: int) -> None:
        super().__init__()
        self._left = ASKED_FOR * weights + ASKED_BESIDES

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _MAKERS:
            self._left -= max(_asked(func, args, kwargs), LAYER)
            if self._left < 0:
                raise ConfigError("it asks for far more numbers than its weights let expect")
        return func(*args, **kwargs)


def _undescribed(signature: Any) -> Any:
    """A signature without what it says for people."""
    if not isinstance(signature, dict) or not isinstance(fields := signature.get("fields"), dict):
        return signature
    plain = {
        name: {**field, "description": None} if isinstance(field, dict) else field
        for name, field in fields.items()
    }
    return {**signature, "fields": plain}


def _asked(func: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """How many numbers one of the makers is asked for."""
    size = args[0] if args else kwargs.get("size", ())
    if func is torch.arange:
        return int(abs(args[1] - args[0]) if len(args) > 1 else math.prod(args))
    return math.prod(size if isinstance(size, Sequence) else args)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path} is not a JSON object")
    return document
