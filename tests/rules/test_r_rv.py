"""R-RV: correcting a wrongly posted payment so that the agency can see it."""

from __future__ import annotations

import pytest

from gateway.domain.ledger import EntryKind
from gateway.errors import NotFound, Refused
from gateway.services import posting
from tests.rules.world import ACTOR, World


@pytest.fixture
def paid(fjord) -> World:
    """Invoice 100001 with payment 152, both with the agency; 100005 is the invoice the money was meant for."""
    fjord.customer()
    fjord.invoice("100001", 10_000, reminder_number="208")
    fjord.invoice("100005", 10_000, reminder_number="212")
    fjord.payment("152", 10_000)
    fjord.link("100001", "152")
    fjord.evening()
    fjord.far.night()
    assert fjord.far.balances() == {"100001": 0, "100005": 10_000}
    return fjord


def reverse_in_the_books(world: World, name: str) -> None:
    """The accounting system reversed a voucher and told us so."""
    world.item(f"r{name}", EntryKind.REVERSAL, 10_000, reverses=name, voucher_number="153", is_bank=True)


def move(world: World, to: str | None = "100005", reason: str = "") -> list:
    target = world.entry_id(to) if to else None
    made = posting.move_payment(world.house, world.entry_id("152"), target, ACTOR, reason)
    return [world.row_of(entry_id) for entry_id in made]


@pytest.mark.rule("R-RV-01", "A-20")
def test_r_rv_01_a_reversal_does_not_travel(paid):
    reverse_in_the_books(paid, "152")
    evening = paid.evening()
    assert (evening.sent, evening.files) == (set(), {})
    assert evening.held == {"100001": {"payment.reversed_after_transfer"}}
    assert paid.far.balances()["100001"] == 0


@pytest.mark.rule("R-RV-01", "A-20")
def test_r_rv_01_linked_is_enough_it_need_not_have_gone(fjord):
    fjord.customer()
    fjord.invoice("1", 10_000)
    fjord.payment("152", 10_000)
    fjord.link("1", "152")
    reverse_in_the_books(fjord, "152")
    evening = fjord.evening()
    assert evening.sent == set()
    assert evening.held == {"1": {"payment.reversed_after_transfer"}, "152": {"payment.reversed_after_transfer"}}


@pytest.mark.rule("R-RV-02")
def test_r_rv_02_a_new_outgoing_payment_opens_the_invoice_again(paid):
    paid.item("160", EntryKind.PAYMENT_OUT, 10_000, voucher_number="160", is_bank=True)
    paid.tie("100001", "152", "160")
    assert paid.open("100001") == 10_000
    evening = paid.evening()
    assert evening.sent == {"160"}
    told = evening.carried["100001"]
    assert (told.reminder, told.items, told.open) == ("208", (("Disbursement", 10_000),), 10_000)
    paid.far.night()
    assert paid.far.balances() == {"100001": 10_000, "100005": 10_000}


@pytest.mark.rule("R-RV-03")
def test_r_rv_03_a_new_incoming_payment_on_the_right_invoice(paid):
    paid.payment("161", 10_000)
    paid.tie("100005", "161")
    assert paid.open("100005") == 0
    evening = paid.evening()
    assert evening.sent == {"161"}
    assert evening.carried["100005"].reminder == "212"


@pytest.mark.rule("R-RV-04", "R-RV-02", "R-RV-03", "A-21")
def test_r_rv_04_one_action_makes_both_steps(paid):
    before = paid.entry("152")
    out, back = move(paid)
    assert (out.kind, out.amount_minor, out.group_id) == ("payment_out", 1_000_000, paid.entry_id("100001"))
    assert (back.kind, back.amount_minor, back.group_id) == ("payment", -1_000_000, paid.entry_id("100005"))
    assert paid.entry("152") == before, "the original is untouched"
    assert out.amount_minor + back.amount_minor == 0, "the bank account's sum is unchanged"
    assert out.is_bank
    assert back.is_bank
    assert (paid.open("100001"), paid.open("100005")) == (10_000, 0)
    evening = paid.evening()
    assert {number: told.items for number, told in evening.carried.items()} == {
        "100001": (("Disbursement", 10_000),),
        "100005": (("Payment", 10_000),),
    }
    paid.far.night()
    assert paid.far.balances() == {"100001": 10_000, "100005": 0}


