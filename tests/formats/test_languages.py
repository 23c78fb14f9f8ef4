"""What is wrong with a file is said in the language of whoever must mend it: no reader speaks English alone."""

from __future__ import annotations

import ast
import io
from pathlib import Path

import pytest

from gateway.domain.reasons import Said
from gateway.formats.detect import detect
from gateway.formats.explain import explain
from gateway.testing.autogiro_files import GiroPayment, autogiro_file
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.formats.reading import read

READERS = sorted((Path(__file__).parents[2] / "gateway" / "formats").glob("*.py"))
OCR = ocr_file([[OcrPayment(100, "2345676")]])
BGMAX = bgmax_file([BgSection((BgPayment(100, "1234567897"),))])
CAMT = camt_file([CamtEntry((CamtPayment(100, "19"),))])
DAMAGED = {
    "amount": OCR.replace(b"0" * 14 + b"100", b"0" * 13 + b"x100", 1),
    "second half": OCR.replace(b"NY091031", b"NY091039"),
    "section": BGMAX.replace(b"\r\n05", b"\r\n06"),
    "tab": autogiro_file([GiroPayment(100)]).replace(b"FAKTNR1001 ", b"FAKTNR1001\t"),
    "direction": CAMT.replace(b"CRDT", b"IN  "),
    "not XML": CAMT.replace(b"</Ntry>", b"</Ntri>"),
    "segments": b"UNB+UNOC:3+A+B+261115:0800+1'UNT+3+1'UNH+1+CREMUL:D:96A:UN'SEQ++1'UNZ+1+1'",
    "PDF": b"%PDF-1.7",
    "AvtaleGiro": OCR.replace(b"NY090020", b"NY210020").replace(b"NY090088", b"NY210088"),
    "invoice": b"<Invoice></Invoice>",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_faults_are_told_in_every_language(name):
    told = {}
    for language in ("en", "nb", "sv"):
        with explain(io.BytesIO(DAMAGED[name]), language=language) as explanation:
            assert explanation.verdict != "accepted"
            told[language] = [finding.text for finding in explanation.told_findings]
    assert all(len(set(texts)) == 3 for texts in zip(*told.values(), strict=True)), told
    findings = read(DAMAGED[name]).findings
    reasons = [finding.values["reason"] for finding in findings if "reason" in finding.values]
    assert reasons
    assert all(isinstance(reason, Said) for reason in reasons), reasons


def test_what_a_file_is_not_is_a_sentence_of_ours():
    for head in (b"", b"?", b"{}", b"<html>", b":20:", b"#FLAGGA", b"\x1f\x8b", b"00TOTALIN"):
        assert isinstance(detect(head).reason, Said), head


@pytest.mark.parametrize("path", READERS, ids=lambda path: path.stem)
def test_no_reader_writes_its_own_sentences(path):
    """A reason that stands in the code in English alone is found here, not by a bookkeeper."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        texts = [word.value for word in node.keywords if word.arg == "reason"]
        if name in {"DecodeError", "CutShort", "Doctype", "TooDeep"}:
            texts += node.args[:1]
        wrong = [
            text for text in texts if isinstance(text, ast.JoinedStr | ast.Constant) and getattr(text, "value", " ")
        ]
        assert not wrong, f"{path.name}, line {node.lineno}"
