"""Intrum Justitia: sales ledger service and collection, in files or by the REST API of Ophelos.

Intrum's own attribute tables are not public, so the files speak Kravport's reference profile, to sandboxes only.
See README.md here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gateway.domain.calls import Calls, Page, Webhook
from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    CaseStatus,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    InboundFile,
    InboundKind,
    PaymentStream,
    Receipt,
    Seal,
    Service,
    Severity,
    Sink,
    Totals,
)
from gateway.domain.transport import Transport
from gateway.errors import DataError
from gateway.formats.marking import copied_as_assigned
from gateway.hookspecs import hookimpl
from plugins.intrum import norway, ophelos, type10
from plugins.sls_agency import ABILITIES, LIMITS, LedgerServiceAgency, layout_profile, settings_schema

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")
_SETTINGS = settings_schema("Intrum")
_NORDIC = frozenset({"NOK", "SEK", "DKK", "EUR"})
_SLS_LAYOUT = replace(
    layout_profile(needs_national_id=True),
    currencies=_NORDIC,
    settings=frozenset({"ledger_id", "agency_id"}),
    standard_webhooks=True,
)

PROFILE = AgencyProfile(
    key="intrum",
    name="Intrum Justitia",
    markets=frozenset({"NO", "SE", "FI", "DK"}),
    currencies=_NORDIC | ophelos.LAYOUT.currencies,
    services=frozenset({Service.LEDGER, Service.COLLECTION}),
    can=ABILITIES,
    layouts=(_SLS_LAYOUT, ophelos.LAYOUT, type10.LAYOUT, norway.layout_of(_SLS_LAYOUT)),
    # The profile says what a repeat does (B.2): the same bytes get the same receipt and change nothing, and a sealed
    # envelope is always sent again with the same bytes. SEQUENCE_REUSED strikes only another file of that number.
    # Of Ophelos' calls each is noted, and looked for before it is made again.
    delivery_is_idempotent=True,
    settings_schema={
        **_SETTINGS,
        "required": [],  # each layout names those it needs
        "properties": {**_SETTINGS["properties"], **ophelos.SETTINGS, **type10.SETTINGS},  # type: ignore[dict-item]
    },
    limits=(
        *LIMITS,
        "Intrum's own files (UpdateSLSCase and its siblings) need the client's contract documents.",
        *ophelos.LIMITS,
        *type10.LIMITS,
        *norway.LIMITS,
    ),
)


class Intrum(LedgerServiceAgency):
    """Intrum's intake stops without organisation number or country, so both hold the customer (R-CD-04, R-CD-06).

    Each hook does what the agreement's layout says.
    """

    api_version = "1.1"

    def __init__(self) -> None:
        demands = {
            "customer.org_number_missing": Severity.BLOCKING,
            "customer.country_missing": Severity.BLOCKING,
        }
        super().__init__(PROFILE, SCHEMA, demands)

    # --- out ---------------------------------------------------------------------------------------------------------

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of the card the layout cannot carry, and what Intrum demands of it."""
        if _is_ophelos(agreement):
            return tuple(ophelos.customer_faults(customer))
        return super().check_customer(customer, agreement)

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of the claim the layout cannot carry."""
        if _is_ophelos(agreement):
            return tuple(ophelos.claim_faults(claim, agreement))
        return type10.claim_faults(agreement) or super().check_claim(claim, agreement)

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write new claims."""
        type10.refuse_to_write(agreement)
        if agreement.profile == norway.NAME:
            return norway.written(norway.LS, super().export_invoice, claims, agreement, seal, sink)
        write = ophelos.export_new if _is_ophelos(agreement) else super().export_invoice
        return write(claims, agreement, seal, sink)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later items and instructions."""
        if agreement.profile == norway.NAME:
            return norway.written(norway.RD, super().export_linked_items, claims, agreement, seal, sink)
        write = ophelos.export_changes if _is_ophelos(agreement) else super().export_linked_items
        return write(claims, agreement, seal, sink)

    @hookimpl
    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Mark the file as assigned; Ophelos' calls have no place for it, and the mark stands on the envelope alone."""
        if not _is_ophelos(agreement):
            return super().mark_factoring_envelope(envelope, assignment, agreement, source, sink)
        return copied_as_assigned(envelope, assignment.agreement_number, source, sink)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file strictly and return the totals found."""
        verify = ophelos.verify if _is_ophelos(agreement) else super().verify_envelope
        return verify(envelope, agreement, source)

    @hookimpl
    def deliver(
        self,
        envelope: Envelope,
        transport: Transport,
        content: BinaryIO,
        size: int,
        agreement: Agreement,
        calls: Calls | None,
    ) -> str:
        """Make the calls of a file for Ophelos; upload any other."""
        if not _is_ophelos(agreement):
            return transport.put(envelope.filename, content, size)
        if calls is None:
            raise DataError("an agreement with Ophelos needs an https transport")
        ophelos.deliver(content, agreement, calls)
        return envelope.filename

    # --- in ----------------------------------------------------------------------------------------------------------

    @hookimpl
    def fetch(self, agreement: Agreement, calls: Calls, since: str) -> Page:
        """Return what is new at Ophelos; the files of other layouts lie in a mailbox."""
        return ophelos.fetch(agreement, calls, since) if _is_ophelos(agreement) else Page((), since)

    @hookimpl
    def check_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: datetime
    ) -> Webhook:
        """Return what a push of Ophelos is worth."""
        return ophelos.check_webhook(headers, body, secrets, now)

    @hookimpl
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Claim what comes from Ophelos for one of its organisations, files of the profile addressed to us, and type 10."""
        if organisations := _organisations(agreements):
            return ophelos.identify(file, PROFILE.key, organisations)
        return super().identify_inbound(file, agreements) or type10.identify(file, agreements)

    @hookimpl
    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments of a file."""
        return ophelos.PaymentFile(file) if _organisations(agreements) else super().import_payments(file, agreements)

    @hookimpl
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return what became of one of our envelopes."""
        return ophelos.read_receipt(file) if _organisations(agreements) else super().import_receipt(file, agreements)

    @hookimpl
    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterable[CaseStatus]:
        """Yield what is said about cases."""
        if _organisations(agreements):
            return ophelos.DebtFile(file, agreements)
        if type10.identify(file, agreements):
            return type10.CancelledClaims(file, agreements[0])
        return super().import_case_status(file, agreements)


def _is_ophelos(agreement: Agreement) -> bool:
    return agreement.profile == ophelos.LAYOUT.name


def _organisations(agreements: tuple[Agreement, ...]) -> set[str]:
    """Return the organisations at Ophelos that *agreements* name; an agreement of files has none."""
    return {ophelos.organisation_of(agreement) for agreement in agreements if _is_ophelos(agreement)}


plugin = Intrum()
