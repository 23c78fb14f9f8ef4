"""What agencies report as paid on their claims, kept in step with which invoice a payment counts on (R-VL-08)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, func, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import Claim, IncomingPayment
from gateway.domain.exchange import Agreement, Direction
from gateway.services.parts import DIVIDED, parts_of, settled

_P = table_of(IncomingPayment)
_C = table_of(Claim)


def note_file(connection: Connection, file: Any, agreement: Agreement, *, has_divided: bool) -> None:
    """Lower the agency balance by what *file* reports as paid on the principal, matched rows only."""
    takes_back = _P.c.is_reversal | (_P.c.direction == Direction.DEBIT.value)
    signed = case((takes_back, -_P.c.principal_minor), else_=_P.c.principal_minor)
    placed = (_P.c.file_id == file.id, _P.c.state.in_(("proposed", "posted")), _P.c.entry_id.is_not(None))
    paid = (
        select(_P.c.entry_id, func.sum(signed).label("paid"))
        .where(*placed, _P.c.match_rule != DIVIDED)
        .group_by(_P.c.entry_id)
        .subquery()
    )
    connection.execute(
        update(_C)
        .where(_C.c.agreement_id == agreement.agreement_id, _C.c.entry_id == paid.c.entry_id)
        .values(agency_paid_minor=_C.c.agency_paid_minor + paid.c.paid)
    )
    if has_divided:
        for row in connection.execute(select(*_P.columns).where(*placed, _P.c.match_rule == DIVIDED)).all():
            move(connection, row, None, row.entry_id)


def move(connection: Connection, row: Any, before: int | None, after: int | None) -> None:
    """Let the payment *row* count on another claim than before; None is none.

    Where *row* is divided as it stands, its one invoice means all of them, each with its part.
    """
    signed = -row.principal_minor if row.is_reversal or row.direction == "debit" else row.principal_minor
    for entry_id, sign in ((before, -1), (after, 1)):
        if entry_id is None or row.agreement_id is None:
            continue
        shares = {entry_id: signed}
        if row.match_rule == DIVIDED and entry_id == row.entry_id:
            shares = {one.invoice.id: one.money_minor for one in settled(parts_of(connection, row.id))}
        for claim_entry_id, share in shares.items():
            connection.execute(
                update(_C)
                .where(_C.c.agreement_id == row.agreement_id, _C.c.entry_id == claim_entry_id)
                .values(agency_paid_minor=_C.c.agency_paid_minor + sign * share)
            )
