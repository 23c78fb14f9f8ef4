"""What a sandbox with an API remembers of itself: one SQLite file with tokens, requests, creations and waiting webhooks."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS api_token (token TEXT PRIMARY KEY, client_id TEXT NOT NULL, scope TEXT NOT NULL, ends TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS api_call (
  number INTEGER PRIMARY KEY AUTOINCREMENT, moment TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
  query TEXT NOT NULL, body BLOB NOT NULL, status INTEGER NOT NULL, is_committed INTEGER NOT NULL, trouble TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS api_created (kind TEXT NOT NULL, key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS api_push (
  number INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
  is_taken INTEGER NOT NULL DEFAULT 0);
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the sandbox saw it.

    *status* is what the agency decided, whatever reached the client; 0: it was never asked. *is_committed* says whether
    the effect was kept. *trouble* is the way in which the line misbehaved, empty for none.
    """

    number: int
    moment: str
    method: str
    path: str
    query: str
    body: bytes
    status: int
    is_committed: bool
    trouble: str


class Books:
    """The database file of one sandbox, for all threads that serve it.

    Args:
        file: made when it is not there, taken up again when it is.
        tables: ``CREATE TABLE IF NOT EXISTS`` statements of the agency's own.
    """

    def __init__(self, file: Path, tables: str = "") -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL"):  # outlives a kill, if not a power cut
            self._connection.execute(line)
        self._connection.executescript(_TABLES + tables)
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one transaction, kept whole or not at all; inside another one it is part of that."""
        with self._lock, ExitStack() as work:
            if not self._connection.in_transaction:
                work.enter_context(self._connection)  # commits at the end, undoes when something is raised
                self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()


def calls_of(connection: sqlite3.Connection) -> list[Call]:
    """Return all requests, oldest first."""
    rows = connection.execute("SELECT * FROM api_call ORDER BY number").fetchall()
    return [Call(**{**dict(row), "is_committed": bool(row["is_committed"])}) for row in rows]
