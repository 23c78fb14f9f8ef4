"""Bytes in the database: written once, read as a stream, never held whole in memory.

The database keeps them, not a directory, because it is the one thing every process of every machine sees and the one
thing that is backed up; "stored byte for byte" and "committed" are then the same event.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy import Connection, insert, select

from gateway.db.bulk import table_of
from gateway.db.tables import Blob, BlobChunk
from gateway.db.uow import Database

CHUNK_BYTES = 1 << 20

Watch = Callable[[int], None] | None
"""Is told after each chunk how many bytes were read or stored so far."""

_NEW_BLOB = insert(table_of(Blob)).returning(Blob.id)
_NEW_CHUNK = insert(table_of(BlobChunk))
"""Made once: building a statement costs as much as SQLite needs to run it."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Where bytes were stored: *size* in bytes, *sha256* in hex."""

    blob_id: int
    sha256: str
    size: int


def digest(content: BinaryIO) -> tuple[str, int]:
    """Return (sha256 in hex, size in bytes) of a stream, and rewind it."""
    sha256, size = hashlib.sha256(), 0
    while chunk := content.read(CHUNK_BYTES):
        sha256.update(chunk)
        size += len(chunk)
    content.seek(0)
    return sha256.hexdigest(), size


def store(
    connection: Connection, content: BinaryIO, known: tuple[str, int] | None = None, watch: Watch = None
) -> StoredBlob:
    """Store a stream inside the caller's transaction.

    Args:
        connection: of that transaction.
        content: the stream, at its beginning.
        known: its `digest`, where the caller has it: a large file is then not read twice under the write lock.
        watch: told after each chunk.
    """
    sha256, size = known or digest(content)
    blob_id = connection.execute(_NEW_BLOB, {"sha256": sha256, "size": size}).scalar_one()
    number = 0
    while chunk := content.read(CHUNK_BYTES):
        connection.execute(_NEW_CHUNK, {"blob_id": blob_id, "number": number, "content": chunk})
        number += 1
        if watch:
            watch(min(number * CHUNK_BYTES, size))
    return StoredBlob(blob_id, sha256, size)


class _BlobStream(io.RawIOBase):
    """Reads chunk after chunk, each in a transaction of its own, so that a slow reader holds no lock."""

    def __init__(self, database: Database, blob_id: int, watch: Watch, start: int) -> None:
        self._database, self._blob_id, self._watch = database, blob_id, watch
        self._number, skipped = divmod(start, CHUNK_BYTES)
        self._rest, self._position = memoryview(b""), self._number * CHUNK_BYTES
        if skipped:
            self.read(skipped)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(read_chunk(self._database, self._blob_id, self._number))
            self._number += 1
            self._position += len(self._rest)
            if self._watch:
                self._watch(self._position)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def read_chunk(database: Database, blob_id: int, number: int) -> bytes:
    """Return one chunk of a blob, empty past its end."""
    query = select(BlobChunk.content).where(BlobChunk.blob_id == blob_id, BlobChunk.number == number)
    with database.read() as connection:
        return bytes(connection.execute(query).scalar_one_or_none() or b"")


def open_blob(database: Database, blob_id: int, watch: Watch = None, start: int = 0) -> BinaryIO:
    """Return a stored blob as a readable binary stream from byte *start*; *watch* is told after each chunk that was read."""
    return io.BufferedReader(_BlobStream(database, blob_id, watch, start), buffer_size=CHUNK_BYTES)
