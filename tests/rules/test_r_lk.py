"""R-LK: link item by item. The test table T-LK-1 to T-LK-12 is the worked example of the source."""

from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import insert

from gateway.db.ledger_sql import queue_groups
from gateway.db.tables import Claim, Creditor, LedgerEntry
from gateway.domain.ledger import EntryKind
from gateway.errors import DataError, NotFound, Refused
from gateway.services import agreements, links, marks
from tests.rules.world import ACTOR, World

MIXED = ("100001", "100002", "152", "100003")


def given(world: World, order: tuple[str, ...] = ("100001", "100002", "152", "100003")) -> World:
    """Customer A, two invoices with their reminder numbers, payment 152, credit note 100003 that credits 100002."""
    make = {
        "100001": lambda: world.invoice("100001", 10_000, reminder_number="208"),
        "100002": lambda: world.invoice("100002", 15_000, reminder_number="209"),
        "152": lambda: world.payment("152", 10_000),
        "100003": lambda: world.credit_note("100003", 15_000, credits_="100002"),
    }
    world.customer()
    for name in order:
        make[name]()
    return world


def both_open(world: World) -> tuple[float, float]:
    return world.open("100001"), world.open("100002")


def ride(evening) -> dict[str, tuple[str, tuple[tuple[str, float], ...]]]:
    """Under which reminder number which items ride, by invoice."""
    return {number: (told.reminder, told.items) for number, told in evening.carried.items()}


RIGHT = {"100001": ("208", (("Payment", 10_000.0),)), "100002": ("209", (("CreditNote", 15_000.0),))}


@pytest.mark.rule("R-LK-01", "R-LK-05", "T-LK-1", "A-15")
def test_t_lk_1_right(fjord):
    given(fjord)
    fjord.link("100001", "152")
    fjord.link("100002", "100003")
    assert both_open(fjord) == (0, 0)
    assert fjord.warned() == {}
    evening = fjord.evening()
    assert evening.sent == set(MIXED)
    assert evening.held == {}
    assert ride(evening) == RIGHT
    fjord.far.night()
    assert fjord.far.balances() == {"100001": 0, "100002": 0}


@pytest.mark.rule("R-LK-03", "R-LK-06", "R-LK-08", "R-LK-09", "T-LK-2", "A-14")
def test_t_lk_2_wrong(fjord):
    given(fjord)
    fjord.invoice("100004", 70)
    fjord.link(*MIXED)
    proposal = links.propose_split(fjord.house, fjord.entry("100001").group_id)
    assert [fjord.names(group) for group in proposal] == [{"100001", "152"}, {"100002", "100003"}]
    evening = fjord.evening()
    assert evening.sent == {"100004"}, "other invoices of the same customer still go"
    assert evening.held == {name: {"group.several_invoices"} for name in MIXED}
    (hold,) = [h for h in fjord.preview().held if h.number == "100002"]
    assert hold.values["numbers"] == f"100001, 100002, 100003, {fjord.entry_id('152')}"
    assert fjord.reminder_number("100002") == "209"


@pytest.mark.rule("R-LK-04", "R-LS-08", "T-LK-3")
def test_t_lk_3_no_links(fjord):
    given(fjord)
    assert both_open(fjord) == (10_000, 15_000)
    assert fjord.warned() == {"100001": {"link.possible_match"}, "100002": {"link.possible_match"}}
    assert fjord.evening().sent == {"100001", "100002"}


@pytest.mark.rule("T-LK-4", "R-LK-01")
def test_t_lk_4_crossed(fjord):
    given(fjord)
    fjord.link("100001", "100003")
    fjord.link("100002", "152")
    assert both_open(fjord) == (-5_000, 5_000)
    evening = fjord.evening()
    assert evening.sent == set()
    wrong, over = "link.credit_note_other_invoice", "link.over_matched"
    assert evening.held == {"100001": {wrong, over}, "100003": {wrong, over}, "100002": {wrong}, "152": {wrong}}


@pytest.mark.rule("R-LK-02", "T-LK-5")
def test_t_lk_5_two_payments(fjord):
    given(fjord, ("100001", "100002"))
    fjord.payment("152a", 4_000)
    fjord.payment("152b", 6_000)
    fjord.link("100001", "152a", "152b")
    assert both_open(fjord) == (0, 15_000)
    evening = fjord.evening()
    assert evening.sent == {"100001", "100002", "152a", "152b"}
    assert ride(evening)["100001"] == ("208", (("Payment", 4_000), ("Payment", 6_000)))


