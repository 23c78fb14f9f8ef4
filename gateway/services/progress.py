"""How far the work on a large file has come, for panel and command line: told aside, in small transactions of its own.

The work itself stands in one transaction that nobody sees before its end, so it cannot tell. A file that is done within a
second or two is never told of.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Row, delete, func, insert, select, true, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.db.tables import Creditor, FileProgress, InboundFile
from gateway.errors import Busy
from gateway.services.house import House

TOLD_EVERY_SECONDS = 1
SILENT_AFTER = timedelta(minutes=2)
"""A file that is being stored and of which nothing was heard for so long has lost its sender or its web process."""
FILES_SHOWN = 200


class FileWork:
    """Tells of one file while it is stored or read.

    Args:
        house: the house.
        creditor_id: whose file it is.
        filename: as its sender calls it.
        inbound_file_id: None while it is being stored.
    """

    def __init__(self, house: House, creditor_id: int, filename: str, inbound_file_id: int | None = None) -> None:
        self._house, self._token, self._is_told = house, uuid.uuid4().hex, False
        self._about = {"creditor_id": creditor_id, "inbound_file_id": inbound_file_id, "filename": filename}
        self._started_at, self._last = house.now(), time.monotonic()
        self.position = 0
        """Bytes read so far; whoever reads them writes it here, and `told` passes it on."""

    def at_byte(self, position: int) -> None:
        """Note how many bytes were read; tells nobody, because the reader may be inside a transaction."""
        self.position = position

    def reading(self, size: int, rows: int) -> None:
        """Tell, not more often than once a second, how many *rows* were found; outside any transaction."""
        self._tell("reading", self.position, size, rows)

    def storing(self, position: int, size: int) -> None:
        """Tell how many bytes were stored; from inside the transaction that stores them."""
        self._tell_aside("storing", position, size, 0)

    def matching(self, rows: int) -> None:
        """Tell that all is read and the large transaction begins; just before it."""
        self._tell("matching", 0, 1, rows, at_once=self._is_told)

    def step(self, stage: str, done: int, total: int, rows: int) -> None:
        """Tell which step of the large transaction begins; from inside it."""
        self._tell_aside(stage, done, total, rows, at_once=self._is_told)

    def over(self) -> None:
        """Tell that there is nothing to tell any longer."""
        if self._is_told:
            with suppress(SQLAlchemyError, Busy), self._house.database.write() as connection:
                connection.execute(delete(FileProgress).where(FileProgress.token == self._token))

    def _tell_aside(self, stage: str, done: int, total: int, rows: int, *, at_once: bool = False) -> None:
        """SQLite has one writer, and that is the transaction: nothing can be told from inside it."""
        if not self._house.database.is_sqlite:
            self._tell(stage, done, total, rows, at_once=at_once)

    def _tell(self, stage: str, done: int, total: int, rows: int, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._last < TOLD_EVERY_SECONDS:
            return
        told = {"stage": stage, "done": done, "total": total, "rows": rows, "at": self._house.now()}
        with suppress(SQLAlchemyError, Busy):  # what is told is a courtesy: no file waits or fails for it
            self._write(told)
        self._last = time.monotonic()

    def _write(self, told: dict[str, Any]) -> None:
        with self._house.database.write() as connection:
            if self._is_told:
                connection.execute(update(FileProgress).where(FileProgress.token == self._token).values(told))
            else:
                file_id = self._about["inbound_file_id"]
                connection.execute(delete(FileProgress).where(FileProgress.inbound_file_id == file_id))
                values = {**self._about, **told, "token": self._token, "started_at": self._started_at}
                connection.execute(insert(FileProgress).values(values))
        self._is_told = True


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A file that is being stored or read, or waits for it.

    *stage*: ``storing``, ``waiting``, ``reading``, ``matching`` or ``posting``. *percent* is of that stage; None where
    nothing was told yet. *inbound_file_id* is None while the file is being stored. *size* in bytes.
    """

    inbound_file_id: int | None
    creditor: str
    filename: str
    size: int | None
    stage: str
    percent: int | None
    rows: int
    started_at: datetime
    told_at: datetime | None


def under_way(house: House, creditor_ids: Sequence[int] | None = None) -> list[UnderWay]:
    """Return the files that are being stored or read, or wait for it, oldest first; at most `FILES_SHOWN`.

    Args:
        house: the house.
        creditor_ids: whose files; None for everybody's.
    """
    with house.database.read() as connection:
        found = [*_stored(connection, creditor_ids), *_arriving(connection, creditor_ids, house.now() - SILENT_AFTER)]
    return sorted(found, key=lambda one: one.started_at)[:FILES_SHOWN]


def told_of(connection: Connection, inbound_file_ids: Sequence[int]) -> dict[int, Row[Any]]:
    """Return what was told of some files last: stage, percent and rows, by the file's id."""
    query = select(FileProgress.inbound_file_id, FileProgress.stage, _percent(), FileProgress.rows)
    rows = connection.execute(query.where(FileProgress.inbound_file_id.in_(inbound_file_ids)))
    return {row.inbound_file_id: row for row in rows if row.inbound_file_id is not None}


def _percent() -> Any:
    # The databases' own division of whole numbers: what SQLAlchemy makes of // raises on SQLite where there is nothing.
    whole = (FileProgress.done * 100).op("/", return_type=BigInteger())
    return whole(func.nullif(FileProgress.total, 0)).label("percent")


def _among(column: Any, creditor_ids: Sequence[int] | None) -> ColumnElement[bool]:
    found: ColumnElement[bool] = true() if creditor_ids is None else column.in_(creditor_ids)
    return found


def _stored(connection: Connection, creditor_ids: Sequence[int] | None) -> list[UnderWay]:
    f, p = InboundFile, FileProgress
    query = (
        select(
            f.id, Creditor.key, f.filename, f.size, f.state, p.stage, _percent(), p.rows, p.at, p.started_at,
            f.received_at,
        )
        .join(Creditor, Creditor.id == f.creditor_id)
        .outerjoin(p, p.inbound_file_id == f.id)
        .where(f.state.in_(("stored", "reading")), _among(f.creditor_id, creditor_ids))
        .order_by(f.id)
        .limit(FILES_SHOWN)
    )  # fmt: skip
    return [
        UnderWay(
            row.id, row.key, row.filename, row.size, "waiting" if row.state == "stored" else row.stage or "reading",
            row.percent, row.rows or 0, row.started_at or row.received_at, row.at,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def _arriving(connection: Connection, creditor_ids: Sequence[int] | None, heard_since: datetime) -> list[UnderWay]:
    p = FileProgress
    query = (
        select(Creditor.key, p.filename, p.total, p.stage, _percent(), p.started_at, p.at)
        .join(Creditor, Creditor.id == p.creditor_id)
        .where(p.inbound_file_id.is_(None), p.at > heard_since, _among(p.creditor_id, creditor_ids))
        .order_by(p.started_at)
        .limit(FILES_SHOWN)
    )
    return [
        UnderWay(None, row.key, row.filename, row.total, row.stage, row.percent, 0, row.started_at, row.at)
        for row in connection.execute(query)
    ]
