"""The form of an agreement: our own fields, then those the agency's plugin asks for, drawn from its JSON schema."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.exchange import AgencyProfile
from gateway.domain.transport import PULL
from gateway.errors import DataError

VALUE_CHARACTERS_MAX = 2000
FLAGS = ("posts_automatically", "uses_voucher_inbox", "may_create_cases", "treated_as_factoring")
TEXTS = ("display_name", "client_number", "payment_account", "transfer_time")
SFTP_FIELDS = ("host", "port", "user", "host_key", "upload", "download")
API_FIELDS = ("base_url", "auth_kind", "token_url", "client_id", "audience", "scope", "ca")
API_AUTH = ("oauth2", "bearer", "header")
WAYS: Mapping[str, tuple[str, ...]] = {"sftp": SFTP_FIELDS, "https": API_FIELDS, PULL: ()}
_CA_CHARACTERS_MAX = 20_000
_PLUGIN = "plugin_"


@dataclass(frozen=True, slots=True)
class SchemaField:
    """One setting of the plugin: *kind* is ``text``, ``number``, ``flag``, ``choice`` or ``shown`` (too rich to type)."""

    name: str
    title: str
    description: str
    kind: str
    value: object
    choices: Sequence[str]
    is_required: bool

    @property
    def form_name(self) -> str:
        """Name of the field in the form."""
        return _PLUGIN + self.name


def schema_fields(profile: AgencyProfile, settings: Mapping[str, Any]) -> list[SchemaField]:
    """Return the plugin's settings as fields, in the schema's order, with present values or the schema's defaults."""
    schema: Mapping[str, Any] = profile.settings_schema
    required = schema.get("required", ())
    return [
        _field(name, part, settings, is_required=name in required)
        for name, part in schema.get("properties", {}).items()
    ]


def _field(name: str, part: Mapping[str, Any], settings: Mapping[str, Any], *, is_required: bool) -> SchemaField:
    choices = [str(choice) for choice in part.get("enum", ())]
    kind = (
        "choice"
        if choices
        else {"string": "text", "integer": "number", "boolean": "flag"}.get(part.get("type", ""), "shown")
    )
    value = settings.get(name, part.get("default", ""))
    if kind == "shown":
        value = json.dumps(value, ensure_ascii=False)
    return SchemaField(name, part.get("title", name), part.get("description", ""), kind, value, choices, is_required)


def typed_settings(profile: AgencyProfile, before: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """Return the plugin's settings as typed, over those that were there; an emptied optional field is taken away.

    Raises:
        DataError: a number that is none, or a choice that is not offered. The service checks against the schema itself.
    """
    after = dict(before)
    for field in schema_fields(profile, before):
        typed = form.get(field.form_name, "").strip()[:VALUE_CHARACTERS_MAX]
        if field.kind == "flag":
            after[field.name] = typed == "1"
        elif field.kind == "shown":
            continue
        elif not typed:
            after.pop(field.name, None)
        elif field.kind == "number":
            after[field.name] = _integer(field.title, typed)
        elif field.kind == "choice" and typed not in field.choices:
            raise DataError(f"{field.title}: {typed[:60]!r} is not offered")
        else:
            after[field.name] = typed
    return after


def typed_transport(before: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """Return the way to the agency as typed.

    A folder on this machine is set from the command line only: a web form must not choose where the server writes.
    """
    kind = form.get("transport_kind", "")
    if kind == "https":
        return _typed_api(form)
    if kind == PULL:
        return {"kind": PULL}
    if kind != "sftp":
        return dict(before)
    found: dict[str, Any] = {"kind": "sftp", "keeps_files": form.get("transport_keeps_files") == "1"}
    for name in SFTP_FIELDS:
        typed = _typed(form, name)
        found[name] = _integer(name, typed or "22") if name == "port" else typed
    return found


def _typed_api(form: Mapping[str, str]) -> dict[str, Any]:
    auth = {"kind": _typed(form, "auth_kind")}
    auth |= {name: typed for name in ("token_url", "client_id", "audience", "scope") if (typed := _typed(form, name))}
    found: dict[str, Any] = {"kind": "https", "base_url": _typed(form, "base_url"), "auth": auth}
    if root := form.get("transport_ca", "").strip()[:_CA_CHARACTERS_MAX]:
        found["ca"] = root
    return found


def shown_transport(transport: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a way by the names of the form's fields."""
    auth = transport.get("auth") or {}
    return {**auth, **transport, "auth_kind": auth.get("kind", "")}


def _typed(form: Mapping[str, str], name: str) -> str:
    return form.get(f"transport_{name}", "").strip()[:VALUE_CHARACTERS_MAX]


def typed_payment_rules(form: Mapping[str, str]) -> dict[str, object]:
    """Return the rules for payments as typed; what is left empty is the creditor's. The service checks them."""
    found: dict[str, object] = {}
    if check := form.get("payment_check", "").strip():
        found["check"] = check
    if lengths := form.get("payment_lengths", "").replace(",", " ").split():
        found["lengths"] = [_integer("payment_lengths", length[:VALUE_CHARACTERS_MAX]) for length in lengths]
    if tolerance := form.get("payment_tolerance", "").strip():
        found["tolerance_minor"] = _integer("payment_tolerance", tolerance)
    return found


def _integer(name: str, typed: str) -> int:
    if not (typed.lstrip("-").isdecimal() and len(typed) < 19):
        raise DataError(f"{name}: {typed[:60]!r} is not a whole number")
    return int(typed)


def changes(row: Any, profile: AgencyProfile, form: Mapping[str, str]) -> dict[str, object]:
    """Return what the form changes on an agreement's row; fields that were not in the form stay."""
    wanted: dict[str, object] = {name: form[name].strip()[:200] for name in TEXTS if name in form}
    wanted |= {name: form.get(name) == "1" for name in FLAGS}
    for name in ("receipt_hours", "fetch_minutes"):
        if name in form:
            wanted[name] = _positive(name, form[name].strip())
    for name, allowed in (
        ("environment", {"sandbox", "production"}),
        ("profile", {layout.name for layout in profile.layouts}),
    ):
        if form.get(name) in allowed:
            wanted[name] = form[name]
    wanted["agency_accounts"] = [line.strip() for line in form.get("agency_accounts", "").splitlines() if line.strip()]
    if "payment_check" in form:
        wanted["payment_rules"] = typed_payment_rules(form)
    wanted["settings"] = typed_settings(profile, row.settings, form)
    wanted["transport"] = typed_transport(row.transport, form)
    return {name: value for name, value in wanted.items() if value != getattr(row, name)}


def _positive(name: str, typed: str) -> int:
    number = _integer(name, typed)
    if not 1 <= number <= 10_000:
        raise DataError(f"{name}: {number} is not between 1 and 10000")
    return number
