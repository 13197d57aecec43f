"""Being asked to stop: Ctrl-C, the TERM signal of a container that is being taken down, or the HUP
signal of a terminal that is closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """While the context is open, the first signal only sets `asked`; a second one ends at once.

    HUP never does that, nor counts as the first: of a terminal that is closed the shell and the
    kernel may both send it, and a session that ends sends TERM beside it. Where it is ignored, as
    under nohup, it stays so.

    To be opened in the main thread; for TERM after Ray was started, which installs a handler of its
    own.
    """

    def __init__(
        self,
        signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
    ) -> None:
        self._signals = signals
        self._asked = threading.Event()
        #: Whether INT or TERM has come: the next one raises KeyboardInterrupt.
        self._pressed = False
        self._before: dict[signal.Signals, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether somebody asked to stop."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but not when asked to stop; whether that was asked."""
        return self._asked.wait(seconds)

    def __enter__(self) -> Self:
        for each in self._signals:
            if each == signal.SIGHUP and signal.getsignal(each) == signal.SIG_IGN:
                continue
            self._before[each] = signal.signal(each, self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            if self._pressed:
                raise KeyboardInterrupt
            self._pressed = True
        self._asked.set()
