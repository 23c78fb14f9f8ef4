"""What the REST API shows: invoices and incoming payments of one creditor, page by page.

Pages go by key, not by number, so that the millionth row costs what the first does and nothing is shown twice while
rows are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select
from sqlalchemy.orm import aliased

from gateway.db.tables import Agreement, Claim, Customer, IncomingPayment, LedgerEntry
from gateway.db.uow import Database
from gateway.domain.money import format_minor
from gateway.errors import NotFound
from gateway.services import reminders
from gateway.services.entries import SOURCE
from gateway.services.takeback import posted_of

_INVOICE = select(
    LedgerEntry,
    Customer.external_id.label("customer"),
    Customer.customer_number,
    Customer.do_not_transfer.label("customer_do_not_transfer"),
).join(Customer, Customer.id == LedgerEntry.customer_id)


def invoice(database: Database, creditor_id: int, source: str, external_id: str) -> dict[str, Any]:
    """Return one invoice as ``InvoiceState`` of the answers' schema.

    Raises:
        NotFound: this creditor has none of that id.
    """
    condition = (LedgerEntry.source == source, LedgerEntry.external_id == external_id)
    query = _of_creditor(creditor_id).where(*condition)
    with database.session() as session:
        found = _states(session.connection(), session.execute(query).all())
    if not found:
        raise NotFound(f"no invoice {external_id!r}")
    return found[0]


def invoices(
    database: Database, creditor_id: int, *, after: int, limit: int, is_open: bool | None = None
) -> dict[str, Any]:
    """Return a page of invoices as ``InvoicePage``, in the order they came."""
    query = _of_creditor(creditor_id)
    if is_open is not None:
        query = query.where(LedgerEntry.open_minor != 0 if is_open else LedgerEntry.open_minor == 0)
    return _page(database, query, LedgerEntry.id, _states, after=after, limit=limit)


def incoming_payments(
    database: Database, creditor_id: int, *, after: int, limit: int, state: str = ""
) -> dict[str, Any]:
    """Return a page of incoming payments as ``IncomingPaymentPage``, in the order they came."""
    matched = aliased(LedgerEntry)
    query = (
        select(IncomingPayment, matched.external_id.label("invoice"))
        .outerjoin(matched, matched.id == IncomingPayment.entry_id)
        .where(IncomingPayment.creditor_id == creditor_id)
    )
    if state:
        query = query.where(IncomingPayment.state == state)
    return _page(database, query, IncomingPayment.id, _payments, after=after, limit=limit)


def _of_creditor(creditor_id: int) -> Select[*tuple[Any, ...]]:
    return _INVOICE.where(LedgerEntry.creditor_id == creditor_id, LedgerEntry.kind == "invoice")


def _page(
    database: Database,
    query: Select[*tuple[Any, ...]],
    key: Any,
    show: Callable[[Connection, Sequence[Row[Any]]], list[dict[str, Any]]],
    *,
    after: int,
    limit: int,
) -> dict[str, Any]:
    beyond: ColumnElement[bool] = key > after
    with database.session() as session:
        rows = session.execute(query.where(beyond).order_by(key).limit(limit + 1)).all()
        items = show(session.connection(), rows[:limit])
        following = str(rows[limit - 1][0].id) if len(rows) > limit else None
    return {"items": items, "next": following}


def _states(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    claims = _claims(connection, {row[0].id: row[0].currency for row in rows})
    owners = reminders.owners(connection, [row[0].id for row in rows])
    return [_state(row, claims.get(row[0].id, []), owners.get(row[0].id)) for row in rows]


def _state(row: Row[Any], claims: list[dict[str, Any]], reminded_by: str | None) -> dict[str, Any]:
    entry: LedgerEntry = row[0]
    kept = ("external_id", "source", "number", "currency", "payment_reference", "order_status")
    given = [claim["reminder_number"] for claim in claims]  # one number for ever, whichever agency was told it first
    return (
        {"reminder_number": next(iter(given), entry.reminder_number)}
        | {name: getattr(entry, name) for name in (*kept, "do_not_transfer", "hold_code", "amount_minor")}
        | {
            "customer": row.customer,
            "customer_number": row.customer_number,
            "customer_do_not_transfer": row.customer_do_not_transfer,
            "amount": format_minor(entry.amount_minor, entry.currency),
            "open_amount": format_minor(entry.open_minor, entry.currency),
            "open_amount_minor": entry.open_minor,
            "booked": _iso(entry.booked),
            "due": _iso(entry.due),
            "closed_at": _iso(entry.closed_at),
            "reminded_by": reminded_by,
            "claims": claims,
        }
    )


def _claims(connection: Connection, currencies: Mapping[int, str]) -> dict[int, list[dict[str, Any]]]:
    columns = (Agreement.agency_key, Agreement.display_name, Agreement.client_number)
    query = (
        select(*Claim.__table__.columns, *columns)
        .join(Agreement, Agreement.id == Claim.agreement_id)
        .where(Claim.entry_id.in_(currencies))
        .order_by(Claim.first_sent_at)
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        balance = format_minor(row.told_minor - row.agency_paid_minor, currencies[row.entry_id])
        kept = ("display_name", "client_number", "claim_id", "reminder_number", "case_number", "state", "agency_state")
        shown = {name: getattr(row, name) for name in kept}
        shown |= {"agency": row.agency_key, "agency_balance": balance, "first_sent_at": _iso(row.first_sent_at)}
        found.setdefault(row.entry_id, []).append(shown)
    return found


def _payments(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    kept = ("state", "label", "currency", "amount_minor", "direction", "is_reversal", "reference", "payer_name")
    postings = _postings(connection, [row[0] for row in rows if row[0].state == "posted"])
    return [
        {name: getattr(row[0], name) for name in (*kept, "case_number", "difference")}
        | {
            "id": str(row[0].id),
            "amount": format_minor(row[0].amount_minor, row[0].currency),
            "booking_date": _iso(row[0].booking_date),
            "value_date": _iso(row[0].value_date),
            "posted_at": _iso(row[0].posted_at),
            "invoice": row.invoice,
            "postings": postings.get(row[0].id, []),
        }
        for row in rows
    ]


def _postings(connection: Connection, posted: Sequence[Any]) -> dict[int, list[dict[str, Any]]]:
    """Return what became of posted payments and no accounting system has told of yet, by payment."""
    if not posted:
        return {}
    entry, invoice = LedgerEntry.__table__.alias("e"), LedgerEntry.__table__.alias("i")
    mine = (entry.c.source == SOURCE, posted_of(entry, [payment.id for payment in posted]))
    beside = select(invoice.c.external_id).where(invoice.c.group_id == entry.c.group_id, invoice.c.kind == "invoice")
    query = select(entry, beside.limit(1).scalar_subquery().label("invoice")).where(*mine).order_by(entry.c.id)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        amount = {"amount": format_minor(row.amount_minor, row.currency), "amount_minor": row.amount_minor}
        shown = {"back_reference": row.external_id, "kind": row.kind, "invoice": row.invoice} | amount
        found.setdefault(row.payment_id, []).append(shown)
    return found


def _iso(moment: date | datetime | None) -> str | None:
    return moment.isoformat() if moment else None
