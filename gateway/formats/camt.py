"""Reads camt.054 and camt.053 (ISO 20022, any version) as payments (payments.md 5).

An entry is what the account shows, its transactions are the payments inside. A transaction is handed on when it ends,
so an entry may hold any number of them; their sum is compared when the entry ends, the summary when the section ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from gateway.domain.exchange import Finding, Payment
from gateway.errors import DecodeError
from gateway.formats.audit import Audit
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_entry import Entry, Transactions
from gateway.formats.camt_paths import MESSAGES, Values
from gateway.formats.camt_section import Section, is_paged
from gateway.formats.camt_walk import Walk
from gateway.formats.xmltree import CutShort, Doctype

VERSIONS = frozenset(f"{version:02d}" for version in range(1, 14))
"""Versions of the messages that exist; one beyond is read by the same tree, with a warning."""

MAX_PARTS = 10_000
"""References of one transaction. Banks send at most a few hundred."""

MAX_PIECES = 128
"""Pieces of 8 KiB of one text. The longest text of the messages has 500 characters."""

_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(camt\.05[34])\.001\.([0-9]{2})")


class CamtReader:
    """The payments of one camt.054 or camt.053 file, as a `PaymentStream`.

    *format* is the message and version (``camt.054.001.08``; without a namespace ``camt.054``); *identity* names the
    message (payments.md 8); *accounts* counts transactions per account. These, *findings*, *totals* and *transactions*
    are complete when the iteration has ended. Totals are sums of entries, since entries are what the account shows.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._audit = stream, Audit()
        self._amounts = Amounts(self._audit)
        self._walk = Walk(self)
        self._unknown: set[str] = set()
        self._is_page = self._is_found = False
        self._documents: list[tuple[str, str]] = []
        self._remittances: list[Values] = []
        self.accounts: dict[str, int] = {}
        self._transactions = Transactions(self._audit, self._amounts, self._place, self.accounts)
        self._section = Section(self._audit, self._amounts, {})
        self._entry = Entry({}, self._section)
        self.format = "camt"
        self.identity = ""
        self.findings: list[Finding] = self._audit.findings
        self.totals = self._audit.totals

    @property
    def transactions(self) -> int:
        """How many transactions the file holds, posted or not; an entry without details is one."""
        return self._audit.transactions

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order, in one pass.

        Raises:
            FileQuarantined: damaged, cut short, or its control totals do not agree.
            FileRefused: no camt.054 or camt.053, or a document type declaration.
        """
        try:
            for _ in self._walk.over(self._stream):
                yield from self._transactions.ready
                self._transactions.ready.clear()
                parts = max(len(self._documents), len(self._remittances))
                if parts > MAX_PARTS or self._walk.pieces > MAX_PIECES:
                    reason = "holds more text or references in one transaction than any bank sends"
                    self._audit.quarantine("file.invalid", self._place(""), reason=reason)
        except DecodeError as error:
            yield from self._transactions.ready
            self._stop(error)
        if not self._is_found:
            reason = f"it is XML, but holds no bank message (its root element is {self._walk.root})"
            self._audit.refuse("file.not_a_payment_file", "line 1", self._walk.root, reason=reason)
        self._audit.close()

    def _stop(self, error: DecodeError) -> None:
        place = f"line {error.line + self._walk.skipped_lines}"
        if isinstance(error, Doctype):
            self._audit.refuse("file.doctype", place)
        if not self._is_found:
            self._audit.refuse("file.not_a_payment_file", place, reason=f"it {error.reason}")
        if isinstance(error, CutShort):
            self._audit.quarantine("file.truncated", place)
        self._audit.quarantine("file.invalid", place, error.value, reason=error.reason)

    # --- what the walk calls: the document ---

    def found_message(self, element: str, namespace: str) -> bool:
        """Take or refuse the message inside ``Document``."""
        known = MESSAGES.get(element)
        if not known:
            name = namespace.rpartition(":")[2] or element
            reason = f"it is {name} ({element}), which this version does not read"
            self._audit.refuse("file.not_a_payment_file", self._place(element), name, reason=reason)
        message, version = known[0], ""
        stated = _NAMESPACE.fullmatch(namespace)
        if stated:
            message, version = stated[1], stated[2]
        if message != known[0] or (namespace and version not in VERSIONS):
            self._audit.warn("camt.version", self._place(element), namespace)
        self._is_found = True
        self._transactions.message = known[0]
        self.format = f"{known[0]}.001.{version}" if version else known[0]
        return True

    def found_unknown(self, element: str) -> None:
        """Warn once of an element that no version has at its place."""
        if element not in self._unknown and len(self._unknown) < MAX_PARTS:
            self._unknown.add(element)
            self._audit.warn("file.unknown_record", self._place(element), element)

    def end_header(self, values: Values) -> None:
        """Keep the identity of the message."""
        self.identity = f"camt:{values.get('message', '').strip()}:{values.get('created', '').strip()}"
        self._is_page = is_paged(values)

    # --- sections ---

    def begin_section(self, values: Values) -> None:
        """Start the books of one account."""
        self._section = Section(self._audit, self._amounts, values)
        self._section.is_page = self._is_page

    def end_section(self, _: Values) -> None:
        """Compare what the section states."""
        self._section.close(self._place("Ntfctn" if "054" in self.format else "Stmt"))

    def end_balance(self, values: Values) -> None:
        """Keep a balance."""
        self._section.balance(values, self._place("Bal/Amt"))

    def end_summary(self, values: Values) -> None:
        """Keep the summary."""
        self._section.summary(values)

    # --- entries and transactions ---

    def begin_entry(self, values: Values) -> None:
        """Start an entry."""
        self._entry = Entry(values, self._section)

    def end_entry(self, _: Values) -> None:
        """Close the entry: compare its sum, hand on what waited."""
        self._transactions.close(self._entry)

    def begin_details(self, _: Values) -> None:
        """Start a batch of transactions."""
        self._entry.start_batch()

    def end_details(self, values: Values) -> None:
        """Compare what the batch states."""
        self._transactions.close_batch(self._entry, values)

    def begin_transaction(self, _: Values) -> None:
        """Start a transaction."""
        self._documents, self._remittances = [], []

    def end_document(self, values: Values) -> None:
        """Keep a document the payer named."""
        self._documents.append((values.get("code", ""), values.get("number", "")))

    def end_remittance(self, values: Values) -> None:
        """Keep one ``Strd``."""
        values["documents"], self._documents = self._documents, []
        self._remittances.append(values)

    def end_transaction(self, values: Values) -> None:
        """Hand the transaction on, or keep it until its entry is known."""
        values["remittances"] = self._remittances
        self._transactions.add(self._entry, values)

    def _place(self, path: str) -> str:
        return f"line {self._walk.line}" + (f", {path}" if path else "")
