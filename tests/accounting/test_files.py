"""Files are told by content, refused with a sentence, and never crash the reader."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.accounting.documents import DocumentKind
from gateway.accounting.files import CreditorFacts, decode_file, to_records
from gateway.domain import reasons
from gateway.domain.ledger import CustomerRecord, EntryRecord
from gateway.errors import Refused
from tests.accounting.ubl_maker import REMINDER, box, decoded, document, party, tag

CORPUS = Path(__file__).parents[1] / "corpus" / "accounting"
FJORD = CreditorFacts("974 760 673", "Fjord AS", "NO")


def read(content: bytes):
    return decode_file(io.BytesIO(content), "a file")


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "code", "says"),
        [
            (b"#FLAGGA 0\r\n#FORMAT PC8\r\n", "file.sie4", "no customer ledger"),
            (b"\xef\xbb\xbf#SIETYP 4\r\n", "file.sie4", "Export SIE 5"),
            (b'<Sie xmlns="http://www.sie.se/sie5"/>', "file.sie5", "does not read it yet"),
            (b'<SieEntry xmlns="http://www.sie.se/sie5"/>', "file.sie5_entry", "no amounts"),
            (b'<n:AuditFile xmlns:n="urn:StandardAuditFile-Taxation-Financial:NO"/>', "file.saft", "does not read it yet"),
            (b"<AuditFile/>", "file.saft_namespace", "outside the SAF-T namespace"),
            (b'<Order xmlns="urn:oasis:names:specification:ubl:schema:xsd:Order-2"/>', "file.not_a_ledger", "Order"),
            (b"<Invoice/>", "file.not_a_ledger", "Invoice"),
            (b"%PDF-1.7", "file.not_a_ledger", "a PDF file"),
            (b"PK\x03\x04", "file.not_a_ledger", "a ZIP file"),
            (b"# A heading", "file.not_a_ledger", "unknown kind"),
            (b"", "file.not_a_ledger", "an empty file"),
            (b'<!DOCTYPE x [<!ENTITY e "boo">]><Invoice>&e;</Invoice>', "file.doctype", "DOCTYPE"),
            (b"<Invoice", "file.invalid", "well-formed"),
            (b"<a>" * 100, "file.invalid", "nests too deep"),
        ],
    )  # fmt: skip
    def test_each_says_what_it_found_and_what_to_do(self, content, code, says):
        found = read(content)

        assert (found.kind, found.findings[0].code) == (DocumentKind.REFUSED, code)
        assert says in found.as_dict()["findings"][0]["text"]
        with pytest.raises(Refused) as caught:
            to_records(found, FJORD)
        assert caught.value.code == code

    def test_the_name_decides_nothing(self):
        content = document()

        assert decode_file(io.BytesIO(content), "ledger.sie").kind is DocumentKind.INVOICE
        assert decode_file(io.BytesIO(b"#FLAGGA 0\n"), "invoice.xml").kind is DocumentKind.REFUSED

    def test_a_document_far_too_deep_is_refused(self):
        content = document(extra="<cac:OrderReference>" * 100 + "</cac:OrderReference>" * 100)

        assert read(content).findings[0].code == "file.invalid"

    @pytest.mark.parametrize("part", ["ID", "IssueDate", "DocumentCurrencyCode", "PayableAmount"])
    def test_a_missing_fact_is_named(self, part):
        content = re.sub(rf"<cbc:{part}[ >].*?</cbc:{part}>".encode(), b"", document(), count=1)

        assert part in read(content).findings[0].value

    def test_too_many_elements_are_refused(self):
        assert read(document(extra=tag("Note", "x") * 60_000)).findings[0].code == "file.invalid"

    def test_every_code_has_sentences(self):
        source = "".join(path.read_text() for path in Path("gateway/accounting").glob("*.py"))
        used = set(re.findall(r'"((?:file|document|account|payee|supplier|record)\.[a-z_0-9]+)"', source))

        assert len(used) > 25
        assert {code for code in used if not reasons.is_known(code)} == set()


class TestWhoseDocument:
    def test_our_own_gives_card_and_entry(self):
        records = list(to_records(decoded(), FJORD))

        assert [type(record) for _, record in records] == [CustomerRecord, EntryRecord]
        assert [place for place, _ in records] == ["Invoice/AccountingCustomerParty", "Invoice"]

    def test_somebody_elses_is_refused(self):
        with pytest.raises(Refused) as caught:
            to_records(decoded(supplier=party("Grossist AS", "923609016")), FJORD)

        assert (caught.value.code, caught.value.values["supplier"]) == ("supplier.not_creditor", "Grossist AS")

    @pytest.mark.parametrize(
        "creditor",
        [CreditorFacts("", "Whoever", "NO"), CreditorFacts("923609016", "Other AS", "NO", accepts_any_supplier=True)],
    )
    def test_looking_is_allowed_without_a_number_or_on_request(self, creditor):
        assert len(list(to_records(decoded(), creditor))) == 2

    def test_the_number_may_stand_in_the_vat_number_only(self):
        supplier = box(
            "Party", box("PartyTaxScheme", tag("CompanyID", "NO974760673MVA"), box("TaxScheme", tag("ID", "VAT")))
        )

        assert len(list(to_records(decoded(supplier=supplier), FJORD))) == 2

    def test_a_swedish_vat_number_holds_the_organisation_number(self):
        supplier = box(
            "Party", box("PartyTaxScheme", tag("CompanyID", "SE556703748501"), box("TaxScheme", tag("ID", "VAT")))
        )

        assert list(to_records(decoded(supplier=supplier), CreditorFacts("556703-7485", "Sjö AB", "SE")))
        with pytest.raises(Refused):
            to_records(decoded(supplier=supplier), CreditorFacts("556036-0793", "Sjö AB", "SE"))

    def test_without_any_number_only_the_same_name_counts(self):
        assert list(to_records(decoded(supplier=party("FJORD AS")), FJORD))
        with pytest.raises(Refused):
            to_records(decoded(supplier=party("Fjord Eiendom AS")), FJORD)

    def test_a_reminder_gives_no_record(self):
        assert list(to_records(decoded(customization=REMINDER), FJORD)) == []


class TestJsonLines:
    def test_counts_and_records(self):
        with (CORPUS / "ledger.jsonl").open("rb") as stream:
            found = decode_file(stream, "ledger.jsonl")
            records = list(to_records(found, FJORD))

        assert (found.kind, found.form) == (DocumentKind.RECORDS, "json-lines")
        assert found.counts == {"customer": 2, "invoice": 2, "payment": 1, "credit_note": 1, "other": 1, "link": 1}
        assert len(records) == 8

    def test_every_fault_is_listed_with_line_field_and_value(self):
        found = read(
            b'{"type":"customer","external_id":"1","name":"A"}\n{"type":"invoice","external_id":"2","colour":"red"}\n'
        )

        assert found.kind is DocumentKind.REFUSED
        assert {finding.place for finding in found.findings} >= {"line 2 colour", "line 2 customer", "line 2 booked"}


def test_a_decoded_file_is_plain_json():
    for path in sorted(CORPUS.iterdir()):
        with path.open("rb") as stream:
            shown = decode_file(stream, path.name).as_dict("nb")
        assert json.loads(json.dumps(shown)) == shown


EXPECTED = {
    "peppol_invoice.xml": ("invoice", "2001", "2026-11-16", 125000, "2345676", ""),
    "peppol_creditnote.xml": ("credit_note", "2002", None, 25000, "", ""),
    "peppol_negative_invoice.xml": ("credit_note", "2003", "2026-11-30", -9950, "2345676", ""),
    "ehf2_invoice.xml": ("invoice", "2004", "2026-11-25", 111638, "2345676", ""),
    "ehf3_reminder.xml": ("reminder", "2005", "2026-12-01", 128500, "2345676", ""),
    "peppol_factoring.xml": ("invoice", "2006", "2026-11-16", 80200, "2345676", "payee.not_creditor"),
    "en16931_no_due_date.xml": ("invoice", "2007", None, 320000, "", "document.due_date_missing"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_corpus(name):
    with (CORPUS / name).open("rb") as stream:
        shown = decode_file(stream, name).as_dict()

    facts = ("kind", "number", "due_date", "payable_minor", "payment_reference", "hold_code")
    assert tuple(shown[fact] for fact in facts) == EXPECTED[name]


# --- the files of others ---------------------------------------------------------------------------------------------


def test_samples_of_others_agree_with_their_manifest(shared):
    """The manifest was computed from the files by others than us: amounts, dates, references and names must agree."""
    folder = shared / "samples" / "accounting"
    seen = 0
    for row in csv.DictReader((folder / "manifest.csv").read_text(encoding="utf-8").splitlines()):
        with (folder / row["file"]).open("rb") as stream:
            shown = decode_file(stream, row["file"]).as_dict()
        counts = dict(part.split("=", 1) for part in row["counts"].split("; ") if "=" in part)
        if not counts.get("type", "").startswith(("Invoice", "CreditNote")):
            assert shown["kind"] == "refused", row["file"]
            continue
        seen += 1
        _agrees(shown, counts)
    assert seen == 12


def _agrees(shown, counts):
    assert shown["number"] == counts["id"]
    assert shown["currency"] == counts["currency"]
    assert float(shown["payable"]) == float(counts["payable"])
    assert float(shown["total"]) == float(counts["incl"])
    assert shown["issue_date"] == counts["issue"]
    if counts["due"] != "-":
        assert shown["due_date"] == counts["due"]
    assert shown["payment_references"] == re.findall(r"'([^']+)'", counts["PaymentID"])
    assert (shown["payee"] or "-") == counts["payee"]
    assert shown["credits"] == re.findall(r"'([^']+)'", counts["refs"])
    assert len(shown["attachments"]) == int(counts["attachments"])
    buyer, number, country = counts["buyer"].split("|")
    assert shown["customer"]["name"] in {buyer, "Ola Nordmann"}  # the manifest looks at the legal name only
    assert shown["customer"]["organisation_number"] == number.removeprefix("DK")
    assert shown["customer"]["country"] == country


def test_traps_of_the_samples(shared):
    kinds = {}
    for path in (shared / "samples" / "accounting").glob("*.xml"):
        with path.open("rb") as stream:
            found = decode_file(stream, path.name)
        kinds[path.name] = (found.kind.value, found.entry.amount_minor if found.entry else None, found.hold_code)

    assert kinds["ehf3_reminder-example.xml"] == ("reminder", None, "")
    assert kinds["peppol_base-negative-inv-correction.xml"] == ("credit_note", -165625, "")
    assert kinds["peppol_base-creditnote-correction.xml"] == ("credit_note", -165625, "")
    assert kinds["peppol_no_norwegian-example-1.xml"] == ("invoice", 80200, "payee.not_creditor")
    assert kinds["oioubl_compay_03_invoice_factoring.xml"] == ("invoice", 998125, "payee.not_creditor")
    assert kinds["gobl_invoice-partially-paid.xml"] == ("invoice", 114200, "document.due_date_missing")
    assert kinds["ehf2_T10-B2C.xml"] == ("invoice", 111638, "")


# --- fuzz ------------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_get_an_answer(content):
    assert isinstance(read(content).as_dict(), dict)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"{", b"<", b"#ABC ", b"\xff\xfe", b"\xef\xbb\xbf<"]), st.binary(max_size=200))
def test_any_bytes_behind_a_known_beginning_get_an_answer(head, rest):
    assert isinstance(read(head + rest).as_dict(), dict)


def test_damaged_documents_get_an_answer():
    """Cut, flipped, doubled and swapped pieces of a good document: an answer each time, whatever it is."""
    chance = random.Random(20261123)
    good = document(payee=party("Faktor AS", "923609016"), terms="30 dager")
    pieces = re.findall(rb"<[^>]+>|[^<]+", good)
    for _ in range(1500):
        broken = list(pieces)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(broken))
            action = chance.randrange(4)
            if action == 0:
                del broken[at]
            elif action == 1:
                broken[at] = broken[at][: chance.randrange(len(broken[at]) + 1)]
            elif action == 2:
                broken.insert(at, chance.choice(pieces))
            else:
                broken[at] = bytes(
                    byte ^ (1 << chance.randrange(8)) if chance.random() < 0.1 else byte for byte in broken[at]
                )
        found = read(b"".join(broken))
        shown = json.dumps(found.as_dict())
        assert found.kind is not DocumentKind.REFUSED or '"text"' in shown
