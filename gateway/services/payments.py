"""A payment file becomes incoming payments: staged while it is read, matched and posted as sets in one transaction.

Rows wait in a staging table, written in small transactions with progress shown, until the reader has compared the file's
control totals. Then one transaction drops what is known already, matches (R-OP-08), shows (R-PM-01) and, where the
agreement says so, posts what is certain (A-16). Objects are for rules, not for moving rows: everything below is SQL over
the staged file, the same for one payment and for a million.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
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
    update,
)
from sqlalchemy.sql import Subquery

from gateway.db import audit
from gateway.db.bulk import BATCH_ROWS, batches, insert_rows, quiet_collector, refresh_statistics, table_of, take_ids
from gateway.db.ledger_sql import lock_books
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import Claim, IncomingPayment, LedgerEntry, StagedPayment
from gateway.db.tables import InboundFile as FileRow
from gateway.db.tables.base import Instant
from gateway.domain.exchange import Agreement, Direction, Finding, Payment, PaymentStream, Severity
from gateway.errors import DeliveryError
from gateway.services import bank, reversals
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
    with quiet_collector():
        totals = _stage(house, file, stream)
    with house.database.write() as connection:
        row = connection.execute(select(FileRow.state).where(FileRow.id == file.id).with_for_update()).one()
        if row.state != "reading":
            return
        lock_books(connection, file.creditor_id)  # what is open now must still be open when it is posted below
        staged = select(func.count()).select_from(_S).where(_S.c.file_id == file.id)
        if connection.execute(staged).scalar_one() != totals["transactions"]:
            # Another worker took this file over while we were away: it wiped our rows and stages its own.
            raise DeliveryError("the file is being read by another worker")
        refresh_statistics(connection, totals["transactions"], StagedPayment)
        findings = [*stream.findings, *_drop_known(connection, file)]
        _match(connection, file, agreement)
        _flag_possible_duplicates(connection, file)
        _show(connection, file, agreement, house.now())
        if agreement.agreement_id == bank.NOBODYS:
            bank.set_payouts_apart(connection, file)
        reversals.place_waiting(connection, file)
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
        "references": [list(reference) for reference in p.all_references],
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
    if payment.claim_id or payment.case_number:
        return False  # the agency itself says which claim; case, invoice number and reference are names of that one
    named = {r.value for r in payment.references if r.kind not in {"", "text"} and r.value}
    return len(named) > 1


# --- known already ---------------------------------------------------------------------------------------------------


def _drop_known(connection: Connection, file: Any) -> list[Finding]:
    """Take out payments that came before under the same key (a copy with a new message id, an overlapping download).

    They become findings, never rows (R-PM-10). The same key twice in one file is two payments: the second gets a key of
    its own, before the comparison, so that a later file with both brings the one that is new.
    """
    order = func.row_number().over(partition_by=_S.c.key, order_by=_S.c.position)
    twice = select(_S.c.id, order.label("n")).where(_S.c.file_id == file.id, _S.c.key != "").subquery()
    connection.execute(
        update(_S).where(_S.c.id == twice.c.id, twice.c.n > 1).values(key=_S.c.key + "#" + cast(twice.c.n, String()))
    )
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
    return findings


# --- matching --------------------------------------------------------------------------------------------------------


def _match(connection: Connection, file: Any, agreement: Agreement) -> None:
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
        ("case_number", _S.c.case_number, by_case),
        ("claim_id", _S.c.claim_ref, by_claim),
        ("payment_reference", _S.c.reference, by_reference),
        ("invoice_number", _S.c.invoice_number, by_number),
    )
    given = select(*(func.max(column) for _, column, _ in steps)).where(_S.c.file_id == file.id)
    for (rule, _, found), value in zip(steps, connection.execute(given).one(), strict=True):
        if value:  # most files know one kind of reference; a step with nothing to look at would still read every row
            _place(connection, rule, found.c)
    reversals.place_staged(connection, file)
    _suggest(connection, file)


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


def _suggest(connection: Connection, file: Any) -> None:
    """Point at the one open invoice of equal amount where nothing else fits: a proposal for a person (R-PM-09)."""
    lost = and_(_S.c.file_id == file.id, _S.c.entry_id.is_(None), _S.c.suggested_entry_id.is_(None), _S.c.posts)
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


# --- what stands in the way ------------------------------------------------------------------------------------------


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
        .where(_S.c.file_id == file.id, _S.c.reference != "", select(literal(1)).where(same).exists())
        .values(difference="payment.possible_duplicate", suggested_entry_id=_S.c.entry_id, entry_id=None)
    )


def _difference(agreement: Agreement) -> ColumnElement[str]:
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
    return case(
        (~_S.c.posts, _S.c.why_not),
        (_S.c.difference != "", _S.c.difference),
        (_is_outgoing(), "payment.outgoing"),
        (and_(_S.c.entry_id.is_(None), named), "difference.not_in_ledger"),
        (_S.c.entry_id.is_(None), "difference.unidentified"),
        (or_(_S.c.is_reversal, _S.c.direction == Direction.DEBIT.value), "payment.reversal"),
        (select(literal(1)).where(mixed).exists(), "group.several_invoices"),
        (_S.c.principal_minor == 0, "payment.no_principal"),
        (and_(_E.c.open_minor == 0, is_credited), "difference.zero_by_credit"),
        (_E.c.open_minor == 0, "difference.zero_by_payment"),
        (and_(is_agencys, func.coalesce(claim_state, "withdrawn") == "withdrawn"), no_claim),
        (_E.c.open_minor < _S.c.principal_minor, "difference.our_balance_lower"),
        (_E.c.open_minor > _S.c.principal_minor, "difference.our_balance_higher"),
        else_="",
    )


def _is_outgoing() -> ColumnElement[bool]:
    """Money that left the account and names nothing of ours (a fee, a payout) is no incoming payment."""
    debit = and_(_S.c.direction == Direction.DEBIT.value, ~_S.c.is_reversal)
    return and_(debit, _S.c.entry_id.is_(None), _S.c.difference == "", _S.c.reference == "")


def _show(connection: Connection, file: Any, agreement: Agreement, now: datetime) -> None:
    """Move the staged rows under Bank - Incoming payments, labelled (R-PM-02), each with state and reason.

    What posts by itself is marked here: certain reference, exact amount, the first in the file for its invoice (A-16,
    A-17). One statement, because every further change of these wide rows would cost as much as the first writing.
    """
    query = select(AgreementRow.posts_automatically).where(AgreementRow.id == agreement.agreement_id)
    automatic = bool(connection.execute(query).scalar_one_or_none())  # the creditor's own bank posts nothing itself
    kept = [_S.c[name] for name in _SHARED if name not in {"state", "difference"}]
    state = case(
        (and_(~_S.c.posts, _S.c.why_not == "difference.unidentified"), "unmatched"),  # money nobody has placed is seen
        (or_(~_S.c.posts, _is_outgoing()), "ignored"),
        (and_(_S.c.entry_id.is_not(None), _S.c.difference == ""), "proposed"),
        else_="unmatched",
    )
    looked = (
        select(*kept, state.label("state"), _difference(agreement).label("difference"))
        .outerjoin(_E, _E.c.id == _S.c.entry_id)
        .where(_S.c.file_id == file.id)
        .cte("looked")
        .prefix_with("materialized", dialect="postgresql")  # else it would look at the invoice again in order to sort
    ).c
    exact = and_(looked.state == "proposed", looked.difference == "")
    place = func.row_number().over(partition_by=(looked.entry_id, exact), order_by=looked.position)
    ranked = select(*looked, exact.label("is_exact"), place.label("place")).subquery("ranked").c
    posts = and_(ranked.is_exact, ranked.place == 1, ranked.match_rule.in_(CERTAIN), literal(automatic))
    values = {column.name: column for column in ranked if column.name in _SHARED} | {
        "difference": case(
            (and_(ranked.is_exact, ranked.place > 1), "difference.zero_by_payment"), else_=ranked.difference
        ),
        "state": case((posts, "posted"), else_=ranked.state),
        "creditor_id": literal(file.creditor_id),
        "agreement_id": literal(agreement.agreement_id or None, BigInteger()),
        "label": literal(agreement.display_name),
        "posted_by": case((posts, audit.SYSTEM), else_=""),
        "posted_at": case((posts, literal(now, Instant())), else_=None),
    }
    connection.execute(_P.insert().from_select(list(values), select(*values.values()), include_defaults=False))
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
