"""Intrum Norway's LS and RD process: with Kravport's flow test, and with a client's own records in the slot (intrum-no-files.md)."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from gateway.agencies import Agencies
from gateway.errors import EncodeError, Refused
from gateway.services import agreements, watch
from gateway.testing.agency_kit import MemorySink, as_inbound, sample_agreement, sample_claim, sample_item, sample_seal
from plugins.intrum import Intrum, plugin
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


# --- the slot --------------------------------------------------------------------------------------------------------

OWN = """
[profile]
name = "intrum-no-4711"
title = "Records of one client, invented for this test"
source = "Invented"
currencies = ["NOK"]
encoding = "ascii"
newline = "crlf"
receipt_hours = 24

[file.cases]
direction = "out"
kind = "delimited"
separator = ";"
filename = "LS{client}{date:YYYYMMDD}{sequence:04}"
[file.cases.record.case]
each = "claim"
fields = [
  { name = "type", const = "N" },
  { name = "claim", type = "text", from = "claim.claim_id", longest = 20 },
  { name = "amount", type = "amount", from = "claim.original_minor" },
]
[file.cases.record.minus]
each = "item"
kinds = ["direct_payment", "credit_note"]
fields = [
  { name = "type", const = "M" },
  { name = "item", type = "text", from = "item.item_id", longest = 20 },
  { name = "kind", type = "code", from = "item.kind", codes = { direct_payment = "P", credit_note = "K" } },
  { name = "amount", type = "amount", from = "item.amount_minor" },
]

[file.corrections]
direction = "out"
kind = "delimited"
separator = ";"
filename = "RD{client}{date:YYYYMMDD}{sequence:04}"
[file.corrections.record.case]
each = "claim"
fields = [
  { name = "type", const = "C" },
  { name = "claim", type = "text", from = "claim.claim_id", longest = 20 },
]
[file.corrections.record.change]
each = "item"
kinds = ["direct_payment", "credit_note"]
fields = [
  { name = "type", const = "D" },
  { name = "item", type = "text", from = "item.item_id", longest = 20 },
  { name = "kind", type = "code", from = "item.kind", codes = { direct_payment = "P", credit_note = "K" } },
  { name = "amount", type = "amount", from = "item.amount_minor" },
]

[file.receipt]
direction = "in"
kind = "delimited"
separator = ";"
filename = "KV"
[file.receipt.record.head]
each = "file"
becomes = "receipt"
fields = [
  { name = "type", const = "R" },
  { name = "kind", type = "code", codes = { cases = "LS", corrections = "RD" }, to = "kind" },
  { name = "number", type = "number", longest = 4, to = "sequence" },
]
[file.receipt.record.answer]
each = "given"
becomes = "object_receipt"
fields = [
  { name = "type", const = "A" },
  { name = "claim", type = "text", longest = 20, to = "object_id" },
  { name = "taken", type = "code", codes = { true = "J", false = "N" }, to = "is_accepted" },
  { name = "case", type = "text", longest = 20, optional = true, to = "case_number" },
]

[file.case_update]
direction = "in"
kind = "delimited"
separator = ";"
filename = "SO"
[file.case_update.record.state]
each = "given"
becomes = "case_status"
fields = [
  { name = "type", const = "S" },
  { name = "case", type = "text", longest = 20, to = "case_number" },
  { name = "state", type = "code", codes = { active = "10", closed = "90" }, to = "state" },
  { name = "on", type = "date", form = "YYYYMMDD", to = "date" },
]
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "intrum-no-4711.toml"
    path.write_text(OWN)
    return Intrum([path])


def test_a_clients_records_fill_the_slot(own):
    agencies = Agencies([("intrum", own)])
    assert agencies.broken == {}
    agency = agencies["intrum"]
    agreement = sample_agreement(agency.profile, {}, layout="intrum-no-4711")
    layout, seal = agency.profile.layout("intrum-no-4711"), sample_seal(agency.profile, agreement)
    assert (layout.confirmed, bool(layout.sha256), sorted(layout.series)) == (False, True, ["cases", "corrections"])
    item = sample_item(1, next(kind for kind in layout.carries if kind == "direct_payment"))
    sink, claim = MemorySink(), sample_claim("NO", 1, [item])
    for are_new in (True, False):
        (envelope,) = agency.export([claim], agreement, seal, sink, are_new=are_new)
        agency.verify_envelope(envelope, agreement, as_inbound(sink.files[envelope.filename]).open())
    assert sink.files == {
        "LS4711202611230001": f"N;kp-1;{claim.original_minor}\r\nM;{item.item_id};P;10000\r\n".encode(),
        "RD4711202611230001": f"C;kp-1\r\nD;{item.item_id};P;10000\r\n".encode(),
    }
    answered, told = as_inbound(b"R;LS;0001\r\nA;kp-1;J;77\r\nA;kp-2;N;\r\n"), as_inbound(b"S;77;90;20261124\r\n")
    kinds = [agency.identify_inbound(file, (agreement,)) for file in (answered, told, as_inbound(b"X;1\r\n"))]
    assert [kind and kind.value for kind in kinds] == ["receipt", "case_status", None]
    receipt = agency.import_receipt(answered, (agreement,))
    assert (receipt.kind, receipt.sequence, receipt.status) == ("cases", 1, "partly")
    assert [(one.object_id, one.is_accepted, one.case_number) for one in receipt.objects] == [
        ("kp-1", True, "77"),
        ("kp-2", False, ""),
    ]
    (status,) = agency.import_case_status(told, (agreement,))
    assert (status.case_number, status.state, status.date) == ("77", "closed", date(2026, 11, 24))


def test_a_profile_that_does_not_fit_is_left_out_and_named(tmp_path):
    half, broken = tmp_path / "intrum-no-1.toml", tmp_path / "intrum-no-2.toml"
    half.write_text(OWN[: OWN.index("[file.receipt]")].replace("intrum-no-4711", "intrum-no-1"))
    broken.write_text("[profile")
    profile = Intrum([half, broken]).agency_profile()
    assert not [layout for layout in profile.layouts if layout.name.startswith("intrum-no-")]
    assert any("intrum-no-1.toml is not used" in limit and "file.receipt (in)" in limit for limit in profile.limits)
    assert any("intrum-no-2.toml is not used" in limit for limit in profile.limits)
    assert Agencies([("intrum", Intrum([half, broken]))]).broken == {}
