"""The evening, its watchdogs, and what stands behind it: transfer, alarms, audit trail."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlalchemy import select

from gateway.cli.common import as_json, opened_house, plain, say, say_rows
from gateway.db import audit
from gateway.db.tables import Agreement, Creditor
from gateway.domain.money import format_minor
from gateway.domain.reasons import LANGUAGES, sentence
from gateway.errors import DataError
from gateway.services import transfer as transfers
from gateway.services import watch as watching
from gateway.services.house import House
from gateway.services.preview import Held, Plan


@click.command()
@click.option(
    "--preview", "mode", flag_value="preview", help="List what the next run will send and hold. Changes nothing."
)
@click.option("--run", "mode", flag_value="run", help="Make the run of --date now instead of waiting for the evening.")
@click.option("--startup", "mode", flag_value="startup", help="Send every open invoice with its history, once.")
@click.option("--agreement", "agreement_id", type=int, help="Only this agreement; default: all active ones.")
@click.option("--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="Business date of --run; default: today there.")
@click.option("--reason", default="", help="Why --startup is repeated.")
@click.option("--lang", default="en", type=click.Choice(LANGUAGES), help="Language of the sentences.")
@as_json
def transfer(
    mode: str | None, agreement_id: int | None, day: datetime | None, reason: str, lang: str, *, as_json: bool
) -> None:
    """Show or make the transfer to the agencies.

    A run made by hand is the run of its business date: the evening of the same date does not run again.
    """
    if mode is None:
        raise click.UsageError("say --preview, --run or --startup")
    with opened_house() as house:
        for row in _agreements(house, agreement_id):
            if mode == "preview":
                plan = transfers.preview(house, row.id)
                _say_plan(row, plan, lang, as_json=as_json)
            elif mode == "run":
                made = transfers.run_evening(house, row.id, day.date() if day else _today(house, row.time_zone))
                say({"agreement": row.id, **plain(made)}, as_json=as_json, text=_run_text)
            else:
                made = transfers.startup_load(house, row.id, "cli", reason)
                say({"agreement": row.id, **plain(made)}, as_json=as_json, text=_run_text)


@click.command()
@click.option("--lang", default="en", type=click.Choice(LANGUAGES), help="Language of the sentences.")
@as_json
def watch(lang: str, *, as_json: bool) -> int:
    """List what rings: missed runs, undelivered files, missing receipts, gaps. Exit 1 when anything does."""
    with opened_house() as house:
        alarms = watching.alarms(house)
        rows = [{**plain(alarm), "text": sentence(alarm.code, lang, alarm.values)} for alarm in alarms]
    if as_json:
        say_rows(rows, as_json=True)
    else:
        shown = [{name: row[name] for name in ("since", "code", "object_type", "object_id", "text")} for row in rows]
        say_rows(shown, as_json=False, empty="no alarms")
    return 1 if rows else 0


@click.command()
@as_json
def verify(*, as_json: bool) -> int:
    """Check the audit trail of every creditor: nothing changed, removed or reordered. Exit 1 with the first fault."""
    with opened_house() as house, house.database.read() as connection:
        keys: dict[int, str] = {0: "(installation)"}
        keys |= {row.id: row.key for row in connection.execute(select(Creditor.id, Creditor.key).order_by(Creditor.id))}
        faults = {key: audit.verify(connection, creditor_id) for creditor_id, key in keys.items()}
    rows = [
        {
            "creditor": key,
            "is_intact": fault is None,
            "number": fault and fault.number,
            "reason": fault.reason if fault else "",
        }
        for key, fault in faults.items()
    ]
    say_rows(rows, as_json=as_json)
    return 1 if any(faults.values()) else 0


def _agreements(house: House, agreement_id: int | None) -> list[Any]:
    query = (
        select(Agreement.id, Agreement.display_name, Agreement.currency, Creditor.name, Creditor.time_zone)
        .join(Creditor, Creditor.id == Agreement.creditor_id)
        .where(Agreement.state == "active" if agreement_id is None else Agreement.id == agreement_id)
        .order_by(Agreement.id)
    )
    with house.database.read() as connection:
        rows = list(connection.execute(query))
    if not rows:
        raise DataError("no active agreement" if agreement_id is None else f"no agreement {agreement_id}")
    return rows


def _today(house: House, zone: str) -> date:
    return house.now().astimezone(ZoneInfo(zone)).date()


def _say_plan(row: Any, plan: Plan, lang: str, *, as_json: bool) -> None:
    say({"agreement": row.id, **plain(plan)}, as_json=as_json, text=lambda _: _plan_text(row, plan, lang))


def _plan_text(row: Any, plan: Plan, lang: str) -> str:
    total = format_minor(plan.sum_minor, row.currency)
    head = (
        f"{row.name} to {row.display_name}: {plan.invoice_count} invoices, {plan.item_count} linked items, "
        f"{total} {row.currency}, cut-off {plan.cutoff.isoformat()}"
    )
    lines = [head]
    for invoice in plan.invoices:
        new = "new" if invoice.is_new else "known"
        amount = format_minor(invoice.open_minor, invoice.currency)
        lines.append(
            f"  goes   {invoice.invoice_number}  {invoice.customer_name}  {amount}  {new}, {len(invoice.items)} items"
        )
    for title, held in (("held", plan.held), ("warned", plan.warnings), ("loose", plan.not_linked)):
        lines += [_held_text(title, one, lang) for one in held]
    return "\n".join(lines)


def _held_text(title: str, held: Held, lang: str) -> str:
    amount = format_minor(held.amount_minor, held.currency)
    return f"  {title:6} {held.number}  {held.customer_name}  {amount}  {held.code}: {sentence(held.code, lang, held.values)}"


def _run_text(made: dict[str, Any]) -> str:
    return (
        f"agreement {made['agreement']}: run {made['run_id']}, {made['invoices']} invoices, {made['items']} items, "
        f"{made['held']} held, {made['excluded']} excluded, envelopes {made['envelope_ids']}"
    )
