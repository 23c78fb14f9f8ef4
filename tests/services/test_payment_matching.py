"""Which invoice a payment pays, by which rule, and what it saw (R-OP-08, R-OP-09, R-PM-09, payments.md 1, 3, 4.2, 5.2)."""

from __future__ import annotations

import pytest

from gateway.domain.identifiers import KidCheck as Check
from gateway.domain.identifiers import make_kid, make_ocr, make_rf, make_viitenumero
from gateway.errors import DataError, NotFound, Refused
from gateway.services import agreements, creditors, placing
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.cremul_files import CremulDocument, CremulLine, CremulPayment, cremul_file
from gateway.testing.ktl_files import KtlPayment, ktl_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.rules.world import ACTOR, World
from tests.services.payment_worlds import creditor, documents, parts, told, took

KID = make_kid("100200300", Check.MOD10)


@pytest.fixture
def norway(house, clock, tmp_path) -> World:
    return creditor(house, clock, tmp_path, "NO")


@pytest.fixture
def at_agency(house, clock, tmp_path) -> World:
    """Invoice 1001 of 1 000.00 with a KID is at Lowell; what is certain and exact posts by itself."""
    world = World(house, clock, tmp_path, "lowell", options={"posts_automatically": True}).start()
    world.customer()
    world.invoice("1001", 1000, payment_reference=KID)
    world.invoice("1002", 500)
    world.evening()
    world.far.night()
    return world


def place(world: World, row) -> tuple[str | None, str, str]:
    """Where a row went: number of its invoice, rule, difference."""
    entry = world.row_of(row.entry_id).external_id if row.entry_id else None
    return entry, row.match_rule, row.difference


def pointed(world: World, row) -> tuple[str | None, str]:
    """Where a row only points a person."""
    assert (row.entry_id, row.state) == (None, "unmatched")
    return world.row_of(row.suggested_entry_id).external_id if row.suggested_entry_id else None, row.match_rule


# --- one reference in several spellings ------------------------------------------------------------------------------


VIITE = make_viitenumero("1234567")
RF, RF_ZEROS = make_rf("539007547034"), "RF" + make_rf("539007547034")[2:4] + "000539007547034"
SPELLED = [
    ("FI", VIITE, "0" * 12 + VIITE),
    ("FI", VIITE, f"{VIITE[:3]} {VIITE[3:]}"),
    ("FI", "0" * 12 + VIITE, VIITE),
    ("FI", f"{VIITE[:3]} {VIITE[3:]}", VIITE),
    ("FI", VIITE, make_rf(VIITE)),
    ("FI", make_rf(VIITE), VIITE),
    ("FI", VIITE, " ".join((make_rf(VIITE)[:4], make_rf(VIITE)[4:8], make_rf(VIITE)[8:]))),
    ("DK", "000000012345678", "71/000000012345678"),
    ("DK", "71/000000012345678", "12345678"),
    ("DK", "+71<000000012345678", "000000012345678"),
    ("DK", "12345678", "0000 0001 2345 678"),
    ("NO", RF, f"{RF[:4]} {RF[4:8]} {RF[8:12]} {RF[12:]}"),
    ("SE", f"{RF[:4]} {RF[4:8]} {RF[8:12]} {RF[12:]}", RF),
    ("NO", RF, RF_ZEROS),
    ("NO", RF_ZEROS, RF),
    ("NO", RF, RF.lower()),
]


@pytest.mark.rule("R-OP-08", "R-PM-09")
@pytest.mark.parametrize(("country", "ours", "theirs"), SPELLED)
def test_another_spelling_of_the_reference_is_as_certain_as_ours(house, clock, tmp_path, country, ours, theirs):
    world = creditor(house, clock, tmp_path, country)
    world.invoice("1", 1000, payment_reference=ours)
    world.invoice("2", 1000, payment_reference="7" + ours[1:] if ours[0] != "7" else "8" + ours[1:])
    (row,) = told(world, CamtPayment(100_000, theirs))
    assert place(world, row) == ("1", "payment_reference", "")
    assert row.references[0][0] == theirs, "as it was written it is kept"


