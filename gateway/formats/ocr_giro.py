"""Reads Nets OCR giro (Norway): payments with a KID, from a transmission of 80-column records (payments.md 2).

Two speeds. An ordinary transaction is two records of one shape; one regular expression, made from the record
declarations, takes it whole. Everything else (starts, ends, texts, other services, damage) goes line by line through
the same declarations, which then also say what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import BinaryIO, NamedTuple, TypeVar

from gateway.domain.exchange import Direction, Finding, Payment, Reference
from gateway.errors import DecodeError
from gateway.formats.audit import Audit, Ordinals
from gateway.formats.ocr_layout import (
    NO_DATE,
    TRANSACTION,
    WIDTH,
    AmountItem1,
    AmountItem2,
    AmountItem3,
    AssignmentEnd,
    AssignmentStart,
    TransmissionEnd,
    TransmissionStart,
)
from gateway.formats.record import decode

CURRENCY = "NOK"
SERVICE = "09"
OTHER_SERVICES = {"21": "AvtaleGiro", "02": "Autogiro", "04": "remittance"}
ORDINARY = frozenset({"10", "11", "12", "13", "14", "15", "16", "17"})
REVERSALS = frozenset({"18", "20"})
CARD_INFORMATION = frozenset({"18", "19", "20", "21"})
"""Types that report what a card terminal took; no bank money stands behind them by themselves."""

CHUNK_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 16
"""A file that goes on this long without a line end is not made of 80-column records."""

_KID = re.compile(r"[0-9]{1,24}[0-9-]")
_PADDING = " \r\x1a"
_transaction = re.compile(TRANSACTION).match
_new = tuple.__new__  # a named tuple's own constructor is a Python function and takes four times as long
_CREDIT, _DEBIT = Direction.CREDIT, Direction.DEBIT  # reading a member of an Enum is a call
R = TypeVar("R")


class _Open(NamedTuple):
    """A transaction of which more records may follow."""

    line: int
    first: AmountItem1
    second: AmountItem2 | None = None
    text: str = ""


class OcrGiroReader:
    """The payments of one OCR giro file, as a `PaymentStream`.

    *identity* names the transmission (payments.md 8); *accounts* counts transactions per payee account. These,
    *findings*, *totals* and *transactions* are complete when the iteration has ended.
    """

    format = "ocr_giro"

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._audit = stream, Audit()
        self._next_ordinal = Ordinals().next
        self.findings: list[Finding] = self._audit.findings
        self.totals = self._audit.totals
        self.identity = ""
        self.accounts: dict[str, int] = {}
        self._days: dict[str, date | None] = {NO_DATE: None}
        self._line = self._records = self._position = 0
        self._all_count = self._all_control = 0  # what record 89 must state, over all assignments
        self._is_ended = self._is_damaged = self._is_recoded = False
        self._services: set[str] = set()
        self._open: _Open | None = None
        self._last_day = ""
        self._earliest: date | None = None
        self._latest: date | None = None
        self._begin("", "")

    @property
    def transactions(self) -> int:
        """How many transactions the file holds, posted or not."""
        return self._audit.transactions

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order, in one pass.

        Raises:
            FileQuarantined: damaged, cut short, or its control totals do not agree.
            FileRefused: a transmission without any OCR giro assignment (an AvtaleGiro request).
        """
        self._audit.count(CURRENCY, 0, 0)
        for text in _texts(self._stream, self._audit):
            self._position, stop = 0, len(text)
            while self._position < stop:
                yield from self._ordinary(text)
                if self._position < stop:
                    line, self._position = text[self._position : (end := text.index("\n", self._position))], end + 1
                    yield from self._read_line(line)
        yield from self._flush()
        self._finish()

    # --- the fast way ---

    def _ordinary(self, text: str) -> Iterator[Payment]:
        """Yield ordinary transactions from the present position on, and move behind the last of them."""
        if self._service != SERVICE:
            return
        position, days, payment = self._position, self._days, self._payment
        while found := _transaction(text, position):
            kind, _, raw_day, lump_sum, sign, amount, kid, archive, order_day, payer = found.groups()
            if kind not in ORDINARY:
                break
            if (raw_day not in days or order_day not in days) and not self._learns_days(found):
                break
            if self._open:
                self._position = position
                yield from self._flush()
            position = found.end()
            self._line += 2
            self._records += 2
            yield payment(kind, raw_day, lump_sum, sign, amount, kid, archive, payer, "")
        self._position = position

    def _learns_days(self, found: re.Match[str]) -> bool:
        """Remember the dates of a transaction; False when one does not exist. A file has many payments but few days."""
        first, second = (line[:WIDTH] for line in found[0].split("\n", 1))
        try:
            self._days[found["settlement_date"]] = decode(AmountItem1, first).settlement_date
            self._days[found["order_date"]] = decode(AmountItem2, second).order_date
        except DecodeError:
            return False
        return True

    def _payment(
        self,
        kind: str,
        raw_day: str,
        lump_sum: str,
        sign: str,
        amount: str,
        kid: str,
        archive: str,
        payer: str,
        text: str,
    ) -> Payment:
        """Count one transaction and return it."""
        minor, value = int(amount), kid.strip(" ")
        self._audit.transactions = position = self._audit.transactions + 1
        self._count += 1
        is_credit = sign == "0" and kind not in REVERSALS
        if is_credit:
            self._credit += minor
            self._control += minor
        else:
            self._debit += minor
            self._control += minor if kind in REVERSALS else -minor
        day = self._days[raw_day]
        if raw_day != self._last_day:
            self._see_day(raw_day, day)
        if value and not (value.isdecimal() or _KID.fullmatch(value)):
            self._audit.warn("ocr.kid_shape", f"transaction {position}, kid", value)
        identity = f"ocr:{self._account}:{raw_day}{lump_sum}:{archive}:{kind}{sign}{amount}:{value}"
        posts = kind in ORDINARY
        why_not = "" if posts else "ocr.card_information" if kind in CARD_INFORMATION else "ocr.unknown_type"
        references = (_new(Reference, (kid, value, "kid", None)),) if value else ()
        archive, payer = archive.strip("0 ") and archive.strip(" "), payer.strip("0 ") and payer.strip(" ")
        return _new(Payment, (
            position, minor, CURRENCY, _CREDIT if is_credit else _DEBIT, kind in REVERSALS, "BOOK",
            posts, why_not, value, kid, references, day, day, "", payer, self._account, archive, text,
            f"{identity}:{self._next_ordinal(identity)}", "", "", "", None, "",
        ))  # fmt: skip

    def _see_day(self, raw: str, day: date | None) -> None:
        self._last_day = raw
        if day:
            self._earliest = min(self._earliest or day, day)
            self._latest = max(self._latest or day, day)

    # --- the thorough way ---

    def _read_line(self, raw: str) -> Iterator[Payment]:
        self._line += 1
        line = raw.rstrip(_PADDING)
        if not line:
            return
        self._records += 1
        line = (self._recoded(line) if len(line) > WIDTH else line).ljust(WIDTH)  # blanks may be trimmed on the way
        service, kind = line[2:4], line[6:8]
        if service != SERVICE or kind not in {"31", "32"}:
            yield from self._flush()
        if not line.startswith("NY"):
            self._fault("is not a record of this format", value=line)
        elif self._is_ended:
            self._fault("stands after the end of the transmission", value=line)
        elif service == "00":
            self._frame(line, kind)
        elif kind == "20":
            self._start_assignment(line, service)
        elif kind == "88":
            self._end_assignment(line, service)
        elif service != self._service:
            self._fault("stands outside an assignment of its service", value=line)
        elif service == SERVICE:
            self._item(line, kind)

    def _frame(self, line: str, kind: str) -> None:
        if kind == "10":
            self._start(line)
        elif kind == "89":
            self._end(line)
        else:
            self._audit.warn("file.unknown_record", self._place(), line)

    def _recoded(self, line: str) -> str:
        """Return a line that is too long in bytes, if it has 80 characters in UTF-8 (payments.md 2)."""
        try:
            text = line.encode("latin-1").decode()
        except UnicodeDecodeError:
            text = line
        if len(text) > WIDTH:
            self._audit.block("file.record_length", self._place(), line)
            self._is_damaged = True
        elif not self._is_recoded:
            self._is_recoded = True
            self._audit.warn("file.encoding", self._place(), encoding="ISO-8859-1")
        return text[:WIDTH]

    def _start(self, line: str) -> None:
        start = self._decoded(TransmissionStart, line)
        if self._records != 1:
            self._fault("starts a transmission inside another")
        if start:
            self.identity = f"ocr:{start.data_transmitter}:{start.transmission_number}:{start.data_recipient}"

    def _start_assignment(self, line: str, service: str) -> None:
        if self._service:
            self._fault("starts an assignment before the end of the last")
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
        self._last_day = ""
        self._earliest = self._latest = None

    def _item(self, line: str, kind: str) -> None:
        if kind == "30":
            first = self._decoded(AmountItem1, line)
            if first:
                self._open = _Open(self._line, first)
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
            self._fault("is amount item 2 of no transaction", value=second.transaction_number)
        else:
            self._open = _Open(pending.line, pending.first, second)

    def _third(self, line: str) -> None:
        third, pending = self._decoded(AmountItem3, line), self._open
        if third and pending and pending.second and _joins(pending.first, third):
            self._open = _Open(pending.line, pending.first, pending.second, third.message)
        elif third:
            self._audit.warn("file.unknown_record", self._place("amount item 3"), line)

    def _flush(self) -> Iterator[Payment]:
        """Yield the transaction whose records have all been read, if there is one."""
        pending, self._open = self._open, None
        if not pending:
            return
        first, second = pending.first, pending.second
        if not second:
            self._count += 1
            self._audit.transactions += 1
            self._fault("has no amount item 2 (record 31)", value=first.transaction_number, line=pending.line)
            return
        kind, raw_day = first.transaction_type, first.settlement_date
        key = f"{raw_day:%d%m%y}" if raw_day else NO_DATE
        self._days[key] = raw_day
        if kind not in ORDINARY | CARD_INFORMATION:
            self._audit.warn("ocr.unknown_type", f"line {pending.line}", kind)
        yield self._payment(
            kind, key, first.lump_sum.ljust(10), first.sign, f"{first.amount_minor:017d}", first.kid.rjust(25),
            second.archive_reference.ljust(9), second.payer_account.ljust(11), pending.text,
        )  # fmt: skip

    # --- control totals ---

    def _end_assignment(self, line: str, service: str) -> None:
        end = self._decoded(AssignmentEnd, line)
        if service != self._service:
            self._fault("ends an assignment that was not started", value=service)
        elif end and service == SERVICE:
            self._compare(end, self._records - self._first_record + 1, self._count, self._control)
            self._check_days(end)
        elif end:
            self._audit.compare("records", end.record_count, self._records - self._first_record + 1, self._place())
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
            self._fault("ends the transmission inside an assignment")
        elif end:
            self._compare(end, self._records, self._all_count, self._all_control)

    def _compare(self, end: AssignmentEnd | TransmissionEnd, records: int, count: int, control: int) -> None:
        self._audit.compare("transactions", end.transaction_count, count, self._place())
        self._audit.compare("records", end.record_count, records, self._place())
        if not self._is_damaged:  # an unreadable amount was reported where it stands; the sum cannot agree then
            self._audit.compare("sum", end.total_minor, abs(control), self._place())  # the field has no sign

    def _check_days(self, end: AssignmentEnd) -> None:
        for name, stated, seen in (
            ("earliest date", end.earliest_date, self._earliest),
            ("latest date", end.latest_date, self._latest),
        ):
            if seen and stated.strip("0 ") and stated != f"{seen:%d%m%y}":
                self._audit.warn("ocr.date_range", self._place(name), stated, stated=stated, computed=f"{seen:%d%m%y}")

    def _finish(self) -> None:
        if not self._is_ended:
            if self._service:
                self._close_assignment()
            self._audit.block("file.truncated", self._place())
        elif self._services and SERVICE not in self._services:
            names = ", ".join(sorted(OTHER_SERVICES.get(service, service) for service in self._services))
            reason = f"it is a transmission of {names}, without any OCR giro assignment (service 09)"
            self._audit.refuse("file.not_a_payment_file", "record 20", names, reason=reason)
        self._audit.close()

    # --- faults ---

    def _decoded(self, record: type[R], line: str) -> R | None:
        """Return *line* as *record*, or None after noting which field is wrong."""
        try:
            return decode(record, line)
        except DecodeError as error:
            self._fault(error.reason, field=error.field, value=error.value)
            return None

    def _fault(self, reason: str, *, field: str = "", value: str = "", line: int = 0) -> None:
        self._is_damaged = True
        self._audit.block("file.invalid", self._place(field, line), value, reason=reason)

    def _place(self, field: str = "", line: int = 0) -> str:
        return f"line {line or self._line}" + (f", {field}" if field else "")


