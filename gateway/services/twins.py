"""Payments that may tell the same money in another form: another format, or an announcement and its booking (payments.md 8).

What may be a second telling waits for a person; nothing is dropped.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, literal, or_, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import IncomingPayment, StagedPayment

POSSIBLE = "payment.possible_duplicate"
SAME = "payment.same_money"
"""What a person said of a possible duplicate: it tells money that came before."""
_ANNOUNCED = ("PDNG", "FUTR")
"""States that announce a booking. ``INFO`` announces none."""
_DAYS_MAX = 10
"""How long after its announcement money is booked at the latest: a week with holidays in it."""
_PASSES_MAX = 50
"""Equal payments announced for one and the same days that are told apart; more of them stay unjoined, and are shown."""

_S = table_of(StagedPayment)
_P = table_of(IncomingPayment)

# --- the same money in another form ----------------------------------------------------------------------------------


def flag_possible_duplicates(connection: Connection, file: Any, *, has_bare: bool) -> None:
    """Set apart money that another file told in another form: it is shown as such and never posted by itself.

    Account, day, amount, reference and payer's account agree as far as both tell them (payments.md 8); or one file is the
    agency's own, which names our claim, and the other names the same invoice in a bank's way. Neither an announcement
    nor two payments of one file are such a pair.

    Args:
        connection: the caller's transaction.
        file: whose staged payments.
        has_bare: whether any of them has no reference; then amount, day and payer's account must all be told and equal.
    """
    _flag(connection, file, _S.c.reference != "", _same_by_name(_P, _S))
    if has_bare:
        _flag(connection, file, and_(_S.c.reference == "", _S.c.payer_account != ""), _same_by_payer(_P, _S))
    _flag(connection, file, and_(_S.c.entry_id.is_not(None), _S.c.reverses_key == ""), _same_by_place(_P, _S))


def _flag(connection: Connection, file: Any, chosen: ColumnElement[bool], same: ColumnElement[bool]) -> None:
    # What this file tells again by its key is accounted for: the other is one more, of which both are real.
    is_others = func.coalesce(_P.c.told_again_in, _P.c.file_id) != file.id
    twin = (_P.c.creditor_id == file.creditor_id, is_others, same)
    place = func.coalesce(_S.c.entry_id, _S.c.suggested_entry_id)
    values = {"difference": POSSIBLE, "suggested_entry_id": place, "entry_id": None}
    connection.execute(
        update(_S)
        .where(_S.c.file_id == file.id, _S.c.posts, chosen, select(literal(1)).where(*twin).exists())
        .values(**values, twin_id=select(func.min(_P.c.id)).where(*twin).scalar_subquery())
    )


def free_twin(connection: Connection, payment: Any) -> int | None:
    """Return the earlier payment that a possible duplicate repeats, where no other payment of its file repeats that one.

    Of several the one it was flagged with, else the oldest: they are equal in all that is compared.
    """
    mine, other, third = _P.alias("mine"), _P, _P.alias("third")
    taken = select(literal(1)).where(
        third.c.twin_id == other.c.id, third.c.file_id == mine.c.file_id, third.c.difference == SAME
    )
    bare = and_(mine.c.reference == "", mine.c.payer_account != "")
    same = or_(
        and_(mine.c.reference != "", _same_by_name(other, mine)),
        and_(bare, _same_by_payer(other, mine)),
        _same_by_place(other, mine),
    )
    earlier = (other.c.creditor_id == mine.c.creditor_id, other.c.id < mine.c.id, other.c.file_id != mine.c.file_id)
    query = select(other.c.id).join(mine, mine.c.id == payment.id).where(*earlier, same, ~taken.exists())
    order = (case((other.c.id == mine.c.twin_id, 0), else_=1), other.c.id)
    return connection.execute(query.order_by(*order).limit(1)).scalar_one_or_none()


def _same_by_name(other: Any, row: Any) -> ColumnElement[bool]:
    """Say of two tellings (tables or aliases) that their reference is one and what else both tell agrees."""
    named = other.c.reference == row.c.reference
    return and_(
        named, _fits(other.c.payer_account, row.c.payer_account), _same_sum(other, row),
        _is_one_day(other, row, may_be_unknown=True),
    )  # fmt: skip


def _same_by_payer(other: Any, row: Any) -> ColumnElement[bool]:
    """Say of two tellings without a reference that payer's account, sum and day are one and told by both."""
    one_payer = and_(other.c.payer_account == row.c.payer_account, other.c.reference == "")
    return and_(one_payer, _same_sum(other, row), _is_one_day(other, row, may_be_unknown=False))