@pytest.mark.rule("R-OP-08")
@pytest.mark.parametrize("country", ["NO", "SE"])
def test_leading_zeros_of_a_kid_or_ocr_count(house, clock, tmp_path, country):
    world = creditor(house, clock, tmp_path, country)
    world.invoice("1", 1000, payment_reference="0" + KID)
    (row,) = told(world, CamtPayment(100_000, KID))
    assert (row.entry_id, row.difference) == (None, "difference.not_in_ledger")


@pytest.mark.rule("R-OP-08")
def test_a_finnish_reference_file_finds_references_as_the_ledger_has_them(house, clock, tmp_path):
    world = creditor(house, clock, tmp_path, "FI")
    world.invoice("1", 1000, payment_reference=f"{VIITE[:3]} {VIITE[3:]}")
    (row,) = took(world, ktl_file([[KtlPayment(100_000, VIITE.rjust(20, "0"))]]))
    assert place(world, row) == ("1", "payment_reference", "")
    assert row.evidence[0] | {"entry_id": 0} == {
        "field": "payment_reference", "entry_id": 0, "seen": VIITE.rjust(20, "0"), "part": "reference", "place": 1,
    }  # fmt: skip


@pytest.mark.rule("R-OP-08")
def test_two_invoices_whose_references_are_one_reference_mean_a_person(house, clock, tmp_path):
    world = creditor(house, clock, tmp_path, "FI")
    world.invoice("1", 1000, payment_reference=make_rf(VIITE))
    world.invoice("2", 1000, payment_reference="0" + VIITE)
    (row,) = told(world, CamtPayment(100_000, VIITE))
    assert (row.entry_id, row.difference) == (None, "payment.several_candidates")


# --- KID and OCR by agreement ----------------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-08", "R-OP-09")
@pytest.mark.parametrize(
    ("rules", "reference", "difference"),
    [
        ({"check": "mod10", "lengths": [10]}, make_kid("999999999", Check.MOD10), "difference.not_in_ledger"),
        ({"check": "mod10", "lengths": [10]}, "9999999990", "reference.check_digit"),
        ({"check": "mod10", "lengths": [10]}, make_kid("99999999", Check.MOD10), "reference.check_digit"),
        ({"check": "mod11"}, make_kid("999999994", Check.MOD11), "difference.not_in_ledger"),
        ({"check": "mod11"}, make_kid("999999999", Check.MOD10), "reference.check_digit"),
        ({"check": "soft"}, make_ocr("1234"), "difference.not_in_ledger"),
        ({"check": "length_digit"}, make_ocr("1234"), "reference.check_digit"),
        ({"check": "length_digit"}, make_ocr("1234", with_length_digit=True), "difference.not_in_ledger"),
        ({"check": "fixed_length", "lengths": [7]}, make_ocr("1234"), "reference.check_digit"),
        ({}, "9999999990", "difference.not_in_ledger"),
    ],
    ids=str,
)
def test_a_reference_is_judged_by_the_creditors_agreement_and_by_no_other(norway, rules, reference, difference):
    creditors.set_payment_rules(norway.house, norway.creditor_id, rules, ACTOR)
    (row,) = told(norway, CamtPayment(100_000, reference))
    assert (row.entry_id, row.state, row.difference) == (None, "unmatched", difference)


@pytest.mark.parametrize(
    "rules",
    [{"check": "mod12"}, {"lengths": [13]}, {"check": "mod10", "lengths": [1]}, {"check": "mod10", "lengths": ["13"]},
     {"check": "fixed_length"}, {"check": "fixed_length", "lengths": [5, 6, 7]}, {"tolerance_minor": -1},
     {"tolerance_minor": 1.5}, {"tolerance_minor": True}, {"other": 1}],
    ids=str,
)  # fmt: skip
def test_rules_that_no_agreement_can_have_are_refused(fjord, rules):
    with pytest.raises(DataError):
        creditors.set_payment_rules(fjord.house, fjord.creditor_id, rules, ACTOR)
    with pytest.raises(DataError):
        agreements.change_agreement(fjord.house, fjord.agreement_id, {"payment_rules": rules}, ACTOR)
    with pytest.raises(NotFound):
        creditors.set_payment_rules(fjord.house, 999_999, {}, ACTOR)


