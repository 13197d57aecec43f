"""The simulation finds the bugs that it is there for."""

from __future__ import annotations

import pytest

from tests.faults.planted import PLANTED, planted
from tests.faults.simulation import play

#: Every planted bug must be found within so many seeds.
SEEDS = 200


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Given the real code with one bug.
    with planted(name):
        # When worlds are played until one is violated.
        outcomes = (play(seed) for seed in range(SEEDS))
        found = next((each for each in outcomes if each.violation is not None), None)

    # Then that is soon enough; and without the bug, that very world is sound.
    assert found is not None
    with capsys.disabled():
        print(f"\n{name}: found at seed {found.seed}: {found.violation}"[:300])  # noqa: T201
    assert play(found.seed).violation is None
