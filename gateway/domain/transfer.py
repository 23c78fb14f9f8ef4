"""Who goes tonight, who is held and why: one pure function over one link group (R-LS, R-LK, R-VL, R-RV, R-FA).

Preview and run both call `judge`, on rows read by the same query, which is why the preview cannot differ from the run
(P13). Nothing here depends on the order in which entries were read (R-LK-07).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

from gateway.domain.exchange import Direction, LinkKind, Service
from gateway.domain.instructions import Instruction
from gateway.domain.ledger import EntryKind, OrderStatus

NOT_CARRIED = "item.not_carried"
"""The layout has no place for this kind of item."""
NO_AGREEMENT = "currency.no_agreement"
"""No agreement of the creditor takes the invoice's currency."""
CLAIM_WITHDRAWN = "claim.withdrawn"
"""The creditor took the claim back: nothing of it goes to that agency any more."""
SHOWN_ONCE = (NOT_CARRIED, NO_AGREEMENT, CLAIM_WITHDRAWN)
"""What no later evening can change by itself: told to a person once, and not looked at again every evening."""

COLLECTION_WAIT = timedelta(days=14)
"""From the due date to the first day of a hand-over to collection (R-CO-13, R-OP-14)."""

# Values once, not per row: an enum member's value costs as much as the rest of a comparison on Python 3.11.
_CHARGE = EntryKind.CHARGE.value
_CREDIT_NOTE = EntryKind.CREDIT_NOTE.value
_INVOICE = EntryKind.INVOICE.value
_OTHER = EntryKind.OTHER.value
_PAYMENT = EntryKind.PAYMENT.value
_PAYMENT_OUT = EntryKind.PAYMENT_OUT.value
_REVERSAL = EntryKind.REVERSAL.value
_WRITE_OFF = EntryKind.WRITE_OFF.value
_INVOICED = OrderStatus.INVOICED.value
_LINK_CHARGE = LinkKind.CHARGE.value
_UNLINK = LinkKind.UNLINK.value


class Member(NamedTuple):
    """One ledger entry of a link group, with what the agency was last told about it.

    *amount_minor* is debit positive. *sent_kind* is empty when the agency knows nothing of the entry, or was told that
    its link is gone; it is ``unlink`` when the agency refused to take the entry off, and so still counts it. *is_late*: it became ready at or after the cut-off (A-02). *is_former* marks an entry that the agency knows as part of this group and that has left it.
    *is_made_here* says that no accounting system has told of it yet: Kravport posted or corrected. *is_mended* says that a rejected object's card was changed after the rejection.
    """

    entry_id: int
    group_id: int
    kind: str
    number: str
    amount_minor: int
    booked: date
    due: date | None
    order_status: str
    is_late: bool
    origin: str
    is_marked: bool
    marked_by: str
    marked_at: datetime | None
    credits: Sequence[str]
    is_bank: bool
    is_judged_payment: bool
    is_reversed: bool
    is_made_here: bool
    reminder_date: date | None
    reminder_deadline: date | None
    hold_code: str
    sent_kind: str
    sent_claim: int
    sent_version: int
    sent_item_id: str
    is_rejected: bool
    is_mended: bool
    rejected_because: str
    is_former: bool

    @property
    def is_sent(self) -> bool:
        """The agency has it (or has it on its way) as part of a claim; also when it refused to take it off again."""
        return bool(self.sent_kind) and (not self.is_rejected or self.sent_kind == _UNLINK)


@dataclass(frozen=True, slots=True)
class Rules:
    """What of agreement and customer decides about a group. Made once per run, or once per customer.

    *blocking* are reason codes that hold everything of the agreement (factoring settings) or of the customer (R-CD).
    *carries* are the kinds of linked item the layout can express; with *nets_at_handover* those linked before the
    hand-over are in the amount it tells, whatever their kind. *business_date* is the day of the run;
    *needs_reminder* says that the layout hands over to collection only what was reminded.
    """

    agency: str
    service: Service
    carries: frozenset[LinkKind]
    carries_non_positive: bool
    unlink_has_message: bool
    blocking: tuple[tuple[str, Mapping[str, object]], ...] = ()
    is_customer_marked: bool = False
    has_unlinked_credit: bool = False
    misdirected_credit_note: str = ""
    business_date: date | None = None
    needs_reminder: bool = False
    nets_at_handover: bool = False


