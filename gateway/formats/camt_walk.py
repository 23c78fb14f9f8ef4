"""A walk over a camt document that stops only at the elements of the tree (`camt_paths`).

The XML parser reads the document; transactions and entries of a shape seen before are leapt over by `camt_shapes`. A
leap begins only where the parser has just read the end of one and holds nothing back, so that what follows is content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from gateway.errors import DecodeError
from gateway.formats.camt_paths import Values, _Node, nodes_of
from gateway.formats.camt_shapes import Shape, learn
from gateway.formats.xmltree import MAX_DEPTH, TooDeep, feed, safe_parser

MAX_SHAPES = 32
"""Shapes kept of each kind. A bank uses a handful; a file with more of them is read by the parser alone."""

LEAPT = frozenset({"transaction", "entry"})
"""Groups that are leapt over: many payments in one entry, or many entries with one payment each."""

MAX_TEXTS = 10_000
"""Repetitions of one text in one transaction. Banks send at most a few hundred."""

_END = re.compile(rb"</(?:[A-Za-z_][\w.-]*:)?(?:TxDtls|Ntry)>")
_ENCODINGS = {"": True, "utf-8": True, "iso-8859-1": False}
"""Charsets in which a tag is the same bytes as in ASCII, and whether they are UTF-8."""


class Walk:
    """Calls ``begin_<group>(values)`` and ``end_<group>(values)`` of *reader* while it goes over one document.

    The values handed over at the beginning are the object that fills up until the end. The reader also has
    ``found_message(element, namespace) -> bool`` (walk it, or pass it over) and ``found_unknown(element)``.
    *line* tells where the walk is; an error's line lacks the *skipped_lines* that were leapt over. *leaps* off leaves everything to the parser, which a test compares with.
    """

    def __init__(self, reader: Any, *, leaps: bool = True) -> None:
        self._reader, self._leaps = reader, leaps
        self._parser = safe_parser()
        self._parser.XmlDeclHandler = self._declared
        self._is_utf8: bool | None = True
        self._pieces: list[str] = []
        self.root = ""
        self._depth = self._document_depth = 0
        self._fed = self._leapt = self.skipped_lines = 0
        self._began = dict.fromkeys(LEAPT, -1)  # where the parser saw the last of each begin
        self._ended, self._last = -1, ""  # where it saw the last one end, and which that was
        self._between = ""  # which of them may follow here; empty where the parser must read on
        self._nodes: dict[str, _Node] = {}
        self._prefix = ""
        self._shapes: dict[str, list[Shape]] = {name: [] for name in LEAPT}

    @property
    def line(self) -> int:
        """The line of the document being read, 1-based."""
        return int(self._parser.CurrentLineNumber) + self.skipped_lines

    @property
    def pieces(self) -> int:
        """How many pieces the text being read has so far; a piece is at most 8 KiB."""
        return len(self._pieces)

    def over(self, stream: BinaryIO) -> Iterator[None]:
        """Walk over *stream*, yielding after every piece of it.

        Raises:
            DecodeError: as `xmltree.feed`; `Doctype`, `TooDeep` and `CutShort` are told apart.
        """
        self._search()
        yield from feed(self._parser, stream, self._take)

    def _declared(self, _: object, encoding: str | None, __: object) -> None:
        self._is_utf8 = _ENCODINGS.get((encoding or "").lower())

    # --- leaping ---

    def _take(self, data: bytes) -> int:
        """Read *data*, leaping where possible; return how many bytes the parser was given."""
        before, position, origin = self._fed, 0, self._fed  # origin: where in the parser's count *data* would begin
        text = data.decode("latin-1")
        while position < len(data):
            if self._between:
                stop = self._leap(text, position)
                origin, position = self._fed - stop, stop
            found = _END.search(data, position) if self._leaps and self._is_utf8 is not None else None
            stop = found.end() if found else len(data)
            self._parser.Parse(data[position:stop], False)
            self._fed += stop - position
            self._between = self._last if found and self._ended - origin == found.start() else ""
            began = self._began.get(self._between, -1) - origin
            if self._between and began >= max(0, self._leapt - origin):
                self._learn(text[began:stop])
            position = stop
        return self._fed - before

    def _learn(self, raw: str) -> None:
        shapes = self._shapes[self._between]
        if len(shapes) < MAX_SHAPES and not any(shape.match(raw, 0) for shape in shapes):
            shape = learn(raw, self._nodes[self._between], self._prefix)
            if shape and shape.match(raw, 0):
                shapes.insert(0, shape)

    def _leap(self, text: str, position: int) -> int:
        """Read what has a known shape from *position* on; return where it ends."""
        while shape_and_match := self._match(text, position):
            shape, found = shape_and_match
            groups, raw = found.groups(), found[0]
            if self._is_utf8 and not raw.isascii():
                try:
                    raw.encode("latin-1").decode()
                except UnicodeDecodeError:
                    return position  # the parser says where
                groups = tuple([group if group.isascii() else group.encode("latin-1").decode() for group in groups])
            position = found.end()
            self._leapt = self._fed
            self.skipped_lines += raw.count("\n")
            shape.file(groups)
        return position

    def _match(self, text: str, position: int) -> tuple[Shape, re.Match[str]] | None:
        """Return the shape that fits at *position*, and move it to the front: payments of one kind come in runs."""
        shapes = self._shapes[self._between]
        for index, shape in enumerate(shapes):
            found = shape.match(text, position)
            if found:
                if index:
                    shapes.insert(0, shapes.pop(index))
                return shape, found
        return None

    # --- walking ---

    def _search(self) -> None:
        """Look for the message element: the child of ``Document``, which an envelope may surround."""

        def start(name: str, _: object) -> None:
            namespace, _, local = name.rpartition(" ")
            self.root = self.root or local
            self._depth += 1
            self._check(self._depth)
            if self._document_depth and self._depth == self._document_depth + 1:
                if self._reader.found_message(local, namespace):
                    self._follow(local, namespace)
            elif local == "Document" and not self._document_depth:
                self._document_depth = self._depth

        def end(_: str) -> None:
            if self._depth == self._document_depth:
                self._document_depth = 0
            self._depth -= 1

        self._parser.CharacterDataHandler = None
        self._parser.StartElementHandler, self._parser.EndElementHandler = start, end

    def _check(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise TooDeep(f"nests deeper than {MAX_DEPTH} elements", line=self._parser.CurrentLineNumber)

    def _follow(self, element: str, namespace: str) -> None:  # noqa: C901, PLR0915 - closures are a third faster
        """Install the handlers that walk the tree of *element*, whose start tag was just read."""
        parser, reader, pieces, check = self._parser, self._reader, self._pieces, self._check
        node = nodes_of(element, namespace, reader)
        nodes: list[_Node] = []
        values: Values = {}
        groups: list[Values] = []
        currency, skipped = "", 0
        self._prefix, self._shapes = f"{namespace} " if namespace else "", {name: [] for name in LEAPT}

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal node, values, currency
            child = node.children.get(name)
            if child is None:
                skip(name)
                return
            nodes.append(node)
            node = child
            if child.key is not None:
                pieces.clear()
                if child.has_currency:
                    currency = attributes.get("Ccy", "")
            elif child.is_group:
                groups.append(values)
                values = {}
                if child.name in LEAPT:
                    self._began[child.name], self._nodes[child.name] = parser.CurrentByteIndex, child
                if child.open:
                    child.open(values)

        def end(_: str) -> None:
            nonlocal node, values
            key = node.key
            if key is not None:
                text = "".join(pieces)
                if node.is_repeated:
                    texts = values.setdefault(key, [])
                    texts.append(text)
                    if len(texts) > MAX_TEXTS:
                        raise DecodeError(f"repeats a text more than {MAX_TEXTS} times", line=parser.CurrentLineNumber)
                else:
                    values[key] = (text, currency) if node.has_currency else text
            elif node.is_group:
                if node.name in LEAPT:
                    self._ended, self._last = parser.CurrentByteIndex, node.name
                if node.close:
                    node.close(values)
                if not nodes:
                    self._depth -= 1
                    self._search()
                    return
                values = groups.pop()
            node = nodes.pop()

        def skip(name: str) -> None:
            nonlocal skipped
            if node.known is not None and name not in node.known:
                reader.found_unknown(name.rpartition(" ")[2])
            skipped = 1
            parser.StartElementHandler, parser.EndElementHandler = skip_start, skip_end
            parser.CharacterDataHandler = None

        def skip_start(_: str, __: object) -> None:
            nonlocal skipped
            skipped += 1
            check(skipped)

        def skip_end(_: str) -> None:
            nonlocal skipped
            skipped -= 1
            if not skipped:
                walk()

        def walk() -> None:
            parser.StartElementHandler, parser.EndElementHandler = start, end
            parser.CharacterDataHandler = pieces.append

        walk()
        if node.open:
            node.open(values)
