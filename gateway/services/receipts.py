"""The agency's answer to a file: what it took, what it refused, under which case numbers (R-OP-12, R-OP-16)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, select, update

from gateway.db import audit, outbox
from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX, lock_books, queue_groups
from gateway.db.tables import Claim, LedgerEntry, TransferItem
from gateway.db.tables import Envelope as EnvelopeRow
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, Finding, ObjectReceipt, Receipt, Severity
from gateway.errors import FileQuarantined, NotFound, Refused
from gateway.services import instructions
from gateway.services.cards import agreement_of, finding_json, layout_of
from gateway.services.followers import free_followers
from gateway.services.house import House

_T = table_of(TransferItem)
_C = table_of(Claim)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Moment of an answer that a person has declared mended: every card was changed after it."""
_STATES = {"accepted": "accepted", "partly": "partly", "rejected": "rejected"}


def take(house: House, file: Any, agreement: Agreement, receipt: Receipt) -> None:
    """Record the outcome of every object of the file that *receipt* answers; a second receipt changes nothing.

    Raises:
        FileQuarantined: the receipt answers a file we did not send.
    """
    with house.database.write() as connection:
        now = house.now()
        state = connection.execute(select(FileRow.state).where(FileRow.id == file.id).with_for_update()).scalar_one()
        if state != "reading":
            return
        lock_books(connection, agreement.creditor_id)
        envelope = _envelope(connection, agreement, receipt)
        findings: list[Finding] = []
        if envelope.receipt_at is not None:
            findings.append(Finding(Severity.INFO, "receipt.repeated", receipt.kind, str(receipt.sequence)))
        else:
            nets = layout_of(house, agreement).nets_at_handover
            findings = _apply(connection, agreement, envelope, receipt, now, nets=nets)
        connection.execute(
            update(FileRow)
            .where(FileRow.id == file.id)
            .values(
                state="imported", kind="receipt", format=agreement.profile, finished_at=now,
                transactions=len(receipt.objects), findings=[finding_json(finding) for finding in findings[:200]],
            )
        )  # fmt: skip
        rejected = sum(not answer.is_accepted for answer in receipt.objects)
        facts = {
            "envelope": envelope.id,
            "status": receipt.status,
            "objects": len(receipt.objects),
            "rejected": rejected,
        }
        audit.record(connection, file.creditor_id, now, audit.SYSTEM, "receipt.taken", "inbound_file", file.id, **facts)


def offer_again(house: House, envelope_id: int, actor: str, reason: str) -> int:
    """Offer what an agency refused of one file again, on a person's word that the cause is mended; return how many.

    A changed customer card releases a refused claim by itself. Where the fault lay elsewhere (a gap in the counters, a
    mistake at the agency) only a person can know that it is gone.

    Raises:
        Refused: without a written reason.
    """
    if not reason.strip():
        raise Refused("resend.reason_needed")
    with house.database.write() as connection:
        columns = table_of(EnvelopeRow).columns
        envelope = connection.execute(select(*columns).where(columns.id == envelope_id)).one_or_none()
        if envelope is None:
            raise NotFound(f"no envelope {envelope_id}")
        agreement, _ = agreement_of(connection, envelope.agreement_id)
        lock_books(connection, agreement.creditor_id)
        mended = update(_T).where(_rejected_in(envelope)).values(answered_at=_LONG_AGO)
        now = house.now()
        count = connection.execute(mended).rowcount
        count += instructions.offer_again(connection, envelope, now, agreement.creditor_id)
        groups = select(LedgerEntry.group_id).where(
            LedgerEntry.id.in_(select(_T.c.claim_entry_id).where(_rejected_in(envelope)))
        )
        queue_groups(connection, agreement.creditor_id, connection.execute(groups).scalars().all(), now)
        facts = {"items": count, "reason": reason}
        audit.record(
            connection, agreement.creditor_id, now, actor, "envelope.offered_again", "envelope", envelope_id, **facts
        )
    return count


