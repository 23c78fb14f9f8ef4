"""References as they are compared, their spellings, and numbers in free text (payments.md 1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.identifiers import OcrLevel, make_ocr, make_rf, make_viitenumero
from gateway.domain.references import (
    NUMBERS_MAX,
    PaymentRules,
    ReferenceRule,
    canonical,
    numbers_in,
    payment_rules,
    spellings,
)
from gateway.errors import DataError

viites = st.integers(100, 10**18).map(lambda number: make_viitenumero(str(number)))
payment_ids = st.integers(1, 10**15 - 1).map(str)
rf_references = st.integers(1, 10**20).map(lambda number: make_rf(str(number)))
markets = st.sampled_from(["NO", "SE", "FI", "DK", ""])


@given(viites)
def test_every_spelling_of_a_finnish_reference_is_that_reference(viite):
    found = spellings(viite, "FI")
    assert {viite.rjust(20, "0"), make_rf(viite)} - {viite} <= set(found)
    assert {canonical(one, "FI") for one in found} == {viite}


@given(payment_ids)
def test_every_spelling_of_a_danish_payment_id_is_that_payment_id(payment_id):
    found = spellings(payment_id, "DK")
    assert f"71/{payment_id:0>15}" in found
    assert {canonical(one, "DK") for one in found} == {payment_id}


@given(rf_references, markets.filter(lambda market: market != "FI"))
def test_every_spelling_of_an_rf_reference_is_that_reference(reference, market):
    found = spellings(reference, market)
    assert " ".join(reference[place : place + 4] for place in range(0, len(reference), 4)) in found
    assert {canonical(one, market) for one in found} == {reference}


@given(st.text(max_size=40), markets)
def test_a_reference_compares_with_itself_whatever_it_is(reference, market):
    one = canonical(reference, market)
    assert canonical(one, market) == one
    assert all(canonical(other, market) == one for other in spellings(one, market))


@given(st.from_regex(r"[0-9]{2,25}-?", fullmatch=True), st.sampled_from(["NO", "SE"]))
def test_norwegian_and_swedish_references_compare_as_written(reference, market):
    assert canonical(reference, market) == reference
    assert spellings(reference, market) == ()


@pytest.mark.parametrize("reference", ["RF00539007547034", "RF", "rf18x", "71/12a", "71/", "0000"])
def test_what_only_looks_like_one_of_them_is_left_alone(reference):
    assert canonical(reference, "NO") == reference
    assert canonical(reference, "FI") == reference


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([("text", "faktura 1001")], {"1001"}),
        ([("text", "FAKTNR 1234, KUNDNR 567")], {"1234", "567"}),
        ([("reference", "100252            1000014")], {"100252", "1000014"}),
        ([("reference", "501001/ 501002")], {"501001", "501002"}),
        ([("text", "KUNDEIDENTIFIKASJON (KID) 121212121:39")], {"121212121"}),
        ([("text", "INV-2026/77")], {"INV-2026/77", "2026"}),
        ([("text", "ref 12345-")], {"12345", "12345-"}),
        ([("text", "nr 12"), ("text", "34 takk")], {"1234"}),
        ([("reference", "12"), ("text", "34")], set()),
        ([("text", "12 3")], {"123"}),
        ([("text", "takk for sist")], set()),
        ([("text", "9" * 31)], set()),
    ],
)
def test_numbers_are_found_where_people_write_them(parts, expected):
    values = {seen.value for seen in numbers_in(parts)}
    assert expected <= values
    assert not (values and not expected)


@given(st.lists(st.tuples(st.sampled_from(["reference", "text"]), st.text(max_size=200)), max_size=20))
def test_whatever_is_written_each_number_says_where_it_stood(parts):
    for seen in numbers_in(parts):
        kind, place = seen.where
        (text,) = [text for part, text in parts if part == kind][place - 1 : place]
        assert seen.text in text or seen.text.split("|")[-1] in text


@pytest.mark.parametrize("sign", ["1", "1 ", "1-", "a1/", "1.", " 1", "-"])
def test_a_hostile_text_gives_a_bounded_answer(sign):
    assert len(numbers_in([("text", sign * 200_000)] * 3)) <= NUMBERS_MAX


def test_many_numbers_are_a_list_for_a_person():
    assert len(numbers_in([("text", " x ".join(str(10_000 + n) for n in range(1000)))])) == NUMBERS_MAX


@pytest.mark.rule("R-OP-01")
def test_rules_are_read_as_they_are_stored():
    assert payment_rules({}) == PaymentRules(None, 0)
    stored = {"check": "fixed_length", "lengths": [5, 7], "tolerance_minor": 100}
    assert payment_rules(stored) == PaymentRules(ReferenceRule(OcrLevel.FIXED_LENGTH, frozenset({5, 7})), 100)
    rule = payment_rules(stored).reference
    assert rule is not None
    assert rule.accepts(make_ocr("1234"))
    assert not rule.accepts(make_ocr("12345"))
    with pytest.raises(DataError, match="mod10"):
        payment_rules({"check": ["mod10"]})
