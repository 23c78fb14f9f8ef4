"""Identifiers and references against published vectors, and the library's traps named in law.md section 11."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.no import fodselsnummer as library

from gateway.domain.exchange import CustomerKind
from gateway.domain.identifiers import (
    KidCheck,
    OcrLevel,
    account_key,
    identity_scheme,
    is_account,
    is_account_no,
    is_bankgiro,
    is_iban,
    is_kid,
    is_national_id,
    is_ocr,
    is_organisation_number,
    is_personal,
    is_plusgiro,
    is_rf,
    is_viitenumero,
    make_kid,
    make_ocr,
    make_rf,
    make_viitenumero,
    masked,
    mod10,
    mod11,
    national_id_fault,
    normalise_reference,
    organisation_number_fault,
    rf_key,
)
from gateway.errors import DataError

DIGITS = st.text("0123456789", min_size=1, max_size=24)

# --- KID, OCR, RF, viitenumero ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "check", "expected"),
    [
        ("12345678", KidCheck.MOD10, "123456782"),  # payments.md section 1, from the official manual
        ("12345678", KidCheck.MOD11, "123456785"),  # the same
        ("912340000506700", KidCheck.MOD10, "9123400005067009"),  # factoring-sgfinans.md section 4, worked by hand
        ("6", KidCheck.MOD11, "6-"),  # 6 x 2 = 12, remainder 1
        ("14", KidCheck.MOD11, "140"),  # 4 x 2 + 1 x 3 = 11, remainder 0
    ],
)
def test_kid_has_the_published_check_character(payload, check, expected):
    assert make_kid(payload, check) == expected
    assert is_kid(expected, check)


def test_factors_kids_agree_with_their_modulus(shared):
    examples = json.loads((shared / "formats/agencies/examples/kid_examples_all.json").read_text())
    moduli = {name: KidCheck.MOD11 if name == "dnb_mod11" else KidCheck.MOD10 for name in examples}
    assert len(examples) == 6
    assert all(is_kid(kid, moduli[name]) for name, kid in examples.items())
    assert not is_kid(examples["dnb_mod11"], KidCheck.MOD10)


@pytest.mark.parametrize(
    "text", ["", "1", "0" * 26, "12345678 2", "1234567A2", "-5", "123456782-", "１２３４５６７８２"]
)
def test_what_is_no_kid_under_any_modulus(text):
    assert not is_kid(text, KidCheck.MOD10)
    assert not is_kid(text, KidCheck.MOD11)


def test_kid_of_a_length_the_agreement_does_not_have():
    assert is_kid("123456782", KidCheck.MOD10, {9})
    assert not is_kid("123456782", KidCheck.MOD10, {8, 16})


@pytest.mark.parametrize("payload", ["", "12A", "1" * 25])
def test_kid_that_cannot_be_made(payload):
    with pytest.raises(DataError):
        make_kid(payload, KidCheck.MOD11)


@given(DIGITS, st.sampled_from(KidCheck), st.integers(0, 23))
def test_one_wrong_digit_never_passes_as_kid(payload, check, where):
    kid = make_kid(payload, check)
    where %= len(payload)
    wrong = kid[:where] + str((int(kid[where]) + 1) % 10) + kid[where + 1 :]
    assert is_kid(kid, check)
    assert not is_kid(wrong, check)


def test_ocr_levels():
    assert make_ocr("1234", with_length_digit=True) == "123463"  # 6 = total length; 3+4+6+2+2 = 17
    assert is_ocr("123463", OcrLevel.LENGTH_DIGIT)
    assert not is_ocr("12344", OcrLevel.LENGTH_DIGIT)  # right check digit, 4 is not its length
    assert is_ocr("12344", OcrLevel.HARD)
    assert is_ocr("12344", OcrLevel.SOFT)
    assert is_ocr("12344", OcrLevel.FIXED_LENGTH, {5})
    assert not is_ocr("12344", OcrLevel.FIXED_LENGTH, {6, 8})
    assert not is_ocr("12345", OcrLevel.SOFT)


@given(DIGITS.filter(lambda digits: len(digits) <= 23))
def test_ocr_with_length_digit_counts_itself(payload):
    ocr = make_ocr(payload, with_length_digit=True)
    assert is_ocr(ocr, OcrLevel.LENGTH_DIGIT)
    assert int(ocr[-2]) == len(ocr) % 10


def test_rf_of_the_standard():
    assert make_rf("539007547034") == "RF18539007547034"
    assert is_rf("RF18 5390 0754 7034")
    assert not is_rf("RF19539007547034")


def test_rf_is_compared_without_blanks_and_leading_zeros():
    assert rf_key("RF45 0000 1234 ") == rf_key("RF451234")


@given(st.text("0123456789ABCXYZ", min_size=1, max_size=21))
def test_made_rf_is_valid(payload):
    assert is_rf(make_rf(payload))


def test_finnish_reference():
    assert make_viitenumero("123") == "1232"  # 3 x 7 + 2 x 3 + 1 = 28
    assert is_viitenumero("1 232")
    assert not is_viitenumero("1233")
    assert not is_viitenumero("132")
    with pytest.raises(DataError):
        make_viitenumero("12")


def test_normalising_strips_blanks_and_nothing_else():
    assert normalise_reference("  00123- ") == "00123-"


# --- organisation numbers and national ids ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("NO", "987654325"), ("NO", "987 654 325"), ("SE", "123456-7897"), ("SE", "161234567897"),
        ("FI", "1234567-1"), ("DK", "13585628"),
    ],
)  # fmt: skip
def test_valid_organisation_numbers(country, number):
    assert is_organisation_number(country, number)


@pytest.mark.parametrize(
    ("country", "number", "code"),
    [
        ("NO", "987654326", "identifier.check_digit"),
        ("NO", "123456785", "identifier.first_digit"),  # L-ID-03: the library accepts it
        ("NO", "98765432", "identifier.check_digit"),
        ("NO", "-", "identifier.check_digit"),
        ("NO", "９８７６５４３２５", "identifier.check_digit"),
        ("SE", "1234567898", "identifier.check_digit"),
        ("SE", "171234567897", "identifier.check_digit"),
        ("FI", "1234567-2", "identifier.check_digit"),
        ("DK", "13585627", "identifier.check_digit"),
    ],
)
def test_wrong_organisation_numbers_say_which_way(country, number, code):
    assert organisation_number_fault(country, number) == code


def test_country_without_a_check_is_not_judged():
    assert organisation_number_fault("DE", "whatever") == ""
    assert not is_organisation_number("DE", "whatever")


def norwegian(first_six):
    """Complete an invented number with the library's check digits, which are not the code under test."""
    for individual in range(100, 500):
        nine = f"{first_six}{individual}"
        ten = nine + library.calc_check_digit1(nine)
        whole = ten + library.calc_check_digit2(ten)
        if len(ten) == 10 and len(whole) == 11:  # a digit of 10 is never given
            return whole
    raise AssertionError(first_six)