def _envelope(connection: Connection, agreement: Agreement, receipt: Receipt) -> Any:
    columns = table_of(EnvelopeRow).columns
    query = select(*columns).where(
        columns.agreement_id == agreement.agreement_id,
        columns.kind == receipt.kind,
        columns.sequence == receipt.sequence,
    )
    if receipt.file_id:
        query = query.where(columns.file_id == receipt.file_id)
    row = connection.execute(query.order_by(columns.cycle.desc()).limit(1)).one_or_none()
    if row is None:
        values = {"kind": receipt.kind, "sequence": receipt.sequence}
        raise FileQuarantined([Finding(Severity.BLOCKING, "receipt.unknown_file", values=values)])
    return row


def _apply(
    connection: Connection, agreement: Agreement, envelope: Any, receipt: Receipt, now: datetime, *, nets: bool
) -> list[Finding]:
    if receipt.status == "rejected":
        _reject_file(connection, envelope, receipt, now)
        findings = [
            Finding(Severity.BLOCKING, "receipt.rejected", receipt.kind, receipt.reason_code, {"reason": _why(receipt)})
        ]
    else:
        netted = _netted(connection, envelope, receipt.objects) if nets else []
        findings = _answer_objects(connection, agreement, envelope, receipt.objects, netted, now)
    connection.execute(
        update(EnvelopeRow)
        .where(EnvelopeRow.id == envelope.id)
        .values(
            state=_STATES[receipt.status],
            receipt_at=now,
            delivered_at=func.coalesce(EnvelopeRow.delivered_at, now),
            last_error=_why(receipt) if receipt.status == "rejected" else "",
        )
    )
    outbox.settle(connection, "deliver", envelope.id, "done", now)  # an answer proves that the file arrived
    free_followers(connection, agreement.agreement_id, now)
    _take_back_rejected(connection, agreement, envelope, now)
    return findings


def _why(receipt: Receipt) -> str:
    return ": ".join(part for part in (receipt.reason_code, receipt.reason_text) if part)


def _reject_file(connection: Connection, envelope: Any, receipt: Receipt, now: datetime) -> None:
    connection.execute(
        update(_T)
        .where(_T.c.envelope_id == envelope.id, _T.c.state == "sealed")
        .values(state="rejected", answered_at=now, reason_code=receipt.reason_code, reason_text=_why(receipt)[:500])
    )
    instructions.refuse_file(connection, envelope, receipt.reason_code, _why(receipt), now)


def _answer_objects(
    connection: Connection,
    agreement: Agreement,
    envelope: Any,
    objects: Sequence[ObjectReceipt],
    netted: Sequence[ObjectReceipt],
    now: datetime,
) -> list[Finding]:
    """Write each answer to its item; an invoice is answered by its claim id, every other object by its item id."""
    mine = _T.c.envelope_id == envelope.id
    answer = {
        "state": bindparam("b_state"),
        "reason_code": bindparam("b_code"),
        "reason_text": bindparam("b_text"),
        "answered_at": now,
    }
    claim_entry = (
        select(_C.c.entry_id)
        .where(_C.c.agreement_id == agreement.agreement_id, _C.c.claim_id == bindparam("b_id"))
        .scalar_subquery()
    )
    invoice = and_(_T.c.agreement_id == agreement.agreement_id, _T.c.claim_entry_id == claim_entry)
    by_claim = update(_T).where(mine, invoice, _T.c.kind == "invoice", _T.c.entry_id == claim_entry).values(**answer)
    by_item = update(_T).where(mine, _T.c.item_id == bindparam("b_id")).values(**answer)
    invoices = [one for one in objects if one.object_type == "invoice"]
    items = [one for one in objects if one.object_type not in {"invoice", "customer", "header", "instruction"}]
    items += netted
    for statement, answers in ((by_claim, invoices), (by_item, items)):
        for some in batches(answers):
            connection.execute(statement, [_parameters(one) for one in some])
    instructions.take_answers(connection, envelope, objects, now)
    _case_numbers(connection, agreement, [one for one in invoices if one.is_accepted])
    open_ = select(_T.c.item_id).where(mine, _T.c.state == "sealed")
    missing = connection.execute(open_.limit(20)).scalars().all()
    missing = [*missing, *instructions.unanswered(connection, envelope)]
    findings = [Finding(Severity.WARNING, "receipt.object_missing", item_id) for item_id in missing]
    return findings + [_rejection(one, agreement) for one in objects if not one.is_accepted]


