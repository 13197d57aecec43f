"""The first signal asks, the second one ends."""

from __future__ import annotations

import os
import signal

import pytest

from ancestral.orchestration.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_one_ends(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with Interrupt() as interrupt:
        assert not interrupt.asked
        assert not interrupt.wait(0.001)

        os.kill(os.getpid(), number)
        assert interrupt.wait(10)
        assert interrupt.asked

        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            interrupt.wait(10)

    assert signal.getsignal(number) is before
