"""Transactions of a shape seen before, taken by one regular expression instead of eighty parser callbacks.

A bank writes thousands of transactions in the same few shapes: the same elements in the same order, with other texts.
When the XML parser has read a transaction, `learn` turns its bytes into a pattern in which every tag stands literally
and only texts and currencies may differ. What matches is well-formed, because the tags were and because the texts admit
no character that XML gives a meaning to; and it means the same, because it is filed by the same tree. Whatever does not
match goes to the parser. Namespaces cannot change inside: an attribute other than ``Ccy`` makes a shape unlearnable.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

MAX_SHAPE_CHARACTERS = 1 << 15
"""Longest transaction that becomes a pattern; a longer one is an exception, which the parser reads well."""

_TOKEN = re.compile(r'<(/?)((?:[A-Za-z_][\w.-]*:)?)([A-Za-z_][\w.-]*)( Ccy="[A-Z]{3}")?>|([^<&]+)', re.ASCII)
_BLANKS = "[ \t\r\n]*"
_TEXT = "[^<&\\]\r\x00-\x08\x0b\x0c\x0e-\x1f\xef]*"
"""Text in bytes read as Latin-1: no markup, no ``]]>``, no line end to normalise, no control character, and no byte that
could begin U+FFFE or U+FFFF in UTF-8, which XML forbids."""


class Shape(NamedTuple):
    """One shape: *match* finds it at a position, *file* hands its groups to the reader as the parser's walk would."""

    match: Callable[[str, int], re.Match[str] | None]
    file: Callable[[tuple[str, ...]], None]


class _Learner:
    """Builds pattern and filing of one transaction while going through its tokens.

    The filing becomes one straight-line function: interpreting a list of steps took a third of the reading time. Its
    source holds names of our own tree only; nothing from a file is ever spliced into it.
    """

    def __init__(self, node: Any, prefix: str) -> None:
        self.parts, self.groups, self.prefix = [_BLANKS], 0, prefix
        self.nodes: list[Any] = []
        self.currencies: list[int] = []
        self.lines, self.names, self.depth = list[str](), dict[str, object](), 0
        self._enter(node)

    def _enter(self, node: Any) -> None:
        self.nodes.append(node)
        if node is not None and node.is_group:
            self.depth += 1
            self.lines.append(f"v{self.depth} = {{}}")
            self._call(node.open)

    def _leave(self) -> Any:
        node = self.nodes.pop()
        if node is not None and node.is_group:
            self._call(node.close)
            self.depth -= 1
        return node

    def _call(self, method: object) -> None:
        if method:
            name = f"call_{len(self.names)}"
            self.names[name] = method
            self.lines.append(f"{name}(v{self.depth})")

    def open(self, name: str, local: str, currency: str | None) -> None:
        """Go into an element."""
        parent = self.nodes[-1]
        node = parent.children.get(self.prefix + local) if parent is not None else None
        wants = node is not None and node.has_currency and currency
        stated = f' Ccy="{"([A-Z]{3})" if wants else "[A-Z]{3}"}"' if currency else ""
        self.parts.append(f"<{re.escape(name)}{stated}>")
        self.currencies.append(self._group() if wants else -1)
        self._enter(node)

    def text(self) -> int:
        """Take the text of an element without children; return its group, -1 where nobody wants it."""
        node = self.nodes[-1]
        if node is None or node.key is None:
            self.parts.append(_TEXT)
            return -1
        self.parts.append(f"({_TEXT})")
        return self._group()

    def close(self, name: str, group: int) -> None:
        """Come out of an element whose text is *group*."""
        self.parts.append(f"</{re.escape(name)}>")
        node, currency = self._leave(), self.currencies.pop()
        if node is None or node.key is None:
            return
        text, target = f"g[{group}]" if group >= 0 else "''", f"v{self.depth}"
        if node.is_repeated:
            self.lines.append(f"{target}.setdefault({node.key!r}, []).append({text})")
        elif node.has_currency:
            stated = f"g[{currency}]" if currency >= 0 else "''"
            self.lines.append(f"{target}[{node.key!r}] = ({text}, {stated})")
        else:
            self.lines.append(f"{target}[{node.key!r}] = {text}")

    def shape(self) -> Shape:
        """Return what was learnt."""
        self._leave()
        exec("def file(g):\n " + "\n ".join(self.lines), self.names)  # noqa: S102 - see the class
        return Shape(re.compile("".join(self.parts)).match, self.names["file"])  # type: ignore[arg-type]

    def _group(self) -> int:
        self.groups += 1
        return self.groups - 1


def learn(raw: str, node: Any, prefix: str) -> Shape | None:
    """Return the shape of the transaction *raw*, or None where it holds something that is not plain tags and texts.

    Args:
        raw: the whole element, its bytes read as Latin-1.
        node: the tree's node for the element.
        prefix: what stands before local names in the tree's keys.
    """
    if len(raw) > MAX_SHAPE_CHARACTERS:
        return None
    tokens = list(_TOKEN.finditer(raw))
    if sum(len(token[0]) for token in tokens) != len(raw) or not tokens or tokens[0][3] is None:
        return None
    learner, first = _Learner(node, prefix), tokens[0]
    learner.parts.append(re.escape(first[0]))
    names, group, is_fresh = [first[2] + first[3]], -1, True
    for index, token in enumerate(tokens[1:-1], 1):
        slash, mark, local, currency, text = token.groups()
        if text is not None:
            is_leaf = is_fresh and tokens[index + 1][1] == "/"
            if not is_leaf and text.strip(" \t\r\n"):
                return None
            if not is_leaf:
                learner.parts.append(_BLANKS)
        elif mark != first[2]:
            return None
        elif slash:
            group = learner.text() if is_fresh else -1
            learner.close(names.pop(), group)
            is_fresh = False
        else:
            names.append(mark + local)
            learner.open(mark + local, local, currency)
            is_fresh = True
    learner.parts.append(re.escape(tokens[-1][0]))
    return learner.shape()
