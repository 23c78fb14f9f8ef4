"""From a UBL file to the factor: the document is kept as it came, handed over with its claim, and leaves marked."""

import hashlib
import io
import zipfile

import pytest

from gateway.accounting.files import CreditorFacts, decode_file, to_records
from gateway.db.tables import LedgerDocument
from gateway.formats.ubl import read_ubl
from gateway.services import documents, ingest
from tests.plugins.ubl_documents import credit_note_document, invoice_document
from tests.rules.world import ACTOR, World

FACTS = CreditorFacts("999999964", "Fjord AS", "NO")


@pytest.fixture
def assigned(house, clock, tmp_path) -> World:
    """Fjord AS has sold its invoices; the factor takes them as marked documents."""
    options = {"profile": "peppol-factored", "client_number": "1234", "settings": {"factor_party_id": "999999999"}}
    world = World(house, clock, tmp_path, "factoring", options=options).start()
    world.use_factoring(name="Example Factoring AS", account_number="86011117947")
    return world


def take(world, content, *, keeps=True):
    """Take a UBL file as ``kravport ingest`` does."""
    document = decode_file(io.BytesIO(content), "file.xml")

    def keep(connection, _):
        documents.keep(connection, world.creditor_id, "test", document.entry.external_id, io.BytesIO(content))

    conclude = {"conclude": keep} if keeps else {}
    records = to_records(document, FACTS)
    ingest.ingest(world.house, world.creditor_id, "test", records, actor=ACTOR, **conclude)
    return document.entry.external_id


def marked_in(evening):
    (content,) = evening.files.values()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".xml")}


@pytest.mark.rule("R-FA-13")
def test_a_document_is_kept_handed_over_and_leaves_with_notice_account_and_payee(assigned):
    first = take(assigned, invoice_document("5067", 1250_00))
    noted = take(assigned, credit_note_document("5070", 250_00))
    assigned.link(first, noted)
    evening = assigned.evening()
    assert evening.held == {}
    (envelope,) = evening.envelopes
    assert (envelope.claims, envelope.items, envelope.debit_minor, envelope.credit_minor) == (1, 1, 1250_00, 250_00)
    assert envelope.factoring_agreement == "99001"
    (noted_down,) = assigned.audit("envelope.assigned")
    after = hashlib.sha256(next(iter(evening.files.values()))).hexdigest()
    assert (noted_down.object_id, noted_down.facts["agreement"]) == (str(envelope.id), "99001")
    assert noted_down.facts["sha256_after"] == envelope.sha256 == after != noted_down.facts["sha256_before"]
    for document in marked_in(evening).values():
        told = read_ubl(io.BytesIO(document))
        assert (told.payee.name, told.notes) == ("Example Factoring AS", ("Fordringen er overdratt til Lowell.",))
        assert [means.account for means in told.means] == ["86011117947"]


def test_without_its_document_an_invoice_is_held_and_goes_once_it_is_there(assigned):
    content = invoice_document("5067", 1250_00)
    name = take(assigned, content, keeps=False)
    assert assigned.evening().held == {name: {"factoring.document_missing"}}
    take(assigned, content)
    assert list(marked_in(assigned.evening())) == [f"invoice-kp-{assigned.entry_id(name)}.xml"]


def test_the_same_document_again_is_kept_once_and_another_takes_its_place(assigned):
    name = take(assigned, invoice_document("5067", 1250_00))
    (before,) = assigned.rows(LedgerDocument)
    take(assigned, invoice_document("5067", 1250_00))
    assert assigned.rows(LedgerDocument) == [before]
    take(assigned, invoice_document("5067", 1250_00, note="<cbc:Note>Takk</cbc:Note>"))
    (after,) = assigned.rows(LedgerDocument)
    assert (after.entry_id, after.blob_id != before.blob_id) == (assigned.entry_id(name), True)
    (document,) = marked_in(assigned.evening()).values()
    assert read_ubl(io.BytesIO(document)).notes == ("Takk Fordringen er overdratt til Lowell.",)
