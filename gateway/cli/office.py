"""Creditors, the keys of their accounting systems, and the people of the panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from sqlalchemy import select

from gateway.cli.common import actor, as_json, creditor_id, opened_house, read_secret, say, say_rows
from gateway.db.tables import ApiKey, Creditor, User
from gateway.domain.identifiers import KidCheck, OcrLevel
from gateway.formats.detect import PROFILES
from gateway.services import creditors as creditor_service
from gateway.services import people

_secret_file = click.option(
    "--password-file", type=click.Path(path_type=Path), help="Read the password from a file; '-' is standard input."
)


@click.group()
def creditors() -> None:
    """The companies whose ledgers Kravport carries; one creditor is one tenant."""


@creditors.command("list")
@as_json
def list_creditors(*, as_json: bool) -> None:
    """List the creditors."""
    columns = (
        Creditor.key,
        Creditor.name,
        Creditor.organisation_number,
        Creditor.country,
        Creditor.currency,
        Creditor.time_zone,
    )
    with opened_house() as house, house.database.read() as connection:
        rows = [row._asdict() for row in connection.execute(select(*columns).order_by(Creditor.key))]
    say_rows(rows, as_json=as_json, empty="no creditors yet")


@creditors.command("add")
@click.argument("key")
@click.option("--name", required=True)
@click.option("--organisation-number", required=True)
@click.option("--country", default="NO", show_default=True)
@click.option("--currency", default="NOK", show_default=True)
@click.option("--time-zone", default="Europe/Oslo", show_default=True)
@click.option("--language", default="nb", show_default=True, type=click.Choice(["nb", "sv", "en"]))
@as_json
def add_creditor(*, as_json: bool, **values: str) -> None:
    """Add a creditor under a short KEY."""
    with opened_house() as house:
        new = creditor_service.add_creditor(house, **values, actor=actor())
    say({"creditor": values["key"], "id": new}, as_json=as_json, text=lambda r: f"creditor {r['creditor']} added")


@creditors.command("bank")
@click.argument("key")
@click.option(
    "--check", type=click.Choice([one.value for one in (*KidCheck, *OcrLevel)]), help="How references are checked."
)
@click.option(
    "--length", "lengths", type=int, multiple=True, help="A length of references; may be given several times."
)
@click.option("--tolerance", "tolerance_minor", type=int, help="How far off an amount may be, in minor units.")
@click.option(
    "--profile", "profiles", multiple=True, type=click.Choice(PROFILES),
    help="Take a payment format of the bank that nobody has confirmed, by this profile.",
)  # fmt: skip
@as_json
def bank_rules(key: str, *, as_json: bool, **options: Any) -> None:
    """Say how payment files of the creditor's own bank are read and judged. What is not named is not agreed."""
    rules = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items() if value}
    with opened_house() as house:
        creditor_service.set_payment_rules(house, creditor_id(house, key), rules, actor())
    say(
        {"creditor": key, "payment_rules": rules},
        as_json=as_json,
        text=lambda told: f"creditor {told['creditor']}: {told['payment_rules'] or 'nothing agreed'}",
    )


@click.group()
def keys() -> None:
    """API keys of accounting systems."""


@keys.command("list")
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@as_json
def list_keys(key: str | None, *, as_json: bool) -> None:
    """List a creditor's keys; their secrets are not kept and cannot be shown."""
    columns = (ApiKey.id, ApiKey.name, ApiKey.prefix, ApiKey.scopes, ApiKey.created_at, ApiKey.revoked_at)
    with opened_house() as house:
        owner = creditor_id(house, key)
        with house.database.read() as connection:
            query = select(*columns).where(ApiKey.creditor_id == owner).order_by(ApiKey.id)
            rows = [row._asdict() for row in connection.execute(query)]
    say_rows(rows, as_json=as_json, empty="no keys yet")


@keys.command("add")
@click.argument("name")
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(creditor_service.SCOPES), default=creditor_service.SCOPES
)
@as_json
def add_key(name: str, key: str | None, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Make a key for an accounting system called NAME. It is shown this once."""
    with opened_house() as house:
        made = creditor_service.add_api_key(house, creditor_id(house, key), name, scopes, actor())
    say({"name": name, "key": made}, as_json=as_json, text=lambda r: str(r["key"]))


@keys.command("revoke")
@click.argument("key_id", type=int)
@as_json
def revoke_key(key_id: int, *, as_json: bool) -> None:
    """Revoke a key; it stops working at once."""
    with opened_house() as house:
        creditor_service.revoke_api_key(house, key_id, actor())
    say({"id": key_id, "revoked": True}, as_json=as_json, text=lambda r: f"key {r['id']} revoked")


@click.group()
def users() -> None:
    """People who may log in to the panel."""


@users.command("list")
@as_json
def list_users(*, as_json: bool) -> None:
    """List the people, their roles and creditors."""
    with opened_house() as house, house.database.session() as session:
        found = session.scalars(select(User).order_by(User.email)).all()
        rows = [
            {
                "email": user.email,
                "roles": [role.name for role in user.roles],
                "creditors": [creditor.key for creditor in user.creditors],
                "active": user.active,
            }
            for user in found
        ]
    say_rows(rows, as_json=as_json, empty="nobody yet")


@users.command("add")
@click.argument("email")
@click.option("--role", "roles", multiple=True, required=True, type=click.Choice(people.ROLES))
@click.option("--creditor", "creditor_keys", multiple=True, help="A creditor the person may see; admins see all.")
@click.option("--language", default="nb", show_default=True, type=click.Choice(people.LANGUAGES))
@_secret_file
@as_json
def add_user(
    email: str,
    roles: tuple[str, ...],
    creditor_keys: tuple[str, ...],
    language: str,
    password_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Add a person. The password is asked for, or read from a file; never given as an argument."""
    password = read_secret(f"Password for {email}", password_file)
    with opened_house() as house:
        ids = [creditor_id(house, key) for key in creditor_keys]
        new = people.add_user(house, email, password, roles, ids, language, actor())
    say({"email": email, "id": new}, as_json=as_json, text=lambda r: f"{r['email']} may log in")


@users.command("password")
@click.argument("email")
@_secret_file
@as_json
def set_password(email: str, password_file: Path | None, *, as_json: bool) -> None:
    """Give a person a new password."""
    password = read_secret(f"New password for {email}", password_file)
    with opened_house() as house:
        with house.database.read() as connection:
            user_id = connection.execute(select(User.id).where(User.email == email.lower())).scalar_one_or_none()
        if user_id is None:
            raise click.ClickException(f"nobody is called {email}")
        people.set_password(house, user_id, password, actor())
    say({"email": email}, as_json=as_json, text=lambda r: f"{r['email']} has a new password")
