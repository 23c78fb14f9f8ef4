"""Reads a finished file of ours again and says what it holds, for the host to compare (ADR 0005)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

from gateway.domain.exchange import Direction, Envelope, LinkKind, Totals
from gateway.errors import DecodeError
from gateway.profiles.declaration import FIXED, FileLayout, Part
from gateway.profiles.exporting import tells_balance
from gateway.profiles.files import ProfileFile
from gateway.profiles.lines import Row
from gateway.profiles.sources import CLAIM, CREDIT_NOTE, DOCUMENT, INSTRUCTION, INVOICE, ITEM

_EFFECTS = {
    LinkKind.DIRECT_PAYMENT: Direction.CREDIT, LinkKind.CREDIT_NOTE: Direction.CREDIT, LinkKind.DISBURSEMENT: Direction.DEBIT,
}  # fmt: skip
"""Kinds whose direction follows from what they are; others must say it in the file."""


def verify(
    file: ProfileFile, envelope: Envelope, source: BinaryIO, watch: Callable[[Row], None] | None = None
) -> Totals:
    """Return the totals of the finished file in *source*, read as strictly as one that comes in.

    What a layout does not say cannot be compared, and is taken from *envelope*: the number of claims where only later
    credit notes are written. Where only balances are, their sum must be what the envelope's totals leave. *watch* is shown
    each record, and may refuse it.

    Raises:
        DecodeError: the file is not what the profile says, or its own control totals do not agree.
    """
    parts = {part.key: _Reader(file.layout, part) for part in file.layout.parts.values()}
    found: Counter[str] = Counter()
    length = 0
    for row in file.read_values(source):
        if watch:
            watch(row.named())
        parts[row.part.key].count(row.values, found)
        length += row.part.length
        found["records"] += 1
    _check_size(file.layout, length + found["records"] * len(file.layout.newline), source)
    told = envelope.totals
    if tells_balance(file.layout):
        if found["balance"] != told.debit_minor - told.credit_minor:
            fault = f"balances come to {found['balance']} minor units, not {told.debit_minor - told.credit_minor}"
            raise DecodeError(fault, field="claim.open_minor")
        return told._replace(claims=found["claims"])
    tells_claims = any(reader.is_claim for reader in parts.values()) or found["claims"] > 0
    tells_debit = any(reader.tells_original for reader in parts.values()) or not told.debit_minor or found["debit"] > 0
    return Totals(
        claims=found["claims"] if tells_claims else told.claims,
        items=found["items"],
        debit_minor=found["debit"] if tells_debit else told.debit_minor,
        credit_minor=found["credit"],
        charge_minor=found["charge"],
        instructions=found["instructions"],
    )


def _check_size(layout: FileLayout, expected: int, source: BinaryIO) -> None:
    """Refuse a file of columns that lacks blanks at the ends of its lines: others may send it so, we never write it."""
    size = source.seek(0, os.SEEK_END)
    if layout.kind == FIXED and layout.encoding != "utf-8" and size != expected:
        raise DecodeError(f"has {size} bytes where its records have {expected}: it may be cut short")


class _Reader:
    """What the records of one part add to the totals."""

    def __init__(self, layout: FileLayout, part: Part) -> None:
        self._part = part
        self._places = {one.source: number for number, one in enumerate(part.values) if one.source}
        around = layout.parts[part.inside].each if part.inside else ""
        self.is_claim = part.each == CLAIM and next(iter(layout.parts_of(CLAIM))) is part
        self.tells_original = bool({"claim.original_minor", "document.amount_minor"} & set(self._places))
        self._is_instruction = part.each == INSTRUCTION and around != INSTRUCTION

    def count(self, values: Sequence[Any], found: Counter[str]) -> None:
        """Add one record."""
        found["claims"] += self.is_claim
        found["instructions"] += self._is_instruction
        found["debit"] += self._value("claim.original_minor", values) or 0
        found["balance"] += self._value("claim.open_minor", values) or 0
        amount = self._value("document.amount_minor", values)
        if self._part.each == DOCUMENT and amount is not None:
            is_invoice = self._kind("document.kind", values, INVOICE) != CREDIT_NOTE
            found["claims" if is_invoice else "items"] += 1
            found["debit" if is_invoice else "credit"] += amount
        amount = self._value("item.amount_minor", values)
        if self._part.each == ITEM and amount is not None:
            found["items"] += 1
            found[self._side(values)] += amount

    def _side(self, values: Sequence[Any]) -> str:
        kind = LinkKind(self._kind("item.kind", values, LinkKind.VOUCHER_LINE))
        if kind is LinkKind.CHARGE:
            return "charge"
        direction = self._value("item.direction", values) or _EFFECTS.get(kind, Direction.CREDIT)
        return "debit" if direction == Direction.DEBIT else "credit"

    def _kind(self, source: str, values: Sequence[Any], usual: str) -> str:
        stated = self._value(source, values)
        return str(stated or (next(iter(self._part.kinds)) if len(self._part.kinds) == 1 else usual))

    def _value(self, source: str, values: Sequence[Any]) -> Any:
        place = self._places.get(source)
        return None if place is None else values[place]
