"""Is what a plugin returned really what the hook promises, down to the type of each field?

Python checks none of this by itself: an amount as ``Decimal`` or a day as ``datetime`` would travel far before it hurt.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from gateway.errors import PluginError

T = TypeVar("T")


class WrongType(PluginError):
    """A plugin returned something else than its hook promises. The sentence holds types and no values."""


def checked(kind: type[T], value: object) -> T:
    """Return *value*; raise `WrongType` unless it is a *kind* whose fields hold what they are declared to hold."""
    if not isinstance(value, kind):
        raise WrongType(f"a plugin must return {kind.__name__}, got {type(value).__name__}")
    if hasattr(kind, "_fields"):
        _check_row(kind, cast("tuple[object, ...]", value))
    elif dataclasses.is_dataclass(kind):
        _check_row(kind, tuple(getattr(value, field.name) for field in dataclasses.fields(kind)))
    return value


def _check_row(kind: type, values: tuple[object, ...]) -> None:
    shape = tuple(map(type, values))
    known = _known(kind)
    if shape in known:  # a million payments have a handful of shapes between them
        return
    for (name, allowed), value in zip(_fields(kind), values, strict=True):
        if not _may_be(value, allowed):
            wanted = " or ".join(sorted(one.__name__ for one in allowed))
            raise WrongType(f"{kind.__name__}.{name} must be {wanted}, got {type(value).__name__}")
    if _is_plain(shape):
        known.add(shape)


def _is_plain(shape: tuple[type, ...]) -> bool:
    """Rows inside rows have shapes of their own and are looked at each time."""
    return not any(dataclasses.is_dataclass(one) or hasattr(one, "_fields") for one in shape)


def _may_be(value: object, allowed: frozenset[type]) -> bool:
    if not allowed:
        return True
    if isinstance(value, bool) or (isinstance(value, datetime) and datetime not in allowed):
        return type(value) in allowed  # neither is taken for the number or the day it could stand for
    fits = [one for one in allowed if isinstance(value, one)]
    for one in fits:
        if dataclasses.is_dataclass(one) or hasattr(one, "_fields"):
            checked(one, value)
    return bool(fits)


@cache
def _known(_kind: type) -> set[tuple[type, ...]]:
    return set()


@cache
def _fields(kind: type) -> tuple[tuple[str, frozenset[type]], ...]:
    """Return each field with the classes it may hold; an empty set where the declaration names none."""
    hints = get_type_hints(kind)
    names = cast("Any", kind)._fields if hasattr(kind, "_fields") else [f.name for f in dataclasses.fields(kind)]
    return tuple((name, frozenset(_classes(hints[name]))) for name in names)


def _classes(hint: Any) -> tuple[type, ...]:
    if get_origin(hint) in {Union, UnionType}:
        return tuple(one for part in get_args(hint) for one in _classes(part))
    bare = get_origin(hint) or hint
    if bare in {Any, object}:
        return ()
    return (NoneType if bare is None else bare,)
