"""``explain`` must say the same in text and JSON as the importer will do, whatever the bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gateway.formats.explain import explain, explain_to
from gateway.formats.view.text import SHOWN
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.payment_files import OcrPayment, ocr_file

CORPUS = Path(__file__).parents[1] / "corpus" / "payments"


def told(data, **options):
    with explain(io.BytesIO(data), **options) as explanation:
        return explanation.as_dict(), explanation.as_text()


def test_the_ocr_example_is_told_whole():
    with explain(CORPUS / "ocr_giro_mixed.txt") as explanation:
        facts = explanation.as_dict()
    assert facts["format"] == "ocr_giro"
    assert facts["transactions"] == 4
    assert facts["totals"] == {"NOK": {"credit": 128050, "debit": 30000}}
    assert (facts["verdict"], facts["exit_code"]) == ("accepted", 0)
    assert facts["payments"][0] == {
        "position": 1,
        "reference": "1234567897",
        "references": ["1234567897"],
        "amount_minor": 125050,
        "currency": "NOK",
        "direction": "credit",
        "is_reversal": False,
        "status": "BOOK",
        "booked": True,
        "value_date": "2026-11-05",
        "payer": "15032080119",
        "posts": True,
        "why_not": "",
    }
    assert facts["payments"][2]["why_not"] == "ocr.card_information"
    assert facts["payments"][3]["references"] == []


def test_the_camt_example_is_told_whole():
    with explain(str(CORPUS / "camt054_v08.xml")) as explanation:
        facts = explanation.as_dict()
    assert (facts["format"], facts["transactions"]) == ("camt.054.001.08", 6)
    assert [payment["references"] for payment in facts["payments"]] == [
        ["0012345672"], ["1001", "K7"], [], [], ["RF18539007547034"], [],
    ]  # fmt: skip
    assert [payment["booked"] for payment in facts["payments"]] == [True] * 4 + [False, True]
    copy = next(finding for finding in facts["findings"] if finding["code"] == "camt.copy")
    assert copy["severity"] == "warning"
    assert copy["place"].startswith("line ")
    assert "copy" in copy["text"]


def test_a_damaged_file_is_told_as_far_as_it_goes():
    data = ocr_file([[OcrPayment(100, "19"), OcrPayment(250, "27")]])
    facts, text = told(data[:-120])
    assert (facts["verdict"], facts["exit_code"]) == ("quarantined", 2)
    assert (facts["transactions"], facts["totals"]) == (2, {"NOK": {"credit": 350, "debit": 0}})
    assert [payment["reference"] for payment in facts["payments"]] == ["19", "27"]
    assert "The file ends too early." in text
    assert "2.50 NOK" in text


@pytest.mark.parametrize(
    ("data", "name"), [(b"%PDF-1.4", "pdf"), (b"", ""), (ocr_file([[]]).replace(b"NY09", b"NY21"), "avtalegiro")]
)
def test_a_refused_file_says_what_it_is(data, name):
    facts, text = told(data)
    assert (facts["verdict"], facts["exit_code"], facts["format"]) == ("refused", 3, name)
    assert (facts["transactions"], facts["totals"], facts["payments"]) == (0, {}, [])
    assert "The file is not a payment file: it is" in text


def test_the_sentences_come_in_the_language_asked_for():
    assert told(b"", language="nb")[0]["findings"][0]["text"].startswith("Filen er ikke")


def test_json_for_a_long_file_is_streamed_and_whole():
    data = camt_file([CamtEntry((CamtPayment(100, "19", name="Åse \u2028 <&>"),) * 2000)])
    with explain(io.BytesIO(data)) as explanation:
        out = io.StringIO()
        explanation.write_json(out)
        assert json.loads(out.getvalue()) == explanation.as_dict()
        assert len(explanation.as_dict()["payments"]) == 2000
        text = explanation.as_text()
    assert text.count("Åse") == SHOWN
    assert f"the first {SHOWN} are shown" in text


def test_a_stream_that_cannot_seek_is_explained_as_well():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    with explain(Pipe(ocr_file([[OcrPayment(100, "19")]]))) as explanation:
        assert explanation.transactions == 1


def test_the_command_line_gets_lines_and_an_exit_code():
    lines: list[str] = []
    data = ocr_file([[OcrPayment(100, "19")]])
    assert explain_to(io.BytesIO(data), style="json", write=lines.append, name="a.txt") == 0
    assert json.loads("\n".join(lines))["transactions"] == 1
    lines.clear()
    assert explain_to(io.BytesIO(data[:-90]), style="text", write=lines.append, name="a.txt") == 2
    assert lines[0].startswith("File:         a.txt\n")


def test_a_file_that_is_not_there_is_the_callers_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        explain(tmp_path / "none.txt")
