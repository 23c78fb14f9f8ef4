"""Payments that name several documents: divided over their invoices, credit notes set off (payments.md 3, 4.2, 5.2).

A payment is divided only where its file or the books leave one answer: every document is known, and the parts add up to
the payment. The division is a proposal; a person posts it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Claim, StagedPayment
from gateway.domain.exchange import Agreement, Direction
from gateway.domain.references import canonical
from gateway.services import bank
from gateway.services.near import EVIDENCE_MAX, LOOK_ROWS, Evidence, Finder
from gateway.services.parts import DIVIDED, Part, keep, settled

SEVERAL = "payment.several_references"
"""What a payment that names several documents is until it is divided."""

_S = table_of(StagedPayment)
_C = table_of(Claim)


class Named(NamedTuple):
    """One document as a payment names it: *part_minor* is signed as in `Reference`, None where the file states none.

    *entries* are the ledger entries it may be: one in a sure case.
    """

    raw: str
    value: str
    kind: str
    part_minor: int | None
    entries: tuple[Any, ...] = ()


def divide(connection: Connection, file: Any, agreement: Agreement) -> bool:
    """Divide what can be divided of *file*'s payments; return whether any was."""
    is_any = False
    for rows in _waiting(connection, file):
        documents = _found(Finder(connection, file.creditor_id, agreement), rows)
        ids = {entry.id for named in documents.values() for one in named for entry in one.entries}
        claims = _claims(connection, agreement.agreement_id, ids)
        for row in rows:
            named = documents[row.id]
            parts = _parts(row, named)
            if _is_one_invoice(named):
                _place(connection, row, named)
            elif parts:
                is_any = True
                keep(connection, row.id, parts)
                first = next(part.entry.id for part in parts if part.entry.kind == "invoice")
                _set(connection, row, entry_id=first, match_rule=DIVIDED, difference=_difference(parts, claims))
            elif evidence := _evidence(named):
                _set(connection, row, suggested_entry_id=evidence[0]["entry_id"], evidence=evidence)
    return is_any


def parts_for(connection: Connection, payment: Any, agreement: Agreement) -> list[Part]:
    """Return how an incoming payment is divided as the books stand now; nothing where they leave no one answer."""
    documents = _found(Finder(connection, payment.creditor_id, agreement), [payment])[payment.id]
    return _parts(payment, documents) if len(documents) > 1 and not _is_one_invoice(documents) else []


def _waiting(connection: Connection, file: Any) -> Iterator[Sequence[Any]]:
    after = 0
    mine = (_S.c.file_id == file.id, _S.c.difference == SEVERAL, _S.c.posts)
    query = select(*_S.columns).where(*mine).order_by(_S.c.position).limit(LOOK_ROWS)
    while rows := connection.execute(query.where(_S.c.position > after)).all():
        yield rows
        after = rows[-1].position


# --- what the documents are ------------------------------------------------------------------------------------------


def named_documents(references: Sequence[Sequence[Any]]) -> list[Named]:
    """Return the documents that stored *references* name, each once; their parts are added up."""
    found: dict[tuple[str, bool], Named] = {}
    for raw, value, kind, part in references:
        if value and kind != "text":
            key = value, kind == "credit_note"
            before = found.get(key)
            if before is None:
                found[key] = Named(str(raw), value, kind, part)
            elif part is not None:
                found[key] = before._replace(part_minor=(before.part_minor or 0) + part)
    return list(found.values())


def _found(finder: Finder, rows: Sequence[Any]) -> dict[int, list[Named]]:
    """Return by staged id the documents that each row names, with the entries they may be."""
    named = {row.id: named_documents(row.references) for row in rows}
    every = [one for found in named.values() for one in found]
    credit_notes = finder.by("credit_note", (one.value for one in every if one.kind == "credit_note"))
    invoices = {one.value for one in every if one.kind != "credit_note"}
    references = {canonical(value, finder.market) for value in invoices}
    by_number, by_spelling = finder.by("number", invoices), finder.other_spellings(references)
    by_reference = finder.by("payment_reference", references)

    def entries(one: Named, currency: str) -> Sequence[Any]:
        if one.kind == "credit_note":
            return credit_notes.get((one.value, currency), ())
        reference = canonical(one.value, finder.market), currency
        found = by_reference.get(reference) or by_spelling.get(reference) or by_number.get((one.value, currency))
        return found or ()

    return {row.id: [one._replace(entries=tuple(entries(one, row.currency))) for one in named[row.id]] for row in rows}


