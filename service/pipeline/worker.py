"""Processes that compute for this one."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import multiprocessing
import os
import pickle
import select
import signal
import socket
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

log = logging.getLogger("bma.worker")

END = 5.0  # seconds that a process has to end by itself
SIZE = 8  # bytes of a number in front of a message
ALIGNED = 64  # bytes; each part of a message begins at a multiple
PIECES = 1000  # in one call of the system; it takes no more than 1,024
# Turns for which a core that has done its part of an operation looks for the next before it sleeps. libgomp's own
# 300,000 are milliseconds, in which a file that is computed on all cores holds up the decoding of the next.
SPIN = "10000"
# Memory in pages of 2 MB where the kernel gives them to who asks: a batch reads all of a model's weights, and to find
# 4 KB after 4 KB of them takes a twentieth to a tenth of its time. glibc reads this when a program starts; other C
# libraries do not know it.
HUGE_PAGES = "glibc.malloc.hugetlb=1"

# Workers are forked from a process that has imported what they need and does nothing else: they start in milliseconds,
# share its memory, and no thread can hold a lock at that moment. On macOS what is imported does not bear a fork.
_context: Any = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "forkserver")
_context.set_forkserver_preload(["service.pipeline.reader", "service.pipeline.lane"])


class WorkerDied(Exception):
    """A worker's process has ended with a call in it."""


class _WorkerGone(WorkerDied):
    """It had ended before."""


class NoWorker(Exception):
    """No process can be started now."""


class Worker:
    """A process with an object of its own, whose methods are called from here, one at a time.

    It computes beside this process, where threads would take turns for Python's lock, and a crash in it, as of a
    decoder on a malicious file, ends nothing else. It ends with this process, however that ends.

    Args:
        name: in logs.
        make: makes the object in the worker's process; pickled.
        arguments: its own.
        nice: how far the process steps back for this one, and for others that have less.
    """

    def __init__(self, name: str, make: Callable[..., Any], *arguments: Any, nice: int = 0) -> None:
        self.name = name
        self._socket, theirs = socket.socketpair()
        self._answer = select.poll()
        self._answer.register(self._socket, select.POLLIN)
        try:
            with _starting, theirs:  # multiprocessing looks after its children without a lock
                self._process = _context.Process(target=_work, args=(theirs,), name=name, daemon=True)
                self._process.start()
        except BaseException:
            self._socket.close()
            raise
        _living.add(self)
        with contextlib.suppress(OSError):  # the first call says so
            _send(self._socket, (nice, make, arguments))

    def call(self, method: str, *arguments: Any, seconds: float | None = None) -> tuple[bool, Any]:
        """Call a method; whether it returned, and what it returned or raised.

        Args:
            method: its name.
            arguments: its own.
            seconds: that it may take.

        Raises:
            WorkerDied: the process has ended.
            TimeoutError: it is still at work. It can't be called again, only closed.
        """
        try:
            _send(self._socket, (method, arguments))
        except OSError as error:
            raise _WorkerGone(self._end()) from error
        try:
            if self._answer.poll(None if seconds is None else 1000 * seconds):
                found: tuple[bool, Any] = _receive(self._socket)
                return found
        except (EOFError, OSError) as error:
            raise WorkerDied(self._end()) from error
        raise TimeoutError(f"the process '{self.name}' was at work for more than {seconds:g} s")

    def close(self, now: bool = False) -> None:
        """Let the process end, after what it is doing unless `now`, and wait for it."""
        self._socket.close()
        with _starting:
            if not now:
                self._process.join(END)
            if self._process.exitcode is None:
                self._process.kill()
                self._process.join()
            self._process.close()
        _living.discard(self)

    def _end(self) -> str:
        self._process.join(END)
        return f"the process '{self.name}' has ended ({_reason(self._process.exitcode)})"


