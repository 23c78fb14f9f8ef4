"""Which invoice a staged payment pays: the steps of R-OP-08 as sets over a whole file, and what keeps a match from being exact.

What these steps leave is looked at row by row in `gateway.services.near` and `gateway.services.division`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, or_, select, update
from sqlalchemy.sql import Subquery

from gateway.db.bulk import table_of
from gateway.db.tables import Claim, LedgerEntry, StagedPayment
from gateway.domain.exchange import TO_FACTORING, Agreement, Direction
from gateway.domain.references import PaymentRules
from gateway.services import bank, reversals
from gateway.services.parts import DIVIDED

CREDIT_NOTE = "credit_note"
"""Rule of a deduction that names a credit note of ours."""

_S = table_of(StagedPayment)
_E = table_of(LedgerEntry)
_C = table_of(Claim)


class Staged(NamedTuple):
    """What the rows of a file have, so that no step reads them all in search of what none of them has."""

    case_number: bool
    claim_id: bool
    payment_reference: bool
    invoice_number: bool
    reversal: bool
    bare: bool
    several: bool
    to_factoring: bool


def look(connection: Connection, file: Any) -> Staged:
    """Return what the staged rows of *file* have, in one reading."""
    has = (
        _S.c.case_number != "",
        _S.c.claim_ref != "",
        _S.c.reference != "",
        _S.c.invoice_number != "",
        _S.c.reverses_key != "",
        and_(_S.c.reference == "", _S.c.posts),
        _S.c.difference != "",
        _S.c.why_not == TO_FACTORING,
    )
    row = connection.execute(select(*(func.max(case((one, 1), else_=0)) for one in has)).where(_S.c.file_id == file.id))
    return Staged(*map(bool, row.one()))


def match(connection: Connection, file: Any, agreement: Agreement, staged: Staged) -> None:
    """Try the steps of R-OP-08 in order; two candidates at one step always mean a person."""
    mine = and_(_C.c.agreement_id == agreement.agreement_id, _S.c.currency == agreement.currency)
    by_case = _candidates(file, _C.c.entry_id, and_(mine, _C.c.case_number == _S.c.case_number, _C.c.case_number != ""))
    by_claim = _candidates(file, _C.c.entry_id, and_(mine, _C.c.claim_id == _S.c.claim_ref, _S.c.claim_ref != ""))
    invoice = and_(_E.c.creditor_id == file.creditor_id, _E.c.kind == "invoice", _E.c.currency == _S.c.currency)
    by_reference = _candidates(
        file,
        _E.c.id,
        and_(invoice, _E.c.payment_reference == _S.c.reference, _E.c.payment_reference != "", _S.c.reference != ""),
    )
    by_number = _candidates(file, _E.c.id, and_(invoice, _E.c.number == _S.c.invoice_number, _S.c.invoice_number != ""))
    steps = (
        ("case_number", staged.case_number, by_case),
        ("claim_id", staged.claim_id, by_claim),
        ("payment_reference", staged.payment_reference, by_reference),
        ("invoice_number", staged.invoice_number, by_number),
    )
    for rule, is_needed, found in steps:
        if (
            is_needed
        ):  # most files know one kind of reference; a step with nothing to look at would still read every row
            _place(connection, rule, found.c)
    if staged.reversal:
        reversals.place_staged(connection, file)


def _place(connection: Connection, rule: str, found: Any) -> None:
    """Give a row its one candidate; show the first of several without taking it."""
    is_one = found.n == 1
    connection.execute(
        update(_S)
        .where(_S.c.id == found.id)
        .values(
            entry_id=case((is_one, found.entry_id), else_=None),
            match_rule=case((is_one, rule), else_=""),
            difference=case((is_one, ""), else_="payment.several_candidates"),
            suggested_entry_id=case((is_one, None), else_=found.entry_id),
        )
    )


def _candidates(file: Any, entry_id: ColumnElement[int], on: ColumnElement[bool]) -> Subquery:
    """Return staged id, the smallest candidate and their number, for rows that no earlier step has placed."""
    return (
        select(_S.c.id, func.min(entry_id).label("entry_id"), func.count().label("n"))
        .join(entry_id.table, on)
        .where(_S.c.file_id == file.id, _S.c.entry_id.is_(None), _S.c.difference == "")
        .group_by(_S.c.id)
        .subquery()
    )


# --- what stands in the way ------------------------------------------------------------------------------------------


def is_placed() -> ColumnElement[bool]:
    """Say of a staged row that it is a proposal: its place is certain enough, whatever its amount."""
    return and_(_S.c.entry_id.is_not(None), or_(_S.c.difference == "", _S.c.match_rule == DIVIDED))


def is_outgoing() -> ColumnElement[bool]:
    """Money that left the account and names nothing of ours (a fee, a payout) is no incoming payment."""
    debit = and_(_S.c.direction == Direction.DEBIT.value, ~_S.c.is_reversal)
    return and_(debit, _S.c.entry_id.is_(None), _S.c.difference == "", _S.c.reference == "")


def difference(agreement: Agreement, rules: PaymentRules) -> ColumnElement[str]:
    """Return what keeps a row from being exact, as an expression over staged row and invoice (R-OP-09)."""
    named = or_(_S.c.reference != "", _S.c.claim_ref != "", _S.c.case_number != "", _S.c.invoice_number != "")
    other = _E.alias("other")
    mixed = and_(other.c.group_id == _E.c.group_id, other.c.kind == "invoice", other.c.id != _E.c.id)
    credited = and_(other.c.group_id == _E.c.group_id, other.c.kind == "credit_note")
    at_agency = and_(_C.c.agreement_id == agreement.agreement_id, _C.c.entry_id == _E.c.id)
    is_credited = select(literal(1)).where(credited).exists()
    is_agencys = literal(agreement.agreement_id != bank.NOBODYS)
    # Asked once per row that passes everything else: no claim at all, or one that was taken back.
    claim_state = select(_C.c.state).where(at_agency).scalar_subquery()
    no_claim = case((claim_state.is_(None), "payment.item_not_transferred"), else_="difference.already_ended")
    off = _E.c.open_minor - _S.c.principal_minor
    return case(
        (~_S.c.posts, _S.c.why_not),
        (or_(_S.c.difference != "", _S.c.match_rule == DIVIDED), _S.c.difference),
        (is_outgoing(), "payment.outgoing"),
        (and_(_S.c.entry_id.is_(None), named), "difference.not_in_ledger"),
        (_S.c.entry_id.is_(None), "difference.unidentified"),
        (_S.c.match_rule == CREDIT_NOTE, "payment.credit_note_deducted"),
        (or_(_S.c.is_reversal, _S.c.direction == Direction.DEBIT.value), "payment.reversal"),
        (select(literal(1)).where(mixed).exists(), "group.several_invoices"),
        (_S.c.principal_minor == 0, "payment.no_principal"),
        (and_(_E.c.open_minor == 0, is_credited), "difference.zero_by_credit"),
        (_E.c.open_minor == 0, "difference.zero_by_payment"),
        (and_(is_agencys, func.coalesce(claim_state, "withdrawn") == "withdrawn"), no_claim),
        (off == 0, ""),
        (and_(_S.c.charges_minor > 0, off == _S.c.charges_minor), "payment.charges_taken"),
        (off.between(-rules.tolerance_minor, rules.tolerance_minor), "payment.within_tolerance"),
        (off < 0, "difference.our_balance_lower"),
        else_="difference.our_balance_higher",
    )
