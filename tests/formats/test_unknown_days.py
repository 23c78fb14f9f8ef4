"""A date of zeros or blanks is not known, in any file of fixed-width records; it does not stop the file (payments.md 1)."""

from __future__ import annotations

import pytest

from gateway.testing.autogiro_files import OUT, REFUND, GiroPayment, autogiro_file, autogiro_old_file
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.ktl_files import KtlPayment, ktl_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from gateway.testing.total_in_files import TotalInPayment, total_in_file
from tests.formats.giro_reading import read_every_way

OCR = ocr_file([[OcrPayment(100, "2345676"), OcrPayment(200, "2345676")]])
BGMAX = bgmax_file([BgSection((BgPayment(100, "1234567897"),))], newline="\n")
KTL = ktl_file([[KtlPayment(100, "1232")]], newline="\n")
NEW = autogiro_file(
    [GiroPayment(100), GiroPayment(200, kind=OUT), GiroPayment(300, kind=REFUND, status="01")], newline="\n"
)
OLD = autogiro_old_file([GiroPayment(100), GiroPayment(200, kind=OUT)], newline="\n")
TOTAL_IN = total_in_file([[TotalInPayment(100)]], newline="\n")

KNOWN_BY_DIGITS = {b"0", b"01"}
"""Beginnings that name no format: a file is taken for KTL or old Autogiro by the figures of this very date."""

PLACES = [
    pytest.param(OCR, b"NY091030", 16, 6, "value_date", id="OCR giro: settlement"),
    pytest.param(OCR, b"NY091031", 42, 6, "order_date", id="OCR giro: order"),
    pytest.param(BGMAX, b"15", 38, 8, "value_date", id="BgMax: deposit"),
    pytest.param(KTL, b"0", 2, 6, "", id="KTL: written"),
    pytest.param(KTL, b"3", 16, 6, "booking_date", id="KTL: booking"),
    pytest.param(KTL, b"3", 22, 6, "order_date", id="KTL: payment"),
    pytest.param(NEW, b"15", 38, 8, "", id="Autogiro: deposit"),
    pytest.param(NEW, b"82", 3, 8, "value_date", id="Autogiro: payment"),
    pytest.param(NEW, b"77", 3, 8, "", id="Autogiro: payment given back"),
    pytest.param(NEW, b"77", 70, 8, "", id="Autogiro: refund"),
    pytest.param(NEW, b"09", 3, 8, "", id="Autogiro: written"),
    pytest.param(OLD, b"01", 3, 8, "", id="Autogiro, old: written"),
    pytest.param(OLD, b"32", 3, 8, "booking_date", id="Autogiro, old: payment"),
    pytest.param(TOTAL_IN, b"10", 42, 8, "value_date", id="Total IN: posting"),
]  # fmt: skip


def without(data: bytes, start: bytes, column: int, filling: bytes) -> bytes:
    """Return *data* with *filling* in the 1-based *column* of every line that begins with *start*."""
    lines = data.split(b"\n")
    found = [line for line in lines if line.startswith(start)]
    assert found
    cut = column - 1
    made = [line[:cut] + filling + line[cut + len(filling) :] if line in found else line for line in lines]
    return b"\n".join(made)


@pytest.mark.parametrize(("data", "start", "column", "width", "name"), PLACES)
def test_a_date_that_is_not_known_stops_nothing(data, start, column, width, name):
    plain = read_every_way(data)
    assert plain.verdict == "accepted"
    known = sum(getattr(payment, name) is not None for payment in plain.payments) if name else 0
    for fill in (b"0", b" "):
        if fill == b" " and start in KNOWN_BY_DIGITS:
            continue
        got = read_every_way(without(data, start, column, fill * width))
        assert got.verdict == "accepted", got.places
        assert [p.amount_minor for p in got.payments] == [p.amount_minor for p in plain.payments]
        if name:
            assert sum(getattr(payment, name) is not None for payment in got.payments) < known


def test_a_date_that_does_not_exist_still_stops_the_file():
    assert read_every_way(without(OCR, b"NY091031", 42, b"310226")).verdict == "quarantined"
    assert read_every_way(without(BGMAX, b"15", 38, b"2026 814")).verdict == "quarantined"
