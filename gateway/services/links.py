"""Links made by a person: item by item, never several invoices in one group (R-LK)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import lock_books, queue_groups, refresh_open
from gateway.db.tables import Agreement, Claim, LedgerEntry
from gateway.domain.split import propose
from gateway.errors import DataError, NotFound, Refused
from gateway.services.entries import derived_entry, insert_entries, mark_of
from gateway.services.house import House
from gateway.services.marks import entry_row, locked_entry
from gateway.services.regroup import regroup
from gateway.services.told import bring_home, refuse_corrected


def link(house: House, creditor_id: int, entry_ids: Sequence[int], actor: str) -> None:
    """Link entries of one customer to each other, and to what each is linked to already.

    Naming an item of a group means its group: nothing is pulled out of another link by the way; that is `unlink`.

    Raises:
        Refused: ``group.several_invoices`` (R-LK-08), ``link.case_invoice`` (R-LK-12), ``link.other_customer``.
        NotFound: an entry of another creditor.
    """
    with house.database.write() as connection:
        lock_books(connection, creditor_id)
        named = _rows(connection, creditor_id, entry_ids)
        groups = {row.group_id for row in named}
        rows = [member for group_id in sorted(groups) for member in group_rows(connection, group_id)]
        _refuse_mixed(connection, rows)
        touched = regroup(connection, "", rows, (), house.now())
        _settle(house, connection, creditor_id, touched)
        audit.record(
            connection, creditor_id, house.now(), actor, "entries.linked", "entry", named[0].id, ids=list(entry_ids)
        )


def unlink(house: House, entry_id: int, actor: str) -> None:
    """Take an entry out of its group; if an agency has it, the removal is told to it or shown to a person (R-LS-05)."""
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        others = [other for other in group_rows(connection, row.group_id) if other.id != entry_id]
        if not others:
            return
        now = house.now()
        connection.execute(
            update(LedgerEntry).where(LedgerEntry.id == entry_id).values(group_id=entry_id, link_ref="", linked_at=now)
        )
        touched = {row.group_id, entry_id} | regroup(connection, others[0].link_ref, others, (), now)
        _settle(house, connection, row.creditor_id, touched)
        audit.record(connection, row.creditor_id, now, actor, "entry.unlinked", "entry", entry_id, group=row.group_id)


def propose_split(house: House, group_id: int) -> tuple[tuple[int, ...], ...]:
    """Propose one group per invoice for a held group (R-LK-09); empty when nothing is certain enough."""
    with house.database.read() as connection:
        return propose(group_rows(connection, group_id))


def confirm_split(house: House, group_id: int, groups: Sequence[Sequence[int]], actor: str) -> None:
    """Replace a mixed group by several, each with at most one invoice; every member must be in exactly one."""
    with house.database.write() as connection:
        creditor_id = entry_row(connection, group_id).creditor_id
        lock_books(connection, creditor_id)
        rows = {row.id: row for row in group_rows(connection, group_id)}
        named = [entry_id for group in groups for entry_id in group]
        if sorted(named) != sorted(rows) or not rows:
            raise DataError("the proposed groups do not hold the members of the group, each once")
        touched: set[int] = {group_id}
        for group in groups:
            members = [rows[entry_id] for entry_id in group]
            _refuse_mixed(connection, members)
            touched |= regroup(connection, "", members, (), house.now())
        _settle(house, connection, creditor_id, touched)
        ids = [list(group) for group in groups]
        audit.record(connection, creditor_id, house.now(), actor, "group.split", "group", group_id, groups=ids)


def split_payment(house: House, entry_id: int, parts: Mapping[int, int], actor: str) -> tuple[int, ...]:
    """Divide one payment over several invoices, one line each, each linked to its invoice (R-LK-10).

    Args:
        house: the house.
        entry_id: the payment.
        parts: minor units (positive) per invoice id; together the whole payment.
        actor: who says so.

    Returns:
        Ids of the new lines. The payment itself and a counter line close each other in a group without an invoice, so
        the original stays as it was booked. Where an agency counts the payment and its layout cannot say that the link
        is gone, both stand on that agency's claim instead, and the counter line goes to it (R-RV-02).

    Raises:
        Refused: ``payment.not_a_payment``, ``payment.already_split``, ``payment.already_moved`` or
            ``payment.correction_not_carried``.
    """
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        if row.kind != "payment":
            raise Refused("payment.not_a_payment")
        refuse_corrected(connection, row)
        if sum(parts.values()) != -row.amount_minor or any(part <= 0 for part in parts.values()):
            raise DataError(f"the parts must be positive and make {-row.amount_minor} together")
        invoices = {i: entry_row(connection, i, "invoice") for i in parts}
        if any((i.creditor_id, i.currency) != (row.creditor_id, row.currency) for i in invoices.values()):
            raise NotFound("no such invoice")
        now = house.now()
        touched = leave_group(connection, row, now)
        row = entry_row(connection, row.id)
        home = bring_home(house, connection, row, now) or row.id
        groups = {i: entry_row(connection, i).group_id for i in parts}
        # Whose money it is does not change: parts of an agency's payment are not echoed either (R-PM-08), and parts of
        # a line that must stay do not leave (P15).
        whose = {"origin": row.origin, "origin_agreement_id": row.origin_agreement_id} | mark_of(row)
        out = {"kind": "payment_out", "amount_minor": -row.amount_minor, "group_id": home}
        counter = derived_entry(row, "split", now=now, **(out | mark_of(row)))
        lines = [
            derived_entry(row, f"split:{i}", amount_minor=-part, kind="payment", group_id=groups[i], now=now, **whose)
            for i, part in parts.items()
        ]
        ids = insert_entries(connection, [counter, *lines])
        touched |= {home, *groups.values()}
        _settle(house, connection, row.creditor_id, touched)
        facts = {"parts": {str(i): part for i, part in parts.items()}}
        audit.record(connection, row.creditor_id, now, actor, "payment.split", "entry", entry_id, **facts)
    return ids[1:]


def leave_group(connection: Connection, row: Any, now: datetime) -> set[int]:
    """Take an entry out of its group and settle what it leaves behind; return the groups that changed."""
    alone = update(LedgerEntry).where(LedgerEntry.id == row.id).values(group_id=row.id, link_ref="", linked_at=now)
    connection.execute(alone)
    others = [other for other in group_rows(connection, row.group_id) if other.id != row.id]
    return {row.group_id, row.id} | (_stand_alone(connection, others, now) if others else set())


def _stand_alone(connection: Connection, others: Sequence[Any], now: datetime) -> set[int]:
    """What a split payment leaves behind: several invoices and nothing else stand alone again (T-LK-8)."""
    if sum(row.kind == "invoice" for row in others) < 2 or any(row.kind != "invoice" for row in others):
        return regroup(connection, others[0].link_ref, others, (), now)
    ids = [row.id for row in others]
    connection.execute(
        update(LedgerEntry).where(LedgerEntry.id.in_(ids)).values(group_id=LedgerEntry.id, link_ref="", linked_at=now)
    )
    return set(ids)


def _rows(connection: Connection, creditor_id: int, entry_ids: Sequence[int]) -> list[Any]:
    columns = table_of(LedgerEntry).columns
    query = select(*columns).where(columns.id.in_(entry_ids), columns.creditor_id == creditor_id)
    rows = list(connection.execute(query))
    if len(rows) != len(set(entry_ids)) or len(rows) < 2:
        raise NotFound("at least two entries of this creditor are needed")
    return rows


def group_rows(connection: Connection, group_id: int) -> list[Any]:
    """Return the members of a link group, oldest first."""
    columns = table_of(LedgerEntry).columns
    return list(connection.execute(select(*columns).where(columns.group_id == group_id).order_by(columns.id)))


def _refuse_mixed(connection: Connection, rows: Sequence[Any]) -> None:
    invoices = [row for row in rows if row.kind == "invoice"]
    if len(invoices) > 1:
        in_case = select(Claim.entry_id).join(Agreement, Agreement.id == Claim.agreement_id)
        in_case = in_case.where(Claim.entry_id.in_([row.id for row in invoices]), Agreement.service == "collection")
        if connection.execute(in_case.limit(1)).first():
            raise Refused("link.case_invoice")
        raise Refused("group.several_invoices")
    if any(one.customer_id != other.customer_id or one.currency != other.currency for one, other in pairwise(rows)):
        raise Refused("link.other_customer")


def _settle(house: House, connection: Connection, creditor_id: int, touched: set[int]) -> None:
    refresh_open(connection, touched, house.now())
    queue_groups(connection, creditor_id, touched, house.now())
