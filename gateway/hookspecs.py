"""The contract between Kravport and an agency plugin.

A plugin is one object of a subclass of `AgencyHooks`, registered under the entry-point group ``kravport.agencies``.
It overrides the hooks its profile promises (`AgencyProfile.can`) with ``@hookimpl``; the host refuses a plugin whose
promises and overrides differ. Hooks are pure: clock, sequence numbers and ids are handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import BinaryIO, ClassVar

import pluggy

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
    Sink,
    Totals,
)
from gateway.domain.transport import Transport

PROJECT = "kravport"
ENTRY_POINT_GROUP = "kravport.agencies"
API_VERSION = "1.1"
"""Version of this boundary. The second number grows with what is added: hooks, arguments, fields with a default. The first
grows with what is changed or taken away; before that it is marked with ``warn_on_impl`` for a year (ADR 0027)."""
OLDEST_MAJOR = 1
"""The oldest first number whose plugins still load."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class AgencyHooks:
    """Every hook. Arguments may be added later; a plugin names only those it uses.

    *api_version* is the `API_VERSION` that a plugin was built for. Each plugin states it itself, in plain figures: taken
    from here it would claim to know what came after it was written.
    """

    api_version: ClassVar[str] = ""

    @hookspec(firstresult=True)
    def agency_profile(self) -> AgencyProfile:
        """Return what this agency is and what this plugin can do. Called once, at load."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return this agency's own findings on a customer card, beside the host's (matrix of R-CD).

        A code the host also knows replaces the host's severity for it; new codes are added.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what keeps *claim* out of this agency's layout: a number too long, a KID of another scheme.

        Optional. A blocking finding holds that claim alone and says why in the user's language; what the host does not
        ask about becomes an ``EncodeError`` of the export.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write new claims with their linked items into one or more files; return them in order of delivery.

        *claims* is read once and may be long: write as you read. Totals of all envelopes together must equal what was
        handed in. Raises ``EncodeError`` when a value does not fit; nothing is cut.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later items of claims the agency already has. Same contract as `export_invoice`.

        A claim may carry instructions of the kinds its layout names, also without items; they follow the items (R-OP-11).
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy *source* to ``sink.open(envelope.filename)``, marked as assigned; change neither items nor totals."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read the finished bytes strictly (schema or record declaration) and return the totals found in them.

        Called at sealing, after any mark. Raises ``DataError`` when the bytes are not valid.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def deliver(
        self,
        envelope: Envelope,
        transport: Transport,
        content: BinaryIO,
        size: int,
        agreement: Agreement,
        calls: Calls | None,
    ) -> str:
        """Deliver in the agency's own way; return the name or id at the far side. Default: ``transport.put``.

        *calls* leads to the agency's API where the agreement names one. Every call that changes something is made by
        ``calls.once``: tried again, the delivery goes through the same calls, and those that were answered are not made.
        When all is delivered their answers come back as one inbound file (`gateway.formats.calls.receipt`).
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def fetch(self, agreement: Agreement, calls: Calls, since: str) -> Page:
        """Return what the agency's API has to tell since the watermark *since*, which is empty at the first look.

        Each file of the page is stored as if it had lain in a mailbox; overlap is harmless, for the same bytes are taken
        once. The new watermark is kept after them.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def acknowledge(self, file: InboundFile, reference: str, agreement: Agreement, calls: Calls) -> None:
        """Tell the agency that all payments of *file* were posted; *reference* is ours for it. Repeated until it succeeds.

        Called only for files that `identify_inbound` called ``SETTLEMENT`` or ``PAYMENTS``. Calls are made by ``calls.once``.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def check_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: datetime
    ) -> Webhook:
        """Return what a push is worth whose signature is of the agency's own kind; names of *headers* are in lower case.

        Without this hook Standard Webhooks are asked for. *secrets* are the live ones, newest first; none may be agreed.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Say what *file* is, by content only, or None when it is not this agency's own format.

        Bank formats (OCR giro, camt) are known to the host; a plugin claims only its agency's own files.
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments of a file that `identify_inbound` called ``PAYMENTS``, as a stream."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return the agency's answer to one of our envelopes."""
        raise NotImplementedError

    @hookspec(firstresult=True)
    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterable[CaseStatus]:
        """Return what the agency says about its cases; what has *findings* of the file tells them after the last case."""
        raise NotImplementedError
