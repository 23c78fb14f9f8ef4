"""Leaps over transactions and entries of known shapes, in text that the XML parser is never given.

A leap begins where the parser has just read the end of a transaction or entry, and ends behind the last one that one of
the learnt patterns matched whole; nothing between is left unread. An entry is leapt over only as a whole: its head, its
transactions, its tail. Where anything about it needs a question (sums that differ, a date that is none), it is taken the
long way, with the values the parser would have given; where a pattern fails, the parser reads it.
"""

from __future__ import annotations

import re
from datetime import date
from operator import add
from typing import NamedTuple, Protocol, TypeVar

from gateway.formats.audit import Audit
from gateway.formats.camt_entry import Entry, Transactions
from gateway.formats.camt_parts import IS_CREDIT, local_day
from gateway.formats.camt_paths import Node, Values
from gateway.formats.camt_payment import Payments
from gateway.formats.camt_section import Section
from gateway.formats.camt_shapes import (
    Head,
    HeadRow,
    Match,
    Row,
    Shape,
    Single,
    Tail,
    learn_entry,
    learn_transaction,
)

MAX_SHAPES = 32
"""Shapes kept of each kind. A bank uses a handful; a file with more of them is read by the parser alone."""

MAX_LESSONS = 1000
"""Attempts to learn a shape. A lesson takes some milliseconds, and a file may hold nothing that can be learnt."""

MAX_SMALL = 16
"""Transactions of an entry that is leapt over whole. A longer one costs the parser one look at its head."""

_BETWEEN_TAGS = re.compile(">[^<]+<")

LEAPT = frozenset({"transaction", "entry"})
"""Groups that are leapt over: many payments in one entry, or many entries with few payments each."""

T = TypeVar("T", Shape, Head, Tail, Single)
Found = tuple[Shape, re.Match[str]]
Part = tuple[Row, re.Match[str], int, bool, date | None]
"""A transaction of an entry: its amount in minor units, whether money comes in, and when it was ordered."""

Totals = dict[tuple[str, bool, bool], list[int]]
"""By currency, whether money comes in and whether it is booked: entries, the sum of their amounts, transactions."""


class Whole(NamedTuple):
    """An entry, matched from end to end."""

    head: Head
    found: re.Match[str]
    rows: list[Found]
    tail: re.Match[str]


class Reader(Protocol):
    """What leaps need of the reader: where it is, and the ends of things for the long way."""

    section: Section
    entry: Entry
    transactions_read: Transactions
    payments: Payments
    audit: Audit

    def begin_entry(self, values: Values) -> None:
        """Start an entry."""

    def end_transaction(self, values: Values) -> None:
        """Take a transaction."""

    def end_details(self, values: Values) -> None:
        """Compare what a batch states."""

    def end_entry(self, values: Values) -> None:
        """Close the entry."""


