"""What crosses the line between Kravport and an agency: plain values, no behaviour.

Rows that cross in bulk are named tuples, because a tuple is made in a fraction of a microsecond and an evening moves
hundreds of thousands; the few others are frozen dataclasses. Amounts are minor units of the agreement's currency.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import BinaryIO, NamedTuple, Protocol

from gateway.domain.instructions import Action, Instruction
from gateway.domain.kinds import Can, CustomerKind, Direction, InboundKind, LinkKind, Origin, Service, Severity

__all__ = [  # the closed lists too: plugins know them by this module
    "TO_FACTORING", "AgencyProfile", "Agreement", "Can", "CaseStatus", "Claim", "Customer", "CustomerKind",
    "Direction", "Envelope", "FactoringAssignment", "Finding", "InboundFile", "InboundKind", "LayoutProfile",
    "LinkKind", "LinkedItem", "ObjectReceipt", "Origin", "Payment", "PaymentStream", "Receipt", "Reference",
    "Seal", "Series", "Service", "Severity", "Sink", "Totals",
]  # fmt: skip

# --- what an agency is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Series:
    """A counter of outgoing files: *first* to *last*, then *first* again."""

    first: int = 1
    last: int = 999_999_999

    def after(self, sequence: int) -> int:
        """Return the number that follows *sequence*; 0 means that nothing was sent yet."""
        return self.first if sequence < self.first or sequence >= self.last else sequence + 1


@dataclass(frozen=True, slots=True)
class LayoutProfile:
    """One layout a plugin can write, and whether the agency itself confirmed it (R-OP-18).

    An unconfirmed profile delivers only to sandboxes; the host enforces it. *carries* names the linked items the layout
    has a place for: the host tells a person about the others (``item.not_carried``) instead of handing them over.
    *collection_needs_reminder*: an invoice is handed over to collection only with the date of a reminder.
    *instructions* likewise: what the layout cannot say, a person says to the agency. *sha256* is that of the profile the
    layout was compiled from, empty for one written in code: an operator confirms a profile, and with it these bytes alone.
    *nets_at_handover*: it tells of a claim what is open when it is handed over. Items linked by then are in that amount
    without a place of their own; only charges stand beside it, and later items still need a place.
    *markets* and *currencies* are those of the agency that this layout is for, all of them where it names none; *settings*
    those an agreement must have for it. The host refuses an agreement that does not fit. *needs_documents*: claims and credit
    notes come with the document that the creditor's accounting system issued, where it was taken as a file.
    *standard_webhooks*: pushes under it are Standard Webhooks, also where the plugin checks those of another layout itself.
    """

    name: str
    title: str
    source: str
    confirmed: bool = False
    series: Mapping[str, Series] = field(default_factory=dict)
    carries_non_positive_invoices: bool = False
    unlink_has_message: bool = False
    needs_national_id: bool = False
    collection_needs_reminder: bool = False
    receipt_within_hours: int | None = 24
    carries: frozenset[LinkKind] = field(default_factory=lambda: frozenset(LinkKind))
    instructions: frozenset[Action] = frozenset()
    sha256: str = ""
    markets: frozenset[str] = frozenset()
    currencies: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()
    needs_documents: bool = False
    nets_at_handover: bool = False
    standard_webhooks: bool = False


@dataclass(frozen=True, slots=True)
class AgencyProfile:
    """A plugin's manifest: static facts, no behaviour.

    *limits* says in words what the plugin cannot do yet; shown in panel and CLI.
    """

    key: str
    name: str
    markets: frozenset[str]
    currencies: frozenset[str]
    services: frozenset[Service]
    can: Can
    layouts: tuple[LayoutProfile, ...]
    delivery_is_idempotent: bool
    settings_schema: Mapping[str, object] = field(default_factory=dict)
    limits: tuple[str, ...] = ()

    def layout(self, name: str) -> LayoutProfile | None:
        """Return the layout profile called *name*, or None."""
        return next((layout for layout in self.layouts if layout.name == name), None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """One creditor's contract with one agency for one service. A new client number is a new agreement (R-OP-02).

    *settings* are the plugin's own, checked against its JSON schema; *secrets* are not among them.
    """

    agreement_id: int
    agency_key: str
    creditor_id: int
    creditor_name: str
    display_name: str
    client_number: str
    service: Service
    market: str
    currency: str
    profile: str
    is_sandbox: bool
    settings: Mapping[str, object] = field(default_factory=dict)


# --- findings --------------------------------------------------------------------------------------------------------


class Finding(NamedTuple):
    """One thing wrong with one datum, said so that a bookkeeper can mend it.

    *code* is a reason code (rules 11.2, or ``file.*`` codes of the format readers); *place* is a line, element path
    or field name; *values* fill the sentence of the code.
    """

    severity: Severity
    code: str
    place: str = ""
    value: str = ""
    values: Mapping[str, object] = {}


# --- outbound --------------------------------------------------------------------------------------------------------


class Customer(NamedTuple):
    """A customer card as it stands at the moment of export. Empty text means: not filled in.

    *identity_scheme* is one of ``no-orgnr no-fnr se-orgnr se-pnr fi-ytunnus fi-hetu dk-cvr dk-cpr other`` or empty;
    *country* is ISO 3166-1 alpha-2, *language* ISO 639-1. *has_own_number* tells a private customer from a bare contact
    (R-CD-02).
    """

    customer_number: str
    kind: CustomerKind | None
    name: str
    organisation_number: str
    national_id: str
    identity_scheme: str
    address1: str
    address2: str
    postcode: str
    city: str
    country: str
    email: str
    phone: str
    language: str
    has_own_number: bool = True

    @property
    def identity_number(self) -> str:
        """The number that identifies the debtor: the organisation number, else the national id, else empty."""
        return self.national_id if self.kind is CustomerKind.PRIVATE else self.organisation_number


class LinkedItem(NamedTuple):
    """A ledger entry linked to one invoice, or the removal of such a link (``UNLINK``, naming *unlinks_item_id*).

    *amount_minor* is always positive; *direction* says what it does to the claim.
    """

    item_id: str
    kind: LinkKind
    date: date
    amount_minor: int
    direction: Direction
    origin: Origin
    number: str = ""
    voucher_number: str = ""
    payment_reference: str = ""
    bank_reference: str = ""
    text: str = ""
    charge_kind: str = ""
    unlinks_item_id: str = ""
    document: bytes = b""


class Claim(NamedTuple):
    """One invoice as the agency must see it, with the items that travel in this file.

    *original_minor* is the invoice total; *open_minor* what remains as told by us after the items of this file, without
    marked lines and without money the agency itself received (R-VL-08). Claims come ordered by customer number, then
    invoice number; items by date, then item id. *reminder_date* is that of the creditor's own reminder, which
    collection demands.
    """

    claim_id: str
    invoice_number: str
    reminder_number: str
    case_number: str
    invoice_date: date
    due_date: date
    original_minor: int
    open_minor: int
    payment_reference: str
    text: str
    customer: Customer
    items: tuple[LinkedItem, ...] = ()
    reminder_date: date | None = None
    instructions: tuple[Instruction, ...] = ()
    document: bytes = b""


@dataclass(frozen=True, slots=True)
class Seal:
    """Everything a file needs that is not a claim. Handed in, so that exports are pure.

    *sequences* gives the number to use per envelope kind; the host consumes only those that came back as files.
    *file_ids* gives a UUID per kind. *business_date* is the creditor's local day of the run.
    """

    sequences: Mapping[str, int]
    file_ids: Mapping[str, str]
    created_at: datetime
    business_date: date
    sender_id: str
    receiver_id: str
    is_test: bool


class Totals(NamedTuple):
    """Control totals of a file or of what was handed to a plugin, in minor units of one currency.

    *debit_minor* is the sum of invoice totals and debit items, *credit_minor* of credit items; charges stand apart.
    """

    claims: int = 0
    items: int = 0
    debit_minor: int = 0
    credit_minor: int = 0
    charge_minor: int = 0
    instructions: int = 0


@dataclass(frozen=True, slots=True)
class Envelope:
    """One sealed file (glossary 115). Once stored it is never edited; a correction is a new envelope.

    *totals* are what the plugin wrote into it; a file without claims (a customer file) has zero totals.
    *order* tells which of a run's files is delivered first.
    """

    kind: str
    sequence: int
    filename: str
    media_type: str
    currency: str
    totals: Totals
    order: int = 0
    factoring_agreement: str = ""


class Sink(Protocol):
    """Where an export writes its files; opened one after the other, never two at once."""

    def open(self, filename: str) -> AbstractContextManager[BinaryIO]:
        """Return a writable binary stream for the file called *filename*."""


@dataclass(frozen=True, slots=True)
class FactoringAssignment:
    """The claims are assigned: who must be paid, and the notice the debtor sees (R-FA-03, R-FA-13)."""

    agreement_number: str
    factor_name: str
    factor_address: str
    factor_party_id: str
    pay_to_account: str
    notice: str


# --- inbound ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboundFile:
    """A stored inbound file. *head* is its first 64 KiB; *open* gives the whole as a new stream each time."""

    file_id: int
    filename: str
    received_at: datetime
    size: int
    head: bytes
    open: Callable[[], BinaryIO]


class Reference(NamedTuple):
    """One reference of a payment: *kind* is ``kid ocr scor rf invoice credit_note case text`` or empty.

    *raw* is as found, *value* with surrounding blanks stripped and nothing else; leading zeros count.
    *amount_minor* is the part of the payment that belongs to it, where the file says so.
    """

    raw: str
    value: str
    kind: str = ""
    amount_minor: int | None = None


TO_FACTORING = "payment.to_factoring"
"""Reason code of money that went to the creditor's factoring company instead of the account that a file tells of."""


