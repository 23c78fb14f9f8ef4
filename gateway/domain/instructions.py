"""What a creditor tells an agency about a claim beside money: take it back, wait, it is disputed (R-OP-03).

An instruction moves no amount. It travels after the items of its claim, so that a payment is in the case before the case
is closed (R-OP-11).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import NamedTuple

REASON_MAX = 200
"""Characters of a reason: the longest that every known layout carries."""


class Action(StrEnum):
    """What an instruction asks for. ``WRITTEN_OFF`` is information only: the agency goes on collecting (R-CO-58)."""

    WITHDRAW = "withdraw"
    HOLD = "hold"
    RELEASE = "release"
    DISPUTE = "dispute"
    DISPUTE_RESOLVED = "dispute-resolved"
    WRITTEN_OFF = "written-off-by-creditor"


class Instruction(NamedTuple):
    """One instruction about one claim. *until* only with ``HOLD``; *reason* is for the agency, not for the debtor."""

    item_id: str
    action: Action
    day: date
    until: date | None = None
    reason: str = ""


_ENDS = {Action.RELEASE: Action.HOLD, Action.DISPUTE_RESOLVED: Action.DISPUTE}


def refusal(action: Action, told: Sequence[Action]) -> str:
    """Return the reason code why *action* makes no sense after what the agency was *told*, oldest first; else empty."""
    if Action.WITHDRAW in told:
        return "claim.withdrawn"
    begins = _ENDS.get(action, action)
    pair = [one for one in told if _ENDS.get(one, one) is begins]
    is_on = bool(pair) and pair[-1] is begins
    if action is begins:
        return "instruction.told_already" if is_on and action is not Action.HOLD else ""
    return "" if is_on else "instruction.nothing_to_end"
