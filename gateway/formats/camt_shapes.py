"""Elements of a shape seen before, taken by one regular expression instead of eighty parser callbacks.

A bank writes thousands of transactions in the same few shapes: the same elements in the same order, with other texts.
When the XML parser has read one, `learn_transaction` and `learn_entry` turn its bytes into a pattern in which every tag
stands literally and only texts may differ. What matches is well-formed, because the tags were and because the texts
admit no character that XML gives a meaning to; and it means the same, because its texts are filed under the same keys of
the same tree. Whatever does not match goes to the parser. Namespaces cannot change inside: an attribute other than
``Ccy`` makes a shape unlearnable.

Codes (direction, status, currency, kind of reference) stand literally as well. So all that depends on them is settled
when a shape is learnt: most transactions become a `Row`, whose few texts make a payment without any question asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gateway.domain.money import exponent
from gateway.formats.audit import MAX_REFERENCE_CHARACTERS
from gateway.formats.camt_parts import IS_CREDIT, reference_kind
from gateway.formats.camt_paths import Node, Values

MAX_SHAPE_CHARACTERS = 1 << 15
"""Longest element that becomes a pattern; a longer one is an exception, which the parser reads well."""

_TOKEN = re.compile(r'<(/?)((?:[A-Za-z_][\w.-]*:)?)([A-Za-z_][\w.-]*)(?: Ccy="([A-Z]{3})")?>|([^<&]+)', re.ASCII)
_BLANKS = "[ \t\r\n]*+"
_TEXT = f"[^<&\\]\r\x00-\x08\x0b\x0c\x0e-\x1f]{{0,{MAX_REFERENCE_CHARACTERS}}}+"
"""No markup, no ``]]>``, no line end to normalise, no control character, no reference too long to take. U+FFFE and U+FFFF, which XML forbids too, are
looked for once in each piece of the file. Quantifiers are possessive: a pattern never goes back, so it takes linear time."""
_AMOUNT = r"[0-9]{1,15}+\.[0-9]{2}"
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_LITERAL = re.compile(_TEXT)
_PLAIN_AMOUNT = re.compile(_AMOUNT)
_PLAIN_DAY = re.compile(f"{_DAY}([TZ+-].*)?", re.DOTALL)

_CODES = frozenset(
    {"direction", "status", "status_text", "reversal", "code", "proprietary", "issuer", "return_reason", "is_included"}
)
_DAYS = frozenset({"booking_date", "value_date", "order_date"})
_TEXT_STEP, _LIST, _MONEY, _CODE, _DOWN, _UP = range(6)

_WITHIN = "details.transaction."
_ALIKE = frozenset({"detail_amount", "details.total", f"{_WITHIN}amount", f"{_WITHIN}detail_amount"})
"""Amounts that equal the first in most files. A pattern asks for that, which is a check the reader need not make."""

Step = tuple[int, str, int, str]
Match = Callable[[str, int], "re.Match[str] | None"]


class Row(NamedTuple):
    """Where a transaction without riddles has its texts: numbers of groups of its pattern, 0 or () where it has none.

    It has one amount, at most one creditor reference and no document; *is_credit* is None where it states no direction.
    *fields* are amount, bank reference, end-to-end id, payer, other payer, payer's account, reference and payer's id;
    *kind* is that of the reference unless it begins with RF.
    """

    fields: tuple[int, ...]
    currency: str
    is_credit: bool | None
    is_return: bool
    code: str
    proprietary: str
    issuer: str
    kind: str
    has_texts: bool
    texts: tuple[int, ...]
    additional: int
    return_reason: str
    address: tuple[int, ...]
    address_lines: tuple[int, ...]
    order_date: int


class Shape(NamedTuple):
    """One shape of a transaction: *match* finds it at a position, *values* files the groups of a match."""

    match: Match
    steps: tuple[Step, ...]
    row: Row | None

    def values(self, groups: Sequence[str]) -> Values:
        """Return what the parser's walk would have gathered."""
        return _filed(self.steps, groups)


