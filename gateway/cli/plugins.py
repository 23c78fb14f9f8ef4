"""Agency plugins: what is installed and how it is, and the beginning of a new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from gateway import clock
from gateway.agencies import Agencies, Agency
from gateway.cli.common import as_json, say_rows
from gateway.config import Settings
from gateway.db.uow import Database
from gateway.domain.exchange import Service
from gateway.scaffold import KINDS, new_plugin
from gateway.services.confirmations import is_confirmed
from gateway.services.plugins import Standing, standings


@click.command()
@as_json
def plugins(*, as_json: bool) -> int:
    """List the agency plugins: abilities, services, countries, layouts, and what is wrong with each (then exit 1).

    A plugin is ok, faulty (a hook broke its promise in a process that runs now) or broken (it did not load).
    """
    agencies = Agencies.load(own=Settings.from_environment().effective_profiles)
    known, confirmed = _look(agencies)
    rows = [_row(one, agencies.loaded.get(one.key), confirmed) for one in known]
    if as_json:
        say_rows(rows, as_json=True)
    else:
        click.echo("\n".join(map(_text, rows)) or "no agency plugin is installed")
    return 0 if all(one.state == "ok" for one in known) else 1


@click.group()
def plugin() -> None:
    """Agency plugins of your own (docs/write-a-plugin.md)."""


@plugin.command("new")
@click.argument("key")
@click.option(
    "--kind",
    default="records",
    show_default=True,
    type=click.Choice(list(KINDS)),
    help="How the agency is reached: files of records in Python, files by a layout profile, an API.",
)
@click.option("--title", help="The agency's name as people read it; default: KEY with a capital letter.")
@click.option("--country", default="NO", show_default=True, help="Where the agency works, ISO 3166-1.")
@click.option("--currency", default="NOK", show_default=True, help="Of the claims, ISO 4217.")
@click.option(
    "--service",
    default="ledger",
    show_default=True,
    type=click.Choice([one.value for one in Service if one is not Service.FACTORING]),
    help="What creditors buy of it. A factor's files are marked as assigned: begin with plugins/factoring.",
)
@click.option("--folder", default=".", type=click.Path(path_type=Path, file_okay=False), help="Where to make it.")
def new(key: str, kind: str, title: str | None, country: str, currency: str, service: str, folder: Path) -> None:
    """Write a complete plugin for the agency KEY: a package of its own that installs and passes conformance."""
    title = title or key.replace("_", " ").capitalize()
    names: dict[str, str] = {"kind": kind, "title": title, "market": country, "currency": currency}
    written = new_plugin(folder, key, **names, service=Service(service))
    for path in written:
        click.echo(path)


def _look(agencies: Agencies) -> tuple[tuple[Standing, ...], frozenset[tuple[str, str]]]:
    """Return how the plugins are, and which of their layouts are confirmed, by key and name.

    What workers and operators said stands in the database; where there is none, the packages alone are asked.
    """
    settings, now = Settings.from_environment(), clock.now()
    layouts = [(agency.profile.key, layout) for agency in agencies for layout in agency.profile.layouts]
    with suppress(SQLAlchemyError), _opened(settings.effective_database_url) as connection:
        confirmed = frozenset((key, one.name) for key, one in layouts if is_confirmed(connection, one))
        return standings(agencies, now, connection), confirmed
    return standings(agencies, now), frozenset((key, one.name) for key, one in layouts if one.confirmed)


@contextmanager
def _opened(url: str) -> Iterator[Connection]:
    """Open the database for reading, if there is one: looking into a file that is not there would make it."""
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).exists():
        raise NoSuchTableError(file)
    database = Database(url)
    try:
        with database.read() as connection:
            yield connection
    finally:
        database.close()


def _row(standing: Standing, agency: Agency | None, confirmed: frozenset[tuple[str, str]]) -> dict[str, Any]:
    row: dict[str, Any] = {"key": standing.key, "state": standing.state, "problem": standing.problem}
    row["faults"] = [{**fault._asdict(), "at": fault.at.isoformat(timespec="seconds")} for fault in standing.faults]
    row["warnings"] = list(standing.warnings)
    profile = agency.profile if agency else None
    row["name"] = profile.name if profile else ""
    row["api_version"] = agency.api_version if agency else ""
    row["countries"] = sorted(profile.markets) if profile else []
    row["currencies"] = sorted(profile.currencies) if profile else []
    row["services"] = sorted(service.value for service in profile.services) if profile else []
    row["can"] = sorted(can.name or "" for can in profile.can) if profile else []
    row["layouts"] = [
        {
            "name": layout.name,
            "title": layout.title,
            "source": layout.source,
            "confirmed": (standing.key, layout.name) in confirmed,
        }
        for layout in (profile.layouts if profile else ())
    ]
    row["limits"] = list(profile.limits) if profile else []
    return row


def _text(row: dict[str, Any]) -> str:
    if row["problem"]:
        return f"{row['key']}: DID NOT LOAD: {row['problem']}"
    said = {True: "confirmed", False: "unconfirmed: sandbox only"}
    layouts = [f"{one['name']} ({said[one['confirmed']]})" for one in row["layouts"]]
    lines = [f"{row['key']}: {row['name']}; boundary {row['api_version']}"]
    lines += [
        f"  {title}: {', '.join(row[title]) or 'none'}" for title in ("services", "countries", "currencies", "can")
    ]
    lines.append(f"  layouts: {', '.join(layouts) or 'none'}")
    lines += [f"  limit: {limit}" for limit in row["limits"]]
    lines += [f"  warning: {warning}" for warning in row["warnings"]]
    for fault in row["faults"]:
        lines.append(f"  FAULTY since {fault['at']}: {fault['hook']} {fault['reason']} {fault['detail']}".rstrip())
    return "\n".join(lines)
