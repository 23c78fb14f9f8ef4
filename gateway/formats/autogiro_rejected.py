"""Reads lists of rejected Autogiro payments (Bankgirot): orders that never became money (payments.md 7).

None of them is posted; each says in words why Bankgirot did not take it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import ClassVar

from gateway.domain.exchange import Direction, Payment
from gateway.formats.autogiro import CURRENCY, REFERENCE_COLUMNS, AutogiroReader
from gateway.formats.autogiro_layout import (
    IN,
    OLD_REJECTIONS,
    OUT,
    REJECTED,
    REJECTED_UNIT,
    REJECTIONS,
    FileStart,
    OldFileStart,
    PaymentRecord,
    RejectedEnd,
    RejectedRecord,
)
from gateway.formats.fixed_width import scanner
from gateway.formats.record import day_of

NOT_NUMERIC = "08"
UNKNOWN = "autogiro.rejected"
COMMENTS = {
    "01": "autogiro.mandate_missing",
    "02": "autogiro.account_not_ready",
    "03": "autogiro.mandate_stopped",
    "04": "autogiro.wrong_payer_number",
    "05": "autogiro.wrong_bankgiro",
    "06": "autogiro.wrong_period",
    "07": "autogiro.wrong_occurrences",
    NOT_NUMERIC: "autogiro.wrong_amount",
    "09": "autogiro.payouts_forbidden",
    "10": "autogiro.bankgiro_unknown",
    "12": "autogiro.wrong_date",
    "13": "autogiro.date_passed",
    "15": "autogiro.bankgiro_differs",
    "24": "autogiro.amount_too_large",
}
"""Comment code to the reason code that says it in words. Those not listed are told as they stand."""

_DIRECTIONS = {IN: Direction.CREDIT, OUT: Direction.DEBIT}
_columns_of = re.compile(REJECTED).fullmatch
_EMPTY = repeat("")
_new = tuple.__new__  # a named tuple's own constructor is a Python function and takes four times as long


class AutogiroRejectedReader(AutogiroReader):
    """The rejected payments of one file in the new layout, as a `PaymentStream` of information."""

    format = "autogiro_rejected"
    units = scanner(REJECTED_UNIT)
    start: ClassVar[type[FileStart | OldFileStart]] = FileStart
    content = REJECTIONS

    def _begin(self) -> None:
        self._counts: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._is_summed = True

    def _take(self, columns: Sequence[Sequence[str]], count: int) -> Iterable[Payment] | None:  # noqa: ARG002
        amounts = "".join(columns[3])
        if not self._is_open or not (amounts.isascii() and amounts.isdecimal()):
            return None
        return self._made(columns, list(map(int, columns[3])))

    def _read_record(self, line: str, kind: str) -> Iterable[Payment]:
        if kind not in _DIRECTIONS:
            self._audit.warn("file.unknown_record", self._place(), line)
            return ()
        self._decoded(RejectedRecord, line)
        found = _columns_of(line)
        assert found, "its columns are text"
        amount, comment = found["amount"], found["comment_code"]
        is_amount = amount.isascii() and amount.isdecimal()
        if not is_amount and comment == NOT_NUMERIC:
            self._is_summed = False
            self._audit.warn(COMMENTS[comment], self._place("amount"), amount)
        elif not is_amount:
            self._fault("wrong.number_width", width=12, field="amount", value=amount)
        return self._made([(text,) for text in found.groups()], [int(amount) if is_amount else 0])

    def _made(self, columns: Sequence[Sequence[str]], minors: Sequence[int]) -> Iterable[Payment]:
        kinds, raw_days, payers, amounts, raws, comments = columns
        first, account = self._audit.transactions + 1, self._bankgiro
        credit, debit = self._count_in(kinds, minors, [account] * len(minors))
        self._counts.update(kinds)
        self._sums.update({IN: credit, OUT: debit})
        comments = list(map(str.strip, comments))
        raws = [raw.ljust(REFERENCE_COLUMNS) for raw in raws]  # blanks at the end of a line may be trimmed
        self._warn_of_unknown(comments, first)
        references = list(map(str.strip, raws, repeat(" ")))
        days = {raw: day_of(PaymentRecord, "payment_date", raw) for raw in {*raw_days}}
        facts = zip(kinds, raw_days, payers, amounts, references, comments, strict=True)
        return map(_new, repeat(Payment), zip(
            range(first, first + len(minors)), minors, repeat(CURRENCY), map(_DIRECTIONS.__getitem__, kinds),
            repeat(False), repeat("INFO"), repeat(False), map(COMMENTS.get, comments, repeat(UNKNOWN)), references, raws,
            repeat(()), repeat(None), map(days.__getitem__, raw_days), _EMPTY,
            map(str.strip, map(str.lstrip, payers, repeat("0 "))), repeat(account), _EMPTY, _EMPTY,
            [f"autogiro:{account}:rejected:{k}{d}{p}{a}:{r}:{c}" for k, d, p, a, r, c in facts], _EMPTY, _EMPTY, _EMPTY,
            repeat(None), _EMPTY, _EMPTY, _EMPTY, repeat(None), repeat(0), _EMPTY, _EMPTY, _EMPTY,
        ))  # fmt: skip

    def _warn_of_unknown(self, comments: Sequence[str], first: int) -> None:
        """Tell comment codes that this version has no words for."""
        if {*comments} - COMMENTS.keys():
            for position, comment in enumerate(comments, first):
                if comment not in COMMENTS:
                    self._audit.warn(UNKNOWN, f"transaction {position}, comment code", comment or " ")

    def _compare_end(self, line: str) -> None:
        end = self._decoded(RejectedEnd, line)
        if end:
            self._compare("payments (TK82)", end.in_count, self._counts[IN])
            self._compare("payments out (TK32)", end.out_count, self._counts[OUT])
        if end and self._is_summed and not self._is_damaged:  # an unreadable amount was reported where it stands
            self._compare_sum("sum of TK82", end.in_minor, self._sums[IN], CURRENCY)
            self._compare_sum("sum of TK32", end.out_minor, self._sums[OUT], CURRENCY)


class AutogiroOldRejectedReader(AutogiroRejectedReader):
    """The same list in the old layout: only its first record differs."""

    format = "autogiro_rejected_old"
    start = OldFileStart
    content = OLD_REJECTIONS
