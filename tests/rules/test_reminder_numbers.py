"""Reminder numbers: two series, the source's and ours, and no number twice for one creditor (R-LK-05)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.ledger import EntryKind
from gateway.services import ingest
from tests.rules.world import World


def invoice(world: World, name: str, number: str, **changes):
    values = {"due": date(2026, 12, 7), "booked": date(2026, 11, 23), "reminder_number": number} | changes
    return world.make_entry(name, EntryKind.INVOICE, 100, number=name, **values)


def codes(result) -> list[tuple[str, str]]:
    return [(finding.code, finding.place) for finding in result.findings]


def told(world: World, *names: str) -> dict[str, str]:
    return {name: world.claim(name).reminder_number for name in names}


@pytest.mark.rule("R-LK-05")
def test_a_number_we_gave_is_not_given_to_another_invoice_by_the_source(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    ours = fjord.claim("1").reminder_number
    fjord.clock.advance(hours=1)
    taken = fjord.take(invoice(fjord, "2", ours))
    assert codes(taken) == [("reminder.number_taken", "2")]
    assert fjord.entry("2").reminder_number == ""
    assert fjord.evening().sent == {"2"}
    assert fjord.claim("2").reminder_number != ours
    again = fjord.take(invoice(fjord, "2", ours))
    assert (again.unchanged, again.changed) == (1, 0), "reading the same again changes nothing (L11)"


@pytest.mark.rule("R-LK-05")
def test_the_source_does_not_give_one_number_to_two_invoices(fjord):
    fjord.customer()
    taken = fjord.take(invoice(fjord, "1", "208"), invoice(fjord, "2", "208"))
    assert codes(taken) == [("reminder.number_taken", "2")]
    assert codes(fjord.take(invoice(fjord, "3", "208"))) == [("reminder.number_taken", "3")]
    assert fjord.evening().sent == {"1", "2", "3"}
    numbers = told(fjord, "1", "2", "3")
    assert numbers["1"] == "208"
    assert len(set(numbers.values())) == 3


@pytest.mark.rule("R-LK-05")
def test_a_number_told_later_is_kept_only_while_it_is_free(fjord):
    fjord.customer()
    fjord.take(invoice(fjord, "1", "208"), invoice(fjord, "2", ""))
    assert codes(fjord.take(invoice(fjord, "2", "208"))) == [("reminder.number_taken", "2")]
    assert codes(fjord.take(invoice(fjord, "2", "209"))) == []
    assert fjord.entry("2").reminder_number == "209"
    fjord.evening()
    assert told(fjord, "1", "2") == {"1": "208", "2": "209"}


@pytest.mark.rule("R-LK-05")
def test_the_source_may_say_the_number_we_gave_its_invoice(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    ours = fjord.claim("1").reminder_number
    assert codes(fjord.take(invoice(fjord, "1", ours))) == []
    assert fjord.entry("1").reminder_number == ours


@pytest.mark.rule("R-LK-05")
@pytest.mark.parametrize("number", ["100000000000000000", "999999999999999999", "99999999999999999999"])
def test_a_number_that_leaves_no_room_for_ours_is_refused(fjord, number):
    fjord.customer()
    with pytest.raises(ingest.IngestRejected, match="reminder_number"):
        fjord.take(invoice(fjord, "1", number))


@pytest.mark.rule("R-LK-05")
def test_the_highest_number_there_may_be_leaves_room(fjord):
    fjord.customer()
    fjord.take(invoice(fjord, "1", "99999999999999999"), invoice(fjord, "2", ""), invoice(fjord, "3", "P-17"))
    assert fjord.evening().sent == {"1", "2", "3"}
    assert told(fjord, "1", "2", "3") == {"1": "99999999999999999", "2": "100000000000000000", "3": "P-17"}


@pytest.mark.rule("R-LK-05", "P2")
def test_two_creditors_have_series_of_their_own(house, clock, tmp_path):
    worlds = [World(house, clock, tmp_path / key, key=key).start() for key in ("one", "two")]
    for world in worlds:
        world.customer()
        assert codes(world.take(invoice(world, "1", "208"))) == []
