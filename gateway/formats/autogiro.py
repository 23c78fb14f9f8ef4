"""Reads payment specifications of Swedish Autogiro (Bankgirot), new and old layout (payments.md 7).

Orders that were not executed stand between those that were. They are information: told with their reason, never posted,
and left out of the deposit that the new layout states before them.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import compress, repeat
from operator import not_
from typing import BinaryIO, ClassVar

from gateway.domain.exchange import Direction, Payment
from gateway.formats.autogiro_layout import (
    IN,
    OUT,
    PAYMENT,
    PAYMENT_UNIT,
    SPECIFICATION,
    FileEnd,
    FileStart,
    OldFileEnd,
    OldFileStart,
    PaymentRecord,
    RefundRecord,
    SectionStart,
)
from gateway.formats.fixed_width import Days, FixedWidthReader, scanner, stripped

CURRENCY = "SEK"
UNKNOWN_STATUS = "autogiro.unknown_status"
NOT_EXECUTED = {"1": "autogiro.no_cover", "2": "autogiro.account_ended", "9": "autogiro.cover_awaited"}
"""Status of a payment to why it is not posted."""
REFUND_REASONS = {"01": "autogiro.refund_no_mandate", "02": "autogiro.refund_revoked", "03": "autogiro.refund_amount"}

_WHYS = {"0": "", **NOT_EXECUTED}
_STATUS = {"0": "BOOK", "9": "PDNG"}
REFERENCE_COLUMNS = 16
_DIRECTIONS = {IN: Direction.CREDIT, OUT: Direction.DEBIT}
_columns_of = re.compile(PAYMENT).fullmatch
_EMPTY = repeat("")
_new = tuple.__new__  # a named tuple's own constructor is a Python function and takes four times as long


class AutogiroReader(FixedWidthReader):
    """What the three kinds of file share: TK01 to TK09, perhaps several times, around records of TK82 and TK32."""

    start: ClassVar[type[FileStart | OldFileStart]]
    content: ClassVar[str]

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._days = Days(PaymentRecord, "payment_date")
        self._bankgiro = ""
        self._is_open = self._is_started = False
        self._audit.count(CURRENCY, 0, 0)
        self._begin()

    @abstractmethod
    def _begin(self) -> None:
        """Set what a TK09 must state to nothing."""

    @abstractmethod
    def _read_record(self, line: str, kind: str) -> Iterable[Payment]:
        """Take a record between TK01 and TK09."""

    @abstractmethod
    def _compare_end(self, line: str) -> None:
        """Compare TK09 with what was counted."""

    # --- lines ---

    def _read_line(self, line: str) -> Iterable[Payment]:
        line = self._whole(line)
        if line.isspace():
            return ()
        kind = line[:2]
        if kind == "01":
            self._open(line)
        elif not self._is_open:
            self._fault("wrong.outside", frame="TK01-TK09", value=line)
        elif kind == "09":
            self._compare_end(line)
            self._is_open = False
        else:
            return self._read_record(line, kind)
        return ()

    def _whole(self, raw: str) -> str:
        """Return the line as a record. Tabs behind its last sign are padding; inside they hide where a status stands."""
        line = raw.rstrip(" \t\r\x1a")
        if "\t" in line and not line.startswith("01"):
            self._fault("wrong.tab", value=line)
        elif "\t" in raw and "\t" not in line:
            self._audit.warn("file.tab", self._place(), raw)
        return super()._whole(line)

    def _open(self, line: str) -> None:
        if self._is_open:
            self._fault("wrong.comes_again", begin="TK01", end="TK09")
        self._is_open = self._is_started = True
        self._begin()
        start = self._decoded(self.start, line)
        if start and start.content != self.content:
            self._fault("wrong.other_kind", field="content", value=start.content)
        if start:
            self._bankgiro = _giro(start.bankgiro)
            created = start.created if isinstance(start, FileStart) else line[2:10]
            self.identity = self.identity or f"{self.format}:{created}:{self._bankgiro}"

    def _finish(self) -> Iterable[Payment]:
        if self._is_open or not self._is_started:
            self._audit.block("file.truncated", self._place())
        return ()

    # --- payments ---

    def _count_in(self, kinds: Sequence[str], minors: Sequence[int], accounts: Sequence[str]) -> tuple[int, int]:
        """Take transactions into the books; return the sums in and out."""
        total = sum(minors)
        credit = total if OUT not in kinds else sum(compress(minors, map(IN.__eq__, kinds)))
        self._audit.transactions += len(minors)
        self._audit.count(CURRENCY, credit, total - credit)
        for account, count in Counter(accounts).items():
            self.accounts[account] = self.accounts.get(account, 0) + count
        return credit, total - credit


class _SpecificationReader(AutogiroReader):
    """A payment specification: records in which the status says whether there is money."""

    units = scanner(PAYMENT_UNIT)
    executed: ClassVar[frozenset[str]]

    @abstractmethod
    def _count_payments(self, kinds: Sequence[str], minors: Sequence[int], executed: Sequence[bool]) -> None:
        """Add to what section and file must state."""

    def _payment_line(self, line: str) -> Iterable[Payment]:
        if not self._decoded(PaymentRecord, line):
            self._audit.transactions += 1
            return ()
        found = _columns_of(line)
        assert found, "the record was decoded before"
        columns = [(text,) for text in found.groups()]
        self._days.know({columns[1][0]})
        return self._made(columns)

    def _made(self, columns: Sequence[Sequence[str]]) -> Iterable[Payment]:
        """Count payments and return them; *columns* are those of a unit."""
        kinds, raw_days, raw_payers, amounts, raw_giros, raws, raw_statuses = columns
        first, minors = self._audit.transactions + 1, list(map(int, amounts))
        raws = list(map(str.ljust, raws, repeat(REFERENCE_COLUMNS)))  # blanks at the end of a line may be trimmed
        references, giros = stripped(raws), _giros(raw_giros)
        statuses = self._statuses(raw_statuses)
        whys = list(map(_WHYS.get, statuses, repeat(UNKNOWN_STATUS)))
        self._warn_of_unknown(whys, raw_statuses, first)
        posts, days = list(map(not_, whys)), list(map(self._days.__getitem__, raw_days))
        self._count_payments(kinds, minors, posts)
        self._count_in(kinds, minors, giros)
        keys, deposits = _keys(giros, kinds, raw_days, raw_payers, amounts, references), self._on_statement(posts)
        if any(whys):
            keys = [key if done else f"{key}:{s}" for key, done, s in zip(keys, posts, statuses, strict=True)]
        return map(_new, repeat(Payment), zip(
            range(first, first + len(minors)), minors, repeat(CURRENCY), map(_DIRECTIONS.__getitem__, kinds),
            repeat(False), map(_STATUS.get, statuses, repeat("INFO")), posts, whys, references, raws, repeat(()),
            self._booked(days, posts), days, _EMPTY, _payers(raw_payers), giros, deposits, _EMPTY, keys, _EMPTY, _EMPTY,
            _EMPTY, repeat(None), _EMPTY, _EMPTY, deposits, repeat(None), repeat(0), _EMPTY, _EMPTY,
            _EMPTY,
        ))  # fmt: skip

    def _statuses(self, raw_statuses: Sequence[str]) -> Sequence[str]:
        """Return statuses with ``0`` for every executed payment, blank for a missing one."""
        if {*raw_statuses} == {"0"}:
            return raw_statuses
        return ["0" if (status or " ") in self.executed else status.strip() for status in raw_statuses]

    def _warn_of_unknown(self, whys: Sequence[str], raw_statuses: Sequence[str], first: int) -> None:
        if UNKNOWN_STATUS in whys:
            for position, (why, status) in enumerate(zip(whys, raw_statuses, strict=True), first):
                if why == UNKNOWN_STATUS:
                    self._audit.warn(UNKNOWN_STATUS, f"transaction {position}, status", status or " ")

    def _booked(self, days: Sequence[date | None], posts: Sequence[bool]) -> Iterable[date | None]:
        """Return the day on which each payment stands on the account; none for what was not executed."""
        return days if all(posts) else [day if done else None for day, done in zip(days, posts, strict=True)]

    def _on_statement(self, posts: Sequence[bool]) -> Iterable[str]:  # noqa: ARG002 - the new layout looks at it
        return _EMPTY


class AutogiroOldReader(_SpecificationReader):
    """The payments of a specification in the old layout, as a `PaymentStream`: a blank status means executed.

    Its totals count unexecuted payments as well: they prove that the file is whole, not what was paid.
    """

    format = "autogiro_old"
    start, content = OldFileStart, ""
    executed = frozenset(" 0")

    def _begin(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:  # noqa: ARG002
        return self._made(columns) if self._is_open and self._days.know({*columns[1]}) else None

    def _read_record(self, line: str, kind: str) -> Iterable[Payment]:
        if kind in _DIRECTIONS:
            return self._payment_line(line)
        self._audit.warn("file.unknown_record", self._place(), line)
        return ()

    def _count_payments(self, kinds: Sequence[str], minors: Sequence[int], executed: Sequence[bool]) -> None:  # noqa: ARG002
        self._counts.update(kinds)
        for kind, minor in zip(kinds, minors, strict=True):
            self._sums[kind] += minor

    def _compare_end(self, line: str) -> None:
        end = self._decoded(OldFileEnd, line)
        if end:
            self._compare("payments (TK82)", end.in_count, self._counts[IN])
            self._compare("payments out (TK32)", end.out_count, self._counts[OUT])
        if end and not self._is_damaged:  # an unreadable amount was reported where it stands
            self._compare_sum("sum of TK82", end.in_minor, self._sums[IN], CURRENCY)
            self._compare_sum("sum of TK32", end.out_minor, self._sums[OUT], CURRENCY)


_SECTIONS = {"15": IN, "16": OUT, "17": "77"}
"""Record that starts a section to the records in it."""
_BEGINS = {inside: start for start, inside in _SECTIONS.items()}


class AutogiroNewReader(_SpecificationReader):
    """The payments of a specification in the new layout, as a `PaymentStream`: sections that state what was executed."""

    format = "autogiro_new"
    start, content = FileStart, SPECIFICATION
    executed = frozenset("0")

    def _begin(self) -> None:
        self._section: SectionStart | None = None
        self._section_kind = ""
        self._section_line = self._count = self._total = 0
        self._counts: Counter[str] = Counter()
        self._empty: Counter[str] = Counter()

    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:  # noqa: ARG002
        if not self._section or {*columns[0]} != {self._section_kind} or not self._days.know({*columns[1]}):
            return None
        return self._made(columns)

    def _read_record(self, line: str, kind: str) -> Iterable[Payment]:
        if kind in _SECTIONS:
            self._start_section(line, kind)
        elif kind not in {IN, OUT, "77"}:
            self._audit.warn("file.unknown_record", self._place(), line)
        elif kind != self._section_kind:
            self._fault("wrong.comes_without", what=f"TK{kind}", other=f"TK{_BEGINS[kind]}", value=line)
        elif kind == "77":
            return self._refund(line)
        else:
            return self._payment_line(line)
        return ()

    def _start_section(self, line: str, kind: str) -> None:
        self._close_section()
        self._section, self._section_kind = self._decoded(SectionStart, line), _SECTIONS[kind]
        self._section_line, self._count, self._total = self._line_number(), 0, 0
        self._counts[kind] += 1
        self._empty[kind] += self._section is not None and not self._section.serial.strip("0")

    def _close_section(self) -> None:
        """Compare the section with what its first record says. An unreadable record was reported where it stands."""
        section, self._section, self._section_kind = self._section, None, ""
        if not section or self._is_damaged:
            return
        place = f"line {self._section_line}"
        self._audit.compare("executed payments", section.approved_count, self._count, place)
        self._audit.compare_sum("sum", section.total_minor, self._total, CURRENCY, place)

    def _count_payments(self, kinds: Sequence[str], minors: Sequence[int], executed: Sequence[bool]) -> None:
        count = sum(executed)
        self._count += count
        self._total += sum(compress(minors, executed))
        self._counts[kinds[0]] += count

    def _booked(self, days: Sequence[date | None], posts: Sequence[bool]) -> Iterable[date | None]:
        day = self._section.payment_date if self._section else None
        return super()._booked([day] * len(days) if day else days, posts)

    def _on_statement(self, posts: Sequence[bool]) -> Iterable[str]:
        """Return the number of the deposit that the bank statement shows (bankgiro, year, serial)."""
        section = self._section
        if not section or not section.payment_date or not section.serial.strip("0"):
            return _EMPTY
        name = f"{self._bankgiro}:{section.payment_date:%Y}:{section.serial}"
        return [name if done else "" for done in posts]

    def _refund(self, line: str) -> Iterable[Payment]:
        refund = self._decoded(RefundRecord, line)
        if not refund:
            self._audit.transactions += 1
            return
        giro, raw = _giro(refund.bankgiro), line[53:69]
        minor, reference = refund.amount_minor, raw.strip(" ")
        self._count_payments(["77"], [minor], [True])
        self._count_in([OUT], [minor], [giro])
        day = (self._section.payment_date if self._section else None) or refund.refund_date
        # Key of the payment that is given back: the refund repeats all that its key is made of.
        taken_back = _keys([giro], [IN], [line[2:10]], [line[15:31]], [line[31:43]], [reference])[0]
        note = self._audit.info if refund.reason in REFUND_REASONS else self._audit.warn
        deposit = next(iter(self._on_statement([True])))
        note(REFUND_REASONS.get(refund.reason, "autogiro.refund_unknown"), self._place("reason"), refund.reason)
        yield Payment(
            self._audit.transactions, minor, CURRENCY, Direction.DEBIT, is_reversal=True, reference=reference,
            reference_raw=raw, booking_date=day, value_date=refund.refund_date or day, account=giro,
            payer_account=refund.payer_number.strip(" "), key=f"{taken_back}:77{line[69:77]}",
            reverses_key=taken_back, statement_reference=deposit, bank_reference=deposit,
        )  # fmt: skip

    def _compare_end(self, line: str) -> None:
        self._close_section()
        end = self._decoded(FileEnd, line)
        if end:
            self._compare_sections("deposits (TK15)", end.deposit_count, "15")
            self._compare("executed payments (TK82)", end.in_count, self._counts[IN])
            self._compare_sections("withdrawals (TK16)", end.withdrawal_count, "16")
            self._compare("executed payments out (TK32)", end.out_count, self._counts[OUT])
            self._compare_sections("withdrawals for refunds (TK17)", end.refund_withdrawal_count, "17")
            self._compare("refunds (TK77)", end.refund_count, self._counts["77"])

    def _compare_sections(self, what: str, stated: int, kind: str) -> None:
        """Compare a number of sections; whether those with nothing executed count as well is not known."""
        if stated != self._counts[kind] - self._empty[kind]:
            self._compare(what, stated, self._counts[kind])


# --- columns ---------------------------------------------------------------------------------------------------------


def _keys(
    giros: Iterable[str],
    kinds: Iterable[str],
    raw_days: Iterable[str],
    raw_payers: Iterable[str],
    amounts: Iterable[str],
    references: Iterable[str],
) -> list[str]:
    """Return identities across files, layouts and re-ordered copies: what the order said (payments.md 8).

    A deposit's serial is not in it, since a refund does not repeat it, but it is the bank's reference of the payment: equal
    payments are numbered where they are stored, and those of different deposits told apart there.
    """
    facts = zip(giros, kinds, raw_days, raw_payers, amounts, references, strict=True)
    return [f"autogiro:{g}:{k}{d}{p}{a}:{r}" for g, k, d, p, a, r in facts]


def _giro(raw: str) -> str:
    return raw.strip(" ").lstrip("0")


def _giros(column: Sequence[str]) -> Sequence[str]:
    if len({*column}) == 1:
        return [_giro(column[0])] * len(column)
    return list(map(_giro, column))


def _payers(column: Sequence[str]) -> Iterable[str]:
    """Return payer numbers without what fills them: the creditor's own number for the payer, or the payer's bankgiro."""
    return map(str.strip, map(str.lstrip, column, repeat("0 ")))
