"""Reads UN/EDIFACT as segments: service characters, release characters, files wrapped at any column (payments.md 4.1).

Banks wrap the byte stream at 80 columns without regard to what stands there, so line ends are taken out before anything
else is looked at. What remains comes in pieces of whole segments; a reader may scan a piece as it likes and asks here
for one segment when it needs to be thorough. Nothing but the present piece is in memory.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from gateway.domain.reasons import said
from gateway.formats.audit import Audit

CHUNK_BYTES = 1 << 18
MAX_SEGMENT = 1 << 16
"""Characters of one segment. The longest of the messages read here has under a thousand."""

BLANKS = " \t\x1a\x00"
"""What pads a last line, or stands between segments."""

_LINE_ENDS = b"\r\n"
_PRINTABLE = bytes(set(range(256)) - set(range(32)) - {127})
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UTF8 = re.compile(r"[\xc2-\xf4][\x80-\xbf]")
"""How every character beyond ASCII begins in UTF-8; in ISO-8859-1 the second of the two is a control character or a sign."""

_HEAD = re.compile(r"(?:UNA(?P<advice>[^A-Za-z0-9]{0,8}))?UNB(?P<element>[^\w\s])UNO[A-Z](?P<component>[^\w\s])\d")
_ADVICE_LENGTH = 6

Segment = list[list[str]]
"""Elements, each a list of components; the first element is the tag."""


class Service(NamedTuple):
    """The characters that structure an interchange; *release* is empty where the file has none."""

    component: str = ":"
    element: str = "+"
    release: str = "?"
    terminator: str = "'"


class Segments:
    """The segments of a file. *service* is known once the first piece has come; *number* counts segments read so far.

    A reader that takes several segments at once from a piece sets *number* itself.
    """

    def __init__(self, stream: BinaryIO, audit: Audit) -> None:
        self._stream, self._audit = stream, audit
        self.service = Service()
        self.number = self.start = 0
        self.is_plain, self.is_recoded = True, False
        self._origin = 0  # where the present piece begins, counted without line ends
        self._lines = _Lines()
        self._is_told = False

    def pieces(self) -> Iterator[str]:
        """Yield the file in pieces of whole segments, without line ends.

        For each piece is set *is_plain*, unless it holds control characters, and *is_recoded*, when it may hold UTF-8.

        Raises:
            FileQuarantined: no service characters can be made out, or a segment does not end.
        """
        tail, is_first = "", True
        while chunk := self._chunk():
            if is_first:
                chunk = self._without_mark(chunk)
            self._lines.add(chunk)
            self.is_plain = (self.is_plain or not tail) and not chunk.translate(None, _PRINTABLE + _LINE_ENDS)
            tail += chunk.translate(None, _LINE_ENDS).decode("latin-1")
            if is_first:
                self._origin = self._read_head(tail)
                tail, is_first = tail[self._origin :], False
            cut = self._last_end(tail)
            if len(tail) - cut > MAX_SEGMENT:
                self.start = self._origin + cut
                self._audit.quarantine(
                    "file.invalid", self.place(), tail[cut : cut + 80], reason=said("wrong.never_ends")
                )
            if cut:
                piece, tail = tail[:cut], tail[cut:]
                self.is_recoded = bool(_UTF8.search(piece))
                yield piece
                self._origin += cut
        if tail.strip(BLANKS):
            self.start = self._origin
            self._audit.block("file.truncated", self.place(), tail.strip(BLANKS))

    def next(self, piece: str, position: int) -> tuple[Segment | None, int]:
        """Return the segment at *position* of *piece* and where the next one begins; None for blanks at the end."""
        _, _, release, mark = self.service
        end = piece.find(mark, position)
        while release and piece[end - 1] == release and _is_released(piece, end, release, position):
            end = piece.find(mark, end + 1)
        text = piece[position:end].lstrip(BLANKS)
        self.start = self._origin + end - len(text)
        if not text:
            return None, end + 1
        self.number += 1
        if not self.is_plain and (found := _CONTROL.search(text)):
            self._audit.block("file.invalid", self.place(), repr(found[0]), reason=said("wrong.control_character"))
            text = _CONTROL.sub(" ", text)
        return self._parsed(text), end + 1

    @property
    def line(self) -> int:
        """The line of the file on which the segment read last begins; 0 where that is not known."""
        return self._lines.at(self.start)

    def place(self, field: str = "", *, number: int = 0, start: int = -1) -> str:
        """Say where the segment read last stands, or the one with *number* and *start*."""
        line = self._lines.at(self.start if start < 0 else start)
        where = f"segment {number or self.number or 1}" + (f", line {line}" if line else "")
        return f"{where}, {field}" if field else where

    def recoded(self, text: str) -> str:
        """Return *text* as its sender saw it: the files are ISO-8859-1, but copies in UTF-8 exist."""
        if text.isascii():
            return text
        try:
            told = text.encode("latin-1").decode()
        except UnicodeDecodeError:
            return text
        if not self._is_told:
            self._is_told = True
            self._audit.warn("file.encoding", value=told, encoding="ISO-8859-1")
        return told

    # --- the beginning ---

    def _chunk(self) -> bytes:
        """Return the next chunk, whole even where the stream hands out less at a time."""
        chunk = self._stream.read(CHUNK_BYTES)
        while 0 < len(chunk) < CHUNK_BYTES and (more := self._stream.read(CHUNK_BYTES - len(chunk))):
            chunk += more
        return chunk

    def _without_mark(self, chunk: bytes) -> bytes:
        """Return the first chunk without a byte order mark and blanks before it; line ends stay, they are counted."""
        rest = chunk.removeprefix(b"\xef\xbb\xbf")
        bare = rest.lstrip(b" \t\r\n")
        return b"\n" * rest[: len(rest) - len(bare)].count(b"\n") + bare

    def _read_head(self, head: str) -> int:
        """Take the service characters from where they are used, for what UNA says is not always so; return UNB's place."""
        found = _HEAD.match(head)
        if not found:
            self._audit.quarantine("file.invalid", "segment 1", head[:80], reason=said("wrong.not_interchange"))
        component, element, advice = found["component"], found["element"], found["advice"]
        first = re.compile(rf"([^\w\s])[ \t]*UN[HGZ]{re.escape(element)}").search(head, found.end())
        if not first:
            code = "file.truncated" if len(head) < CHUNK_BYTES // 2 else "file.invalid"
            self._audit.quarantine(
                code, "segment 1", head[:80], reason=said("wrong.comes_without", what="UNB", other="UNH")
            )
        release = advice[3].strip() if advice and len(advice) == _ADVICE_LENGTH else Service().release
        self.service = Service(component, element, release, first[1])
        if len({*self.service}) < len(self.service):
            self._audit.quarantine("file.invalid", "segment 1", head[:20], reason=said("wrong.service_characters"))
        if advice is not None and (advice[:2], advice[5:]) != (component + element, first[1]):
            self._audit.warn("edifact.service_characters", "UNA", advice)
        return found.start("element") - len("UNB")

    # --- cutting ---

    def _last_end(self, text: str) -> int:
        """Return where the last whole segment of *text* ends; 0 when there is none."""
        mark, release = self.service.terminator, self.service.release
        end = text.rfind(mark)
        while end >= 0 and release and _is_released(text, end, release, 0):
            end = text.rfind(mark, 0, end)
        return end + 1

    def _parsed(self, text: str) -> Segment:
        component, element, release, _ = self.service
        if not release or release not in text:
            parsed = [part.split(component) if component in part else [part] for part in text.split(element)]
        else:
            parsed = [
                [_unreleased(value, release) for value in _divided(part, component, release)]
                for part in _divided(text, element, release)
            ]
        if self.is_recoded and not text.isascii():
            parsed = [[self.recoded(value) for value in part] for part in parsed]
        return parsed


