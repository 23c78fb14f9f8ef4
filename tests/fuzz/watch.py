"""Bounds on one input: processor time, and the memory that Python takes for it."""

from __future__ import annotations

import gc
import resource
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10
"""Processor time for one input. The slowest known needs a hundredth; a reader that needs more hangs on a larger file."""

PEAK_BYTES = 48 << 20
"""What reading may take at its peak, payments not kept: with the interpreter itself it stays under 64 MiB."""

ADDRESS_BYTES = 2 << 30
"""Beyond what the process has already: a last net, so that a reader gone wild cannot take the machine with it."""


class TooSlow(BaseException):
    """Raised in the middle of the reader; no handler of ``Exception`` takes it for its own."""


@contextmanager
def bounded_time(seconds: int = SECONDS) -> Iterator[None]:
    """Raise `TooSlow` where the block takes more than *seconds* of processor time; other programs do not count."""

    def stop(*_: object) -> None:
        raise TooSlow(f"took more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Peak:
    """How many bytes a block took at its peak; *size* is known when it has ended."""

    size = 0


@contextmanager
def measured() -> Iterator[Peak]:
    """Measure the block's peak memory. It makes the block some times slower."""
    peak, was_tracing = Peak(), tracemalloc.is_tracing()
    gc.collect()
    if not was_tracing:
        tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    try:
        yield peak
    finally:
        peak.size = tracemalloc.get_traced_memory()[1] - before
        if not was_tracing:
            tracemalloc.stop()


def bound_process() -> None:
    """Let this process take `ADDRESS_BYTES` more and no further: ``MemoryError`` is a finding like any other."""
    with open("/proc/self/statm", encoding="ascii") as stated:
        taken = int(stated.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + ADDRESS_BYTES, hard))
