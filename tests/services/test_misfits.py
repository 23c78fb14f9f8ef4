"""One claim that the layout cannot carry costs little among many, and every one of them is found (A-24)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.ledger import CustomerRecord, EntryKind
from gateway.services import sealing, transfer
from tests.rules.world import GOOD_CARD

COUNT = 128


@pytest.fixture
def counted(fjord, monkeypatch):
    """A world with many invoices, and how often a file was begun."""
    fjord.customer()
    fjord.exports = 0
    export = sealing.export

    def counting(*args, **more):
        fjord.exports += 1
        return export(*args, **more)

    monkeypatch.setattr(sealing, "export", counting)
    monkeypatch.setattr(sealing, "MISFIT_BATCH", 32)
    return fjord


def invoices(world, misfits: set[int]) -> list[str]:
    names = [f"{n:03d}" + ("x" * 90 if n in misfits else "") for n in range(COUNT)]
    values = {"due": date(2026, 12, 7), "booked": date(2026, 11, 23)}
    world.take(*(world.make_entry(name, EntryKind.INVOICE, 100, number=name, **values) for name in names))
    return names


@pytest.mark.rule("A-24", "R-CD-08")
def test_one_misfit_among_many_costs_a_few_trials(counted):
    names = invoices(counted, {77})
    plan = counted.preview()
    assert [held.number for held in plan.held] == [names[77]]
    # one attempt, four batches, two halves for each of five halvings, one more attempt; new and known claims apart
    assert counted.exports <= 2 * (1 + COUNT // 32 + 2 * 5 + 1)


@pytest.mark.rule("A-24")
@pytest.mark.parametrize("misfits", [{0}, {COUNT - 1}, {31, 32}, {5, 6, 7, 64}], ids=str)
def test_every_misfit_is_found_and_the_others_go(counted, misfits):
    names = invoices(counted, misfits)
    evening = counted.evening()
    assert set(evening.held) == {names[n] for n in misfits}
    assert evening.sent == {name for n, name in enumerate(names) if n not in misfits}


@pytest.mark.rule("A-24")
def test_a_misfit_at_the_head_of_a_long_evening_holds_itself_only(fjord):
    """More rows than the database sends at once: the first attempt leaves the stream in the middle."""
    fjord.customer()
    values = {"due": date(2026, 12, 7), "booked": date(2026, 11, 23)}
    names = ["0" + "x" * 90, *(f"{n:05d}" for n in range(1, 6000))]
    fjord.take(*(fjord.make_entry(name, EntryKind.INVOICE, 100, number=name, **values) for name in names))
    day = fjord.preview().cutoff
    fjord.clock.moment = day
    done = transfer.run_evening(fjord.house, fjord.agreement_id, day.date())
    assert (done.invoices, done.held) == (len(names) - 1, 1)


@pytest.mark.rule("A-24")
def test_a_second_card_with_the_number_of_another_holds_its_claims_and_not_the_evening(fjord):
    """Each of its claims fits alone; beside those of the other card none does."""
    fjord.customer()
    fjord.customer("10002")
    twin = CustomerRecord("twin", **(GOOD_CARD | {"customer_number": "10001", "name": "Sørfjord Bygg"}))
    fjord.take(twin, source="other")
    values = {"due": date(2026, 12, 7), "booked": date(2026, 11, 23)}
    theirs = [fjord.make_entry(name, EntryKind.INVOICE, 100, "twin", number=name, **values) for name in ("2", "3")]
    fjord.take(*theirs, source="other")
    fjord.invoice("1", 1000)
    fjord.invoice("4", 1000, "c10002")
    evening = fjord.evening()
    assert (evening.sent, evening.held) == (
        {"1", "4"}, {"2": {"claim.not_writable"}, "3": {"claim.not_writable"}},
    )  # fmt: skip
