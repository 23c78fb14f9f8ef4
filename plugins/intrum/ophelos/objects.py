"""Objects as Ophelos answers them, read without trust: each field is of the kind asked for, or the reader says which is not.

New fields are no breaking change there, so what nobody asks for is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from gateway.domain.calls import Answer
from gateway.domain.money import MAX_MINOR
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.calls import decoded

_TEXT_MAX, _ROWS_MAX = 2000, 1000
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
"""Ids become parts of addresses, so that nothing else may stand in one."""


class Thing:
    """One object. *values* are its fields; *path* says where it stands, for errors.

    Raises:
        DecodeError: from the constructor and every method, naming the field.
    """

    def __init__(self, values: object, path: str = "") -> None:
        if not isinstance(values, Mapping):
            raise DecodeError(said("wrong.not_an_object"), path=path, value=repr(values))
        self.values: Mapping[str, Any] = values
        self.path = path

    def text(self, name: str) -> str:
        """Return a text; empty where the field is absent or null."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > _TEXT_MAX:
            raise self.fault(said("wrong.not_text"), name)
        return value

    def id(self, name: str = "id") -> str:
        """Return an id, which must be there; of a relation that came expanded, the id of the object in it."""
        value = self.values.get(name)
        if isinstance(value, Mapping):
            return Thing(value, self._below(name)).id()
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise self.fault(said("wrong.unknown"), name)
        return value

    def amount(self, name: str) -> int:
        """Return minor units; a decimal, a text or none at all is refused."""
        value = self.values.get(name)
        if type(value) is not int or abs(value) > MAX_MINOR:
            raise self.fault(said("wrong.not_whole"), name)
        return value

    def moment(self, name: str) -> datetime:
        """Return a moment with its zone."""
        try:
            moment = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise self.fault(said("wrong.no_such_day"), name) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def day(self, name: str) -> date:
        """Return the day of a date or date-time, as it is written there."""
        return self.moment(name).date()

    def inner(self, name: str) -> Thing:
        """Return the object in a field; an empty one where the field is absent or null."""
        value = self.values.get(name)
        return Thing({} if value is None else value, self._below(name))

    def fault(self, reason: str, name: str) -> DecodeError:
        """Return the error that names field *name*."""
        return DecodeError(reason, path=self.path, field=name, value=str(self.values.get(name)))

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def object_of(answer: Answer) -> Thing:
    """Return the object that an answer holds."""
    return Thing(decoded(answer.body))


def objects_of(answer: Answer) -> Iterator[Thing]:
    """Yield the objects of a list; what stands there and is none has no fields."""
    rows = object_of(answer).values.get("data")
    if not isinstance(rows, list) or len(rows) > _ROWS_MAX:
        raise DecodeError(said("wrong.list_length", most=_ROWS_MAX), field="data", value=str(rows))
    for number, row in enumerate(rows, 1):
        yield Thing(row if isinstance(row, Mapping) else {}, f"data[{number}]")


def status_of(thing: Thing) -> str:
    """Return the word for a thing's status, which is an object or, unexpanded, a word."""
    status = thing.values.get("status")
    return status if isinstance(status, str) else thing.inner("status").text("value")


def reason_of(thing: Thing) -> str:
    """Return the reason given for a thing's status; empty where there is none."""
    return "" if isinstance(thing.values.get("status"), str) else thing.inner("status").text("reason")


def why_refused(answer: Answer) -> tuple[str, str]:
    """Return code and words of an answer that refuses: field by field where it says so, else its own text, never cut away."""
    raw = answer.body.decode(errors="replace")
    try:
        told = Thing(decoded(answer.body)).values
    except DecodeError:
        return str(answer.status), raw
    errors, message = told.get("errors"), told.get("message")
    if isinstance(errors, Mapping) and errors:
        return str(answer.status), "; ".join(f"{field}: {_words(said)}" for field, said in errors.items())
    return str(answer.status), message if isinstance(message, str) and message else raw


def _words(said: object) -> str:
    return ", ".join(map(str, said)) if isinstance(said, list) else str(said)
