"""What a person says of one payment: whose it is, that it is nobody's, that it is another's telling (R-PM-03, R-PM-10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, null, or_, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import lock_books
from gateway.db.tables import IncomingPayment, LedgerEntry
from gateway.domain.references import PaymentRules
from gateway.errors import NotFound, Refused
from gateway.services import agency_paid, bank, division, reversals, twins
from gateway.services.cards import agreement_of
from gateway.services.house import House
from gateway.services.marks import entry_row
from gateway.services.near import ONLY_POINTS
from gateway.services.parts import DIVIDED, Part, forget, keep, parts_of
from gateway.services.takeback import TAKEN_BACK, take_back

_P = table_of(IncomingPayment)
_E = table_of(LedgerEntry)
_UNKNOWN = "difference.unidentified"


def payment_row(connection: Connection, payment_id: int, *, is_locked: bool = True) -> Any:
    """Return an incoming payment's row, which nobody else changes until the end if *is_locked*; raises ``NotFound``."""
    query = select(*_P.columns).where(_P.c.id == payment_id)
    row = connection.execute(query.with_for_update() if is_locked else query).one_or_none()
    if row is None:
        raise NotFound(f"no payment {payment_id}")
    return row


def invoices_named(connection: Connection, creditor_id: int, number: str) -> list[int]:
    """Return the ids of invoices with exactly this number or payment reference; at most two, enough to see a doubt."""
    named = or_(_E.c.number == number, and_(_E.c.payment_reference == number, _E.c.payment_reference != ""))
    query = select(_E.c.id).where(_E.c.creditor_id == creditor_id, _E.c.kind == "invoice", named).limit(2)
    return list(connection.execute(query).scalars())


def match(house: House, payment_id: int, entry_id: int, actor: str) -> None:
    """Say which invoice a payment belongs to; the payment is a proposal then, not posted.

    Money that a payer deducted may belong to a credit note instead. Of a possible duplicate it says that both are real.

    Raises:
        Refused: ``payment.already_posted`` (`unmatch` it first), or why such a row never posts.
        NotFound: no such payment, or no invoice of this creditor and currency.
    """
    with house.database.write() as connection:
        row = _with_books(connection, payment_id)
        entry = entry_row(connection, entry_id)
        kinds = ("invoice", "credit_note") if row.direction == "debit" and not row.is_reversal else ("invoice",)
        if entry.kind not in kinds or (entry.creditor_id, entry.currency) != (row.creditor_id, row.currency):
            raise NotFound(f"no invoice {entry_id}")
        _refuse_posted(row)
        _refuse_information(row)
        values = {"entry_id": entry_id, "state": "proposed", "match_rule": "person", "evidence": null()}
        values |= {"difference": _difference(row, entry, _rules(connection, row))} | _no_duplicate(row)
        values |= bank.factoring_with(connection, row, entry_id)  # else the company would be told of its own money
        _change(connection, row, values)
        _record(house, connection, row, actor, "payment.matched", {"invoice": entry_id} | _before(row))


def divide(house: House, payment_id: int, actor: str) -> None:
    """Divide a payment over the documents it names, as its file would have been: a proposal (R-LK-10).

    For a payment that was taken back, or whose invoices came into the ledger after it.

    Raises:
        Refused: ``payment.already_posted``, ``payment.several_references`` where there is not exactly one answer, or why
            such a row never posts.
        NotFound: no such payment.
    """
    with house.database.write() as connection:
        row = _with_books(connection, payment_id)
        _refuse_posted(row)
        _refuse_information(row)
        parts = possible_parts(connection, row)
        if not parts:
            raise Refused("payment.several_references")
        first = next(part.entry.id for part in parts if part.entry.kind == "invoice")
        values = {"entry_id": first, "state": "proposed", "match_rule": DIVIDED, "evidence": null()}
        values |= {"difference": division.difference_of(connection, row, parts)} | _no_duplicate(row)
        _change(connection, row, values, parts)
        _record(house, connection, row, actor, "payment.divided", {"parts": len(parts)} | _before(row))


def possible_parts(connection: Connection, payment: Any) -> list[Part]:
    """Return how a payment that waits would be divided over the documents it names; nothing where that is in doubt."""
    if not payment.posts or payment.state == "posted":
        return []
    if payment.agreement_id is None:
        return division.parts_for(connection, payment, bank.own_bank(connection, payment.creditor_id))
    return division.parts_for(connection, payment, agreement_of(connection, payment.agreement_id)[0])


def unmatch(house: House, payment_id: int, actor: str) -> None:
    """Take back where a payment went, whoever or whatever said so; it waits for a person again.

    Where it went stays as a suggestion; taking a suggestion back leaves none. What was posted of it is undone in the
    ledger (`gateway.services.takeback`). A row that was set aside, or taken for the same money as another, is taken up.

    Raises:
        Refused: why such a row never posts, or as `gateway.services.takeback.take_back`.
        NotFound: no such payment.
    """
    with house.database.write() as connection:
        row = _with_books(connection, payment_id)
        _refuse_information(row)
        is_posted = row.state == "posted"
        undone = take_back(house, connection, row, house.now(), actor) if is_posted else ()
        values = {"entry_id": None, "state": "unmatched", "posted_at": None, "posted_by": ""}
        if row.twin_id is not None and row.difference in {twins.POSSIBLE, twins.SAME}:
            values |= {"difference": twins.POSSIBLE}  # that question is open still
        elif row.state == "ignored":
            values |= {"difference": _UNKNOWN}
        else:
            suggested = {"suggested_entry_id": row.entry_id, "match_rule": "", "evidence": null()}
            values |= {"difference": _UNKNOWN} | suggested
        _change(connection, row, values)
        facts = _before(row) | ({"entries": list(undone)} if is_posted else {})
        _record(house, connection, row, actor, TAKEN_BACK if is_posted else "payment.unmatched", facts)


