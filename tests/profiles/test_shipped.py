"""The shipped profiles write exactly the bytes that the published pages describe.

The golden files were composed position by position from those pages, not by the code under test; the examples beside the
facts are read where they are present.
"""

from __future__ import annotations

import io
from datetime import date

import pytest

from gateway.domain.exchange import Totals
from gateway.domain.instructions import Action, Instruction
from gateway.formats import kravport_sls
from gateway.profiles import export, load
from gateway.profiles.shipped import shipped
from gateway.testing.agency_kit import MemorySink
from tests.conftest import SHARED
from tests.plugins import sls_builders as sls
from tests.profiles.builders import (
    CORPUS,
    agreement,
    claim,
    company,
    credit_note,
    read,
    seal,
    shipped_file,
    two_claims,
    written,
)

NAMES = (
    "factonor", "fall-aktia", "fall-danske", "fall-nordea", "fall-op", "kravport-sls-1", "nk003-advanced",
    "nk003-standard", "svea-fi",
)  # fmt: skip
EXAMPLES = SHARED / "formats" / "agencies" / "examples"
PAGES = {
    "mamut_NK003_advanced.txt": ("nk003-advanced", "claims"),
    "mamut_NK003_standard.txt": ("nk003-standard", "claims"),
    "fall_SOLOMYSA.DAT": ("fall-nordea", "invoices"),
    "fall_op_OKOMYSA.DAT": ("fall-op", "invoices"),
    "fall_danske_SAFA.DAT": ("fall-danske", "invoices"),
    "fall_aktia_AKTIAMYSA.TXT": ("fall-aktia", "invoices"),
    "svea_f112201.7654321": ("svea-fi", "invoices"),
    "factonor_FAKTURA.DAT": ("factonor", "invoices"),
    "kravport-sls-1/invoices.017": ("kravport-sls-1", "invoices"),
    "kravport-sls-1/updates.042": ("kravport-sls-1", "updates"),
    "kravport-sls-1/updates.043": ("kravport-sls-1", "updates"),
}
BACK = {
    "receipt-invoices.017": ("receipt", "ObjectReceipt"), "receipt-updates.042": ("receipt", "ObjectReceipt"),
    "payments.009": ("payments", "AgencyPayment"), "cases.009": ("cases", "CaseStatus"),
    "snapshot.003": ("snapshot", "Balance"),
}  # fmt: skip


def exported(name, key, claims, owner, *, sequence=12, are_new=True):
    """Return (file name, bytes, totals) of an export by a shipped profile."""
    sink = MemorySink()
    made = export(shipped_file(name, key), iter(claims), owner, seal(key, sequence), sink, are_new=are_new)
    ((filename, content),) = sink.files.items()
    assert [envelope.filename for envelope in made] == [filename]
    return filename, content, made[0].totals


def test_every_profile_that_was_promised_is_shipped_and_right():
    assert tuple(sorted(shipped())) == NAMES
    for name, path in shipped().items():
        made = load(path)
        assert (made.name, bool(made.source), bool(made.questions) or made.is_sandbox_only) == (name, True, True)


@pytest.mark.parametrize("name", ["nk003-advanced", "nk003-standard"])
def test_nk003_is_written_from_claims_byte_for_byte(name):
    owner = agreement(our_reference="Berit Regnskap")
    filename, content, totals = exported(name, "claims", two_claims(), owner)
    assert filename == "NK003_4711_20261123_0012.txt"
    assert content == (CORPUS / f"{name}.txt").read_bytes()
    assert totals == Totals(2, 0, 1304_10, 0)


@pytest.mark.parametrize("dialect", ["nordea", "op", "danske", "aktia"])
def test_each_dialect_of_fall_is_written_from_claims_byte_for_byte(dialect):
    buyer = company(
        "81", name="Kelloseppä Oy", organisation_number="1122334-4", address1="Rantatie 5", postcode="00100",
        city="HELSINKI", country="FI",
    )  # fmt: skip
    note = credit_note("100032", date(2026, 11, 20), 10_00, "12340001000320")
    invoice = claim(
        "100031", buyer, date(2026, 11, 15), date(2026, 11, 29), 99_90, reference="12340001000317", items=[note]
    )
    owner = agreement("1234", "EUR", "FI", business_id="2345678-0", late_interest="1150")
    _, content, totals = exported(f"fall-{dialect}", "invoices", [invoice], owner)
    assert content == (CORPUS / f"fall-{dialect}.txt").read_bytes()
    assert totals == Totals(1, 1, 99_90, 10_00)


