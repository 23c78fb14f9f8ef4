"""Files of XML: how an element becomes a tag and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from gateway.errors import DecodeError
from gateway.formats.xml_element import QUICK, DoesNotFit, Element, Pair, Type, exact, text
from gateway.formats.xmltree import iter_elements, xml_escape
from gateway.profiles.declaration import Field, FileLayout, Part
from gateway.profiles.kinds import MISFIT, NAMED_SHAPES, Rule, character_class, decoder, encoder
from gateway.profiles.lines import Read

_TEXT = "text()"
"""What errors call the content of an element."""


class Tag:
    """One element of a profile, compiled to the machinery of kravport-sls-1.

    Args:
        layout: the file it stands in.
        part: the element.
        depth: levels below the root.
        fixed: values that are the same in the whole file, by attribute; they are written into the tag once.

    *parent* is the key of the element around it; *is_leaf* has neither elements nor text inside. *varying* are the fields
    that are not written once for all, *places* where they stand among the values of *part*.
    """

    def __init__(self, layout: FileLayout, part: Part, depth: int, fixed: Mapping[str, Any] | None = None) -> None:
        self.part, self.parent, self.depth = part, part.inside, depth
        self.is_leaf = part.text is None and not any(other.inside == part.key for other in layout.parts.values())
        fields, settled = part.fields, fixed or {}
        types = {one.name: _type_of(one) for one in fields}
        optional = {one.name for one in fields if one.rule.is_optional and one.const is None}
        literals = {one.name: one.const for one in fields if one.const is not None}
        literals |= {one.name: _literal(part, one, settled[one.name]) for one in fields if one.name in settled}
        must = {name: kind for name, kind in types.items() if name not in optional}
        may = {name: kind for name, kind in types.items() if name in optional}
        self.element = Element(part.name, depth, must, may, " ".join(types), literals)
        self.end = self.element.end
        self.mark = f' xmlns="{layout.namespace}"' if depth == 0 and layout.namespace else ""
        self.varying = [one for one in fields if one.name not in literals]
        self.places = [number for number, one in enumerate(part.values) if one in self.varying]
        self.converts = [(number, encoder(one.rule)) for number, one in enumerate(self.varying) if is_converted(one)]
        self._text = (settler(part.text), part.text) if part.text else None
        self._readers = {one.name: (one, decoder(one.rule)) for one in fields}
        self._text_reader = decoder(part.text.rule) if part.text else None

    def content(self, whose: str, values: Sequence[Any]) -> str | None:
        """Return the escaped text of the element, or None where it holds none."""
        if self._text is None:
            return None
        settle, one = self._text
        if one.const is not None:
            return xml_escape(one.const)
        value = encoder(one.rule)(values[-1]) if is_converted(one) or values[-1] is None else values[-1]
        found = settle(value) if isinstance(value, str) else None
        if found is None:
            raise DoesNotFit(whose, self.part.name, one.rule.demand, values[-1])
        return xml_escape(found)

    # --- reading ---

    def read(self, line: int, attributes: dict[str, str]) -> list[Any]:
        """Return the values of a start tag; raises ``DecodeError``."""
        unknown = next((name for name in attributes if name not in self._readers), None)
        if unknown is not None:
            raise DecodeError("is no attribute of it", line=line, path=self.part.name, field=unknown)
        found = []
        for name, (one, decode) in self._readers.items():
            raw = attributes.get(name)
            if raw is None and not one.rule.is_optional:
                raise DecodeError("is missing", line=line, path=self.part.name, field=f"@{name}")
            if one.const is not None:
                if raw != one.const:
                    self._refuse(line, f"@{name}", f"must be {one.const!r}", raw or "")
                continue
            value = decode(raw or one.rule.empty)
            if value is MISFIT:
                self._refuse(line, f"@{name}", one.rule.demand, raw or "")
            found.append(value)
        return found

    def read_text(self, line: int, raw: str) -> list[Any]:
        """Return the value of the element's text, if it has one."""
        if self._text is None or self._text_reader is None:
            if raw.strip():
                self._refuse(line, _TEXT, "holds text where none belongs", raw.strip())
            return []
        one, bare = self._text[1], " ".join(raw.split())
        if one.const is not None:
            if bare != one.const:
                self._refuse(line, _TEXT, f"must be {one.const!r}", bare)
            return []
        value = self._text_reader(bare)
        if value is MISFIT:
            self._refuse(line, _TEXT, one.rule.demand, bare)
        return [value]

    def _refuse(self, line: int, field: str, reason: str, value: str) -> None:
        raise DecodeError(reason, line=line, path=self.part.name, field=field, value=value)