class HeadRow(NamedTuple):
    """Where an entry has its texts: amount, both dates, both references, and how many transactions ``Btch`` states."""

    fields: tuple[int, ...]
    currency: str
    is_credit: bool
    is_reversal: bool
    status: str
    has_booking_date: bool
    has_value_date: bool
    has_count: bool
    """An empty element states no number, which is a finding; an absent one is none."""


class Head(NamedTuple):
    """One shape of an entry before its first transaction."""

    pattern: str
    match: Match
    entry_steps: tuple[Step, ...]
    details_steps: tuple[Step, ...]
    row: HeadRow | None

    def values(self, groups: Sequence[str]) -> tuple[Values, Values]:
        """Return what the parser's walk would have gathered of the entry and of its details."""
        return _filed(self.entry_steps, groups), _filed(self.details_steps, groups)


class Single(NamedTuple):
    """One shape of an entry of one transaction with the same amount everywhere; both rows are of its own pattern."""

    pattern: str
    match: Match
    head: HeadRow
    row: Row


class Tail(NamedTuple):
    """One shape of an entry behind its last transaction; group 1 of a match ends where its details end."""

    pattern: str
    match: Match


def _filed(steps: Sequence[Step], groups: Sequence[str]) -> Values:
    values: Values = {}
    around: list[Values] = []
    for what, key, source, code in steps:
        if what == _TEXT_STEP:
            values[key] = groups[source]
        elif what == _CODE:
            values[key] = code
        elif what == _MONEY:
            values[key] = (groups[source], code)
        elif what == _LIST:
            values.setdefault(key, []).append(groups[source])
        elif what == _DOWN:
            around.append(values)
            values = {}
        else:
            part, values = values, around.pop()
            values.setdefault(key, []).append(part)
    return values


class _Token(NamedTuple):
    slash: str
    mark: str
    local: str
    currency: str | None
    text: str | None

    @property
    def tag(self) -> str:
        return self.mark + self.local


