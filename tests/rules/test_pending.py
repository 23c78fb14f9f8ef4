"""What waits for an agreement: it is sent, explained, or handed on; it neither vanishes nor waits for ever (R-LS-16)."""

from __future__ import annotations

import pytest

from gateway.db.tables import Pending
from gateway.services import agreements
from tests.rules.world import ACTOR, World


def switch(world: World, is_on: bool, agreement_id: int = 0) -> None:
    changes = {"may_create_cases": is_on}
    agreements.change_agreement(world.house, agreement_id or world.agreement_id, changes, ACTOR)


def waiting(world: World, agreement_id: int = 0) -> set[str]:
    mine = Pending.agreement_id == (agreement_id or world.agreement_id)
    return world.names(row.group_id for row in world.rows(Pending, mine))


@pytest.mark.rule("R-CO-25", "R-LS-02")
@pytest.mark.parametrize("has_claims", [True, False])
def test_what_came_while_no_new_claims_were_taken_goes_when_they_are_again(fjord, has_claims):
    fjord.customer()
    if has_claims:
        fjord.invoice("1", 100)
        assert fjord.evening().sent == {"1"}
        fjord.clock.advance(hours=1)
    switch(fjord, False)
    fjord.invoice("2", 100)
    fjord.invoice("3", 100)
    fjord.payment("p", 100)
    fjord.link("3", "p")
    for _ in range(2):
        assert fjord.evening().sent == set()
    switch(fjord, True)
    assert fjord.evening().sent == {"2"}, "a closed invoice is not brought up again (A-05)"
    assert waiting(fjord) == set()


@pytest.mark.rule("R-CO-25", "R-LS-16")
def test_a_held_invoice_comes_back_with_the_switch(fjord):
    fjord.customer(city="")
    fjord.invoice("1", 100)
    assert fjord.evening().held == {"1": {"customer.address_missing"}}
    switch(fjord, False)
    assert fjord.evening().sent == set()
    switch(fjord, True)
    fjord.clock.advance(minutes=1)
    fjord.customer()
    assert fjord.evening().sent == {"1"}


@pytest.mark.rule("R-CO-24")
def test_what_another_agency_has_taken_is_not_kept_for_the_old_one(fjord):
    fjord.customer()
    switch(fjord, False)
    old, new = fjord.agreement_id, fjord.agree("intrum", client_number="4712", may_create_cases=True)
    agreements.activate(fjord.house, new, ACTOR)
    fjord.invoice("1", 100)
    fjord.agreement_id = new
    assert fjord.evening().sent == {"1"}
    fjord.agreement_id = old
    fjord.evening()
    assert waiting(fjord, old) == set()
    switch(fjord, False, new)
    switch(fjord, True, old)
    assert fjord.evening().sent == set()


@pytest.mark.rule("R-LS-02", "R-LS-16")
def test_an_invoice_in_a_currency_nobody_takes_is_explained_once(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.invoice("2", 100, currency="EUR")
    (held,) = fjord.preview().held
    assert (held.code, held.currency, held.values["currency"]) == ("currency.no_agreement", "EUR", "EUR")
    evening = fjord.evening()
    assert (evening.sent, evening.held) == ({"1"}, {"2": {"currency.no_agreement"}})
    assert evening.next_dates == {"2": None}
    assert waiting(fjord) == set()
    assert fjord.evening().held == {}


@pytest.mark.rule("R-LS-02")
def test_an_invoice_in_the_currency_of_another_agreement_is_its_affair(fjord):
    fjord.customer()
    settings = {"ledger_id": "4712-SEK", "agency_id": "SANDBOX"}
    other = fjord.agree("intrum", client_number="4712", currency="SEK", market="SE", settings=settings)
    agreements.activate(fjord.house, other, ACTOR)
    fjord.invoice("2", 100, currency="SEK")
    assert (fjord.preview().held, fjord.evening().sent, waiting(fjord)) == ((), set(), set())
    fjord.agreement_id = other
    assert fjord.evening().sent == {"2"}


@pytest.mark.rule("R-LS-05", "R-LS-16")
def test_what_was_paid_while_an_agreement_was_ended_is_told_when_it_begins_again(fjord):
    """Nothing is queued for an ended agreement, and a start-up load looks at open invoices only."""
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    agreements.end(fjord.house, fjord.agreement_id, ACTOR)
    fjord.payment("p", 1000)
    fjord.link("1", "p")
    fjord.clock.advance(hours=1)
    agreements.activate(fjord.house, fjord.agreement_id, ACTOR)
    assert fjord.evening().sent == {"p"}
    assert fjord.agency_balance("1") == 0
