"""A folder of this machine for what is needed for a moment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ancestral.jobs.errors import StoreDenied


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder, gone afterwards. Raises StoreDenied when none can be made."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="ancestral-")
    except OSError as error:
        where = tempfile.tempdir or "the places for temporary files"
        raise StoreDenied(
            f"no folder can be made in {where} ({error.strerror or error}): make room there, or "
            "set TMPDIR to another folder"
        ) from error
    with folder as name:
        yield Path(name)
