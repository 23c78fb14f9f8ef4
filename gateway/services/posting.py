"""Posting incoming payments and correcting wrong ones (R-PM, R-RV). A person's acts; a whole file is `posting_sql`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import lock_books, queue_groups, refresh_open
from gateway.db.tables import IncomingPayment, LedgerEntry, TransferItem
from gateway.errors import NotFound, Refused
from gateway.services.entries import derived_entry, insert_entries, mark_of
from gateway.services.house import House
from gateway.services.links import group_rows
from gateway.services.marks import entry_row, locked_entry
from gateway.services.parts import DIVIDED, parts_of, settled
from gateway.services.placing import payment_row
from gateway.services.regroup import regroup
from gateway.services.reversals import PLACED_BY_PEOPLE
from gateway.services.takeback import posted_entries, posting_name
from gateway.services.told import bring_home, refuse_corrected

_P = table_of(IncomingPayment)


@dataclass(frozen=True, slots=True)
class PostingResult:
    """Ids that were posted, and for each that was not the reason code."""

    posted: tuple[int, ...]
    refused: Mapping[int, str]


def post(house: House, payment_ids: Sequence[int], actor: str) -> PostingResult:
    """Post proposed payments: each becomes a ledger entry linked to its invoice (R-PM-03).

    Equal amounts close the invoice (R-PM-04). Less leaves the rest open; of more, the surplus stays as an unlinked
    credit of the customer (R-PM-05). A payment that cannot be posted is listed, and the others are posted.
    """
    posted: list[int] = []
    refused: dict[int, str] = {}
    with house.database.write() as connection:
        _lock_books_of(connection, payment_ids)
        for payment_id in dict.fromkeys(payment_ids):
            row = payment_row(connection, payment_id)
            fault = _post_one(connection, row, house.now(), actor)
            if fault:
                refused[payment_id] = fault
                continue
            posted.append(payment_id)
            facts = {"amount_minor": row.amount_minor, "invoice": row.entry_id, "label": row.label}
            audit.record(
                connection, row.creditor_id, house.now(), actor, "payment.posted", "payment", payment_id, **facts
            )
    return PostingResult(tuple(posted), refused)


def _lock_books_of(connection: Connection, payment_ids: Sequence[int]) -> None:
    """Two payments of one invoice, posted at once, would both find it open and take from it twice."""
    creditors = select(_P.c.creditor_id).distinct().where(_P.c.id.in_(payment_ids)).order_by(_P.c.creditor_id)
    for creditor_id in connection.execute(creditors).scalars().all():
        lock_books(connection, creditor_id)


def _post_one(connection: Connection, row: Any, now: datetime, actor: str) -> str:
    """Post one payment; return the reason code when it cannot be."""
    if row.state == "posted":
        return "payment.already_posted"
    if row.state != "proposed" or row.entry_id is None:
        return "payment.unknown_reference"
    if not row.posts:
        return row.why_not or "payment.information_only"
    entries, fault = _divided(connection, row, now) if row.match_rule == DIVIDED else _whole(connection, row, now)
    if fault:
        return fault
    insert_entries(connection, entries)
    home = entry_row(connection, row.entry_id).group_id
    groups = {home, *(entry["group_id"] for entry in entries if "group_id" in entry)}
    refresh_open(connection, groups, now)
    if row.agreement_id is None:  # the agency does not know of it yet
        queue_groups(connection, row.creditor_id, groups, now)
    values = {"state": "posted", "posted_at": now, "posted_by": actor}
    connection.execute(update(_P).where(_P.c.id == row.id).values(**values))
    return ""


def _whole(connection: Connection, row: Any, now: datetime) -> tuple[list[dict[str, Any]], str]:
    """Return the entries of a payment for one invoice, or the reason code why there are none."""
    invoice = entry_row(connection, row.entry_id)
    if _is_mixed(connection, invoice):
        return [], "group.several_invoices"
    if not (row.is_reversal or row.direction == "debit"):
        return _entries(row, invoice, row.principal_minor, posting_name(connection, row), now), ""
    taken, fault = _posted_parts(connection, row)
    if fault:
        return [], fault
    return _taking_back(row, invoice, taken, posting_name(connection, row), now), ""


def _divided(connection: Connection, row: Any, now: datetime) -> tuple[list[dict[str, Any]], str]:
    """Return the entries of a payment for several documents; link each credit note to the invoice it is set off against.

    Invoices and credit notes may have been linked since the payment was divided: then a person divides it.
    """
    plan = settled(parts_of(connection, row.id))
    if sum(one.money_minor for one in plan) != row.principal_minor:
        return [], "payment.several_references"
    if any(_is_mixed(connection, one.invoice) for one in plan):
        return [], "group.several_invoices"
    entries: list[dict[str, Any]] = []
    name = posting_name(connection, row)
    for one in plan:
        new = [note for note in one.credit_notes if note.group_id != one.invoice.group_id]
        if new:
            members = [*group_rows(connection, one.invoice.group_id), *new]
            touched = regroup(connection, "", members, (), now)
            refresh_open(connection, touched, now)
            queue_groups(connection, row.creditor_id, touched, now)  # a credit note is told, whoever told of the money
        invoice = entry_row(connection, one.invoice.id)
        entries += _entries(row, invoice, one.money_minor, f"{name}:{invoice.id}", now)
    return entries, ""


def _is_mixed(connection: Connection, invoice: Any) -> bool:
    members = group_rows(connection, invoice.group_id)
    return len([member for member in members if member.kind == "invoice"]) > 1


def _posted_parts(connection: Connection, row: Any) -> tuple[list[Any], str]:
    """Return the entries that the payment a reversal takes back became, or the reason code why they cannot be undone.

    No entries: the file does not say which payment it was, or a person placed the reversal elsewhere, where it counts.
    What was moved or divided since stands elsewhere; beside the first entry its invoice would be opened twice.
    """
    if not row.reverses_key:
        return [], ""
    same = (_P.c.creditor_id == row.creditor_id, _P.c.key == row.reverses_key)
    original = connection.execute(select(*_P.columns).where(*same)).one_or_none()
    if original is None or _is_elsewhere(row, original):
        return [], ""
    if original.state != "posted":
        return [], "payment.original_not_posted"
    try:
        parts = posted_entries(connection, original)
        for part in parts:
            refuse_corrected(connection, part)
    except Refused as error:
        return [], error.code
    return parts, ""


def _is_elsewhere(reversal: Any, original: Any) -> bool:
    by_person = reversal.match_rule == PLACED_BY_PEOPLE and original.match_rule != DIVIDED
    return bool(by_person and reversal.entry_id != original.entry_id)


def _taking_back(row: Any, invoice: Any, parts: Sequence[Any], name: str, now: datetime) -> list[dict[str, Any]]:
    """Return the entries that undo a payment, each beside what it undoes: linked part and surplus apart (R-PM-11).

    The first ones stay as they are. A part taken back in full leaves its group as if it had not been paid.
    """
    left, entries = row.principal_minor, []
    for part in parts:
        amount = min(left, -part.amount_minor)
        if amount > 0:
            place = {"external_id": f"{name}:{part.id}", "group_id": part.group_id}
            raises = {"kind": "payment_out", "amount_minor": amount} | place
            entries.append(derived_entry(invoice, "payment", now=now, **(_common(row) | raises)))
            left -= amount
    if left:
        place = {"external_id": name, "group_id": invoice.group_id}
        raises = {"kind": "payment_out", "amount_minor": left} | place
        entries.append(derived_entry(invoice, "payment", now=now, **(_common(row) | raises)))
    return entries


def _common(row: Any) -> dict[str, Any]:
    return {
        "is_bank": True,
        "booked": row.booking_date or row.value_date,
        "origin": "agency" if row.agreement_id else "bank",
        "origin_agreement_id": row.agreement_id,
        "payment_id": row.id,
        "payment_reference": row.reference,
        "bank_reference": row.bank_reference,
        "paid_from_account": row.payer_account,
        "text": row.text,
    }


def _entries(row: Any, invoice: Any, minor: int, name: str, now: datetime) -> list[dict[str, Any]]:
    """Return what *minor* of a payment makes with *invoice*: what is open of it linked, the rest a credit (R-PM-05)."""
    linked = min(minor, max(invoice.open_minor, 0))
    entries = []
    if linked:
        lowers = {"kind": "payment", "amount_minor": -linked, "group_id": invoice.group_id, "external_id": name}
        entries.append(derived_entry(invoice, "payment", now=now, **(_common(row) | lowers)))
    if surplus := minor - linked:
        values = {"kind": "payment", "amount_minor": -surplus, "external_id": f"{name}:surplus"}
        entries.append(derived_entry(invoice, "payment", now=now, **(_common(row) | values)))
    return entries


def move_payment(
    house: House, entry_id: int, to_invoice_id: int | None, actor: str, reason: str = ""
) -> tuple[int, ...]:
    """Correct a payment on the wrong invoice without reversing it: what the agency can see (R-RV-02 to R-RV-04).

    Step 1: an outgoing payment of the same amount, linked to the invoice and the wrong payment. Step 2: a new incoming
    payment on the right invoice; it may be left out with a *reason* (A-21). The original stays as it is, and the bank
    account's sum does not change.

    Returns:
        Ids of the new entries.
    """
    if to_invoice_id is None and not reason.strip():
        raise Refused("payment.reason_needed")
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        if row.kind != "payment" or row.amount_minor >= 0:
            raise Refused("payment.not_a_payment")
        now, amount = house.now(), -row.amount_minor
        refuse_corrected(connection, row)
        home = bring_home(house, connection, row, now) or row.group_id
        if home == row.group_id and sum(m.kind == "invoice" for m in group_rows(connection, home)) != 1:
            raise Refused("payment.not_linked")
        out = {"kind": "payment_out", "amount_minor": amount, "group_id": home, "is_bank": True}
        # What the agency was never told is not taken back at the agency either: a mark goes with the correction.
        entries = [derived_entry(row, "correction-out", now=now, **(out | mark_of(row)))]
        groups = {row.group_id, home}
        if to_invoice_id is not None:
            target = entry_row(connection, to_invoice_id, "invoice")
            is_other = target.creditor_id == row.creditor_id and target.group_id != home
            if not is_other or target.currency != row.currency:
                raise NotFound(f"no other invoice {to_invoice_id}")
            into = {"kind": "payment", "amount_minor": -amount, "group_id": target.group_id, "is_bank": True}
            into["customer_id"] = target.customer_id
            entries.append(derived_entry(row, "correction-in", now=now, **(into | mark_of(row))))
            groups.add(target.group_id)
        ids = insert_entries(connection, entries)
        _clear_reversal(connection, row, now)
        refresh_open(connection, groups, now)
        queue_groups(connection, row.creditor_id, groups, now)
        facts = {"to": to_invoice_id, "amount_minor": amount, "reason": reason}
        audit.record(connection, row.creditor_id, now, actor, "payment.moved", "entry", entry_id, **facts)
    return ids


def _clear_reversal(connection: Connection, row: Any, now: datetime) -> None:
    """Where the payment was reversed anyway, the two steps replace the reversal (R-RV-06): its own effect is undone."""
    if row.reversed_by_id is None:
        return
    reversal = entry_row(connection, row.reversed_by_id)
    undo = derived_entry(
        reversal, "reversal-replaced", now=now, kind="other", amount_minor=-reversal.amount_minor, group_id=reversal.id,
        is_bank=True,
    )  # fmt: skip
    insert_entries(connection, [undo])
    connection.execute(
        update(LedgerEntry).where(LedgerEntry.id == reversal.id).values(group_id=reversal.id, link_ref="")
    )
    connection.execute(update(LedgerEntry).where(LedgerEntry.id == row.id).values(reversed_by_id=None))


def reverse_payment(house: House, entry_id: int, actor: str) -> int:
    """Reverse a payment plainly: only while no agency can know of it (R-RV-05, A-20); return the reversal's id.

    Raises:
        Refused: ``payment.reversed_after_transfer`` when it is linked, transferred or came from an agency.
    """
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        if row.kind != "payment":
            raise Refused("payment.not_a_payment")
        if row.reversed_by_id is not None:
            raise Refused("payment.already_reversed")
        sent = select(TransferItem.version).where(TransferItem.entry_id == entry_id).limit(1)
        is_linked = row.group_id != row.id or len(group_rows(connection, row.group_id)) > 1
        if is_linked or row.origin == "agency" or connection.execute(sent).first():
            raise Refused("payment.reversed_after_transfer", agency="")
        now = house.now()
        values = {
            "kind": "reversal",
            "amount_minor": -row.amount_minor,
            "group_id": row.id,
            "reverses": row.external_id,
        }
        (reversal_id,) = insert_entries(connection, [derived_entry(row, "reversal", now=now, **values)])
        connection.execute(update(LedgerEntry).where(LedgerEntry.id == entry_id).values(reversed_by_id=reversal_id))
        audit.record(connection, row.creditor_id, now, actor, "payment.reversed", "entry", entry_id)
    return reversal_id