def _same_by_place(other: Any, row: Any) -> ColumnElement[bool]:
    """Say that one telling is the agency's own, which names our claim, the other a bank's, and both pay one invoice."""
    place = func.coalesce(row.c.entry_id, row.c.suggested_entry_id)
    is_agencys = [t.c.claim_ref != "" for t in (other, row)]
    one_each = is_agencys[0] != is_agencys[1]
    return and_(
        other.c.entry_id == place, one_each, _same_sum(other, row), _is_one_day(other, row, may_be_unknown=False)
    )


def _same_sum(other: Any, row: Any) -> ColumnElement[bool]:
    equal = [other.c[name] == row.c[name] for name in ("amount_minor", "currency", "direction")]
    return and_(*equal, other.c.posts, _fits(other.c.account, row.c.account))


def _fits(one: ColumnElement[str], other: ColumnElement[str]) -> ColumnElement[bool]:
    """Say that two accounts may be one. An IBAN and a bankgiro number cannot be compared, and differ in length."""
    return or_(one == other, one == "", other == "", func.length(one) != func.length(other))


def _is_one_day(other: Any, row: Any, *, may_be_unknown: bool) -> ColumnElement[bool]:
    days = [p == s for p in (other.c.booking_date, other.c.value_date) for s in (row.c.booking_date, row.c.value_date)]
    if may_be_unknown:
        days += [and_(t.c.booking_date.is_(None), t.c.value_date.is_(None)) for t in (other, row)]
    return func.coalesce(or_(*days), literal(value=False))


# --- announced, then booked ------------------------------------------------------------------------------------------


def join_announced(connection: Connection, file: Any) -> None:
    """Tie each announcement (camt ``PDNG``, CREMUL 435 or MOA 349) to its booking, whichever of the two was read first.

    The announcement never posts; once joined it says where the money was booked. Same account, amount and reference, or
    where neither has one the same payer's account or bank reference; booked within ten days; one with one.
    """
    waits = select(_P.c.id).where(_P.c.creditor_id == file.creditor_id, _P.c.status != "BOOK", _P.c.twin_id.is_(None))
    if connection.execute(waits.limit(1)).first() is None:
        return
    for _ in range(_PASSES_MAX):
        pairs = connection.execute(_best_pairs(connection, file)).all()
        if not pairs:
            return
        both = [{"b_id": told, "b_twin": booked} for told, booked in pairs]
        back = [{"b_id": booked, "b_twin": told} for told, booked in pairs]
        join = update(_P).where(_P.c.id == bindparam("b_id")).values(twin_id=bindparam("b_twin"))
        connection.execute(join.values(difference="payment.booked_since"), both)
        connection.execute(join, back)


def _best_pairs(connection: Connection, file: Any) -> Any:
    """Select (announcement, booking) that are each other's nearest."""
    told, booked = _P.alias("told"), _P.alias("booked")
    days = _days(connection, booked, told)
    same = [told.c[name] == booked.c[name] for name in ("creditor_id", "account", "currency", "direction", "reference")]
    amount = told.c.amount_minor == booked.c.amount_minor
    known = [and_(told.c[name] != "", told.c[name] == booked.c[name]) for name in ("payer_account", "bank_reference")]
    pairs = (
        select(told.c.id, booked.c.id.label("booked"), func.abs(days).label("days"))
        .join(booked, and_(*same, amount, or_(told.c.reference != "", *known)))
        .where(
            told.c.creditor_id == file.creditor_id,
            told.c.status != "BOOK",
            told.c.status.in_(_ANNOUNCED),
            told.c.twin_id.is_(None),
            booked.c.status == "BOOK",
            booked.c.posts,
            booked.c.twin_id.is_(None),
            or_(told.c.file_id == file.id, booked.c.file_id == file.id),
            days.between(-1, _DAYS_MAX),
        )
        .subquery()
        .c
    )
    by_told = func.row_number().over(partition_by=pairs.id, order_by=(pairs.days, pairs.booked))
    by_booked = func.row_number().over(partition_by=pairs.booked, order_by=(pairs.days, pairs.id))
    ranked = select(pairs.id, pairs.booked, by_told.label("a"), by_booked.label("b")).subquery().c
    return select(ranked.id, ranked.booked).where(ranked.a == 1, ranked.b == 1)


def _days(connection: Connection, booked: Any, told: Any) -> ColumnElement[int]:
    """Return how many days after the announced day money was booked; 0 where a day is not told."""
    later = func.coalesce(booked.c.value_date, booked.c.booking_date)
    sooner = func.coalesce(told.c.value_date, told.c.booking_date)
    if connection.dialect.name == "postgresql":
        return func.coalesce(later - sooner, 0)
    return func.coalesce(func.julianday(later) - func.julianday(sooner), 0)