def ignore(house: House, payment_id: int, actor: str, reason: str) -> None:
    """Set a payment aside with a written reason; it never becomes an entry, and it stays on record."""
    if not reason.strip():
        raise Refused("payment.reason_needed")
    with house.database.write() as connection:
        row = _with_books(connection, payment_id)
        _refuse_posted(row)
        place = row.entry_id or row.suggested_entry_id
        _change(connection, row, {"state": "ignored", "entry_id": None, "suggested_entry_id": place})
        _record(house, connection, row, actor, "payment.ignored", {"reason": reason})


def same_money(house: House, payment_id: int, actor: str) -> int:
    """Say that a possible duplicate tells money that came before: nothing is ever posted of it (R-PM-10).

    Two payments of one file are two pieces of money, so no two of them repeat the same earlier row.

    Returns:
        Id of the payment that it repeats.

    Raises:
        Refused: ``payment.not_a_duplicate``, or ``payment.told_once`` when every earlier row is taken.
        NotFound: no such payment.
    """
    with house.database.write() as connection:
        row = _with_books(connection, payment_id)
        if row.difference != twins.POSSIBLE or row.state != "unmatched":
            raise Refused("payment.not_a_duplicate")
        twin_id = twins.free_twin(connection, row)
        if twin_id is None:
            raise Refused("payment.told_once", twin=row.twin_id)
        _change(connection, row, {"state": "ignored", "difference": twins.SAME, "twin_id": twin_id})
        _pass_on(connection, row, twin_id)
        _record(house, connection, row, actor, "payment.same", {"twin": twin_id})
    return twin_id


def another_money(house: House, payment_id: int, actor: str) -> None:
    """Say that a possible duplicate is money of its own; it goes where its reference says, as a proposal.

    Raises:
        Refused: ``payment.not_a_duplicate``.
        NotFound: no such payment.
    """
    with house.database.write() as connection:
        row = _with_books(connection, payment_id)
        if row.difference not in {twins.POSSIBLE, twins.SAME} or row.twin_id is None:
            raise Refused("payment.not_a_duplicate")
        values: dict[str, Any] = {"twin_id": None, "state": "unmatched", "difference": _UNKNOWN}
        parts = parts_of(connection, row.id) if row.match_rule == DIVIDED else ()
        place = reversals.place_of(connection, row)
        if place is not None and row.match_rule and row.match_rule not in ONLY_POINTS:
            entry = entry_row(connection, place)
            values |= {"state": "proposed", "entry_id": entry.id, "suggested_entry_id": None}
            values["difference"] = (
                division.difference_of(connection, row, parts)
                if parts
                else _difference(row, entry, _rules(connection, row))
            )
        _change(connection, row, values, parts)
        _record(house, connection, row, actor, "payment.another", {"twin": row.twin_id})


def _pass_on(connection: Connection, row: Any, twin_id: int) -> None:
    """Point at what the repeated telling knows better: one format has the reference, another only the payer."""
    if row.suggested_entry_id is not None:
        knows_less = (_P.c.id == twin_id, _P.c.state == "unmatched", _P.c.suggested_entry_id.is_(None))
        connection.execute(update(_P).where(*knows_less).values(suggested_entry_id=row.suggested_entry_id))


def _with_books(connection: Connection, payment_id: int) -> Any:
    """Return a payment's row once nobody else changes its creditor's books: these are locked first, as posting does.

    Where a payment goes moves its reversals and what claims count; in another order two people would wait for each other.
    """
    lock_books(connection, payment_row(connection, payment_id, is_locked=False).creditor_id)
    return payment_row(connection, payment_id)


def _no_duplicate(row: Any) -> dict[str, Any]:
    return {"twin_id": None} if row.difference in {twins.POSSIBLE, twins.SAME} else {}


def _before(row: Any) -> dict[str, object]:
    """Return what a person overrules, for the record: rule, place and what was seen."""
    return {"before": row.entry_id or row.suggested_entry_id, "rule": row.match_rule, "seen": row.evidence or []}


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


def _rules(connection: Connection, row: Any) -> PaymentRules:
    return bank.payment_rules_of(connection, row.creditor_id, row.agreement_id)


def _refuse_posted(row: Any) -> None:
    if row.state == "posted":
        raise Refused("payment.already_posted")


def _refuse_information(row: Any) -> None:
    if not row.posts:
        raise Refused(row.why_not or "payment.information_only")


def _change(connection: Connection, row: Any, values: dict[str, Any], parts: Sequence[Part] = ()) -> None:
    """Let a payment go where *values* say, divided into *parts*; what it counts for and its reversals go with it."""
    followers = reversals.waiting_for(connection, row)
    for one in (*followers, row):
        agency_paid.take_off(connection, one)
    if parts or values.get("match_rule", row.match_rule) != DIVIDED:
        forget(connection, row.id)
    if parts:
        keep(connection, row.id, parts)
    connection.execute(update(_P).where(_P.c.id == row.id).values(**values))
    changed = payment_row(connection, row.id)
    if changed.state == "proposed":
        agency_paid.count(connection, changed)
    for follower in followers:
        reversals.follow(connection, follower, changed.entry_id)


def _record(house: House, connection: Connection, row: Any, actor: str, action: str, facts: dict[str, object]) -> None:
    audit.record(connection, row.creditor_id, house.now(), actor, action, "payment", row.id, **facts)
