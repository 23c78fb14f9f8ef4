"""Puts incoming payments where the list of R-PM finds them, without a file behind them being read."""

from __future__ import annotations

import io

from sqlalchemy import JSON, Boolean, String

from gateway.db.bulk import insert_rows, take_ids
from gateway.db.tables import IncomingPayment
from gateway.services import inbound


def add_incoming(house, creditor_id: int, agreement_id: int, *, count: int) -> None:
    stored = inbound.store(house, agreement_id, "test", "payments.txt", io.BytesIO(b"bytes"))
    with house.database.write() as connection:
        rows = []
        for number, payment_id in enumerate(take_ids(connection, count), 1):
            rows.append(_empty() | {
                "id": payment_id, "file_id": stored.inbound_file_id, "position": number, "amount_minor": 1000,
                "principal_minor": 1000, "currency": "NOK", "direction": "credit", "reference": str(number),
                "creditor_id": creditor_id, "agreement_id": agreement_id, "label": "Lowell", "state": "unmatched",
            })  # fmt: skip
        insert_rows(connection, IncomingPayment, tuple(rows[0]), [tuple(row.values()) for row in rows])


def _empty():
    """A row that says nothing, whatever columns there are."""
    return {
        column.name: None if column.nullable else _nothing(column.type) for column in IncomingPayment.__table__.columns
    }


def _nothing(kind):
    if isinstance(kind, String):
        return ""
    if isinstance(kind, JSON):
        return []
    return False if isinstance(kind, Boolean) else 0
