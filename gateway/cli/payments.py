"""Incoming payments at the command line: what was matched and why, the way back, and "the same" or "another"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy import select

from gateway.cli import DONE, FAILED
from gateway.cli.common import actor, as_json, creditor_id, opened_house, say, say_rows
from gateway.db.tables import IncomingPayment, LedgerEntry, PaymentPart
from gateway.domain import reasons
from gateway.domain.money import format_minor
from gateway.errors import DataError, Refused
from gateway.services import placing, posting
from gateway.services.house import House
from gateway.services.near import evidence_of

LISTED_MAX = 1000
"""Rows of one list: past that a person filters by state."""
_STATES = ("proposed", "unmatched", "posted", "ignored")

_ids = click.argument("payment_ids", nargs=-1, type=int, required=True)
_lang = click.option("--lang", default="en", type=click.Choice(reasons.LANGUAGES), help="Language of the sentences.")


@click.group()
def payments() -> None:
    """Bank - Incoming payments: list and show them, match, post, and take back."""


@payments.command("list")
@click.option("--creditor", "key", help="Key of the creditor; not needed while there is only one.")
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES), default=("proposed", "unmatched"))
@as_json
def list_payments(key: str | None, states: tuple[str, ...], *, as_json: bool) -> None:
    """List payments, by default those that wait for a person; the newest first, at most 1000."""
    p, e = IncomingPayment, LedgerEntry
    columns = (p.id, p.state, p.label, p.booking_date, p.amount_minor, p.currency, p.reference, p.payer_name,
               p.match_rule, p.difference, e.number.label("invoice"))  # fmt: skip
    with opened_house() as house:
        owner = creditor_id(house, key)
        query = select(*columns).outerjoin(e, e.id == p.entry_id).where(p.creditor_id == owner, p.state.in_(states))
        with house.database.read() as connection:
            rows = connection.execute(query.order_by(p.id.desc()).limit(LISTED_MAX)).all()
    say_rows([_amounts(row._asdict()) for row in rows], as_json=as_json, empty="no payments")


@payments.command("show")
@click.argument("payment_id", type=int)
@_lang
@as_json
def show(payment_id: int, lang: str, *, as_json: bool) -> None:
    """Show one payment: what its file says, which rule fired, what it saw, and what stands in the way."""
    with opened_house() as house:
        facts = _facts(house, payment_id, lang)
    say(facts, as_json=as_json, text=lambda told: "\n".join(_lines(told)))


@payments.command("match")
@click.argument("payment_id", type=int)
@click.argument("invoice")
def match(payment_id: int, invoice: str) -> None:
    """Say that a payment belongs to the invoice with the number or payment reference INVOICE. Posts nothing."""
    with opened_house() as house:
        with house.database.read() as connection:
            row = placing.payment_row(connection, payment_id, is_locked=False)
            found = placing.invoices_named(connection, row.creditor_id, invoice)
        if len(found) != 1:
            raise DataError(f"{'no' if not found else 'more than one'} invoice has the number or reference {invoice}")
        placing.match(house, payment_id, found[0], actor())
    click.echo(f"payment {payment_id}: matched to {invoice}, not posted")


@payments.command("divide")
@_ids
@_lang
def divide(payment_ids: tuple[int, ...], lang: str) -> int:
    """Divide payments over the documents they name, where there is one answer. Exit 1 when one is refused."""
    return _each(payment_ids, lang, placing.divide, "divided, not posted")


@payments.command("unmatch")
@_ids
@_lang
def unmatch(payment_ids: tuple[int, ...], lang: str) -> int:
    """Take back where payments went; what was posted of them is undone in the ledger. Exit 1 when one is refused."""
    return _each(payment_ids, lang, placing.unmatch, "waits again")


@payments.command("same")
@_ids
@_lang
def same(payment_ids: tuple[int, ...], lang: str) -> int:
    """Say that possible duplicates tell money that came before. Exit 1 when one is refused."""
    return _each(payment_ids, lang, placing.same_money, "set aside, the same as an earlier payment")


@payments.command("another")
@_ids
@_lang
def another(payment_ids: tuple[int, ...], lang: str) -> int:
    """Say that possible duplicates are money of their own. Exit 1 when one is refused."""
    return _each(payment_ids, lang, placing.another_money, "a payment of its own")


@payments.command("post")
@_ids
@_lang
def post(payment_ids: tuple[int, ...], lang: str) -> int:
    """Post proposed payments; each becomes a ledger entry. Exit 1 when one is refused."""
    with opened_house() as house:
        result = posting.post(house, payment_ids, actor())
    for payment_id in result.posted:
        click.echo(f"payment {payment_id}: posted")
    for payment_id, code in result.refused.items():
        click.echo(f"payment {payment_id}: {reasons.sentence(code, lang)}", err=True)
    return FAILED if result.refused else DONE


def _each(payment_ids: tuple[int, ...], lang: str, do: Callable[[House, int, str], object], done: str) -> int:
    worst = DONE
    with opened_house() as house:
        for payment_id in dict.fromkeys(payment_ids):
            try:
                do(house, payment_id, actor())
                click.echo(f"payment {payment_id}: {done}")
            except Refused as error:
                worst = FAILED
                click.echo(f"payment {payment_id}: {reasons.sentence(error.code, lang, error.values)}", err=True)
    return worst


# --- one payment -----------------------------------------------------------------------------------------------------


_SHOWN = ("id", "state", "label", "amount_minor", "currency", "direction", "is_reversal", "status", "booking_date",
          "value_date", "payer_name", "payer_address", "payer_account", "account", "reference", "case_number",
          "claim_ref", "invoice_number", "bank_reference", "text", "charges_minor", "match_rule", "difference", "posted_by",
          "twin_id", "file_id", "position")  # fmt: skip


def _facts(house: House, payment_id: int, lang: str) -> dict[str, Any]:
    e, d = LedgerEntry, PaymentPart
    with house.database.read() as connection:
        row = placing.payment_row(connection, payment_id, is_locked=False)
        evidence = evidence_of(row)
        ids = {row.entry_id or 0, row.suggested_entry_id or 0, *(one.entry_id for one in evidence)}
        entries = {
            found.id: found
            for found in connection.execute(select(e.id, e.number, e.external_id, e.open_minor).where(e.id.in_(ids)))
        }
        query = select(e.number, d.kind, d.amount_minor).join(e, e.id == d.entry_id)
        parts = connection.execute(query.where(d.payment_id == row.id).order_by(d.place)).all()
    names = {entry_id: found.number or found.external_id for entry_id, found in entries.items()}
    target = entries.get(row.entry_id or row.suggested_entry_id)
    return _amounts({name: getattr(row, name) for name in _SHOWN}) | {
        "belongs_to": names.get(row.entry_id, ""),
        "suggested": names.get(row.suggested_entry_id, ""),
        "seen": [one.as_json() | {"document": names.get(one.entry_id, "")} for one in evidence],
        "parts": [_amounts(part._asdict() | {"currency": row.currency}) for part in parts],
        "why": _why(row, target.open_minor if target else 0, lang),
    }


def _why(row: Any, open_minor: int, lang: str) -> str:
    """Return the sentence of what keeps a payment from being exact (R-OP-09), with both amounts."""
    if not row.difference:
        return ""
    ours, theirs, surplus, charges = (
        format_minor(minor, row.currency)
        for minor in (open_minor, row.principal_minor, row.principal_minor - open_minor, row.charges_minor)
    )
    values = {"ours": ours, "open": ours, "theirs": theirs, "paid": theirs, "surplus": surplus, "charges": charges}
    values |= {"agency": row.label, "twin": str(row.twin_id or ""), "status": row.status, "currency": row.currency}
    return reasons.sentence(row.difference, lang, values)


def _amounts(facts: dict[str, Any]) -> dict[str, Any]:
    """Add to amounts in minor units the same in figures a person reads."""
    currency = facts["currency"]
    read = {"amount": format_minor(facts["amount_minor"], currency)}
    if facts.get("charges_minor"):
        read["charges"] = format_minor(facts["charges_minor"], currency)
    return facts | read


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"{name}: {str(value).replace(chr(10), ', ')}"  # an address has lines of its own
        for name, value in facts.items()
        if value not in ("", None, [], 0) and name not in _LISTS
    ]
    lines += [f"seen: {one['seen']!r} ({one['part']} {one['place']}) is the {one['field']} of {one['document']}" for one in facts["seen"]]  # fmt: skip
    return lines + [f"part: {one['number']} ({one['kind']}) {one['amount']}" for one in facts["parts"]]


_LISTS = ("seen", "parts")
