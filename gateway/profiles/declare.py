"""Reads what a profile declares, and refuses with file, line and key whatever cannot be.

Everything that could stop a file later is found here: columns that leave a gap or overlap, a value of the wrong type, a
total of something that does not exist, an element inside nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from gateway.domain.exchange import LinkKind, Series
from gateway.domain.instructions import Action
from gateway.profiles.declaration import (
    DELIMITED,
    ENCODINGS,
    FIXED,
    IN,
    NEWLINES,
    OUT,
    XML,
    Field,
    FileLayout,
    Part,
    Profile,
)
from gateway.profiles.fields import declared_field
from gateway.profiles.filename import FileName
from gateway.profiles.importing import BECOMES, CODES, NEEDED, RECEIPT
from gateway.profiles.source import Fault, Source, Table
from gateway.profiles.sources import CLAIM, CREDIT_NOTE, CUSTOMER, DOCUMENT, EACH, FILE, INSTRUCTION, INVOICE, ITEM

MAX_FILES, MAX_PARTS, MAX_FIELDS, MAX_WIDTH, MAX_DEPTH = 16, 64, 300, 10_000, 16
"""Six messages, thirteen elements, sixty columns, 491 characters and five levels are the most we have met."""

KINDS = {
    DOCUMENT: (INVOICE, CREDIT_NOTE), ITEM: tuple(kind.value for kind in LinkKind),
    INSTRUCTION: tuple(action.value for action in Action),
}  # fmt: skip
_NAME, _NAME_TOLD = "[a-z0-9][a-z0-9-]{0,39}", "must be small letters, digits and hyphens, at most 40"
_KEY, _KEY_TOLD = "[A-Za-z][A-Za-z0-9_]{0,39}", "must be letters, digits and '_', at most 40"
_XML_NAME, _XML_TOLD = "[A-Za-z_][A-Za-z0-9_.-]{0,79}", "must be a name that XML allows, without a prefix"
_ORDER = (CUSTOMER, CLAIM, DOCUMENT, ITEM, INSTRUCTION)


def load(path: Path) -> Profile:
    """Return the profile in the file at *path*.

    Raises:
        ProfileError: every fault of it, each with file, line and key.
    """
    return declared(Source.at(path))


def loads(content: bytes, file: str = "profile") -> Profile:
    """Return the profile that *content* is; *file* is what faults call it. Raises ``ProfileError`` as `load`."""
    return declared(Source(content, file))


def declared(source: Source) -> Profile:
    """Return the profile of *source*."""
    root = source.root
    about = root.table("profile", is_needed=True) or Table(source, ("profile",), {})
    encoding = about.choice("encoding", ENCODINGS, "utf-8")
    newline = about.choice("newline", tuple(NEWLINES), "") if about.has("newline") else ""
    files = {
        key: _file(table, key, encoding, newline)
        for key, table in root.named("file", most=MAX_FILES, shape=_KEY, told=_KEY_TOLD)
    }
    if not files:
        root.fault("", "declares no file: [file.NAME] is needed")
    made = Profile(
        name=about.text("name", shape=_NAME, told=_NAME_TOLD),
        title=about.text("title"),
        source=about.text("source"),
        currencies=_codes(about, "currencies", letters=3),
        markets=_codes(about, "markets", letters=2),
        files=files,
        sha256=source.sha256,
        is_sandbox_only=about.flag("sandbox_only"),
        receipt_hours=about.number("receipt_hours", 0, low=0, high=24 * 90),
        limits=about.texts("limits"),
        questions=(*_asked(about, "profile"), *_questions(files)),
    )
    about.close()
    root.close()
    source.settle()
    return made


def _codes(about: Table, key: str, *, letters: int) -> tuple[str, ...]:
    found = about.texts(key)
    for code in found:
        if not re.fullmatch(f"[A-Z]{{{letters}}}", code):
            about.fault(key, f"must be codes of {letters} capital letters", code)
    return found


def _asked(table: Table, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, question) for question in table.texts("ask"))


def _questions(files: Mapping[str, FileLayout]) -> Iterator[tuple[str, str]]:
    for layout in files.values():
        for part in layout.parts.values():
            for one in (*part.fields, *([part.text] if part.text else [])):
                if one.ask:
                    yield f"{layout.key}.{part.key}.{one.name}", one.ask


# --- files -----------------------------------------------------------------------------------------------------------


def _file(table: Table, key: str, encoding: str, newline: str) -> FileLayout:
    direction, kind = table.choice("direction", (OUT, IN)), table.choice("kind", (FIXED, DELIMITED, XML))
    parts = _parts(table, kind, direction)
    name = _filename(table, direction)
    first = table.number("first", 1, low=0, high=999_999_999)
    digits = name.digits_of_sequence()
    last = table.number("last", 10**digits - 1 if digits > 1 else 999_999_999, low=1, high=999_999_999)
    if digits > 1 and last >= 10**digits:
        table.fault("last", f"has more digits than the {digits} that the file name gives the number", last)
    is_delimited = kind == DELIMITED
    made = FileLayout(
        key=key,
        title=table.text("title", key),
        direction=direction,
        kind=kind,
        parts=parts,
        filename=name,
        series=Series(first, last),
        encoding=table.choice("encoding", ENCODINGS, encoding),
        newline=NEWLINES[table.choice("newline", tuple(NEWLINES), newline or ("lf" if kind == XML else "crlf"))],
        source=table.text("source", ""),
        separator=table.text("separator", longest=1) if is_delimited else "",
        quote=table.text("quote", "", longest=1) if is_delimited else "",
        namespace=table.text("namespace", "", shape=r"[!-~]{1,200}", told="must be a URI") if kind == XML else "",
        schema=table.text("schema", "", shape=r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", told="must be a file name, no path")
        if kind == XML
        else "",
        has_declaration=table.flag("declaration", default=True) if kind == XML else True,
        order=table.number("order", 0, low=0, high=99),
        line=table.line,
    )
    _check_file(table, made)
    table.close()
    return made


def _filename(table: Table, direction: str) -> FileName:
    pattern = table.text("filename", None if direction == OUT else "inbound")
    try:
        return FileName(pattern)
    except ValueError as fault:
        table.fault("filename", str(fault), pattern)
        return FileName("unnamed")


def _check_file(table: Table, layout: FileLayout) -> None:
    if not layout.has_declaration and layout.encoding != "utf-8":
        table.fault("declaration", "is needed where the charset is not utf-8: nobody could read the document else")
    if layout.quote and layout.quote == layout.separator:
        table.fault("quote", "must differ from the separator")
    if layout.kind != XML and not layout.newline and len({part.length for part in layout.parts.values()}) > 1:
        table.fault("newline", "is needed where records differ in length")
    if layout.kind != XML:
        _check_distinct(table, layout)
    if layout.direction == OUT:
        repeated = [part.each for part in layout.parts.values() if part.each in _ORDER]
        if repeated != sorted(repeated, key=_ORDER.index):
            table.fault("", f"must declare its repeated parts in the order {', '.join(_ORDER)}")
    for part in layout.head:
        for one in part.fields:
            if one.terms:
                table.fault("", f"{part.key}.{one.name} stands before what it totals: a file is written in one pass")
    _check_totals(table, layout)


def _check_distinct(table: Table, layout: FileLayout) -> None:
    """Lines are told apart by their constants and their length."""
    seen: dict[tuple[object, ...], str] = {}
    for part in layout.parts.values():
        marks = [(number, one) for number, one in enumerate(part.fields) if one.const is not None]
        where = tuple((one.start if layout.kind == FIXED else number, one.const) for number, one in marks)
        size = part.length if layout.kind == FIXED else len(part.fields)
        other = seen.setdefault((size, where), part.key)
        if other != part.key:
            table.fault("", f"{part.key} and {other} cannot be told apart: give each a const")


def _check_totals(table: Table, layout: FileLayout) -> None:
    for part in layout.parts.values():
        for one in part.fields:
            for term in one.terms:
                fault = _term_fault(layout, term.part, term.amount, term.field, term.value)
                if fault:
                    table.source.faults.append(
                        _at_line(table, one.line, f"{layout.key}.{part.key}.{one.name}.total", fault)
                    )


def _at_line(table: Table, line: int, key: str, reason: str) -> Fault:
    return Fault(table.source.file, line, key, reason)


def _term_fault(layout: FileLayout, part_key: str, amount: str, name: str, value: str) -> str:
    part = layout.parts.get(part_key)
    if part is None:
        return f"{part_key} is no record of this file; there are {', '.join(layout.parts)}"
    fields = {one.name: one for one in part.values}
    if amount and (amount not in fields or fields[amount].rule.type not in {"amount", "number"}):
        return f"{part_key} has no amount or number {amount}"
    if name and (name not in fields or (fields[name].rule.codes and value not in fields[name].rule.codes)):
        return f"{part_key} has no field {name} that can be {value!r}"
    return ""


# --- records and elements ----------------------------------------------------------------------------------------------


def _parts(table: Table, kind: str, direction: str) -> dict[str, Part]:
    found: dict[str, Part] = {}
    of = "element" if kind == XML else "record"
    for key, inner in table.named(of, most=MAX_PARTS, shape=_KEY, told=_KEY_TOLD):
        found[key] = _part(inner, key, kind, direction, found)
    if not found:
        table.fault("", f"declares no {of}")
    return found


def _part(table: Table, key: str, kind: str, direction: str, before: Mapping[str, Part]) -> Part:
    each = table.choice("each", tuple(EACH), FILE if direction == OUT else None)
    fields = tuple(_fields(table, kind, each, direction))
    text = table.table("text") if kind == XML else None
    becomes = table.choice("becomes", tuple(BECOMES), "") if direction == IN else ""
    _check_becoming(table, becomes, each, fields)
    made = Part(
        key=key,
        name=table.text("name", key, shape=_XML_NAME, told=_XML_TOLD) if kind == XML else key,
        title=table.text("title", key.replace("_", " ")),
        each=each,
        fields=fields,
        kinds=frozenset(_part_kinds(table, each)),
        inside=_inside(table, key, before) if kind == XML else "",
        is_optional=table.flag("optional"),
        length=_length(table, fields) if kind == FIXED else 0,
        text=declared_field(text, kind, each, direction, is_text=True) if text else None,
        source=table.text("source", ""),
        becomes=becomes,
        line=table.line,
    )
    table.close()
    return made


def _fields(table: Table, kind: str, each: str, direction: str) -> Iterator[Field]:
    key = {FIXED: "columns", DELIMITED: "fields", XML: "attributes"}[kind]
    names: set[str] = set()
    for inner in table.tables(key, most=MAX_FIELDS, is_needed=kind != XML):
        made = declared_field(inner, kind, each, direction)
        if made.name in names:
            inner.fault("name", "stands twice in one record", made.name)
        names.add(made.name)
        yield made


def _check_becoming(table: Table, becomes: str, each: str, fields: tuple[Field, ...]) -> None:
    """Judge what the fields of a record that comes back fill."""
    known, filled = BECOMES[becomes], {one.to for one in fields if one.to}
    for one in fields:
        if not one.to:
            continue
        if one.to not in known:
            told = (
                f"{becomes} has no {one.to}; there are {', '.join(known)}"
                if becomes
                else "needs a record that becomes something"
            )
            table.fault("becomes", told)
        elif one.rule.type not in known[one.to]:
            table.fault("becomes", f"{one.to} needs type {' or '.join(known[one.to])}, {one.name} is {one.rule.type}")
        elif one.to in CODES and not set(one.rule.codes) <= CODES[one.to]:
            table.fault("becomes", f"codes of {one.name} must be of {', '.join(sorted(CODES[one.to]))}")
    missing = [name for name in NEEDED.get(becomes, ()) if name not in filled]
    if missing:
        table.fault("becomes", f"{becomes} needs a field with to = {' and '.join(missing)}")
    if (becomes == RECEIPT) != (each == FILE) and becomes:
        table.fault("each", f"a {becomes} stands {'once' if becomes == RECEIPT else 'any number of times'}")


def _part_kinds(table: Table, each: str) -> tuple[str, ...]:
    kinds = table.texts("kinds")
    known = KINDS.get(each, ())
    for kind in kinds:
        if kind not in known:
            told = f"must be among {', '.join(known)}" if known else f"has no meaning where each is {each}"
            table.fault("kinds", told, kind)
    return kinds


def _inside(table: Table, key: str, before: Mapping[str, Part]) -> str:
    inside = table.text("inside", "")
    if before and not inside:
        table.fault("", "needs inside: only the first element is the root")
    elif inside and inside not in before:
        table.fault("inside", "must be an element declared before this one", inside)
    depth, around = 0, inside
    while around in before and depth <= MAX_DEPTH:
        depth, around = depth + 1, before[around].inside
    if depth > MAX_DEPTH:
        table.fault("inside", f"is deeper than {MAX_DEPTH} elements", key)
    return inside


def _length(table: Table, fields: tuple[Field, ...]) -> int:
    """Return the stated length, after noting each gap and overlap where it stands."""
    length = table.number("length", low=1, high=MAX_WIDTH)
    position = 1
    for number, one in enumerate(fields):
        if one.start != position and one.start:
            what = "leaves a gap before it" if one.start > position else "overlaps the column before it"
            where = (*table.path, "columns", number, "at")
            table.source.fault(where, f"{what}: {one.name} starts at {one.start}, expected {position}")
        position = one.stop + 1 if one.start else position
    if fields and position != length + 1:
        table.fault("length", f"is {length}, the columns end at {position - 1}")
    return length