_ORDER_DATE = ("NY091031".ljust(41, "0"), "0" * 33)


def _joins(first: AmountItem1, other: AmountItem2 | AmountItem3) -> bool:
    """Return whether *other* belongs to the transaction that *first* begins."""
    return (first.transaction_number, first.transaction_type) == (other.transaction_number, other.transaction_type)


def _texts(stream: BinaryIO, audit: Audit) -> Iterator[str]:
    """Yield the file as text of whole lines, in pieces; a file without line ends gets them."""
    tail = stream.read(CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip(b" \r\n")
    has_lines = not (tail[WIDTH : WIDTH + 2] == b"NY" and b"\n" not in tail[:WIDTH])
    chunk: bytes | None = b""
    while chunk is not None:
        if has_lines:
            cut = tail.rfind(b"\n") + 1
            piece = tail[:cut]
        else:
            cut = len(tail) // WIDTH * WIDTH
            piece = b"".join([tail[start : start + WIDTH] + b"\n" for start in range(0, cut, WIDTH)])
        if len(tail) - cut > MAX_LINE_BYTES:
            audit.quarantine("file.record_length", value=repr(tail[cut : cut + WIDTH]))
        yield piece.decode("latin-1")
        chunk = stream.read(CHUNK_BYTES) or None
        tail = tail[cut:] + (chunk or b"")
    last = tail.rstrip(b" \r\n\x1a")
    if last:
        if (
            len(tail.rstrip(b"\r\n\x1a")) < WIDTH
        ):  # whole records have 80 columns; a cut in mid-record lacks the line end
            audit.block("file.truncated", value=last.decode("latin-1"))
        yield last.decode("latin-1") + "\n"
