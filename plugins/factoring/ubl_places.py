"""Where the parts of a UBL document lie, byte by byte: so that marking it changes what it must and not one byte more.

A tree that is written again would come back with other quotes, prefixes and blanks, and nobody could see what was changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from gateway.errors import DecodeError
from gateway.formats.ubl import ROOTS
from gateway.formats.xmltree import MAX_DEPTH, safe_parser

MAX_BYTES = 20 * 1024 * 1024
"""Of one document: it is held in memory while it is marked. Embedded files are nearly all of one that is longer."""
MAX_KEPT = 20_000
"""Elements whose place is kept; invoice lines are not among them."""

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
AGGREGATE, BASIC = f"{_UBL}CommonAggregateComponents-2", f"{_UBL}CommonBasicComponents-2"
_SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"
_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_LEFT_OUT = frozenset({"InvoiceLine", "CreditNoteLine", "AdditionalDocumentReference"})


@dataclass(slots=True)
class Place:
    """An element: *start* to *end* with its tags, *inner* to *close* its content (equal where it has none)."""

    name: str
    line: int
    start: int
    inner: int = 0
    close: int = 0
    end: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Place] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    is_signature: bool = False

    @property
    def text(self) -> str:
        """The text in it, without the blanks around."""
        return "".join(self.pieces).strip()

    def every(self, name: str) -> list[Place]:
        """Return the children called *name*."""
        return [child for child in self.children if child.name == name]

    def only(self, name: str) -> Place | None:
        """Return the child called *name*, None where there is none; raise ``DecodeError`` where there are several."""
        found = self.every(name)
        if len(found) > 1:
            raise DecodeError("stands more than once", line=found[1].line, path=self.name, field=name)
        return found[0] if found else None

    def under(self, *path: str) -> Iterator[Place]:
        """Yield all elements at the end of *path* below this one."""
        if not path:
            yield self
            return
        for child in self.every(path[0]):
            yield from child.under(*path[1:])

    def holds_signature(self) -> bool:
        """Return whether a digital signature stands anywhere in it."""
        return self.is_signature or any(child.holds_signature() for child in self.children)


@dataclass(frozen=True, slots=True)
class Places:
    """A document and where its parts lie.

    *prefixes* are those of the root by namespace; *is_plain*: no others are declared. *encoding* is what may be written into
    it: UTF-8 where it is that, else ASCII.
    """

    content: bytes
    root: Place
    prefixes: dict[str, str]
    is_plain: bool
    encoding: str


def places_of(content: bytes) -> Places:
    """Return where the parts of the UBL invoice or credit note in *content* lie.

    Raises:
        DecodeError: no such document, one with a document type declaration, in a charset of more bytes than one for a
            letter of the alphabet, or longer than `MAX_BYTES`.
    """
    if len(content) > MAX_BYTES:
        raise DecodeError(f"has {len(content)} bytes; a document may have {MAX_BYTES}")
    scan = _Scan(content)
    if ROOTS.get(scan.namespace) != scan.root.name or scan.root.name == "Reminder":
        raise DecodeError("is no UBL invoice or credit note", path=scan.root.name, value=scan.namespace)
    return Places(content, scan.root, scan.prefixes, scan.is_plain, scan.encoding)


class _Scan:
    """One reading of a document."""

    def __init__(self, content: bytes) -> None:
        self._content, self._kept, self._depth, self._skipped = content, 0, 0, 0
        self._path: list[Place] = []
        self.root, self.namespace = Place("", 0, 0), ""
        self.prefixes: dict[str, str] = {}
        self.is_plain, self.encoding = True, "utf-8"
        self._parser = parser = safe_parser()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.XmlDeclHandler = self._declaration
        parser.CharacterDataHandler, parser.StartNamespaceDeclHandler = self._text, self._declared
        if content[:2] in (b"\xff\xfe", b"\xfe\xff") or content[:1] == b"\x00" or content[1:2] == b"\x00":
            raise DecodeError("is in UTF-16: only charsets that contain ASCII byte by byte can be marked")
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise DecodeError(f"is no XML: {expat.ErrorString(error.code)}", line=error.lineno) from error
        except (ValueError, LookupError) as error:  # pyexpat's answer to a charset that it does not know
            raise DecodeError("is in a charset that cannot be read") from error

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        self.encoding = "utf-8" if not encoding or encoding.lower() == "utf-8" else "ascii"

    def _declared(self, prefix: str | None, namespace: str) -> None:
        if self._depth:
            self.is_plain = False
        elif prefix:
            self.prefixes.setdefault(namespace, prefix)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise DecodeError("nests too deep", line=self._parser.CurrentLineNumber)
        namespace, _, local = name.rpartition(" ")
        if self._skipped or (self._path and local in _LEFT_OUT):
            self._skipped += 1
            return
        self._kept += 1
        line = self._parser.CurrentLineNumber
        if self._kept > MAX_KEPT:
            raise DecodeError("has too many elements", line=line)
        place = Place(local, line, self._parser.CurrentByteIndex, attributes=attributes)
        place.inner = self._behind_tag(place.start)
        place.is_signature = namespace == _SIGNATURE
        if self._path:
            if namespace not in (AGGREGATE, BASIC):
                place.name = f"{namespace} {local}"
            self._path[-1].children.append(place)
        else:
            self.root, self.namespace = place, namespace
        self._path.append(place)

    def _end(self, _: str) -> None:
        self._depth -= 1
        if self._skipped:
            self._skipped -= 1
            return
        place, here = self._path.pop(), self._parser.CurrentByteIndex
        if self._content[here : here + 2] == b"</" and here >= place.inner:
            place.close, place.end = here, self._content.index(b">", here) + 1
        else:  # <a/> has no content and no tag of its own at the end
            place.close = place.end = place.inner

    def _text(self, data: str) -> None:
        if not self._skipped and self._path:
            self._path[-1].pieces.append(data)

    def _behind_tag(self, start: int) -> int:
        """Return where the start tag at *start* ends: a sign > may stand inside an attribute's quotes."""
        tag = _TAG.match(self._content, start)
        if tag is None:
            raise DecodeError("ends inside a tag", line=self._parser.CurrentLineNumber)
        return tag.end()
