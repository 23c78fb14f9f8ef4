"""An inbound payment file record by record, as ``kravport explain`` shows it: a page of it, and where findings stand.

Numbers of persons are masked here as everywhere in the panel; the original bytes are a download away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from markupsafe import Markup

from gateway.domain.reasons import sentence
from gateway.formats.detect import HEAD_BYTES, detect
from gateway.formats.view import FIRST, FindingTold, View, view_of
from gateway.formats.view.page import records_html

READ_CHARACTERS = 16 << 20
"""How far a page looks for records behind those it shows: some 50 000 payments, under a second. All findings are listed anyway."""


@dataclass(frozen=True, slots=True)
class Records:
    """One page of a file. *first* and *last* are numbers of records; *total* is None where the file is very large.

    *before* and *after* are the first records of the pages beside it. *shown_at* tells at which record a finding, by its
    place in the list of findings, is shown.
    """

    html: Markup
    first: int
    last: int
    total: int | None
    before: int | None
    after: int | None
    shown_at: Mapping[int, int]


def records_of(
    open_file: Callable[[], BinaryIO], name: str, findings: Sequence[Mapping[str, Any]], first: int, language: str
) -> Records | None:
    """Return the page of a file that begins at record *first*; None where it is no payment file we know.

    Args:
        open_file: opens the file, each time from its beginning.
        name: its format as it was read, empty where that is not known.
        findings: as they are stored with the file.
        first: 1 is the first record. Only this page shows records with findings wherever they stand.
        language: ``nb``, ``sv`` or ``en``.
    """
    if not name:
        with open_file() as stream:
            name = detect(stream.read(HEAD_BYTES)).name
    told = [_told(finding, language) for finding in findings]
    with open_file() as stream:
        view = view_of(stream, name, told, language=language, first=first, is_masked=True, limit=READ_CHARACTERS)
    if view is None:
        return None
    stop = first + FIRST
    if first > 1:
        view.records = [record for record in view.records if first <= record.number < stop]
    return _page(view, told, first, language) if view.records else None


def _page(view: View, told: list[FindingTold], first: int, language: str) -> Records:
    stop = first + FIRST
    in_order = [record.number for record in view.records if record.number < stop]
    has_more = len(in_order) == FIRST if view.total is None else stop <= view.total
    places = {finding: record.number for record in view.records for finding in record.findings}
    return Records(
        Markup(records_html(view, language)),  # noqa: S704 - made by a template that escapes
        first,
        in_order[-1] if in_order else first,
        view.total,
        max(1, first - FIRST) if first > 1 else None,
        stop if has_more else None,
        {index: places[finding] for index, finding in enumerate(told) if finding in places},
    )


def _told(finding: Mapping[str, Any], language: str) -> FindingTold:
    code, values = str(finding.get("code", "")), finding.get("values") or {}
    severity, place, value = (str(finding.get(key) or "") for key in ("severity", "place", "value"))
    return FindingTold(severity, code, place, value, sentence(code, language, values))
