"""How the agency plugins are: here, and in the workers, who tell it with their sign of life (P18, ADR 0027)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from gateway.agencies import Agencies
from gateway.db.tables import Heartbeat

FAULTS = "plugin_faults"
"""Where they stand among the facts of a heartbeat."""
TOLD_WITHIN = timedelta(minutes=10)
"""A worker that has been silent for longer may have been started anew since, with another version of the plugin."""


class HookFault(NamedTuple):
    """What a hook did last instead of what it promised. *detail* may hold values of a creditor's books."""

    hook: str
    reason: str
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """One plugin: ``ok``; ``faulty``, when hooks broke their promise and have not kept it since; ``broken``: not loaded.

    *problem* says why it did not load; *warnings* what its author should know.
    """

    key: str
    state: str
    problem: str
    faults: tuple[HookFault, ...]
    warnings: tuple[str, ...]


def standings(agencies: Agencies, now: datetime, connection: Connection | None = None) -> tuple[Standing, ...]:
    """Return how each plugin is, by key; without a *connection* only as far as this process knows."""
    known: dict[str, dict[str, HookFault]] = {}
    for key, fault in (*_own(agencies, now), *(_told(connection, now) if connection is not None else ())):
        hooks = known.setdefault(key, {})
        if fault.hook not in hooks or hooks[fault.hook].at < fault.at:
            hooks[fault.hook] = fault
    found = [Standing(key, "broken", why, (), ()) for key, why in agencies.broken.items()]
    for key in agencies.loaded:
        faults = tuple(known.get(key, {}).values())
        found.append(Standing(key, "faulty" if faults else "ok", "", faults, agencies.warnings.get(key, ())))
    return tuple(sorted(found, key=lambda one: one.key))


def as_facts(agencies: Agencies, now: datetime) -> dict[str, Any]:
    """Return what a process adds to its heartbeat; nothing while all is well."""
    told = [{"agency": key, **fault._asdict(), "at": fault.at.isoformat()} for key, fault in _own(agencies, now)]
    return {FAULTS: told} if told else {}


def _own(agencies: Agencies, now: datetime) -> Iterator[tuple[str, HookFault]]:
    for fault in agencies.faults:
        at = now - timedelta(seconds=fault.seconds_ago)
        yield fault.agency, HookFault(fault.hook, fault.reason, fault.detail, at)


def _told(connection: Connection, now: datetime) -> Iterator[tuple[str, HookFault]]:
    query = select(Heartbeat.facts).where(Heartbeat.at >= now - TOLD_WITHIN)
    for facts in connection.execute(query).scalars():
        for told in facts.get(FAULTS, ()):
            at = datetime.fromisoformat(told["at"])
            yield told["agency"], HookFault(told["hook"], told["reason"], told["detail"], at)