class _Learner:
    """Builds the pattern and the filing of an element while going through its tokens.

    *found* has the groups of each key, *codes* the texts that stand literally, *money* the currencies; a key of a group
    inside has the group's name before it. Group 1 is always empty: it stands for whatever an element has not.
    """

    def __init__(self, prefix: str, mark: str, *, is_single: bool = False) -> None:
        self.parts, self.groups, self.prefix, self.mark = ["()", _BLANKS], 1, prefix, mark
        self._codes = _CODES | {"count"} if is_single else _CODES
        self.nodes: list[Node | None] = []
        self.names: list[str] = []
        self.steps: list[Step] = []
        self.steps_of: dict[str, list[Step]] = {}
        self.found: dict[str, list[int]] = {}
        self.codes: dict[str, list[str]] = {}
        self.money: dict[str, str] = {}
        self.plain_amounts: dict[str, str] = {}
        self.seen: list[str] = []
        self._texts: dict[int, str] = {}
        self._currencies: list[str] = []

    def read(self, tokens: Sequence[_Token], root: Node | None = None) -> bool:
        """Go through *tokens*, the first of which opens *root* if that is given; False if they cannot be learnt."""
        is_fresh = False
        for index, token in enumerate(tokens):
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            if token.text is not None:
                is_leaf = is_fresh and following is not None and bool(following.slash)
                if not is_leaf and token.text.strip(" \t\r\n"):
                    return False
                if is_leaf:
                    self._texts[len(self.names)] = token.text
                else:
                    self.parts.append(_BLANKS)
                    is_fresh = False
            elif token.mark != self.mark:
                return False
            elif token.slash:
                if not self.close(token, is_leaf=is_fresh):
                    return False
                is_fresh = False
            else:
                self.open(token, root if index == 0 else None)
                is_fresh = True
        return True

    def open(self, token: _Token, root: Node | None) -> None:
        """Go into an element."""
        parent = self.nodes[-1] if self.nodes else None
        node = root or (parent.children.get(self.prefix + token.local) if parent is not None else None)
        stated = ""
        if token.currency is not None:
            stated = f' Ccy="{token.currency if node is not None and node.has_currency else "[A-Z]{3}"}"'
        self.parts.append(f"<{re.escape(token.tag)}{stated}>")
        self.nodes.append(node)
        self.names.append(token.tag)
        self._currencies.append(token.currency or "")
        if node is not None and node.is_group:
            self.seen.append(node.name)
            if node.into:
                self.steps.append((_DOWN, "", 0, ""))
            else:
                self.steps = self.steps_of.setdefault(node.name, [])

    def close(self, token: _Token, *, is_leaf: bool) -> bool:
        """Come out of an element."""
        if not self.names or self.names[-1] != token.tag:
            return False
        node, text = self.nodes.pop(), self._texts.pop(len(self.names), "")
        self.names.pop()
        currency = self._currencies.pop()
        if is_leaf and not _LITERAL.fullmatch(text):
            return False
        if node is not None and node.key is not None:
            if not is_leaf and not node.children:
                return False  # a text with elements in it: the parser knows what that means
            self._file(node, node.key, text, currency, is_leaf=is_leaf)
        elif is_leaf:
            self.parts.append(_TEXT)
        if node is not None and node.into:
            self.steps.append((_UP, node.into, 0, ""))
        self.parts.append(f"</{re.escape(token.tag)}>")
        return True

    def _file(self, node: Node, key: str, text: str, currency: str, *, is_leaf: bool) -> None:
        path = self._path(key)
        if key in self._codes or not is_leaf:
            self.codes.setdefault(path, []).append(text)
            self.steps.append((_CODE, key, 0, text))
            self.parts.append(re.escape(text))
        elif node.has_currency:
            self.money[path] = currency
            self.steps.append((_MONEY, key, self._amount(path, text, currency), currency))
        else:
            group = self._day(path, text) if key in _DAYS else self._capture(path, _TEXT)
            self.steps.append((_LIST if node.is_repeated else _TEXT_STEP, key, group, ""))

    def _path(self, key: str) -> str:
        inside = [node.name for node in self.nodes[1:] if node is not None and node.is_group]
        return ".".join([*inside, key])

    def _capture(self, path: str, pattern: str) -> int:
        """Add a group; return its index among the groups of a match, which is one less than its number."""
        self.groups += 1
        self.found.setdefault(path, []).append(self.groups)
        self.parts.append(f"({pattern})")
        return self.groups - 1

    def _amount(self, path: str, text: str, currency: str) -> int:
        is_plain = bool(currency and _PLAIN_AMOUNT.fullmatch(text)) and exponent(currency) == 2
        if path in _ALIKE and self.plain_amounts.get("amount") == text and self.money["amount"] == currency:
            group = self.found["amount"][0]
            self.parts.append(f"(?:\\{group})")
            return group - 1
        if is_plain:
            self.plain_amounts[path] = text
        return self._capture(path, _AMOUNT if is_plain else _TEXT)

    def _day(self, path: str, text: str) -> int:
        """Add a group for the whole text and, inside it, one for the day alone, under the path with ``#``."""
        if not _PLAIN_DAY.fullmatch(text):
            return self._capture(path, _TEXT)
        group = self._capture(path, f"({_DAY})" + ("" if len(text) == 10 else f"[TZ+-]{_TEXT}"))
        self.groups += 1
        self.found.setdefault(path + "#", []).append(self.groups)
        return group

    def resume(self, head: _Learner) -> None:
        """Go on where *head* left off, behind what it left open."""
        self.names, self.nodes, self._currencies = head.names[:], head.nodes[:], [""] * len(head.names)

    # --- what was learnt ---

    def match(self) -> tuple[str, Match]:
        """Return the pattern and its match method."""
        pattern = "".join(self.parts)
        return pattern, re.compile(pattern).match

    def one(self, path: str) -> int:
        """Return the number of the group of *path*; 1, which is empty, where there is none."""
        return self.found.get(path, (1,))[0]

    def code(self, path: str) -> str:
        """Return the literal text of *path*."""
        return self.codes.get(path, ("",))[0]

    def is_unique(self) -> bool:
        """Return whether no key but a repeatable one came twice."""
        lists = ("texts", "address_lines")
        groups = [found for path, found in self.found.items() if path.rpartition(".")[2] not in lists]
        return all(len(found) == 1 for found in groups) and all(len(found) == 1 for found in self.codes.values())


