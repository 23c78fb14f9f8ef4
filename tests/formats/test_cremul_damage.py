"""Damaged CREMUL: nothing of it takes effect, the fault is named, and both ways of reading judge alike (payments.md 11)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.reasons import is_known
from gateway.testing.cremul_files import (
    CremulDocument,
    CremulLine,
    CremulPayment,
    CremulShape,
    cremul_file,
    random_cremul_lines,
    wrapped,
)
from tests.formats.cremul_reading import read_both_ways
from tests.formats.test_damage import mutated, mutations

seeds = st.integers(0, 10**6)
KID = CremulPayment(25000, kid="0012345672")
MARKS = st.sampled_from(
    [b"'", b"?", b"+", b":", b"??", b"?'", b"MOA+", b"SEQ++1'", b"LIN+1'", b"UNT+3+1'", b"\x00", b","]
)


def made(seed, count=6, shape=None):
    lines = random_cremul_lines(seed, count)
    half = len(lines) // 2
    return cremul_file([lines[:half], lines[half:]], shape)


def check(data: bytes) -> None:
    got = read_both_ways(data)
    assert all(is_known(finding.code) for finding in got.findings), got.places
    for payment in got.payments:
        assert payment.amount_minor >= 0
        assert payment.charges_minor >= 0
        assert payment.posts == (not payment.why_not)
    assert len({payment.key for payment in got.payments}) == len(got.payments)


@pytest.mark.parametrize("shape", [CremulShape(), CremulShape(width=80), CremulShape(newline="\r\n")])
def test_a_file_cut_at_any_byte_never_takes_effect(shape):
    data = cremul_file([random_cremul_lines(4, 5)], shape)
    whole = len(data.rstrip())
    for length in range(whole):
        assert read_both_ways(data[:length]).verdict in {"quarantined", "refused"}, length
    for length in range(whole, len(data) + 1):
        assert read_both_ways(data[:length]).verdict == "accepted", length


@settings(deadline=None)
@given(seeds, st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(seed, data_):
    data = cremul_file([[CremulLine((KID, CremulPayment(seed + 1, kid="19"))), CremulLine((KID,))]])
    amounts = re.finditer(rb"(?<=MOA\+)(?:60|143|12):([0-9]+,[0-9]+)|CNT\+LI:([0-9]+)|UNZ\+([0-9]+)\+R([0-9]+)", data)
    places = [
        place
        for found in amounts
        for group in range(1, 5)
        if found[group]
        for place in range(*found.span(group))
        if data[place] != ord(",")
    ]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([digit for digit in b"0123456789" if digit != data[place]]))
    got = read_both_ways(data[:place] + bytes([digit]) + data[place + 1 :])
    assert (got.verdict, got.codes) == ("quarantined", {"file.control_total"}), got.places


@settings(deadline=None)
@given(seeds, st.integers(0, 5))
def test_a_lost_transaction_or_line_stops_the_file(seed, which):
    """Also where nothing but UNT counts, as in Danish files: then its count is no longer only a warning."""
    for line_count in ("LI", ""):
        lines = [CremulLine((CremulPayment(seed + 1),), bank_reference=str(place)) for place in range(3)]
        data = cremul_file([lines], CremulShape(line_count=line_count))
        groups = re.findall(rb"(?:LIN|SEQ)\+.*?'(?=LIN|SEQ|CNT|UNT)", data)
        lost = data.replace(groups[which % 6], b"", 1)
        got = read_both_ways(lost)
        if which % 2:  # a line without its only transaction is itself the payment: the money is the same
            assert sum(payment.amount_minor for payment in got.payments) == 3 * (seed + 1)
        else:
            assert got.verdict == "quarantined"


def test_a_lost_line_is_seen_where_only_the_segments_are_counted():
    lines = [CremulLine((KID,), bank_reference=str(place)) for place in range(3)]
    data = cremul_file([lines], CremulShape(line_count=""))
    start, stop = data.index(b"LIN+2"), data.index(b"LIN+3")
    got = read_both_ways(data[:start] + data[stop:])
    assert (got.verdict, got.codes) == ("quarantined", {"file.control_total"})


def test_a_wrong_segment_count_is_a_warning_when_all_amounts_agree():
    data = cremul_file([[CremulLine((KID,))]])
    got = read_both_ways(re.sub(rb"UNT\+\d+\+1", b"UNT+99+7", data))
    assert (got.verdict, got.codes) == ("accepted", {"edifact.segment_count", "edifact.message_reference"})
    blocked = read_both_ways(re.sub(rb"UNT\+\d+", b"UNT+99", data.replace(b"MOA+60:250", b"MOA+60:350")))
    assert blocked.verdict == "quarantined"


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        (b"MOA+60:250,00:NOK", b"MOA+60:-250,00:NOK", "file.invalid", "MOA 60"),
        (b"MOA+60:250,00:NOK", b"MOA+60:2.500,00:NOK", "file.invalid", "2.500,00"),
        (b"MOA+60:250,00:NOK", b"MOA+60:250,001:NOK", "file.invalid", "250,001"),
        (b"MOA+60:250,00:NOK", b"MOA+60:250,00:nok", "file.invalid", "nok"),
        (b"MOA+60:250,00:NOK", b"MOA+61:250,00:NOK", "file.invalid", "LIN 1"),
        (b"MOA+143:250,00", b"MOA+143:2x0,00", "file.invalid", "2x0,00"),
        (b"DTM+209:20261102:102", b"DTM+209:20261131:102", "file.invalid", "20261131:102"),
        (b"DTM+209:20261102:102", b"DTM+209:02112026:102", "file.invalid", "02112026:102"),
        (b"MOA+143:250,00'", b"MOA+143:250,00'MOA+143:240,00'", "file.invalid", "240,00"),
        (b"GIS+37'", b"GIS+37'SEQ+\x00'", "file.invalid", "x00"),
        (b"LIN+1'", b"", "file.invalid", "SEQ"),
        (b"UNH+1+CREMUL:D:96A:UN'", b"", "file.invalid", "BGM"),
        (b"UNT+", b"XXX+", "file.invalid", "UNZ"),
        (b"UNZ+1+R1'", b"", "file.truncated", "segment"),
        (b"UNZ+1+R1'", b"UNZ+1+R1", "file.truncated", "UNZ+1+R1"),
        (b"UNZ+1+R1'", b"UNZ+1+R2'", "file.control_total", "R2"),
        (b"UNZ+1+R1'", b"UNZ+1+R1'MOA+12:1'", "file.invalid", "MOA"),
    ],
)
def test_a_fault_is_named_with_place_and_value(old, new, code, said):
    data = cremul_file([[CremulLine((KID,))]])
    assert old in data
    got = read_both_ways(data.replace(old, new, 1))
    assert got.verdict == "quarantined"
    assert code in got.codes
    assert said in got.places
    assert all("segment" in finding.place for finding in got.findings if finding.code == code)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"GIS+37'", b"GIS+37'XYZ+1'", "file.unknown_record"),
        (b"CNT+LI:1'", b"CNT+LI:1'CNT+99:1'", "file.unknown_record"),
        (b"D:96A", b"D:93A", "cremul.version"),
        (b"BGM+", b"XGM+", "cremul.unknown_kind"),
        (b"DOC+999+0012345672", b"DOC+999+12 34", "ocr.kid_shape"),
        (b"DOC+999+0012345672", b"DOC+999+AB1", "ocr.kid_shape"),
    ],
)
def test_what_is_only_odd_is_a_warning(old, new, code):
    data = cremul_file([[CremulLine((KID,))]])
    got = read_both_ways(data.replace(old, new, 1))
    assert got.verdict == "accepted"
    assert code in got.codes


def test_blanks_between_segments_are_nothing():
    data = cremul_file([[CremulLine((KID, KID))]])
    got = read_both_ways(data.replace(b"'", b"' \t").replace(b"UNA:+,? ' \t", b"UNA:+,? '"))
    assert (got.verdict, got.payments) == ("accepted", read_both_ways(data).payments)


def test_other_messages_are_counted_and_passed_over():
    data = cremul_file([[CremulLine((KID,))]])
    other = b"UNH+9+DEBMUL:D:96A:UN'BGM+456+1'LIN+1'MOA+60:1:NOK'UNT+5+9'"
    mixed = data.replace(b"UNZ+1", other + b"UNZ+2")
    got = read_both_ways(mixed)
    assert (got.verdict, len(got.payments), got.codes) == ("accepted", 1, {"cremul.other_message"})
    assert read_both_ways(mixed.replace(b"UNZ+2", b"UNZ+1")).verdict == "quarantined"


def test_a_file_of_other_messages_is_refused_by_name():
    data = cremul_file([[CremulLine((KID,))]]).replace(b"CREMUL", b"DEBMUL")
    got = read_both_ways(data)
    assert got.verdict == "refused"
    assert "DEBMUL" in str(got.findings[0].values["reason"])


def test_a_segment_without_end_is_stopped():
    data = cremul_file([[CremulLine((KID,))]])
    got = read_both_ways(data[:-10] + b"x" * 600_000)
    assert (got.verdict, got.codes) == ("quarantined", {"file.invalid"})


def test_a_transaction_without_end_is_stopped():
    data = cremul_file([[CremulLine((CremulPayment(25000, documents=(CremulDocument("1", 25000),)),))]])
    document = b"DOC+380+" + b"9" * 30 + b"'"
    got = read_both_ways(data.replace(b"GIS+37'", document * 40_000))
    assert (got.verdict, "file.invalid" in got.codes) == ("quarantined", True)


def test_findings_without_number_are_counted():
    """A file wrong in every line must not take time or memory for each of its faults."""
    lines = [CremulLine((KID,), amount_minor=1, bank_reference=str(place)) for place in range(400)]
    got = read_both_ways(cremul_file([lines], CremulShape(newline="\n")))
    assert got.verdict == "quarantined"
    assert len(got.findings) == 201
    assert got.findings[-1].code == "file.more_findings"


@settings(max_examples=300, deadline=None)
@given(seeds, st.sampled_from([CremulShape(), CremulShape(width=80), CremulShape(newline="\n")]), mutations)
def test_mutated(seed, shape, steps):
    check(mutated(made(seed, 8, shape), steps))


@settings(max_examples=300, deadline=None)
@given(seeds, st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 3), MARKS), min_size=1, max_size=4))
def test_mutated_by_marks_of_the_syntax(seed, steps):
    data = made(seed, 8)
    for where, length, junk in steps:
        place = int(where * len(data))
        data = data[:place] + junk + data[place + length :]
    check(data)


def test_every_flipped_byte_of_a_small_file():
    data = cremul_file([[CremulLine((KID, CremulPayment(100, texts=("hei",))))]])
    for place in range(len(data)):
        for flip in (1, 0x20, 0x80):
            check(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])


@settings(deadline=None)
@given(st.binary(max_size=300))
@pytest.mark.parametrize(
    "start", [b"UNA", b"UNA:+,? '", b"UNB+UNOC:3+1+2+261123:0530+1'", b"UNB+UNOC:3+1'UNH+1+CREMUL:D:96A:UN'LIN+1'"]
)
def test_noise_behind_a_good_beginning(start, noise):
    check(start + noise)


# --- an independent reader -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:segments.xml not found")
@settings(deadline=None)
@given(seeds)
def test_an_independent_reader_finds_the_same_segments(seed):
    """pydifact reads unwrapped text right; wrapped files it corrupts, and it compares no totals."""
    pydifact = pytest.importorskip("pydifact.segmentcollection")
    data = made(seed)
    segments = list(pydifact.Interchange.from_str(data.decode("latin-1")).segments)
    amounts = [
        segment.elements[0][1]
        for before, segment in zip([None, *segments], segments, strict=False)
        if segment.tag == "MOA" and segment.elements[0][0] in {"143", "119", "60"} and before.tag != "BUS"
    ]
    got = read_both_ways(wrapped(data, CremulShape(width=80)))
    assert [int(text.replace(",", "")) for text in amounts] == [payment.amount_minor for payment in got.payments]
    numbers = [segment.elements[1] for segment in segments if segment.tag == "DOC"]
    read = [
        number
        for payment in got.payments
        for number in ([r.raw for r in payment.references if r.kind != "text"] or [payment.reference_raw])
        if number
    ]
    assert numbers == read
