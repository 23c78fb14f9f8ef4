"""Signs of life of the processes, for the health page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.tables import Heartbeat
from gateway.db.uow import Database


def beat(database: Database, name: str, now: datetime, **facts: Any) -> None:
    """Say that the process called *name* is alive, with whatever *facts* a person may want to see."""
    with database.write() as connection:
        module = postgresql if connection.dialect.name == "postgresql" else sqlite
        row = module.insert(Heartbeat).values(name=name, at=now, facts=facts)
        connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"at": now, "facts": facts}))
