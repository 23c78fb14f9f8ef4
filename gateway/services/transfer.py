"""The evening run and the start-up load: one transaction each, and the preview of what they will do.

The agreement is locked first. A mark set at 17:59:59 waits for nobody and is seen; one set while the run works waits for
the lock and then is refused, because the invoice has gone. Nothing is sent here: delivery is a promise in the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import upsert_ignore
from gateway.db.tables import Agreement, Claim, Creditor, Envelope, LedgerEntry, Pending, TransferRun
from gateway.domain.calendar import cutoff as cutoff_of
from gateway.errors import NotFound, Refused
from gateway.services.house import House
from gateway.services.plan_context import context
from gateway.services.preview import preview
from gateway.services.run import Run, RunResult


def run_evening(house: House, agreement_id: int, business_date: date) -> RunResult:
    """Make the run of one business date; a second call for the same date changes nothing and returns the same (R-LS-14).

    Raises:
        NotFound: no such agreement.
        PluginError: the plugin's file does not hold what it was handed; nothing is committed.
    """
    with house.database.write() as connection:
        row = _lock(connection, agreement_id)
        done = _made(connection, agreement_id, business_date)
        if done is not None or row.state != "active":
            return done or RunResult(0, 0, 0, 0, 0, ())
        local = time.fromisoformat(row.transfer_time)
        ctx = context(house, connection, agreement_id, cutoff_of(business_date, local, _zone(connection, row)))
        with house.database.read() as ahead:
            result = Run(house, connection, ctx, business_date, "evening", ahead=ahead).make()
        connection.execute(
            update(Agreement)
            .where(Agreement.id == agreement_id)  # an evening made late does not turn the calendar back
            .values(last_business_date=max(row.last_business_date or business_date, business_date))
        )
    house.ring()
    return result


def startup_load(house: House, agreement_id: int, actor: str, reason: str = "") -> RunResult:
    """Send every open invoice with all its linked items, once, on a person's request (R-LS-09, R-LS-10).

    A repetition needs a written *reason* and skips what the agency has accepted.

    Raises:
        Refused: ``startup.reason_needed`` when it was done before and no reason is given.
    """
    with house.database.write() as connection:
        row = _lock(connection, agreement_id)
        if row.startup_loaded_at is not None and not reason.strip():
            raise Refused("startup.reason_needed", date=row.startup_loaded_at.date())
        if row.state != "active":
            raise Refused("agreement.not_active")
        now = house.now()
        groups = connection.execute(_open_invoices(row, LedgerEntry.group_id)).scalars().all()
        upsert_ignore(
            connection, Pending, [{"agreement_id": agreement_id, "group_id": g, "queued_at": now} for g in groups]
        )
        ctx = context(house, connection, agreement_id, now)
        today = now.astimezone(ZoneInfo(_zone(connection, row))).date()
        result = Run(house, connection, ctx, today, "startup", reason).make()
        connection.execute(update(Agreement).where(Agreement.id == agreement_id).values(startup_loaded_at=now))
        facts = {"invoices": result.invoices, "items": result.items, "reason": reason}
        audit.record(connection, row.creditor_id, now, actor, "startup.loaded", "agreement", agreement_id, **facts)
    house.ring()
    return result


@dataclass(frozen=True, slots=True)
class StartupPreview:
    """What a start-up load would concern: open invoices, their sum in minor units, and how many the agency has."""

    open_invoices: int
    sum_minor: int
    already_accepted: int


def preview_startup(house: House, agreement_id: int) -> StartupPreview:
    """Count what a start-up load would send."""
    with house.database.read() as connection:
        row = connection.execute(select(*table_of(Agreement).columns).where(Agreement.id == agreement_id)).one()
        count, total = connection.execute(
            _open_invoices(row, func.count(), func.coalesce(func.sum(LedgerEntry.open_minor), 0))
        ).one()
        known = connection.execute(
            _open_invoices(row, func.count()).join(
                Claim,
                (Claim.entry_id == LedgerEntry.id) & (Claim.agreement_id == agreement_id) & (Claim.state != "rejected"),
            )
        ).scalar_one()
    return StartupPreview(count, int(total), known)


def _open_invoices(row: Any, *what: Any) -> Any:
    e = LedgerEntry
    return (
        select(*what)
        .select_from(e)
        .where(
            e.creditor_id == row.creditor_id,
            e.currency == row.currency,
            e.kind == "invoice",
            e.order_status == "invoiced",
            e.closed_at.is_(None),
        )
    )


def _lock(connection: Connection, agreement_id: int) -> Any:
    query = select(*table_of(Agreement).columns).where(Agreement.id == agreement_id).with_for_update(key_share=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no agreement {agreement_id}")
    return row


def _zone(connection: Connection, row: Any) -> str:
    return connection.execute(select(Creditor.time_zone).where(Creditor.id == row.creditor_id)).scalar_one()


def _made(connection: Connection, agreement_id: int, business_date: date) -> RunResult | None:
    """Return the result of a run made earlier, or None."""
    r = TransferRun
    query = select(r.id, r.invoices_sent, r.items_sent, r.held, r.excluded).where(
        r.agreement_id == agreement_id, r.business_date == business_date, r.kind == "evening"
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    envelopes = connection.execute(select(Envelope.id).where(Envelope.run_id == row.id).order_by(Envelope.id))
    return RunResult(row.id, row.invoices_sent, row.items_sent, row.held, row.excluded, tuple(envelopes.scalars()))


__all__ = ["RunResult", "StartupPreview", "preview", "preview_startup", "run_evening", "startup_load"]
