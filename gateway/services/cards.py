"""Customer cards as agencies see them, and what is wrong with them per agreement (R-CD)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select, text

from gateway.agencies import readable_text
from gateway.db.bulk import batches, insert_rows, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import Creditor, CustomerCheck
from gateway.db.tables import Customer as CustomerRow
from gateway.domain.checks import check_customer, has_blocking
from gateway.domain.exchange import Agreement, Customer, CustomerKind, Finding, LayoutProfile, Service
from gateway.domain.identifiers import identity_scheme
from gateway.domain.reasons import Said
from gateway.errors import ConfigurationError, NotFound
from gateway.services.house import House


def agreement_of(connection: Connection, agreement_id: int) -> tuple[Agreement, Any]:
    """Return an agreement as plugins see it, and its row; raises ``NotFound``."""
    query = (
        select(*table_of(AgreementRow).columns, Creditor.name.label("creditor_name"), Creditor.time_zone)
        .join(Creditor, Creditor.id == AgreementRow.creditor_id)
        .where(AgreementRow.id == agreement_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no agreement {agreement_id}")
    return as_agreement(row), row


def as_agreement(row: Any) -> Agreement:
    """Return the value that crosses to a plugin, from a row with *creditor_name*."""
    return Agreement(
        agreement_id=row.id,
        agency_key=row.agency_key,
        creditor_id=row.creditor_id,
        creditor_name=row.creditor_name,
        display_name=row.display_name,
        client_number=row.client_number,
        service=Service(row.service),
        market=row.market,
        currency=row.currency,
        profile=row.profile,
        is_sandbox=row.environment == "sandbox",
        settings=row.settings,
    )


def layout_of(house: House, agreement: Agreement) -> LayoutProfile:
    """Return the layout profile an agreement names; raises ``ConfigurationError`` when its plugin has no such one."""
    layout = house.agencies[agreement.agency_key].profile.layout(agreement.profile)
    if layout is None:
        raise ConfigurationError(f"{agreement.agency_key} has no layout profile {agreement.profile!r}")
    return layout


def card_of(house: House, row: Any, kind_name: str | None) -> Customer:
    """Return a customer card from a row with the card's columns, its national id opened."""
    kind = CustomerKind(kind_name) if kind_name else None
    national_id = house.secrets.decrypt(row.national_id_encrypted) if row.national_id_encrypted else ""
    number = national_id if kind is CustomerKind.PRIVATE else row.organisation_number
    return Customer(
        customer_number=row.customer_number,
        kind=kind,
        name=row.name,
        organisation_number=row.organisation_number,
        national_id=national_id,
        identity_scheme=identity_scheme(row.country, kind, number),
        address1=row.address1,
        address2=row.address2,
        postcode=row.postcode,
        city=row.city,
        country=row.country,
        email=row.email,
        phone=row.phone,
        language=row.language,
        has_own_number=bool(row.customer_number),
    )


def refresh_checks(house: House, connection: Connection, agreement: Agreement, customer_ids: Iterable[int]) -> None:
    """Check again the cards whose version is not the one last checked (R-CD-10)."""
    layout = layout_of(house, agreement)
    columns = table_of(CustomerRow).columns
    join = (CustomerCheck.customer_id == CustomerRow.id) & (CustomerCheck.agreement_id == agreement.agreement_id)
    for some in batches(sorted(set(customer_ids)), IN_LIST_MAX):
        stale = (
            select(*columns)
            .outerjoin(CustomerCheck, join)
            .where(CustomerRow.id.in_(some))
            .where((CustomerCheck.customer_version.is_(None)) | (CustomerCheck.customer_version != CustomerRow.version))
        )
        rows = connection.execute(stale).all()
        if rows:
            _store_checks(house, connection, agreement, layout, rows)


def _store_checks(
    house: House, connection: Connection, agreement: Agreement, layout: LayoutProfile, rows: Sequence[Any]
) -> None:
    if connection.dialect.name == "postgresql":
        # A preview and a run may find the same cards unchecked; the second then replaces what the first has written.
        connection.execute(
            text("select pg_advisory_xact_lock(7422, :agreement)"), {"agreement": agreement.agreement_id}
        )
    twins = _twins(connection, agreement.creditor_id, rows)
    cards = [card_of(house, row, row.kind) for row in rows]
    said = house.agencies[agreement.agency_key].check_customers(cards, agreement)
    made = []
    for row, card, own in zip(rows, cards, said, strict=True):
        findings = check_customer(card, agreement, layout, own, duplicate_of=twins.get(row.id, ""))
        as_json = [finding_json(finding) for finding in findings]
        made.append((agreement.agreement_id, row.id, row.version, has_blocking(findings), as_json, house.now()))
    connection.execute(
        delete(CustomerCheck).where(
            CustomerCheck.agreement_id == agreement.agreement_id,
            CustomerCheck.customer_id.in_([row.id for row in rows]),
        )
    )
    columns = ("agreement_id", "customer_id", "customer_version", "is_blocking", "findings", "checked_at")
    insert_rows(connection, CustomerCheck, columns, made)


def _twins(connection: Connection, creditor_id: int, rows: Sequence[Any]) -> Mapping[int, str]:
    """Return for each card the number of another card with the same identity, where there is one."""
    numbers = {row.organisation_number for row in rows if row.organisation_number}
    hashes = {row.national_id_hash for row in rows if row.national_id_hash}
    others: dict[str, list[tuple[int, str]]] = {}
    c = CustomerRow
    for column, wanted in ((c.organisation_number, numbers), (c.national_id_hash, hashes)):
        if wanted:
            query = select(column, c.id, c.customer_number).where(c.creditor_id == creditor_id, column.in_(wanted))
            for value, customer_id, number in connection.execute(query):
                others.setdefault(value or "", []).append((customer_id, number))
    found = {}
    for row in rows:
        for value in (row.organisation_number, row.national_id_hash):
            twin = next((number for customer_id, number in others.get(value, []) if customer_id != row.id), "")
            if value and twin:
                found[row.id] = twin
    return found


def _stored_value(value: object) -> object:
    """A sentence of ours is stored as its code: whoever reads the finding later may read another language."""
    return value.as_json() if isinstance(value, Said) else readable_text(str(value))


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as it is stored and served."""
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "place": readable_text(finding.place),
        "value": readable_text(finding.value),
        "values": {key: _stored_value(value) for key, value in finding.values.items()},
    }
