"""Training tables by name: those that ship, and those in the folder that ANCESTRAL_DATA names."""

from __future__ import annotations

import os
import re

from ancestral.jobs.datasets import is_file
from ancestral.jobs.errors import SpecError
from ancestral.jobs.settings import Settings
from ancestral.jobs.wording import did_you_mean
from ancestral.orchestration.training.recipe import shipped


def table_uri(path: str) -> str:
    """Where a table lies: a name is that of one that ships, or else of NAME.parquet in the folder
    or URI ANCESTRAL_DATA, and may be a glob there; whatever is no name is a path or URI already.

    Raises SpecError, which says where a name was looked for.
    """
    ships = shipped(".parquet")
    if path in ships:
        return str(ships[path])
    if not re.fullmatch(r"[\w*-]+", path):
        return path
    folder = Settings.from_environment().data_uri
    there = f"{folder.rstrip('/')}/{path}.parquet" if folder is not None else None
    if there is not None and ("*" in path or is_file(there)):
        return there
    if os.path.exists(path):
        return path
    looked = f"there is no {there}" if there is not None else "ANCESTRAL_DATA is not set"
    raise SpecError(f"no table {path!r} ships, and {looked}{did_you_mean(path, ships)}")


def absolute_table(path: str) -> str:
    """The same table for other working folders; a name stays one, for each machine to look up.

    Raises SpecError.
    """
    if table_uri(path) != path or "://" in path:
        return path
    return os.path.abspath(path)
