"""Proposing one link group per invoice for a mixed group (R-LK-09): certain or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.domain.ledger import EntryKind


def propose(members: Sequence[Any]) -> tuple[tuple[int, ...], ...]:
    """Return groups of entry ids, one per invoice, or nothing when one item has no certain place.

    Evidence, in this order: the payment reference, a credit note's own reference to an invoice, then an equal amount
    where exactly one invoice and exactly one item have it. A person confirms; nothing is changed here.

    Args:
        members: rows with id, kind, number, amount_minor, payment_reference and credits.
    """
    invoices = [m for m in members if m.kind == EntryKind.INVOICE.value]
    items = [m for m in members if m.kind != EntryKind.INVOICE.value]
    places: dict[int, int] = {}
    for step in (_by_reference, _by_credit, _by_amount):
        open_items = [item for item in items if item.id not in places]
        open_invoices = [i for i in invoices if i.id not in places.values()] if step is _by_amount else invoices
        for item in open_items:
            found = step(item, open_invoices, open_items)
            if found is not None:
                places[item.id] = found
    if len(invoices) < 2 or len(places) != len(items):
        return ()
    return tuple(
        (invoice.id, *sorted(item for item, place in places.items() if place == invoice.id)) for invoice in invoices
    )


def _only(found: Iterable[Any]) -> int | None:
    ids = [invoice.id for invoice in found]
    return int(ids[0]) if len(ids) == 1 else None


def _by_reference(item: Any, invoices: Sequence[Any], _items: Sequence[Any]) -> int | None:
    reference = item.payment_reference
    return _only(i for i in invoices if reference and i.payment_reference == reference)


def _by_credit(item: Any, invoices: Sequence[Any], _items: Sequence[Any]) -> int | None:
    return _only(i for i in invoices if i.number in item.credits) if len(item.credits) == 1 else None


def _by_amount(item: Any, invoices: Sequence[Any], items: Sequence[Any]) -> int | None:
    rivals = [other for other in items if other.amount_minor == item.amount_minor]
    return _only(i for i in invoices if i.amount_minor == -item.amount_minor) if len(rivals) == 1 else None
