"""A temporary folder on this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ancestral.jobs.errors import StoreDenied


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder, gone afterwards. Raises StoreDenied when none can be made; what goes wrong
    inside is its caller's."""
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


@contextmanager
def staging() -> Iterator[Path]:
    """A local folder to build shards in, gone afterwards. Raises StoreDenied as `keeping` does."""
    with keeping(), tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def keeping() -> Iterator[None]:
    """Within it shards are built in a local folder. Raises StoreDenied when this machine cannot
    hold them: an OSError is taken for the folder's, for all else there raises errors of ours."""
    try:
        yield
    except OSError as error:
        raise StoreDenied(
            f"the requests cannot be kept in {tempfile.tempdir or 'a temporary folder'} on their "
            f"way ({error.strerror or error}): make room there, or set TMPDIR to another folder"
        ) from error
