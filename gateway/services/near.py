"""A closer look at staged payments that no step of R-OP-08 placed: other spellings of a reference, numbers in free text.

Another spelling of the same reference is as certain as the reference itself. A number found in free text is not, nor is an
equal amount: they only point a person at an invoice, with what was seen and where (R-PM-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import JSON, ColumnElement, Connection, and_, bindparam, func, select, update

from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Claim, LedgerEntry, StagedPayment
from gateway.domain.exchange import Agreement, Direction
from gateway.domain.references import PaymentRules, Seen, numbers_in, spellings
from gateway.services import bank
from gateway.services.matching import CREDIT_NOTE

SUGGESTIONS_MAX = 2000
"""Unmatched rows of one file for which free text and equal amounts are looked up: a person reads no more than that."""
EVIDENCE_MAX = 5
"""Documents named to a person as seen in one payment."""
ONLY_POINTS = frozenset({"text_case_number", "text_payment_reference", "text_number", "equal_amount"})
"""Rules that point a person at an invoice and place nothing."""
WRONG_REFERENCE = "reference.check_digit"
LOOK_ROWS = 500
_REWRITTEN = ("FI", "DK")
"""Markets whose references are commonly written in several ways: there every row is looked at, however many are left."""

_S = table_of(StagedPayment)
_E = table_of(LedgerEntry)
_C = table_of(Claim)


class Evidence(NamedTuple):
    """What a match or suggestion rests on: *seen* as the file has it, *where* it stood (part and its place from 1).

    *field* says what of ours it equals: ``payment_reference``, ``number`` (of an invoice), ``credit_note`` or
    ``case_number``; *entry_id* whose.
    """

    field: str
    entry_id: int
    seen: str
    part: str
    place: int

    def as_json(self) -> dict[str, object]:
        """Return it as it is stored."""
        return self._asdict()


_SEEN_IN = {
    "case_number": "case_number",
    "claim_id": "claim_ref",
    "payment_reference": "reference",
    "invoice_number": "invoice_number",
}
"""Step of the matching order → the column whose value it saw, where no other evidence was kept."""


def evidence_of(payment: Any) -> list[Evidence]:
    """Return what the match of an incoming payment, or what it only points at, rests on."""
    kept = [Evidence(**one) for one in payment.evidence or ()]
    if not kept and payment.match_rule in _SEEN_IN:
        seen, rule = getattr(payment, _SEEN_IN[payment.match_rule]), payment.match_rule
        kept = [Evidence(rule, payment.entry_id or payment.suggested_entry_id or 0, seen, rule, 1)]
    return kept


def look_closer(connection: Connection, file: Any, agreement: Agreement, rules: PaymentRules) -> None:
    """Place or point at what can be found of the rows that are left of *file*; the others wait for a person."""
    looked = 0
    for rows in _lost(connection, file):
        found = Finder(connection, file.creditor_id, agreement)
        placed = _by_other_name(found, rows)
        _write(connection, placed, place=True)
        if looked < SUGGESTIONS_MAX:
            left = [row for row in rows if row.id not in placed]
            _write(connection, _in_texts(found, left, rules), place=False)
            _refuse_wrong_references(connection, left, rules)
        looked += len(rows)
        if looked >= SUGGESTIONS_MAX and agreement.market not in _REWRITTEN:
            break
    if looked:
        _suggest_by_amount(connection, file)


def _lost(connection: Connection, file: Any) -> Iterator[Sequence[Any]]:
    """Yield the rows of *file* that nothing placed, in batches; what the caller changes in one does not disturb."""
    after = 0
    lost = and_(_S.c.file_id == file.id, _S.c.entry_id.is_(None), _S.c.difference == "", _S.c.posts)
    while True:
        query = select(*_S.columns).where(lost, _S.c.position > after).order_by(_S.c.position).limit(LOOK_ROWS)
        rows = connection.execute(query).all()
        if not rows:
            return
        yield rows
        after = rows[-1].position


class Finder:
    """Finds documents of one creditor by what they are called."""

    def __init__(self, connection: Connection, creditor_id: int, agreement: Agreement) -> None:
        self._connection, self._creditor_id, self._agreement = connection, creditor_id, agreement
        self.market, self.is_agencys = agreement.market, agreement.agreement_id != bank.NOBODYS

    def by(self, field: str, values: Iterable[str]) -> dict[tuple[str, str], list[Any]]:
        """Return the documents whose *field* (see `Evidence`) is one of *values*, by value and currency.

        A document is a row of ledger entry columns; case numbers are those of the agreement's own claims, with the
        creditor's own bank those of any agency.
        """
        found: dict[tuple[str, str], list[Any]] = {}
        for some in batches(sorted({value for value in values if value}), IN_LIST_MAX):
            for row in self._connection.execute(self._query(field, some)):
                found.setdefault((row.value, row.currency), []).append(row)
        return found

    def other_spellings(self, references: Iterable[str]) -> dict[tuple[str, str], list[Any]]:
        """Return invoices by the canonical reference that theirs is another spelling of, and by currency."""
        canonical = {other: one for one in references for other in spellings(one, self.market)}
        found: dict[tuple[str, str], list[Any]] = {}
        for (value, currency), rows in self.by("payment_reference", canonical).items():
            found.setdefault((canonical[value], currency), []).extend(rows)
        return found

    def _query(self, field: str, values: Sequence[str]) -> Any:
        named = {"payment_reference": _E.c.payment_reference, "case_number": _C.c.case_number}.get(field, _E.c.number)
        kind = "credit_note" if field == "credit_note" else "invoice"
        query = select(*_E.columns, named.label("value")).where(
            _E.c.creditor_id == self._creditor_id, _E.c.kind == kind
        )
        if field == "payment_reference":
            query = query.where(_E.c.payment_reference != "")  # says the index's own condition
        elif field == "case_number":
            query = query.join(_C, _C.c.entry_id == _E.c.id).where(_C.c.case_number != "")
            if self.is_agencys:
                query = query.where(_C.c.agreement_id == self._agreement.agreement_id)
        return query.where(named.in_(values))


# --- certain ---------------------------------------------------------------------------------------------------------

Found = Mapping[int, tuple[str, list[Evidence]]]
"""By staged id the rule and what was seen; one document, or none that alone fits."""


def _by_other_name(finder: Finder, rows: Sequence[Any]) -> dict[int, tuple[str, list[Evidence]]]:
    """Place what names one invoice by another spelling of its reference or by its case number, one credit note by its own."""
    references = {row.reference for row in rows if row.reference}
    deducted = {row.reference for row in rows if row.reference and _is_deduction(row)}
    steps: list[tuple[str, str, dict[tuple[str, str], list[Any]]]] = [
        ("payment_reference", "payment_reference", finder.other_spellings(references)),
    ]
    if finder.is_agencys:
        steps.insert(0, ("case_number", "case_number", finder.by("case_number", references)))
    credit_notes = finder.by("credit_note", deducted)
    placed: dict[int, tuple[str, list[Evidence]]] = {}
    for row in rows:
        tried = [(CREDIT_NOTE, "credit_note", credit_notes)] if _is_deduction(row) else steps
        for rule, field, found in tried:
            if documents := found.get((row.reference, row.currency)):
                placed[row.id] = (rule, [Evidence(field, one.id, _raw(row), "reference", 1) for one in documents])
                break
    return placed


def _is_deduction(row: Any) -> bool:
    return row.direction == Direction.DEBIT.value and not row.is_reversal


def _raw(row: Any) -> str:
    return next((str(raw) for raw, value, *_ in row.references if value), row.reference)


# --- for a person ----------------------------------------------------------------------------------------------------


def _in_texts(finder: Finder, rows: Sequence[Any], rules: PaymentRules) -> dict[int, tuple[str, list[Evidence]]]:
    """Point at invoices whose number, reference or case number stands somewhere in what the payer wrote."""
    seen = {row.id: numbers_in(_parts(row)) for row in rows}
    values = {one.value for found in seen.values() for one in found}
    kids = {value for value in values if rules.reference is None or rules.reference.accepts(value)}
    fields = (
        ("case_number", finder.by("case_number", values)),
        ("payment_reference", finder.by("payment_reference", kids)),
        ("number", finder.by("number", values)),
    )
    pointed: dict[int, tuple[str, list[Evidence]]] = {}
    for row in rows:
        found = [evidence for field, known in fields for evidence in _seen_in(row, field, seen[row.id], known)]
        if found:
            pointed[row.id] = (f"text_{found[0].field}", found)
    return pointed


def _seen_in(row: Any, field: str, seen: Sequence[Seen], known: Mapping[tuple[str, str], list[Any]]) -> list[Evidence]:
    return [
        Evidence(field, document.id, one.text[:100], *one.where)
        for one in seen
        for document in known.get((one.value, row.currency), ())
    ]


def _parts(row: Any) -> list[tuple[str, str]]:
    """Return what may hold a number: the reference, then the parts of the text as the file divides them."""
    named = [("reference", str(raw)) for raw, _, kind, *_ in row.references if kind != "text"]
    texts = [("text", str(raw)) for raw, _, kind, *_ in row.references if kind == "text"]
    return [*named, *(texts or [("text", row.text)])]


def _write(connection: Connection, found: Found, *, place: bool) -> None:
    """Store rule and evidence; one document is taken or suggested, of several the first is shown (R-OP-08)."""
    values = []
    for row_id, (rule, evidence) in found.items():
        documents = list(dict.fromkeys(one.entry_id for one in evidence))
        takes = place and len(documents) == 1
        values.append(
            {
                "b_id": row_id,
                "b_rule": rule if takes or not place else "",
                "b_entry": documents[0] if takes else None,
                "b_suggested": None if takes else documents[0],
                "b_difference": "payment.several_candidates" if len(documents) > 1 else "",
                "b_evidence": [one.as_json() for one in evidence[:EVIDENCE_MAX]],
            }
        )
    if values:
        connection.execute(_WRITE, values)


_WRITE = (
    update(_S)
    .where(_S.c.id == bindparam("b_id"))
    .values(
        entry_id=bindparam("b_entry"), suggested_entry_id=bindparam("b_suggested"), match_rule=bindparam("b_rule"),
        difference=bindparam("b_difference"), evidence=bindparam("b_evidence", type_=JSON()),
    )
)  # fmt: skip


def _refuse_wrong_references(connection: Connection, rows: Sequence[Any], rules: PaymentRules) -> None:
    """Say of a reference that the creditor's own agreement rules out that it is wrong, not that we lack the invoice."""
    rule = rules.reference
    if rule is None:
        return
    wrong = [row.id for row in rows if row.reference and row.reference[:2] != "RF" and not rule.accepts(row.reference)]
    for some in batches(wrong, IN_LIST_MAX):
        unplaced: ColumnElement[bool] = and_(_S.c.id.in_(some), _S.c.difference == "")
        connection.execute(update(_S).where(unplaced).values(difference=WRONG_REFERENCE))


def _suggest_by_amount(connection: Connection, file: Any) -> None:
    """Point at the one open invoice of equal amount where nothing else fits: a proposal for a person (R-PM-09)."""
    is_lost = and_(_S.c.entry_id.is_(None), _S.c.suggested_entry_id.is_(None), _S.c.posts)
    lost = and_(_S.c.file_id == file.id, is_lost, _S.c.difference.in_(("", WRONG_REFERENCE)))
    some = select(_S.c.id, _S.c.principal_minor, _S.c.currency).where(lost).limit(SUGGESTIONS_MAX).subquery()
    equal = and_(
        _E.c.creditor_id == file.creditor_id,
        _E.c.kind == "invoice",
        _E.c.amount_minor == some.c.principal_minor,
        _E.c.open_minor == some.c.principal_minor,
        _E.c.currency == some.c.currency,
    )
    found = (
        select(some.c.id, func.min(_E.c.id).label("entry_id"), func.count().label("n"))
        .join(_E, equal)
        .group_by(some.c.id)
        .subquery()
    )
    connection.execute(
        update(_S)
        .where(_S.c.id == found.c.id, found.c.n == 1)
        .values(suggested_entry_id=found.c.entry_id, match_rule="equal_amount")
    )
