"""Which versions of each model there are, and which of them is the latest.

    {state}/registry/{name}/{digest12}/config.json, model.safetensors, card.md, metrics.json
                                      /published.json   {"at": ...}
    {state}/registry/{name}/latest.json                 {"digest": ...}, the only one replaced
    {shipped}/{name}/config.json, ...                   a version that comes with the package

A version is there once its config.json is. The latest is what latest.json says; where that says
nothing, it is the one that ships.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ancestral.jobs.bundles import CONFIG, DIGEST_CHARACTERS, as_object, read_object
from ancestral.jobs.errors import ModelUnreadable, NotFound
from ancestral.jobs.store import Store
from ancestral.jobs.wording import did_you_mean, shortened

#: In a version's folder: when it was published first.
PUBLISHED = "published.json"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True)
class Shelf:
    """The versions of one model, each by the beginning of its digest."""

    name: str
    #: Those in the registry.
    published: tuple[str, ...]
    #: The one that comes with the package, if there is one.
    shipped: str | None
    #: None when latest.json names none that is there, or nothing does.
    latest: str | None

    @property
    def digests(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return _sorted(self.published, self.shipped)

    def meant(self, version: str) -> str:
        """Which of them "latest", nothing, or the beginning of a digest means. Raises
        ModelUnreadable."""
        if version in ("", "latest"):
            if self.latest is None:
                raise ModelUnreadable(
                    f"no version of {self.name!r} is the latest: name one, like "
                    f"{self.name}@{self.digests[0]}"
                )
            return self.latest
        matches = [each for each in self.digests if each.startswith(version[:DIGEST_CHARACTERS])]
        if len(matches) > 1:
            raise ModelUnreadable(f"{self.name}@{version}: {len(matches)} versions begin like this")
        if not matches:
            raise self.unknown(version)
        return matches[0]

    def unknown(self, version: str) -> ModelUnreadable:
        """That none of them is called so."""
        return ModelUnreadable(
            f"{self.name}@{version}: there is no such version; there are {shortened(self.digests)}"
        )


class Shelves:
    """The shelves of all models, in the state store and among what ships."""

    def __init__(self, state: Store, shipped_folder: Path | None) -> None:
        """Opens nothing yet. With `shipped_folder` None, nothing ships."""
        self._state = state
        self._shipped_folder = shipped_folder

    def names(self) -> tuple[str, ...]:
        """Of all models, sorted."""
        paths = (path.split("/") for path in self._state.list("registry"))
        names = {path[1] for path in paths if path[3:] == [CONFIG]}
        if self._shipped_folder is not None:
            names |= {path.parent.name for path in self._shipped_folder.glob(f"*/{CONFIG}")}
        return tuple(sorted(filter(is_name, names)))

    def read(self, name: str) -> Shelf:
        """What there is of a model. Raises ModelUnreadable when there is nothing."""
        published: tuple[str, ...] = ()
        shipped: str | None = None
        if is_name(name):
            paths = (path.split("/") for path in self._state.list(f"registry/{name}"))
            published = tuple(path[2] for path in paths if path[3:] == [CONFIG])
            shipped = self._shipped(name)
        digests = _sorted(published, shipped)
        if not digests:
            hint = did_you_mean(name, self.names())
            raise ModelUnreadable(
                f"no model is called {name!r}{hint} (a folder is written with a slash: ./{name})"
            )
        latest = self._pointer(name) or shipped
        return Shelf(name, published, shipped, latest if latest in digests else None)

    def published_at(self, shelf: Shelf, digest: str) -> str | None:
        """When a version was published first, in ISO 8601; None for one that only ships.

        Raises ModelUnreadable.
        """
        if digest not in shelf.published:
            return None
        path = f"{version_folder(shelf.name, digest)}/{PUBLISHED}"
        return str(read_object(self._state, path).get("at"))

    def _shipped(self, name: str) -> str | None:
        if self._shipped_folder is None:
            return None
        config = self._shipped_folder / name / CONFIG
        return _short(hashlib.sha256(config.read_bytes()).hexdigest()) if config.exists() else None

    def _pointer(self, name: str) -> str | None:
        """What latest.json names; None without one."""
        path = latest_path(name)
        try:
            pointer = as_object(self._state, path, self._state.read(path))
        except NotFound:
            return None
        return _short(str(pointer.get("digest")))


def name_and_version(model: str) -> tuple[str, str]:
    """The parts of `name`, whose version is "", and of `name@latest` or `name@digest`, of which the
    beginning is enough. Raises ModelUnreadable."""
    name, at, version = model.partition("@")
    if at and version != "latest" and not _DIGEST.fullmatch(version):
        raise ModelUnreadable(f"{model}: after '@' goes 'latest' or the beginning of a digest")
    return name, version


def is_name(name: str) -> bool:
    """Whether a model can be called so."""
    return _NAME.fullmatch(name) is not None


def version_folder(name: str, digest: str) -> str:
    """Where a version lies in the state store."""
    return f"registry/{name}/{_short(digest)}"


def latest_path(name: str) -> str:
    """What says which version of a model is the latest, in the state store."""
    return f"registry/{name}/latest.json"


def _sorted(published: tuple[str, ...], shipped: str | None) -> tuple[str, ...]:
    return tuple(sorted({*published, *([] if shipped is None else [shipped])}))


def _short(digest: str) -> str:
    return digest[:DIGEST_CHARACTERS]
