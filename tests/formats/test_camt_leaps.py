"""Speed changes nothing: known shapes leapt over give what the XML parser alone gives, in good files and damaged ones.

A difference here would be money read wrongly at speed. Payments, totals, verdict, and findings with their places are
compared; the files repeat their entries, because a shape is leapt over from the third time on.
"""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import FileQuarantined, FileRefused
from gateway.formats import camt_walk
from gateway.formats.camt import CamtReader
from gateway.formats.camt_walk import Walk
from gateway.testing.camt_files import (
    CamtEntry,
    CamtPayment,
    CamtShape,
    ManyCamtEntries,
    camt_file,
    random_camt_entries,
)
from tests.conftest import SHARED
from tests.formats.test_damage import mutated, mutations

FILES = [
    *sorted((Path(__file__).parents[1] / "corpus" / "payments").glob("*.xml")),
    *sorted((SHARED / "samples" / "payments" / "camt").glob("*.xml")),
]
seeds = st.integers(0, 10**6)
shapes = st.builds(
    CamtShape,
    message=st.sampled_from(["camt.054", "camt.053"]),
    version=st.sampled_from(["02", "04", "08", "13", ""]),
    prefix=st.sampled_from(["", "ns2"]),
    break_lines=st.sampled_from(["", "\n", "\r\n\t"]),
    has_balances=st.booleans(),
)
chunks = st.sampled_from([7, 300, 1999, 1 << 19])


def outcome(data: bytes, *, leaps: bool, chunk: int = 1 << 19):
    """Return everything a reader tells of *data*, and how much of it the parser was given."""
    reader = CamtReader(io.BytesIO(data))
    reader._walk = Walk(reader, leaps=leaps)
    payments, verdict, findings = [], "accepted", reader.findings
    with patch.object(camt_walk, "CHUNK_BYTES", chunk):
        try:
            for payment in reader:
                payments.append(payment)  # noqa: PERF402 - what was read before a fault counts
        except (FileQuarantined, FileRefused) as error:
            verdict, findings = type(error).__name__, list(error.findings)
    told = (verdict, payments, findings, reader.totals, reader.transactions, reader.accounts, reader.sections)
    return told, reader._walk._fed


def both_ways(data: bytes, chunk: int = 1 << 19):
    """Read *data* with leaps and without, and return what both tell and what the parser was given of it."""
    told, fed = outcome(data, leaps=True, chunk=chunk)
    assert told == outcome(data, leaps=False)[0]
    return told, fed


@settings(deadline=None)
@given(seeds, shapes, chunks)
def test_good_files_read_the_same(seed, shape, chunk):
    (verdict, payments, *_), _ = both_ways(camt_file(random_camt_entries(seed, 12) * 4, shape), chunk)
    assert (verdict, len(payments)) == ("accepted", 48)


@settings(max_examples=300, deadline=None)
@given(seeds, shapes, chunks, mutations)
def test_damaged_files_are_judged_the_same(seed, shape, chunk, steps):
    both_ways(mutated(camt_file(random_camt_entries(seed, 8) * 4, shape), steps), chunk)


@pytest.mark.parametrize("per_entry", [1, 2, 3, 16, 17, 60])
@pytest.mark.parametrize("break_lines", ["", "\r\n  "])
@pytest.mark.parametrize("version", ["02", "08"])
def test_leaps_do_happen(per_entry, break_lines, version):
    """Without this the other tests could compare the parser with itself."""
    data = camt_file(ManyCamtEntries(7, 500, per_entry), CamtShape(version=version, break_lines=break_lines))
    (verdict, payments, findings, *_), fed = both_ways(data)
    assert (verdict, len(payments), findings) == ("accepted", 500, [])
    assert fed < len(data) / 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_of_others_read_the_same_when_what_they_hold_comes_again(path):
    data = path.read_bytes()
    both_ways(data)
    entries = re.search(rb"<Ntry>.*</Ntry>", data, re.DOTALL)
    if entries:
        both_ways(data.replace(entries[0], entries[0] * 4))


# --- what only the parser understands --------------------------------------------------------------------------------

