"""What only served the machine goes after a while; what tells of the business stays (promises: retention).

Never touched: files and their bytes, envelopes, ledger, payments, the audit trail, and the ids of webhook messages, which
are what stops a replay after years. A swept row is one whose work is done and whose absence nothing depends on:

* done promises: a run is guarded by its agreement's last business date, a file by its state; a delivery's promise stays
  while its envelope has no receipt, because a person may still send that once more.
* arrivals: channel, name and moment of the first one stand on the file itself.
* answers kept for an Idempotency-Key: a later repetition meets the ledger, which is idempotent on external ids.
* signs of life of processes that are no more, and what was told of files whose web process died while it stored them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select, true, tuple_

from gateway.db.bulk import table_of
from gateway.db.tables import Base, Envelope, FileProgress, Heartbeat, InboundArrival, KeptAnswer, Task
from gateway.services.house import House

TOLD_DAYS = timedelta(days=1)
BATCH = 1000
"""Rows deleted in one transaction: a few milliseconds in which nobody else can write on SQLite."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How many days finished book-keeping is kept; settings of the installation, each with a lower bound."""

    tasks_days: int
    arrivals_days: int
    answers_days: int


def sweep(house: House, ages: Ages) -> int:
    """Delete one batch of each kind of row that is older than its age; return how many rows went.

    Any number of schedulers may sweep at once. 0 means that nothing is left for now.
    """
    now = house.now()
    done = now - timedelta(days=ages.tasks_days)
    return (
        _delete(house, Task, _is_done(done), Task.due_at)
        + _delete_arrivals(house, now - timedelta(days=ages.arrivals_days))
        + _delete(house, KeptAnswer, KeptAnswer.claimed_at < now - timedelta(days=ages.answers_days))
        + _delete(house, Heartbeat, Heartbeat.at < done)
        + _delete(house, FileProgress, FileProgress.at < now - TOLD_DAYS)
    )


def _is_done(before: datetime) -> ColumnElement[bool]:
    answered = exists().where(Envelope.id == Task.ref_id, Envelope.receipt_at.is_not(None))
    # What is due is done later than that, so the index on (state, due_at) finds the old ones.
    finished = and_(Task.state == "done", Task.due_at < before, Task.finished_at < before)
    return and_(finished, or_(Task.topic != "deliver", answered))


def _delete_arrivals(house: House, before: datetime) -> int:
    """Arrivals are numbered in the order they came, so the oldest are looked at and no index on the moment is kept."""
    oldest = select(InboundArrival.id, InboundArrival.at).order_by(InboundArrival.id).limit(BATCH).subquery()
    return _execute(house, select(oldest.c.id).where(oldest.c.at < before), InboundArrival, true())


def _delete(house: House, mapped: type[Base], which: ColumnElement[bool], order: Any = None) -> int:
    keys = select(*table_of(mapped).primary_key.columns).where(which).order_by(order).limit(BATCH)
    return _execute(house, keys, mapped, which)


def _execute(house: House, keys: Select[Any], mapped: type[Base], which: ColumnElement[bool]) -> int:
    with house.database.read() as connection:
        if connection.execute(keys.limit(1)).first() is None:
            return 0
    primary = tuple_(*table_of(mapped).primary_key.columns)
    with house.database.write() as connection:
        # *which* once more: a promise that was made due again in this very moment is passed over.
        return connection.execute(delete(mapped).where(primary.in_(keys), which)).rowcount
