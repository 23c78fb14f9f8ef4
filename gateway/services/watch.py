"""What should have happened and did not: alarms with a name, an object and since when (R-OP-12, P6). Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from gateway.db.tables import Agreement, Envelope, InboundFile, IncomingPayment, Task
from gateway.services.house import House

UNSENT_AFTER = timedelta(minutes=15)
UNMATCHED_AFTER = timedelta(days=3)
ALARMS_MAX = 200


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that needs a person: reason code, what it is about, since when, values of its sentence."""

    code: str
    object_type: str
    object_id: int
    creditor_id: int
    since: datetime
    values: Mapping[str, Any]


def alarms(house: House, creditor_ids: Sequence[int] | None = None) -> tuple[Alarm, ...]:
    """Return what needs a person, oldest first; of these creditors, or of all."""
    now = house.now()
    with house.database.read() as connection:
        mine = Agreement.creditor_id.in_(creditor_ids) if creditor_ids is not None else Agreement.id == Agreement.id
        found = [
            *_envelopes(connection, now, mine),
            *_runs(connection, now, mine),
            *_files(connection, mine),
            *_tasks(connection, mine),
            *_payments(connection, now, mine),
        ]
    broken = [
        Alarm("plugin.broken", "plugin", 0, 0, now, {"plugin": k, "reason": v})
        for k, v in house.agencies.broken.items()
    ]
    return tuple(sorted(found, key=lambda alarm: alarm.since)[:ALARMS_MAX] + broken)


def _envelopes(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    e = Envelope
    query = (
        select(
            e.id, e.state, e.filename, e.sealed_at, e.delivered_at, e.receipt_due_at, e.receipt_at, Agreement.creditor_id,
            Agreement.display_name,
        )
        .join(Agreement, Agreement.id == e.agreement_id)
        .where(mine, e.receipt_at.is_(None), e.state.in_(("sealed", "delivered", "in_doubt", "failed")))
        .order_by(e.id)
        .limit(ALARMS_MAX)
    )  # fmt: skip
    for row in connection.execute(query):
        code, since = _envelope_fault(row, now)
        if code:
            values = {"agency": row.display_name, "file": row.filename}
            yield Alarm(code, "envelope", row.id, row.creditor_id, since, values)


def _envelope_fault(row: Any, now: datetime) -> tuple[str, datetime]:
    if row.state == "in_doubt":
        return "delivery.in_doubt", row.sealed_at
    if row.state == "failed":
        return "delivery.failed", row.sealed_at
    if row.state == "sealed" and row.sealed_at + UNSENT_AFTER < now:
        return "delivery.unsent", row.sealed_at
    if row.state == "delivered" and row.receipt_due_at is not None and row.receipt_due_at < now:
        return "receipt.missing", row.delivered_at
    return "", now


def _runs(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    query = select(Agreement.id, Agreement.creditor_id, Agreement.next_run_at, Agreement.display_name).where(
        mine, Agreement.state == "active", Agreement.next_run_at < now - UNSENT_AFTER
    )
    for row in connection.execute(query):
        values = {"agency": row.display_name, "date": row.next_run_at}
        yield Alarm("run.missed", "agreement", row.id, row.creditor_id, row.next_run_at, values)


def _files(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    f = InboundFile
    query = (
        select(f.id, f.creditor_id, f.filename, f.received_at, f.findings)
        .join(Agreement, Agreement.id == f.agreement_id)
        .where(mine, f.state.in_(("quarantined", "refused")))
        .order_by(f.id.desc())
        .limit(ALARMS_MAX)
    )
    for row in connection.execute(query):
        code = row.findings[0]["code"] if row.findings else "file.invalid"
        yield Alarm(code, "inbound_file", row.id, row.creditor_id, row.received_at, {"file": row.filename})


def _tasks(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    query = (
        select(Task.id, Task.finished_at, Task.due_at, Task.last_error, Agreement.creditor_id, Agreement.display_name)
        .join(Agreement, Agreement.id == Task.ref_id)
        .where(mine, Task.topic == "run", Task.state == "failed")
    )
    for row in connection.execute(query):
        values = {"agency": row.display_name, "reason": row.last_error}
        yield Alarm("run.failed", "task", row.id, row.creditor_id, row.finished_at or row.due_at, values)


def _payments(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    p = IncomingPayment
    query = (
        select(p.id, p.creditor_id, p.label, InboundFile.received_at)
        .join(InboundFile, InboundFile.id == p.file_id)
        .join(Agreement, Agreement.id == p.agreement_id)
        .where(mine, p.state == "unmatched", InboundFile.received_at < now - UNMATCHED_AFTER)
        .order_by(p.id)
        .limit(20)
    )
    for row in connection.execute(query):
        yield Alarm("payment.unmatched", "payment", row.id, row.creditor_id, row.received_at, {"agency": row.label})
