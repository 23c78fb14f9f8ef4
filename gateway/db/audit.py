"""The audit trail: append-only, each row's hash covers the one before, one chain per creditor (P17)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, text

from gateway.db.tables import AuditEvent

SYSTEM = "system"
"""Actor of what no person asked for."""


def acts(
    connection: Connection, creditor_id: int, object_type: str, object_id: object, actions: Collection[str]
) -> Sequence[str]:
    """Return which of *actions* were done to an object, oldest first: also when the ledger no longer shows it."""
    e = AuditEvent
    mine = (e.creditor_id == creditor_id, e.object_type == object_type, e.object_id == str(object_id))
    return connection.execute(select(e.action).where(*mine, e.action.in_(actions)).order_by(e.number)).scalars().all()


def record(
    connection: Connection,
    creditor_id: int,
    at: datetime,
    actor: str,
    action: str,
    object_type: str,
    object_id: object,
    **facts: Any,
) -> None:
    """Append one event in the caller's transaction.

    Args:
        connection: the caller's transaction.
        creditor_id: whose chain; 0 is the installation's.
        at: moment of the act.
        actor: e-mail of the person, ``api:<key>``, ``agency:<key>`` or `SYSTEM`.
        action: verb in the trade's words ("invoice.marked", "run.finished").
        object_type: what it was done to.
        object_id: which one.
        facts: what changed; no national ids, no secrets.
    """
    if connection.dialect.name == "postgresql":
        # Two transactions may not take the same number; the lock ends with the transaction.
        connection.execute(text("select pg_advisory_xact_lock(7420, :creditor)"), {"creditor": creditor_id})
    last = connection.execute(
        select(AuditEvent.number, AuditEvent.hash)
        .where(AuditEvent.creditor_id == creditor_id)
        .order_by(AuditEvent.number.desc())
        .limit(1)
    ).one_or_none()
    number, before = (last.number + 1, last.hash) if last else (1, "")
    row = {
        "creditor_id": creditor_id,
        "number": number,
        "at": at,
        "actor": actor,
        "action": action,
        "object_type": object_type,
        "object_id": str(object_id),
        "facts": facts,
    }
    connection.execute(insert(AuditEvent).values(**row, hash=_link(before, row)))


@dataclass(frozen=True, slots=True)
class ChainFault:
    """The first row of a chain whose hash does not follow from the row before it."""

    creditor_id: int
    number: int
    reason: str


def verify(connection: Connection, creditor_id: int) -> ChainFault | None:
    """Check a creditor's chain from its beginning; return the first fault, or None."""
    before, expected = "", 1
    query = select(AuditEvent).where(AuditEvent.creditor_id == creditor_id).order_by(AuditEvent.number)
    for row in connection.execute(query.execution_options(yield_per=1000)).mappings():
        if row["number"] != expected:
            return ChainFault(creditor_id, expected, "row is missing")
        if row["hash"] != _link(before, dict(row)):
            return ChainFault(creditor_id, expected, "row was changed")
        before, expected = row["hash"], expected + 1
    return None


def _link(before: str, row: Mapping[str, Any]) -> str:
    facts = json.dumps(row["facts"], sort_keys=True, ensure_ascii=False, default=str)
    at = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    parts = [before, str(row["creditor_id"]), str(row["number"]), at]
    parts += [row[name] for name in ("actor", "action", "object_type", "object_id")] + [facts]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