class Hold(NamedTuple):
    """An entry that does not go, with the reason code and what fills its sentence (rules 11.2)."""

    entry_id: int
    code: str
    values: Mapping[str, object]
    is_exclusion: bool = False


class Going(NamedTuple):
    """An entry that goes, as what, with which effect on the claim, and its version at this agency."""

    member: Member
    kind: LinkKind
    direction: Direction
    version: int


@dataclass(slots=True)
class Verdict:
    """What becomes of one group tonight.

    *told_minor* is how much *items* change the claim's open amount as told to the agency (charges change nothing).
    *waits* says that something here became ready after the cut-off and is looked at again tomorrow.
    """

    group_id: int
    invoice: Member | None = None
    sends_invoice: bool = False
    items: list[Going] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    warnings: list[Hold] = field(default_factory=list)
    waits: bool = False

    @property
    def goes(self) -> bool:
        """Something of the group goes tonight."""
        return self.sends_invoice or bool(self.items) or bool(self.instructions)

    @property
    def told_minor(self) -> int:
        """Effect of the items on the open amount, minor units, debit positive."""
        told = 0
        for member, kind, _direction, _version in self.items:
            if kind is not LinkKind.CHARGE and member.kind != _CHARGE:
                told += member.amount_minor if kind is not LinkKind.UNLINK else -member.amount_minor
        return told


def judge(group_id: int, members: Sequence[Member], rules: Rules) -> Verdict:
    """Decide about one link group.

    Args:
        group_id: the group's id.
        members: its entries and former entries, in any order.
        rules: what binds it.

    Returns:
        What goes, what is held, what only warns. Every ready, unsent entry is in exactly one of *items* (or is the
        invoice that goes), *holds*, or is skipped because it is the agency's own money or waits for tomorrow.
    """
    verdict = Verdict(group_id)
    present = [m for m in members if m.order_status == _INVOICED and not m.is_former]
    if len(present) > 1:
        present.sort(key=_place)
    invoices = []
    for member in present:
        if member.kind == _INVOICE:
            invoices.append(member)
        if member.is_late and not member.is_sent:
            verdict.waits = True
    if len(invoices) > 1:
        _hold_all(verdict, present, [("group.several_invoices", {"numbers": _numbers(present)})])
    elif invoices:
        verdict.invoice = invoices[0]
        former = [m for m in members if m.is_former] if len(present) < len(members) else ()
        _judge_claim(verdict, invoices[0], present, former, rules)
    return verdict


def _judge_claim(
    verdict: Verdict, invoice: Member, present: Sequence[Member], former: Sequence[Member], rules: Rules
) -> None:
    """Decide about a group with exactly one invoice."""
    exclusion = _exclusion(invoice, rules)
    reasons = exclusion or _group_reasons(invoice, present, rules)
    if reasons:
        _hold_all(verdict, present, reasons, is_exclusion=bool(exclusion))
        for member in _removed(former):  # a removed link waits as well; forgotten, it would never be told
            verdict.holds += [Hold(member.entry_id, code, values, bool(exclusion)) for code, values in reasons]
        return
    if invoice.is_late and not invoice.is_sent:
        return
    verdict.sends_invoice = not invoice.is_sent
    if verdict.sends_invoice and rules.has_unlinked_credit:
        verdict.warnings.append(Hold(invoice.entry_id, "link.possible_match", {}))
    if rules.is_customer_marked:
        verdict.warnings.append(Hold(invoice.entry_id, "exclusion.customer_known", {"agency": rules.agency}))
    for member in present:
        if member is not invoice and not member.is_late:
            _judge_item(verdict, member, invoice, rules)
    _take_back(verdict, former, rules)
    _hold_double(verdict, invoice, (*present, *former), rules)


_place = attrgetter("booked", "entry_id")
"""Sort key of members: the day they were booked, then the id."""


