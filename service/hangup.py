"""SIGHUP: whoever sends it wants all loaded anew; a terminal that closes sends it too and ends the service."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

TERMINAL = Path("/dev/tty")  # the process's own, wherever its input and output go


@contextlib.contextmanager
def loading_through_hangups() -> Iterator[None]:
    """In here SIGHUP ends the process only where its terminal was closed, and not even then where it was ignored."""
    before, on_terminal = signal.getsignal(signal.SIGHUP), has_terminal()

    def hung_up(number: int, frame: object) -> None:
        if on_terminal and not has_terminal():
            signal.raise_signal(signal.SIGTERM)

    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hung_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def reload_on_hangup(reload: Callable[[], Coroutine[None, None, None]]) -> None:
    """From now on SIGHUP loads anew, for as long as the running event loop does, where the process is ours to say so.

    The end of the terminal ends the service as SIGTERM does. Where SIGHUP was ignored until now, as nohup has it, it
    only ever loads anew.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop, reloading = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    ends = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and has_terminal()

    def hung_up() -> None:
        if ends and not has_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
            return
        task = loop.create_task(reload())
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    loop.add_signal_handler(signal.SIGHUP, hung_up)


def has_terminal() -> bool:
    """Whether the process has a terminal, and that is still there."""
    try:
        TERMINAL.open("rb").close()
    except OSError:
        return False
    return True
