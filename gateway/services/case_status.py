"""What the agency says about its cases. A status never moves money (R-OP-10).

Where it disagrees with the books, a person is shown both amounts (R-OP-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from gateway.db import audit
from gateway.db.ledger_sql import lock_books
from gateway.db.tables import Claim, LedgerEntry
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, CaseStatus, Finding, Severity
from gateway.domain.money import format_minor
from gateway.services.cards import finding_json
from gateway.services.house import House

_ENDED = "closed"
_PAID = frozenset({"paid", "partly-paid"})
_WITH_MONEY = frozenset({"paid", "written-off"})
"""Closings that speak for themselves: the money comes by the bank, or the loss is a person's to book."""


_LETTERS = frozenset({"reminder", "notice"})
"""Stages that a letter to the customer begins: a later hand-over to collection counts from that day (R-CO-14)."""


def take(house: House, file: Any, agreement: Agreement, statuses: Iterable[CaseStatus]) -> None:
    """Keep the latest state and words of each case; what cannot be, or contradicts the books, becomes a finding."""
    with house.database.write() as connection:
        now = house.now()
        state = connection.execute(select(FileRow.state).where(FileRow.id == file.id).with_for_update()).scalar_one()
        if state != "reading":
            return
        lock_books(connection, agreement.creditor_id)  # a run changes the same claims, in an order of its own
        count, findings = 0, []
        for status in statuses:
            count += 1
            findings += _take_one(connection, agreement, status, now)
        values = {"state": "imported", "kind": "case_status", "format": agreement.profile, "transactions": count}
        as_json = [finding_json(finding) for finding in findings[:200]]
        connection.execute(
            update(FileRow).where(FileRow.id == file.id).values(**values, finished_at=now, findings=as_json)
        )
        audit.record(
            connection, file.creditor_id, now, audit.SYSTEM, "cases.taken", "inbound_file", file.id, cases=count
        )


def _take_one(connection: Connection, agreement: Agreement, status: CaseStatus, now: datetime) -> list[Finding]:
    claims = _claims(connection, agreement, status)
    if not claims:
        return [Finding(Severity.WARNING, "difference.not_in_ledger", status.case_number, status.claim_id)]
    words = " ".join(part for part in (status.close_code, status.raw_code, status.raw_text) if part)
    mine = (Claim.agreement_id == agreement.agreement_id, Claim.entry_id.in_([row.entry_id for row in claims]))
    is_paid = status.state == _ENDED and status.close_code in _PAID
    since = func.coalesce(Claim.waits_for_money_since, now) if is_paid else None
    told = {"agency_state": status.state, "agency_state_text": words[:250], "waits_for_money_since": since}
    connection.execute(update(Claim).where(*mine).values(**told))
    if status.stage in _LETTERS:
        _remember_letter(connection, [row.entry_id for row in claims], status.date)
    return [finding for row in claims for finding in _differences(agreement, status, row)]


def _remember_letter(connection: Connection, entry_ids: Sequence[int], day: date) -> None:
    """Keep the day of the latest letter on the invoice; what the accounting system told of a later one stays."""
    is_later = or_(LedgerEntry.reminder_date.is_(None), LedgerEntry.reminder_date < day)
    letter = update(LedgerEntry).where(LedgerEntry.id.in_(entry_ids), is_later)
    connection.execute(letter.values(reminder_date=day, reminder_deadline=None))


def _claims(connection: Connection, agreement: Agreement, status: CaseStatus) -> Sequence[Any]:
    by_case = and_(Claim.case_number == status.case_number, Claim.case_number != "")
    by_claim = and_(Claim.claim_id == status.claim_id, Claim.claim_id != "")
    query = (
        select(Claim.entry_id, Claim.state, Claim.agency_state, Claim.told_minor, Claim.agency_paid_minor)
        .add_columns(LedgerEntry.open_minor, LedgerEntry.number)
        .join(LedgerEntry, LedgerEntry.id == Claim.entry_id)
        .where(Claim.agreement_id == agreement.agreement_id, or_(by_case, by_claim))
    )
    return connection.execute(query.order_by(Claim.entry_id)).all()


def _differences(agreement: Agreement, status: CaseStatus, row: Any) -> list[Finding]:
    """Reasons 3 and 4: a case that goes on although it ended, and one that ends while the books still expect money."""
    had_ended = row.state == "withdrawn" or row.agency_state == _ENDED
    ends_now = status.state == _ENDED and not had_ended
    if had_ended and status.state != _ENDED:
        code = "difference.already_ended"
    elif ends_now and row.open_minor != 0 and status.close_code not in _WITH_MONEY:
        code = "difference.ended_nothing_written_off"
    else:
        return []
    ours = format_minor(row.open_minor, agreement.currency)
    theirs = format_minor(row.told_minor - row.agency_paid_minor, agreement.currency)
    values = {"ours": ours, "theirs": theirs, "agency": agreement.display_name, "number": row.number}
    shown = f"{ours} / {theirs} {agreement.currency}"
    return [Finding(Severity.WARNING, code, status.case_number or status.claim_id, shown, values)]
