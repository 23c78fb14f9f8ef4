"""Whose reminders an invoice gets: the agency's, or the creditor's own (R-LS-11, R-LS-12, R-FA-12, A-06)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Agreement, Claim, Customer, LedgerEntry
from gateway.errors import Refused
from gateway.services.plan_context import factoring_settings

AGENCY_OWNS = "reminder.agency_owns"
_AT_AGENCY = ("sealed", "delivered", "accepted", "closed")
_E, _C, _A = table_of(LedgerEntry), table_of(Claim), table_of(Agreement)


def owners(connection: Connection, entry_ids: Sequence[int]) -> dict[int, str]:
    """Return by invoice the name of the agency that sends its reminders; an invoice the creditor reminds is not there.

    An agency owns what it has. With a ledger agreement it also owns what it does not have yet, unless the creditor
    keeps the invoice or its customer out, which the factoring switch allows. A claim taken back is the creditor's again.
    """
    found: dict[int, str] = {}
    for some in batches(entry_ids, IN_LIST_MAX):
        found |= _owners(connection, some)
    return found


def refuse_if_agency_owns(connection: Connection, entry_id: int) -> None:
    """Raise ``Refused`` (``reminder.agency_owns``) where a reminder of the creditor's own would be a second one."""
    owner = owners(connection, [entry_id]).get(entry_id)
    if owner is not None:
        raise Refused(AGENCY_OWNS, agency=owner)


@dataclass(frozen=True, slots=True)
class _LedgerService:
    """The agency that follows up a whole ledger, and whether single invoices may be kept from it."""

    agency: str
    keeps_some: bool


def _owners(connection: Connection, entry_ids: Sequence[int]) -> dict[int, str]:
    kept = or_(_E.c.do_not_transfer, table_of(Customer).c.do_not_transfer)
    query = (
        select(_E.c.id, _E.c.creditor_id, _E.c.currency, kept.label("is_kept"))
        .join(Customer, Customer.id == _E.c.customer_id)
        .where(_E.c.id.in_(entry_ids), _E.c.kind == "invoice")
    )
    rows = connection.execute(query).all()
    claims = _claims(connection, entry_ids)
    services = {creditor: _ledger_services(connection, creditor) for creditor in {row.creditor_id for row in rows}}
    found: dict[int, str] = {}
    for row in rows:
        state, agency = claims.get(row.id, ("", ""))
        service = services[row.creditor_id].get(row.currency)
        if state in _AT_AGENCY:
            found[row.id] = agency
        elif service and state != "withdrawn" and not (service.keeps_some and row.is_kept):
            found[row.id] = service.agency
    return found


def _claims(connection: Connection, entry_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return state and agency of each invoice's claim; one that an agency has goes before one it had."""
    query = (
        select(_C.c.entry_id, _C.c.state, _A.c.display_name)
        .join(_A, _A.c.id == _C.c.agreement_id)
        .where(_C.c.entry_id.in_(entry_ids))
        .order_by(_C.c.state.in_(_AT_AGENCY), _C.c.agreement_id)
    )
    return {row.entry_id: (row.state, row.display_name) for row in connection.execute(query)}


def _ledger_services(connection: Connection, creditor_id: int) -> Mapping[str, _LedgerService]:
    settings: Any = factoring_settings(connection, creditor_id)
    keeps_some = bool(settings and settings.use_factoring)
    takes_all = and_(_A.c.service == "ledger", _A.c.state == "active", _A.c.may_create_cases)
    query = select(_A.c.currency, _A.c.display_name).where(_A.c.creditor_id == creditor_id, takes_all)
    return {row.currency: _LedgerService(row.display_name, keeps_some) for row in connection.execute(query)}
