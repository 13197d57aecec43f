"""Folders for a moment: gone afterwards, and somebody is told when there can be none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ancestral.jobs.errors import StoreDenied
from ancestral.jobs.scratch import scratch_folder, staging


def test_a_folder_is_there_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with scratch_folder() as folder:
        (folder / "file").write_bytes(b"")
        assert folder.parent == tmp_path

    assert list(tmp_path.iterdir()) == []


def test_without_a_place_for_it_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")

    with pytest.raises(StoreDenied) as caught, scratch_folder():
        pass

    assert str(caught.value) == (
        "no folder can be made in /proc/nowhere (No such file or directory): make room there, or "
        "set TMPDIR to another folder"
    )


def test_what_breaks_in_it_is_not_its_own() -> None:
    with pytest.raises(OSError, match="broken"), scratch_folder():
        raise OSError("broken")


def test_a_full_folder_for_temporary_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(StoreDenied) as caught, staging():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(caught.value) == (
        f"the requests cannot be kept in {tmp_path} on their way (No space left on device): make "
        "room there, or set TMPDIR to another folder"
    )
    assert list(tmp_path.iterdir()) == []
