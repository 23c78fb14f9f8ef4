"""An agency that will not take an item off a claim still counts it: nothing goes on as if it were gone (R-LS-05)."""

from __future__ import annotations

import pytest

from gateway.db.tables import Envelope
from gateway.errors import Refused
from gateway.services import marks, receipts
from tests.rules.world import ACTOR, World


@pytest.fixture
def refused(fjord) -> World:
    """Payment p was sent with invoice 1 and moved to 2 in the books; the agency refused to take it off."""
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.invoice("2", 1000)
    fjord.payment("p", 250)
    fjord.link("1", "p", ref="A")
    fjord.evening()
    fjord.far.night()
    fjord.clock.advance(hours=1)
    fjord.link("1", ref="A")
    fjord.link("2", "p", ref="B")
    fjord.far.agency.refuse("item", f"kp-{fjord.entry_id('p')}-2", "NOT_ALLOWED", "closed period")
    assert fjord.evening().sent == {"p"}
    fjord.far.night()
    assert fjord.far.balances() == {"1": 750, "2": 1000}
    return fjord


@pytest.mark.rule("R-LS-05", "R-LS-15")
def test_the_item_is_held_and_not_told_a_second_time_under_its_new_invoice(refused):
    evening = refused.evening()
    assert evening.sent == set()
    assert evening.held == {"p": {"receipt.rejected", "link.unlink_first"}}
    refused.far.night()
    assert refused.far.balances() == {"1": 750, "2": 1000}
    assert (refused.agency_balance("1"), refused.agency_balance("2")) == (750, 1000)


@pytest.mark.rule("R-LS-05", "R-OP-12")
def test_offered_again_it_is_taken_off_and_goes_to_its_new_invoice(refused):
    refused.evening()
    envelope = max((row for row in refused.rows(Envelope) if row.state == "partly"), key=lambda row: row.id)
    refused.far.agency.refuse("item", f"kp-{refused.entry_id('p')}-2", "")
    assert receipts.offer_again(refused.house, envelope.id, ACTOR, "the period is open again") == 1
    evening = refused.evening()
    assert evening.sent == {"p"}
    assert [(row.version, row.kind, row.is_current) for row in refused.sent_items("p")] == [
        (1, "direct_payment", False),
        (2, "unlink", False),
        (3, "unlink", True),
    ]
    refused.far.night()
    assert refused.far.balances() == {"1": 1000, "2": 1000}
    assert refused.evening().sent == {"p"}
    refused.far.night()
    assert refused.far.balances() == {"1": 1000, "2": 750}


@pytest.mark.rule("R-LS-05")
def test_linked_back_it_is_as_if_nothing_had_been_asked(refused):
    refused.link(ref="B")
    refused.link("1", "p", ref="A")
    evening = refused.evening()
    assert (evening.sent, evening.held) == (set(), {})
    refused.far.night()
    assert refused.far.balances() == {"1": 750, "2": 1000}


@pytest.mark.rule("R-VL-11")
def test_what_the_agency_kept_cannot_be_marked_as_if_it_had_gone_nowhere(refused):
    with pytest.raises(Refused) as found:
        marks.mark_line(refused.house, refused.entry_id("p"), True, ACTOR)
    assert found.value.code == "exclusion.already_sent"
