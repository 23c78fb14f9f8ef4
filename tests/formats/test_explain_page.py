"""The page and the text of an explained file: whole in themselves, escaped, in the reader's language."""

from __future__ import annotations

import io
import json
import re

import pytest
from lxml import html

from gateway import cli
from gateway.formats.explain import explain, explain_to
from gateway.formats.view.words import LANGUAGES, catalogue
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from gateway.testing.payment_files import OcrPayment, ocr_file, random_ocr_payments

HOSTILE = "<script>alert(1)</script>\"'>"
OCR = ocr_file([[OcrPayment(1250_50, "2345676"), OcrPayment(30_00, "", kind="21", text=HOSTILE[:40])]])


def page(data, **options):
    written = []
    code = explain_to(io.BytesIO(data), style="html", write=written.append, **options)
    return code, "\n".join(written)


def test_the_page_needs_nothing_but_itself():
    _, text = page(OCR, name="a.txt")
    assert not re.search(r"(src|href|url\(|@import|https?:)", text)
    assert text.startswith("<!doctype html>")
    assert "@media print" in text
    assert 'name="viewport"' in text


@pytest.mark.parametrize(
    "data", [OCR, camt_file([CamtEntry((CamtPayment(100, "19", name="&lt;script&gt;alert(1)"),))])]
)
def test_what_stands_in_the_file_is_never_markup(data):
    _, text = page(data, name=HOSTILE)
    tree = html.fromstring(text)
    assert tree.xpath("//script") == []
    assert tree.xpath("//h1")[0].text == HOSTILE
    assert "alert(1)" in tree.text_content()


def test_the_page_says_verdict_totals_payments_and_records():
    code, text = page(OCR, language="nb")
    tree = html.fromstring(text)
    assert (code, tree.get("lang")) == (0, "nb")
    told = " ".join(tree.text_content().split())
    for words in (
        "godtatt: filen ville bli importert",
        "Sum NOK",
        "1280,50 inn, 0,00 ut",
        "Beløpspost 1",
        "giro belastet konto",
    ):
        assert words in told, words
    assert len(tree.xpath("//article")) == OCR.count(b"\n")
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))


def test_findings_stand_in_the_list_and_at_their_record():
    data = OCR.replace(b"00000000000125050", b"0000000000012505X")
    code, text = page(data)
    assert code == 2
    (record,) = [found for found in html.fromstring(text).xpath("//article") if "has-findings" in found.get("class")]
    assert record.get("id") == "record-3"
    assert "does not fit the layout" in record.text_content()
    assert "file.invalid" in record.text_content()


def test_a_long_file_is_a_short_page_that_says_what_it_leaves_out():
    data = ocr_file([random_ocr_payments(1, 3000)])
    _, text = page(data, records=20)
    tree = html.fromstring(text)
    count = data.count(b"\n")
    assert len(tree.xpath("//article")) == 20
    assert f"20 of the file's {count} records are shown, {count - 20} are left out." in tree.text_content()
    assert "The first 200 of 3000 are shown." in tree.text_content()
    with explain(io.BytesIO(data)) as whole:
        (total,) = whole.totals.values()
    assert f"{total['credit'] // 100}.{total['credit'] % 100:02d} in" in tree.text_content(), (
        "totals are of the whole file"
    )


def test_the_text_shows_ruler_letters_and_names():
    with explain(io.BytesIO(OCR), records=60) as explanation:
        lines = explanation.as_text("a.txt").splitlines()
    at = lines.index("line 3: 30 Amount item 1")
    line, keys = lines[at + 1][2:], lines[at + 2][2:]
    assert line == OCR.decode().splitlines()[2]
    amount = next(text for text in lines[at:] if "Amount  " in text)
    key = amount.split()[0]
    assert keys.index(key) == 32, "the letter does not stand under the first column of the amount"
    assert amount.endswith("00000000000125050  (1250.50)")
    assert "  " + "....:....1" in "\n".join(lines)


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_come_in_the_language_asked_for(language):
    with explain(io.BytesIO(OCR), language=language, records=60) as explanation:
        text = explanation.as_text()
    assert text.startswith("Format:")
    assert catalogue()["label"]["transactions"][language] in text
    assert catalogue()["record"]["ocr.AmountItem1"][language] in text
    assert "{" not in text


def test_json_is_what_it_was():
    """Its contract is fixed: no view, no labels, the same keys in the same order."""
    written = []
    explain_to(io.BytesIO(OCR), style="json", write=written.append, records=60)
    assert list(json.loads("\n".join(written))) == [
        "format", "transactions", "totals", "payments", "findings", "verdict", "exit_code",
    ]  # fmt: skip


@pytest.mark.parametrize(("options", "begins"), [([], "File:"), (["--html"], "<!doctype html>"), (["--json"], "{")])
def test_the_command_has_three_styles(options, begins, tmp_path, capsys):
    path = tmp_path / "ocr.txt"
    path.write_bytes(OCR)
    assert cli._run(["explain", str(path), "--records", "2", "--lang", "sv", *options]) == 0
    out = capsys.readouterr().out
    assert out.startswith(begins.replace("File", "Fil"))
    assert ("Beloppspost 1" in out) is False
    assert ("Start uppdrag" in out) == (not options or options == ["--html"])


def test_the_command_refuses_a_number_of_records_that_memory_could_not_hold(tmp_path, capsys):
    assert cli._run(["explain", str(tmp_path), "--records", "1000000"]) == 64
    assert "--records" in capsys.readouterr().err
