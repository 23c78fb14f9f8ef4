"""What is shown of a file: records with their fields, and the findings that stand at them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from string import ascii_letters
from typing import NamedTuple

from gateway.domain.exchange import Finding
from gateway.domain.identifiers import is_national_id, masked
from gateway.domain.money import format_minor
from gateway.domain.reasons import sentence
from gateway.formats.view.words import code_told, label, word

FIRST = 60
"""Records shown from the beginning of a file: about 25 payments of a fixed-width file, 6 of CREMUL, 50 of camt."""

VALUE_CHARACTERS = 500
"""Longest value shown. A remittance text has 140; what is longer is damage, and says how much is left out."""

FIELDS = 200
"""Fields shown of one record. The richest transaction of camt has about sixty."""

_PLACE = re.compile(r"\b(line|segment|transaction) ([0-9]+)")
_BETWEEN_PARTS = re.compile(r", (?![^(]*\))")  # not within brackets


class FindingTold(NamedTuple):
    """A finding in the reader's language. *severity* is ``info``, ``warning`` or ``blocking``; *value* is as found."""

    severity: str
    code: str
    place: str
    value: str
    text: str


class Field(NamedTuple):
    """One field. *tag* is its columns (``33-49``), element (``Amt``) or component (``2.1``).

    *value* is as it stands, without padding; *told* says it in words (an amount, a date, what a code means). *is_wrong*
    marks a value that the declaration does not allow. *start* and *stop* are columns, 1-based, 0 where there are none;
    *depth* indents elements inside others.
    """

    tag: str
    name: str
    value: str
    told: str = ""
    is_wrong: bool = False
    start: int = 0
    stop: int = 0
    depth: int = 0


@dataclass(slots=True)
class Record:
    """One record, segment or element. *number* counts from 1 through the file; *line* is 0 where it is not known.

    *level* is how deep it stands in a tree; *raw* is the line of a ruled record or the text of a segment, *left_out* how
    many of its fields are not shown.
    """

    number: int
    line: int
    code: str
    name: str
    level: int
    raw: str
    fields: tuple[Field, ...]
    left_out: int = 0
    findings: list[FindingTold] = field(default_factory=list)
    is_segment: bool = False

    def told_place(self, language: str) -> str:
        """Return where it stands: ``segment 12, line 3``; a line that is not known is left out."""
        told = [label("segment", language, number=self.number)] if self.is_segment else []
        return ", ".join([*told, *([label("line", language, number=self.line)] if self.line else [])])

    def parts(self) -> Iterator[tuple[str, int | None]]:
        """Yield the line of a ruled record cut at its fields: text, and the number of the field that it is."""
        position = 0
        for number, found in enumerate(self.fields):
            yield self.raw[position : found.start - 1], None
            yield self.raw[found.start - 1 : found.stop], number
            position = found.stop
        yield self.raw[position:], None

    def keys(self) -> str:
        """Return the row below the line of a ruled record: under the first column of each field its letter."""
        row = [" "] * max((found.stop for found in self.fields), default=0)
        for number, found in enumerate(self.fields):
            row[found.start - 1] = key_of(number)
        return "".join(row).rstrip()


@dataclass(slots=True)
class View:
    """What is shown of a file. *width* is that of a ruled record, 0 for a tree.

    *total* is how many records the file has, None where reading ended before its end; *loose* are findings that stand at
    no record shown.
    """

    width: int
    records: list[Record]
    total: int | None
    loose: list[FindingTold]

    @property
    def left_out(self) -> int:
        """How many records of the file are not shown; 0 where that is not known."""
        return (self.total or len(self.records)) - len(self.records)

    def gaps(self) -> Iterator[tuple[int, Record]]:
        """Yield each record with how many were left out before it."""
        before = self.records[0].number - 1 if self.records else 0
        for record in self.records:
            yield record.number - before - 1, record
            before = record.number


def key_of(number: int) -> str:
    """Return the sign of a field of a ruled record: a for 0, behind z the capitals; from 52 on a star stands for all."""
    return ascii_letters[number] if number < len(ascii_letters) else "*"


