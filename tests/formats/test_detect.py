"""A file is told by its content; what cannot be taken is refused with a name a bookkeeper knows."""

from __future__ import annotations

import io

import pytest

from gateway.domain.reasons import sentence
from gateway.errors import FileRefused
from gateway.formats.detect import detect, open_payments
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.cremul_files import CremulLine, cremul_file
from gateway.testing.payment_files import OcrPayment, ocr_file

BGMAX = bgmax_file([BgSection((BgPayment(100, "19"),))])
OCR = ocr_file([[OcrPayment(100, "19")]])
CAMT = camt_file([CamtEntry((CamtPayment(100, "19"),))])
CREMUL = cremul_file([[CremulLine(amount_minor=100)]])


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"\xef\xbb\xbf \n"])
def test_what_we_read_is_recognised(mark):
    assert detect(mark + OCR).format == "ocr_giro"
    assert detect(mark + BGMAX).format == "bgmax"
    assert detect(mark + CAMT).format == "camt"
    assert detect(mark + CREMUL).format == "cremul"
    assert detect(mark + CREMUL[9:]).format == "cremul"
    assert detect(mark + CAMT.replace(b"<Document", b"<!-- <Invoice> --><Document")).format == "camt"


@pytest.mark.parametrize(
    ("head", "name", "said"),
    [
        (b"%PDF-1.7\n", "pdf", "PDF"),
        (b"PK\x03\x04rest", "zip", "zip"),
        (b"\x1f\x8b\x08", "gzip", "unpack"),
        (b"<!DOCTYPE html><html>", "html", "web page"),
        (b"\n<HTML><body>502 Bad Gateway", "html", "web page"),
        (b"01AUTOGIRO              20161010", "autogiro", "Autogiro"),
        (b"0120161010AUTOGIRO9900", "autogiro", "Autogiro"),
        (b"00TOTALIN       ", "total_in", "Total IN"),
        (CREMUL.replace(b"CREMUL", b"DEBMUL"), "edifact", "DEBMUL"),
        (CREMUL.replace(b"CREMUL", b"PAY\r\nMUL"), "edifact", "PAYMUL"),
        (b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2">', "ubl", "invoice"),
        (b"<x:CreditNote xmlns:x='urn:x'>", "ubl", "credit note"),
        (b"<n1:AuditFile xmlns:n1='urn:x'>", "saft", "SAF-T"),
        (b'<?xml version="1.0"?><Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.03">', "pain.002.001.03", "pain.002"),
        (b'{"id": 1}', "json", "JSON"),
        (OCR.replace(b"NY09", b"NY21"), "avtalegiro", "AvtaleGiro"),
        (b"", "", "empty"),
        (b"Hei, her er filen", "", "no format we know"),
    ],
)  # fmt: skip
def test_what_we_do_not_read_is_named_and_refused(head, name, said):
    found = detect(head)
    assert (found.format, found.name) == (None, name)
    assert said in found.reason
    with pytest.raises(FileRefused) as caught:
        open_payments(io.BytesIO(head), head)
    finding = caught.value.findings[0]
    assert said in sentence(finding.code, "en", finding.values)


def test_a_transmission_of_two_services_is_ours():
    assert detect(OCR + OCR.replace(b"NY09", b"NY21")).format == "ocr_giro"


def test_a_request_that_is_only_partly_in_view_is_left_to_the_reader():
    assert detect(OCR.replace(b"NY09", b"NY21")[:200]).format == "ocr_giro"
