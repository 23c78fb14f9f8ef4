"""Finnish reference payments: corrections, factoring rows, check digits, totals (factoring-fall.md 6, payments.md 8, 11)."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction
from gateway.domain.identifiers import is_viitenumero, make_rf, make_viitenumero
from gateway.formats.detect import detect
from gateway.formats.explain import explain
from gateway.formats.fixed_width import CHUNK_BYTES
from gateway.formats.ktl import KtlReader
from gateway.formats.ktl_references import wrong_ones
from gateway.testing.ktl_files import ACCOUNT, KtlPayment, ktl_file, random_ktl_payments
from tests.conftest import SHARED
from tests.formats.giro_reading import check, check_every_cut, check_every_flipped_byte, check_shapes, read_every_way
from tests.formats.test_damage import mutated, mutations

EXAMPLE = Path(__file__).parents[1] / "corpus" / "payments" / "ktl.txt"
SAMPLE = SHARED / "formats" / "agencies" / "examples" / "ktl_reference_payments.txt"
seeds = st.integers(0, 10**6)
VIITE = make_viitenumero("1234000100019")


def made(seed, count=12, **options):
    payments = random_ktl_payments(seed, count)
    return payments, ktl_file([payments[: count // 2], payments[count // 2 :]], **options)


# --- what is read ----------------------------------------------------------------------------------------------------


def test_the_example_reads_as_it_was_written():
    got = read_every_way(EXAMPLE.read_bytes())
    assert (got.verdict, got.transactions) == ("accepted", 4)
    assert got.codes == {"ktl.reference_check", "ktl.return_code", "ktl.total_without_factoring"}
    assert got.totals == {"EUR": {"credit": 18045, "debit": 345}}
    transfer, factoring, debit, correction = got.payments
    assert (transfer.reference, transfer.reference_raw, transfer.reference_kind) == ("1232", "1232".zfill(20), "scor")
    assert (transfer.booking_date, transfer.order_date) == (date(2026, 11, 5), date(2026, 11, 4))
    assert (transfer.payer_name, transfer.account, transfer.bank_reference) == ("MALLI MAIJA", ACCOUNT, "2611050001")
    assert (transfer.references, transfer.all_references[0].value) == ((), "1232")
    assert (factoring.amount_minor, factoring.payer_name, factoring.posts) == (5000, "OSTAJA ÄÖ", True)
    assert factoring.account == ACCOUNT, "the account column of a factoring row is not for it"
    assert (debit.posts, debit.why_not, debit.reference, debit.reference_kind) == (False, "ktl.return_code", "", "")
    assert (correction.direction, correction.is_reversal, correction.amount_minor) == (Direction.DEBIT, True, 345)
    assert (correction.reference, correction.reference_kind, correction.order_date) == ("1233", "", None)


@pytest.mark.skipif(not SAMPLE.is_file(), reason="the shared sample files are absent")
def test_the_example_of_the_fact_sheet_is_read():
    got = read_every_way(SAMPLE.read_bytes())
    assert (got.verdict, got.codes, got.transactions) == ("accepted", {"ktl.total_with_factoring"}, 3)
    assert got.totals == {"EUR": {"credit": 149000, "debit": 4000}}
    assert [p.reference for p in got.payments] == ["5001240", VIITE, VIITE]
    assert [p.direction.value for p in got.payments] == ["credit", "credit", "debit"]


@given(seeds)
def test_what_was_written_is_read_back(seed):
    payments, data = made(seed)
    got = read_every_way(data)
    assert got.verdict == "accepted", got.places
    assert [
        (p.amount_minor, p.reference, p.booking_date, p.order_date, p.payer_name, p.is_reversal, p.bank_reference)
        for p in got.payments
    ] == [(p.amount_minor, p.reference, p.booked, p.paid, p.name, p.is_correction, p.archive) for p in payments]
    assert all((p.direction is Direction.DEBIT) == p.is_reversal for p in got.payments)
    assert all(p.posts and p.currency == "EUR" for p in got.payments)
    assert len({p.key for p in got.payments}) == len(payments)


@settings(deadline=None)
@given(seeds)
def test_line_ends_marks_and_padding_change_nothing(seed):
    check_shapes(made(seed)[1], 90)


def test_a_file_is_told_by_its_figures_since_it_has_no_name_in_it():
    assert detect(ktl_file([[]])).format == "ktl"
    assert detect(ktl_file([[KtlPayment(1, kind="S", account="")]])).format == "ktl"
    assert detect(ktl_file([[KtlPayment(1)]], newline="")).format == "ktl"
    assert detect(b"0" * 200).format is None
    assert detect(b"02611050530 HELLO WORLD AND MORE\r\n3 bananas").format is None


def test_explain_tells_it():
    with explain(EXAMPLE) as told:
        facts = told.as_dict()
    assert (facts["format"], facts["verdict"], facts["payments"][1]["reference"]) == ("ktl", "accepted", "12344")


# --- references ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**20 - 1) | st.integers(0, 10**5), min_size=1, max_size=300))
def test_many_check_digits_at_once_are_judged_as_one_by_one(numbers):
    """Against the domain's own plain rule."""
    references = [str(number) for number in numbers]
    wanted = [place for place, text in enumerate(references) if text != "0" and not is_viitenumero(text)]
    assert wrong_ones([text.zfill(20) for text in references]) == wanted