class Payment(NamedTuple):
    """Money as an agency or bank reports it.

    *amount_minor* is never negative; *direction* is ``CREDIT`` for money in to the creditor. *position* is 1-based and
    makes it unique in its file; *key* is its identity across files (payments.md section 8), empty where the format has
    none. *posts* says whether it may become a ledger entry at all, *why_not* the code when it may not; of money that may,
    `TO_FACTORING` in its place says that it went to the creditor's factoring company.
    *principal_minor* is the part that lowers the invoice (the whole amount unless an agency split it).

    *reference* is the first or only one, *reference_kind* its kind as in `Reference`. *references* stays empty when that
    one covers the whole amount, as it does in nearly every payment; otherwise it holds all of them, the first included,
    with parts of the amount where the file states them, and every part of the free text (kind ``text``). Whoever wants
    a list in either case asks for `all_references`.

    *key* begins with a letter and holds nothing that a copy of the file changes: no message id, stamp or place in the file.
    Equal payments in one file are several payments. They have equal keys, numbered by whoever stores them, or the reader
    numbers them in the order of the file; either way a file with one more of them brings one new key. A key of money that
    is only announced is never that of its booking; whoever stores both joins them.

    *statement_reference* names the sum on the bank statement that the payment is part of; *order_date* is when the payer
    ordered it. *charges_minor* was taken on the way: the payer paid that much more than *amount_minor*. *deduction* tells
    what is left of a credit note that the payer took off (``full``, ``partial``, ``final``); such a payment is a
    ``DEBIT`` and its reference names the credit note. *payer_id* is an organisation or national number; the lines of
    *payer_address* are divided by line ends.
    """

    position: int
    amount_minor: int
    currency: str
    direction: Direction
    is_reversal: bool = False
    status: str = "BOOK"
    posts: bool = True
    why_not: str = ""
    reference: str = ""
    reference_raw: str = ""
    references: tuple[Reference, ...] = ()
    booking_date: date | None = None
    value_date: date | None = None
    payer_name: str = ""
    payer_account: str = ""
    account: str = ""
    bank_reference: str = ""
    text: str = ""
    key: str = ""
    claim_id: str = ""
    case_number: str = ""
    invoice_number: str = ""
    principal_minor: int | None = None
    reverses_key: str = ""
    reference_kind: str = ""
    statement_reference: str = ""
    order_date: date | None = None
    charges_minor: int = 0
    deduction: str = ""
    payer_id: str = ""
    payer_address: str = ""

    @property
    def all_references(self) -> tuple[Reference, ...]:
        """What *references* holds, or the one reference that it stays empty for."""
        if self.references or not self.reference:
            return self.references
        return (Reference(self.reference_raw, self.reference, self.reference_kind),)


