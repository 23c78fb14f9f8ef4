"""The figures: what a monitor needs to ring, nobody's data, and shown to nobody else."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import update

from gateway.agencies import Agencies
from gateway.db import outbox
from gateway.db.heartbeat import beat
from gateway.db.tables import InboundFile, Task
from gateway.db.uow import Database
from gateway.services.house import House
from gateway.web.metrics import metrics_blueprint
from tests.web.conftest import World
from tests.web.test_health import Broken

TOKEN = "a token for the monitor"
LINE = re.compile(r'(?P<name>[a-z_]+)(?P<labels>\{[a-z]+="[^"\n]*"(?:,[a-z]+="[^"\n]*")*\})? (?P<value>[0-9.]+)')


def watched(app: Flask, house, token: str = "", *, queue: bool = True):
    app.register_blueprint(metrics_blueprint(house, lambda: queue, token))
    return app.test_client()


def numbers(answer) -> dict[str, float]:
    """The lines as a monitor reads them; each of them must be one."""
    assert answer.status_code == 200
    found = {}
    for line in answer.get_data(as_text=True).splitlines():
        if not line.startswith("# "):
            match = LINE.fullmatch(line)
            assert match, line
            found[match["name"] + (match["labels"] or "")] = float(match["value"])
    return found


@pytest.fixture
def world(house):
    return World(house)


def test_what_waits_what_failed_and_since_when(world, clock):
    with world.house.database.write() as connection:
        for ref in (1, 2):
            outbox.promise(connection, "read", ref, clock(), repeatable=True)
        outbox.promise(connection, "fetch", 1, clock(), repeatable=True)
        connection.execute(update(Task).where(Task.topic == "fetch").values(state="failed"))
    beat(world.house.database, "worker-1", clock(), pid=1)
    clock.advance(seconds=90)
    found = numbers(watched(world.app, world.house).get("/metrics"))

    assert found['kravport_tasks{topic="read",state="pending"}'] == 2
    assert found['kravport_tasks{topic="fetch",state="failed"}'] == 1
    assert found['kravport_task_wait_seconds{topic="read"}'] == 90
    assert 'kravport_task_wait_seconds{topic="fetch"}' not in found
    assert found['kravport_heartbeat_age_seconds{process="worker-1"}'] == 90
    assert found["kravport_database_up"] == found["kravport_queue_up"] == 1


def test_files_that_wait_for_a_person_ring(world):
    _, token = world.agreement()
    client = watched(world.app, world.house)
    client.post(f"/webhooks/lowell/{token}", data=b"one")
    assert numbers(client.get("/metrics"))['kravport_inbound_files{state="stored"}'] == 1
    with world.house.database.write() as connection:
        connection.execute(update(InboundFile).values(state="quarantined", findings=[{"code": "file.truncated"}]))
    found = numbers(client.get("/metrics"))

    assert found['kravport_inbound_files{state="quarantined"}'] == 1
    assert found['kravport_inbound_files{state="stored"}'] == 0
    assert found['kravport_alarms{code="file.truncated"}'] == 1


def test_requests_are_counted_by_endpoint_and_never_by_address(world):
    _, token = world.agreement()
    client = watched(world.app, world.house)
    for body in (b"one", b"one", b"two"):
        client.post(f"/webhooks/lowell/{token}", data=body)
    client.post("/webhooks/lowell/secret-of-somebody", data=b"x")
    client.get("/nowhere/12345678901")
    client.open("/nowhere/12345678901", method="INVENTED")
    answer = client.get("/metrics")
    found, endpoint = numbers(answer), "webhooks.receive"

    name = 'kravport_http_requests_total{endpoint="%s",method="POST",status="%s"}'
    assert [found[name % (endpoint, status)] for status in (200, 202, 404)] == [1, 2, 1]
    assert found['kravport_http_requests_total{endpoint="none",method="any",status="404"}'] == 2
    for hidden in (token, "secret-of-somebody", "12345678901", "INVENTED"):
        assert hidden not in answer.get_data(as_text=True)
    buckets = [
        value
        for name, value in found.items()
        if name.startswith(f'kravport_http_request_seconds_bucket{{endpoint="{endpoint}"')
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found[f'kravport_http_request_seconds_count{{endpoint="{endpoint}"}}'] == 4


def test_the_database_is_away(tmp_path, clock):
    house = House(Database(f"sqlite:///{tmp_path}/empty.sqlite"), Agencies(()), None, lambda: None, clock)
    found = numbers(watched(Flask(__name__), house, queue=False).get("/metrics"))
    house.database.close()

    assert (found["kravport_database_up"], found["kravport_queue_up"]) == (0, 0)


def test_a_broken_plugin_is_zero(sqlite_database, clock):
    house = House(sqlite_database, Agencies([("weird", Broken())]), None, lambda: None, clock)
    found = numbers(watched(Flask(__name__), house).get("/metrics"))

    assert found['kravport_plugin_up{agency="weird"}'] == 0
    assert found['kravport_alarms{code="plugin.broken"}'] == 1


def test_what_somebody_named_cannot_break_a_line(sqlite_house):
    name = 'worker"} 1\nkravport_tasks 9\\'
    beat(sqlite_house.database, name, sqlite_house.now(), pid=1)
    text = watched(Flask(__name__), sqlite_house).get("/metrics").get_data(as_text=True)

    assert 'process="worker\\"} 1\\nkravport_tasks 9\\\\"} 0' in text
    assert "\nkravport_tasks 9" not in text


class TestWhoMayRead:
    @pytest.mark.parametrize(
        ("address", "headers", "status"),
        [
            ("127.0.0.1", {}, 200),
            ("::1", {}, 200),
            ("10.0.0.7", {}, 401),
            ("", {}, 401),
            ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, 401),
            ("127.0.0.1", {"Forwarded": "for=203.0.113.9"}, 401),
            ("127.0.0.1", {"X-Real-IP": "203.0.113.9"}, 401),
        ],
    )
    def test_without_a_token_this_machine_only(self, sqlite_house, address, headers, status):
        client = watched(Flask(__name__), sqlite_house)
        answer = client.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})

        assert answer.status_code == status
        assert (b"kravport_tasks" in answer.data) == (status == 200)

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            (f"Bearer {TOKEN}", 200),
            (f"bearer {TOKEN}", 200),
            ("Bearer", 401),
            (f"Basic {TOKEN}", 401),
            ("Bearer æ", 401),
        ],
    )
    def test_with_a_token_who_sends_it(self, sqlite_house, given, status):
        client = watched(Flask(__name__), sqlite_house, TOKEN)
        answer = client.get("/metrics", headers={"Authorization": given.encode().decode("latin-1")})

        assert answer.status_code == status
        assert client.get("/metrics").status_code == 401, "this machine needs it too"


def test_the_whole_application_shows_them_to_a_monitor(sqlite_house, tmp_path):
    from gateway.app import create_app
    from gateway.config import Settings

    given = {"KRAVPORT_HOME": str(tmp_path), "KRAVPORT_METRICS_TOKEN": TOKEN}
    client = create_app(sqlite_house, Settings.from_environment(given)).test_client()
    found = numbers(client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}))

    assert found["kravport_database_up"] == 1
    assert client.get("/metrics").status_code == 401
