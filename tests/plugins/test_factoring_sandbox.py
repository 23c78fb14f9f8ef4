"""The factor at the other end: reads what we write, refuses what is wrong, and pays through its bank."""

import subprocess
import sys
from datetime import timedelta

import netsgiro
import pytest
from lxml import etree

from gateway.domain.exchange import Direction
from gateway.formats.camt import CamtReader
from gateway.formats.ocr_giro import OcrGiroReader
from gateway.testing.agency_kit import MemorySink
from plugins.factoring import plugin
from plugins.factoring.sandbox import UnreadableFile, make_sandbox
from tests.plugins.factoring_cases import AGREEMENT, NOW, SEAL, SECOND, agreement, claim, credit_note, kid
from tests.profiles.builders import CORPUS

FACTS = {
    "client_number": "1234",
    "kid_scheme": "sgfinans-16",
    "creditor_account": "15032080119",
    "agency_account": "86011117947",
    "agency_name": "Example Factor AS",
}


@pytest.fixture
def factor(tmp_path):
    return make_sandbox(tmp_path, FACTS)


def upload(folder, *claims, later=False):
    sink = MemorySink()
    (plugin.export_linked_items if later else plugin.export_invoice)(list(claims), AGREEMENT, SEAL, sink)
    for name, content in sink.files.items():
        (folder / "upload" / name).write_bytes(content)


def test_ledger_agrees_with_ours(factor, tmp_path):
    upload(tmp_path, claim("1001", 125000, items=[credit_note("1004", 25000)]), claim("1002", 9900, customer=SECOND))
    assert factor.work(NOW) == 2
    assert factor.balances() == {"1001": 100000, "1002": 9900}
    upload(tmp_path, claim("1002", customer=SECOND, items=[credit_note("1005", 900)]), later=True)
    assert factor.work(NOW) == 1
    assert factor.balances() == {"1001": 100000, "1002": 9000}
    assert factor.problems() == []
    assert list((tmp_path / "upload").iterdir()) == []


def test_same_file_again_changes_nothing(factor, tmp_path):
    for _ in range(3):
        upload(tmp_path, claim("1001"))
        factor.work(NOW)
    assert factor.balances() == {"1001": 125000}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content.replace(b"11234", b"14321", 1), "client number 4321"),
        (lambda content: content[:-2], "cut off"),
        (lambda content: content.replace(b"NOK", b"EUR"), "not an invoice or credit note in NOK"),
        (lambda content: content.replace(b"000100017", b"000100099"), "customer 100099 is unknown"),
        (lambda content: content.replace(b"Kreditnota til 1001", b"Kreditnota til 1009"), "names no invoice"),
        (lambda content: content.replace(b"261015", b"261315"), "not a day"),
        (lambda content: content + content[:130], "came before"),
        (lambda content: content.replace(b"00000125000", b"00000000000"), "not a number above zero"),
    ],
)
def test_damaged_file_is_refused_whole(factor, tmp_path, damage, problem):
    upload(tmp_path, claim("1001", items=[credit_note("1004")]))
    path = tmp_path / "upload" / "Faktura.SGF"
    path.write_bytes(damage(path.read_bytes()))
    factor.work(NOW)
    assert factor.balances() == {}
    assert [problem in told for told in factor.problems()] == [True]


@pytest.mark.parametrize("fill", ["zero", "blank"])
def test_both_fills_of_the_organisation_number_are_read(factor, tmp_path, fill):
    sink = MemorySink()
    plugin.export_invoice([claim()], agreement(org_number_fill=fill), SEAL, sink)
    (tmp_path / "upload" / "Kunde.SGK").write_bytes(sink.files["Kunde.SGK"])
    factor.work(NOW)
    assert factor.problems() == []


def test_pays_by_ocr_giro_as_another_reader_sees_it(factor, tmp_path):
    upload(tmp_path, claim("1001"), claim("1002", customer=SECOND))
    factor.work(NOW)
    name = factor.pay({"1001": 125000, "1002": 100}, NOW, via="ocr")
    content = (tmp_path / "download" / name).read_bytes().decode("iso-8859-1")
    assert {len(line) for line in content.split("\r\n")[:-1]} == {80}
    read = netsgiro.parse(content.replace("\r\n", "\n"))
    (assignment,) = read.assignments
    assert assignment.account == FACTS["creditor_account"]
    assert [(int(t.amount * 100), t.kid.strip(), t.debit_account) for t in assignment.transactions] == [
        (125000, kid("1001"), FACTS["agency_account"]),
        (100, kid("1002", "100018"), FACTS["agency_account"]),
    ]
    end = content.split("\r\n")[-2]
    assert (int(end[8:16]), int(end[16:24]), int(end[24:41])) == (2, content.count("\r\n"), 125100)
    assert factor.balances() == {"1001": 0, "1002": 124900}


def test_pays_by_camt_054(factor, tmp_path):
    upload(tmp_path, claim("1001"))
    factor.work(NOW)
    name = factor.pay({"1001": 100050}, NOW)
    root = etree.fromstring((tmp_path / "download" / name).read_bytes())
    space = {"c": "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"}
    assert root.tag == f"{{{space['c']}}}Document"
    amounts = root.xpath("//c:Amt/text() | //c:Sum/text()", namespaces=space)
    assert amounts == ["1000.50"] * 3
    assert root.xpath("//c:CdtrRefInf/c:Ref/text()", namespaces=space) == [kid("1001")]
    assert root.xpath("//c:DbtrAcct//c:Othr/c:Id/text()", namespaces=space) == [FACTS["agency_account"]]