def test_factonor_is_written_from_claims_byte_for_byte():
    note = credit_note("5082", date(2026, 11, 20), 250_00, "0123020001005082")
    invoice = claim(
        "5081", company(), date(2026, 11, 1), date(2026, 11, 15), 1250_00, reference="0123020001005081", items=[note]
    )
    filename, content, _ = exported("factonor", "invoices", [invoice], agreement("123"))
    assert (filename, content) == ("FAKTURA.DAT", (CORPUS / "factonor-invoices.txt").read_bytes())


@pytest.mark.parametrize(
    ("golden", "name", "key"),
    [("svea-fi", "svea-fi", "invoices"), ("factonor-customers", "factonor", "customers")],
)
def test_what_a_plugin_must_write_is_read_and_written_alike(golden, name, key):
    file, content = shipped_file(name, key), (CORPUS / f"{golden}.txt").read_bytes()
    rows = read(file, content)
    assert written(file, [(row.part, row.values) for row in rows]) == content


def test_svea_counts_and_sums_what_it_was_given():
    rows = read(shipped_file("svea-fi", "invoices"), (CORPUS / "svea-fi.txt").read_bytes())
    assert [row.part for row in rows] == ["start", "invoice", "article", "text_row", "invoice", "end"]
    assert (rows[1].values["amount"], rows[1].values["sign"], rows[4].values["sign"]) == (
        9990,
        "invoice",
        "credit_note",
    )
    assert (rows[-1].values["invoices"], rows[-1].values["sum"]) == (2, 10990)


def test_kravport_sls_1_is_the_same_by_profile_and_by_code():
    """The reference profile as data and the writer in code may never say different things."""
    kinds = kravport_sls.writer._EFFECTS
    items = [
        sls.item(f"i-{kind}", kind, kinds.get(kind, sls.Direction.CREDIT), 1_00 + number, number="500131", text="<&>  x",
                 charge_kind="interest", unlinks_item_id="i-0", payment_reference="2345676", voucher_number="88")
        for number, kind in enumerate(sls.LinkKind)
    ]  # fmt: skip
    told = Instruction("kp-i-1", Action.HOLD, date(2026, 11, 23), date(2026, 12, 1), "Waits for goods")
    cards = [sls.customer("1"), sls.customer("2", name='A "B" & C', address2="Box 7", email="a@b.test", phone="1")]
    new = [sls.claim(f"kp-c-{n}", card=cards[n > 1], items=items[: 2 * (n % 2)], text="Tjeneste", original=54_10 + n)
           for n in range(4)]  # fmt: skip
    changed = [
        sls.claim("kp-c-9", card=cards[0], items=items, case_number="C-1", reminder_number="7", instructions=(told,))
    ]
    for key, write, claims in (
        ("invoices", kravport_sls.write_invoices, new), ("updates", kravport_sls.write_updates, changed),
    ):  # fmt: skip
        by_code, by_profile = MemorySink(), MemorySink()
        envelopes = write(iter(claims), sls.agreement(), sls.seal(), by_code)
        file = shipped_file("kravport-sls-1", key)
        made = export(file, iter(claims), sls.agreement(), sls.seal(), by_profile, are_new=key == "invoices")
        assert by_profile.files == by_code.files
        assert made == envelopes


@pytest.mark.parametrize("name", ["invoices.007", "updates.999"])
def test_our_own_sls_files_are_read_and_written_alike(name):
    content = (sls.CORPUS / name).read_bytes()
    file = shipped_file("kravport-sls-1", name.partition(".")[0])
    assert written(file, [(row.part, row.values) for row in read(file, content)]) == content


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the shared examples are absent")
@pytest.mark.parametrize("example", PAGES)
def test_the_published_example_is_read_and_written_alike(example):
    name, key = PAGES[example]
    file, content = shipped_file(name, key), (EXAMPLES / example).read_bytes()
    rows = read(file, content)
    assert written(file, [(row.part, row.values) for row in rows]) == content


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the shared examples are absent")
@pytest.mark.parametrize("example", BACK)
def test_what_comes_back_is_read_with_its_totals_compared(example):
    key, part = BACK[example]
    content = (EXAMPLES / "kravport-sls-1" / example).read_bytes()
    rows = list(shipped_file("kravport-sls-1", key).read(io.BytesIO(content)))
    assert sum(row.part == part for row in rows) == content.count(f"<{part} ".encode())
