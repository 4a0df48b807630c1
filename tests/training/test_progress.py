"""Progress bars on a terminal, and elsewhere lines."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

CODE = "from training.progress import track; list(track(range(3), 'counting', 3))"


@pytest.mark.parametrize("columns", [0, 40, 100])
def test_a_bar_is_shown_even_where_the_terminals_width_is_not_known(columns: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", CODE], cwd=root, stderr=theirs, check=True, timeout=60)
    os.write(theirs, b"end")  # so that there is something to read, come what may
    shown = os.read(ours, 10_000).decode()
    os.close(theirs)
    os.close(ours)
    assert "counting" in shown
    assert "0/3" in shown


def shown(code: str) -> list[str]:
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, check=True, timeout=60, text=True
    )
    return done.stderr.splitlines()


def test_elsewhere_nothing_is_said_of_what_is_soon_done() -> None:
    assert shown(CODE) == []


def test_elsewhere_what_takes_long_has_a_line_now_and_then() -> None:
    code = """
import time, training.progress as progress
progress.PAUSE = 0.2
for _ in progress.track(range(1000), "counting", 1000):
    time.sleep(0.001)
"""
    lines = shown(code)
    assert 1 <= len(lines) <= 20
    assert all(line.startswith("counting:") and "/1000 [" in line for line in lines)
