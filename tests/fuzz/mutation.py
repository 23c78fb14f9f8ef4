"""Damages files by chance, knowing what they are made of: bytes, figures, and whole records, segments or elements."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

MAX_BYTES = 24_000
"""Small inputs are quick to read and quick to understand; `grown` makes the large ones."""

GROWN_BYTES = 4 << 20
_FIGURES = re.compile(rb"[0-9]+")
_LETTERS = re.compile(rb"[A-Za-z]{2,}")


class Mutator:
    """Makes damaged files from good ones; the same *rng* and the same files give the same ones."""

    def __init__(self, rng: Random, unit: re.Pattern[bytes], tokens: Sequence[bytes]) -> None:
        self._rng, self._unit, self._tokens = rng, unit, tokens

    def damaged(self, data: bytes, other: bytes) -> bytes:
        """Return *data* with one to five faults; *other* is a file that parts may come from."""
        for _ in range(self._rng.choice((1, 1, 1, 2, 2, 3, 5))):
            data = self._rng.choice(_DAMAGES)(self, data, other)[:MAX_BYTES]
        return data

    def grown(self, data: bytes) -> bytes:
        """Return *data* with one of its parts repeated to `GROWN_BYTES`: what grows with a file shows."""
        start, stop = self._rng.choice((self._span, self._part))(data)
        part = data[start:stop] or b"0"
        return data[:start] + part * (GROWN_BYTES // len(part)) + data[stop:]

    # --- places ---

    def _span(self, data: bytes) -> tuple[int, int]:
        start = self._rng.randrange(len(data) + 1)
        return start, min(len(data), start + self._rng.choice((1, 1, 2, 4, 11, 40, 160, 700)))

    def _part(self, data: bytes, pattern: re.Pattern[bytes] | None = None) -> tuple[int, int]:
        """Return where a record, segment or element begins and ends, or some other part where there is none."""
        found = (pattern or self._unit).search(data, self._rng.randrange(len(data) + 1))
        return found.span() if found and found.end() > found.start() else self._span(data)

    # --- damages ---

    def _flip(self, data: bytes, _: bytes) -> bytes:
        start = self._rng.randrange(len(data) + 1)
        return (
            data[:start]
            + bytes(byte ^ 1 << self._rng.randrange(8) for byte in data[start : start + 1])
            + data[start + 1 :]
        )

    def _noise(self, data: bytes, _: bytes) -> bytes:
        start, stop = self._span(data)
        return data[:start] + self._rng.randbytes(min(stop - start, 8)) + data[stop:]

    def _token(self, data: bytes, _: bytes) -> bytes:
        token, start = self._rng.choice(self._tokens), self._rng.randrange(len(data) + 1)
        stop = start + self._rng.choice((0, len(token)))
        return data[:start] + token + data[stop:]

    def _figures(self, data: bytes, _: bytes) -> bytes:
        """Put another number in place of one, of the same width or not."""
        start, stop = self._part(data, _FIGURES)
        width = stop - start
        number = self._rng.choice((
            b"0" * width, b"9" * width, b"1".rjust(width, b"0"), b"1".rjust(width), b" " * width, b"9" * (width + 5),
            b"9" * 30, b"-" + data[start + 1 : stop], data[start : stop - 1], b"",
            b"%0*d" % (width, self._rng.randrange(10 ** min(width, 30))),
        ))  # fmt: skip
        return data[:start] + number + data[stop:]

    def _word(self, data: bytes, other: bytes) -> bytes:
        """Put another word, or a token, in place of one."""
        (start, stop), (first, last) = self._part(data, _LETTERS), self._part(other, _LETTERS)
        return data[:start] + self._rng.choice((other[first:last], self._rng.choice(self._tokens))) + data[stop:]

    def _drop(self, data: bytes, _: bytes) -> bytes:
        start, stop = self._rng.choice((self._span, self._part))(data)
        return data[:start] + data[stop:]

    def _repeat(self, data: bytes, _: bytes) -> bytes:
        start, stop = self._rng.choice((self._span, self._part))(data)
        return data[:stop] + data[start:stop] * self._rng.choice((1, 1, 2, 30)) + data[stop:]

    def _move(self, data: bytes, _: bytes) -> bytes:
        start, stop = self._part(data)
        part, rest = data[start:stop], data[:start] + data[stop:]
        place, _end = self._part(rest)
        return rest[:place] + part + rest[place:]

    def _borrow(self, data: bytes, other: bytes) -> bytes:
        """Bring in a part of another file."""
        (start, stop), (first, last) = self._part(data), self._part(other)
        return data[: self._rng.choice((start, stop))] + other[first:last] + data[stop:]

    def _cut(self, data: bytes, other: bytes) -> bytes:
        """End the file early, perhaps with the end of another."""
        end = self._rng.choice((b"", other[self._part(other)[0] :]))
        return data[: self._part(data)[1]] + end

    def _line_ends(self, data: bytes, _: bytes) -> bytes:
        """Change line ends from some place on."""
        place = self._rng.randrange(len(data) + 1)
        old, new = self._rng.choice(((b"\r\n", b"\n"), (b"\n", b"\r\n"), (b"\n", b"\r"), (b"\n", b""), (b"\r\n", b"")))
        return data[:place] + data[place:].replace(old, new)


_DAMAGES: tuple[Callable[[Mutator, bytes, bytes], bytes], ...] = (
    Mutator._flip, Mutator._noise, Mutator._token, Mutator._token, Mutator._figures, Mutator._figures, Mutator._word,
    Mutator._drop, Mutator._repeat, Mutator._move, Mutator._borrow, Mutator._cut, Mutator._line_ends,
)  # fmt: skip
