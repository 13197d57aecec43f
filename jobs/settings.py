"""What the environment says about this machine. No other file reads these variables.

ANCESTRAL_HOME          where models, state and caches live     ~/.ancestral
ANCESTRAL_STATE         which jobs and models are known: a folder or an fsspec URI   {home}/state
ANCESTRAL_REDIS_URL     the queue's server, like redis://host:6379 or rediss:// over TLS
ANCESTRAL_DATA          where training tables are looked for by name: a folder or an fsspec URI
RAY_ADDRESS             the Ray cluster, like ray-head:6379, or auto
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ancestral.jobs.errors import UsageError
from ancestral.jobs.store import is_uri

#: Models that come with the package, each in a folder that has its name.
SHIPPED_MODELS = Path(__file__).absolute().parents[1] / "orchestration" / "shipped" / "bundles"


@dataclass(frozen=True)
class Settings:
    """Where things are on this machine."""

    home: Path
    #: A store: see `ancestral.jobs.store`.
    state_uri: str
    #: None: no server of one's own, an embedded one serves. May hold a password: never shown.
    redis_url: str | None = field(default=None, repr=False)
    #: None: only tables that ship are known by name.
    data_uri: str | None = None
    #: None: a Ray on this machine, for the length of the command.
    ray_address: str | None = None
    #: Models that are known by name wherever the state has none of that name; None: none.
    shipped_folder: Path | None = SHIPPED_MODELS

    @property
    def cache_folder(self) -> Path:
        """Local copies of what can be fetched again."""
        return self.home / "cache"

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
        """What the variables say; an empty one counts as absent.

        A relative path is one of the folder that the process is in now. Raises UsageError where
        there is neither ANCESTRAL_HOME nor a home directory, and when the state is a file.
        """
        home = Path(environment.get("ANCESTRAL_HOME") or "~/.ancestral")
        try:
            home = home.expanduser().absolute()
        except RuntimeError as error:
            raise UsageError(
                "there is no home directory here: set ANCESTRAL_HOME to a folder"
            ) from error
        return Settings(
            home=home,
            state_uri=_state(environment.get("ANCESTRAL_STATE") or str(home / "state")),
            redis_url=environment.get("ANCESTRAL_REDIS_URL") or None,
            data_uri=environment.get("ANCESTRAL_DATA") or None,
            ray_address=environment.get("RAY_ADDRESS") or None,
        )


def _state(uri: str) -> str:
    """The same, as it is understood in any folder."""
    if is_uri(uri):
        return uri
    path = os.path.abspath(os.path.expanduser(uri))
    if os.path.isfile(path):
        raise UsageError(f"the state is the file {path}: set ANCESTRAL_STATE to a folder or a URI")
    return path
