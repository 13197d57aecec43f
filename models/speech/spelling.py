"""From a text to the characters that a voice knows.

    "Sept, s'il vous plaît!"  ──▶  " sept s il vous plait "      by a voice that knows no î

A text is folded to small letters. An accent that the voice does not know is left out, and so are
the difference between a space and punctuation, and what is not seen. Silence, the character " ",
stands at both ends.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ancestral.models.errors import ConditionError

#: The character of silence.
SILENCE = " "


def alphabet(texts: Iterable[str]) -> str:
    """What some texts are spelled with, in order, with silence as the first."""
    found = {character for text in texts for character in in_one_case(text)}
    said = (each for each in found if not _is_silent(each) and not _is_unseen(each))
    return SILENCE + "".join(sorted(said))


def spell(text: str, characters: str) -> list[int]:
    """The text as indices among the known characters, between two silences.

    Raises ConditionError when it is blank, or has a letter, a digit or a vowel sign that is not
    among them.
    """
    spelled = [0]
    for character in in_one_case(text):
        for known in _known(character, characters):
            index = characters.index(known)
            if index or spelled[-1]:
                spelled.append(index)
    if len(spelled) == 1:
        raise ConditionError("a text needs a letter to be said")
    return spelled if spelled[-1] == 0 else [*spelled, 0]


def in_one_case(text: str) -> str:
    """The text in composed characters (NFC) whose case is folded."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _is_silent(character: str) -> bool:
    """Whether it is a space, a symbol or punctuation."""
    return character.isspace() or unicodedata.category(character)[0] in "PS"


def _is_unseen(character: str) -> bool:
    """Whether it has no shape of its own: a format character, or a variation selector."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


def _is_accent(part: str) -> bool:
    """Whether it is a mark of a letter that is still the same letter: through it (1), a point of
    Hebrew or Arabic (10 to 36), or attached to it, under or over it (from 200 on). Marks of other
    classes make another letter: vowel signs, nuktas, voicing marks, viramas."""
    combining = unicodedata.combining(part)
    return combining == 1 or 10 <= combining <= 36 or combining >= 200


def _known(character: str, characters: str) -> str:
    """What of a character the voice knows. Raises ConditionError when that is nothing."""
    if character in characters:
        return character
    if _is_silent(character):
        return SILENCE
    if _is_unseen(character):
        return ""
    parts = unicodedata.normalize("NFD", character)
    bare = "".join(part for part in parts if not _is_accent(part))
    if all(part in characters for part in bare):
        return bare
    raise ConditionError(
        f"the voice knows no {character!r}: write the text with {characters.strip()}"
    )
