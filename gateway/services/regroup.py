"""Linking is changing who stands in which group; this is the one place that does it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import LedgerEntry
from gateway.domain.ledger import EntryKind

_E = table_of(LedgerEntry)


@dataclass(frozen=True, slots=True)
class Regrouping:
    """One link as it shall be: *members* belong together; those of *before* not among them stand alone again.

    *link_ref* is the source's id of the group; *members* and *before* are rows of ledger entries.
    """

    link_ref: str
    members: Sequence[Any]
    before: Sequence[Any] = ()


def regroup(
    connection: Connection, link_ref: str, members: Sequence[Any], before: Iterable[Any], now: datetime
) -> set[int]:
    """Make one link; see `regroup_all`. Return ids of every group that lost or won a member."""
    return regroup_all(connection, [Regrouping(link_ref, members, tuple(before))], now)[0]


def regroup_all(connection: Connection, links: Sequence[Regrouping], now: datetime) -> list[set[int]]:
    """Make many links that share no entry, in a few statements.

    Args:
        connection: the caller's transaction.
        links: what shall be.
        now: moment of the link; an entry that moves becomes ready at this moment (R-LS-05).

    Returns:
        Per link the ids of every group that lost or won a member, empty when nothing changed.
    """
    moves: list[dict[str, Any]] = []
    renamed: list[dict[str, Any]] = []
    leaving: list[int] = []
    touched = [_plan(link, moves, renamed, leaving) for link in links]
    this = _E.c.id == bindparam("b_id")
    if moves:
        move = update(_E).where(this).values(group_id=bindparam("b_group"), link_ref=bindparam("b_ref"), linked_at=now)
        connection.execute(move, moves)
    if renamed:
        # The source gave the same group another id (24SevenOffice does so at every link): nothing happened (L4).
        connection.execute(update(_E).where(this).values(link_ref=bindparam("b_ref")), renamed)
    for some in batches(leaving, IN_LIST_MAX):
        alone = update(_E).where(_E.c.id.in_(some)).values(group_id=_E.c.id, link_ref="", linked_at=now)
        connection.execute(alone)
    _anchored_anew(connection, links, touched)
    _left_behind(connection, links, touched, now)
    return touched


def _anchored_anew(connection: Connection, links: Sequence[Regrouping], touched: Sequence[set[int]]) -> None:
    """Rename the groups whose anchor has left for a link: it may stand in no group but its own (ADR 0002)."""
    left = {
        row.id: changed
        for link, changed in zip(links, touched, strict=True)
        for row in link.members
        if row.group_id == row.id != _anchor(link.members)
    }
    staying: dict[int, list[Any]] = {}
    for some in batches(sorted(left), IN_LIST_MAX):
        for row in connection.execute(select(_E.c.id, _E.c.kind, _E.c.group_id).where(_E.c.group_id.in_(some))):
            staying.setdefault(row.group_id, []).append(row)
    for group_id, rows in staying.items():
        name = _anchor(rows)
        connection.execute(update(_E).where(_E.c.group_id == group_id).values(group_id=name))
        left[group_id] |= {group_id, name}


def _left_behind(
    connection: Connection, links: Sequence[Regrouping], touched: Sequence[set[int]], now: datetime
) -> None:
    """Part those whom a member left for another link of its source: an entry is in one link at a time (L3).

    Without this the result would depend on whether the member that went happened to be the group's anchor (R-LK-07).
    """
    gone = {
        (row.creditor_id, row.source, row.link_ref): changed
        for link, changed in zip(links, touched, strict=True)
        for row in link.members
        if row.link_ref and row.link_ref != link.link_ref
    }
    for (creditor_id, source, link_ref), changed in gone.items():
        mine = (_E.c.creditor_id == creditor_id, _E.c.source == source, _E.c.link_ref == link_ref)
        rows = list(connection.execute(select(_E.c.id, _E.c.kind, _E.c.group_id).where(*mine)))
        name = _anchor(rows)
        moved = [row for row in rows if row.group_id != name]
        if moved:
            ids = [row.id for row in moved]
            connection.execute(update(_E).where(_E.c.id.in_(ids)).values(group_id=name, linked_at=now))
            changed |= {name, *(row.group_id for row in moved)}


def _plan(link: Regrouping, moves: list[dict[str, Any]], renamed: list[dict[str, Any]], leaving: list[int]) -> set[int]:
    """Add what one link needs to the lists; return the groups it touches."""
    anchor = _anchor(link.members)
    touched: set[int] = set()
    for row in link.members:
        change = {"b_id": row.id, "b_ref": link.link_ref}
        if row.group_id != anchor:
            moves.append(change | {"b_group": anchor})
            touched |= {row.group_id, anchor}
        elif row.link_ref != link.link_ref:
            renamed.append(change)
    staying = {member.id for member in link.members}
    for row in link.before:
        if row.id not in staying:
            leaving.append(row.id)
            touched |= {row.group_id, row.id}
    return touched


def _anchor(members: Sequence[Any]) -> int:
    """A group is named after its first invoice, else its first entry, whatever the source calls it (L4)."""
    invoices = [row.id for row in members if row.kind == EntryKind.INVOICE.value]
    return int(min(invoices or [row.id for row in members] or [0]))
