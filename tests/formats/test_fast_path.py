"""The fast path must judge every file as the thorough path does: same payments, same findings, same totals (ADR 0021)."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.bgmax import BgMaxReader
from gateway.formats.fixed_width import CHUNK_BYTES, scanner
from gateway.formats.ocr_giro import OcrGiroReader
from gateway.testing.bgmax_files import bgmax_file, random_bg_sections
from gateway.testing.payment_files import ocr_file, random_ocr_payments
from tests.formats.test_damage import mutated, mutations

seeds = st.integers(0, 10**6)
NO_UNIT = scanner("(?!)")


class ThoroughOcr(OcrGiroReader):
    units = NO_UNIT


class ThoroughBgMax(BgMaxReader):
    units = NO_UNIT


class PickyOcr(OcrGiroReader):
    """Takes every second run thoroughly, as where a unit stands in an odd place."""

    def _take(self, columns, count):
        return super()._take(columns, count) if count % 2 else None


class PickyBgMax(BgMaxReader):
    def _take(self, columns, count):
        return super()._take(columns, count) if count % 2 else None


READERS = {"ocr": (OcrGiroReader, ThoroughOcr, PickyOcr), "bgmax": (BgMaxReader, ThoroughBgMax, PickyBgMax)}


def judged(reader, data):
    made, payments, verdict = reader(io.BytesIO(data)), [], "accepted"
    try:
        for payment in made:
            payments.append(payment)  # noqa: PERF402 - what was read before a fault counts
    except (FileQuarantined, FileRefused) as error:
        verdict = type(error).__name__
    findings = sorted(made.findings, key=repr)  # a payment may be told of before or after the line behind it
    return verdict, payments, findings, made.totals, made.transactions, made.accounts, made.identity


def file_of(kind, seed, count=40, newline="\n"):
    if kind == "ocr":
        payments = random_ocr_payments(seed, count)
        return ocr_file([payments[: count // 3], payments[count // 3 :]], newline=newline)
    return bgmax_file(random_bg_sections(seed, count), newline=newline)


@pytest.mark.parametrize("kind", READERS)
@settings(deadline=None)
@given(seed=seeds, newline=st.sampled_from(["\n", "\r\n", ""]))
def test_a_good_file(kind, seed, newline):
    data = file_of(kind, seed, newline=newline)
    fast, thorough, picky = READERS[kind]
    wanted = judged(thorough, data)
    assert wanted[0] == "accepted"
    assert judged(fast, data) == wanted
    assert judged(picky, data) == wanted


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=200, deadline=None)
@given(seed=seeds, newline=st.sampled_from(["\n", "\r\n"]), steps=mutations)
def test_a_damaged_file(kind, seed, newline, steps):
    data = mutated(file_of(kind, seed, newline=newline), steps)
    fast, thorough, picky = READERS[kind]
    wanted = judged(thorough, data)
    assert judged(fast, data) == wanted
    assert judged(picky, data) == wanted


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=100, deadline=None)
@given(seed=seeds, place=st.floats(0, 1, exclude_max=True), digit=st.sampled_from(b"0123456789"))
def test_one_digit(kind, seed, place, digit):
    data = bytearray(file_of(kind, seed))
    digits = [index for index, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    data[digits[int(place * len(digits))]] = digit
    fast, thorough, _ = READERS[kind]
    assert judged(fast, bytes(data)) == judged(thorough, bytes(data))


@pytest.mark.parametrize("kind", READERS)
def test_a_file_of_many_pieces(kind):
    """Wherever a piece of the file ends, in a record or between two, nothing changes."""
    data = file_of(kind, 5, count=3000)
    assert len(data) > 4 * CHUNK_BYTES
    fast, thorough, _ = READERS[kind]
    wanted = judged(thorough, data)
    assert wanted[0] == "accepted"
    for shift in (0, 1, 80, 200):
        assert judged(fast, b"\r\n" * shift + data) == wanted


@pytest.mark.parametrize("kind", READERS)
def test_most_of_a_file_takes_the_fast_path(kind, monkeypatch):
    """Or what the other tests prove is proven of a path that nothing takes."""
    fast, _, _ = READERS[kind]
    taken = []
    take = fast._take
    monkeypatch.setattr(fast, "_take", lambda self, columns, count: taken.append(count) or take(self, columns, count))
    assert judged(fast, file_of(kind, 6, count=2000))[0] == "accepted"
    assert sum(taken) > (1200 if kind == "ocr" else 1600)  # card terminals and deductions go the other way


@pytest.mark.parametrize("kind", READERS)
def test_a_finding_names_its_line_on_either_path(kind):
    data = file_of(kind, 7, count=2500)
    lines = data.split(b"\n")
    number = next(number for number, line in enumerate(lines) if number > 3000 and re.match(rb"NY091[0-7]30|20", line))
    lines[number] = lines[number][:40] + b"x" + lines[number][41:]
    fast, thorough, _ = READERS[kind]
    wanted = judged(thorough, b"\n".join(lines))
    assert f"line {number + 1}, amount_minor" in {finding.place for finding in wanted[2]}
    assert judged(fast, b"\n".join(lines)) == wanted
