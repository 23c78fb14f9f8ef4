"""Objects as an Ophelos of one's own keeps them: one table, newest first, found by id and by its search clauses."""

from __future__ import annotations

import json
import operator
import re
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

TABLES = """
CREATE TABLE IF NOT EXISTS thing (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, object TEXT NOT NULL, debt TEXT NOT NULL,
  told TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS thing_object ON thing (object, debt);
"""
_PREFIXES = {
    "customer": "cus", "contact_detail": "cd", "debt": "deb", "invoice": "inv", "line_item": "li", "payment": "pay",
    "payout": "po", "webhook": "wh", "event": "evt", "refusal": "ref",
}  # fmt: skip
PAGE_ROWS, PAGE_ROWS_MAX = 10, 100
_CLAUSE = re.compile(r"(?P<field>[a-z_.]+|metadata\['[^']+'\])(?P<sign>>=|<=|:|=|>|<)(?P<value>'[^']*'|[^\s'()]+)")
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    ":": operator.eq, "=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip


class BadRequest(Exception):
    """A request that is malformed: status 400."""


class Slice(NamedTuple):
    """One page of a list: what is on it, how many there are in all, and whether others follow or went before."""

    rows: list[dict[str, Any]]
    total: int
    has_next: bool
    has_previous: bool


class Things:
    """The objects within one transaction.

    Args:
        connection: of the request.
        now: its moment.
    """

    def __init__(self, connection: sqlite3.Connection, now: datetime) -> None:
        self._connection, self._now = connection, f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def add(self, kind: str, told: Mapping[str, Any], debt: str = "") -> dict[str, Any]:
        """Keep a new object and return it with its id."""
        (number,) = self._connection.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM thing").fetchone()
        head = {"id": f"{_PREFIXES[kind]}_{number}", "object": kind, "created_at": self._now, "updated_at": self._now}
        made = {"metadata": {}, **told, **head}
        row = (made["id"], kind, debt, json.dumps(made))
        self._connection.execute("INSERT INTO thing (id, object, debt, told) VALUES (?, ?, ?, ?)", row)
        return made

    def change(self, thing: dict[str, Any], **changes: Any) -> None:
        """Change an object, also in the caller's hand."""
        thing.update(changes, updated_at=self._now)
        self._connection.execute("UPDATE thing SET told = ? WHERE id = ?", (json.dumps(thing), thing["id"]))

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the object of that id, None where there is none of the kind."""
        row = self._connection.execute("SELECT told FROM thing WHERE id = ? AND object = ?", (name, kind)).fetchone()
        return json.loads(row["told"]) if row else None

    def all(self, kind: str, debt: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind, of one debt where it is named, oldest first."""
        query, values = "SELECT told FROM thing WHERE object = ?", [kind]
        if debt:
            query, values = f"{query} AND debt = ?", [*values, debt]
        return [json.loads(row["told"]) for row in self._connection.execute(f"{query} ORDER BY number", values)]

    def page(self, rows: list[dict[str, Any]], asked: Mapping[str, str]) -> Slice:
        """Return the page of *rows* that a request asks for.

        Raises:
            BadRequest: of ``query``, ``limit``, ``after`` and ``before`` one says nothing that has a meaning.
        """
        newest = list(reversed([row for row in rows if _fits(row, asked.get("query", ""))]))
        limit = asked.get("limit", str(PAGE_ROWS))
        if not limit.isdigit() or not 0 < int(limit) <= PAGE_ROWS_MAX or ("after" in asked and "before" in asked):
            raise BadRequest("limit is 1 to 100, and after and before exclude each other")
        places = {row["id"]: place for place, row in enumerate(newest)}
        first, last = 0, len(newest)
        if "after" in asked:
            first = _place(places, asked["after"]) + 1
        if "before" in asked:
            last = _place(places, asked["before"])
            first = max(last - int(limit), 0)
        shown = newest[first : min(first + int(limit), last)]
        return Slice(shown, len(newest), first + len(shown) < len(newest), first > 0)


def _place(places: Mapping[str, int], name: str) -> int:
    if name not in places:
        raise BadRequest(f"{name} is not in the list")
    return places[name]


def _fits(row: Mapping[str, Any], query: str) -> bool:
    if not query:
        return True
    words = {word for word in (" AND ", " OR ") if word in query}
    if len(words) > 1:
        raise BadRequest("AND and OR are not mixed")
    found = [_holds(row, clause.strip()) for clause in query.split(words.pop() if words else " AND ")]
    return any(found) if " OR " in query else all(found)


def _holds(row: Mapping[str, Any], clause: str) -> bool:
    parts = _CLAUSE.fullmatch(clause)
    if parts is None:
        raise BadRequest(f"{clause} is no clause")
    field, wanted = parts["field"], parts["value"].strip("'")
    value: Any = row
    if field.startswith("metadata["):
        value = row["metadata"].get(field[10:-2])
    else:
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        value = value["value"] if isinstance(value, dict) and "value" in value else value
    return value is not None and _SIGNS[parts["sign"]](*_comparable(value, wanted))


def _comparable(value: Any, wanted: str) -> tuple[Any, Any]:
    if isinstance(value, int):
        if not wanted.lstrip("-").isdigit():
            raise BadRequest(f"{wanted} is no number")
        return value, int(wanted)
    try:
        moments = [datetime.fromisoformat(text) for text in (value, wanted)]
    except ValueError:
        return value, wanted
    return tuple(moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in moments)  # type: ignore[return-value]
