"""The only module that commits. A service function opens one unit of work, and that is its transaction (S7).

SQLite needs two things or it loses money silently (design/stack.md section 4): every writing transaction begins with
``BEGIN IMMEDIATE``, and a reading one must not, or readers would queue behind each other for the write lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

SQLITE_BUSY_SECONDS = 60
"""How long a writer waits for the write lock: longer than the longest evening of the embedded default takes."""


class Database:
    """The database of this installation: SQLite (embedded default) or PostgreSQL, chosen by its URL.

    Args:
        url: ``sqlite:///path/to/file`` or ``postgresql://user@host/name`` (psycopg 3).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open the transaction of a service function; commit at the end, roll back on any exception."""
        with self.engine.connect().execution_options(kravport_writes=True) as connection, connection.begin():
            yield connection

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
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we write BEGIN ourselves; the driver's own is DEFERRED and too late
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-65536",
            "temp_store=FILE",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("kravport_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: str) -> Engine:
    plain = url.replace("postgres://", "postgresql://", 1)
    if plain.startswith("postgresql://"):
        plain = plain.replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(plain, pool_pre_ping=True, pool_size=10, max_overflow=10)
