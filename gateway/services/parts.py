"""Parts of a payment that is divided over several documents: how they are kept, and what they come to (payments.md 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from gateway.db.bulk import insert_rows, table_of
from gateway.db.tables import LedgerEntry, PaymentPart

DIVIDED = "several"
"""Rule of a payment that is divided over the documents it names."""

_E = table_of(LedgerEntry)
_D = table_of(PaymentPart)
_COLUMNS = ("payment_id", "place", "entry_id", "amount_minor", "kind", "seen")


class Part(NamedTuple):
    """A document with its part of the payment; *entry* is its ledger entry, *seen* how the file names it."""

    entry: Any
    amount_minor: int
    seen: str


class Settled(NamedTuple):
    """What a payment brings one invoice: *money_minor* of it, and the credit notes that are set off against it."""

    invoice: Any
    money_minor: int
    credit_notes: tuple[Any, ...]


def settled(parts: Sequence[Part]) -> list[Settled]:
    """Return what *parts* bring each invoice; nothing where they leave more than one answer.

    A credit note belongs to the one invoice of the payment, else to the one whose number it names. Only a whole one can
    be set off: linking a part of it would take the rest along. Nobody is paid less than nothing.
    """
    invoices = [part for part in parts if part.entry.kind == "invoice"]
    homes: dict[int, list[Part]] = {part.entry.id: [] for part in invoices}
    for part in parts:
        if part.entry.kind == "credit_note":
            home = _home(part.entry, invoices)
            if home is None or part.amount_minor != part.entry.amount_minor:
                return []
            homes[home.id].append(part)
    found = []
    for part in invoices:
        credit_notes = homes[part.entry.id]
        money = part.amount_minor + sum(one.amount_minor for one in credit_notes)
        found.append(Settled(part.entry, money, tuple(one.entry for one in credit_notes)))
    return found if all(one.money_minor >= 0 for one in found) else []


def shares(parts: Sequence[Part]) -> dict[int, int]:
    """Return by invoice the money that *parts* bring it in minor units, whatever was linked since they were made.

    What counts on a claim must be taken off it as it was put on; whether it can still be posted so, `settled` says.
    """
    invoices = [part for part in parts if part.entry.kind == "invoice"]
    found = {part.entry.id: part.amount_minor for part in invoices}
    for part in parts:
        if part.entry.kind == "credit_note" and (home := _named_home(part.entry, invoices)) is not None:
            found[home.id] += part.amount_minor
    return found


def _home(credit_note: Any, invoices: Sequence[Part]) -> Any | None:
    """Return the one invoice that *credit_note* can be set off against."""
    home = _named_home(credit_note, invoices)
    if home is None or home.customer_id != credit_note.customer_id:
        return None
    is_free = credit_note.group_id in {credit_note.id, home.group_id}
    return home if is_free else None


def _named_home(credit_note: Any, invoices: Sequence[Part]) -> Any | None:
    numbers = {credit_note.credits_number, *credit_note.credits}
    homes = [part.entry for part in invoices if len(invoices) == 1 or part.entry.number in numbers]
    return homes[0] if len(homes) == 1 else None


def keep(connection: Connection, payment_id: int, parts: Sequence[Part]) -> None:
    """Store the parts of a payment, which may still be a staged one: both bear the same id."""
    rows = [
        (payment_id, place, part.entry.id, part.amount_minor, part.entry.kind, part.seen)
        for place, part in enumerate(parts, 1)
    ]
    insert_rows(connection, PaymentPart, _COLUMNS, rows)


def parts_of(connection: Connection, payment_id: int) -> list[Part]:
    """Return the parts of a payment with their ledger entries as they stand now, in the order of the file."""
    query = select(*_E.columns, _D.c.amount_minor.label("part_minor"), _D.c.seen).join(_D, _D.c.entry_id == _E.c.id)
    rows = connection.execute(query.where(_D.c.payment_id == payment_id).order_by(_D.c.place))
    return [Part(row, row.part_minor, row.seen) for row in rows]


def forget(connection: Connection, payment_id: int) -> None:
    """Take a division back."""
    connection.execute(delete(_D).where(_D.c.payment_id == payment_id))
