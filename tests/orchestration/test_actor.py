"""How a sampler process ends."""

from __future__ import annotations

import pytest

from ancestral.orchestration import actor


def test_a_process_that_hangs_ends_once_its_last_news_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    done: list[tuple[str, float]] = []
    monkeypatch.setattr("time.sleep", lambda seconds: done.append(("slept", seconds)))
    monkeypatch.setattr("os._exit", lambda code: done.append(("ended", code)))

    # When
    actor.end_process()

    # Then
    assert done == [("slept", actor.LAST_WORDS_SECONDS), ("ended", actor.HUNG)]
