"""Money that goes back and forth beside what people and the accounting system did meanwhile (R-PM-10, R-PM-11, R-LK-10, L12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from gateway.db.ledger_sql import lock_books
from gateway.db.tables import IncomingPayment, LedgerEntry
from gateway.db.uow import Database
from gateway.domain.ledger import OrderStatus
from gateway.errors import Busy, Refused
from gateway.services import agreements, links, placing, posting
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.ktl_files import KtlPayment
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.rules.test_r_pm_bank import PAYOUT, VIITE, fjord_with_two, sold, take_ktl
from tests.rules.world import ACTOR, World
from tests.services.payment_worlds import KID, back, bank, documents, lowell, told, took

__all__ = ["bank", "fjord_with_two", "lowell", "sold"]


def to(world: World, payment_id: int, invoice: str) -> None:
    placing.match(world.house, payment_id, world.entry_id(invoice), ACTOR)


def total(world: World) -> float:
    """Sum of the customer ledger in kroner, as far as it counts."""
    mine = (LedgerEntry.creditor_id == world.creditor_id, LedgerEntry.order_status == "invoiced")
    return sum(row.amount_minor for row in world.rows(LedgerEntry, *mine)) / 100


def paid(world: World, kroner: float) -> str:
    """Let the debtor of 1001 pay the agency, which tells us."""
    payment = world.far.pay("1001", kroner)
    world.far.tell()
    return payment


def taken_back(world: World, payment: str) -> IncomingPayment:
    """Let the agency take a payment back; return our row of that."""
    world.clock.advance(days=1)
    world.far.agency.reverse(payment, world.clock().date())
    world.far.tell()
    return world.payments()[-1]


def both(world: World) -> list[tuple[float, float]]:
    """What is open here and at the agency, of each invoice."""
    return [(world.open(name), world.agency_balance(name)) for name in ("1001", "1002")]


# --- a line of the books beside a posting that was taken back ---------------------------------------------------------


@pytest.mark.rule("R-PM-10", "R-LS-15")
@pytest.mark.parametrize("is_posted_again", [False, True])
def test_a_line_of_the_books_never_joins_a_posting_that_was_taken_back(bank, is_posted_again):
    """Its counter entry would take the line's money away; and of two equal postings neither would be joined."""
    (row,) = told(bank, CamtPayment(100_000, KID, bank_reference="B1"))
    bank.post()
    undone = bank.entry(f"payment:{row.id}")
    back(bank, row.id)
    if is_posted_again:
        to(bank, row.id, "1001")
        bank.post()
    bank.payment("v152", 1000, bank_reference=undone.bank_reference, payment_reference=undone.payment_reference)
    assert bank.entry("v152").id != undone.id
    assert total(bank) == 500
    assert bank.open("1001") == (0 if is_posted_again else 1000)


@pytest.mark.rule("R-PM-10")
def test_a_line_that_names_a_posting_that_was_taken_back_is_a_question(bank):
    (row,) = told(bank, CamtPayment(100_000, KID))
    bank.post()
    back(bank, row.id)
    bank.payment("v152", 1000, back_reference=f"payment:{row.id}")
    assert bank.entry("v152").hold_code == "payment.back_reference"
    assert bank.entry(f"payment:{row.id}").group_id != bank.entry("v152").group_id


@pytest.mark.rule("R-PM-03", "R-PM-10")
def test_what_was_paid_on_an_order_is_taken_back_whoever_its_customer_is_now(bank):
    bank.customer("10002", organisation_number="")
    bank.invoice("1003", 300, payment_reference="3000000000031", order_status=OrderStatus.ORDER)
    before = total(bank)
    (row,) = told(bank, CamtPayment(30_000, "3000000000031"))
    bank.post()
    bank.invoice("1003", 300, "c10002", payment_reference="3000000000031")
    for _ in range(2):
        back(bank, row.id)
        assert (bank.open("1003"), total(bank)) == (300, before + 300)
        to(bank, row.id, "1003")
        bank.post()
        assert (bank.open("1003"), total(bank)) == (0, before)


