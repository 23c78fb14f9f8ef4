"""What a person tells an agency about a claim beside money: withdraw, hold, dispute (R-OP-03, R-OP-11).

It is written down first and goes with the next evening's updates. Where the layout has no such message, the person is
told so, tells the agency otherwise, and says here that it was done.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, select, update

from gateway.db import audit
from gateway.db.bulk import batches, insert_rows, table_of, take_ids
from gateway.db.ledger_sql import IN_LIST_MAX, queue_groups
from gateway.db.tables import Claim, ClaimInstruction, LedgerEntry
from gateway.domain.exchange import ObjectReceipt
from gateway.domain.instructing import Said
from gateway.domain.instructions import REASON_MAX, Action, Instruction, refusal
from gateway.errors import DataError, NotFound, Refused
from gateway.services.cards import agreement_of, layout_of
from gateway.services.entries import book_day
from gateway.services.house import House
from gateway.services.marks import locked_entry

_I = table_of(ClaimInstruction)
_C = table_of(Claim)
_STANDING = ("wanted", "sealed", "accepted", "by_hand")


def instruct(
    house: House,
    entry_id: int,
    action: Action,
    actor: str,
    *,
    until: date | None = None,
    reason: str = "",
    by_hand: bool = False,
) -> int:
    """Tell the agency that has an invoice something about it with the next evening; return the instruction's id.

    Args:
        house: the house.
        entry_id: the invoice.
        action: what is asked of the agency.
        actor: who says so.
        until: last day of a respite, with ``HOLD`` only.
        reason: for the agency, never for the debtor.
        by_hand: the person has told the agency otherwise; it is only written down, with a reason.

    Raises:
        Refused: ``instruction.no_claim`` (no agency has it), ``instruction.not_carried`` (the layout has no message for
            it: tell the agency and come back with *by_hand*), ``instruction.told_already``,
            ``instruction.nothing_to_end``, ``claim.withdrawn``, ``instruction.reason_needed``.
        DataError: a reason that no layout carries, or a day that means nothing.
    """
    with house.database.write() as connection:
        invoice = locked_entry(connection, entry_id, "invoice")
        return add(house, connection, invoice, action, actor, until=until, reason=reason, by_hand=by_hand)


def add(
    house: House,
    connection: Connection,
    invoice: Any,
    action: Action,
    actor: str,
    *,
    until: date | None = None,
    reason: str = "",
    by_hand: bool = False,
) -> int:
    """Do what `instruct` does inside the caller's transaction, with the books locked and *invoice* read after that."""
    now = house.now()
    today = book_day(connection, invoice.creditor_id, now)
    reason = _checked(action, until, reason, today)
    if by_hand and not reason:
        raise Refused("instruction.reason_needed")
    claim = _claim(connection, invoice.id)
    agency = _refuse_senseless(house, connection, invoice, claim, action, by_hand=by_hand)
    (made,) = take_ids(connection, 1)
    values: dict[str, Any] = {
        "id": made, "agreement_id": claim.agreement_id, "entry_id": invoice.id, "item_id": f"kp-i-{made}",
        "action": action.value, "day": today, "until": until, "reason": reason,
        "state": "by_hand" if by_hand else "wanted", "wanted_by": actor, "wanted_at": now,
    }  # fmt: skip
    insert_rows(connection, ClaimInstruction, tuple(values), [tuple(values.values())])
    if by_hand and action is Action.WITHDRAW:
        _end(connection, claim.agreement_id, [invoice.id])
    queue_groups(connection, invoice.creditor_id, [invoice.group_id], now)
    facts = {"what": action.value, "reason": reason, "by_hand": by_hand, "agency": agency}
    audit.record(connection, invoice.creditor_id, now, actor, "claim.instructed", "entry", invoice.id, **facts)
    return int(made)


