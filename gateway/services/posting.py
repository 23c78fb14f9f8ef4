"""Posting incoming payments and correcting wrong ones (R-PM, R-RV). A person's acts; a whole file is `posting_sql`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, null, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import lock_books, queue_groups, refresh_open
from gateway.db.tables import IncomingPayment, LedgerEntry, TransferItem
from gateway.domain.references import PaymentRules
from gateway.errors import NotFound, Refused
from gateway.services import agency_paid, bank
from gateway.services.entries import derived_entry, insert_entries, mark_of
from gateway.services.house import House
from gateway.services.links import group_rows
from gateway.services.marks import entry_row, locked_entry
from gateway.services.parts import DIVIDED, forget, parts_of, settled
from gateway.services.regroup import regroup
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
            row = _payment(connection, payment_id)
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
        return _entries(row, invoice, row.principal_minor, f"payment:{row.id}", now), ""
    taken = _posted_parts(connection, row)
    return ([], "payment.original_not_posted") if taken is None else (_taking_back(row, invoice, taken, now), "")


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
    for one in plan:
        new = [note for note in one.credit_notes if note.group_id != one.invoice.group_id]
        if new:
            members = [*group_rows(connection, one.invoice.group_id), *new]
            touched = regroup(connection, "", members, (), now)
            refresh_open(connection, touched, now)
            queue_groups(connection, row.creditor_id, touched, now)  # a credit note is told, whoever told of the money
        invoice = entry_row(connection, one.invoice.id)
        entries += _entries(row, invoice, one.money_minor, f"payment:{row.id}:{invoice.id}", now)
    return entries, ""


def _is_mixed(connection: Connection, invoice: Any) -> bool:
    members = group_rows(connection, invoice.group_id)
    return len([member for member in members if member.kind == "invoice"]) > 1


def _posted_parts(connection: Connection, row: Any) -> list[Any] | None:
    """Return the entries that the payment a reversal takes back became; None while that payment is not posted.

    An empty list: the file does not say which payment it was, and a person placed the reversal.
    """
    if not row.reverses_key:
        return []
    original = connection.execute(
        select(_P.c.id, _P.c.state).where(_P.c.creditor_id == row.creditor_id, _P.c.key == row.reverses_key)
    ).one_or_none()
    if original is None:
        return []
    if original.state != "posted":
        return None
    columns = table_of(LedgerEntry).columns
    parts = select(*columns).where(columns.creditor_id == row.creditor_id, columns.payment_id == original.id)
    return list(connection.execute(parts.order_by(columns.id)))


def _taking_back(row: Any, invoice: Any, parts: Sequence[Any], now: datetime) -> list[dict[str, Any]]:
    """Return the entries that undo a payment, each beside what it undoes: linked part and surplus apart (R-PM-11).

    The first ones stay as they are. A part taken back in full leaves its group as if it had not been paid.
    """
    left, entries = row.principal_minor, []
    for part in parts:
        amount = min(left, -part.amount_minor)
        if amount > 0:
            name = {"external_id": f"payment:{row.id}:{part.id}", "group_id": part.group_id}
            raises = {"kind": "payment_out", "amount_minor": amount} | name
            entries.append(derived_entry(invoice, "payment", now=now, **(_common(row) | raises)))
            left -= amount
    if left:
        raises = {"kind": "payment_out", "amount_minor": left, "group_id": invoice.group_id}
        entries.append(_of_payment(row, invoice, now, _common(row) | raises))
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


def _of_payment(row: Any, invoice: Any, now: datetime, values: dict[str, Any]) -> dict[str, Any]:
    return derived_entry(invoice, "payment", now=now, **(values | {"external_id": f"payment:{row.id}"}))


def match(house: House, payment_id: int, entry_id: int, actor: str) -> None:
    """Say which invoice a payment belongs to; the payment is a proposal then, not posted.

    Money that a payer deducted may belong to a credit note instead.
    """
    with house.database.write() as connection:
        row = _payment(connection, payment_id)
        entry = entry_row(connection, entry_id)
        kinds = ("invoice", "credit_note") if row.direction == "debit" and not row.is_reversal else ("invoice",)
        if entry.kind not in kinds or (entry.creditor_id, entry.currency) != (row.creditor_id, row.currency):
            raise NotFound(f"no invoice {entry_id}")
        _refuse_posted(row)
        if not row.posts:
            raise Refused(row.why_not or "payment.information_only")
        rules = bank.payment_rules_of(connection, row.creditor_id, row.agreement_id)
        _leave(connection, row, entry_id)
        values = {"entry_id": entry_id, "state": "proposed", "match_rule": "person", "evidence": null()}
        connection.execute(
            update(_P).where(_P.c.id == payment_id).values(**values, difference=_difference(row, entry, rules))
        )
        facts = {"invoice": entry_id} | _match_before(row)
        audit.record(connection, row.creditor_id, house.now(), actor, "payment.matched", "payment", payment_id, **facts)


def unmatch(house: House, payment_id: int, actor: str) -> None:
    """Take a proposal back, whoever or whatever made it; the payment waits for a person again.

    Where the payment went stays as a suggestion. Taking a suggestion back leaves none.
    """
    with house.database.write() as connection:
        row = _payment(connection, payment_id)
        _refuse_posted(row)
        if not row.posts:
            raise Refused(row.why_not or "payment.information_only")
        _leave(connection, row, None)
        values = {"entry_id": None, "state": "unmatched", "match_rule": "", "suggested_entry_id": row.entry_id}
        values |= {"difference": "difference.unidentified", "evidence": null()}
        connection.execute(update(_P).where(_P.c.id == payment_id).values(**values))
        facts = _match_before(row)
        audit.record(
            connection, row.creditor_id, house.now(), actor, "payment.unmatched", "payment", payment_id, **facts
        )


def ignore(house: House, payment_id: int, actor: str, reason: str) -> None:
    """Set a payment aside with a written reason; it never becomes an entry, and it stays on record."""
    if not reason.strip():
        raise Refused("payment.reason_needed")
    with house.database.write() as connection:
        row = _payment(connection, payment_id)
        _refuse_posted(row)
        _leave(connection, row, None)
        connection.execute(update(_P).where(_P.c.id == payment_id).values(state="ignored", entry_id=None))
        audit.record(
            connection, row.creditor_id, house.now(), actor, "payment.ignored", "payment", payment_id, reason=reason
        )


def _leave(connection: Connection, row: Any, entry_id: int | None) -> None:
    """Let *row* count on *entry_id* and no longer where it was proposed; a division is forgotten."""
    agency_paid.take_off(connection, row)
    if entry_id is not None:
        agency_paid.put_on(connection, row, entry_id)
    if row.match_rule == DIVIDED:
        forget(connection, row.id)


def _match_before(row: Any) -> dict[str, object]:
    """Return what a person overrules, for the record: rule, place and what was seen."""
    return {"before": row.entry_id or row.suggested_entry_id, "rule": row.match_rule, "seen": row.evidence or []}


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


def _refuse_posted(row: Any) -> None:
    if row.state == "posted":
        raise Refused("payment.already_posted")


def _difference(row: Any, entry: Any, rules: PaymentRules) -> str:
    """Return what keeps a person's match from being exact; `gateway.services.matching.difference` says it for files."""
    off = entry.open_minor - row.principal_minor
    if row.is_reversal or row.direction == "debit":
        return "payment.credit_note_deducted" if entry.kind == "credit_note" else "payment.reversal"
    if off == 0:
        return ""
    if entry.open_minor == 0:
        return "difference.zero_by_payment"
    if off == row.charges_minor:
        return "payment.charges_taken"
    if abs(off) <= rules.tolerance_minor:
        return "payment.within_tolerance"
    return "difference.our_balance_lower" if off < 0 else "difference.our_balance_higher"


def _payment(connection: Connection, payment_id: int) -> Any:
    row = connection.execute(select(*_P.columns).where(_P.c.id == payment_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"no payment {payment_id}")
    return row
