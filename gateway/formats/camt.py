"""Reads camt.054 and camt.053 (ISO 20022, any version) as payments (payments.md 5).

An entry is what the account shows, its transactions are the payments inside. A transaction is handed on when it ends,
so an entry may hold any number of them; their sum is compared when the entry ends, the summary when the section ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from gateway.domain.exchange import Finding, Payment
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.audit import Audit
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_entry import Entry, Transactions
from gateway.formats.camt_paths import MESSAGES, Values
from gateway.formats.camt_payment import Payments
from gateway.formats.camt_section import Section, is_paged
from gateway.formats.camt_walk import Walk
from gateway.formats.xmltree import CutShort, Doctype

VERSIONS = frozenset(f"{version:02d}" for version in range(1, 14))
"""Versions of the messages that exist; one beyond is read by the same tree, with a warning."""

MAX_SECTIONS = 100_000
"""Sections whose identities are kept. One file holds at most a few thousand accounts."""

MAX_UNKNOWN = 1000
"""Names of unknown elements that are remembered, so that each is told once."""

MAX_PIECES = 128
"""Pieces of 8 KiB of one text. The longest text of the messages has 500 characters."""

_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(camt\.05[34])\.001\.([0-9]{2})")


class CamtReader:
    """The payments of one camt.054 or camt.053 file, as a `PaymentStream`.

    *format* is the message and version (``camt.054.001.08``; without a namespace ``camt.054``); *identity* names the
    message and *sections* its notifications or statements (payments.md 8); *accounts* counts transactions per account.
    These, *findings*, *totals* and *transactions* are complete when the iteration has ended. Totals are sums of entries,
    since entries are what the account shows.

    The other attributes are for `camt_walk` and `camt_leap`, which tell the reader what they come to.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.audit = stream, Audit()
        self._amounts = Amounts(self.audit, self._place)
        self._walk = Walk(self)
        self._unknown: set[str] = set()
        self._is_page = self._is_found = False
        self.accounts: dict[str, int] = {}
        self.payments = Payments()
        self.transactions_read = Transactions(self.audit, self._amounts, self._place, self.payments, self.accounts)
        self.section = Section(self.audit, self._amounts, self._place, {})
        self.entry = Entry({}, self.section)
        self.format = "camt"
        self.identity = ""
        self.sections: list[str] = []
        self.findings: list[Finding] = self.audit.findings
        self.totals = self.audit.totals

    @property
    def transactions(self) -> int:
        """How many transactions the file holds, posted or not; an entry without details is one."""
        return self.audit.transactions

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order, in one pass.

        Raises:
            FileQuarantined: damaged, cut short, or its control totals do not agree.
            FileRefused: no camt.054 or camt.053, or a document type declaration.
        """
        try:
            for _ in self._walk.over(self._stream):
                yield from self.transactions_read.ready
                self.transactions_read.ready.clear()
                if self._walk.pieces > MAX_PIECES:
                    reason = said("wrong.too_much")
                    self.audit.quarantine("file.invalid", self._place(""), reason=reason)
        except DecodeError as error:
            yield from self.transactions_read.ready
            self._stop(error)
        if not self._is_found:
            reason = said("kind.no_bank_message", root=self._walk.root)
            self.audit.refuse("file.not_a_payment_file", "line 1", self._walk.root, reason=reason)
        self.audit.close()

    def _stop(self, error: DecodeError) -> None:
        place = f"line {error.line + self._walk.skipped_lines}"
        if isinstance(error, Doctype):
            self.audit.refuse("file.doctype", place)
        if not self._is_found:
            self.audit.refuse("file.not_a_payment_file", place, reason=said("kind.broken", fault=error.reason))
        if isinstance(error, CutShort):
            self.audit.quarantine("file.truncated", place)
        self.audit.quarantine("file.invalid", place, error.value, reason=error.reason)

    # --- what the walk calls: the document ---

    def found_message(self, element: str, namespace: str) -> bool:
        """Take or refuse the message inside ``Document``."""
        known = MESSAGES.get(element)
        if not known:
            name = namespace.rpartition(":")[2] or element
            reason = said("kind.not_read", name=f"{name} ({element})")
            self.audit.refuse("file.not_a_payment_file", self._place(element), name, reason=reason)
        message, version = known[0], ""
        stated = _NAMESPACE.fullmatch(namespace)
        if stated:
            message, version = stated[1], stated[2]
        if message != known[0] or (namespace and version not in VERSIONS):
            self.audit.warn("camt.version", self._place(element), namespace)
        self._is_found = True
        self.payments.message = known[0]
        self.format = f"{known[0]}.001.{version}" if version else known[0]
        return True

    def found_unknown(self, element: str) -> None:
        """Warn once of an element that no version has at its place."""
        if element not in self._unknown and len(self._unknown) < MAX_UNKNOWN:
            self._unknown.add(element)
            self.audit.warn("file.unknown_record", self._place(element), element)

    def end_header(self, values: Values) -> None:
        """Keep the identity of the message."""
        self.identity = f"camt:{values.get('message', '').strip()}:{values.get('created', '').strip()}"
        self._is_page = is_paged(values)

    # --- sections ---

    def begin_section(self, values: Values) -> None:
        """Start the books of one account."""
        self.section = Section(self.audit, self._amounts, self._place, values)
        self.section.is_page = self._is_page

    def end_section(self, _: Values) -> None:
        """Compare what the section states."""
        self.section.close("Ntfctn" if "054" in self.format else "Stmt")
        if len(self.sections) < MAX_SECTIONS:
            self.sections.append(self.section.identity)

    def end_balance(self, values: Values) -> None:
        """Keep a balance."""
        self.section.balance(values)

    def end_summary(self, values: Values) -> None:
        """Keep the summary."""
        self.section.summary(values)

    # --- entries and transactions ---

    def begin_entry(self, values: Values) -> None:
        """Start an entry."""
        self.entry = Entry(values, self.section)

    def end_entry(self, _: Values) -> None:
        """Close the entry: compare its sum, hand on what waited."""
        self.transactions_read.close(self.entry)

    def begin_details(self, _: Values) -> None:
        """Start a batch of transactions."""
        self.entry.start_batch()

    def end_details(self, values: Values) -> None:
        """Compare what the batch states."""
        self.transactions_read.close_batch(self.entry, values)

    def end_transaction(self, values: Values) -> None:
        """Hand the transaction on, or keep it until its entry is known."""
        self.transactions_read.add(self.entry, values)

    def _place(self, path: str) -> str:
        return f"line {self._walk.line}" + (f", {path}" if path else "")
