"""Kravia: collection over a REST API, both ways. The reference for an agency whose requests are public and answers are not.

Requests are sent exactly as Kravia's guides show them. What answers look like nobody has published: `plugins.kravia.answers`
alone looks for anything in them. See README.md here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from gateway.domain.calls import Answer, Calls, Page, Request, Webhook
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
    LayoutProfile,
    LinkKind,
    PaymentStream,
    Receipt,
    Seal,
    Series,
    Service,
    Sink,
    Totals,
)
from gateway.errors import DataError, DeliveryError
from gateway.formats.calls import MEDIA_TYPE, Head, receipt, totals_of, write_calls
from gateway.hookspecs import AgencyHooks, hookimpl
from plugins.kravia import bodies, fetching, reading, sending
from plugins.kravia.answers import STATES, Names, invoice_id, names_of
from plugins.kravia.asking import told

CASES, CHANGES = "cases", "changes"

LAYOUT = LayoutProfile(
    "kravia-2",
    "Kravia REST API v2",
    "developer.kravia.ai, how-to guides: create a collection case, register direct payments, credit a collection case",
    series={CASES: Series(), CHANGES: Series()},
    collection_needs_reminder=True,
    receipt_within_hours=2,
    carries=frozenset({LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE}),
)

_TEXT = {"type": "string", "minLength": 1}
_SETTINGS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "answer_names": {
            "type": "object",
            "title": "Names in Kravia's answers",
            "description": "Where ids, amounts and states stand in real answers; until they are seen, the sandbox's own.",
            "properties": {name: {"type": "string"} for name in Names._fields},
            "additionalProperties": False,
        },
        "answer_states": {
            "type": "object",
            "title": "What Kravia's states mean",
            "description": "Each of Kravia's words for a state, and ours: "
            + ", ".join(sorted(set(STATES.values())))
            + ".",
            "additionalProperties": {"enum": sorted(set(STATES.values()))},
            "propertyNames": _TEXT,
        },
    },
}

PROFILE = AgencyProfile(
    key="kravia",
    name="Kravia",
    markets=frozenset({"NO", "SE", "FI"}),
    currencies=frozenset({"NOK", "SEK", "EUR"}),
    services=frozenset({Service.COLLECTION}),
    can=Can.EXPORT_INVOICE
    | Can.EXPORT_LINKED_ITEMS
    | Can.IMPORT_PAYMENTS
    | Can.IMPORT_RECEIPT
    | Can.IMPORT_CASE_STATUS
    | Can.CHECK_CUSTOMER
    | Can.ACKNOWLEDGE,
    layouts=(LAYOUT,),
    delivery_is_idempotent=False,  # what a second registration with our id does is unknown
    settings_schema=_SETTINGS,
    limits=(
        "What Kravia answers is not published: ids, states and settlements are read by names that an agreement sets.",
        "Withdrawal, respite and dispute have no call; a person tells Kravia.",
        "Later charges and disbursements have no call; a person tells Kravia.",
        "A copy of the invoice is not uploaded: the address for it is not published.",
        "A webhook only rings, for its signature cannot be checked; what it tells of is asked for.",
    ),
)


class Kravia(AgencyHooks):
    """The hooks; pure but `deliver`, `fetch` and `acknowledge`, which call."""

    api_version = "1.1"

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the manifest."""
        return PROFILE

    @hookimpl
    def check_customer(self, customer: Customer) -> tuple[Finding, ...]:  # type: ignore[override]  # names what it uses
        """Return what of a card has no place in a registration."""
        return tuple(bodies.customer_faults(customer))

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return why a claim cannot be registered."""
        return tuple(bodies.claim_faults(claim, agreement))

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write registrations, each followed by what was paid and credited by then."""
        return _written(CASES, claims, agreement, seal, sink)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write later payments and credit notes."""
        return _written(CHANGES, claims, agreement, seal, sink)

    @hookimpl
    def verify_envelope(self, source: BinaryIO) -> Totals:  # type: ignore[override]  # names what it uses
        """Read the finished file and return the totals found."""
        return totals_of(source)

    @hookimpl
    def deliver(  # type: ignore[override]  # names what it uses
        self, envelope: Envelope, content: BinaryIO, agreement: Agreement, calls: Calls | None
    ) -> str:
        """Make the calls of a file, each once."""
        if calls is None:
            raise DataError("Kravia is reached over its API; the agreement's transport is none")
        sending.hand_over(envelope, content, agreement, calls)
        return envelope.filename

    @hookimpl
    def fetch(self, agreement: Agreement, calls: Calls, since: str) -> Page:
        """Return invoices that changed, with their details, and settlements that are not booked."""
        return fetching.look(agreement, calls, since)

    @hookimpl
    def acknowledge(  # type: ignore[override]  # names what it uses
        self, file: InboundFile, reference: str, calls: Calls
    ) -> None:
        """Tell Kravia that a settlement is booked, and under which id."""
        number = reading.settlement_id(file)
        query = (("internalAccountingId", reference),)
        answer = calls.once(f"settlement:{number}:bookkeep", Request("PATCH", f"/settlements/{number}/bookkeep", query))
        if not answer.is_accepted:
            raise DeliveryError(f"settlement {number} is not taken as booked: {told(answer)}")

    @hookimpl
    def check_webhook(self, body: bytes) -> Webhook:  # type: ignore[override]  # names what it uses
        """Take any event for a bell: how its MD5 is made from the secret is not published."""
        return Webhook() if reading.is_event(body) else Webhook(fault="is no event of Kravia's form")

    @hookimpl
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Claim Kravia's answers as they were stored, and its events."""
        return next((kind for one in agreements if (kind := reading.identify(file, one))), None)

    @hookimpl
    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return what a settlement pays out, claim by claim."""
        return reading.SettlementPayments(file, agreements[0])

    @hookimpl
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return what was taken; the case number is Kravia's id of the invoice."""
        names = names_of(agreements[0])

        def case_number(step: str, answer: Answer) -> str:
            return invoice_id(names, answer) if step == bodies.REGISTER else ""

        return receipt(file, case_number, lambda answer: (str(answer.status), told(answer)))

    @hookimpl
    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterator[CaseStatus]:
        """Yield what the details of an invoice say about its case."""
        found = reading.status(file, agreements[0])
        if found:
            yield found


plugin = Kravia()


def _written(kind: str, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    stream = iter(claims)
    first = next(stream, None)
    if first is None:
        return ()
    sequence, file_id = seal.sequences[kind], seal.file_ids[kind]
    head = Head(
        PROFILE.key, agreement.profile, kind, sequence, file_id, agreement.currency, is_test=agreement.is_sandbox
    )
    filename = f"{kind}-{seal.business_date:%Y%m%d}-{sequence:06d}.jsonl"
    planned = bodies.calls_for(chain((first,), stream), agreement, are_new=kind == CASES)
    with sink.open(filename) as out:
        totals = write_calls(out, head, planned)
    return (Envelope(kind, sequence, filename, MEDIA_TYPE, agreement.currency, totals),)
