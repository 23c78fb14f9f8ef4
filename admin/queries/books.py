"""Reading the ledger: invoices and what is linked to them, customers, incoming payments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, or_, select

from gateway.db.tables import (
    Agreement,
    Claim,
    Creditor,
    Customer,
    Envelope,
    IncomingPayment,
    LedgerEntry,
    PaymentPart,
    RunHold,
    TransferItem,
    TransferRun,
)

WAITING_MAX = 999
"""Where the count of payments to post stops: past it the page says "999+"."""
FOUND_CUSTOMERS_MAX = 200
RUNS_IN_STORY = 60
"""Evenings looked through for holds of an invoice: two months."""
MEMBERS_MAX = 200


def _select(*columns: Any) -> Select[Any]:
    """Select columns without spelling out their types: rows go to templates."""
    return select(*columns)


def has_ledger(connection: Connection, creditor_ids: Sequence[int]) -> bool:
    """Say whether any ledger entry has arrived."""
    query = select(LedgerEntry.id).where(LedgerEntry.creditor_id.in_(creditor_ids)).limit(1)
    return connection.execute(query).first() is not None


# --- invoices --------------------------------------------------------------------------------------------------------


def invoices(creditor_ids: Sequence[int]) -> Select[Any]:
    """Select invoices with customer and creditor, for a list."""
    e = LedgerEntry
    return (
        _select(
            e.id,
            e.creditor_id,
            e.number,
            e.amount_minor,
            e.currency,
            e.booked,
            e.due,
            e.open_minor,
            e.closed_at,
            e.order_status,
            e.do_not_transfer,
            e.do_not_transfer_by,
            e.do_not_transfer_at,
            e.payment_reference,
            e.group_id,
            Customer.id.label("customer_id"),
            Customer.name.label("customer_name"),
            Customer.kind.label("customer_kind"),
            Customer.customer_number,
            Customer.do_not_transfer.label("customer_marked"),
            Creditor.name.label("creditor_name"),
            Creditor.time_zone,
        )
        .join(Customer, Customer.id == e.customer_id)
        .join(Creditor, Creditor.id == e.creditor_id)
        .where(e.creditor_id.in_(creditor_ids), e.kind == "invoice")
    )


def found_by(connection: Connection, creditor_ids: Sequence[int], words: str) -> ColumnElement[bool]:
    """Return the condition "number, reference or customer is *words*"; each part is an index's work."""
    e = LedgerEntry
    customers = [row.id for row in customers_found(connection, creditor_ids, words, FOUND_CUSTOMERS_MAX)]
    parts = [e.number == words, e.payment_reference == words.replace(" ", "")]
    return or_(*parts, e.customer_id.in_(customers)) if customers else or_(*parts)


def sent_claims(connection: Connection, entry_ids: Sequence[int], creditor_ids: Sequence[int]) -> dict[int, list[Any]]:
    """Return per invoice the agencies that have it, with the file it went in, newest first."""
    item = TransferItem
    mine = select(Agreement.id).where(Agreement.creditor_id.in_(creditor_ids))
    query = (
        select(
            Claim.entry_id,
            Claim.agreement_id,
            Claim.state,
            Claim.case_number,
            Claim.reminder_number,
            Claim.told_minor,
            Claim.agency_paid_minor,
            Claim.first_sent_at,
            Agreement.display_name,
            item.state.label("item_state"),
            item.reason_code,
            item.reason_text,
            Envelope.id.label("envelope_id"),
            Envelope.sequence,
            Envelope.sealed_at,
            Envelope.state.label("envelope_state"),
        )
        .join(Agreement, Agreement.id == Claim.agreement_id)
        .outerjoin(
            item, and_(item.agreement_id == Claim.agreement_id, item.entry_id == Claim.entry_id, item.is_current)
        )
        .outerjoin(Envelope, Envelope.id == item.envelope_id)
        .where(Claim.agreement_id.in_(mine), Claim.entry_id.in_(entry_ids))
        .order_by(Claim.first_sent_at.desc())
    )
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.entry_id, []).append(row)
    return found