# --- seen in free text -----------------------------------------------------------------------------------------------


@pytest.mark.rule("R-PM-09", "R-OP-08")
@pytest.mark.parametrize(
    ("texts", "rule", "seen", "part"),
    [
        (("Faktura 1001", "takk"), "text_number", "1001", 1),
        (("takk for varene", "FAKTNR1001, KUNDNR 567"), "text_number", "FAKTNR1001", 2),
        (("betaling av faktura nr 10", "01 fra oss"), "text_number", "10|01", 2),
        ((f"KUNDEIDENTIFIKASJON (KID) {KID}",), "text_payment_reference", KID, 1),
        ((f"{KID[:4]} {KID[4:]}",), "text_payment_reference", f"{KID[:4]} {KID[4:]}", 1),
    ],
)
def test_a_number_in_free_text_points_at_an_invoice_and_says_where_it_stood(norway, texts, rule, seen, part):
    norway.invoice("1001", 1000, payment_reference=KID)
    (row,) = told(norway, CamtPayment(100_000, texts=texts))
    assert pointed(norway, row) == ("1001", rule)
    (evidence,) = row.evidence
    assert (evidence["seen"], evidence["part"], evidence["place"]) == (seen, "text", part)
    assert evidence["entry_id"] == norway.entry_id("1001")


@pytest.mark.rule("R-PM-09", "A-16")
def test_not_even_an_exact_amount_posts_a_number_in_free_text(at_agency):
    data = camt_file([CamtEntry((CamtPayment(100_000, texts=("faktura 1001",)),))])
    at_agency.take_file("file", data)
    (row,) = at_agency.payments()
    assert pointed(at_agency, row) == ("1001", "text_number")
    assert at_agency.open("1001") == 1000


@pytest.mark.rule("R-PM-09")
def test_two_invoices_in_one_text_are_shown_and_none_is_taken(norway):
    norway.invoice("1001", 1000)
    norway.invoice("1002", 500)
    (row,) = told(norway, CamtPayment(150_000, texts=("1001 og 1002",)))
    assert (row.entry_id, row.difference) == (None, "payment.several_candidates")
    assert {one["entry_id"] for one in row.evidence} == {norway.entry_id("1001"), norway.entry_id("1002")}


@pytest.mark.rule("R-PM-09")
def test_in_free_text_only_what_the_agreement_calls_a_kid_is_one(norway):
    creditors.set_payment_rules(norway.house, norway.creditor_id, {"check": "mod11", "lengths": [10]}, ACTOR)
    norway.invoice("1", 1000, payment_reference=KID)
    (row,) = told(norway, CamtPayment(99_900, texts=(f"KID {KID}",)))
    assert pointed(norway, row) == (None, "")


@pytest.mark.rule("R-OP-08")
def test_the_agencys_case_number_as_reference_is_certain_and_in_text_is_not(at_agency):
    case = at_agency.claim("1001").case_number
    assert case
    entries = [CamtPayment(100_000, case), CamtPayment(50_000, texts=(f"sak {at_agency.claim('1002').case_number}",))]
    at_agency.take_file("file", camt_file([CamtEntry(tuple(entries))]))
    first, second = at_agency.payments()
    assert (place(at_agency, first), first.state) == (("1001", "case_number", ""), "posted")
    assert pointed(at_agency, second) == ("1002", "text_case_number")


@pytest.mark.rule("R-OP-08")
def test_a_structured_invoice_number_is_a_proposal(norway):
    norway.invoice("1001", 1000)
    (row,) = told(norway, CamtPayment(100_000, documents=(("CINV", "1001", 100_000),)))
    assert (place(norway, row), row.state) == (("1001", "invoice_number", ""), "proposed")


# --- several documents -----------------------------------------------------------------------------------------------


@pytest.fixture
def two(norway) -> World:
    norway.invoice("1001", 1000, payment_reference=KID)
    norway.invoice("1002", 500)
    return norway


