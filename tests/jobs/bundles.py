"""Bundles whose weights nobody reads: all that a client and a registry look at is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

DIGITS = {
    "medium": "image",
    "levels": 16,
    "shape": [20, 20],
    "fields": {
        "label": {"type": "category", "values": list(range(10)), "description": "the digit"},
    },
}

SPEECH = {
    "medium": "audio",
    "levels": 256,
    "encoding": "mu-law",
    "sample_rate_hz": 8000,
    "shape": [None],
    "max_length": 20000,
    "fields": {
        "speaker": {"type": "category", "values": ["Allison", "Jean", "Maria"]},
        "digit": {"type": "category", "values": list(range(10))},
        "speed": {"type": "number", "minimum": 0.5, "maximum": 2, "default": 1},
        "take": {"type": "integer", "minimum": 0, "default": 0},
    },
}

#: Says any text.
TALK = {
    "medium": "audio",
    "levels": 256,
    "encoding": "mu-law",
    "sample_rate_hz": 8000,
    "shape": [None],
    "max_length": 960000,
    "fields": {
        "text": {"type": "text", "longest": 2000, "characters": "abcdefghijklmnopqrstuvwxyz'"},
        "speaker": {"type": "category", "values": ["george", "theo"]},
    },
}

CLIPS = {
    "medium": "video",
    "levels": 2,
    "frames_per_second": 8,
    "shape": [6, 16, 16],
    "fields": {"digits": {"type": "category", "values": ["1", "2"]}},
}

#: Real numbers, of a length that a request decides; it begins with values that the request gives.
SERIES = {
    "medium": "series",
    "levels": None,
    "shape": [None],
    "max_length": 500,
    "likelihood_kind": "density",
    "fields": {
        "length": {"type": "integer", "minimum": 4, "maximum": 500, "decides": "length"},
        "initial": {"type": "vector", "length": 3, "default": None},
    },
}

AUTOENCODER = {
    "medium": "image",
    "levels": 256,
    "shape": [8, 8, 3],
    "kinds": ["generate", "reconstruct", "score"],
    "fields": {
        "latent": {"type": "vector", "length": 4, "description": "what the image is like"},
        "place": {"type": "map", "shape": [1, 2, 3], "default": None},
    },
}


def write_bundle(
    folder: Path, signature: dict[str, Any] = DIGITS, weights: bytes = b"the weights"
) -> str:
    """Writes a bundle and returns its digest."""
    config = {
        "family": "gated_pixelcnn",
        "config": {"layers": 3},
        "signature": signature,
        "weights": {"sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    data = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    (folder / "config.json").write_bytes(data)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "card.md").write_text("Draws digits.")
    (folder / "metrics.json").write_text('{"bits_per_dim": 1.25}')
    return hashlib.sha256(data).hexdigest()
