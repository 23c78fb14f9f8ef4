"""What a posted payment became in the ledger, and how that is undone so that the payment waits again (R-RV-02, R-RV-05).

Nothing is deleted: each entry gets a counter entry beside it. Where no agency knows of it, both leave their invoice and
stand alone together, so that nothing goes (T-LK-12). Where one does, it is told, as far as its layout can say it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, select, union, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import queue_groups, refresh_open
from gateway.db.tables import IncomingPayment, LedgerEntry, PaymentPart
from gateway.errors import Refused
from gateway.services.entries import SOURCE, derived_entry, insert_entries, mark_of
from gateway.services.house import House
from gateway.services.links import leave_group
from gateway.services.marks import entry_row
from gateway.services.parts import DIVIDED, parts_of
from gateway.services.told import bring_home, refuse_corrected

TAKEN_BACK = "payment.taken_back"
"""Act on a payment: it was posted and is no longer."""

_P = table_of(IncomingPayment)
_E = table_of(LedgerEntry)
_D = table_of(PaymentPart)


def posted_of(entry: Any, payment_ids: Sequence[int]) -> ColumnElement[bool]:
    """Say of a ledger entry (table or alias) that one of these payments became it and that it still stands.

    They are sought among the entries of the customers whose documents the payments pay: a key from each entry to its
    payment would cost every posting, and few ask.
    """
    document = _E.alias("document")
    whole = select(_P.c.entry_id).where(_P.c.id.in_(payment_ids))
    parts = select(_D.c.entry_id).where(_D.c.payment_id.in_(payment_ids))
    customers = select(document.c.customer_id).where(document.c.id.in_(union(whole, parts)))
    return and_(entry.c.customer_id.in_(customers), entry.c.payment_id.in_(payment_ids))


def posted_entries(connection: Connection, payment: Any) -> list[Any]:
    """Return the entries that a posted payment became, oldest first: linked parts and surplus.

    Raises:
        Refused: ``payment.already_moved`` where they are not the whole payment any more.
    """
    query = select(*_E.columns).order_by(_E.c.id)
    found = connection.execute(query.where(posted_of(_E, [payment.id]))).all()
    if _is_whole(found, payment):
        return list(found)
    # Paid while it was an order, which may still change its customer: its money stands with the first one.
    mine = (_E.c.creditor_id == payment.creditor_id, _E.c.source == SOURCE, _E.c.payment_id == payment.id)
    name = posting_name(connection, payment)
    names = [name, *(f"{name}:{part.entry.id}" for part in parts_of(connection, payment.id))]
    names += [f"{one}:surplus" for one in names]
    ids = {row.id for row in (*found, *connection.execute(query.where(*mine, _E.c.external_id.in_(names))))}
    found = connection.execute(query.where(_E.c.id.in_(ids))).all()
    if not _is_whole(found, payment):
        raise Refused("payment.already_moved")
    return list(found)


def _is_whole(entries: Sequence[Any], payment: Any) -> bool:
    return bool(abs(sum(entry.amount_minor for entry in entries)) == payment.principal_minor)


def is_undone(entry: Any) -> ColumnElement[bool]:
    """Say of a ledger entry (table or alias) that it was a posting and was taken back: no line of the books repeats it."""
    return and_(entry.c.source == SOURCE, entry.c.external_id.startswith("payment:"), entry.c.payment_id.is_(None))


def posting_name(connection: Connection, payment: Any) -> str:
    """Return how the entries of *payment* begin to be called: another time differently, the first name stays taken."""
    before = len(audit.acts(connection, payment.creditor_id, "payment", payment.id, (TAKEN_BACK,)))
    return f"payment:{payment.id}" + (f".{before + 1}" if before else "")


def take_back(house: House, connection: Connection, payment: Any, now: datetime, actor: str) -> tuple[int, ...]:
    """Undo in the ledger what a posted payment became; the caller holds the books and changes the payment itself.

    Returns:
        Ids of the entries that were undone.

    Raises:
        Refused: ``payment.reversal_posted`` while a reversal of it stands, ``payment.already_reversed``,
            ``payment.already_split``, ``payment.already_moved``: its money stands elsewhere already;
            ``payment.correction_not_carried``: an agency counts it and cannot be told.
    """
    _refuse_reversed(connection, payment)
    entries = posted_entries(connection, payment)
    for entry in entries:
        if entry.reversed_by_id is not None:
            raise Refused("payment.already_reversed")
        refuse_corrected(connection, entry)
    touched: set[int] = set()
    for entry in entries:
        touched |= _undo(house, connection, entry, now)
        audit.record(
            connection, payment.creditor_id, now, actor, "payment.undone", "entry", entry.id, payment=payment.id
        )
    if payment.match_rule == DIVIDED:
        for part in parts_of(connection, payment.id):
            # A credit note that was linked before stays linked.
            if part.entry.kind == "credit_note" and part.entry.linked_at == payment.posted_at:
                touched |= leave_group(connection, part.entry, now)
    ids = tuple(entry.id for entry in entries)
    connection.execute(update(_E).where(_E.c.id.in_(ids)).values(payment_id=None))
    refresh_open(connection, touched, now)
    queue_groups(connection, payment.creditor_id, touched, now)
    return ids


def _undo(house: House, connection: Connection, entry: Any, now: datetime) -> set[int]:
    """Put a counter entry beside *entry*; return the groups that changed.

    What the accounting system has booked stays where that links it, and the counter entry goes there (R-RV-02).
    """
    touched = {entry.group_id}
    if entry.source == SOURCE:
        touched |= leave_group(connection, entry, now)
        entry = entry_row(connection, entry.id)
    home = bring_home(house, connection, entry, now) or entry.group_id
    counter = {
        "kind": "payment_out" if entry.amount_minor < 0 else "payment",
        "amount_minor": -entry.amount_minor,
        "group_id": home,
        "is_bank": True,
        "origin": entry.origin,
        "origin_agreement_id": entry.origin_agreement_id,
    }
    insert_entries(connection, [derived_entry(entry, "taken-back", now=now, **(counter | mark_of(entry)))])
    return touched | {home}


def _refuse_reversed(connection: Connection, payment: Any) -> None:
    if payment.key:
        back = (_P.c.creditor_id == payment.creditor_id, _P.c.reverses_key == payment.key, _P.c.state == "posted")
        if connection.execute(select(_P.c.id).where(*back).limit(1)).first():
            raise Refused("payment.reversal_posted")
