"""BgMax: what a wrong reader adds up wrongly, posts though it is a test, or passes over in silence (payments.md 3, 11)."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction, Reference, Severity
from gateway.formats import bgmax_ahead
from gateway.testing.bgmax_files import FIRST_DAY, BgPayment, BgSection, bgmax_file, random_bg_sections
from tests.formats.reading import read

EXAMPLE = Path(__file__).parents[1] / "corpus" / "payments" / "bgmax_mixed.txt"
DEDUCTION_WORDS = {"0": "full", "1": "partial", "2": "final"}
seeds = st.integers(0, 10**9)


def one(*payments, **shape):
    return bgmax_file([BgSection(payments)], **shape)


def test_the_example_reads_as_it_was_written():
    got = read(EXAMPLE.read_bytes())
    assert (got.verdict, got.codes, got.transactions) == ("accepted", set(), 4)
    assert got.totals == {"SEK": {"credit": 250000, "debit": 50000}, "EUR": {"credit": 1999, "debit": 0}}
    paid, credit_note, several, euro = got.payments
    assert (paid.reference, paid.reference_kind, paid.amount_minor) == ("1234567897", "ocr", 100000)
    assert (paid.booking_date, paid.value_date, paid.account) == (date(2026, 8, 14), date(2026, 8, 14), "9912346")
    assert (paid.payer_name, paid.payer_account, paid.payer_id) == ("Märta Exempel AB", "3783511", "5500001234")
    assert (paid.bank_reference, paid.statement_reference) == ("000000000010", "9912346:2026:00074")
    assert paid.reference_raw == "               1234567897"
    assert paid.references == ()
    assert (credit_note.direction, credit_note.amount_minor) == (Direction.DEBIT, 50000)
    assert (credit_note.reference, credit_note.deduction, credit_note.is_reversal) == ("89853", "partial", False)
    assert several.reference == "F 1001, F1002"
    assert [(r.value, r.kind, r.amount_minor) for r in several.references] == [
        ("F 1001, F1002", "", None), ("1001", "ocr", None), ("1002", "ocr", None),
        ("Faktura 1001 och", "text", None), ("1002, tack!", "text", None),
    ]  # fmt: skip
    assert several.text == "Faktura 1001 och 1002, tack!"
    assert (euro.currency, euro.account, euro.value_date) == ("EUR", "50501055", date(2026, 8, 15))
    assert len({payment.key for payment in got.payments}) == 4


@settings(deadline=None)
@given(seeds)
def test_what_was_written_is_read_back(seed):
    sections = random_bg_sections(seed, 20)
    got = read(bgmax_file(sections))
    assert (got.verdict, got.codes) == ("accepted", set())
    pairs = [(section, payment) for section in sections for payment in section.payments]
    assert len(got.payments) == len(pairs)
    for read_, (section, payment) in zip(got.payments, pairs, strict=True):
        assert (read_.amount_minor, read_.currency) == (payment.amount_minor, section.currency)
        assert (read_.direction is Direction.DEBIT) == bool(payment.deduction)
        assert read_.deduction == DEDUCTION_WORDS.get(payment.deduction, "")
        assert (read_.account, read_.value_date) == (section.bankgiro, section.day)
        assert read_.payer_name == payment.name
        assert read_.payer_id == payment.organisation_number
        assert read_.payer_account == payment.payer_bankgiro.lstrip("0")
        assert read_.text == " ".join(payment.texts)
        assert read_.reference == (payment.reference or (payment.extras[0][0] if payment.extras else ""))
        numbers = [number for number in (payment.reference, *(number for number, _ in payment.extras)) if number]
        assert [r.value for r in read_.all_references if r.kind != "text"] == numbers


@settings(deadline=None)
@given(seeds)
def test_line_ends_marks_and_padding_change_nothing(seed):
    data = bgmax_file(random_bg_sections(seed, 15), newline="\n")
    plain, lines = read(data).payments, data.splitlines()
    shapes = {
        "CRLF": b"\r\n".join(lines) + b"\r\n",
        "CR": b"\r".join(lines) + b"\r",
        "mixed": b"\r\n".join(lines[:5]) + b"\r\n" + b"\n".join(lines[5:]) + b"\n",
        "no line ends": b"".join(lines),
        "no last line end": b"\n".join(lines),
        "byte order mark": b"\xef\xbb\xbf" + data,
        "blank lines": b"\r\n\n" + data.replace(b"\n", b"\n\n") + b"\n\n",
        "padded": data.replace(b"\n", b"     \n"),
        "trimmed": re.sub(rb" +\n", b"\n", data),
        "0x1A": data + b"\x1a",
    }
    for name, shape in shapes.items():
        got = read(shape)
        assert (got.verdict, got.payments) == ("accepted", plain), (name, got.places)


@settings(deadline=None)
@given(seeds, st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(seed, data_):
    data = bgmax_file(random_bg_sections(seed, 8), newline="\n")
    spans = {b"20": (37, 55), b"21": (37, 55), b"15": (50, 68), b"70": (2, 34)}
    places = [
        number * 81 + offset
        for number, line in enumerate(data.splitlines())
        if line[:2] in spans
        for offset in range(*spans[line[:2]])
    ]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([d for d in b"0123456789" if d != data[place]]))
    got = read(data[:place] + bytes([digit]) + data[place + 1 :])
    assert got.verdict == "quarantined"
    assert "file.control_total" in got.codes


def test_a_file_cut_at_any_byte_never_takes_effect():
    data = bgmax_file(random_bg_sections(4, 5), newline="\n")
    whole = len(data.rstrip())  # behind the last count there is nothing but blanks
    for length in range(whole):
        assert read(data[:length]).verdict in {"quarantined", "refused"}, length
    for length in range(whole, len(data) + 1):
        assert read(data[:length]).verdict == "accepted"


def test_a_deduction_lowers_the_deposit():
    got = read(one(BgPayment(1000, "1"), BgPayment(300, "K1", code="3", deduction="0", serial="2")))
    assert (got.verdict, got.totals) == ("accepted", {"SEK": {"credit": 1000, "debit": 300}})


def test_extra_references_are_never_added_to_the_payment():
    """The trap of readers that add TK22 to TK20: the payment already holds the total."""
    got = read(one(BgPayment(1000, extras=(("11", 700), ("29", 500), ("K1", -200)), code="0")))
    assert (got.verdict, got.codes, got.payments[0].amount_minor) == ("accepted", set(), 1000)
    assert got.payments[0].references == (
        Reference("11".ljust(25), "11", "ocr", 700),
        Reference("29".ljust(25), "29", "ocr", 500),
        Reference("K1".ljust(25), "K1", "credit_note", -200),
    )


def test_parts_that_do_not_add_up_are_told_and_left_out():
    got = read(one(BgPayment(1000, extras=(("11", 700), ("29", 500)), code="0")))
    assert (got.verdict, got.codes) == ("accepted", {"bgmax.allocation"})
    assert [reference.amount_minor for reference in got.payments[0].references] == [None, None]


def test_two_currencies_are_never_summed():
    sections = [BgSection((BgPayment(100, "11"),)), BgSection((BgPayment(7, "29"),), currency="EUR", serial="00002")]
    assert read(bgmax_file(sections)).totals == {"SEK": {"credit": 100, "debit": 0}, "EUR": {"credit": 7, "debit": 0}}


def test_a_deposit_in_another_currency_than_its_section_stops_the_file():
    got = read(one(BgPayment(100, "11")).replace(b"SEK00000001K", b"EUR00000001K"))
    assert got.verdict == "quarantined"
    assert "currency" in got.places


def test_a_test_file_is_read_and_never_posted():
    got = read(one(BgPayment(100, "11"), mark="T"))
    assert (got.verdict, got.codes) == ("accepted", {"file.test"})
    assert [(payment.posts, payment.why_not) for payment in got.payments] == [(False, "file.test")]


@pytest.mark.parametrize(("stamp", "warns"), [("20260907235959999999", False), ("20260908000000000000", True)])
def test_files_from_the_day_bgmax_began_to_lack_payments_are_warned_of(stamp, warns):
    got = read(one(BgPayment(100, "11"), created=stamp))
    assert got.verdict == "accepted"
    assert ("file.format_ending" in got.codes) == warns
    assert all(finding.severity is Severity.WARNING for finding in got.findings)


def test_a_tab_in_an_extra_reference_loses_that_reference_alone():
    data = one(BgPayment(1000, "F1", code="3", extras=(("657866", 0), ("657965", 0))), newline="\n")
    lines = data.split(b"\n")
    lines[4] = b"220000000000\t\t       657965" + b"0" * 18 + b"220000000000140"
    got = read(b"\n".join(lines))
    assert (got.verdict, got.codes) == ("accepted", {"file.tab", "bgmax.reference_lost"})
    assert [reference.value for reference in got.payments[0].references] == ["F1", "657866"]
    assert any(finding.place == "line 5" for finding in got.findings if finding.code == "file.tab")


def test_an_unreadable_extra_reference_is_no_fault_of_the_file():
    data = one(BgPayment(1000, "F1", code="3", extras=(("657866", 0),)), newline="\n")
    got = read(data.replace(b"657866" + b" " * 19 + b"0", b"657866" + b" " * 19 + b"x"))
    assert (got.verdict, got.codes) == ("accepted", {"bgmax.reference_lost"})


def test_a_copy_in_utf8_is_read_with_a_warning():
    payments = [
        BgPayment(100, "11", name="Åsa Påhittad Öster", address=("Lilla Vägen 17 B", "552 12", "Jönköping", ""))
    ]
    got = read(one(*payments, encoding="utf-8"))
    assert (got.verdict, got.codes) == ("accepted", {"file.encoding"})
    assert got.payments == read(one(*payments)).payments
    assert got.payments[0].payer_name == "Åsa Påhittad Öster"


def test_records_of_a_kind_unknown_are_passed_over_with_a_warning():
    lines = one(BgPayment(100, "11", name="Kari"), newline="\n").split(b"\n")
    lines.insert(4, b"30" + b"x" * 78)
    got = read(b"\n".join(lines))
    assert (got.verdict, got.codes, got.payments[0].payer_name) == ("accepted", {"file.unknown_record"}, "Kari")


def test_records_of_a_payment_in_another_order_still_belong_to_it():
    lines = one(BgPayment(100, "11", name="Kari", texts=("hei",)), newline="\n").split(b"\n")
    lines[3], lines[4] = lines[4], lines[3]
    got = read(b"\n".join(lines))
    assert (got.verdict, got.payments[0].payer_name, got.payments[0].text) == ("accepted", "Kari", "hei")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"70" + b"0" * 7 + b"2", b"71" + b"0" * 7 + b"2", "file.truncated"),
        (b"70" + b"0" * 7 + b"2", b"70" + b"0" * 7 + b"3", "file.control_total"),
        (b"05" + b"000991", b"06" + b"000991", "stands outside TK05-TK15"),
        (b"15" + b"0" * 21, b"16" + b"0" * 21, "TK70 before TK15"),
        (b"01BGMAX", b"01BGMAX", ""),
        (b"SEK  ", b"S1K  ", "must be a currency"),
        (b"20260803", b"20260832", "payment_date"),
        (b"0000000012345", b"00000000123x5", "amount_minor"),
    ],
)
def test_damage_is_named(old, new, said):
    data = one(BgPayment(12345, "11"), BgPayment(700, "29", serial="2"), newline="\n", created="2026080" + "0" * 13)
    assert old in data
    got = read(data.replace(old, new))
    if not said:
        assert got.verdict == "accepted"
        return
    assert got.verdict == "quarantined"
    assert any(said in f"{f.code} {f.place} {f.values.get('reason', '')}" for f in got.findings), got.findings


def test_two_files_in_one_are_not_taken():
    assert read(one(BgPayment(1, "11")) * 2).verdict == "quarantined"


def test_the_serial_is_the_identity_and_without_it_the_content():
    day = FIRST_DAY + timedelta(days=1)
    got = read(bgmax_file([BgSection((BgPayment(100, "11"), BgPayment(100, "11", serial="")), day=day)]))
    assert got.payments[0].key == "bgmax:9912346:20260804:000000000001"
    twins = read(one(BgPayment(100, "11", serial=""), BgPayment(100, "11", serial=""))).payments
    assert len(twins) == 2  # the staging table numbers them
    assert {payment.bank_reference for payment in twins} == {""}


def test_an_overlapping_file_repeats_the_keys_of_what_it_repeats():
    sections = random_bg_sections(9, 20)
    early, late = read(bgmax_file(sections[:3])), read(bgmax_file(sections[2:]))
    both = {p.key for p in early.payments} & {p.key for p in late.payments}
    assert both == {p.key for p in early.payments[-len(sections[2].payments) :]}


def test_a_section_larger_than_memory_waits_on_disk(monkeypatch):
    monkeypatch.setattr(bgmax_ahead, "MEMORY_BYTES", 1 << 16)
    payments = tuple(BgPayment(100 + n, "11", serial=f"{n:012d}", name="Åsa Påhittad") for n in range(2000))
    data = bgmax_file([BgSection(payments), BgSection(payments[:1], day=FIRST_DAY + timedelta(days=1), serial="00002")])
    got = read(data)
    assert (got.verdict, got.transactions) == ("accepted", 2001)
    assert {payment.value_date for payment in got.payments[:2000]} == {FIRST_DAY}
    assert got.payments[2000].value_date == FIRST_DAY + timedelta(days=1)


def test_a_payment_without_end_is_not_gathered_without_end():
    data = one(BgPayment(100, "11", texts=("x",) * 5000))
    got = read(data)
    assert (got.verdict, got.codes) == ("quarantined", {"file.invalid"})
