"""The neutral ledger: what an accounting system tells us, whatever its own words (accounting/README.md section 2).

These are the records that arrive; how they are stored is the business of ``gateway.db``. Amounts are minor units of
*currency*, debit positive: an invoice is > 0, a payment or credit note < 0, whatever the source prints (L1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import NamedTuple

from gateway.domain.exchange import CustomerKind


class EntryKind(Enum):
    """What a ledger entry is (glossary 23). ``OTHER`` is a manual voucher line on the receivable account."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PAYMENT = "payment"
    PAYMENT_OUT = "payment_out"
    OTHER = "other"
    WRITE_OFF = "write_off"
    CHARGE = "charge"
    REVERSAL = "reversal"


class OrderStatus(Enum):
    """Connectors map their words to these (A-01); only ``INVOICED`` makes an invoice a candidate (R-LS-01)."""

    ORDER = "order"
    INVOICED = "invoiced"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class CustomerRecord:
    """A customer card as the accounting system gives it. Empty text: not filled in. *kind* None: not said."""

    external_id: str
    customer_number: str = ""
    kind: CustomerKind | None = None
    name: str = ""
    organisation_number: str = ""
    national_id: str = ""
    address1: str = ""
    address2: str = ""
    postcode: str = ""
    city: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """One ledger entry. Its identity is (creditor, source, *external_id*); the amount never changes afterwards (L5).

    *number* is the printed number of an invoice or credit note; *credits* the invoice numbers a credit note names;
    *reverses* the external id of the entry a reversal undoes; *counter_account* the account on the other side of a
    manual line (R-VL-10); *bank_account* says that the other side is a bank account. *do_not_transfer* is the source's
    proposal of FlagSyncDisabled (R-VL-01); it is never taken away by a later reading. *back_reference* names the posting
    of ours that this entry repeats (BankReturn), so that it joins that one instead of counting twice (L12).
    *reminder_date* is when the last reminder of an invoice was sent, *reminder_deadline* the day it gave to pay (R-CO-14).
    """

    external_id: str
    kind: EntryKind
    customer_external_id: str
    amount_minor: int
    currency: str
    booked: date
    due: date | None = None
    number: str = ""
    payment_reference: str = ""
    order_number: str = ""
    order_status: OrderStatus = OrderStatus.INVOICED
    voucher_number: str = ""
    voucher_kind: str = ""
    line_number: int = 0
    text: str = ""
    credits: tuple[str, ...] = ()
    reverses: str = ""
    counter_account: str = ""
    is_bank: bool = False
    bank_reference: str = ""
    paid_from_account: str = ""
    charge_kind: str = ""
    do_not_transfer: bool = False
    reminder_number: str = ""
    reminder_date: date | None = None
    reminder_deadline: date | None = None
    hold_code: str = ""
    document_form: str = ""
    back_reference: str = ""


class LinkRecord(NamedTuple):
    """A link group as the source sees it now; replaces what it said before under the same *external_id* (R-LK).

    *entries* are external ids. An empty tuple dissolves the group.
    """

    external_id: str
    entries: tuple[str, ...]


LedgerRecord = CustomerRecord | EntryRecord | LinkRecord


class Rejected(NamedTuple):
    """One input record that could not be taken, with its place: line number, or path in the document."""

    place: str
    field: str
    reason: str
    value: str
