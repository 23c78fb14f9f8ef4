"""Tonight's transfers as the pages need them: one preview per agreement, made again only when something has changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from gateway.db.tables import Agreement, AuditEvent
from gateway.errors import ConfigurationError, PluginError
from gateway.services.house import House
from gateway.services.preview import Plan, preview

PLANS_MAX = 32
"""Previews kept per process; each is as large as an evening."""
AGE_MAX = timedelta(seconds=60)
"""A change that is not in the audit trail shows after this at the latest."""


@dataclass(frozen=True, slots=True)
class _Kept:
    plan: Plan
    audit_number: int
    made_at: datetime


class Plans:
    """Previews of active agreements.

    A preview costs as much as the evening itself, and a list page asks for it at every turn of a page. Every change of a
    ledger is in its creditor's audit trail, so the trail's last number says whether a kept preview still holds; asking
    for it is one step down an index. A mark set in any process is therefore seen by the next page of every other.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, agreement_id: int, creditor_id: int) -> Plan | None:
        """Return the preview of one agreement's next run; None where its plugin cannot say, which is an alarm."""
        number, now = self._last_change(creditor_id), self._house.now()
        with self._lock:
            kept = self._kept.get(agreement_id)
        if kept and kept.audit_number == number and kept.made_at <= now < min(kept.made_at + AGE_MAX, kept.plan.cutoff):
            return kept.plan
        try:
            plan = preview(self._house, agreement_id)
        except (PluginError, ConfigurationError):  # the pages of the others, and all else on this one, stand (P18)
            return None
        with self._lock:
            self._kept[agreement_id] = _Kept(plan, number, now)
            self._kept.move_to_end(agreement_id)
            while len(self._kept) > PLANS_MAX:
                self._kept.popitem(last=False)
        return plan

    def of_creditors(self, creditor_ids: Sequence[int]) -> list[tuple[Agreement, Plan]]:
        """Return the active agreements of some creditors that have a preview, with it, by creditor and name."""
        with self._house.database.session() as session:
            query = select(Agreement).where(Agreement.creditor_id.in_(creditor_ids), Agreement.state == "active")
            agreements = list(session.scalars(query.order_by(Agreement.creditor_id, Agreement.display_name)))
        planned = [(agreement, self.of(agreement.id, agreement.creditor_id)) for agreement in agreements]
        return [(agreement, plan) for agreement, plan in planned if plan is not None]

    def _last_change(self, creditor_id: int) -> int:
        query = select(func.max(AuditEvent.number)).where(AuditEvent.creditor_id == creditor_id)
        with self._house.database.read() as connection:
            return int(connection.execute(query).scalar_one() or 0)


def next_at(plan: Plan, now: datetime) -> datetime:
    """Return when the agreement next transfers: as scheduled, or the next cut-off where that moment has just passed."""
    return plan.next_run_at if plan.next_run_at and plan.next_run_at > now else plan.cutoff
