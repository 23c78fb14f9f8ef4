"""Turning judged groups into sealed files: claims handed to the plugin, bytes verified, hashed and stored.

Files are written to a spool on local disk first, never to memory, and reach the database in the run's transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from gateway.db import blobs
from gateway.db.bulk import batches
from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    LinkedItem,
    LinkKind,
    Origin,
    Seal,
    Series,
    Severity,
    Sink,
)
from gateway.domain.transfer import Going
from gateway.errors import DataError, EncodeError, PluginError
from gateway.services.cards import card_of
from gateway.services.house import House
from gateway.services.plan import Judged
from gateway.services.plan_context import PlanContext
from gateway.services.spool import NullSink, Spool, Verification

_ORIGINS = {origin.value: origin for origin in Origin}
_UNLINK = LinkKind.UNLINK
_REFERENCED = frozenset({LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE})
"""Items that have a reference of their own; a factor wants that of a credit note too."""


MISFIT_BATCH = 500
"""Claims tried together when looking for those that do not fit: few enough to keep, many enough to cost one header each."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One finished file of an export: what it says it is, and its bytes, rewound; *sha256_before* is as it was unmarked."""

    envelope: Envelope
    file_id: str
    content: BinaryIO
    sha256_before: str = ""


class UnwritableClaim(DataError):
    """The layout cannot carry a claim (a name too long, a reference of the wrong form); *entry_id* says which."""

    def __init__(self, entry_id: int, reason: str) -> None:
        self.entry_id, self.reason = entry_id, reason
        super().__init__(reason)


Misfits = Mapping[int, Sequence[tuple[str, Mapping[str, object]]]]
"""Reason codes and the values of their sentences, per invoice that the layout cannot carry."""


@dataclass(slots=True)
class Numbering:
    """Reminder numbers given in a run (R-LK-05); the creditor's counter moves when the run commits."""

    next_number: int

    def of(self, judged: Judged) -> str:
        """Return the invoice's reminder number, a new one if it has none."""
        if judged.reminder_number:
            return judged.reminder_number
        self.next_number += 1
        return str(self.next_number - 1)


def to_claim(house: House, judged: Judged, reminder_number: str, cards: dict[int, Customer], zone: ZoneInfo) -> Claim:
    """Return what the plugin is handed for one group that goes; *zone* is the creditor's, for the day of an unlink."""
    verdict, rows, invoice = judged.verdict, judged.rows, judged.verdict.invoice
    assert invoice is not None
    assert invoice.due is not None, "an invoice without a due date is held"
    row = rows[invoice.entry_id]
    told_before = judged.claim.told_minor if judged.claim and not verdict.sends_invoice else invoice.amount_minor
    items = [_linked_item(going, rows[going.member.entry_id], zone) for going in verdict.items]
    if len(items) > 1:
        items.sort(key=lambda item: (item.date, item.item_id))
    return Claim(
        claim_id=claim_id_of(invoice.entry_id),
        invoice_number=invoice.number,
        reminder_number=reminder_number,
        case_number=judged.claim.case_number if judged.claim else "",
        invoice_date=invoice.booked,
        due_date=invoice.due,
        original_minor=invoice.amount_minor,
        open_minor=told_before + verdict.told_minor,
        payment_reference=row.payment_reference,
        text=row.text,
        customer=_card(house, judged.customer, cards),
        items=tuple(items),
        reminder_date=invoice.reminder_date,
        instructions=tuple(verdict.instructions),
    )


def _card(house: House, row: Any, cards: dict[int, Customer]) -> Customer:
    """Open each card once: groups come ordered by customer, so remembering the last one is enough."""
    if row.card_id not in cards:
        cards.clear()
        cards[row.card_id] = card_of(house, row, row.card_kind)
    return cards[row.card_id]


def claim_id_of(entry_id: int) -> str:
    """Return the claim id of an invoice: unique for ever, and the key of all later traffic."""
    return f"kp-{entry_id}"


def item_id_of(going: Going) -> str:
    """Return the id of one item: another version is another id, so that nothing sent is ever named twice."""
    return f"kp-{going.member.entry_id}-{going.version}"


def _linked_item(going: Going, row: Any, zone: ZoneInfo) -> LinkedItem:
    member, kind = going.member, going.kind
    is_unlink = kind is _UNLINK
    return LinkedItem(
        item_id_of(going),
        kind,
        row.linked_at.astimezone(zone).date() if is_unlink and row.linked_at else member.booked,
        abs(member.amount_minor),
        going.direction,
        _ORIGINS[member.origin],
        member.number,
        "" if is_unlink else row.voucher_number,
        row.payment_reference if kind in _REFERENCED else "",
        row.bank_reference,
        row.text,
        row.charge_kind,
        member.sent_item_id if is_unlink else "",
    )