@pytest.mark.rule("R-LK-02", "T-LK-6")
def test_t_lk_6_mixed_on_one(fjord):
    given(fjord, ("100001", "100002"))
    fjord.payment("p", 5_000)
    fjord.credit_note("k", 10_000, credits_="100002")
    fjord.link("100002", "p", "k")
    assert both_open(fjord) == (10_000, 0)
    evening = fjord.evening()
    assert evening.sent == {"100001", "100002", "p", "k"}
    number, items = ride(evening)["100002"]
    assert (number, sorted(items)) == ("209", [("CreditNote", 10_000), ("Payment", 5_000)])
    assert ride(evening)["100001"] == ("208", ())


@pytest.mark.rule("T-LK-7")
def test_t_lk_7_part_payment(fjord):
    given(fjord, ("100001", "100002"))
    fjord.payment("p", 4_000)
    fjord.link("100001", "p")
    assert both_open(fjord) == (6_000, 15_000)
    evening = fjord.evening()
    assert ride(evening)["100001"] == ("208", (("Payment", 4_000),))
    assert evening.carried["100001"].open == 6_000


@pytest.mark.rule("R-LK-03", "R-LK-10", "T-LK-8", "R-CO-55")
def test_t_lk_8_one_payment_of_25_000(fjord):
    given(fjord, ("100001", "100002"))
    fjord.payment("p", 25_000)
    fjord.link("100001", "100002", "p")
    evening = fjord.evening()
    assert evening.sent == set()
    assert evening.held == {name: {"group.several_invoices"} for name in ("100001", "100002", "p")}
    before = fjord.entry("p")
    parts = {fjord.entry_id("100001"): 1_000_000, fjord.entry_id("100002"): 1_500_000}
    links.split_payment(fjord.house, fjord.entry_id("p"), parts, ACTOR)
    assert both_open(fjord) == (0, 0)
    assert fjord.not_linked() == set()
    after = fjord.evening()
    assert ride(after) == {"100001": ("208", (("Payment", 10_000),)), "100002": ("209", (("Payment", 15_000),))}
    kept = fjord.entry("p")
    assert (kept.amount_minor, kept.booked, kept.content_hash) == (
        before.amount_minor,
        before.booked,
        before.content_hash,
    )


@pytest.mark.rule("R-LK-10")
@pytest.mark.parametrize("parts", [(10_000, 14_000), (10_000, 16_000), (25_000, 0), (26_000, -1_000)])
def test_r_lk_10_parts_must_make_the_whole(fjord, parts):
    given(fjord, ("100001", "100002"))
    fjord.payment("p", 25_000)
    wanted = {fjord.entry_id(name): part * 100 for name, part in zip(("100001", "100002"), parts, strict=True)}
    with pytest.raises(DataError):
        links.split_payment(fjord.house, fjord.entry_id("p"), wanted, ACTOR)
    assert both_open(fjord) == (10_000, 15_000)


@pytest.mark.rule("R-LK-07", "R-LK-06", "T-LK-9")
def test_t_lk_9_r_lk_07_every_order_of_arrival_gives_the_same(house, clock, tmp_path):
    """24 orders of the entries, both orders of the links: 48 creditors side by side, one evening."""
    worlds = []
    for n, order in enumerate(permutations(MIXED)):
        for turned in (False, True):
            world = World(house, clock, tmp_path / f"{n}{turned}", "lowell", key=f"w{n}{turned}").start()
            given(world, order)
            for names in (("100002", "100003"), ("152", "100001"))[:: -1 if turned else 1]:
                world.link(*names)
            worlds.append(world)
    moment = clock.moment
    for world in worlds:
        clock.moment = moment
        evening = world.evening()
        assert ride(evening) == RIGHT
        assert (evening.held, both_open(world)) == ({}, (0, 0))


@pytest.mark.rule("R-LK-07", "T-LK-9")
def test_r_lk_07_a_mixed_group_in_any_order_is_held_and_proposes_the_same_split(house, clock, tmp_path):
    for n, order in enumerate(permutations(MIXED)):
        world = given(World(house, clock, tmp_path, "lowell", key=f"w{n}").start(), order)
        world.link(*order)
        assert world.held_in(world.preview()) == {name: {"group.several_invoices"} for name in MIXED}
        proposal = links.propose_split(house, world.entry("152").group_id)
        assert {frozenset(world.names(group)) for group in proposal} == {
            frozenset({"100001", "152"}),
            frozenset({"100002", "100003"}),
        }


@pytest.mark.rule("T-LK-10", "R-LK-09")
def test_t_lk_10_mended(fjord):
    given(fjord)
    fjord.link(*MIXED)
    fjord.evening()
    group = fjord.entry("100001").group_id
    links.confirm_split(fjord.house, group, links.propose_split(fjord.house, group), ACTOR)
    assert both_open(fjord) == (0, 0)
    evening = fjord.evening()
    assert ride(evening) == RIGHT
    assert evening.held == {}
    assert fjord.evening().sent == set(), "each once"


