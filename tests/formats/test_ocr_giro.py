"""OCR giro: what a wrong reader would post twice, with the wrong sign, or not at all (payments.md 2, 8, 11)."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import netsgiro.records
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction
from gateway.testing.payment_files import FIRST_DAY, OcrPayment, ocr_file, random_ocr_payments
from tests.formats.reading import read

MIXED = Path(__file__).parents[1] / "corpus" / "payments" / "ocr_giro_mixed.txt"
seeds = st.integers(0, 10**9)


def made(seed, count=12):
    payments = random_ocr_payments(seed, count)
    return payments, ocr_file([payments[: count // 2], payments[count // 2 :]])


def test_the_example_reads_as_it_was_written():
    got = read(MIXED.read_bytes())
    assert got.verdict == "accepted"
    assert got.codes == {"ocr.other_service"}
    assert got.transactions == 4
    assert got.totals == {"NOK": {"credit": 128050, "debit": 30000}}
    first, credit_note, reversal, purchase = got.payments
    assert (first.reference, first.amount_minor, first.direction) == ("1234567897", 125050, Direction.CREDIT)
    assert (first.value_date, first.payer_account, first.account) == (date(2026, 11, 5), "15032080119", "98765432109")
    assert (first.bank_reference, first.posts, first.all_references[0].kind) == ("111222333", True, "kid")
    assert first.reference_raw == "               1234567897"
    assert (credit_note.direction, credit_note.posts, credit_note.reference) == (Direction.DEBIT, True, "0012345678-")
    assert credit_note.payer_account == ""
    assert (reversal.direction, reversal.is_reversal, reversal.posts) == (Direction.DEBIT, True, False)
    assert (purchase.why_not, purchase.text) == ("ocr.card_information", "Kjøp i butikk, kvittering 7")
    assert [payment.position for payment in got.payments] == [1, 2, 3, 4]


@given(seeds)
def test_what_was_written_is_read_back(seed):
    payments, data = made(seed)
    got = read(data)
    assert got.verdict == "accepted"
    assert got.codes <= {"ocr.kid_shape"}
    assert [
        (p.amount_minor, p.reference, p.value_date, p.text, p.direction is Direction.CREDIT, p.bank_reference)
        for p in got.payments
    ] == [
        (p.amount_minor, p.kid, p.day, p.text, p.is_credit, p.archive if p.archive.strip("0") else "") for p in payments
    ]
    assert all(p.posts == (w.kind < "18") for p, w in zip(got.payments, payments, strict=True))
    assert len({payment.key for payment in got.payments}) == len(payments)


@given(seeds)
def test_line_ends_marks_and_padding_change_nothing(seed):
    _, data = made(seed)
    plain = read(data).payments
    lines = data.splitlines()
    shapes = {
        "CRLF": b"\r\n".join(lines) + b"\r\n",
        "no line ends": b"".join(lines),
        "no last line end": b"\n".join(lines),
        "byte order mark": b"\xef\xbb\xbf" + data,
        "blank lines": b"\r\n\n" + data.replace(b"\n", b"\n\n") + b"\n\n",
        "padded": data.replace(b"\n", b"     \n"),
        "0x1A": data + b"\x1a",
        "0x1A in the last line": data.rstrip(b"\n") + b"\x1a",
        "no line ends, 0x1A": b"".join(lines) + b"\r\n\x1a\r\n",
    }
    for name, shape in shapes.items():
        got = read(shape)
        assert (got.verdict, got.payments) == ("accepted", plain), (name, got.places)


def test_trimmed_blanks_change_nothing():
    data = ocr_file([[OcrPayment(100, "123", kind="21", text="hei"), OcrPayment(200, "124")]])
    blank = re.sub(rb"0+(?=\n)", lambda zeros: b" " * len(zeros[0]) if len(zeros[0]) > 15 else zeros[0], data)
    trimmed = re.sub(rb" +\n", b"\n", blank)
    assert len(trimmed) < len(data)
    assert read(trimmed).payments == read(data).payments
    assert read(trimmed).verdict == "accepted"


@given(seeds, st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(seed, data_):
    _, data = made(seed)
    spans = {b"30": (32, 49), b"88": (8, 41), b"89": (8, 41)}
    places = [
        number * 81 + offset
        for number, line in enumerate(data.splitlines())
        if line[6:8] in spans
        for offset in range(*spans[line[6:8]])
    ]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([d for d in b"0123456789" if d != data[place]]))
    got = read(data[:place] + bytes([digit]) + data[place + 1 :])
    assert got.verdict == "quarantined"
    assert "file.control_total" in got.codes


@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
def test_a_file_cut_at_any_byte_never_takes_effect(newline):
    payments = random_ocr_payments(4, 6)
    data = ocr_file([payments[:3], payments[3:]], newline=newline)
    whole = len(data.rstrip())
    for length in range(whole):
        assert read(data[:length]).verdict in {"quarantined", "refused"}, length
    for length in range(whole, len(data) + 1):
        assert read(data[:length]).verdict == "accepted"


def test_two_equal_payments_are_two_payments():
    """They have one key, which the staging table numbers."""
    twin = OcrPayment(25000, "0012345672")
    got = read(ocr_file([[twin, twin], [twin]]))
    assert got.verdict == "accepted"
    assert (len(got.payments), len({payment.key for payment in got.payments})) == (3, 1)


def test_an_overlapping_file_repeats_the_keys_of_what_it_repeats():
    payments = random_ocr_payments(9, 10)
    early, late = read(ocr_file([payments[:7]])), read(ocr_file([payments[:2], payments[2:]]))
    assert {p.key for p in early.payments} <= {p.key for p in late.payments}
    assert len({p.key for p in late.payments} - {p.key for p in early.payments}) == 3


def test_the_sign_belongs_to_the_identity():
    pays, takes = OcrPayment(25000, "0012345672"), OcrPayment(25000, "0012345672", is_credit_note=True)
    both = {p.key for p in read(ocr_file([[pays, takes]])).payments}
    assert {p.key for p in read(ocr_file([[takes]])).payments} < both


def test_credit_notes_above_payments_still_balance():
    got = read(ocr_file([[OcrPayment(100, "19"), OcrPayment(300, "19", is_credit_note=True)]]))
    assert (got.verdict, got.totals) == ("accepted", {"NOK": {"credit": 100, "debit": 300}})


def test_an_unknown_date_is_no_fault_but_an_impossible_one_is():
    undated = OcrPayment(100, "19", day=None)
    got = read(ocr_file([[undated]]))
    assert (got.verdict, got.payments[0].value_date) == ("accepted", None)
    wrong = ocr_file([[OcrPayment(100, "19")]]).replace(f"{FIRST_DAY:%d%m%y}".encode(), b"310226")
    got = read(wrong)
    assert got.verdict == "quarantined"
    assert "file.invalid line 3, settlement_date 310226" in got.places


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"0000000000012345", b"00000000000x2345", "line 3, amount_minor"),
        (b"NY09103100000020", b"NY09103100000090", "has 30 without 31"),
        (b"NY09103100000010", b"NY08103100000010", "stands outside NY08"),
        (b"NY090088", b"XX090088", "not a record"),
        (b"NY000089", b"NY000010", "must stand first"),
    ],
)
def test_damage_is_named(old, new, said):
    data = ocr_file([[OcrPayment(12345, "19"), OcrPayment(700, "27")]])
    assert old in data
    got = read(data.replace(old, new))
    assert got.verdict == "quarantined"
    assert any(said in f"{f.place} {f.values.get('reason', '')}" for f in got.findings), got.findings
    assert got.transactions == 2


def test_a_missing_item_2_stops_the_file():
    lines = ocr_file([[OcrPayment(12345, "19"), OcrPayment(700, "27")]]).splitlines(keepends=True)
    got = read(b"".join(lines[:3] + lines[4:]))
    assert got.verdict == "quarantined"
    assert any("line 3" in finding.place for finding in got.findings)
    assert (got.transactions, len(got.payments)) == (2, 1)


def test_records_behind_the_end_stop_the_file():
    data = ocr_file([[OcrPayment(1, "19")]])
    assert read(data + data).verdict == "quarantined"


def test_unknown_records_are_passed_over_with_a_warning_and_counted():
    lines = ocr_file([[OcrPayment(12345, "19")]]).decode().splitlines()
    lines.insert(4, "NY091049" + "0" * 72)
    lines[-2] = lines[-2].replace("0000000100000004", "0000000100000005")
    lines[-1] = lines[-1].replace("0000000100000006", "0000000100000007")
    got = read("\n".join(lines).encode() + b"\n")
    assert (got.verdict, got.codes, len(got.payments)) == ("accepted", {"file.unknown_record"}, 1)


def test_an_unknown_type_is_counted_but_never_posted():
    got = read(ocr_file([[OcrPayment(500, "19", kind="42")]]))
    assert (got.verdict, got.codes) == ("accepted", {"ocr.unknown_type"})
    assert (got.payments[0].posts, got.payments[0].why_not) == (False, "ocr.unknown_type")


def test_a_copy_in_utf8_is_read_with_a_warning():
    payments = [OcrPayment(100, "", kind="21", text="kjøp på nett, blåbærsyltetøy")]
    got = read(ocr_file([payments], encoding="utf-8"))
    assert (got.verdict, got.codes) == ("accepted", {"file.encoding"})
    assert got.payments[0].text == "kjøp på nett, blåbærsyltetøy"
    assert read(ocr_file([payments])).payments == got.payments


def test_wrong_dates_in_the_end_record_are_a_warning():
    data = ocr_file([[OcrPayment(100, "19"), OcrPayment(100, "27", day=FIRST_DAY + timedelta(days=1))]])
    got = read(re.sub(rb"021126031126(?=0{21}\n)", b"010126031126", data))
    assert (got.verdict, got.codes) == ("accepted", {"ocr.date_range"})


def test_a_kid_of_an_odd_shape_is_a_warning():
    got = read(ocr_file([[OcrPayment(100, "12A4")]]))
    assert (got.verdict, got.codes, got.payments[0].reference) == ("accepted", {"ocr.kid_shape"}, "12A4")


def test_a_request_for_payment_is_refused_by_name():
    data = ocr_file([[OcrPayment(100, "19")]]).replace(b"NY09", b"NY21")
    got = read(data)
    assert got.verdict == "refused"
    assert "AvtaleGiro" in got.findings[-1].values["reason"]


def test_a_request_longer_than_the_head_is_refused_as_well():
    data = ocr_file([[OcrPayment(100, "19")] * 600]).replace(b"NY09", b"NY21")
    assert len(data) > 2**16
    assert read(data).verdict == "refused"


@settings(max_examples=50)
@given(seeds)
def test_another_reader_sees_the_same_fields(seed):
    """python-netsgiro 2.0.1 is the oracle for the layout; it knows no MOD11 KID ending in a hyphen."""
    payments, data = made(seed)
    ours = read(data).payments
    lines = [line for line in data.decode("latin-1").splitlines() if line[6:8] == "30"]
    for line, payment, wanted in zip(lines, ours, payments, strict=True):
        if payment.reference.endswith("-"):
            continue
        theirs = netsgiro.records.TransactionAmountItem1.from_string(line)
        assert theirs.amount == payment.amount_minor
        assert theirs.nets_date == payment.value_date
        assert (theirs.kid or "") == payment.reference
        assert f"{int(theirs.transaction_type):02d}" == wanted.kind


def test_many_faults_stay_few_findings():
    data = ocr_file([[OcrPayment(100, "19")] * 500]).replace(b"NY0910", b"XX0910")
    got = read(data)
    assert got.verdict == "quarantined"
    assert len(got.findings) == 201
    assert got.findings[-1].code == "file.more_findings"
