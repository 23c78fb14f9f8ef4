"""Reads a file for showing, by the format it was recognised as."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import BinaryIO

from gateway.formats.layouts import FIXED_LAYOUTS
from gateway.formats.view.elements import elements
from gateway.formats.view.model import FIRST, FindingTold, Record, View, Wanted
from gateway.formats.view.ruler import ruled
from gateway.formats.view.segments import segments


def view_of(
    stream: BinaryIO,
    name: str,
    findings: Iterable[FindingTold] = (),
    *,
    language: str = "en",
    first: int = 1,
    count: int = FIRST,
    is_masked: bool = False,
    limit: int | None = None,
) -> View | None:
    """Return the records of a payment file from *first* on, and every record at which a finding stands.

    No content raises. Memory does not grow with the file: records outside what is wanted are counted, not kept.

    Args:
        stream: the file, from its beginning.
        name: its format as the reader names it (``bgmax``, ``camt.054.001.08``).
        findings: what the reader found, told in *language*; one whose place is not in the file becomes loose.
        language: ``nb``, ``sv`` or ``en``.
        first: number of the first record to show.
        count: how many to show from there on.
        is_masked: whether numbers of persons are hidden, as everywhere in the panel.
        limit: characters after which reading ends early, once the *count* records are read; then `View.total` is None.

    Returns:
        None where no format of this name is shown record by record.
    """
    wanted = Wanted(findings, first, count)
    layout = FIXED_LAYOUTS.get(name)
    if layout:
        found = ruled(stream, layout, wanted, language, is_masked=is_masked, limit=limit)
    elif name.startswith("cremul"):
        found = segments(stream, wanted, language, is_masked=is_masked, limit=limit)
    elif name.startswith("camt"):
        found = elements(stream, wanted, language, is_masked=is_masked, limit=limit)
    else:
        return None
    records, total = _gathered(found)
    return View(layout.width if layout else 0, records, total, wanted.rest())


def _gathered(found: Generator[Record, None, int | None]) -> tuple[list[Record], int | None]:
    """Return the records in the order of the file, and how many there are in all."""
    records: list[Record] = []
    while True:
        try:
            records.append(next(found))
        except StopIteration as end:
            return sorted(records, key=lambda record: record.number), end.value
