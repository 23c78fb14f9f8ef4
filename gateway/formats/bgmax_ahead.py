"""Looks ahead in a BgMax file for what a section states only at its end, without keeping the section in memory."""

from __future__ import annotations

import re
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO

MEMORY_BYTES = 1 << 22
"""Of a section kept in memory while its end is looked for; the rest waits in a temporary file. Some 12 000 payments."""

_line = re.compile("[^\n]*").match


def with_deposits(pieces: Iterable[str], deposits: deque[str]) -> Iterator[str]:
    """Yield *pieces*, cut anew so that the lines TK15 of all sections begun in a piece stand in *deposits* by then.

    The reader takes them from the left, one at each TK15 it comes to. Behind the last one of the file nothing is looked
    for any more.
    """
    with closing(_Waiting()) as waiting:
        for text in pieces:
            places = _places(text)
            if not places:
                waiting.put(text)
                continue
            end = text.find("\n", places[0]) + 1 or len(text)
            deposits.extend(found[0] for place in reversed(places) if (found := _line(text, place)))
            yield from waiting.take()
            yield text[:end]
            if end < len(text):
                waiting.put(text[end:])
        yield from waiting.take()


def _places(text: str) -> list[int]:
    """Return where lines TK15 begin in *text*, the last one first: to look backwards is twice as quick, and done once."""
    places, mark = [], text.rfind("\n15")
    while mark >= 0:
        places.append(mark + 1)
        mark = text.rfind("\n15", 0, mark)
    return [*places, 0] if text.startswith("15") else places


class _Waiting:
    """Pieces of text, first in, first out: a few in memory, the others on disk."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._room = MEMORY_BYTES
        self._file: IO[bytes] | None = None
        self._sizes: list[int] = []

    def put(self, text: str) -> None:
        """Keep *text*."""
        if self._room > 0:
            self._pieces.append(text)
            self._room -= len(text)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as it waits
        data = text.encode()
        self._file.write(data)
        self._sizes.append(len(data))

    def take(self) -> Iterator[str]:
        """Yield and forget what is kept."""
        yield from self._pieces
        self._pieces, self._room = [], MEMORY_BYTES
        if self._file is not None:
            self._file.seek(0)
            for size in self._sizes:
                yield self._file.read(size).decode()
            self.close()

    def close(self) -> None:
        """Give the temporary file back."""
        if self._file is not None:
            self._file.close()
        self._file, self._sizes = None, []
