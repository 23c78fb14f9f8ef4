"""Work for the database done behind the caller's back, while the caller makes the next rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self


class Behind:
    """Does one piece of work at a time on a thread of its own.

    A context manager, to be entered inside the transaction that the work belongs to: leaving it waits for the work under
    way, so that nothing is rolled back under a statement, and raises what that raised where nothing else went wrong. While work is under way nobody else may use its connection;
    `settle` first.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "behind")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self.settle()
        finally:
            self._thread.shutdown()

    def hand(self, work: Callable[[], None]) -> None:
        """Begin *work* when what was handed before is done; raises what that raised."""
        self.settle()
        self._under_way = self._thread.submit(work)

    def settle(self) -> None:
        """Wait until nothing is under way; raises what the work raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()
