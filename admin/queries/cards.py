"""Reading customer cards and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, String, cast, select

from admin.queries.books import customers_found
from gateway.db.tables import Agreement, Creditor, Customer, CustomerCheck

FOUND_MAX = 200


def cards(creditor_ids: Sequence[int]) -> Select[Any]:
    """Select customer cards with their creditor, for a list."""
    query = select(*Customer.__table__.columns, Creditor.name.label("creditor_name"))
    query = query.join(Creditor, Creditor.id == Customer.creditor_id)
    return query.where(Customer.creditor_id.in_(creditor_ids))


def found_by(connection: Connection, creditor_ids: Sequence[int], words: str) -> Any:
    """Return the condition "number, organisation number or beginning of the name is *words*"."""
    ids = [row.id for row in customers_found(connection, creditor_ids, words, FOUND_MAX)]
    return Customer.id.in_(ids)


def with_warnings(creditor_ids: Sequence[int]) -> Any:
    """Return the condition "the last check of some agreement warned"."""
    mine = select(Agreement.id).where(Agreement.creditor_id.in_(creditor_ids), Agreement.state == "active")
    warned = select(CustomerCheck.customer_id).where(
        CustomerCheck.agreement_id.in_(mine), cast(CustomerCheck.findings, String).contains('"warning"')
    )
    return Customer.id.in_(warned)


def findings(connection: Connection, customer_ids: Sequence[int]) -> Mapping[int, list[tuple[str, Mapping[str, Any]]]]:
    """Return per customer what the last checks found, as (agency's name, finding), sternest first, each code once."""
    query = (
        select(CustomerCheck.customer_id, CustomerCheck.findings, Agreement.display_name)
        .join(Agreement, Agreement.id == CustomerCheck.agreement_id)
        .join(Customer, Customer.id == CustomerCheck.customer_id)
        .where(
            CustomerCheck.customer_id.in_(customer_ids),
            CustomerCheck.customer_version == Customer.version,
            Agreement.state == "active",
        )
        .order_by(Agreement.id)
    )
    rank = {"blocking": 0, "warning": 1, "info": 2}
    found: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.customer_id, []).extend((row.display_name, finding) for finding in row.findings)
    for customer_id, pairs in found.items():
        seen: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
        for agency, finding in sorted(pairs, key=lambda pair: rank[pair[1]["severity"]]):
            seen.setdefault((finding["code"], finding["place"]), (agency, finding))
        found[customer_id] = list(seen.values())
    return found


def own(connection: Connection, customer_id: int) -> Any:
    """Return one card with its creditor's name."""
    query = select(*Customer.__table__.columns, Creditor.name.label("creditor_name"), Creditor.time_zone)
    query = query.join(Creditor, Creditor.id == Customer.creditor_id)
    return connection.execute(query.where(Customer.id == customer_id)).one_or_none()
