"""Ledger entries that Kravport itself makes: splits, corrections, posted payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.db.bulk import insert_rows, take_ids
from gateway.db.tables import Creditor, LedgerEntry
from gateway.domain.calendar import local_date

SOURCE = "kravport"
"""Source of entries made here; their external id says from what they were made."""

_COPIED = ("creditor_id", "customer_id", "currency", "payment_reference", "bank_reference", "is_bank", "voucher_kind")


def derived_entry(row: Any, role: str, *, now: datetime, **values: Any) -> dict[str, Any]:
    """Return a new entry made from *row*: same customer and currency, *role* in its external id, *values* on top.

    The external id is computed, not drawn, so that doing the same twice is refused by the database.
    """
    made = {name: getattr(row, name) for name in _COPIED}
    made |= {
        "source": SOURCE,
        "external_id": f"{role}:{row.id}",
        "booked": None,  # the creditor's own day, found when the entry is written
        "order_status": "invoiced",
        "invoiced_at": now,
        "linked_at": now,
        "received_at": now,
        "origin": "creditor",
        "text": row.text,
        "due": None,
        "content_hash": "",
    }
    return made | values


def mark_of(row: Any) -> dict[str, Any]:
    """Return the *do not transfer* mark of an entry, for entries that take its place or undo it."""
    return {name: getattr(row, name) for name in ("do_not_transfer", "do_not_transfer_by", "do_not_transfer_at")}


def book_day(connection: Connection, creditor_id: int, now: datetime) -> date:
    """Return the creditor's calendar day at *now*: between midnight and morning that is not the day in UTC."""
    zone = connection.execute(select(Creditor.time_zone).where(Creditor.id == creditor_id)).scalar_one()
    return local_date(now, zone)


def insert_entries(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Insert entries made here and return their ids; an entry without *group_id* stands alone."""
    ids = take_ids(connection, len(entries))
    for entry_id, entry in zip(ids, entries, strict=True):
        values = {"id": entry_id, "group_id": entry_id} | dict(entry)
        values["booked"] = values["booked"] or book_day(connection, values["creditor_id"], values["received_at"])
        insert_rows(connection, LedgerEntry, tuple(values), [tuple(values.values())])
    return tuple(ids)
