"""From a text to the characters that a voice knows.

    "Sept, s'il vous plaît!"  ──▶  " sept s il vous plait "      by a voice that knows no î

A text is folded to small letters. An accent that the voice does not know is left out, and so is the
difference between a space and punctuation. Silence, the character " ", stands at both ends.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ancestral.models.errors import ConditionError

#: The character of silence.
SILENCE = " "


def alphabet(texts: Iterable[str]) -> str:
    """What some texts are spelled with, in order, with silence as the first."""
    found = {character for text in texts for character in _folded(text)}
    return SILENCE + "".join(sorted(each for each in found if not _is_silent(each)))


def spell(text: str, characters: str) -> list[int]:
    """The text as indices among the known characters, between two silences.

    Raises ConditionError when it is blank, or has a letter or a digit that is not among them.
    """
    spelled = [0]
    for character in _folded(text):
        for known in _known(character, characters):
            index = characters.index(known)
            if index or spelled[-1]:
                spelled.append(index)
    if len(spelled) == 1:
        raise ConditionError("a text needs a letter to be said")
    return spelled if spelled[-1] == 0 else [*spelled, 0]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _is_silent(character: str) -> bool:
    """Whether it is a space, a symbol or punctuation."""
    return character.isspace() or unicodedata.category(character)[0] in "PS"


def _known(character: str, characters: str) -> str:
    """What of a character the voice knows. Raises ConditionError when that is nothing."""
    if character in characters:
        return character
    if _is_silent(character):
        return SILENCE
    parts = unicodedata.normalize("NFD", character)
    bare = "".join(part for part in parts if not unicodedata.category(part).startswith("M"))
    if all(part in characters for part in bare):
        return bare
    raise ConditionError(
        f"the voice knows no {character!r}: write the text with {characters.strip()}"
    )
