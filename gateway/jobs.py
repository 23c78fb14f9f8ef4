"""What workers and the scheduler do: drain the outbox when the bell rings, look anyway when it does not.

The unit of work is a row with a lease (`gateway.db.outbox`), never an RQ job: RQ loses, doubles and delays jobs when
processes are killed, and may. An RQ job here says "look into the database", so losing or doubling one is harmless.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from types import FrameType

import structlog
from redis import RedisError
from rq import SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import outbox
from gateway.db.heartbeat import beat
from gateway.db.outbox import Leased
from gateway.errors import Busy, GatewayError
from gateway.queueing import connect, queue
from gateway.services import delivery, evening, inbound, mailbox, plugins, retention, schedule
from gateway.services.house import House
from gateway.services.retention import Ages

_log = structlog.get_logger()

WORKER_TTL_SECONDS = 30
"""RQ's own book-keeping of this worker; with the default of 420 s a dead worker is not noticed for minutes."""
_RECONNECT_SECONDS = 1.0
_BEAT_SECONDS = 5.0
_SWEEP_SECONDS = 3600.0


def handlers(house: House) -> Mapping[str, outbox.Handler]:
    """Return what is done for each topic of the outbox: take an id, call one service."""

    def run(task: Leased) -> None:
        evening.make_evening(house, task.ref_id, date.fromisoformat(task.part))

    return {
        "run": run,
        "deliver": lambda task: delivery.deliver(house, task.ref_id),
        "read_back": lambda task: delivery.read_back(house, task.ref_id),
        "read": lambda task: inbound.process(house, task.ref_id),
        "fetch": lambda task: _ignore(mailbox.fetch(house, task.ref_id)),
    }


def _told(topic: str, handler: outbox.Handler) -> outbox.Handler:
    """Say in the log what was done and what went wrong; the outbox decides what follows from it."""

    def tell(task: Leased) -> None:
        about = {"topic": topic, "ref": task.ref_id, "part": task.part, "attempt": task.attempts}
        started = time.monotonic()
        try:
            handler(task)
        except Busy as error:
            _log.info("task waits", **about, why=str(error))
            raise
        except GatewayError as error:
            _log.warning("task not done", **about, error=f"{type(error).__name__}: {error}")
            raise
        except Exception:
            _log.exception("task failed", **about)
            raise
        _log.info("task done", **about, milliseconds=int((time.monotonic() - started) * 1000))

    return tell


def _ignore(_count: int) -> None:
    """A handler returns nothing; how many files came is told by the files."""


class Desk:
    """One process's house and name; made once, before the first job, so that no job pays for importing or connecting.

    Args:
        house: of this process.
        owner: the worker's name in the outbox, the same after a restart.
        lanes: whose tasks are done here.
    """

    def __init__(self, house: House, owner: str, lanes: Sequence[str] = outbox.LANES) -> None:
        self.house, self.owner, self._lanes = house, owner, lanes
        self._handlers = {topic: _told(topic, handler) for topic, handler in handlers(house).items()}
        self.is_stopping = False

    def drain(self) -> int:
        """Do what is due until nothing is, or until asked to stop; return how many tasks were done."""
        house, done = self.house, 0
        while not self.is_stopping:
            if not outbox.run_one(house.database, self._handlers, house.now, self.owner, self._lanes):
                break
            done += 1
        return done


class SideLane(threading.Thread):
    """Drains a desk of its own beside the worker's loop: large files, while the loop goes on with all that is small.

    A thread, because such a file spends its time in the database; its lease is renewed as any other.

    Args:
        desk: for the lanes the loop leaves alone.
        poll_seconds: longest time between two looks.
    """

    def __init__(self, desk: Desk, poll_seconds: int) -> None:
        super().__init__(name="large files")
        self._desk, self._poll_seconds = desk, poll_seconds
        self._bell = threading.Event()

    def wake(self) -> None:
        """Look into the database at once, or as soon as the task in hand is done."""
        self._bell.set()

    def stop(self) -> None:
        """Take nothing new; the task in hand is finished."""
        self._desk.is_stopping = True
        self._bell.set()

    def run(self) -> None:
        """Drain until stopped. A database that is away comes back."""
        while not self._desk.is_stopping:
            self._bell.clear()
            try:
                self._desk.drain()
            except (SQLAlchemyError, Busy) as error:
                _log.error("database unreachable", worker=self._desk.owner, lane="large", error=str(error))
            self._bell.wait(self._poll_seconds)


_desk: Desk | None = None


def drain() -> int:
    """The RQ job: do what is due in the main lane of this process's house; return how many tasks were done."""
    assert _desk is not None, "an RQ worker of Kravport is started by 'kravport worker', which opens the house first"
    return _desk.drain()


class _Stop(Exception):
    """Raised by a signal while the worker waits; never inside a task."""


