"""The first signal asks, the second one ends, unless a terminal was closed."""

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


@pytest.mark.usefixtures("attended")
def test_a_terminal_that_is_closed_asks_however_often_it_says_so() -> None:
    before = signal.getsignal(signal.SIGHUP)

    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt.wait(10)
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupt.wait(10)

    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.usefixtures("attended")
def test_a_session_that_ends_sends_two_signals_and_asks_once() -> None:
    both = {signal.SIGHUP, signal.SIGTERM}

    with Interrupt() as interrupt:
        # Given that both wait to be heard
        before = signal.pthread_sigmask(signal.SIG_BLOCK, both)
        for each in both:
            os.kill(os.getpid(), each)

        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        assert interrupt.wait(10)


def test_under_nohup_a_terminal_may_be_closed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupt.wait(0.01)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