DISGUISES = {
    "comment": (b"<RltdPties>", b"<!-- </TxDtls><TxDtls> --><RltdPties>"),
    "instruction": (b"<RltdPties>", b"<?x </TxDtls>?><RltdPties>"),
    "character data": (b"<Nm>Kari", b"<Nm><![CDATA[</Nm>Kari]]>"),
    "entity": (b"<Nm>Kari", b"<Nm>&lt;Kari&#62;"),
    "unknown entity": (b"<Nm>Kari", b"<Nm>&kari;"),
    "bare ampersand": (b"<Nm>Kari", b"<Nm>& Kari"),
    "single quotes": (b'<Amt Ccy="NOK">', b"<Amt Ccy='NOK'>"),
    "blanks in a tag": (b'<Amt Ccy="NOK">', b'<Amt  Ccy = "NOK" >'),
    "another attribute": (b'<Amt Ccy="NOK">', b'<Amt x="1" Ccy="NOK">'),
    "attributes in another order": (b'<Amt Ccy="NOK">', b'<Amt Ccy="NOK" x="1">'),
    "no currency": (b'<Amt Ccy="NOK">', b"<Amt>"),
    "another currency": (b'<Amt Ccy="NOK">', b'<Amt Ccy="SEK">'),
    "a namespace inside": (b"<RltdPties>", b'<RltdPties xmlns="urn:other">'),
    "an unknown element": (b"<RltdPties>", b"<New>x</New><RltdPties>"),
    "an empty element": (b"<RltdPties>", b"<Purp/><RltdPties>"),
    "an element inside a text": (b"<Nm>Kari", b"<Nm>Kari<b>x</b>"),
    "an element twice": (b"<RltdPties>", b"<Refs><AcctSvcrRef>Z</AcctSvcrRef></Refs><RltdPties>"),
    "end of character data": (b"<Nm>Kari", b"<Nm>]]>Kari"),
    "a control character": (b"<Nm>Kari", b"<Nm>\x01Kari"),
    "a zero": (b"<Nm>Kari", b"<Nm>\x00Kari"),
    "no utf-8": (b"<Nm>Kari", b"<Nm>\xe6Kari"),
    "a surrogate": (b"<Nm>Kari", b"<Nm>\xed\xa0\x80Kari"),
    "U+FFFE": (b"<Nm>Kari", b"<Nm>\xef\xbf\xbeKari"),
    "another script": (b"<Nm>Kari", "<Nm>日本 \U0001f4b6 ".encode()),
    "a carriage return": (b"<Nm>Kari", b"<Nm>\r\nKari"),
    "a wrong end": (b"</RltdPties>", b"</RltdParties>"),
    "a missing end": (b"</RltdPties>", b""),
    "a document type": (b"<RltdPties>", b"<!DOCTYPE x><RltdPties>"),
    "text between": (b"<RltdPties>", b"oops<RltdPties>"),
    "money going out": (b"<CdtDbtInd>CRDT", b"<CdtDbtInd>DBIT"),
    "no direction": (b"<CdtDbtInd>CRDT", b"<CdtDbtInd>"),
    "a direction with blanks": (b"<CdtDbtInd>CRDT", b"<CdtDbtInd> CRDT "),
    "three decimals": (b">1000.00<", b">1000.000<"),
    "no decimals": (b">1000.00<", b">1000<"),
    "a fraction of an ore": (b">1000.00<", b">1000.001<"),
    "a minus": (b">1000.00<", b">-1000.00<"),
    "another amount": (b">1000.00<", b">1000.01<"),
    "many digits": (b">1000.00<", b">0000000000000000001000.00<"),
    "digits of another script": (b">1000.00<", ">١000.00<".encode()),
    "not booked": (b"<Cd>BOOK<", b"<Cd>PDNG<"),
    "no status": (b"<Cd>BOOK<", b"<Cd><"),
    "a day that is none": (b"<Dt>2026-11-02", b"<Dt>2026-11-31"),
    "a time": (b"<Dt>2026-11-02", b"<Dt>2026-11-02T23:59:00-11:00"),
    "a day and more": (b"<Dt>2026-11-02", b"<Dt>2026-11-02 x"),
    "an order day that is none": (b"<AccptncDtTm>2026-11-02", b"<AccptncDtTm>2026-02-29"),
    "an order day with blanks": (b"<AccptncDtTm>2026-11-02", b"<AccptncDtTm> 2026-11-02"),
    "another count": (b"<NbOfTxs>", b"<NbOfTxs>1"),
    "a count with blanks": (b"<NbOfTxs>", b"<NbOfTxs> "),
    "another sum": (b'<TtlAmt Ccy="NOK">', b'<TtlAmt Ccy="NOK">1'),
    "a reference without type": (b"<Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>", b""),
    "a reference of another type": (b"<Cd>SCOR</Cd>", b"<Prtry>QRR</Prtry>"),
    "a return": (b"</TxDtls>", b"<RtrInf><Rsn><Cd>MD06</Cd></Rsn></RtrInf></TxDtls>"),
    "an additional text": (b"</TxDtls>", b"<AddtlTxInf> </AddtlTxInf></TxDtls>"),
    "charges": (b"</TxDtls>", b'<Chrgs><Rcrd><Amt Ccy="NOK">5.00</Amt></Rcrd></Chrgs></TxDtls>'),
    "two details": (b"</TxDtls></NtryDtls>", b"</TxDtls></NtryDtls><NtryDtls></NtryDtls>"),
    "a text behind": (b"</NtryDtls>", b"</NtryDtls><AddtlNtryInf>&amp;</AddtlNtryInf>"),
    "a date behind": (b"</NtryDtls>", b"</NtryDtls><BookgDt><Dt>2026-11-30</Dt></BookgDt>"),
}  # fmt: skip


