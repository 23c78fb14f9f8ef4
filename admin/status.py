"""Status pills: one table from stored state to tint, icon and word. Never colour alone (design/panel, point 4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple


class Pill(NamedTuple):
    """*kind* is a tint of tokens.css, *icon* of the sprite, *key* a text, most of them of the section ``state``."""

    kind: str
    icon: str
    key: str


ENVELOPE: Mapping[str, Pill] = {
    "sealed": Pill("calm", "envelope", "state.sealed"),
    "delivered": Pill("ready", "clock", "state.delivered"),
    "in_doubt": Pill("alarm", "warning", "state.in_doubt"),
    "failed": Pill("alarm", "cross", "state.failed"),
    "accepted": Pill("ok", "receipt", "state.accepted"),
    "partly": Pill("held", "warning", "state.partly"),
    "rejected": Pill("alarm", "cross", "state.rejected"),
    "overdue": Pill("alarm", "warning", "state.no_receipt"),
}
INBOUND: Mapping[str, Pill] = {
    "stored": Pill("calm", "clock", "state.stored"),
    "reading": Pill("ready", "clock", "state.reading"),
    "imported": Pill("ok", "check", "state.imported"),
    "quarantined": Pill("alarm", "quarantine", "state.quarantined"),
    "refused": Pill("alarm", "cross", "state.refused"),
    "set_aside": Pill("calm", "held", "state.set_aside"),
}
PAYMENT: Mapping[str, Pill] = {
    "proposed": Pill("ok", "check", "state.certain"),
    "suggested": Pill("idea", "search", "state.suggestion"),
    "unmatched": Pill("held", "warning", "state.unclear"),
    "posted": Pill("ok", "check", "state.posted"),
    "ignored": Pill("calm", "held", "state.ignored"),
    "reversal": Pill("alarm", "undo", "state.reversal"),
}
AGREEMENT: Mapping[str, Pill] = {
    "draft": Pill("calm", "settings", "state.draft"),
    "active": Pill("ok", "check", "state.active"),
    "ended": Pill("calm", "held", "state.ended"),
}
TASK: Mapping[str, Pill] = {
    "pending": Pill("ready", "clock", "state.pending"),
    "leased": Pill("ready", "clock", "state.leased"),
    "done": Pill("ok", "check", "state.done"),
    "failed": Pill("alarm", "cross", "state.failed"),
    "in_doubt": Pill("alarm", "warning", "state.in_doubt"),
    "stopped": Pill("alarm", "cross", "state.stopped"),
}
ITEM: Mapping[str, Pill] = {
    "sealed": Pill("calm", "clock", "state.no_answer"),
    "accepted": Pill("ok", "receipt", "state.accepted"),
    "rejected": Pill("alarm", "cross", "state.rejected"),
}
CALL: Mapping[str, Pill] = {
    "begun": Pill("alarm", "warning", "envelopes.call_begun"),
    "answered": Pill("ok", "receipt", "envelopes.call_answered"),
    "said": Pill("calm", "check", "envelopes.call_said"),
}
INVOICE: Mapping[str, Pill] = {
    "ready": Pill("ready", "clock", "state.ready"),
    "held": Pill("held", "held", "state.held"),
    "excluded": Pill("held", "held", "state.kept"),
    "sent": Pill("calm", "sent", "state.sent"),
    "receipted": Pill("ok", "receipt", "state.accepted"),
    "rejected": Pill("alarm", "warning", "state.rejected"),
    "paid": Pill("ok", "check", "state.paid"),
    "open": Pill("calm", "invoice", "state.open"),
}


def envelope_pill(state: str, receipt_due_at: datetime | None, now: datetime) -> Pill:
    """Return the pill of an envelope; a delivered one without an answer in time has a pill of its own (R-OP-12)."""
    is_late = state == "delivered" and receipt_due_at is not None and receipt_due_at < now
    return ENVELOPE["overdue" if is_late else state]