def _refuse_senseless(
    house: House, connection: Connection, invoice: Any, claim: Any, action: Action, *, by_hand: bool
) -> str:
    """Return the agency's name; raise when it cannot be told this, or has been."""
    agreement, row = agreement_of(connection, claim.agreement_id)
    code = refusal(action, _told_before(connection, claim))
    if code:
        raise Refused(code, agency=agreement.display_name)
    is_carried = action in layout_of(house, agreement).instructions and row.state == "active"
    if not (by_hand or is_carried):
        values = {"agency": agreement.display_name, "number": invoice.number, "case": claim.case_number or "-"}
        raise Refused("instruction.not_carried", **values)
    return agreement.display_name


def cancel(house: House, instruction_id: int, actor: str) -> None:
    """Take an instruction back that has not gone yet, or put one aside that the agency refused.

    Raises:
        Refused: ``instruction.gone`` when it is in a file already.
    """
    with house.database.write() as connection:
        row = connection.execute(select(*_I.columns).where(_I.c.id == instruction_id)).one_or_none()
        if row is None:
            raise NotFound(f"no instruction {instruction_id}")
        invoice = locked_entry(connection, row.entry_id)
        mine = (_I.c.id == instruction_id, _I.c.state.in_(("wanted", "rejected")))
        if not connection.execute(update(_I).where(*mine).values(state="cancelled")).rowcount:
            raise Refused("instruction.gone")
        queue_groups(connection, invoice.creditor_id, [invoice.group_id], house.now())
        what = "claim.instruction_cancelled"
        audit.record(connection, invoice.creditor_id, house.now(), actor, what, "entry", invoice.id, what=row.action)


def _checked(action: Action, until: date | None, reason: str, today: date) -> str:
    reason = " ".join(reason.split())
    if len(reason) > REASON_MAX or not reason.isprintable():
        raise DataError(f"a reason has at most {REASON_MAX} characters and no control characters")
    if until is not None and (action is not Action.HOLD or until < today):
        raise DataError("a last day belongs to a respite only, and lies not in the past")
    return reason


def _claim(connection: Connection, entry_id: int) -> Any:
    """Return the claim of an invoice: one claim has one owner. A claim that was taken back answers for itself."""
    query = select(*_C.columns).where(_C.c.entry_id == entry_id, _C.c.state != "rejected")
    found = connection.execute(
        query.order_by(_C.c.state == "withdrawn", _C.c.agreement_id.desc()).limit(1)
    ).one_or_none()
    if found is None:
        raise Refused("instruction.no_claim")
    return found


def _told_before(connection: Connection, claim: Any) -> list[Action]:
    query = select(_I.c.action).where(_of(claim.agreement_id), _I.c.entry_id == claim.entry_id)
    rows = connection.execute(query.where(_I.c.state.in_(_STANDING)).order_by(_I.c.id)).scalars()
    told = [Action(action) for action in rows]
    return [*told, Action.WITHDRAW] if claim.state == "withdrawn" else told


def _of(agreement_id: int) -> Any:
    return _I.c.agreement_id == agreement_id


# --- the evening -----------------------------------------------------------------------------------------------------


def said(connection: Connection, agreement_id: int) -> dict[int, Said]:
    """Return by invoice what waits to be told, and which claims are being withdrawn. Both are few."""
    waiting = (_I.c.state == "wanted") | ((_I.c.state == "sealed") & (_I.c.action == Action.WITHDRAW.value))
    found: dict[int, Said] = {}
    for row in connection.execute(select(*_I.columns).where(_of(agreement_id), waiting).order_by(_I.c.id)):
        before = found.get(row.entry_id, Said())
        if row.state == "sealed":
            found[row.entry_id] = before._replace(is_withdrawing=True)
        else:
            one = Instruction(row.item_id, Action(row.action), row.day, row.until, row.reason)
            found[row.entry_id] = before._replace(wanted=(*before.wanted, one))
    return found


def note_sealed(connection: Connection, item_ids: Sequence[str], envelope_id: int) -> None:
    """Write down in which file instructions went."""
    for some in batches(item_ids, IN_LIST_MAX):
        sealed = {"state": "sealed", "envelope_id": envelope_id}
        connection.execute(update(_I).where(_I.c.item_id.in_(some)).values(**sealed))


# --- the agency's answer ---------------------------------------------------------------------------------------------


