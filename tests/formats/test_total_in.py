"""Total IN: never read unless somebody asked for it by name, and then with every check that can be made (payments.md 6)."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction
from gateway.domain.reasons import sentence
from gateway.errors import FileRefused
from gateway.formats.detect import PROFILES, detect, open_payments
from gateway.formats.explain import explain
from gateway.formats.total_in import PROFILE
from gateway.testing.total_in_files import TotalInPayment, random_total_in_payments, total_in_file
from tests.formats.giro_reading import check, check_every_cut, check_every_flipped_byte, check_shapes, read_every_way
from tests.formats.test_damage import mutated, mutations

EXAMPLE = Path(__file__).parents[1] / "corpus" / "payments" / "total_in.txt"
seeds = st.integers(0, 10**6)


def made(seed, count=10, newline="\r\n"):
    payments = random_total_in_payments(seed, count)
    first = total_in_file([payments], newline=newline)
    return payments, first


# --- the profile -----------------------------------------------------------------------------------------------------


def test_it_is_refused_by_default_and_the_refusal_names_the_profile():
    data = EXAMPLE.read_bytes()
    assert (detect(data).format, detect(data).name) == (None, "total_in")
    for profiles in ((), ("another",)):
        with pytest.raises(FileRefused) as caught:
            open_payments(io.BytesIO(data), data, profiles)
        finding = caught.value.findings[0]
        assert finding.code == "file.unverified_format"
        assert PROFILE in sentence(finding.code, "sv", finding.values)
    assert PROFILE in PROFILES


def test_explain_refuses_it_too_unless_the_profile_is_named():
    with explain(EXAMPLE) as told:
        assert (told.verdict, told.format) == ("refused", "total_in")
        assert PROFILE in told.as_text()
    with explain(EXAMPLE, profiles=[PROFILE]) as told:
        assert (told.verdict, told.transactions) == ("accepted", 2)
        assert [finding["code"] for finding in told.findings] == ["totalin.unverified"]


def test_a_profile_opens_nothing_else():
    with pytest.raises(FileRefused):
        open_payments(io.BytesIO(b"%PDF"), b"%PDF", [PROFILE])


# --- what is read ----------------------------------------------------------------------------------------------------


def test_the_example_reads_as_it_was_written():
    got = read_every_way(EXAMPLE.read_bytes())
    assert (got.verdict, got.codes, got.transactions) == ("accepted", {"totalin.unverified"}, 2)
    assert got.totals == {"SEK": {"credit": 125050, "debit": 5050}}
    paid, deduction = got.payments
    assert (paid.reference, paid.amount_minor, paid.booking_date) == ("1001", 125050, date(2026, 8, 3))
    assert [(r.value, r.kind) for r in paid.references] == [
        ("1001", ""), ("1002", ""), ("1003", ""), ("Tack så mycket", "text"), ("hälsar Göran", "text")
    ]  # fmt: skip
    assert (paid.text, paid.payer_name) == ("Tack så mycket hälsar Göran", "Prov & Son KB")
    assert (paid.account, paid.payer_account, paid.bank_reference) == ("1234567", "50501055", "00000000000000001")
    assert paid.payer_address == "Storgatan 2\n552 12 Storåker\nSE"
    assert (deduction.direction, deduction.reference, deduction.reference_kind) == (
        Direction.DEBIT,
        "K77",
        "credit_note",
    )
    assert (deduction.references, deduction.all_references[0].value) == ((), "K77")


@given(seeds)
def test_what_was_written_is_read_back(seed):
    payments, data = made(seed)
    got = read_every_way(data)
    assert got.verdict == "accepted", got.places
    assert [(p.amount_minor, p.direction is Direction.DEBIT, p.payer_name) for p in got.payments] == [
        (p.amount_minor, p.is_deduction, p.name) for p in payments
    ]
    for payment, wanted in zip(got.payments, payments, strict=True):
        named = [reference.value for reference in payment.all_references if reference.kind != "text"]
        assert named == [text for text in (wanted.reference, *wanted.extras) if text]
        assert payment.reference == next(iter(named), "")
        assert payment.text == " ".join(wanted.texts)
    assert len({payment.key for payment in got.payments}) == len(payments)


@settings(deadline=None)
@given(seeds)
def test_line_ends_marks_and_padding_change_nothing(seed):
    check_shapes(made(seed)[1], 80)


def test_a_file_of_the_time_when_payments_moved_away_warns():
    got = read_every_way(total_in_file([[TotalInPayment(100)]], created="20260908000000000000"))
    assert (got.verdict, got.codes) == ("accepted", {"totalin.unverified", "file.format_ending"})


# --- control totals and damage ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(seeds, st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(seed, data_):
    _, data = made(seed)
    spans = {b"20": (37, 52), b"25": (37, 52), b"90": (2, 22), b"99": (2, 17)}
    places = [
        number * 82 + offset
        for number, line in enumerate(data.split(b"\r\n"))
        if line[:2] in spans
        for offset in range(*spans[line[:2]])
    ]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([digit for digit in b"0123456789" if digit != data[place]]))
    got = read_every_way(data[:place] + bytes([digit]) + data[place + 1 :])
    assert (got.verdict, "file.control_total" in got.codes) == ("quarantined", True)


@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
def test_a_file_cut_at_any_byte_never_takes_effect(newline):
    data = made(4, 3, newline)[1]
    check_every_cut(data, whole=len(data.rstrip()))


def test_every_flipped_byte_of_a_small_file():
    check_every_flipped_byte(made(8, 3)[1])


@settings(max_examples=200, deadline=None)
@given(seeds, st.sampled_from(["\n", "\r\n"]), mutations)
def test_mutated(seed, newline, steps):
    check(mutated(made(seed, newline=newline)[1], steps))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_noise_behind_a_good_beginning(noise):
    check(made(1)[1][:164] + noise)


def test_a_payment_without_end_is_stopped():
    data = total_in_file([[TotalInPayment(100, texts=("x",))]])
    message = b"40" + b"x" * 70 + b" " * 8 + b"\r\n"
    got = read_every_way(data.replace(b"90000", message * 2000 + b"90000", 1))
    assert (got.verdict, "file.invalid" in got.codes) == ("quarantined", True)


def test_two_equal_payments_without_serial_are_two():
    twin = TotalInPayment(100, "7", serial="")
    got = read_every_way(total_in_file([[twin, twin]]))
    assert (len(got.payments), len({p.key for p in got.payments})) == (2, 1)
