"""An operator's own profile runs an agreement without a line of code: out, answered, paid, confirmed (ADR 0033)."""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from gateway.agencies import Agencies
from gateway.domain.exchange import FactoringAssignment
from gateway.errors import DecodeError, EncodeError, Refused
from gateway.profiles import load
from gateway.services import agreements, confirmations, delivery
from gateway.testing.agency_kit import MemorySink, as_inbound, sample_agreement, sample_claim, sample_item, sample_seal
from tests.rules.world import ACTOR, World

OWN = """
[profile]
name = "acme-4711"
title = "Records of one client, invented for this test"
source = "Invented"
markets = ["NO"]
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

[file.money]
direction = "in"
kind = "delimited"
separator = ";"
filename = "BET"
[file.money.record.paid]
each = "given"
becomes = "payment"
fields = [
  { name = "type", const = "B" },
  { name = "id", type = "text", longest = 20, to = "key" },
  { name = "case", type = "text", longest = 20, to = "case_number" },
  { name = "amount", type = "amount", to = "amount_minor" },
  { name = "on", type = "date", form = "YYYYMMDD", to = "booking_date" },
]
"""

MARK = FactoringAssignment("F-1", "Example Factor", "Postboks 1", "", "86011117947", "Assigned.")


def lay(folder, text=OWN, agency="intrum", name="acme-4711"):
    """Put a profile where an operator would; return the folder of all of them."""
    (folder / agency).mkdir(parents=True, exist_ok=True)
    (folder / agency / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture
def agency(tmp_path):
    agencies = Agencies.load(own=lay(tmp_path / "profiles"))
    assert (agencies.broken, agencies.warnings["intrum"]) == ({}, ())
    return agencies["intrum"]


@pytest.fixture
def acme(house, clock, tmp_path):
    house = dataclasses.replace(house, agencies=Agencies.load(own=lay(tmp_path / "profiles")))
    return World(house, clock, tmp_path, "intrum", options={"profile": "acme-4711", "settings": {}}).start()


def evening(world):
    """Let a run go out and arrive; return names and bytes."""
    made = world.evening()
    for envelope_id in made.result.envelope_ids:
        delivery.deliver(world.house, envelope_id)
    return {path.name: path.read_bytes() for path in (world.root / "intrum" / "upload").iterdir()}


def tell(world, name, text):
    row = world.take_file(name, text.encode())
    assert row.state == "imported", row.findings


@pytest.mark.rule("R-OP-02", "R-OP-03", "R-PM-01")
def test_a_claim_goes_out_is_answered_and_paid_by_the_profile_alone(acme):
    acme.customer()
    acme.invoice("1", 1000)
    assert [*evening(acme)] == ["LS4711202611230001"]
    claim_id = acme.claim("1").claim_id
    tell(acme, "KV1", f"R;LS;0001\r\nA;{claim_id};J;77\r\n")
    assert (acme.claim("1").state, acme.claim("1").case_number) == ("accepted", "77")
    acme.payment("p1", 400)
    acme.link("1", "p1")
    assert evening(acme)["RD4711202611240001"].startswith(f"C;{claim_id}\r\nD;".encode())
    tell(acme, "BET1", "B;m1;77;60000;20261124\r\n")
    acme.post()
    assert acme.open("1") == 0
    tell(acme, "SO1", "S;77;90;20261125\r\n")
    assert acme.claim("1").agency_state == "closed"


@pytest.mark.rule("R-OP-18")
def test_its_files_go_to_production_once_these_bytes_are_confirmed(acme, tmp_path):
    agreements.end(acme.house, acme.agreement_id, ACTOR)
    options = {"profile": "acme-4711", "settings": {}, "environment": "production", "client_number": "4712"}
    made = acme.agree("intrum", **options)
    with pytest.raises(Refused, match=r"delivery\.unconfirmed_profile"):
        agreements.activate(acme.house, made, ACTOR)
    path = tmp_path / "profiles" / "intrum" / "acme-4711.toml"
    confirmations.confirm(
        acme.house, load(path), path.read_bytes(), document="Records", version="1", dated=date(2026, 10, 1),
        told_by="Kari, by letter", actor=ACTOR,
    )  # fmt: skip
    agreements.activate(acme.house, made, ACTOR)
    path.write_text(path.read_text() + "# a word more\n")
    changed = dataclasses.replace(acme.house, agencies=Agencies.load(own=tmp_path / "profiles"))
    layout = changed.agencies["intrum"].profile.layout("acme-4711")
    assert not confirmations.may_leave_sandbox(changed, layout), "other bytes: nobody confirmed them"


def test_the_files_are_what_the_profile_says(agency):
    agreement = sample_agreement(agency.profile, {}, layout="acme-4711")
    layout, seal = agency.profile.layout("acme-4711"), sample_seal(agency.profile, agreement)
    assert (layout.confirmed, bool(layout.sha256), sorted(layout.series)) == (False, True, ["cases", "corrections"])
    assert (layout.markets, layout.currencies) == ({"NO"}, {"NOK"})
    item = sample_item(1, next(kind for kind in layout.carries if kind == "direct_payment"))
    sink, claim = MemorySink(), sample_claim("NO", 1, [item])
    for are_new in (True, False):
        (envelope,) = agency.export([claim], agreement, seal, sink, are_new=are_new)
        agency.verify_envelope(envelope, agreement, as_inbound(sink.files[envelope.filename]).open())
    assert sink.files == {
        "LS4711202611230001": f"N;kp-1;{claim.original_minor}\r\nM;{item.item_id};P;10000\r\n".encode(),
        "RD4711202611230001": f"C;kp-1\r\nD;{item.item_id};P;10000\r\n".encode(),
    }


def test_what_comes_back_is_known_by_its_records(agency):
    agreement = sample_agreement(agency.profile, {}, layout="acme-4711")
    files = [
        b"R;LS;0001\r\nA;kp-1;J;77\r\nA;kp-2;N;\r\n",
        b"S;77;90;20261124\r\n",
        b"B;1;77;100;20261124\r\n",
        b"X;1\r\n",
    ]
    answered, told, money, other = map(as_inbound, files)
    kinds = [agency.identify_inbound(file, (agreement,)) for file in (answered, told, money, other)]
    assert [kind and kind.value for kind in kinds] == ["receipt", "case_status", "payments", None]
    receipt = agency.import_receipt(answered, (agreement,))
    assert (receipt.kind, receipt.sequence, receipt.status) == ("cases", 1, "partly")
    assert [(one.object_id, one.is_accepted, one.case_number) for one in receipt.objects] == [
        ("kp-1", True, "77"),
        ("kp-2", False, ""),
    ]
    (status,) = agency.import_case_status(told, (agreement,))
    assert (status.case_number, status.state, status.date) == ("77", "closed", date(2026, 11, 24))
    (payment,) = agency.import_payments(money, (agreement,))
    assert (payment.amount_minor, payment.currency, payment.case_number) == (100, "NOK", "77")
    plugins_own = dataclasses.replace(agreement, profile="kravport-sls-1")
    assert agency.identify_inbound(answered, (plugins_own,)) is None, "another layout's agreement does not get it"


def test_a_layout_marks_an_assignment_only_by_naming_the_agreement(tmp_path):
    named = OWN.replace('{ name = "type", const = "N" },', '{ name = "type", const = "N" },\n  '
                        '{ name = "client", type = "text", from = "agreement.client_number", longest = 10 },')  # fmt: skip
    texts = {"acme-4711": OWN, "acme-2": named.replace("acme-4711", "acme-2")}
    for name, text in texts.items():
        lay(tmp_path, text, name=name)
    agency = Agencies.load(own=tmp_path)["intrum"]
    for name in texts:
        agreement = sample_agreement(agency.profile, {}, layout=name)
        sink, seal = MemorySink(), sample_seal(agency.profile, agreement)
        (envelope,) = agency.export([sample_claim("NO", 1)], agreement, seal, sink, are_new=True)
        content, into = sink.files[envelope.filename], MemorySink()
        if name == "acme-4711":
            with pytest.raises(EncodeError, match="names the agreement nowhere"):
                agency.mark_factoring_envelope(envelope, MARK, agreement, as_inbound(content).open(), into)
            continue
        marked = agency.mark_factoring_envelope(envelope, MARK, agreement, as_inbound(content).open(), into)
        assert (marked.factoring_agreement, into.files) == ("F-1", {envelope.filename: content})
        foreign = as_inbound(content.replace(b";4711;", b";4712;")).open()
        with pytest.raises(DecodeError, match="names another agreement"):
            agency.mark_factoring_envelope(envelope, MARK, agreement, foreign, MemorySink())


UNUSABLE = {
    "three-out": (OWN + OWN[OWN.index("[file.cases]") : OWN.index("[file.corrections]")].replace("cases", "more"), "3 files go out"),
    "no-later": (OWN[: OWN.index("[file.corrections]")], "no second file takes later ones"),
    "not-toml": ("[profile", "not-toml.toml"),
    "taken": (OWN.replace("acme-4711", "kravport-sls-1"), "there is a layout kravport-sls-1 already"),
}  # fmt: skip


def test_what_cannot_be_used_is_named_and_stops_nobody(tmp_path):
    for name, (text, _) in UNUSABLE.items():
        lay(tmp_path, text, name=name)
    lay(tmp_path)
    lay(tmp_path, agency="nobody")
    agencies = Agencies.load(own=tmp_path)
    assert agencies.broken == {"nobody": "is not installed, and profiles of your own wait for it"}
    assert agencies["intrum"].profile.layout("acme-4711")
    told = {text.split(".toml")[0].removeprefix("profile "): text for text in agencies.warnings["intrum"]}
    assert told.keys() == UNUSABLE.keys()
    assert all(why in told[name] for name, (_, why) in UNUSABLE.items()), told
