"""Texts that requests give, and how a model reads them that knows some characters only.

    "Père,\tSeven!"  ──▶  "père,\tseven!"  ──▶  "pere  seven "       with the characters a to z
     as it is written      in one case           as it is read

A character that the model knows is read as it is; a blank as " "; an accented letter as the letter
itself where only that is known; other punctuation and symbols as " "; and characters that are not
seen, like soft hyphens, are left out. Numbers, letters and vowel signs that are not known are
refused, since nobody can say what the model would make of them. A request keeps its text as it was
written: models read it by the same rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from ancestral.jobs.errors import RequestProblem
from ancestral.jobs.wording import shortened, shown


def checked_text(name: str, field: Mapping[str, Any], value: object) -> str:
    """A text of 1 to `longest` characters that says something, as it was written.

    Raises RequestProblem.
    """
    longest, characters = field["longest"], field.get("characters")
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= longest
        or value.isspace()
        # Half a surrogate pair, which JSON can spell, is no character of any text.
        or re.search("[\ud800-\udfff]", value)
    ):
        raise RequestProblem(
            f"{name!r} should be a text of 1 to {longest} characters that is not blank, "
            f"not {shown(value)}"
        )
    if characters is not None and not spelled(name, value, characters).strip():
        raise RequestProblem(
            f"{name!r} should have some of {_listed(characters)} in it, not just {shown(value)}"
        )
    return value


def spelled(name: str, text: str, characters: str) -> str:
    """The text of the field `name` as a model reads it that knows these `characters`: in them, and
    in " " for what only parts words.

    Raises RequestProblem that names a character that cannot be read.
    """
    read = []
    for character in in_one_case(text):
        as_read = _read(character, characters)
        if as_read is None:
            number = unicodedata.category(character).startswith("N")
            how = "write it in words of" if number else "spell it with"
            raise RequestProblem(
                f"{name!r} has {shown(character)} in it, which the model cannot read: {how} "
                f"{_listed(characters)}"
            )
        read.append(as_read)
    return "".join(read)


def characters_problem(name: str, characters: object) -> str:
    """What is wrong with the `characters` that a text declares, as the end of a sentence."""
    if not isinstance(characters, str) or not characters.strip():
        return f"gives the text {name!r} 'characters' that are no text"
    never = [each for each in characters if in_one_case(each) != each]
    if never:
        return (
            f"gives the text {name!r} 'characters' that no text has in lower case: "
            f"{shortened(never)}"
        )
    return ""


def in_one_case(text: str) -> str:
    """The text in composed characters (NFC) whose case is folded: "Straße" is "strasse"."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _read(character: str, characters: str) -> str | None:
    if character in characters:
        return character
    if character.isspace() or unicodedata.category(character)[0] in "PS":
        return " "
    if _is_unseen(character):
        return ""
    parts = unicodedata.normalize("NFD", character)
    letters = "".join(part for part in parts if not _is_accent(part))
    return letters if all(letter in characters for letter in letters) else None


def _is_unseen(character: str) -> bool:
    """Whether it has no shape of its own: a format character, or a variation selector."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _is_accent(part: str) -> bool:
    """Whether it is a mark of a letter that is still the same letter: through it (1), a point of
    Hebrew or Arabic (10 to 36), or attached to it, under or over it (from 200 on). Marks of other
    classes make another letter: vowel signs, nuktas, voicing marks, viramas."""
    combining = unicodedata.combining(part)
    return combining == 1 or 10 <= combining <= 36 or combining >= 200


def _listed(characters: str) -> str:
    return shortened(character for character in characters if not character.isspace())
