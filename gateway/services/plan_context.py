"""What every group of a plan shares: the agreement, its layout, the cut-off, and the rules that bind all groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, select

from gateway.db.bulk import table_of
from gateway.db.tables import (
    FactoringSettings,
)
from gateway.domain.calendar import business_date, cutoff, local_date
from gateway.domain.checks import FactoringSettings as FactoringFacts
from gateway.domain.checks import check_factoring_settings
from gateway.domain.exchange import Agreement, LayoutProfile, LinkKind, Severity
from gateway.domain.transfer import Rules
from gateway.https import is_api
from gateway.services.cards import agreement_of, layout_of
from gateway.services.house import House


@dataclass(frozen=True, slots=True)
class PlanContext:
    """What every group of a plan shares. *row* is the agreement's row, with *time_zone* of the creditor."""

    agreement: Agreement
    layout: LayoutProfile
    row: Any
    cutoff: datetime
    rules: Rules
    is_postgres: bool

    @property
    def is_api(self) -> bool:
        """Whether the agency is reached by calls instead of a mailbox."""
        return is_api(self.row.transport)


def context(house: House, connection: Connection, agreement_id: int, cut: datetime | None = None) -> PlanContext:
    """Return the shared facts of a plan; *cut* defaults to the next cut-off of the agreement's schedule."""
    agreement, row = agreement_of(connection, agreement_id)
    layout = layout_of(house, agreement)
    local = time.fromisoformat(row.transfer_time)
    if cut is None:
        day = business_date(house.now(), local, row.time_zone)
        if row.last_business_date:  # a time that was put off today does not make a second run of today
            day = max(day, row.last_business_date + timedelta(days=1))
        cut = cutoff(day, local, row.time_zone)
    rules = Rules(
        agency=agreement.display_name,
        service=agreement.service,
        carries=layout.carries,
        carries_non_positive=layout.carries_non_positive_invoices,
        unlink_has_message=layout.unlink_has_message and LinkKind.UNLINK in layout.carries,
        blocking=_factoring_faults(connection, row),
        business_date=local_date(cut, row.time_zone),
        needs_reminder=layout.collection_needs_reminder,
        nets_at_handover=layout.nets_at_handover,
    )
    return PlanContext(agreement, layout, row, cut, rules, connection.dialect.name == "postgresql")


def _factoring_faults(connection: Connection, row: Any) -> tuple[tuple[str, Mapping[str, object]], ...]:
    """Return what of the factoring settings blocks while the agency is treated as a factor (R-FA-03, R-FA-05)."""
    settings = factoring_settings(connection, row.creditor_id)
    is_factoring = row.service == "factoring" or (row.treated_as_factoring and settings and settings.use_factoring)
    if not is_factoring:
        return ()
    facts = facts_of(settings)
    found = check_factoring_settings(facts, row.market, row.payment_account)
    blocking = {f.code: f.values for f in reversed(found) if f.severity is Severity.BLOCKING}
    return tuple(reversed(blocking.items()))  # four empty fields are one reason to hold; the first is named


def factoring_settings(connection: Connection, creditor_id: int) -> Any:
    """Return the row of a creditor's factoring settings, or None."""
    columns = table_of(FactoringSettings).columns
    return connection.execute(select(*columns).where(columns.creditor_id == creditor_id)).one_or_none()


def facts_of(settings: Any) -> FactoringFacts:
    """Return factoring settings as the checks want them; a creditor without any has empty ones."""
    if settings is None:
        return FactoringFacts("", "", "", "")
    return FactoringFacts(
        settings.customer_number,
        settings.name,
        settings.address,
        settings.account_number,
        settings.invoice_text,
        settings.posting_mode,
    )