@pytest.mark.rule("R-RV-03", "A-21")
def test_r_rv_03_step_two_may_be_left_out_with_a_reason(paid):
    with pytest.raises(Refused) as refused:
        move(paid, to=None)
    assert refused.value.code == "payment.reason_needed"
    (out,) = move(paid, to=None, reason="returned to the payer")
    assert out.amount_minor == 1_000_000
    assert (paid.open("100001"), paid.open("100005")) == (10_000, 10_000)
    assert paid.audit("payment.moved")[0].facts["reason"] == "returned to the payer"


@pytest.mark.rule("R-RV-04")
def test_r_rv_04_a_payment_is_moved_once_and_not_to_itself(paid):
    with pytest.raises(NotFound):
        move(paid, to="100001")
    move(paid)
    with pytest.raises(Refused) as refused:
        move(paid)
    assert refused.value.code == "payment.already_moved"
    with pytest.raises(Refused):
        posting.move_payment(paid.house, paid.entry_id("100005"), paid.entry_id("100001"), ACTOR)


@pytest.mark.rule("R-RV-05", "A-20")
def test_r_rv_05_a_plain_reversal_when_no_agency_can_know(fjord):
    fjord.customer()
    fjord.payment("p", 500)
    reversal_id = posting.reverse_payment(fjord.house, fjord.entry_id("p"), ACTOR)
    assert fjord.row_of(reversal_id).amount_minor == 50_000
    evening = fjord.evening()
    assert (evening.sent, evening.held, fjord.not_linked()) == (set(), {}, set())


@pytest.mark.rule("R-RV-05", "A-20")
def test_r_rv_05_a_plain_reversal_told_by_the_source_is_no_finding_either(fjord):
    fjord.customer()
    fjord.invoice("1", 10_000)
    fjord.payment("152", 10_000)
    reverse_in_the_books(fjord, "152")
    assert fjord.warned() == {}
    evening = fjord.evening()
    assert (evening.sent, evening.held, fjord.not_linked()) == ({"1"}, {}, set())


@pytest.mark.rule("R-RV-05", "A-20")
@pytest.mark.parametrize("state", ["linked", "transferred and unlinked again"])
def test_r_rv_05_refused_where_an_agency_may_know(paid, state):
    if state != "linked":
        paid.untie("152")
    with pytest.raises(Refused) as refused:
        posting.reverse_payment(paid.house, paid.entry_id("152"), ACTOR)
    assert refused.value.code == "payment.reversed_after_transfer"


@pytest.mark.rule("R-RV-06")
@pytest.mark.parametrize("is_linked", [False, True])
def test_r_rv_06_one_confirmation_replaces_the_reversal_by_the_two_steps(paid, is_linked):
    """Also when the books linked the reversal to the invoice: it counts once, not twice."""
    reverse_in_the_books(paid, "152")
    if is_linked:
        paid.link("100001", "152", "r152", ref="link1")
        assert paid.open("100001") == 10_000
    assert paid.evening().held == {"100001": {"payment.reversed_after_transfer"}}
    move(paid)
    assert (paid.open("100001"), paid.open("100005")) == (10_000, 0)
    assert paid.not_linked() == set()
    evening = paid.evening()
    assert evening.held == {}
    assert evening.carried["100001"].items == (("Disbursement", 10_000),)
    assert evening.carried["100001"].reminder == "208"
    paid.far.night()
    assert paid.far.balances() == {"100001": 10_000, "100005": 0}
