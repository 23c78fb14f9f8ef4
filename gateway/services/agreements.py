"""Agreements with agencies (R-OP-01), their secrets, and the factoring settings beside them (R-FA)."""

from __future__ import annotations

import hashlib
import json
import secrets as random_secrets
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Any

from jsonschema import Draft202012Validator
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.db import audit
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import queue_claims, upsert_ignore
from gateway.db.tables import Agreement, Creditor, Envelope, FactoringSettings
from gateway.domain.calendar import business_date, cutoff
from gateway.domain.checks import check_factoring_settings
from gateway.domain.exchange import AgencyProfile, Can, Finding, LayoutProfile, Service, Severity
from gateway.domain.references import payment_rules
from gateway.domain.transport import PULL, is_pull
from gateway.errors import DataError, NotFound, Refused
from gateway.formats import pull
from gateway.https import check_settings, is_api
from gateway.services.cards import agreement_of, layout_of
from gateway.services.confirmations import is_confirmed
from gateway.services.house import House
from gateway.services.plan_context import factoring_settings, facts_of

SECRET_NAMES = (
    "webhook_secret", "webhook_secret_old", "sftp_password", "sftp_private_key", "api_client_secret", "api_token",
)  # fmt: skip
_DISPLAY = {"intrum": "Intrum Justitia", "lowell": "Lowell"}
_CHANGEABLE = frozenset(
    {
        "display_name", "settings", "transport", "environment", "payment_account", "agency_accounts", "profile",
        "posts_automatically", "uses_voucher_inbox", "transfer_time", "may_create_cases", "treated_as_factoring", "receipt_hours",
        "fetch_minutes", "client_number", "payment_rules",
    }
)  # fmt: skip
_REAL = {"factoring": "collection", "collection": "factoring"}
"""Services that exclude each other for one creditor (R-FA-14); a ledger agreement with the switch is neither (A-12)."""


def create_agreement(
    house: House,
    creditor_id: int,
    *,
    agency_key: str,
    client_number: str,
    service: str,
    currency: str,
    market: str,
    profile: str,
    display_name: str = "",
    settings: Mapping[str, object] | None = None,
    transport: Mapping[str, object] | None = None,
    environment: str = "sandbox",
    payment_account: str = "",
    agency_accounts: Sequence[str] = (),
    posts_automatically: bool = False,
    uses_voucher_inbox: bool = False,
    transfer_time: str = "18:00",
    may_create_cases: bool = True,
    treated_as_factoring: bool = False,
    receipt_hours: int = 24,
    actor: str,
) -> int:
    """Draft an agreement and return its id. It does nothing until `activate`.

    Raises:
        PluginError: no such agency plugin.
        DataError: a value the agency or its settings schema does not know.
    """
    values: dict[str, Any] = {
        "creditor_id": creditor_id,
        "agency_key": agency_key,
        "client_number": client_number,
        "service": Service(service).value,
        "currency": currency,
        "market": market,
        "profile": profile,
        "display_name": display_name or _DISPLAY.get(agency_key) or house.agencies[agency_key].profile.name,
        "settings": dict(settings or {}),
        "transport": dict(transport or {}),
        "environment": environment,
        "payment_account": payment_account,
        "agency_accounts": list(agency_accounts),
        "posts_automatically": posts_automatically,
        "uses_voucher_inbox": uses_voucher_inbox,
        "transfer_time": transfer_time,
        "may_create_cases": may_create_cases,
        "treated_as_factoring": treated_as_factoring,
        "receipt_hours": receipt_hours,
        "created_at": house.now(),
    }
    _check_values(house, values)
    with house.database.write() as connection:
        agreement_id = connection.execute(insert(Agreement).values(**values).returning(Agreement.id)).scalar_one()
        audit.record(
            connection,
            creditor_id,
            house.now(),
            actor,
            "agreement.created",
            "agreement",
            agreement_id,
            agency=agency_key,
        )
    return agreement_id


def change_agreement(house: House, agreement_id: int, changes: Mapping[str, object], actor: str) -> None:
    """Change an agreement's own settings; a new client number after something was sent is refused (R-OP-02)."""
    unknown = set(changes) - _CHANGEABLE
    if unknown:
        raise DataError(f"cannot change {', '.join(sorted(unknown))} of an agreement")
    with house.database.write() as connection:
        row = _row(connection, agreement_id)
        if changes.get("client_number", row.client_number) != row.client_number and _has_sent(connection, agreement_id):
            raise Refused("agreement.has_sent", number=row.client_number)
        merged = {**row._mapping, **changes}
        _check_values(house, merged)
        try:
            connection.execute(update(Agreement).where(Agreement.id == agreement_id).values(**changes))
        except IntegrityError as error:
            raise Refused("agreement.other_creates_cases") from error
        if "transfer_time" in changes and row.state == "active":
            _schedule(house, connection, agreement_id)
        facts = {name: value for name, value in changes.items() if name != "transport"}
        audit.record(
            connection, row.creditor_id, house.now(), actor, "agreement.changed", "agreement", agreement_id, **facts
        )