def _tokens(raw: str) -> list[_Token]:
    """Return the tokens of *raw*; none where it holds something that is not plain tags and texts."""
    if len(raw) > MAX_SHAPE_CHARACTERS or "&" in raw:
        return []
    found = list(_TOKEN.finditer(raw))
    return [_Token(*match.groups()) for match in found] if sum(len(match[0]) for match in found) == len(raw) else []


# --- transactions ----------------------------------------------------------------------------------------------------


def learn_transaction(raw: str, node: Node, prefix: str) -> Shape | None:
    """Return the shape of the transaction *raw*, or None where it holds something that is not plain tags and texts.

    Args:
        raw: the whole element.
        node: the tree's node for the element.
        prefix: what stands before local names in the tree's keys.
    """
    tokens = _tokens(raw)
    if not tokens:
        return None
    learner = _Learner(prefix, tokens[0].mark)
    if not learner.read(tokens, node) or learner.names:
        return None
    return Shape(learner.match()[1], tuple(learner.steps_of["transaction"]), _row(learner))


_ADDRESS = ("street", "building", "postcode", "town", "country")
_FIELDS = (
    "bank_reference", "end_to_end", "payer", "ultimate_payer", "payer_account", "remittance.reference", "payer_id",
)  # fmt: skip
_RIDDLES = frozenset({"remittance.remitted", "remittance.credited", "remittance.due", "remittance.texts"})


def _row(learner: _Learner, within: str = "") -> Row | None:
    """Return the transaction as a row, None where it takes more than that to understand it.

    Args:
        learner: has read it.
        within: what stands before its paths.
    """
    found = {path.removeprefix(within): groups for path, groups in learner.found.items() if path.startswith(within)}
    codes = {path.removeprefix(within): texts[0] for path, texts in learner.codes.items() if path.startswith(within)}
    amount = "amount" if within + "amount" in learner.money else "detail_amount"
    stated = codes.get("direction")
    if (
        sorted(set(learner.seen) - {"entry", "details"}) not in (["transaction"], ["remittance", "transaction"])
        or learner.seen.count("remittance") > 1
        or not learner.is_unique()
        or _RIDDLES & found.keys()
        or within + amount not in (learner.money if within else learner.plain_amounts)
        or (amount == "amount" and "detail_amount" in found)
        or (stated is not None and stated not in IS_CREDIT)
        or ("order_date" in found and "order_date#" not in found)
    ):
        return None

    def one(path: str) -> int:
        return found.get(path, (1,))[0]

    code, proprietary, issuer = (codes.get(f"remittance.{key}", "") for key in ("code", "proprietary", "issuer"))
    texts, additional, return_reason = tuple(found.get("texts", ())), one("additional"), codes.get("return_reason", "")
    return Row(
        fields=(one(amount), *map(one, _FIELDS)),
        currency=learner.money[within + amount],
        is_credit=IS_CREDIT.get(stated or ""),
        is_return="return" in codes or "return" in found,
        code=code,
        proprietary=proprietary,
        issuer=issuer,
        kind=reference_kind("", code, proprietary, issuer),
        has_texts=bool(texts or additional > 1 or return_reason),
        texts=texts,
        additional=additional,
        return_reason=return_reason,
        address=tuple(map(one, _ADDRESS)) if found.keys() & {*_ADDRESS, "address_lines"} else (),
        address_lines=tuple(found.get("address_lines", ())),
        order_date=found.get("order_date#", (0,))[0],
    )


