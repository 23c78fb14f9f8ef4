"""A UBL document marked as assigned: what is set, what is refused, and that nothing else changes by a byte."""

import hashlib
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import DataError, DecodeError, EncodeError
from gateway.formats.ubl import read_ubl
from plugins.factoring.assigned import Factor, is_marked, mark
from plugins.factoring.ubl_places import MAX_BYTES
from tests.plugins.ubl_documents import BUYER, MEANS, UBL, invoice_document

NOTE = "<cbc:Note>Takk for handelen!</cbc:Note>"
FACTOR = Factor(
    "Example Factoring AS",
    "NO9386011117947",
    "Assigned to <Example> & paid to NO93 only.",
    "999999999",
    reference="222",
)


def invoice(note="", **parts):
    return invoice_document("5067", 1250_00, note=note, **parts)


def bare(content):
    """The canonical form without blanks between elements: what two documents say, however they are laid out."""
    root = etree.fromstring(content, etree.XMLParser(remove_blank_text=True, resolve_entities=False, no_network=True))
    return etree.tostring(root, method="c14n2")


# --- against the published documents ---------------------------------------------------------------------------------


@pytest.fixture
def examples(shared):
    return shared / "formats" / "agencies" / "examples"


@pytest.mark.parametrize(("kind", "reference"), [("invoice", "9123400005067009"), ("creditnote", "")])
def test_the_published_documents_come_out_when_their_marks_are_taken_off_and_set_again(kind, reference, examples):
    published = (examples / f"peppol_bis3_factored_{kind}.xml").read_bytes()
    told = read_ubl(io.BytesIO(published))
    ident = re.search(rb'<cac:PayeeParty>.*?schemeID="0192">([0-9]+)<', published, re.DOTALL)[1].decode()
    (means,) = told.means
    factor = Factor(told.payee.name, means.account, told.notes[0], ident, reference=reference, is_coded=True)
    plain = re.sub(rb"\s*<cbc:Note>.*?</cbc:Note>", b"", published, count=1)
    plain = re.sub(rb"\s*<cac:PayeeParty>.*?</cac:PayeeParty>", b"", plain, flags=re.DOTALL)
    plain = plain.replace(b"Code>393<", b"Code>380<").replace(b"Code>396<", b"Code>381<")
    plain = plain.replace(means.account.encode(), b"NO1215030000010")
    made = mark(plain, factor)
    assert bare(made.content) == bare(published)
    assert bare(plain) != bare(published)
    assert mark(published, factor).content == published, "marked already: nothing to do"


# --- what is set -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [76, 10**6])
def test_an_embedded_file_is_no_hindrance_however_the_reader_cuts_its_text(width):
    digits = "0123456789ABCDEF" * 20_000
    lines = "\n".join(digits[place : place + width] for place in range(0, len(digits), width))
    embedded = (
        "<cac:AdditionalDocumentReference><cbc:ID>1</cbc:ID><cac:Attachment><cbc:EmbeddedDocumentBinaryObject"
        f' mimeCode="application/pdf" filename="a.pdf">{lines}</cbc:EmbeddedDocumentBinaryObject></cac:Attachment>'
        "</cac:AdditionalDocumentReference>"
    )
    supplier = b"<cac:AccountingSupplierParty>"
    content = invoice(NOTE).replace(supplier, embedded.encode() + supplier)
    made = mark(content, FACTOR)
    assert made.content == mark(invoice(NOTE), FACTOR).content.replace(supplier, embedded.encode() + supplier)
    assert is_marked(made.content, FACTOR)


