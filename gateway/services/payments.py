"""A payment file becomes incoming payments: staged while it is read, matched and posted as sets in one transaction.

Rows wait in a staging table, written in small transactions with progress shown, until the reader has compared the file's
control totals. Then one transaction drops what is known already, matches (R-OP-08), shows (R-PM-01) and, where the
agreement says so, posts what is certain (A-16). Objects are for rules, not for moving rows: everything below is SQL over
the staged file, the same for one payment and for a million.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, Connection, and_, case, delete, func, literal, or_, select, update

from gateway.db import audit
from gateway.db.behind import Behind
from gateway.db.bulk import BATCH_ROWS, batches, insert_rows, quiet_collector, refresh_statistics, table_of, take_ids
from gateway.db.ledger_sql import lock_books
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import InboundFile as FileRow
from gateway.db.tables import IncomingPayment, LedgerEntry, StagedPayment
from gateway.db.tables.base import Instant
from gateway.domain.exchange import Agreement, Direction, Finding, Payment, PaymentStream
from gateway.domain.references import PaymentRules, canonical
from gateway.errors import DeliveryError
from gateway.services import agency_paid, bank, division, identity, matching, near, reversals, twins
from gateway.services.cards import finding_json
from gateway.services.house import House
from gateway.services.posting_sql import post_file
from gateway.services.progress import FileWork

CERTAIN = ("case_number", "claim_id", "payment_reference")
"""Steps of R-OP-08 that may post automatically; an invoice number or an equal amount may not (R-PM-09)."""

COLLECT_ROWS = 20 * BATCH_ROWS
"""How often the collector is called while it is quiet: the worker's other lane goes on, and leaves cycles behind."""

_S = table_of(StagedPayment)
_E = table_of(LedgerEntry)
_P = table_of(IncomingPayment)
_SHARED = tuple(column.name for column in _S.columns)
_FOUND_LATER = {"state", "entry_id", "suggested_entry_id", "match_rule", "twin_id", "evidence"}
_STAGED = tuple(name for name in _SHARED if name not in _FOUND_LATER)
_LOOKED_UP = (
    "file_id", "reference", "claim_ref", "case_number", "invoice_number", "key", "reverses_key", "amount_minor", "entry_id",
)  # fmt: skip
_in_order = itemgetter(*_STAGED)


def take(house: House, file: Any, agreement: Agreement, stream: PaymentStream, work: FileWork) -> None:
    """Read *stream* whole, then let it take effect; *work* is told how far it has come.

    Raises:
        FileQuarantined: control totals differ or bytes are damaged; what was staged is wiped by the caller.
        FileRefused: not a payment file after all.
    """
    with quiet_collector():
        totals = _stage(house, file, agreement, stream, work)
    count: int = totals["transactions"]
    work.matching(count)
    with house.database.write() as connection:
        row = connection.execute(select(FileRow.state).where(FileRow.id == file.id).with_for_update()).one()
        if row.state != "reading":
            return
        lock_books(connection, file.creditor_id)  # what is open now must still be open when it is posted below
        waiting = select(func.count()).select_from(_S).where(_S.c.file_id == file.id)
        if connection.execute(waiting).scalar_one() != count:
            # Another worker took this file over while we were away: it wiped our rows and stages its own.
            raise DeliveryError("the file is being read by another worker")
        refresh_statistics(connection, count, StagedPayment, only=_LOOKED_UP)
        findings = [*stream.findings, *identity.drop_known(connection, file)]
        work.step("matching", 1, 2, count)
        rules = bank.payment_rules_of(connection, file.creditor_id, agreement.agreement_id)
        staged = matching.look(connection, file)
        is_plain = _match(connection, file, agreement, rules, staged)
        work.step("posting", 0, 3, count)
        _show(connection, file, agreement, rules, house.now())
        work.step("posting", 1, 3, count)
        factoring = None
        if agreement.agreement_id == bank.NOBODYS:
            bank.set_payouts_apart(connection, file)
            factoring = bank.name_factoring(connection, file) if staged.to_factoring else None
        reversals.place_waiting(connection, file)
        twins.join_announced(connection, file)
        agency_paid.note_file(connection, file, factoring or agreement, is_plain=is_plain)
        work.step("posting", 2, 3, count)
        posted = post_file(connection, file.id, agreement, house.now())
        _finish(house, connection, file, stream.format, totals, findings, posted)


