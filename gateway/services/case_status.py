"""What the agency says about its cases. A status never moves money (R-OP-10).

Where it disagrees with the books, a person is shown both amounts (R-OP-09).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, func, literal, or_, select, update
from sqlalchemy.orm import aliased

from gateway.db import audit
from gateway.db.ledger_sql import lock_books
from gateway.db.tables import Claim, Customer, LedgerEntry
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, CaseStatus, Finding, Severity
from gateway.domain.money import format_minor
from gateway.services.cards import finding_json
from gateway.services.house import House

_ENDED = "closed"
_SUGGESTIONS = 5
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
        findings += getattr(statuses, "findings", ())  # of the file itself, where its reader has any
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
        return [_nobodys(connection, agreement, status)]
    words = " ".join(part for part in (status.close_code, status.raw_code, status.raw_text) if part)
    mine = (Claim.agreement_id == agreement.agreement_id, Claim.entry_id.in_([row.entry_id for row in claims]))
    is_paid = status.state == _ENDED and status.close_code in _PAID
    since = func.coalesce(Claim.waits_for_money_since, now) if is_paid else None
    told = {"agency_state": status.state, "agency_state_text": words[:250], "waits_for_money_since": since}
    connection.execute(update(Claim).where(*mine).values(**told))
    if status.claim_id and status.case_number:  # its receipt may be days behind, and money names the case alone
        unnumbered = (Claim.claim_id == status.claim_id, Claim.case_number == "")
        connection.execute(update(Claim).where(*mine, *unnumbered).values(case_number=status.case_number))
    if status.stage in _LETTERS:
        _remember_letter(connection, [row.entry_id for row in claims], status.date)
    return [finding for row in claims for finding in _differences(agreement, status, row)]


def _remember_letter(connection: Connection, entry_ids: Sequence[int], day: date) -> None:
    """Keep the day of the latest letter on the invoice; what the accounting system told of a later one stays."""
    is_later = or_(LedgerEntry.reminder_date.is_(None), LedgerEntry.reminder_date < day)
    letter = update(LedgerEntry).where(LedgerEntry.id.in_(entry_ids), is_later)
    connection.execute(letter.values(reminder_date=day, reminder_deadline=None))


def _claims(connection: Connection, agreement: Agreement, status: CaseStatus) -> Sequence[Any]:
    """Return the claims of a case: by its number or our id, else by the invoice it names (R-OP-08)."""
    by_case = and_(Claim.case_number == status.case_number, Claim.case_number != "")
    by_claim = and_(Claim.claim_id == status.claim_id, Claim.claim_id != "")
    note = aliased(LedgerEntry)
    credited = and_(note.group_id == LedgerEntry.group_id, note.kind == "credit_note")
    query = (
        select(Claim.entry_id, Claim.state, Claim.agency_state, Claim.told_minor, Claim.agency_paid_minor)
        .add_columns(LedgerEntry.open_minor, LedgerEntry.number)
        .add_columns(select(literal(1)).where(credited).exists().label("is_credited"))
        .join(LedgerEntry, LedgerEntry.id == Claim.entry_id)
        .where(Claim.agreement_id == agreement.agreement_id)
        .order_by(Claim.entry_id)
    )
    found = connection.execute(query.where(or_(by_case, by_claim))).all()
    if found or not status.invoice_number:
        return found
    named = connection.execute(query.where(LedgerEntry.number == status.invoice_number)).all()
    return named if len(named) == 1 else ()


def _nobodys(connection: Connection, agreement: Agreement, status: CaseStatus) -> Finding:
    """Reasons 1 and 2; a claim of the same customer with the same balance is a suggestion, and a person decides."""
    place = status.case_number or status.claim_id or status.invoice_number
    if status.invoice_number or status.claim_id or not status.customer_reference:
        return Finding(Severity.WARNING, "difference.not_in_ledger", place, status.invoice_number or status.claim_id)
    e, c, reference = LedgerEntry, Customer, status.customer_reference
    query = (
        select(e.number)
        .join(Claim, and_(Claim.entry_id == e.id, Claim.agreement_id == agreement.agreement_id))
        .join(c, c.id == e.customer_id)
        .where(c.customer_number.in_((reference, reference[:-1])), e.open_minor == status.balance_minor)
        .where(func.lower(c.name).startswith(status.customer_name.lower(), autoescape=True))
        .order_by(e.number)
        .limit(_SUGGESTIONS)
    )
    suggested = ", ".join(connection.execute(query).scalars())
    return Finding(Severity.WARNING, "difference.unidentified", place, suggested)


def _differences(agreement: Agreement, status: CaseStatus, row: Any) -> list[Finding]:
    """Return the first of the eight reasons that holds, none for a case that ends as the books have it (R-OP-09)."""
    had_ended = row.state == "withdrawn" or row.agency_state == _ENDED
    ends_now = status.state == _ENDED and not had_ended
    balance = row.told_minor - row.agency_paid_minor if status.balance_minor is None else status.balance_minor
    if had_ended and (status.state != _ENDED or status.balance_minor is not None):
        code = "difference.already_ended"
    elif ends_now and row.open_minor != 0 and status.close_code not in _WITH_MONEY:
        code = "difference.ended_nothing_written_off"
    elif ends_now and status.balance_minor is not None and row.open_minor != balance:
        code = _other_balance(row, balance)
    else:
        return []
    ours = format_minor(row.open_minor, agreement.currency)
    theirs = format_minor(balance, agreement.currency)
    values = {"ours": ours, "theirs": theirs, "agency": agreement.display_name, "number": row.number}
    shown = f"{ours} / {theirs} {agreement.currency}"
    return [Finding(Severity.WARNING, code, status.case_number or status.claim_id, shown, values)]


def _other_balance(row: Any, theirs: int) -> str:
    """Reasons 5 to 8."""
    if row.open_minor == 0:
        return "difference.zero_by_credit" if row.is_credited else "difference.zero_by_payment"
    return "difference.our_balance_lower" if row.open_minor < theirs else "difference.our_balance_higher"
