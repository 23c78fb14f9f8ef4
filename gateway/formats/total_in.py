"""Reads Total IN (Nordea Plusgiro, Sweden) by a description nobody has confirmed (payments.md 6).

Only whoever names `PROFILE` gets this reader, and every file it reads carries a warning. Deductions lower the section's
sum as in BgMax, from which the format descends; a file that means otherwise does not agree with its own totals and goes to
quarantine. There is no fast path: what is not known to be right need not be quick.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from gateway.domain.exchange import Direction, Payment, Reference
from gateway.domain.reasons import said
from gateway.formats.bgmax import ENDING
from gateway.formats.fixed_width import FixedWidthReader, scanner
from gateway.formats.total_in_layout import (
    DEDUCTION,
    PAYMENT,
    ExtraReferences,
    FileEnd,
    FileStart,
    Messages,
    PayerAddress,
    PayerCity,
    PayerName,
    PaymentRecord,
    SectionEnd,
    SectionStart,
)

PROFILE = "total_in-unverified"
"""What an agreement (or the caller) must name before a file of this format is read at all."""

MAX_LINES = 1000
"""Records of one payment. A payer writes a handful of lines."""

_DETAILS: dict[str, type[Any]] = {
    "30": ExtraReferences, "40": Messages, "50": PayerName, "51": PayerAddress, "52": PayerCity
}  # fmt: skip
_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(slots=True)
class _Section:
    """Payments to one account so far: how many, how much in and taken off."""

    account: str
    currency: str
    start: SectionStart | None
    count: int = 0
    credit: int = 0
    debit: int = 0


@dataclass(slots=True)
class _Open:
    """A payment of which more records may follow."""

    line: str
    record: PaymentRecord
    details: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in _DETAILS})

    def pairs(self, kind: str) -> list[str]:
        """Return the texts of all records of *kind*, in order, without the blank ones."""
        return [text for item in self.details[kind] for text in (item.first, item.second) if text.strip()]


class TotalInReader(FixedWidthReader):
    """The payments of one Total IN file, as a `PaymentStream`."""

    format = "total_in"
    units = scanner("(?!)")

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._section: _Section | None = None
        self._open: _Open | None = None
        self._records = 0
        self._is_ended = False
        self._audit.warn("totalin.unverified")

    def _take(self, columns: object, count: int) -> None:
        """Take nothing: every line goes the thorough path."""

    # --- lines ---

    def _read_line(self, line: str) -> Iterable[Payment]:
        line = self._whole(line)
        if line.isspace():
            return
        self._records += 1
        kind = line[:2]
        if kind not in _DETAILS:
            yield from self._flush()
        if self._is_ended:
            self._fault("wrong.outside", frame="00-99", value=line)
        elif (kind == "00") != (self._records == 1):
            self._fault("wrong.not_first", value=line)
        elif kind in {PAYMENT, DEDUCTION}:
            self._start_payment(line)
        elif kind in _DETAILS:
            self._add(line, kind)
        elif step := _FRAME.get(kind):
            step(self, line)
        else:
            self._audit.warn("file.unknown_record", self._place(), line)

    def _start(self, line: str) -> None:
        start = self._decoded(FileStart, line)
        if start:
            self.identity = f"total_in:{start.created}:{start.delivery_number}"
        if start and start.created[:8] >= ENDING:
            self._audit.warn("file.format_ending", self._place("created"), start.created)

    def _start_section(self, line: str) -> None:
        if self._section:
            self._fault("wrong.comes_again", begin="10", end="90")
            self._close_section()
        start = self._decoded(SectionStart, line)
        if start and not _CURRENCY.fullmatch(start.currency):
            self._fault("wrong.currency", field="currency", value=start.currency)
        self._section = _Section(start.account.strip(), start.currency, start) if start else _Section("", "", None)

    def _start_payment(self, line: str) -> None:
        record, section = self._decoded(PaymentRecord, line), self._section
        if not section:
            self._fault("wrong.outside", frame="10-90", value=line)
        elif record:
            self._open = _Open(line, record)
        else:
            self._audit.transactions += 1
            section.count += 1

    def _add(self, line: str, kind: str) -> None:
        """Add a record to the payment it belongs to."""
        if not self._open:
            if not self._is_damaged:
                self._fault("wrong.comes_without", what=kind, other="20/25", value=line)
        elif detail := self._decoded(_DETAILS[kind], line):
            self._open.details[kind].append(detail)
            if sum(map(len, self._open.details.values())) > MAX_LINES:
                self._audit.quarantine("file.invalid", self._place(), reason=said("wrong.too_much"))

    # --- payments ---

    def _flush(self) -> Iterable[Payment]:
        """Return the payment whose records have all been read, if there is one."""
        pending, self._open = self._open, None
        section = self._section
        if not pending or not section:
            return
        minor, is_credit = pending.record.amount_minor, pending.record.record_type == PAYMENT
        section.count += 1
        section.credit += minor if is_credit else 0
        section.debit += 0 if is_credit else minor
        self._audit.transactions += 1
        yield self._payment(pending, section, is_credit=is_credit)

    def _payment(self, pending: _Open, section: _Section, *, is_credit: bool) -> Payment:
        record, raw, kind = pending.record, pending.line[2:37], "" if is_credit else "credit_note"
        value, texts, extras = raw.strip(" "), pending.pairs("40"), pending.pairs("30")
        references = [Reference(raw, value, kind)] if value else []
        references += [Reference(text, text.strip(), kind) for text in extras]
        first = references[0] if references else Reference(raw, value, kind)
        references += [Reference(text, text.strip(), "text") for text in texts]
        day = section.start.posting_date if section.start else None
        serial = record.serial.strip("0 ") and record.serial.strip(" ")
        identity = serial or f"{record.payer_bankgiro}{value}:{record.amount_minor}"
        return Payment(
            self._audit.transactions, record.amount_minor, section.currency,
            Direction.CREDIT if is_credit else Direction.DEBIT, reference=first.value, reference_raw=first.raw,
            reference_kind=first.kind, references=tuple(references) if references not in ([], [first]) else (), booking_date=day,
            value_date=day, payer_name=" ".join(map(str.strip, pending.pairs("50"))),
            payer_account=record.payer_bankgiro.strip(" ").lstrip("0"), account=section.account, bank_reference=serial,
            text=" ".join(map(str.strip, texts)), key=f"total_in:{section.account}:{day}:{record.record_type}{identity}",
            payer_address=_address(pending),
        )  # fmt: skip

    # --- control totals ---

    def _end_section(self, line: str) -> None:
        end, section = self._decoded(SectionEnd, line), self._section
        if not section:
            self._fault("wrong.comes_without", what="90", other="10")
            return
        if end:
            self._compare("transactions", end.transaction_count, section.count)
        if end and not self._is_damaged:  # an unreadable amount was reported where it stands
            self._compare_sum("sum", end.total_minor, section.credit - section.debit, section.currency)
        self._close_section()

    def _close_section(self) -> None:
        section, self._section = self._section, None
        if section and section.start:
            self._audit.count(section.currency, section.credit, section.debit)
            self.accounts[section.account] = self.accounts.get(section.account, 0) + section.count

    def _end(self, line: str) -> None:
        self._is_ended = True
        end = self._decoded(FileEnd, line)
        if self._section:
            self._fault("wrong.comes_before", what="99", other="90")
            self._close_section()
        if end:
            self._compare("records", end.line_count, self._records)

    def _finish(self) -> Iterable[Payment]:
        yield from self._flush()
        if not self._is_ended:
            self._close_section()
            self._audit.block("file.truncated", self._place())


_FRAME = {
    "00": TotalInReader._start,  # noqa: SLF001 - the table of the class's own steps
    "10": TotalInReader._start_section,  # noqa: SLF001
    "90": TotalInReader._end_section,  # noqa: SLF001
    "99": TotalInReader._end,  # noqa: SLF001
}


def _address(pending: _Open) -> str:
    """Return the lines of the payer's address."""
    towns = [f"{item.postcode.strip()} {item.city.strip()}".strip() for item in pending.details["52"]]
    lands = [item.country_code.strip() for item in pending.details["52"]]
    return "\n".join(filter(None, [*map(str.strip, pending.pairs("51")), *towns, *lands]))
