"""Reads Nets OCR giro (Norway): payments with a KID, from a transmission of 80-column records (payments.md 2).

The fast path takes transactions of bank money: two records, one shape (ADR 0021). Everything else (starts, ends, card
terminals, texts, other services, damage) goes line by line through the same declarations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import chain, compress, repeat
from operator import add
from typing import BinaryIO, NamedTuple

from gateway.domain.exchange import Direction, Payment
from gateway.domain.reasons import said
from gateway.formats.fixed_width import Days, FixedWidthReader, scanner, stripped
from gateway.formats.ocr_layout import (
    TRANSACTION,
    UNIT,
    AmountItem1,
    AmountItem2,
    AmountItem3,
    AssignmentEnd,
    AssignmentStart,
    TransmissionEnd,
    TransmissionStart,
)

CURRENCY = "NOK"
SERVICE = "09"
OTHER_SERVICES = {"21": "AvtaleGiro", "02": "Autogiro", "04": "remittance"}
ORDINARY = frozenset({"10", "11", "12", "13", "14", "15", "16", "17"})
REVERSALS = frozenset({"18", "20"})
CARD_INFORMATION = frozenset({"18", "19", "20", "21"})
"""Types that report what a card terminal took; no bank money stands behind them by themselves."""

_KID = re.compile(r"[0-9]{1,24}[0-9-]")
_columns_of = re.compile(TRANSACTION).fullmatch
_new = tuple.__new__  # a named tuple's own constructor is a Python function and takes four times as long
_CREDIT, _DEBIT = Direction.CREDIT, Direction.DEBIT  # reading a member of an Enum is a call
_EMPTY, _KIND = repeat(""), repeat("kid")


class _Open(NamedTuple):
    """A transaction of which more records may follow, as lines and as read."""

    line_number: int
    line: str
    first: AmountItem1
    second_line: str = ""
    second: AmountItem2 | None = None
    text: str = ""


class OcrGiroReader(FixedWidthReader):
    """The payments of one OCR giro file, as a `PaymentStream`."""

    format = "ocr_giro"
    units = scanner(UNIT)
    ends_whole = True

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._days = Days(AmountItem1, "settlement_date")
        self._records = 0
        self._all_count = self._all_control = 0  # what record 89 must state, over all assignments
        self._is_ended = False
        self._services: set[str] = set()
        self._open: _Open | None = None
        self._last_day = ""
        self._earliest: date | None = None
        self._latest: date | None = None
        self._begin("", "")
        self._audit.count(CURRENCY, 0, 0)

    # --- the fast path ---

    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:
        _, _, identities, lump_sums, signs, amounts, raw_kids, archives, order_days, payers = columns
        sums, ordered, days = _distinct(lump_sums), _distinct(order_days), self._days
        if self._service != SERVICE or self._is_ended or not days.know({text[:6] for text in sums} | ordered):
            return None
        waited = tuple(self._flush())
        first, account = self._audit.transactions + 1, self._account
        minors = list(map(int, amounts))
        directions = self._count_in(count, minors, signs)
        kids = stripped(raw_kids)
        self._check_shape(kids, first)
        settled = {text: days[text[:6]] for text in sums}
        for day in settled.values():
            self._see_day(day)
        dates = [*map(settled.__getitem__, lump_sums)] if len(sums) > 1 else [*settled.values()] * count
        order_dates = map(days.__getitem__, order_days) if len(ordered) > 1 else repeat(days[order_days[0]])
        payments = map(_new, repeat(Payment), zip(
            range(first, first + count), minors, repeat(CURRENCY), directions, repeat(False), repeat("BOOK"),
            repeat(True), _EMPTY, kids, raw_kids, repeat(()), dates, dates, _EMPTY, _all_known(payers, 11),
            repeat(account), _all_known(archives, 9), _EMPTY,
            map(add, repeat(f"ocr:{account}:"), map(add, archives, identities)), _EMPTY, _EMPTY, _EMPTY, repeat(None),
            _EMPTY, _KIND if all(kids) else ["kid" if kid else "" for kid in kids], lump_sums,
            order_dates, repeat(0), _EMPTY, _EMPTY, _EMPTY,
        ))  # fmt: skip
        return chain(waited, payments) if waited else payments

    def _count_in(self, count: int, minors: Sequence[int], signs: Sequence[str]) -> Iterable[Direction]:
        """Take *count* transactions into the books; return their directions."""
        debit = sum(compress(minors, map("-".__eq__, signs))) if "-" in signs else 0
        credit = sum(minors) - debit
        self._audit.transactions += count
        self._count += count
        self._records += 2 * count
        self._credit += credit
        self._debit += debit
        self._control += credit - debit
        return [_DEBIT if sign == "-" else _CREDIT for sign in signs] if "-" in signs else repeat(_CREDIT)

    def _check_shape(self, kids: Sequence[str], first: int) -> None:
        if "".join(kids).isdecimal():
            return
        for position, kid in enumerate(kids, first):
            if kid and not (kid.isdecimal() or _KID.fullmatch(kid)):
                self._audit.warn("ocr.kid_shape", f"transaction {position}, kid", kid)

    def _see_day(self, day: date | None) -> None:
        if day:
            self._earliest = min(self._earliest or day, day)
            self._latest = max(self._latest or day, day)

    # --- the thorough path ---

    def _read_line(self, line: str) -> Iterator[Payment]:
        line = self._whole(line)
        if line.isspace():
            return
        self._records += 1
        service, kind = line[2:4], line[6:8]
        if service != SERVICE or kind not in {"31", "32"}:
            yield from self._flush()
        if not line.startswith("NY"):
            self._fault("wrong.no_such_record", value=line)
        elif self._is_ended:
            self._fault("wrong.outside", frame="NY..10-NY..89", value=line)
        elif service == "00":
            self._frame(line, kind)
        elif kind == "20":
            self._start_assignment(line, service)
        elif kind == "88":
            self._end_assignment(line, service)
        elif service != self._service:
            self._fault("wrong.outside", frame=f"NY{service}..20-NY{service}..88", value=line)
        elif service == SERVICE:
            self._item(line, kind)

    def _frame(self, line: str, kind: str) -> None:
        if kind == "10":
            self._start(line)
        elif kind == "89":
            self._end(line)
        else:
            self._audit.warn("file.unknown_record", self._place(), line)

    def _start(self, line: str) -> None:
        start = self._decoded(TransmissionStart, line)
        if self._records != 1:
            self._fault("wrong.not_first")
        if start:
            self.identity = f"ocr:{start.data_transmitter}:{start.transmission_number}:{start.data_recipient}"

    def _start_assignment(self, line: str, service: str) -> None:
        if self._service:
            self._fault("wrong.comes_again", begin="20", end="88")
        self._begin(service, "")
        self._services.add(service)
        if service != SERVICE:
            name = OTHER_SERVICES.get(service, service)
            self._audit.info("ocr.other_service", self._place(), service, service=name)
        elif start := self._decoded(AssignmentStart, line):
            self._account = start.account

    def _begin(self, service: str, account: str) -> None:
        self._service, self._account = service, account
        self._first_record = self._records
        self._count = self._control = self._credit = self._debit = 0
        self._earliest = self._latest = None

    def _item(self, line: str, kind: str) -> None:
        if kind == "30":
            first = self._decoded(AmountItem1, line)
            if first:
                self._open = _Open(self._line_number(), line, first)
            else:
                self._audit.transactions += 1
                self._count += 1
        elif kind == "31":
            self._second(line)
        elif kind == "32":
            self._third(line)
        else:
            self._audit.warn("file.unknown_record", self._place(), line)

    def _second(self, line: str) -> None:
        second, pending = self._decoded(AmountItem2, line), self._open
        if not second or (self._is_damaged and not pending):
            self._open = None
        elif not pending or pending.second or not _joins(pending.first, second):
            self._fault("wrong.comes_without", what="31", other="30", value=second.transaction_number)
        else:
            self._open = pending._replace(second_line=line, second=second)

    def _third(self, line: str) -> None:
        third, pending = self._decoded(AmountItem3, line), self._open
        if third and pending and pending.second and _joins(pending.first, third):
            self._open = pending._replace(text=third.message)
        elif third:
            self._audit.warn("file.unknown_record", self._place("amount item 3"), line)

    def _flush(self) -> Iterator[Payment]:
        """Yield the transaction whose records have all been read, if there is one."""
        pending, self._open = self._open, None
        if not pending:
            return
        self._count += 1
        self._audit.transactions += 1
        first, second = pending.first, pending.second
        if not second:
            number = first.transaction_number
            self._fault("wrong.comes_without", what="30", other="31", value=number, line=pending.line_number)
            return
        kind, minor = first.transaction_type, first.amount_minor
        if kind not in ORDINARY | CARD_INFORMATION:
            self._audit.warn("ocr.unknown_type", f"line {pending.line_number}", kind)
        is_credit = first.sign == "0" and kind not in REVERSALS
        if is_credit:
            self._credit += minor
        else:
            self._debit += minor
        self._control += minor if is_credit or kind in REVERSALS else -minor
        self._see_day(first.settlement_date)
        yield self._payment(pending, first, second, is_credit=is_credit)

    def _payment(self, pending: _Open, first: AmountItem1, second: AmountItem2, *, is_credit: bool) -> Payment:
        columns = _columns_of(f"{pending.line}\n{pending.second_line}\n")
        assert columns
        kind, archive = columns["kind"], columns["archive_reference"]
        position, raw, kid = self._audit.transactions, columns["kid"], columns["kid"].strip(" ")
        self._check_shape([kid], position)
        key = f"ocr:{self._account}:{archive}{columns['identity']}"
        day, posts = first.settlement_date, kind in ORDINARY
        return Payment(
            position, first.amount_minor, CURRENCY, _CREDIT if is_credit else _DEBIT,
            is_reversal=kind in REVERSALS, posts=posts,
            why_not="" if posts else "ocr.card_information" if kind in CARD_INFORMATION else "ocr.unknown_type",
            reference=kid, reference_raw=raw, reference_kind="kid" if kid else "",
            booking_date=day, value_date=day, order_date=second.order_date,
            payer_account=_known(columns["payer_account"]), account=self._account, bank_reference=_known(archive),
            statement_reference=columns["lump_sum"], text=pending.text, key=key if posts else f"{key}:{kind}",
        )  # fmt: skip

    # --- control totals ---

    def _end_assignment(self, line: str, service: str) -> None:
        end = self._decoded(AssignmentEnd, line)
        if service != self._service:
            self._fault("wrong.comes_without", what="88", other="20", value=service)
        elif end and service == SERVICE:
            self._compare_end(end, self._records - self._first_record + 1, self._count, self._control)
            self._check_days(end)
        elif end:
            self._compare("records", end.record_count, self._records - self._first_record + 1)
            self._count, self._control = end.transaction_count, end.total_minor
        self._close_assignment()

    def _close_assignment(self) -> None:
        self._all_count += self._count
        self._all_control += self._control
        if self._service == SERVICE:
            self._audit.count(CURRENCY, self._credit, self._debit)
            self.accounts[self._account] = self.accounts.get(self._account, 0) + self._count
        self._begin("", "")

    def _end(self, line: str) -> None:
        self._is_ended = True
        end = self._decoded(TransmissionEnd, line)
        if self._service:
            self._fault("wrong.comes_before", what="89", other="88")
        elif end:
            self._compare_end(end, self._records, self._all_count, self._all_control)

    def _compare_end(self, end: AssignmentEnd | TransmissionEnd, records: int, count: int, control: int) -> None:
        self._compare("transactions", end.transaction_count, count)
        self._compare("records", end.record_count, records)
        if not self._is_damaged:  # an unreadable amount was reported where it stands; the sum cannot agree then
            self._compare_sum("sum", end.total_minor, abs(control), CURRENCY)  # the field has no sign

    def _check_days(self, end: AssignmentEnd) -> None:
        for name, stated, seen in (
            ("earliest date", end.earliest_date, self._earliest),
            ("latest date", end.latest_date, self._latest),
        ):
            if seen and stated.strip("0 ") and stated != f"{seen:%d%m%y}":
                self._audit.warn("ocr.date_range", self._place(name), stated, stated=stated, computed=f"{seen:%d%m%y}")

    def _finish(self) -> Iterator[Payment]:
        yield from self._flush()
        if not self._is_ended:
            if self._service:
                self._close_assignment()
            self._audit.block("file.truncated", self._place())
        elif self._services and SERVICE not in self._services:
            names = ", ".join(sorted(OTHER_SERVICES.get(service, service) for service in self._services))
            reason = said("kind.other_services", services=names)
            self._audit.refuse("file.not_a_payment_file", "record 20", names, reason=reason)


def _joins(first: AmountItem1, other: AmountItem2 | AmountItem3) -> bool:
    """Return whether *other* belongs to the transaction that *first* begins."""
    return (first.transaction_number, first.transaction_type) == (other.transaction_number, other.transaction_type)


def _known(text: str) -> str:
    """Return *text* without its padding; zeros alone mean that it is not known."""
    return text.strip("0 ") and text.strip(" ")


def _all_known(column: Sequence[str], width: int) -> Sequence[str]:
    """Return `_known` of each text of *column*, of which most are *width* digits."""
    joined = "".join(column)
    if " " in joined or len(joined) < width * len(column) or "0" * width in column:
        return [_known(text) for text in column]
    return column


def _distinct(column: Sequence[str]) -> set[str]:
    """Return the texts of *column*, of which there is most often one; comparing them is quicker than hashing each."""
    return {column[0]} if column.count(column[0]) == len(column) else {*column}