def _numbers(members: Iterable[Member]) -> str:
    return ", ".join(sorted(m.number or str(m.entry_id) for m in members))


_ABOUT_WHAT_WAS_SENT = frozenset(
    {
        "group.several_invoices", "link.credit_note_other_invoice", "link.over_matched",
        "payment.reversed_after_transfer", "payment.maybe_posted_here", "payment.back_reference",
    }
)  # fmt: skip
"""Reasons that a person must see even when nothing of the group waits; a faulty card matters only to what would go."""


def _hold_all(
    verdict: Verdict,
    present: Iterable[Member],
    reasons: Sequence[tuple[str, Mapping[str, object]]],
    *,
    is_exclusion: bool = False,
) -> None:
    """Hold every unsent entry of the group; a line with a mark of its own says that instead."""
    for member in present:
        if member.is_sent or member.origin == "agency" or member.kind == _REVERSAL:
            continue
        if member.is_marked and member.kind != _INVOICE:
            verdict.holds.append(Hold(member.entry_id, "exclusion.line", {}, is_exclusion=True))
            continue
        verdict.holds += [Hold(member.entry_id, code, values, is_exclusion) for code, values in reasons]
    told = [reason for reason in reasons if reason[0] in _ABOUT_WHAT_WAS_SENT]
    shown = verdict.invoice or next((m for m in present if m.is_sent), None)
    if shown and told and not verdict.holds:
        verdict.holds += [Hold(shown.entry_id, code, values) for code, values in told]


def _exclusion(invoice: Member, rules: Rules) -> list[tuple[str, Mapping[str, object]]]:
    """Exclusions are absolute and come before everything else (P15): any level excludes (A-08).

    They keep out what has not gone. A claim that the agency has stays there until it is withdrawn (A-43), and what is
    linked to it goes on travelling, or the agency would chase what is paid.
    """
    found: list[tuple[str, Mapping[str, object]]] = []
    if invoice.is_marked:
        found.append(("exclusion.invoice", {"user": invoice.marked_by, "date": invoice.marked_at}))
    if rules.is_customer_marked and not invoice.is_sent:
        found.append(("exclusion.customer", {}))
    return found


def _group_reasons(invoice: Member, present: Sequence[Member], rules: Rules) -> list[tuple[str, Mapping[str, object]]]:
    """Return each reason once, however many fields or items give it: a hold is known by entry and code."""
    found = list(rules.blocking)
    if invoice.hold_code:
        found.append((invoice.hold_code, {}))
    if invoice.due is None and invoice.hold_code != "document.due_date_missing":
        found.append(("document.due_date_missing", {}))
    if invoice.amount_minor <= 0 and not rules.carries_non_positive:
        found.append(("amount.not_carried", {"agency": rules.agency}))
    if invoice.is_rejected and not invoice.is_mended:
        found.append(("receipt.rejected", {"agency": rules.agency, "reason": invoice.rejected_because}))
    if rules.service is Service.COLLECTION and not invoice.is_sent:
        found += _before_collection(invoice, rules)
    found += _link_reasons(invoice, present, rules)
    return list({code: (code, values) for code, values in reversed(found)}.values())[::-1] if found else found


def _before_collection(invoice: Member, rules: Rules) -> list[tuple[str, Mapping[str, object]]]:
    """What must have passed before a hand-over: a reminder where the layout wants one, and its deadline (R-CO-13, 14).

    A reminder whose deadline nobody told is given the days that the due date gets: later is safer (A-28).
    """
    found: list[tuple[str, Mapping[str, object]]] = []
    if rules.needs_reminder and invoice.reminder_date is None:
        found.append(("collection.reminder_missing", {"agency": rules.agency}))
    days = [invoice.due + COLLECTION_WAIT] if invoice.due else []
    if invoice.reminder_deadline:
        days.append(invoice.reminder_deadline + timedelta(days=1))
    elif invoice.reminder_date:
        days.append(invoice.reminder_date + COLLECTION_WAIT)
    if days and rules.business_date and rules.business_date < max(days):
        found.append(("collection.too_early", {"date": max(days)}))
    return found


