"""Acceptance of R-CD, the part that needs no database: what stands on a card, and whom it holds where.

Intrum's column is what its plugin demands beside the host's; here it is written out as the rules print it.
"""

import pytest

from gateway.domain.checks import check_customer, demand, has_blocking
from gateway.domain.exchange import Agreement, Customer, CustomerKind, LayoutProfile, Service, Severity
from gateway.domain.reasons import sentence

B, W, I, NOT = Severity.BLOCKING, Severity.WARNING, Severity.INFO, None  # noqa: E741  the letters of the matrix
LAYOUT = LayoutProfile("any", "Any", "invented")
COLUMNS = ("Intrum ledger", "Lowell ledger", "collection", "factoring")
INTRUM_DEMANDS = {
    "customer.org_number_missing": B,
    "customer.country_missing": B,
    "customer.national_id_missing": W,
}

FJORD_COMPANY = Customer(
    "100017", CustomerKind.COMPANY, "Nordfjord Bygg", "987654325", "", "no-orgnr", "Storgata 12", "", "0155", "Oslo",
    "NO", "post@example.org", "22334455", "nb",
)  # fmt: skip
PERSON = FJORD_COMPANY._replace(
    kind=CustomerKind.PRIVATE, name="Kari Nordmann", organisation_number="", national_id="01019010046",
    identity_scheme="no-fnr",
)  # fmt: skip


def agreement(column):
    service = {"collection": Service.COLLECTION, "factoring": Service.FACTORING}.get(column, Service.LEDGER)
    return Agreement(1, "any", 1, "Fjord AS", column.split()[0], "1", service, "NO", "NOK", "any", is_sandbox=False)


def severities(card, column, layout=LAYOUT, **more):
    """Return the severity by reason code of what is found on *card* for the agreement of a matrix column."""
    own = demand(card, agreement(column), INTRUM_DEMANDS) if column.startswith("Intrum") else ()
    return {f.code: f.severity for f in check_customer(card, agreement(column), layout, own, **more)}


@pytest.mark.parametrize("card", [FJORD_COMPANY, FJORD_COMPANY._replace(kind=CustomerKind.PUBLIC), PERSON])
@pytest.mark.parametrize("column", COLUMNS)
def test_right_cards_hold_nobody(card, column):
    assert severities(card, column) == {}


@pytest.mark.rule("R-CD-01")
@pytest.mark.parametrize("column", COLUMNS)
def test_r_cd_01_unknown_kind_blocks_for_every_agency(column):
    assert severities(FJORD_COMPANY._replace(kind=None), column)["customer.kind_missing"] is B


@pytest.mark.rule("R-CD-02")
@pytest.mark.parametrize("column", COLUMNS)
def test_r_cd_02_contact_without_customer_number_blocks(column):
    assert severities(PERSON._replace(has_own_number=False), column)["customer.number_missing"] is B
    assert severities(PERSON._replace(customer_number=""), column)["customer.number_missing"] is B


@pytest.mark.rule("R-CD-03")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    "card",
    [
        PERSON._replace(organisation_number="987654325"),
        PERSON._replace(organisation_number="987654325", national_id=""),
        PERSON._replace(national_id="987654325"),
        FJORD_COMPANY._replace(national_id="01019010046"),
        FJORD_COMPANY._replace(organisation_number="01019010046"),
    ],
)
def test_r_cd_03_kind_that_contradicts_the_id_blocks(card, column):
    assert severities(card, column)["customer.kind_contradicts_id"] is B


@pytest.mark.rule("R-CD-04")
@pytest.mark.parametrize("kind", [CustomerKind.COMPANY, CustomerKind.PUBLIC])
def test_r_cd_04_organisation_number_blocks_intrum_warns_lowell(kind):
    card = FJORD_COMPANY._replace(kind=kind, organisation_number="")
    assert severities(card, "Intrum ledger") == {"customer.org_number_missing": B}
    assert severities(card, "Lowell ledger") == {"customer.org_number_missing": W}
    assert severities(card, "collection") == {"customer.org_number_missing": B}
    assert severities(card, "factoring") == {"customer.org_number_missing": B}


@pytest.mark.rule("R-CD-05")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("field", ["address1", "postcode", "city"])
def test_r_cd_05_any_missing_part_of_the_address_blocks(field, column):
    assert severities(FJORD_COMPANY._replace(**{field: " "}), column) == {"customer.address_missing": B}