@pytest.mark.rule("R-PM-11")
def test_a_payment_whose_entries_are_not_all_there_is_not_taken_back(bank):
    (row,) = told(bank, CamtPayment(100_000, KID))
    bank.post()
    with bank.house.database.write() as connection:
        lost = update(LedgerEntry).where(LedgerEntry.payment_id == row.id)
        connection.execute(lost.values(payment_id=None))
    with pytest.raises(Refused, match=r"payment\.already_moved"):
        back(bank, row.id)
    assert bank.payments()[0].state == "posted"


# --- reversals beside what people did ---------------------------------------------------------------------------------


@pytest.mark.rule("R-PM-11", "R-VL-08")
def test_a_reversal_that_a_person_placed_elsewhere_is_posted_where_it_counts(lowell):
    reversal = taken_back(lowell, paid(lowell, 400))
    lowell.post()
    back(lowell, reversal.id)
    to(lowell, reversal.id, "1002")
    assert lowell.post().refused == {}
    assert both(lowell) == [(600, 600), (900, 900)]


@pytest.mark.rule("R-PM-11", "R-RV-02")
@pytest.mark.parametrize("act", ["moved", "split"])
def test_a_reversal_of_money_that_was_moved_opens_no_invoice_twice(lowell, act):
    payment = paid(lowell, 400)
    lowell.post()
    (entry,) = [one for one in lowell.group("1001") if one.kind == "payment"]
    if act == "moved":
        posting.move_payment(lowell.house, entry.id, lowell.entry_id("1002"), ACTOR)
    else:
        links.split_payment(lowell.house, entry.id, {lowell.entry_id("1002"): 40_000}, ACTOR)
    reversal = taken_back(lowell, payment)
    assert lowell.post().refused == {reversal.id: f"payment.already_{act}"}
    assert (lowell.open("1001"), lowell.open("1002")) == (1000, 100)
    to(lowell, reversal.id, "1002")
    assert lowell.post().refused == {}
    assert (lowell.open("1001"), lowell.open("1002")) == (1000, 500)


@pytest.mark.rule("R-PM-11", "R-VL-08")
@pytest.mark.parametrize("is_set_aside", [False, True])
def test_a_reversal_of_a_payment_that_waits_waits_with_it(lowell, is_set_aside):
    payment = paid(lowell, 1200)
    lowell.post()
    (row,) = lowell.payments()
    back(lowell, row.id)
    if is_set_aside:
        placing.ignore(lowell.house, row.id, ACTOR, "the agency is asked")
    reversal = taken_back(lowell, payment)
    assert (reversal.state, reversal.suggested_entry_id) == ("unmatched", lowell.entry_id("1001"))
    assert both(lowell) == [(1000, 1000), (500, 500)]
    to(lowell, row.id, "1001")
    assert [one.entry_id for one in lowell.payments()] == [lowell.entry_id("1001")] * 2
    assert both(lowell) == [(1000, 1000), (500, 500)]
    lowell.post(id=row.id)
    assert lowell.post().refused == {}
    assert both(lowell) == [(1000, 1000), (500, 500)]
    assert lowell.not_linked() == set(), "the surplus was taken back beside itself"


@pytest.fixture
def doubtful(lowell) -> tuple[World, int, IncomingPayment]:
    """A payment of 400.00 on 1001, and its reversal that may be a second telling."""
    reversal = taken_back(lowell, paid(lowell, 400))
    first = lowell.payments()[0].id
    question = {"state": "unmatched", "difference": "payment.possible_duplicate", "twin_id": first}
    with lowell.house.database.write() as connection:
        place = {"entry_id": None, "suggested_entry_id": reversal.entry_id}
        connection.execute(update(IncomingPayment).where(IncomingPayment.id == reversal.id).values(**question, **place))
    return lowell, first, reversal


