"""The health page: every part by name, 503 when one is down, nothing about anybody's data."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import insert

from gateway.agencies import Agencies
from gateway.db.heartbeat import beat
from gateway.db.tables import Task
from gateway.db.uow import Database
from gateway.services.house import House
from gateway.web.health import SILENT_AFTER, health_blueprint


class Broken:
    """Stands for a plugin that is none."""


@pytest.fixture
def quiet(sqlite_database, clock):
    """A house without any plugin, so that only what a test does decides."""
    return House(sqlite_database, Agencies(()), secrets=None, ring=lambda: None, now=clock)


def ask(house, *, queue: bool = True):
    app = Flask(__name__)
    app.register_blueprint(health_blueprint(house, lambda: queue))
    return app.test_client().get("/health")


def alive(house):
    for name in ("scheduler", "worker-1"):
        beat(house.database, name, house.now(), pid=1)


def test_all_is_well(quiet):
    alive(quiet)
    answer = ask(quiet)

    assert answer.status_code == 200
    assert answer.json["status"] == "ok"
    assert set(answer.json["components"]) == {"database", "queue", "scheduler", "workers", "plugins"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_silent_process_is_down(quiet, clock):
    alive(quiet)
    clock.advance(seconds=SILENT_AFTER.total_seconds() + 1)
    beat(quiet.database, "worker-1", quiet.now(), pid=1)
    answer = ask(quiet)

    assert (answer.status_code, answer.json["status"]) == (503, "degraded")
    states = {name: part["state"] for name, part in answer.json["components"].items()}
    assert states == {"database": "ok", "queue": "ok", "scheduler": "down", "workers": "ok", "plugins": "ok"}


def test_without_workers(quiet):
    beat(quiet.database, "scheduler", quiet.now(), pid=1)

    assert ask(quiet).json["components"]["workers"] == {"state": "down", "alive": 0}


def test_a_worker_deep_in_a_file_is_alive(quiet):
    """It cannot beat meanwhile, but it holds a lease that it renews."""
    beat(quiet.database, "scheduler", quiet.now(), pid=1)
    with quiet.database.write() as connection:
        connection.execute(
            insert(Task).values(
                topic="read", ref_id=1, repeatable=True, state="leased", owner="worker-7", due_at=quiet.now(),
                lease_until=quiet.now() + timedelta(seconds=30),
            )
        )  # fmt: skip

    assert ask(quiet).json["components"]["workers"] == {"state": "ok", "alive": 1}


def test_the_queue_is_down(quiet):
    alive(quiet)
    answer = ask(quiet, queue=False)

    assert (answer.status_code, answer.json["components"]["queue"]) == (503, {"state": "down"})


def test_the_database_is_away(tmp_path, clock):
    house = House(Database(f"sqlite:///{tmp_path}/empty.sqlite"), Agencies(()), None, lambda: None, clock)
    answer = ask(house)
    house.database.close()

    assert answer.status_code == 503
    assert answer.json["components"]["database"] == {"state": "down"}
    assert "sqlite" not in json.dumps(answer.json)


def test_a_broken_plugin_is_named_with_its_reason(quiet, clock):
    alive(quiet)
    house = House(quiet.database, Agencies([("weird", Broken())]), None, lambda: None, clock)
    answer = ask(house)

    assert answer.status_code == 503
    plugins = answer.json["components"]["plugins"]
    assert plugins == {
        "state": "degraded",
        "agencies": {"weird": {"state": "broken", "reason": "is Broken, not AgencyHooks"}},
    }
