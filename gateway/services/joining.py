"""An entry made here comes back from the accounting system: the two are one piece of money (L12, accounting/README 2.2).

Whoever books in the accounting system what was posted here gives the line our reference. Without it only the bank's own
reference is proof; an equal amount in the same group is a question to a person, and holds the group until it is answered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, select, update

from gateway.db import audit
from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX, queue_groups, refresh_open
from gateway.db.tables import LedgerEntry
from gateway.domain.ledger import EntryRecord, OrderStatus
from gateway.errors import NotFound
from gateway.services.entries import SOURCE
from gateway.services.house import House
from gateway.services.marks import locked_entry, refuse_if_sent
from gateway.services.takeback import is_undone

_E = table_of(LedgerEntry)
NOT_OURS = "payment.back_reference"
"""Reason code of an entry that names a posting of ours and differs from it, or names none that waits to be joined."""
OF_THE_SOURCE = ("source", "external_id", "booked", "voucher_number", "voucher_kind", "line_number", "number", "text",
                 "counter_account", "content_hash", "link_ref")  # fmt: skip
"""What a joined entry takes over from the accounting system's line; amount and customer are the same anyway."""


def find_postings(connection: Connection, creditor_id: int, new: Iterable[tuple[EntryRecord, int]]) -> dict[str, Any]:
    """Return the row of ours that each new record repeats, by the record's external id.

    Args:
        connection: the caller's transaction.
        creditor_id: whose ledger.
        new: records that are not in the ledger, each with the id of its customer.
    """
    named, unnamed = {}, []
    for record, customer_id in new:
        if record.back_reference:
            named[record.back_reference] = (record, customer_id)
        elif record.bank_reference:
            unnamed.append((record, customer_id))
    found: dict[str, Any] = {}
    for ours in _made_here(connection, creditor_id, _E.c.external_id, named):
        record, customer_id = named[ours.external_id]
        if _money(record, customer_id) == _money(ours, ours.customer_id):
            found[record.external_id] = ours
    return found | _by_bank_reference(connection, creditor_id, unnamed, {ours.id for ours in found.values()})


def _by_bank_reference(
    connection: Connection, creditor_id: int, new: Sequence[tuple[EntryRecord, int]], joined: Collection[int]
) -> dict[str, Any]:
    """Pair records with postings of the same bank reference, payment reference, customer and amount: one with one.

    What was *joined* by its name is no record's any more.
    """
    waiting: dict[Any, list[Any]] = {}
    for ours in _made_here(connection, creditor_id, _E.c.customer_id, {customer_id for _, customer_id in new}):
        if ours.bank_reference and ours.id not in joined:
            waiting.setdefault(_identity(ours, ours.customer_id), []).append(ours)
    found = {}
    for record, customer_id in new:
        candidates = waiting.get(_identity(record, customer_id), [])
        if len(candidates) == 1:
            found[record.external_id] = candidates.pop()
    return found


def _made_here(connection: Connection, creditor_id: int, column: Any, values: Iterable[Any]) -> Iterable[Any]:
    for some in batches(sorted(values), IN_LIST_MAX):
        mine = (_E.c.creditor_id == creditor_id, _E.c.source == SOURCE, column.in_(some))
        standing = and_(_E.c.order_status == OrderStatus.INVOICED.value, ~is_undone(_E))
        yield from connection.execute(select(*_E.columns).where(*mine, standing).order_by(_E.c.id))


def _money(entry: Any, customer_id: int) -> tuple[Any, ...]:
    kind = entry.kind if isinstance(entry.kind, str) else entry.kind.value
    return kind, customer_id, entry.amount_minor, entry.currency


def _identity(entry: Any, customer_id: int) -> tuple[Any, ...]:
    return *_money(entry, customer_id), entry.bank_reference, entry.payment_reference


def same_as_posted(house: House, entry_id: int, actor: str) -> int:
    """Let an entry of the accounting system join the equal one that was made here, on a person's word.

    What an agency was told of ours stays told. The other row stays on record and counts for nothing.

    Returns:
        Id of the one entry that is left.

    Raises:
        NotFound: nothing of that amount in the entry's group was made here.
        Refused: ``exclusion.already_sent``: an agency was told the entry as money of its own.
    """
    with house.database.write() as connection:
        row = locked_entry(connection, entry_id)
        refuse_if_sent(connection, row)
        mine = (_E.c.group_id == row.group_id, _E.c.source == SOURCE, _E.c.id < row.id, ~is_undone(_E))
        query = select(*_E.columns).where(*mine, _E.c.amount_minor == row.amount_minor, _E.c.kind == row.kind)
        ours = connection.execute(query.order_by(_E.c.id).limit(1)).one_or_none()
        if ours is None or row.source == SOURCE:
            raise NotFound("nothing of this amount in the group was posted here")
        taken: Mapping[str, Any] = {name: getattr(row, name) for name in OF_THE_SOURCE}
        void = {"source": SOURCE, "external_id": f"joined:{row.id}", "order_status": OrderStatus.CANCELLED.value}
        connection.execute(update(_E).where(_E.c.id == row.id).values(group_id=row.id, link_ref="", **void))
        connection.execute(update(_E).where(_E.c.id == ours.id).values(**taken))
        now, groups = house.now(), {ours.group_id, row.id}
        refresh_open(connection, groups, now)
        queue_groups(connection, row.creditor_id, groups, now)
        facts = {"line": entry_id, "external_id": row.external_id, "posting": ours.external_id}
        audit.record(connection, row.creditor_id, now, actor, "payment.joined", "entry", ours.id, **facts)
    return int(ours.id)