@pytest.mark.rule("R-LK-09")
def test_r_lk_09_a_split_must_hold_every_member_once(fjord):
    given(fjord)
    fjord.link(*MIXED)
    group, ids = fjord.entry("100001").group_id, {name: fjord.entry_id(name) for name in MIXED}
    for wrong in ([[ids["100001"], ids["152"]]], [list(ids.values()), [ids["152"]]]):
        with pytest.raises(DataError):
            links.confirm_split(fjord.house, group, wrong, ACTOR)
    with pytest.raises(Refused) as refused:
        links.confirm_split(fjord.house, group, [list(ids.values())], ACTOR)
    assert refused.value.code == "group.several_invoices"
    assert fjord.held_in(fjord.preview()) == {name: {"group.several_invoices"} for name in MIXED}


@pytest.mark.rule("R-LK-09")
def test_r_lk_09_payment_reference_is_the_first_evidence(fjord):
    fjord.customer()
    fjord.invoice("1", 100, payment_reference="10000000015")
    fjord.invoice("2", 100, payment_reference="10000000023")
    fjord.payment("p", 100, payment_reference="10000000023")
    fjord.link("1", "2", "p")
    proposal = links.propose_split(fjord.house, fjord.entry("1").group_id)
    assert [fjord.names(group) for group in proposal] == [{"1"}, {"2", "p"}]


