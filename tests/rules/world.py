"""A small creditor's world for acceptance tests: say what happens, in the words of the rules; ask what goes tonight.

Amounts are given in whole kroner and turned into øre here. Entries are named by their external id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import select

from gateway.db.bulk import table_of
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import (
    AuditEvent,
    Claim,
    Envelope,
    InboundFile,
    IncomingPayment,
    LedgerEntry,
    RunHold,
    Task,
    TransferItem,
)
from gateway.db.tables import Customer as CustomerRow
from gateway.domain.exchange import CustomerKind
from gateway.domain.ledger import CustomerRecord, EntryKind, EntryRecord, LinkRecord, OrderStatus
from gateway.services import agreements, creditors, inbound, ingest, links, posting, transfer
from tests.rules.far import Carried, Far, carried, files_of, store

ACTOR = "kari@fjord.example"
FACTORING = {
    "use_factoring": True,
    "customer_number": "99001",
    "name": "Lowell Factoring",
    "address": "Postboks 1, 0101 Oslo",
    "account_number": "15030000029",
    "invoice_text": "Fordringen er overdratt til Lowell.",
}
GOOD_CARD: dict[str, Any] = {
    "kind": CustomerKind.COMPANY,
    "name": "Nordfjord Bygg",
    "organisation_number": "999999980",
    "address1": "Storgata 1",
    "postcode": "0155",
    "city": "OSLO",
    "country": "NO",
    "email": "post@nordfjord.example",
    "phone": "22334455",
}


@dataclass
class World:
    """One creditor with one agreement, and the verbs of the rules."""

    house: Any
    clock: Any
    root: Path
    agency: str = "lowell"
    country: str = "NO"
    currency: str = "NOK"
    options: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    creditor_id: int = 0
    agreement_id: int = 0
    _links: int = 0

    def start(self) -> World:
        """Make the creditor and an active agreement."""
        self.start_draft()
        agreements.activate(self.house, self.agreement_id, ACTOR)
        return self

    def start_draft(self) -> World:
        """Make the creditor and an agreement that does nothing yet."""
        zone = "Europe/Oslo" if self.country == "NO" else "Europe/Stockholm"
        name = "Fjord AS" if self.country == "NO" else "Sjö AB"
        self.creditor_id = creditors.add_creditor(
            self.house, key=self.key or name.split(maxsplit=1)[0].lower(), name=name, organisation_number="999999964", country=self.country,
            currency=self.currency, time_zone=zone, actor=ACTOR,
        )  # fmt: skip
        self.agreement_id = self.agree(self.agency, **self.options)
        return self

    def agree(self, agency: str, **options: Any) -> int:
        profile = self.house.agencies[agency].profile
        values = {
            "agency_key": agency,
            "client_number": "4711",
            "service": "factoring" if agency == "factoring" else "ledger",
            "currency": self.currency,
            "market": self.country,
            "profile": profile.layouts[0].name,
            "settings": {
                "intrum": {"ledger_id": "4711-" + self.currency, "agency_id": "SANDBOX"},
                "lowell": {"ledger_id": "4711-" + self.currency, "agency_id": "SANDBOX"},
                "factoring": {"kid_scheme": "sgfinans-16"},
            }.get(agency, {}),
            "transport": {"kind": "folder", "root": str(self.root / agency), "keeps_files": True},
        }
        return agreements.create_agreement(self.house, self.creditor_id, **(values | options), actor=ACTOR)

    # --- the ledger ---------------------------------------------------------------------------------------------------

    def take(self, *records: Any, source: str = "test") -> ingest.IngestResult:
        placed = ((f"line {n}", record) for n, record in enumerate(records, 1))
        return ingest.ingest(self.house, self.creditor_id, source, placed, actor=ACTOR)

    def customer(self, number: str = "10001", **changes: Any) -> str:
        card = GOOD_CARD | {"customer_number": number} | changes
        if self.country == "SE" and "organisation_number" not in changes:
            card |= {"organisation_number": "5599999918", "country": changes.get("country", "SE"), "postcode": "11122"}
        self.take(CustomerRecord(external_id=f"c{number}", **card))
        return f"c{number}"

    def invoice(self, number: str, kroner: float, customer: str = "c10001", **changes: Any) -> str:
        values = {"due": date(2026, 12, 7), "payment_reference": "", "booked": date(2026, 11, 23)} | changes
        self.take(self.make_entry(number, EntryKind.INVOICE, kroner, customer, number=number, **values))
        return number

    def item(self, name: str, kind: EntryKind, kroner: float, customer: str = "c10001", **changes: Any) -> str:
        """Add an entry; *kroner* is debit positive."""
        self.take(self.make_entry(name, kind, kroner, customer, **changes))
        return name

    def payment(self, name: str, kroner: float, **changes: Any) -> str:
        return self.item(name, EntryKind.PAYMENT, -kroner, **({"is_bank": True, "voucher_number": name} | changes))

    def credit_note(self, name: str, kroner: float, credits_: str = "", **changes: Any) -> str:
        named = (credits_,) if credits_ else ()
        return self.item(name, EntryKind.CREDIT_NOTE, -kroner, **({"number": name, "credits": named} | changes))

    def link(self, *names: str, ref: str = "") -> str:
        self._links += not ref
        name = ref or f"link{self._links}"
        self.take(LinkRecord(name, names))
        return name

    def make_entry(
        self, name: str, kind: EntryKind, kroner: float, customer: str = "c10001", **changes: Any
    ) -> EntryRecord:
        values = {"booked": date(2026, 11, 23), "currency": self.currency} | changes
        return EntryRecord(
            external_id=name, kind=kind, customer_external_id=customer, amount_minor=round(kroner * 100), **values
        )

    # --- the evening --------------------------------------------------------------------------------------------------

    def preview(self) -> Any:
        return transfer.preview(self.house, self.agreement_id)

    def evening(self) -> Evening:
        """Move the clock past the next 18:00 and make the run; the clock then stands at 18:00:05.

        Every evening of every test checks P13 by the way: what the preview said a second before is what the run did.
        """
        plan = self.preview()
        self.clock.moment = plan.cutoff + timedelta(seconds=5)
        done = Evening(self, transfer.run_evening(self.house, self.agreement_id, plan.cutoff.date()))
        assert done.sent == planned(plan, self), "the preview promised other items than the run sent"
        assert done.held == self.held_in(plan), "the preview showed other holds than the run wrote down"
        return done

    def held_in(self, plan: Any) -> dict[str, set[str]]:
        """Reason codes by the name of the held entry, as a preview shows them."""
        found: dict[str, set[str]] = {}
        for held in plan.held:
            (name,) = self.names([held.entry_id])
            found.setdefault(name, set()).add(held.code)
        return found

    def warned(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for warning in self.preview().warnings:
            (name,) = self.names([warning.entry_id])
            found.setdefault(name, set()).add(warning.code)
        return found

    def not_linked(self) -> set[str]:
        return self.names(row.entry_id for row in self.preview().not_linked)

    # --- the agency and its files -------------------------------------------------------------------------------------

    @cached_property
    def far(self) -> Far:
        return Far(self, self.root / self.agency)

    def take_file(self, filename: str, content: bytes, message_id: str = "") -> Any:
        """Store an inbound file and read it; return its row."""
        stored = store(self, filename, content, message_id)
        inbound.process(self.house, stored.inbound_file_id)
        return self.row(InboundFile, stored.inbound_file_id)

    def post(self, **where: Any) -> posting.PostingResult:
        """Let a person post the payments chosen by *where*, all proposed ones by default."""
        chosen = [row.id for row in self.payments(**(where or {"state": "proposed"}))]
        return posting.post(self.house, chosen, ACTOR)

    # --- acts of a person ---------------------------------------------------------------------------------------------

    def tie(self, *names: str) -> None:
        """Link by hand, in the panel."""
        links.link(self.house, self.creditor_id, [self.entry_id(name) for name in names], ACTOR)

    def untie(self, name: str) -> None:
        links.unlink(self.house, self.entry_id(name), ACTOR)

    def use_factoring(self, **changes: Any) -> Any:
        return agreements.save_factoring_settings(self.house, self.creditor_id, FACTORING | changes, ACTOR)

    # --- looking ------------------------------------------------------------------------------------------------------

    def row(self, mapped: Any, row_id: int) -> Any:
        columns = table_of(mapped).columns
        with self.house.database.read() as connection:
            return connection.execute(select(*columns).where(columns.id == row_id)).one()

    def rows(self, mapped: Any, *where: Any) -> list[Any]:
        with self.house.database.read() as connection:
            return list(connection.execute(select(*table_of(mapped).columns).where(*where)))

    def audit(self, action: str) -> list[Any]:
        return sorted(self.rows(AuditEvent, AuditEvent.action == action), key=lambda row: row.number)

    def row_of(self, entry_id: int) -> Any:
        return self.row(LedgerEntry, entry_id)

    def customer_row(self, external_id: str = "c10001") -> Any:
        return self.row(CustomerRow, self.customer_id(external_id))

    def group(self, name: str) -> list[Any]:
        return self.rows(LedgerEntry, LedgerEntry.group_id == self.entry(name).group_id)

    def due(self, topic: str) -> list[Any]:
        """What was promised of a kind and not done yet, oldest first."""
        found = self.rows(Task, Task.topic == topic, Task.state == "pending", Task.due_at <= self.clock())
        return sorted(found, key=lambda task: task.id)

    def agreement(self, agreement_id: int = 0) -> Any:
        return self.row(AgreementRow, agreement_id or self.agreement_id)

    def entry(self, name: str) -> Any:
        columns = table_of(LedgerEntry).columns
        with self.house.database.read() as connection:
            query = select(*columns).where(columns.creditor_id == self.creditor_id, columns.external_id == name)
            return connection.execute(query).one()

    def entry_id(self, name: str) -> int:
        return self.entry(name).id

    def names(self, ids: Any) -> set[str]:
        ids = list(ids)
        columns = table_of(LedgerEntry).columns
        with self.house.database.read() as connection:
            found = dict(connection.execute(select(columns.id, columns.external_id).where(columns.id.in_(ids))).all())
        return {found[i] for i in ids}

    def customer_id(self, external_id: str = "c10001") -> int:
        with self.house.database.read() as connection:
            query = select(CustomerRow.id).where(
                CustomerRow.external_id == external_id, CustomerRow.creditor_id == self.creditor_id
            )
            return connection.execute(query).scalar_one()

    def open(self, name: str) -> float:
        return self.entry(name).open_minor / 100

    def claim(self, name: str, agreement_id: int = 0) -> Any:
        columns = table_of(Claim).columns
        with self.house.database.read() as connection:
            query = select(*columns).where(
                columns.agreement_id == (agreement_id or self.agreement_id), columns.entry_id == self.entry_id(name)
            )
            return connection.execute(query).one_or_none()

    def reminder_number(self, name: str) -> str:
        """The number an agency was told, else the one that the source gave."""
        claim = self.claim(name)
        return claim.reminder_number if claim else self.entry(name).reminder_number

    def agency_balance(self, name: str) -> float:
        claim = self.claim(name)
        return (claim.told_minor - claim.agency_paid_minor) / 100

    def payments(self, **where: Any) -> list[Any]:
        columns = table_of(IncomingPayment).columns
        with self.house.database.read() as connection:
            mine = columns.creditor_id == self.creditor_id
            query = select(*columns).where(mine, *(columns[name] == value for name, value in where.items()))
            return list(connection.execute(query.order_by(columns.id)))

    def sent_items(self, name: str) -> list[Any]:
        columns = table_of(TransferItem).columns
        with self.house.database.read() as connection:
            query = select(*columns).where(columns.entry_id == self.entry_id(name)).order_by(columns.version)
            return list(connection.execute(query))


@dataclass
class Evening:
    """What one run did, by the names of entries."""

    world: World
    result: transfer.RunResult

    @property
    def files(self) -> dict[str, bytes]:
        return files_of(self.world.house, self.result.envelope_ids)

    @property
    def carried(self) -> dict[str, Carried]:
        return carried(self.files)

    @property
    def envelopes(self) -> list[Any]:
        return [self.world.row(Envelope, envelope_id) for envelope_id in self.result.envelope_ids]

    @property
    def sent(self) -> set[str]:
        columns = table_of(TransferItem).columns
        with self.world.house.database.read() as connection:
            ids = (
                connection.execute(select(columns.entry_id).where(columns.run_id == self.result.run_id)).scalars().all()
            )
        return self.world.names(ids)

    @property
    def held(self) -> dict[str, set[str]]:
        columns = table_of(RunHold).columns
        entries = table_of(LedgerEntry).columns
        with self.world.house.database.read() as connection:
            query = (
                select(entries.external_id, columns.code)
                .join(table_of(LedgerEntry), entries.id == columns.entry_id)
                .where(columns.run_id == self.result.run_id)
            )
            found: dict[str, set[str]] = {}
            for name, code in connection.execute(query):
                found.setdefault(name, set()).add(code)
            return found

    @property
    def next_dates(self) -> dict[str, date | None]:
        """When each held entry is looked at again."""
        rows = self.world.rows(RunHold, RunHold.run_id == self.result.run_id)
        return {self.world.row(LedgerEntry, row.entry_id).external_id: row.next_date for row in rows}


def planned(plan: Any, world: World) -> set[str]:
    """Names of the entries a preview would send."""
    ids = [invoice.entry_id for invoice in plan.invoices if invoice.is_new]
    ids += [item.entry_id for invoice in plan.invoices for item in invoice.items]
    return world.names(ids)


def codes(held: Any) -> set[str]:
    return {one.code for one in held}


ORDER = OrderStatus.ORDER
INVOICED = OrderStatus.INVOICED
