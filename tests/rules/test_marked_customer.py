"""A customer kept out after invoices have gone: nothing new goes, and what the agency has stays true (R-FA-07, A-43)."""

from __future__ import annotations

import pytest

from gateway.services import marks
from tests.rules.world import ACTOR, World


@pytest.fixture
def marked(fjord) -> World:
    """Invoice 1 is with the agency; then the customer is kept out."""
    fjord.use_factoring()
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.night()
    fjord.clock.advance(hours=1)
    marks.mark_customer(fjord.house, fjord.customer_id(), True, ACTOR)
    return fjord


@pytest.mark.rule("R-FA-07", "A-43", "R-LS-05")
def test_a_payment_of_a_claim_the_agency_has_still_travels(marked):
    marked.payment("p", 400)
    marked.link("1", "p")
    assert marked.warned() == {"1": {"exclusion.customer_known"}}
    evening = marked.evening()
    assert (evening.sent, evening.held) == ({"p"}, {})
    marked.far.night()
    assert marked.far.balances() == {"1": 600}


@pytest.mark.rule("R-FA-07", "P15")
def test_nothing_new_of_the_customer_goes(marked):
    marked.invoice("2", 500)
    marked.payment("q", 500)
    marked.link("2", "q")
    assert marked.evening().held == {"2": {"exclusion.customer"}, "q": {"exclusion.customer"}}
    marked.far.night()
    assert marked.far.balances() == {"1": 1000}


@pytest.mark.rule("R-FA-07", "P15")
def test_a_claim_the_agency_refused_is_not_one_it_has(fjord):
    fjord.use_factoring()
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.agency.refuse("claim", f"kp-{fjord.entry_id('1')}", "NOT_ALLOWED")
    fjord.far.night()
    fjord.clock.advance(hours=1)
    marks.mark_customer(fjord.house, fjord.customer_id(), True, ACTOR)
    fjord.customer(city="BERGEN")
    evening = fjord.evening()
    assert (evening.sent, evening.held) == (set(), {"1": {"exclusion.customer"}})


@pytest.mark.rule("R-VL-06", "P15")
def test_a_marked_line_stays_whatever_the_customers_mark_says(marked):
    marked.payment("p", 400, do_not_transfer=True)
    marked.link("1", "p")
    assert marked.evening().held == {"p": {"exclusion.line"}}


@pytest.mark.rule("R-FA-07", "A-43")
def test_who_marks_a_customer_learns_what_the_agency_keeps(marked):
    (known,) = marks.known_claims(marked.house, marked.customer_id())
    assert (known.number, known.agency, known.open_minor) == ("1", "Lowell", 100_000)
    other = marked.customer("10002", organisation_number="999999964")
    assert marks.known_claims(marked.house, marked.customer_id(other)) == ()
