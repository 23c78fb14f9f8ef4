"""Reads Finnish files of incoming reference payments (KTL and its siblings), with factoring rows (factoring-fall.md 6).

Corrections take money back. Factoring rows (``S``) report what customers paid to the factoring company; whether the
bank's control total counts them differs, so either is taken, and which one it was is said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat
from typing import BinaryIO

from gateway.domain.exchange import TO_FACTORING, Direction, Payment
from gateway.domain.identifiers import is_rf, is_viitenumero
from gateway.formats.fixed_width import Days, FixedWidthReader, scanner
from gateway.formats.ktl_layout import (
    COLUMNS,
    DIRECT_DEBIT,
    EURO,
    FACTORING,
    TRANSFER,
    UNIT,
    WIDTH,
    BatchEnd,
    BatchStart,
    Transaction,
)
from gateway.formats.ktl_references import wrong_ones

CURRENCY = "EUR"
KIND = "scor"
"""A Finnish reference number is the creditor's own structured reference, as camt has it."""

RETURNED = "ktl.return_code"
_NORMAL = "0"
_NO_RETURN = frozenset({"", " ", "0"})
_columns_of = re.compile(COLUMNS).fullmatch
_EMPTY = repeat("")
_new = tuple.__new__  # a named tuple's own constructor is a Python function and takes four times as long
_CREDIT, _DEBIT = Direction.CREDIT, Direction.DEBIT  # reading a member of an Enum is a call


@dataclass(slots=True)
class _Tally:
    """Counts and sums of payments (False) and corrections (True)."""

    count: Counter[bool] = field(default_factory=Counter)
    minor: Counter[bool] = field(default_factory=Counter)

    def add(self, minors: Sequence[int], is_back: Sequence[bool]) -> None:
        back, total = sum(compress(minors, is_back)), sum(minors)
        backs = sum(is_back)
        self.count.update({True: backs, False: len(minors) - backs})
        self.minor.update({True: back, False: total - back})

    def figures(self) -> tuple[int, int, int, int]:
        """Return what row 9 states, in its order."""
        return self.count[False], self.minor[False], self.count[True], self.minor[True]


