"""XML without its dangers: a streaming reader, a schema check, an escaping writer.

Nothing here resolves an entity, reads a DTD or touches the network: a document type declaration is refused outright,
because switching entities off makes lxml drop them silently, which would lose text instead of reporting it
(payments.md 5.2). Depth and the length of one token are capped, so memory stays flat whatever a file holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn
from xml.parsers import expat

from lxml import etree

from gateway.domain.reasons import said
from gateway.errors import DecodeError, EncodeError

MAX_DEPTH = 64
"""Elements inside one another. Payment messages need 16; more is an attack on the stack of some reader."""

MAX_TOKEN_BYTES = 1 << 20
"""Bytes of one tag, comment or text that expat may have to hold back: the longest legitimate one has a few hundred."""

CHUNK_BYTES = 1 << 17


class Doctype(DecodeError):
    """The document carries a document type declaration; no file of ours ever needs one."""


class CutShort(DecodeError):
    """The document ends before its root element does."""


class TooDeep(DecodeError):
    """The document nests deeper than any message of the trade."""


# --- reading ---------------------------------------------------------------------------------------------------------


def safe_parser(namespace_separator: str | None = " ") -> expat.XMLParserType:
    """Return an expat parser that raises `Doctype` on a document type declaration and gathers text into one call.

    Names arrive as ``"namespace local"`` unless *namespace_separator* is None.
    """
    parser = expat.ParserCreate(namespace_separator=namespace_separator)
    parser.buffer_text = True

    def refuse(*_: object) -> NoReturn:
        raise Doctype(said("wrong.doctype"), line=parser.CurrentLineNumber)

    parser.StartDoctypeDeclHandler = refuse
    return parser


_CUT_SHORT = frozenset(
    {
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    }
)


def feed(
    parser: expat.XMLParserType,
    stream: BinaryIO,
    take: Callable[[bytes], int] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[None]:
    """Feed *stream* to *parser* chunk by chunk, yielding after each so that the caller can hand on what was read.

    *take* may stand in for the parser: it is given each chunk, parses what it does not read itself, and returns how
    many bytes it parsed.

    A byte order mark and blank lines before the first tag, and blanks or a 0x1A after the last, are taken off: mail
    gateways and mainframes add them.

    Raises:
        DecodeError: not well-formed, an unknown charset, or one token beyond `MAX_TOKEN_BYTES`; `CutShort` when the
            end is missing.
    """
    fed, held, body = 0, b"", b""
    parse = take or (lambda data: parser.Parse(data, False) and len(data))
    try:
        for chunk in _chunks(stream, chunk_bytes):
            data = held + chunk
            body = data.rstrip(b"\x1a \t\r\n")
            held = data[len(body) :]
            if len(held) > MAX_TOKEN_BYTES:
                body, held = data[:-1], data[-1:]
            fed += parse(body)
            if fed - parser.CurrentByteIndex > MAX_TOKEN_BYTES:
                raise DecodeError(said("wrong.never_ends"), line=parser.CurrentLineNumber)
            yield
        parser.Parse(held.replace(b"\x1a", b""), True)
    except expat.ExpatError as error:
        kind = CutShort if expat.ErrorString(error.code) in _CUT_SHORT else DecodeError
        raise kind(said("wrong.not_xml", fault=expat.ErrorString(error.code)), line=error.lineno) from error
    except (ValueError, LookupError) as error:  # pyexpat's answer to a charset that Python cannot map byte by byte
        if fed or re.search(rb"<[^?!]", body[: parser.CurrentByteIndex]):
            raise  # behind the XML declaration: the fault is the caller's
        raise DecodeError(said("wrong.charset"), line=parser.CurrentLineNumber) from error
    yield


def _chunks(stream: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield *stream* in chunks; the first begins at the first tag."""
    head = b""
    while not head and (chunk := stream.read(chunk_bytes)):
        head = chunk.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    yield head
    while chunk := stream.read(chunk_bytes):
        yield chunk