# --- entries ---------------------------------------------------------------------------------------------------------


def learn_entry(raw: str, node: Node, prefix: str) -> tuple[Head, Tail, Single | None] | None:
    """Return how the entry *raw* begins and ends around its transactions; None where it is not built like that.

    The third is the entry as a whole, where it has one transaction that needs no question asked.

    Args:
        raw: the whole element.
        node: the tree's node for the element.
        prefix: what stands before local names in the tree's keys.
    """
    tokens = _tokens(raw)
    begins = [i for i, token in enumerate(tokens) if token.local == "TxDtls" and not token.slash]
    ends = [i for i, token in enumerate(tokens) if token.local == "TxDtls" and token.slash]
    opened = [token.local for token in tokens if token.text is None and not token.slash]
    if not begins or len(begins) != len(ends) or opened.count("NtryDtls") != 1 or opened.count("Ntry") != 1:
        return None
    head = _Learner(prefix, tokens[0].mark)
    first = begins[0] - 1 if tokens[begins[0] - 1].text is not None else begins[0]
    if not head.read(tokens[:first], node) or [name.rpartition(":")[2] for name in head.names] != ["Ntry", "NtryDtls"]:
        return None
    tail = _tail(head, tokens[ends[-1] + 1 :])
    if tail is None:
        return None
    steps = head.steps_of
    learnt = Head(*head.match(), tuple(steps["entry"]), tuple(steps.get("details", ())), _head_row(head))
    return learnt, tail, _single(tokens, node, prefix) if len(begins) == 1 else None


def _tail(head: _Learner, tokens: Sequence[_Token]) -> Tail | None:
    """Learn what follows the last transaction of the entry whose *head* has been read."""
    tail = _Learner(head.prefix, head.mark)
    tail.resume(head)
    details = next((index for index, token in enumerate(tokens) if token.slash), len(tokens))
    if not tail.read(tokens[: details + 1]) or len(tail.names) != 1:
        return None
    tail.parts = ["(", *tail.parts[1:], ")"]
    if not tail.read(tokens[details + 1 :]) or tail.names or (tail.found.keys() | tail.codes.keys()) - {"additional"}:
        return None
    return Tail(*tail.match())


def _single(tokens: Sequence[_Token], node: Node, prefix: str) -> Single | None:
    learner = _Learner(prefix, tokens[0].mark, is_single=True)
    if not learner.read(tokens, node) or learner.names or learner.codes.get("details.count", ["1"])[0].strip() != "1":
        return None
    head, row = _head_row(learner), _row(learner, _WITHIN)
    amounts = [path for path in learner.money if path in _ALIKE and path in learner.found]
    if not head or not row or amounts or row.currency != head.currency or row.is_credit not in {None, head.is_credit}:
        return None
    amount = (head.fields[0],)
    return Single(*learner.match(), head, row._replace(fields=amount + row.fields[1:]))


def _head_row(head: _Learner) -> HeadRow | None:
    """Return the head as a row, None where something in it has to be looked at by the reader of entries."""
    status = head.code("status") or head.code("status_text")
    reversal = head.code("reversal")
    dates = [path for path in ("booking_date", "value_date") if path in head.found]
    if (
        not head.is_unique()
        or "amount" not in head.plain_amounts
        or "details.total" in head.found
        or head.code("direction") not in IS_CREDIT
        or status != status.strip()
        or not ({"status", "status_text"} & head.codes.keys())
        or any(f"{path}#" not in head.found for path in dates)
    ):
        return None
    fields = ("amount", "booking_date#", "value_date#", "bank_reference", "entry_reference", "details.count")
    return HeadRow(
        fields=tuple(map(head.one, fields)),
        currency=head.money["amount"],
        is_credit=IS_CREDIT[head.code("direction")],
        is_reversal=reversal.strip() in {"true", "1"},
        status=status,
        has_booking_date="booking_date" in dates,
        has_value_date="value_date" in dates,
        has_count="details.count" in head.found,
    )