class KtlReader(FixedWidthReader):
    """The payments of one file, as a `PaymentStream`."""

    format = "ktl"
    width = WIDTH
    units = scanner(UNIT)

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._days = Days(Transaction, "booking_date")
        self._account = ""
        self._is_open = self._is_started = False
        self._begin()
        self._audit.count(CURRENCY, 0, 0)

    def _begin(self) -> None:
        self._all, self._own = _Tally(), _Tally()
        self._has_factoring = False

    # --- the fast path ---

    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:  # noqa: ARG002
        if not self._is_open or not self._days.know({*columns[3], *columns[4]}):
            return None
        return self._made(columns)

    # --- the thorough path ---

    def _read_line(self, line: str) -> Iterable[Payment]:
        line = self._whole(line)
        if line.isspace():
            return ()
        kind = line[0]
        if kind == "0":
            self._start(line)
        elif not self._is_open:
            self._fault("wrong.outside", frame="0-9", value=line)
        elif kind == "9":
            self._end(line)
        elif kind in {TRANSFER, DIRECT_DEBIT, FACTORING}:
            return self._transaction(line)
        else:
            self._audit.warn("file.unknown_record", self._place(), line)
        return ()

    def _start(self, line: str) -> None:
        if self._is_open:
            self._fault("wrong.comes_again", begin="0", end="9")
        self._is_open = self._is_started = True
        self._begin()
        start = self._decoded(BatchStart, line)
        if start and start.currency_code != EURO:
            place = self._place("currency_code")
            self._audit.block("file.unknown_currency", place, start.currency_code, currency=start.currency_code)
        if start:
            self.identity = self.identity or f"ktl:{start.bank}:{start.service_id}:{line[1:11]}"

    def _transaction(self, line: str) -> Iterable[Payment]:
        if "\t" in line:
            self._fault("wrong.tab", value=line)
        if not self._decoded(Transaction, line):
            self._audit.transactions += 1
            return ()
        found = _columns_of(line)
        assert found, "the record was decoded before"
        columns = [(text,) for text in found.groups()]
        self._days.know({*columns[3], *columns[4]})
        return self._made(columns)

    # --- payments ---

    def _made(self, columns: Sequence[Sequence[str]]) -> Iterable[Payment]:
        """Count payments and return them; *columns* are those of a unit."""
        identities, kinds, accounts, bookings, orders, archives, raws, names, amounts, corrections, returns = columns
        first, minors = self._audit.transactions + 1, list(map(int, amounts))
        is_back = list(map(_NORMAL.__ne__, corrections))
        accounts = self._count_in(kinds, accounts, minors, is_back)
        references, reference_kinds, wrong = _references(raws)
        whys = _whys(kinds, returns)
        notes = [(place, "ktl.reference_check", "reference", references[place]) for place in wrong]
        if any(whys):
            notes += [(place, why, "return_code", returns[place]) for place, why in enumerate(whys) if why == RETURNED]
        for place, code, column, value in sorted(notes):
            self._audit.warn(code, f"transaction {first + place}, {column}", value)
        days = list(map(self._days.__getitem__, bookings))
        facts = zip(identities, amounts, corrections, strict=True)
        return map(_new, repeat(Payment), zip(
            range(first, first + len(minors)), minors, repeat(CURRENCY),
            [_DEBIT if back else _CREDIT for back in is_back] if any(is_back) else repeat(_CREDIT), is_back,
            repeat("BOOK"), list(map(RETURNED.__ne__, whys)), whys, references, raws, repeat(()), days, days,
            map(str.strip, names), _EMPTY, accounts, map(str.strip, archives), _EMPTY,
            [f"ktl:{identity}{amount}{correction}" for identity, amount, correction in facts], _EMPTY, _EMPTY, _EMPTY,
            repeat(None), _EMPTY, reference_kinds, _EMPTY, map(self._days.__getitem__, orders), repeat(0), _EMPTY,
            _EMPTY, _EMPTY,
        ))  # fmt: skip

    def _count_in(
        self, kinds: Sequence[str], raw_accounts: Sequence[str], minors: Sequence[int], is_back: Sequence[bool]
    ) -> Sequence[str]:
        """Take transactions into the books; return their accounts."""
        back = sum(compress(minors, is_back))
        self._audit.transactions += len(minors)
        self._audit.count(CURRENCY, sum(minors) - back, back)
        self._all.add(minors, is_back)
        if FACTORING in kinds:
            self._has_factoring = True
            own = [kind != FACTORING for kind in kinds]
            self._own.add(list(compress(minors, own)), list(compress(is_back, own)))
        else:
            self._own.add(minors, is_back)
        accounts = self._accounts(kinds, raw_accounts)
        for account, count in Counter(accounts).items():
            self.accounts[account] = self.accounts.get(account, 0) + count
        return accounts

    def _accounts(self, kinds: Sequence[str], raw_accounts: Sequence[str]) -> Sequence[str]:
        """Return the receiving accounts. A factoring row has that of the rows before it: its own column is not for it."""
        if FACTORING not in kinds:
            self._account = raw_accounts[-1].strip()
            return [self._account] * len(kinds) if len({*raw_accounts}) == 1 else list(map(str.strip, raw_accounts))
        accounts = []
        for kind, raw in zip(kinds, raw_accounts, strict=True):
            if kind != FACTORING:
                self._account = raw.strip()
            accounts.append(self._account or raw.strip())
        return accounts

    # --- control totals ---

    def _end(self, line: str) -> None:
        self._is_open = False
        end = self._decoded(BatchEnd, line)
        if not end or self._is_damaged:  # an unreadable row was reported where it stands; the totals cannot agree then
            return
        stated = (end.payment_count, end.payment_minor, end.correction_count, end.correction_minor)
        if not self._has_factoring or stated not in {self._all.figures(), self._own.figures()}:
            for what, said, computed in zip(_TOTALS, stated, self._all.figures(), strict=True):
                if what.startswith("sum"):
                    self._compare_sum(what, said, computed, CURRENCY)
                else:
                    self._compare(what, said, computed)
        elif stated == self._all.figures():
            self._audit.info("ktl.total_with_factoring", self._place())
        else:
            self._audit.warn("ktl.total_without_factoring", self._place())

    def _finish(self) -> Iterator[Payment]:
        if self._is_open or not self._is_started:
            self._audit.block("file.truncated", self._place())
        return iter(())


_TOTALS = ("payments", "sum of payments", "corrections", "sum of corrections")


# --- columns ---------------------------------------------------------------------------------------------------------


def _references(raws: Sequence[str]) -> tuple[Sequence[str], Iterable[str], Sequence[int]]:
    """Return references without the zeros that fill them, their kinds, and the places of those that are wrong."""
    joined = "".join(raws)
    if not (joined.isascii() and joined.isdecimal()):
        return _odd_references(raws)
    values, wrong = list(map(str.lstrip, raws, repeat("0"))), wrong_ones(raws)
    if not wrong and all(values):
        return values, repeat(KIND), wrong
    kinds = [KIND if value else "" for value in values]
    for place in wrong:
        kinds[place] = ""
    return values, kinds, wrong


def _odd_references(raws: Sequence[str]) -> tuple[Sequence[str], Iterable[str], Sequence[int]]:
    """Return the same where some are not digits alone: filled with blanks, or of the international kind."""
    values = [raw.strip().lstrip("0") for raw in raws]
    kinds = ["rf" if is_rf(value) else KIND if is_viitenumero(value) else "" for value in values]
    return values, kinds, [place for place, value in enumerate(values) if value and not kinds[place]]


def _whys(kinds: Sequence[str], returns: Sequence[str]) -> Sequence[str]:
    """Return why each is not posted, or whose it is: the factoring company's money is not on the creditor's account.

    A direct debit that came back with a code may not have been paid at all.
    """
    if DIRECT_DEBIT not in kinds and FACTORING not in kinds:
        return [""] * len(kinds)
    rows = zip(kinds, returns, strict=True)
    return [
        RETURNED if kind == DIRECT_DEBIT and code not in _NO_RETURN else TO_FACTORING if kind == FACTORING else ""
        for kind, code in rows
    ]
