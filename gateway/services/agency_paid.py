"""What agencies report as paid on their claims, kept in step with which invoice a payment counts on (R-VL-08)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, or_, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import Claim, IncomingPayment
from gateway.domain.exchange import Agreement, Direction
from gateway.services.parts import DIVIDED, parts_of, shares

_P = table_of(IncomingPayment)
_C = table_of(Claim)


def note_file(connection: Connection, file: Any, agreement: Agreement, *, is_plain: bool) -> None:
    """Lower the agency balance by what *file* reports as paid on the principal, matched rows of that agency only.

    *is_plain* says that no row is divided or takes another back: then each counts on one invoice, as a set.
    """
    signed = case((_takes_back(), -_P.c.principal_minor), else_=_P.c.principal_minor)
    is_agencys = _P.c.agreement_id == agreement.agreement_id
    placed = [_P.c.file_id == file.id, is_agencys, _P.c.state.in_(("proposed", "posted")), _P.c.entry_id.is_not(None)]
    whole = [] if is_plain else [_P.c.match_rule != DIVIDED, _P.c.reverses_key == ""]
    paid = (
        select(_P.c.entry_id, func.sum(signed).label("paid")).where(*placed, *whole).group_by(_P.c.entry_id).subquery()
    )
    connection.execute(
        update(_C)
        .where(_C.c.agreement_id == agreement.agreement_id, _C.c.entry_id == paid.c.entry_id)
        .values(agency_paid_minor=_C.c.agency_paid_minor + paid.c.paid)
    )
    if not is_plain:
        others = select(*_P.columns).where(*placed, or_(_P.c.match_rule == DIVIDED, _P.c.reverses_key != ""))
        for row in connection.execute(others).all():
            _change(connection, row, _shares(connection, row))


def put_on(connection: Connection, row: Any, entry_id: int) -> None:
    """Let the whole payment *row* count on the claim of one invoice; a reversal counts where its payment did."""
    _change(connection, row, _whole(connection, row, entry_id))


def count(connection: Connection, row: Any) -> None:
    """Let the payment *row* count where it is placed, each part of a divided one on its own invoice."""
    _change(connection, row, _shares(connection, row))


def take_off(connection: Connection, row: Any) -> None:
    """Let the payment *row* count nowhere: it is no longer placed, or for another invoice."""
    if row.state in {"proposed", "posted"} and row.entry_id is not None:
        _change(connection, row, {entry_id: -share for entry_id, share in _shares(connection, row).items()})


def _shares(connection: Connection, row: Any) -> dict[int, int]:
    """Return what a payment as it is placed brings each invoice."""
    if row.match_rule == DIVIDED:
        return _divided(connection, row.id)
    return _whole(connection, row, row.entry_id)


def _whole(connection: Connection, row: Any, entry_id: int) -> dict[int, int]:
    if row.reverses_key:
        same = (_P.c.creditor_id == row.creditor_id, _P.c.key == row.reverses_key, _P.c.match_rule == DIVIDED)
        original = connection.execute(select(_P.c.id).where(*same)).scalar_one_or_none()
        if original is not None:
            return {invoice_id: -share for invoice_id, share in _divided(connection, original).items()}
    takes_back = row.is_reversal or row.direction == Direction.DEBIT.value
    return {entry_id: -row.principal_minor if takes_back else row.principal_minor}


def _divided(connection: Connection, payment_id: int) -> dict[int, int]:
    return shares(parts_of(connection, payment_id))


def _takes_back() -> ColumnElement[bool]:
    return or_(_P.c.is_reversal, _P.c.direction == Direction.DEBIT.value)


def _change(connection: Connection, row: Any, by_invoice: Mapping[int, int]) -> None:
    if row.agreement_id is None:
        return
    for entry_id, share in by_invoice.items():
        mine = (_C.c.agreement_id == row.agreement_id, _C.c.entry_id == entry_id)
        connection.execute(update(_C).where(*mine).values(agency_paid_minor=_C.c.agency_paid_minor + share))
