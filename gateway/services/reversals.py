"""Reversals of payments follow the payment they take back, whichever of the two was read first (R-PM-11).

Files of one mailbox may be read in any order: a worker that died gives its file back later than its neighbour's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import IncomingPayment, StagedPayment
from gateway.services import agency_paid, twins

_S = table_of(StagedPayment)
_P = table_of(IncomingPayment)
PLACED_BY_PEOPLE = "person"


def place_staged(connection: Connection, file: Any) -> None:
    """Put each staged reversal where the payment it takes back went, or let it wait as that does, if it was read before."""
    same = and_(_P.c.creditor_id == file.creditor_id, _P.c.currency == _S.c.currency)
    before = and_(same, _P.c.key == _S.c.reverses_key)
    connection.execute(
        update(_S)
        .where(_S.c.file_id == file.id, _S.c.reverses_key != "", before, _P.c.entry_id.is_not(None))
        .values(entry_id=_P.c.entry_id, match_rule="reversal", difference="")
    )
    # A payment that waits counts nowhere; its reversal alone would raise what the agency is owed.
    waits = (_P.c.entry_id.is_(None), _P.c.posts, _P.c.difference.not_in((twins.POSSIBLE, twins.SAME)))
    connection.execute(
        update(_S)
        .where(_S.c.file_id == file.id, _S.c.reverses_key != "", _S.c.entry_id.is_not(None), before, *waits)
        .values(entry_id=None, suggested_entry_id=_S.c.entry_id, match_rule="", difference="difference.unidentified")
    )


def place_waiting(connection: Connection, file: Any) -> None:
    """Put each unposted reversal where the payment went that *file* has just told of; a person's own match stays.

    The agency balance follows for reversals of earlier files; those of *file* itself are counted with it.
    """
    original, back = _P.alias("original"), _P.alias("back")
    taken_back = and_(
        original.c.creditor_id == back.c.creditor_id,
        original.c.key == back.c.reverses_key,
        original.c.currency == back.c.currency,
    )
    waiting = (
        select(*back.columns, original.c.entry_id.label("place"))
        .join(original, taken_back)
        .where(
            back.c.creditor_id == file.creditor_id,
            back.c.reverses_key != "",
            back.c.state.in_(("proposed", "unmatched")),
            back.c.match_rule.not_in(("reversal", PLACED_BY_PEOPLE)),
            back.c.difference != twins.POSSIBLE,
            back.c.posts,
            original.c.file_id == file.id,
            original.c.entry_id.is_not(None),
        )
    )
    for row in connection.execute(waiting).all():
        if row.file_id != file.id:
            agency_paid.take_off(connection, row)
            agency_paid.put_on(connection, row, row.place)
        _put(connection, row, row.place)


def waiting_for(connection: Connection, payment: Any) -> Sequence[Any]:
    """Return the unposted reversals that follow *payment* wherever it goes.

    What may be a second telling waits for a person's word, whatever becomes of the payment (R-PM-10).
    """
    if not payment.key:
        return ()
    mine = (_P.c.creditor_id == payment.creditor_id, _P.c.reverses_key == payment.key, _P.c.posts)
    waits = (_P.c.state.in_(("proposed", "unmatched")), _P.c.difference != twins.POSSIBLE)
    query = select(*_P.columns).where(*mine, *waits, _P.c.match_rule != PLACED_BY_PEOPLE)
    return connection.execute(query).all()


def place_of(connection: Connection, payment: Any) -> int | None:
    """Return the invoice that *payment*, which waits, would go to: a reversal where the payment it takes back is now."""
    same = (_P.c.creditor_id == payment.creditor_id, _P.c.key == payment.reverses_key)
    original = connection.execute(select(_P.c.entry_id).where(*same)).one_or_none() if payment.reverses_key else None
    place: int | None = original.entry_id if original is not None else payment.suggested_entry_id
    return place


def follow(connection: Connection, reversal: Any, entry_id: int | None) -> None:
    """Put a reversal where its payment is now, or let it wait as that does; it counts there from now on.

    The caller let it count nowhere before the payment left (`gateway.services.agency_paid.take_off`).
    """
    if entry_id is not None:
        agency_paid.put_on(connection, reversal, entry_id)
        _put(connection, reversal, entry_id)
        return
    waits = {"entry_id": None, "match_rule": "", "suggested_entry_id": reversal.entry_id}
    changed = update(_P).where(_P.c.id == reversal.id)
    connection.execute(changed.values(**waits, state="unmatched", difference="difference.unidentified"))


def _put(connection: Connection, reversal: Any, entry_id: int) -> None:
    values = {"entry_id": entry_id, "match_rule": "reversal", "suggested_entry_id": None}
    changed = update(_P).where(_P.c.id == reversal.id)
    connection.execute(changed.values(**values, state="proposed", difference="payment.reversal"))
