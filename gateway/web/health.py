"""``GET /health``: is every part of the house alive? Open to anyone, so it says states and nothing about anybody's data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import Blueprint, Response, jsonify
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway.db.tables import Heartbeat, Task
from gateway.services import plugins
from gateway.services.house import House

SILENT_AFTER = timedelta(seconds=60)
"""Workers and scheduler beat every five seconds; after this long without they are down (P3: one sweep)."""

_REASON_CHARACTERS = 200
_OK, _DOWN = {"state": "ok"}, {"state": "down"}
_SCHEDULER = "scheduler"
_log = structlog.get_logger()


def health_blueprint(house: House, queue_check: Callable[[], bool]) -> Blueprint:
    """Return the health page: 200 when all is well, 503 when a part is down, a plugin did not load or breaks its contract.

    Args:
        house: the house.
        queue_check: says whether the queue server answers; it returns within a second and never raises.
    """
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    def health() -> tuple[Response, int]:
        components = {**_processes(house), "queue": _OK if queue_check() else _DOWN, "plugins": _plugins(house)}
        is_well = all(component["state"] == "ok" for component in components.values())
        response = jsonify(status="ok" if is_well else "degraded", components=components)
        response.headers["Cache-Control"] = "no-store"
        return response, 200 if is_well else 503

    return blueprint


def _processes(house: House) -> dict[str, dict[str, Any]]:
    """Look into the database: that it answers is one state, what it knows of the processes the others."""
    try:
        with house.database.read() as connection:
            beats = {row.name: row.at for row in connection.execute(select(Heartbeat.name, Heartbeat.at))}
            # A worker inside a long file does not beat, but it holds a lease that it keeps renewing.
            busy = select(Task.owner).where(Task.state == "leased", Task.lease_until > house.now())
            owners = set(connection.execute(busy).scalars())
    except SQLAlchemyError as error:
        _log.error("database unreachable", error=type(error).__name__)
        return {"database": _DOWN, "scheduler": {"state": "unknown"}, "workers": {"state": "unknown"}}
    alive = {name for name, at in beats.items() if _is_alive(at, house.now())}
    working = (alive | owners) - {_SCHEDULER}
    return {
        "database": _OK,
        "scheduler": _OK if _SCHEDULER in alive else _DOWN,
        "workers": {"state": "ok" if working else "down", "alive": len(working)},
    }


def _is_alive(at: datetime, now: datetime) -> bool:
    return now - at <= SILENT_AFTER


def _plugins(house: House) -> dict[str, Any]:
    """Name every plugin: what keeps one from loading, which hook broke its promise and how, what its author should know."""
    try:
        with house.database.read() as connection:
            known = plugins.standings(house.agencies, house.now(), connection)
    except SQLAlchemyError:
        known = plugins.standings(house.agencies, house.now())
    agencies = {one.key: _plugin(one) for one in known}
    return {"state": "ok" if all(one.state == "ok" for one in known) else "degraded", "agencies": agencies}


def _plugin(one: plugins.Standing) -> dict[str, Any]:
    shown: dict[str, Any] = {"state": one.state}
    if one.problem:
        shown["reason"] = one.problem[:_REASON_CHARACTERS]
    if one.faults:  # without the detail, which may be about somebody's data
        shown["hooks"] = {f.hook: {"reason": f.reason, "at": f.at.isoformat(timespec="seconds")} for f in one.faults}
    if one.warnings:
        shown["warnings"] = list(one.warnings)
    return shown
