"""Today: what goes tonight, what does not and why, what came in, what someone must look at (design/panel, point 1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import current_app, url_for
from flask_admin import AdminIndexView
from sqlalchemy import Connection, Row

from admin import present
from admin.access import may_open, person, tenant_ids
from admin.base import ENDPOINT_PREFIX, _Closed, page
from admin.held import HeldGroup, grouped
from admin.language import language
from admin.plans import Plans, next_at
from admin.queries import agencies, books
from admin.status import Pill, envelope_pill
from gateway.db.tables import Agreement
from gateway.services.house import House
from gateway.services.preview import Plan
from gateway.services.watch import Alarm, alarms

HELD_GROUPS_MAX = 40
ALARMS_MAX = 8
_PLACES = {
    "envelope": ("panel_envelopes.detail", "envelope_id"),
    "inbound_file": ("panel_inbound.detail", "file_id"),
    "agreement": ("panel_agreements.detail", "agreement_id"),
    "entry": ("panel_invoices.detail", "entry_id"),
    "incoming_payment": ("panel_payments.detail", "payment_id"),
    "payment": ("panel_payments.detail", "payment_id"),
}


@dataclass(frozen=True, slots=True)
class Tonight:
    """One agreement's line: its plan, and how last night's file fared."""

    agreement: Agreement
    plan: Plan
    tenant: Any
    envelope: Row[Any] | None
    pill: Pill | None

    @property
    def held_count(self) -> int:
        """Entries that do not go."""
        return len(self.plan.held)


class TodayView(_Closed, AdminIndexView):  # type: ignore[misc]  # the library has no types
    """The first page."""

    key = "today"
    index = None  # Flask-Admin's own first page would answer in front of ours

    def __init__(self, house: House) -> None:
        self.house = house
        super().__init__(name=self.key, endpoint=ENDPOINT_PREFIX + self.key, url="/panel")

    @page("/")
    def index_view(self) -> str:
        """Show the day."""
        me, now = person(), self.house.now()
        ids = tenant_ids(me.in_view)
        plans: Plans = current_app.extensions["kravport_plans"]
        planned = plans.of_creditors(ids)
        with self.house.database.read() as connection:
            rows = _tonight(connection, planned, now)
            facts = _facts(connection, ids, now)
        held = [group for row in rows for group in grouped(row.agreement, row.plan.held, HELD_GROUPS_MAX)]
        warnings = [group for row in rows for group in grouped(row.agreement, row.plan.warnings, HELD_GROUPS_MAX)]
        raised = alarms(self.house, ids)
        return str(
            self.render(
                "panel/today.html",
                rows=rows,
                held=held[:HELD_GROUPS_MAX],
                warnings=warnings[:HELD_GROUPS_MAX],
                not_linked=[(row, len(row.plan.not_linked)) for row in rows if row.plan.not_linked],
                alarms=raised[:ALARMS_MAX],
                alarm_count=len(raised),
                place_of=_place_of,
                heading=present.long_day(now.astimezone(ZoneInfo(_zone())).date(), language()),
                now=now,
                next_run=(first := _next_run(rows, now)),
                next_at=next_at(first.plan, now) if first else None,
                mendable=_mendable(held),
                left=lambda until: present.duration(until - now, language()),
                **facts,
            )
        )


def _tonight(connection: Connection, planned: list[tuple[Agreement, Plan]], now: datetime) -> list[Tonight]:
    last = agencies.last_envelopes(connection, [agreement.id for agreement, _ in planned])
    tenants = {tenant.id: tenant for tenant in person().tenants}
    rows = []
    for agreement, plan in planned:
        envelope = last.get(agreement.id)
        pill = envelope_pill(envelope.state, envelope.receipt_due_at, now) if envelope else None
        rows.append(Tonight(agreement, plan, tenants[agreement.creditor_id], envelope, pill))
    return rows


def _facts(connection: Connection, ids: tuple[int, ...], now: datetime) -> dict[str, Any]:
    midnight = now.astimezone(ZoneInfo(_zone())).replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "waiting": books.waiting_payments(connection, ids),
        "files_today": agencies.files_since(connection, ids, midnight),
        "has_ledger": books.has_ledger(connection, ids),
        "has_agreement": bool(agencies.agreements(connection, ids)),
    }


def _next_run(rows: list[Tonight], now: datetime) -> Tonight | None:
    return min((row for row in rows if row.plan.next_run_at), key=lambda row: next_at(row.plan, now), default=None)


def _mendable(held: list[HeldGroup]) -> int:
    return sum(len(group.entries) for group in held if group.who == "bookkeeper" and not group.is_exclusion)


def _zone() -> str:
    in_view = person().in_view
    return in_view[0].time_zone if in_view else "UTC"


def _place_of(alarm: Alarm) -> str:
    """Return the address of what an alarm is about; empty where the reader may not open it."""
    if alarm.object_type == "task":
        return url_for("panel_jobs.index_view") if may_open("jobs") else ""
    endpoint, argument = _PLACES.get(alarm.object_type, ("", ""))
    key = endpoint.partition(".")[0].removeprefix(ENDPOINT_PREFIX)
    values: dict[str, Any] = {argument: alarm.object_id}
    return url_for(endpoint, **values) if endpoint and may_open(key) else ""