def _is_one_invoice(named: Sequence[Named]) -> bool:
    """Say whether all names are those of one invoice: a KID and the invoice's number stand side by side."""
    ids = {entry.id for one in named for entry in one.entries}
    return len(ids) == 1 and all(one.entries and one.entries[0].kind == "invoice" for one in named)


def _parts(row: Any, named: Sequence[Named]) -> list[Part]:
    """Return the parts of *row*, or nothing where more than one answer is possible."""
    is_money_in = row.direction == Direction.CREDIT.value and not row.is_reversal
    if not is_money_in or any(len(one.entries) != 1 for one in named):
        return []
    stated = [one for one in named if one.part_minor is not None]
    if stated and {one.entries[0].id for one in stated} != {one.entries[0].id for one in named}:
        return []
    parts: dict[int, Part] = {}
    for one in stated or named:
        entry = one.entries[0]
        due = entry.amount_minor if entry.kind == "credit_note" else entry.open_minor
        amount = due if one.part_minor is None else one.part_minor
        if stated and entry.id in parts:
            amount += parts[entry.id].amount_minor
        parts[entry.id] = Part(entry, amount, one.raw)
    made = list(parts.values())
    is_whole = sum(part.amount_minor for part in made) == row.principal_minor and all(p.amount_minor for p in made)
    return made if is_whole and settled(made) else []


# --- what is written -------------------------------------------------------------------------------------------------


def difference_of(connection: Connection, payment: Any, parts: Sequence[Part]) -> str:
    """Return what a person should know before posting a payment divided so, as the books stand now (R-OP-09)."""
    agreement_id = payment.agreement_id or bank.NOBODYS
    return _difference(parts, _claims(connection, agreement_id, {part.entry.id for part in parts}))


def _claims(connection: Connection, agreement_id: int, entry_ids: Collection[int]) -> Mapping[int, str] | None:
    """Return the claims' states by invoice where an agency paid; None for the creditor's own bank."""
    if agreement_id == bank.NOBODYS:
        return None
    states: dict[int, str] = {}
    for some in batches(sorted(entry_ids), IN_LIST_MAX):
        mine = (_C.c.agreement_id == agreement_id, _C.c.entry_id.in_(some))
        states |= {
            row.entry_id: row.state for row in connection.execute(select(_C.c.entry_id, _C.c.state).where(*mine))
        }
    return states


def _difference(parts: Sequence[Part], claims: Mapping[int, str] | None) -> str:
    """Return what a person should know before posting a division (R-OP-09); empty when every part is exact."""
    for part in parts:
        invoice = part.entry
        if invoice.kind != "invoice":
            continue
        if claims is not None and claims.get(invoice.id, "withdrawn") == "withdrawn":
            return "difference.already_ended" if invoice.id in claims else "payment.item_not_transferred"
        if invoice.open_minor == 0:
            return "difference.zero_by_payment"
        if part.amount_minor != invoice.open_minor:
            is_less = invoice.open_minor < part.amount_minor
            return "difference.our_balance_lower" if is_less else "difference.our_balance_higher"
    return ""


def _place(connection: Connection, row: Any, named: Sequence[Named]) -> None:
    """Place a payment all of whose names are those of one invoice as its reference alone would have placed it."""
    entry = named[0].entries[0]
    rule = "invoice_number" if all(one.value == entry.number for one in named) else "payment_reference"
    _set(connection, row, entry_id=entry.id, match_rule=rule, difference="", evidence=_evidence(named))


def _evidence(named: Sequence[Named]) -> list[dict[str, object]]:
    found = []
    for place, one in enumerate(named, 1):
        for entry in one.entries:
            field = "number" if one.value == entry.number else "payment_reference"
            field = "credit_note" if entry.kind == "credit_note" else field
            found.append(Evidence(field, entry.id, one.raw.strip()[:100], "reference", place).as_json())
    return found[:EVIDENCE_MAX]


def _set(connection: Connection, row: Any, **values: Any) -> None:
    connection.execute(update(_S).where(_S.c.id == row.id).values(**values))
