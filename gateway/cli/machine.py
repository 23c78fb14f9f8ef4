"""The processes: all of them together, or one by one, and the schema they need."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import structlog

from gateway import pulse
from gateway.app import MAIN_LANE_PATIENCE, WEB_PATIENCE, create_app, open_house, redis_url
from gateway.cli.common import as_json, say
from gateway.config import Settings
from gateway.db import schema
from gateway.db.uow import Database
from gateway.logs import configure
from gateway.supervisor import Supervisor

if TYPE_CHECKING:
    from gateway.services.house import House

_log = structlog.get_logger()


def _settled() -> Settings:
    settings = Settings.from_environment()
    configure(settings.log_format, settings.log_level)
    return settings


def _opened(patience: timedelta | None = None) -> tuple[Settings, House]:
    settings = _settled()
    pulse.begin()
    return settings, open_house(settings, migrates=False, patience=patience)


@click.command()
def run() -> None:
    """Start everything on this machine: queue server, web, workers, scheduler. Ctrl-C stops it.

    In the embedded default the database is brought up to date first; in production run 'kravport migrate' before.
    """
    settings = _settled()
    house = open_house(settings)
    house.database.close()
    address = f"http://{settings.host}:{settings.port}/"
    Supervisor(settings).run(on_ready=lambda: click.echo(f"Kravport listens on {address}  (Ctrl-C stops it)", err=True))


@click.command()
def web() -> None:
    """Serve panel, API and webhooks (waitress). In production behind a proxy that speaks HTTPS."""
    import waitress  # type: ignore[import-untyped]  # noqa: PLC0415  # needed by this process only

    settings, house = _opened(WEB_PATIENCE)
    app = create_app(house, settings)
    _log.info("web ready", host=settings.host, port=settings.port)
    waitress.serve(
        app,
        host=settings.host,
        port=settings.port,
        threads=settings.web_threads,
        max_request_body_size=settings.max_upload_bytes,
        ident="",
    )


@click.command()
def worker() -> None:
    """Do the work: runs, deliveries, reading files. Any number may run; each needs a KRAVPORT_WORKER_NAME of its own.

    Large files are read beside everything else, so that one worker is enough for nobody to wait for them.
    """
    from gateway.jobs import Desk, SideLane, Worker  # noqa: PLC0415  # RQ is needed by this process only

    settings, house = _opened(MAIN_LANE_PATIENCE)
    patient = replace(house, database=Database(settings.effective_database_url))  # a large file waits for its turn
    side = SideLane(Desk(patient, settings.worker_name, ("large",)), settings.poll_seconds)
    desk = Desk(house, settings.worker_name, ("main",))
    Worker(desk, redis_url(settings), settings.poll_seconds, side).run()


@click.command()
def scheduler() -> None:
    """Turn the clock into work: evenings, fetching, sweeping. Any number may run; each evening happens once."""
    from gateway.jobs import Scheduler  # noqa: PLC0415  # as above
    from gateway.services.retention import Ages  # noqa: PLC0415  # as above

    settings, house = _opened()
    ages = Ages(settings.keep_tasks_days, settings.keep_arrivals_days, settings.keep_answers_days)
    Scheduler(house, settings.tick_seconds, ages).run()


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when the schema is not the newest.")
@as_json
def migrate(*, check: bool, as_json: bool) -> int:
    """Bring the database schema up to date. Stop the other processes first; take a backup before."""
    settings = _settled()
    database = Database(settings.effective_database_url)
    try:
        with database.read() as connection:
            before = schema.current(connection)
        if not check:
            schema.upgrade(database)
        after = before if check else schema.newest()
    finally:
        database.close()
    result = {"before": before, "now": after, "newest": schema.newest()}
    say(result, as_json=as_json, text=lambda r: f"schema was {r['before'] or 'empty'}, is {r['now'] or 'empty'}")
    return 0 if after == schema.newest() else 1