class Leaps:
    """The shapes of one document, and the leaps over them. *lines* counts the lines leapt over."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._shapes: list[Shape] = []
        self._heads: list[Head] = []
        self._tails: list[Tail] = []
        self._singles: list[Single] = []
        self._seen: set[int] = set()
        self._lessons = 0
        self._lines = self._start = self._at = 0
        self._text = ""

    @property
    def lines(self) -> int:
        """How many lines have been leapt over, up to the element being read."""
        count, text, start, at = self._text.count, self._text, self._start, self._at
        breaks = count("\r", start, at) - count("\r\n", start, at) if "\r" in text else 0  # a lone CR is a line end too
        return self._lines + count("\n", start, at) + breaks

    def forget(self) -> None:
        """Forget every shape: another message begins, perhaps in another namespace."""
        self._shapes, self._heads, self._tails, self._singles = [], [], [], []

    # --- learning ---

    @property
    def can_learn(self) -> bool:
        """Whether it is worth showing another element."""
        return self._lessons < MAX_LESSONS

    def learn(self, raw: str, node: Node, prefix: str) -> None:
        """Learn the shape of *raw*, which the parser has read, when it comes for the second time."""
        is_entry = node.name == "entry"
        if self._knows_entry(raw) if is_entry else _first(self._shapes, raw, 0):
            return  # it stood where no leap could begin
        self._lessons += 1
        tags = hash(_BETWEEN_TAGS.sub("><", raw))
        if tags not in self._seen:
            self._seen.add(tags)
        elif is_entry:
            self._learn_entry(raw, node, prefix)
        elif len(self._shapes) < MAX_SHAPES and (shape := learn_transaction(raw, node, prefix)):
            self._shapes.insert(0, shape)

    def _knows_entry(self, raw: str) -> bool:
        is_long = raw.count("TxDtls>") > 2 * MAX_SMALL
        return is_long or bool(self._whole(raw, 0) or _first(self._singles, raw, 0))

    def _learn_entry(self, raw: str, node: Node, prefix: str) -> None:
        if learnt := learn_entry(raw, node, prefix):
            head, tail, single = learnt
            if single and len(self._singles) < MAX_SHAPES:
                self._singles.insert(0, single)
            if len(self._heads) < MAX_SHAPES and not any(known.pattern == head.pattern for known in self._heads):
                self._heads.insert(0, head)
            if len(self._tails) < MAX_SHAPES and not any(known.pattern == tail.pattern for known in self._tails):
                self._tails.insert(0, tail)

    # --- leaping ---

    def over(self, text: str, position: int, between: str) -> int:
        """Read what has a known shape from *position* on; return where it ends.

        Args:
            text: what the parser would read next; no character of it is one that XML forbids beyond ASCII.
            position: where a transaction or entry may begin.
            between: ``transaction`` or ``entry``, whichever may follow.
        """
        self._text, self._start, self._at = text, position, position
        self._at = self._transactions(text) if between == "transaction" else self._entries(text)
        end, self._lines = self._at, self.lines
        self._text, self._start, self._at = "", 0, 0
        return end

    def _transactions(self, text: str) -> int:
        reader, shapes, at = self._reader, self._shapes, self._at
        while True:
            first = _first(shapes, text, at)
            if not first:
                return at
            (shape, found), before = first, at
            if shape.row and _is_plain(reader.entry, shape.row):
                at = self._rows(reader.entry, shape.row, shape.match, found)
            if at == before:
                at = self._at = found.end()
                reader.end_transaction(shape.values(found.groups()))

    def _rows(self, entry: Entry, row: Row, match: Match, first: re.Match[str]) -> int:
        """Read transactions of one shape, beginning with *first*; return where they end."""
        reader, text, booking = self._reader, self._text, entry.booking
        of_row, put = reader.payments.of_row, reader.transactions_read.ready.append
        is_credit = entry.is_credit if row.is_credit is None else row.is_credit
        amount_group = row.fields[0]
        position = before = reader.audit.transactions
        total, at = 0, first.start()
        found: re.Match[str] | None = first
        while found:
            order_date = local_day(found[row.order_date]) if row.order_date else None
            if row.order_date and not order_date:
                break
            amount = found[amount_group]
            minor = int(amount[:-3] + amount[-2:])
            position += 1
            put(of_row(booking, position, minor, row, found, order_date, is_credit))
            total += minor
            at = found.end()
            found = match(text, at)
        reader.audit.transactions = position
        entry.count += position - before
        entry.batch_count += position - before
        entry.sum += total if is_credit else -total
        if position > before:
            entry.add(total, row.currency, is_credit=is_credit)
        return at

    # --- whole entries ---

    def _entries(self, text: str) -> int:
        reader, at = self._reader, self._at
        section, account = reader.section, reader.section.account
        totals: Totals = {}
        while True:
            end = self._run(text, at, account, totals)
            if end > at:
                at = end
                continue
            whole = self._whole(text, at)
            if not whole:
                break
            at = whole.tail.end()
            if not self._plain_entry(whole, account, totals):
                self._thorough(whole)
        for (currency, is_credit, is_booked), (entries, minor, transactions) in totals.items():
            money = minor, currency
            reader.transactions_read.count_entries(section, money, entries, is_credit, is_booked=is_booked)
            reader.transactions_read.count_account(account, transactions)
        return at

    def _run(self, text: str, at: int, account: str, totals: Totals) -> int:
        """Read a run of entries of one shape, with one plain transaction each; return where they end."""
        known = _first(self._singles, text, at)
        if not known:
            return at
        reader, ((_, match, head, row), first) = self._reader, known
        make_booking, of_row, put = (
            reader.payments.booking,
            reader.payments.of_row,
            reader.transactions_read.ready.append,
        )
        position = before = reader.audit.transactions
        found: re.Match[str] | None = first
        total = 0
        while found:
            amount, booked, valued, own, other, _ = found.group(*head.fields)
            dates = local_day(booked) if booked else None, local_day(valued) if valued else None
            order_date = local_day(found[row.order_date]) if row.order_date else None
            if (booked and not dates[0]) or (valued and not dates[1]) or (row.order_date and not order_date):
                break
            minor = int(amount[:-3] + amount[-2:])
            bank_reference = (own.strip() or other).strip()
            booking = make_booking(account, head.status, dates, bank_reference, is_reversal=head.is_reversal)
            position += 1
            put(of_row(booking, position, minor, row, found, order_date, head.is_credit))
            total += minor
            at = found.end()
            found = match(text, at)
        reader.audit.transactions = position
        if position > before:
            self._tally(totals, head, (position - before, total, position - before))
        return at

    def _tally(self, totals: Totals, head: HeadRow, more: tuple[int, int, int]) -> None:
        """Add entries, their amounts and their transactions to *totals*."""
        sums = totals.setdefault((head.currency, head.is_credit, head.status == "BOOK"), [0, 0, 0])
        sums[:] = map(add, sums, more)

    def _whole(self, text: str, position: int) -> Whole | None:
        """Return the parts of the entry at *position*, None where it is not one of known parts alone."""
        begun = _first(self._heads, text, position)
        if not begun:
            return None
        head, found = begun
        rows: list[Found] = []
        at = found.end()
        while len(rows) <= MAX_SMALL and (row := _first(self._shapes, text, at)):
            rows.append(row)
            at = row[1].end()
        if rows and len(rows) <= MAX_SMALL:
            ended = _first(self._tails, text, at)
            return Whole(head, found, rows, ended[1]) if ended else None
        return None

    def _plain_entry(self, whole: Whole, account: str, totals: Totals) -> bool:
        """Hand on the payments of an entry whose sums agree; False, and nothing done, where they do not."""
        head, rows = whole.head.row, whole.rows
        if head is None:
            return False
        amount, booked, valued, own, other, count = whole.found.group(*head.fields)
        dates = local_day(booked) if booked else None, local_day(valued) if valued else None
        if (booked and not dates[0]) or (valued and not dates[1]) or (head.has_count and count != str(len(rows))):
            return False
        minor = int(amount[:-3] + amount[-2:])
        made = _amounts(head, rows, minor if head.is_credit else -minor)
        if not made:
            return False
        reader, bank_reference = self._reader, (own.strip() or other).strip()
        booking = reader.payments.booking(account, head.status, dates, bank_reference, is_reversal=head.is_reversal)
        position, put = reader.audit.transactions, reader.transactions_read.ready.append
        for row, match, part, is_credit, order_date in made:
            position += 1
            put(reader.payments.of_row(booking, position, part, row, match, order_date, is_credit))
        reader.audit.transactions = position
        self._tally(totals, head, (1, minor, len(rows)))
        return True

    def _thorough(self, whole: Whole) -> None:
        """Read an entry the long way, as if the parser had gathered its values."""
        reader = self._reader
        values, details = whole.head.values(whole.found.groups())
        reader.begin_entry(values)
        for shape, match in whole.rows:
            self._at = match.end()
            reader.end_transaction(shape.values(match.groups()))
        self._at = whole.tail.end(1)
        reader.end_details(details)
        self._at = whole.tail.end()
        reader.end_entry(values)


def _first(kept: list[T], text: str, position: int) -> tuple[T, re.Match[str]] | None:
    """Return the shape that fits at *position*, and move it to the front: payments of one kind come in runs."""
    for shape in kept:
        found = shape.match(text, position)
        if found:
            if shape is not kept[0]:
                kept.remove(shape)
                kept.insert(0, shape)
            return shape, found
    return None


def _amounts(head: HeadRow, rows: list[Found], left: int) -> list[Part]:
    """Return the transactions of an entry with their amounts; none where these are not *left* in sum, or not plain."""
    made: list[Part] = []
    for shape, match in rows:
        row = shape.row
        if row is None or row.currency != head.currency:
            return []
        order_date = local_day(match[row.order_date]) if row.order_date else None
        if row.order_date and not order_date:
            return []
        amount = match[row.fields[0]]
        part = int(amount[:-3] + amount[-2:])
        is_credit = head.is_credit if row.is_credit is None else row.is_credit
        left -= part if is_credit else -part
        made.append((row, match, part, is_credit, order_date))
    return [] if left else made


def _is_plain(entry: Entry, row: Row) -> bool:
    """Return whether transactions like *row* need no question asked in *entry*."""
    has_direction = row.is_credit is not None or entry.values.get("direction", "").strip() in IS_CREDIT
    return entry.is_open and not entry.held and row.currency == entry.currency and has_direction