class PaymentStream(Protocol):
    """Payments read one by one. Control totals are compared by the reader before the iteration ends.

    *format* names the format and version ("camt.054.001.08"); *totals* maps a currency to ``{"credit": minor, "debit":
    minor}`` over everything the file holds, *transactions* counts it, *identity* names the file as its sender numbers
    it, *accounts* counts transactions per receiving account. These and *findings* are complete only after the
    iteration. A payment never changes after it was handed on, and memory does not grow with the file. Iterating raises
    ``FileQuarantined`` or ``FileRefused`` when the file may not take effect; the caller commits nothing of it then.
    """

    format: str
    findings: list[Finding]

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order."""


class ObjectReceipt(NamedTuple):
    """The agency's answer for one object of a file.

    *object_type* is ``invoice`` (*object_id* is the claim id), ``customer`` (a customer number), ``header`` or
    ``instruction``; with any other, such as ``item``, *object_id* is the item id. What a file held and its receipt does
    not name is told to a person.
    """

    object_type: str
    object_id: str
    is_accepted: bool
    case_number: str = ""
    reason_code: str = ""
    reason_text: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The agency's answer to one envelope, found by *kind* and *sequence* (and *file_id* where given).

    *status* is ``accepted``, ``partly`` or ``rejected``; a rejected file has no objects.
    """

    kind: str
    sequence: int
    file_id: str
    status: str
    reason_code: str
    reason_text: str
    objects: tuple[ObjectReceipt, ...]


class CaseStatus(NamedTuple):
    """What the agency says about a case. A status never moves money (R-OP-10).

    *balance_minor* is what the agency counted when the case ended, where it says so: the books are held against it. Customer
    and name are for a person, where neither case nor invoice is known.
    """

    case_number: str
    claim_id: str
    invoice_number: str
    state: str
    stage: str
    close_code: str
    date: date
    raw_code: str
    raw_text: str
    balance_minor: int | None = None
    customer_reference: str = ""
    customer_name: str = ""