@given(st.lists(st.integers(100, 10**19 - 1), min_size=1, max_size=300))
def test_right_check_digits_are_right(bases):
    assert wrong_ones([make_viitenumero(str(base)).zfill(20) for base in bases]) == []


def test_a_wrong_check_digit_is_told_and_never_mended():
    wrong = VIITE[:-1] + str((int(VIITE[-1]) + 1) % 10)
    got = read_every_way(ktl_file([[KtlPayment(100, VIITE), KtlPayment(100, wrong)]]))
    assert (got.verdict, got.codes) == ("accepted", {"ktl.reference_check"})
    assert [(p.reference, p.reference_kind, p.posts) for p in got.payments] == [
        (VIITE, "scor", True),
        (wrong, "", True),
    ]
    assert "transaction 2, reference" in got.places


def test_an_international_reference_is_one():
    rf = make_rf(VIITE)
    got = read_every_way(ktl_file([[KtlPayment(100, rf), KtlPayment(100, VIITE), KtlPayment(100, "ABC")]]))
    assert [(p.reference, p.reference_kind) for p in got.payments] == [(rf, "rf"), (VIITE, "scor"), ("ABC", "")]
    assert got.codes == {"ktl.reference_check"}


# --- factoring rows, corrections, direct debits ----------------------------------------------------------------------


@given(seeds, st.booleans())
def test_the_total_may_count_factoring_rows_or_not(seed, counts_factoring):
    payments = [*random_ktl_payments(seed, 6), KtlPayment(100, kind="S")]
    got = read_every_way(ktl_file([payments], counts_factoring=counts_factoring))
    assert got.verdict == "accepted"
    assert got.codes == {"ktl.total_with_factoring" if counts_factoring else "ktl.total_without_factoring"}


def test_without_factoring_rows_nothing_is_said_of_them():
    assert read_every_way(ktl_file([random_ktl_payments(1, 6, kinds="35")])).findings == ()


def test_a_total_that_counts_half_of_the_factoring_rows_stops_the_file():
    rows = [KtlPayment(100), KtlPayment(50, kind="S"), KtlPayment(50, kind="S", archive="2")]
    data = ktl_file([rows]).replace(b"9000003" + b"00000000200", b"9000002" + b"00000000150")
    got = read_every_way(data)
    assert (got.verdict, "file.control_total" in got.codes) == ("quarantined", True)


@pytest.mark.parametrize(
    ("kind", "code", "posts"), [("5", "0", True), ("5", "", True), ("5", "1", False), ("3", "1", True)]
)
def test_a_direct_debit_with_a_return_code_is_not_posted(kind, code, posts):
    got = read_every_way(ktl_file([[KtlPayment(100, VIITE, kind=kind, return_code=code)]]))
    assert got.verdict == "accepted"
    assert got.payments[0].posts is posts
    assert ("ktl.return_code" in got.codes) is not posts


def test_a_correction_never_looks_like_its_payment():
    paid = KtlPayment(100, VIITE)
    got = read_every_way(ktl_file([[paid, replace(paid, correction="1"), replace(paid, correction="2")]]))
    assert [p.is_reversal for p in got.payments] == [False, True, True]
    assert len({p.key for p in got.payments}) == 3


