"""Files made by others, with the manifest that says what is in them."""

from __future__ import annotations

import csv
import re

import pytest

from gateway.formats.explain import explain
from tests.conftest import SHARED

FOLDER = SHARED / "samples" / "payments"
QUARANTINED = {"garbled_amount_camt053.xml", "genkgo_camt054_v8.xml"}
"""A garbled amount; a notification whose batch states two transactions and holds three."""


def rows():
    if not FOLDER.is_dir():
        return []
    with (FOLDER / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return [
            row for row in csv.DictReader(stream) if row["format"].startswith(("ocr_giro", "bgmax", "camt", "cremul"))
        ]


def stated_totals(text):
    """Return {(currency, side): minor}; a total without a side is the net (OCR giro)."""
    found = {}
    for currency, side, whole, cents in re.findall(r"([A-Z]{3}) (?:(CRDT|DBIT) )?(-?\d+)(?:\.(\d+))?", text):
        found[currency, side] = int(whole) * 100 + int((cents or "0").ljust(2, "0"))
    return found


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared sample files are absent")
def test_the_manifest_names_files_of_our_formats():
    assert len(rows()) >= 18


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"].rpartition("/")[2])
def test_a_sample_holds_what_its_manifest_says(row):
    name = row["file"].rpartition("/")[2]
    with explain(FOLDER / row["file"].removeprefix("dev/")) as explanation:
        facts = explanation.as_dict()
    no_version = "ns none" in row["features"]  # the manifest has it from the schema its maker had in mind
    assert facts["format"] == (row["format"][:8] if no_version else row["format"])
    assert facts["verdict"] == ("quarantined" if name in QUARANTINED else "accepted"), facts["findings"]
    assert facts["transactions"] == int(row["transactions"])
    for (currency, side), minor in stated_totals(row["total"]).items():
        total = facts["totals"][currency]
        net = total["credit"] - total["debit"]
        assert {"CRDT": total["credit"], "DBIT": total["debit"], "": net}[side] == minor
    structured = re.search(r"CdtrRef (\d+)", row["features"])
    if structured:
        listed = sum(len(payment["references"]) for payment in facts["payments"])
        assert listed >= int(structured[1])


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared sample files are absent")
def test_the_request_among_the_samples_is_refused():
    with explain(FOLDER / "ocr_giro" / "not_ocr_avtalegiro_payment_request.txt") as explanation:
        assert (explanation.verdict, explanation.transactions) == ("refused", 0)
