"""Patterns of fixed-width records, from their declarations: for readers that must go through a million lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gateway.formats.record import columns

_ANYTHING = re.compile(r"\.\{(0,|)([0-9]+)\}(\+?)")


def pattern(
    cls: type,
    *wanted: str,
    narrowed: Mapping[str, str] | None = None,
    spans: Iterable[tuple[str, str, str]] = (),
) -> str:
    """Return a regular expression for a line of *cls*, with the *wanted* fields as named groups.

    For readers that must go through a million lines. It matches raw text: dates may still not exist in the calendar.
    Blanks at the end of the line may be missing, as mail gateways trim them; the open ends are possessive, so that no
    line is tried twice.

    Args:
        cls: a record.
        wanted: fields.
        narrowed: a stricter pattern for a field, such as a back-reference to a group of an earlier record.
        spans: (group, first field, last field): a group that takes the columns from first to last as one text.
    """
    narrow, spans = narrowed or {}, tuple(spans)
    unknown = {*wanted, *narrow, *(name for _, *ends in spans for name in ends)} - {name for name, _ in columns(cls)}
    if unknown:
        raise TypeError(f"{cls.__name__} has no {sorted(unknown)}")
    trimmed = _may_be_trimmed(cls)
    parts = []
    for name, column in columns(cls):
        shape = narrow.get(name, f".{{0,{column.width}}}+" if name in trimmed else column.pattern)
        parts += [f"(?P<{group}>" for group, first, _ in spans if first == name]
        parts.append(f"(?P<{name}>{shape})" if name in wanted else shape)
        parts += [")" for _, _, last in spans if last == name]
    return "".join(_with_runs_as_one(parts))


def _with_runs_as_one(parts: Iterable[str]) -> list[str]:
    """Return *parts* of a pattern with columns side by side of which nothing is asked taken in one step: it is quicker."""
    made = [""]
    for part in parts:
        before, found = _ANYTHING.fullmatch(made[-1]), _ANYTHING.fullmatch(part)
        if before and found and before.group(1, 3) == found.group(1, 3):
            made[-1] = f".{{{found[1]}{int(before[2]) + int(found[2])}}}{found[3]}"
        else:
            made.append(part)
    return made


def _may_be_trimmed(cls: type) -> set[str]:
    """Return the columns at the end of a line that blanks alone may fill."""
    found = set()
    for name, column in reversed(columns(cls)):
        if column.kind != "filler" and (column.kind != "text, left" or column.names["fill"] != " "):
            break
        found.add(name)
    return found