@pytest.mark.rule("R-LK-09")
def test_r_lk_09_equal_amounts_without_reference_give_no_proposal(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.invoice("2", 100)
    fjord.payment("p", 100)
    fjord.link("1", "2", "p")
    assert links.propose_split(fjord.house, fjord.entry("1").group_id) == ()


def put_into_open_case(world: World, name: str) -> None:
    """Give the invoice a claim under a collection agreement. Collection itself is R-CO; here only its link rule."""
    values = {"service": "collection", "client_number": "4712", "may_create_cases": False}
    agreement_id = world.agree("intrum", **values)
    agreements.activate(world.house, agreement_id, ACTOR)
    entry_id = world.entry_id(name)
    row = {"claim_id": f"kp-{entry_id}", "reminder_number": "208", "state": "accepted", "told_minor": 1_000_000}
    with world.house.database.write() as connection:
        connection.execute(
            insert(Claim).values(agreement_id=agreement_id, entry_id=entry_id, first_sent_at=world.clock(), **row)
        )


@pytest.mark.rule("R-LK-12", "T-LK-11", "R-CO-56")
def test_t_lk_11_open_case(fjord):
    given(fjord, ("100001", "100002", "152"))
    put_into_open_case(fjord, "100001")
    with pytest.raises(Refused) as refused:
        fjord.tie("100001", "100002", "152")
    assert refused.value.code == "link.case_invoice"
    assert both_open(fjord) == (10_000, 15_000)
    fjord.tie("100001", "152")
    assert fjord.open("100001") == 0


@pytest.mark.rule("T-LK-12", "R-LS-07")
def test_t_lk_12_no_invoice(fjord):
    fjord.customer()
    fjord.payment("p", 500)
    fjord.item("out", EntryKind.PAYMENT_OUT, 500)
    fjord.link("p", "out")
    evening = fjord.evening()
    assert (evening.sent, evening.held, evening.files) == (set(), {}, {})


# --- single rules ----------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-LK-05", "A-13")
def test_r_lk_05_reminder_numbers_are_unique_never_reused_and_never_changed(fjord):
    fjord.customer()
    for number in ("1", "2", "3"):
        fjord.invoice(number, 100)
    assert fjord.reminder_number("1") == "", "not before it leaves the house"
    fjord.use_factoring()
    marks.mark_invoice(fjord.house, fjord.entry_id("2"), True, ACTOR)
    fjord.evening()
    marks.mark_invoice(fjord.house, fjord.entry_id("2"), False, ACTOR)
    first = {name: fjord.reminder_number(name) for name in ("1", "3")}
    fjord.evening()
    assert {name: fjord.reminder_number(name) for name in ("1", "3")} == first
    numbers = {fjord.reminder_number(name) for name in ("1", "2", "3")}
    assert len(numbers) == 3
    assert all(fjord.claim(name).reminder_number for name in "123")


@pytest.mark.rule("R-LK-05")
def test_r_lk_05_the_number_stays_when_another_agency_gets_the_invoice(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell").start()
    world.customer()
    world.invoice("1", 100)
    world.invoice("2", 100)
    world.evening()
    old = world.agreement_id
    given = {name: world.claim(name).reminder_number for name in ("1", "2")}
    new = world.agree("intrum", client_number="4712", may_create_cases=False)
    agreements.activate(house, new, ACTOR)
    agreements.change_agreement(house, old, {"may_create_cases": False}, ACTOR)
    agreements.change_agreement(house, new, {"may_create_cases": True}, ACTOR)
    with house.database.write() as connection:
        connection.execute(Claim.__table__.update().values(state="rejected"))
        queue_groups(connection, world.creditor_id, {world.entry("1").group_id, world.entry("2").group_id}, clock())
    world.agreement_id = new
    world.invoice("3", 100)
    assert world.evening().sent == {"1", "2", "3"}
    assert {name: world.claim(name).reminder_number for name in ("1", "2")} == given
    assert world.claim("3").reminder_number not in given.values()


@pytest.mark.rule("R-LK-05")
def test_r_lk_05_a_given_number_is_never_given_to_another_invoice(fjord):
    """The source brings numbers of its own (208, 209); ours start elsewhere and must not meet them."""
    fjord.customer()
    with fjord.house.database.write() as connection:
        connection.execute(Creditor.__table__.update().values(next_reminder_number=208))
    fjord.invoice("1", 100)
    fjord.invoice("2", 100, reminder_number="208")
    fjord.evening()
    assert fjord.reminder_number("2") == "208"
    assert fjord.reminder_number("1") not in {"", "208"}


@pytest.mark.rule("R-LK-08")
def test_r_lk_08_the_panel_cannot_make_a_mixed_link(fjord):
    given(fjord)
    for names in (MIXED, ("100001", "100002")):
        with pytest.raises(Refused) as refused:
            fjord.tie(*names)
        assert refused.value.code == "group.several_invoices"
    assert all(fjord.entry(name).group_id == fjord.entry_id(name) for name in MIXED)


@pytest.mark.rule("R-LK-08", "R-LK-03")
def test_r_lk_08_nor_by_way_of_an_item_that_is_linked_already(fjord):
    given(fjord)
    fjord.tie("100001", "152")
    with pytest.raises(Refused) as refused:
        fjord.tie("152", "100002")
    assert refused.value.code == "group.several_invoices"
    fjord.item("out", EntryKind.PAYMENT_OUT, 10_000)
    fjord.tie("152", "out")
    assert fjord.entry("152").group_id == fjord.entry("out").group_id == fjord.entry_id("100001")
    assert fjord.open("100001") == 10_000


@pytest.mark.rule("R-LK-01")
def test_r_lk_01_items_of_two_customers_cannot_be_linked(fjord):
    fjord.customer()
    fjord.customer("10002")
    fjord.invoice("1", 100)
    fjord.payment("p", 100, customer="c10002")
    with pytest.raises(Refused) as refused:
        fjord.tie("1", "p")
    assert refused.value.code == "link.other_customer"
    with pytest.raises(NotFound):
        links.link(fjord.house, fjord.creditor_id, [fjord.entry_id("1"), 999_999], ACTOR)


@pytest.mark.rule("R-LK-11", "R-CO-32")
def test_r_lk_11_a_credit_note_lowers_only_when_linked(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.credit_note("k", 400)
    assert fjord.warned() == {"1": {"link.possible_match"}}
    assert fjord.evening().carried["1"].open == 1000
    fjord.tie("1", "k")
    assert fjord.evening().carried["1"].open == 600
    fjord.far.night()
    assert fjord.far.balances() == {"1": 600}


@pytest.mark.rule("R-LK-07")
def test_r_lk_07_a_group_that_got_another_name_is_the_same_group(fjord):
    """24SevenOffice names the group anew at every link: that is no event, and nothing goes twice."""
    given(fjord)
    fjord.link("100001", "152", ref="a")
    fjord.evening()
    fjord.link("152", "100001", ref="b")
    assert fjord.evening().sent == set()
    assert {row.link_ref for row in fjord.rows(LedgerEntry, LedgerEntry.external_id.in_(("152", "100001")))} == {"b"}


@pytest.mark.rule("R-LK-08", "R-LS-16")
def test_r_lk_08_a_reason_that_holds_several_times_is_one_hold(fjord):
    """Two credit notes on the wrong invoice and a card with an empty address must not stop the evening of the others."""
    fjord.customer(address1="", postcode="", city="")
    fjord.customer("10002")
    fjord.invoice("1", 1000)
    fjord.credit_note("k1", 100, credits_="8")
    fjord.credit_note("k2", 100, credits_="9")
    fjord.link("1", "k1", "k2")
    fjord.invoice("2", 500, customer="c10002")
    evening = fjord.evening()
    assert evening.sent == {"2"}
    reasons = {"customer.address_missing", "link.credit_note_other_invoice"}
    assert evening.held == {"1": reasons, "k1": reasons, "k2": reasons}
