"""Factoring in Norway by the "Elcon" K9409 files (SG Finans, today Nordea Finance): customers, invoices, credit notes.

Being in the file is the assignment. Payments have no record here and no file comes back: money and settlements arrive
as ordinary bank files. See README.md beside this module for what is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    LayoutProfile,
    LinkKind,
    Seal,
    Series,
    Service,
    Sink,
    Totals,
)
from gateway.domain.reasons import sentence
from gateway.domain.transport import Transport
from gateway.errors import DecodeError, DeliveryError, EncodeError
from gateway.hookspecs import AgencyHooks, hookimpl
from plugins.factoring import layout
from plugins.factoring.kid import SCHEMES

CUSTOMERS, INVOICES = "customers", "invoices"
_FILENAMES = {CUSTOMERS: ("customer_filename", "Kunde.SGK"), INVOICES: ("invoice_filename", "Faktura.SGF")}
_MEMORY = 1 << 20
"""Bytes of the customer file kept in memory while the invoices are written; the rest goes to a temporary file."""

_FILENAME = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"}
_SETTINGS = {
    "type": "object",
    "additionalProperties": False,
    "required": ["kid_scheme"],
    "properties": {
        "kid_scheme": {"enum": sorted(SCHEMES), "title": "KID scheme the factor prescribes"},
        "org_number_fill": {
            "enum": ["zero", "blank"],
            "default": "zero",
            "title": "Fill after the organisation number",
        },
        "comment": {"enum": ["none", "text"], "default": "none", "title": "Comment field of an invoice"},
        "encoding": {"enum": ["iso-8859-1", "cp1252"], "default": "iso-8859-1", "title": "Code page"},
        "invoice_filename": {**_FILENAME, "default": _FILENAMES[INVOICES][1], "title": "Name of the invoice file"},
        "customer_filename": {**_FILENAME, "default": _FILENAMES[CUSTOMERS][1], "title": "Name of the customer file"},
    },
}

_LAYOUT = LayoutProfile(
    name="sgfinans-9409",
    title="SG Finans / Nordea Finance K9409, 128 and 254 characters",
    source="two unrelated vendors' descriptions of the same records; not the factor's own document",
    series={CUSTOMERS: Series(), INVOICES: Series()},
    carries=frozenset({LinkKind.CREDIT_NOTE}),
    receipt_within_hours=None,
)

_PROFILE = AgencyProfile(
    key="factoring",
    name="Nordea Finance (SG Finans)",
    markets=frozenset({"NO"}),
    currencies=frozenset({layout.CURRENCY}),
    services=frozenset({Service.FACTORING}),
    can=Can.EXPORT_INVOICE | Can.EXPORT_LINKED_ITEMS | Can.MARK_FACTORING | Can.CHECK_CUSTOMER,
    layouts=(_LAYOUT,),
    delivery_is_idempotent=False,
    settings_schema=_SETTINGS,
    limits=(
        "The layout is described by two software vendors, not confirmed by the factor: sandbox only.",
        "Payments have no record: a customer who pays you directly must be told to the factor by hand.",
        "Private customers, customers abroad and other currencies than NOK are held.",
        "Invoice numbers over 8 digits and customer numbers over 9 are held.",
        "No receipt and no settlement file is known; money comes by the bank's own files.",
        "KID scheme long-21 is held: its only published example can be read in three ways.",
        "The files carry neither invoice text nor account: the assignment notice stands on the invoice itself.",
    ),
)


class Factoring(AgencyHooks):
    """The hooks; all pure."""

    api_version = "1.0"

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the manifest."""
        return _PROFILE

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return why the 254 record cannot hold *customer*; a private customer has no documented form."""
        return tuple(layout.customer_faults(customer, agreement))

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return why the 128 record cannot hold *claim*, or that its KID is not the factor's."""
        return tuple(layout.claim_faults(claim, agreement))

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write ``Kunde.SGK`` and ``Faktura.SGF``; the customers are delivered first."""
        stream = iter(claims)
        first = next(stream, None)
        if first is None:
            return ()
        with SpooledTemporaryFile(max_size=_MEMORY) as customers:
            invoices = _envelope(INVOICES, agreement, seal, order=1)
            with sink.open(invoices.filename) as into:
                totals = _write(chain((first,), stream), agreement, into, cast("IO[bytes]", customers))
            customers.seek(0)
            cards = _envelope(CUSTOMERS, agreement, seal, order=0)
            with sink.open(cards.filename) as into:
                copyfileobj(customers, into)
        return cards, replace(invoices, totals=totals)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later credit notes as an invoice file without invoices; the factor has the customers already."""
        stream = iter(claims)
        first = next(stream, None)
        if first is None:
            return ()
        envelope = _envelope(INVOICES, agreement, seal, order=1)
        with sink.open(envelope.filename) as into:
            totals = _write(chain((first,), stream), agreement, into, None)
        return (replace(envelope, totals=totals),)

    @hookimpl
    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy the file line by line, each proven to carry the agreement's client number; the records have no mark."""
        if not assignment.agreement_number:
            raise EncodeError("the assignment has no agreement number to mark the envelope with")
        cls = layout.DebtorCard if envelope.kind == CUSTOMERS else layout.LedgerItem
        with sink.open(envelope.filename) as into:
            for raw, _ in layout.read_strictly(cls, source, agreement):
                into.write(raw)
        return replace(envelope, factoring_agreement=assignment.agreement_number)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file; an invoice or customer that stands in it twice is refused."""
        if envelope.kind == CUSTOMERS:
            seen: set[tuple[str, str]] = set()
            for _, card in layout.read_strictly(layout.DebtorCard, source, agreement):
                _once(seen, envelope.kind, card.debtor_number)
            return Totals()
        items = (item for _, item in layout.read_strictly(layout.LedgerItem, source, agreement))
        return _totals_of(items)

    @hookimpl
    def deliver(self, envelope: Envelope, transport: Transport, content: BinaryIO, size: int) -> str:
        """Upload, unless the last file of that name still lies there: the names carry no number."""
        with SpooledTemporaryFile(max_size=_MEMORY) as earlier:
            if transport.read_back(envelope.filename, cast("BinaryIO", earlier)):
                raise DeliveryError(f"{envelope.filename} of an earlier run has not been fetched yet")
        return transport.put(envelope.filename, content, size)


plugin = Factoring()


def _envelope(kind: str, agreement: Agreement, seal: Seal, *, order: int) -> Envelope:
    setting, usual = _FILENAMES[kind]
    filename = str(agreement.settings.get(setting, usual))
    return Envelope(kind, seal.sequences[kind], filename, "text/plain", layout.CURRENCY, Totals(), order)


def _write(claims: Iterable[Claim], agreement: Agreement, into: BinaryIO, customers: IO[bytes] | None) -> Totals:
    """Write the 128 records of *claims* and, with *customers*, the 254 records; without, only their credit notes."""
    encoding, last = layout.encoding_of(agreement), ""
    count = items = debit = credit = 0
    for claim in claims:
        _refuse(f"invoice {claim.invoice_number}", layout.claim_faults(claim, agreement))
        count += 1
        if customers is not None:
            if claim.customer.customer_number != last:
                last = claim.customer.customer_number
                _refuse(f"customer {last}", layout.customer_faults(claim.customer, agreement))
                customers.write(layout.line_of(layout.customer_record(claim.customer, agreement), encoding))
            into.write(layout.line_of(layout.invoice_record(claim, agreement), encoding))
            debit += claim.original_minor
        for item in claim.items:
            into.write(layout.line_of(layout.credit_note_record(item, claim, agreement), encoding))
            items, credit = items + 1, credit + item.amount_minor
    return Totals(count, items, debit, credit)


def _refuse(what: str, faults: Iterator[Finding]) -> None:
    fault = next(faults, None)
    if fault is not None:
        raise EncodeError(f"{what}: {sentence(fault.code, 'en', fault.values)} {fault.value}".rstrip())


def _totals_of(records: Iterable[layout.LedgerItem]) -> Totals:
    """Count a file. One without invoices holds later credit notes; their comments name the claims it touches."""
    counts = dict.fromkeys((layout.INVOICE, layout.CREDIT_NOTE), 0)
    sums = dict(counts)
    seen: set[tuple[str, str]] = set()
    credited: set[str] = set()
    for item in records:
        _once(seen, item.transaction_code, item.invoice_number)
        counts[item.transaction_code] += 1
        sums[item.transaction_code] += item.amount_minor
        if item.transaction_code == layout.CREDIT_NOTE:
            credited.add(item.comment)
    claims = counts[layout.INVOICE] or len(credited)
    return Totals(claims, counts[layout.CREDIT_NOTE], sums[layout.INVOICE], sums[layout.CREDIT_NOTE])


def _once(seen: set[tuple[str, str]], kind: str, number: str) -> None:
    if (kind, number) in seen:
        raise DecodeError("stands in the file twice", field="number", value=number)
    seen.add((kind, number))
