"""Files on their way from a plugin to the database: written to local disk, read back before anything is committed."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO, Self

from gateway.agencies import Agency
from gateway.domain.exchange import Agreement, Envelope


class Spool:
    """Keeps the files of one export until they are stored (a `Sink`)."""

    def __init__(self) -> None:
        self.files: dict[str, BinaryIO] = {}

    @contextmanager
    def open(self, filename: str) -> Iterator[BinaryIO]:
        """Return the stream for *filename*, replacing an earlier file of that name."""
        file: Any = tempfile.TemporaryFile()  # noqa: SIM115  # outlives this block on purpose
        self.files[filename] = file
        yield file
        file.seek(0)

    def reader(self, filename: str) -> BinaryIO:
        """Return a second stream over a finished file, with a position of its own; it outlives `close`."""
        return io.BufferedReader(_SamePages(os.dup(self.files[filename].fileno())))

    def close(self) -> None:
        """Give the space back."""
        for file in self.files.values():
            file.close()


class _SamePages(io.RawIOBase):
    """Reads a descriptor without moving the position that its duplicates share."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        self._position = offset + (begin[whence] if whence in begin else os.fstat(self._descriptor).st_size)
        return self._position

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class Verification:
    """Reads finished files back while the last statements of the run reach the database.

    A context manager; nothing may be committed before `settle` has returned.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "verify")
        self._started: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def start(self, agency: Agency, envelope: Envelope, agreement: Agreement, content: BinaryIO) -> None:
        """Begin to read *content* back; it is closed afterwards."""

        def read_back() -> None:
            with content:
                agency.verify_envelope(envelope, agreement, content)

        self._started.append(self._thread.submit(read_back))

    def settle(self) -> None:
        """Wait for all of them.

        Raises:
            PluginError: a file's bytes do not hold what its envelope says; nothing of the run may be committed.
        """
        for one in self._started:
            one.result()


class NullSink:
    """Takes bytes and forgets them: for a preview, which must meet the same errors as the run."""

    @contextmanager
    def open(self, filename: str) -> Iterator[BinaryIO]:  # noqa: ARG002
        """Return a stream that keeps nothing."""
        with io.BufferedWriter(_Nowhere()) as stream:
            yield stream


class _Nowhere(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)
