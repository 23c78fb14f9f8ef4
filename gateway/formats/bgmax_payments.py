"""Makes payments of the columns of BgMax records, for the fast and the thorough path alike (payments.md 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import repeat
from operator import add
from typing import ClassVar

from gateway.domain.exchange import Direction, Payment, Reference
from gateway.domain.money import format_minor
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.audit import Audit
from gateway.formats.bgmax_layout import (
    MONEY,
    MONEY_FIELDS,
    NAMES,
    NUMBER,
    WIDTH,
    DeductionRecord,
    Deposit,
    ExtraReference,
    NegativeExtraReference,
    PayerAddress,
    PayerCity,
    PayerName,
    PayerNumber,
    PaymentRecord,
)
from gateway.formats.fixed_width import stripped
from gateway.formats.record import decode
from gateway.formats.record_pattern import pattern

DEDUCTIONS = {"0": "full", "1": "partial", "2": "final"}
_IS_VALID = {"2": "ocr", "4": "ocr"}  # what the bank found; of any other code the bank says that it is no OCR number
MAX_ADDRESSES = 4096
"""Addresses kept at once: many payments of a file come from the same payers."""
NAME_WIDTH = 35
_NO_SERIAL = "0" * 12
_EMPTY = repeat("")
_CREDIT, _DEBIT = Direction.CREDIT, Direction.DEBIT  # reading a member of an Enum is a call
_new = tuple.__new__  # a named tuple's own constructor is a Python function and takes four times as long
_COLUMNS: dict[type, re.Pattern[str]] = {
    PaymentRecord: re.compile(MONEY),
    DeductionRecord: re.compile(pattern(DeductionRecord, *MONEY_FIELDS)),
    PayerName: re.compile(NAMES),
    PayerNumber: re.compile(NUMBER),
}
_ADDRESS = (PayerAddress, PayerCity)


class Section:
    """One section (TK05 to TK15): whose money, of which day, how much of it so far."""

    def __init__(self, account: str, currency: str, deposit: Deposit | None) -> None:
        self.account, self.currency = account, currency
        self.day: date | None = deposit.payment_date if deposit else None
        day = f"{self.day:%Y%m%d}" if self.day else ""
        self.key = f"bgmax:{account}:{day}"
        self.statement_reference = f"{account}:{day[:4]}:{deposit.serial}" if deposit else ""
        self.count = self.credit = self.debit = 0

    def add(self, count: int, total: int, *, is_deduction: bool) -> None:
        """Count payments of *total* minor units."""
        self.count += count
        if is_deduction:
            self.debit += total
        else:
            self.credit += total


class Gathered:
    """A payment of which more records may follow, as lines of 80 columns."""

    blank: ClassVar[str] = " " * WIDTH

    def __init__(self, kind: type[PaymentRecord | DeductionRecord], line: str) -> None:
        self.kind, self.line = kind, line
        self.details: list[str] = []
        self.payer: dict[type, str] = {}

    @property
    def deduction(self) -> str | None:
        """The deduction code of a TK21, None for a payment."""
        return decode(DeductionRecord, self.line).deduction_code if self.kind is DeductionRecord else None

    def columns(self) -> list[tuple[str, ...]]:
        """Return what the fast path would have, for one payment."""
        texts = [*_groups(self.kind, self.line), "".join([f"{line}\n" for line in self.details])]
        texts += _groups(PayerName, self.payer.get(PayerName, ""))
        texts.append("".join([f"{self.payer[kind]}\n" for kind in _ADDRESS if kind in self.payer]))
        texts += _groups(PayerNumber, self.payer.get(PayerNumber, ""))
        return [(text,) for text in texts]


def _groups(kind: type, line: str) -> tuple[str, ...]:
    if not line:
        return ("",)
    found = _COLUMNS[kind].match(line)
    assert found, "the record was decoded before"
    return found.groups()


def made(
    columns: Sequence[Sequence[str]],
    minors: Sequence[int],
    first: int,
    section: Section,
    audit: Audit,
    *,
    known_addresses: Addresses,
    why_not: str,
    deduction: str | None,
) -> Iterator[Payment]:
    """Return the payments of *columns* (those of a unit, in order), the first of which has position *first*.

    *known_addresses* are those that the file has had so far. *deduction* is the code of a TK21: they take money off then. Extra references that cannot be read are findings.
    """
    payers, raws, _, codes, raw_serials, details, names, addresses, numbers = columns
    serials = _serials(raw_serials)
    values: Sequence[str] = stripped(raws)
    kinds: Iterable[str] = map(_IS_VALID.get, codes, _EMPTY) if deduction is None else repeat("credit_note")
    references: Iterable[tuple[Reference, ...]] = repeat(())
    joined: Iterable[str] = _EMPTY
    if any(details):
        rows = zip(raws, values, kinds, minors, details, range(first, first + len(minors)), strict=False)
        parts = [_references(audit, section.currency, *row) for row in rows]
        values, kinds, references, joined = zip(*parts, strict=True)
    is_credit, day = deduction is None, section.day
    return map(_new, repeat(Payment), zip(
        range(first, first + len(minors)), minors, repeat(section.currency), repeat(_CREDIT if is_credit else _DEBIT),
        repeat(False), repeat("BOOK"), repeat(not why_not), repeat(why_not), values, raws, references, repeat(day),
        repeat(day), _names(names), _bankgiros(payers), repeat(section.account), serials,
        joined, _keys(section, serials, payers, raws, minors), _EMPTY, _EMPTY, _EMPTY, repeat(None), _EMPTY, kinds,
        repeat(section.statement_reference), repeat(None), repeat(0), repeat(DEDUCTIONS.get(deduction or "", "")),
        _numbers(numbers), map(known_addresses.__getitem__, addresses) if any(addresses) else _EMPTY,
    ))  # fmt: skip


def _references(
    audit: Audit, currency: str, raw: str, value: str, kind: str, minor: int, details: str, position: int
) -> tuple[str, str, tuple[Reference, ...], str]:
    """Return reference, its kind, all references and text; the last two are empty where one reference says it all."""
    if not details:
        return value, kind, (), ""
    lines = details.split("\n")[:-1]
    found = [Reference(raw, value, kind)] if value else []
    more = [_extra(line, audit, position) for line in lines if not line.startswith("25")]
    found += _divided([reference for reference in more if reference], minor, currency, audit, position)
    first = found[0] if found else Reference(raw, value, kind)
    parts = [line.ljust(WIDTH)[2:52] for line in lines if line.startswith("25")]
    found += [Reference(part, part.strip(), "text") for part in parts if part.strip()]
    return first.value, first.kind, tuple(found), " ".join(part.strip() for part in parts if part.strip())


def _extra(line: str, audit: Audit, position: int) -> Reference | None:
    """Return the reference of a TK22 or TK23. One that cannot be read is lost, not a fault: its amount is told twice."""
    is_negative = line.startswith("23")
    try:
        if "\t" in line:  # the columns behind a tab are not where they should be
            raise DecodeError(said("wrong.tab"))
        kind: type[ExtraReference | NegativeExtraReference] = NegativeExtraReference if is_negative else ExtraReference
        extra = decode(kind, line.ljust(WIDTH)[:WIDTH])
    except DecodeError:
        audit.warn("bgmax.reference_lost", f"transaction {position}, extra reference", line.rstrip())
        return None
    raw, minor = line[12:37], -extra.amount_minor if is_negative else extra.amount_minor
    verdict = "credit_note" if is_negative else _IS_VALID.get(extra.reference_code, "")
    return Reference(raw, raw.strip(" "), verdict, minor)


def _divided(found: list[Reference], minor: int, currency: str, audit: Audit, position: int) -> list[Reference]:
    """Return *found* with their parts of the payment, if they have any and these add up to it.

    Amounts are 0 unless the receiver has extended form registration; they are never added to the payment.
    """
    total = sum(reference.amount_minor or 0 for reference in found)
    if any(reference.amount_minor for reference in found):
        if total == minor:
            return found
        place = f"transaction {position}, extra references"
        stated, computed = format_minor(total, currency), format_minor(minor, currency)
        audit.warn("bgmax.allocation", place, stated, stated=stated, computed=computed)
    return [reference._replace(amount_minor=None) for reference in found if reference.value]


# --- columns ---------------------------------------------------------------------------------------------------------


def _keys(
    section: Section, serials: Sequence[str], payers: Sequence[str], raws: Sequence[str], minors: Sequence[int]
) -> Iterable[str]:
    """Return identities across files: the serial is unique for two years; without one, what the payment says."""
    start, place = f"{section.key}:", section.statement_reference
    if all(serials):
        return map(add, repeat(start), serials)
    facts = zip(serials, payers, raws, minors, strict=True)
    return [start + (serial or f"{place}:{payer}{raw}{minor}") for serial, payer, raw, minor in facts]


def _bankgiros(column: Sequence[str]) -> Iterable[str]:
    """Return numbers without the zeros and blanks that fill them; empty where unknown."""
    if " " in "".join(column):
        return [number.lstrip("0 ").rstrip() for number in column]
    return map(str.lstrip, column, repeat("0"))


def _serials(column: Sequence[str]) -> Sequence[str]:
    joined = "".join(column)
    if " " in joined or len(joined) < len(_NO_SERIAL) * len(column) or _NO_SERIAL in column:
        return [serial.strip() if serial.strip("0 ") else "" for serial in column]
    return column


def _names(column: Sequence[str]) -> Iterable[str]:
    """Return name and extra name, each of 35 columns, as one text."""
    names = list(map(str.rstrip, column))
    if max(map(len, names)) <= NAME_WIDTH:
        return map(str.lstrip, names)
    return [f"{text[:NAME_WIDTH].strip()} {text[NAME_WIDTH:].strip()}".strip() for text in column]


class Addresses(dict[str, str]):
    """The lines of addresses by what they are written as: TK27 and TK28, line by line, or nothing."""

    def __missing__(self, text: str) -> str:
        street, _, city = f"\n{text}".partition("\n28")
        town = f"{street[38:47].strip()} {city[:35].strip()}".strip()
        country = city[35:70].strip() or city[70:72].strip()
        if len(self) >= MAX_ADDRESSES:
            self.clear()
        self[text] = told = "\n".join(filter(None, (street[3:38].strip(), town, country)))
        return told


def _numbers(column: Sequence[str]) -> Iterable[str]:
    """Return organisation numbers without what fills them: ten digits, or the twelve of a person's."""
    if not any(column):
        return _EMPTY
    return [number.strip().removeprefix("00") if number.strip("0 ") else "" for number in column]
