"""What commands print for people."""

from __future__ import annotations

import errno
import io
import json
import sys

import pytest
import yaml

from ancestral.orchestration.commands.output import (
    print_columns,
    print_json,
    print_table,
    print_yaml,
    say,
)

HEADS = ("field", "takes", "what it is")
ROWS = [
    ("label", "one of Activities, Animals & Nature, Flags, Objects", "What the image shows."),
    ("keep", "from 1 to 31", "Rows of it to keep."),
]


def test_a_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns(HEADS, ROWS)

    head, first, second = capsys.readouterr().out.splitlines()
    assert first == "  ".join(ROWS[0])
    assert head.index("what it is") == second.index("Rows of it") == first.index("What the")


def test_a_table_is_wrapped_to_a_width(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns(HEADS, ROWS, width=60)

    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "field  takes                           what it is",
        "label  one of Activities, Animals &    What the image shows.",
        "       Nature, Flags, Objects",
        "keep   from 1 to 31                    Rows of it to keep.",
    ]
    assert max(map(len, lines)) <= 60


def test_columns_stay_wide_enough_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns(HEADS, ROWS, width=1)

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"field  {'takes':<16}  what it is"
    assert "".join(line[7:23].strip() for line in lines[1:5]).startswith("one of")


def test_no_text_of_others_reaches_the_terminal_as_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_columns(HEADS, [("label", "\x1b]0;owned\x07", "\x9b2Jred \u202edet")], width=60)
    print_table([("note", "\x1b[31mred\r"), ("name", "naïve 👩‍🚀")])

    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x07\x9b\r\u202e")
    assert "naïve 👩‍🚀" in out and "]0;owned" in out


def test_a_document_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"name": "Ziffern für 日本"}

    print_json(document)

    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == document


@pytest.mark.parametrize(("label", "shown"), [("日本", "日本"), ("\u202edet", '"\\u202Edet"')])
def test_yaml_has_the_characters_that_a_terminal_shows(
    capsys: pytest.CaptureFixture[str], label: str, shown: str
) -> None:
    print_yaml({"grid": {"label": [label]}})

    out = capsys.readouterr().out
    assert out == f"grid:\n  label: [{shown}]\n"
    assert yaml.safe_load(out) == {"grid": {"label": [label]}}


def test_what_nobody_hears_any_more_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        """A terminal that is gone."""

        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Closed())

    say("a sampler died")