def test_an_invoice_gets_clause_payee_account_and_reference_and_nothing_else_changes():
    content = invoice(NOTE)
    made = mark(content, FACTOR)
    clause = "Assigned to &lt;Example&gt; &amp; paid to NO93 only."
    number = 'schemeID="0192">999999999'
    assert made.content.decode() == content.decode().replace(
        NOTE, f"<cbc:Note>Takk for handelen! {clause}</cbc:Note>"
    ).replace(
        "</cac:AccountingCustomerParty>",
        f"</cac:AccountingCustomerParty><cac:PayeeParty><cac:PartyIdentification><cbc:ID {number}</cbc:ID>"
        "</cac:PartyIdentification><cac:PartyName><cbc:Name>Example Factoring AS</cbc:Name></cac:PartyName>"
        f"<cac:PartyLegalEntity><cbc:CompanyID {number}</cbc:CompanyID></cac:PartyLegalEntity></cac:PayeeParty>",
    ).replace("111", "222").replace("NO1215030000010</cbc:ID><cbc:Name>Fjord</cbc:Name>", "NO9386011117947</cbc:ID>")  # fmt: skip
    assert made[1:] == (hashlib.sha256(content).hexdigest(), hashlib.sha256(made.content).hexdigest())
    assert is_marked(made.content, FACTOR)
    assert not is_marked(content, FACTOR)
    assert b"<cbc:InvoiceTypeCode>380<" in made.content, "the type changes only where the agreement says so"
    assert b"<cbc:InvoiceTypeCode>393<" in mark(content, replace(FACTOR, is_coded=True)).content


def test_what_is_missing_is_made_in_its_place():
    made = mark(invoice(means="", note="<cbc:Note/>"), FACTOR).content
    account = b"<cac:PayeeFinancialAccount><cbc:ID>NO9386011117947</cbc:ID></cac:PayeeFinancialAccount>"
    means = b"<cac:PaymentMeans><cbc:PaymentMeansCode>30</cbc:PaymentMeansCode><cbc:PaymentID>222</cbc:PaymentID>"
    means += account + b"</cac:PaymentMeans>"
    assert re.findall(rb"<cbc:Note>[^<]*|<cac:PaymentMeans>.*?</cac:PaymentMeans><cac:[A-Z]\w+", made) == [
        b"<cbc:Note>Assigned to &lt;Example&gt; &amp; paid to NO93 only.",
        means + b"<cac:TaxTotal",
        b"<cbc:Note>Linje",
    ]
    half = MEANS.split("<cbc:PaymentID>", maxsplit=1)[0] + "</cac:PaymentMeans>"
    assert bare(mark(invoice(means=half), FACTOR).content) == bare(mark(invoice(), FACTOR).content)


@pytest.mark.parametrize(("charset", "mark_bytes"), [("ISO-8859-1", b""), ("UTF-8", b""), ("UTF-8", b"\xef\xbb\xbf")])
def test_the_documents_charset_stays(charset, mark_bytes):
    plain = invoice("<cbc:Note>Blåbærsyltetøy</cbc:Note>").decode().replace("UTF-8", charset).encode(charset)
    made = mark(mark_bytes + plain, replace(FACTOR, clause="Betal til Fórsæl ł"))
    assert made.content.startswith(mark_bytes + plain[:40])
    assert read_ubl(io.BytesIO(made.content)).notes == ("Blåbærsyltetøy Betal til Fórsæl ł",)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("cac:", "a:").replace("cbc:", "b:").replace(":cac", ":a").replace(":cbc", ":b"),
        lambda text: text.replace("<cbc:ID>5067", '<cbc:ID xmlns:x="urn:x">5067'),
        lambda text: (
            text.replace("<Invoice ", "<u:Invoice ").replace("</Invoice", "</u:Invoice").replace('xmlns="', 'xmlns:u="')
        ),
        lambda text: text.replace("<cbc:ID>5067", "<cbc:ID schemeName='a > \"b\"'>5067"),
        lambda text: text.replace("<cbc:ID>", "<!-- <cac:PaymentMeans> --><cbc:ID>").replace(
            "Takk", "<![CDATA[Takk]]>"
        ),
    ],
)
def test_any_way_of_writing_xml_is_marked_alike(change):
    plain = mark(invoice(NOTE), FACTOR).content
    made = mark(change(invoice(NOTE).decode()).encode(), FACTOR).content
    ours, theirs = (read_ubl(io.BytesIO(one)) for one in (plain, made))
    assert (ours.notes, ours.payee, ours.means) == (theirs.notes, theirs.payee, theirs.means)


# --- what is refused -------------------------------------------------------------------------------------------------

PAYEE = "<cac:PayeeParty><cac:PartyName><cbc:Name>{}</cbc:Name></cac:PartyName></cac:PayeeParty>"


