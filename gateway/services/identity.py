"""Which payments are one and the same: in a copy, an overlapping file, another format, an announcement (payments.md 8).

Nothing here drops money silently: what is left out is counted in a finding, what may be a second telling waits for a person.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from gateway.db.bulk import table_of
from gateway.db.tables import IncomingPayment, StagedPayment
from gateway.domain.exchange import Finding, Severity

_S = table_of(StagedPayment)
_P = table_of(IncomingPayment)
_FILES_NAMED = 20
"""Earlier files named in findings of their own: a download that overlaps with more is told of as one sum."""
_ANNOUNCED = ("PDNG", "FUTR")
"""States that announce a booking. ``INFO`` announces none."""
_DAYS_MAX = 10
"""How long after its announcement money is booked at the latest: a week with holidays in it."""
_PASSES_MAX = 50
"""Equal payments announced for one and the same days that are told apart; more of them stay unjoined, and are shown."""


def drop_known(connection: Connection, file: Any) -> list[Finding]:
    """Take out payments that came before under the same key (a copy with a new message id, an overlapping download).

    They become findings, never rows (R-PM-10). The same key twice in one file is two payments: the second gets a key of
    its own, before the comparison, so that a later file with both brings the one that is new. Its number stands in
    front, where no key of a reader has any (`gateway.domain.exchange.Payment`).
    """
    order = func.row_number().over(partition_by=_S.c.key, order_by=_S.c.position)
    twice = select(_S.c.id, order.label("n")).where(_S.c.file_id == file.id, _S.c.key != "").subquery()
    number = literal("#", String()) + cast(twice.c.n, String()) + ":"
    taken_back = case((_S.c.reverses_key != "", number + _S.c.reverses_key), else_="")
    numbered = update(_S).where(_S.c.id == twice.c.id, twice.c.n > 1)
    connection.execute(numbered.values(key=number + _S.c.key, reverses_key=taken_back))
    known = (
        select(_S.c.id, _S.c.position, _S.c.key, _P.c.file_id)
        .join(_P, and_(_P.c.creditor_id == file.creditor_id, _P.c.key == _S.c.key))
        .where(_S.c.file_id == file.id, _S.c.key != "")
    )
    found = known.subquery()
    files = select(found.c.file_id, func.count().label("n"), func.min(found.c.position).label("first"))
    earlier = connection.execute(files.group_by(found.c.file_id).order_by("first")).all()
    if not earlier:
        return []
    findings = [_rewrapped(row.n, row.file_id, row.first) for row in earlier[:_FILES_NAMED]]
    if rest := earlier[_FILES_NAMED:]:
        findings.append(_rewrapped(sum(row.n for row in rest), rest[0].file_id, rest[0].first))
    told_again = update(_P).where(_P.c.creditor_id == file.creditor_id, _P.c.key == _S.c.key, _S.c.key != "")
    connection.execute(told_again.where(_S.c.file_id == file.id).values(told_again_in=file.id))
    connection.execute(delete(_S).where(_S.c.id.in_(select(known.subquery().c.id))))
    return findings


def _rewrapped(count: int, file_id: int, position: int) -> Finding:
    values = {"count": count, "file": file_id}
    return Finding(Severity.WARNING, "file.rewrapped", f"payment {position}", "", values)


# --- the same money in another form ----------------------------------------------------------------------------------


def flag_possible_duplicates(connection: Connection, file: Any, *, has_bare: bool) -> None:
    """Set apart money that another file told in another form: it is shown as such and never posted by itself.

    Account, day, amount, reference and payer's account agree as far as both tell them (payments.md 8). Neither an
    announcement nor two payments of one file are such a pair.

    Args:
        connection: the caller's transaction.
        file: whose staged payments.
        has_bare: whether any of them has no reference; then amount, day and payer's account must all be told and equal.
    """
    named = and_(_P.c.reference == _S.c.reference, _fits(_P.c.payer_account, _S.c.payer_account))
    _flag(connection, file, _S.c.reference != "", and_(named, _is_one_day(may_be_unknown=True)))
    if has_bare:
        one_payer = and_(_P.c.payer_account == _S.c.payer_account, _P.c.reference == "")
        bare = and_(_S.c.reference == "", _S.c.payer_account != "")
        _flag(connection, file, bare, and_(one_payer, _is_one_day(may_be_unknown=False)))


def _flag(connection: Connection, file: Any, chosen: ColumnElement[bool], same: ColumnElement[bool]) -> None:
    twin = (
        _P.c.creditor_id == file.creditor_id,
        _P.c.amount_minor == _S.c.amount_minor,
        _P.c.currency == _S.c.currency,
        _P.c.direction == _S.c.direction,
        # What this file tells again by its key is accounted for: the other is one more, of which both are real.
        func.coalesce(_P.c.told_again_in, _P.c.file_id) != file.id,
        _P.c.posts,
        _fits(_P.c.account, _S.c.account),
        same,
    )
    values = {"difference": "payment.possible_duplicate", "suggested_entry_id": _S.c.entry_id, "entry_id": None}
    connection.execute(
        update(_S)
        .where(_S.c.file_id == file.id, _S.c.posts, chosen, select(literal(1)).where(*twin).exists())
        .values(**values, twin_id=select(func.min(_P.c.id)).where(*twin).scalar_subquery())
    )


def _fits(one: ColumnElement[str], other: ColumnElement[str]) -> ColumnElement[bool]:
    """Say that two accounts may be one. An IBAN and a bankgiro number cannot be compared, and differ in length."""
    return or_(one == other, one == "", other == "", func.length(one) != func.length(other))


def _is_one_day(*, may_be_unknown: bool) -> ColumnElement[bool]:
    days = [(p == s) for p in (_P.c.booking_date, _P.c.value_date) for s in (_S.c.booking_date, _S.c.value_date)]
    if may_be_unknown:
        days += [and_(t.c.booking_date.is_(None), t.c.value_date.is_(None)) for t in (_P, _S)]
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
