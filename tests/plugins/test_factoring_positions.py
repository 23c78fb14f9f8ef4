"""Every column of the factors' files stands where the pages say: by tables typed from the pages, not from our declarations."""

import subprocess
import sys
from datetime import date

import pytest

from gateway.formats.ktl_layout import BatchEnd, BatchStart, Transaction
from gateway.formats.record import columns
from gateway.testing.agency_kit import MemorySink
from plugins.factoring import plugin
from plugins.factoring.k9409_records import DebtorCard, LedgerItem
from tests.plugins import documented_positions as documented
from tests.plugins.factoring_cases import COMPANY, SEAL, claim, credit_note, kid, terms
from tests.plugins.positions import differences, misplaced, of_file
from tests.profiles.builders import shipped_file

CORPUS = documented.CORPUS
FALL = {"batch": 0, "buyer": 1, "invoice": 2, "total": 5}
"""Records of a profile, and where each first stands in the golden file."""


def of_class(cls):
    return [(column.start, column.stop) for _, column in columns(cls)]


def of_profile(name, part, key="invoices"):
    fields = shipped_file(name, key).layout.parts[part].fields
    return [(one.start, one.start + one.rule.longest - 1) for one in fields]


def declared():
    """Every page with the columns that our code declares for it."""
    yield documented.K9409_INVOICE, of_class(LedgerItem)
    yield documented.K9409_CUSTOMER, of_class(DebtorCard)
    yield documented.KTL_BATCH, of_class(BatchStart)
    yield documented.KTL_ROW, of_class(Transaction)
    yield documented.KTL_TOTAL, of_class(BatchEnd)
    yield documented.FACTONOR_INVOICE, of_profile("factonor", "invoice")
    for part, told in zip(
        ("start", "invoice", "article", "text_row"), documented.GOLDEN["profiles/svea-fi.txt"], strict=False
    ):
        yield told, of_profile("svea-fi", part)
    yield documented.SVEA_END, of_profile("svea-fi", "end")
    for dialect in ("nordea", "op", "danske", "aktia"):
        for part, place in FALL.items():
            yield documented.fall(dialect)[place], of_profile(f"fall-{dialect}", part)


DECLARED = {told.title: (told, spans) for told, spans in declared()}


@pytest.mark.parametrize("title", DECLARED)
def test_every_field_is_declared_where_its_page_says(title):
    told, spans = DECLARED[title]
    assert misplaced(told, spans) == []


@pytest.mark.parametrize("title", DECLARED)
def test_a_field_that_moves_by_one_is_found(title):
    told, spans = DECLARED[title]
    for place, (first, last) in enumerate(spans):
        for moved in ((first + 1, last + 1), (first - 1, last - 1), (first, last + 1), (first + 1, last)):
            assert misplaced(told, [*spans[:place], moved, *spans[place + 1 :]])
    for place in told.places:
        begun = place.first - 1
        later = f"{told.line[:begun]}#{told.line[begun : place.last - 1]}{told.line[place.last :]}"
        (fault,) = differences(told, later)
        assert f"{told.title} {place.first}-{place.last} {place.name}" in fault
        sooner = f"{told.line[:begun]}{told.line[begun + 1 :]}#"
        assert differences(told, sooner)


@pytest.mark.parametrize("name", documented.GOLDEN)
def test_the_golden_files_are_what_the_pages_say(name):
    assert of_file((CORPUS / name).read_bytes(), documented.GOLDEN[name]) == []


def test_the_check_runs_by_itself():
    done = subprocess.run(
        [sys.executable, "-m", "tests.plugins.documented_positions"], check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_published_return_rows_are_what_the_page_says(shared):
    lines = (shared / "formats/agencies/examples/ktl_reference_payments.txt").read_text("iso-8859-1").splitlines()
    pages = (documented.KTL_BATCH, documented.KTL_ROW, documented.KTL_TOTAL)
    assert [
        fault
        for told, line in zip(pages, (lines[0], lines[2], lines[4]), strict=True)
        for fault in differences(told, line)
    ] == []


# --- golden files by the hooks ---------------------------------------------------------------------------------------

BUYER = COMPANY._replace(
    customer_number="20417", name="Tindevik Verksted", organisation_number="999999980", address1="Industriveien 4",
    postcode="6800", city="FØRDE", phone="22 33 44 55",
)  # fmt: skip
LAYOUTS = {
    "sgfinans-9409": ({"kid_scheme": "sgfinans-16", "comment": "text"}, "4321", {"Kunde.SGK", "Faktura.SGF"}),
    "factonor": ({}, "123", {"FAKTURA.DAT"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_hooks_write_the_golden_files(layout):
    """Those of FALL are in test_factoring_layouts; FactoNor's file of customers is no fixed-width one."""
    settings, client, names = LAYOUTS[layout]
    agreement = terms(layout, client, **settings)
    scheme = "factonor-16" if layout == "factonor" else "sgfinans-16"
    sold = claim(
        "61007", 98765_43, BUYER, [credit_note("61012", 1234_50, date(2026, 11, 20))], kid("61007", "20417", client, scheme),
        invoice_date=date(2026, 11, 3), due_date=date(2026, 11, 17), text="Servicebesøk, høst",
    )  # fmt: skip
    sink = MemorySink()
    plugin.export_invoice([sold], agreement, SEAL, sink)
    assert {name: sink.files[name] for name in names} == {
        name: (CORPUS / "factoring" / name).read_bytes() for name in names
    }


def test_the_hook_writes_the_published_example_of_factonor(shared):
    sold = claim("5067", 1250_00, COMPANY, reference=kid("5067", "100017", "123", "factonor-16"))
    sink = MemorySink()
    plugin.export_invoice([sold], terms("factonor", "123"), SEAL, sink)
    assert sink.files["FAKTURA.DAT"] == (shared / "formats/agencies/examples/factonor_FAKTURA.DAT").read_bytes()
