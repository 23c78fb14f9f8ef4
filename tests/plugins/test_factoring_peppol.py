"""Assigned Peppol documents through the hooks: archived, marked, verified, put into the mailbox one by one; and what is held."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace

import pytest

from gateway.domain.exchange import FactoringAssignment, LinkKind, Seal, Totals
from gateway.errors import DataError, DecodeError, DeliveryError, DeliveryInDoubt, EncodeError
from gateway.formats.ubl import read_ubl
from gateway.testing.agency_kit import MemorySink
from plugins.factoring import plugin
from plugins.factoring.sandbox import make_sandbox
from tests.plugins.factoring_cases import NOW, claim, codes, credit_note, terms
from tests.plugins.ubl_documents import credit_note_document, invoice_document

MARK = FactoringAssignment(
    "F-1", "Example Factoring AS", "Postboks 1", "", "NO93 8601 1117 947", "Overdratt til Example Factoring AS."
)
SEAL = Seal({"documents": 4}, {"documents": "a"}, NOW, NOW.date(), "1234", "FACTOR", is_test=True)
TERMS = terms("peppol-factored", "1234", factor_party_id="999999999")


def documented(number="5067", minor=1250_00, items=(), **more):
    made = claim(number, minor, items=items, reference="111", **more)
    return made._replace(document=invoice_document(number, minor))


def noted(number="5070", minor=250_00):
    return credit_note(number, minor, document=credit_note_document(number, minor))


def sealed(*claims, agreement=TERMS, later=False):
    """Return the envelope and its bytes, unmarked and marked, each verified as the host does."""
    sink, marked = MemorySink(), MemorySink()
    hook = plugin.export_linked_items if later else plugin.export_invoice
    (envelope,) = hook(list(claims), agreement, SEAL, sink)
    plain = sink.files[envelope.filename]
    assert plugin.verify_envelope(envelope, agreement, io.BytesIO(plain)) == envelope.totals
    done = plugin.mark_factoring_envelope(envelope, MARK, agreement, io.BytesIO(plain), marked)
    content = marked.files[envelope.filename]
    assert plugin.verify_envelope(done, agreement, io.BytesIO(content)) == envelope.totals
    assert done == replace(envelope, factoring_agreement="F-1")
    return done, plain, content


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_each_document_is_marked_and_its_hashes_are_kept():
    done, plain, content = sealed(documented(items=[noted()]), documented("5068"))
    assert (done.filename, done.totals) == ("peppol-1234-000004.zip", Totals(2, 1, 2500_00, 250_00))
    before, after = members(plain), members(content)
    assert list(before) == ["invoice-c-5067.xml", "creditnote-i-5070.xml", "invoice-c-5068.xml"]
    assert before["invoice-c-5067.xml"] == invoice_document("5067", 1250_00), "as it was issued, byte for byte"
    rows = [json.loads(line) for line in after.pop("assignments.jsonl").splitlines()]
    assert [(row["document"], row["agreement"]) for row in rows] == [(name, "F-1") for name in before]
    for row in rows:
        assert row["sha256_before"] == hashlib.sha256(before[row["document"]]).hexdigest()
        assert row["sha256_after"] == hashlib.sha256(after[row["document"]]).hexdigest()
    for name, document in after.items():
        told = read_ubl(io.BytesIO(document))
        assert (told.payee.name, told.payee.legal_id, told.payee.legal_scheme) == (
            "Example Factoring AS",
            "999999999",
            "0192",
        )
        assert told.notes == ("Overdratt til Example Factoring AS.",)
        assert [(means.account, means.references) for means in told.means] == [("NO9386011117947", ("111",))]
        assert told.type_code == ("381" if name.startswith("credit") else "380")


def test_later_credit_notes_go_alone_and_the_type_is_coded_where_agreed():
    coded = replace(TERMS, settings={**TERMS.settings, "type_code": "factored"})
    done, _, content = sealed(documented(items=[noted()])._replace(document=b""), agreement=coded, later=True)
    assert done.totals == Totals(1, 1, 0, 250_00)
    assert read_ubl(io.BytesIO(members(content)["creditnote-i-5070.xml"])).type_code == "396"


def test_the_same_claims_make_the_same_bytes():
    assert sealed(documented())[1:] == sealed(documented())[1:]


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"document": b""}, "factoring.document_missing", "document"),
        ({"document": b"<Invoice/>"}, "factoring.document_unmarkable", "document"),
        ({"document": invoice_document("5068", 1250_00)}, "factoring.document_differs", "document"),
        ({"document": invoice_document("5067", 1250_01)}, "factoring.document_differs", "document"),
        ({"document": invoice_document("5067", 1250_00, "EUR")}, "factoring.document_differs", "document"),
        ({"payment_reference": "222"}, "factoring.document_differs", "document"),
        ({"items": (credit_note("5070"),)}, "factoring.document_missing", "document"),
        ({"items": (credit_note(kind=LinkKind.DIRECT_PAYMENT),)}, "item.not_carried", "items"),
        ({"claim_id": "../x"}, "layout.does_not_fit", "claim_id"),
    ],
)
def test_claims_that_are_held(change, code, place):
    held = documented()._replace(**change)
    assert codes(plugin.check_claim(held, TERMS)) == {(code, place)}
    with pytest.raises(EncodeError, match="invoice 5067"):
        sealed(held)


def test_the_factors_kid_is_asked_for_where_the_agreement_has_a_scheme():
    own = replace(TERMS, settings={**TERMS.settings, "kid_scheme": "sgfinans-16"})
    assert codes(plugin.check_claim(documented(), own)) == {("factoring.kid_scheme", "payment_reference")}
    assert codes(plugin.check_claim(documented(), terms("peppol-factored", "1234"))) == {
        ("factoring.setting_missing", "factor_party_id")
    }


def paid_to(name, number=""):
    """The invoice as an accounting system issues it that knows of a payee."""
    ident = f"<cac:PartyIdentification><cbc:ID>{number}</cbc:ID></cac:PartyIdentification>" if number else ""
    payee = f"<cac:PayeeParty>{ident}<cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName></cac:PayeeParty>"
    return invoice_document("5067", 1250_00).replace(b"<cac:PaymentMeans>", f"{payee}<cac:PaymentMeans>".encode())


@pytest.mark.parametrize(("name", "number"), [("Other", "999999980"), ("Example Factoring AS", "")])
def test_a_document_whose_payee_is_not_surely_the_factor_is_held_before_it_can_stop_the_evening(name, number):
    held = documented()._replace(document=paid_to(name, number))
    assert codes(plugin.check_claim(held, TERMS)) == {("factoring.document_unmarkable", "document")}


def test_a_document_that_names_the_factor_already_is_marked_as_it_is():
    named = documented()._replace(document=paid_to("Example Factoring AS", "999999999"))
    assert plugin.check_claim(named, TERMS) == ()
    assert members(sealed(named)[2])["invoice-c-5067.xml"].count(b"<cac:PayeeParty>") == 1


@pytest.mark.parametrize(
    ("setting", "value", "code", "place"),
    [
        ("factor_party_id", "999999998", "layout.does_not_fit", "factor_party_id"),
        ("factor_party_id", "999999964", "factoring.document_unmarkable", "document"),  # the seller itself
        ("factor_scheme", "0007", "layout.does_not_fit", "factor_party_id"),
    ],
)
def test_wrong_settings_hold_every_document(setting, value, code, place):
    wrong = replace(TERMS, settings={**TERMS.settings, setting: value})
    assert codes(plugin.check_claim(documented(), wrong)) == {(code, place)}


@pytest.mark.parametrize("change", [{"currency": "USD"}, {"market": "DE"}])
def test_another_currency_or_market_holds_everything(change):
    found = codes(plugin.check_claim(documented(), replace(TERMS, **change)))
    assert ("layout.does_not_fit", next(iter(change))) in found


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-20],
        lambda whole: b"?" + whole,
        lambda whole: whole.replace(b"1250.00", b"1250.01", 1),
        lambda whole: whole.replace(b"invoice-c-5067", b"invoice-c-50/7"),
        lambda whole: whole.replace(b"assignments.jsonl", b"assignments.jsonx"),
    ],
)
def test_a_damaged_archive_is_refused(damage):
    done, _, content = sealed(documented())
    with pytest.raises(DataError):
        plugin.verify_envelope(done, TERMS, io.BytesIO(damage(content)))


def test_an_unmarked_document_in_a_marked_envelope_is_refused():
    done, plain, _ = sealed(documented())
    with pytest.raises(DecodeError, match="no list"):
        plugin.verify_envelope(done, TERMS, io.BytesIO(plain))


class Mailbox:
    """Takes documents until *fails_at* have been put."""

    def __init__(self, fails_at=99, **lying):
        self.lying, self.fails_at = lying, fails_at

    def read_back(self, filename, into):
        into.write(self.lying.get(filename, b""))
        return filename in self.lying

    def put(self, filename, content, size):
        if len(self.lying) == self.fails_at:
            raise DeliveryError("the line is down")
        self.lying[filename] = content.read(size)
        return filename


class FrontToBack(io.RawIOBase):
    """What the host hands over: a stream out of the database, which cannot be read again."""

    def __init__(self, content):
        self.inner = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, into):
        return self.inner.readinto(into)


def deliver(done, content, mailbox):
    return plugin.deliver(done, mailbox, FrontToBack(content), len(content), TERMS)


def test_one_file_per_document_is_put_and_never_twice():
    done, _, content = sealed(documented(items=[noted()]))
    mailbox, wanted = Mailbox(), members(content)
    del wanted["assignments.jsonl"]
    deliver(done, content, mailbox)
    assert mailbox.lying == wanted
    mailbox.fails_at = 0  # a second attempt has nothing left to put
    deliver(done, content, mailbox)
    with pytest.raises(DeliveryError, match="has not been fetched"):
        deliver(done, content, Mailbox(**{"invoice-c-5067.xml": b"old"}))


def test_an_envelope_that_was_never_marked_does_not_leave():
    done, plain, _ = sealed(documented())
    mailbox = Mailbox()
    with pytest.raises(EncodeError, match="never marked"):
        deliver(replace(done, factoring_agreement=""), plain, mailbox)
    assert mailbox.lying == {}


def test_a_line_that_breaks_between_two_documents_leaves_the_envelope_in_doubt():
    done, _, content = sealed(documented(items=[noted()]))
    with pytest.raises(DeliveryError, match="line is down"):
        deliver(done, content, Mailbox(fails_at=0))
    with pytest.raises(DeliveryInDoubt, match=r"^1 documents of peppol-1234-000004"):
        deliver(done, content, Mailbox(fails_at=1))


# --- the other end ---------------------------------------------------------------------------------------------------

FACTS = {
    "layout": "peppol-factored", "client_number": "1234", "factor_party_id": "999999999",
    "creditor_account": "15030000010", "agency_account": "15030000029", "pay_to_account": "NO9386011117947",
    "agency_name": "Example Factoring AS", "clause": MARK.notice,
}  # fmt: skip


def uploaded(folder, documents):
    far = make_sandbox(folder, FACTS)
    for name, content in documents.items():
        (folder / "upload" / name).write_bytes(content)
    far.work(NOW)
    return far


def assigned(*claims):
    found = members(sealed(*claims)[2])
    del found["assignments.jsonl"]
    return found


def test_the_far_side_takes_marked_documents_and_pays_by_their_reference(tmp_path):
    far = uploaded(tmp_path, assigned(documented(items=[noted()]), documented("5068")))
    assert far.problems() == []
    assert far.balances() == {"5067": 1000_00, "5068": 1250_00}
    paid = (tmp_path / "download" / far.pay({"5068": 50_00}, NOW)).read_bytes()
    assert b"<Ref>111</Ref>" in paid
    assert b'Ccy="NOK">50.00' in paid


def test_an_unmarked_document_is_refused(tmp_path):
    plain = members(sealed(documented())[1])
    far = uploaded(tmp_path, plain)
    assert far.problems() == ["invoice-c-5067.xml: cac:PayeeParty/cac:PartyName/cbc:Name: 0 where one is wanted"]
    assert far.balances() == {}


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (b"Example Factoring AS</cbc:Name>", b"Fjord AS</cbc:Name>", "payee Fjord AS is not the factor"),
        (b">999999999<", b">999999980<", "999999980 is not 999999999"),
        (b"NO9386011117947", b"NO1215030000010", "PayeeFinancialAccount"),
        (b"Overdratt", b"Solgt", "does not say that it is assigned"),
        (b">380<", b">393<", "393 is not 380"),
        (b'InclusiveAmount currencyID="NOK">1250.00', b'InclusiveAmount currencyID="NOK">1250.01', "TaxInclusiveAmount"),
        (b'LineExtensionAmount currencyID="NOK">1250.00</cbc:LineExtensionAmount><cac:Item>',
         b'LineExtensionAmount currencyID="NOK">1250,00</cbc:LineExtensionAmount><cac:Item>', "is no amount"),
        (b"<cbc:ID>100017</cbc:ID>", b"<cbc:ID>K17</cbc:ID>", "customer number K17"),
        (b"</Invoice>", b"", "is no XML"),
        (b"Invoice-2", b"Order-2", "is no UBL invoice"),
        (b"billing:3.0", b"billing:4.0", "CustomizationID"),
        (b"<?xml", b"<!DOCTYPE a><?xml", "document type"),
    ],
    ids=range(12),
)  # fmt: skip
def test_the_far_side_refuses_what_is_not_assigned_as_agreed(was, becomes, told, tmp_path):
    documents = {name: content.replace(was, becomes) for name, content in assigned(documented()).items()}
    (problem,) = uploaded(tmp_path, documents).problems()
    assert told in problem
