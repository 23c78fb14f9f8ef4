"""Sealed files at the command line: where each stands, the calls it became, and what a person found out about one in doubt."""

from __future__ import annotations

import click
from sqlalchemy import select

from gateway.cli.common import actor, as_json, creditor_id, opened_house, say, say_rows
from gateway.db.tables import Agreement, Envelope
from gateway.services import called, delivery

LISTED_MAX = 1000
CALLS_MAX = 10_000
_STATES = ("sealed", "delivered", "in_doubt", "failed", "accepted", "partly", "rejected")


@click.group()
def envelopes() -> None:
    """Agency - Envelopes: list sealed files, show the calls of an API, settle a delivery in doubt."""


@envelopes.command("list")
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), default=_STATES, help="Default: all.")
@as_json
def list_envelopes(key: str | None, states: tuple[str, ...], *, as_json: bool) -> None:
    """List envelopes, the newest first, at most 1000."""
    e, a = Envelope, Agreement
    columns = (e.id, a.agency_key, a.client_number, e.kind, e.sequence, e.filename, e.state, e.claims, e.items,
               e.sealed_at, e.delivered_at, e.receipt_at, e.last_error)  # fmt: skip
    with opened_house() as house:
        query = select(*columns).join(a, a.id == e.agreement_id)
        query = query.where(a.creditor_id == creditor_id(house, key), e.state.in_(states))
        with house.database.read() as connection:
            rows = connection.execute(query.order_by(e.id.desc()).limit(LISTED_MAX)).all()
    say_rows([row._asdict() for row in rows], as_json=as_json, empty="no envelopes")


@envelopes.command("calls")
@click.argument("envelope_id", type=int)
@as_json
def calls(envelope_id: int, *, as_json: bool) -> None:
    """Show the calls that envelope ENVELOPE_ID became at an agency's API, as sent and as answered.

    Private values are masked. A call that is "begun" got no answer: nobody knows whether it arrived.
    """
    with opened_house() as house, house.database.read() as connection:
        rows = called.calls_of(connection, envelope_id, "", CALLS_MAX)
    shown = [
        {
            "key": row.key, "state": row.state, "method": row.method, "path": row.path, "begun_at": row.begun_at,
            "status": row.status, "headers": row.headers, "request": row.request.decode("utf-8", "replace"),
            "answer": row.answer.decode("utf-8", "replace"),
        }
        for row in rows
    ]  # fmt: skip
    say_rows(shown, as_json=as_json, empty="the envelope became no calls")


@envelopes.command("clarify")
@click.argument("envelope_id", type=int)
@click.option("--arrived/--not-arrived", required=True, help="What the agency says.")
@click.option("--call", default="", metavar="KEY", help="Of this one call only; by default of all without an answer.")
@as_json
def clarify(envelope_id: int, *, arrived: bool, call: str, as_json: bool) -> None:
    """Say whether envelope ENVELOPE_ID, in doubt, has arrived; one that has not goes again, and only that."""
    with opened_house() as house:
        delivery.confirm_delivery(house, envelope_id, actor(), arrived, call)
    say(
        {"id": envelope_id, "arrived": arrived},
        as_json=as_json,
        text=lambda told: f"envelope {told['id']} {'has arrived' if told['arrived'] else 'goes again'}",
    )
