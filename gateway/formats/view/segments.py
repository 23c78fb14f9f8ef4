"""EDIFACT as a tree: interchange, message, line, transaction; each segment and component named in words."""

from __future__ import annotations

from collections.abc import Generator
from typing import BinaryIO

from gateway.errors import FileQuarantined
from gateway.formats.audit import Audit
from gateway.formats.edifact import Segment, Segments, component
from gateway.formats.view.model import FIELDS, Field, Record, Wanted, hidden, shortened, told_code
from gateway.formats.view.words import label, word

LAYOUT = "cremul"
_LEVELS = {"UNA": 0, "UNB": 0, "UNZ": 0, "UNG": 0, "UNE": 0, "UNH": 1, "UNT": 1, "LIN": 3, "SEQ": 4, "CNT": 2}
"""Levels of segments that open or close something; whatever follows stands one deeper than what is open."""

_OPEN = ("UNH", "LIN", "SEQ")
_CODED = {"BUS": (2, 3, 4)}
"""Elements whose first component is a code with a meaning; by default it is the first element alone."""


def segments(
    stream: BinaryIO, wanted: Wanted, language: str, *, is_masked: bool, limit: int | None
) -> Generator[Record, None, int | None]:
    """Yield the *wanted* segments of an interchange; return how many it has, None where *limit* ended the reading.

    Pieces of the file without anything wanted are counted, not cut. Arguments are those of `ruler.ruled`.
    """
    source, level, read = Segments(stream, Audit()), 2, 0
    try:
        for piece in source.pieces():
            position, read = 0, read + len(piece)
            count = _count(piece, source)
            if count is not None and not _has_wanted(wanted, source.number, count):
                source.number += count
                level, position = _level_behind(piece, source, level), len(piece)
            while position < len(piece):
                segment, position = source.next(piece, position)
                if segment:
                    tag = component(segment, 0)
                    level = _LEVELS.get(tag, 0) + 1 if tag in _OPEN else 2 if tag == "CNT" else level
                    findings = wanted.take("segment", source.number)
                    if findings or wanted.has(source.number):
                        depth = _LEVELS.get(tag, level)
                        made = _record(segment, depth, source, language, is_masked=is_masked)
                        made.findings = findings
                        yield made
            if limit is not None and source.number >= wanted.stop and read > limit:
                return None
    except FileQuarantined:
        return source.number  # the reader has told why; what could be cut was shown
    return source.number


def _has_wanted(wanted: Wanted, before: int, count: int) -> bool:
    return wanted.overlaps(before, count) or bool(wanted.between("segment", before + 1, before + count))


def _count(piece: str, source: Segments) -> int | None:
    """Return how many segments *piece* has; None where its ends cannot be told from data at a glance."""
    _, _, release, end = source.service
    if (release and release + end in piece) or end + end in piece or f"{end} " in piece:
        return None
    return piece.count(end)


def _level_behind(piece: str, source: Segments, level: int) -> int:
    """Return the level on which the segments behind *piece* stand."""
    _, element, _, end = source.service
    places = {tag: piece.rfind(f"{end}{tag}{element}") for tag in _OPEN}
    tag = max(places, key=lambda name: places[name])
    return _LEVELS[tag] + 1 if places[tag] >= 0 else level


def _record(segment: Segment, depth: int, source: Segments, language: str, *, is_masked: bool) -> Record:
    tag = component(segment, 0)[:10]
    if is_masked:
        segment = [segment[0], *([hidden(part) for part in element] for element in segment[1:])]
    fields = _fields(tag, segment, language)
    outer, inner = source.service.element, source.service.component
    raw = shortened(outer.join(inner.join(element) for element in segment))
    name = word("segment", language, tag) or label("unknown_record", language)
    return Record(
        source.number, source.line, tag, name, depth, raw, tuple(fields[:FIELDS]), left_out=max(0, len(fields) - FIELDS),
        is_segment=True,
    )  # fmt: skip


def _fields(tag: str, segment: Segment, language: str) -> list[Field]:
    found = []
    for number, element in enumerate(segment[1:], 1):
        for place, raw in enumerate(element):
            value = raw.strip()
            if value:
                told = _told(tag, number, place, element, language)
                words = word("component", language, f"{tag}.{number}.{place}")
                found.append(Field(f"{number}.{place + 1}", words, shortened(value), told))
    return found


def _told(tag: str, number: int, place: int, element: list[str], language: str) -> str:
    value = element[place].strip()
    if place == 0 and number in _CODED.get(tag, (1,)):
        return told_code(LAYOUT, tag, value, language)
    form = element[2].strip() if len(element) > 2 else ""
    is_day = tag == "DTM" and number == place == 1 and form in {"102", "203", "204"}
    if is_day and len(value) >= 8 and value.isascii() and value.isdecimal():
        return f"{value[:4]}-{value[4:6]}-{value[6:8]}"
    return ""
