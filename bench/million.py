"""A payment file of a million through the front door, while a second creditor goes on with its small work.

    python -m bench.million                       a million payments, JSON of figures
    python -m bench.million --size 5000 --workers 1
    python -m bench.million --size 200000 --kill posting

Everything is the real thing: the processes of ``kravport run`` on PostgreSQL, the file signed and pushed over HTTP, progress
asked of ``kravport progress``. Meanwhile another creditor has small evenings, deliveries and payment files, each timed from
its promise or its push to its end. ``--kill`` kills the worker that holds the file with -9 when it is first seen in that
stage. Exit code 0 when every payment is posted and every invoice closed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from bench.evening import _url
from bench.kill_evening import processes_of, variable_of
from bench.phases import write_payments
from bench.webhook import KEY, SECRET, _await_port, _free_port, _process
from bench.world import ACTOR, INVOICES_PER_CUSTOMER, creditor, fill
from gateway import clock
from gateway.agencies import Agencies
from gateway.db import outbox
from gateway.db.tables import Envelope, InboundFile, IncomingPayment, LedgerEntry, StagedPayment, Task
from gateway.db.uow import Database
from gateway.queueing import Bell, embedded_url
from gateway.secretbox import SecretBox
from gateway.services import agreements, progress, transfer
from gateway.services.house import House

SMALL = 20
"""Invoices of one small evening and payments of one small file."""
IDLE_ROUNDS = 5
LOOK_SECONDS = 0.2
CLI_SECONDS = 10
PATIENCE_SECONDS = 120
"""What a round of the second creditor may take, and an answer to a push, before the measuring is given up."""
HAND_OVER_SECONDS = 1800
CHUNK = 1 << 20


@dataclass
class Office:
    """One creditor: its ids, and the address its agency pushes to."""

    creditor_id: int
    agreement_id: int
    path: str


@dataclass
class Times:
    """Seconds that each part of the second creditor's rounds took."""

    evening: list[float] = field(default_factory=list)
    delivery: list[float] = field(default_factory=list)
    small_file: list[float] = field(default_factory=list)

    def told(self) -> dict[str, object]:
        """Return median and maximum of each part, in milliseconds."""
        parts = {"evening": self.evening, "delivery": self.delivery, "small_file": self.small_file}
        return {"rounds": len(self.small_file)} | {
            name: {"median": round(statistics.median(s) * 1000), "max": round(max(s) * 1000)}
            for name, s in parts.items()
            if s
        }


class Memory(threading.Thread):
    """Watches the resident memory of the supervisor's and the database's processes; peaks in MiB.

    Of PostgreSQL's processes the memory of their own counts (RssAnon): the rest is the cache that they share.
    """

    def __init__(self, supervisor: int, postmaster: int) -> None:
        super().__init__(daemon=True)
        self._parents = {supervisor: "", postmaster: "postgres"}
        self.peaks: dict[str, int] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        self._look(entry)
                    except (OSError, ValueError, StopIteration):
                        continue

    def _look(self, entry: Path) -> None:
        parent = self._parents.get(int((entry / "stat").read_text().rpartition(") ")[2].split()[1]))
        if parent is None:
            return
        name = parent or variable_of(int(entry.name), "KRAVPORT_WORKER_NAME") or "redis"
        lines = (entry / "status").read_text().splitlines()
        kind = "RssAnon" if parent else "VmHWM"
        mib = int(next(line for line in lines if line.startswith(kind)).split()[1]) // 1024
        self.peaks[name] = max(self.peaks.get(name, 0), mib)