def test_two_equal_payments_are_two_and_an_overlapping_file_repeats_the_keys():
    twin = KtlPayment(100, VIITE)
    got = read_every_way(ktl_file([[twin, twin]]))
    assert (len(got.payments), len({p.key for p in got.payments})) == (2, 1)
    payments = random_ktl_payments(9, 10)
    early, late = read_every_way(ktl_file([payments[:7]])), read_every_way(ktl_file([payments[7:], payments[:7]]))
    assert {p.key for p in early.payments} <= {p.key for p in late.payments}


# --- control totals and damage ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(seeds, st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(seed, data_):
    _, data = made(seed)
    spans = {b"3": (77, 87), b"5": (77, 87), b"S": (77, 87), b"9": (1, 35)}
    places = [
        number * 92 + offset
        for number, line in enumerate(data.split(b"\r\n"))
        if line[:1] in spans
        for offset in range(*spans[line[:1]])
    ]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([digit for digit in b"0123456789" if digit != data[place]]))
    got = read_every_way(data[:place] + bytes([digit]) + data[place + 1 :])
    assert (got.verdict, got.codes & {"file.control_total"}) == ("quarantined", {"file.control_total"})


@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
def test_a_file_cut_at_any_byte_never_takes_effect(newline):
    data = ktl_file([random_ktl_payments(4, 5)], newline=newline)
    check_every_cut(data, whole=data.rindex(b"9", 0, len(data) - 88) + 35)


def test_every_flipped_byte_of_a_small_file():
    check_every_flipped_byte(ktl_file([random_ktl_payments(8, 4)]))


@settings(max_examples=300, deadline=None)
@given(seeds, st.sampled_from(["\n", "\r\n"]), mutations)
def test_mutated(seed, newline, steps):
    check(mutated(made(seed, newline=newline)[1], steps))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_noise_behind_a_good_beginning(noise):
    check(ktl_file([[KtlPayment(1)]])[:184] + noise)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        (b"0123456781", b"0123456782", "file.unknown_currency", "line 1, currency_code"),
        (b"1J0000000100", b"2J0000000100", "file.invalid", "line 2, currency_code"),
        (b"261102261102EX", b"261131261102EX", "file.invalid", "line 2, booking_date"),
        (b"261102261102EX", b"261102261131EX", "file.invalid", "line 2, payment_date"),
        (b"00000001000A0", b"00000001x00A0", "file.invalid", "line 2, amount_minor"),
        (b"0000000100" + b"0A0", b"0000000100" + b" A0", "file.invalid", "line 2, correction"),
        (b"OSTAJA OY ", b"OSTAJA\tOY", "file.invalid", "line 2"),
        (b"\r\n9", b"\r\n0", "file.invalid", "line 3"),
    ],
)
def test_a_fault_is_named_with_place_and_value(old, new, code, said):
    data = ktl_file([[KtlPayment(100, VIITE)]])
    assert old in data
    got = read_every_way(data.replace(old, new, 1))
    assert got.verdict == "quarantined"
    assert code in got.codes
    assert said in got.places


def test_unknown_rows_are_passed_over_and_told_and_the_totals_notice():
    data = ktl_file([[KtlPayment(100, VIITE), KtlPayment(200, VIITE)]])
    place = data.index(b"\r\n3", 100)
    got = read_every_way(data[:place] + b"\r\n7" + data[place + 3 :])
    assert (got.verdict, got.codes) == ("quarantined", {"file.unknown_record", "file.control_total"})
    added = read_every_way(data.replace(b"\r\n9", b"\r\n7 new\r\n9"))
    assert (added.verdict, added.codes, len(added.payments)) == ("accepted", {"file.unknown_record"}, 2)


# --- the fast path ---------------------------------------------------------------------------------------------------


def test_a_file_of_many_pieces():
    data = made(5, 3000)[1]
    assert len(data) > 3 * CHUNK_BYTES
    plain = read_every_way(data)
    assert plain.verdict == "accepted"
    for shift in (1, 40):
        assert read_every_way(b"\r\n" * shift + data).payments == plain.payments


def test_most_of_a_file_takes_the_fast_path(monkeypatch):
    taken, take = [], KtlReader._take
    monkeypatch.setattr(
        KtlReader, "_take", lambda self, columns, count: taken.append(count) or take(self, columns, count)
    )
    assert len(list(KtlReader(io.BytesIO(made(6, 2000)[1])))) == 2000
    assert sum(taken) > 1900
