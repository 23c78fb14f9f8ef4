"""The content of a sealed or received file, as a person can read it: an XML tree, or fixed-width lines with a ruler.

Only the beginning is read and shown; the original bytes are a download away. Nothing here trusts the bytes: XML is read
without entities, network or DTD, and whatever does not read as XML is shown as lines.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from lxml import etree

from gateway.formats.view.model import ruler

SHOWN_BYTES = 64 * 1024
NODES_MAX = 600
LINES_MAX = 400
LINE_CHARACTERS_MAX = 1000
DEPTH_MAX = 24


@dataclass(slots=True)
class Node:
    """An element: its local name, attributes, text and children, as far as the beginning of the file goes."""

    tag: str
    attributes: list[tuple[str, str]]
    text: str = ""
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Content:
    """What is shown. *tree* is None for files that are not XML; *is_cut* says that there is more than is shown."""

    tree: Node | None
    lines: list[str]
    ruler: str
    encoding: str
    is_cut: bool


def content_of(stream: BinaryIO, size: int) -> Content:
    """Return the beginning of *stream* (*size* bytes in all) for showing."""
    head = stream.read(SHOWN_BYTES)
    is_cut = size > len(head)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        tree, was_long = _tree(head)
        if tree is not None:
            return Content(tree, [], "", "XML", is_cut or was_long)
    text, encoding = _decoded(head, is_cut=is_cut)
    lines = text.splitlines()
    shown = [_visible(line[:LINE_CHARACTERS_MAX]) for line in lines[:LINES_MAX]]
    width = max((len(line) for line in shown), default=0)
    return Content(None, shown, ruler(min(width, 320)), encoding, is_cut or len(lines) > LINES_MAX)


def _tree(head: bytes) -> tuple[Node | None, bool]:
    parser = etree.XMLPullParser(
        events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    root: Node | None = None
    path: list[Node] = []
    count = 0
    try:
        parser.feed(head)
        for event, found in parser.read_events():
            element = cast("Any", found)
            if event == "start":
                node = Node(_local(element), [(_plain(name), str(value)) for name, value in element.attrib.items()])
                count += 1
                if root is None:
                    root = node
                elif count <= NODES_MAX and len(path) <= DEPTH_MAX:
                    path[-1].children.append(node)
                path.append(node)
            else:
                path.pop().text = (element.text or "").strip()[:LINE_CHARACTERS_MAX]
    except etree.XMLSyntaxError:
        return None, False
    return root, count > NODES_MAX


def _local(element: Any) -> str:
    return _plain(element.tag) if isinstance(element.tag, str) else "?"


def _plain(name: object) -> str:
    return str(name).rpartition("}")[2]


def _decoded(head: bytes, *, is_cut: bool) -> tuple[str, str]:
    for end in range(len(head), max(0, len(head) - 4), -1):  # a cut may fall inside a letter
        try:
            return head[:end].decode("utf-8-sig"), "UTF-8"
        except UnicodeDecodeError:
            if not is_cut:
                break
    return head.decode("iso-8859-1"), "ISO 8859-1"


def _visible(line: str) -> str:
    """Show blanks as dots and control characters as a box, so that a column can be counted."""
    return "".join("·" if sign == " " else (sign if sign.isprintable() else "▯") for sign in line)
