"""CSV for spreadsheets, safe against formulas: a cell that a spreadsheet would run is told to be text (P19)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from flask import Response, stream_with_context

from gateway.domain.money import format_minor

ROWS_MAX = 100_000
"""More than a spreadsheet handles well; a larger extract is the API's business."""
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?")


def safe_cell(value: object) -> str:
    """Return *value* as a cell that no spreadsheet takes for a formula; plain numbers stay numbers."""
    text = "" if value is None else str(value)
    # Leading blanks do not help against every program, so what matters is the first visible sign.
    if text.lstrip(" \N{NO-BREAK SPACE}").startswith(_FORMULA_START) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def amount_cell(minor: int, currency: str, language: str) -> str:
    """Return an amount without thousands separator, with the decimal sign of the language's spreadsheets."""
    plain = format_minor(minor, currency)
    return plain if language == "en" else plain.replace(".", ",")


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return *rows* as a streamed download called ``name.csv`` (semicolons, UTF-8 with mark, at most `ROWS_MAX`)."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response(stream_with_context(_lines(header, rows)), mimetype="text/csv; charset=utf-8", headers=headers)


def _lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
    buffer.write("\N{ZERO WIDTH NO-BREAK SPACE}")
    writer.writerow([safe_cell(cell) for cell in header])
    for number, row in enumerate(rows):
        if number >= ROWS_MAX:
            break
        writer.writerow([safe_cell(cell) for cell in row])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
