"""Reads CREMUL D.96A, Norwegian and Danish: money credited to an account, as an agency's bank tells it (payments.md 4).

Two speeds. The transactions of most files are alike: a date, the payer, two references, an amount, a KID. One regular
expression takes such a transaction whole, and says nothing else of it than the thorough way would. Every other segment
goes one by one through a handler for its tag, which knows on which level it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import BinaryIO

from gateway.domain.exchange import Direction, Finding, Payment, Reference
from gateway.domain.money import exponent
from gateway.domain.reasons import said
from gateway.formats.audit import Audit
from gateway.formats.camt_parts import account_number
from gateway.formats.cremul_line import (
    BOOKED,
    CATEGORIES,
    DANISH,
    INVALID_KID,
    PREADVICE,
    Line,
    Transaction,
    day_of,
    payer,
    text_references,
)
from gateway.formats.cremul_money import Books
from gateway.formats.cremul_shape import ordinary_transactions
from gateway.formats.edifact import Segment, Segments, component
from gateway.formats.edifact_envelope import Envelope

MESSAGE = "CREMUL"
VERSION = ("D", "96A")
MAX_CHARACTERS = 1 << 20
"""Longest transaction, or head of a line. A thousand documents with their amounts take a tenth of it."""

MAX_NAMES = 1000
"""Unknown segments and foreign messages told of, each once."""

_DATE_FORMATS = frozenset({"102", "203", "204"})
"""YYYYMMDD, alone or with a time behind it."""

_LINE_COUNTS = frozenset({"LI", "LIN", "2"})
_IGNORED = frozenset(
    {"AJT", "ALI", "AUT", "COM", "CTA", "CUX", "DLI", "INP", "PAI", "PIA", "PRC", "RTE", "TAX", "UNE", "UNS"}
)
"""Segments of the message that say nothing about money received; some begin a group that MOA may stand in."""

_ENVELOPE = frozenset({"UNA", "UNB", "UNG", "UNH", "UNT", "UNZ"})
_CONTEXTS = {
    "FCA": "charges", "PRC": "details", "DOC": "document", "GIS": "information", "AJT": "adjustment", "DLI": "item",
    "INP": "instruction", "NAD": "", "FII": "", "PAI": "", "SEQ": "", "LIN": "",
}  # fmt: skip
_new = tuple.__new__
_CREDIT = Direction.CREDIT


class CremulReader:
    """The payments of one CREMUL file, as a `PaymentStream`.

    *format* is ``cremul``, or ``cremul_dk`` when the file has the Danish shape. Totals are sums of lines, since lines
    are what the account shows. *leaps* false reads every segment the thorough way.
    """

    def __init__(self, stream: BinaryIO, *, leaps: bool = True) -> None:
        self._audit = Audit()
        self._segments = Segments(stream, self._audit)
        self._envelope = Envelope(self._audit, self._segments.place)
        self._books = Books(self._audit, self._segments)
        self._leaps = leaps
        self._message, self._message_status, self._has_kind = "", "INFO", False
        self._others: set[str] = set()
        self._unknown: set[str] = set()
        self._line: Line | None = None
        self._transaction: Transaction | None = None
        self._is_found = False
        self.format = "cremul"
        self.findings: list[Finding] = self._audit.findings
        self.totals = self._audit.totals
        self.accounts = self._books.accounts
        self._handlers: dict[str, Callable[[Segment], None]] = {
            "BGM": self._read_kind, "BUS": self._read_category, "CNT": self._read_count, "DOC": self._read_document,
            "DTM": self._read_date, "FII": self._read_account, "FTX": self._read_text, "LIN": self._begin_line,
            "MOA": self._read_money, "NAD": self._read_party, "RFF": self._read_reference, "SEQ": self._begin_transaction,
        }  # fmt: skip

    @property
    def identity(self) -> str:
        """Sender, control reference and stamp of the interchange."""
        return self._envelope.identity

    @property
    def transactions(self) -> int:
        """How many transactions the file holds, posted or not; a line without details is one."""
        return self._audit.transactions

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order, in one pass.

        Raises:
            FileQuarantined: damaged, cut short, or its control totals do not agree.
            FileRefused: an EDIFACT file without any CREMUL message.
        """
        ready = self._books.ready
        segments = self._segments
        for piece in segments.pieces():
            position, stop = 0, len(piece)
            mark = f"SEQ{segments.service.element}"
            while position < stop:
                if self._line and piece.startswith(mark, position) and self._may_leap(self._line):
                    position = self._leap(piece, position, self._line)
                    yield from ready
                    ready.clear()
                segment, position = segments.next(piece, position)
                if segment:
                    self._read(segment)
                    if ready:
                        yield from ready
                        ready.clear()
        self._finish()

    def _finish(self) -> None:
        if not self._envelope.is_complete:
            self._audit.block("file.truncated", self._segments.place())
        elif not self._is_found and not self._audit.is_blocked:
            names = ", ".join(sorted(self._others))
            reason = said("kind.other_messages", messages=names) if names else said("kind.no_messages")
            self._audit.refuse("file.not_a_payment_file", "UNH", names, reason=reason)
        self._audit.close()

    # --- the fast way ---

    def _may_leap(self, line: Line) -> bool:
        """Close what came before a SEQ segment; return whether those from here on may be ordinary."""
        self._close_transaction(is_last=False)
        if not line.is_open:
            self._open_line(line)
        return line.is_ordinary and self._leaps and self._segments.is_plain

    def _leap(self, piece: str, position: int, line: Line) -> int:
        """Read ordinary transactions from *position* on; return where the last of them ends."""
        match = ordinary_transactions(self._segments.service, line.currency).match
        start, number, total, place = position, self._audit.transactions, 0, line.count
        inner, outer, *_ = self._segments.service
        currency, status, why_not, key = line.currency, line.status, line.why_not, f"{line.key}:"
        booked, valued, account, statement = line.booking_date, line.value_date, line.account, line.bank_reference
        posts, is_recoded = not why_not, self._segments.is_recoded
        last_day, ordered, ready = "", None, self._books.ready.append
        while found := match(piece, position):
            day, debtor, order, archive, amount, party, kid, told = found.groups("")
            if day != last_day:
                last_day, ordered = day, day_of(day)
                if day and not ordered:
                    break
            position = found.end()
            minor = int(amount[:-3] + amount[-2:]) if amount[-3:-2] in {".", ","} else int(amount) * 100
            number += 1
            place += 1
            total += minor
            archive = archive.strip() or order.strip()
            parts = party.split(outer)
            if len(parts) == 6 and not parts[0] and not is_recoded and inner not in party:
                _, name, street, city, _, postcode = parts
                name, address = name.strip(), _address(street.strip(), city.strip(), postcode.strip())
            else:
                name, address = payer([self._values(part) for part in parts])
            references, text = self._told(told) if told else ((), "")
            ready(_new(Payment, (
                number, minor, currency, _CREDIT, False, status, posts, why_not, kid, kid, references, booked, valued, name,
                debtor if debtor.strip("0") else "", account, archive or statement, text, f"{key}{archive}:{place}",
                "", "", "", None, "", kid and "kid", statement, ordered, 0, "", "", address,
            )))  # fmt: skip
        self._audit.transactions = number
        line.sum += total
        line.count = place
        self._segments.number += piece.count(self._segments.service.terminator, start, position)
        return position

    def _told(self, text: str) -> tuple[tuple[Reference, ...], str]:
        texts = [part.strip() for part in self._values(text) if part.strip()]
        return text_references(texts), " ".join(texts)

    def _values(self, element: str) -> list[str]:
        """Return the components of an element without released characters."""
        parts = element.split(self._segments.service.component)
        return list(map(self._segments.recoded, parts)) if self._segments.is_recoded else parts

    # --- the thorough way ---

    def _read(self, segment: Segment) -> None:
        tag = segment[0][0].strip()
        if tag in _ENVELOPE:
            self._read_envelope(tag, segment)
        elif not self._envelope.is_message_open:
            if tag != "UNE":
                self._fault(tag, "wrong.outside", frame="UNH-UNT")
        elif self._message == MESSAGE:
            if tag in _CONTEXTS:
                self._set_context(tag)
            handler = self._handlers.get(tag)
            if handler:
                handler(segment)
                self._check_size()
            elif tag not in _IGNORED and tag not in _CONTEXTS and len(self._unknown) < MAX_NAMES:
                self._note_unknown(tag)

    def _note_unknown(self, tag: str) -> None:
        if tag not in self._unknown:
            self._unknown.add(tag)
            self._audit.warn("file.unknown_record", self._segments.place(tag[:20]), tag)

    def _read_envelope(self, tag: str, segment: Segment) -> None:
        number = self._segments.number
        if tag == "UNB":
            self._envelope.begin(segment)
        elif tag == "UNG":
            self._envelope.begin_group()
        elif tag == "UNH":
            self._close_line()
            self._begin_message(segment, self._envelope.begin_message(segment, number))
        elif tag == "UNT":
            self._close_line()
            self._books.end_message()
            self._envelope.end_message(segment, number, is_counted=self._books.is_message_counted)
        elif tag == "UNZ":
            self._close_line()
            self._envelope.end(segment)

    def _begin_message(self, segment: Segment, message: str) -> None:
        self._message, self._message_status, self._has_kind = message, "INFO", False
        self._books.begin_message()
        if message != MESSAGE:
            if message not in self._others and len(self._others) < MAX_NAMES:
                self._others.add(message)
                self._audit.info("cremul.other_message", self._segments.place("UNH"), message, message=message)
            return
        self._is_found = True
        if (component(segment, 2, 1), component(segment, 2, 2)) != VERSION:
            self._audit.warn("cremul.version", self._segments.place("UNH"), ":".join(segment[2]))

    def _set_context(self, tag: str) -> None:
        """Remember what a segment begins: MOA and others behind it belong to that."""
        level = self._transaction or self._line
        if level and (tag != "NAD" or level.context != "document"):
            level.context = _CONTEXTS[tag]

    # --- segments of every level ---

    def _read_kind(self, segment: Segment) -> None:
        """BGM: what the message tells of. Only booked money is posted."""
        kind, self._has_kind = component(segment, 1), True
        self._books.name_message(component(segment, 2))
        if kind in BOOKED:
            self._message_status = "BOOK"
        elif kind == PREADVICE:
            self._message_status = "PDNG"
            self._audit.info("cremul.preadvice", self._segments.place("BGM"), kind)
        else:
            self._audit.warn("cremul.unknown_kind", self._segments.place("BGM"), kind)
        if kind == "X1":
            self.format = "cremul_dk"

    def _read_date(self, segment: Segment) -> None:
        qualifier, raw, form = (component(segment, 1, place) for place in range(3))
        level = self._transaction or self._line
        if not level or level.context in {"document", "instruction", "information", "item"}:
            return
        if qualifier == "202":
            level.booking_date = self._day(raw, form) or level.booking_date
        elif qualifier == "209":
            level.value_date = self._day(raw, form) or level.value_date
        elif qualifier == "203" and self._transaction:
            self._transaction.order_date = self._day(raw, form)

    def _day(self, raw: str, form: str) -> date | None:
        if not raw:
            return None
        day = day_of(raw[:8]) if form in _DATE_FORMATS and (form != "102" or len(raw) == 8) else None
        if not day:
            self._fault("DTM", "wrong.no_such_day", f"{raw}:{form}")
        return day

    def _read_category(self, segment: Segment) -> None:
        """BUS: some senders leave an empty element out, which moves the category to the left."""
        category = component(segment, 4) or component(segment, 3)
        level = self._transaction or self._line
        if level and category in CATEGORIES:
            level.category = category
            if category in DANISH:
                self.format = "cremul_dk"

    def _read_reference(self, segment: Segment) -> None:
        qualifier, value = component(segment, 1), component(segment, 1, 1)
        level = self._transaction or self._line
        if not level or not value or level.context in {"document", "item"}:
            return
        if qualifier in {"BID", "KAK", "KRE"}:
            self.format = "cremul_dk"
        if self._transaction and qualifier in {"CR", "AFO"}:
            self._keep_text(value)
        level.references.setdefault(qualifier, value)

    def _read_account(self, segment: Segment) -> None:
        qualifier, account, holder = component(segment, 1), component(segment, 2), component(segment, 2, 1)
        if self._transaction:
            if qualifier == "OR":
                account = account_number(account)
                self._transaction.payer_account = account if account.strip("0") else ""
                self._transaction.payer_name = self._transaction.payer_name or holder
        elif self._line and qualifier == "BF":
            self._line.account = account_number(account)

    def _read_party(self, segment: Segment) -> None:
        role, transaction = component(segment, 1), self._transaction
        if transaction and role == "PL":
            name, address = payer(segment[3:])
            transaction.payer_name, transaction.payer_address = name or transaction.payer_name, address
        elif transaction and role == "IV" and transaction.context == "document" and transaction.documents:
            transaction.documents[-1] = transaction.documents[-1]._replace(party=component(segment, 2))

    def _read_text(self, segment: Segment) -> None:
        if self._transaction and len(segment) > 4:
            for part in segment[4]:
                self._keep_text(part.strip())

    def _keep_text(self, text: str) -> None:
        if self._transaction and text:
            self._transaction.texts.append(text)

    def _read_document(self, segment: Segment) -> None:
        if self._transaction:
            self._transaction.documents.append(self._books.document(segment))

    def _read_money(self, segment: Segment) -> None:
        if self._transaction and self._line:
            self._books.read_transaction_money(self._line, self._transaction, segment)
        elif self._line:
            self._books.read_line_money(self._line, segment)

    def _read_count(self, segment: Segment) -> None:
        self._close_line()
        qualifier, stated = component(segment, 1), component(segment, 1, 1)
        if qualifier in _LINE_COUNTS:
            self._books.state_lines(stated)
        else:
            self._note_unknown(f"CNT+{qualifier}")

    def _check_size(self) -> None:
        line = self._line
        level = self._transaction or (None if not line or line.is_open else line)
        if level and self._segments.start - level.start > MAX_CHARACTERS:
            reason = said("wrong.too_much")
            self._audit.quarantine("file.invalid", self._segments.place(), reason=reason)

    # --- lines and transactions ---

    def _begin_line(self, _: Segment) -> None:
        self._close_line()
        if not self._has_kind:
            self._has_kind = True
            self._audit.warn("cremul.unknown_kind", self._segments.place("BGM"))
        self._line = self._books.begin_line()

    def _begin_transaction(self, _: Segment) -> None:
        self._close_transaction(is_last=False)
        if not self._line:
            self._fault("SEQ", "wrong.comes_without", what="SEQ", other="LIN")
            return
        if not self._line.is_open:
            self._open_line(self._line)
        self._transaction = Transaction(self._segments.number, self._segments.start)

    def _open_line(self, line: Line) -> None:
        self._books.open_line(line, self._message_status, is_test=self._envelope.is_test)
        has_cents = line.minor is not None and exponent(line.currency) == 2
        line.is_ordinary = bool(has_cents and line.key and line.category != INVALID_KID)

    def _close_transaction(self, *, is_last: bool) -> None:
        if self._transaction and self._line:
            self._books.close_transaction(self._line, self._transaction, is_last=is_last)
        self._transaction = None

    def _close_line(self) -> None:
        self._close_transaction(is_last=True)
        if self._line:
            if not self._line.is_open:
                self._open_line(self._line)
            self._books.close_line(self._line)
        self._line = None

    def _fault(self, field: str, code: str, value: str = "", **values: object) -> None:
        self._audit.block("file.invalid", self._segments.place(field), value, reason=said(code, **values))


def _address(street: str, city: str, postcode: str) -> str:
    """Return the address as `payer` does, for text that needs no care."""
    town = f"{postcode} {city}".strip()
    return f"{street}\n{town}" if street and town else street or town
