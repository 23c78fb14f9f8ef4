"""Customer checks: fillers, contradictions, what a plugin may change; the matrix itself stands in tests/rules."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.checks import (
    TAKES_FOREIGN,
    FactoringSettings,
    check_customer,
    check_factoring_settings,
    demand,
    has_blocking,
    is_filler,
)
from gateway.domain.exchange import Agreement, Customer, CustomerKind, Finding, LayoutProfile, Service, Severity
from gateway.domain.reasons import is_known

LAYOUT = LayoutProfile("any", "Any", "invented")
COMPANY = Customer(
    "100017", CustomerKind.COMPANY, "Nordfjord Bygg", "987654325", "", "no-orgnr", "Storgata 12", "", "0155", "Oslo",
    "NO", "post@example.org", "22334455", "nb",
)  # fmt: skip
LEDGER = Agreement(1, "lowell", 1, "Fjord AS", "Lowell", "4711", Service.LEDGER, "NO", "NOK", "any", is_sandbox=False)


def found(customer, agreement=LEDGER, layout=LAYOUT, plugin=(), **more):
    return {(f.code, f.place): f.severity for f in check_customer(customer, agreement, layout, plugin, **more)}


def test_complete_card_has_no_finding():
    assert check_customer(COMPANY, LEDGER, LAYOUT) == ()


@pytest.mark.parametrize(
    "text",
    ["-", "n.a", "N/A", "0000", ".", "xxx", "XX", "---", " . ", "Ukjent adresse", "okänd", "aaaa", "?", "0", "x"],
)
def test_fillers(text):
    assert is_filler(text)


@pytest.mark.parametrize(
    "text", ["Storgata 12", "Å", "0155", "111 11", "1000", "Aa 3", "NNE gate 4", "Xavier vei 1", "Oo"]
)
def test_what_looks_odd_and_is_real(text):
    assert not is_filler(text)


def test_every_filler_field_is_named():
    card = COMPANY._replace(address1="-", postcode="0000", city="xxx", address2="n.a")
    places = {place for code, place in found(card) if code == "customer.address_filler"}
    assert places == {"address1", "address2", "postcode", "city"}


def test_second_address_line_is_a_postal_address_too():
    assert found(COMPANY._replace(address1="", address2="Postboks 12")) == {}


def test_number_of_a_person_is_not_shown():
    card = COMPANY._replace(kind=CustomerKind.PRIVATE, organisation_number="", national_id="01019012345")
    (finding,) = [f for f in check_customer(card, LEDGER, LAYOUT) if f.place == "national_id"]
    assert finding.code == "identifier.check_digit"
    assert finding.value == finding.values["value"] == "*********45"


def test_person_in_the_organisation_number_field_is_not_shown_either():
    card = COMPANY._replace(organisation_number="01019012345")
    (finding,) = [f for f in check_customer(card, LEDGER, LAYOUT) if f.place == "organisation_number"]
    assert "010190" not in finding.value


def test_test_persons_only_in_a_sandbox():
    card = COMPANY._replace(kind=CustomerKind.PRIVATE, organisation_number="", national_id="01819010001")
    assert ("identifier.check_digit", "national_id") in found(card)
    assert ("identifier.check_digit", "national_id") not in found(card, replace(LEDGER, is_sandbox=True))


def test_swedish_sole_trader_contradicts_nothing():
    swedish = replace(LEDGER, market="SE", currency="SEK")
    card = COMPANY._replace(country="SE", organisation_number="880320-0016")
    assert found(card, swedish) == {}
    assert found(card._replace(national_id="8803200016"), swedish) == {}


def test_agreed_customers_abroad_only_warn():
    abroad = COMPANY._replace(country="DE")
    collection = replace(LEDGER, service=Service.COLLECTION)
    assert found(abroad, collection) == {("customer.foreign", "country"): Severity.BLOCKING}
    agreed = replace(collection, settings={TAKES_FOREIGN: True})
    assert found(abroad, agreed) == {("customer.foreign", "country"): Severity.WARNING}


def test_card_without_country_is_checked_by_the_home_market():
    card = COMPANY._replace(country="", organisation_number="987654326")
    assert found(card) == {
        ("customer.country_missing", "country"): Severity.WARNING,
        ("identifier.check_digit", "organisation_number"): Severity.BLOCKING,
    }


def test_duplicate_is_known_to_the_caller_only():
    assert found(COMPANY, duplicate_of="100018") == {("customer.duplicate", "customer_number"): Severity.WARNING}


def test_plugin_raises_and_lowers_what_is_not_absolute():
    card = COMPANY._replace(organisation_number="", email="")
    plugin = (
        Finding(Severity.BLOCKING, "customer.org_number_missing"),
        Finding(Severity.WARNING, "customer.email_missing"),
        Finding(Severity.WARNING, "agency.own_code", "name"),
    )
    merged = found(card, plugin=plugin)
    assert merged["customer.org_number_missing", "organisation_number"] is Severity.BLOCKING
    assert merged["customer.email_missing", "email"] is Severity.WARNING
    assert merged["agency.own_code", "name"] is Severity.WARNING


def test_plugin_cannot_lower_what_blocks_everywhere():
    card = COMPANY._replace(organisation_number="987654326")
    plugin = (Finding(Severity.INFO, "identifier.check_digit", "organisation_number"),)
    assert found(card, plugin=plugin)["identifier.check_digit", "organisation_number"] is Severity.BLOCKING


def test_demand_gives_a_plugin_its_own_column():
    card = COMPANY._replace(organisation_number="", country="")
    wanted = {"customer.org_number_missing": Severity.BLOCKING, "customer.name_missing": Severity.BLOCKING}
    (finding,) = demand(card, LEDGER, wanted)
    assert (finding.severity, finding.code, finding.place) == (
        Severity.BLOCKING, "customer.org_number_missing", "organisation_number",
    )  # fmt: skip


def test_sternest_come_first():
    card = COMPANY._replace(organisation_number="", name="", email="")
    order = [finding.severity for finding in check_customer(card, LEDGER, LAYOUT)]
    assert order == sorted(order, key=[Severity.BLOCKING, Severity.WARNING, Severity.INFO].index)


WORDS = st.one_of(st.just(""), st.just("-"), st.text(max_size=12))


@given(
    st.builds(
        Customer,
        WORDS,
        st.one_of(st.none(), st.sampled_from(CustomerKind)),
        *[WORDS] * 12,
        has_own_number=st.booleans(),
    ),
    st.sampled_from(Service),
)
def test_no_card_makes_the_checks_raise_and_every_finding_can_be_said(customer, service):
    findings = check_customer(customer, replace(LEDGER, service=service), LAYOUT)
    assert all(is_known(finding.code) and finding.place in Customer._fields for finding in findings)
    assert has_blocking(findings) == any(finding.severity is Severity.BLOCKING for finding in findings)


# --- factoring settings ----------------------------------------------------------------------------------------------

SETTINGS = FactoringSettings("4711", "Lowell Norge AS", "Postboks 1, 0101 Oslo", "86011117947")


def faults(settings, payment_account="86011117947", market="NO"):
    return {(f.code, f.place): f.severity for f in check_factoring_settings(settings, market, payment_account)}


@pytest.mark.rule("R-FA-03")
@pytest.mark.parametrize("field", ["customer_number", "name", "address", "account_number"])
def test_r_fa_03_missing_field_blocks_and_is_named(field):
    assert faults(replace(SETTINGS, **{field: " "})) == {("factoring.field_missing", field): Severity.BLOCKING}


@pytest.mark.rule("R-FA-03")
def test_r_fa_03_invoice_text_may_be_empty():
    assert faults(replace(SETTINGS, invoice_text="")) == {}


@pytest.mark.rule("R-FA-04")
def test_r_fa_04_account_is_checked_and_compared():
    assert faults(SETTINGS, "NO93 8601 1117 947") == {}
    assert faults(SETTINGS, "15032080119") == {("factoring.account_differs", "account_number"): Severity.WARNING}
    wrong = replace(SETTINGS, account_number="86011117948")
    assert faults(wrong, "")["identifier.check_digit", "account_number"] is Severity.BLOCKING
    assert faults(replace(SETTINGS, account_number="123-4566"), "1234566", "SE") == {}


@pytest.mark.rule("R-FA-05")
@pytest.mark.parametrize("posting", ["", "none", "Normal posting", "reversed"])
def test_r_fa_05_any_other_posting_mode_blocks(posting):
    assert faults(replace(SETTINGS, posting=posting)) == {("factoring.posting_mode", "posting"): Severity.BLOCKING}