def take_answers(connection: Connection, envelope: Any, objects: Iterable[ObjectReceipt], now: datetime) -> None:
    """Write what the agency answered to each instruction of a file; a withdrawal it took ends the claim."""
    mine = (_I.c.envelope_id == envelope.id, _I.c.state == "sealed", _I.c.item_id == bindparam("b_id"))
    values: dict[str, Any] = {
        "state": bindparam("b_state"),
        "reason_code": bindparam("b_code"),
        "reason_text": bindparam("b_text"),
    }
    answers: list[dict[str, str]] = [
        {
            "b_id": one.object_id,
            "b_state": "accepted" if one.is_accepted else "rejected",
            "b_code": one.reason_code,
            "b_text": one.reason_text[:500],
        }
        for one in objects
        if one.object_type == "instruction"
    ]
    for some in batches(answers):
        connection.execute(update(_I).where(*mine).values(answered_at=now, **values), some)
    taken = _withdrawals(envelope.agreement_id, _I.c.envelope_id == envelope.id, _I.c.state == "accepted")
    _end(connection, envelope.agreement_id, connection.execute(taken).scalars().all())


def unanswered(connection: Connection, envelope: Any) -> Sequence[str]:
    """Return the item ids of a file's instructions that its receipt says nothing of."""
    mine = (_I.c.envelope_id == envelope.id, _I.c.state == "sealed")
    return connection.execute(select(_I.c.item_id).where(*mine).order_by(_I.c.id)).scalars().all()


def refuse_file(connection: Connection, envelope: Any, code: str, text: str, now: datetime) -> None:
    """Write that the agency refused the whole file."""
    mine = (_I.c.envelope_id == envelope.id, _I.c.state == "sealed")
    values = {"state": "rejected", "reason_code": code, "reason_text": text[:500], "answered_at": now}
    connection.execute(update(_I).where(*mine).values(**values))


def forget_refused(connection: Connection, agreement_id: int) -> None:
    """Of a claim that the agency refused nothing is left to withdraw: it is over, as the person wanted.

    Otherwise a mended card would offer it again, also while the withdrawal is on its way. Other instructions about it
    have lost their object.
    """
    refused = select(_C.c.entry_id).where(_C.c.agreement_id == agreement_id, _C.c.state == "rejected")
    open_ = (_I.c.entry_id.in_(refused), _I.c.state.in_(("wanted", "sealed", "rejected")))
    over = connection.execute(_withdrawals(agreement_id, *open_)).scalars().all()
    connection.execute(update(_I).where(_of(agreement_id), *open_).values(state="cancelled"))
    _end(connection, agreement_id, over)


def offer_again(connection: Connection, envelope: Any, now: datetime, creditor_id: int) -> int:
    """Let what the agency refused of a file go once more; return how many. What was said anew since is not repeated."""
    query = select(_I.c.id, _I.c.action, _C.c.agreement_id, _C.c.entry_id, _C.c.state, LedgerEntry.group_id)
    refused = query.join(_C, and_(_C.c.agreement_id == _I.c.agreement_id, _C.c.entry_id == _I.c.entry_id))
    refused = refused.join(LedgerEntry, LedgerEntry.id == _I.c.entry_id)
    mine = (_I.c.envelope_id == envelope.id, _I.c.state == "rejected")
    groups = []
    for row in connection.execute(refused.where(*mine).order_by(_I.c.id)).all():
        if not refusal(Action(row.action), _told_before(connection, row)):
            connection.execute(update(_I).where(_I.c.id == row.id).values(state="wanted", envelope_id=None))
            groups.append(row.group_id)
    queue_groups(connection, creditor_id, groups, now)
    return len(groups)


def _withdrawals(agreement_id: int, *where: Any) -> Any:
    return select(_I.c.entry_id).where(_of(agreement_id), _I.c.action == Action.WITHDRAW.value, *where)


def _end(connection: Connection, agreement_id: int, entry_ids: Sequence[int]) -> None:
    for some in batches(entry_ids, IN_LIST_MAX):
        mine = (_C.c.agreement_id == agreement_id, _C.c.entry_id.in_(some))
        connection.execute(update(_C).where(*mine).values(state="withdrawn"))
