"""R-CD where cards, plugins and evenings meet; what stands on one card is test_r_cd.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.domain.exchange import CustomerKind, Severity
from gateway.errors import DataError
from gateway.services import customers
from tests.rules.world import ACTOR, World

PERSON = {
    "kind": CustomerKind.PRIVATE,
    "name": "Kari Nordmann",
    "organisation_number": "",
    "national_id": "01019010046",
}
FAULTS = [
    ({"kind": None}, "customer.kind_missing"),
    ({"name": ""}, "customer.name_missing"),
    ({"address1": ""}, "customer.address_missing"),
    ({"city": "n.a"}, "customer.address_filler"),
    ({"organisation_number": "999999981"}, "identifier.check_digit"),
    (PERSON | {"organisation_number": "999999980"}, "customer.kind_contradicts_id"),
]


def evening_with(world: World, **card) -> tuple[set[str], set[str]]:
    """Send one invoice of a customer with such a card; return what went and the codes of what did not."""
    world.customer(**card)
    world.invoice("1", 100)
    evening = world.evening()
    return evening.sent, evening.held.get("1", set())


@pytest.mark.rule("R-CD-01", "R-CD-03", "R-CD-05", "R-CD-09", "R-CD-08")
@pytest.mark.parametrize("agency", ["lowell", "intrum"])
@pytest.mark.parametrize(("card", "code"), FAULTS)
def test_r_cd_01_03_05_09_a_wrong_card_holds_at_every_agency(house, clock, tmp_path, agency, card, code):
    sent, codes = evening_with(World(house, clock, tmp_path, agency).start(), **card)
    assert sent == set()
    assert code in codes


@pytest.mark.rule("R-CD-02")
def test_r_cd_02_a_private_contact_without_number_is_held(fjord):
    fjord.customer(customer_number="", **PERSON)
    fjord.invoice("1", 100)
    assert "customer.number_missing" in fjord.evening().held["1"]


@pytest.mark.rule("R-CD-04", "A-22")
@pytest.mark.parametrize(("agency", "goes"), [("lowell", True), ("intrum", False)])
def test_r_cd_04_a_company_without_organisation_number(house, clock, tmp_path, agency, goes):
    """Intrum's intake would stop; Lowell prefers the number and takes the company without. Its own intake agrees."""
    world = World(house, clock, tmp_path, agency).start()
    sent, codes = evening_with(world, organisation_number="")
    assert (sent, codes) == (({"1"}, set()) if goes else (set(), {"customer.org_number_missing"}))
    world.far.night()
    assert world.far.balances() == ({"1": 100} if goes else {})


@pytest.mark.rule("R-CD-04", "A-22")
@pytest.mark.parametrize(("agency", "goes"), [("lowell", True), ("intrum", False)])
def test_r_cd_04_a_national_id_only_where_the_layout_demands_it(house, clock, tmp_path, agency, goes):
    world = World(house, clock, tmp_path, agency).start()
    sent, codes = evening_with(world, **(PERSON | {"national_id": ""}))
    assert (sent, codes) == (({"1"}, set()) if goes else (set(), {"customer.national_id_missing"}))


@pytest.mark.rule("R-CD-06", "A-23")
@pytest.mark.parametrize(
    ("agency", "code"), [("intrum", "customer.country_missing"), ("lowell", "layout.does_not_fit")]
)
def test_r_cd_06_country_is_never_filled_in(house, clock, tmp_path, agency, code):
    """At Lowell a missing country only warns; it is the layout spoken today that has no way to leave it out."""
    world = World(house, clock, tmp_path, agency).start()
    sent, codes = evening_with(world, country="")
    assert (sent, code in codes) == (set(), True)
    assert world.customer_row().country == ""


@pytest.mark.rule("R-CD-07")
def test_r_cd_07_mending_the_card_answers_with_what_is_still_wrong(fjord):
    fjord.customer(city="", organisation_number="999999981")
    found = customers.correct_customer(fjord.house, fjord.customer_id(), {"city": "OSLO"}, ACTOR)
    assert {(f.code, f.place) for f in found if f.severity is Severity.BLOCKING} == {
        ("identifier.check_digit", "organisation_number")
    }
    found = customers.correct_customer(fjord.house, fjord.customer_id(), {"organisation_number": "999999980"}, ACTOR)
    assert not any(f.severity is Severity.BLOCKING for f in found)
    for wrong in ({"shoe_size": "44"}, {"kind": "club"}):
        with pytest.raises(DataError):
            customers.correct_customer(fjord.house, fjord.customer_id(), wrong, ACTOR)


