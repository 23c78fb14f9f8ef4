"""The stage of the demo: a home of its own, a fresh schema, the sandbox agencies, the real processes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import text

from gateway import clock
from gateway.app import open_house
from gateway.config import Settings
from gateway.db import schema
from gateway.db.uow import Database
from gateway.demo import sandboxes
from gateway.demo.ledger import DemoCreditor
from gateway.errors import ConfigurationError, GatewayError
from gateway.formats import kravport_sls
from gateway.queueing import die_with_parent
from gateway.services.house import House

_MARKER = ".kravport-demo"
_STOP_SECONDS = 25
_TAKEN = frozenset({0, 2})
"""What ``kravport ingest`` ends with: all taken, or some held until a person has looked."""
_AGENCY_ACCOUNTS = {"NO": "15030000029", "SE": "SE3550000000054910000003", "FI": "FI5542345670000081"}


class DemoStuck(GatewayError):
    """Something that must happen in the demo did not happen in time."""


@dataclass(slots=True)
class Stage:
    """Everything the story needs: settings and house of the installation, and where things stand."""

    settings: Settings
    house: House
    clock_file: Path
    sandbox_root: Path
    patience_seconds: float
    say: Callable[[str], None]

    @property
    def address(self) -> str:
        """Address of the web process."""
        return f"http://{self.settings.host}:{self.settings.port}"

    def jump_to(self, moment: datetime) -> None:
        """Set the clock of all processes."""
        clock.shift_to(moment, self.clock_file)

    def wait(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait until *is_so*; raises ``DemoStuck`` naming *what* when patience ends."""
        deadline = time.monotonic() + self.patience_seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise DemoStuck(f"waited {self.patience_seconds:.0f} s in vain for: {what}")
            time.sleep(0.1)

    def order(self, agency_key: str, *calls: Sequence[Any]) -> list[Any]:
        """Let a sandbox agency do something; each call is (method, arguments) or (method, arguments, named ones)."""
        folder = self.sandbox_root / agency_key / "orders"
        number = len(list(folder.glob("*.json"))) + 1
        wanted = [{"method": c[0], "args": list(c[1]), "kwargs": c[2] if len(c) > 2 else {}} for c in calls]
        fresh = folder / f"{number:04d}.part"
        fresh.write_text(json.dumps(wanted))
        fresh.replace(fresh.with_suffix(".json"))
        answer = fresh.with_suffix(".done")
        self.wait(f"{agency_key} to do what it was asked", answer.exists)
        told = json.loads(answer.read_text())
        if told["error"]:
            raise DemoStuck(f"{agency_key}: {told['error']}")
        results: list[Any] = told["results"]
        return results

    def ingest(self, creditor_key: str, source: str, documents: Mapping[str, bytes]) -> None:
        """Take files of an accounting system as an operator does, by their names; raises ``DemoStuck`` if one is refused."""
        folder = self.settings.home / "documents"
        folder.mkdir(exist_ok=True)
        for name, content in documents.items():
            (folder / name).write_bytes(content)
        words = ["ingest", "--creditor", creditor_key, "--source", source, *(str(folder / name) for name in documents)]
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "gateway.cli", *words],
            env={**os.environ, **self.settings.as_environment()},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode not in _TAKEN:
            raise DemoStuck(f"{creditor_key}: its documents were not taken: {(done.stderr or done.stdout)[-500:]}")

    def their_balances(self, agency_key: str) -> dict[str, int]:
        """Return what each claim owes in a sandbox agency's own ledger, by the name it has there."""
        [balances] = self.order(agency_key, ("balances", ()))
        return dict(balances)


@contextmanager
def set_stage(
    base: Settings,
    creditors: Sequence[DemoCreditor],
    start: datetime,
    patience_seconds: float,
    say: Callable[[str], None],
    *,
    keeps_port: bool,
) -> Iterator[Stage]:
    """Prepare home, schema and sandbox agencies; take all of it down at the end.

    Args:
        base: the operator's settings; database and queue server are taken from them, home and clock are the demo's own.
        creditors: whose agencies are played.
        start: what the clock of all processes shows at first.
        patience_seconds: longest wait for any one thing.
        say: takes progress lines.
        keeps_port: the panel takes the operator's port where it is free; else always a port of its own.
    """
    home = _fresh_home(base.home / "demo")
    settings, drop_schema = _demo_settings(base, home, say, keeps_port=keeps_port)
    clock_file, sandbox_root = Path(settings.simulated_clock), home / "sandbox"
    os.environ[clock.SHIFT_FILE_VARIABLE] = str(clock_file)
    clock.shift_to(start, clock_file)
    house = open_house(settings, migrates=True)
    try:
        with _sandbox_process(settings, sandbox_root, creditors):
            stage = Stage(settings, house, clock_file, sandbox_root, patience_seconds, say)
            stage.wait("the sandbox agencies", (sandbox_root / sandboxes.READY).exists)
            yield stage
    finally:
        house.database.close()
        drop_schema()
        del os.environ[clock.SHIFT_FILE_VARIABLE]


