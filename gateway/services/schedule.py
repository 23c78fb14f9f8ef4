"""18:00 is a row, not a timer: the ticker turns due rows into promises, any number of tickers at once (R-LS-04)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db import audit, outbox
from gateway.db.bulk import table_of
from gateway.db.tables import Agreement, Creditor, Task
from gateway.domain.calendar import due_run, next_run
from gateway.services.delivery import resolve_doubts
from gateway.services.house import House

_A = table_of(Agreement)


def tick(house: House) -> int:
    """Promise every run and every fetch that is due, take back lost leases, look after doubtful uploads; ring the bell.

    Returns:
        How many promises were made. Called each second; when nothing is due it only reads.
    """
    now = house.now()
    made = outbox.sweep(house.database, now) if _has_expired(house, now) else 0
    with house.database.read() as connection:
        due = connection.execute(_due(now)).first() is not None
        waiting = outbox.due(connection, now)
        doubtful = connection.execute(select(Task.id).where(Task.state == "in_doubt").limit(1)).first()
    if due:
        made += _promise_due(house, now)
    if doubtful is not None:
        made += resolve_doubts(house)
    if made or waiting:
        house.ring()
    return made


def _has_expired(house: House, now: datetime) -> bool:
    expired = select(Task.id).where(Task.state == "leased", Task.lease_until < now)
    with house.database.read() as connection:
        return connection.execute(expired.limit(1)).first() is not None


def _due(now: datetime) -> Any:
    return (
        select(*_A.columns, Creditor.time_zone)
        .join(Creditor, Creditor.id == _A.c.creditor_id)
        .where(_A.c.state == "active", (_A.c.next_run_at <= now) | (_A.c.next_fetch_at <= now))
    )


def _promise_due(house: House, now: datetime) -> int:
    made = 0
    with house.database.write() as connection:
        # Of two tickers one takes a row; an agreement whose run is at work is looked at again in a second.
        for row in connection.execute(_due(now).with_for_update(of=_A, key_share=True, skip_locked=True)).all():
            if row.next_fetch_at is not None and row.next_fetch_at <= now:
                made += _promise_fetch(connection, row, now)
            if row.next_run_at is not None and row.next_run_at <= now:
                made += _promise_run(connection, row, now)
    return made


def _promise_fetch(connection: Connection, row: Any, now: datetime) -> int:
    minutes = timedelta(minutes=row.fetch_minutes)
    connection.execute(update(_A).where(_A.c.id == row.id).values(next_fetch_at=now + minutes))
    # One row for all turns: a mailbox that stays shut is one task with a growing count, not one more every quarter.
    if not outbox.promise(connection, "fetch", row.id, now, repeatable=True):
        done = select(Task.state).where(Task.topic == "fetch", Task.ref_id == row.id, Task.part == "")
        state = connection.execute(done).scalar_one()
        if state == "stopped":
            return 0  # it kills its workers; only a person has it tried again
        if state in {"pending", "failed"}:
            outbox.hasten(connection, "fetch", select(_A.c.id).where(_A.c.id == row.id), now)
        else:
            outbox.again(connection, "fetch", row.id, now)
    return 1


def _promise_run(connection: Connection, row: Any, now: datetime) -> int:
    """Promise the latest missed evening, once; name the ones before it, which have no run of their own."""
    local = time.fromisoformat(row.transfer_time)
    run = due_run(row.last_business_date, now, local, row.time_zone)
    connection.execute(update(_A).where(_A.c.id == row.id).values(next_run_at=next_run(now, local, row.time_zone)))
    if run is None:
        return 0
    if run.missed:
        days = [str(day) for day in run.missed]
        audit.record(connection, row.creditor_id, now, audit.SYSTEM, "run.missed", "agreement", row.id, days=days)
    outbox.promise(connection, "run", row.id, now, repeatable=True, part=run.business_date.isoformat())
    return 1