@pytest.mark.rule("R-CD-07")
def test_r_cd_07_what_was_mended_here_stands_until_the_source_says_something_itself(fjord):
    fjord.customer(city="")
    customers.correct_customer(fjord.house, fjord.customer_id(), {"city": "OSLO"}, ACTOR)
    fjord.customer(city="", phone="99887766")
    assert (fjord.customer_row().city, fjord.customer_row().phone) == ("OSLO", "99887766")
    fjord.customer(city="BERGEN")
    assert fjord.customer_row().city == "BERGEN"


@pytest.mark.rule("R-CD-08", "A-24")
def test_r_cd_08_of_a_hundred_customers_ninety_nine_go(fjord):
    for n in range(100):
        fjord.customer(str(20000 + n), city="" if n == 41 else "OSLO")
        fjord.invoice(str(n), 100, customer=f"c{20000 + n}")
    first = fjord.evening()
    assert len(first.sent) == 99
    assert first.held == {"41": {"customer.address_missing"}}
    fjord.far.night()
    fjord.customer("20041", city="OSLO")
    second = fjord.evening()
    assert (second.sent, second.held) == ({"41"}, {})
    fjord.far.night()
    assert len(fjord.far.balances()) == 100


@pytest.mark.rule("R-CD-08", "A-24")
def test_r_cd_08_a_value_the_layout_cannot_carry_holds_its_customer_only(fjord):
    """A name of 200 signs fails no check of the matrix, only the file; it must not stop the evening."""
    fjord.customer(name="Nordfjord Bygg " * 14)
    fjord.customer("10002")
    fjord.invoice("1", 100)
    fjord.invoice("2", 100, customer="c10002")
    evening = fjord.evening()
    assert (evening.sent, evening.held) == ({"2"}, {"1": {"layout.does_not_fit"}})


@pytest.mark.rule("R-CD-08", "A-24")
def test_r_cd_08_an_invoice_the_layout_cannot_carry_holds_itself_only(fjord):
    fjord.customer()
    fjord.invoice("1", 100, text="x" * 300)
    fjord.invoice("2", 100)
    fjord.payment("p", 40)
    fjord.tie("1", "p")
    evening = fjord.evening()
    assert evening.sent == {"2"}
    assert evening.held == {"1": {"layout.does_not_fit"}, "p": {"layout.does_not_fit"}}
    assert list(evening.files) == ["invoices.001"]


@pytest.mark.rule("R-CD-09")
def test_r_cd_09_a_wrong_number_stands_in_no_file_and_not_in_clear_in_the_finding(fjord):
    fjord.customer(**(PERSON | {"national_id": "01019010047"}))
    fjord.invoice("1", 100)
    evening = fjord.evening()
    assert evening.held == {"1": {"identifier.check_digit"}}
    (held,) = fjord.preview().held
    assert "01019010047" not in str(held.values)


@pytest.mark.rule("R-CD-10")
def test_r_cd_10_an_address_corrected_at_17_50_is_used_at_18(fjord):
    fjord.customer(address1="Gamleveien 1")
    fjord.invoice("1", 100)
    assert fjord.preview().invoice_count == 1
    fjord.clock.moment = datetime(2026, 11, 23, 16, 50, tzinfo=UTC)
    fjord.customer(address1="Nyveien 2")
    (content,) = fjord.evening().files.values()
    assert b"Nyveien 2" in content
    assert b"Gamleveien" not in content


@pytest.mark.rule("R-CD-10", "P13")
def test_r_cd_10_a_card_that_broke_after_the_preview_holds_in_the_run(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    assert fjord.preview().invoice_count == 1
    fjord.customer(city="")
    assert fjord.evening().held == {"1": {"customer.address_missing"}}


@pytest.mark.rule("R-CD-09", "A-22")
def test_two_cards_with_the_same_number_warn_and_go(fjord):
    fjord.customer()
    fjord.customer("10002")
    found = customers.correct_customer(fjord.house, fjord.customer_id(), {"phone": "11223344"}, ACTOR)
    assert ("customer.duplicate", Severity.WARNING) in {(f.code, f.severity) for f in found}
    fjord.invoice("1", 100)
    assert fjord.evening().sent == {"1"}