def is_claimed(creditor_ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition "an agency has this invoice"."""
    mine = select(Agreement.id).where(Agreement.creditor_id.in_(creditor_ids))
    return exists().where(Claim.agreement_id.in_(mine), Claim.entry_id == LedgerEntry.id)


def entry(connection: Connection, entry_id: int) -> Any:
    """Return one ledger entry of any kind with its customer."""
    query = select(*LedgerEntry.__table__.columns, *_customer_columns(), Creditor.time_zone)
    query = query.join(Customer, Customer.id == LedgerEntry.customer_id)
    query = query.join(Creditor, Creditor.id == LedgerEntry.creditor_id)
    return connection.execute(query.where(LedgerEntry.id == entry_id)).one_or_none()


def _customer_columns() -> list[Any]:
    c = Customer
    return [
        c.name.label("customer_name"),
        c.customer_number,
        c.kind.label("customer_kind"),
        c.organisation_number,
        c.do_not_transfer.label("customer_marked"),
    ]


def group(connection: Connection, group_id: int) -> list[Any]:
    """Return the members of a link group, invoices first, then by date; at most `MEMBERS_MAX`."""
    e = LedgerEntry
    query = select(*e.__table__.columns).where(e.group_id == group_id)
    return list(connection.execute(query.order_by(e.kind != "invoice", e.booked, e.id).limit(MEMBERS_MAX)))


def unlinked(connection: Connection, customer_id: int, currency: str) -> list[Any]:
    """Return the customer's entries that are linked to nothing and could belong to an invoice; at most 50."""
    e = LedgerEntry
    query = select(*e.__table__.columns).where(
        e.customer_id == customer_id, e.currency == currency, e.group_id == e.id, e.kind != "invoice"
    )
    return list(connection.execute(query.order_by(e.booked.desc(), e.id.desc()).limit(50)))


def open_invoices(connection: Connection, customer_id: int, currency: str) -> list[Any]:
    """Return the customer's open invoices, oldest first; at most 100."""
    e = LedgerEntry
    query = select(e.id, e.number, e.open_minor, e.currency, e.due).where(
        e.customer_id == customer_id, e.currency == currency, e.kind == "invoice", e.open_minor != 0
    )
    return list(connection.execute(query.order_by(e.booked, e.id).limit(100)))


def items_of(connection: Connection, entry_ids: Sequence[int], creditor_id: int) -> list[Any]:
    """Return every time one of some entries went to an agency, with file and answer, oldest first."""
    item = TransferItem
    mine = select(Agreement.id).where(Agreement.creditor_id == creditor_id)
    query = (
        select(
            item.entry_id,
            item.kind,
            item.amount_minor,
            item.direction,
            item.version,
            item.is_current,
            item.state,
            item.reason_code,
            item.reason_text,
            Envelope.id.label("envelope_id"),
            Envelope.sequence,
            Envelope.sealed_at,
            Envelope.delivered_at,
            Envelope.receipt_at,
            Agreement.display_name,
            LedgerEntry.number,
            LedgerEntry.voucher_number,
            LedgerEntry.currency,
        )
        .join(Agreement, Agreement.id == item.agreement_id)
        .join(LedgerEntry, LedgerEntry.id == item.entry_id)
        .outerjoin(Envelope, Envelope.id == item.envelope_id)
        .where(item.agreement_id.in_(mine), item.entry_id.in_(entry_ids))
        .order_by(item.version, item.entry_id)
    )
    return list(connection.execute(query))


def holds_of(connection: Connection, entry_id: int, creditor_id: int) -> list[Any]:
    """Return the evenings of the last two months on which an entry was held, with the reason."""
    runs = (
        select(TransferRun.id)
        .join(Agreement, Agreement.id == TransferRun.agreement_id)
        .where(Agreement.creditor_id == creditor_id)
        .order_by(TransferRun.id.desc())
        .limit(RUNS_IN_STORY)
    )
    query = (
        select(RunHold.code, RunHold.values, TransferRun.cutoff, Agreement.display_name)
        .join(TransferRun, TransferRun.id == RunHold.run_id)
        .join(Agreement, Agreement.id == TransferRun.agreement_id)
        .where(RunHold.run_id.in_(runs.scalar_subquery()), RunHold.entry_id == entry_id)
        .order_by(TransferRun.id)
    )
    return list(connection.execute(query))


# --- customers -------------------------------------------------------------------------------------------------------


def customers_found(connection: Connection, creditor_ids: Sequence[int], words: str, limit: int) -> list[Any]:
    """Return customers whose number or organisation number is *words*, or whose name begins so."""
    c = Customer
    plain = words.replace(" ", "")
    beginning = func.lower(c.name).startswith(words.lower(), autoescape=True)
    named = or_(
        c.customer_number == words, and_(c.organisation_number != "", c.organisation_number == plain), beginning
    )
    query = select(c.id, c.name, c.customer_number, c.organisation_number, c.creditor_id, c.kind)
    return list(connection.execute(query.where(c.creditor_id.in_(creditor_ids), named).order_by(c.id).limit(limit)))


def customer(connection: Connection, customer_id: int) -> Any:
    """Return one customer card."""
    return connection.execute(select(*Customer.__table__.columns).where(Customer.id == customer_id)).one_or_none()


# --- incoming payments -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many payments wait for a person; *is_more* says that counting stopped."""

    total: int
    certain: int
    is_more: bool


def waiting_payments(connection: Connection, creditor_ids: Sequence[int]) -> Waiting:
    """Count payments that are not posted yet, up to `WAITING_MAX`."""
    p = IncomingPayment
    states: list[str] = []
    for state in ("proposed", "unmatched"):
        mine = p.creditor_id.in_(creditor_ids) if creditor_ids else false()
        query = select(p.state).where(mine, p.state == state, ~is_in_voucher_inbox(creditor_ids))
        states += connection.execute(query.limit(WAITING_MAX + 1)).scalars()
    total = min(len(states), WAITING_MAX)
    return Waiting(total, min(states.count("proposed"), WAITING_MAX), len(states) > WAITING_MAX)


def is_in_voucher_inbox(creditor_ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition "comes to the voucher inbox instead of the list" (R-PM-12)."""
    a = Agreement
    mine = select(a.id).where(a.creditor_id.in_(creditor_ids), a.uses_voucher_inbox)
    return func.coalesce(IncomingPayment.agreement_id.in_(mine), false())


def payments(creditor_ids: Sequence[int]) -> Select[Any]:
    """Select incoming payments with the invoice they belong to or might belong to, for a list."""
    p = IncomingPayment
    target = LedgerEntry
    return (
        select(
            *p.__table__.columns,
            func.coalesce(p.entry_id, p.suggested_entry_id).label("target_id"),
            target.number.label("target_number"),
            target.open_minor.label("target_open"),
            target.payment_reference.label("target_reference"),
            target.kind.label("target_kind"),
            target.customer_id.label("target_customer_id"),
            Customer.name.label("target_customer"),
            Creditor.name.label("creditor_name"),
            Creditor.time_zone,
        )
        .outerjoin(target, target.id == func.coalesce(p.entry_id, p.suggested_entry_id))
        .outerjoin(Customer, Customer.id == target.customer_id)
        .join(Creditor, Creditor.id == p.creditor_id)
        .where(p.creditor_id.in_(creditor_ids))
    )


def labels(connection: Connection, creditor_ids: Sequence[int]) -> list[str]:
    """Return the names under which agencies' payments are shown (R-PM-02)."""
    query = select(Agreement.display_name).where(Agreement.creditor_id.in_(creditor_ids), Agreement.state != "draft")
    return list(connection.execute(query.distinct().order_by(Agreement.display_name)).scalars())


def surplus_of(connection: Connection, payment_ids: Sequence[int]) -> dict[int, int]:
    """Return per posted payment what is left unlinked of it, positive minor units (R-PM-05)."""
    e = LedgerEntry
    query = select(e.payment_id, func.sum(-e.amount_minor)).where(
        e.payment_id.in_(payment_ids), e.group_id == e.id, e.kind == "payment"
    )
    rows = connection.execute(query.group_by(e.payment_id))
    return {row[0]: int(row[1]) for row in rows if row[0] is not None}


def reversed_payment(connection: Connection, payment: Any) -> int | None:
    """Return the id of the payment that a reversal takes back, once both were told (R-PM-11)."""
    p = IncomingPayment
    if not payment.reverses_key:
        return None
    query = select(p.id).where(p.creditor_id == payment.creditor_id, p.key == payment.reverses_key)
    return connection.execute(query).scalar_one_or_none()


def parts_of(connection: Connection, payment_id: int) -> list[Any]:
    """Return the documents that a payment is divided over, each with its part, in the order of the file."""
    part = PaymentPart
    query = _select(part.amount_minor, part.kind, part.seen, LedgerEntry.id, LedgerEntry.number, LedgerEntry.open_minor)
    query = query.join(LedgerEntry, LedgerEntry.id == part.entry_id).where(part.payment_id == payment_id)
    return list(connection.execute(query.order_by(part.place)))
