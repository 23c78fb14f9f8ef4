"""A walk over a camt document that stops only at the elements of the tree (`camt_paths`).

The XML parser reads the document; transactions and entries of a shape seen before are leapt over by `camt_leap`. A
leap begins only where the parser has just read the end of one and holds nothing back, so that what follows is content.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.camt_leap import LEAPT, Leaps
from gateway.formats.camt_paths import Node, Values, nodes_of, prefix_of
from gateway.formats.xmltree import MAX_DEPTH, TooDeep, feed, safe_parser

MAX_REPEATED = 10_000
"""Repetitions of one text or part in one transaction. Banks send at most a few hundred."""

CHUNK_BYTES = 1 << 18
"""Read at once. What stands across the border of two chunks goes to the parser, so that a larger chunk is faster."""

_END = re.compile(r"</(?:[A-Za-z_][\w.-]*:)?(?:TxDtls|Ntry)>", re.ASCII)
_DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>")
_CODECS = {"": "utf-8", "utf-8": "utf-8", "us-ascii": "ascii", "iso-8859-1": "latin-1"}
"""Charsets in which a tag is the same bytes as in ASCII, and how Python reads them."""


class Walk:
    """Calls ``begin_<group>(values)`` and ``end_<group>(values)`` of *reader* while it goes over one document.

    The values handed over at the beginning are the object that fills up until the end. The reader also has
    ``found_message(element, namespace) -> bool`` (walk it, or pass it over), ``found_unknown(element)`` and what
    `camt_leap.Reader` asks for. *line* tells where the walk is; an error's line lacks the *skipped_lines* that were
    leapt over. *leaps* off leaves everything to the parser, which a test compares with.
    """

    def __init__(self, reader: Any, *, leaps: bool = True) -> None:
        self._reader = reader
        self._leaps = Leaps(reader) if leaps else None
        self._parser = safe_parser()
        self._parser.XmlDeclHandler = self._declared
        self._codec: str | None = "utf-8"
        self._pieces: list[str] = []
        self.root = ""
        self._depth = self._document_depth = 0
        self._fed = 0
        self._began = dict.fromkeys(LEAPT, -1)  # where the parser saw the last of each begin
        self._ended, self._last = -1, ""  # where it saw the last one end, and which that was
        self._between = ""  # which of them may follow here; empty where the parser must read on
        self._nodes: dict[str, Node] = {}
        self._prefix = ""

    @property
    def skipped_lines(self) -> int:
        """Lines that were leapt over."""
        return self._leaps.lines if self._leaps else 0

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
        yield from feed(self._parser, stream, self._take, CHUNK_BYTES)

    def _declared(self, _: object, encoding: str | None, __: object) -> None:
        self._codec = _CODECS.get((encoding or "").lower())

    # --- leaping ---

    def _take(self, data: bytes) -> int:
        """Read *data*, leaping where possible; return how many bytes the parser was given."""
        before = self._fed
        if not before and (declaration := _DECLARATION.match(data)):
            self._parse(declaration[0])  # it names the charset
            data = data[declaration.end() :]
        codec = self._codec
        text, used = self._decoded(data) if self._leaps else ("", 0)
        position = start = 0  # start: where in *text* began what the parser was given since
        since, begins = self._fed, dict.fromkeys(LEAPT, -1)  # begins: where in *text* the last of each began
        while self._leaps and position < len(text):
            if self._between and (stop := self._leaps.over(text, position, self._between)) > position:
                position = start = stop
                since = self._fed
            found = _END.search(text, position)
            stop = found.end() if found else len(text)
            self._parse(text[position:stop].encode(codec or ""))
            is_end = found is not None and self._fed - self._ended == stop - found.start() and self._codec == codec
            self._between = self._last if is_end else ""
            if self._between and self._leaps.can_learn:
                recent = text[start:stop].encode(codec or "")
                for name, began in self._began.items():
                    if began >= since:
                        begins[name] = stop - len(recent[began - since :].decode(codec or ""))
                if begins[self._between] >= 0:
                    raw = text[begins[self._between] : stop]
                    self._leaps.learn(raw, self._nodes[self._between], self._prefix)
                    begins[self._between] = -1
                start, since = stop, self._fed
            position = stop
        if used < len(data):
            self._between = ""
            self._parse(data[used:])
        return self._fed - before

    def _parse(self, data: bytes) -> None:
        self._fed += len(data)
        self._parser.Parse(data, False)

    def _decoded(self, data: bytes) -> tuple[str, int]:
        """Return *data* as text, and how many of its bytes that is: none where there can be no leaps."""
        try:
            if self._codec == "utf-8":  # a character may be cut at the end
                text, used = codecs.utf_8_decode(data, "strict", False)
            elif self._codec:
                text, used = data.decode(self._codec), len(data)
            else:
                return "", 0
        except UnicodeDecodeError:
            return "", 0  # the parser says where
        return ("", 0) if "\ufffe" in text or "\uffff" in text else (text, used)

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
            raise TooDeep(said("wrong.nested_too_deep"), line=self._parser.CurrentLineNumber)

    def _follow(self, element: str, namespace: str) -> None:  # noqa: C901, PLR0915 - closures are a third faster
        """Install the handlers that walk the tree of *element*, whose start tag was just read."""
        parser, reader, pieces, check = self._parser, self._reader, self._pieces, self._check
        node = nodes_of(element, namespace, reader)
        nodes: list[Node] = []
        values: Values = {}
        groups: list[Values] = []
        currency, skipped = "", 0
        self._prefix = prefix_of(namespace)
        if self._leaps:
            self._leaps.forget()

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
                    if len(texts) > MAX_REPEATED:
                        raise DecodeError(said("wrong.too_much"), line=parser.CurrentLineNumber)
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
                part, values = values, groups.pop()
                if node.into:
                    parts = values.setdefault(node.into, [])
                    parts.append(part)
                    if len(parts) > MAX_REPEATED:
                        raise DecodeError(said("wrong.too_much"), line=parser.CurrentLineNumber)
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
