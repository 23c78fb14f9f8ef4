"""What the sandbox agency remembers: one SQLite file, so that a kill at any line loses and repeats nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS arrival (token TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS answered (
  message TEXT, file_id TEXT, name TEXT NOT NULL, receipt BLOB NOT NULL, PRIMARY KEY (message, file_id));
CREATE TABLE IF NOT EXISTS claim (
  claim_id TEXT PRIMARY KEY, invoice_number TEXT NOT NULL, customer_number TEXT NOT NULL, case_number TEXT NOT NULL,
  header TEXT NOT NULL, reference TEXT NOT NULL, original INTEGER NOT NULL, effect INTEGER NOT NULL DEFAULT 0,
  paid INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'active');
CREATE TABLE IF NOT EXISTS item (
  item_id TEXT PRIMARY KEY, claim_id TEXT NOT NULL, element TEXT NOT NULL, effect INTEGER NOT NULL,
  content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS payment (
  number INTEGER PRIMARY KEY AUTOINCREMENT, payment_id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL,
  reverses TEXT NOT NULL DEFAULT '', claim_id TEXT NOT NULL DEFAULT '', received TEXT NOT NULL, amount INTEGER NOT NULL,
  principal INTEGER NOT NULL, interest INTEGER NOT NULL, fees INTEGER NOT NULL, unallocated INTEGER NOT NULL,
  share INTEGER NOT NULL, payer TEXT NOT NULL DEFAULT '', text TEXT NOT NULL DEFAULT '',
  reported TEXT NOT NULL DEFAULT '', settlement_id TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS settlement (
  settlement_id TEXT PRIMARY KEY, payout TEXT NOT NULL, gross INTEGER NOT NULL, fees INTEGER NOT NULL,
  vat INTEGER NOT NULL, bank_reference TEXT NOT NULL, reported TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS event (
  number INTEGER PRIMARY KEY AUTOINCREMENT, claim_id TEXT NOT NULL, state TEXT NOT NULL, stage TEXT NOT NULL,
  close_code TEXT NOT NULL, loss INTEGER NOT NULL, day TEXT NOT NULL, reported TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, content BLOB NOT NULL, due TEXT NOT NULL,
  is_released INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS refusal (kind TEXT, key TEXT, code TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (kind, key));
"""


@dataclass(frozen=True, slots=True)
class AgreementFacts:
    """The agreement as the agency has it on file.

    *needs_national_id* and *needs_organisation_number* say what the intake insists on. *creditor_account* is where
    payouts go, *agency_account* whence: Norwegian accounts of 11 digits or IBANs. *start_after* gives the last number
    seen per series, where it is not 0. *receipt_delay_seconds* holds receipts back.
    """

    client_number: str
    ledger_id: str
    currency: str
    country: str
    agency_id: str = "SANDBOX"
    agency_name: str = "Sandbox Agency"
    services: frozenset[str] = frozenset({"ledger", "collection"})
    is_test: bool = True
    needs_national_id: bool = False
    needs_organisation_number: bool = False
    creditor_account: str = "15030000017"
    agency_account: str = "15030000025"
    receipt_delay_seconds: int = 0
    start_after: Mapping[str, int] = field(default_factory=dict)


class State:
    """The database of one sandbox. Every change is made inside `transaction`."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one transaction: all of it is kept, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def all(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of *query*."""
        return self.connection.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of *query*, or None."""
        row: sqlite3.Row | None = self.connection.execute(query, values).fetchone()
        return row

    def counter(self, name: str, default: int = 0) -> int:
        """Return the last value of the counter *name*."""
        row = self.one("SELECT value FROM counter WHERE name = ?", name)
        return int(row["value"]) if row else default

    def set_counter(self, name: str, value: int) -> None:
        """Remember *value* as the last of the counter *name*."""
        self.connection.execute("INSERT OR REPLACE INTO counter VALUES (?, ?)", (name, value))

    def next_in(self, name: str) -> int:
        """Return the next number of a counter without end."""
        value = self.counter(name) + 1
        self.set_counter(name, value)
        return value

    def next_in_series(self, name: str) -> int:
        """Return the next number of a series of files, 1 to 999 and 1 again (B.2)."""
        value = self.counter(f"series.{name}") % 999 + 1
        self.set_counter(f"series.{name}", value)
        return value

    def post(self, name: str, content: bytes, due: str) -> None:
        """Put an answer into the outbox; it leaves once, not before *due* (ISO moment in UTC)."""
        self.connection.execute("INSERT INTO outbox (name, content, due) VALUES (?, ?, ?)", (name, content, due))

    def close(self) -> None:
        """Close the database file."""
        self.connection.close()
