"""What was told an agency about a claim beside money, and who reminds its customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.db.tables import Agreement, Claim, ClaimInstruction
from gateway.domain.instructions import Action
from gateway.services import reminders

CHOICES = (Action.WITHDRAW, Action.HOLD, Action.RELEASE, Action.DISPUTE, Action.DISPUTE_RESOLVED)
"""What a person may tell; a write-off tells itself."""
SHOWN_MAX = 50


@dataclass(frozen=True, slots=True)
class ClaimCard:
    """The card of a claim on an invoice's page. *reminded_by* is empty where the creditor reminds (R-LS-11, R-LS-12)."""

    told: Sequence[Any]
    reminded_by: str
    can_be_told: bool
    waits_for_money: bool
    choices: Sequence[Action] = CHOICES


def claim_card(connection: Connection, entry: Any, claims: Sequence[Row[Any]]) -> ClaimCard:
    """Return the card of an invoice; *claims* are those agencies have or had of it."""
    i = ClaimInstruction
    query = (
        select(*i.__table__.columns, Agreement.display_name)
        .join(Agreement, Agreement.id == i.agreement_id)
        .where(i.entry_id == entry.id)
        .order_by(i.id.desc())
        .limit(SHOWN_MAX)
    )
    told = list(connection.execute(query))
    owner = reminders.owners(connection, [entry.id]).get(entry.id, "")
    waits = select(Claim.entry_id).where(Claim.entry_id == entry.id, Claim.waits_for_money_since.is_not(None))
    is_waiting = entry.closed_at is None and connection.execute(waits.limit(1)).first() is not None
    return ClaimCard(told, owner, any(claim.state not in {"rejected", "withdrawn"} for claim in claims), is_waiting)


def instruction_of(connection: Connection, entry_id: int, instruction_id: int) -> Any:
    """Return an instruction about an invoice, None where it is about another one."""
    i = ClaimInstruction
    query = select(i.id).where(i.id == instruction_id, i.entry_id == entry_id)
    return connection.execute(query).one_or_none()