@contextmanager
def running(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    """Start the installation with ``kravport run`` and wait until its web process answers; stop it at the end."""
    log = (stage.settings.home / "kravport.log").open("ab")
    with log:
        process = _start(stage.settings, ["run"], log)
    try:
        stage.wait("the web process", lambda: _answers(stage.settings))
        yield process
    finally:
        _stop(process)


def _fresh_home(home: Path) -> Path:
    """Empty the demo's folder; a folder that is not the demo's is never touched."""
    if home.exists():
        if any(home.iterdir()) and not (home / _MARKER).exists():
            raise ConfigurationError(f"{home} is not a folder of the demo; move it away")
        shutil.rmtree(home)
    home.mkdir(parents=True, mode=0o700)
    (home / _MARKER).touch()
    return home


def _demo_settings(
    base: Settings, home: Path, say: Callable[[str], None], *, keeps_port: bool
) -> tuple[Settings, Callable[[], None]]:
    """Only a panel that stays takes the usual port: demos that run side by side must not meet on it."""
    database_url, drop = (base.database_url, _nothing) if base.has_embedded_database else _own_schema(base, say)
    settings = replace(
        base,
        home=home,
        database_url=database_url,
        secret_key=base.secret_key or ("" if base.has_embedded_database else secrets.token_urlsafe(48)),
        port=base.port if keeps_port and _is_free(base.host, base.port) else _free_port(base.host),
        simulated_clock=str(home / "clock"),
        log_format="json",
    )
    return settings, drop


def _own_schema(base: Settings, say: Callable[[str], None]) -> tuple[str, Callable[[], None]]:
    """Make a schema of the demo's own in the given database: what is there already is neither read nor changed."""
    if base.database_url.startswith("sqlite"):
        return _empty_file(base.database_url), _nothing
    name = f"kravport_demo_{secrets.token_hex(4)}"

    def execute(statement: str) -> None:
        database = Database(base.database_url)
        with database.write() as connection:
            connection.execute(text(statement))
        database.close()

    execute(f"create schema {name}")
    say(f"the demo works in schema {name} of the given database and drops it at the end")
    joint = "&" if "?" in base.database_url else "?"
    url = f"{base.database_url}{joint}options={quote(f'-csearch_path={name}')}"
    return url, lambda: execute(f"drop schema {name} cascade")


def _empty_file(url: str) -> str:
    """SQLite has no schemas: the demo takes a given file only while it is empty."""
    database = Database(url)
    with database.read() as connection:
        if not schema.is_empty(connection):
            raise ConfigurationError("the given database is not empty; the demo works in an empty one only")
    database.close()
    return url


def _nothing() -> None:
    """The embedded database lies in the demo's folder, which the next demo empties."""


@contextmanager
def _sandbox_process(settings: Settings, root: Path, creditors: Sequence[DemoCreditor]) -> Iterator[None]:
    root.mkdir()
    config = root / "config.json"
    config.write_text(json.dumps({"root": str(root), "agencies": [_agency(creditor) for creditor in creditors]}))
    config.chmod(0o600)
    with (settings.home / "sandbox.log").open("ab") as log:
        process = _start(settings, ["sandbox", str(config)], log)
    try:
        yield
    finally:
        _stop(process)


def sftp_password(agency_key: str) -> str:
    """Return the password of a sandbox mailbox; it guards invented data on this machine only."""
    return f"sandbox-{agency_key}"


def _agency(creditor: DemoCreditor) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "client_number": creditor.client_number,
        "creditor_account": creditor.payment_account,
        "agency_account": _AGENCY_ACCOUNTS[creditor.country],
    }
    if creditor.is_factored:
        facts |= {**creditor.settings, "agency_name": "Sandbox Factor AS"}
    else:
        facts |= {"currency": creditor.currency, "country": creditor.country, **creditor.settings}
    facts |= creditor.facts
    pushes = ["payments."] if creditor.profile == kravport_sls.PROFILE else []
    key = creditor.agency_key
    return {"key": key, "password": sftp_password(key), "facts": facts, "pushes": pushes}


def _start(settings: Settings, words: Sequence[str], log: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "gateway.cli", *words],
        env={**os.environ, **settings.as_environment()},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=die_with_parent(),  # noqa: PLW1509  # the demo has one thread
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(settings: Settings) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((settings.host, settings.port)) == 0


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