def _netted(connection: Connection, envelope: Any, objects: Sequence[ObjectReceipt]) -> list[ObjectReceipt]:
    """Return answers for items that were told as part of their claim's balance: they are its own answer."""
    answers = {one.object_id: one for one in objects if one.object_type == "invoice"}
    same = and_(_C.c.agreement_id == _T.c.agreement_id, _C.c.entry_id == _T.c.claim_entry_id)
    query = select(_T.c.item_id, _C.c.claim_id).join(_C, same)
    rows = connection.execute(query.where(_T.c.envelope_id == envelope.id, _T.c.kind != "invoice")).all()
    return [
        answers[row.claim_id]._replace(object_type="item", object_id=row.item_id)
        for row in rows
        if row.claim_id in answers
    ]


def _parameters(one: ObjectReceipt) -> dict[str, str]:
    why = ": ".join(part for part in (one.reason_code, one.reason_text) if part)
    state = "accepted" if one.is_accepted else "rejected"
    return {"b_id": one.object_id, "b_state": state, "b_code": one.reason_code, "b_text": why[:500]}


def _rejection(one: ObjectReceipt, agreement: Agreement) -> Finding:
    values = {"agency": agreement.display_name, "reason": ": ".join(filter(None, (one.reason_code, one.reason_text)))}
    return Finding(Severity.WARNING, "receipt.rejected", f"{one.object_type} {one.object_id}", one.reason_code, values)


def _case_numbers(connection: Connection, agreement: Agreement, accepted: Iterable[ObjectReceipt]) -> None:
    mine = (_C.c.agreement_id == agreement.agreement_id, _C.c.claim_id == bindparam("b_id"))
    given = func.coalesce(func.nullif(bindparam("b_case"), ""), _C.c.case_number)
    state = case((_C.c.state == "withdrawn", "withdrawn"), else_="accepted")  # a late answer revives no claim
    statement = update(_C).where(*mine).values(state=state, case_number=given)
    for some in batches(accepted):
        connection.execute(statement, [{"b_id": one.object_id, "b_case": one.case_number} for one in some])


def _take_back_rejected(connection: Connection, agreement: Agreement, envelope: Any, now: datetime) -> None:
    """What the agency refused it does not have: put the claim back to what it knows, and look at the group again.

    A refused claim is offered again once its card was mended; of a refused item the claim's told amount is taken back.
    """
    rejected = _rejected_in(envelope)
    invoices = select(_T.c.entry_id).where(rejected, _T.c.kind == "invoice")
    _take_along(connection, agreement, connection.execute(invoices).scalars().all(), now)
    mine = _C.c.agreement_id == agreement.agreement_id
    connection.execute(update(_C).where(mine, _C.c.entry_id.in_(invoices)).values(state="rejected"))
    instructions.forget_refused(connection, agreement.agreement_id)
    lost = select(_T.c.claim_entry_id, _T.c.direction, _T.c.amount_minor).where(
        rejected, _T.c.kind.not_in(("invoice", "charge")), _T.c.claim_entry_id.not_in(invoices)
    )
    for row in connection.execute(lost).all():
        signed = row.amount_minor if row.direction == "debit" else -row.amount_minor
        connection.execute(
            update(_C).where(mine, _C.c.entry_id == row.claim_entry_id).values(told_minor=_C.c.told_minor - signed)
        )
    groups = select(LedgerEntry.group_id).where(LedgerEntry.id.in_(select(_T.c.claim_entry_id).where(rejected)))
    for some in batches(connection.execute(groups.distinct()).scalars().all(), IN_LIST_MAX):
        queue_groups(connection, agreement.creditor_id, some, now)


def _take_along(connection: Connection, agreement: Agreement, refused: Iterable[int], now: datetime) -> None:
    """Of a claim that was refused the agency has no items either: they go again with it, or it would look unpaid."""
    mine = (_T.c.agreement_id == agreement.agreement_id, _T.c.is_current, _T.c.state != "rejected")
    for some in batches(refused, IN_LIST_MAX):
        connection.execute(
            update(_T)
            .where(*mine, _T.c.kind.not_in(("invoice", "unlink")), _T.c.claim_entry_id.in_(some))
            .values(state="rejected", answered_at=now)
        )


def _rejected_in(envelope: Any) -> Any:
    """Return the condition "rejected in this file"."""
    return (_T.c.envelope_id == envelope.id) & (_T.c.state == "rejected") & _T.c.is_current
