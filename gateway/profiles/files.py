"""A file of a profile, written and read piece by piece: what a plugin works with.

`ProfileFile.write` gives a writer that is handed one record after the other and keeps nothing but its control totals;
`ProfileFile.read` yields one record after the other. A file of a million records needs no more memory than one of ten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, BinaryIO, Self

from gateway.errors import DecodeError, EncodeError
from gateway.profiles.declaration import OUT, XML, FileLayout, Part, Profile
from gateway.profiles.lines import LineCodec, Read, Row, codec_of
from gateway.profiles.sources import FileFacts, Pull
from gateway.profiles.tags import Start, Tag, tags_of, xml_rows
from gateway.profiles.totals import Totals

CHUNK = 500
"""Records per write: large enough that writing costs nothing, small enough to stay flat."""


Emit = Callable[[Sequence[Any], str], None]
"""Writes one record from what is at hand (`sources.ROOTS`), on behalf of a claim."""


class FileWriter(ABC):
    """Takes the records of one file in their order; counts, and fills in the control totals itself.

    Use it in a ``with`` block: leaving it without an error ends the file. What was written before an error is worthless.
    """

    def __init__(self, layout: FileLayout, stream: BinaryIO) -> None:
        self._layout, self._stream = layout, stream
        self._totals, self._held = Totals(layout), list[str]()
        self._singles = {part.key: number for number, part in enumerate((*layout.head, *layout.tail))}
        self._heads, self._done, self._last = len(layout.head), set[str](), -1
        self._own_totals = {part for part, _ in self._totals.fields}
        self._names = {part.key: dict.fromkeys(one.name for one in part.values) for part in layout.parts.values()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()

    def put(self, key: str, values: Mapping[str, Any] | None = None, *, whose: str = "") -> None:
        """Write one record or element.

        Args:
            key: as the profile names it.
            values: by the names of its fields. An optional field and a control total may be left out.
            whose: what to call the thing in errors, such as ``claim 1001``.

        Raises:
            EncodeError: there is no such record, it may not stand here, or a value does not fit. Nothing is cut.
        """
        part = self._layout.parts.get(key)
        if part is None:
            raise EncodeError(f"{key} is no record of {self._layout.key}; there are {', '.join(self._layout.parts)}")
        given, names = values or {}, self._names[key]
        if not given.keys() <= names.keys():
            unknown = next(name for name in given if name not in names)
            raise EncodeError(f"{key} has no field {unknown}")
        try:
            self.put_values(part, [given.get(name, "") for name in names], whose)
        except TypeError as error:  # a value no field takes, such as a list
            raise EncodeError(f"{whose or key}: {error}") from error

    def put_values(self, part: Part, values: list[Any], whose: str = "") -> None:
        """Write one record whose values stand in the order of its fields; see `put`."""
        if part.is_single:
            self._take_place(part)
        elif self._last >= self._heads:
            raise EncodeError(f"{part.key} comes behind the end of {self._layout.key}")
        if part.key in self._own_totals:
            values = self._with_totals(part, values)
        self._totals.add(part.key, values)
        try:
            self._held.append(self._render(part, values, whose))
        except EncodeError as error:
            if whose and whose not in str(error):
                raise EncodeError(f"{whose}: {error}") from error
            raise
        if len(self._held) >= CHUNK:
            self._flush()

    def emitters(self, parts: Sequence[Part], facts: FileFacts) -> list[Emit]:
        """Return what writes records of *parts*, one behind the other, from what is at hand, as their sources say."""
        return [self._emitter(part, facts) for part in parts]

    def _emitter(self, part: Part, facts: FileFacts) -> Emit:
        pull = Pull([one.source for one in part.values], facts)
        is_optional = part.is_optional

        def emit(at_hand: Sequence[Any], whose: str) -> None:
            values = pull.values(at_hand)
            if not is_optional or any(value not in (None, "") for value in values):
                self.put_values(part, values, whose)

        return emit

    def close(self) -> None:
        """End the file.

        Raises:
            EncodeError: a record that must stand in every file was not written.
        """
        for key in self._singles:
            part = self._layout.parts[key]
            if key not in self._done and not part.is_optional:
                raise EncodeError(f"{self._layout.key} ends without {key}")
        self._held.append(self._end())
        self._flush()

    def _take_place(self, part: Part) -> None:
        number = self._singles[part.key]
        if part.key in self._done or number < self._last:
            raise EncodeError(f"{part.key} stands in its file once, in its place")
        self._done.add(part.key)
        self._last = number

    def _with_totals(self, part: Part, values: list[Any]) -> list[Any]:
        found = list(values)
        for number, one in enumerate(part.values):
            if (part.key, one.name) in self._totals.fields:
                found[number] = self._totals.of(part.key, one.name)
        return found

    def _flush(self) -> None:
        text = self._ended("".join(self._held))
        self._held.clear()
        try:
            self._stream.write(text.encode(self._layout.encoding))
        except UnicodeEncodeError as error:
            wrong = error.object[error.start]
            shown = error.object[max(0, error.start - 40) : error.start + 1]
            raise EncodeError(f"{wrong!r} is not in {self._layout.encoding}: {shown!r}") from error

    @abstractmethod
    def _render(self, part: Part, values: Sequence[Any], whose: str) -> str:
        """Return the text of one record."""

    def _end(self) -> str:
        """Return what stands behind the last record."""
        return ""

    def _ended(self, text: str) -> str:
        """Return *text* with the line ends of the file."""
        return text


class _LinesWriter(FileWriter):
    """A file of lines."""

    def __init__(self, layout: FileLayout, stream: BinaryIO, codec: LineCodec) -> None:
        super().__init__(layout, stream)
        self._codec, self._line, self._newline = codec, codec.line, layout.newline
        self._quick: dict[str, Callable[..., str | None]] = {}

    def _render(self, part: Part, values: Sequence[Any], whose: str) -> str:  # noqa: ARG002 - put it into the error
        quick = self._quick.get(part.key)
        if quick is None:
            quick = self._quick[part.key] = self._codec.liner(part, range(len(part.values)), {})
        return quick(*values) or self._line(part, values) + self._newline

    def _emitter(self, part: Part, facts: FileFacts) -> Emit:
        """As for any file; for the records that a long file consists of without a step that could be spared."""
        slow, codec = super()._emitter(part, facts), self._codec
        if part.is_single or part.is_optional or part.key in self._own_totals:
            return slow
        pull = Pull([one.source for one in part.values], facts)
        places, get = pull.quickest()
        made = codec.liner(part, places, pull.fixed)
        add = self._totals.adder(part.key, {place: number for number, place in enumerate(places)}, pull.fixed)
        held = self._held

        def emit(at_hand: Sequence[Any], whose: str) -> None:
            values = get(at_hand)
            line = made(*values)
            if line is None:
                slow(at_hand, whose)  # it quotes, or names the field that does not fit
                return
            if add:
                add(values)
            held.append(line)
            if len(held) >= CHUNK:
                self._flush()

        return emit


class _XmlWriter(FileWriter):
    """A tree: an element is closed when one comes that does not stand inside it."""

    def __init__(self, layout: FileLayout, stream: BinaryIO, tags: dict[str, Tag]) -> None:
        super().__init__(layout, stream)
        self._tags, self._starts = tags, {key: Start(tag) for key, tag in tags.items()}
        self._open: list[str] = []
        self._is_begun = False  # whether the start tag written last still lacks its closing sign
        self._head = f'<?xml version="1.0" encoding="{layout.encoding.upper()}"?>\n' if layout.has_declaration else ""

    def _render(self, part: Part, values: Sequence[Any], whose: str) -> str:
        tag = self._tags[part.key]
        before = self._risen(tag.parent)
        if tag.parent and not self._open:
            raise EncodeError(f"{part.name} stands inside {tag.parent}, which is not open")
        start = before + self._starts[part.key].of(whose or part.key, [values[place] for place in tag.places])
        start += tag.mark
        if tag.is_leaf:
            return f"{start}/>\n"
        content = tag.content(whose or part.key, values)
        if content is not None:
            return f"{start}>{content}{tag.end.lstrip(' ')}"
        self._open.append(part.key)
        self._is_begun = True
        return start

    def emitters(self, parts: Sequence[Part], facts: FileFacts) -> list[Emit]:
        """As for any file; an element and the empty one it begins with are written as one."""
        made, rest = list[Emit](), list(parts)
        while rest:
            outer = rest.pop(0)
            if not self._is_plain(outer):
                made.append(self._emitter(outer, facts))
            elif rest and rest[0].inside == outer.key and self._is_plain(rest[0]) and self._tags[rest[0].key].is_leaf:
                made.append(self._rows(outer, rest.pop(0), facts))
            else:
                made.append(self._rows(outer, None, facts))
        return made

    def _is_plain(self, part: Part) -> bool:
        return not (part.is_single or part.text or part.is_optional or part.key in self._own_totals)

    def _rows(self, outer: Part, inner: Part | None, facts: FileFacts) -> Emit:
        """Return what writes the elements that a long file consists of, without a step that could be spared."""
        tags = [self._bound(part, facts) for part in (outer, inner) if part]
        sources = [one.source for tag in tags for one in tag.varying]
        pull, start = Pull(sources, facts), Start(*tags).of
        adds = self._adders(tags, facts)
        direct, held, parent, path, key = pull.direct(), self._held, tags[0].parent, self._open, outer.key
        root, get = direct or (0, lambda _: ())
        is_leaf, is_begun, end = tags[0].is_leaf, not (tags[0].is_leaf or inner), tags[0].end

        def emit(at_hand: Sequence[Any], whose: str) -> None:
            values = get(at_hand[root]) if direct else pull.values(at_hand)
            for add in adds:
                add(values)
            if path[-1] == key and not self._is_begun:  # behind another of its kind, as nearly always
                text = end + start(whose, values)
            else:
                text = (self._risen(parent) if self._is_begun or path[-1] != parent else "") + start(whose, values)
                if not is_leaf:
                    path.append(key)
            if is_leaf:
                text += "/>\n"
            self._is_begun = is_begun
            held.append(text)
            if len(held) >= CHUNK:
                self._flush()

        return emit

    def _bound(self, part: Part, facts: FileFacts) -> Tag:
        """Return the element with what is the same in the whole file written into it."""
        fixed = Pull([one.source for one in part.values], facts).fixed
        names = {part.values[place].name: value for place, value in fixed.items()}
        return Tag(self._layout, part, self._tags[part.key].depth, names)

    def _adders(self, tags: Sequence[Tag], facts: FileFacts) -> list[Callable[[Sequence[Any]], None]]:
        found, before = list[Callable[[Sequence[Any]], None]](), 0
        for tag in tags:
            fixed = Pull([one.source for one in tag.part.values], facts).fixed
            add = self._totals.adder(tag.part.key, dict(zip(tag.places, count(before), strict=False)), fixed)
            found += [add] if add else []
            before += len(tag.places)
        return found

    def _ended(self, text: str) -> str:
        newline = self._layout.newline
        return text if newline == "\n" else text.replace("\n", newline)  # a value holds none: its blanks are collapsed

    def _risen(self, parent: str) -> str:
        """Return what ends the elements that what comes now does not stand inside, and begins the content of its parent."""
        before, self._head = self._head, ""
        while self._open and self._open[-1] != parent:
            before += self._closed(self._open.pop())
        if self._is_begun:
            self._is_begun = False
            before += ">\n"
        return before

    def _closed(self, key: str) -> str:
        if self._is_begun:
            self._is_begun = False
            return "/>\n"
        return self._tags[key].end

    def _end(self) -> str:
        return "".join(self._closed(self._open.pop()) for _ in range(len(self._open)))


class ProfileFile:
    """One kind of file of a profile, compiled: made once, used for every file.

    Args:
        profile: as read by `load`.
        key: name of the file in it.

    Raises:
        KeyError: the profile has no such file.
    """

    def __init__(self, profile: Profile, key: str) -> None:
        self.profile, self.layout = profile, profile.files[key]
        self._tags = tags_of(self.layout) if self.layout.kind == XML else {}
        self._codec = None if self._tags else codec_of(self.layout)

    def write(self, stream: BinaryIO) -> FileWriter:
        """Return a writer to *stream*."""
        if self.layout.direction != OUT:
            raise EncodeError(f"{self.layout.key} is a file that comes in")
        if self._codec is None:
            return _XmlWriter(self.layout, stream, self._tags)
        return _LinesWriter(self.layout, stream, self._codec)

    def read(self, stream: BinaryIO) -> Iterator[Row]:
        """Yield the records of a file in their order, with their values by name; codes are ours, not theirs.

        Raises:
            DecodeError: the bytes are not what the profile says, a record is missing or out of place, or a control total
                does not agree. It names line, record, field and value. Nothing of such a file may take effect.
        """
        for row in self.read_values(stream):
            yield row.named()

    def read_values(self, stream: BinaryIO) -> Iterator[Read]:
        """Yield the records as `read` does, their values in the order of the fields: quicker for a million."""
        layout, totals, order = self.layout, Totals(self.layout), _Order(self.layout)
        rows = xml_rows(layout, self._tags, stream) if self._codec is None else self._codec.rows(stream)
        has_totals = bool(totals.fields)
        for row in rows:
            if row.part.key in order.judged or order.is_ended:
                order.take(row)
            if has_totals:
                totals.add(row.part.key, row.values)
                totals.state(row.line, row.part, row.values)
            yield row
            order.is_empty = False
        order.end()
        totals.compare()


class _Order:
    """Whether the records of a file that is read stand where they must. *judged* are those that stand once."""

    def __init__(self, layout: FileLayout) -> None:
        self._layout = layout
        self._heads = len(layout.head)
        self._singles = [part.key for part in (*layout.head, *layout.tail)]
        self.judged = frozenset(self._singles)
        self._last, self._done = -1, set[str]()
        self.is_ended, self.is_empty = False, True

    def take(self, row: Read) -> None:
        """Judge the place of a record that stands once, or of any behind the end."""
        key = row.part.key
        if key not in self.judged:
            raise DecodeError("comes behind the end of the file", line=row.line, path=key)
        number = self._singles.index(key)
        if key in self._done or number < self._last:
            raise DecodeError("stands twice or out of its place", line=row.line, path=key)
        self._done.add(key)
        self._last = number
        self.is_ended = number >= self._heads

    def end(self) -> None:
        """Judge what never came."""
        if self.is_empty:
            raise DecodeError("holds no record; an empty file does not exist")
        for key in self._singles:
            if key not in self._done and not self._layout.parts[key].is_optional:
                raise DecodeError("is missing: the file may be cut short", path=key)
