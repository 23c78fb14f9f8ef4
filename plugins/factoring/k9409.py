"""The family of "Elcon" K9409 (SG Finans, today Nordea Finance): customers in one file, invoices and credit notes in another.

Being in the file is the assignment: the records have no mark, no account and no place for a notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, cast

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    LayoutProfile,
    LinkKind,
    Seal,
    Series,
    Sink,
    Totals,
)
from plugins.factoring import k9409_records as records
from plugins.factoring.family import MEMORY, Family, require_number
from plugins.factoring.faults import Seen, refuse, terms_faults, unfit

CUSTOMERS, INVOICES = "customers", "invoices"
FILENAMES = {CUSTOMERS: ("customer_filename", "Kunde.SGK"), INVOICES: ("invoice_filename", "Faktura.SGF")}
"""The setting that names each file, and its usual name."""
_CLIENT_WIDTH = 4

LAYOUT = LayoutProfile(
    name="sgfinans-9409",
    title="SG Finans / Nordea Finance K9409, 128 and 254 characters",
    source="two unrelated vendors' descriptions of the same records; not the factor's own document",
    series={CUSTOMERS: Series(), INVOICES: Series()},
    carries=frozenset({LinkKind.CREDIT_NOTE}),
    receipt_within_hours=None,
    markets=frozenset({"NO"}),
    currencies=frozenset({records.CURRENCY}),
    settings=frozenset({"kid_scheme"}),
)
_LIMITS = (
    "The layout is described by two software vendors, not confirmed by the factor: sandbox only.",
    "Private customers, customers abroad and other currencies than NOK are held.",
    "Invoice numbers over 8 digits and customer numbers over 9 are held.",
    "KID scheme long-21 is held: its only published example can be read in three ways.",
)


class K9409(Family):
    """The two files of an evening; the customers are delivered first."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, _LIMITS)

    def customer_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield why the 254 record cannot hold *customer*; a private customer has no documented form."""
        return records.customer_faults(customer, agreement)

    def claim_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield why the 128 record cannot hold *claim*, or that its KID is not the factor's."""
        yield from terms_faults(self.layout, agreement, _CLIENT_WIDTH)
        if _filename(CUSTOMERS, agreement) == (taken := _filename(INVOICES, agreement)):
            yield unfit(FILENAMES[CUSTOMERS][0], taken)
        yield from records.claim_faults(claim, agreement)

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write both files; later credit notes are an invoice file alone, for the factor has the customers already."""
        invoices = _envelope(INVOICES, agreement, seal, order=1)
        with SpooledTemporaryFile(max_size=MEMORY) as customers:
            with sink.open(invoices.filename) as into:
                totals = self._write(claims, agreement, into, cast("IO[bytes]", customers) if are_new else None)
            if not are_new:
                return (replace(invoices, totals=totals),)
            customers.seek(0)
            cards = _envelope(CUSTOMERS, agreement, seal, order=0)
            with sink.open(cards.filename) as into:
                copyfileobj(customers, into)
        return cards, replace(invoices, totals=totals)

    def mark(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy the file line by line, each proven to carry the agreement's client number."""
        number = require_number(assignment)
        cls: type[Any] = records.DebtorCard if envelope.kind == CUSTOMERS else records.LedgerItem
        with sink.open(envelope.filename) as into:
            for raw, _ in records.read_strictly(cls, source, agreement):
                into.write(raw)
        return replace(envelope, factoring_agreement=number)

    def verify(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file; an invoice or customer that stands in it twice is refused."""
        if envelope.kind == CUSTOMERS:
            seen = Seen()
            for _, card in records.read_strictly(records.DebtorCard, source, agreement):
                seen.once(envelope.kind, card.debtor_number)
            return Totals()
        items = (item for _, item in records.read_strictly(records.LedgerItem, source, agreement))
        return _totals_of(items)

    def _write(
        self, claims: Iterable[Claim], agreement: Agreement, into: BinaryIO, customers: IO[bytes] | None
    ) -> Totals:
        """Write the 128 records of *claims* and, with *customers*, the 254 records; without, only their credit notes."""
        encoding, last = records.encoding_of(agreement), ""
        count = items = debit = credit = 0
        for claim in claims:
            refuse(f"invoice {claim.invoice_number}", self.claim_faults(claim, agreement))
            count += 1
            if customers is not None:
                if claim.customer.customer_number != last:
                    last = claim.customer.customer_number
                    refuse(f"customer {last}", self.customer_faults(claim.customer, agreement))
                    customers.write(records.in_charset(records.customer_line(claim.customer, agreement), encoding))
                into.write(records.in_charset(records.invoice_line(claim, agreement), encoding))
                debit += claim.original_minor
            for item in claim.items:
                into.write(records.in_charset(records.credit_note_line(item, claim, agreement), encoding))
                items, credit = items + 1, credit + item.amount_minor
        return Totals(count, items, debit, credit)


def _filename(kind: str, agreement: Agreement) -> str:
    setting, usual = FILENAMES[kind]
    return str(agreement.settings.get(setting, usual))


def _envelope(kind: str, agreement: Agreement, seal: Seal, *, order: int) -> Envelope:
    filename = _filename(kind, agreement)
    return Envelope(kind, seal.sequences[kind], filename, "text/plain", records.CURRENCY, Totals(), order)


def _totals_of(found: Iterable[records.LedgerItem]) -> Totals:
    """Count a file. One without invoices holds later credit notes; their comments name the claims it touches."""
    counts = dict.fromkeys((records.INVOICE, records.CREDIT_NOTE), 0)
    sums, seen = dict(counts), Seen()
    credited: set[str] = set()
    for item in found:
        seen.once(item.transaction_code, item.invoice_number)
        counts[item.transaction_code] += 1
        sums[item.transaction_code] += item.amount_minor
        if item.transaction_code == records.CREDIT_NOTE:
            credited.add(item.comment)
    claims = counts[records.INVOICE] or len(credited)
    return Totals(claims, counts[records.CREDIT_NOTE], sums[records.INVOICE], sums[records.CREDIT_NOTE])
