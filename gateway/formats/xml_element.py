"""Elements whose data stands in attributes, declared once and written at the speed of one regular expression.

The declaration is compiled to one regular expression per element. Nearly every row matches it and is written as it
stands; a row that does not is looked at value by value, so that exactness costs nothing in the common case. kravport-sls-1
and every XML profile are written by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.domain.identifiers import masked
from gateway.errors import EncodeError
from gateway.formats.xmltree import xml_escape_attribute

_BLANKS = re.compile(r"[ \t\r\n]+")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
QUICK = '[^\x00-\x1f\x7f-\x9f"&<>\ud800-\udfff\ufffe\uffff]'
"""A character that needs neither refusal nor escaping."""


class DoesNotFit(EncodeError):
    """A value the layout cannot carry: *whose* it is, its *place* (``Element/@attribute``), the *fault*, the *value*."""

    def __init__(self, whose: str, place: str, fault: str, value: object) -> None:
        self.whose, self.place, self.fault, self.value = whose, place, fault, str(value)
        super().__init__(f"{whose}: {place} {fault}: {self.value!r}")


class Type(NamedTuple):
    """A type of B.3. *pattern* is what the whole value must match; *quick* matches only what can be written as is."""

    title: str
    quick: str
    pattern: re.Pattern[str] | None = None
    longest: int = 0

    def settled(self, value: str) -> str:
        """Return *value* with white space collapsed, or raise ``ValueError`` saying what is wrong with it."""
        text = _BLANKS.sub(" ", value).strip(" ")
        if _FORBIDDEN.search(text):
            raise ValueError("holds a control character")
        if self.longest and len(text) > self.longest:
            raise ValueError(f"is longer than {self.longest} characters")
        if self.pattern and text and not self.pattern.fullmatch(text):
            raise ValueError(f"is not a valid {self.title}")
        return text


def text(longest: int, title: str) -> Type:
    """Return the type of text of 1 to *longest* characters."""
    return Type(title, f"{QUICK}{{1,{longest}}}+", None, longest)


def exact(title: str, pattern: str) -> Type:
    """Return the type of values that match *pattern* as a whole."""
    return Type(title, pattern, re.compile(pattern))


def one_of(title: str, *values: str) -> Type:
    """Return the type of a closed list."""
    return exact(title, "|".join(values))


EMAIL = Type("e-mail address", r"[A-Za-z0-9._+-]{1,100}@[A-Za-z0-9.-]{1,100}", re.compile("[^@ ]+@[^@ ]+"), 254)
DAY = exact("Day", "[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = exact("Moment", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})")
REFERENCE = exact("Reference", "[0-9A-Z]{1,24}[0-9A-Z-]")
ACCOUNT = exact("Account", "[A-Z0-9]{5,34}")
FILE_ID = exact("FileId", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class _Attribute(NamedTuple):
    name: str
    type: Type
    is_required: bool


class Element:
    """One element: its name, its depth and its attributes in the order in which they are written.

    Args:
        name: element name.
        depth: levels below the root; two blanks each (B.1).
        must: attributes the schema demands, by name.
        may: those left out when empty.
        order: attribute names in writing order, where it is not all of *must* and then all of *may*.
        literals: attributes that are the same in every row, by name in *order*, with their values as text, empty for one
            to leave out; they are not among the values of `start`.
    """

    def __init__(
        self,
        name: str,
        depth: int,
        must: dict[str, Type],
        may: dict[str, Type] | None = None,
        order: str = "",
        literals: Mapping[str, str] | None = None,
    ) -> None:
        types, fixed = must | (may or {}), literals or {}
        self.name = name
        self._order = order.split() or list(types)
        self.attributes = tuple(_Attribute(key, types[key], key in must) for key in self._order if key not in fixed)
        self.end = f"{'  ' * depth}</{name}>\n"
        self._start = f"{'  ' * depth}<{name}"
        self._literals = {key: xml_escape_attribute(text).replace("%", "%%") for key, text in fixed.items() if text}
        self._templates: dict[tuple[bool, ...], str] = {}
        quick = (f"(?:{a.type.quick}){'' if a.is_required else '?'}" for a in self.attributes)
        self.quick = "\n".join(quick)
        self._is_quick = re.compile(self.quick).fullmatch

    def start(self, whose: str, *values: str) -> str:
        """Return the start tag without its closing sign, indented; *values* stand in the declared order.

        Raises:
            EncodeError: a value does not fit; the message names *whose*, the attribute and the value. Nothing is cut.
        """
        row = "\n".join(values)
        if not self._is_quick(row) or (" " in row and _has_loose_blanks(row)):
            values = self._settled(whose, values)
        present = tuple(map(bool, values))
        template = self._templates.get(present) or self.template(present)
        return template % tuple(filter(None, values))

    def template(self, present: tuple[bool, ...]) -> str:
        """Return, and remember, the tag with these attributes: rows of one element have few shapes."""
        there = {attribute.name: "%s" for attribute, is_there in zip(self.attributes, present, strict=True) if is_there}
        shown = there | self._literals
        tag = "".join(f' {name}="{shown[name]}"' for name in self._order if name in shown)
        self._templates[present] = self._start + tag
        return self._templates[present]

    def faults(self, values: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return (attribute, value, what is wrong) for every value that cannot be written."""
        found = []
        for attribute, value in zip(self.attributes, values, strict=True):
            fault = _fault(attribute, value)
            if fault:
                found.append((attribute.name, value, fault))
        return found

    def _settled(self, whose: str, values: Sequence[str]) -> tuple[str, ...]:
        for name, value, fault in self.faults(values):
            shown = masked(value) if name == "identityNumber" else value
            raise DoesNotFit(whose, f"{self.name}/@{name}", fault, shown)
        return tuple(
            xml_escape_attribute(attribute.type.settled(value))
            for attribute, value in zip(self.attributes, values, strict=True)
        )


class Pair:
    """An element and the empty one it begins with, written as one: a file may hold little else."""

    def __init__(self, outer: Element, inner: Element) -> None:
        self._outer, self._inner, self._width = outer, inner, len(outer.attributes)
        self._is_quick = re.compile(f"{outer.quick}\n{inner.quick}").fullmatch
        self._templates: dict[tuple[bool, ...], str] = {}

    def both(self, whose: str, *values: str) -> str:
        """Return the outer start tag and the whole inner element; see `Element.start`."""
        row = "\n".join(values)
        if not self._is_quick(row) or (" " in row and _has_loose_blanks(row)):
            outer = self._outer.start(whose, *values[: self._width])
            return f"{outer}>\n{self._inner.start(whose, *values[self._width :])}/>\n"
        present = tuple(map(bool, values))
        template = self._templates.get(present) or self._template(present)
        return template % tuple(filter(None, values))

    def _template(self, present: tuple[bool, ...]) -> str:
        outer, inner = self._outer.template(present[: self._width]), self._inner.template(present[self._width :])
        made = self._templates[present] = f"{outer}>\n{inner}/>\n"
        return made


def _has_loose_blanks(row: str) -> bool:
    return "  " in row or "\n " in row or " \n" in row or row[0] == " " or row[-1] == " "


def _fault(attribute: _Attribute, value: str) -> str:
    try:
        text = attribute.type.settled(value)
    except ValueError as fault:
        return str(fault)
    return "must not be empty" if attribute.is_required and not text else ""
