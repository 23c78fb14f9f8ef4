"""The figures of the house for a monitoring system: what waits, what is stuck, who is alive. Counts only, nobody's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.db.tables import Heartbeat, InboundFile, Task
from gateway.services import watch
from gateway.services.house import House

_UNDONE = ("pending", "leased", "failed", "in_doubt", "stopped")
_OPEN_FILES = ("stored", "reading", "quarantined", "refused")


@dataclass(frozen=True, slots=True)
class Sample:
    """One number with the labels that tell it from its sisters."""

    value: int
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that goes up and down. *name* ends with its unit where it has one."""

    name: str
    text: str
    samples: Sequence[Sample]


def figures(house: House) -> tuple[Gauge, ...]:
    """Return every figure the database and the loaded plugins give; raises what the database raises when it is away."""
    now = house.now()
    with house.database.read() as connection:
        gauges = (_tasks(connection), _waiting(connection, now), _files(connection), _beats(connection, now))
    return (*gauges, _alarms(house), _plugins(house))


def _tasks(connection: Connection) -> Gauge:
    query = select(Task.topic, Task.state, func.count()).where(Task.state.in_(_UNDONE)).group_by(Task.topic, Task.state)
    samples = [Sample(count, {"topic": topic, "state": state}) for topic, state, count in connection.execute(query)]
    return Gauge("kravport_tasks", "Promises of the outbox that are not done, by topic and state.", samples)


def _waiting(connection: Connection, now: datetime) -> Gauge:
    query = (
        select(Task.topic, func.min(Task.due_at))
        .where(Task.state == "pending", Task.due_at <= now)
        .group_by(Task.topic)
    )
    samples = [Sample(_seconds(since, now), {"topic": topic}) for topic, since in connection.execute(query)]
    return Gauge("kravport_task_wait_seconds", "How long the oldest due promise of a topic has waited.", samples)


def _files(connection: Connection) -> Gauge:
    query = select(InboundFile.state, func.count().label("files")).where(InboundFile.state.in_(_OPEN_FILES))
    found = {row.state: row.files for row in connection.execute(query.group_by(InboundFile.state))}
    samples = [Sample(found.get(state, 0), {"state": state}) for state in _OPEN_FILES]
    return Gauge("kravport_inbound_files", "Inbound files that are not imported, by state.", samples)


def _beats(connection: Connection, now: datetime) -> Gauge:
    rows = connection.execute(select(Heartbeat.name, Heartbeat.at).order_by(Heartbeat.name))
    samples = [Sample(_seconds(at, now), {"process": name}) for name, at in rows]
    return Gauge(
        "kravport_heartbeat_age_seconds", "Time since a worker or the scheduler said that it is alive.", samples
    )


def _alarms(house: House) -> Gauge:
    counted = Counter(alarm.code for alarm in watch.alarms(house))
    samples = [Sample(count, {"code": code}) for code, count in sorted(counted.items())]
    text = f"What needs a person, by reason code; counting ends at {watch.ALARMS_MAX} in all."
    return Gauge("kravport_alarms", text, samples)


def _plugins(house: House) -> Gauge:
    loaded = [Sample(1, {"agency": name}) for name in house.agencies.loaded]
    broken = [Sample(0, {"agency": name}) for name in house.agencies.broken]
    return Gauge("kravport_plugin_up", "Whether an agency's plugin is loaded.", [*loaded, *broken])


def _seconds(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds()))
