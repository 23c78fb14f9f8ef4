"""Reads a sample file by a profile and shows it field by field, as `kravport explain` shows a payment file.

The file is read twice: strictly, as it would be read in earnest, for the verdict; and line by line without trusting it, for
showing, since the file that does not fit is the one a person must look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from gateway.errors import DecodeError
from gateway.formats.record import columns, fits
from gateway.formats.view.model import FIELDS, FIRST, Field, FindingTold, Record, View, amount_told, shortened, visible
from gateway.formats.xmltree import iter_elements
from gateway.profiles.declaration import FIXED, XML, Part, Profile
from gateway.profiles.declaration import Field as Declared
from gateway.profiles.files import ProfileFile
from gateway.profiles.kinds import MISFIT, decoder
from gateway.profiles.lines import MAX_LINE_BYTES, FixedLines

_TWO_DECIMALS = "EUR"
_BLOCKING = "blocking"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a sample: the records counted by name, the fault that stops it (empty for none), and the view."""

    file: str
    counts: dict[str, int]
    fault: str
    view: View


def which(profile: Profile, stream: BinaryIO) -> list[str]:
    """Return the files of *profile* whose first record the sample begins with."""
    found = []
    for key in profile.files:
        stream.seek(0)
        try:
            next(ProfileFile(profile, key).read(stream))
        except (DecodeError, StopIteration):
            continue
        found.append(key)
    stream.seek(0)
    return found


def attempt(file: ProfileFile, stream: BinaryIO, *, records: int = FIRST, language: str = "en") -> Trial:
    """Read a sample from its start and show its first *records*, and the one with the fault. No content raises."""
    counts: Counter[str] = Counter()
    stream.seek(0)
    fault: DecodeError | None = None
    try:
        for row in file.read_values(stream):
            counts[row.part.title] += 1
    except DecodeError as error:
        fault = error
    stream.seek(0)
    view = _view(file, stream, fault, records, language)
    return Trial(file.layout.key, dict(counts), str(fault) if fault else "", view)


def _view(file: ProfileFile, stream: BinaryIO, fault: DecodeError | None, count: int, language: str) -> View:
    finding = (
        [FindingTold(_BLOCKING, "file.invalid", "", fault.value, f"{_where(fault)}{fault.reason}")] if fault else []
    )
    found, total, line = list[Record](), 0, fault.line if fault else 0
    try:
        for record in _records(file, stream, language):
            total += 1
            if line and record.line == line:
                record.findings, finding = [*record.findings, *finding], []
            if total <= count or record.findings:
                found.append(record)
    except DecodeError:  # not even well-formed: the strict reading has said so
        line = 0
    width = max(part.length for part in file.layout.parts.values()) if file.layout.kind == FIXED else 0
    return View(width, found, total, finding)


def _where(fault: DecodeError) -> str:
    place = ".".join(part for part in (fault.path, fault.field) if part)
    return f"{place} " if place else ""


def _records(file: ProfileFile, stream: BinaryIO, language: str) -> Iterator[Record]:
    if file.layout.kind == FIXED:
        return _ruled(file, stream, language)
    return _elements(file, stream, language) if file.layout.kind == XML else _delimited(file, stream, language)


# --- lines -----------------------------------------------------------------------------------------------------------


def _ruled(file: ProfileFile, stream: BinaryIO, language: str) -> Iterator[Record]:
    layout, lines = file.layout, FixedLines(file.layout)
    width = max(part.length for part in layout.parts.values())
    read = stream.readline if layout.newline else stream.read
    size = MAX_LINE_BYTES if layout.newline else width
    for number, raw in enumerate(iter(lambda: read(size), b""), 1):
        text = raw.decode(layout.encoding, "replace").rstrip("\r\n\x1a")
        try:
            kind, line = lines.kind_of(text)
        except DecodeError:
            yield Record(number, number, "?", "no record of this profile", 0, visible(text[: 2 * width]), ())
            continue
        part = layout.parts[kind.__name__]
        rules = {one.name: one for one in part.fields}
        fields = []
        for name, column in columns(kind):
            text_here = column.cut(line)
            if column.kind != "filler" or text_here.strip(" 0"):
                is_wrong = not fits(column, text_here)
                tag = str(column.start) if column.width == 1 else f"{column.start}-{column.stop}"
                told = column.demand if is_wrong else _told(rules[name], _bare(rules[name], text_here), language)
                fields.append(
                    Field(tag, _words(name), visible(text_here.strip(" ")), told, is_wrong, column.start, column.stop)
                )
        yield Record(number, number, part.key, part.title, 0, visible(line), tuple(fields))


