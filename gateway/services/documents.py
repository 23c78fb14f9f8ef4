"""The documents that a creditor's accounting system issued, kept byte for byte beside their ledger entries.

A layout that hands over the document itself (`LayoutProfile.needs_documents`) gets it with the claim; no other one pays for it.
"""

from __future__ import annotations

from typing import BinaryIO

from sqlalchemy import Connection, insert, select, update

from gateway.db import blobs
from gateway.db.bulk import table_of
from gateway.db.tables import Blob, LedgerDocument, LedgerEntry
from gateway.domain.exchange import Claim
from gateway.services.house import House
from gateway.services.plan import Judged

MAX_BYTES = 20 * 1024 * 1024
"""Of one document that is handed to a plugin: it is held in memory. A longer one is kept, and handed over as none."""


def keep(connection: Connection, creditor_id: int, source: str, external_id: str, content: BinaryIO) -> None:
    """Keep the document of an entry inside the caller's transaction; the same bytes again change nothing.

    Another document of the same entry takes the place of the first, whose bytes stay in the database. An entry that was
    rejected keeps none.

    Args:
        connection: of the transaction that took the entry.
        creditor_id: whose ledger.
        source: name of the accounting system.
        external_id: the entry's.
        content: the document; read from its beginning.
    """
    entry, document = table_of(LedgerEntry).columns, table_of(LedgerDocument)
    mine = (entry.creditor_id == creditor_id, entry.source == source, entry.external_id == external_id)
    entry_id = connection.execute(select(entry.id).where(*mine)).scalar_one_or_none()
    if entry_id is None:
        return
    content.seek(0)
    known = blobs.digest(content)
    blob = table_of(Blob).columns
    query = select(blob.sha256).join(document, document.c.blob_id == blob.id).where(document.c.entry_id == entry_id)
    before = connection.execute(query).scalar_one_or_none()
    if before == known[0]:
        return
    blob_id = blobs.store(connection, content, known).blob_id
    if before is None:
        connection.execute(insert(document).values(entry_id=entry_id, blob_id=blob_id))
    else:
        connection.execute(update(document).where(document.c.entry_id == entry_id).values(blob_id=blob_id))


def attached(house: House, claim: Claim, judged: Judged, item_ids: dict[str, int]) -> Claim:
    """Return *claim* with the documents of its invoice and items; *item_ids* are the entries of the items.

    They are read beside the run's transaction: what it hands over was committed before it began.
    """
    assert judged.verdict.invoice is not None
    invoice_id = judged.verdict.invoice.entry_id
    found = _documents(house, [invoice_id, *item_ids.values()])
    items = tuple(item._replace(document=found.get(item_ids[item.item_id], b"")) for item in claim.items)
    return claim._replace(document=found.get(invoice_id, b""), items=items)


def _documents(house: House, entry_ids: list[int]) -> dict[int, bytes]:
    document, blob = table_of(LedgerDocument).columns, table_of(Blob).columns
    query = select(document.entry_id, document.blob_id).join(table_of(Blob), blob.id == document.blob_id)
    with house.database.read() as connection:
        rows = connection.execute(query.where(document.entry_id.in_(entry_ids), blob.size <= MAX_BYTES)).all()
    found = {}
    for row in rows:
        with blobs.open_blob(house.database, row.blob_id) as content:
            found[row.entry_id] = content.read()
    return found
