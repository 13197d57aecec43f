"""The registry: models by name, in every version that was ever published.

    {state}/registry/{name}/{digest12}/config.json, model.safetensors, card.md, metrics.json
    {state}/registry/{name}/latest.json            {"digest": ...}, the only object that is replaced

A version is named by its digest, the sha256 of its config.json, which names the sha256 of the
weights. Weights are copied and hashed here, but read by `ancestral.models` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ancestral.jobs.documents import did_you_mean, shortened
from ancestral.jobs.errors import (
    AlreadyExists,
    CorruptObject,
    ModelUnreadable,
    NotFound,
    PathRefused,
    SpecError,
    StoreDenied,
)
from ancestral.jobs.signature import check_signature
from ancestral.jobs.store import Store, open_store

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
FILES = (WEIGHTS, METRICS, "card.md", CONFIG)

#: Characters of a digest that name a version's folder.
DIGEST_CHARACTERS = 12

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class ModelEntry:
    """One version of a model, as its small files tell."""

    name: str
    #: The bundle's folder: an absolute path or a URI.
    uri: str
    #: sha256 of config.json, in hex.
    digest: str
    family: str
    config: dict[str, Any] = field(repr=False)
    #: What a request's fields are checked against.
    signature: dict[str, Any] = field(repr=False)
    metrics: dict[str, Any] = field(repr=False)


class Registry:
    """Finds, fetches and publishes bundles. See the module for how they lie."""

    def __init__(self, state_uri: str, cache_folder: Path) -> None:
        """Opens nothing yet. `cache_folder` is a local folder for fetched bundles."""
        self._state = open_store(state_uri)
        self._cache_folder = cache_folder

    def resolve(self, model: str) -> ModelEntry:
        """The version that `model` means, reading small files only.

        `model` is `name` or `name@latest`, `name@` and the beginning of a digest, or the path or
        URI of a bundle's folder; a path has a "/" or begins with ".".

        Raises ModelUnreadable.
        """
        if is_path(model):
            try:
                store = open_store(model)
            except PathRefused as error:
                raise ModelUnreadable(f"{model}: {error}") from error
            return _entry(store, store.uri.rpartition("/")[2])
        name, _, version = model.partition("@")
        digests = self._digests(name)
        if not digests:
            hint = did_you_mean(name, self._names())
            raise ModelUnreadable(
                f"no model is called {name!r}{hint} (a folder is written with a slash: ./{name})"
            )
        if version in ("", "latest"):
            return self._version(name, self._latest(name))
        if not _DIGEST.fullmatch(version):
            raise ModelUnreadable(f"{model}: after '@' goes 'latest' or the beginning of a digest")
        matches = [each for each in digests if each.startswith(version[:DIGEST_CHARACTERS])]
        if len(matches) > 1:
            raise ModelUnreadable(f"{model}: {len(matches)} versions begin like this")
        entry = self._version(name, matches[0]) if matches else None
        if entry is None or not entry.digest.startswith(version):
            raise ModelUnreadable(
                f"{model}: there is no such version; there are {shortened(digests)}"
            )
        return entry

    def list(self) -> list[ModelEntry]:
        """The latest version of every published model, by name."""
        return [self._version(name, self._latest(name)) for name in self._names()]

    def publish(self, folder: Path | str, name: str) -> ModelEntry:
        """Copies the bundle in a local folder into the registry and makes it the latest `name`.

        The same bundle twice is the same version. Raises ModelUnreadable when the folder holds no
        sound bundle, and SpecError when a model cannot be called so.
        """
        if not _NAME.fullmatch(name):
            raise SpecError(
                f"a model cannot be called {name!r}: use small letters, digits, '-', '_' and '.'"
            )
        source = open_store(str(folder))
        entry = _entry(source, name)
        place = _version_folder(name, entry.digest[:DIGEST_CHARACTERS])
        # A version is there once its config.json is, which is why that comes last.
        for file, data in _read_bundle(source, entry.digest):
            try:
                self._state.create(f"{place}/{file}", data)
            except AlreadyExists:
                continue
        pointer = json.dumps({"digest": entry.digest}).encode()
        self._state.put(_latest_path(name), pointer)
        return self._version(name, entry.digest[:DIGEST_CHARACTERS])

    def fetch(self, uri: str, digest: str) -> Path:
        """A local folder with the bundle at `uri`: itself if it is local, else a cached copy.

        Raises ModelUnreadable when it is not, or is no longer, the one of this digest.
        """
        store = open_store(uri)
        if "://" not in store.uri:
            _check_digest(store, _read(store, CONFIG), digest)
            return Path(store.uri)
        folder = self._cache_folder / "bundles" / digest
        if not (folder / CONFIG).exists():
            try:
                _copy_bundle(store, digest, folder)
            except OSError as error:
                raise StoreDenied(f"{folder}: cannot be written ({error.strerror})") from error
        return folder

    def _names(self) -> tuple[str, ...]:
        paths = (path.split("/") for path in self._state.list("registry"))
        return tuple(path[1] for path in paths if path[2:] == ["latest.json"])

    def _digests(self, name: str) -> tuple[str, ...]:
        """The beginnings of the digests of a model's versions, sorted."""
        if not _NAME.fullmatch(name):
            return ()
        paths = (path.split("/") for path in self._state.list(f"registry/{name}"))
        return tuple(path[2] for path in paths if path[3:] == [CONFIG])

    def _latest(self, name: str) -> str:
        path = _latest_path(name)
        pointer = _object(self._state, path, _read(self._state, path))
        return str(pointer.get("digest", ""))[:DIGEST_CHARACTERS]

    def _version(self, name: str, digest12: str) -> ModelEntry:
        return _entry(open_store(self._state.uri_of(_version_folder(name, digest12))), name)


