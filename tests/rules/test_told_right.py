"""What an agency was told stays true when the books change under it: split, moved and regrouped payments (R-LK, R-RV).

Most layouts have a message for a link that was removed. These worlds are the others: there only an entry that the agency
sees can correct what it was told (R-RV-02), and whatever cannot be told right is held (R-LS-05).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.domain.exchange import LinkKind
from gateway.errors import Refused
from gateway.services import links, posting
from tests.rules.world import ACTOR, World


def speaking(world: World, monkeypatch, **changes) -> World:
    """Let the world's agency have a layout that differs from its plugin's."""
    agency = world.house.agencies[world.agency]
    layouts = tuple(replace(layout, **changes) for layout in agency.profile.layouts)
    monkeypatch.setattr(agency, "profile", replace(agency.profile, layouts=layouts))
    return world


@pytest.fixture
def mute(fjord, monkeypatch) -> World:
    """Invoice 1 with payment p and invoice 2, all with an agency that has no message for a removed link."""
    speaking(fjord, monkeypatch, unlink_has_message=False, carries=frozenset(LinkKind) - {LinkKind.UNLINK})
    return paid(fjord)


def paid(world: World) -> World:
    world.customer()
    world.invoice("1", 1000)
    world.invoice("2", 1000)
    world.payment("p", 1000)
    world.link("1", "p", ref="A")
    world.evening()
    world.far.night()
    assert world.far.balances() == {"1": 0, "2": 1000}
    world.clock.advance(hours=1)
    return world


def split(world: World, **parts: float) -> None:
    minor = {world.entry_id(name.removeprefix("_")): round(kroner * 100) for name, kroner in parts.items()}
    links.split_payment(world.house, world.entry_id("p"), minor, ACTOR)


def evenings(world: World, count: int = 2) -> dict[str, float]:
    """Let evenings pass; return the agency's own balances, and see that ours says the same."""
    for _ in range(count):
        world.evening()
        world.far.night()
    told = world.far.balances()
    assert {name: world.agency_balance(name) for name in told} == told
    return told


@pytest.mark.rule("R-LK-10", "R-RV-02", "R-LS-15")
def test_a_sent_payment_that_is_split_is_paid_out_again_beside_its_parts(mute):
    split(mute, _1=400, _2=600)
    assert (mute.open("1"), mute.open("2")) == (600, 400)
    assert evenings(mute) == {"1": 600, "2": 400}
    assert mute.preview().held == ()
    assert mute.not_linked() == set()


@pytest.mark.rule("R-LK-10", "R-LS-05")
def test_where_the_layout_can_say_that_a_link_is_gone_it_says_so(fjord):
    paid(fjord)
    split(fjord, _1=400, _2=600)
    assert evenings(fjord) == {"1": 600, "2": 400}
    assert [row.kind for row in fjord.sent_items("p")] == ["direct_payment", "unlink"]


