"""The registry: models by name, in every version that was ever published, or that ships.

    publish       files ──▶ config.json ──▶ latest.json
    remove        latest.json (of the last one) ──▶ config.json ──▶ files

`shelves.py` shows how they lie. A version is named by its digest and never changes. A push that
dies before its end leaves a version that its digest names at most, and is brought to its end by
another. Of two pushes at once both versions are there, and the latest is the one that was put last.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from ancestral.jobs.bundles import (
    CONFIG,
    DIGEST_CHARACTERS,
    WEIGHTS,
    as_object,
    check_digest,
    check_length,
    copy_bundle,
    is_copy,
    read_bundle,
    read_file,
    read_metrics,
)
from ancestral.jobs.errors import (
    AlreadyExists,
    ModelUnreadable,
    PathRefused,
    SpecError,
    StoreDenied,
    UsageError,
)
from ancestral.jobs.shelves import (
    PUBLISHED,
    Shelf,
    Shelves,
    is_name,
    latest_path,
    name_and_version,
    version_folder,
)
from ancestral.jobs.signature import check_described
from ancestral.jobs.store import Store, open_store

_log = logging.getLogger("ancestral.jobs")


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
    #: Numbers, booleans and lines of text.
    metrics: dict[str, Any] = field(repr=False)
    #: Whether this is the version that comes with the package under this name.
    ships: bool = False


@dataclass(frozen=True)
class Version:
    """One of a model's versions among the others."""

    entry: ModelEntry
    #: ISO 8601 in UTC, like 2026-11-22T15:30:12.123456Z; None for one that only ships.
    published_at: str | None
    #: Whether the model's bare name means it.
    latest: bool


