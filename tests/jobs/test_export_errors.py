"""What libraries say, in one line."""

from __future__ import annotations

import pytest

from ancestral.jobs.export_errors import QUOTED_CHARACTERS, quoted


def test_words_come_in_one_line_without_colours_and_answers() -> None:
    error = OSError("Generic error\n   \x1b[31m↳\x1b[0m 403 Forbidden\n <?xml?><Key>secret</Key>")

    assert quoted(error) == "Generic error ↳ 403 Forbidden"


def test_a_user_and_a_password_are_left_out() -> None:
    assert quoted(OSError("no answer of https://ann:sesame@host/x")) == (
        "no answer of https://***@host/x"
    )


@pytest.mark.parametrize("password", ["se/same", "s@same", "s/a@m:e"])
def test_so_is_a_password_of_any_characters(password: str) -> None:
    assert quoted(OSError(f"no catalog at postgresql://ann:{password}@host/db, try again")) == (
        "no catalog at postgresql://***@host/db, try again"
    )


def test_signatures_are_left_out() -> None:
    assert quoted(OSError("403: https://host/a.parquet?sig=abc&se=1 is not yours")) == (
        "403: https://host/a.parquet?*** is not yours"
    )


def test_long_words_are_cut_and_none_are_the_errors_name() -> None:
    assert quoted(OSError("x" * 1000)) == "x" * QUOTED_CHARACTERS + "..."
    assert quoted(TimeoutError()) == "TimeoutError"