def _link_reasons(invoice: Member, present: Sequence[Member], rules: Rules) -> list[tuple[str, Mapping[str, object]]]:
    found: list[tuple[str, Mapping[str, object]]] = []
    left = 0
    for member in present:
        left += member.amount_minor
        if member.kind == _CREDIT_NOTE and member.credits and invoice.number not in member.credits:
            found.append(("link.credit_note_other_invoice", {"number": ", ".join(member.credits)}))
        if member.is_reversed and member.kind != _INVOICE:
            found.append(("payment.reversed_after_transfer", {"agency": rules.agency}))
    found += _repeats(present)
    if rules.misdirected_credit_note:
        found.append(("link.credit_note_other_invoice", {"number": invoice.number}))
    if left < 0 < invoice.amount_minor:
        found.append(("link.over_matched", {}))
    if rules.service is Service.COLLECTION and rules.has_unlinked_credit:
        found.append(("link.possible_match", {}))
    return found


_REPEATABLE = frozenset({_PAYMENT, _PAYMENT_OUT, _OTHER, _WRITE_OFF})


def _repeats(present: Sequence[Member]) -> list[tuple[str, Mapping[str, object]]]:
    """Ask about entries of the accounting system that may be what was posted or corrected here, come back (L12).

    Told or counted as they are, they would be the same money twice. What came before ours is no copy of it.
    """
    if len(present) < 2:
        return []
    ours = [m for m in present if m.is_made_here]
    found: list[tuple[str, Mapping[str, object]]] = []
    for member in present:
        if member.is_made_here or member.is_judged_payment or member.kind not in _REPEATABLE or member.is_sent:
            continue
        values = {"line": member.entry_id}
        if member.hold_code == "payment.back_reference":
            found.append((member.hold_code, values))
        elif any(m.amount_minor == member.amount_minor and m.entry_id < member.entry_id for m in ours):
            found.append(("payment.maybe_posted_here", values))
    return found


def _judge_item(verdict: Verdict, member: Member, invoice: Member, rules: Rules) -> None:
    """Decide about one entry linked to an invoice that the agency has or gets tonight."""
    if member.origin == "agency" or member.kind == _REVERSAL:
        return  # the agency's own money is never echoed (R-PM-08); a reversal does not travel (R-RV-01)
    if member.is_sent:
        if member.sent_claim != invoice.entry_id:
            verdict.holds.append(Hold(member.entry_id, "link.unlink_first", {"agency": rules.agency}))
        return
    hold = _item_hold(member, rules)
    if hold:
        verdict.holds.append(hold)
        return
    kind, direction = _as_linked(member)
    is_netted = rules.nets_at_handover and verdict.sends_invoice and kind is not LinkKind.CHARGE
    if kind not in rules.carries and not is_netted:
        verdict.holds.append(Hold(member.entry_id, NOT_CARRIED, {"agency": rules.agency}, is_exclusion=True))
        return
    verdict.items.append(Going(member, kind, direction, member.sent_version + 1))


def _item_hold(member: Member, rules: Rules) -> Hold | None:
    if member.is_marked:
        return Hold(member.entry_id, "exclusion.line", {}, is_exclusion=True)
    if _looks_like_write_off(member):
        return Hold(member.entry_id, "line.looks_like_write_off", {})
    if member.is_rejected and not member.is_mended:
        return _refusal(member, rules)
    if member.amount_minor == 0:
        return Hold(member.entry_id, "amount.not_carried", {"agency": rules.agency})
    if member.kind == _CHARGE and member.amount_minor < 0:
        # A charge stands beside the principal, so its counter-entry may not lower the principal as a voucher line would.
        return Hold(member.entry_id, NOT_CARRIED, {"agency": rules.agency}, is_exclusion=True)
    return None


def _refusal(member: Member, rules: Rules) -> Hold:
    return Hold(member.entry_id, "receipt.rejected", {"agency": rules.agency, "reason": member.rejected_because})


