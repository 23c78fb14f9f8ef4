"""camt as a tree: message, account, entry, transaction; each element named in words.

The text is cut at the elements that begin a record, without an XML parser: a damaged document must be shown too, and a
record in the middle of a large one without walking through all before it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from typing import BinaryIO

from gateway.domain.identifiers import masked
from gateway.formats.view.model import FIELDS, Field, FindingTold, Record, Wanted, hidden, shortened, told_code
from gateway.formats.view.words import word

LAYOUT = "camt"
CHUNK_BYTES = 1 << 18
TAG_CHARACTERS = 1 << 12
"""Longest tag waited for at the end of a chunk; what is longer is text."""

OWN_CHARACTERS = 1 << 15
"""Text kept of one record, without the records inside it. A rich transaction has about five thousand characters."""

_RECORDS = "BkToCstmrDbtCdtNtfctn|BkToCstmrStmt|GrpHdr|Ntfctn|Stmt|Bal|TxsSummry|Ntry|TxDtls"
_PREFIX = r"(?:[A-Za-z_][\w.-]*:)?"
_FIRST = re.compile(rf"<({_PREFIX})(?:{_RECORDS})[\s/>]", re.ASCII)
_TOKEN = re.compile(
    r"<!--.{0,2000}?-->|<\?.{0,2000}?\?>|<!\[CDATA\[(?P<literal>.{0,2000}?)\]\]>"
    rf"|<(?P<slash>/?){_PREFIX}(?P<name>[A-Za-z_][\w.-]*)(?P<more>[^<>]*)>|(?P<text>[^<]+|<)",
    re.DOTALL | re.ASCII,
)
_CURRENCY = re.compile(r"\sCcy\s*=\s*[\"']([^\"']{1,20})[\"']")
_CHARSET = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_CHARSETS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "us-ascii": "utf-8",
    "windows-1252": "cp1252",
    "iso-8859-1": "latin-1",
}
_PERSON = ("PrvtId", "Othr", "Id")
_ORGANISATION = ("OrgId", "Othr", "Id")
_WRAPPERS = frozenset({"NtryDtls"})
"""Elements that hold nothing but records; alone they say nothing."""


@dataclass(slots=True)
class _Open:
    """A record that has begun: its own text, without that of records inside it."""

    number: int
    name: str
    level: int
    line: int
    own: list[str] = field(default_factory=list)
    size: int = 0
    findings: list[FindingTold] = field(default_factory=list)
    has_transactions: bool = False

    def add(self, text: str) -> None:
        """Keep *text*, as far as there is room."""
        room = OWN_CHARACTERS - self.size
        if room > 0 and text:
            self.own.append(text[:room])
            self.size += len(text)


def elements(
    stream: BinaryIO, wanted: Wanted, language: str, *, is_masked: bool, limit: int | None
) -> Generator[Record, None, int | None]:
    """Yield the *wanted* records of a camt document; return how many it has, None where *limit* ended the reading.

    A record comes when it ends, after those inside it. Arguments are those of `ruler.ruled`.
    """
    tree, read = _Tree(wanted), 0
    for text in _texts(stream):
        for closed in tree.over(text):
            yield _record(closed, language, is_masked=is_masked)
        read += len(text)
        if limit is not None and tree.number >= wanted.stop and read > limit:
            tree.is_cut = True
            break
    for closed in tree.end():
        yield _record(closed, language, is_masked=is_masked)
    return None if tree.is_cut else tree.number


class _Tree:
    """Follows the records of a document, and says of each that ends whether it is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted, self._path = wanted, list[_Open]()
        self.number = self._transactions = 0
        self._line, self._has_lines = 1, False
        self._edges: re.Pattern[str] | None = None
        self.is_cut = False

    def over(self, text: str) -> Iterator[_Open]:
        """Go over *text*, which ends outside a tag; yield the wanted records that end in it."""
        self._has_lines = self._has_lines or "\n" in text[text.find("?>") + 3 :].strip()
        position = 0
        if self._edges is None and (first := _FIRST.search(text)):
            self._edges = _edges(first[1])
        for edge in self._edges.finditer(text) if self._edges else ():
            self._own(text[position : edge.start()], is_open=not edge[1])
            position = edge.end()
            if not edge[1]:
                self._begin(edge[2])
            if edge[1] or edge[0].endswith("/>"):
                yield from self._close(edge[2])
            self._line += edge[0].count("\n")
        self._own(text[position:], is_open=True)

    def end(self) -> Iterator[_Open]:
        """Yield the wanted records that have not ended."""
        while self._path:
            yield from self._closed(self._path.pop())

    def _own(self, text: str, *, is_open: bool) -> None:
        """Give *text*, and findings on its lines, to the record it stands in; *is_open*: more may follow on its last."""
        line, self._line = self._line, self._line + text.count("\n")
        if self._path:
            self._path[-1].add(text)
            if self._has_lines:
                for number in self._wanted.between("line", line, self._line - is_open):
                    self._path[-1].findings += self._wanted.take("line", number)

    def _begin(self, name: str) -> None:
        self.number += 1
        if name == "TxDtls":
            for around in self._path:
                around.has_transactions = True
        self._path.append(_Open(self.number, name, len(self._path), self._line))

    def _close(self, name: str) -> Iterator[_Open]:
        """End the record *name*, and those inside it that have no end of their own."""
        if any(record.name == name for record in self._path):
            record = self._path.pop()
            while record.name != name:
                yield from self._closed(record)
                record = self._path.pop()
            yield from self._closed(record)

    def _closed(self, record: _Open) -> Iterator[_Open]:
        if record.name == "TxDtls" or (record.name == "Ntry" and not record.has_transactions):
            self._transactions += 1
            record.findings += self._wanted.take("transaction", self._transactions)
        if record.findings or self._wanted.has(record.number):
            yield record


