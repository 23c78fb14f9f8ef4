"""Do-not-transfer marks on invoices, customers and voucher lines: one exclusion, three levels (R-FA-06, R-FA-07, R-VL).

Every mark takes the lock on the creditor's books first, so that a mark and a run never cross (P15): the mark is either
seen by the run or refused because the item has gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import agency_has, lock_books, queue_groups
from gateway.db.tables import Agreement, Claim, Customer, FactoringSettings, LedgerEntry, TransferItem
from gateway.errors import NotFound, Refused
from gateway.services.house import House

KNOWN_MAX = 100
"""Claims shown beside a customer's mark; with more of them the number says enough."""


def mark_invoice(house: House, entry_id: int, do_not_transfer: bool, actor: str) -> None:
    """Mark an invoice *do not transfer*, or take the mark away (R-FA-06).

    Raises:
        Refused: ``exclusion.already_sent`` (R-FA-11), or ``factoring.switch_off`` when marks cannot be set (R-FA-01).
    """
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id, "invoice")
        if do_not_transfer:
            _refuse_without_factoring(connection, row.creditor_id)
        refuse_if_sent(connection, row)
        _mark_entry(house, connection, row, do_not_transfer, actor, "invoice")


def mark_customer(house: House, customer_id: int, do_not_transfer: bool, actor: str) -> None:
    """Keep a customer out as a whole, or let it in again (R-FA-07). What an agency has, it keeps: `known_claims`."""
    with house.database.write() as connection:
        row = connection.execute(select(*table_of(Customer).columns).where(Customer.id == customer_id)).one_or_none()
        if row is None:
            raise NotFound(f"no customer {customer_id}")
        lock_books(connection, row.creditor_id)
        if do_not_transfer:
            _refuse_without_factoring(connection, row.creditor_id)
        connection.execute(
            update(Customer)
            .where(Customer.id == customer_id)
            .values(
                do_not_transfer=do_not_transfer,
                do_not_transfer_by=actor if do_not_transfer else "",
                do_not_transfer_at=house.now() if do_not_transfer else None,
            )
        )
        what = "customer.marked" if do_not_transfer else "customer.unmarked"
        audit.record(connection, row.creditor_id, house.now(), actor, what, "customer", customer_id)


@dataclass(frozen=True, slots=True)
class KnownClaim:
    """An open invoice of a customer that an agency has; *open_minor* is what the books still expect, minor units."""

    entry_id: int
    number: str
    agency: str
    open_minor: int
    currency: str


def known_claims(house: House, customer_id: int) -> tuple[KnownClaim, ...]:
    """Return the open invoices of a customer that agencies have, oldest first.

    A mark on the customer does not reach them: payments on them still travel, and only a withdrawal takes them back
    (A-43). Whoever sets the mark is shown this.
    """
    e = LedgerEntry
    query = (
        select(e.id, e.number, Agreement.display_name, e.open_minor, e.currency)
        .join(Claim, Claim.entry_id == e.id)
        .join(Agreement, Agreement.id == Claim.agreement_id)
        .where(e.customer_id == customer_id, e.closed_at.is_(None), Claim.state.not_in(("rejected", "withdrawn")))
        .order_by(e.id)
        .limit(KNOWN_MAX)
    )
    with house.database.read() as connection:
        return tuple(KnownClaim(*row) for row in connection.execute(query))


def mark_line(house: House, entry_id: int, do_not_transfer: bool, actor: str) -> None:
    """Set or take away FlagSyncDisabled on a voucher line (R-VL-01); refused once the line has gone (R-VL-11)."""
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        if row.kind == "invoice":
            raise Refused("line.is_invoice")
        refuse_if_sent(connection, row)
        _mark_entry(house, connection, row, do_not_transfer, actor, "line")


def judge_line(house: House, entry_id: int, is_payment: bool, actor: str) -> None:
    """Say of a line that looks like a write-off that it is a payment, or that it must not go (R-VL-10)."""
    if not is_payment:
        mark_line(house, entry_id, True, actor)
        return
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        connection.execute(update(LedgerEntry).where(LedgerEntry.id == entry_id).values(judged_payment_by=actor))
        queue_groups(connection, row.creditor_id, [row.group_id], house.now())
        audit.record(connection, row.creditor_id, house.now(), actor, "line.is_payment", "entry", entry_id)


def entry_row(connection: Connection, entry_id: int, kind: str = "") -> Any:
    """Return a ledger entry's row (of *kind*, when given); raises ``NotFound``."""
    row = connection.execute(select(*table_of(LedgerEntry).columns).where(LedgerEntry.id == entry_id)).one_or_none()
    if row is None or (kind and row.kind != kind):
        raise NotFound(f"no {kind or 'entry'} {entry_id}")
    return row


def locked_entry(connection: Connection, entry_id: int, kind: str = "") -> Any:
    """Return a ledger entry's row as it is once nobody else changes its creditor's books; raises ``NotFound``."""
    lock_books(connection, entry_row(connection, entry_id, kind).creditor_id)
    return entry_row(connection, entry_id, kind)


def refuse_if_sent(connection: Connection, row: Any) -> None:
    """Raise ``exclusion.already_sent`` when an agency has the entry."""
    t = TransferItem
    sent = (
        select(Agreement.display_name, Agreement.id)
        .join(t, t.agreement_id == Agreement.id)
        .where(t.entry_id == row.id, t.is_current, agency_has(table_of(t)), ~_is_withdrawn(t))
    )
    found = connection.execute(sent.limit(1)).one_or_none()
    if found:
        raise Refused("exclusion.already_sent", agency=found.display_name)


def _is_withdrawn(item: Any) -> Any:
    """A claim that the creditor took back is at no agency any more: it may be kept out from now on."""
    mine = (Claim.agreement_id == item.agreement_id, Claim.entry_id == item.claim_entry_id)
    return select(Claim.entry_id).where(*mine, Claim.state == "withdrawn").exists()


def _refuse_without_factoring(connection: Connection, creditor_id: int) -> None:
    f = FactoringSettings
    uses = connection.execute(select(f.use_factoring).where(f.creditor_id == creditor_id)).scalar_one_or_none()
    real = select(Agreement.id).where(
        Agreement.creditor_id == creditor_id, Agreement.service == "factoring", Agreement.state == "active"
    )
    if not uses and connection.execute(real.limit(1)).first() is None:
        raise Refused("factoring.switch_off")


def _mark_entry(house: House, connection: Connection, row: Any, mark: bool, actor: str, level: str) -> None:
    now = house.now()
    connection.execute(
        update(LedgerEntry)
        .where(LedgerEntry.id == row.id)
        .values(
            do_not_transfer=mark,
            do_not_transfer_by=actor if mark else "",
            do_not_transfer_at=now if mark else None,
        )
    )
    queue_groups(connection, row.creditor_id, [row.group_id], now)
    what = f"{level}.marked" if mark else f"{level}.unmarked"
    audit.record(connection, row.creditor_id, now, actor, what, "entry", row.id, number=row.number)
