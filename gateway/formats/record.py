"""Fixed-width records, declared once; reader, writer, pattern and documentation table come from the declaration.

    @record(length=80)
    class TransmissionStart:
        format_code: str = const(1, "NY")
        filler_1: str = filler(3, 6)
        transmitter: str = digits(9, 8)
        ...

Positions are 1-based, as the specifications print them, so that a reviewer can hold the class against the paper. A
gap, an overlap or a wrong total stops the import of the module. Nothing is ever cut, defaulted or guessed: a value that
does not fit raises `EncodeError`, a line that does not match raises `DecodeError`, both naming record, field and value.
Fillers are kept as read, so that ``encode(decode(cls, line)) == line``.

A column is a few lines of Python source (what fits, how it is written, what is valid, how it is read). They are joined
into one straight-line function per record, because an interpreted walk over the columns costs five times as much; the
same pieces, compiled one by one, name the culprit when the fast function says no.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from keyword import iskeyword
from operator import methodcaller
from types import CodeType
from typing import Any, BinaryIO, Literal, NamedTuple, TypeVar, dataclass_transform

from gateway.domain.reasons import said
from gateway.errors import DecodeError, EncodeError

T = TypeVar("T")
Demand = tuple[str, Mapping[str, object]]
"""Reason code and values of a sentence that says what belongs somewhere."""
_KEY = "gateway.column"


@dataclass(frozen=True, slots=True)
class Column:
    """Where a field lies and how it turns into text and back.

    *fits* and *put* are templates of expressions over the value ``{v}``; *valid* and *take* over the raw text ``{r}``.
    What *fits* has found and *put* needs may be kept in ``{t}``. Everything else they mention stands in *names*, so no
    literal is ever spliced into source. *pattern* matches the raw text; *kind* and *demand* say in words what belongs here.
    """

    kind: str
    start: int
    width: int
    demanded: str | Demand
    pattern: str
    fits: str
    put: str
    valid: str
    take: str
    names: Mapping[str, object]
    const: str | None = None

    @property
    def demand(self) -> str:
        """What belongs here, as a sentence fragment; in every language where it is one of ours (`Said`)."""
        return self.demanded if isinstance(self.demanded, str) else said(self.demanded[0], **self.demanded[1])

    @property
    def stop(self) -> int:
        """Last position, 1-based and inclusive."""
        return self.start + self.width - 1

    def cut(self, line: str) -> str:
        """Return the raw text of this column."""
        return line[self.start - 1 : self.stop]


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ALL_DIGITS = "{r}.isascii() and {r}.isdigit()"
_CLEAN = "({v}.isprintable() or not {has_control}({v}))"


# --- the kinds of column ---------------------------------------------------------------------------------------------


def const(start: int, value: str, *, init: Literal[False] = False) -> Any:
    """Declare a literal the specification prints. It is checked on reading and tells records apart."""
    demand, names = ("wrong.other_than", {"expected": repr(value)}), {"literal": value}
    kind = repr(value)
    made = Column(
        kind, start, len(value), demand, re.escape(value), "True", "{literal}", "{r} == {literal}", "{r}", names, value
    )
    return _field(made, default=value, init=init)


def digits(start: int, width: int, *, default: Any = MISSING) -> Any:
    """Declare digits kept as text (account numbers, references): exactly *width* of them, leading zeros count."""
    fits = "type({v}) is str and len({v}) == {width} and {v}.isascii() and {v}.isdigit()"
    made = Column(
        "digits", start, width, ("wrong.digits", {"width": width}), f"[0-9]{{{width}}}", fits, "{v}", _ALL_DIGITS, "{r}",
        {"width": width},
    )  # fmt: skip
    return _field(made, default=default)


def number(start: int, width: int, *, default: Any = MISSING) -> Any:
    """Declare a count or an amount in minor units: not negative, right-aligned, zero-filled."""
    made = Column(
        "number", start, width, ("wrong.number_width", {"width": width}), f"[0-9]{{{width}}}",
        "type({v}) is int and 0 <= {v} < {limit}", "str({v}).rjust({width}, {zero})", _ALL_DIGITS, "int({r})",
        {"limit": 10**width, "width": width, "zero": "0"},
    )  # fmt: skip
    return _field(made, default=default)


def text(
    start: int, width: int, *, align: Literal["left", "right"] = "left", fill: str = " ", default: Any = MISSING
) -> Any:
    """Declare text padded with *fill* on the side away from *align*. Too long is an error, not a cut.

    Control characters are refused on writing. On reading only the padding is taken off.
    """
    pad, strip = ("ljust", "rstrip") if align == "left" else ("rjust", "lstrip")
    made = Column(
        f"text, {align}", start, width, ("wrong.printable", {"width": width}),
        f".{{{width}}}", "type({v}) is str and len({v}) <= {width} and " + _CLEAN,
        "{v}." + pad + "({width}, {fill})", "True", "{r}." + strip + "({fill})",
        {"width": width, "fill": fill, "has_control": _CONTROL.search},
    )  # fmt: skip
    return _field(made, default=default)


def day(start: int, *, pattern: str = "%d%m%y", empty: str | None = None, default: Any = MISSING) -> Any:
    """Declare a date written with strftime *pattern*; *empty* is the text that stands for no date (six zeros).

    Where there may be no date, blanks are read as none too (payments.md 1), and written again as *empty*. Two-digit
    years 69-99 are the 1900s, 00-68 the 2000s, as POSIX has it.
    """
    width = len(date(2000, 1, 1).strftime(pattern))
    show = lru_cache(maxsize=4096)(methodcaller("strftime", pattern))
    names = {"width": width, "day": date, "see": _reader_of_days(pattern), "show": show}
    fits, put = "type({v}) is {day} and len({show}({v})) == {width}", "{show}({v})"
    valid, take = "{see}({r}) is not None", "{see}({r})"
    shape, demand = f"[0-9]{{{width}}}", ("wrong.day_written", {"pattern": _shown_pattern(pattern)})
    if empty is not None:
        if len(empty) != width:
            raise TypeError(f"{empty!r} is not {width} wide")
        empties = (empty, " " * width)
        names |= {"empty": empty, "empties": empties}
        fits, put = "{v} is None or " + fits, "({empty} if {v} is None else " + put + ")"
        valid, take = "{r} in {empties} or " + valid, "(None if {r} in {empties} else " + take + ")"
        shape = "(?:" + "|".join([shape, *map(re.escape, empties)]) + ")"
        demand = "wrong.day_or_none", {**demand[1], "empty": repr(empty)}
    return _field(
        Column(f"date {pattern}", start, width, demand, shape, fits, put, valid, take, names), default=default
    )


def one_of(start: int, width: int, *choices: str, default: Any = MISSING) -> Any:
    """Declare a code from a closed list."""
    if not choices or any(len(choice) != width for choice in choices):
        raise TypeError(f"every choice of {choices} must be {width} wide")
    made = Column(
        "code", start, width, ("wrong.not_one_of", {"choices": ", ".join(map(repr, choices))}),
        f"(?:{'|'.join(map(re.escape, choices))})", "{v} in {choices}", "{v}", "{r} in {choices}", "{r}",
        {"choices": choices},
    )  # fmt: skip
    return _field(made, default=default)


def filler(start: int, width: int, fill: str = "0", *, init: Literal[False] = False) -> Any:  # noqa: ARG001
    """Declare room the specification reserves: written as *fill*, kept as read, since banks do use it.

    *init* tells the type checker that no writer has to give it; `decode` does.
    """
    made = Column(
        "filler", start, width, ("wrong.characters", {"width": width}), f".{{{width}}}",
        "type({v}) is str and len({v}) == {width} and " + _CLEAN, "{v}", "True", "{r}",
        {"width": width, "fill": fill, "has_control": _CONTROL.search},
    )  # fmt: skip
    return _field(made, default=fill * width)


def _field(column: Column, *, default: Any, init: bool = True) -> Any:
    if column.start < 1 or column.width < 1:
        raise TypeError(f"a column at {column.start}, {column.width} wide, cannot be")
    return dataclasses.field(default=default, init=init, metadata={_KEY: column})


def _shown_pattern(pattern: str) -> str:
    """Return a strftime pattern as people write it."""
    return pattern.replace("%Y", "YYYY").replace("%y", "YY").replace("%m", "MM").replace("%d", "DD")


def _reader_of_days(pattern: str) -> Callable[[str], date | None]:
    @lru_cache(maxsize=4096)
    def see(raw: str) -> date | None:
        if not (raw.isascii() and raw.isdigit()):
            return None
        try:
            return datetime.strptime(raw, pattern).date()  # noqa: DTZ007 - a calendar day has no zone
        except ValueError:
            return None

    return see


# --- records ---------------------------------------------------------------------------------------------------------


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(const, digits, number, text, day, one_of, filler)
)
def record(*, length: int) -> Callable[[type[T]], type[T]]:
    """Make a frozen dataclass (keyword arguments only) whose columns are proven to tile a line of *length*.

    Raises:
        TypeError: at import, when columns leave a gap, overlap or do not add up to *length*.
    """

    def make(cls: type[T]) -> type[T]:
        made = dataclass(frozen=True, kw_only=True, slots=True)(cls)
        position = 1
        for name, column in columns(made):
            if column.start != position:
                raise TypeError(f"{cls.__name__}.{name} starts at {column.start}, expected {position}")
            position += column.width
        if position != length + 1:
            raise TypeError(f"{cls.__name__} is {position - 1} wide, expected {length}")
        _COMPILED[made] = _compile(made)
        return made

    return make


def made(title: str, fields: Mapping[str, Column], length: int) -> type:
    """Return the record class that layouts given as data (`gateway.profiles`) compile to: the same as a declared one.

    Args:
        title: name of the class, for errors.
        fields: name of each field, and its column, in order of position.
        length: of a record.

    Raises:
        TypeError: columns that do not tile the record, or a name that is no lower-case word: names become code here.
    """
    wrong = next((name for name in fields if not re.fullmatch("[a-z][a-z0-9_]*", name) or iskeyword(name)), None)
    if wrong is not None:
        raise TypeError(f"{wrong!r} is no name of a field")
    body: dict[str, Any] = {"__annotations__": dict.fromkeys(fields, Any), "__module__": __name__}
    for name, column in fields.items():
        fill = str(column.names["fill"]) * column.width if column.kind == "filler" else MISSING
        body[name] = _field(column, default=column.const or fill, init=column.const is None)
    return record(length=length)(type(title, (), body))


def columns(cls: type) -> tuple[tuple[str, Column], ...]:
    """Return the fields of a record class with their columns, in order of position."""
    return tuple((item.name, item.metadata[_KEY]) for item in dataclasses.fields(cls))


def width_of(cls: type) -> int:
    """Return the length of a record of class *cls*."""
    return columns(cls)[-1][1].stop


def decode(cls: type[T], line: str) -> T:
    """Return *line* (without its line end) read as *cls*.

    Raises:
        DecodeError: naming record, field and value; its line number is 0, see `DecodeError.at_line`.
    """
    made: T | None = _COMPILED[cls].read(line)
    if made is None:
        raise _misfit(cls, line)
    return made


def encode(record: object) -> str:
    """Return *record* as a line, without a line end.

    Raises:
        EncodeError: a value does not fit its column; it names record, field and value.
    """
    line: str | None = _COMPILED[type(record)].write(record)
    if line is None:
        raise _unfit(record)
    return line


def day_of(cls: type, field: str, raw: str) -> date | None:
    """Return the date that *raw* is in the day column *field* of *cls*; None where there is no such date."""
    found: date | None = dict(columns(cls))[field].names["see"](raw)  # type: ignore[operator]
    return found


def no_days(cls: type, field: str) -> tuple[str, ...]:
    """Return the texts that stand for no date in the day column *field* of *cls*."""
    found: tuple[str, ...] = dict(columns(cls))[field].names.get("empties", ())  # type: ignore[assignment]
    return found


def fits(column: Column, raw: str) -> bool:
    """Return whether *raw* may stand in *column*."""
    return len(raw) == column.width and _holds(column, column.valid, raw)


def describe(cls: type) -> tuple[tuple[int, int, str, str], ...]:
    """Return (first position, last position, field, what belongs there) for the documentation table of *cls*."""
    return tuple((column.start, column.stop, name, column.kind) for name, column in columns(cls))


class _Compiled(NamedTuple):
    read: Callable[[str], Any]
    write: Callable[[Any], str | None]


_COMPILED: dict[type, _Compiled] = {}
_Spelt = tuple[str, Column, dict[str, str]]
"""A field, its column, and what the names in its templates are called in one function of all columns."""


def _compile(cls: type) -> _Compiled:
    """Return the two straight-line functions of *cls*; both give None where a value does not fit."""
    fields, names, is_valid = _spelt(cls)
    values = [(name, column, own) for name, column, own in fields if column.const is None]
    takes = ", ".join(f"{name}={column.take.format(**own)}" for name, column, own in values)
    binds = "".join(f" {own['v']} = record.{name}\n" for name, _, own in values)
    checks = " and ".join(f"({column.fits.format(**own)})" for _, column, own in values)
    parts = ", ".join(column.put.format(**own) for _, column, own in fields)
    source = (
        f"def read(line):\n if not ({is_valid}): return None\n return cls({takes})\n"
        f"def write(record):\n{binds} if not ({checks or 'True'}): return None\n return join(({parts},))\n"
    )
    names |= {"cls": cls, "join": "".join}
    exec(source, names)  # noqa: S102 - built from declarations in our own modules only, as dataclasses does
    return _Compiled(names["read"], names["write"])  # type: ignore[arg-type]


def _spelt(cls: type) -> tuple[list[_Spelt], dict[str, object], str]:
    """Return the fields of *cls* as one function needs them, the names in it, and the expression that a line is valid."""
    fields, names, tests = list[_Spelt](), dict[str, object](), [f"len(line) == {width_of(cls)}"]
    for index, (name, column) in enumerate(columns(cls)):
        own = {key: f"{key}_{index}" for key in column.names}
        names |= {own[key]: value for key, value in column.names.items()}
        own |= {"v": f"v_{index}", "t": f"t_{index}", "r": f"line[{column.start - 1}:{column.stop}]"}
        tests += [f"({column.valid.format(**own)})"] if column.valid != "True" else []
        fields.append((name, column, own))
    return fields, names, " and ".join(tests)


class Rows(NamedTuple):
    """Two functions of a record class that deal in values instead of records; they give None where one does not fit."""

    line: Callable[..., str | None]
    values: Callable[[str], tuple[Any, ...] | None]


def rows(cls: type, wanted: Iterable[str], literals: Mapping[str, str] | None = None, end: str = "") -> Rows:
    """Return how records of *cls* are written and read without making one, which costs as much again as the line.

    Args:
        cls: a record.
        wanted: the fields whose values are handed in and out, in this order.
        literals: raw texts of other columns; those not named are written as declared: constants and fillers.
        end: stands behind each line that is written.
    """
    order, given, literal = list(wanted), literals or {}, ""
    fields, names, is_valid = _spelt(cls)
    checks, parts, takes, places = list[str](), list[str](), dict[str, str](), dict[str, str]()
    for name, column, own in fields:
        if name in order:
            takes[name], places[name] = column.take.format(**own), own["v"]
            checks += [f"({column.fits.format(**own)})"] if column.fits != "True" else []
            names[f"before_{name}"] = literal
            parts += [f"before_{name}", column.put.format(**own)] if literal else [column.put.format(**own)]
            literal = ""
        else:
            literal += given.get(name) or column.const or str(column.names.get("fill", " ")) * column.width
    source = (
        f"def line({', '.join(places[name] for name in order)}):\n"
        f" if not ({' and '.join(checks) or 'True'}): return None\n return join(({', '.join([*parts, 'end'])},))\n"
        f"def values(line):\n if not ({is_valid}): return None\n"
        f" return ({''.join(takes[name] + ', ' for name in order)})\n"
    )
    names |= {"join": "".join, "end": literal + end}
    exec(source, names)  # noqa: S102 - as in `_compile`
    return Rows(names["line"], names["values"])  # type: ignore[arg-type]


def _misfit(cls: type, line: str) -> DecodeError:
    """Return the error that says which column of *line* is wrong."""
    if len(line) != width_of(cls):
        reason = said("wrong.record_width", expected=width_of(cls), found=len(line))
        return DecodeError(reason, path=cls.__name__, value=line)
    for name, column in columns(cls):
        raw = column.cut(line)
        if not _holds(column, column.valid, raw):
            return DecodeError(column.demand, path=cls.__name__, field=name, value=raw)
    raise AssertionError(f"{cls.__name__} refused a line whose columns are all valid: {line!r}")


def _unfit(record: object) -> EncodeError:
    """Return the error that says which value does not fit."""
    for name, column in columns(type(record)):
        value = getattr(record, name)
        if not _holds(column, column.fits, value):
            return EncodeError(f"{type(record).__name__}.{name}: {column.demand}, is {value!r:.200}")
    raise AssertionError(f"{type(record).__name__} refused values that all fit")


def _holds(column: Column, template: str, value: object) -> bool:
    source = template.format(v="value", r="value", t="text", **{key: key for key in column.names})
    return bool(eval(_condition(source), {**column.names, "value": value}))  # noqa: S307 - as in `_compile`


@cache
def _condition(source: str) -> CodeType:
    """Return *source*, of which there is one for each kind of column, compiled: a file may be wrong in every line."""
    return compile(source, "<column>", "eval")


# --- files of records ------------------------------------------------------------------------------------------------


class Layout:
    """The records that may occur in one file, told apart by their constants.

    Args:
        kinds: record classes, all of one length.
        encoding: the charset of the file, for example ``iso-8859-1``.
        newline: written after each record; ``""`` for none. Reading accepts LF and CRLF.
    """

    def __init__(self, *kinds: type, encoding: str, newline: str = "\n") -> None:
        lengths = {width_of(kind) for kind in kinds}
        if len(lengths) != 1:
            raise TypeError(f"the records of one layout have one length, not {sorted(lengths)}")
        self.length, self.encoding, self.newline = lengths.pop(), encoding, newline
        self._groups: dict[tuple[tuple[int, int], ...], dict[tuple[str, ...], type]] = {}
        for kind in kinds:
            fixed = [column for _, column in columns(kind) if column.const is not None]
            spans = tuple((column.start - 1, column.stop) for column in fixed)
            taken = self._groups.setdefault(spans, {}).setdefault(tuple(str(c.const) for c in fixed), kind)
            if taken is not kind:
                raise TypeError(f"{kind.__name__} and {taken.__name__} cannot be told apart")

    def kind_of(self, line: str) -> type:
        """Return the record class whose constants *line* carries.

        Raises:
            DecodeError: none, or more than one, matches.
        """
        found = []
        for spans, kinds in self._groups.items():
            kind = kinds.get(tuple([line[start:stop] for start, stop in spans]))
            if kind is not None:
                found.append(kind)
        if len(found) != 1:
            names = ", ".join(kind.__name__ for kind in found)
            reason = said("wrong.several_records", records=names) if found else said("wrong.no_such_record")
            raise DecodeError(reason, value=line)
        return found[0]

    def read(self, stream: BinaryIO) -> Iterator[tuple[int, Any]]:
        """Yield (line number, record) for each line of *stream*, with one line in memory at a time.

        Raises:
            DecodeError: a line of another length, charset or content; it names the line.
        """
        longest = 4 * self.length + 2  # UTF-8 needs at most four bytes a character; more is no such line
        for number, raw in enumerate(iter(lambda: stream.readline(longest), b""), 1):
            try:
                line = raw.decode(self.encoding).rstrip("\r\n")
                yield number, decode(self.kind_of(line), line)
            except UnicodeDecodeError as error:
                raise DecodeError(
                    said("wrong.not_charset", charset=self.encoding), line=number, value=repr(raw)
                ) from error
            except DecodeError as error:
                raise error.at_line(number) from error

    def write(self, records: Iterable[object]) -> Iterator[bytes]:
        """Yield the encoded line of each record.

        Raises:
            EncodeError: a value does not fit its column, or is not in the charset. Nothing is replaced.
        """
        for item in records:
            line = encode(item) + self.newline
            try:
                yield line.encode(self.encoding)
            except UnicodeEncodeError as error:
                wrong = error.object[error.start : error.end]
                raise EncodeError(f"{type(item).__name__}: {wrong!r} is not in {self.encoding}") from error