class Start:
    """Start tags as they are written row by row: one element, or one and the empty one it begins with, as one.

    A file of claims consists of little but invoices and their headers, so that every step saved counts twice.
    """

    def __init__(self, tag: Tag, inner: Tag | None = None) -> None:
        tags = [tag, inner] if inner else [tag]
        self._fields = [(one, of.part.name) for of in tags for one in of.varying]
        before = len(tag.varying)
        moved = [(number + before, convert) for number, convert in inner.converts] if inner else []
        self._converts = tag.converts + moved
        self._write = Pair(tag.element, inner.element).both if inner else tag.element.start

    def of(self, whose: str, values: Sequence[Any]) -> str:
        """Return the start tag without its closing sign; with an inner element, all of both but the end of the outer.

        Raises:
            EncodeError: a value does not fit; it names *whose*, the attribute and the value.
        """
        texts = list(values)
        for number, convert in self._converts:
            texts[number] = convert(texts[number])
        try:
            return self._write(whose, *texts)
        except TypeError:  # a value that is no text: seldom, so nothing is asked beforehand
            return self._write(whose, *self._as_texts(whose, values, texts))

    def _place(self, number: int) -> str:
        one, name = self._fields[number]
        return f"{name}/@{one.name}"

    def _as_texts(self, whose: str, values: Sequence[Any], texts: Sequence[Any]) -> list[str]:
        for number, made in enumerate(texts):
            if made is not None and not isinstance(made, str):
                raise DoesNotFit(whose, self._place(number), self._fields[number][0].rule.demand, values[number])
        return [made or "" for made in texts]


def tags_of(layout: FileLayout) -> dict[str, Tag]:
    """Return the compiled elements of *layout* by key."""
    depths: dict[str, int] = {}
    for part in layout.parts.values():
        depths[part.key] = depths[part.inside] + 1 if part.inside else 0
    return {part.key: Tag(layout, part, depths[part.key]) for part in layout.parts.values()}


def xml_rows(layout: FileLayout, tags: dict[str, Tag], stream: BinaryIO) -> Iterator[Read]:
    """Yield the elements of a document in the order of their start tags; one with text when it ends.

    Raises:
        DecodeError: not well-formed, an unknown element or attribute, a value that does not fit. It names the line.
    """
    children = {(tag.parent, tag.part.name): tag for tag in tags.values()}
    path: list[tuple[Tag, int, list[Any]]] = []
    texts: list[str] = []
    for kind, name, namespace, attributes, line in iter_elements(stream, with_text=True):
        if kind == "text":
            texts.append(name)
            continue
        if path:
            path[-1][2].extend(path[-1][0].read_text(line, "".join(texts)) if texts or kind == "end" else [])
        texts.clear()
        if kind == "end":
            tag, began, values = path.pop()
            if tag.part.text:
                yield Read(began, tag.part, values)
            continue
        found = children.get((path[-1][0].part.key if path else "", name))
        if found is None or namespace != layout.namespace:
            around = f" inside {path[-1][0].part.name}" if path else ", which must be the root"
            raise DecodeError(f"is no element of this file{around}", line=line, path=name, value=namespace)
        values = found.read(line, dict(attributes))
        path.append((found, line, values))
        if not found.part.text:
            yield Read(line, found.part, values)


# --- types -----------------------------------------------------------------------------------------------------------

_PLAIN = {"text", "digits"}
_ESCAPED = frozenset('"&<>')
_NEVER = "(?!)"
"""Matches nothing: what may need escaping is looked at value by value."""


def _type_of(one: Field) -> Type:
    if one.const is not None:
        quick = _NEVER if set(one.const) & _ESCAPED else re.escape(one.const)
        return Type("constant", quick, re.compile(re.escape(one.const)))
    return _type(one.rule)


def _type(rule: Rule) -> Type:
    """Return the type of an attribute; what a converter has made is only looked at for signs that need escaping."""
    least = max(1, rule.shortest)
    if rule.type == "digits":
        return exact("number of digits", f"[0-9]{{{least},{rule.longest}}}")
    if rule.type != "text":
        return text(100, rule.type)
    if rule.shape:
        return NAMED_SHAPES[rule.shape]
    if rule.characters:
        allowed = character_class(rule.characters)
        assert allowed is not None
        pattern = f"{allowed.pattern.removesuffix('*+')}{{{least},{rule.longest}}}"
        is_plain = not any(map(allowed.fullmatch, _ESCAPED))
        return Type("text", pattern if is_plain else _NEVER, re.compile(pattern))
    if least > 1:
        at_least = re.compile(f"(?s:.{{{least},}})")
        return Type("text", f"{QUICK}{{{least},{rule.longest}}}+", at_least, rule.longest)
    return text(rule.longest, "text")


def is_converted(one: Field) -> bool:
    """Return whether values of the attribute are not written as they are."""
    rule = one.rule
    return rule.type not in _PLAIN or bool(rule.without or rule.is_upper or rule.leaves_out_too_long or rule.empty)


def settler(one: Field) -> Callable[[str], str | None]:
    """Return what makes of a text the content of the attribute or element *one*; None where it does not fit."""
    kind, is_optional = _type_of(one), one.rule.is_optional

    def settle(text: str) -> str | None:
        try:
            found = kind.settled(text)
        except ValueError:
            return None
        return found if found or is_optional else None

    return settle


def _literal(part: Part, one: Field, value: Any) -> str:
    """Return the text of a value that is the same in the whole file."""
    place = f"{part.name}/@{one.name}"
    text = encoder(one.rule)(value)
    if text is MISFIT:
        raise DoesNotFit("file", place, one.rule.demand, value)
    try:
        settled = _type_of(one).settled(str(text))
    except ValueError as fault:
        raise DoesNotFit("file", place, str(fault), value) from None
    if not (settled or one.rule.is_optional):
        raise DoesNotFit("file", place, "must not be empty", value)
    return settled
