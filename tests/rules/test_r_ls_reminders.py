"""R-LS-11, R-LS-12 and R-FA-12: two reminders to one customer must be impossible (A-06)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.exchange import Service
from gateway.domain.instructions import Action
from gateway.domain.reasons import sentence
from gateway.errors import Refused
from gateway.services import agreements, instructions, marks, reminders
from tests.rules.world import ACTOR, World

OVERDUE = date(2026, 11, 2)


def owners(world: World, *names: str) -> dict[str, str]:
    ids = {world.entry_id(name): name for name in names}
    with world.house.database.read() as connection:
        return {ids[entry_id]: agency for entry_id, agency in reminders.owners(connection, list(ids)).items()}


def remind(world: World, name: str) -> None:
    """Ask as a reminder of the creditor's own would: refused where the agency sends them."""
    with world.house.database.read() as connection:
        reminders.refuse_if_agency_owns(connection, world.entry_id(name))


@pytest.mark.rule("R-LS-11", "A-06")
def test_r_ls_11_with_the_switch_off_the_agency_reminds_all_and_nobody_else(fjord):
    fjord.customer()
    fjord.invoice("1", 1000, due=OVERDUE, booked=date(2026, 10, 1))
    fjord.evening()
    fjord.invoice("2", 1000, due=OVERDUE, booked=date(2026, 10, 1))
    assert owners(fjord, "1", "2") == {"1": "Lowell", "2": "Lowell"}
    with pytest.raises(Refused) as refused:
        remind(fjord, "2")
    assert refused.value.code == "reminder.agency_owns"
    assert (
        sentence(refused.value.code, "nb", refused.value.values) == "Lowell følger opp fakturaen og sender purringene."
    )


@pytest.mark.rule("R-LS-12", "R-FA-12")
def test_r_ls_12_of_two_overdue_invoices_only_the_marked_one_can_be_reminded(fjord):
    fjord.use_factoring()
    fjord.customer()
    for name in ("1", "2"):
        fjord.invoice(name, 1000, due=OVERDUE, booked=date(2026, 10, 1))
    marks.mark_invoice(fjord.house, fjord.entry_id("2"), True, ACTOR)
    assert fjord.evening().sent == {"1"}
    assert owners(fjord, "1", "2") == {"1": "Lowell"}
    remind(fjord, "2")


@pytest.mark.rule("R-LS-12", "R-FA-12", "R-FA-07")
def test_r_ls_12_a_customer_kept_out_is_reminded_by_the_creditor(fjord):
    fjord.use_factoring()
    fjord.customer()
    fjord.invoice("1", 1000)
    assert owners(fjord, "1") == {"1": "Lowell"}, "it goes tonight"
    marks.mark_customer(fjord.house, fjord.customer_id(), True, ACTOR)
    assert owners(fjord, "1") == {}


@pytest.mark.rule("R-LS-11")
def test_r_ls_11_a_mark_that_is_left_over_gives_no_right_to_remind(fjord):
    """With the switch off the agency follows up the whole ledger, whatever marks remain (A-08)."""
    fjord.use_factoring()
    fjord.customer()
    fjord.invoice("1", 1000)
    marks.mark_invoice(fjord.house, fjord.entry_id("1"), True, ACTOR)
    fjord.use_factoring(use_factoring=False)
    assert owners(fjord, "1") == {"1": "Lowell"}


@pytest.mark.rule("R-LS-11", "R-FA-11")
def test_r_ls_11_what_was_withdrawn_is_the_creditors_to_remind_again(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.night()
    instructions.instruct(fjord.house, fjord.entry_id("1"), Action.WITHDRAW, ACTOR)
    assert owners(fjord, "1") == {"1": "Lowell"}, "until the agency has let go of it"
    fjord.evening()
    fjord.far.night()
    assert owners(fjord, "1") == {}


@pytest.mark.rule("R-LS-11")
def test_r_ls_11_a_collection_agreement_leaves_the_reminders_to_the_creditor(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"service": Service.COLLECTION.value}).start()
    world.customer()
    world.invoice("1", 1000)
    assert owners(world, "1") == {}


@pytest.mark.rule("R-LS-11")
def test_r_ls_11_after_the_agreement_has_ended_it_owns_what_it_has(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.invoice("2", 1000)
    agreements.end(fjord.house, fjord.agreement_id, ACTOR)
    assert owners(fjord, "1", "2") == {"1": "Lowell"}
