"""Proves a file valid against the schema while it is being written, in a process of its own.

Checking an evening's file takes a tenth of the time it takes to make it, and would have to wait for its last byte. A
second process reads along instead and is asked at sealing. What it proves is tied to the SHA-256 of the bytes it saw,
so a file that is not byte for byte the one written is checked again, as is one whose proof failed or never came.
"""

from __future__ import annotations

import hashlib
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
_PATIENCE_SECONDS = 600
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
    process = _proofs.pop((schema_path, _digest(source)), None)
    if process is None:
        return False
    try:
        return process.wait(_PATIENCE_SECONDS) == 0
    except subprocess.TimeoutExpired:
        _stop(process)
        return False


def _digest(source: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.digest()


class _Proving:
    """Hands what is written to the file and, once it is worth it, to the second process as well."""

    def __init__(self, stream: BinaryIO, words: list[str]) -> None:
        self._stream, self._words = stream, words
        self._digest, self._held, self._size = hashlib.sha256(), list[bytes](), 0
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        if self.process is not None:
            self._tell(data)
        elif self._size < WORTH_BYTES:
            self._held.append(data)
        else:
            self._start()
            self._tell(b"".join(self._held) + data)
            self._held.clear()
        return self._stream.write(data)

    def end(self) -> bytes:
        """Let the process come to its end; return the digest of what it was told."""
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        return self._digest.digest()

    def give_up(self) -> None:
        if self.process is not None:
            _stop(self.process)

    def _start(self) -> None:
        command = [sys.executable, "-m", "gateway.formats.schema_check", *self._words]
        with suppress(OSError):  # no second process: the file is checked when it is read back
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603  # our own words

    def _tell(self, data: bytes) -> None:
        with suppress(OSError):  # it ended early: its exit code tells at sealing
            if self.process is not None and self.process.stdin is not None:
                self.process.stdin.write(data)


def _is_kept(stream: BinaryIO) -> bool:
    try:
        stream.fileno()
    except (OSError, AttributeError):
        return False
    return True


def _keep(key: tuple[Path, bytes], process: subprocess.Popen[bytes]) -> None:
    _proofs[key] = process
    while len(_proofs) > _KEPT:
        _stop(_proofs.popitem(last=False)[1])


def _stop(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.wait()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