ORDINARY, D_NUMBER, SYNTHETIC = norwegian("010190"), norwegian("410190"), norwegian("018190")


def test_norwegian_national_ids():
    assert is_national_id("NO", ORDINARY)
    assert is_national_id("NO", f"{ORDINARY[:6]} {ORDINARY[6:]}")
    assert is_national_id("NO", D_NUMBER)
    assert not is_national_id("NO", ORDINARY[:-1] + str((int(ORDINARY[-1]) + 1) % 10))


def test_test_persons_only_where_allowed():
    assert not is_national_id("NO", SYNTHETIC)
    assert is_national_id("NO", SYNTHETIC, allow_synthetic=True)


def test_day_that_does_not_exist():
    assert national_id_fault("NO", norwegian("310290")) == "identifier.check_digit"


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("SE", "880320-0016"), ("SE", "8803200016"), ("SE", "198803200016"), ("SE", "880320+0016"),
        ("SE", "880380-0013"),  # coordination number, day + 60 (L-ID-09: the library rejects it)
        ("FI", "131052-308T"), ("DK", "211062-5629"),
    ],
)  # fmt: skip
def test_other_valid_national_ids(country, number):
    assert is_national_id(country, number)


@pytest.mark.parametrize(
    ("country", "number"),
    [("SE", "880320-0017"), ("SE", "881320-0015"), ("SE", "0016"), ("FI", "131052-308U"), ("DK", "511062-5629")],
)
def test_other_wrong_national_ids(country, number):
    assert national_id_fault(country, number) == "identifier.check_digit"


@given(st.sampled_from(["NO", "SE", "FI", "DK", "DE", ""]), st.text(max_size=15))
def test_no_text_makes_a_check_raise(country, text):
    assert isinstance(is_organisation_number(country, text), bool)
    assert isinstance(is_national_id(country, text, allow_synthetic=True), bool)
    assert isinstance(is_account(country, text), bool)
    assert isinstance(is_rf(text) or is_viitenumero(text) or is_kid(text, KidCheck.MOD11), bool)
    assert isinstance(account_key(text) + rf_key(text) + masked(text), str)


def test_scheme_follows_country_and_kind_and_is_never_guessed():
    assert identity_scheme("NO", CustomerKind.COMPANY, "987654325") == "no-orgnr"
    assert identity_scheme("SE", CustomerKind.PRIVATE, "8803200016") == "se-pnr"
    assert identity_scheme("DK", CustomerKind.PUBLIC, "13585628") == "dk-cvr"
    assert identity_scheme("DE", CustomerKind.COMPANY, "x") == "other"
    assert identity_scheme("NO", None, "987654325") == ""
    assert identity_scheme("", CustomerKind.COMPANY, "987654325") == ""
    assert identity_scheme("NO", CustomerKind.COMPANY, "") == ""


def test_sole_traders_number_is_personal_data():
    assert is_personal("SE", "880320-0016")
    assert not is_personal("SE", "123456-7897")
    assert not is_personal("NO", "987654325")
    assert is_personal("NO", "01019012345")
    assert masked("8803200016") == "********16"
    assert masked("1") == "**"


# --- accounts --------------------------------------------------------------------------------------------------------


def test_norwegian_accounts_are_never_shortened():
    assert is_account_no("8601 11 17947")
    assert is_account_no("8601.11.17947")
    assert not is_account_no("86011117948")
    assert not is_account_no("1117947")
    assert account_key("NO93 8601 1117 947") == "86011117947" == account_key("8601.11.17947")


def test_iban_and_giro():
    assert is_iban("NO9386011117947")
    assert not is_iban("NO9386011117948")
    assert is_bankgiro("123-4566")  # 6 x 2 = 12, 5, 8, 3, 4, 1: 3+5+8+3+4+1 = 24
    assert not is_bankgiro("123-4567")
    assert not is_bankgiro("18")
    assert is_plusgiro("18")
    assert is_account("SE", "123-4566")
    assert not is_account("NO", "123-4566")


def test_luhn_and_mod11_want_digits():
    for check in (mod10, mod11):
        with pytest.raises(DataError):
            check("12 3")
