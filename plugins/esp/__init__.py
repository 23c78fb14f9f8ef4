"""ESP ("ESP Purring", ESP Credit Management): nothing of its formats is public, so no file of this plugin leaves the sandbox.

It hands over in the layout that the agreement names, and none is ESP's: Kravport's own kravport-sls-1; NK003, which an
accounting vendor writes for any agency; and Kravport's own interface for an agency that fetches. Inventing a layout and
calling it ESP's is what it refuses to do (A-25; esp.md sections 1, 2 and 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
    CaseStatus,
    Claim,
    Customer,
    Envelope,
    Finding,
    InboundFile,
    InboundKind,
    PaymentStream,
    Receipt,
    Seal,
    Service,
    Sink,
    Totals,
)
from gateway.formats import pull
from gateway.hookspecs import AgencyHooks, hookimpl
from plugins import sls_agency
from plugins.esp import nk003

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")

_SETTINGS = sls_agency.settings_schema("ESP")
_OUR_REFERENCE = {
    "type": "string",
    "title": "Our reference",
    "description": "Who answers for the claims at the creditor; NK003 carries it in every record.",
    "maxLength": 30,
}
_SLS_LAYOUT = replace(
    sls_agency.layout_profile(needs_national_id=False), settings=frozenset({"ledger_id", "agency_id"})
)

PROFILE = AgencyProfile(
    key="esp",
    name="ESP Credit Management",
    markets=frozenset({"NO"}),
    currencies=frozenset({"NOK"}),
    services=frozenset({Service.REMINDER, Service.COLLECTION}),
    can=sls_agency.ABILITIES & ~Can.MARK_FACTORING,
    layouts=(_SLS_LAYOUT, nk003.LAYOUT, pull.LAYOUT),
    # Of NK003 nobody has said what the same file sent twice does, and the promise is made for the agency as a whole.
    delivery_is_idempotent=False,
    settings_schema={
        **_SETTINGS,
        "required": [],  # each layout names those it needs
        "properties": {**_SETTINGS["properties"], "our_reference": _OUR_REFERENCE},  # type: ignore[dict-item]
    },
    limits=(
        "ESP publishes no file format, no interface, no codes and no test account: nothing can be sent to ESP yet.",
        "The layouts of files go to sandboxes only. To go on, ask ESP for its specification, a test account and its bank account.",
        "kravport-pull-1 is Kravport's own interface: it works once ESP itself fetches its cases by it.",
        *sls_agency.LIMITS,
        *(f"NK003: {limit}" for limit in nk003.LIMITS),
        "NK003: no file comes back. Money comes by the creditor's bank; ESP's account belongs on the agreement.",
    ),
)


class Esp(AgencyHooks):
    """Each hook does what the agreement's layout says. What comes back says itself which layout it is."""

    api_version = "1.0"

    def __init__(self) -> None:
        self._sls = sls_agency.LedgerServiceAgency(PROFILE, SCHEMA, {})

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the manifest."""
        return PROFILE

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of the card the layout cannot carry."""
        match agreement.profile:
            case pull.PROFILE:
                return ()
            case nk003.NAME:
                return nk003.customer_faults(customer)
        return self._sls.check_customer(customer, agreement)

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of the claim the layout cannot carry."""
        match agreement.profile:
            case pull.PROFILE:
                return ()
            case nk003.NAME:
                return nk003.claim_faults(claim, agreement)
        return self._sls.check_claim(claim, agreement)

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write new claims."""
        writers = {pull.PROFILE: pull.write_cases, nk003.NAME: nk003.write_claims}
        return writers.get(agreement.profile, self._sls.export_invoice)(claims, agreement, seal, sink)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later items; NK003 has no file for them."""
        writers = {pull.PROFILE: pull.write_changes, nk003.NAME: nk003.write_nothing}
        return writers.get(agreement.profile, self._sls.export_linked_items)(claims, agreement, seal, sink)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished file strictly and return the totals found."""
        match agreement.profile:
            case pull.PROFILE:
                return pull.verify(envelope, source)
            case nk003.NAME:
                return nk003.read_back(envelope, source)
        return self._sls.verify_envelope(envelope, agreement, source)

    @hookimpl
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Claim reports of an agency that fetches, and files of kravport-sls-1 that are addressed to us."""
        return _report_kind(file, agreements) or self._sls.identify_inbound(file, agreements)

    @hookimpl
    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments of a report, or of ``payments.nnn``."""
        if _report_kind(file, agreements):
            return pull.PulledPayments(file, _fetching(agreements)[0])
        return self._sls.import_payments(file, agreements)

    @hookimpl
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return the answers to cases, or what ``receipt-*.nnn`` says."""
        return pull.receipt(file) if _report_kind(file, agreements) else self._sls.import_receipt(file, agreements)

    @hookimpl
    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterable[CaseStatus]:
        """Yield what a report, or ``cases.nnn``, says."""
        return pull.statuses(file) if _report_kind(file, agreements) else self._sls.import_case_status(file, agreements)


def _fetching(agreements: tuple[Agreement, ...]) -> list[Agreement]:
    return [agreement for agreement in agreements if agreement.profile == pull.PROFILE]


def _report_kind(file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
    return pull.identify(file) if _fetching(agreements) else None


plugin = Esp()
