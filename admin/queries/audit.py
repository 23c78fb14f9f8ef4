"""Reading the audit trail. It has no index by object, so looking for one looks back a bounded way only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select

from gateway.db.tables import AuditEvent

LOOK_BACK = 5000
"""Events of a creditor looked through for one object's story."""


def chain(creditor_id: int) -> Select[Any]:
    """Select one chain, for a list."""
    return select(*AuditEvent.__table__.columns).where(AuditEvent.creditor_id == creditor_id)


def last_number(connection: Connection, creditor_id: int) -> int:
    """Return the number of the newest event of a chain, 0 for an empty one."""
    query = select(func.max(AuditEvent.number)).where(AuditEvent.creditor_id == creditor_id)
    return int(connection.execute(query).scalar_one() or 0)


def of_objects(connection: Connection, creditor_id: int, object_type: str, ids: Sequence[int]) -> list[Any]:
    """Return recent events about some objects, oldest first."""
    since = last_number(connection, creditor_id) - LOOK_BACK
    query = chain(creditor_id).where(
        AuditEvent.number > since,
        AuditEvent.object_type == object_type,
        AuditEvent.object_id.in_([str(entry_id) for entry_id in ids]),
    )
    return list(connection.execute(query.order_by(AuditEvent.number)))


def actions(connection: Connection, creditor_id: int) -> list[str]:
    """Return the kinds of action among the newest events of a chain, for the filter."""
    since = last_number(connection, creditor_id) - LOOK_BACK
    query = select(AuditEvent.action).where(AuditEvent.creditor_id == creditor_id, AuditEvent.number > since)
    return list(connection.execute(query.distinct().order_by(AuditEvent.action)).scalars())
