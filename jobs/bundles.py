"""The files of a model's folder, read and checked without its network.

    config.json          family, signature, ...; names the weights by sha256 and bytes
    model.safetensors    the weights, hashed and copied here, but read by `ancestral.models` alone
    card.md, metrics.json

The digest of a model is the sha256 of its config.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ancestral.jobs.errors import CorruptObject, ModelUnreadable, NotFound, StoreDenied, StoreError
from ancestral.jobs.numbers import INTEGER_LIMIT, finite, is_size
from ancestral.jobs.store import Store, open_store

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"

#: In the order in which they are written: a folder is a model once its config.json is there.
FILES = (WEIGHTS, METRICS, "card.md", CONFIG)

#: Characters of a digest that name a version.
DIGEST_CHARACTERS = 12

#: The metric that is more than shown: what is drawn is compared with it.
HELD_OUT = "held_out_bits_per_dim"

#: Of the longest text among the metrics.
METRIC_CHARACTERS = 100


def check_length(store: Store, length: Any) -> None:
    """Raises ModelUnreadable unless the weights are there to their last byte, the only one read."""
    if not is_size(length) or length >= INTEGER_LIMIT:
        raise ModelUnreadable(f"{store.uri_of(CONFIG)}: does not describe a model")
    try:
        store.read_range(WEIGHTS, length - 1, 1)
    except NotFound as error:
        raise ModelUnreadable(f"{store.uri}: there is no {WEIGHTS}") from error
    except CorruptObject as error:
        raise ModelUnreadable(
            f"{store.uri_of(WEIGHTS)}: is cut short, for {CONFIG} tells of {length} bytes"
        ) from error


def check_digest(store: Store, config: bytes, digest: str) -> None:
    """Raises ModelUnreadable unless `config` is the config.json of that digest."""
    found = hashlib.sha256(config).hexdigest()
    if found != digest:
        raise ModelUnreadable(
            f"{store.uri}: holds another model now (digest {found[:DIGEST_CHARACTERS]}, and not "
            f"{digest[:DIGEST_CHARACTERS]})"
        )


def read_bundle(store: Store, digest: str) -> Iterator[tuple[str, bytes]]:
    """The files of a bundle, config.json last. Raises ModelUnreadable unless they are sound."""
    config = read_file(store, CONFIG)
    check_digest(store, config, digest)
    for file in FILES:
        data = config if file == CONFIG else read_file(store, file)
        if file == WEIGHTS:
            named = json.loads(config).get("weights", {}).get("sha256")
            if hashlib.sha256(data).hexdigest() != named:
                raise ModelUnreadable(f"{store.uri_of(file)}: is not the file that {CONFIG} names")
        yield file, data


def is_copy(folder: Path, digest: str) -> bool:
    """Whether a local folder holds the bundle of that digest, whole and sound."""
    try:
        for _ in read_bundle(open_store(str(folder)), digest):
            pass
    except (ModelUnreadable, StoreError):
        return False
    return True


def copy_bundle(store: Store, digest: str, folder: Path) -> None:
    """A local copy of a bundle, there as a whole or not at all, in place of one that is no copy.

    Raises ModelUnreadable, OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy = Path(temporary) / digest
        copy.mkdir()
        for file, data in read_bundle(store, digest):
            (copy / file).write_bytes(data)
        if not is_copy(folder, digest):
            with suppress(FileNotFoundError):
                os.rename(folder, Path(temporary) / "damaged")
        try:
            os.rename(copy, folder)
        except OSError:
            # Another process may have been faster: what it fetched has the same digest.
            if not is_copy(folder, digest):
                raise


def read_metrics(store: Store) -> dict[str, Any]:
    """What was measured of the bundle: numbers, booleans and lines of text.

    Whatever else its metrics.json holds, nothing depends on: it is left out. Raises
    ModelUnreadable when there is no such file, or no JSON object in it.
    """
    metrics = read_object(store, METRICS)
    return {
        name: value
        for name, value in metrics.items()
        if name.isprintable() and _is_metric(name, value)
    }


def read_object(store: Store, file: str) -> dict[str, Any]:
    """A JSON object of a bundle, or beside it. Raises ModelUnreadable."""
    return as_object(store, file, read_file(store, file))


def as_object(store: Store, file: str, data: bytes) -> dict[str, Any]:
    """The JSON object that a file holds. Raises ModelUnreadable."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelUnreadable(f"{store.uri_of(file)}: is not JSON") from error
    if not isinstance(document, dict):
        raise ModelUnreadable(f"{store.uri_of(file)}: is not a JSON object")
    return document


def read_file(store: Store, file: str) -> bytes:
    """The bytes of one file of a bundle. Raises ModelUnreadable."""
    try:
        return store.read(file)
    except NotFound as error:
        raise ModelUnreadable(f"{store.uri}: there is no {file}, so it is no model") from error
    except StoreDenied as error:
        raise ModelUnreadable(str(error)) from error


def _is_metric(name: str, value: object) -> bool:
    if isinstance(value, str | bool) and name != HELD_OUT:
        return isinstance(value, bool) or (len(value) <= METRIC_CHARACTERS and value.isprintable())
    return finite(value) is not None
