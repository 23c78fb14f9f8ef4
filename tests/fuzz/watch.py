"""Bounds on one input: processor time, and the memory taken for it."""

from __future__ import annotations

import gc
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS = 10
"""Processor time for one input: megabytes of empty lines need a third of it, the common small file a thousandth."""

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
    """How many bytes a block took at its peak beyond what the process held before; known when it has ended."""

    size = 0


@contextmanager
def measured() -> Iterator[Peak]:
    """Measure the peak memory of a block as the system sees it, which costs no time."""
    peak = Peak()
    gc.collect()
    with suppress(OSError):  # elsewhere the peak of the whole process stands in, which can only hide, never invent
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak so far is the present again
    before = _peak_bytes()
    try:
        yield peak
    finally:
        peak.size = _peak_bytes() - before


def _peak_bytes() -> int:
    try:
        stated = Path("/proc/self/status").read_text(encoding="ascii")
        return int(stated.partition("VmHWM:")[2].split()[0]) << 10
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def bound_process() -> None:
    """Let this process take `ADDRESS_BYTES` more and no further: ``MemoryError`` is a finding like any other."""
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + ADDRESS_BYTES, hard))
