"""What the libraries of tables raise, in sentences of our own."""

from __future__ import annotations

import re

from ancestral.jobs.errors import UsageError

#: Characters of a library's own words that are quoted.
QUOTED_CHARACTERS = 300

_COLOURS = re.compile("\x1b\\[[0-9;]*m")
# A password may hold any of the characters that end one.
_USER = re.compile(r"//\S*@")
# Signatures of what may be read without a password.
_QUERY = re.compile(r"(://[^\s?]*)\?\S+")


def not_installed(library: str) -> UsageError:
    """What to do about a library that is not there."""
    return UsageError(f"this needs {library}: pip install 'ancestral[lake]'")


def quoted(error: Exception) -> str:
    """The library's own words in one line, without what they could hold of a password, and without
    the answers of servers."""
    words = " ".join(_COLOURS.sub("", str(error)).partition("<?xml")[0].split())
    words = _QUERY.sub(r"\1?***", _USER.sub("//***@", words)) or type(error).__name__
    return words if len(words) <= QUOTED_CHARACTERS else f"{words[:QUOTED_CHARACTERS]}..."