class Big:
    """The large file: pushed by a thread of its own, watched by the caller."""

    def __init__(self, house: House, port: int, office: Office, path: Path) -> None:
        self.house, self._port, self._office, self._path = house, port, office, path
        self.stages: dict[str, float] = {}
        self.percents: dict[str, list[int]] = {}
        self.began = time.monotonic()
        self.answered = 0.0
        self._thread = threading.Thread(target=self._push, daemon=True)

    def start(self) -> None:
        """Begin to push."""
        self._thread.start()

    def _push(self) -> None:
        status = push(self._port, self._office.path, self._path)
        assert status == 202, status
        self.answered = time.monotonic() - self.began

    def look(self) -> str:
        """Note in which stage the file is; return it, ``imported`` at the end."""
        shown = progress.under_way(self.house, [self._office.creditor_id])
        for one in shown:
            self.stages.setdefault(one.stage, time.monotonic() - self.began)
            seen = self.percents.setdefault(one.stage, [])
            if one.percent is not None and one.percent not in seen:
                seen.append(one.percent)
        return shown[0].stage if shown else ("imported" if self.answered else "")

    def seconds(self, end: float) -> dict[str, float]:
        """Return how long each stage was seen, and the whole from the first byte sent to the last payment posted."""
        begins = sorted(self.stages.items(), key=lambda item: item[1])
        ends = [begin for _, begin in begins[1:]] + [end]  # one too many for a file so small that no stage was seen
        found = {name: round(until - begin, 1) for (name, begin), until in zip(begins, ends, strict=False)}
        return {"answered": round(self.answered, 1), **found, "all": round(end, 1)}


