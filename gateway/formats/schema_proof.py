"""Proves a file valid against the schema while it is being written, in a process of its own.

Checking an evening's file takes a tenth of the time it takes to make it, and would have to wait for its last byte. A
second process reads the growing file instead and is asked at sealing; it is told only how far to read, so that the writer
never waits for it. What it proves is tied to the SHA-256 of the bytes it saw, so a file that is not byte for byte the one
written is checked again, as is one whose proof failed or never came.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from gateway.domain.exchange import Sink

WORTH_BYTES = 1 << 20
"""A shorter file is checked sooner than a process starts."""
_CHUNK_BYTES = 1 << 18
_KEPT = 4
_PATIENCE_SECONDS = 15
"""Longer than the rest of a file takes, and shorter than a hook may be silent: without an answer we check ourselves."""
_proofs: OrderedDict[tuple[Path, bytes], subprocess.Popen[bytes]] = OrderedDict()


class ProvingSink:
    """A sink whose files are proven valid against *schema_path* while a plugin writes them.

    Args:
        sink: where the files really go; a sink that keeps nothing is left alone.
        schema_path: the schema.
        unit: name of the repeated element, as ``{namespace}local``; see `XmlSchema.validate_stream`.
    """

    def __init__(self, sink: Sink, schema_path: Path, unit: str) -> None:
        self._sink, self._schema_path, self._unit = sink, schema_path, unit

    @contextmanager
    def open(self, filename: str) -> Iterator[BinaryIO]:
        """Return the stream for *filename*."""
        with self._sink.open(filename) as stream:
            if not _is_kept(stream):
                yield stream
                return
            proving = _Proving(stream, [str(self._schema_path), self._unit])
            try:
                yield cast("BinaryIO", proving)
            except BaseException:
                proving.give_up()
                raise
            if proving.process is not None:
                _keep((self._schema_path, proving.end()), proving.process)


def is_proven(schema_path: Path, source: BinaryIO) -> bool:
    """Return whether exactly the bytes of *source*, read from its start, were proven valid; the proof is used up."""
    if not _proofs:
        return False
    digest = _digest(source)
    process = _proofs.pop((schema_path, digest), None)
    if process is None:
        return False
    try:
        seen, _ = process.communicate(timeout=_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        _stop(process)
        return False
    return process.returncode == 0 and seen == digest


def _digest(source: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.digest()


class _Proving:
    """Writes a file and, once it is worth it, tells a second process how much of it there is to read."""

    def __init__(self, stream: BinaryIO, words: list[str]) -> None:
        self._stream, self._words = stream, words
        self._digest, self._size, self._told = hashlib.sha256(), 0, 0
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, data: bytes) -> int:
        written = self._stream.write(data)
        self._digest.update(data)
        self._size += len(data)
        if self._size >= (self._told + _CHUNK_BYTES if self._told else WORTH_BYTES):
            self._tell()
        return written

    def end(self) -> bytes:
        """Let the process come to its end; return the digest of what was written."""
        if self.process is not None and self.process.stdin is not None:
            self._tell()
            with suppress(OSError):
                self.process.stdin.close()
            self.process.stdin = None
        return self._digest.digest()

    def give_up(self) -> None:
        if self.process is not None:
            _stop(self.process)

    def _tell(self) -> None:
        self._stream.flush()
        with suppress(OSError):  # no second process, or it ended early: the file is checked when it is read back
            if self.process is None:
                self.process = self._started()
            if self.process.stdin is not None:
                self.process.stdin.write(b"%d\n" % self._size)
                self._told = self._size

    def _started(self) -> subprocess.Popen[bytes]:
        file = self._stream.fileno()
        command = [sys.executable, "-m", "gateway.formats.schema_check", *self._words, str(file)]
        process = subprocess.Popen(  # noqa: S603  # our own words
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[file],
        )
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)  # one that hangs misses a size, and proves nothing
        return process


def _is_kept(stream: BinaryIO) -> bool:
    try:
        stream.fileno()
    except (OSError, AttributeError):
        return False
    return True


def _keep(key: tuple[Path, bytes], process: subprocess.Popen[bytes]) -> None:
    for earlier in _proofs.values():
        earlier.poll()  # ended ones that nobody asked about would stay in the system's table
    _proofs[key] = process
    while len(_proofs) > _KEPT:
        _stop(_proofs.popitem(last=False)[1])


def _stop(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
