"""Autogiro, KTL and Total IN from the file to the books: only money is posted, and what is given back opens again."""

from __future__ import annotations

import io
from dataclasses import replace

from gateway.db.tables import InboundFile
from gateway.formats.total_in import PROFILE
from gateway.services import bank, inbound
from gateway.testing.autogiro_files import REFUND, GiroPayment, autogiro_file, autogiro_old_file
from gateway.testing.total_in_files import TotalInPayment, total_in_file
from tests.rules.world import World

REFERENCE = "FAKTNR1001"


def keep(world: World, name: str, content: bytes) -> InboundFile:
    stored = inbound.store_own(world.house, world.creditor_id, "api", name, io.BytesIO(content))
    inbound.process(world.house, stored.inbound_file_id)
    return world.row(InboundFile, stored.inbound_file_id)


def swedish(house, clock, tmp_path, **options) -> World:
    world = World(house, clock, tmp_path, "intrum", country="SE", currency="SEK", options=options).start()
    world.customer()
    world.invoice("1", 1250, payment_reference=REFERENCE)
    return world


def test_an_unexecuted_order_is_shown_and_never_posted_and_its_second_try_is(house, clock, tmp_path):
    world = swedish(house, clock, tmp_path)
    order = GiroPayment(1250_00, REFERENCE)
    assert keep(world, "a", autogiro_file([replace(order, status="9")])).state == "imported"
    (waiting,) = world.payments()
    assert (waiting.state, waiting.difference, waiting.status) == ("ignored", "autogiro.cover_awaited", "PDNG")
    assert keep(world, "b", autogiro_file([order], created="2")).state == "imported"
    (paid,) = world.payments(state="proposed")
    assert paid.entry_id == world.entry_id("1")
    world.post()
    assert world.open("1") == 0


def test_a_refund_follows_its_payment_and_opens_the_invoice_again(house, clock, tmp_path):
    """The payment was told in the old layout, the refund in the new one."""
    world = swedish(house, clock, tmp_path)
    order = GiroPayment(1250_00, REFERENCE)
    keep(world, "a", autogiro_old_file([order]))
    world.post()
    assert world.open("1") == 0
    keep(world, "b", autogiro_file([replace(order, kind=REFUND, status="02")]))
    (back,) = world.payments(state="proposed")
    assert (back.match_rule, back.difference, back.entry_id) == ("reversal", "payment.reversal", world.entry_id("1"))
    world.post()
    assert world.open("1") == 1250


def test_the_same_orders_in_both_layouts_are_one_payment(house, clock, tmp_path):
    world = swedish(house, clock, tmp_path)
    orders = [GiroPayment(1250_00, REFERENCE), GiroPayment(1250_00, REFERENCE)]
    keep(world, "a", autogiro_file(orders))
    keep(world, "b", autogiro_old_file(orders))
    assert len(world.payments()) == 2, "two equal payments of one file are both real; their copy is none"


def test_total_in_is_taken_only_where_the_agreement_names_its_profile(house, clock, tmp_path):
    content = total_in_file([[TotalInPayment(1250_00, REFERENCE)]])
    world = swedish(house, clock, tmp_path)
    refused = world.take_file("total.txt", content)
    assert (refused.state, refused.findings[0]["code"]) == ("refused", "file.unverified_format")
    assert keep(world, "own", content).state == "refused"
    assert world.payments() == []


def test_total_in_under_its_profile_carries_a_warning(house, clock, tmp_path):
    settings = {"ledger_id": "4711-SEK", "agency_id": "SANDBOX", bank.PAYMENT_PROFILES: [PROFILE]}
    world = swedish(house, clock, tmp_path, settings=settings)
    taken = world.take_file("total.txt", total_in_file([[TotalInPayment(1250_00, REFERENCE)]]))
    assert (taken.state, taken.findings[0]["code"]) == ("imported", "totalin.unverified")
    assert [payment.amount_minor for payment in world.payments()] == [1250_00]
