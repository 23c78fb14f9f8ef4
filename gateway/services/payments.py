"""A payment file becomes incoming payments: staged while it is read, matched and posted as sets in one transaction.

Rows wait in a staging table, written in small transactions with progress shown, until the reader has compared the file's
control totals. Then one transaction drops what is known already, matches (R-OP-08), shows (R-PM-01) and, where the
agreement says so, posts what is certain (A-16). Objects are for rules, not for moving rows: everything below is SQL over
the staged file, the same for one payment and for a million.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.sql import Subquery

from gateway.db import audit
from gateway.db.bulk import BATCH_ROWS, batches, insert_rows, table_of, take_ids
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import Claim, IncomingPayment, LedgerEntry, StagedPayment
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, Direction, Finding, Payment, PaymentStream, Severity
from gateway.services.cards import finding_json
from gateway.services.house import House
from gateway.services.posting_sql import post_file

CERTAIN = ("case_number", "claim_id", "payment_reference")
"""Steps of R-OP-08 that may post automatically; an invoice number or an equal amount may not (R-PM-09)."""
SUGGESTIONS_MAX = 2000
"""Unmatched rows of one file for which an equal open amount is looked up: a person reads no more than that."""

_S = table_of(StagedPayment)
_E = table_of(LedgerEntry)
_P = table_of(IncomingPayment)
_C = table_of(Claim)
_SHARED = tuple(column.name for column in _S.columns)
_STAGED = tuple(name for name in _SHARED if name not in {"state", "entry_id", "suggested_entry_id", "match_rule"})


def take(house: House, file: Any, agreement: Agreement, stream: PaymentStream) -> None:
    """Read *stream* whole, then let it take effect.

    Raises:
        FileQuarantined: control totals differ or bytes are damaged; what was staged is wiped by the caller.
        FileRefused: not a payment file after all.
    """
    totals = _stage(house, file, stream)
    with house.database.write() as connection:
        row = connection.execute(select(FileRow.state).where(FileRow.id == file.id).with_for_update()).one()
        if row.state != "reading":
            return
        if connection.dialect.name == "postgresql":
            connection.execute(text("analyze staged_payment"))  # fresh rows have no statistics: plans would be loops
        findings = [*stream.findings, *_drop_known(connection, file)]
        _match(connection, file, agreement)
        _explain(connection, file, agreement)
        _choose_what_posts(connection, file, agreement)
        _show(connection, file, agreement)
        _note_agency_paid(connection, file, agreement)
        posted = post_file(connection, file.id, agreement, house.now())
        _finish(house, connection, file, stream.format, totals, findings, posted)


def _stage(house: House, file: Any, stream: PaymentStream) -> dict[str, Any]:
    """Write the payments to the staging table in batches; return counts and sums per currency and direction."""
    sums: Counter[tuple[str, str]] = Counter()
    count = 0
    for batch in batches(stream, BATCH_ROWS):
        for payment in batch:
            sums[payment.currency, payment.direction.value] += payment.amount_minor
        with house.database.write() as connection:
            ids = take_ids(connection, len(batch))
            rows = (_staged_row(i, file.id, payment) for i, payment in zip(ids, batch, strict=True))
            insert_rows(connection, StagedPayment, _STAGED, rows)
            count += len(batch)
            connection.execute(update(FileRow).where(FileRow.id == file.id).values(progress=count))
    currencies = sorted({currency for currency, _ in sums})
    both = (Direction.CREDIT.value, Direction.DEBIT.value)
    return {
        "transactions": count,
        "totals": {currency: {side: sums[currency, side] for side in both} for currency in currencies},
    }


def _staged_row(row_id: int, file_id: int, p: Payment) -> tuple[Any, ...]:
    values = {
        "id": row_id,
        "file_id": file_id,
        "position": p.position,
        "amount_minor": p.amount_minor,
        "principal_minor": p.amount_minor if p.principal_minor is None else p.principal_minor,
        "currency": p.currency,
        "direction": p.direction.value,
        "is_reversal": p.is_reversal,
        "status": p.status,
        "posts": p.posts,
        "why_not": p.why_not,
        "reference": p.reference,
        "references": [list(reference) for reference in p.references],
        "booking_date": p.booking_date,
        "value_date": p.value_date,
        "payer_name": p.payer_name,
        "payer_account": p.payer_account,
        "account": p.account,
        "bank_reference": p.bank_reference,
        "text": p.text,
        "key": p.key,
        "claim_ref": p.claim_id,
        "case_number": p.case_number,
        "invoice_number": p.invoice_number,
        "reverses_key": p.reverses_key,
        # A payment that names several documents is for a person to divide; no step below touches it then.
        "difference": "payment.several_references" if _names_several(p) else "",
    }
    return tuple(values[name] for name in _STAGED)


def _names_several(payment: Payment) -> bool:
    named = {r.value for r in payment.references if r.kind not in {"", "text"} and r.value}
    return len(named) > 1


# --- known already ---------------------------------------------------------------------------------------------------


def _drop_known(connection: Connection, file: Any) -> list[Finding]:
    """Take out payments that came before under the same key (a copy with a new message id, an overlapping download).

    They become findings, never rows (R-PM-10). The same key twice in one file is two payments: the second gets a key of
    its own.
    """
    known = (
        select(_S.c.id, _S.c.position, _S.c.key, _P.c.file_id)
        .join(_P, and_(_P.c.creditor_id == file.creditor_id, _P.c.key == _S.c.key))
        .where(_S.c.file_id == file.id, _S.c.key != "")
    )
    count = connection.execute(select(func.count()).select_from(known.subquery())).scalar_one()
    findings: list[Finding] = []
    if count:
        first = connection.execute(known.order_by(_S.c.position).limit(1)).one()
        values = {"count": count, "file": first.file_id}
        findings.append(Finding(Severity.WARNING, "file.rewrapped", f"payment {first.position}", first.key, values))
        connection.execute(delete(_S).where(_S.c.id.in_(select(known.subquery().c.id))))
    order = func.row_number().over(partition_by=_S.c.key, order_by=_S.c.position)
    twice = select(_S.c.id, order.label("n")).where(_S.c.file_id == file.id, _S.c.key != "").subquery()
    connection.execute(
        update(_S).where(_S.c.id == twice.c.id, twice.c.n > 1).values(key=_S.c.key + "#" + cast(twice.c.n, String()))
    )
    return findings


# --- matching --------------------------------------------------------------------------------------------------------


def _match(connection: Connection, file: Any, agreement: Agreement) -> None:
    """Try the steps of R-OP-08 in order; two candidates at one step always mean a person."""
    mine = _C.c.agreement_id == agreement.agreement_id
    by_case = _candidates(file, _C.c.entry_id, and_(mine, _C.c.case_number == _S.c.case_number, _S.c.case_number != ""))
    by_claim = _candidates(file, _C.c.entry_id, and_(mine, _C.c.claim_id == _S.c.claim_ref, _S.c.claim_ref != ""))
    invoice = and_(_E.c.creditor_id == file.creditor_id, _E.c.kind == "invoice", _E.c.currency == _S.c.currency)
    by_reference = _candidates(
        file,
        _E.c.id,
        and_(invoice, _E.c.payment_reference == _S.c.reference, _E.c.payment_reference != "", _S.c.reference != ""),
    )
    by_number = _candidates(file, _E.c.id, and_(invoice, _E.c.number == _S.c.invoice_number, _S.c.invoice_number != ""))
    steps = (
        ("case_number", by_case),
        ("claim_id", by_claim),
        ("payment_reference", by_reference),
        ("invoice_number", by_number),
    )
    for rule, found in steps:
        connection.execute(
            update(_S).where(_S.c.id == found.c.id, found.c.n == 1).values(entry_id=found.c.entry_id, match_rule=rule)
        )
        connection.execute(
            update(_S)
            .where(_S.c.id == found.c.id, found.c.n > 1, _S.c.entry_id.is_(None))
            .values(difference="payment.several_candidates", suggested_entry_id=found.c.entry_id)
        )
    _match_reversals(connection, file)
    _suggest(connection, file)


def _candidates(file: Any, entry_id: ColumnElement[int], on: ColumnElement[bool]) -> Subquery:
    """Return staged id, the smallest candidate and their number, for rows that no earlier step has placed."""
    return (
        select(_S.c.id, func.min(entry_id).label("entry_id"), func.count().label("n"))
        .join(entry_id.table, on)
        .where(_S.c.file_id == file.id, _S.c.entry_id.is_(None), _S.c.difference == "")
        .group_by(_S.c.id)
        .subquery()
    )


def _match_reversals(connection: Connection, file: Any) -> None:
    """A reversal belongs where the payment it takes back went (R-PM-11)."""
    before = and_(_P.c.creditor_id == file.creditor_id, _P.c.key == _S.c.reverses_key)
    connection.execute(
        update(_S)
        .where(_S.c.file_id == file.id, _S.c.reverses_key != "", before, _P.c.entry_id.is_not(None))
        .values(entry_id=_P.c.entry_id, match_rule="reversal")
    )


def _suggest(connection: Connection, file: Any) -> None:
    """Point at the one open invoice of equal amount where nothing else fits: a proposal for a person (R-PM-09)."""
    lost = and_(_S.c.file_id == file.id, _S.c.entry_id.is_(None), _S.c.suggested_entry_id.is_(None), _S.c.posts)
    some = select(_S.c.id, _S.c.principal_minor, _S.c.currency).where(lost).limit(SUGGESTIONS_MAX).subquery()
    equal = and_(
        _E.c.creditor_id == file.creditor_id,
        _E.c.kind == "invoice",
        _E.c.closed_at.is_(None),
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


# --- what stands in the way ------------------------------------------------------------------------------------------


def _explain(connection: Connection, file: Any, agreement: Agreement) -> None:
    """Give every row its state, and what keeps it from being exact (the eight reasons, R-OP-09)."""
    mine = _S.c.file_id == file.id
    named = or_(_S.c.reference != "", _S.c.claim_ref != "", _S.c.case_number != "", _S.c.invoice_number != "")
    lost = case((named, "difference.not_in_ledger"), else_="difference.unidentified")
    connection.execute(update(_S).where(mine, _S.c.entry_id.is_(None), _S.c.difference == "").values(difference=lost))
    other = _E.alias("other")
    mixed = and_(other.c.group_id == _E.c.group_id, other.c.kind == "invoice", other.c.id != _E.c.id)
    at_agency = and_(_C.c.agreement_id == agreement.agreement_id, _C.c.entry_id == _E.c.id)
    credited = and_(other.c.group_id == _E.c.group_id, other.c.kind == "credit_note")
    zero = case(
        (select(literal(1)).where(credited).exists(), "difference.zero_by_credit"), else_="difference.zero_by_payment"
    )
    difference = case(
        (_S.c.is_reversal | (_S.c.direction == Direction.DEBIT.value), "payment.reversal"),
        (select(literal(1)).where(mixed).exists(), "group.several_invoices"),
        (_S.c.principal_minor == 0, "payment.no_principal"),
        (_E.c.open_minor == 0, zero),
        (_E.c.open_minor < _S.c.principal_minor, "difference.our_balance_lower"),
        (_E.c.open_minor > _S.c.principal_minor, "difference.our_balance_higher"),
        (~select(literal(1)).where(at_agency).exists(), "payment.item_not_transferred"),
        else_="",
    )
    connection.execute(update(_S).where(mine, _S.c.entry_id == _E.c.id).values(difference=difference, state="proposed"))
    connection.execute(update(_S).where(mine, ~_S.c.posts).values(state="ignored", difference=_S.c.why_not))
    _flag_possible_duplicates(connection, file)


def _flag_possible_duplicates(connection: Connection, file: Any) -> None:
    """The same money told by another file in another form is shown as such and never posted by itself, nor dropped."""
    same = and_(
        _P.c.creditor_id == file.creditor_id,
        _P.c.reference == _S.c.reference,
        _P.c.amount_minor == _S.c.amount_minor,
        _P.c.currency == _S.c.currency,
        _P.c.direction == _S.c.direction,
        func.coalesce(_P.c.booking_date, _P.c.value_date) == func.coalesce(_S.c.booking_date, _S.c.value_date),
        _P.c.file_id != file.id,
    )
    connection.execute(
        update(_S)
        .where(
            _S.c.file_id == file.id,
            _S.c.reference != "",
            _S.c.state != "ignored",
            select(literal(1)).where(same).exists(),
        )
        .values(
            difference="payment.possible_duplicate", state="unmatched", suggested_entry_id=_S.c.entry_id, entry_id=None
        )
    )


def _choose_what_posts(connection: Connection, file: Any, agreement: Agreement) -> None:
    """Mark what posts by itself: certain reference, exact amount, the first in the file for its invoice (A-16, A-17)."""
    query = select(AgreementRow.posts_automatically).where(AgreementRow.id == agreement.agreement_id)
    automatic = connection.execute(query).scalar_one()
    order = func.row_number().over(partition_by=_S.c.entry_id, order_by=_S.c.position)
    exact = and_(_S.c.file_id == file.id, _S.c.state == "proposed", _S.c.difference == "")
    placed = select(_S.c.id, order.label("n")).where(exact).subquery()
    connection.execute(
        update(_S).where(_S.c.id == placed.c.id, placed.c.n > 1).values(difference="difference.zero_by_payment")
    )
    if automatic:
        connection.execute(update(_S).where(exact, _S.c.match_rule.in_(CERTAIN)).values(state="posted"))


def _show(connection: Connection, file: Any, agreement: Agreement) -> None:
    """Move the staged rows under Bank - Incoming payments, labelled with the agency's name (R-PM-02)."""
    fixed = {
        "creditor_id": literal(file.creditor_id),
        "agreement_id": literal(agreement.agreement_id),
        "label": literal(agreement.display_name),
        "posted_by": case((_S.c.state == "posted", audit.SYSTEM), else_=""),
    }
    source = select(*(_S.c[name] for name in _SHARED), *fixed.values()).where(_S.c.file_id == file.id)
    connection.execute(_P.insert().from_select([*_SHARED, *fixed], source, include_defaults=False))
    connection.execute(delete(_S).where(_S.c.file_id == file.id))


