"""The other end in acceptance tests: the sandbox agency of the plugin, its post, and our files read with other eyes."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree
from sqlalchemy import select

from gateway.db.blobs import open_blob
from gateway.db.bulk import table_of
from gateway.db.tables import Claim, Envelope
from gateway.services import delivery, inbound

NS = "{urn:kravport:sls:1}"


@dataclass(frozen=True)
class Carried:
    """One invoice element of a file of ours: what it says, and its items as (element, amount in kroner)."""

    invoice: str
    reminder: str
    open: float
    is_new: bool
    items: tuple[tuple[str, float], ...]


class Far:
    """The agency of one agreement, and the way of files between it and us."""

    def __init__(self, world: Any, root: Path, **facts: Any) -> None:
        maker = importlib.import_module(f"plugins.{world.agency}.sandbox").make_sandbox
        known = {
            "client_number": "4711",
            "ledger_id": "4711-" + world.currency,
            "currency": world.currency,
            "country": world.country,
        }
        self.world, self.agency = world, maker(root, known | facts)

    def night(self) -> list[str]:
        """Deliver what is sealed, let the agency work, read what it answers; return names of the answers."""
        self.deliver()
        self.agency.work(self.world.clock())
        return self.collect()

    def deliver(self) -> None:
        columns = table_of(Envelope).columns
        with self.world.house.database.read() as connection:
            waiting = connection.execute(
                select(columns.id).where(columns.state == "sealed").order_by(columns.run_id, columns.delivery_order)
            )
            ids = waiting.scalars().all()
        for envelope_id in ids:
            delivery.deliver(self.world.house, envelope_id)

    def collect(self) -> list[str]:
        """Take every waiting answer out of the mailbox and read it."""
        names = []
        for path in sorted(self.agency.download.iterdir()):
            names.append(path.name)
            row = self.world.take_file(path.name, path.read_bytes())
            assert row.state == "imported", row.findings
            path.unlink()
        return names

    # --- money --------------------------------------------------------------------------------------------------------

    def pay(self, name: str, kroner: float, **parts: Any) -> str:
        """Let the debtor pay the agency; what is told to us later, `tell` decides."""
        day = self.world.clock().date()
        return self.agency.pay(self.claim_id(name), round(kroner * 100), day, **parts)

    def tell(self, how: str = "payments") -> list[str]:
        """Let the agency write ``payments``, ``ocr_giro`` or ``camt054``, and read it."""
        name = getattr(self.agency, f"write_{how}")(self.world.clock())
        assert name, "the agency had nothing to tell"
        return self.collect()

    def claim_id(self, name: str) -> str:
        return self.world.claim(name).claim_id

    def balances(self) -> dict[str, float]:
        """The agency's own balances in kroner, by our names of the invoices."""
        return {self.name_of(claim_id): minor / 100 for claim_id, minor in self.agency.balances().items()}

    def name_of(self, claim_id: str) -> str:
        columns = table_of(Claim).columns
        with self.world.house.database.read() as connection:
            entry_id = connection.execute(
                select(columns.entry_id).where(
                    columns.claim_id == claim_id, columns.agreement_id == self.world.agreement_id
                )
            ).scalar_one()
        (name,) = self.world.names([entry_id])
        return name


def files_of(house: Any, envelope_ids: Iterable[int]) -> dict[str, bytes]:
    """Bytes of sealed envelopes by file name."""
    columns = table_of(Envelope).columns
    with house.database.read() as connection:
        rows = connection.execute(
            select(columns.filename, columns.blob_id).where(columns.id.in_(list(envelope_ids))).order_by(columns.id)
        ).all()
    found = {}
    for row in rows:
        with open_blob(house.database, row.blob_id) as stream:
            found[row.filename] = stream.read()
    return found


def carried(files: dict[str, bytes]) -> dict[str, Carried]:
    """What files of ours say about each invoice, read without the code that wrote them."""
    found = {}
    for content in files.values():
        for element in etree.fromstring(content).iter(f"{NS}Invoice"):
            header = element.find(f"{NS}InvoiceHeader")
            told = element if header is None else header
            items = tuple(
                (etree.QName(child).localname, float(child.get("amount"))) for child in element if child is not header
            )
            number = element.get("invoiceNumber")
            assert number not in found, f"invoice {number} stands in two files of one run"
            found[number] = Carried(
                number, element.get("reminderNumber", ""), float(told.get("openAmount")), header is not None, items
            )
    return found


def store(world: Any, filename: str, content: bytes, message_id: str = "") -> inbound.StoredFile:
    return inbound.store(world.house, world.agreement_id, "folder", filename, io.BytesIO(content), message_id)
