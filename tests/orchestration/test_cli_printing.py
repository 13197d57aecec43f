"""Terminals that cannot show a character, and disks that have no room for what is printed."""

from __future__ import annotations

import io
import json
import sys

import pytest

from ancestral.jobs.client import Client
from ancestral.jobs.memory_queue import MemoryQueue
from ancestral.orchestration.cli import main
from tests.orchestration.home import Home
from tests.orchestration.tiny import tiny_spec


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_name_that_the_terminal_cannot_show_is_shown_as_far_as_it_can(
    home: Home, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    # Given a terminal of western Europe
    spec = {**tiny_spec(home.lake), "name": "Ziffern für 日本"}
    Client(home.settings, MemoryQueue()).submit(spec)
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, encoding="latin-1"))

    with pytest.raises(SystemExit) as ended:
        main(["ls", *options])

    assert ended.value.code == 0
    name = json.dumps(spec["name"])[1:-1] if options else "Ziffern für \\u65e5\\u672c"
    assert name in screen.getvalue().decode("latin-1")


def test_a_full_disk_under_the_output_is_said(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Client(home.settings, MemoryQueue()).submit(tiny_spec(home.lake))
    full = open("/dev/full", "w")
    monkeypatch.setattr(sys, "stdout", full)

    with pytest.raises(SystemExit) as ended:
        main(["ls"])

    assert ended.value.code == 1
    assert capsys.readouterr().err == "ancestral: No space left on device\n"
    # And what was not written does not break the end of the process
    full.close()