def _looks_like_write_off(member: Member) -> bool:
    """R-VL-10: a manual line that lowers the claim and is neither a credit note nor on a bank account."""
    if member.is_judged_payment or member.is_bank:
        return False
    manual = member.kind in {_OTHER, _WRITE_OFF}
    return manual and member.amount_minor < 0


_DEBIT, _CREDIT = Direction.DEBIT, Direction.CREDIT
_TRAVELS = {
    (_CREDIT_NOTE, _CREDIT): LinkKind.CREDIT_NOTE,
    (_PAYMENT, _CREDIT): LinkKind.DIRECT_PAYMENT,
    (_PAYMENT_OUT, _DEBIT): LinkKind.DISBURSEMENT,
    (_CHARGE, _DEBIT): LinkKind.CHARGE,
}
_MONEY = {_CREDIT: LinkKind.DIRECT_PAYMENT, _DEBIT: LinkKind.DISBURSEMENT}
_LINE = LinkKind.VOUCHER_LINE


def _as_linked(member: Member) -> tuple[LinkKind, Direction]:
    """Say as what an entry travels. A kind whose sign is not its own travels as a voucher line, never as its opposite."""
    direction = _DEBIT if member.amount_minor > 0 else _CREDIT
    if member.is_judged_payment or (member.kind == _OTHER and member.is_bank):
        return _MONEY[direction], direction
    return _TRAVELS.get((member.kind, direction), _LINE), direction


def _take_back(verdict: Verdict, former: Iterable[Member], rules: Rules) -> None:
    """Report links that were removed (R-LS-05): by the layout's own message, else to a person."""
    for member in sorted(former, key=_place):
        if not member.is_sent or member.sent_kind == _LINK_CHARGE:
            continue
        if not rules.unlink_has_message:
            verdict.holds.append(Hold(member.entry_id, "link.unlinked_after_transfer", {"agency": rules.agency}))
            continue
        if member.is_rejected and not member.is_mended:
            verdict.holds.append(_refusal(member, rules))
            continue
        direction = Direction.DEBIT if member.amount_minor < 0 else Direction.CREDIT
        verdict.items.append(Going(member, LinkKind.UNLINK, direction, member.sent_version + 1))


def _hold_double(verdict: Verdict, invoice: Member, members: Sequence[Member], rules: Rules) -> None:
    """Hold what would lower the claim below nothing because the agency still counts an item whose link is gone.

    Such items are mostly that one in other words, parts of it for example. While the claim stays above nothing they go:
    a payment kept back would let the agency chase what is paid.
    """
    code = "link.unlinked_after_transfer"
    is_stuck = any(hold.code == code for hold in verdict.holds)
    if not (is_stuck and told_by_items(invoice, members, verdict) < 0 < invoice.amount_minor):
        return
    lowering = [i for i in verdict.items if i.direction is Direction.CREDIT and i.kind is not LinkKind.UNLINK]
    verdict.holds += [Hold(item.member.entry_id, code, {"agency": rules.agency}) for item in lowering]
    verdict.items = [item for item in verdict.items if item not in lowering]


def _removed(former: Iterable[Member]) -> list[Member]:
    """Return what the agency still counts on the claim although its link is gone; charges count on none."""
    return [m for m in sorted(former, key=_place) if m.is_sent and m.sent_kind != LinkKind.CHARGE.value]


def told_by_items(invoice: Member, members: Iterable[Member], verdict: Verdict) -> int:
    """Return the open amount that the agency must be told, computed from the ledger instead of from what was told.

    The two ways must agree before a file is sealed (R-LS-15; intrum-sls.md B.13 rule 5).
    """
    going = {item.member.entry_id for item in verdict.items if item.kind is not LinkKind.UNLINK}
    taken_back = {item.member.entry_id for item in verdict.items if item.kind is LinkKind.UNLINK}
    told = invoice.amount_minor
    for member in members:
        if member.entry_id == invoice.entry_id or member.kind == _CHARGE:
            continue
        known = member.is_sent and member.sent_claim == invoice.entry_id and member.entry_id not in taken_back
        if known or (member.entry_id in going and not member.is_former):
            told += member.amount_minor
    return told