def push(port: int, path: str, file: Path) -> int:
    """Push a signed file to a webhook without holding it in memory; return the status."""
    message_id, timestamp = file.name, str(int(clock.now().timestamp()))
    digest = hmac.new(base64.b64decode(SECRET), f"{message_id}.{timestamp}.".encode(), hashlib.sha256)
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
        content.seek(0)
        signature = base64.b64encode(digest.digest()).decode()
        headers = {
            "webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}",
            "Content-Length": str(file.stat().st_size), "Content-Disposition": f'attachment; filename="{file.name}"',
        }  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        connection.request("POST", path, content, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


class Second:
    """The other creditor: one round is an evening of a few invoices, its delivery, and a file that pays them."""

    def __init__(self, house: House, port: int, office: Office, folder: Path) -> None:
        self._house, self._port, self._office, self._folder = house, port, office, folder
        self._rounds = 0
        self.paid = 0

    def round(self, times: Times, meanwhile: Callable[[], object]) -> None:
        """Live through one round; *meanwhile* is called while it waits."""
        first = self._rounds * SMALL + 1
        self._rounds += 1
        fill(self._house, self._office.creditor_id, SMALL, with_items=False, first=first)
        began = time.monotonic()
        with self._house.database.write() as connection:
            day = clock.now().date() + timedelta(days=self._rounds)
            outbox.promise(
                connection, "run", self._office.agreement_id, clock.now(), repeatable=True, part=day.isoformat()
            )
        self._house.ring()
        self._until(lambda: self._envelopes() >= self._rounds, meanwhile)
        times.evening.append(time.monotonic() - began)
        self._until(lambda: self._envelopes("delivered") >= self._rounds, meanwhile)
        times.delivery.append(time.monotonic() - began - times.evening[-1])
        file = self._folder / f"small-{self._rounds}.xml"
        write_payments(file, SMALL, with_items=False, first=first)
        began = time.monotonic()
        assert push(self._port, self._office.path, file) == 202
        self._until(lambda: self._imported() >= self._rounds, meanwhile)
        times.small_file.append(time.monotonic() - began)
        self.paid += SMALL

    def _until(self, is_so: Callable[[], bool], meanwhile: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            meanwhile()
            assert time.monotonic() < deadline, "the second creditor's work does not happen"
            time.sleep(0.02)

    def _envelopes(self, *states: str) -> int:
        query = select(func.count()).select_from(Envelope).where(Envelope.agreement_id == self._office.agreement_id)
        return count(self._house, query.where(Envelope.state.in_(states)) if states else query)

    def _imported(self) -> int:
        mine = (InboundFile.agreement_id == self._office.agreement_id, InboundFile.state == "imported")
        return count(self._house, select(func.count()).select_from(InboundFile).where(*mine))


def count(house: House, query: Any) -> int:
    """Return the one number of *query*."""
    with house.database.read() as connection:
        return int(connection.execute(query).scalar_one())


def office(house: House, folder: Path, key: str) -> Office:
    """Make a creditor whose agency pushes signed files."""
    root = folder / key
    root.mkdir()
    creditor_id, agreement_id = creditor(house, root, key=key)
    agreements.set_secret(house, agreement_id, "webhook_secret", SECRET, ACTOR)
    token = agreements.new_webhook_token(house, agreement_id, ACTOR)
    return Office(creditor_id, agreement_id, f"/webhooks/lowell/{token}")


@contextmanager
def installation(workers: int) -> Iterator[tuple[House, dict[str, str], Path, int]]:
    """Yield a house on a throw-away PostgreSQL, the environment of its processes, a folder and the postmaster's id."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kravport-million-")))
        url, _ = stack.enter_context(_url("postgresql", folder))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KRAVPORT_")} | {
            "KRAVPORT_HOME": str(folder), "KRAVPORT_DATABASE_URL": url, "KRAVPORT_SECRET_KEY": KEY,
            "KRAVPORT_PORT": str(_free_port()), "KRAVPORT_LOG_LEVEL": "warning", "KRAVPORT_WORKERS": str(workers),
            "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        command = [sys.executable, "-m", "gateway.cli", "migrate"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        house = House(
            Database(url), Agencies.load(), SecretBox(KEY), Bell(embedded_url(folder)).ring, clock.now
        )  # fmt: skip
        stack.callback(house.database.close)
        with house.database.read() as connection:
            backend = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()
        yield house, environment, folder, int(Path(f"/proc/{backend}/stat").read_text().rpartition(") ")[2].split()[1])


def measure(size: int, workers: int, kill: str = "") -> dict[str, Any]:
    """Live through the whole and return the figures."""
    with installation(workers) as (house, environment, folder, postmaster):
        first, other = office(house, folder, "first"), office(house, folder, "other")
        seconds = {}
        for name, action in {
            "fill": lambda: fill(house, first.creditor_id, size, with_items=False),
            "hand_over": lambda: transfer.run_evening(house, first.agreement_id, clock.now().date()),
            "write_file": lambda: write_payments(folder / "big.xml", size, with_items=False),
        }.items():
            began = time.monotonic()
            action()
            seconds[name] = round(time.monotonic() - began, 1)
            print(f"{name}: {seconds[name]} s", file=sys.stderr)
        with _process("run", environment, folder / "run.log") as supervisor:
            port = int(environment["KRAVPORT_PORT"])
            _await_port(port, folder / "run.log")
            memory = Memory(supervisor.pid, postmaster)
            memory.start()
            second = Second(house, port, other, folder)
            big = Big(house, port, first, folder / "big.xml")
            idle, busy = Times(), Times()
            _settle(house)
            for _ in range(IDLE_ROUNDS):
                second.round(idle, lambda: None)
            watch = _Watch(big, environment, kill)
            big.began = time.monotonic()
            big.start()
            while watch() != "imported":
                second.round(busy, watch)
                time.sleep(LOOK_SECONDS)
            end = watch.ended - big.began
            memory.over.set()
        return {
            "size": size, "workers": workers, "file_mib": (folder / "big.xml").stat().st_size >> 20,
            "seconds": seconds | big.seconds(end), "payments_per_second": round(size / end),
            "peak_mib": memory.peaks, "latency_ms": {"idle": idle.told(), "meanwhile": busy.told()},
            "progress": big.percents, "cli_saw": watch.cli, "killed": watch.killed, "after_kill": watch.after_kill,
            **_books(house, first, second),
        }  # fmt: skip


class _Watch:
    """Looks at the large file whenever it is called, asks the command line now and then, and kills once if it should."""

    def __init__(self, big: Big, environment: dict[str, str], kill: str) -> None:
        self._big, self._environment, self._kill = big, environment, kill
        self._next_look = self._next_cli = 0.0
        self._stage, self.ended, self.killed, self.after_kill = "", 0.0, "", {}
        self.cli: list[str] = []
        self._asked: subprocess.Popen[str] | None = None

    def __call__(self) -> str:
        now = time.monotonic()
        if self._stage != "imported" and now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._stage = self._big.look()
            if self._stage == "imported":
                self.ended = time.monotonic()
            if self._kill and self._stage == self._kill and not self.killed:
                self._kill_now()
            self._ask()
        return self._stage

    def _ask(self) -> None:
        if self._asked is not None and self._asked.poll() is not None:
            rows = [json.loads(line) for line in self._asked.communicate()[0].splitlines()]
            self.cli += [f"{r['stage']} {r['percent']} % {r['rows']} rows" for r in rows if r["creditor"] == "first"]
            self._asked = None
        if self._asked is None and time.monotonic() >= self._next_cli:
            self._next_cli = time.monotonic() + CLI_SECONDS
            command = [sys.executable, "-m", "gateway.cli", "progress", "--json"]
            self._asked = subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)

    def _kill_now(self) -> None:
        house = self._big.house
        held = select(Task.owner).where(Task.topic == "read", Task.lane == "large", Task.state == "leased")
        with house.database.read() as connection:
            owner = connection.execute(held).scalars().first()
        if owner is None:
            return
        os.kill(processes_of(Path(self._environment["KRAVPORT_HOME"]))[owner], signal.SIGKILL)
        self.killed = f"{owner} while {self._stage}"
        of_file = InboundFile.id == IncomingPayment.file_id
        half_done = select(func.count()).select_from(IncomingPayment).join(InboundFile, of_file)
        self.after_kill = {"payments": count(house, half_done.where(InboundFile.state != "imported"))}


def _settle(house: House) -> None:
    """Wait until the large hand-over is delivered: nothing is under way when the measuring begins."""
    deadline = time.monotonic() + HAND_OVER_SECONDS
    open_ = select(func.count()).select_from(Task).where(Task.state.in_(("pending", "leased")), Task.topic == "deliver")
    while count(house, open_):
        assert time.monotonic() < deadline, "the large hand-over is not delivered"
        time.sleep(0.5)


def _books(house: House, first: Office, second: Second) -> dict[str, Any]:
    """Return what stands in the books at the end."""
    paid = select(func.count()).select_from(IncomingPayment).where(IncomingPayment.creditor_id == first.creditor_id)
    invoices = (
        select(func.count())
        .select_from(LedgerEntry)
        .where(LedgerEntry.creditor_id == first.creditor_id, LedgerEntry.kind == "invoice")
    )
    others = (
        select(func.count())
        .select_from(IncomingPayment)
        .where(IncomingPayment.creditor_id != first.creditor_id, IncomingPayment.state == "posted")
    )
    return {
        "imported": count(house, paid), "posted": count(house, paid.where(IncomingPayment.state == "posted")),
        "closed": count(house, invoices.where(LedgerEntry.closed_at.is_not(None), LedgerEntry.open_minor == 0)),
        "staged_left": count(house, select(func.count()).select_from(StagedPayment)),
        "second_posted": count(house, others), "second_paid": second.paid,
    }  # fmt: skip


def main() -> int:
    """Measure and print one JSON object; exit 1 when something is missing in the books."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000, help="payments in the large file")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument(
        "--kill", default="", choices=["", "reading", "matching", "posting"], help="kill -9 in this stage"
    )
    options = parser.parse_args()
    if options.size % INVOICES_PER_CUSTOMER:
        parser.error(f"--size must be a multiple of {INVOICES_PER_CUSTOMER}")
    told = measure(options.size, options.workers, options.kill)
    print(json.dumps(told))
    is_whole = told["imported"] == told["posted"] == told["closed"] == options.size
    return 0 if is_whole and not told["staged_left"] and told["second_posted"] == told["second_paid"] else 1


if __name__ == "__main__":
    sys.exit(main())