def is_path(model: str) -> bool:
    """Whether `model` is the path or URI of a bundle, and not a name in the registry."""
    return "/" in model or model.startswith(".")


def _version_folder(name: str, digest12: str) -> str:
    return f"registry/{name}/{digest12}"


def _latest_path(name: str) -> str:
    return f"registry/{name}/latest.json"


def _entry(store: Store, name: str) -> ModelEntry:
    """What the small files of the bundle in `store` tell. Raises ModelUnreadable."""
    data = _read(store, CONFIG)
    config = _object(store, CONFIG, data)
    signature, family, weights = (config.get(key) for key in ("signature", "family", "weights"))
    if not (isinstance(signature, dict) and isinstance(family, str) and isinstance(weights, dict)):
        raise ModelUnreadable(f"{store.uri_of(CONFIG)}: does not describe a model")
    check_signature(signature, store.uri)
    _check_length(store, weights.get("bytes"))
    digest = hashlib.sha256(data).hexdigest()
    metrics = _object(store, METRICS, _read(store, METRICS))
    return ModelEntry(name, store.uri, digest, family, config, signature, metrics)


def _check_length(store: Store, length: Any) -> None:
    """Raises ModelUnreadable unless the weights are there to their last byte, the only one read."""
    try:
        store.read_range(WEIGHTS, int(length) - 1, 1)
    except (TypeError, ValueError) as error:
        raise ModelUnreadable(f"{store.uri_of(CONFIG)}: does not describe a model") from error
    except NotFound as error:
        raise ModelUnreadable(f"{store.uri}: there is no {WEIGHTS}") from error
    except CorruptObject as error:
        raise ModelUnreadable(
            f"{store.uri_of(WEIGHTS)}: is cut short, for {CONFIG} tells of {length} bytes"
        ) from error


def _copy_bundle(store: Store, digest: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        copy = Path(temporary) / digest
        copy.mkdir()
        for file, data in _read_bundle(store, digest):
            (copy / file).write_bytes(data)
        try:
            os.rename(copy, folder)
        except OSError:
            # Another process may have been faster: what it fetched has the same digest.
            if not (folder / CONFIG).exists():
                raise


def _read_bundle(store: Store, digest: str) -> Iterator[tuple[str, bytes]]:
    """The files of a bundle, config.json last. Raises ModelUnreadable unless they are sound."""
    config = _read(store, CONFIG)
    _check_digest(store, config, digest)
    for file in FILES:
        data = config if file == CONFIG else _read(store, file)
        if file == WEIGHTS:
            named = json.loads(config).get("weights", {}).get("sha256")
            if hashlib.sha256(data).hexdigest() != named:
                raise ModelUnreadable(f"{store.uri_of(file)}: is not the file that {CONFIG} names")
        yield file, data


def _check_digest(store: Store, config: bytes, digest: str) -> None:
    found = hashlib.sha256(config).hexdigest()
    if found != digest:
        raise ModelUnreadable(
            f"{store.uri}: holds another model now (digest {found[:DIGEST_CHARACTERS]}, and not "
            f"{digest[:DIGEST_CHARACTERS]})"
        )


def _object(store: Store, file: str, data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ModelUnreadable(f"{store.uri_of(file)}: is not JSON") from error
    if not isinstance(document, dict):
        raise ModelUnreadable(f"{store.uri_of(file)}: is not a JSON object")
    return document


def _read(store: Store, file: str) -> bytes:
    try:
        return store.read(file)
    except NotFound as error:
        raise ModelUnreadable(f"{store.uri}: there is no {file}, so it is no model") from error
    except StoreDenied as error:
        raise ModelUnreadable(str(error)) from error
