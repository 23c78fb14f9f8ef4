"""Writes a whole file from claims, by what a profile says alone: no line of code per agency.

What a claim holds and the profile has no place for is refused, never dropped: the host asks the profile beforehand
(`carries`, `instructions`) and holds such a claim with a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain, groupby
from typing import Any

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Direction,
    Envelope,
    LinkKind,
    Origin,
    Seal,
    Sink,
    Totals,
)
from gateway.domain.instructions import Action
from gateway.domain.money import exponent
from gateway.errors import EncodeError
from gateway.profiles.declaration import DELIMITED, XML, FileLayout, Part, taking
from gateway.profiles.files import Emit, FileWriter, ProfileFile
from gateway.profiles.sources import (
    AS_INVOICE,
    CLAIM,
    CREDIT_NOTE,
    CUSTOMER,
    DOCUMENT,
    INSTRUCTION,
    INVOICE,
    ITEM,
    FileFacts,
    credit_notes,
)

_AGENCY, _CHARGE, _DEBIT = Origin.AGENCY, LinkKind.CHARGE, Direction.DEBIT
_Step = Callable[[Claim, str], None]
_MEDIA = {XML: "application/xml", DELIMITED: "text/csv"}


def carries(layout: FileLayout) -> frozenset[LinkKind]:
    """Return the kinds of linked item that *layout* has a place for."""
    kinds = {kind for part in layout.parts_of(ITEM) for kind in part.kinds or tuple(LinkKind)}
    documents_of = [part.kinds or {CREDIT_NOTE} for part in layout.parts_of(DOCUMENT)]
    if any(CREDIT_NOTE in found for found in documents_of):
        kinds.add(LinkKind.CREDIT_NOTE)
    return frozenset(LinkKind(kind) for kind in kinds)


def tells_balance(layout: FileLayout) -> bool:
    """Return whether *layout* tells of a claim what is open and nothing else: no original amount, no linked items."""
    sources = {one.source for part in layout.parts.values() for one in part.values}
    return "claim.open_minor" in sources and "claim.original_minor" not in sources and not layout.parts_of(ITEM)


def instructions(layout: FileLayout) -> frozenset[Action]:
    """Return the instructions that *layout* has a place for."""
    found = {kind for part in layout.parts_of(INSTRUCTION) for kind in part.kinds or tuple(Action)}
    return frozenset(Action(kind) for kind in found)


def export(
    file: ProfileFile, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool = True
) -> tuple[Envelope, ...]:
    """Write *claims* as one file; without a claim no file is opened and nothing is returned.

    Args:
        file: what to write; *seal* holds sequence and file id under its key.
        claims: read once; ordered by customer number. Invoices and items keep their order.
        agreement: its settings are what the profile names ``setting.…``.
        seal: sequences, ids and moments.
        sink: where the file is opened.
        are_new: whether the agency gets these claims for the first time, with their invoices.

    Raises:
        EncodeError: a value does not fit, or the profile has no place for something; names claim, field and value.
    """
    rest = iter(claims)
    first = next(rest, None)
    if first is None:
        return ()
    layout = file.layout
    _check_currency(file, agreement)
    key = layout.key
    sequence = seal.sequences[key]
    name = layout.filename.made(sequence=sequence, day=seal.business_date, client=agreement.client_number)
    facts = FileFacts(agreement, seal, sequence, seal.file_ids.get(key, ""), agreement.currency, agreement.market)
    with sink.open(name) as stream, file.write(stream) as writer:
        run = _Run(layout, writer, facts, are_new=are_new)
        run.write(chain((first,), rest))
    media = _MEDIA.get(layout.kind, "text/plain")
    return (Envelope(key, sequence, name, media, agreement.currency, run.totals(), layout.order),)


def _check_currency(file: ProfileFile, agreement: Agreement) -> None:
    currency, known = agreement.currency, file.profile.currencies
    if known and currency not in known:
        raise EncodeError(f"{file.profile.name} carries {', '.join(known)}, not {currency}")
    is_pointed = any(one.rule.form in {"0.00", "0,00"} for part in file.layout.parts.values() for one in part.fields)
    if is_pointed and exponent(currency) != 2:
        raise EncodeError(f"{file.profile.name} writes two decimals; {currency} has {exponent(currency)}")


class _Run:
    """One file being written. `_at_hand` holds, in the order of `sources.ROOTS`, what is being written about."""

    def __init__(self, layout: FileLayout, writer: FileWriter, facts: FileFacts, *, are_new: bool) -> None:
        self._writer, self._facts, self._are_new = writer, facts, are_new
        self._at_hand: list[Any] = [facts, None, None, None, None, None]
        self._carried, self._said = carries(layout), instructions(layout)
        self._nets = are_new and tells_balance(layout)
        body = [part for part in layout.parts.values() if part.each in (CUSTOMER, *_STEPS)]
        _refuse_sourceless(chain(layout.head, body, layout.tail))
        self._head, self._tail = writer.emitters(layout.head, facts), writer.emitters(layout.tail, facts)
        self._customers = writer.emitters([part for part in body if part.each == CUSTOMER], facts)
        rest = [part for part in body if part.each != CUSTOMER]
        self._steps = [_STEPS[each](self, list(parts)) for each, parts in groupby(rest, lambda part: part.each)]
        tells = {CLAIM, DOCUMENT} if are_new else {CLAIM, DOCUMENT, ITEM, INSTRUCTION}
        if not any(part.each in tells for part in rest):
            raise EncodeError(f"{layout.key} has no record for a claim: only a plugin can write it")
        self._claims = self._items = self._debit = self._credit = self._charges = self._instructions = 0

    def totals(self) -> Totals:
        """Return what was written."""
        return Totals(self._claims, self._items, self._debit, self._credit, self._charges, self._instructions)

    def write(self, claims: Iterable[Claim]) -> None:
        """Write the whole file."""
        at_hand, steps, customer = self._at_hand, self._steps, None
        for emit in self._head:
            emit(at_hand, "")
        for claim in claims:
            whose = f"claim {claim.claim_id}"
            if claim.customer is not customer:
                self._begin_customer(claim.customer, customer, whose)
                customer = claim.customer
            if claim.items or claim.instructions:
                self._count_items(claim, whose)
            at_hand[2] = claim
            for step in steps:
                step(claim, whose)
            self._claims += 1
            if self._are_new:
                self._debit += claim.original_minor
        for emit in self._tail:
            emit(at_hand, "")

    def _begin_customer(self, customer: Customer, before: Customer | None, whose: str) -> None:
        self._at_hand[1] = customer
        if before is not None:
            if customer == before:
                return
            if customer.customer_number == before.customer_number:
                raise EncodeError(f"{whose}: customer {customer.customer_number} has two different cards")
            if customer.customer_number < before.customer_number:
                raise EncodeError(
                    f"{whose}: customer {customer.customer_number} comes after {before.customer_number};"
                    " claims must be ordered by customer number"
                )
        for emit in self._customers:
            emit(self._at_hand, whose)

    # --- what is written for one claim: a step for each run of parts written equally often ---

    def claims(self, parts: list[Part]) -> _Step:
        """Return what writes the parts of a claim itself."""
        emits, at_hand = self._writer.emitters(parts, self._facts), self._at_hand
        if len(emits) == 1:
            only = emits[0]
            return lambda _, whose: only(at_hand, whose)

        def step(_: Claim, whose: str) -> None:
            for emit in emits:
                emit(at_hand, whose)

        return step

    def documents(self, parts: list[Part]) -> _Step:
        """Return what writes every part of each invoice and credit note: its customer, then itself."""
        as_invoice = [_as_invoice(part) for part in parts]
        invoices, notes = self._emitters_for(as_invoice, INVOICE), self._emitters_for(parts, CREDIT_NOTE)
        invoices, at_hand = invoices if self._are_new else [], self._at_hand

        def step(claim: Claim, whose: str) -> None:
            for emit in invoices:
                emit(at_hand, whose)
            if claim.items:
                for document in credit_notes(claim):
                    at_hand[3] = document
                    for emit in notes:
                        emit(at_hand, whose)

        return step

    def items(self, parts: list[Part]) -> _Step:
        """Return what writes the first part that takes a linked item of its kind."""
        emits, at_hand = {kind: self._emitters_for(parts, kind, is_first=True) for kind in LinkKind}, self._at_hand

        def step(claim: Claim, whose: str) -> None:
            for item in claim.items:
                at_hand[4] = item
                for emit in emits[item.kind]:
                    emit(at_hand, whose)

        return step

    def instructions(self, parts: list[Part]) -> _Step:
        """Return what writes the first part that takes an instruction of its kind."""
        emits, at_hand = {action: self._emitters_for(parts, action, is_first=True) for action in Action}, self._at_hand

        def step(claim: Claim, whose: str) -> None:
            for said in claim.instructions:
                at_hand[5] = said
                for emit in emits[said.action]:
                    emit(at_hand, whose)

        return step

    def _emitters_for(self, parts: list[Part], kind: str, *, is_first: bool = False) -> list[Emit]:
        return self._writer.emitters(taking(parts, kind, is_first=is_first), self._facts)

    # --- what a claim holds beside itself ---

    def _count_items(self, claim: Claim, whose: str) -> None:
        """Count the items and instructions of *claim*; refuse what the profile has no place for."""
        for item in claim.items:
            if item.kind not in self._carried and not (self._nets and item.kind is not _CHARGE):
                raise EncodeError(f"{whose}: the profile has no place for {item.kind.value} {item.item_id}")
            if item.origin is _AGENCY:
                raise EncodeError(f"{whose}: {item.item_id} came from the agency and is never sent back (R-OP-04)")
            self._items += 1
            if item.kind is _CHARGE:
                self._charges += item.amount_minor
            elif item.direction is _DEBIT:
                self._debit += item.amount_minor
            else:
                self._credit += item.amount_minor
        for said in claim.instructions:
            if said.action not in self._said:
                raise EncodeError(f"{whose}: the profile has no place for the instruction {said.action.value}")
        self._instructions += len(claim.instructions)


_STEPS: Mapping[str, Callable[[_Run, list[Part]], _Step]] = {
    CLAIM: _Run.claims, DOCUMENT: _Run.documents, ITEM: _Run.items, INSTRUCTION: _Run.instructions,
}  # fmt: skip


def _as_invoice(part: Part) -> Part:
    """Return a part written for documents as it is for the invoice itself."""
    fields = tuple(replace(one, source=AS_INVOICE.get(one.source, one.source)) for one in part.fields)
    text = part.text and replace(part.text, source=AS_INVOICE.get(part.text.source, part.text.source))
    return replace(part, fields=fields, text=text)


def _refuse_sourceless(parts: Iterable[Part]) -> None:
    for part in parts:
        for one in part.values:
            if not (one.source or one.terms or one.rule.is_optional):
                raise EncodeError(f"{part.key}.{one.name} has no from: only a plugin can write this file")