class Registry:
    """Finds, fetches, publishes and removes bundles. See the module for how they lie."""

    def __init__(
        self, state_uri: str, cache_folder: Path, shipped_folder: Path | None = None
    ) -> None:
        """Opens nothing yet. `cache_folder` is a local folder for fetched bundles, and
        `shipped_folder` has those that came with the package; by default none did."""
        self.state_uri = state_uri
        self._state = open_store(state_uri)
        self._cache_folder = cache_folder
        self._shipped_folder = shipped_folder
        self._shelves = Shelves(self._state, shipped_folder)

    def resolve(self, model: str) -> ModelEntry:
        """The version that `model` means, reading small files only.

        `model` is `name` or `name@latest`, `name@` and the beginning of a digest, or the path or
        URI of a bundle's folder; a path has a "/" or begins with ".".

        Raises ModelUnreadable.
        """
        if is_path(model):
            store = _open(model)
            return _entry(store, store.uri.rpartition("/")[2])
        name, version = name_and_version(model)
        shelf = self._shelves.read(name)
        entry = self._version(shelf, shelf.meant(version))
        if version not in ("", "latest") and not entry.digest.startswith(version):
            raise shelf.unknown(version)
        return entry

    def digests(self, model: str) -> tuple[str, ...]:
        """Of the versions that `name` means, which are all that were published, or else the one
        that ships; or of the one that `name@digest` does. Each is the beginning of a digest, and is
        told even of versions that cannot be read. Raises ModelUnreadable."""
        name, version = name_and_version(model)
        shelf = self._shelves.read(name)
        return (shelf.meant(version),) if version else shelf.published or shelf.digests

    def list(self) -> list[ModelEntry]:
        """The latest version of every model that has one, by name; what cannot be read is left out,
        and named in the log."""
        shelves = map(self._shelves.read, self._shelves.names())
        latest = (self._readable(each, each.latest) for each in shelves if each.latest is not None)
        return [entry for entry in latest if entry is not None]

    def versions(self, name: str) -> tuple[Version, ...]:
        """Every version of a model: the one published last comes first, one that only ships last.
        What cannot be read is left out, and named in the log.

        Raises ModelUnreadable when there is no such model.
        """
        shelf = self._shelves.read(name)
        versions = (
            Version(
                entry,
                self._shelves.published_at(shelf, digest),
                latest=digest == shelf.latest,
            )
            for digest in shelf.digests
            if (entry := self._readable(shelf, digest)) is not None
        )
        newest = sorted(versions, key=lambda version: version.published_at or "", reverse=True)
        return tuple(newest)

    def publish(self, place: Path | str, name: str | None = None) -> ModelEntry:
        """Copies the bundle at a path or URI into the registry and makes it the latest `name`, by
        default that of its folder.

        The same bundle twice is the same version, and mends what was damaged of it. Raises
        ModelUnreadable when there is no sound bundle, and SpecError when a model cannot be called
        so.
        """
        source = _open(str(place))
        name = source.uri.rpartition("/")[2] if name is None else name
        if not is_name(name):
            raise SpecError(
                f"a model cannot be called {name!r}: use small letters, digits, '-', '_' and '.'"
            )
        entry = _entry(source, name)
        self._keep(source, entry)
        self._point(entry)
        return self.resolve(f"{name}@{entry.digest}")

    def make_latest(self, model: str) -> ModelEntry:
        """Makes `name@digest` what the bare name means. Raises ModelUnreadable and UsageError."""
        if is_path(model) or "@" not in model:
            raise UsageError(f"{model!r} names no version of a model: write NAME@DIGEST")
        entry = self.shared(self.resolve(model))
        self._point(entry)
        return entry

    def shared(self, entry: ModelEntry) -> ModelEntry:
        """The same version where every machine finds it: one that ships is copied into the
        registry, where it changes no model's latest version. Raises ModelUnreadable."""
        if not entry.ships:
            return entry
        if not self._state.exists(f"{version_folder(entry.name, entry.digest)}/{CONFIG}"):
            self._keep(open_store(entry.uri), entry)
        return self.resolve(f"{entry.name}@{entry.digest}")

    def remove(self, name: str, digests: Collection[str]) -> None:
        """Removes versions of a model from the registry. What was loaded of them serves on.

        Raises ModelUnreadable when there is no such model, and UsageError when others would be left
        without a latest version, or when one of them only ships.
        """
        shelf = self._shelves.read(name)
        doomed = sorted({digest[:DIGEST_CHARACTERS] for digest in digests})
        kept = [each for each in shelf.published if each not in doomed]
        for each in doomed:
            if each == shelf.shipped and each not in shelf.published:
                raise UsageError(f"{name}@{each} comes with the package and cannot be removed")
            if each == shelf.latest != shelf.shipped and kept:
                raise UsageError(
                    f"{name}@{each} is the latest version: make another one the latest first, such "
                    f"as {name}@{kept[0]}, or remove them all"
                )
        if not kept:
            self._state.delete(latest_path(name))
        for each in doomed:
            place = version_folder(name, each)
            self._state.delete(f"{place}/{CONFIG}")
            for path in self._state.list(place):
                self._state.delete(path)

    def fetch(self, uri: str, digest: str) -> Path:
        """A local folder with the bundle at `uri`: itself if it is local, else a cached copy.

        Raises ModelUnreadable when it is not, or is no longer, the one of this digest.
        """
        store = open_store(uri)
        if "://" not in store.uri:
            check_digest(store, read_file(store, CONFIG), digest)
            return Path(store.uri)
        folder = self._cache_folder / "bundles" / digest
        if not is_copy(folder, digest):
            try:
                copy_bundle(store, digest, folder)
            except OSError as error:
                raise StoreDenied(f"{folder}: cannot be written ({error.strerror})") from error
        return folder

    def _keep(self, source: Store, entry: ModelEntry) -> None:
        """Copies the bundle at `source` into the registry."""
        moment = {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}
        files = chain([(PUBLISHED, json.dumps(moment).encode())], read_bundle(source, entry.digest))
        for file, data in files:
            path = f"{version_folder(entry.name, entry.digest)}/{file}"
            try:
                self._state.create(path, data)
            except AlreadyExists:
                # Of these the digest says what they are; the others stay as they were at first.
                if file in (CONFIG, WEIGHTS) and self._state.read(path) != data:
                    self._state.put(path, data)

    def _point(self, entry: ModelEntry) -> None:
        pointer = json.dumps({"digest": entry.digest}).encode()
        self._state.put(latest_path(entry.name), pointer)

    def _readable(self, shelf: Shelf, digest: str) -> ModelEntry | None:
        try:
            return self._version(shelf, digest)
        except ModelUnreadable as error:
            _log.warning("%s@%s is left out: %s", shelf.name, digest, error)
            return None

    def _version(self, shelf: Shelf, digest: str) -> ModelEntry:
        if digest in shelf.published:
            place = self._state.uri_of(version_folder(shelf.name, digest))
        else:
            place = f"{self._shipped_folder}/{shelf.name}"
        return replace(_entry(open_store(place), shelf.name), ships=digest == shelf.shipped)


def is_path(model: str) -> bool:
    """Whether `model` is the path or URI of a bundle, and not a name in the registry."""
    return "/" in model or model.startswith(".")


def _open(place: str) -> Store:
    try:
        return open_store(place)
    except PathRefused as error:
        raise ModelUnreadable(f"{place}: {error}") from error


def _entry(store: Store, name: str) -> ModelEntry:
    """What the small files of the bundle in `store` tell. Raises ModelUnreadable."""
    data = read_file(store, CONFIG)
    config = as_object(store, CONFIG, data)
    signature, family, weights = (config.get(key) for key in ("signature", "family", "weights"))
    if not (isinstance(signature, dict) and isinstance(family, str) and isinstance(weights, dict)):
        raise ModelUnreadable(f"{store.uri_of(CONFIG)}: does not describe a model")
    check_described(family, signature, store.uri)
    check_length(store, weights.get("bytes"))
    digest = hashlib.sha256(data).hexdigest()
    return ModelEntry(name, store.uri, digest, family, config, signature, read_metrics(store))
