"""Files of lines, fixed-width and delimited: how a record becomes a line and back."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol

from gateway.errors import DecodeError, EncodeError
from gateway.formats.record import Column, Layout, decode, encode, made, rows
from gateway.formats.record_line import joined, parted, text_in
from gateway.profiles.columns import between, column, constant, filler
from gateway.profiles.declaration import FIXED, Field, FileLayout, Part
from gateway.profiles.kinds import MISFIT, encoder

MAX_LINE_BYTES = 1 << 16
"""A file that goes on this long without a line end is not made of lines."""

_BLANK = " \t\r\n\x1a"


class Row(NamedTuple):
    """One record or element that was read: where it began, which it is, its values by name."""

    line: int
    part: str
    values: dict[str, Any]


class Read(NamedTuple):
    """A row before it is handed on: its values in the order of the fields of *part*."""

    line: int
    part: Part
    values: Sequence[Any]

    def named(self) -> Row:
        """Return the row as it is handed on."""
        return Row(
            self.line, self.part.key, {one.name: v for one, v in zip(self.part.values, self.values, strict=True)}
        )


class LineCodec(Protocol):
    """Makes lines of records and records of lines, for one kind of file."""

    def line(self, part: Part, values: Sequence[Any]) -> str:
        """Return one record without its line end; raises ``EncodeError``."""

    def liner(self, part: Part, places: Sequence[int], fixed: Mapping[int, Any]) -> Callable[..., str | None]:
        """Return what makes a line, with its end, of the values at *places*; None for values that `line` must look at.

        Args:
            part: the record.
            places: of the values that vary, among all values of the record, in the order in which they will be handed in.
            fixed: the others, by place.

        Raises:
            EncodeError: one of *fixed* does not fit.
        """

    def rows(self, stream: BinaryIO) -> Iterator[Read]:
        """Yield the records of a file; raises ``DecodeError`` with the line."""


def codec_of(layout: FileLayout) -> LineCodec:
    """Return what reads and writes the lines of *layout*."""
    return FixedLines(layout) if layout.kind == FIXED else DelimitedLines(layout)


# --- fixed width -----------------------------------------------------------------------------------------------------


def record_of(part: Part) -> type:
    """Return the record class that *part* compiles to."""
    return made(part.key, {one.name: column_of(one) for one in part.fields}, part.length)


def column_of(one: Field, start: int = 0) -> Column:
    """Return the column that *one* compiles to; *start* puts it elsewhere than it is declared."""
    first = start or one.start
    if one.const is not None:
        return constant(first, one.const)
    if one.rule.type == "filler":
        return filler(first, one.rule.longest, one.fill)
    return column(one.rule, first, one.align, one.fill)


class FixedLines:
    """Records of fixed columns, by the machinery of the built-in layouts."""

    def __init__(self, layout: FileLayout) -> None:
        self._layout = layout
        self.records = {part.key: record_of(part) for part in layout.parts.values()}
        self._names = {part.key: tuple(one.name for one in part.values) for part in layout.parts.values()}
        self._quick: dict[int, list[tuple[Part, Callable[[str], tuple[Any, ...] | None]]]] = {}
        for part in layout.parts.values():
            values = rows(self.records[part.key], self._names[part.key]).values
            self._quick.setdefault(part.length, []).append((part, values))
        widths: dict[int, list[type]] = {}
        for part in layout.parts.values():
            widths.setdefault(part.length, []).append(self.records[part.key])
        self._layouts = {
            width: Layout(*kinds, encoding=layout.encoding) for width, kinds in sorted(widths.items())
        }  # fmt: skip

    def line(self, part: Part, values: Sequence[Any]) -> str:
        """Return a record as a line."""
        return encode(self.records[part.key](**dict(zip(self._names[part.key], values, strict=True))))

    def liner(self, part: Part, places: Sequence[int], fixed: Mapping[int, Any]) -> Callable[..., str | None]:
        """Return what makes a line, with its end, of the values at *places*; None for values that do not fit."""
        record, names, values = self.records[part.key], self._names[part.key], part.values
        literals = {}
        for place, value in fixed.items():
            one = values[place]
            alone = column_of(one, start=1)
            text = text_in(alone, value)
            if text is None:
                raise EncodeError(f"{part.key}.{one.name}: {alone.demand}, is {value!r:.200}")
            literals[one.name] = text
        return rows(record, [names[place] for place in places], literals, self._layout.newline).line

    def rows(self, stream: BinaryIO) -> Iterator[Read]:
        """Yield the records. Blanks at the end of a line may be missing, as mail gateways trim them."""
        encoding, quick, ends = self._layout.encoding, self._quick, "\r\n\x1a"
        for number, raw in _lines(stream, self._layout, max(self._layouts)):
            try:
                text = raw.decode(encoding).rstrip(ends)
            except UnicodeDecodeError as error:
                raise DecodeError(f"is not {encoding}", line=number, value=repr(raw)) from error
            for part, values in quick.get(len(text), ()):
                found = values(text)
                if found is not None:
                    yield Read(number, part, found)
                    break
            else:
                if text.strip(_BLANK):
                    yield self._slowly(number, text)

    def _slowly(self, number: int, text: str) -> Read:
        """Return a record whose line was trimmed; raise ``DecodeError`` saying what is wrong with any other."""
        try:
            kind, line = self.kind_of(text)
            record: Any = decode(kind, line)
        except DecodeError as error:
            raise error.at_line(number) from error
        part = self._layout.parts[kind.__name__]
        return Read(number, part, tuple([getattr(record, name) for name in self._names[part.key]]))

    def kind_of(self, text: str) -> tuple[type, str]:
        """Return the record class that a line is by its length and constants, and the line with its blanks put back."""
        for width, layout in self._layouts.items():
            if len(text) <= width:
                line = text.ljust(width)
                try:
                    return layout.kind_of(line), line
                except DecodeError:
                    continue
        if len(text) > max(self._layouts):
            raise DecodeError(f"is {len(text)} wide, longer than any record", value=text)
        raise DecodeError("is no record of this file", value=text)


def _lines(stream: BinaryIO, layout: FileLayout, width: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file with their numbers, one in memory at a time; without line ends, every *width* bytes."""
    longest = 4 * width + 2  # UTF-8 needs at most four bytes a character; more is no such line
    read = stream.readline if layout.newline else stream.read
    size = longest if layout.newline else width
    yield from enumerate(iter(lambda: read(size), b""), 1)


