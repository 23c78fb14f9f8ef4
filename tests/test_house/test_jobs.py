"""Workers: a bell wakes them, silence does not stop them, death loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from gateway import jobs
from gateway.db import outbox, schema
from gateway.db.tables import Task
from gateway.db.uow import Database
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt
from gateway.jobs import Desk
from gateway.queueing import Bell, connect, embedded_url, queue, start_embedded
from gateway.services.mailbox import fetch_now


@pytest.fixture
def bell_url(tmp_path):
    process = start_embedded(tmp_path / "home")
    yield embedded_url(tmp_path / "home")
    process.kill()
    process.wait()


def promise(house, topic, ref, **more):
    with house.database.write() as connection:
        outbox.promise(connection, topic, ref, house.now(), repeatable=True, **more)


def states(house):
    from sqlalchemy import select

    with house.database.read() as connection:
        return {(row.topic, row.ref_id): row.state for row in connection.execute(select(Task.__table__))}


@pytest.fixture
def desk(house, monkeypatch):
    """A desk whose services are replaced by a list of what was asked of them."""
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(jobs, "handlers", lambda _house: {
        "run": lambda task: asked.append(("run", task.ref_id)),
        "late": lambda task: _raise(DeliveryError("away")),
        "doubt": lambda task: _raise(DeliveryInDoubt("perhaps")),
        "wrong": lambda task: _raise(DataError("no")),
        "bug": lambda task: _raise(ZeroDivisionError()),
    })  # fmt: skip
    made = Desk(house, "worker-1")
    made.asked = asked
    return made


def _raise(error):
    raise error


def test_every_topic_that_services_promise_has_a_handler(sqlite_house):
    """A promise nobody keeps would wait for ever: topics are looked for in the source of the services."""
    import re
    from pathlib import Path

    source = "".join(path.read_text() for path in Path(jobs.__file__).parent.joinpath("services").glob("*.py"))
    promised = set(re.findall(r"outbox\.(?:promise|again)\(\s*connection,\s*\"(\w+)\"", source))
    assert promised >= {"run", "deliver", "read", "fetch"}
    assert promised <= set(jobs.handlers(sqlite_house))


def test_a_drain_does_everything_that_is_due(desk, house):
    for ref in range(5):
        promise(house, "run", ref)
    assert desk.drain() == 5
    assert desk.asked == [("run", ref) for ref in range(5)]
    assert desk.drain() == 0


def test_one_bad_task_does_not_stop_the_others(desk, house):
    for ref, topic in enumerate(["late", "doubt", "wrong", "bug", "run"]):
        promise(house, topic, ref)
    desk.drain()
    assert states(house) == {
        ("late", 0): "pending",
        ("doubt", 1): "in_doubt",
        ("wrong", 2): "failed",
        ("bug", 3): "pending",
        ("run", 4): "done",
    }


def test_a_desk_that_is_stopping_takes_nothing_new(desk, house):
    promise(house, "run", 1)
    desk.is_stopping = True
    assert desk.drain() == 0
    assert states(house) == {("run", 1): "pending"}


def test_the_bell_is_a_real_rq_job_in_json(desk, house, bell_url, monkeypatch):
    monkeypatch.setattr(jobs, "_desk", desk)
    promise(house, "run", 7)
    Bell(bell_url).ring()
    rung = queue(connect(bell_url, seconds=10))
    worker = SimpleWorker([rung], connection=rung.connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="ERROR")
    assert desk.asked == [("run", 7)]
    assert rung.failed_job_registry.count == 0


def test_fetch_now_is_due_at_once_and_many_bells_are_one_look(house, clock):
    """An agency may ring once per case of an evening. What rings while a look is under way needs another one."""
    looks: list[int] = []

    def look(task):
        looks.append(task.ref_id)
        clock.advance(seconds=1)
        if len(looks) == 1:
            fetch_now(house, task.ref_id)
            fetch_now(house, task.ref_id)

    for agreement_id in (3, 3, 4, 3):
        fetch_now(house, agreement_id)
    while outbox.run_one(house.database, {"fetch": look}, clock, "worker-1"):
        pass
    assert sorted(looks) == [3, 3, 4]


def _worker_process(home, **more):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAVPORT_")}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "worker"],
        env={**environment, "KRAVPORT_HOME": str(home), "KRAVPORT_POLL_SECONDS": "1", **more},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    database = Database(f"sqlite:///{folder / 'kravport.sqlite'}")
    schema.upgrade(database)
    yield folder, database
    database.close()


def _wait(process, word, seconds=20):
    """Read the worker's log until a line holds *word*."""
    found: list[str] = []

    def read():
        for line in process.stderr:
            if word in line:
                found.append(line)
                return

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(seconds)
    assert found, f"no {word!r} in the log"
    return found[0]


def _ended(process):
    process.wait(10)
    process.stderr.close()
    return process.returncode


def _promise_fetch(database, ref):
    from gateway import clock

    with database.write() as connection:
        outbox.promise(connection, "fetch", ref, clock.now(), repeatable=True)


def test_a_worker_without_redis_still_works_from_the_database(home):
    folder, database = home
    worker = _worker_process(folder)
    try:
        _wait(worker, "worker ready")
        _promise_fetch(database, 404)  # an agreement that does not exist: done as a failed task, not as a crash
        assert "NotFound" in _wait(worker, "task not done")
    finally:
        worker.terminate()
        assert _ended(worker) == 0


def test_a_worker_stops_within_seconds_while_it_waits(home, bell_url):
    folder, _ = home
    worker = _worker_process(folder, KRAVPORT_POLL_SECONDS="60")
    _wait(worker, "worker ready")
    time.sleep(1)
    started = time.monotonic()
    worker.terminate()
    assert _ended(worker) == 0
    assert time.monotonic() - started < 5


def test_a_bell_wakes_a_worker_long_before_its_next_look(home, bell_url):
    folder, database = home
    worker = _worker_process(folder, KRAVPORT_POLL_SECONDS="60")
    try:
        _wait(worker, "worker ready")
        time.sleep(1)
        _promise_fetch(database, 405)
        started = time.monotonic()
        Bell(bell_url).ring()
        _wait(worker, "task not done")
        assert time.monotonic() - started < 5
    finally:
        worker.terminate()
        _ended(worker)


def test_what_a_killed_worker_held_is_taken_back_at_its_next_start(home):
    folder, database = home
    from gateway import clock

    with database.write() as connection:
        outbox.promise(connection, "fetch", 406, clock.now(), repeatable=True)
    with database.write() as connection:
        leased = {"state": "leased", "owner": "worker-1", "lease_until": clock.now().replace(year=2099), "attempts": 1}
        connection.execute(Task.__table__.update().values(**leased))
    worker = _worker_process(folder)
    try:
        assert '"taken_back": 1' in _wait(worker, "worker ready")
        _wait(worker, "task not done")
    finally:
        worker.send_signal(signal.SIGTERM)
        _ended(worker)
