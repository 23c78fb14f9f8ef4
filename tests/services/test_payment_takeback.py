"""Taking back where a payment went, posted or not: as easy as placing it, undone once, told no more than needed (R-PM, R-RV)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.db.tables import LedgerEntry
from gateway.errors import Refused
from gateway.services import links, placing, posting
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.rules.world import ACTOR, World
from tests.services.payment_worlds import KID, back, bank, documents, lowell, parts, told, took

__all__ = ["bank", "lowell"]


def books(world: World) -> list[tuple[str, int, str]]:
    """What stands beside each invoice: number, amount, kind."""
    return sorted(
        (invoice, row.amount_minor, row.kind)
        for invoice in ("1001", "1002")
        for row in world.group(invoice)
        if row.kind != "invoice"
    )


def total(world: World) -> int:
    """Sum of the whole customer ledger."""
    return sum(row.amount_minor for row in world.rows(LedgerEntry, LedgerEntry.creditor_id == world.creditor_id))


@pytest.mark.rule("R-PM-03", "R-RV-05")
def test_a_posted_payment_taken_back_waits_again_and_leaves_its_invoice_as_it_was(bank):
    before = total(bank)
    (row,) = told(bank, CamtPayment(100_000, KID))
    bank.post()
    assert bank.open("1001") == 0
    back(bank, row.id)
    (after,) = bank.payments()
    assert (after.state, after.entry_id, after.suggested_entry_id) == ("unmatched", None, bank.entry_id("1001"))
    assert (after.posted_at, after.posted_by) == (None, "")
    assert (bank.open("1001"), bank.entry("1001").closed_at, books(bank), total(bank)) == (1000, None, [], before)
    assert bank.not_linked() == set(), "payment and counter entry close each other (T-LK-12)"
    (event,) = bank.audit("payment.taken_back")
    assert (event.actor, event.facts["rule"], event.facts["before"]) == (
        ACTOR, "payment_reference", bank.entry_id("1001"),
    )  # fmt: skip
    assert len(event.facts["entries"]) == 1


@pytest.mark.rule("R-PM-03")
@pytest.mark.parametrize("to", ["1001", "1002"])
def test_placed_and_posted_again_the_books_are_as_if_it_had_gone_there_at_once(bank, to):
    (row,) = told(bank, CamtPayment(50_000, KID))
    for place in ("1002", "1001", to):
        bank.post()
        back(bank, row.id)
        placing.match(bank.house, row.id, bank.entry_id(place), ACTOR)
    bank.post()
    assert books(bank) == [(to, -50_000, "payment")]
    assert bank.open(to) == {"1001": 500, "1002": 0}[to]
    assert total(bank) == 150_000 - 50_000
    with pytest.raises(Refused, match=r"payment\.already_posted"):
        placing.match(bank.house, row.id, bank.entry_id("1001"), ACTOR)


@pytest.mark.rule("R-PM-05")
def test_a_surplus_is_taken_back_with_its_payment(bank):
    (row,) = told(bank, CamtPayment(120_000, KID))
    bank.post()
    assert len(bank.not_linked()) == 1
    back(bank, row.id)
    assert (bank.not_linked(), total(bank), bank.open("1001")) == (set(), 150_000, 1000)


@pytest.mark.rule("R-LK-10")
def test_a_divided_payment_is_taken_back_from_every_document(bank):
    bank.credit_note("K7", 300, credits_="1001")
    bank.credit_note("K8", 100, credits_="1002")
    bank.tie("1002", "K8")
    named = (("CINV", "1001", 1000), ("CREN", "K7", 300), ("CINV", "1002", 400))
    (row,) = told(bank, CamtPayment(110_000, documents=documents(*named)))
    before = total(bank)
    bank.post()
    assert (bank.open("1001"), bank.open("1002")) == (0, 0)
    back(bank, row.id)
    assert (bank.open("1001"), bank.open("1002"), total(bank)) == (1000, 400, before)
    assert books(bank) == [("1002", -10_000, "credit_note")], "only what the posting had linked is parted"
    assert parts(bank, row) == {}
    placing.divide(bank.house, row.id, ACTOR)
    assert parts(bank, row) == {"1001": 1000, "K7": -300, "1002": 400}
    bank.post()
    assert (bank.open("1001"), bank.open("1002"), total(bank)) == (0, 0, before - 110_000)
    assert [event.facts["parts"] for event in bank.audit("payment.divided")] == [3]


@pytest.mark.rule("R-LK-10", "R-LK-07")
def test_a_payment_is_divided_once_the_invoices_it_names_are_there(bank):
    named = documents(("CINV", "1001", 1000), ("CINV", "1003", 200))
    (row,) = told(bank, CamtPayment(120_000, documents=named))
    with pytest.raises(Refused, match=r"payment\.several_references"):
        placing.divide(bank.house, row.id, ACTOR)
    bank.invoice("1003", 200)
    placing.divide(bank.house, row.id, ACTOR)
    assert (bank.payments()[0].state, parts(bank, row)) == ("proposed", {"1001": 1000, "1003": 200})
    bank.post()
    with pytest.raises(Refused, match=r"payment\.already_posted"):
        placing.divide(bank.house, row.id, ACTOR)


@pytest.mark.rule("R-LK-10", "R-VL-08")
def test_divided_again_each_part_counts_on_its_claim_once(lowell):
    named = documents(("CINV", "1001", 300), ("CINV", "1002", 100))
    lowell.take_file("file", camt_file([CamtEntry((CamtPayment(40_000, documents=named),))]))
    (row,) = lowell.payments()
    for _ in range(2):
        assert (lowell.agency_balance("1001"), lowell.agency_balance("1002")) == (700, 400)
        back(lowell, row.id)
        assert (lowell.agency_balance("1001"), lowell.agency_balance("1002")) == (1000, 500)
        placing.divide(lowell.house, row.id, ACTOR)
        placing.divide(lowell.house, row.id, ACTOR)


@pytest.mark.rule("R-PM-08", "R-VL-08")
def test_the_agencys_own_money_is_taken_back_without_a_word_to_it(lowell):
    lowell.far.pay("1001", 1200)
    lowell.far.tell()
    (row,) = lowell.payments()
    lowell.post()
    balance = lowell.agency_balance("1001")
    for _ in range(2):
        back(lowell, row.id)
        assert lowell.agency_balance("1001") == balance + 1200
        assert lowell.evening().sent == set()
        lowell.clock.advance(hours=1)
        placing.match(lowell.house, row.id, lowell.entry_id("1001"), ACTOR)
        lowell.post()
        assert (lowell.open("1001"), lowell.agency_balance("1001")) == (0, balance)
    assert lowell.evening().sent == set()
    lowell.far.night()
    assert lowell.far.balances()["1001"] == balance


@pytest.mark.rule("R-LS-05", "R-RV-02", "R-LS-15")
@pytest.mark.parametrize("is_told", [False, True])
def test_a_direct_payment_is_told_once_whatever_happened_to_it_before_and_undone_where_it_was_told(lowell, is_told):
    (row,) = took(lowell, ocr_file([[OcrPayment(40_000, "2000000000024")]]))
    placing.match(lowell.house, row.id, lowell.entry_id("1001"), ACTOR)
    lowell.post()
    if is_told:
        assert len(lowell.evening().sent) == 1
        lowell.far.night()
        assert lowell.far.balances()["1001"] == 600
        lowell.clock.advance(hours=1)
    back(lowell, row.id)
    if is_told:
        lowell.evening()
        lowell.far.night()
        assert lowell.far.balances()["1001"] == lowell.agency_balance("1001") == 1000
        lowell.clock.advance(hours=1)
    placing.match(lowell.house, row.id, lowell.entry_id("1002"), ACTOR)
    lowell.post()
    (again,) = lowell.evening().sent
    assert again == f"payment:{row.id}.2"
    lowell.far.night()
    assert lowell.far.balances() == {"1001": 1000, "1002": 100}
    assert [lowell.agency_balance(name) for name in ("1001", "1002")] == [1000, 100]
    assert lowell.evening().sent == set()


@pytest.mark.rule("R-PM-11")
def test_a_payment_with_a_posted_reversal_is_taken_back_after_it(lowell):
    paid = lowell.far.pay("1001", 1000)
    lowell.far.tell()
    lowell.post()
    lowell.clock.advance(days=1)
    lowell.far.agency.reverse(paid, lowell.clock().date())
    lowell.far.tell()
    lowell.post()
    first, reversal = lowell.payments()
    with pytest.raises(Refused, match=r"payment\.reversal_posted"):
        back(lowell, first.id)
    back(lowell, reversal.id)
    assert lowell.open("1001") == 0
    back(lowell, first.id)
    assert (lowell.open("1001"), books(lowell)) == (1000, [])
    placing.match(lowell.house, first.id, lowell.entry_id("1001"), ACTOR)
    placing.match(lowell.house, reversal.id, lowell.entry_id("1001"), ACTOR)
    assert lowell.post().refused == {}
    assert (lowell.open("1001"), lowell.agency_balance("1001")) == (1000, 1000)


@pytest.mark.rule("R-PM-11", "R-VL-08")
def test_a_waiting_reversal_follows_its_payment_wherever_people_put_it(lowell):
    paid = lowell.far.pay("1001", 400)
    lowell.far.tell()
    lowell.clock.advance(days=1)
    lowell.far.agency.reverse(paid, lowell.clock().date())
    lowell.far.tell()
    first, reversal = lowell.payments()

    def balances() -> list[float]:
        return [lowell.agency_balance(name) for name in ("1001", "1002")]

    for place in ("1002", "1001"):
        placing.match(lowell.house, first.id, lowell.entry_id(place), ACTOR)
        assert lowell.payments(id=reversal.id)[0].entry_id == lowell.entry_id(place)
        assert balances() == [1000, 500], "what was paid and taken back is not paid"
    back(lowell, first.id)
    waits = lowell.payments(id=reversal.id)[0]
    assert (waits.state, waits.entry_id, balances()) == ("unmatched", None, [1000, 500])
    placing.match(lowell.house, reversal.id, lowell.entry_id("1002"), ACTOR)
    placing.match(lowell.house, first.id, lowell.entry_id("1001"), ACTOR)
    assert lowell.payments(id=reversal.id)[0].entry_id == lowell.entry_id("1002"), "a person's own word stays"


@pytest.mark.rule("R-RV-04", "R-LK-10")
@pytest.mark.parametrize("act", ["moved", "split"])
def test_what_was_corrected_since_or_undone_is_not_undone_again(bank, act):
    (row,) = told(bank, CamtPayment(100_000, KID))
    bank.post()
    (entry,) = [one for one in bank.group("1001") if one.kind == "payment"]
    if act == "moved":
        posting.move_payment(bank.house, entry.id, bank.entry_id("1002"), ACTOR)
    else:
        links.split_payment(bank.house, entry.id, {bank.entry_id("1002"): 100_000}, ACTOR)
    with pytest.raises(Refused, match=rf"payment\.already_{act}"):
        back(bank, row.id)


@pytest.mark.rule("R-RV-02")
def test_an_undone_posting_can_be_neither_moved_nor_split(bank):
    (row,) = told(bank, CamtPayment(100_000, KID))
    bank.post()
    (entry,) = [one for one in bank.group("1001") if one.kind == "payment"]
    back(bank, row.id)
    for act in (
        lambda: posting.move_payment(bank.house, entry.id, bank.entry_id("1002"), ACTOR),
        lambda: links.split_payment(bank.house, entry.id, {bank.entry_id("1002"): 100_000}, ACTOR),
    ):
        with pytest.raises(Refused, match=r"payment\.already_undone"):
            act()


@pytest.mark.rule("R-RV-02", "R-PM-03")
def test_what_the_accounting_system_has_booked_gets_its_counter_entry_beside_it(bank):
    """The books link its line to the invoice again at every reading; a counter entry elsewhere would be lost."""
    (row,) = told(bank, CamtPayment(100_000, KID))
    bank.post()
    bank.payment("v152", 1000, back_reference=f"payment:{row.id}")
    bank.link("1001", "v152", ref="A")
    back(bank, row.id)
    assert books(bank) == [("1001", -100_000, "payment"), ("1001", 100_000, "payment_out")]
    bank.link("1001", "v152", ref="A")
    assert bank.open("1001") == 1000


@pytest.mark.rule("R-PM-03")
def test_what_was_set_aside_can_be_taken_up(bank):
    (row,) = told(bank, CamtPayment(100_000, KID))
    placing.ignore(bank.house, row.id, ACTOR, "a mistake")
    back(bank, row.id)
    (after,) = bank.payments()
    assert (after.state, after.suggested_entry_id) == ("unmatched", bank.entry_id("1001"))
    placing.match(bank.house, row.id, bank.entry_id("1001"), ACTOR)
    bank.post()
    assert bank.open("1001") == 0


# --- possible duplicates ---------------------------------------------------------------------------------------------


def both(world: World, *payments: CamtPayment, second: int = 0) -> list:
    """Let OCR giro tell *payments*, then camt.054 the same, and *second* of the first more."""
    took(world, ocr_file([[OcrPayment(one.amount_minor, one.reference) for one in payments]]))
    again = (*payments, *([payments[0]] * second))
    return took(world, camt_file([CamtEntry(tuple(replace(one, payer="86011117947") for one in again))]))


@pytest.mark.rule("R-PM-10")
def test_the_same_money_is_set_aside_and_the_first_row_posts(bank):
    (row,) = both(bank, CamtPayment(100_000, KID))
    assert row.difference == "payment.possible_duplicate"
    first = bank.payments()[0].id
    assert placing.same_money(bank.house, row.id, ACTOR) == first
    assert [(one.state, one.difference) for one in bank.payments()] == [
        ("proposed", ""), ("ignored", "payment.same_money"),
    ]  # fmt: skip
    assert bank.post().posted == (first,)
    assert bank.audit("payment.same")[0].facts == {"twin": first}
    with pytest.raises(Refused, match=r"payment\.not_a_duplicate"):
        placing.same_money(bank.house, row.id, ACTOR)


@pytest.mark.rule("R-PM-10")
def test_another_payment_goes_where_its_reference_says(bank):
    (row,) = both(bank, CamtPayment(40_000, KID))
    placing.another_money(bank.house, row.id, ACTOR)
    assert [(one.state, one.match_rule, one.twin_id) for one in bank.payments()] == [
        ("proposed", "payment_reference", None),
    ] * 2  # fmt: skip
    bank.post()
    assert bank.open("1001") == 200
    with pytest.raises(Refused, match=r"payment\.not_a_duplicate"):
        placing.another_money(bank.house, row.id, ACTOR)


@pytest.mark.rule("R-PM-10", "R-LK-10")
def test_another_payment_that_names_several_documents_is_divided_as_it_would_have_been(bank):
    named = documents(("CINV", "1001", 300), ("CINV", "1002", 100))
    told(bank, CamtPayment(40_000, documents=named))
    data = camt_file([CamtEntry((CamtPayment(40_000, documents=named, bank_reference="OTHER"),))])
    (row,) = took(bank, data)
    assert row.difference == "payment.possible_duplicate"
    placing.same_money(bank.house, row.id, ACTOR)
    back(bank, row.id)
    placing.another_money(bank.house, row.id, ACTOR)
    assert (bank.payments()[1].match_rule, parts(bank, row)) == ("several", {"1001": 300, "1002": 100})
    bank.post()
    assert (bank.open("1001"), bank.open("1002")) == (400, 300)


@pytest.mark.rule("R-PM-10", "R-VL-08")
def test_what_was_said_can_be_taken_back_and_the_question_is_open_again(lowell):
    (row,) = both(lowell, CamtPayment(40_000, KID))
    placing.same_money(lowell.house, row.id, ACTOR)
    back(lowell, row.id)
    (_, after) = lowell.payments()
    assert (after.state, after.difference) == ("unmatched", "payment.possible_duplicate")
    placing.another_money(lowell.house, row.id, ACTOR)
    assert lowell.payments()[1].difference != "payment.possible_duplicate"


@pytest.mark.rule("R-PM-10")
def test_two_payments_of_one_file_never_both_repeat_one_earlier_payment(bank):
    rows = both(bank, CamtPayment(30_000, KID), second=1)
    assert {row.difference for row in rows} == {"payment.possible_duplicate"}
    placing.same_money(bank.house, rows[0].id, ACTOR)
    with pytest.raises(Refused, match=r"payment\.told_once"):
        placing.same_money(bank.house, rows[1].id, ACTOR)
    placing.another_money(bank.house, rows[1].id, ACTOR)
    bank.post()
    assert bank.open("1001") == 400


@pytest.mark.rule("R-PM-10")
def test_two_tellings_of_two_equal_payments_each_find_one_of_their_own(bank):
    rows = both(bank, CamtPayment(30_000, KID), CamtPayment(30_000, KID))
    twins = {placing.same_money(bank.house, row.id, ACTOR) for row in rows}
    assert twins == {row.id for row in bank.payments(state="proposed")}
    assert len(twins) == 2
