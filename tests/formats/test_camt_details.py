"""camt.054 and camt.053: what a transaction says beside its amount, and what its surroundings state (payments.md 5)."""

from __future__ import annotations

import io
import re

import pytest

from gateway.formats.camt import CamtReader
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file
from tests.formats.reading import read
from tests.formats.test_camt import one

TOTAL_OF_CHARGES = '<Chrgs><TtlChrgsAndTaxAmt Ccy="NOK">50.00</TtlChrgsAndTaxAmt>'


def charge(text, more="", version="08"):
    record = f'<Amt Ccy="NOK">{text}</Amt>{more}'
    return f"<Chrgs>{record if version == '02' else f'<Rcrd>{record}</Rcrd>'}</Chrgs>"


@pytest.mark.parametrize(
    ("markup", "minor"),
    [
        (charge("50.00"), 5000),
        (charge("50.00", version="02"), 5000),
        (charge("50.00", "<CdtDbtInd>DBIT</CdtDbtInd><ChrgInclInd>true</ChrgInclInd>"), 5000),
        (charge("50.00", "<CdtDbtInd>DBIT</CdtDbtInd><ChrgInclInd>false</ChrgInclInd>"), 0),
        (charge("50.00", "<CdtDbtInd>CRDT</CdtDbtInd>"), 0),
        (charge("30.00") + charge("20.00"), 5000),
        (TOTAL_OF_CHARGES + "</Chrgs>", 5000),
        (TOTAL_OF_CHARGES + charge("40")[7:-8] + charge("10")[7:], 5000),
        (charge("5.00").replace("NOK", "EUR"), 0),
        (charge("50.00") + '<AmtDtls><InstdAmt><Amt Ccy="NOK">950.00</Amt></InstdAmt></AmtDtls>', 0),
        (charge("50.00") + '<AmtDtls><InstdAmt><Amt Ccy="NOK">1000.00</Amt></InstdAmt></AmtDtls>', 5000),
    ],
)  # fmt: skip
def test_charges_taken_on_the_way_are_told(markup, minor):
    """The classic payment that is fifty short: the payer sent 1000, 950 arrived."""
    got = one(CamtPayment(95000, "19", extra=markup))
    assert (got.verdict, got.payments[0].amount_minor, got.payments[0].charges_minor) == ("accepted", 95000, minor)


@pytest.mark.parametrize(
    ("amount", "parts"),
    [("<RmtdAmt Ccy='NOK'>7</RmtdAmt>", [700, 300]), ("<DuePyblAmt Ccy='NOK'>7</DuePyblAmt>", [700, 300]),
     ("<DuePyblAmt Ccy='NOK'>9</DuePyblAmt><RmtdAmt Ccy='NOK'>7</RmtdAmt>", [700, 300]),
     ("<RmtdAmt Ccy='NOK'>9</RmtdAmt><CdtNoteAmt Ccy='NOK'>2</CdtNoteAmt>", [700, 300]),
     ("<RmtAmtAndTp><Tp><Cd>XXXX</Cd></Tp><Amt Ccy='NOK'>7</Amt></RmtAmtAndTp>", [700, 300]),
     ("<DuePyblAmt Ccy='NOK'>9</DuePyblAmt>", [None, None]), ("<RmtdAmt Ccy='SEK'>7</RmtdAmt>", [None, None])],
)  # fmt: skip
def test_parts_of_the_amount_are_taken_only_where_they_add_up(amount, parts):
    def strd(number, paid):
        return f"<Strd><RfrdDocInf><Nb>{number}</Nb></RfrdDocInf><RfrdDocAmt>{paid}</RfrdDocAmt></Strd>"

    rest = "<RmtdAmt Ccy='NOK'>3</RmtdAmt>"
    got = one(CamtPayment(1000, extra=f"<RmtInf>{strd('F1', amount)}{strd('F2', rest)}</RmtInf>"))
    assert got.verdict == "accepted"
    assert [(r.value, r.amount_minor) for r in got.payments[0].references] == [("F1", parts[0]), ("F2", parts[1])]


