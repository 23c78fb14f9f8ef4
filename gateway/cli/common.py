"""What the commands share: the house, the actor, and how a result is shown."""

from __future__ import annotations

import dataclasses
import getpass
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from gateway.app import open_house
from gateway.config import Settings
from gateway.db.tables import Creditor
from gateway.errors import DataError
from gateway.services.creditors import find_creditor
from gateway.services.house import House

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line, for programs.")


@contextmanager
def opened_house() -> Iterator[House]:
    """Open the house of this command and close its database at the end."""
    house = open_house(Settings.from_environment())
    try:
        yield house
    finally:
        house.database.close()


def actor() -> str:
    """Return who acts, for the audit trail: the account that runs the command."""
    return f"cli:{getpass.getuser()}"


def creditor_id(house: House, key: str | None) -> int:
    """Return the creditor called *key*; without a key the only one there is.

    Raises:
        NotFound: no such creditor.
        DataError: no key was given, and there is not exactly one creditor.
    """
    with house.database.read() as connection:
        if key is not None:
            return find_creditor(connection, key)
        keys = connection.execute(select(Creditor.key).order_by(Creditor.key)).scalars().all()
        if len(keys) == 1:
            return find_creditor(connection, keys[0])
    known = f"; there are {', '.join(keys)}" if keys else "; there is none yet ('kravport creditors add')"
    raise DataError(f"say which creditor with --creditor{known}")


def say(result: object, *, as_json: bool, text: Callable[[Any], str] | None = None) -> None:
    """Print one result: as a line of JSON, or as *text* makes it."""
    click.echo(json.dumps(plain(result), ensure_ascii=False) if as_json or text is None else text(result))


def say_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool, empty: str = "nothing") -> None:
    """Print rows: one JSON object each, or a table with the names of the first row above it."""
    if as_json:
        for row in rows:
            click.echo(json.dumps(plain(row), ensure_ascii=False))
    elif rows:
        click.echo(_table(rows))
    else:
        click.echo(empty)


def plain(value: object) -> Any:
    """Return *value* as what JSON knows: dataclasses and named tuples as objects, moments and dates as ISO text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    names = getattr(value, "_fields", None)
    if isinstance(value, tuple) and names is not None:
        return {name: plain(part) for name, part in zip(names, value, strict=True)}
    if isinstance(value, Mapping):
        return {str(_plain_leaf(name)): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return _plain_leaf(value)


def _plain_leaf(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value if isinstance(value, str | int | bool | None) else str(value)


def read_secret(prompt: str, from_file: Path | None) -> str:
    """Return a secret from a file (``-`` is standard input), else asked for without echo; never from an argument."""
    if from_file is None:
        answer = click.prompt(prompt, hide_input=True)
        assert isinstance(answer, str)
        return answer
    text = sys.stdin.read() if str(from_file) == "-" else from_file.read_text()
    return text.rstrip("\r\n")


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    names = list(rows[0])
    cells = [names, *([str(plain(row[name]) if row[name] is not None else "") for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