class Workers:
    """As many workers of one kind as there are threads that call at once.

    Args:
        name, make, arguments, nice: of each, see `Worker`.
    """

    def __init__(self, name: str, make: Callable[..., Any], *arguments: Any, nice: int = 0) -> None:
        self._new = lambda: Worker(name, make, *arguments, nice=nice)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []  # the latest last: its caches are warm
        self._closed = False

    def start(self) -> None:
        """Have one more, before it is needed. Raises `NoWorker`."""
        self._give_back(self._started())

    def call(self, method: str, *arguments: Any, seconds: float | None = None) -> Any:
        """What a method of one of them gives, or raises; see `Worker.call`.

        Raises:
            WorkerDied, TimeoutError: of this call; the next one has another worker.
            NoWorker: the system has no room for another process.
        """
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            worker = idle or self._started()
            try:
                good, outcome = worker.call(method, *arguments, seconds=seconds)
                break
            except BaseException as error:
                worker.close(now=True)
                if idle is None or not isinstance(error, _WorkerGone):
                    raise
                log.warning("%s, and another takes its place", error)
        self._give_back(worker)
        if good:
            return outcome
        try:
            raise outcome
        finally:
            del outcome  # its traceback holds this frame

    def close(self) -> None:
        """Let all of them end."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for worker in idle:
            worker.close()

    def _started(self) -> Worker:
        try:
            return self._new()
        except OSError as error:
            raise NoWorker(f"no process can be started that does this ({error.strerror or error})") from error

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(worker)
                return
        worker.close()


def prepare() -> None:
    """Let what workers are forked from load what they need, while this process still loads its own.

    Sets, where the environment does not, how long the cores of one operation wait for each other, which torch reads
    when it is imported, and that the workers' memory is in large pages.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if HUGE_PAGES.partition("=")[0] not in tunables:
        os.environ["GLIBC_TUNABLES"] = f"{tunables}:{HUGE_PAGES}".lstrip(":")
    if _context.get_start_method() == "forkserver":
        from multiprocessing.forkserver import ensure_running

        ensure_running()


def _work(connection: socket.socket) -> None:
    """What the process does, until the other end of its connection is closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # sent to all of a group: the service says when
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(EOFError, OSError):
        nice, make, arguments = _receive(connection)
        os.nice(nice)
        made = make(*arguments)
        del arguments
        gc.freeze()
        while True:
            method, arguments = _receive(connection)
            try:
                outcome = (True, getattr(made, method)(*arguments))
            except Exception as error:  # noqa: BLE001 - it is the caller's
                outcome = (False, error)
            del arguments  # its memory is not kept until the next call
            _send(connection, outcome)
            del outcome


def _send(connection: socket.socket, message: Any) -> None:
    """A message in one call of the system, as far as may be: in each a thread gives up Python and has to get it back.

    Arrays are sent from where they lie. Plain pickle: multiprocessing's own is slower, and would lay tensors into
    shared memory, of which a container has little.
    """
    arrays: list[pickle.PickleBuffer] = []
    data = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
    parts = [memoryview(data), *(array.raw() for array in arrays)]
    table = b"".join(number.to_bytes(SIZE) for number in (len(parts), *(part.nbytes for part in parts)))
    pieces = [memoryview(b"")]
    for part in (memoryview(table), *parts):
        pieces += part, memoryview(bytes(-part.nbytes % ALIGNED))
    pieces[0] = memoryview(sum(piece.nbytes for piece in pieces).to_bytes(SIZE))
    while pieces:
        sent = connection.sendmsg(pieces[:PIECES])
        while pieces and sent >= pieces[0].nbytes:
            sent -= pieces.pop(0).nbytes
        if sent:
            pieces[0] = pieces[0][sent:]


def _receive(connection: socket.socket) -> Any:
    """What `_send` has sent; arrays lie in what was received. Raises EOFError where the other end is closed, and
    OSError.
    """
    pieces = memoryview(_read(connection, int.from_bytes(_read(connection, SIZE))))
    count = 1 + int.from_bytes(pieces[:SIZE])
    sizes = [int.from_bytes(pieces[SIZE * place : SIZE * (place + 1)]) for place in range(1, count)]
    parts, begin = [], SIZE * count
    for size in sizes:
        begin += -begin % ALIGNED
        parts.append(pieces[begin : begin + size])
        begin += size
    return pickle.loads(parts[0], buffers=parts[1:])


def _read(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view, 0, socket.MSG_WAITALL)
        if not count:
            raise EOFError
        view = view[count:]
    return data


def _reason(code: int | None) -> str:
    if code is None:
        return "no longer answers"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end_all() -> None:
    """Before multiprocessing waits for its children, which wait for the end of their connections."""
    for worker in list(_living):
        worker.close(now=True)


_starting = threading.Lock()
_living: weakref.WeakSet[Worker] = weakref.WeakSet()
atexit.register(_end_all)
