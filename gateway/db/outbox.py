"""The outbox: work promised inside a transaction and done outside it. The database remembers; Redis rings the bell.

pending --lease--> leased --ok------------------> done
   ^                 |--DeliveryError, crash----> pending, later … failed
   |                 |--DeliveryInDoubt---------> in_doubt (a receipt, reading back or a person decides)
   |                 |--Busy--------------------> pending, a little later; no attempt was made
   `--lease expired--'  (if repeating is safe; else in_doubt; after the fifth dead worker: stopped, a person decides)
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, Update, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from gateway.db.tables import Task
from gateway.db.uow import Database
from gateway.errors import Busy, DataError, DeliveryError, DeliveryInDoubt

LEASE = timedelta(seconds=60)
"""A dead machine's work is taken over after this; a worker that lives renews its lease three times in it."""
TASK_SECONDS_MAX = 3600
"""Longer than the largest file takes. RQ's own time-out can be swallowed by an ``except Exception`` in a plugin and does
not reach C code, so the renewing thread is the second net: past this it ends the process and the lease runs out."""
RETRY_SECONDS = (5, 30, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
"""Waits between attempts: eleven attempts over 75 hours and a half (P5)."""
JITTER = 0.1
BUSY_SECONDS = 3
"""Wait before books that others work on are tried again: a fraction of what that work may take."""
LANES = ("main", "large")
"""Work that may take minutes lies in a lane of its own, which every worker process works at beside the main one: nobody's
evening, delivery or small file waits behind another creditor's large file."""
TAKEOVERS_MAX = 5
"""Workers that may die over one task: past this it is the task that kills them, and the next one it kills is missed."""


@dataclass(frozen=True, slots=True)
class Leased:
    """One task in this worker's hands. *owner* and *attempts* are the fencing token: only who holds it records the outcome.

    The count alone is not enough: `again` starts it anew, and a worker that was thought dead may still come back.
    """

    id: int
    topic: str
    ref_id: int
    part: str
    attempts: int
    owner: str


Handler = Callable[[Leased], None]


def promise(
    connection: Connection,
    topic: str,
    ref_id: int,
    due_at: datetime,
    *,
    repeatable: bool,
    part: str = "",
    lane: str = "main",
) -> bool:
    """Add a task to the caller's transaction. Promising the same (topic, ref, part) twice is harmless: False then."""
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = connection.execute(
        module.insert(Task)
        .values(
            topic=topic,
            ref_id=ref_id,
            part=part,
            lane=lane,
            repeatable=repeatable,
            due_at=due_at,
            state="pending",
            attempts=0,
            takeovers=0,
            last_error="",
        )
        .on_conflict_do_nothing()
        .returning(Task.id)
    )
    return made.first() is not None


def again(
    connection: Connection, topic: str, ref_id: int, due_at: datetime, *, part: str = "", forgives: bool = True
) -> bool:
    """Make a finished, failed, doubtful or stopped task due once more, knowingly. False if there is no such task.

    *forgives*: the workers that died over it are forgotten. A machine that found out that a doubtful upload never
    arrived does not forgive: what killed its worker five times stays stopped until a person says otherwise.
    """
    over = ("done", "failed", "in_doubt", "stopped") if forgives else ("done", "failed", "in_doubt")
    forgiven = {"takeovers": 0} if forgives else {}
    done = connection.execute(
        update(Task)
        .where(
            Task.topic == topic,
            Task.ref_id == ref_id,
            Task.part == part,
            Task.state.in_(over),
        )
        .values(
            state="pending", due_at=due_at, attempts=0, finished_at=None, last_error="", lease_until=None, **forgiven
        )
    )
    return done.rowcount > 0


def hasten(
    connection: Connection, topic: str, refs: Select[int], due_at: datetime, *, error: str = "", is_anew: bool = False
) -> int:
    """Make waiting and failed tasks due now, those whose last error begins with *error*; return how many.

    Attempts made count on, since what keeps failing stays known as such; not with *is_anew*, for tasks whose attempts
    were no more than asking whether another one is over.
    """
    waiting = (Task.topic == topic, Task.ref_id.in_(refs), Task.state.in_(("pending", "failed")))
    forgotten = {"attempts": 0} if is_anew else {}
    found = connection.execute(
        update(Task)
        .where(*waiting, Task.last_error.startswith(error, autoescape=True))
        .values(state="pending", due_at=due_at, finished_at=None, **forgotten)
        .execution_options(synchronize_session=False)
    )
    return found.rowcount


def settle(connection: Connection, topic: str, ref_id: int, state: str, at: datetime) -> None:
    """Record that a doubtful or stopped task turned out ``done`` or ``failed`` (a receipt came, a person decided)."""
    connection.execute(
        update(Task)
        .where(Task.topic == topic, Task.ref_id == ref_id, Task.state.in_(("in_doubt", "pending", "failed", "stopped")))
        .values(state=state, finished_at=at, lease_until=None)
    )


def run_one(
    database: Database,
    handlers: Mapping[str, Handler],
    now: Callable[[], datetime],
    owner: str,
    lanes: Sequence[str] = LANES,
) -> bool:
    """Lease one due task of *lanes*, do it with no transaction open, record the outcome. False if none is due.

    *owner* is this worker's name, the same after a restart, so that `release` finds what its last life left behind.
    Errors that are not ours count as a failed attempt: a bug in one handler must not stop the others, and the row keeps
    its name for a person to see.
    """
    task = _lease(database, tuple(handlers), now(), owner, lanes)
    if task is None:
        return False
    try:
        with _renewing(database, task, now):
            handlers[task.topic](task)
    except Busy as error:
        _postpone(database, task, str(error), now(), error.retry_after)
    except DeliveryInDoubt as error:
        _finish(database, task, "in_doubt", str(error), now())
    except DataError as error:
        _finish(database, task, "failed", str(error), now())
    except DeliveryError as error:
        _retry(database, task, str(error), now(), error.retry_after)
    except Exception as error:  # noqa: BLE001  # the net under every handler, see above
        _retry(database, task, f"{type(error).__name__}: {error}", now())
    else:
        _finish(database, task, "done", "", now())
    return True


def sweep(database: Database, now: datetime) -> int:
    """Take back leases that ran out: repeatable work is due again, the rest is in doubt. Returns how many."""
    return _take_back(database, now, Task.lease_until < now)


def release(database: Database, owner: str, now: datetime) -> int:
    """Take back what an earlier life of the worker called *owner* held when it was killed. Returns how many."""
    return _take_back(database, now, Task.owner == owner)


def _take_back(database: Database, now: datetime, which: ColumnElement[bool]) -> int:
    count = Task.takeovers + 1
    free = {"lease_until": None, "takeovers": count}
    with database.write(patiently=True) as connection:
        expired = update(Task).where(Task.state == "leased", which)
        why = f"killed its worker {TAKEOVERS_MAX} times"
        stopped = connection.execute(
            expired.where(count >= TAKEOVERS_MAX).values(state="stopped", finished_at=now, last_error=why, **free)
        )
        again_ = connection.execute(
            expired.where(Task.repeatable).values(state="pending", due_at=now, last_error="worker died", **free)
        )
        doubt = connection.execute(expired.values(state="in_doubt", last_error="worker died", **free))
        return stopped.rowcount + again_.rowcount + doubt.rowcount


def due(connection: Connection, now: datetime) -> int:
    """Return how many tasks are due now."""
    return len(connection.execute(_due(now).limit(1000)).all())


def _due(now: datetime) -> Select[int]:
    return select(Task.id).where(Task.state == "pending", Task.due_at <= now).order_by(Task.due_at, Task.id)


def _lease(
    database: Database, topics: tuple[str, ...], now: datetime, owner: str, lanes: Sequence[str] = LANES
) -> Leased | None:
    mine = _due(now).where(Task.topic.in_(topics), Task.lane.in_(lanes)).limit(1)
    with database.read() as connection:
        # A look before the write lock is taken: an idle worker must not queue behind a long evening on SQLite.
        if connection.execute(mine).one_or_none() is None:
            return None
    with database.write(patiently=True) as connection:
        task_id = connection.execute(mine.with_for_update(skip_locked=True)).scalar_one_or_none()
        if task_id is None:
            return None
        row = connection.execute(
            update(Task)
            .where(Task.id == task_id)
            .values(state="leased", owner=owner, lease_until=now + LEASE, attempts=Task.attempts + 1)
            .returning(Task.id, Task.topic, Task.ref_id, Task.part, Task.attempts, Task.owner)
        ).one()
        return Leased(*row)


@contextmanager
def _renewing(database: Database, task: Leased, now: Callable[[], datetime]) -> Iterator[None]:
    over = threading.Event()
    deadline = time.monotonic() + TASK_SECONDS_MAX

    def renew() -> None:
        while not over.wait(LEASE.total_seconds() / 3):
            if time.monotonic() > deadline:
                os._exit(75)
            with suppress(SQLAlchemyError), database.write(patiently=True) as connection:
                connection.execute(_held(task).values(lease_until=now() + LEASE))

    thread = threading.Thread(target=renew, name=f"lease-{task.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _postpone(database: Database, task: Leased, error: str, now: datetime, at_least: float) -> None:
    """Let the task wait for whoever is at work. Only its holder takes the attempt back, so the token stays its own."""
    later = {"due_at": now + timedelta(seconds=max(BUSY_SECONDS, at_least)), "attempts": Task.attempts - 1}
    with database.write(patiently=True) as connection:
        connection.execute(_held(task).values(state="pending", lease_until=None, last_error=error[:2000], **later))


def _retry(database: Database, task: Leased, error: str, now: datetime, at_least: float = 0) -> None:
    if task.attempts > len(RETRY_SECONDS):
        _finish(database, task, "failed", error, now)
        return
    wait = max(RETRY_SECONDS[task.attempts - 1], at_least)
    wait *= random.uniform(1, 1 + JITTER)  # noqa: S311  # spreads load, guards nothing
    with database.write(patiently=True) as connection:
        connection.execute(
            _held(task).values(
                state="pending", due_at=now + timedelta(seconds=wait), lease_until=None, last_error=error[:2000]
            )
        )


def _finish(database: Database, task: Leased, state: str, error: str, now: datetime) -> None:
    with database.write(patiently=True) as connection:
        connection.execute(_held(task).values(state=state, finished_at=now, lease_until=None, last_error=error[:2000]))


def _held(task: Leased) -> Update:
    token = (Task.attempts == task.attempts, Task.owner == task.owner)
    return update(Task).where(Task.id == task.id, Task.state == "leased", *token)
