"""Checks a growing file against a schema: the second process of `schema_proof`.

    python -m gateway.formats.schema_check SCHEMA UNIT DESCRIPTOR

reads from standard input, line by line, how many bytes the open file DESCRIPTOR holds by now. At the end of these lines it
prints the SHA-256 of what it read and ends with 0 when that is valid, else with 1.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO, cast

from gateway.errors import DecodeError
from gateway.formats.xmltree import XmlSchema


def main(schema_path: str, unit: str, descriptor: str) -> int:
    """Check the file; *unit* as `XmlSchema.validate_stream` wants it."""
    grown = _Grown(int(descriptor), sys.stdin.buffer)
    try:
        XmlSchema(schema_path).validate_stream(cast("BinaryIO", grown), unit)
    except DecodeError:
        return 1
    sys.stdout.buffer.write(grown.digest.digest())
    return 0


class _Grown(io.RawIOBase):
    """Reads a file as far as it has been said to exist, and waits for more.

    Args:
        descriptor: of the open file; its position, which the writer shares, is left alone.
        sizes: lines, each the file's size in bytes.
    """

    def __init__(self, descriptor: int, sizes: Iterable[bytes]) -> None:
        self._descriptor, self._sizes = descriptor, iter(sizes)
        self._position, self._size = 0, 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._position == self._size:
            if not (said := next(self._sizes, b"")):
                return 0
            self._size = int(said)
        view = memoryview(buffer)[: self._size - self._position]
        count = os.preadv(self._descriptor, [view], self._position)
        self._position += count
        self.digest.update(view[:count])
        return count


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