def test_pays_for_invoices_it_has_and_in_forms_it_knows(factor, tmp_path):
    with pytest.raises(UnreadableFile, match="no invoice 9"):
        factor.pay({"9": 100}, NOW)
    upload(tmp_path, claim("1001"))
    factor.work(NOW)
    with pytest.raises(ValueError, match="cremul"):
        factor.pay({"1001": 100}, NOW, via="cremul")
    assert factor.balances() == {"1001": 125000}
    assert list((tmp_path / "download").iterdir()) == []


def test_state_outlives_the_process_and_owed_files_are_written_later(factor, tmp_path):
    upload(tmp_path, claim("1001"))
    factor.work(NOW)
    name = factor.pay({"1001": 5000}, NOW)
    with factor._state() as state:  # as if killed between the promise and the file
        state.execute("update bank_file set is_written = 0")
    content = (tmp_path / "download" / name).read_bytes()
    (tmp_path / "download" / name).unlink()
    again = make_sandbox(tmp_path, FACTS)
    assert again.work(NOW + timedelta(days=1)) == 1
    assert (tmp_path / "download" / name).read_bytes() == content
    assert again.balances() == {"1001": 120000}
    assert again.work(NOW + timedelta(days=1)) == 0


KILLED = """
import os, pathlib, sys
from datetime import UTC, datetime
from plugins.factoring import sandbox
unlink = pathlib.Path.unlink
def killed(self, *args):
    if self.name == sys.argv[2]:
        os.kill(os.getpid(), 9)
    unlink(self, *args)
pathlib.Path.unlink = killed
facts = dict(client_number="1234", kid_scheme="sgfinans-16", creditor_account="15032080119", agency_account="86011117947")
sandbox.make_sandbox(pathlib.Path(sys.argv[1]), facts).work(datetime(2026, 10, 20, tzinfo=UTC))
"""


@pytest.mark.parametrize("name", ["Kunde.SGK", "Faktura.SGF"])
def test_killed_between_commit_and_removal_counts_nothing_twice(factor, tmp_path, name):
    upload(tmp_path, claim("1001", items=[credit_note("1004", 5000)]))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), name], check=False)
    assert done.returncode == -9
    assert (tmp_path / "upload" / name).exists()
    factor.work(NOW)
    assert factor.balances() == {"1001": 120000}
    assert factor.problems() == []


def test_gateway_reads_the_banks_files_as_credits_to_the_creditor(factor, tmp_path):
    upload(tmp_path, claim("1001"), claim("1002", customer=SECOND))
    factor.work(NOW)
    for via, reader in (("ocr", OcrGiroReader), ("camt.054", CamtReader)):
        name = factor.pay({"1001": 300, "1002": 50}, NOW, via=via)
        with (tmp_path / "download" / name).open("rb") as stream:
            stream_of = reader(stream)
            payments = list(stream_of)
        assert stream_of.findings == []
        assert [(p.reference, p.amount_minor, p.payer_account, p.posts) for p in payments] == [
            (kid("1001"), 300, FACTS["agency_account"], True),
            (kid("1002", "100018"), 50, FACTS["agency_account"], True),
        ]
        assert {(p.account, p.currency, p.direction, p.booking_date) for p in payments} == {
            (FACTS["creditor_account"], "NOK", Direction.CREDIT, NOW.date())
        }


# --- Svea: read, though no claim has the rows to write it by ---------------------------------------------------------

SVEA = {
    "layout": "svea-fi",
    "client_number": "7654321",
    "creditor_account": "12345600000785",
    "agency_account": "12345600000999",
}


def ledger_file(folder, content, name="f112301.7654321"):
    far = make_sandbox(folder, SVEA)
    (folder / "upload" / name).write_bytes(content)
    far.work(NOW)
    return far


def test_sveas_file_is_taken_with_its_rows(tmp_path, shared):
    far = ledger_file(tmp_path, (CORPUS / "svea-fi.txt").read_bytes())
    assert (far.problems(), far.balances()) == ([], {"100031": 9990, "100032": -1000})
    published = shared / "formats" / "agencies" / "examples" / "svea_f112201.7654321"
    assert ledger_file(tmp_path, published.read_bytes(), "f112201.7654321").balances()["100019"] == 124000


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (b"0076543212026", b"0076543222026", "'7654322' at 3-9"),
        (b"000010990+", b"000010991+", "counts other invoices"),
        (b"000000002000", b"000000003000", "counts other invoices"),
        (b"1176543210000100031", b"1176543210000100032", "the row of another invoice"),
        (b"081T", b"081B", "at 33-33"),
        (b"00000009990+", b"00000009990-", "at 346-346"),
        (b"00000001933+", b"00000099900+", "its tax is all of it"),
        (b"kpl \r\n", b"kpl\r\n", "142 characters are no record '11'"),
        (b"20261129", b"20261329", "is not a day"),
    ],
)
def test_a_damaged_file_for_svea_is_refused_whole(was, becomes, told, tmp_path):
    content = (CORPUS / "svea-fi.txt").read_bytes()
    assert was in content
    far = ledger_file(tmp_path, content.replace(was, becomes, 1))
    (problem,) = far.problems()
    assert told in problem
    assert far.balances() == {}