@pytest.mark.rule("R-LK-10", "R-PM-03")
@pytest.mark.parametrize("name", ["camt", "cremul", "bgmax"])
def test_a_payment_for_two_invoices_is_divided_as_the_file_says(two, name):
    data = {
        "camt": camt_file([CamtEntry((CamtPayment(150_000, documents=documents(("CINV", "1001", 1000), ("CINV", "1002", 500))),))]),
        "cremul": cremul_file([[CremulLine((CremulPayment(150_000, documents=(CremulDocument("1001", 100_000), CremulDocument("1002", 50_000))),))]]),
        "bgmax": bgmax_file([BgSection((BgPayment(150_000, "", code="0", extras=(("1001", 100_000), ("1002", 50_000))),), currency="NOK")]),
    }[name]  # fmt: skip
    (row,) = took(two, data)
    assert (row.state, row.match_rule, row.difference) == ("proposed", "several", "")
    assert parts(two, row) == {"1001": 1000, "1002": 500}
    assert two.post().posted == (row.id,)
    assert (two.open("1001"), two.open("1002")) == (0, 0)
    assert sorted(e.amount_minor for e in two.group("1001")) == [-100_000, 100_000]
    assert two.not_linked() == set()


@pytest.mark.rule("R-LK-10")
def test_without_parts_a_payment_is_divided_where_what_is_open_adds_up(two):
    both = BgPayment(150_000, "", code="0", extras=(("1001", 0), ("1002", 0)))
    (row,) = took(two, bgmax_file([BgSection((both,), currency="NOK")]))
    assert (row.state, parts(two, row)) == ("proposed", {"1001": 1000, "1002": 500})
    less = BgPayment(140_000, "", code="0", serial="000000000002", extras=(("1001", 0), ("1002", 0)))
    (row,) = took(two, bgmax_file([BgSection((less,), currency="NOK")], created="20261103053000000000"))
    assert (row.state, row.difference, parts(two, row)) == ("unmatched", "payment.several_references", {})
    assert [one["seen"] for one in row.evidence] == ["1001", "1002"]


@pytest.mark.rule("R-LK-10", "R-PM-04")
def test_a_part_payment_of_two_invoices_leaves_what_was_not_paid(two):
    (row,) = told(two, CamtPayment(120_000, documents=documents(("CINV", "1001", 900), ("CINV", "1002", 300))))
    assert (row.state, row.difference) == ("proposed", "difference.our_balance_higher")
    two.post()
    assert (two.open("1001"), two.open("1002")) == (100, 200)


@pytest.mark.rule("R-LK-10")
@pytest.mark.parametrize(
    "named",
    [(("CINV", "1001", 1000), ("CINV", "9999", 500)), (("CINV", "1001", 1000), ("CINV", "1002", 499))],
    ids=["an unknown one", "a wrong sum"],
)
def test_what_does_not_add_up_is_for_a_person(two, named):
    (row,) = told(two, CamtPayment(140_000, documents=documents(*named)))
    assert (row.entry_id, row.state, row.difference) == (None, "unmatched", "payment.several_references")
    assert (row.suggested_entry_id, parts(two, row)) == (two.entry_id("1001"), {})


@pytest.mark.rule("R-OP-08")
def test_reference_and_number_of_one_invoice_are_one_document(two):
    (row,) = told(two, CamtPayment(100_000, KID, documents=documents(("CINV", "1001", 1000))))
    assert (place(two, row), row.state) == (("1001", "payment_reference", ""), "proposed")


@pytest.mark.rule("R-LK-10", "R-LK-02")
def test_a_credit_note_deducted_inside_a_payment_is_set_off(two):
    two.credit_note("K7", 300)
    (row,) = told(two, CamtPayment(70_000, documents=documents(("CINV", "1001", 1000), ("CREN", "K7", 300))))
    assert (row.state, row.difference, parts(two, row)) == ("proposed", "", {"1001": 1000, "K7": -300})
    two.post()
    assert two.open("1001") == 0
    assert sorted(e.amount_minor for e in two.group("1001")) == [-70_000, -30_000, 100_000]


