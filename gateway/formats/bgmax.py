"""Reads BgMax (Sweden, Bankgirot): payments in sections of one receiver and one currency each (payments.md 3).

A section's payment date stands behind its payments, so deposits are looked for ahead of them (`bgmax_ahead`). The fast
path takes whole payments with all their records; lines that come otherwise are gathered to the same columns one by one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO

from gateway.domain.exchange import Payment
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.bgmax_ahead import with_deposits
from gateway.formats.bgmax_layout import (
    PAYER,
    UNIT,
    DeductionRecord,
    Deposit,
    FileEnd,
    FileStart,
    PaymentRecord,
    SectionStart,
)
from gateway.formats.bgmax_payments import Addresses, Gathered, Section, made
from gateway.formats.fixed_width import FixedWidthReader, scanner
from gateway.formats.record import decode

ENDING = "20260908"
"""From this day on BgMax lacks every payment that ran on the banks' new platform (payments.md 0)."""

MAX_LINES = 1000
"""Extra references and texts of one payment. The manual allows 90 texts."""

_CURRENCY = re.compile("[A-Z]{3}")
_EXTRAS = frozenset({"22", "23"})
_PAYER_RECORDS: dict[str, type[Any]] = dict(zip(("26", "27", "28", "29"), PAYER, strict=True))


