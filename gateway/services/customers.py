"""Mending a customer card in Kravport (R-CD-07, R-CD-08)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import select, update

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import agreements_to_look
from gateway.db.tables import Customer, CustomerCheck
from gateway.domain.exchange import CustomerKind, Finding, Severity
from gateway.errors import DataError, NotFound, PluginError
from gateway.services.cards import agreement_of, refresh_checks
from gateway.services.house import House

_TEXTS = frozenset(
    {
        "customer_number", "name", "organisation_number", "address1", "address2", "postcode", "city", "country", "email",
        "phone", "language",
    }
)  # fmt: skip
FIELDS = _TEXTS | {"kind", "national_id"}


def correct_customer(house: House, customer_id: int, changes: Mapping[str, str], actor: str) -> tuple[Finding, ...]:
    """Change fields of a card and return what is still wrong with it, over all active agreements.

    The change stands until the accounting system sends a value of its own for the field. A wrong value is stored and
    found, not refused: the finding says what is wrong, and holds (R-CD-09).

    Raises:
        DataError: a field that a card does not have, or a kind that does not exist.
    """
    if unknown := set(changes) - FIELDS:
        raise DataError(f"a customer card has no {', '.join(sorted(unknown))}")
    with house.database.write() as connection:
        row = connection.execute(
            select(*table_of(Customer).columns).where(Customer.id == customer_id).with_for_update(key_share=True)
        ).one_or_none()
        if row is None:
            raise NotFound(f"no customer {customer_id}")
        values = _values(house, changes)
        shown = {name: value for name, value in changes.items() if name in _TEXTS | {"kind"}}
        connection.execute(
            update(Customer)
            .where(Customer.id == customer_id)
            .values(**values, version=row.version + 1, changed_at=house.now(), corrected={**row.corrected, **shown})
        )
        audit.record(
            connection,
            row.creditor_id,
            house.now(),
            actor,
            "customer.corrected",
            "customer",
            customer_id,
            fields=sorted(changes),
        )
        found: list[Finding] = []
        for agreement_id, _ in agreements_to_look(connection, row.creditor_id):
            agreement, _row = agreement_of(connection, agreement_id)
            with suppress(PluginError):  # the card is mended all the same, and checked before it is sent (P18)
                refresh_checks(house, connection, agreement, [customer_id])
            query = select(CustomerCheck.findings).where(
                CustomerCheck.agreement_id == agreement_id,
                CustomerCheck.customer_id == customer_id,
                CustomerCheck.customer_version == row.version + 1,
            )
            found += [finding_of(f) for f in connection.execute(query).scalar_one_or_none() or ()]
    return tuple(_unique(found))


def _unique(findings: list[Finding]) -> list[Finding]:
    return list(
        {(f.code, f.place): f for f in sorted(findings, key=lambda f: f.severity is Severity.BLOCKING)}.values()
    )


def _values(house: House, changes: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: value.strip() for name, value in changes.items() if name in _TEXTS}
    if "kind" in changes:
        try:
            values["kind"] = CustomerKind(changes["kind"]).value if changes["kind"] else None
        except ValueError:
            raise DataError(f"kind {changes['kind']!r} is not private, company or public") from None
    if "national_id" in changes:
        number = changes["national_id"].strip()
        values["national_id_encrypted"] = house.secrets.encrypt(number) if number else None
        values["national_id_hash"] = house.secrets.keyed_hash(number) if number else None
    return values


def finding_of(stored: Mapping[str, Any]) -> Finding:
    """Return a finding from its stored form."""
    return Finding(
        Severity(stored["severity"]), stored["code"], stored["place"], stored["value"], dict(stored["values"])
    )