@pytest.mark.rule("R-PM-10", "R-PM-11")
def test_whether_a_reversal_is_a_second_telling_stays_a_question_when_its_payment_is_placed(doubtful):
    world, first, reversal = doubtful
    for place in (lambda: to(world, first, "1002"), lambda: back(world, first), lambda: to(world, first, "1002")):
        place()
        (row,) = world.payments(id=reversal.id)
        assert (row.state, row.difference) == ("unmatched", "payment.possible_duplicate")
    placing.another_money(world.house, reversal.id, ACTOR)
    (row,) = world.payments(id=reversal.id)
    assert (row.state, row.entry_id) == ("proposed", world.entry_id("1002")), "where its payment is now"


# --- divided, told twice, at once -------------------------------------------------------------------------------------


@pytest.mark.rule("R-LK-10", "R-VL-08")
def test_a_division_counts_on_no_claim_any_more_though_its_credit_note_was_linked_elsewhere(lowell):
    lowell.credit_note("K7", 100)
    named = documents(("CINV", "1001", 300), ("CREN", "K7", 100))
    lowell.take_file("file", camt_file([CamtEntry((CamtPayment(20_000, documents=named),))]))
    (row,) = lowell.payments()
    assert lowell.agency_balance("1001") == 800
    lowell.tie("1002", "K7")
    back(lowell, row.id)
    assert lowell.agency_balance("1001") == 1000


@pytest.mark.rule("R-PM-10", "R-OP-04")
def test_a_payout_that_two_files_tell_is_asked_about_once(fjord_with_two):
    took(fjord_with_two, ocr_file([[OcrPayment(125_000, KID, payer=PAYOUT)]]))
    took(fjord_with_two, camt_file([CamtEntry((CamtPayment(125_000, KID, payer=PAYOUT),))]))
    first, second = fjord_with_two.payments()
    assert [(row.label, row.difference) for row in (first, second)] == [
        ("Lowell", "payment.agency_payout"), ("Lowell", "payment.possible_duplicate"),
    ]  # fmt: skip
    assert placing.same_money(fjord_with_two.house, second.id, ACTOR) == first.id


@pytest.mark.rule("R-PM-08", "R-FA-01")
def test_money_that_went_to_one_of_two_factoring_companies_is_not_told_to_the_one_that_has_it(sold):
    second = sold.agree("intrum", treated_as_factoring=True, may_create_cases=False)
    agreements.activate(sold.house, second, ACTOR)
    (row,) = take_ktl(sold, KtlPayment(100_000, VIITE, kind="S"))
    assert (row.label, row.difference) == ("", "payment.to_factoring")
    to(sold, row.id, "1")
    assert sold.payments()[0].label == "Lowell"
    sold.post()
    assert (sold.open("1"), sold.agency_balance("1")) == (0, 0)
    assert "1" not in sold.evening().carried
    back(sold, row.id)
    assert (sold.open("1"), sold.agency_balance("1")) == (1000, 1000)


@pytest.mark.parametrize("act", ["match", "divide", "ignore", "another"])
def test_nobody_places_a_payment_while_another_changes_the_books(bank, act):
    """Two people, or one and a file, would count it twice or wait for each other."""
    if bank.house.database.is_sqlite:
        pytest.skip("SQLite has one writer: everybody waits for it")
    (row,) = told(bank, CamtPayment(100_000, KID))
    database = Database(bank.house.database.url, timedelta(milliseconds=50))
    house = replace(bank.house, database=database)
    acts = {
        "match": lambda: placing.match(house, row.id, bank.entry_id("1002"), ACTOR),
        "divide": lambda: placing.divide(house, row.id, ACTOR),
        "ignore": lambda: placing.ignore(house, row.id, ACTOR, "a mistake"),
        "another": lambda: placing.another_money(house, row.id, ACTOR),
    }
    try:
        with bank.house.database.write() as connection:
            lock_books(connection, bank.creditor_id)
            with pytest.raises(Busy):
                acts[act]()
    finally:
        database.close()