class BgMaxReader(FixedWidthReader):
    """The payments of one BgMax file, as a `PaymentStream`."""

    format = "bgmax"
    units = scanner(UNIT)
    may_lack = frozenset({"names", "organisation_number"})

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._deposits: deque[str] = deque()
        self._section: Section | None = None
        self._open: Gathered | None = None
        self._counts = dict.fromkeys(("20", "21", "22", "15"), 0)
        self._why_not = ""
        self._addresses = Addresses()
        self._is_started = self._is_ended = False

    def _pieces(self) -> Iterator[str]:
        return with_deposits(super()._pieces(), self._deposits)

    # --- the fast path ---

    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:
        if not self._section or self._is_ended:
            return None
        waited = tuple(self._flush())
        payments = self._made(columns, count)
        return chain(waited, payments) if waited else payments

    def _made(self, columns: Sequence[Sequence[str]], count: int, deduction: str | None = None) -> Iterable[Payment]:
        """Count payments into the section and return them; *deduction* is the code of a TK21."""
        assert self._section
        minors = list(map(int, columns[2]))
        self._section.add(count, sum(minors), is_deduction=deduction is not None)
        self._counts["20" if deduction is None else "21"] += count
        if any(columns[5]):
            self._counts["22"] += sum(line[:2] in _EXTRAS for text in columns[5] for line in text.split("\n"))
        first = self._audit.transactions + 1
        self._audit.transactions += count
        return made(
            columns, minors, first, self._section, self._audit, known_addresses=self._addresses, why_not=self._why_not,
            deduction=deduction,
        )  # fmt: skip

    # --- the thorough path ---

    def _read_line(self, line: str) -> Iterable[Payment]:
        line = self._whole(line)
        if line.isspace():
            return ()
        kind = line[:2]
        if self._is_ended:
            self._fault("wrong.outside", frame="TK01-TK70", value=line)
        elif not self._is_started and kind != "01":
            self._fault("wrong.outside", frame="TK01-TK70", value=line)
            self._is_started = True
        elif kind in {"20", "21"}:
            return self._start_payment(line, PaymentRecord if kind == "20" else DeductionRecord)
        elif kind in _EXTRAS or kind == "25" or kind in _PAYER_RECORDS:
            self._add(line, kind)
        elif kind in _FRAME:
            payments = tuple(self._flush())
            _FRAME[kind](self, line)
            return payments
        else:
            self._audit.warn("file.unknown_record", self._place(), line)
        return ()

    def _start(self, line: str) -> None:
        start = self._decoded(FileStart, line)
        if self._is_started:
            self._fault("wrong.comes_again", begin="TK01", end="TK70")
        self._is_started = True
        if not start:
            return
        self.identity = f"bgmax:{start.created}"
        if start.mark == "T":
            self._why_not = "file.test"
            self._audit.warn("file.test", self._place("mark"), start.mark)
        if start.created[:8] >= ENDING:
            self._audit.warn("file.format_ending", self._place("created"), start.created)

    def _start_section(self, line: str) -> None:
        start = self._decoded(SectionStart, line)
        if self._section:
            self._fault("wrong.comes_again", begin="TK05", end="TK15")
            self._close_section()
        account = start.bankgiro.strip("0 ") and start.bankgiro.strip(" ").lstrip("0") if start else ""
        account = account or (start.plusgiro.strip(" ").lstrip("0") if start else "")
        currency = start.currency if start else ""
        if start and not _CURRENCY.fullmatch(currency):
            self._fault("wrong.currency", field="currency", value=currency)
        self._section = Section(account, currency, self._deposit_ahead())
        if self.identity.count(":") == 1:
            self.identity += f":{account}"

    def _deposit_ahead(self) -> Deposit | None:
        """Return the deposit that ends the section; one that cannot be read is a fault where it stands."""
        try:
            return decode(Deposit, self._deposits[0].rstrip().ljust(self.width)) if self._deposits else None
        except DecodeError:
            return None

    def _start_payment(self, line: str, kind: type[PaymentRecord | DeductionRecord]) -> Iterable[Payment]:
        payments = tuple(self._flush())
        if not self._section:
            self._fault("wrong.outside", frame="TK05-TK15", value=line)
        elif self._decoded(kind, line):
            self._open = Gathered(kind, line)
        else:
            self._audit.transactions += 1
            self._section.count += 1
            self._counts[line[:2]] += 1
        return payments

    def _add(self, line: str, kind: str) -> None:
        """Add a record to the payment it belongs to."""
        pending = self._open
        if not pending:
            if not self._is_damaged:
                self._fault("wrong.comes_without", what=f"TK{kind}", other="TK20/TK21", value=line)
        elif kind in _EXTRAS or kind == "25":
            pending.details.append(line)
        elif _PAYER_RECORDS[kind] in pending.payer:
            self._audit.warn("file.unknown_record", self._place(), line)
        elif self._decoded(_PAYER_RECORDS[kind], line):
            pending.payer[_PAYER_RECORDS[kind]] = line
        if pending and len(pending.details) > MAX_LINES:
            self._audit.quarantine("file.invalid", self._place(), reason=said("wrong.too_much"))

    def _flush(self) -> Iterable[Payment]:
        """Return the payment whose records have all been read, if there is one."""
        pending, self._open = self._open, None
        return self._made(pending.columns(), 1, pending.deduction) if pending else ()

    # --- control totals ---

    def _end_section(self, line: str) -> None:
        if self._deposits:
            self._deposits.popleft()
        self._counts["15"] += 1
        end, section = self._decoded(Deposit, line), self._section
        if not section:
            self._fault("wrong.comes_without", what="TK15", other="TK05")
            return
        if end:
            self._compare("transactions", end.transaction_count, section.count)
            self._compare("currency", end.currency, section.currency)
            if not self._is_damaged:  # an unreadable amount was reported where it stands; the sum cannot agree then
                stated = -end.total_minor if end.sign == "D" else end.total_minor
                self._compare_sum("sum", stated, section.credit - section.debit, section.currency)
        self._close_section()

    def _close_section(self) -> None:
        section, self._section = self._section, None
        if section:
            self._audit.count(section.currency, section.credit, section.debit)
            self.accounts[section.account] = self.accounts.get(section.account, 0) + section.count

    def _end(self, line: str) -> None:
        self._is_ended = True
        end = self._decoded(FileEnd, line)
        if self._section:
            self._fault("wrong.comes_before", what="TK70", other="TK15")
            self._close_section()
        if end:
            self._compare("payments (TK20)", end.payment_count, self._counts["20"])
            self._compare("deductions (TK21)", end.deduction_count, self._counts["21"])
            self._compare("extra references (TK22, TK23)", end.extra_reference_count, self._counts["22"])
            self._compare("deposits (TK15)", end.deposit_count, self._counts["15"])

    def _finish(self) -> Iterable[Payment]:
        yield from self._flush()
        if not self._is_ended:
            self._close_section()
            self._audit.block("file.truncated", self._place())


_FRAME: dict[str, Callable[[BgMaxReader, str], None]] = {
    "01": BgMaxReader._start,  # noqa: SLF001 - the table of the class's own steps
    "05": BgMaxReader._start_section,  # noqa: SLF001
    "15": BgMaxReader._end_section,  # noqa: SLF001
    "70": BgMaxReader._end,  # noqa: SLF001
}
