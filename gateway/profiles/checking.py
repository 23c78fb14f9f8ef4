"""What of a customer or claim a profile cannot carry: told beforehand, so that it alone is held and not the whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from gateway.domain.exchange import Claim, Customer, Finding, LinkKind, Severity
from gateway.domain.identifiers import masked
from gateway.domain.instructions import Action
from gateway.formats.record import made, rows
from gateway.profiles.declaration import FIXED, XML, Field, FileLayout, Part, taking
from gateway.profiles.files import ProfileFile
from gateway.profiles.kinds import MISFIT, encoder
from gateway.profiles.lines import column_of
from gateway.profiles.sources import (
    AS_INVOICE,
    CLAIM,
    CREDIT_NOTE,
    CUSTOMER,
    DOCUMENT,
    INSTRUCTION,
    INVOICE,
    ITEM,
    credit_notes,
    getter,
    root_of,
)
from gateway.profiles.tags import is_converted, settler

_PERSONAL = frozenset({"customer.identity_number", "customer.organisation_number"})
Write = Callable[[Any], str | None]
"""Returns a value as it would stand in the file, or None where it does not fit."""


class _Asked(NamedTuple):
    """One field: what it is called, where its value comes from, and what writes it."""

    place: str
    source: str
    get: Callable[[Any], Any]
    write: Write


class ClaimCheck:
    """Judges customers and claims by a file's declaration; made once for a file.

    Args:
        file: what they would be written to.
    """

    def __init__(self, file: ProfileFile) -> None:
        layout = file.layout
        self._encoding = layout.encoding
        self._customers = list(_asked(layout, layout.parts_of(CUSTOMER), {CUSTOMER}))
        others = [part for part in layout.parts.values() if part.each in {CLAIM, DOCUMENT, ITEM, INSTRUCTION}]
        self._customers += _asked(layout, others, {CUSTOMER})
        self._claims = list(_asked(layout, others, {CLAIM}))
        self._claims += _asked(layout, taking(layout.parts_of(DOCUMENT), INVOICE), {DOCUMENT}, AS_INVOICE)
        self._notes = list(_asked(layout, taking(layout.parts_of(DOCUMENT), CREDIT_NOTE), {DOCUMENT}))
        self._items = {
            kind: list(_asked(layout, taking(layout.parts_of(ITEM), kind, is_first=True), {ITEM})) for kind in LinkKind
        }
        self._instructions = {
            action: list(_asked(layout, taking(layout.parts_of(INSTRUCTION), action, is_first=True), {INSTRUCTION}))
            for action in Action
        }

    def customer_faults(self, customer: Customer) -> tuple[Finding, ...]:
        """Return a blocking finding for each value of the card that does not fit; empty for one that is carried whole."""
        return tuple(self._faults(self._customers, customer))

    def claim_faults(self, claim: Claim) -> tuple[Finding, ...]:
        """Return a blocking finding for each value of the claim, its items and instructions that does not fit."""
        found = list(self._faults(self._claims, claim))
        for note in credit_notes(claim):
            found += self._faults(self._notes, note)
        for item in claim.items:
            found += self._faults(self._items[item.kind], item)
        for said in claim.instructions:
            found += self._faults(self._instructions[said.action], said)
        return tuple(found)

    def _faults(self, asked: Sequence[_Asked], of: Any) -> Iterator[Finding]:
        told = set[str]()
        for place, source, get, write in asked:
            value = get(of)
            text = write(value)
            if text is not None and (text.isascii() or self._has_signs(text)):
                continue
            if source not in told:
                told.add(source)
                shown = "" if value is None else str(value)
                shown = masked(shown) if source in _PERSONAL else shown
                yield Finding(Severity.BLOCKING, "layout.does_not_fit", place, shown[:200], {"field": place})

    def _has_signs(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True


def _asked(
    layout: FileLayout, parts: Sequence[Part], roots: set[str], renamed: dict[str, str] | None = None
) -> Iterator[_Asked]:
    """Yield the fields of *parts* that come from *roots*, those of a document under the names that *renamed* gives them."""
    for part in parts:
        for one in part.values:
            if not one.source or root_of(one.source) not in roots:
                continue
            source = (renamed or {}).get(one.source, one.source)
            if not source.startswith("="):
                yield _Asked(f"{part.key}.{one.name}", source, getter(source), _writer(layout, part, one))


def _writer(layout: FileLayout, part: Part, one: Field) -> Write:
    if layout.kind == FIXED:
        return rows(made(part.key, {one.name: column_of(one, start=1)}, one.rule.longest), [one.name]).line
    write, settle = encoder(one.rule), settler(one) if layout.kind == XML else None
    forbidden = {layout.separator, "\r", "\n"} if layout.separator and not layout.quote else set()

    is_plain = layout.kind == XML and not is_converted(one)

    def checked(value: Any) -> str | None:
        text = value if is_plain else write(value)
        if text is MISFIT or not isinstance(text, str) or any(sign in text for sign in forbidden):
            return None
        return settle(text) if settle else text

    return checked