def _note_agency_paid(connection: Connection, file: Any, agreement: Agreement) -> None:
    """Lower the agency balance by what the agency reports as paid on the principal (R-VL-08), matched rows only."""
    signed = case(
        (_P.c.is_reversal | (_P.c.direction == Direction.DEBIT.value), -_P.c.principal_minor),
        else_=_P.c.principal_minor,
    )
    paid = (
        select(_P.c.entry_id, func.sum(signed).label("paid"))
        .where(_P.c.file_id == file.id, _P.c.state.in_(("proposed", "posted")), _P.c.entry_id.is_not(None))
        .group_by(_P.c.entry_id)
        .subquery()
    )
    connection.execute(
        update(_C)
        .where(_C.c.agreement_id == agreement.agreement_id, _C.c.entry_id == paid.c.entry_id)
        .values(agency_paid_minor=_C.c.agency_paid_minor + paid.c.paid)
    )


def _finish(
    house: House,
    connection: Connection,
    file: Any,
    format_: str,
    totals: dict[str, Any],
    findings: list[Finding],
    posted: int,
) -> None:
    now = house.now()
    connection.execute(
        update(FileRow)
        .where(FileRow.id == file.id)
        .values(
            state="imported", kind="payments", format=format_, finished_at=now,
            findings=[finding_json(finding) for finding in findings[:200]], **totals,
        )
    )  # fmt: skip
    facts = {"format": format_, "posted": posted, **json.loads(json.dumps(totals))}
    audit.record(connection, file.creditor_id, now, audit.SYSTEM, "file.imported", "inbound_file", file.id, **facts)