Event = tuple[str, str, str, Mapping[str, str], int]
"""("start" or "end", local name, namespace, attributes, line); ("text", the text, "", {}, line) where asked for."""


def iter_elements(stream: BinaryIO, *, with_text: bool = False) -> Iterator[Event]:
    """Yield the start and end of every element of *stream* in document order, at constant memory.

    Attributes of an ``end`` are empty; attribute names keep their namespace as ``"namespace local"``. Text is left out
    unless *with_text*; text of blanks alone always is.

    Raises:
        DecodeError: not well-formed, a document type declaration, or deeper than `MAX_DEPTH`; it names the line.
    """
    parser, events = safe_parser(), list[Event]()
    append, none = events.append, dict[str, str]()
    names: dict[str, tuple[str, str]] = {}
    depth = 0

    def split(name: str) -> tuple[str, str]:
        namespace, _, local = name.rpartition(" ")
        return names.setdefault(name, (local, namespace))

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise TooDeep(said("wrong.nested_too_deep"), line=parser.CurrentLineNumber)
        local, namespace = names.get(name) or split(name)
        append(("start", local, namespace, attributes, parser.CurrentLineNumber))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        local, namespace = names.get(name) or split(name)
        append(("end", local, namespace, none, parser.CurrentLineNumber))

    def text(data: str) -> None:
        if not data.isspace():
            append(("text", data, "", none, parser.CurrentLineNumber))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    if with_text:
        parser.CharacterDataHandler = text
    for _ in feed(parser, stream):
        yield from events
        events.clear()


# --- schema ----------------------------------------------------------------------------------------------------------


class XmlSchema:
    """A compiled XSD that validates documents of any size at constant memory.

    Args:
        path: the schema file; what it includes must lie beside it (nothing is fetched).
    """

    def __init__(self, path: Path | str) -> None:
        parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)
        self._schema = etree.XMLSchema(etree.parse(str(path), parser))

    def validate_stream(self, stream: BinaryIO, unit: str = "*") -> None:
        """Read *stream* to its end and return when it is valid.

        Args:
            stream: the document.
            unit: name of the element, as ``{namespace}local``, after which what was read may be forgotten. Naming the
                repeated one saves a sixth of the time; memory holds one such element then, not one leaf.

        Raises:
            DecodeError: not well-formed, a document type declaration, or not valid; it says what is wrong at the first
                fault. The line is exact where *stream* can be read again from its start, else 0 for a schema fault.
        """
        origin = stream.tell() if stream.seekable() else None
        fault = self._first_fault(iter(lambda: stream.read(CHUNK_BYTES), b""), unit, are_lines=False)
        if fault is None:
            return
        if fault.line or origin is None:
            raise fault
        stream.seek(origin)  # libxml2 counts no lines while it validates a stream, so walk up to the fault line by line
        raise self._first_fault(iter(lambda: stream.readline(CHUNK_BYTES), b""), unit, are_lines=True) or fault

    def _first_fault(self, pieces: Iterator[bytes], unit: str, *, are_lines: bool) -> DecodeError | None:
        """Return the first fault, or None; a schema fault has its line only where the pieces are lines."""
        # Not resolve_entities=False: with it and a schema, lxml 6.1 accepts a document that is cut short. Entities
        # cannot occur, since they need the document type declaration that is refused first.
        parser = etree.XMLPullParser(events=("end",), tag=unit, schema=self._schema, no_network=True, load_dtd=False)
        guard, line = _DoctypeGuard(), 0
        try:
            for line, piece in enumerate(pieces, 1):  # noqa: B007 - read in the handler below
                guard.see(piece)
                parser.feed(piece)
                if len(parser.feed_error_log):
                    break
                _drop(parser)
            parser.close()
        except etree.XMLSyntaxError as error:
            return DecodeError(_plain(str(error)), line=error.lineno or (line if are_lines else 0))
        return None


