"""Agreements with agencies: drafted, given their secrets, activated, ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from gateway.cli.common import actor, as_json, creditor_id, opened_house, read_secret, say, say_rows
from gateway.db.tables import Agreement, Creditor
from gateway.domain.exchange import Service
from gateway.services import agreements as service
from gateway.services import creditors


class _Json(click.ParamType[Any]):
    """A JSON object given as text, or as @FILE."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the object."""
        try:
            text = Path(value[1:]).read_text() if value.startswith("@") else value
            parsed = json.loads(text)
        except (OSError, ValueError) as error:
            self.fail(f"is not JSON: {error}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail("is not a JSON object", param, ctx)
        return parsed


@click.group()
def agreements() -> None:
    """Agreements of creditors with agencies."""


@agreements.command("list")
@as_json
def list_agreements(*, as_json: bool) -> None:
    """List all agreements."""
    columns = (
        Agreement.id, Creditor.key.label("creditor"), Agreement.agency_key, Agreement.client_number, Agreement.service,
        Agreement.currency, Agreement.profile, Agreement.environment, Agreement.state, Agreement.next_run_at,
    )  # fmt: skip
    query = select(*columns).join(Creditor, Creditor.id == Agreement.creditor_id).order_by(Agreement.id)
    with opened_house() as house, house.database.read() as connection:
        rows = [row._asdict() for row in connection.execute(query)]
    say_rows(rows, as_json=as_json, empty="no agreements yet")


@agreements.command("create")
@click.argument("agency_key")
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@click.option("--client-number", required=True, help="The creditor's number at the agency.")
@click.option("--service", "kind", required=True, type=click.Choice([one.value for one in Service]))
@click.option("--currency", default="NOK", show_default=True)
@click.option("--market", default="NO", show_default=True)
@click.option("--profile", required=True, help="Layout profile; see 'kravport plugins'.")
@click.option(
    "--transport",
    type=_Json(),
    required=True,
    help='{"kind": "folder", "root": …}, {"kind": "sftp", …}, {"kind": "https", …} or {"kind": "pull"} (the agency fetches); '
    "@FILE reads a file; see docs/operating.md.",
)
@click.option("--settings", type=_Json(), default="{}", help="The plugin's own settings; @FILE reads a file.")
@click.option("--environment", default="sandbox", show_default=True, type=click.Choice(["sandbox", "production"]))
@click.option("--payment-account", default="")
@click.option("--posts-automatically", is_flag=True, help="Certain matches are posted without a person.")
@click.option("--transfer-time", default="18:00", show_default=True)
@as_json
def create(agency_key: str, key: str | None, kind: str, *, as_json: bool, **values: Any) -> None:
    """Draft an agreement with the agency AGENCY_KEY. It does nothing until it is activated."""
    with opened_house() as house:
        new = service.create_agreement(
            house, creditor_id(house, key), agency_key=agency_key, service=kind, actor=actor(), **values
        )
    say({"id": new, "state": "draft"}, as_json=as_json, text=lambda r: f"agreement {r['id']} drafted")


@agreements.command("change")
@click.argument("agreement_id", type=int)
@click.option("--changes", type=_Json(), required=True, help="Fields and new values as JSON; @FILE reads a file.")
@as_json
def change(agreement_id: int, changes: dict[str, object], *, as_json: bool) -> None:
    """Change an agreement."""
    with opened_house() as house:
        service.change_agreement(house, agreement_id, changes, actor())
    say(
        {"id": agreement_id, "changed": sorted(changes)}, as_json=as_json, text=lambda r: f"agreement {r['id']} changed"
    )


@agreements.command("activate")
@click.argument("agreement_id", type=int)
@as_json
def activate(agreement_id: int, *, as_json: bool) -> None:
    """Let an agreement work from its next cut-off on."""
    with opened_house() as house:
        service.activate(house, agreement_id, actor())
    say({"id": agreement_id, "state": "active"}, as_json=as_json, text=lambda r: f"agreement {r['id']} is active")


@agreements.command("end")
@click.argument("agreement_id", type=int)
@as_json
def end(agreement_id: int, *, as_json: bool) -> None:
    """End an agreement; nothing more goes out."""
    with opened_house() as house:
        service.end(house, agreement_id, actor())
    say({"id": agreement_id, "state": "ended"}, as_json=as_json, text=lambda r: f"agreement {r['id']} has ended")


@agreements.command("token")
@click.argument("agreement_id", type=int)
@as_json
def token(agreement_id: int, *, as_json: bool) -> None:
    """Make a new webhook address for the agency; it is shown this once and the old one stops working."""
    with opened_house() as house:
        made = service.new_webhook_token(house, agreement_id, actor())
        with house.database.read() as connection:
            agency = connection.execute(select(Agreement.agency_key).where(Agreement.id == agreement_id)).scalar_one()
    path = f"/webhooks/{agency}/{made}"
    say({"id": agreement_id, "path": path}, as_json=as_json, text=lambda r: str(r["path"]))


@agreements.command("secret")
@click.argument("agreement_id", type=int)
@click.argument("name", type=click.Choice(service.SECRET_NAMES))
@click.option("--from-file", type=click.Path(path_type=Path), help="Read it from a file; '-' is standard input.")
@as_json
def secret(agreement_id: int, name: str, from_file: Path | None, *, as_json: bool) -> None:
    """Store a secret of an agreement: it is asked for, or read from a file; never given as an argument."""
    value = read_secret(name, from_file)
    with opened_house() as house:
        service.set_secret(house, agreement_id, name, value, actor())
    say({"id": agreement_id, "secret": name}, as_json=as_json, text=lambda r: f"{r['secret']} stored")


@agreements.command("agency-key")
@click.argument("agreement_id", type=int)
@click.option("--name", default="agency", show_default=True, help="What to call it in lists and in the audit trail.")
@as_json
def agency_key(agreement_id: int, name: str, *, as_json: bool) -> None:
    """Make a key by which the agency fetches its cases and reports. It is shown this once; 'kravport keys revoke' ends it."""
    with opened_house() as house:
        made = creditors.add_agency_key(house, agreement_id, name, actor())
    say({"id": agreement_id, "name": name, "key": made}, as_json=as_json, text=lambda r: str(r["key"]))