@pytest.mark.rule("R-LK-10")
def test_of_two_invoices_the_credit_note_says_which_is_its_own(two):
    two.credit_note("K7", 300, credits_="1002")
    named = (("CINV", "1001", 1000), ("CINV", "1002", 500), ("CREN", "K7", 300))
    (row,) = told(two, CamtPayment(120_000, documents=documents(*named)))
    two.post()
    assert (two.open("1001"), two.open("1002")) == (0, 0)
    assert sorted(e.amount_minor for e in two.group("1002")) == [-30_000, -20_000, 50_000]
    two.credit_note("K8", 100)
    named = (("CINV", "1001", 1000), ("CINV", "1002", 500), ("CREN", "K8", 100))
    (row,) = told(two, CamtPayment(140_000, documents=documents(*named)))
    assert (row.state, row.difference) == ("unmatched", "payment.several_references")


@pytest.mark.rule("R-LK-10")
def test_half_a_credit_note_is_for_a_person(two):
    two.credit_note("K7", 300)
    (row,) = told(two, CamtPayment(90_000, documents=documents(("CINV", "1001", 1000), ("CREN", "K7", 100))))
    assert (row.state, row.difference) == ("unmatched", "payment.several_references")


@pytest.mark.rule("R-LK-10", "R-PM-11")
def test_a_deduction_of_its_own_finds_the_credit_note_and_uses_it(two):
    two.credit_note("K7", 300)
    section = BgSection((BgPayment(100_000, KID), BgPayment(30_000, "K7", code="5", serial="000000000002", deduction="0")), currency="NOK")  # fmt: skip
    paid, deducted = took(two, bgmax_file([section]))
    assert place(two, paid) == ("1001", "payment_reference", "")
    assert place(two, deducted) == ("K7", "credit_note", "payment.credit_note_deducted")
    two.post()
    assert two.open("1001") == 0
    assert sum(e.amount_minor for e in two.group("K7")) == 0


@pytest.mark.rule("R-LK-10", "R-VL-08")
def test_the_agency_balance_follows_each_part_and_comes_back_with_it(at_agency):
    named = documents(("CINV", "1001", 1000), ("CINV", "1002", 400))
    at_agency.take_file("file", camt_file([CamtEntry((CamtPayment(140_000, documents=named),))]))
    (row,) = at_agency.payments()
    assert (row.state, row.difference) == ("proposed", "difference.our_balance_higher")
    assert (at_agency.agency_balance("1001"), at_agency.agency_balance("1002")) == (0, 100)
    placing.unmatch(at_agency.house, row.id, ACTOR)
    assert (at_agency.agency_balance("1001"), at_agency.agency_balance("1002")) == (1000, 500)
    assert parts(at_agency, row) == {}
    placing.match(at_agency.house, row.id, at_agency.entry_id("1001"), ACTOR)
    assert at_agency.agency_balance("1001") == -400


@pytest.mark.rule("R-PM-03", "R-LK-03")
def test_what_was_linked_since_is_not_posted_as_it_was_divided(two):
    two.credit_note("K7", 300)
    (row,) = told(two, CamtPayment(70_000, documents=documents(("CINV", "1001", 1000), ("CREN", "K7", 300))))
    two.tie("1002", "K7")
    assert two.post().refused == {row.id: "payment.several_references"}
    assert (two.open("1001"), two.open("1002")) == (1000, 200)


# --- charges, tolerance, differences ---------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-09", "R-PM-04")
@pytest.mark.parametrize("name", ["camt", "cremul"])
def test_fifty_short_is_explained_by_the_charges_the_file_tells(two, name):
    data = {
        "camt": camt_file([CamtEntry((CamtPayment(95_000, KID, charges_minor=5000),))]),
        "cremul": cremul_file(
            [[CremulLine((CremulPayment(95_000, KID, original_minor=100_000, charges_minor=5000),))]]
        ),
    }[name]
    (row,) = took(two, data)
    assert (place(two, row), row.charges_minor) == (("1001", "payment_reference", "payment.charges_taken"), 5000)
    two.post()
    assert two.open("1001") == 50, "explained, and nobody's to give away"


@pytest.mark.rule("R-OP-09")
def test_charges_that_do_not_explain_the_difference_are_no_explanation(two):
    (row,) = told(two, CamtPayment(90_000, KID, charges_minor=5000))
    assert row.difference == "difference.our_balance_higher"
    placing.match(two.house, row.id, two.entry_id("1002"), ACTOR)
    assert two.payments()[0].difference == "difference.our_balance_lower"


