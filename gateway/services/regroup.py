"""Linking is changing who stands in which group; this is the one place that does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, update

from gateway.db.bulk import batches
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import LedgerEntry
from gateway.domain.ledger import EntryKind


def regroup(
    connection: Connection, link_ref: str, members: Sequence[Any], before: Iterable[Any], now: datetime
) -> set[int]:
    """Make *members* one link group; those of *before* that are no longer among them stand alone again.

    Args:
        connection: the caller's transaction.
        link_ref: the source's id of the group.
        members: rows of ledger entries that belong together from now on.
        before: rows that the source's id named until now.
        now: moment of the link; an entry that moves becomes ready at this moment (R-LS-05).

    Returns:
        Ids of every group that lost or won a member, empty when nothing changed.
    """
    anchor = _anchor(members)
    moving = [row for row in members if row.group_id != anchor]
    renamed = [row for row in members if row.group_id == anchor and row.link_ref != link_ref]
    leaving = [row for row in before if row.id not in {member.id for member in members}]
    touched = {row.group_id for row in (*moving, *leaving)} | {anchor for _ in moving} | {row.id for row in leaving}
    for some in batches([row.id for row in moving], IN_LIST_MAX):
        connection.execute(
            update(LedgerEntry)
            .where(LedgerEntry.id.in_(some))
            .values(group_id=anchor, link_ref=link_ref, linked_at=now)
        )
    for some in batches([row.id for row in renamed], IN_LIST_MAX):
        # The source gave the same group another id (24SevenOffice does so at every link): nothing happened (L4).
        connection.execute(update(LedgerEntry).where(LedgerEntry.id.in_(some)).values(link_ref=link_ref))
    for some in batches([row.id for row in leaving], IN_LIST_MAX):
        connection.execute(
            update(LedgerEntry)
            .where(LedgerEntry.id.in_(some))
            .values(group_id=LedgerEntry.id, link_ref="", linked_at=now)
        )
    return touched


def _anchor(members: Sequence[Any]) -> int:
    """A group is named after its first invoice, else its first entry, whatever the source calls it (L4)."""
    invoices = [row.id for row in members if row.kind == EntryKind.INVOICE.value]
    return int(min(invoices or [row.id for row in members] or [0]))
