"""R-CO: collection. What stands before a hand-over, and that it goes once nothing does."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date

import pytest
from lxml import etree

from gateway.accounting.jsonlines import read_records
from gateway.db.tables import InboundFile
from gateway.domain.exchange import CaseStatus
from gateway.services import case_status
from gateway.services.cards import agreement_of
from tests.rules.far import NS, store
from tests.rules.world import World


@pytest.fixture
def handing(house, clock, tmp_path) -> World:
    """Fjord AS with a collection agreement; today is Monday 2026-11-23."""
    world = World(house, clock, tmp_path, "lowell", options={"service": "collection"}).start()
    world.customer()
    return world


def overdue(world: World, number: str = "1", **changes) -> None:
    values = {"booked": date(2026, 10, 1), "due": date(2026, 10, 15)} | changes
    world.invoice(number, 1000, **values)


@pytest.mark.rule("R-CO-15", "R-OP-14", "R-CO-48")
def test_a_reminded_invoice_is_handed_over_with_number_and_date_of_the_reminder(handing):
    overdue(handing, reminder_date=date(2026, 10, 29), reminder_deadline=date(2026, 11, 12), reminder_number="208")
    evening = handing.evening()
    assert (evening.sent, evening.held) == ({"1"}, {})
    (invoice,) = etree.fromstring(next(iter(evening.files.values()))).iter(f"{NS}Invoice")
    header = invoice.find(f"{NS}InvoiceHeader")
    assert (invoice.get("reminderNumber"), header.get("reminderDate")) == ("208", "2026-10-29")
    assert header.get("service") == "collection"
    handing.far.night()
    assert handing.far.balances() == {"1": 1000}


@pytest.mark.rule("R-CO-15", "R-LS-16")
def test_without_a_reminder_it_is_held_with_the_reason_and_goes_once_the_date_is_told(handing):
    overdue(handing)
    evening = handing.evening()
    assert (evening.sent, evening.held) == (set(), {"1": {"collection.reminder_missing"}})
    overdue(handing, reminder_date=date(2026, 11, 1), reminder_deadline=date(2026, 11, 15))
    assert handing.evening().sent == {"1"}


@pytest.mark.rule("R-CO-13", "R-OP-14", "A-40")
@pytest.mark.parametrize(
    ("due", "reminded", "deadline", "first"),
    [
        (date(2026, 11, 10), date(2026, 11, 1), date(2026, 11, 8), date(2026, 11, 24)),
        (date(2026, 10, 15), date(2026, 11, 10), date(2026, 11, 24), date(2026, 11, 25)),
        (date(2026, 10, 15), date(2026, 11, 11), None, date(2026, 11, 25)),
    ],
    ids=["14 days after the due date", "the day after the deadline", "14 days after a reminder without a deadline"],
)
def test_never_before_its_day(handing, due, reminded, deadline, first):
    overdue(handing, due=due, reminder_date=reminded, reminder_deadline=deadline)
    (held,) = handing.preview().held
    assert (held.code, held.values["date"]) == ("collection.too_early", first)
    went = None
    while went is None:
        evening = handing.evening()
        if evening.sent:
            went = handing.clock().date()
        else:
            assert handing.clock().date() < first, "its day has come"
    assert went == first


@pytest.mark.rule("R-CO-14")
def test_a_date_once_told_is_not_taken_away_by_a_reading_that_is_silent(handing):
    overdue(handing, reminder_date=date(2026, 11, 1), reminder_deadline=date(2026, 11, 15))
    overdue(handing, text="reprinted")
    assert handing.entry("1").reminder_date == date(2026, 11, 1)
    assert handing.evening().sent == {"1"}


@pytest.mark.rule("R-CO-15")
def test_a_layout_that_wants_no_reminder_gets_the_invoice_fourteen_days_after_its_due_date(handing, monkeypatch):
    agency = handing.house.agencies["lowell"]
    layouts = tuple(replace(layout, collection_needs_reminder=False) for layout in agency.profile.layouts)
    monkeypatch.setattr(agency, "profile", replace(agency.profile, layouts=layouts))
    overdue(handing, due=date(2026, 11, 20))
    (held,) = handing.preview().held
    assert (held.code, held.values["date"]) == ("collection.too_early", date(2026, 12, 4))


@pytest.mark.rule("R-LS-02")
def test_a_ledger_service_waits_for_no_reminder(fjord):
    fjord.customer()
    overdue(fjord)
    assert fjord.evening().sent == {"1"}


@pytest.mark.rule("R-CO-14", "R-OP-03")
def test_a_reminder_that_an_agency_sent_is_remembered_for_the_hand_over(fjord):
    fjord.customer()
    overdue(fjord)
    fjord.evening()
    fjord.far.night()
    status = CaseStatus(
        case_number="", claim_id=fjord.claim("1").claim_id, invoice_number="1", state="open", stage="reminder",
        close_code="", date=date(2026, 11, 26), raw_code="", raw_text="",
    )  # fmt: skip
    tell(fjord, status, replace_stage="ledger")
    assert fjord.entry("1").reminder_date is None
    tell(fjord, status)
    assert fjord.entry("1").reminder_date == date(2026, 11, 26)
    tell(fjord, status._replace(date=date(2026, 11, 20)))
    assert fjord.entry("1").reminder_date == date(2026, 11, 26), "the latest letter counts"


def tell(world: World, status: CaseStatus, replace_stage: str = "") -> None:
    """Let the agency's file say *status*."""
    world.clock.advance(minutes=1)
    stored = store(world, "cases.txt", world.clock().isoformat().encode())
    with world.house.database.write() as connection:
        connection.execute(InboundFile.__table__.update().values(state="reading"))
        agreement, _ = agreement_of(connection, world.agreement_id)
    row = world.row(InboundFile, stored.inbound_file_id)
    case_status.take(world.house, row, agreement, [status._replace(stage=replace_stage or status.stage)])


@pytest.mark.rule("R-CO-14")
def test_the_dates_are_told_like_every_other_fact_of_an_invoice(handing):
    line = {
        "type": "invoice", "external_id": "1", "customer": "c10001", "number": "1", "amount": "1000.00",
        "currency": "NOK", "booked": "2026-10-01", "due": "2026-10-15", "reminder_date": "2026-10-29",
        "reminder_deadline": "2026-11-12",
    }  # fmt: skip
    handing.take(*(record for _, record in read_records(io.BytesIO(json.dumps(line).encode()))))
    assert handing.evening().sent == {"1"}
