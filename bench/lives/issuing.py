"""The documents of a creditor whose factor takes the document itself: an UBL file for each invoice and credit note."""

from __future__ import annotations

import io
from typing import Any

from gateway.demo.documents import issued
from gateway.demo.ledger import creditors
from gateway.services import documents
from tests.rules.world import GOOD_CARD, World

_ISSUER = creditors()[2]
"""A Norwegian creditor in kroner; whose name stands in the document matters to nobody here."""


def issue(world: World, customer: str, name: str, kind: str, **more: Any) -> None:
    """Make the document of the entry called *name* and keep it beside the entry, as taking a UBL file does.

    Args:
        world: whose ledger.
        customer: external id of the debtor.
        name: external id of an ``invoice`` or ``credit_note``, as *kind* says.
        more: what the ledger does not tell: ``payment_reference``, or the numbers that a note ``credits``.
    """
    entry = world.entry(name)
    card = {"type": "customer", "external_id": customer, "customer_number": customer[1:], **GOOD_CARD}
    record = {
        "type": kind, "external_id": name, "customer": customer, "number": entry.number, "currency": entry.currency,
        "amount_minor": abs(entry.amount_minor), "booked": entry.booked.isoformat(), "text": "Varer", **more,
    }  # fmt: skip
    if entry.due:
        record["due"] = entry.due.isoformat()
    (content,) = issued(_ISSUER, (), (card, record)).documents.values()
    with world.house.database.write() as connection:
        documents.keep(connection, world.creditor_id, "test", name, io.BytesIO(content))
