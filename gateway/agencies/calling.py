"""Calling somebody else's code without being held up by it (ADR 0027).

A hook runs on a companion thread while its caller waits. The caller leaves when the hook gives no sign of life; what the
companion does afterwards comes to nothing, because its ways back into the host are a gate, and the gate is closed.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds a plugin may be silent, and seconds it is left alone after it was silent for longer.

    *per_mebibyte* is added for files that a hook reads or writes without a sign: a twentieth of what the slowest of ours
    manages. Its checks run inside transactions that other people wait for, hence *check*.
    """

    load: float = 20
    check: float = 10
    hook: float = 30
    per_mebibyte: float = 1
    cooling: float = 240


class Silent(Exception):
    """The callee gave no sign of life for too long. It was left behind."""


class Raised(Exception):
    """The callee raised *error*: its own doing, unlike whatever strikes the caller while it waits."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class _Left(BaseException):
    """Raised where nobody waits any more: on the companion, never in the host. No ``except Exception`` swallows it."""


class Gate:
    """The way of a hook back into the host. Each passage is a sign of life; none is possible once the caller has left."""

    def __init__(self) -> None:
        self._lock, self._is_closed = threading.Lock(), False
        self._last = time.monotonic()
        self.host_error: BaseException | None = None

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside the host."""
        with self._lock:
            if self._is_closed:
                raise _Left
            try:
                yield
            finally:
                self._last = time.monotonic()

    def handing(self, items: Iterable[T]) -> Iterator[T]:
        """Hand *items* to the plugin one by one. Making them is the host's work, and what goes wrong there is its own."""
        source, done = iter(items), object()
        lock, clock = self._lock, time.monotonic
        while True:  # `passed` written out: an evening hands over a hundred thousand
            lock.acquire()
            try:
                if self._is_closed:
                    raise _Left
                item: Any = next(source, done)
            except Exception as error:
                self.host_error = error
                raise
            finally:
                self._last = clock()
                lock.release()
            if item is done:
                return
            yield item

    def close(self) -> None:
        """Let nobody through any more; waits for who is inside."""
        with self._lock:
            self._is_closed = True

    def close_if_silent(self, seconds: float) -> float:
        """Close the gate after *seconds* without a sign; return how long to wait before asking again, 0 once closed."""
        if not self._lock.acquire(blocking=False):
            return seconds  # inside the host, whose own limits hold
        try:
            rest = self._last + seconds - time.monotonic()
            self._is_closed = rest <= 0
            return max(rest, 0)
        finally:
            self._lock.release()


class _Job(Generic[T]):
    """One call on its way to a companion and back."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work, self._context = work, copy_context()
        self.over: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def do(self) -> None:
        try:
            self.over.put((self._context.run(self._work), None))
        except BaseException as error:  # noqa: BLE001  # also SystemExit: raised again where somebody waits
            self.over.put((None, error))


class _Companion(threading.Thread):
    """Does one call after the other."""

    def __init__(self) -> None:
        super().__init__(name="plugin", daemon=True)
        self.jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self.start()

    def run(self) -> None:
        try:
            while job := self.jobs.get():
                job.do()
                del job  # what was asked for is not kept until the next question
        except _Left:
            return

    def leave_behind(self) -> None:
        """End the thread as soon as it runs Python again: a loop would otherwise keep a processor for ever."""
        assert self.ident is not None
        self.jobs.put(None)  # for one that has just come to its end by itself, or swallowed what follows
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(_Left))


_idle: list[_Companion] = []
"""Companions without work. Appending and popping are one step each, so no lock is needed."""


def call(work: Callable[[], T], seconds: float, gate: Gate | None = None) -> T:
    """Return what *work* returns.

    Args:
        work: somebody else's code.
        seconds: how long it may give no sign of life.
        gate: through which it comes back into the host; without one it gives no sign before it ends.

    Raises:
        Silent: it was left behind.
        Raised: it raised something. What the host raised behind the gate is raised as it is, whatever became of it.
    """
    gate, job = gate or Gate(), _Job(work)
    try:
        companion = _idle.pop()
    except IndexError:
        companion = _Companion()
    companion.jobs.put(job)
    try:
        value, error = _outcome(job, gate, seconds)
    except BaseException:  # silent, or the caller itself is being ended: the hook may not go on without it
        gate.close()
        companion.leave_behind()
        raise
    gate.close()  # a thread of the plugin's own may still hold what it was handed
    _idle.append(companion)
    if gate.host_error is not None:
        raise gate.host_error
    if error is not None:
        raise Raised(error) from error
    return cast("T", value)


def _outcome(job: _Job[Any], gate: Gate, seconds: float) -> tuple[Any, BaseException | None]:
    wait = seconds
    while wait:
        try:
            return job.over.get(timeout=wait)
        except Empty:
            wait = gate.close_if_silent(seconds)
    raise Silent(f"no answer in {seconds:g} seconds")
