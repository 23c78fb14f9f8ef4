"""Lists of any length, a page at a time by key: no offset, no count (design/stack.md 1.3, point 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request, url_for
from sqlalchemy import Connection, Select
from sqlalchemy.orm import InstrumentedAttribute

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Slice:
    """One page of a list, newest first; *older* and *newer* are addresses, None where there is nothing."""

    rows: Sequence[Any]
    newer: str | None
    older: str | None


def slice_of(
    connection: Connection,
    query: Select[Any],
    key: InstrumentedAttribute[int],
    arguments: Mapping[str, str],
    rows: int = PAGE_ROWS,
) -> Slice:
    """Return the page that ``before=<key>`` or ``after=<key>`` of *arguments* names, else the first.

    *query* must select *key* under its own name; the list is ordered by it, highest first.
    """
    before, after = _number(arguments.get("before")), _number(arguments.get("after"))
    if after is not None:
        found = list(connection.execute(query.where(key > after).order_by(key.asc()).limit(rows + 1)))
        more_newer, found = len(found) > rows, found[:rows][::-1]
        more_older = True
    else:
        if before is not None:
            query = query.where(key < before)
        found = list(connection.execute(query.order_by(key.desc()).limit(rows + 1)))
        more_older, found = len(found) > rows, found[:rows]
        more_newer = before is not None
    if not found:
        return Slice((), address(before=None, after=None) if before or after else None, None)
    first, last = getattr(found[0], key.key), getattr(found[-1], key.key)
    return Slice(
        found,
        address(after=first, before=None) if more_newer else None,
        address(before=last, after=None) if more_older else None,
    )


def address(**changes: object) -> str:
    """Return the address of the present page with some query arguments changed; None takes one away."""
    arguments: dict[str, Any] = {**request.view_args} if request.view_args else {}
    arguments |= {name: value for name, value in request.args.items() if name not in changes}
    arguments |= {name: value for name, value in changes.items() if value is not None}
    return url_for(str(request.endpoint), **arguments)


def _number(value: str | None) -> int | None:
    return int(value) if value and value.isdecimal() and len(value) < 19 else None
