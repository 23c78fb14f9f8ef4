"""Posting a whole file as sets: the entries, the links, the closed invoices, in four statements whatever its size."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, String, and_, case, cast, func, literal, null, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import IncomingPayment, LedgerEntry
from gateway.db.tables.base import Instant
from gateway.domain.exchange import Agreement, Origin
from gateway.services.entries import SOURCE, book_day

_E = table_of(LedgerEntry)
_P = table_of(IncomingPayment)


def post_file(connection: Connection, file_id: int, agreement: Agreement, now: datetime) -> int:
    """Turn the payments of a file that are marked ``posted`` into ledger entries and close what is paid in full.

    Each pays one invoice exactly and is the only one of the file that does (R-PM-04), so the invoice's group nets to
    zero afterwards. The entry takes the payment's id: one number, one piece of money.

    Returns:
        How many were posted.
    """
    mine = and_(_P.c.file_id == file_id, _P.c.state == "posted")
    count = connection.execute(select(func.count()).select_from(_P).where(mine)).scalar_one()
    if not count:
        return 0
    values = _entry_values(agreement, now, book_day(connection, agreement.creditor_id, now))
    source = select(*values.values()).join_from(_P, _E, _E.c.id == _P.c.entry_id).where(mine)
    connection.execute(_E.insert().from_select(list(values), source, include_defaults=False))
    left = _E.c.open_minor - _P.c.principal_minor
    connection.execute(
        update(_E)
        .where(mine, _E.c.id == _P.c.entry_id)
        .values(open_minor=left, closed_at=case((left == 0, literal(now, Instant())), else_=_E.c.closed_at))
    )
    return int(count)


def _entry_values(agreement: Agreement, now: datetime, today: date) -> dict[str, Any]:
    """Return each column of the new entries as an expression over payment and invoice."""
    moment = literal(now, Instant())
    empty = literal("", String())
    made = {column.name: empty for column in _E.columns if isinstance(column.type, String)}
    no = literal(value=False, type_=Boolean())
    nothing = dict.fromkeys(("due", "closed_at", "do_not_transfer_at", "reversed_by_id"), null())
    return {
        **made,
        **nothing,
        "id": _P.c.id,
        "creditor_id": _P.c.creditor_id,
        "source": literal(SOURCE),
        "external_id": literal("payment:") + cast(_P.c.id, String()),
        "customer_id": _E.c.customer_id,
        "kind": literal("payment"),
        "amount_minor": -_P.c.principal_minor,
        "currency": _P.c.currency,
        "booked": func.coalesce(_P.c.booking_date, _P.c.value_date, today),
        "payment_reference": _P.c.reference,
        "bank_reference": _P.c.bank_reference,
        "paid_from_account": _P.c.payer_account,
        "order_status": literal("invoiced"),
        "line_number": literal(0),
        "credits": literal([], JSON()),
        "is_bank": literal(value=True, type_=Boolean()),
        "do_not_transfer": no,
        "group_id": _E.c.group_id,
        "open_minor": literal(0),
        "origin": literal(Origin.AGENCY.value),
        "origin_agreement_id": literal(agreement.agreement_id),
        "payment_id": _P.c.id,
        "invoiced_at": moment,
        "linked_at": moment,
        "received_at": moment,
    }
