"""Ctrl-C, and the SIGTERM with which a container is stopped: the same, and answered where the work can stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """Somebody stopped the work; `str()` says what is on disk and how to go on."""


class Interruption:
    """Turns both signals into `KeyboardInterrupt`; inside `noted()` the first one only makes it true.

    A second Ctrl-C there stops at once; a second SIGTERM does not, as it may come from who starts and who watches the
    process alike, and is followed by SIGKILL where patience ends.

    In another thread than the main one there are no signals to take, and it stays false.
    """

    def __init__(self) -> None:
        self._pressed = False
        self._patient = False

    def __bool__(self) -> bool:
        return self._pressed

    @contextmanager
    def taken(self) -> Iterator[Interruption]:
        """Take the signals; at the end they are as they were."""
        try:
            before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread
            yield self
            return
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A signal waits to be asked for, at the latest until the end; a second Ctrl-C stops at once."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False
        if self._pressed:
            raise KeyboardInterrupt

    def _take(self, number: int, frame: FrameType | None) -> None:
        if not self._patient or (self._pressed and number == signal.SIGINT):
            raise KeyboardInterrupt
        self._pressed = True