@pytest.mark.rule("R-CD-05")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(("field", "text"), [("address1", "-"), ("city", "n.a"), ("postcode", "0000")])
def test_r_cd_05_filler_is_no_address(field, text, column):
    assert severities(FJORD_COMPANY._replace(**{field: text}), column) == {"customer.address_filler": B}


@pytest.mark.rule("R-CD-06")
def test_r_cd_06_country_blocks_intrum_warns_lowell_and_is_never_filled_in():
    card = FJORD_COMPANY._replace(country="")
    expected = dict(zip(COLUMNS, (B, W, B, B), strict=True))
    assert {column: severities(card, column) for column in COLUMNS} == {
        column: {"customer.country_missing": severity} for column, severity in expected.items()
    }
    assert card.country == ""


@pytest.mark.rule("R-CD-06")
@pytest.mark.parametrize(("column", "severity"), [*zip(COLUMNS, (W, W, B, B), strict=True)])
def test_r_cd_06_customer_abroad(column, severity):
    card = FJORD_COMPANY._replace(country="DE")
    assert severities(card, column) == {"customer.foreign": severity}
    (finding,) = check_customer(card, agreement(column), LAYOUT)
    said = sentence(finding.code, "en", finding.values)
    assert said == f"Customer abroad; agree it with {column.split()[0]} first."


@pytest.mark.rule("R-CD-07")
def test_r_cd_07_every_finding_names_the_field_of_the_card():
    card = FJORD_COMPANY._replace(
        kind=None, name="", organisation_number="987654326", address1="", postcode="0000", city="", country="", email=""
    )
    findings = check_customer(card, agreement("Lowell ledger"), LAYOUT)
    assert {finding.place for finding in findings} == {
        "kind", "name", "organisation_number", "address1", "postcode", "city", "country", "email",
    }  # fmt: skip


@pytest.mark.rule("R-CD-08")
def test_r_cd_08_a_warning_holds_nobody_and_a_mended_card_goes():
    warned = FJORD_COMPANY._replace(organisation_number="", country="", email="", phone="")
    held = FJORD_COMPANY._replace(city="")
    lowell = agreement("Lowell ledger")
    assert not has_blocking(check_customer(warned, lowell, LAYOUT))
    assert has_blocking(check_customer(held, lowell, LAYOUT))
    assert not has_blocking(check_customer(held._replace(city="Oslo"), lowell, LAYOUT))


@pytest.mark.rule("R-CD-09")
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    ("card", "code"),
    [
        (FJORD_COMPANY._replace(organisation_number="987654326"), "identifier.check_digit"),
        (FJORD_COMPANY._replace(organisation_number="123456785"), "identifier.first_digit"),
        (PERSON._replace(national_id="01019010047"), "identifier.check_digit"),
    ],
)
def test_r_cd_09_present_but_wrong_blocks_every_agency(card, code, column):
    assert severities(card, column) == {code: B}


@pytest.mark.rule("R-CD-09")
def test_r_cd_09_missing_national_id_is_the_profiles_business():
    card = PERSON._replace(national_id="")
    expected = zip(COLUMNS, (W, I, W, NOT), strict=True)
    assert {column: severities(card, column).get("customer.national_id_missing") for column in COLUMNS} == dict(
        expected
    )
    needs = LayoutProfile("needs", "Needs", "invented", needs_national_id=True)
    assert severities(card, "Lowell ledger", needs) == {"customer.national_id_missing": B}


@pytest.mark.rule("R-CD-04")
@pytest.mark.parametrize(("column", "severity"), [*zip(COLUMNS, (I, I, I, W), strict=True)])
def test_matrix_contact_details(column, severity):
    card = FJORD_COMPANY._replace(email="", phone=" ")
    assert severities(card, column) == {"customer.email_missing": severity, "customer.phone_missing": severity}


@pytest.mark.parametrize("column", COLUMNS)
def test_matrix_name_and_duplicate(column):
    assert severities(FJORD_COMPANY._replace(name=" "), column) == {"customer.name_missing": B}
    assert severities(FJORD_COMPANY, column, duplicate_of="100018") == {"customer.duplicate": W}