def test_one_reference_that_covers_the_payment_is_not_listed_again():
    payment = one(CamtPayment(1000, "0012345672", texts=("takk",))).payments[0]
    assert (payment.reference, payment.reference_kind, payment.references, payment.text) == (
        "0012345672", "scor", (), "takk"
    )  # fmt: skip
    paid = one(CamtPayment(1000, documents=(("CINV", "F1", 1000),))).payments[0]
    assert (paid.reference, paid.reference_kind, paid.references) == ("F1", "invoice", ())


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("NO9386011117947", "86011117947"), ("NO93 8601 1117 947", "86011117947"), ("8601.11.17947", "86011117947"),
     ("SE4550000000058398257466", "SE4550000000058398257466"), ("9912346", "9912346")],
)  # fmt: skip
def test_accounts_are_compared_in_one_form(written, read_as):
    got = read(camt_file([CamtEntry((CamtPayment(100, "19", payer=written),) * 4)], CamtShape(account=written)))
    assert {(p.payer_account, p.account) for p in got.payments} == {(read_as, read_as)}


@pytest.mark.parametrize("version", ["02", "04", "08", "12"])
def test_the_net_total_is_compared(version):
    entries = [CamtEntry((CamtPayment(300, "19"),)), CamtEntry((CamtPayment(100, "27", is_credit=False),))]
    data = camt_file(entries, CamtShape(version=version))
    assert read(data).verdict == "accepted"
    wrong = re.sub(rb"(<TtlNetNtry(?:Amt)?>(?:<Amt>)?)2.00", rb"\g<1>2.01", data)
    assert wrong != data
    assert read(wrong).codes == {"file.control_total"}
    turned = re.sub(rb"(<TtlNetNtry(?:Amt>[0-9.]*</TtlNetNtryAmt>|>.*?</Amt>)<CdtDbtInd>)[A-Z]{4}", rb"\g<1>DBIT", data)
    assert turned != data
    got = read(turned)
    assert (got.verdict, got.codes) == ("quarantined", {"file.control_total"}), "what is owed is not what is paid"
    assert "TtlNetNtry/CdtDbtInd" in got.places


def test_sections_are_named_by_account_id_and_number():
    data = camt_file([], CamtShape(message="camt.053", has_summary=False)).decode()
    section = re.search("<Stmt>.*</Stmt>", data)[0]
    second = section.replace("<Id>1</Id>", "<Id>2</Id><ElctrncSeqNb>77</ElctrncSeqNb>", 1)
    reader = CamtReader(io.BytesIO(data.replace(section, section + second).encode()))
    assert (list(reader), reader.sections) == ([], ["12345678903:1", "12345678903:2:77"])
    assert reader.identity == "camt:M0:2026-11-23T05:30:00+01:00"


@pytest.mark.parametrize(("version", "is_known"), [("13", True), ("14", False), ("99", False)])
def test_a_version_yet_unknown_is_read_with_a_warning(version, is_known):
    got = one(shape=CamtShape(version=version))
    assert (got.verdict, got.codes) == ("accepted", set() if is_known else {"camt.version"})
    assert got.payments[0].reference == "0012345672"


def test_a_zero_balance_may_be_marked_as_a_debit():
    data = camt_file([CamtEntry((CamtPayment(100, "19"),))], CamtShape(message="camt.053", has_balances=True))
    other = data.replace(b"0.00</Amt><CdtDbtInd>CRDT", b"0.00</Amt><CdtDbtInd>DBIT", 1)
    assert other != data
    assert read(other).findings == ()


def test_the_place_of_a_finding_is_its_line_and_element():
    entries = [CamtEntry((CamtPayment(100, "19"),)) for _ in range(30)]
    lines = camt_file(entries, CamtShape(break_lines="\n", has_summary=False)).split(b"\n")
    places = [i for i, line in enumerate(lines) if line.startswith(b'<Amt Ccy="NOK">')]
    number = places[3 * 20 + 1]  # of the 21st entry: its own amount, its transaction's, and that of the details
    lines[number] = lines[number].replace(b"1.00", b"one")
    end = next(i for i, line in enumerate(lines) if i > number and line == b"</TxDtls>")
    first = read(b"\n".join(lines)).findings[0]
    assert (first.code, first.place, first.value) == ("file.invalid", f"line {end + 1}, TxDtls/Amt", "one")
