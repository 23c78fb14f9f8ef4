"""A payment posted here comes back from the accounting system: it is one payment, not two (R-PM-03, L12, accounting 2.2)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.db.tables import LedgerEntry
from gateway.domain.ledger import EntryKind
from gateway.errors import NotFound, Refused
from gateway.services import joining, links, marks, posting, writeoff
from tests.rules.test_r_pm import at_agency
from tests.rules.world import ACTOR, World


@pytest.fixture
def posted(fjord) -> World:
    """The agency told of 400 on invoice 1 of 1000, and a person posted it."""
    at_agency(fjord, ("1", 1000), ("2", 1000))
    fjord.far.pay("1", 400)
    fjord.far.tell()
    fjord.post()
    assert fjord.open("1") == 600
    fjord.clock.advance(hours=1)
    return fjord


def reference(world: World) -> str:
    (ours,) = world.rows(LedgerEntry, LedgerEntry.source == "kravport", LedgerEntry.kind == "payment")
    return ours.external_id


@pytest.mark.rule("R-PM-03", "R-PM-08", "L12")
def test_the_books_line_that_names_our_posting_joins_it(posted):
    ours = posted.entry(reference(posted))
    posted.payment("v152", 400, back_reference=ours.external_id, booked=date(2026, 11, 25))
    posted.link("1", "v152")
    joined = posted.entry("v152")
    assert (joined.id, joined.payment_id, joined.origin) == (ours.id, ours.payment_id, "agency")
    assert (joined.booked, joined.voucher_number) == (date(2026, 11, 25), "v152"), "the books say when and where"
    assert posted.open("1") == 600
    assert len(posted.group("1")) == 2
    evening = posted.evening()
    assert (evening.sent, evening.held) == (set(), {})
    posted.far.night()
    assert posted.far.balances() == {"1": 600, "2": 1000}


@pytest.mark.rule("L11")
def test_read_again_it_changes_nothing_and_later_texts_are_taken(posted):
    again = {"back_reference": reference(posted)}
    posted.payment("v152", 400, **again)
    entry = posted.make_entry("v152", EntryKind.PAYMENT, -400, is_bank=True, voucher_number="v152", **again)
    assert (posted.take(entry).unchanged, posted.open("1")) == (1, 600)
    posted.payment("v152", 400, text="from the agency", **again)
    assert (posted.entry("v152").text, posted.open("1")) == ("from the agency", 600)


@pytest.mark.rule("R-PM-03")
def test_the_order_of_entry_and_link_in_one_reading_does_not_matter(posted):
    entry = posted.make_entry(
        "v152", EntryKind.PAYMENT, -400, is_bank=True, voucher_number="v152", back_reference=reference(posted)
    )
    from gateway.domain.ledger import LinkRecord

    posted.take(entry, LinkRecord("L1", ("1", "v152")))
    assert posted.open("1") == 600


@pytest.mark.rule("R-PM-03")
def test_the_same_bank_reference_and_amount_is_the_same_money(house, clock, tmp_path):
    world = at_agency(World(house, clock, tmp_path).start(), ("1", 1000), payment_reference="1000000000017")
    world.far.pay("1", 400)
    world.far.tell("camt054")
    world.post()
    ours = world.entry(reference(world))
    assert ours.bank_reference
    same = {"bank_reference": ours.bank_reference, "payment_reference": ours.payment_reference}
    world.payment("v152", 400, **same)
    world.payment("v153", 400, **same)
    world.link("1", "v152", "v153")
    assert world.entry("v152").id == ours.id
    assert world.entry("v153").id != ours.id, "one posting is joined once"
    assert world.open("1") == 200


@pytest.mark.rule("R-PM-09", "R-PM-03")
def test_an_equal_amount_alone_is_not_taken_for_the_same_and_holds_the_group(posted):
    posted.payment("v152", 400)
    posted.link("1", "v152")
    evening = posted.evening()
    assert evening.sent == set()
    assert evening.held == {"v152": {"payment.maybe_posted_here"}}
    posted.far.night()
    assert posted.far.balances()["1"] == 600


@pytest.mark.rule("R-PM-03")
def test_a_person_says_that_it_is_the_same(posted):
    ours = posted.entry(reference(posted))
    posted.payment("v152", 400)
    posted.link("1", "v152", ref="A")
    joining.same_as_posted(posted.house, posted.entry_id("v152"), ACTOR)
    assert posted.entry("v152").id == ours.id
    assert posted.open("1") == 600
    assert (posted.not_linked(), posted.warned()) == (set(), {})
    evening = posted.evening()
    assert (evening.sent, evening.held) == (set(), {})
    posted.link("1", "v152", ref="A")
    assert posted.open("1") == 600
    assert [row.object_id for row in posted.audit("payment.joined")] == [str(ours.id)]


@pytest.mark.rule("R-PM-03")
def test_a_person_says_that_it_is_another(posted):
    posted.payment("v152", 400)
    posted.link("1", "v152")
    marks.judge_line(posted.house, posted.entry_id("v152"), True, ACTOR)
    assert posted.evening().sent == {"v152"}
    posted.far.night()
    assert posted.far.balances()["1"] == 200
    with pytest.raises(Refused) as refused:
        joining.same_as_posted(posted.house, posted.entry_id("v152"), ACTOR)
    assert refused.value.code == "exclusion.already_sent"


@pytest.mark.rule("R-PM-03")
def test_nothing_is_joined_where_nothing_equal_was_posted(posted):
    posted.payment("v152", 399)
    posted.link("1", "v152")
    with pytest.raises(NotFound):
        joining.same_as_posted(posted.house, posted.entry_id("v152"), ACTOR)


@pytest.mark.rule("R-PM-03")
@pytest.mark.parametrize("changes", [{"kroner": 399}, {"back_reference": "payment:999999"}])
def test_a_line_that_names_our_posting_and_does_not_fit_it_is_held(posted, changes):
    values = {"kroner": 400, "back_reference": reference(posted)} | changes
    posted.payment("v152", values.pop("kroner"), **values)
    posted.link("1", "v152")
    evening = posted.evening()
    assert evening.sent == set()
    assert "payment.back_reference" in evening.held["v152"]


@pytest.mark.rule("R-PM-03")
def test_a_payment_that_came_before_the_posting_is_no_copy_of_it(fjord):
    at_agency(fjord, ("1", 1000))
    fjord.payment("p", 400)
    fjord.link("1", "p")
    fjord.far.pay("1", 400)
    fjord.far.tell()
    fjord.post()
    assert fjord.evening().sent == {"p"}


@pytest.mark.rule("R-RV-04", "R-PM-03")
def test_a_correction_made_here_and_booked_in_the_books_is_told_once(posted):
    posted.payment("p", 600)
    posted.link("1", "p", ref="A")
    posted.evening()
    posted.far.night()
    out, _in = posting.move_payment(posted.house, posted.entry_id("p"), posted.entry_id("2"), ACTOR)
    posted.evening()
    posted.far.night()
    assert posted.far.balances() == {"1": 600, "2": 400}
    posted.clock.advance(hours=1)
    name = posted.row_of(out).external_id
    posted.item("v160", EntryKind.PAYMENT_OUT, 600, is_bank=True, back_reference=name)
    posted.link("1", "p", "v160", ref="A")
    assert posted.entry("v160").id == out
    assert posted.evening().sent == set()
    assert (posted.open("1"), posted.agency_balance("1")) == (600, 600)


@pytest.mark.rule("R-RV-02", "R-PM-03")
def test_a_correction_that_the_books_took_over_is_not_made_twice(posted):
    """Joined, our entries bear the names of the accounting system: what was done must be known all the same."""
    posted.payment("p", 600)
    posted.link("1", "p")
    out, _in = posting.move_payment(posted.house, posted.entry_id("p"), posted.entry_id("2"), ACTOR)
    posted.item("v160", EntryKind.PAYMENT_OUT, 600, is_bank=True, back_reference=posted.row_of(out).external_id)
    assert posted.entry("v160").id == out
    with pytest.raises(Refused, match=r"payment\.already_moved"):
        posting.move_payment(posted.house, posted.entry_id("p"), posted.entry_id("2"), ACTOR)
    assert posted.open("2") == 400


@pytest.mark.rule("R-LK-10", "R-PM-03")
def test_a_split_that_the_books_took_over_is_not_made_twice(posted):
    posted.payment("p", 600)
    whole, parts = posted.entry_id("p"), {posted.entry_id("1"): 20_000, posted.entry_id("2"): 40_000}
    links.split_payment(posted.house, whole, parts, ACTOR)
    posted.item("v161", EntryKind.PAYMENT_OUT, 600, is_bank=True, back_reference=f"split:{whole}")
    with pytest.raises(Refused, match=r"payment\.already_split"):
        links.split_payment(posted.house, whole, parts, ACTOR)
    assert (posted.open("1"), posted.open("2")) == (400, 600)


@pytest.mark.rule("R-VL-07", "R-PM-03")
def test_what_is_open_again_is_written_off_again_whichever_loss_the_books_took_over(posted):
    first = writeoff.write_off(posted.house, posted.entry_id("1"), ACTOR, loss_account="7830")
    for name in ("r", "s"):
        posted.item(name, EntryKind.OTHER, 100, is_bank=True, do_not_transfer=True)
        posted.tie("1", name)
        if name == "s":
            named = posted.row_of(first).external_id
            posted.item("v162", EntryKind.WRITE_OFF, -600, back_reference=named, do_not_transfer=True)
            assert posted.entry_id("v162") == first
        writeoff.write_off(posted.house, posted.entry_id("1"), ACTOR, loss_account="7830")
        assert posted.open("1") == 0


@pytest.mark.rule("R-PM-03", "L12")
def test_a_posting_is_joined_by_the_line_that_names_it_and_by_no_other_of_one_reading(house, clock, tmp_path):
    world = at_agency(World(house, clock, tmp_path).start(), ("1", 1000), payment_reference="1000000000017")
    world.far.pay("1", 400)
    world.far.tell("camt054")
    world.post()
    ours = world.entry(reference(world))
    same = {"bank_reference": ours.bank_reference, "payment_reference": ours.payment_reference, "is_bank": True}
    naming = world.make_entry("v152", EntryKind.PAYMENT, -400, back_reference=ours.external_id, **same)
    world.take(naming, world.make_entry("v153", EntryKind.PAYMENT, -400, **same))
    assert world.entry("v152").id == ours.id
    assert world.entry("v153").id != ours.id