def _drop(parser: etree.XMLPullParser) -> None:
    """Throw away what was read: only its validity counts."""
    for _, element in parser.read_events():
        assert isinstance(element, etree._Element)  # noqa: SLF001 - lxml has no public name for it
        element.clear()
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]


def validate_xml(stream: BinaryIO, schema_path: Path | str) -> None:
    """Validate *stream* against the XSD at *schema_path*; see `XmlSchema.validate_stream`."""
    XmlSchema(schema_path).validate_stream(stream)


class _DoctypeGuard:
    """Raises `Doctype` when the bytes seen hold one. It can stand only before the root element."""

    def __init__(self) -> None:
        self._parser: expat.XMLParserType | None = safe_parser()
        self._parser.StartElementHandler = self._root

    def _root(self, *_: object) -> None:
        self._parser = None

    def see(self, piece: bytes) -> None:
        if (parser := self._parser) is not None:
            try:
                parser.Parse(piece, False)
            except expat.ExpatError as error:
                if self._parser is not None:  # a fault behind the root's start tag is the schema parser's to report
                    reason = f"is not well-formed XML ({expat.ErrorString(error.code)})"
                    raise DecodeError(reason, line=error.lineno) from error


def _plain(message: str) -> str:
    """Return libxml2's sentence without the namespaces it repeats and the place that stands beside it."""
    return re.sub(r"\{[a-z]+:[^}]*\}| \([^()]*line \d+\)$|^line \d+: ", "", message)


# --- writing ---------------------------------------------------------------------------------------------------------

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)
_SPECIAL = re.compile('[&<>"\\s]')


def xml_escape(text: str) -> str:
    """Return *text* as element content.

    Raises:
        EncodeError: a character that XML 1.0 cannot carry in any spelling.
    """
    return _allowed(text).translate(_IN_TEXT)


def xml_escape_attribute(text: str) -> str:
    """Return *text* as an attribute value to stand between double quotes; line breaks and tabs survive reading.

    Raises:
        EncodeError: a character that XML 1.0 cannot carry in any spelling.
    """
    if text.isprintable() and not _SPECIAL.search(text):
        return text
    return _allowed(text).translate(_IN_ATTRIBUTE)


def _allowed(text: str) -> str:
    wrong = _FORBIDDEN.search(text)
    if wrong:
        raise EncodeError(f"{wrong[0]!r} cannot be written in XML: {text!r:.200}")
    return text


class XmlWriter:
    """Writes a UTF-8 document piece by piece, so that a file of any size needs no tree.

    Args:
        out: the binary stream; it gets the XML declaration at once.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._write, self._open = out.write, list[str]()
        self._put('<?xml version="1.0" encoding="UTF-8"?>\n')

    def start(self, name: str, attributes: Mapping[str, str] | None = None) -> None:
        """Open an element."""
        self._put(f"<{name}{_attributes(attributes)}>")
        self._open.append(name)

    def end(self) -> None:
        """Close the element opened last."""
        self._put(f"</{self._open.pop()}>")

    def empty(self, name: str, attributes: Mapping[str, str] | None = None) -> None:
        """Write an element without content."""
        self._put(f"<{name}{_attributes(attributes)}/>")

    def leaf(self, name: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        """Write an element that holds only text."""
        self._put(f"<{name}{_attributes(attributes)}>{xml_escape(text)}</{name}>")

    def close(self) -> None:
        """End the document.

        Raises:
            EncodeError: an element is still open.
        """
        if self._open:
            raise EncodeError(f"element {self._open[-1]} was never closed")
        self._put("\n")

    def _put(self, text: str) -> None:
        self._write(text.encode())


def _attributes(attributes: Mapping[str, str] | None) -> str:
    return "".join(f' {name}="{xml_escape_attribute(value)}"' for name, value in (attributes or {}).items())
