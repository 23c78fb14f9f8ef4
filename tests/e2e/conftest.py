"""Whole evenings, lived through once per test session and looked at by several tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.queueing import connect, ping, server_binary

REQUIRED = (
    "exported", "held", "delivered", "receipts_accepted", "receipts_rejected", "payments_imported", "payments_matched",
    "payments_posted", "invoices_closed", "ledgers_agree",
)  # fmt: skip


@dataclass(frozen=True)
class Lived:
    """A demo that has ended: its home folder, its last line, its business state, what it said on the way."""

    home: Path
    result: dict
    state: dict
    progress: str


def live(home: Path, **variables: str) -> Lived:
    """Run ``kravport demo --once --json`` as a person would, with nothing else set."""
    state = home / "state.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAVPORT_")}
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "demo", "--once", "--json", "--state", str(state)],
        env={**environment, "KRAVPORT_HOME": str(home), **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Lived(home / "demo", json.loads(done.stdout.splitlines()[-1]), json.loads(state.read_text()), done.stderr)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory) -> Lived:
    """The evening on SQLite and the embedded queue server."""
    return live(tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="session")
def production(tmp_path_factory, postgres_url) -> Lived:
    """The same evening on PostgreSQL and a Redis of its own, chosen by the two variables alone."""
    home = tmp_path_factory.mktemp("production")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [server_binary(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)],
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"redis://127.0.0.1:{port}/0"
        connection = connect(url, seconds=10)
        while not ping(connection):
            assert server.poll() is None, "the queue server did not start"
        return live(home, KRAVPORT_DATABASE_URL=postgres_url, KRAVPORT_REDIS_URL=url)
    finally:
        server.terminate()
        server.wait()
