"""Intrum Norway's LS and RD process: with Kravport's flow test, and with a client's own records in the slot (intrum-no-files.md)."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from gateway.errors import EncodeError, Refused
from gateway.services import agreements, watch
from gateway.testing.agency_kit import MemorySink, sample_agreement, sample_claim, sample_seal
from plugins.intrum import plugin
from tests.rules.far import Far
from tests.rules.world import ACTOR, World

FLOW = "kravport-no-flow-1"
SETTINGS = {"ledger_id": "4711-NOK", "agency_id": "SANDBOX"}
KID = "2345676"
REMINDED = {
    "booked": date(2026, 10, 1),
    "due": date(2026, 10, 15),
    "reminder_date": date(2026, 10, 30),
    "payment_reference": KID,
}


@pytest.fixture
def norway(house, clock, tmp_path):
    options = {"service": "collection", "profile": FLOW, "settings": SETTINGS, "agency_accounts": ["15030000025"]}
    world = World(house, clock, tmp_path, "intrum", options=options).start()
    world.customer()
    world.far = Far(world, tmp_path / "intrum", layout=FLOW)
    return world


@pytest.mark.rule("R-OP-03", "R-OP-10", "R-OP-16", "R-PM-08")
def test_the_process_from_a_case_to_its_money(norway):
    norway.invoice("1", 1000, **REMINDED)
    (name,) = norway.evening().files
    assert name == "LS_4711_20261123_180005"
    answers = norway.far.night()
    assert [re.sub("[0-9]{8}_[0-9]{6}", "*", one) for one in answers] == ["KV_4711_*"]
    assert norway.claim("1").case_number == "C-000001"
    norway.payment("p1", 400)
    norway.link("1", "p1")
    (name,) = norway.evening().files
    assert name == "RD_4711_20261124_180005"
    norway.far.night()
    assert norway.far.balances() == {"1": 600.0} == {"1": norway.agency_balance("1")}
    norway.far.pay("1", 600)
    norway.far.agency.set_case(norway.far.claim_id("1"), "closed", date(2026, 11, 25), close_code="paid")
    (update,) = norway.far.tell("cases")
    assert update.startswith("SO_4711_")
    assert (norway.claim("1").agency_state, norway.open("1")) == ("closed", 600), (
        "closed at the agency, waiting for the bank"
    )
    norway.clock.moment += timedelta(days=11)
    assert "case.waits_for_bank" in {alarm.code for alarm in watch.alarms(norway.house)}
    norway.far.tell("ocr_giro")
    norway.post()
    assert (norway.open("1"), norway.far.balances()) == (0, {"1": 0.0})
    assert norway.evening().sent == set(), "money that came from the agency is not told back to it"


@pytest.mark.rule("R-CO-13", "R-OP-14")
def test_nothing_is_handed_over_before_day_14(norway):
    norway.invoice("1", 1000, **{**REMINDED, "due": date(2026, 11, 20), "reminder_date": date(2026, 11, 10)})
    assert norway.evening().held == {"1": {"collection.too_early"}}


@pytest.mark.rule("R-OP-18", "A-25")
def test_the_flow_test_is_never_presented_as_intrums_and_never_leaves_the_sandbox(norway):
    layout = plugin.agency_profile().layout(FLOW)
    assert (layout.confirmed, layout.markets) == (False, frozenset({"NO"}))
    assert "not Intrum's layout" in layout.title
    assert "Chosen by Kravport, not by any agency" in layout.source
    agreements.end(norway.house, norway.agreement_id, ACTOR)
    options = {
        "client_number": "4712",
        "service": "collection",
        "profile": FLOW,
        "settings": SETTINGS,
        "environment": "production",
    }
    with pytest.raises(Refused, match=r"delivery\.unconfirmed_profile"):
        agreements.activate(norway.house, norway.agree("intrum", **options), ACTOR)


def test_a_client_number_that_no_file_name_can_hold_is_refused():
    agreement = sample_agreement(plugin.agency_profile(), SETTINGS, client_number="47/11", layout=FLOW)
    with pytest.raises(EncodeError, match="47/11"):
        plugin.export_invoice(
            [sample_claim("NO", 1)], agreement, sample_seal(plugin.agency_profile(), agreement), MemorySink()
        )
