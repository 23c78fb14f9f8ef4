"""Lowell: the same profile, a milder intake (R-CD), and money that comes by way of its bank (lowell.md 4, R-PM-06)."""

from datetime import date, timedelta
from decimal import Decimal

import netsgiro
import pytest
from lxml import etree

from gateway.agencies import Agencies
from gateway.domain.checks import check_customer, has_blocking
from gateway.domain.exchange import CustomerKind, InboundKind, Service, Severity
from gateway.formats.cremul import CremulReader
from plugins.intrum import SCHEMA as INTRUM_SCHEMA
from plugins.intrum import plugin as intrum
from plugins.lowell import SCHEMA, plugin
from plugins.lowell.sandbox import make_sandbox
from plugins.sls_sandbox.bank import is_kid
from tests.plugins.sls_builders import CORPUS, NOW, FolderSink, agreement, claim, customer, inbound, payment, seal

LOWELL = agreement(agency_key="lowell", display_name="Lowell")
FACTS = {"client_number": "4711", "ledger_id": "4711-NOK", "currency": "NOK", "country": "NO"}
ON = date(2026, 11, 24)
CAMT = "{urn:iso:std:iso:20022:tech:xsd:camt.054.001.08}"


@pytest.fixture
def agency(tmp_path):
    with make_sandbox(tmp_path, FACTS) as made:
        plugin.export_invoice(
            [
                claim("kp-c-1", payment_reference="2345676"),
                claim("kp-c-2", payment_reference="123456782"),
                claim("kp-c-3", payment_reference="RF18539007547034"),
            ],
            LOWELL,
            seal(),
            FolderSink(made.upload),
        )
        made.work(NOW)
        assert len(made.balances()) == 3
        yield made


# --- profile ---------------------------------------------------------------------------------------------------------


def test_both_plugins_load_and_keep_what_they_promise():
    agencies = Agencies([("intrum", intrum), ("lowell", plugin)])
    assert agencies.broken == {}
    assert {key: agencies[key].profile.name for key in ("intrum", "lowell")} == {
        "intrum": "Intrum Justitia",
        "lowell": "Lowell",
    }


@pytest.mark.parametrize("each", [intrum, plugin])
def test_the_profile_is_unconfirmed_and_says_so(each):
    layout = each.agency_profile().layouts[0]
    assert (layout.name, layout.confirmed, layout.unlink_has_message) == ("kravport-sls-1", False, True)
    assert layout.source in each.agency_profile().limits
    assert "Unconfirmed: sandbox only." in layout.source
    assert {kind: (series.first, series.last) for kind, series in layout.series.items()} == {
        "invoices": (1, 999),
        "updates": (1, 999),
    }


@pytest.mark.parametrize("each", [intrum, plugin])
def test_every_setting_has_title_and_description(each):
    properties = each.agency_profile().settings_schema["properties"]
    assert set(properties) >= {"ledger_id", "agency_id"}
    assert all(setting["title"] and setting["description"] for setting in properties.values())


def test_both_plugins_hold_the_same_schema():
    """Plugins may not import each other, so each ships the file; this test is what keeps the copies one fact."""
    assert SCHEMA.read_bytes() == INTRUM_SCHEMA.read_bytes()


# --- customers -------------------------------------------------------------------------------------------------------


def findings(each, card, of):
    layout = each.agency_profile().layouts[0]
    return {
        (found.code, found.place): found.severity
        for found in check_customer(card, of, layout, each.check_customer(card, of))
    }


@pytest.mark.rule("R-CD-04")
def test_a_missing_organisation_number_stops_intrum_and_warns_at_lowell():
    card = customer(organisation_number="", identity_scheme="")
    key = ("customer.org_number_missing", "organisation_number")
    assert findings(intrum, card, agreement())[key] is Severity.BLOCKING
    assert findings(plugin, card, LOWELL)[key] is Severity.WARNING


@pytest.mark.rule("R-CD-04")
def test_a_private_customer_without_national_id_stops_intrum_and_informs_at_lowell():
    card = customer(kind=CustomerKind.PRIVATE, organisation_number="", identity_scheme="")
    key = ("customer.national_id_missing", "national_id")
    assert findings(intrum, card, agreement())[key] is Severity.BLOCKING
    assert findings(plugin, card, LOWELL)[key] is Severity.INFO


@pytest.mark.rule("R-CD-06")
def test_a_missing_country_stops_intrum_and_only_warns_at_lowell_whose_layout_cannot_say_it():
    card = customer(country="")
    key = ("customer.country_missing", "country")
    assert findings(intrum, card, agreement())[key] is Severity.BLOCKING
    found = findings(plugin, card, LOWELL)
    assert found[key] is Severity.WARNING
    assert found["layout.does_not_fit", "country"] is Severity.BLOCKING


@pytest.mark.parametrize("each", [intrum, plugin])
def test_what_the_layout_cannot_carry_holds_the_customer_beforehand(each):
    of = agreement(agency_key=each.agency_profile().key)
    for card, place in [
        (customer(name="n" * 101), "name"),
        (customer(email="nobody"), "email"),
        (customer(identity_scheme=""), "identityScheme"),
        (customer(address1="", address2="Postboks 1"), "address1"),
    ]:
        assert findings(each, card, of)["layout.does_not_fit", place] is Severity.BLOCKING
    assert [found for found in each.check_customer(customer(), of) if found.severity is Severity.BLOCKING] == []
    good = customer(email="post@example.test", phone="57000000")
    assert not has_blocking(check_customer(good, of, each.agency_profile().layouts[0], each.check_customer(good, of)))