def activate(house: House, agreement_id: int, actor: str) -> None:
    """Let an agreement work from the next cut-off on.

    Raises:
        Refused: ``agreement.field_missing``, ``agreement.other_creates_cases``, ``agreement.factoring_and_collection``
            or ``delivery.unconfirmed_profile`` (a production end point with an unconfirmed layout, R-OP-18).
    """
    with house.database.write() as connection:
        row = _row(connection, agreement_id)
        _check_complete(house, connection, row)
        other = _REAL.get(row.service)
        mine = (Agreement.creditor_id == row.creditor_id, Agreement.state == "active")
        if other and connection.execute(select(Agreement.id).where(*mine, Agreement.service == other)).first():
            raise Refused("agreement.factoring_and_collection")
        try:
            connection.execute(update(Agreement).where(Agreement.id == agreement_id).values(state="active"))
        except IntegrityError as error:
            raise Refused("agreement.other_creates_cases") from error
        if row.state != "active":  # what happened to its claims while it had no run was queued for nobody
            queue_claims(connection, agreement_id, house.now())
        _schedule(house, connection, agreement_id, begins=row.state != "active")
        audit.record(connection, row.creditor_id, house.now(), actor, "agreement.activated", "agreement", agreement_id)


def end(house: House, agreement_id: int, actor: str) -> None:
    """End an agreement: nothing more goes out; what is at the agency stays visible."""
    with house.database.write() as connection:
        row = _row(connection, agreement_id)
        connection.execute(
            update(Agreement)
            .where(Agreement.id == agreement_id)
            .values(state="ended", next_run_at=None, next_fetch_at=None)
        )
        audit.record(connection, row.creditor_id, house.now(), actor, "agreement.ended", "agreement", agreement_id)


def new_webhook_token(house: House, agreement_id: int, actor: str) -> str:
    """Give the agreement a new webhook address; the token is shown this once and kept as a hash."""
    token = random_secrets.token_urlsafe(32)
    with house.database.write() as connection:
        row = _row(connection, agreement_id)
        connection.execute(
            update(Agreement).where(Agreement.id == agreement_id).values(webhook_token_hash=token_hash(token))
        )
        audit.record(connection, row.creditor_id, house.now(), actor, "webhook.new_token", "agreement", agreement_id)
    return token


def token_hash(token: str) -> str:
    """Return what is kept of a webhook token (32 random bytes need no slow hash)."""
    return hashlib.sha256(token.encode()).hexdigest()


def set_secret(house: House, agreement_id: int, name: str, value: str, actor: str) -> None:
    """Store one secret of an agreement; it can be replaced but never read back in the panel.

    A new webhook secret keeps the one before it alive, so that an agency can change over without losing a message.
    """
    if name not in SECRET_NAMES:
        raise DataError(f"no secret {name!r}; there are {', '.join(SECRET_NAMES)}")
    with house.database.write() as connection:
        row = _row(connection, agreement_id)
        kept = secrets_of(house, row)
        if name == "webhook_secret" and kept.get(name):
            kept["webhook_secret_old"] = kept[name]
        kept[name] = value
        sealed = house.secrets.encrypt(json.dumps(kept))
        connection.execute(update(Agreement).where(Agreement.id == agreement_id).values(secrets_encrypted=sealed))
        audit.record(
            connection, row.creditor_id, house.now(), actor, "secret.replaced", "agreement", agreement_id, name=name
        )


def secrets_of(house: House, row: Any) -> dict[str, str]:
    """Return an agreement's secrets, opened; for transports and webhooks only."""
    return dict(json.loads(house.secrets.decrypt(row.secrets_encrypted))) if row.secrets_encrypted else {}


def save_factoring_settings(
    house: House, creditor_id: int, settings: Mapping[str, object], actor: str
) -> tuple[Finding, ...]:
    """Save the factoring screen (R-FA-01 to R-FA-05) and return what is wrong with it.

    Nothing is saved while a finding blocks and the switch is on; switched off, incomplete settings may be kept.
    """
    names = {column.name for column in table_of(FactoringSettings).columns} - {"creditor_id"}
    if unknown := set(settings) - names:
        raise DataError(f"factoring settings have no {', '.join(sorted(unknown))}")
    with house.database.write() as connection:
        upsert_ignore(connection, FactoringSettings, [_empty_factoring(creditor_id)])
        before = factoring_settings(connection, creditor_id)
        merged = type("Merged", (), {**before._mapping, **settings})
        creditor = connection.execute(select(Creditor.country).where(Creditor.id == creditor_id)).scalar_one()
        found = check_factoring_settings(facts_of(merged), creditor, _payment_account(connection, creditor_id))
        if any(f.severity is Severity.BLOCKING for f in found) and merged.use_factoring:  # type: ignore[attr-defined]
            return found
        connection.execute(
            update(FactoringSettings).where(FactoringSettings.creditor_id == creditor_id).values(**settings)
        )
        facts = {name: str(value) for name, value in settings.items()}
        audit.record(connection, creditor_id, house.now(), actor, "factoring.saved", "creditor", creditor_id, **facts)
    return found


