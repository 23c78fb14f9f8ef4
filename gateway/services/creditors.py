"""Creditors (tenants) and the keys their accounting systems use."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Connection, insert, select, update

from gateway.db import audit
from gateway.db.tables import Agreement, ApiKey, Creditor
from gateway.domain.references import payment_rules
from gateway.errors import DataError, NotFound
from gateway.formats.detect import PROFILES
from gateway.services.house import House

SCOPES = ("ledger:read", "ledger:write")
AGENCY_SCOPE = "agency"
"""Of a key that an agency fetches with: its one agreement, and nothing of the ledger."""


def add_creditor(
    house: House,
    *,
    key: str,
    name: str,
    organisation_number: str,
    country: str,
    currency: str,
    time_zone: str,
    language: str = "nb",
    actor: str,
) -> int:
    """Add a creditor and return its id; raises ``DataError`` for an unknown time zone or a key that is taken."""
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise DataError(f"time zone {time_zone!r} does not exist") from None
    with house.database.write() as connection:
        if connection.execute(select(Creditor.id).where(Creditor.key == key)).one_or_none():
            raise DataError(f"creditor {key!r} exists already")
        creditor_id = connection.execute(
            insert(Creditor)
            .values(
                key=key,
                name=name,
                organisation_number=organisation_number,
                country=country,
                currency=currency,
                time_zone=time_zone,
                language=language,
            )
            .returning(Creditor.id)
        ).scalar_one()
        audit.record(connection, creditor_id, house.now(), actor, "creditor.added", "creditor", key, name=name)
    return creditor_id


def find_creditor(connection: Connection, key: str) -> int:
    """Return the id of the creditor called *key*; raises ``NotFound``."""
    found = connection.execute(select(Creditor.id).where(Creditor.key == key)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"no creditor {key!r}")
    return found


def set_payment_rules(house: House, creditor_id: int, rules: Mapping[str, object], actor: str) -> None:
    """Say what the creditor agreed with its own bank: check and lengths of references, a tolerance, unverified formats.

    Raises:
        DataError: as `gateway.domain.references.payment_rules`, or a profile of a format that there is not.
        NotFound: no such creditor.
    """
    for profile in payment_rules(rules).profiles:
        if profile not in PROFILES:
            raise DataError(f"there is no format profile {profile!r}; there are {', '.join(PROFILES)}")
    with house.database.write() as connection:
        changed = update(Creditor).where(Creditor.id == creditor_id).values(payment_rules=dict(rules))
        if connection.execute(changed).rowcount != 1:
            raise NotFound(f"no creditor {creditor_id}")
        audit.record(
            connection, creditor_id, house.now(), actor, "payment_rules.changed", "creditor", creditor_id, **rules
        )


def add_api_key(house: House, creditor_id: int, name: str, scopes: Sequence[str], actor: str) -> str:
    """Make a key for an accounting system and return it whole; it is shown this once and kept only as a hash."""
    unknown = set(scopes) - set(SCOPES)
    if unknown:
        raise DataError(f"unknown scopes {sorted(unknown)}; there are {', '.join(SCOPES)}")
    with house.database.write() as connection:
        return _add_key(house, connection, actor, creditor_id=creditor_id, name=name, scopes=list(scopes))


def add_agency_key(house: House, agreement_id: int, name: str, actor: str) -> str:
    """Make a key by which the agency of an agreement fetches and reports, and return it whole; it is shown this once.

    Several may be alive at a time, so that an agency can change over; `revoke_api_key` ends one.
    """
    with house.database.write() as connection:
        mine = select(Agreement.creditor_id).where(Agreement.id == agreement_id)
        creditor_id = connection.execute(mine).scalar_one_or_none()
        if creditor_id is None:
            raise NotFound(f"no agreement {agreement_id}")
        whose = {"creditor_id": creditor_id, "agreement_id": agreement_id}
        return _add_key(house, connection, actor, **whose, name=name, scopes=[AGENCY_SCOPE])


def _add_key(house: House, connection: Connection, actor: str, **values: Any) -> str:
    prefix, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), house.now()
    row = {**values, "prefix": prefix, "secret_hash": _hash(secret), "created_at": now}
    connection.execute(insert(ApiKey).values(**row))
    facts = {name: values[name] for name in ("name", "agreement_id") if name in values}
    audit.record(connection, values["creditor_id"], now, actor, "api_key.added", "api_key", prefix, **facts)
    return f"kp_{prefix}_{secret}"


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """Who a valid key speaks for, and what it may do. *agreement_id* is that of an agency's key, else 0."""

    api_key_id: int
    creditor_id: int
    creditor_key: str
    name: str
    scopes: frozenset[str]
    agreement_id: int = 0


def find_api_key(house: House, key: str) -> ApiCaller | None:
    """Return who *key* speaks for, or None; takes the same time whether the secret is nearly right or not at all."""
    _, _, rest = key.partition("kp_")
    prefix, _, secret = rest.partition("_")
    query = (
        select(ApiKey.id.label("api_key_id"), ApiKey.secret_hash, ApiKey.scopes, ApiKey.name, ApiKey.agreement_id)
        .add_columns(Creditor.id, Creditor.key)
        .join(Creditor, Creditor.id == ApiKey.creditor_id)
        .where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None))
    )
    with house.database.read() as connection:
        row = connection.execute(query).one_or_none()
    right = hmac.compare_digest(row.secret_hash if row else _hash(""), _hash(secret))
    if not (row and right and secret):
        return None
    return ApiCaller(row.api_key_id, row.id, row.key, row.name, frozenset(row.scopes), row.agreement_id or 0)


def revoke_api_key(house: House, api_key_id: int, actor: str) -> None:
    """Make a key worthless from now on."""
    with house.database.write() as connection:
        row = connection.execute(
            update(ApiKey)
            .where(ApiKey.id == api_key_id, ApiKey.revoked_at.is_(None))
            .values(revoked_at=house.now())
            .returning(ApiKey.creditor_id, ApiKey.prefix)
        ).one_or_none()
        if row is None:
            raise NotFound("no such key, or revoked already")
        audit.record(connection, row.creditor_id, house.now(), actor, "api_key.revoked", "api_key", row.prefix)


def _hash(secret: str) -> str:
    # A key of 32 random bytes needs no slow hash: it cannot be guessed however fast one tries.
    return hashlib.sha256(secret.encode()).hexdigest()
