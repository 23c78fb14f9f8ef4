"""What a profile says, once read and found right: files, their records or elements, and the fields of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.domain.exchange import Series
from gateway.profiles.filename import FileName
from gateway.profiles.kinds import Rule
from gateway.profiles.sources import FILE, GIVEN

OUT, IN = "out", "in"
FIXED, DELIMITED, XML = "fixed", "delimited", "xml"
NEWLINES = {"crlf": "\r\n", "lf": "\n", "none": ""}
ENCODINGS = ("utf-8", "iso-8859-1", "cp1252", "ascii")


class Term(NamedTuple):
    """One thing that a control total counts or sums: records of *part*, where *field* has *value*; *amount* is summed."""

    part: str
    amount: str
    field: str
    value: str
    is_minus: bool


@dataclass(frozen=True, slots=True)
class Field:
    """A column, a delimited field, an attribute or the text of an element.

    *source* is where its value comes from when a file is written; *terms* make it a control total; *const* a literal.
    *to* is what it fills of the thing that a record becomes when a file is read. *start* is the first column, 0 where there are none. *ask* is what nobody knows yet and the agency must be asked.
    """

    name: str
    rule: Rule
    start: int = 0
    align: str = "left"
    fill: str = " "
    const: str | None = None
    source: str = ""
    to: str = ""
    terms: tuple[Term, ...] = ()
    told: str = ""
    ask: str = ""
    line: int = 0

    @property
    def is_value(self) -> bool:
        """Whether whoever writes or reads a record deals with it."""
        return self.const is None and self.rule.type != "filler"

    @property
    def stop(self) -> int:
        """Last column."""
        return self.start + self.rule.longest - 1


@dataclass(frozen=True, slots=True)
class Part:
    """A record of lines or an element of XML. *key* names it in the profile, *name* is the element's own.

    *each* says how often it is written (`sources.EACH`), *kinds* for which documents, items or instructions; *inside*
    is the key of the element around it. *text* is the content of an element, apart from its attributes. *becomes* is what a
    record that comes back is to the host (`importing.BECOMES`).
    """

    key: str
    name: str
    title: str
    each: str
    fields: tuple[Field, ...]
    kinds: frozenset[str] = frozenset()
    inside: str = ""
    is_optional: bool = False
    length: int = 0
    text: Field | None = None
    source: str = ""
    becomes: str = ""
    line: int = 0

    @property
    def values(self) -> tuple[Field, ...]:
        """The fields that are values, in their order; the text of an element comes last."""
        found = tuple(one for one in self.fields if one.is_value)
        return (*found, self.text) if self.text and self.text.is_value else found

    @property
    def is_single(self) -> bool:
        """Whether it stands once in the file, in its place."""
        return self.each == FILE


def taking(parts: Sequence[Part], kind: str, *, is_first: bool = False) -> list[Part]:
    """Return those of *parts*, written equally often, that take *kind*, with what stands inside them.

    Args:
        parts: in their order.
        kind: of a document, item or instruction.
        is_first: whether one takes it and the others do not; every part takes a document.
    """
    group, chosen = {part.key for part in parts}, dict[str, Part]()
    for part in parts:
        is_within = part.inside in chosen
        is_outermost = part.inside not in group and not (is_first and chosen)
        if (is_within or is_outermost) and (not part.kinds or kind in part.kinds):
            chosen[part.key] = part
    return list(chosen.values())


@dataclass(frozen=True, slots=True)
class FileLayout:
    """One kind of file: what we send (*direction* out) or what comes back (in)."""

    key: str
    title: str
    direction: str
    kind: str
    parts: Mapping[str, Part]
    filename: FileName
    series: Series
    encoding: str
    newline: str
    source: str = ""
    separator: str = ""
    quote: str = ""
    namespace: str = ""
    schema: str = ""
    has_declaration: bool = True
    order: int = 0
    line: int = 0

    def parts_of(self, each: str) -> tuple[Part, ...]:
        """Return the parts written *each*, in their order."""
        return tuple(part for part in self.parts.values() if part.each == each)

    @property
    def head(self) -> tuple[Part, ...]:
        """The single parts before the repeated ones."""
        return tuple(part for part in self.parts.values() if part.is_single and part.key not in self._behind())

    @property
    def tail(self) -> tuple[Part, ...]:
        """The single parts behind the repeated ones."""
        return tuple(part for part in self.parts.values() if part.key in self._behind())

    def _behind(self) -> frozenset[str]:
        keys = list(self.parts)
        first = next((number for number, key in enumerate(keys) if not self.parts[key].is_single), len(keys))
        return frozenset(key for key in keys[first:] if self.parts[key].is_single)

    @property
    def needs_plugin(self) -> bool:
        """Whether part of it is written only by a plugin: the host's claims do not hold what it says."""
        return any(part.each == GIVEN and not part.is_optional for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Profile:
    """A layout given as data. *sha256* is of the file's bytes: what a person confirmed is what these bytes say.

    *is_sandbox_only* profiles are nobody's layout and can never be confirmed. *questions* are what must be asked of the
    agency before anybody may confirm: (key, question).
    """

    name: str
    title: str
    source: str
    currencies: tuple[str, ...]
    markets: tuple[str, ...]
    files: Mapping[str, FileLayout]
    sha256: str
    is_sandbox_only: bool = False
    receipt_hours: int = 0
    limits: tuple[str, ...] = ()
    questions: tuple[tuple[str, str], ...] = field(default=())
