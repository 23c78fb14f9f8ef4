"""Intrum Finland's cancelled claims, record type 10: read strictly, matched, and held against the books (R-OP-09)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from gateway.domain.exchange import InboundKind, Service
from gateway.domain.ledger import EntryKind
from gateway.errors import DecodeError, EncodeError
from gateway.testing.agency_kit import as_inbound, sample_agreement
from plugins.intrum import PROFILE, plugin, type10
from tests.conftest import SHARED
from tests.rules.world import World

EXAMPLE = SHARED / "formats" / "agencies" / "examples" / "fi_cancelled_claims_type10.txt"
AGREEMENT = sample_agreement(PROFILE, {"write_off_codes": "45679"}, market="FI")
SETTINGS = {"ledger_id": "4711-EUR", "agency_id": "SANDBOX", "write_off_codes": "4"}


def line(invoice, cents, code="4", *, reference="", name="Nordfjord Bygg", agency="A123456", more=""):
    """One record, column by column as the page prints the widths."""
    widths = (
        ("10", 2),
        (invoice, 36),
        (reference, 16),
        ("", 10),
        (name, 37),
        (agency, 7),
        (" ", 1),
        (code, 1),
        (" ", 1),
    )
    return ("".join(value.ljust(width) for value, width in widths) + f"{cents:010d}{more}").encode(
        "iso-8859-1"
    ) + b"\r\n"


def read(content, agreement=AGREEMENT):
    return list(type10.CancelledClaims(as_inbound(content), agreement))


def test_a_record_is_read_as_the_page_describes_it():
    (first, second) = read(line("LASKU 100234", 12450, reference="5551234") + line("100235", 9990, "2", more=" kept"))
    assert (first.invoice_number, first.case_number, first.raw_code, first.balance_minor) == (
        "100234",
        "A123456",
        "4",
        12450,
    )
    assert (first.state, first.close_code, first.raw_text, first.customer_reference) == (
        "closed",
        "written-off",
        "124.50 EUR",
        "5551234",
    )
    assert (second.invoice_number, second.close_code, second.balance_minor) == ("100235", "", 9990)


def test_the_published_example_is_read():
    if not EXAMPLE.exists():
        pytest.skip("the facts are not here")
    found = read(EXAMPLE.read_bytes())
    assert [
        (one.invoice_number, one.customer_reference, one.customer_name, one.raw_code, one.balance_minor)
        for one in found
    ] == [
        ("100234", "5551234", "Esimerkki Oy", "4", 12450),
        ("100235", "5551235", "Malli Maija", "2", 9990),
    ]


def test_other_record_types_are_counted_and_told():
    claims = type10.CancelledClaims(as_inbound(b"00 head\r\n" + line("1", 100) + b"20 other\n\r\n"), AGREEMENT)
    assert len(list(claims)) == 1
    assert [(finding.code, finding.value) for finding in claims.findings] == [("file.unknown_record", "2")]


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (line("1", 100)[:-5] + b"\r\n", ""),
        (line("1", 100, code="x"), "code"),
        (line("1", 100).replace(b"0000000100", b"00000001 0"), "amount_minor"),
    ],
)
def test_a_damaged_record_is_named_by_line_and_field(content, field):
    with pytest.raises(DecodeError) as refused:
        read(line("2", 100) + content)
    assert refused.value.line == 2
    assert not field or refused.value.field == field


def test_it_is_known_by_its_content_in_finland_only_and_never_in_production():
    good, kind = as_inbound(b"00\n" + line("1", 100)), InboundKind.CASE_STATUS
    assert plugin.identify_inbound(good, (AGREEMENT,)) is kind
    assert plugin.identify_inbound(good, (replace(AGREEMENT, is_sandbox=False),)) is None
    assert plugin.identify_inbound(good, (replace(AGREEMENT, market="NO", currency="NOK"),)) is None
    for other in (b"10 short\n", b"", b"99" + b" " * 119 + b"\n", line("1", 100) + b"<xml/>\n"):
        assert plugin.identify_inbound(as_inbound(other), (AGREEMENT,)) is None


def test_nothing_is_handed_over_by_it():
    reads_only = replace(AGREEMENT, profile=type10.LAYOUT.name)
    with pytest.raises(EncodeError, match="read, never written"):
        plugin.export_invoice([], reads_only, None, None)
    assert reads_only.service is Service.LEDGER
    assert type10.claim_faults(reads_only)[0].code == "claim.not_writable"


@pytest.mark.rule("R-OP-08", "R-OP-09", "R-OP-10")
def test_every_record_that_does_not_end_cleanly_has_one_of_the_eight_reasons(house, clock, tmp_path):
    world = World(
        house, clock, tmp_path, "intrum", country="FI", currency="EUR", options={"settings": SETTINGS}
    ).start()
    world.customer("5551", organisation_number="99999992", country="FI", postcode="00100", city="HELSINKI")
    for number in ("1", "2", "3", "4", "5", "6", "7"):
        world.invoice(number, 100, "c5551", due=date(2026, 12, 7))
    assert world.evening().held == {}
    world.payment("p3", 100, customer="c5551")
    world.link("3", "p3")
    world.item("k4", EntryKind.CREDIT_NOTE, -100, "c5551", number="k4", credits=("4",))
    world.link("4", "k4")
    assert world.open("3") == world.open("4") == 0
    rows = [
        ("", 10000, "4", {"reference": "55519", "name": "NORDFJORD"}),  # 1: no invoice; five have that balance
        ("77", 10000, "4", {}),  # 2
        ("1", 10000, "4", {}),  # ends as the books have it
        ("1", 10000, "4", {}),  # 3
        ("2", 10000, "1", {}),  # 4: the code asks for no write-off
        ("4", 10000, "4", {}),  # 5
        ("3", 10000, "4", {}),  # 6
        ("5", 10001, "4", {}),  # 7
        ("6", 9999, "4", {}),  # 8
    ]
    content = b"".join(line(invoice, cents, code, **more) for invoice, cents, code, more in rows)
    file = world.take_file("peruutetut.txt", content)
    assert (file.state, file.kind, file.transactions) == ("imported", "case_status", 9)
    assert [finding["code"].removeprefix("difference.") for finding in file.findings] == [
        "unidentified", "not_in_ledger", "already_ended", "ended_nothing_written_off", "zero_by_credit", "zero_by_payment",
        "our_balance_lower", "our_balance_higher",
    ]  # fmt: skip
    assert file.findings[0]["value"] == "1, 2, 5, 6, 7"
    assert world.claim("1").agency_state == "closed"
    assert "124" not in world.claim("1").agency_state_text
    assert world.entry("1").open_minor == 10000, "a cancelled claim is a case event, not money"
    assert world.claim("7").agency_state == ""
