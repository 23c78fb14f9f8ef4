"""The only module that commits. A service function opens one unit of work, and that is its transaction (S7).

SQLite needs two things or it loses money silently (design/stack.md section 4): every writing transaction begins with
``BEGIN IMMEDIATE``, and a reading one must not, or readers would queue behind each other for the write lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from gateway.errors import Busy

R = TypeVar("R")

TOGETHER_MAX = 64
"""Works that share one transaction: past this the commit's part in the cost of each is nothing any more."""
SORT_MEMORY = "128MB"
"""What PostgreSQL may use for one sort or hash before it takes to disk; its own default is that of a small machine."""
SQLITE_BUSY_SECONDS = 60
"""How long a writer waits for the write lock: longer than the longest evening of the embedded default takes."""
_LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's word for a lock that was waited for in vain."""


class _Work(Generic[R]):
    """What one thread wants written, and what came of it."""

    def __init__(self, work: Callable[[Connection], R]) -> None:
        self.work, self.is_done = work, False
        self._results: list[R] = []
        self._error: Exception | None = None

    def end(self, results: list[R], error: Exception | None) -> None:
        self._results, self._error, self.is_done = results, error, True

    def result(self) -> R:
        if self._error is not None:
            raise self._error
        return self._results[0]


class Database:
    """The database of this installation: SQLite (embedded default) or PostgreSQL, chosen by its URL.

    Args:
        url: ``sqlite:///path/to/file`` or ``postgresql://user@host/name`` (psycopg 3).
        patience: how long a transaction waits for a row that another one holds, before it is undone and `Busy` is
            raised; by default until that one ends, which for a payment file of a million may take minutes. SQLite, with
            its one writer, always waits its `SQLITE_BUSY_SECONDS`.
    """

    def __init__(self, url: str, patience: timedelta | None = None) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url, patience)
        self._works: deque[_Work[Any]] = deque()
        self._turn = threading.Lock()

    @contextmanager
    def write(self, *, patiently: bool = False) -> Iterator[Connection]:
        """Open the transaction of a service function; commit at the end, roll back on any exception.

        *patiently*: for what must be recorded although others hold the rows, because it has happened.

        Raises:
            Busy: others held a row for longer than this database's patience.
        """
        try:
            with self.engine.connect().execution_options(kravport_writes=True) as connection, connection.begin():
                if patiently and not self.is_sqlite:
                    connection.exec_driver_sql("set local lock_timeout = 0")
                yield connection
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
                raise Busy("these books are being worked on; nothing was changed") from error
            raise

    def write_together(self, work: Callable[[Connection], R]) -> R:
        """Run *work* in a transaction and return its result after the commit; threads that come at once share one.

        A commit waits for the disk, on SQLite every writer for the one before it: with a commit for each of many small
        works the disk decides how many there are in a second. Whoever has the turn does all that wait.

        Args:
            work: writes little and quickly. It may be run twice, when another's failure undid the shared transaction;
                an exception of its own undoes nobody else's work and is raised to its caller only.
        """
        mine = _Work(work)
        self._works.append(mine)
        while not mine.is_done:
            with self._turn:
                if not mine.is_done:
                    self._do_waiting(mine)
        return mine.result()

    def _do_waiting(self, mine: _Work[Any]) -> None:
        works = [self._works.popleft() for _ in range(min(len(self._works), TOGETHER_MAX))]
        try:
            with self.write() as connection:
                results = [one.work(connection) for one in works]
            for one, result in zip(works, results, strict=True):
                one.end([result], None)
        except Exception:  # noqa: BLE001  # whose it was is found by doing each alone, and it is raised there
            for one in works:
                self._do_alone(one)
        except BaseException:  # this thread is being ended: the others' works are theirs to do
            self._works.extend(one for one in works if one is not mine)
            raise

    def _do_alone(self, one: _Work[Any]) -> None:
        try:
            with self.write() as connection:
                result = one.work(connection)
            one.end([result], None)
        except Exception as error:  # noqa: BLE001  # raised by `result` in the thread whose work it was
            one.end([], error)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a reading transaction that sees one state of the database throughout."""
        options: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def session(self, *, writes: bool = False) -> Iterator[Session]:
        """Open an ORM session for the panel's views; with *writes* it commits at the end."""
        opened = self.write() if writes else self.read()
        with opened as connection, Session(connection, expire_on_commit=False) as session:
            yield session
            if writes:
                session.flush()

    def close(self) -> None:
        """Give back every pooled connection."""
        self.engine.dispose()


def _sqlite_engine(url: str) -> Engine:
    path = url.removeprefix("sqlite:///")
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    options = {"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=options, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we write BEGIN ourselves; the driver's own is DEFERRED and too late
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-16384",
            "temp_store=FILE",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("kravport_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: str, patience: timedelta | None) -> Engine:
    plain = url.replace("postgres://", "postgresql://", 1)
    if plain.startswith("postgresql://"):
        plain = plain.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(plain, pool_pre_ping=True, pool_size=10, max_overflow=10, hide_parameters=True)
    milliseconds = patience // timedelta(milliseconds=1) if patience is not None else 0

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: ConnectionPoolEntry) -> None:
        # Compiling our few large statements takes longer than they do; an evening's sort fits the memory of one.
        connection.execute(f"set lock_timeout = {milliseconds}; set jit = off; set work_mem = '{SORT_MEMORY}'")
        connection.commit()

    return engine
