"""Trying a failed promise of the outbox again, on a person's word."""

from __future__ import annotations

from sqlalchemy import select, update

from gateway.db import audit, outbox
from gateway.db.tables import Envelope, Task
from gateway.errors import NotFound, Refused
from gateway.services.house import House


def retry(house: House, task_id: int, actor: str) -> None:
    """Make a failed or stopped task due now, with all its attempts before it again.

    Raises:
        NotFound: no such task.
        Refused: ``delivery.in_doubt``: bytes may have arrived, so a person clears the delivery up instead.
    """
    with house.database.write() as connection:
        row = connection.execute(
            select(Task.topic, Task.ref_id, Task.part, Task.state, Task.repeatable)
            .where(Task.id == task_id)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound(f"no task {task_id}")
        if row.state == "in_doubt" or (row.state == "stopped" and not row.repeatable):
            raise Refused("delivery.in_doubt", agency="", sequence=row.ref_id)
        outbox.again(connection, row.topic, row.ref_id, house.now(), part=row.part)
        if row.topic == "deliver":
            connection.execute(
                update(Envelope).where(Envelope.id == row.ref_id, Envelope.state == "failed").values(state="sealed")
            )
        audit.record(
            connection, 0, house.now(), actor, "task.retried", "task", task_id, topic=row.topic, ref=row.ref_id
        )
    house.ring()
