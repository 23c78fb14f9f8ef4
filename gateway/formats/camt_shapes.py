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
    """One shape: *match* finds it at a position, *steps* say where its groups go."""

    match: Callable[[str, int], re.Match[str] | None]
    steps: tuple[tuple[str, str, int, int], ...]


class _Learner:
    """Builds the pattern of one transaction while going through its tokens."""

    def __init__(self, node: Any, prefix: str) -> None:
        self.parts, self.steps = [_BLANKS], list[tuple[str, str, int, int]]()
        self.groups, self.prefix = 0, prefix
        self.nodes: list[Any] = [node]
        self.currencies = [-1]

    def open(self, name: str, local: str, currency: str | None) -> None:
        parent = self.nodes[-1]
        node = parent.children.get(self.prefix + local) if parent is not None else None
        self.nodes.append(node)
        wants = node is not None and node.has_currency and currency
        self.parts.append(
            f"<{re.escape(name)}" + (f' Ccy="{"([A-Z]{3})" if wants else "[A-Z]{3}"}"' if currency else "") + ">"
        )
        self.currencies.append(self._group() if wants else -1)
        if node is not None and node.is_group:
            self.steps.append(("begin", "", -1, -1))

    def text(self) -> int:
        node = self.nodes[-1]
        if node is None or node.key is None:
            self.parts.append(_TEXT)
            return -1
        self.parts.append(f"({_TEXT})")
        return self._group()

    def close(self, name: str, group: int) -> None:
        self.parts.append(f"</{re.escape(name)}>")
        node, currency = self.nodes.pop(), self.currencies.pop()
        if node is None:
            return
        if node.is_group:
            self.steps.append(("end", node.name, -1, -1))
        elif node.key is not None:
            kind = "amount" if node.has_currency else "repeated" if node.is_repeated else "text"
            self.steps.append((kind, node.key, group, currency))

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
    return Shape(re.compile("".join(learner.parts)).match, tuple(learner.steps))