# --- delimited -------------------------------------------------------------------------------------------------------


class DelimitedLines:
    """Records whose fields stand between separators."""

    def __init__(self, layout: FileLayout) -> None:
        self._layout = layout
        self._fields = {part.key: [_Delimited(one) for one in part.fields] for part in layout.parts.values()}
        self._shapes: dict[int, list[_Shape]] = {}
        for part in layout.parts.values():
            self._shapes.setdefault(len(part.fields), []).append(_Shape(part))
        self._is_special = re.compile(f"[\r\n{re.escape(layout.separator + layout.quote)}]").search

    def line(self, part: Part, values: Sequence[Any]) -> str:
        """Return a record as a line."""
        rest = iter(values)
        return self._layout.separator.join(
            [self._quoted(part, one, one.out(part.key, rest)) for one in self._fields[part.key]]
        )

    def liner(self, part: Part, places: Sequence[int], fixed: Mapping[int, Any]) -> Callable[..., str | None]:
        """Return what makes a line, with its end, of the values at *places*; None also for one that must be quoted."""
        layout, numbers = self._layout, {name: place for place, name in enumerate(one.name for one in part.values)}
        texts, order = list[Column | str](), list[int]()
        for one, written in zip(part.fields, self._fields[part.key], strict=True):
            place = numbers.get(one.name, -1)
            if place in fixed or place < 0:
                texts.append(written.out(part.key, iter([fixed.get(place)])))
            else:
                texts.append(between(one.rule))
                order.append(place)
        make = joined(texts, layout.separator, layout.quote, layout.newline)
        if order == list(places):
            return make
        moved = [places.index(place) for place in order]
        return lambda *values: make(*[values[place] for place in moved])

    def _quoted(self, part: Part, one: _Delimited, text: str) -> str:
        if not self._is_special(text):
            return text
        quote = self._layout.quote
        if not quote:
            raise EncodeError(f"{part.key}.{one.name}: holds the separator, and this file has no quotes: {text!r:.200}")
        return quote + text.replace(quote, quote * 2) + quote

    def rows(self, stream: BinaryIO) -> Iterator[Read]:
        """Yield the records."""
        layout = self._layout
        texts = _Texts(stream, layout.encoding)
        reader = (
            csv.reader(texts, delimiter=layout.separator, quotechar=layout.quote, strict=True)
            if layout.quote
            else csv.reader(texts, delimiter=layout.separator, quoting=csv.QUOTE_NONE, strict=True)
        )
        while True:
            line = texts.line + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DecodeError(f"cannot be divided into fields ({error})", line=line) from error
            if "".join(cells).strip(_BLANK):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Read:
        for shape in self._shapes.get(len(cells), ()):
            for place, const in shape.consts:
                if cells[place] != const:
                    break
            else:
                values = shape.values(*shape.texts(cells))
                if MISFIT in values:
                    raise shape.misfit(line, cells, values)
                return Read(line, shape.part, values)
        counts = ", ".join(map(str, sorted(self._shapes)))
        reason = f"is no record of this file: it has {len(cells)} fields, records have {counts}"
        raise DecodeError(reason, line=line, value=self._layout.separator.join(cells))


