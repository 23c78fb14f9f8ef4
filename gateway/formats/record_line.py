"""Lines in straight-line code where `record` alone would do more than is needed: of records never made, between separators.

As there, code is made of the templates of columns alone; every value in them stands behind a name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gateway.formats.record import Column, columns, encode, rows


class Liner:
    """Writes records like *sample* as `record.encode` does, without making them, which costs as much again as the line.

    Args:
        sample: a record; what it has in the fields that do not vary, all have.
        varying: names of the others.
        end: stands behind each line.
    """

    def __init__(self, sample: Any, *varying: str, end: str = "") -> None:
        line, cls = encode(sample), type(sample)
        self._sample, self._varying, self._end = sample, varying, end
        self._quick = rows(cls, varying, {name: column.cut(line) for name, column in columns(cls)}, end).line

    def line(self, *values: object) -> str:
        """Return the line of a record with these *values* of the varying fields, in their order.

        Raises:
            EncodeError: one does not fit; it names record, field and value.
        """
        found = self._quick(*values)
        if found is None:
            found = encode(replace(self._sample, **dict(zip(self._varying, values, strict=True)))) + self._end
        return found


def text_in(column: Column, value: object) -> str | None:
    """Return *value* as it stands in *column*, None where it does not fit: for one, where no function is worth its making."""
    names = {**column.names, "value": value}
    spelt = {key: key for key in column.names} | {"v": "value", "t": "text"}
    if not eval(column.fits.format(**spelt), names):  # noqa: S307 - as in `record`
        return None
    text: str = eval(column.put.format(**spelt), names)  # noqa: S307 - what *fits* kept for it stands among the names
    return text


def joined(fields: Sequence[Column | str], separator: str, quote: str, end: str) -> Callable[..., str | None]:
    """Return what makes a line of values with *separator* between; None where one does not fit or must be quoted.

    Args:
        fields: for each the column of the value handed in for it, or the text that it always has.
        separator: between the fields.
        quote: around a field that holds the separator; empty where there is none.
        end: of the line.
    """
    names: dict[str, object] = {"join": separator.join, "separator": separator, "end": end, "quote": quote or "\n"}
    parts, checks, given = list[str](), list[str](), list[str]()
    for number, one in enumerate(fields):
        if isinstance(one, str):
            names[f"text_{number}"] = one
            parts.append(f"text_{number}")
            continue
        own = {key: f"{key}_{number}" for key in (*one.names, "v", "t")}
        names |= {own[key]: value for key, value in one.names.items()}
        checks.append(f"({one.fits.format(**own)})")
        parts.append(one.put.format(**own))
        given.append(own["v"])
    source = (
        f"def line({', '.join(given)}):\n if not ({' and '.join(checks) or 'True'}): return None\n"
        f" line = join(({', '.join(parts)},))\n"
        f" is_plain = line.count(separator) == {len(fields) - 1} and quote not in line and line.isprintable()\n"
        " return line + end if is_plain else None\n"
    )
    exec(source, names)  # noqa: S102 - as in `record`
    return names["line"]  # type: ignore[return-value]


def parted(fields: Sequence[Column]) -> Callable[..., tuple[Any, ...]]:
    """Return what makes of the texts of a line's fields their values, each as its column takes it."""
    names, parts = dict[str, object](), list[str]()
    for number, one in enumerate(fields):
        own = {key: f"{key}_{number}" for key in (*one.names, "r")}
        names |= {own[key]: value for key, value in one.names.items()}
        parts.append(f"{one.take.format(**own)}, ")
    given = ", ".join(f"r_{number}" for number in range(len(fields)))
    exec(f"def values({given}): return ({''.join(parts)})", names)  # noqa: S102 - as in `record`
    return names["values"]  # type: ignore[return-value]