def make_seal(ctx: PlanContext, last: Mapping[str, int], now: datetime, series: Mapping[str, Series]) -> Seal:
    """Return the next number and a new file id per kind, and who sends to whom."""
    return Seal(
        sequences={kind: counter.after(last.get(kind, 0)) for kind, counter in series.items()},
        file_ids={kind: str(uuid.uuid4()) for kind in series},
        created_at=now.astimezone(ZoneInfo(ctx.row.time_zone)).replace(microsecond=0),
        business_date=ctx.cutoff.astimezone(ZoneInfo(ctx.row.time_zone)).date(),
        sender_id=ctx.agreement.client_number,
        receiver_id=str(ctx.agreement.settings.get("agency_id", ctx.agreement.agency_key.upper())),
        is_test=ctx.agreement.is_sandbox,
    )


def export(
    house: House,
    agreement: Agreement,
    seal: Seal,
    claims: Iterable[tuple[int, Claim]],
    sink: Sink,
    *,
    are_new: bool,
) -> tuple[Envelope, ...]:
    """Let the plugin write *claims* (entry id, claim); none given, no file.

    Raises:
        UnwritableClaim: the layout cannot carry the claim it was just handed.
    """
    last: list[int] = []

    def handed() -> Iterator[Claim]:
        for entry_id, claim in claims:
            last[:] = [entry_id]
            yield claim

    stream = handed()
    first = next(stream, None)
    if first is None:
        return ()
    try:
        return house.agencies[agreement.agency_key].export(
            chain([first], stream), agreement, seal, sink, are_new=are_new
        )
    except EncodeError as error:
        raise UnwritableClaim(last[0], str(error)) from error


def finish(
    house: House,
    ctx: PlanContext,
    seal: Seal,
    envelopes: Sequence[Envelope],
    spool: Spool,
    assignment: FactoringAssignment | None,
    verification: Verification,
) -> Iterator[Sealed]:
    """Mark (where the claims are assigned) and hand out each finished file, while *verification* reads it back.

    Raises:
        PluginError: a file was announced and not written.
    """
    agency = house.agencies[ctx.agreement.agency_key]
    for envelope in envelopes:
        if envelope.filename not in spool.files:
            raise PluginError(f"{ctx.agreement.agency_key}: {envelope.filename} was announced and not written")
        content, made, before = spool.files[envelope.filename], envelope, ""
        if assignment is not None:
            before, _ = blobs.digest(content)
            marked = Spool()
            made = agency.mark_factoring_envelope(envelope, assignment, ctx.agreement, content, marked)
            content.close()
            content = spool.files[envelope.filename] = marked.files[envelope.filename]
        verification.start(agency, made, ctx.agreement, spool.reader(envelope.filename))
        yield Sealed(made, seal.file_ids.get(made.kind, ""), content, before)


def misfits(
    house: House, ctx: PlanContext, seal: Seal, claims: Iterable[tuple[int, Claim]], *, are_new: bool
) -> Misfits:
    """Return the claims that the layout cannot carry, with reasons in the agency's own codes.

    Only done after a file failed: one customer's over-long name must not stop the others' evening (A-24). A batch that
    can be written holds none; one that cannot is halved until the claims that spoil it stand alone.
    """
    found: dict[int, Sequence[tuple[str, Mapping[str, object]]]] = {}
    for batch in batches(claims, MISFIT_BATCH):
        for (entry_id, claim), fault in _unwritable(house, ctx, seal, batch, are_new=are_new):
            said = [
                (finding.code, {**finding.values, "value": finding.value})
                for finding in house.agencies[ctx.agreement.agency_key].check_claim(claim, ctx.agreement)
                if finding.severity is Severity.BLOCKING
            ]
            # A hold is known by entry and code: two texts of one claim that are too long are one reason.
            reasons = dict(reversed(said)) or {"claim.not_writable": {"reason": fault}}
            found[entry_id] = tuple(reversed(reasons.items()))
    return found


def _unwritable(
    house: House, ctx: PlanContext, seal: Seal, batch: Sequence[tuple[int, Claim]], *, are_new: bool
) -> Iterator[tuple[tuple[int, Claim], str]]:
    try:
        export(house, ctx.agreement, seal, batch, NullSink(), are_new=are_new)
    except UnwritableClaim as error:
        if len(batch) == 1:
            yield batch[0], error.reason
            return
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            yield from _unwritable(house, ctx, seal, half, are_new=are_new)