class _Shape:
    """How the cells of a line become the values of *part*."""

    def __init__(self, part: Part) -> None:
        self.part, fields = part, list(enumerate(part.fields))
        self.consts = [(place, one.const) for place, one in fields if one.const is not None]
        self._values = [(place, one) for place, one in fields if one.const is None]
        places = [place for place, _ in self._values]
        self.values = parted([between(one.rule) for _, one in self._values])
        self.texts = (lambda cells: cells) if not self.consts else lambda cells: [cells[place] for place in places]

    def misfit(self, line: int, cells: Sequence[str], values: Sequence[Any]) -> DecodeError:
        """Return the fault of the first of *values* that does not fit."""
        place, one = self._values[next(number for number, value in enumerate(values) if value is MISFIT)]
        return DecodeError(one.rule.demand, line=line, path=self.part.key, field=one.name, value=cells[place])


class _Delimited:
    """One delimited field, as it is written."""

    def __init__(self, one: Field) -> None:
        self.name, self.const, self._demand = one.name, one.const, one.rule.demand
        self._out = encoder(one.rule)

    def out(self, record: str, values: Iterator[Any]) -> str:
        """Return the text of the next of *values*, or the constant."""
        if self.const is not None:
            return self.const
        value = next(values)
        text = self._out(value)
        if text is MISFIT:
            raise EncodeError(f"{record}.{self.name}: {self._demand}, is {value!r:.200}")
        assert isinstance(text, str)
        return text


class _Texts:
    """The lines of a stream as text, with the number of the last."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, self._encoding, self.line = stream, encoding, 0

    def __iter__(self) -> _Texts:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(MAX_LINE_BYTES)
        if not raw or raw == b"\x1a":
            raise StopIteration
        self.line += 1
        if len(raw) == MAX_LINE_BYTES:
            raise DecodeError("never ends", line=self.line, value=repr(raw[:100]))
        try:
            return raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise DecodeError(f"is not {self._encoding}", line=self.line, value=repr(raw[:100])) from error
