"""Fixed-width records under a ruler: each column named by its declaration."""

from __future__ import annotations

from collections.abc import Generator
from typing import BinaryIO

from gateway.formats.fixed_width import pieces, recoded
from gateway.formats.layouts import FixedLayout
from gateway.formats.record import Column, columns, day_of, fits
from gateway.formats.view.model import Field, FindingTold, Record, Wanted, amount_told, hidden, told_code, visible
from gateway.formats.view.words import field_name, label, record_name

PERSONAL = frozenset({"organisation_number", "payer_number"})
"""Fields that hold a person's number where the payer is one."""

_TWO_DECIMALS = "SEK"
"""All currencies of these formats have cents."""


def ruled(
    stream: BinaryIO, layout: FixedLayout, wanted: Wanted, language: str, *, is_masked: bool, limit: int | None
) -> Generator[Record, None, int | None]:
    """Yield the *wanted* records of a file; return how many lines it has, None where *limit* ended the reading.

    Lines are numbered as the readers number them. Only pieces with something wanted in them are cut into lines.

    Args:
        stream: the file.
        layout: what it consists of.
        wanted: what to show.
        language: ``nb``, ``sv`` or ``en``.
        is_masked: whether numbers of persons are hidden.
        limit: characters to read at most behind the records from the first on; None for the whole file.
    """
    before = transactions = read = 0
    for piece in pieces(stream, layout.width):
        text = recoded(piece) or piece
        count = text.count("\n") + (not text.endswith("\n"))
        begun = len(layout.starts.findall(text)) if wanted.waits("transaction") else 0
        if wanted.overlaps(before, count) or _is_awaited(wanted, before, count, transactions, begun):
            shown = _Lines(layout, wanted, language, is_masked=is_masked)
            yield from shown.of(text.removesuffix("\n").split("\n"), before, transactions)
        before, transactions, read = before + count, transactions + begun, read + len(text)
        if limit is not None and before >= wanted.stop and read > limit:
            return None
    return before


def _is_awaited(wanted: Wanted, before: int, count: int, transactions: int, begun: int) -> bool:
    return bool(
        wanted.between("line", before + 1, before + count)
        or wanted.between("transaction", transactions + 1, transactions + begun)
    )


class _Lines:
    """Makes records of the wanted lines of one piece."""

    def __init__(self, layout: FixedLayout, wanted: Wanted, language: str, *, is_masked: bool) -> None:
        self._layout, self._wanted, self._language, self._is_masked = layout, wanted, language, is_masked

    def of(self, lines: list[str], before: int, transactions: int) -> Generator[Record]:
        """Yield the wanted records of *lines*, behind *before* lines and *transactions* transactions."""
        for number, line in enumerate(lines, before + 1):
            findings = self._wanted.take("line", number)
            if self._wanted.waits("transaction") and self._layout.starts.match(line):
                transactions += 1
                findings += self._wanted.take("transaction", transactions)
            if findings or self._wanted.has(number):
                yield self._record(number, line, findings)

    def _record(self, number: int, raw: str, findings: list[FindingTold]) -> Record:
        layout, language = self._layout, self._language
        line = raw.rstrip(" \r\x1a")[: layout.width].ljust(layout.width)
        kind = layout.record_of(line)
        if kind is None:
            name = label("unknown_record" if line.strip() else "blank", language)
            return Record(number, number, "", name, 0, visible(raw[: 2 * layout.width]), (), findings=findings)
        fields, shown = [], line
        for name, column in columns(kind):
            raw_text = column.cut(line)
            text = hidden(raw_text) if self._is_masked and name in PERSONAL else raw_text
            shown = shown[: column.start - 1] + text + shown[column.stop :]
            if column.kind != "filler" or text.strip(" 0"):
                fields.append(self._field(kind, name, column, text, is_wrong=not fits(column, raw_text)))
        code = layout.code_of(kind, line)
        shown += raw.rstrip(" \r\x1a")[layout.width : 2 * layout.width]
        return Record(
            number, number, code, record_name(layout.name, kind.__name__, language), 0, visible(shown), tuple(fields),
            findings=findings,
        )  # fmt: skip

    def _field(self, kind: type, name: str, column: Column, raw: str, *, is_wrong: bool) -> Field:
        value = raw.strip(" ")
        tag = str(column.start) if column.width == 1 else f"{column.start}-{column.stop}"
        told = "" if is_wrong else self._told(kind, name, column, raw)
        words = field_name(self._layout.name, kind.__name__, name, self._language)
        return Field(tag, words, visible(value), told, is_wrong, column.start, column.stop)

    def _told(self, kind: type, name: str, column: Column, raw: str) -> str:
        """Return the value in words, where they say more than the value."""
        if column.kind.startswith("date"):
            day = day_of(kind, name, raw)
            return day.isoformat() if day else label("no_date", self._language)
        if name.endswith("_minor") or name == "amount":
            return amount_told(int(raw), _TWO_DECIMALS, self._language) if raw.isascii() and raw.isdecimal() else ""
        if column.kind == "number":
            return str(int(raw))
        return told_code(self._layout.name, name, raw, self._language)