def ruler(width: int) -> str:
    """Return a ruler over *width* columns: tens as figures, fives as colons."""
    return "".join(str(n // 10 % 10) if n % 10 == 0 else (":" if n % 5 == 0 else ".") for n in range(1, width + 1))


class Wanted:
    """Which records are shown: *count* from *first* on, and those at which findings stand."""

    def __init__(self, findings: Iterable[FindingTold], first: int, count: int) -> None:
        self.first, self.stop = first, first + count
        self._waiting: dict[str, dict[int, list[FindingTold]]] = {"line": {}, "segment": {}, "transaction": {}}
        self._nowhere: list[FindingTold] = []
        for finding in findings:
            stated = {kind: int(number) for kind, number in _PLACE.findall(finding.place[:100]) if len(number) < 19}
            kind = next((kind for kind in ("segment", "line", "transaction") if kind in stated), "")
            if kind:
                self._waiting[kind].setdefault(stated[kind], []).append(finding)
            else:
                self._nowhere.append(finding)

    def has(self, number: int) -> bool:
        """Return whether record *number* is among the *count* from *first* on."""
        return self.first <= number < self.stop

    def overlaps(self, before: int, count: int) -> bool:
        """Return whether any of the *count* records behind the first *before* is among those from *first* on."""
        return self.first <= before + count and before + 1 < self.stop

    def waits(self, kind: str) -> bool:
        """Return whether findings wait for a place of *kind* (``line``, ``segment``, ``transaction``)."""
        return bool(self._waiting[kind])

    def between(self, kind: str, first: int, last: int) -> list[int]:
        """Return the places of *kind* from *first* to *last* that findings wait for, in order."""
        waiting = self._waiting[kind]
        return sorted(number for number in waiting if first <= number <= last) if waiting else []

    def take(self, kind: str, number: int) -> list[FindingTold]:
        """Return the findings that wait for a place; they wait no more."""
        return self._waiting[kind].pop(number, [])

    def rest(self) -> list[FindingTold]:
        """Return findings that no record was found for."""
        return [
            *self._nowhere,
            *(item for by_place in self._waiting.values() for some in by_place.values() for item in some),
        ]


def tell(finding: Finding, language: str) -> FindingTold:
    """Return *finding* in *language*."""
    text = sentence(finding.code, language, finding.values)
    return FindingTold(finding.severity.value, finding.code, finding.place, finding.value, text)


def place_told(place: str, language: str) -> str:
    """Return the place of a finding with its words in *language*; elements, and names nobody has for fields, stay."""
    numbered = _PLACE.sub(lambda found: label(found[1], language, number=found[2]), place)
    return ", ".join(_part_told(part, language) for part in _BETWEEN_PARTS.split(numbered))


def _part_told(part: str, language: str) -> str:
    """Return what a control total or a field is called; codes of records in brackets behind it stay."""
    what, bracket, codes = part.partition(" (")
    name = word("place", language, what) or word("field", language, what)
    return f"{name}{bracket}{codes}" if name else part


def visible(text: str) -> str:
    """Return *text* with a box for each sign that cannot be seen or that moves others about."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "▯" for sign in text)


def shortened(text: str) -> str:
    """Return *text* as it may be shown: visible, and saying how much is left out where it is very long."""
    more = len(text) - VALUE_CHARACTERS
    return visible(text[:VALUE_CHARACTERS]) + (f" … (+{more})" if more > 0 else "")


def hidden(text: str) -> str:
    """Return a number masked where it is a person's, its padding and length kept (glossary 10); others as they are."""
    bare = text.strip(" ")
    for number in (bare, bare.lstrip("0")):
        if _is_of_person(number):
            return text.replace(number, masked(number))
    return text


def _is_of_person(number: str) -> bool:
    """Return whether *number* is a national id, or a Swedish organisation number that is one: a sole trader's."""
    plain = number.replace("-", "").replace(" ", "")
    if not (plain.isascii() and plain.isdigit() and 10 <= len(plain) <= 12):
        return False
    return is_national_id("SE", plain) or is_national_id("NO", plain, allow_synthetic=True)


def amount_told(minor: int, currency: str, language: str) -> str:
    """Return minor units as a person of *language* writes an amount."""
    text = format_minor(minor, currency)
    return text if language == "en" else text.replace(".", ",")


def told_code(layout: str, field_name: str, value: str, language: str) -> str:
    """Return what a code means, with blanks around it disregarded."""
    return code_told(layout, field_name, value.strip(), language)