def _bare(one: Declared, raw: str) -> str:
    if one.rule.type in {"number", "amount"}:
        return raw.strip(" ").lstrip("0") or "0"
    return raw.strip(" ")


def _delimited(file: ProfileFile, stream: BinaryIO, language: str) -> Iterator[Record]:
    layout = file.layout
    for number, raw in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES), b""), 1):
        text = raw.decode(layout.encoding, "replace").rstrip("\r\n\x1a")
        values = text.split(layout.separator)
        part = next((part for part in layout.parts.values() if len(part.fields) == len(values)), None)
        if part is None:
            yield Record(
                number, number, "?", f"{len(values)} fields: no record of this profile", 0, shortened(text), ()
            )
            continue
        fields = [
            _field(str(place), one, value.strip(layout.quote or None), language)
            for place, (one, value) in enumerate(zip(part.fields, values, strict=True), 1)
        ]
        yield Record(number, number, part.key, part.title, 0, "", tuple(fields[:FIELDS]))


# --- elements --------------------------------------------------------------------------------------------------------


def _elements(file: ProfileFile, stream: BinaryIO, language: str) -> Iterator[Record]:
    parts = {(part.inside, part.name): part for part in file.layout.parts.values()}
    path: list[tuple[Part | None, Record]] = []
    number = 0
    for kind, name, _, attributes, line in iter_elements(stream, with_text=True):
        if kind == "start":
            number += 1
            around = path[-1][0] if path else None
            part = parts.get((around.key if around else "", name)) if around or not path else None
            path.append((part, _element(number, line, len(path), name, part, dict(attributes), language)))
            yield path[-1][1]
        elif kind == "end":
            path.pop()
        elif path:
            part, record = path[-1]
            is_text = part is not None and part.text is not None
            shown = (
                _field("text", part.text, name.strip(), language)
                if is_text and part and part.text
                else _odd("text", name)
            )
            record.fields = (*record.fields[: FIELDS - 1], shown)


def _element(
    number: int, line: int, level: int, name: str, part: Part | None, attributes: dict[str, str], language: str
) -> Record:
    known = {one.name: one for one in part.fields} if part else {}
    fields = [
        _field(key, known[key], value, language) if key in known else _odd(key, value)
        for key, value in islice(attributes.items(), FIELDS)
    ]
    title = part.title if part else "no element of this profile"
    return Record(number, line, name, title if title != name else "", level, "", tuple(fields))


def _odd(name: str, value: str) -> Field:
    return Field(name, "", shortened(value), "", is_wrong=True)


def _field(tag: str, one: Declared, value: str, language: str) -> Field:
    is_wrong = value != one.const if one.const is not None else decoder(one.rule)(value) is MISFIT
    told = one.rule.demand if is_wrong else _told(one, value, language)
    name = "" if tag == one.name else _words(one.name)
    return Field(tag, name, shortened(value), told, is_wrong)


def _told(one: Declared, value: str, language: str) -> str:
    """Return a value in words, where they say more than the value."""
    if one.const is not None or one.rule.type not in {"date", "amount", "code"}:
        return ""
    read = decoder(one.rule)(value)
    if read is MISFIT or read is None:
        return ""
    if one.rule.type == "amount":
        return amount_told(read, _TWO_DECIMALS, language)
    return str(read)


def _words(name: str) -> str:
    return name.replace("_", " ")
