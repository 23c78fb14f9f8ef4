"""Is this installation healthy, and if not, what must the operator do?"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from gateway import clock
from gateway.agencies import Agencies
from gateway.app import redis_url
from gateway.cli.common import as_json, say_rows
from gateway.config import Settings, as_markdown, unknown_variables
from gateway.db import schema
from gateway.db.tables import Heartbeat
from gateway.db.uow import Database
from gateway.errors import ConfigurationError
from gateway.queueing import connect, ping, server_binary

Finding = tuple[str, bool, str]
_FREE_BYTES_MIN = 1 << 30
_NOT_RUNNING = "not running; 'kravport run' starts everything"
_ALIVE = timedelta(seconds=60)


@click.command()
@click.option("--settings", "prints_settings", is_flag=True, help="Print docs/configuration.md and stop.")
@as_json
def doctor(*, prints_settings: bool, as_json: bool) -> int:
    """Check settings, database, queue server, processes, plugins and disk. Exit 1 when something needs the operator."""
    if prints_settings:
        click.echo(as_markdown(), nl=False)
        return 0
    settings = Settings.from_environment()
    found = [*_machine(settings), *_database(settings), *_queue(settings), *_plugins(settings)]
    say_rows([{"check": name, "ok": ok, "says": says} for name, ok, says in found], as_json=as_json)
    return 0 if all(ok for _, ok, _ in found) else 1


def _machine(settings: Settings) -> Iterator[Finding]:
    yield "python", sys.version_info >= (3, 11), sys.version.split()[0]
    yield "sqlite", sqlite3.sqlite_version_info >= (3, 38), sqlite3.sqlite_version
    for name in unknown_variables():
        yield "environment", False, f"{name} is no setting of Kravport"
    try:
        settings.effective_secret_key()
        yield "secret key", True, "present"
    except ConfigurationError as error:
        yield "secret key", False, str(error)
    settings.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.home).free
    yield "disk", free > _FREE_BYTES_MIN, f"{free >> 20} MiB free in {settings.home}"
    is_simulated = bool(settings.simulated_clock)
    yield "clock", not is_simulated, "simulated: for demo and tests only" if is_simulated else clock.now().isoformat()


def _database(settings: Settings) -> Iterator[Finding]:
    database = Database(settings.effective_database_url)
    kind = "SQLite" if database.is_sqlite else "PostgreSQL"
    try:
        with database.read() as connection:
            found = schema.current(connection)
            beats = list(connection.execute(select(Heartbeat.name, Heartbeat.at))) if found else []
        yield "database", found == schema.newest(), f"{kind}, schema {found or 'empty'} of {schema.newest()}"
        yield from _processes(beats)
    except SQLAlchemyError as error:
        yield "database", False, f"{kind}: {str(error).splitlines()[0]}"
    finally:
        database.close()


def _processes(beats: Sequence[Any]) -> Iterator[Finding]:
    now = clock.now()
    alive = {beat.name: now - beat.at < _ALIVE for beat in beats}
    yield "scheduler", alive.get("scheduler", False), "alive" if alive.get("scheduler") else _NOT_RUNNING
    workers = [name for name, is_alive in alive.items() if is_alive and name.startswith("worker")]
    yield "workers", bool(workers), ", ".join(workers) or _NOT_RUNNING


def _queue(settings: Settings) -> Iterator[Finding]:
    if not settings.redis_url:
        try:
            yield "queue server", True, server_binary()
        except ConfigurationError as error:
            yield "queue server", False, str(error)
    is_up = ping(connect(redis_url(settings)))
    yield "queue", is_up, "answers" if is_up else "does not answer; work goes on more slowly without it"


def _plugins(settings: Settings) -> Iterator[Finding]:
    agencies = Agencies.load(own=settings.effective_profiles)
    for agency in agencies:
        yield f"plugin {agency.profile.key}", True, agency.profile.name
    for key, reason in agencies.broken.items():
        yield f"plugin {key}", False, reason
    for key, told in agencies.warnings.items():
        yield from ((f"plugin {key}", False, text) for text in told)
