"""R-OP-09: differences 3 and 4, which come with case files and with money on a claim that is over."""

from __future__ import annotations

import pytest

from gateway.db.tables import InboundFile
from gateway.domain.instructions import Action
from gateway.services import instructions, watch
from tests.rules.world import ACTOR, World


@pytest.fixture
def at_agency(house, clock, tmp_path) -> World:
    """Invoice 1 of 1 000.00 is at Lowell, which has taken it; certain payments post by themselves."""
    world = World(house, clock, tmp_path, "lowell", options={"posts_automatically": True}).start()
    world.customer()
    world.invoice("1", 1000)
    world.evening()
    world.far.night()
    return world


def tells(world: World, state: str, **parts: object) -> list[tuple[str, str]]:
    """Let the agency tell a case; return code and both amounts of each finding."""
    world.far.agency.set_case(world.far.claim_id("1"), state, world.clock().date(), **parts)
    world.far.tell("cases")
    latest = max(world.rows(InboundFile), key=lambda row: row.id)
    return [(finding["code"], finding["value"]) for finding in latest.findings]


def withdraw(world: World) -> None:
    instructions.instruct(world.house, world.entry_id("1"), Action.WITHDRAW, ACTOR)
    world.evening()
    world.far.night()
    assert world.claim("1").state == "withdrawn"


@pytest.mark.rule("R-OP-09")
def test_r_op_09_money_on_a_claim_that_was_taken_back_is_shown_and_not_posted(at_agency):
    withdraw(at_agency)
    at_agency.far.pay("1", 1000)
    at_agency.far.tell()
    (row,) = at_agency.payments()
    assert (row.difference, row.state) == ("difference.already_ended", "proposed")
    assert (row.amount_minor, at_agency.open("1")) == (100_000, 1000)


@pytest.mark.rule("R-OP-09")
def test_r_op_09_a_case_that_goes_on_after_it_ended(at_agency):
    withdraw(at_agency)
    assert tells(at_agency, "active") == [("difference.already_ended", "1000.00 / 1000.00 NOK")]
    assert at_agency.open("1") == 1000


@pytest.mark.rule("R-OP-09")
def test_r_op_09_a_case_opened_again_by_the_agency(at_agency):
    assert tells(at_agency, "closed", close_code="paid") == []
    assert tells(at_agency, "active") == [("difference.already_ended", "1000.00 / 1000.00 NOK")]


@pytest.mark.rule("R-OP-09")
def test_r_op_09_a_claim_that_ends_while_the_books_still_expect_money(at_agency):
    at_agency.payment("p", 400)
    at_agency.tie("1", "p")
    found = tells(at_agency, "closed", close_code="withdrawn")
    assert found == [("difference.ended_nothing_written_off", "600.00 / 1000.00 NOK")]
    assert (at_agency.open("1"), at_agency.payments()) == (600, [])


@pytest.mark.rule("R-OP-09", "R-OP-10")
@pytest.mark.parametrize("parts", [{"close_code": "paid"}, {"close_code": "written-off", "loss_minor": 100_000}])
def test_r_op_09_a_closing_that_says_why_is_no_difference(at_agency, parts):
    """Money comes by the bank; a loss is booked by a person."""
    assert tells(at_agency, "closed", **parts) == []
    assert at_agency.open("1") == 1000


@pytest.mark.rule("R-OP-10", "R-OP-12", "P6")
def test_r_op_10_closed_as_paid_waits_for_the_bank_and_rings_after_the_agreed_days(at_agency):
    def rings() -> bool:
        found = watch.alarms(at_agency.house, [at_agency.creditor_id])
        return ("case.waits_for_bank", "entry") in {(one.code, one.object_type) for one in found}

    tells(at_agency, "closed", close_code="paid")
    assert (at_agency.claim("1").agency_state, at_agency.open("1")) == ("closed", 1000)
    at_agency.clock.advance(days=3)
    assert not rings()
    at_agency.clock.advance(minutes=1)
    tells(at_agency, "closed", close_code="paid")
    assert rings(), "told once more, it waits no shorter"
    at_agency.payment("p", 1000)
    at_agency.tie("1", "p")
    assert not rings()


@pytest.mark.rule("R-OP-09")
def test_r_op_09_a_claim_that_ends_with_nothing_open_is_no_difference(at_agency):
    at_agency.payment("p", 1000)
    at_agency.tie("1", "p")
    assert tells(at_agency, "closed", close_code="withdrawn") == []