def with_payee(name):
    return invoice().replace(
        b"</cac:AccountingCustomerParty>", f"</cac:AccountingCustomerParty>{PAYEE.format(name)}".encode()
    )


def test_a_payee_that_is_the_factor_stays_and_any_other_is_refused():
    ours = mark(with_payee("example factoring as"), FACTOR).content
    assert ours.count(b"<cac:PayeeParty>") == 1
    with pytest.raises(EncodeError, match="names another payee: other factor"):
        mark(with_payee("Other Factor"), FACTOR)
    number = b"<cac:PartyIdentification><cbc:ID>1</cbc:ID></cac:PartyIdentification>"
    numbered = with_payee("Example Factoring AS").replace(b"<cac:PayeeParty>", b"<cac:PayeeParty>" + number)
    with pytest.raises(EncodeError, match="another payee"):
        mark(numbered, FACTOR)


@pytest.mark.parametrize(
    ("content", "factor", "told"),
    [
        (invoice(NOTE + NOTE), {}, "R002"),
        (invoice(means=MEANS.replace(">30<", ">49<")), {}, "leads no money to an account"),
        (invoice(code="384"), {"is_coded": True}, "no assigned form"),
        (invoice(code=""), {}, "no InvoiceTypeCode"),
        (invoice(), {"name": "FJORD AS"}, "the seller itself"),
        (invoice(), {"party_id": "999999964"}, "the seller itself"),
        (invoice(), {"clause": " "}, "has no clause"),
        (invoice(), {"clause": "Solgt\x0b"}, "a sign that no document can hold"),
        (invoice(), {"reference": "\ud800"}, "a sign that no document can hold"),
        (invoice().replace(BUYER.encode(), b""), {}, "no AccountingCustomerParty"),
        (invoice(means="", total=""), {}, "no totals"),
    ],
)
def test_what_may_not_be_marked(content, factor, told):
    with pytest.raises(EncodeError, match=told):
        mark(content, replace(FACTOR, **factor))


@pytest.mark.parametrize(
    "shared_with", ["", "<e:UBLExtension><e:ExtensionContent><x xmlns='urn:x'/></e:ExtensionContent></e:UBLExtension>"]
)
def test_a_signature_is_refused_or_taken_out_where_agreed(shared_with):
    signature = (
        f'<e:UBLExtensions xmlns:e="{UBL}CommonExtensionComponents-2">{shared_with}<e:UBLExtension><e:ExtensionContent>'
        '<s:Signature xmlns:s="http://www.w3.org/2000/09/xmldsig#"/></e:ExtensionContent></e:UBLExtension></e:UBLExtensions>'
    )
    signed = invoice(extra=signature)
    with pytest.raises(EncodeError, match="digitally signed"):
        mark(signed, FACTOR)
    made = mark(signed, replace(FACTOR, drops_signature=True)).content
    assert (b"xmldsig" in made, b"urn:x" in made, b"UBLExtensions" in made) == (
        False,
        bool(shared_with),
        bool(shared_with),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<Invoice/>",
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/hosts'>]>" + invoice().split(b"\n", 1)[1],
        invoice().decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        invoice()[:-40],
        invoice().replace(b"Invoice-2", b"Reminder-2"),
        b"<a>" * 100_000,
        invoice().replace(b"UTF-8", b"klingon"),
        b" " * (MAX_BYTES + 1),
    ],
    ids=range(9),
)
def test_what_is_no_document_is_told_as_such(content):
    with pytest.raises(DecodeError):
        mark(content, FACTOR)


@given(st.data())
def test_no_damage_raises_anything_else(data):
    whole = invoice(NOTE)
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:place] + data.draw(st.binary(max_size=4)) + whole[place + data.draw(st.integers(0, 30)) :]
    try:
        made = mark(damaged, FACTOR)
    except DataError:
        return
    assert is_marked(made.content, FACTOR)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1, max_size=60))
def test_any_clause_is_found_again(clause):
    clause = " ".join(clause.split())
    if not clause:
        return
    made = mark(invoice(), replace(FACTOR, clause=clause)).content
    note = etree.fromstring(made).find(f"{{{UBL}CommonBasicComponents-2}}Note")
    assert note.text == clause
