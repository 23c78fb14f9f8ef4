"""What an agency was told of an entry, asked before a person changes the books under it (R-LS-05, R-RV-02)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import agency_has
from gateway.db.tables import LedgerEntry, TransferItem
from gateway.domain.exchange import LinkKind
from gateway.errors import Refused
from gateway.services.cards import agreement_of, layout_of
from gateway.services.house import House
from gateway.services.regroup import regroup

_T = table_of(TransferItem)
_E = table_of(LedgerEntry)


@dataclass(frozen=True, slots=True)
class Told:
    """An entry that an agency counts on a claim: on which invoice's, and what the layout can say about it later."""

    claim_entry_id: int
    agency: str
    can_say_unlinked: bool
    can_say_paid_out: bool


def told_of(house: House, connection: Connection, entry_id: int) -> Told | None:
    """Return where an agency counts the entry, or None when none does. One claim has one owner, so there is one."""
    query = select(_T.c.agreement_id, _T.c.claim_entry_id).where(
        _T.c.entry_id == entry_id, _T.c.is_current, agency_has(_T)
    )
    row = connection.execute(query.order_by(_T.c.agreement_id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    agreement, _ = agreement_of(connection, row.agreement_id)
    layout = layout_of(house, agreement)
    return Told(
        row.claim_entry_id,
        agreement.display_name,
        layout.unlink_has_message and LinkKind.UNLINK in layout.carries,
        LinkKind.DISBURSEMENT in layout.carries,
    )


def bring_home(house: House, connection: Connection, payment: Any, now: datetime) -> int | None:
    """Put a payment back where its agency counts it, when only an outgoing payment beside it can correct that.

    Returns:
        The group in which the outgoing payment belongs (R-RV-02); None while no agency counts the payment, or while the
        layout has a message of its own for a link that is removed (R-LS-05).

    Raises:
        Refused: ``payment.correction_not_carried``: the agency could be told the new entries but not that the old one
            is undone, and would count the money twice.
    """
    told = told_of(house, connection, payment.id)
    if told is None or told.can_say_unlinked:
        return None
    if not told.can_say_paid_out:
        raise Refused("payment.correction_not_carried", agency=told.agency)
    home = connection.execute(select(_E.c.group_id).where(_E.c.id == told.claim_entry_id)).scalar_one()
    if home != payment.group_id:
        connection.execute(update(_E).where(_E.c.id == payment.id).values(group_id=home, link_ref="", linked_at=now))
        left = list(connection.execute(select(*_E.columns).where(_E.c.group_id == payment.group_id)))
        regroup(connection, left[0].link_ref if left else "", left, (), now)
    return int(home)


def refuse_corrected(connection: Connection, payment: Any) -> None:
    """Raise when the payment was split, moved or taken back before: its money stands elsewhere already."""
    # Not by the entries that were made: the accounting system takes those over when it books them, names and all.
    codes = {
        "payment.split": "payment.already_split",
        "payment.moved": "payment.already_moved",
        "payment.undone": "payment.already_undone",
    }
    for done in audit.acts(connection, payment.creditor_id, "entry", payment.id, codes):
        raise Refused(codes[done])