def _stage(house: House, file: Any, agreement: Agreement, stream: PaymentStream, work: FileWork) -> dict[str, Any]:
    """Write the payments to the staging table in batches; return counts and sums per currency and direction."""
    sums: Counter[tuple[str, str]] = Counter()
    count = 0
    with (
        Behind() as behind
    ):  # PostgreSQL takes a batch while the next is read; SQLite would ask for Python's lock a row
        for batch in batches(stream, BATCH_ROWS):
            for payment in batch:
                sums[payment.currency, payment.direction.value] += payment.amount_minor
            behind.hand(partial(_write_staged, house, file.id, agreement.market, batch))
            if house.database.is_sqlite:
                behind.settle()
            count += len(batch)
            work.reading(file.size, count)
            if count % COLLECT_ROWS == 0:
                gc.collect()
    currencies = sorted({currency for currency, _ in sums})
    both = (Direction.CREDIT.value, Direction.DEBIT.value)
    return {
        "transactions": count,
        "totals": {currency: {side: sums[currency, side] for side in both} for currency in currencies},
    }


def _write_staged(house: House, file_id: int, market: str, batch: list[Payment]) -> None:
    with house.database.write() as connection:
        ids = take_ids(connection, len(batch))
        rows = (_staged_row(i, file_id, market, one) for i, one in zip(ids, batch, strict=True))
        insert_rows(connection, StagedPayment, _STAGED, rows)


def _staged_row(row_id: int, file_id: int, market: str, p: Payment) -> tuple[Any, ...]:
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
        "reference": canonical(p.reference, market),
        "references": [list(reference) for reference in p.all_references],
        "booking_date": p.booking_date,
        "value_date": p.value_date,
        "payer_name": p.payer_name,
        "payer_account": p.payer_account,
        "payer_address": p.payer_address,
        "account": p.account,
        "bank_reference": p.bank_reference,
        "text": p.text,
        "key": p.key,
        "claim_ref": p.claim_id,
        "case_number": p.case_number,
        "invoice_number": p.invoice_number or (p.reference if p.reference_kind == "invoice" else ""),
        "reverses_key": p.reverses_key,
        "charges_minor": p.charges_minor,
        # A payment that names several documents is divided or left to a person; no other step touches it then.
        "difference": division.SEVERAL if p.references and _names_several(p) else "",
    }
    row: tuple[Any, ...] = _in_order(values)
    return row


def _names_several(payment: Payment) -> bool:
    if payment.claim_id or payment.case_number:
        return False  # the agency itself says which claim; case, invoice number and reference are names of that one
    return len(division.named_documents(payment.references)) > 1


def _match(
    connection: Connection, file: Any, agreement: Agreement, rules: PaymentRules, staged: matching.Staged
) -> bool:
    """Find what each staged payment pays; return whether each counts on one invoice and none takes another back.

    First what all rows have in common, as sets; then, row by row, what these leave.
    """
    matching.match(connection, file, agreement, staged)
    is_divided = staged.several and division.divide(connection, file, agreement)
    near.look_closer(connection, file, agreement, rules)
    # Last, so that "another payment" (`gateway.services.placing`) finds what else was found out.
    twins.flag_possible_duplicates(connection, file, has_bare=staged.bare)
    return not (is_divided or staged.reversal)


# --- shown ------------------------------------------------------------------------------------------------------------


def _show(connection: Connection, file: Any, agreement: Agreement, rules: PaymentRules, now: datetime) -> None:
    """Move the staged rows under Bank - Incoming payments, labelled (R-PM-02), each with state and reason.

    What posts by itself is marked here: certain reference, exact amount, the first in the file for its invoice (A-16,
    A-17). One statement, because every further change of these wide rows would cost as much as the first writing.
    """
    query = select(AgreementRow.posts_automatically).where(AgreementRow.id == agreement.agreement_id)
    automatic = bool(connection.execute(query).scalar_one_or_none())  # the creditor's own bank posts nothing itself
    kept = [_S.c[name] for name in _SHARED if name not in {"state", "difference"}]
    state = case(
        (and_(~_S.c.posts, _S.c.why_not == "difference.unidentified"), "unmatched"),  # money nobody has placed is seen
        (or_(~_S.c.posts, matching.is_outgoing()), "ignored"),
        (matching.is_placed(), "proposed"),
        else_="unmatched",
    )
    looked = (
        select(*kept, state.label("state"), matching.difference(agreement, rules).label("difference"))
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
