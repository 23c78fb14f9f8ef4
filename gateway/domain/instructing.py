"""Adds what a person told the agency about a claim to what the evening decided about its group (R-OP-03, R-OP-11)."""

from __future__ import annotations

from typing import NamedTuple

from gateway.domain.instructions import Action, Instruction
from gateway.domain.transfer import CLAIM_WITHDRAWN, SHOWN_ONCE, Hold, Member, Verdict


class Said(NamedTuple):
    """What a person said about a claim: *wanted* goes tonight; *is_withdrawing*: a withdrawal is on its way."""

    wanted: tuple[Instruction, ...] = ()
    is_withdrawing: bool = False


def instruct(verdict: Verdict, said: Said, agency: str, *, is_withdrawn: bool) -> None:
    """Let the instructions of a group's claim go, and stop what may not follow a withdrawal.

    Holds of the group do not stop an instruction: a faulty card is no reason to go on collecting. A withdrawal waits for
    a payment of the claim that goes later than tonight, because the payment comes first.
    """
    invoice = verdict.invoice
    if invoice is None:
        return
    if is_withdrawn or said.is_withdrawing:
        _stop(verdict, invoice, CLAIM_WITHDRAWN if is_withdrawn else "claim.withdrawing", agency)
        return
    if said.wanted and invoice.due is None:  # the source took back what no claim can be handed over without
        verdict.holds.append(Hold(invoice.entry_id, "document.due_date_missing", {}))
        return
    for instruction in sorted(said.wanted, key=lambda one: one.action is Action.WITHDRAW):
        if instruction.action is Action.WITHDRAW and _has_payment_to_come(verdict, invoice):
            verdict.holds.append(Hold(invoice.entry_id, "instruction.payment_first", {"agency": agency}))
        else:
            verdict.instructions.append(instruction)


def _stop(verdict: Verdict, invoice: Member, code: str, agency: str) -> None:
    """Give everything that would go, or waits to go, the one reason that counts now."""
    waiting = [item.member.entry_id for item in verdict.items] + [invoice.entry_id] * verdict.sends_invoice
    waiting += [hold.entry_id for hold in verdict.holds if not hold.is_exclusion]
    is_over = code == CLAIM_WITHDRAWN
    verdict.holds = [hold for hold in verdict.holds if hold.is_exclusion]
    verdict.holds += [Hold(entry_id, code, {"agency": agency}, is_over) for entry_id in dict.fromkeys(waiting)]
    verdict.items, verdict.warnings, verdict.sends_invoice = [], [], False


def _has_payment_to_come(verdict: Verdict, invoice: Member) -> bool:
    """Say that an item of the claim waits for tomorrow or for a person; what the agency refused is not waited for."""
    over = {"receipt.rejected", *SHOWN_ONCE}
    held = (hold for hold in verdict.holds if not hold.is_exclusion and hold.code not in over)
    return verdict.waits or any(hold.entry_id != invoice.entry_id for hold in held)
