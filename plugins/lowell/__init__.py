"""Lowell: sales ledger service and collection, in files or by the Finnish Assignment API.

Lowell's own ledger-service layout is not public, so the files speak Kravport's reference profile, to sandboxes only. Money
mostly comes through the agency's bank (OCR giro, camt.054, CREMUL), which the host reads; ``payments.nnn`` of the profile is
taken as well. See README.md here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gateway.domain.calls import Calls
from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    InboundFile,
    InboundKind,
    Receipt,
    Seal,
    Service,
    Sink,
    Totals,
)
from gateway.domain.transport import Transport
from gateway.formats.calls import totals_of
from gateway.formats.marking import copied_as_assigned
from gateway.hookspecs import hookimpl
from plugins.lowell import assignment
from plugins.sls_agency import ABILITIES, LIMITS, LedgerServiceAgency, layout_profile, settings_schema

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")

_SETTINGS = settings_schema("Lowell")
_SLS_LAYOUT = replace(layout_profile(needs_national_id=False), settings=frozenset({"ledger_id", "agency_id"}))

PROFILE = AgencyProfile(
    key="lowell",
    name="Lowell",
    markets=frozenset({"NO", "SE", "FI", "DK"}),
    currencies=frozenset({"NOK", "SEK", "DKK", "EUR"}),
    services=frozenset({Service.LEDGER, Service.COLLECTION}),
    can=ABILITIES,
    layouts=(_SLS_LAYOUT, assignment.LAYOUT),
    # As the profile defines a repeat (B.2): the same bytes get the same receipt and change nothing. Calls of the Assignment
    # API are noted one by one, and none is repeated.
    delivery_is_idempotent=True,
    settings_schema={
        **_SETTINGS,
        "required": [],  # each layout names those it needs
        "properties": {**_SETTINGS["properties"], **assignment.SETTINGS},  # type: ignore[dict-item]
    },
    limits=(
        *LIMITS,
        "Lowell's Norwegian ledger-service files need the client's contract documents.",
        *assignment.LIMITS,
    ),
)


class Lowell(LedgerServiceAgency):
    """Lowell prefers an organisation number and does not insist (R-CD-04): the host's matrix stands as it is.

    Each hook does what the agreement's layout says. To the Assignment API new claims go, and answers come back; no more.
    """

    api_version = "1.1"

    def __init__(self) -> None:
        super().__init__(PROFILE, SCHEMA, {})

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of the card the layout cannot carry."""
        if _is_assignment(agreement):
            return tuple(assignment.customer_faults(customer, agreement))
        return super().check_customer(customer, agreement)

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of the claim the layout cannot carry."""
        if _is_assignment(agreement):
            return tuple(assignment.claim_faults(claim, agreement))
        return super().check_claim(claim, agreement)

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write new claims."""
        write = assignment.export if _is_assignment(agreement) else super().export_invoice
        return write(claims, agreement, seal, sink)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later items, which the Assignment API has no call for."""
        if _is_assignment(agreement):
            return assignment.write_nothing(claims)
        return super().export_linked_items(claims, agreement, seal, sink)

    @hookimpl
    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Mark the file as assigned; calls have no place for it, and the mark stands on the envelope alone."""
        if not _is_assignment(agreement):
            return super().mark_factoring_envelope(envelope, assignment, agreement, source, sink)
        return copied_as_assigned(envelope, assignment.agreement_number, source, sink)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file strictly and return the totals found."""
        if _is_assignment(agreement):
            return totals_of(source)
        return super().verify_envelope(envelope, agreement, source)

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
        """Make the calls of a file, or upload it."""
        if not _is_assignment(agreement):
            return transport.put(envelope.filename, content, size)
        assignment.deliver(content, agreement, calls)
        return envelope.filename

    @hookimpl
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Claim answers to our calls, and files of the profile that are addressed to us."""
        if assignment.is_answer(file):
            return InboundKind.RECEIPT if any(map(_is_assignment, agreements)) else None
        return super().identify_inbound(file, agreements)

    @hookimpl
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return what was taken and what was refused."""
        if assignment.is_answer(file):
            return assignment.read_receipt(file)
        return super().import_receipt(file, agreements)


plugin = Lowell()


def _is_assignment(agreement: Agreement) -> bool:
    return agreement.profile == assignment.LAYOUT.name
