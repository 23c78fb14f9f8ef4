"""``kravport run``: starts everything, revives what dies, stops cleanly, leaves no orphan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from bench.kill_evening import processes_of
from gateway.queueing import connect, embedded_url, ping
from tests.test_house.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


@pytest.fixture
def installation(tmp_path):
    home, port = tmp_path / "home", free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAVPORT_")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "run"],
            env={**environment, "KRAVPORT_HOME": str(home), "KRAVPORT_PORT": str(port)},
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    _until(lambda: _health(url) == "ok", 40)
    yield process, home, url
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()


def _health(url):
    try:
        return requests.get(f"{url}/health", timeout=5).json()["status"]
    except requests.RequestException:
        return "unreachable"


def _until(is_so, seconds):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def _is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"
    except FileNotFoundError:
        return True


def test_everything_runs_dies_and_comes_back_and_stops(installation):
    process, home, url = installation
    first = processes_of(home)
    assert set(first) == {"redis", "web", "worker-1", "worker-2", "scheduler"}
    for pid in first.values():
        os.kill(pid, signal.SIGKILL)
    _until(
        lambda: set(processes_of(home)) == set(first) and not set(processes_of(home).values()) & set(first.values()), 20
    )
    _until(lambda: _health(url) == "ok", 40)
    second = processes_of(home)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert time.monotonic() - started < 10
    assert all(_is_gone(pid) for pid in second.values())
    assert not ping(connect(embedded_url(home)))


def test_children_do_not_outlive_a_killed_supervisor(installation):
    process, home, _url = installation
    children = processes_of(home)
    process.kill()
    process.wait()
    _until(lambda: all(_is_gone(pid) for pid in children.values()), 10)
    assert not ping(connect(embedded_url(home)))


def test_foreign_host_names_get_400(installation):
    _process, _home, url = installation
    assert requests.get(f"{url}/health", headers={"Host": "evil.example"}, timeout=5).status_code == 400


def test_a_queue_server_killed_while_it_starts_does_not_end_everything(monkeypatch, tmp_path):
    """Killed in the moment before its first answer, it fails to start once; the installation must come up all the same."""
    from gateway import supervisor as module
    from gateway.config import Settings
    from gateway.errors import ConfigurationError

    tries = []

    def start_embedded(_home):
        tries.append(1)
        if len(tries) == 1:
            raise ConfigurationError("the embedded queue server did not start")

    monkeypatch.setattr(module, "start_embedded", start_embedded)
    monkeypatch.setattr(module.subprocess, "Popen", lambda *_, **__: None)
    monkeypatch.setattr(module, "BACKOFF_SECONDS", (0.0, 0.0))
    module.Supervisor(Settings.from_environment({"KRAVPORT_HOME": str(tmp_path)})).start()
    assert len(tries) == 2
