"""Every fixed-width payment format: which records its files consist of, told apart by their constants.

The view of a file and the pages in ``docs/formats/`` go over this table, so that a format is listed once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

from gateway.formats import autogiro_layout, bgmax_layout, ktl_layout, ocr_layout, total_in_layout
from gateway.formats.record import columns, width_of

CODE_FIELD = "record_type"


@dataclass(frozen=True)
class FixedLayout:
    """The *records* of one kind of file, and which of them begin a transaction.

    *name* is the layout's, which several kinds of file may share (four kinds of Autogiro file); *prefix* is what the
    trade puts before the code of a record: TK20.
    """

    name: str
    records: tuple[type, ...]
    transactions: tuple[type, ...]
    prefix: str = ""

    @property
    def width(self) -> int:
        """Columns of a record."""
        return width_of(self.records[0])

    def record_of(self, line: str) -> type | None:
        """Return the record that *line* is by its constants, whatever stands in its other columns; None for others."""
        return next((kind for kind in self.records if _marks(kind).match(line)), None)

    def code_of(self, kind: type, line: str) -> str:
        """Return what the trade calls the record on *line*: TK20, 30, S."""
        return self.prefix + dict(columns(kind))[CODE_FIELD].cut(line)

    def codes_of(self, kind: type) -> tuple[str, ...]:
        """Return every code that a record of *kind* may carry."""
        column = dict(columns(kind))[CODE_FIELD]
        choices = (column.const,) if column.const is not None else column.names["choices"]
        return tuple(f"{self.prefix}{choice}" for choice in choices)  # type: ignore[attr-defined]

    @cached_property
    def starts(self) -> re.Pattern[str]:
        """Matches the beginning of every line that begins a transaction."""
        return re.compile("|".join(f"^{_marks(kind).pattern}" for kind in self.transactions), re.MULTILINE)


@cache
def _marks(kind: type) -> re.Pattern[str]:
    """Return a pattern of the columns that tell *kind* from other records."""
    parts, stop = [], 0
    for name, column in columns(kind):
        if column.const is not None or name == CODE_FIELD:
            parts.append(f".{{{column.start - stop - 1}}}{column.pattern}")
            stop = column.stop
    return re.compile("".join(parts))


def _autogiro(*records: type) -> FixedLayout:
    transactions = (autogiro_layout.PaymentRecord, autogiro_layout.RefundRecord, autogiro_layout.RejectedRecord)
    return FixedLayout("autogiro", records, tuple(kind for kind in records if kind in transactions), "TK")


_REJECTED = (autogiro_layout.RejectedRecord, autogiro_layout.RejectedEnd)

FIXED_LAYOUTS = {
    "ocr_giro": FixedLayout("ocr", ocr_layout.RECORDS, (ocr_layout.AmountItem1,)),
    "bgmax": FixedLayout(
        "bgmax", bgmax_layout.RECORDS, (bgmax_layout.PaymentRecord, bgmax_layout.DeductionRecord), "TK"
    ),
    "autogiro_new": _autogiro(
        autogiro_layout.FileStart, autogiro_layout.SectionStart, autogiro_layout.PaymentRecord,
        autogiro_layout.RefundRecord, autogiro_layout.FileEnd,
    ),
    "autogiro_old": _autogiro(autogiro_layout.OldFileStart, autogiro_layout.PaymentRecord, autogiro_layout.OldFileEnd),
    "autogiro_rejected": _autogiro(autogiro_layout.FileStart, *_REJECTED),
    "autogiro_rejected_old": _autogiro(autogiro_layout.OldFileStart, *_REJECTED),
    "ktl": FixedLayout("ktl", ktl_layout.RECORDS, (ktl_layout.Transaction,)),
    "total_in": FixedLayout("total_in", total_in_layout.RECORDS, (total_in_layout.PaymentRecord,)),
}  # fmt: skip
"""Format, as the readers name it, to what its files consist of."""