class Worker:
    """A worker process: hears the bell through RQ, and looks into the database every few seconds although it is silent.

    Args:
        desk: house and name.
        redis_url: where the bell hangs.
        poll_seconds: longest time between two looks.
        side: the lane for large files, woken by the same bell.
    """

    def __init__(self, desk: Desk, redis_url: str, poll_seconds: int, side: SideLane) -> None:
        self._desk, self._poll_seconds, self._side = desk, poll_seconds, side
        self._queue = queue(connect(redis_url, seconds=WORKER_TTL_SECONDS))
        self._rq: SimpleWorker | None = None
        self._waits = False
        self._last_beat = 0.0

    def run(self) -> None:
        """Work until a signal says stop. What an earlier life of this worker held when it was killed is freed first."""
        global _desk  # noqa: PLW0603  # RQ calls a function by name: the process's house must be findable without args
        _desk = self._desk
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        self._patiently(self._release)
        self._side.start()
        with suppress(_Stop):
            while not self._desk.is_stopping and self._side.is_alive():
                self._side.wake()
                self._patiently(self._look)
                self._wait_for_bell()
        is_broken = not self._desk.is_stopping
        self._side.stop()
        self._side.join()
        self._leave()
        if is_broken:
            raise SystemExit("the lane for large files ended; start this worker again")

    def _release(self) -> None:
        taken = outbox.release(self._desk.house.database, self._desk.owner, self._desk.house.now())
        _log.info("worker ready", worker=self._desk.owner, taken_back=taken)

    def _look(self) -> None:
        self._desk.drain()
        if time.monotonic() - self._last_beat >= _BEAT_SECONDS:
            house, now = self._desk.house, self._desk.house.now()
            beat(house.database, self._desk.owner, now, pid=os.getpid(), **plugins.as_facts(house.agencies, now))
            self._last_beat = time.monotonic()

    def _patiently(self, action: Callable[[], None]) -> None:
        """A database that is away comes back; until then the worker waits instead of dying in a loop."""
        try:
            action()
        except (SQLAlchemyError, Busy) as error:
            _log.error("database unreachable", worker=self._desk.owner, error=str(error))
            self._rest(_RECONNECT_SECONDS)

    def _wait_for_bell(self) -> None:
        try:
            worker = self._registered()
            found = self._next_job()
            self._side.wake()
            if found is not None:
                worker.execute_job(*found)
            worker.heartbeat()
            if worker.should_run_maintenance_tasks:
                worker.run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ's own gap
        except (RedisError, OSError) as error:
            _log.warning("queue server unreachable", worker=self._desk.owner, error=str(error))
            self._rq = None
            self._rest(_RECONNECT_SECONDS)

    def _next_job(self) -> tuple[Job, Queue] | None:
        self._waits = True
        try:
            if self._desk.is_stopping:  # the signal came before we began to wait
                raise _Stop
            return Queue.dequeue_any(
                [self._queue], self._poll_seconds, connection=self._queue.connection, serializer=JSONSerializer
            )
        except DequeueTimeout:
            return None
        finally:
            self._waits = False

    def _registered(self) -> SimpleWorker:
        """RQ's worker. Its own ``work()`` is not used: without Redis it sleeps up to a minute and sees no database."""
        if self._rq is None:
            worker = SimpleWorker(
                [self._queue],
                name=f"{self._desk.owner}.{os.getpid()}.{time.monotonic_ns()}",
                connection=self._queue.connection,
                serializer=JSONSerializer,
                worker_ttl=WORKER_TTL_SECONDS,
                maintenance_interval=60,
                job_monitoring_interval=10,
                log_job_description=False,
            )
            worker.register_birth()  # type: ignore[no-untyped-call]  # RQ's own gap
            self._rq = worker
        return self._rq

    def _rest(self, seconds: float) -> None:
        self._waits = True
        try:
            if not self._desk.is_stopping:
                time.sleep(seconds)
        finally:
            self._waits = False

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._desk.is_stopping = True
        if self._waits:
            raise _Stop

    def _leave(self) -> None:
        _log.info("worker stopped", worker=self._desk.owner)
        with suppress(RedisError, OSError):
            if self._rq is not None:
                self._rq.register_death()  # type: ignore[no-untyped-call]  # RQ's own gap


class Scheduler:
    """Turns what is due by the clock into promises, once a second. Any number may run at once: the database decides.

    Args:
        house: of this process.
        tick_seconds: pause between two looks.
        ages: how long finished book-keeping is kept.
    """

    def __init__(self, house: House, tick_seconds: int, ages: Ages) -> None:
        self._house, self._tick_seconds, self._ages = house, tick_seconds, ages
        self._is_stopping = False
        self._last_beat = 0.0
        self._next_sweep = 0.0

    def run(self) -> None:
        """Tick until a signal says stop."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        _log.info("scheduler ready")
        while not self._is_stopping:
            started = time.monotonic()
            try:
                self._tick()
            except SQLAlchemyError as error:
                _log.error("database unreachable", process="scheduler", error=str(error))
            while not self._is_stopping and time.monotonic() - started < self._tick_seconds:
                time.sleep(0.05)
        _log.info("scheduler stopped")

    def _tick(self) -> None:
        made = schedule.tick(self._house)
        if made:
            _log.info("due", tasks=made)
        if time.monotonic() - self._last_beat >= _BEAT_SECONDS:
            beat(self._house.database, "scheduler", self._house.now(), pid=os.getpid())
            self._last_beat = time.monotonic()
        if time.monotonic() >= self._next_sweep:
            self._sweep()

    def _sweep(self) -> None:
        """One batch between two ticks, so that an evening never waits for the broom; then an hour's rest."""
        swept = retention.sweep(self._house, self._ages)
        if swept:
            _log.info("swept", rows=swept)
        else:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True
