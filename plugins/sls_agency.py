"""What every agency that speaks kravport-sls-1 has in common: the hooks, once.

This is no plugin: it has no entry point and no agency. A plugin names its agency by its profile and hands in its own
schema file and what it demands of a customer card; everything else is the profile's (intrum-sls.md, part B).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

from gateway.domain.checks import demand
from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
    CaseStatus,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    InboundFile,
    InboundKind,
    LayoutProfile,
    PaymentStream,
    Receipt,
    Seal,
    Service,
    Severity,
    Sink,
    Totals,
)
from gateway.domain.identifiers import masked
from gateway.domain.instructions import Action
from gateway.formats import kravport_sls
from gateway.formats.schema_proof import ProvingSink
from gateway.hookspecs import AgencyHooks, hookimpl

ABILITIES = (
    Can.EXPORT_INVOICE
    | Can.EXPORT_LINKED_ITEMS
    | Can.IMPORT_PAYMENTS
    | Can.IMPORT_RECEIPT
    | Can.IMPORT_CASE_STATUS
    | Can.MARK_FACTORING
    | Can.CHECK_CUSTOMER
)

LIMITS = (
    kravport_sls.LABEL,
    "Changed customer cards and invoice lines are not written yet.",
    "Payouts (Settlement) are checked while reading, but no ledger entry is made from them.",
)


def layout_profile(*, needs_national_id: bool) -> LayoutProfile:
    """Return the reference profile as an agency's layout. It is Kravport's own, so it is never confirmed (R-OP-18)."""
    return LayoutProfile(
        kravport_sls.PROFILE,
        "Kravport reference profile kravport-sls-1",
        kravport_sls.LABEL,
        series=kravport_sls.SERIES,
        unlink_has_message=True,
        needs_national_id=needs_national_id,
        collection_needs_reminder=True,
        instructions=frozenset(Action),
    )


def settings_schema(agency: str) -> Mapping[str, object]:
    """Return the JSON schema of an agreement's settings; the panel draws its form from titles and descriptions."""
    return {
        "type": "object",
        "required": ["ledger_id", "agency_id"],
        "additionalProperties": True,
        "properties": {
            "ledger_id": _key("Ledger", "Name of the ledger in the agreement, as both sides write it in every file."),
            "agency_id": _key("Receiver id", f"The id by which {agency} names itself in files: receiver of ours."),
        },
    }


def _key(title: str, description: str) -> Mapping[str, object]:
    return {"type": "string", "title": title, "description": description, "minLength": 1, "maxLength": 20}


class LedgerServiceAgency(AgencyHooks):
    """An agency that takes ``Invoices`` and ``Updates`` and answers in the same profile.

    Args:
        profile: what the agency is.
        schema_path: the plugin's own kravport-sls-1.xsd.
        demands: reason codes of customer checks that this agency holds more sternly than the host (matrix of R-CD).
    """

    api_version = "1.0"

    def __init__(self, profile: AgencyProfile, schema_path: Path, demands: Mapping[str, Severity]) -> None:
        self._profile, self._schema_path, self._demands = profile, schema_path, demands
        self._reader = kravport_sls.InboundReader(profile.key, schema_path)

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the static facts of this agency."""
        return self._profile

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return the agency's demands, and whatever of the card the layout cannot carry (R-CD, R-CD-08).

        What is simply missing is the host's finding; only a gap that the host lets pass is added here.
        """
        demanded = demand(customer, agreement, self._demands) if agreement.service is Service.LEDGER else ()
        told = {finding.place for finding in demanded}
        return demanded + tuple(
            _does_not_fit(attribute, masked(value) if attribute == "identityNumber" else value)
            for attribute, value, _ in kravport_sls.customer_faults(customer)
            if value.strip() or (attribute not in told and _host_lets_pass(attribute, customer))
        )

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return whatever of the claim and its items does not fit the layout, so that it alone is held."""
        return tuple(_does_not_fit(fault.place, fault.value) for fault in kravport_sls.claim_faults(claim, agreement))

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write ``invoices.nnn``."""
        return kravport_sls.write_invoices(claims, agreement, seal, self._proving(sink))

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write ``updates.nnn``."""
        return kravport_sls.write_updates(claims, agreement, seal, self._proving(sink))

    def _proving(self, sink: Sink) -> ProvingSink:
        return ProvingSink(sink, self._schema_path, kravport_sls.UNIT)

    @hookimpl
    def mark_factoring_envelope(
        self,
        envelope: Envelope,
        assignment: FactoringAssignment,
        agreement: Agreement,  # noqa: ARG002  # the hook's signature; the mark needs nothing of it
        source: BinaryIO,
        sink: Sink,
    ) -> Envelope:
        """Copy the file with ``Assignment`` as first child of ``Ledger``."""
        return kravport_sls.mark_assigned(envelope, assignment, source, sink)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Validate against the schema and return the totals found."""
        return kravport_sls.verify(envelope, agreement, source, self._schema_path)

    @hookimpl
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Claim files of the profile whose receiver is our client number and whose sender is the agency's id."""
        return self._reader.identify(file, agreements)

    @hookimpl
    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments of ``payments.nnn``."""
        return self._reader.payments(file, agreements)

    @hookimpl
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return what ``receipt-*.nnn`` says."""
        return self._reader.receipt(file, agreements)

    @hookimpl
    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterable[CaseStatus]:
        """Yield what ``cases.nnn`` says."""
        return self._reader.cases(file, agreements)


def _host_lets_pass(attribute: str, customer: Customer) -> bool:
    """A missing country only warns at some agencies, a second address line may stand in for the first; not here."""
    return attribute in {"country", "identityScheme"} or (attribute == "address1" and bool(customer.address2.strip()))


def _does_not_fit(place: str, value: str) -> Finding:
    return Finding(Severity.BLOCKING, "layout.does_not_fit", place, value, {"field": place})