@pytest.mark.rule("R-LK-10", "R-LS-15")
def test_a_split_that_could_not_be_told_is_refused(fjord, monkeypatch):
    kinds = frozenset({LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE})
    speaking(fjord, monkeypatch, unlink_has_message=False, carries=kinds)
    paid(fjord)
    for act in (
        lambda: split(fjord, _1=400, _2=600),
        lambda: posting.move_payment(fjord.house, fjord.entry_id("p"), fjord.entry_id("2"), ACTOR),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "payment.correction_not_carried"
    assert (fjord.open("1"), fjord.open("2")) == (0, 1000)
    assert evenings(fjord) == {"1": 0, "2": 1000}


@pytest.mark.rule("R-LK-10", "R-RV-04")
def test_a_payment_is_split_or_moved_once_not_both(mute):
    split(mute, _1=400, _2=600)
    with pytest.raises(Refused) as refused:
        posting.move_payment(mute.house, mute.entry_id("p"), mute.entry_id("2"), ACTOR)
    assert refused.value.code == "payment.already_split"


@pytest.mark.rule("R-LK-10", "R-RV-04")
def test_a_moved_payment_is_not_split_as_well(mute):
    posting.move_payment(mute.house, mute.entry_id("p"), mute.entry_id("2"), ACTOR)
    with pytest.raises(Refused) as refused:
        split(mute, _1=400, _2=600)
    assert refused.value.code == "payment.already_moved"


@pytest.mark.rule("R-LK-09", "R-LS-05", "R-RV-04")
def test_a_sent_payment_whose_group_is_split_is_held_until_it_is_moved(mute):
    """The confirmed split puts p under invoice 2, the agency has it under 1: told by nobody until a person moves it."""
    mute.link("1", "2", "p", ref="A")
    group = mute.entry("1").group_id
    links.confirm_split(mute.house, group, [[mute.entry_id("1")], [mute.entry_id("2"), mute.entry_id("p")]], ACTOR)
    evening = mute.evening()
    assert evening.sent == set()
    assert evening.held == {"p": {"link.unlinked_after_transfer", "link.unlink_first"}}
    posting.move_payment(mute.house, mute.entry_id("p"), mute.entry_id("2"), ACTOR)
    assert (mute.open("1"), mute.open("2")) == (1000, 0)
    assert evenings(mute) == {"1": 1000, "2": 0}
    assert mute.preview().held == ()


@pytest.mark.rule("R-LS-05", "R-LS-15")
def test_parts_that_the_source_made_itself_do_not_lower_the_claim_a_second_time(mute):
    mute.payment("p1", 400)
    mute.payment("p2", 600)
    mute.link("1", "p1", ref="A")
    mute.link("2", "p2", ref="B")
    evening = mute.evening()
    assert evening.sent == {"p2"}
    assert evening.held == {"p": {"link.unlinked_after_transfer"}, "p1": {"link.unlinked_after_transfer"}}
    assert evenings(mute) == {"1": 0, "2": 400}


@pytest.mark.rule("R-LS-05")
def test_another_payment_goes_although_a_removed_link_waits_for_a_person(fjord, monkeypatch):
    """Kept back, it would let the agency go on chasing what is paid."""
    speaking(fjord, monkeypatch, unlink_has_message=False, carries=frozenset(LinkKind) - {LinkKind.UNLINK})
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.payment("p", 250)
    fjord.link("1", "p", ref="A")
    fjord.evening()
    fjord.clock.advance(hours=1)
    fjord.payment("q", 750)
    fjord.link("1", "q", ref="A")
    evening = fjord.evening()
    assert evening.sent == {"q"}
    assert evening.held == {"p": {"link.unlinked_after_transfer"}}


@pytest.mark.rule("R-LK-10", "R-LS-05")
def test_a_sent_payment_that_was_taken_out_of_its_link_is_split_right_too(mute):
    mute.untie("p")
    split(mute, _1=400, _2=600)
    assert evenings(mute) == {"1": 600, "2": 400}
    assert (mute.open("1"), mute.open("2")) == (600, 400)


@pytest.mark.rule("R-LK-10")
def test_a_split_stands_when_the_source_says_its_old_link_again(mute):
    split(mute, _1=400, _2=600)
    mute.link("1", "p", ref="A")
    assert (mute.open("1"), mute.open("2")) == (600, 400)
    assert evenings(mute) == {"1": 600, "2": 400}


@pytest.mark.rule("R-RV-04")
def test_what_a_moved_payment_leaves_behind_keeps_a_group_of_its_own(mute):
    mute.payment("q", 50)
    mute.untie("p")
    mute.tie("p", "q")
    assert mute.entry("q").group_id == mute.entry_id("p")
    posting.move_payment(mute.house, mute.entry_id("p"), mute.entry_id("2"), ACTOR)
    assert mute.entry("q").group_id == mute.entry_id("q")
    assert mute.not_linked() == {"q"}
    assert evenings(mute) == {"1": 1000, "2": 0}
