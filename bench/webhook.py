"""Webhooks under load: what P8 promises (200 pushes a second, p99 of the answer below one second), on both databases.

    python -m bench.webhook
    python -m bench.webhook --rate 400 --seconds 30 --databases sqlite --worker

The server is the process that ``kravport web`` starts, with the queue server beside it and, with ``--worker``, a worker that
reads the files meanwhile. Every push is a new file with a signature of its own. Two parts per database: pushes at a fixed
rate, each timed from the moment it was due, so that a server that falls behind cannot hide it; then as fast as it goes.
Sender and server share this machine's cores.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from bench.evening import _url
from bench.world import ACTOR, creditor
from gateway import clock
from gateway.agencies import Agencies
from gateway.db.tables import InboundFile
from gateway.db.uow import Database
from gateway.queueing import start_embedded
from gateway.secretbox import SecretBox
from gateway.services import agreements
from gateway.services.house import House

KEY = "k" * 40
SECRET = base64.b64encode(b"a secret of thirty-two bytes ...").decode()
START_SECONDS = 60
HURRY_SECONDS = 10


@dataclass
class Load:
    """What the senders saw: seconds per answer and how often each status came."""

    times: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    def told(self) -> dict[str, object]:
        cuts = statistics.quantiles(self.times, n=100)
        return {
            "pushes": len(self.times), "per_second": round(len(self.times) / self.seconds, 1),
            "p50_ms": round(cuts[49] * 1000, 1), "p99_ms": round(cuts[98] * 1000, 1),
            "max_ms": round(max(self.times) * 1000, 1), "statuses": dict(self.statuses),
        }  # fmt: skip


class Senders:
    """Threads that push to one address over connections that stay open."""

    def __init__(self, port: int, path: str, size: int, threads: int) -> None:
        self._port, self._path, self._size, self._threads = port, path, size, threads
        self._numbers = itertools.count()

    def push(self, count: int, rate: float = 0.0, seconds: float = 0.0) -> Load:
        """Push *count* files at *rate* per second; with *seconds* as many as go into that time."""
        load, lock, turns, start = Load(), threading.Lock(), itertools.count(), time.monotonic() + 0.2
        threads = [
            threading.Thread(target=self._send, args=(load, lock, turns, start, count, rate, seconds))
            for _ in range(self._threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.seconds = time.monotonic() - start
        return load

    def _send(self, load, lock, turns, start, count, rate, seconds) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while True:
            with lock:
                turn, number = next(turns), next(self._numbers)
            if turn >= count or (seconds and time.monotonic() - start > seconds):
                return
            due = start + turn / rate if rate else max(start, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
            body = (b"push %d " % number).ljust(self._size, b"x")
            connection.request("POST", self._path, body, _headers(number, body))
            answer = connection.getresponse()
            answer.read()
            with lock:
                load.times.append(time.monotonic() - due)
                load.statuses[answer.status] += 1


def _headers(number: int, body: bytes) -> dict[str, str]:
    message_id, timestamp = f"msg_{number}", str(int(clock.now().timestamp()))
    digest = hmac.digest(base64.b64decode(SECRET), f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "Content-Disposition": f'attachment; filename="payments.{number}"',
    }


@contextmanager
def _process(name: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", name], env=environment, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _await_port(port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"the web process did not start:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _peak_mib(pid: int) -> float:
    """Return the largest resident memory the process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _target(url: str, folder: Path) -> str:
    """Make a creditor whose agency pushes signed files; return the address."""
    house = House(Database(url), Agencies.load(), SecretBox(KEY), lambda: None, clock.now)
    _, agreement_id = creditor(house, folder)
    agreements.set_secret(house, agreement_id, "webhook_secret", SECRET, ACTOR)
    token = agreements.new_webhook_token(house, agreement_id, ACTOR)
    house.database.close()
    return f"/webhooks/lowell/{token}"


def _stored(url: str) -> int:
    database = Database(url)
    with database.read() as connection:
        count = connection.execute(select(func.count()).select_from(InboundFile)).scalar_one()
    database.close()
    return count


def measure(name: str, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Yield one row per part; ends the program when an answer was not 202 or a file is missing."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kravport-bench-")))
        url, _ = stack.enter_context(_url(name, folder))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KRAVPORT_")}
        port = _free_port()
        environment |= {
            "KRAVPORT_HOME": str(folder), "KRAVPORT_DATABASE_URL": url, "KRAVPORT_SECRET_KEY": KEY,
            "KRAVPORT_PORT": str(port), "KRAVPORT_LOG_LEVEL": "warning", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "gateway.cli", "migrate"], env=environment, check=True, capture_output=True
        )
        path = _target(url, folder)
        redis = start_embedded(folder)
        if redis:
            stack.callback(redis.wait)
            stack.callback(redis.terminate)
        web = stack.enter_context(_process("web", environment, folder / "web.log"))
        if options.worker:
            stack.enter_context(_process("worker", environment, folder / "worker.log"))
        _await_port(port, folder / "web.log")
        yield from _parts(name, options, Senders(port, path, options.size, options.senders), web.pid, url)


def _parts(name: str, options: argparse.Namespace, senders: Senders, pid: int, url: str) -> Iterator[dict[str, object]]:
    sent = len(senders.push(options.rate * 2, options.rate).times)  # the first requests pay for imports
    start = _peak_mib(pid)
    for part in ("at the rate", "as fast as it goes"):
        hurry = part != "at the rate"
        count = 10**9 if hurry else options.rate * options.seconds
        load = senders.push(count, 0.0 if hurry else options.rate, HURRY_SECONDS if hurry else 0.0)
        sent += len(load.times)
        yield {
            "database": name,
            "part": part,
            **load.told(),
            "start_mib": round(start),
            "peak_mib": round(_peak_mib(pid)),
        }
        if set(load.statuses) != {202} or _stored(url) != sent:
            raise SystemExit(f"{name}: {dict(load.statuses)}, {_stored(url)} stored of {sent}")


def main() -> int:
    """Measure and print a table, or with --json one object; exit 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=200, help="pushes a second")
    parser.add_argument("--seconds", type=int, default=20, help="how long")
    parser.add_argument("--size", type=int, default=4096, help="bytes of a file")
    parser.add_argument("--senders", type=int, default=16, help="connections")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--worker", action="store_true", help="a worker reads the files meanwhile")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [row for name in options.databases for row in measure(name, options)]
    if options.json:
        print(json.dumps(rows))
    else:
        _print(rows)
    kept = [row for row in rows if row["part"] == "at the rate"]
    return 0 if all(row["p99_ms"] < 1000 and row["per_second"] > 0.98 * options.rate for row in kept) else 1


def _print(rows: list[dict[str, object]]) -> None:
    print(
        f"{'database':11} {'part':20} {'pushes':>7} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'start MiB':>9} {'peak MiB':>9}"
    )
    for row in rows:
        print(
            f"{row['database']:11} {row['part']:20} {row['pushes']:>7} {row['per_second']:>8} {row['p50_ms']:>8} "
            f"{row['p99_ms']:>8} {row['max_ms']:>8} {row['start_mib']:>9} {row['peak_mib']:>9}"
        )


if __name__ == "__main__":
    sys.exit(main())
