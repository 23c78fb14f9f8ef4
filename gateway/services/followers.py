"""Files that wait for an earlier one of their agreement: who says so, and when they need not wait any longer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from gateway.db import outbox
from gateway.db.tables import Envelope

WAITS = "waits for "
"""Begins the error of an upload that waits; the name of the earlier file follows."""


def free_followers(connection: Connection, agreement_id: int, now: datetime) -> int:
    """Make the files due that waited for an earlier one, which arrived: not hours later, when their own wait is over.

    They begin anew: a file that waited for days has not been tried once, and must not fail at the first broken line.
    """
    sealed = select(Envelope.id).where(Envelope.agreement_id == agreement_id, Envelope.state == "sealed")
    return outbox.hasten(connection, "deliver", sealed, now, error=WAITS, is_anew=True)
