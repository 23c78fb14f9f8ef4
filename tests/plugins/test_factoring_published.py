"""Assigned documents against what others have published: the schemas of UBL 2.1 and the rules of EN 16931 and Peppol BIS 3.

Whatever the creditor's accounting system issued right is right once it is marked: nothing the mark adds or changes breaks a
rule, not even one that only warns. Changed copies show that the judge judges.
"""

from collections import Counter
from dataclasses import replace

import pytest

from gateway.demo.documents import issued
from gateway.demo.ledger import creditors_of, first_day, second_day, told_by
from plugins.factoring import plugin
from plugins.factoring.assigned import Factor, mark
from tests.plugins.published_rules import faults, schema_folder
from tests.plugins.ubl_documents import MEANS, credit_note_document, invoice_document

FACTOR = Factor("Example Factoring AS", "NO9386011117947", "Assigned to <Example> & Co.", "999999999", reference="222")
NOTE = "<cbc:Note>Takk for handelen!</cbc:Note>"


ISSUED = {  # every shape of document that a mark treats differently
    "plain": invoice_document("5067", 1250_00),
    "noted": invoice_document("5067", 1250_00, note=NOTE),
    "no means": invoice_document("5067", 1250_00, means=""),
    "no reference": invoice_document("5067", 1250_00, means=MEANS.replace("<cbc:PaymentID>111</cbc:PaymentID>", "")),
    "no account": invoice_document("5067", 1250_00, means=f"{MEANS.partition('<cac:Payee')[0]}</cac:PaymentMeans>"),
    "credit": credit_note_document("5070", 250_00),
}


@pytest.mark.parametrize("is_coded", [False, True], ids=["conservative", "factored"])
@pytest.mark.parametrize("shape", ISSUED)
def test_a_marked_document_breaks_no_published_rule(shape, is_coded):
    document = ISSUED[shape]
    assert faults(document) == (["BR-61"] if shape == "no account" else []), "as it was issued"
    assert faults(mark(document, replace(FACTOR, is_coded=is_coded)).content) == []


@pytest.mark.parametrize("layout", ["peppol-factored", "fall-op"])
def test_what_the_demos_accounting_system_issues_breaks_no_published_rule(layout):
    """A Norwegian and a Finnish creditor; what is no document keeps speaking of the entries that the documents become."""
    [creditor] = creditors_of(plugin.agency_profile(), layout)
    records = told_by(creditor, first_day)
    told = issued(creditor, (), records)
    kinds = Counter(record["type"] for record in records)
    assert len(told.documents) == kinds["invoice"] + kinds["credit_note"]
    broken = [faults(content) for content in told.documents.values()]
    assert {*map(tuple, broken)} == {(), ("PEPPOL-EN16931-CL008",)}, "who has no number has no address in the network"
    cards = {
        record["external_id"]
        for record in records
        if record["type"] == "customer" and "organisation_number" not in record
    }
    assert sum(map(bool, broken)) == sum(record.get("customer") in cards for record in records)
    (noted, *_) = [record for record in told.records if record["type"] == "link"]
    assert all(entry.startswith(("Invoice:", "CreditNote:")) for entry in noted["entries"])
    later = issued(creditor, records, told_by(creditor, second_day))
    assert [name[:2] for name in later.documents] == ["K-"]
    assert later.records[0]["entries"][0].startswith("Invoice:"), "of the day before"


@pytest.mark.parametrize("kind", ["invoice", "creditnote"])
def test_the_composed_examples_break_no_published_rule(kind, shared):
    published = shared / "formats" / "agencies" / "examples" / f"peppol_bis3_factored_{kind}.xml"
    assert faults(published.read_bytes()) == []


@pytest.mark.parametrize(
    ("was", "becomes", "broken"),
    [
        ("<cbc:Note>", "<cbc:Note>x</cbc:Note><cbc:Note>", "PEPPOL-EN16931-R002"),
        ("Example Factoring AS</cbc:Name>", "Fjord AS</cbc:Name>", "BR-17"),
        (">393<", ">396<", "PEPPOL-EN16931-P0100"),
        ("NO999999964MVA", "NO999999965MVA", "NO-R-001"),
        ('schemeID="0192">999999999', 'schemeID="0192">999999998', "PEPPOL-COMMON-R041"),
        ("<cac:PayeeParty>", "<cac:PayeeParty><cbc:Name>x</cbc:Name>", "not expected"),
        ('<cbc:PayableAmount currencyID="NOK">1250.00', '<cbc:PayableAmount currencyID="NOK">1250.01', "BR-CO-16"),
        ("<cbc:BuyerReference>ORD-77</cbc:BuyerReference>", "", "PEPPOL-EN16931-R003"),
        ("<cbc:DueDate>2026-10-29</cbc:DueDate>", "", "BR-CO-25"),
    ],
)  # fmt: skip
def test_a_wrong_document_is_found_out(was, becomes, broken):
    marked = mark(invoice_document("5067", 1250_00), replace(FACTOR, is_coded=True)).content.decode()
    assert was in marked
    assert any(broken in fault for fault in faults(marked.replace(was, becomes, 1).encode()))


def test_the_schemas_are_those_of_the_standard(shared):
    """The package of the schemas is young and small: what it carries is compared with another copy of them."""
    for path in sorted((shared / "specs" / "ubl21").rglob("*.xsd")):
        assert (schema_folder() / path.parent.name / path.name).read_bytes() == path.read_bytes()
