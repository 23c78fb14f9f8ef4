"""A creditor of any size for the benchmarks: customers, invoices and one payment linked to each, made in bulk.

Everything goes in through the service layer's own door (`services.ingest`), so the databases hold what they would hold.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.agencies import Agencies
from gateway.db import schema
from gateway.db.uow import Database
from gateway.domain.exchange import CustomerKind
from gateway.domain.identifiers import KidCheck, make_kid
from gateway.domain.ledger import CustomerRecord, EntryKind, EntryRecord, LinkRecord
from gateway.secretbox import SecretBox
from gateway.services import agreements, creditors, ingest
from gateway.services.house import House

EVENING = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
INVOICES_PER_CUSTOMER = 5
ACTOR = "bench"


class Clock:
    """Stands still until moved."""

    def __init__(self) -> None:
        self.moment = EVENING

    def __call__(self) -> datetime:
        return self.moment


def open_house(url: str, clock: Clock) -> House:
    """Return a house on a fresh schema at *url*."""
    database = Database(url)
    with database.write() as connection:
        schema.create(connection)
    return House(database, Agencies.load(), SecretBox("k" * 40), lambda: None, clock)


def attach(url: str, clock: Clock) -> House:
    """Return a house on a database that `open_house` made before."""
    return House(Database(url), Agencies.load(), SecretBox("k" * 40), lambda: None, clock)


def creditor(
    house: House, root: Path, *, posts_automatically: bool = True, agency: str = "lowell", key: str = "bench"
) -> tuple[int, int]:
    """Add a creditor with one active ledger agreement; return both ids."""
    creditor_id = creditors.add_creditor(
        house, key=key, name=f"{key.title()} AS", organisation_number="999999964", country="NO", currency="NOK",
        time_zone="Europe/Oslo", actor=ACTOR,
    )  # fmt: skip
    profile = house.agencies[agency].profile
    agreement_id = agreements.create_agreement(
        house, creditor_id, agency_key=agency, client_number="4711", service="ledger", currency="NOK", market="NO",
        profile=profile.layouts[0].name, settings={"ledger_id": "4711-NOK", "agency_id": "SANDBOX"},
        transport={"kind": "folder", "root": str(root), "keeps_files": True}, posts_automatically=posts_automatically,
        actor=ACTOR,
    )  # fmt: skip
    agreements.activate(house, agreement_id, ACTOR)
    return creditor_id, agreement_id


def ledger(count: int, seed: int = 1, *, with_items: bool = True, first: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield *count* invoices with their customers and, with *with_items*, one linked part payment each.

    *first* is the number of the first, one more than a multiple of `INVOICES_PER_CUSTOMER`.
    """
    rng = random.Random(seed)
    day = date(2026, 11, 23)
    for number in range(first, first + count):
        customer = (number - 1) // INVOICES_PER_CUSTOMER + 1
        if (number - 1) % INVOICES_PER_CUSTOMER == 0:
            yield f"c{customer}", _customer(customer)
        amount = rng.randrange(10_000, 5_000_000)
        yield f"i{number}", EntryRecord(
            external_id=f"i{number}", kind=EntryKind.INVOICE, customer_external_id=f"c{customer}", amount_minor=amount,
            currency="NOK", booked=day, due=day + timedelta(days=14), number=str(100_000 + number),
            payment_reference=kid(customer, number),
        )  # fmt: skip
        if with_items:
            yield f"p{number}", EntryRecord(
                external_id=f"p{number}", kind=EntryKind.PAYMENT, customer_external_id=f"c{customer}",
                amount_minor=-(amount // 4), currency="NOK", booked=day, voucher_number=f"v{number}", is_bank=True,
            )  # fmt: skip
            yield f"l{number}", LinkRecord(f"l{number}", (f"i{number}", f"p{number}"))


def _customer(number: int) -> CustomerRecord:
    return CustomerRecord(
        external_id=f"c{number}", customer_number=str(10_000 + number), kind=CustomerKind.COMPANY,
        name=f"Kunde {number} Åsgård og sønner", organisation_number="999999980", address1=f"Storgata {number}",
        postcode="0155", city="OSLO", country="NO", email=f"post{number}@kunde.example", phone="22334455", language="nb",
    )  # fmt: skip


def kid(customer: int, number: int) -> str:
    """Return the KID printed on an invoice."""
    return make_kid(f"{customer:06d}{number:08d}", KidCheck.MOD10)


def fill(house: House, creditor_id: int, count: int, *, with_items: bool = True, first: int = 1) -> None:
    """Ingest the ledger of *count* invoices."""
    ingest.ingest(house, creditor_id, "bench", ledger(count, with_items=with_items, first=first), actor=ACTOR)