def _empty_factoring(creditor_id: int) -> dict[str, Any]:
    texts = ("customer_number", "name", "address", "account_number", "invoice_text")
    return {"creditor_id": creditor_id, "use_factoring": False, "posting_mode": "normal"} | dict.fromkeys(texts, "")


def _payment_account(connection: Connection, creditor_id: int) -> str:
    query = select(Agreement.payment_account).where(
        Agreement.creditor_id == creditor_id, Agreement.state == "active", Agreement.payment_account != ""
    )
    return connection.execute(query.limit(1)).scalar_one_or_none() or ""


def _check_values(house: House, values: Mapping[str, Any]) -> None:
    profile = house.agencies[values["agency_key"]].profile
    layout = profile.layout(values["profile"])
    if layout is None:
        names = ", ".join(layout.name for layout in profile.layouts) or "none"
        raise DataError(f"{profile.name} has no layout profile {values['profile']!r}; there are {names}")
    _check_layout(layout, values)
    _check_offer(profile, values)
    if values["posts_automatically"] and values["uses_voucher_inbox"]:
        raise DataError("payments are posted directly or come to the voucher inbox, not both")
    if values["environment"] not in {"sandbox", "production"}:
        raise DataError("environment is sandbox or production")
    if is_api(values["transport"]):
        check_settings(values["transport"])
    if payment_rules(values.get("payment_rules") or {}).profiles:
        raise DataError("an agreement names the unverified formats it takes in its settings (payment_profiles)")
    try:
        time.fromisoformat(values["transfer_time"])
    except ValueError:
        raise DataError(f"transfer time {values['transfer_time']!r} is not hh:mm") from None
    faults = list(Draft202012Validator(dict(profile.settings_schema)).iter_errors(values["settings"]))
    if faults:
        raise DataError("; ".join(f"setting {'.'.join(map(str, f.path)) or '-'}: {f.message}" for f in faults))


def _check_offer(profile: AgencyProfile, values: Mapping[str, Any]) -> None:
    if Service(values["service"]) not in profile.services:
        raise DataError(f"{profile.name} does not offer {values['service']}")
    if values["currency"] not in profile.currencies:
        raise DataError(f"{profile.name} does not take {values['currency']}")
    is_factored = values["treated_as_factoring"] or values["service"] == Service.FACTORING
    if is_factored and Can.MARK_FACTORING not in profile.can:
        raise DataError(f"the plugin of {profile.name} cannot mark files as assigned, and a factor's files are")


def _check_layout(layout: LayoutProfile, values: Mapping[str, Any]) -> None:
    for what, known in (("market", layout.markets), ("currency", layout.currencies)):
        if known and values[what] not in known:
            raise DataError(f"{layout.name} is for {what} {', '.join(sorted(known))}, not {values[what]}")
    if missing := [name for name in sorted(layout.settings) if values["settings"].get(name, "") == ""]:
        raise DataError(f"{layout.name} needs the setting {', '.join(missing)}")
    if values["transport"] and is_pull(values["transport"]) is not (layout.name == pull.PROFILE):
        raise DataError(f'layout {pull.PROFILE} and transport {{"kind": "{PULL}"}} go together, and with no other')


def _check_complete(house: House, connection: Connection, row: Any) -> None:
    missing = [name for name in ("client_number", "transport", "display_name") if not getattr(row, name)]
    if missing:
        raise Refused("agreement.field_missing", field=", ".join(missing))
    agreement, _ = agreement_of(connection, row.id)
    if row.environment == "production" and not is_confirmed(connection, layout_of(house, agreement)):
        raise Refused("delivery.unconfirmed_profile", profile=row.profile, agency=row.display_name)


def _schedule(house: House, connection: Connection, agreement_id: int, *, begins: bool = False) -> None:
    """Set the next run: that of the business date after the last one made, at the time of day as it is now.

    So each business date has one run, whenever the time is changed: a date that was run is not run again, and one whose
    new time is past is due at once. An agreement that *begins* (anew) does so with the next cut-off; the days without it
    had no run to miss.
    """
    row = connection.execute(
        select(Agreement.transfer_time, Agreement.last_business_date, Agreement.next_fetch_at, Creditor.time_zone)
        .join(Creditor, Creditor.id == Agreement.creditor_id)
        .where(Agreement.id == agreement_id)
    ).one()
    local, now = time.fromisoformat(row.transfer_time), house.now()
    before = business_date(now, local, row.time_zone) - timedelta(days=1)
    last = max(row.last_business_date or before, before) if begins else row.last_business_date or before
    following = cutoff(last + timedelta(days=1), local, row.time_zone)
    values = {"next_run_at": following, "last_business_date": last, "next_fetch_at": row.next_fetch_at or now}
    connection.execute(update(Agreement).where(Agreement.id == agreement_id).values(**values))


def _has_sent(connection: Connection, agreement_id: int) -> bool:
    return (
        connection.execute(select(Envelope.id).where(Envelope.agreement_id == agreement_id).limit(1)).first()
        is not None
    )


def _row(connection: Connection, agreement_id: int) -> Any:
    query = select(*table_of(Agreement).columns).where(Agreement.id == agreement_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no agreement {agreement_id}")
    return row