class _Lines:
    """Tells on which line of the file something stands, from its place in the text without line ends.

    Only the last two chunks are kept: a segment begins in one of them.
    """

    def __init__(self) -> None:
        self._chunks: list[tuple[int, int, bytes]] = []
        self._size = self._count = 0
        self._known: tuple[int, list[int]] = (-1, [])

    def add(self, chunk: bytes) -> None:
        """Take the next chunk of the file."""
        self._chunks = [*self._chunks[-1:], (self._size, self._count, chunk)]
        ends = chunk.count(b"\n")
        self._size += len(chunk) - ends - chunk.count(b"\r")
        self._count += ends

    def at(self, place: int) -> int:
        """Return the 1-based line of *place*; 0 where it is no longer known."""
        for start, count, chunk in reversed(self._chunks):
            if place >= start:
                if self._known[0] != start:
                    lengths = (len(line) - line.count(b"\r") for line in chunk.split(b"\n"))
                    self._known = (start, list(accumulate(lengths)))
                return 1 + count + bisect_right(self._known[1][:-1], place - start)
        return 0


def component(segment: Segment, element: int, place: int = 0) -> str:
    """Return a component without blanks around it; empty where the segment has none."""
    if len(segment) > element and len(segment[element]) > place:
        return segment[element][place].strip()
    return ""


def _is_released(text: str, end: int, release: str, start: int) -> bool:
    """Return whether the character at *end* is data: an odd number of release characters stand before it."""
    before = end
    while before > start and text[before - 1] == release:
        before -= 1
    return (end - before) % 2 == 1


def _divided(text: str, mark: str, release: str) -> list[str]:
    """Return *text* cut at each *mark* that is not released."""
    parts, begin, end = [], 0, text.find(mark)
    while end >= 0:
        if not _is_released(text, end, release, begin):
            parts.append(text[begin:end])
            begin = end + 1
        end = text.find(mark, end + 1)
    parts.append(text[begin:])
    return parts


def _unreleased(text: str, release: str) -> str:
    """Return *text* with each released character alone."""
    if release not in text:
        return text
    pieces, begin, end = [], 0, text.find(release)
    while end >= 0:
        pieces.append(text[begin:end])
        pieces.append(text[end + 1 : end + 2])
        begin = end + 2
        end = text.find(release, begin)
    return "".join(pieces) + text[begin:]