@pytest.mark.parametrize("per_entry", [1, 3, 30])
@pytest.mark.parametrize(("old", "new"), DISGUISES.values(), ids=DISGUISES)
def test_what_only_the_parser_understands_reads_the_same(old, new, per_entry):
    """Each disguise stands in the first of many, in one in the middle, in the last, and in three that follow."""
    payment = CamtPayment(
        100000, "0012345672", bank_reference="A1", order_day=None, address=("Vei 1", "", "0001", "OSLO", "NO")
    )
    payment = replace(payment, order_day=CamtEntry().day)
    entry = CamtEntry((payment,) * per_entry, batch=str(per_entry))
    data = camt_file([entry] * 12, CamtShape(has_summary=False))
    count = data.count(old)
    assert count >= 12
    parts = data.split(old)
    for places in ({0}, {count // 2}, {count - 1}, {5, 6, 7}, set(range(count))):
        glue = [new if index in places else old for index in range(count)]
        both_ways(b"".join(x for pair in zip(parts, [*glue, b""], strict=True) for x in pair))


def test_a_file_cut_within_what_is_leapt_over_never_takes_effect():
    data = camt_file(ManyCamtEntries(3, 40))
    whole = len(data.rstrip())
    for length in range(whole // 2, whole, 13):
        (verdict, *_), _ = outcome(data[:length], leaps=True)
        assert verdict == "FileQuarantined", length


def test_a_shape_of_one_message_is_not_taken_for_that_of_the_next():
    """The second document has another namespace for the same prefix: its shapes are learnt anew."""
    one = camt_file(ManyCamtEntries(3, 20), CamtShape(prefix="n")).partition(b"?>")[2].strip()
    two = camt_file(ManyCamtEntries(4, 20), CamtShape(prefix="n", message="camt.053")).partition(b"?>")[2].strip()
    (verdict, payments, *_), _ = both_ways(b"<All>" + one + two + b"</All>")
    assert (verdict, len(payments)) == ("accepted", 40)


@pytest.mark.parametrize("charset", ["ISO-8859-1", "US-ASCII", "UTF-16", "windows-1252", "utf-8"])
def test_any_charset_reads_the_same(charset):
    entries = [CamtEntry((CamtPayment(100, "19", name="Kari"),) * 3)] * 6
    text = camt_file(entries).decode().replace("UTF-8", charset)
    (verdict, payments, *_), _ = both_ways(text.encode(charset))
    assert (verdict, {payment.payer_name for payment in payments}) == ("accepted", {"Kari"})
