"""Creditors to whom their own bank tells of payments, and what happens to these: shared by the tests of payments."""

from __future__ import annotations

import io

import pytest

from gateway.db.bulk import table_of
from gateway.db.tables import PaymentPart
from gateway.services import inbound, placing
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file
from tests.rules.test_r_pm import at_agency
from tests.rules.world import ACTOR, World

COUNTRIES = {"NO": "NOK", "SE": "SEK", "FI": "EUR", "DK": "DKK"}
KID = "1000000000017"
"""The reference of invoice 1001 of `bank`."""


def creditor(house, clock, tmp_path, country: str) -> World:
    """A creditor whose own bank tells of payments; no agency has anything."""
    world = World(house, clock, tmp_path, "intrum", country=country, currency=COUNTRIES[country]).start_draft()
    world.customer()
    return world


@pytest.fixture
def bank(house, clock, tmp_path) -> World:
    """Invoices of 1 000.00 and 500.00 that no agency has; the creditor's own bank tells of payments."""
    world = creditor(house, clock, tmp_path, "NO")
    world.invoice("1001", 1000, payment_reference=KID)
    world.invoice("1002", 500)
    return world


@pytest.fixture
def lowell(fjord) -> World:
    """Both invoices are at Lowell."""
    return at_agency(fjord, ("1001", 1000), ("1002", 500))


def told(world: World, *payments: CamtPayment) -> list:
    """Let the creditor's own bank tell of *payments*; return their rows."""
    data = camt_file(
        [CamtEntry(payments, bank_reference=str(len(world.payments())))], CamtShape(currency=world.currency)
    )
    return took(world, data)


def took(world: World, data: bytes) -> list:
    before = {row.id for row in world.payments()}
    stored = inbound.store_own(world.house, world.creditor_id, "api", "file", io.BytesIO(data))
    inbound.process(world.house, stored.inbound_file_id)
    found = [row for row in world.payments() if row.id not in before]
    assert found, "the file was not read"
    return found


def parts(world: World, row) -> dict[str, float]:
    found = world.rows(PaymentPart, table_of(PaymentPart).c.payment_id == row.id)
    return {world.row_of(part.entry_id).external_id: part.amount_minor / 100 for part in found}


def documents(*named: tuple[str, str, float]) -> tuple[tuple[str, str, int], ...]:
    return tuple((code, number, round(kroner * 100)) for code, number, kroner in named)


def back(world: World, payment_id: int) -> None:
    """Take back where a payment went."""
    placing.unmatch(world.house, payment_id, ACTOR)