@pytest.mark.rule("A-17", "R-PM-04")
@pytest.mark.parametrize(
    ("tolerance", "kroner", "difference"),
    [
        (0, 999.99, "difference.our_balance_higher"),
        (0, 1000.01, "difference.our_balance_lower"),
        (100, 999, "payment.within_tolerance"),
        (100, 998.99, "difference.our_balance_higher"),
        (100, 1001, "payment.within_tolerance"),
        (100, 1001.01, "difference.our_balance_lower"),
        (100, 1000, ""),
    ],
)
def test_tolerance_is_none_unless_agreed_and_posts_nothing_by_itself(at_agency, tolerance, kroner, difference):
    rules = {"payment_rules": {"tolerance_minor": tolerance}}
    agreements.change_agreement(at_agency.house, at_agency.agreement_id, rules, ACTOR)
    at_agency.take_file("file", camt_file([CamtEntry((CamtPayment(round(kroner * 100), KID),))]))
    (row,) = at_agency.payments()
    assert (row.difference, row.state) == (difference, "proposed" if difference else "posted")
    if difference:
        at_agency.post()
        assert at_agency.open("1001") == max(round(1000 - kroner, 2), 0), "the rest is booked by a person"


@pytest.mark.rule("A-17")
def test_an_agreement_without_rules_of_its_own_has_the_creditors(at_agency):
    creditors.set_payment_rules(at_agency.house, at_agency.creditor_id, {"tolerance_minor": 100}, ACTOR)
    at_agency.take_file("file", ocr_file([[OcrPayment(99_950, KID)]]))
    assert at_agency.payments()[0].difference == "payment.within_tolerance"


@pytest.mark.rule("R-OP-09")
def test_r_op_09_each_difference_that_money_can_have(two):
    two.invoice("paid", 100, payment_reference="2000000000024")
    two.payment("p", 100)
    two.tie("paid", "p")
    two.invoice("credited", 100, payment_reference="3000000000031")
    two.credit_note("c", 100)
    two.tie("credited", "c")
    rows = told(
        two, CamtPayment(777), CamtPayment(100, "999"), CamtPayment(10_000, "3000000000031"),
        CamtPayment(10_000, "2000000000024"), CamtPayment(110_000, KID), CamtPayment(90_000, KID),
    )  # fmt: skip
    assert [row.difference for row in rows] == [
        "difference.unidentified", "difference.not_in_ledger", "difference.zero_by_credit",
        "difference.zero_by_payment", "difference.our_balance_lower", "difference.our_balance_higher",
    ]  # fmt: skip
    assert {row.state for row in rows} == {"unmatched", "proposed"}


# --- taking back -----------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-PM-03", "R-OP-08")
def test_whatever_was_matched_or_pointed_at_can_be_taken_back_and_the_record_says_what_it_was(two):
    sure, seen = told(two, CamtPayment(100_000, KID), CamtPayment(50_000, texts=("faktura 1002",)))
    placing.unmatch(two.house, sure.id, ACTOR)
    placing.unmatch(two.house, seen.id, ACTOR)
    first, second = two.payments()
    assert (first.entry_id, first.suggested_entry_id, first.state) == (None, two.entry_id("1001"), "unmatched")
    assert (second.suggested_entry_id, second.match_rule, second.evidence) == (None, "", None)
    assert [event.facts["rule"] for event in two.audit("payment.unmatched")] == ["payment_reference", "text_number"]
    assert two.audit("payment.unmatched")[1].facts["seen"][0]["seen"] == "1002"
    placing.match(two.house, sure.id, two.entry_id("1001"), ACTOR)
    assert place(two, two.payments()[0]) == ("1001", "person", "")


@pytest.mark.rule("R-PM-03")
def test_money_that_is_only_announced_is_neither_matched_nor_unmatched(two):
    (row,) = took(two, camt_file([CamtEntry((CamtPayment(100_000, KID),), status="PDNG")]))
    for act in (
        lambda: placing.match(two.house, row.id, two.entry_id("1001"), ACTOR),
        lambda: placing.unmatch(two.house, row.id, ACTOR),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "payment.not_booked"