@lru_cache(maxsize=16)
def _edges(prefix: str) -> re.Pattern[str]:
    """Return what a record begins or ends with, in a document whose elements have *prefix*: twice as quick as with any."""
    return re.compile(rf"<(/?){re.escape(prefix)}({_RECORDS})(?=[\s/>])[^<>]*>", re.ASCII)


def _texts(stream: BinaryIO) -> Iterator[str]:
    """Yield the document as text, in pieces that do not end inside a tag."""
    chunk = stream.read(CHUNK_BYTES)
    stated = _CHARSET.match(chunk.removeprefix(b"\xef\xbb\xbf").lstrip())
    is_wide = chunk[:2] in {b"\xff\xfe", b"\xfe\xff"}
    charset = (
        "utf-16" if is_wide else _CHARSETS.get(stated[1].decode("ascii").lower() if stated else "utf-8", "latin-1")
    )
    decoder = codecs.getincrementaldecoder(charset if is_wide or charset != "utf-16" else "utf-8")(errors="replace")
    tail = ""
    while chunk:
        tail += decoder.decode(chunk)
        last = tail.rfind("<")
        cut = last if last >= 0 and ">" not in tail[last:] and len(tail) - last < TAG_CHARACTERS else len(tail)
        if cut:
            yield tail[:cut]
        tail, chunk = tail[cut:], stream.read(CHUNK_BYTES)
    tail += decoder.decode(b"", final=True)
    if tail:
        yield tail


def _record(closed: _Open, language: str, *, is_masked: bool) -> Record:
    fields = _fields("".join(closed.own), language, is_masked=is_masked)
    name = word("element", language, closed.name)
    return Record(
        closed.number, closed.line, closed.name, name, closed.level, "", tuple(fields[:FIELDS]),
        left_out=max(0, len(fields) - FIELDS), findings=closed.findings,
    )  # fmt: skip


def _fields(text: str, language: str, *, is_masked: bool) -> list[Field]:
    """Return the elements of *text* as far as `FIELDS` and one more; those with elements inside have no value."""
    found: list[Field] = []
    path: list[str] = []
    opened, value, currency = False, "", ""
    for token in _TOKEN.finditer(text):
        name = token["name"]
        if token["text"] is not None or token["literal"] is not None:
            value += unescape(token["text"]) if token["text"] is not None else token["literal"]
        elif name and not token["slash"]:
            _name_group(found, path, language, is_needed=opened)
            stated = _CURRENCY.search(token["more"])
            path.append(name)
            opened, value, currency = True, "", stated[1] if stated else ""
            if token["more"].endswith("/"):
                _name_value(found, path, "", "", language, is_masked=is_masked)
                path.pop()
                opened = False
        elif name:
            if opened and path and path[-1] == name:
                _name_value(found, path, value, currency, language, is_masked=is_masked)
            if name in path:
                del path[len(path) - 1 - path[::-1].index(name) :]
            opened, value = False, ""
    if opened:
        _name_value(found, path, value, currency, language, is_masked=is_masked)  # the document ends inside it
    return found


def _name_group(found: list[Field], path: list[str], language: str, *, is_needed: bool) -> None:
    """Add the element that holds the one that begins now, when it has not been added."""
    if is_needed and path:
        found.append(Field(path[-1], word("element", language, path[-1]), "", depth=len(path) - 1))


def _name_value(
    found: list[Field], path: list[str], text: str, currency: str, language: str, *, is_masked: bool
) -> None:
    tag, value = path[-1], " ".join(text.split())
    if tag in _WRAPPERS and not value:
        return
    told = currency or told_code(LAYOUT, tag, value, language)
    if is_masked and value:
        ending = tuple(path[-3:])
        value = masked(value) if ending == _PERSON else hidden(value) if ending == _ORGANISATION else value
    found.append(Field(tag, word("element", language, tag), shortened(value), told, depth=len(path) - 1))
