"""The story of an invoice as a time line, newest first: received, held, linked, sent, answered, paid, what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row

from admin.present import amount
from admin.shell import sentence
from admin.texts import catalogue, counted, text
from gateway.services.preview import PlannedInvoice


class Step(NamedTuple):
    """One line of the story. *at* None: what comes next. *title* and *said* are ready to read."""

    at: datetime | None
    tint: str
    icon: str
    title: str
    said: str
    envelope_id: int | None = None
    code: str = ""


def story(
    entry: Row[Any],
    members: Sequence[Row[Any]],
    items: Sequence[Row[Any]],
    holds: Sequence[Row[Any]],
    events: Sequence[Row[Any]],
    planned: PlannedInvoice | None,
    language: str,
) -> list[Step]:
    """Return the steps, the coming one first, then newest to oldest."""
    steps = [Step(entry.received_at, "calm", "invoice", text(language, "story.received"), _from(entry, language))]
    steps += [_held(hold, language) for hold in holds]
    steps += [step for item in items for step in _travels(item, language)]
    steps += [_done(event, language) for event in events if f"act.{_key(event.action)}" in catalogue()]
    steps += [
        Step(row.linked_at, "ok", "link", text(language, "story.linked", what=_named(row, language)), "")
        for row in members
        if row.linked_at and row.id != entry.id
    ]
    # An answer in the same second as its question stands above it: later things were added later.
    steps.reverse()
    steps.sort(key=lambda step: step.at or entry.received_at, reverse=True)
    return [*_next(planned, language), *steps]


def _from(entry: Row[Any], language: str) -> str:
    return text(language, "story.received_from", source=entry.source, order=entry.order_number or entry.number)


def _held(hold: Row[Any], language: str) -> Step:
    said = sentence(hold.code, hold.values)
    return Step(
        hold.cutoff, "held", "held", text(language, "story.held", agency=hold.display_name), said, None, hold.code
    )


def _travels(item: Row[Any], language: str) -> list[Step]:
    if item.sealed_at is None:
        return []
    key = "story.sent" if item.kind == "invoice" else "story.sent_item"
    value = amount(item.amount_minor, item.currency, language)
    number = item.number or item.voucher_number
    title = text(language, key, agency=item.display_name, sequence=item.sequence)
    said = text(language, f"{key}_said", amount=value, number=number)
    found = [Step(item.sealed_at, "ready", "envelope", title, said, item.envelope_id)]
    if item.receipt_at and item.state != "sealed":
        answer = text(language, f"story.{item.state}", agency=item.display_name)
        tint, icon = ("ok", "receipt") if item.state == "accepted" else ("held", "warning")
        found.append(Step(item.receipt_at, tint, icon, answer, f"{item.reason_text} {item.reason_code}".strip()))
    return found


def _done(event: Row[Any], language: str) -> Step:
    return Step(event.at, "ok", "person", text(language, f"act.{_key(event.action)}"), event.actor)


def _key(action: str) -> str:
    return action.replace(".", "_")


def _named(row: Row[Any], language: str) -> str:
    return f"{text(language, f'kind.{row.kind}')} {row.number or row.voucher_number}".strip()


def _next(planned: PlannedInvoice | None, language: str) -> list[Step]:
    if planned is None:
        return []
    title = text(language, "story.next_invoice" if planned.is_new else "story.next_items")
    said = counted(language, "story.next_said", len(planned.items))
    return [Step(None, "next", "clock", title, said if planned.items or not planned.is_new else "")]