def test_a_collection_agreement_keeps_the_hosts_column():
    card = customer(organisation_number="", identity_scheme="")
    collecting = agreement(service=Service.COLLECTION)
    key = ("customer.org_number_missing", "organisation_number")
    assert findings(intrum, card, collecting)[key] is Severity.BLOCKING


# --- files of the profile --------------------------------------------------------------------------------------------


def test_it_reads_payments_of_the_profile_under_its_own_key():
    content = (CORPUS / "payments.003").read_bytes()
    assert plugin.identify_inbound(inbound(content), (LOWELL,)) is InboundKind.PAYMENTS
    assert intrum.identify_inbound(inbound(content), (LOWELL,)) is None
    assert next(iter(plugin.import_payments(inbound(content), (LOWELL,)))).key == "lowell:4711:P-1"


def test_the_sandbox_takes_a_company_without_organisation_number(agency):
    card = customer("20009", organisation_number="", identity_scheme="")
    plugin.export_invoice(
        [claim("kp-c-9", card=card, items=[payment()])], LOWELL, seal(invoices=2), FolderSink(agency.upload)
    )
    agency.work(NOW)
    content = (agency.download / "receipt-invoices.002").read_bytes()
    assert plugin.import_receipt(inbound(content), (LOWELL,)).status == "accepted"


# --- money through the bank ------------------------------------------------------------------------------------------


def test_ocr_giro_holds_the_payments_with_a_kid(agency):
    agency.pay("kp-c-1", 1250_00, ON)
    agency.pay("kp-c-2", 1_05, ON, fees_minor=5)
    agency.pay("kp-c-3", 10_00, ON)
    reversed_id = agency.pay("kp-c-1", 3_00, ON)
    agency.reverse(reversed_id, ON)
    assert agency.write_ocr_giro(NOW) == "ocr-giro.001"
    text = (agency.download / "ocr-giro.001").read_bytes().decode("ascii")
    assert {len(record) for record in text.splitlines()} == {80}
    transmission = netsgiro.parse(text)
    assert transmission.get_num_transactions() == 3
    (assignment,) = transmission.assignments
    assert assignment.account == "15030000017"
    assert [(row.kid, row.amount, row.debit_account) for row in assignment.transactions] == [
        ("2345676", Decimal("1250.00"), "15030000025"),
        ("123456782", Decimal("1.00"), "15030000025"),
        ("2345676", Decimal("3.00"), "15030000025"),
    ]
    assert [is_kid(reference) for reference in ("12345678-", "RF18539007547034", "", "1")] == [
        True,
        False,
        False,
        False,
    ]
    end_of_assignment, end_of_transmission = text.splitlines()[-2:]
    assert end_of_assignment[8:41] == f"{3:08d}{8:08d}{125400:017d}"
    assert end_of_transmission[8:41] == f"{3:08d}{10:08d}{125400:017d}"
    assert agency.write_ocr_giro(NOW) is None


def test_cremul_holds_the_payments_with_a_kid_day_by_day(agency):
    agency.pay("kp-c-1", 1250_00, ON)
    agency.pay("kp-c-2", 1_05, ON + timedelta(days=1))
    agency.pay("kp-c-3", 10_00, ON)
    assert agency.write_cremul(NOW) == "cremul.001"
    with (agency.download / "cremul.001").open("rb") as stream:
        payments = list(CremulReader(stream))
    assert [
        (row.reference, row.amount_minor, row.booking_date, row.account, row.payer_account) for row in payments
    ] == [
        ("2345676", 1250_00, ON, "15030000017", "15030000025"),
        ("123456782", 1_05, ON + timedelta(days=1), "15030000017", "15030000025"),
    ]
    assert agency.write_cremul(NOW) is None


def test_camt054_holds_the_rest_with_totals(agency):
    first = agency.pay("kp-c-1", 1250_00, ON)
    agency.pay("kp-c-3", 10_00, ON)
    agency.reverse(first, ON)
    assert agency.write_camt054(NOW) == "camt054.001"
    root = etree.fromstring((agency.download / "camt054.001").read_bytes())
    entries = root.findall(f".//{CAMT}Ntry")
    assert [
        (entry.findtext(f"{CAMT}Amt"), entry.findtext(f"{CAMT}CdtDbtInd"), entry.findtext(f".//{CAMT}Ref"))
        for entry in entries
    ] == [("1250.00", "CRDT", "2345676"), ("10.00", "CRDT", "RF18539007547034"), ("1250.00", "DBIT", "2345676")]
    summary = root.find(f".//{CAMT}TxsSummry")
    assert [summary.findtext(f"{CAMT}{name}/{CAMT}Sum") for name in ("TtlNtries", "TtlCdtNtries", "TtlDbtNtries")] == [
        "2510.00",
        "1260.00",
        "1250.00",
    ]
    assert summary.findtext(f"{CAMT}TtlNtries/{CAMT}TtlNetNtry/{CAMT}Amt") == "10.00"


def test_a_payout_can_be_echoed_into_the_bank_file(agency):
    agency.pay("kp-c-1", 1250_00, ON)
    settlement = agency.settle(ON, fees_minor=50_00)
    name = agency.write_payout(settlement, NOW)
    root = etree.fromstring((agency.download / name).read_bytes())
    assert root.findtext(f".//{CAMT}AcctSvcrRef") == "S-1-4711-20261124"
    assert root.findtext(f".//{CAMT}Ntry/{CAMT}Amt") == "1200.00"
    with pytest.raises(ValueError, match="no settlement"):
        agency.write_payout("S-9", NOW)
