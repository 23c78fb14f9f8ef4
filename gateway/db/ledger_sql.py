"""Set operations on the ledger that several services share. They change no more than they are told groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.bulk import batches
from gateway.db.tables import Agreement, Claim, Creditor, LedgerEntry, Pending
from gateway.db.tables.base import Instant

IN_LIST_MAX = 500
"""Values in one IN list: below 999, the number of variables that older SQLite builds allow, with room for others."""


def upsert_ignore(connection: Connection, mapped: type[Any], rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows; those that break a unique constraint are there already and stay as they are."""
    if rows:
        module = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(module.insert(mapped).on_conflict_do_nothing(), rows)


def lock_books(connection: Connection, creditor_id: int) -> None:
    """Wait for whoever changes this creditor's ledger or runs an agreement of it; keep others out until the end.

    An open amount is a sum over other rows, and a run forgets the groups it has looked at: under READ COMMITTED two
    transactions that work at once do not see each other and leave both wrong. Taken before anything is read. A row
    that only refers to these, such as a file that arrives, need not wait. SQLite has one writer anyway.
    """
    agreements = select(Agreement.id).where(Agreement.creditor_id == creditor_id).order_by(Agreement.id)
    connection.execute(agreements.with_for_update(key_share=True)).all()
    connection.execute(select(Creditor.id).where(Creditor.id == creditor_id).with_for_update(key_share=True)).all()


def agency_has(item: Any) -> ColumnElement[bool]:
    """Say of an entry's current item (table or alias) that the agency counts the entry.

    It does unless it refused the entry, or took it off. A refusal to take it off leaves it counted.
    """
    is_unlink, is_rejected = item.c.kind == "unlink", item.c.state == "rejected"
    return or_(and_(~is_unlink, ~is_rejected), and_(is_unlink, is_rejected))


def refresh_open(connection: Connection, group_ids: Iterable[int], now: datetime) -> None:
    """Recompute *open_minor* and *closed_at* of the invoices of these groups from their members.

    With two or more invoices in a group nobody can say what is open of which (R-LK-03): each shows its own amount.
    """
    member = LedgerEntry.__table__.alias("member")
    counted = and_(member.c.group_id == LedgerEntry.group_id, member.c.order_status == "invoiced")
    total = select(func.coalesce(func.sum(member.c.amount_minor), 0)).where(counted).scalar_subquery()
    invoices = select(func.count()).where(counted, member.c.kind == "invoice").scalar_subquery()
    for some in batches(sorted(set(group_ids)), IN_LIST_MAX):
        mine = (LedgerEntry.kind == "invoice", LedgerEntry.group_id.in_(some), LedgerEntry.order_status == "invoiced")
        connection.execute(
            update(LedgerEntry)
            .where(*mine)
            .values(open_minor=case((invoices > 1, LedgerEntry.amount_minor), else_=total))
            .execution_options(synchronize_session=False)
        )
        is_open = LedgerEntry.open_minor != 0
        connection.execute(
            update(LedgerEntry)
            .where(*mine)
            .values(closed_at=case((is_open, None), else_=func.coalesce(LedgerEntry.closed_at, now)))
            .execution_options(synchronize_session=False)
        )


def agreements_to_look(connection: Connection, creditor_id: int) -> Sequence[tuple[int, str]]:
    """Return (id, currency) of the agreements for which this creditor's customer cards are checked.

    Those that take new claims, and those that still have claims of their own (R-CO-24).
    """
    has_claims = select(Claim.agreement_id).where(Claim.agreement_id == Agreement.id).exists()
    query = _active(creditor_id).where(or_(Agreement.may_create_cases, has_claims))
    return [(row.id, row.currency) for row in connection.execute(query)]


def _active(creditor_id: int) -> Select[int, str]:
    mine = (Agreement.creditor_id == creditor_id, Agreement.state == "active")
    return select(Agreement.id, Agreement.currency).where(*mine)


def queue_claims(connection: Connection, agreement_id: int, now: datetime) -> None:
    """Tell the next run of an agreement to look at every claim of its own that was not taken back."""
    mine = (Claim.agreement_id == agreement_id, Claim.state != "withdrawn")
    at = literal(now, Instant())
    groups = (
        select(literal(agreement_id), LedgerEntry.group_id, at)
        .distinct()
        .join(Claim, Claim.entry_id == LedgerEntry.id)
        .where(*mine)
    )
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = module.insert(Pending).from_select(["agreement_id", "group_id", "queued_at"], groups)
    connection.execute(rows.on_conflict_do_nothing())


def queue_groups(connection: Connection, creditor_id: int, group_ids: Iterable[int], now: datetime) -> None:
    """Tell the next run of every active agreement to look at these groups.

    Also of one that takes no new claims now: it follows those it has (R-CO-24), and may take new ones again.
    """
    agreements = connection.execute(_active(creditor_id)).all()
    for some in batches(sorted(set(group_ids)), IN_LIST_MAX):
        rows = [
            {"agreement_id": agreement_id, "group_id": group_id, "queued_at": now}
            for agreement_id, _ in agreements
            for group_id in some
        ]
        upsert_ignore(connection, Pending, rows)
