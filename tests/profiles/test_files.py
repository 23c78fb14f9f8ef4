"""Delimited and XML files by profiles of their own; writing and reading need the same memory for any length."""

from __future__ import annotations

import io
import random
import tracemalloc

import pytest

from gateway.errors import DecodeError, EncodeError, GatewayError
from gateway.profiles import ProfileFile, export, load, loads
from gateway.profiles.drafting import KINDS, draft
from gateway.profiles.shipped import shipped
from gateway.profiles.trial import attempt
from gateway.testing.agency_kit import MemorySink
from tests.profiles.builders import SMALL, agreement, read, seal, shipped_file, two_claims, written

CSV = """\
InvoiceNo;DueDate;Balance\r
500124;2026-11-15;1250,00\r
"5;00""125";2026-11-16;54,10\r
"""
XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<Claims xmlns="urn:example:claims">
  <Client number="47&amp;11" created="2026-11-23T17:30:00+01:00"/>
  <Claim invoice="500124" due="2026-11-15" balance="1250.00">
    <Debtor>Tindevik &lt;Verksted&gt; AS</Debtor>
  </Claim>
  <Claim invoice="500125" due="2026-11-16" balance="54.10">
    <Debtor>Ola Eksempel</Debtor>
  </Claim>
  <Control claims="2" sum="1304.10"/>
</Claims>
"""


def drafted(kind):
    return ProfileFile(loads(draft("ours", kind=kind).encode()), "claims")


def exported(file, claims, owner):
    sink = MemorySink()
    export(file, claims, owner, seal("claims", 7), sink)
    return sink.files


def test_a_delimited_draft_writes_names_quotes_and_commas():
    claims = two_claims()
    claims[1] = claims[1]._replace(invoice_number='5;00"125')
    file = drafted("delimited")
    assert exported(file, claims, agreement()) == {"claims_4711_0007.csv": CSV.encode()}
    values = [row.values for row in read(file, CSV.encode()) if row.part == "claim"]
    assert [(value["invoice"], value["balance"]) for value in values] == [("500124", 125000), ('5;00"125', 5410)]


def test_a_separator_without_quotes_is_refused():
    text = draft("ours", kind="delimited").replace("quote = '\"'", "")
    file = ProfileFile(loads(text.encode()), "claims")
    claims = [two_claims()[0]._replace(invoice_number="5;1")]
    with pytest.raises(EncodeError, match="holds the separator"):
        exported(file, claims, agreement())


def test_an_xml_draft_writes_text_inside_elements_and_counts():
    claims = two_claims()
    claims[0] = claims[0]._replace(customer=claims[0].customer._replace(name="Tindevik <Verksted>  AS"))
    file = drafted("xml")
    assert exported(file, claims, agreement("47&11")) == {"claims.007": XML.encode()}
    rows = [row for row in read(file, XML.encode()) if row.part in {"Claim", "Debtor"}]
    assert [row.line for row in rows] == [4, 5, 7, 8]
    assert rows[1].values == {"text": "Tindevik <Verksted> AS"}


def test_an_agency_may_want_negative_amounts_and_no_xml_declaration():
    """With us an amount is positive; what it is tells the direction, and the profile how the agency wants to see it."""
    text = draft("ours", kind="xml").replace('kind = "xml"', 'kind = "xml"\ndeclaration = false')
    text = text.replace('from = "claim.open_minor"', 'negative = true, from = "claim.open_minor"')
    text = text.replace('sum = ["Claim.balance"]', 'minus = ["Claim.balance"]').replace(
        'name = "sum", type', 'name = "sum", signed = true, type'
    )
    file = ProfileFile(loads(text.encode()), "claims")
    (content,) = exported(file, two_claims(), agreement()).values()
    assert content.startswith(b"<Claims xmlns=")
    assert [balance in content for balance in (b'balance="-1250.00"', b'balance="-54.10"', b'sum="-1304.10"')] == [
        True
    ] * 3
    assert [row.values["balance"] for row in read(file, content) if row.part == "Claim"] == [125000, 5410]


def test_xml_is_written_with_the_line_ends_that_the_profile_says():
    made = ProfileFile(
        loads(draft("ours", kind="xml").replace('newline = "lf"', 'newline = "crlf"').encode()), "claims"
    )
    plain = drafted("xml")
    (there,), (here,) = (
        exported(made, two_claims(), agreement()).values(),
        exported(plain, two_claims(), agreement()).values(),
    )
    assert there == here.replace(b"\n", b"\r\n")
    assert [row.values for row in read(made, there)] == [row.values for row in read(plain, here)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('balance="54.10"', 'balance="54.1"', "line 7, Claim.@balance: must be an amount written 0.00"),
        (' due="2026-11-16"', "", "line 7, Claim.@due: is missing"),
        (' due="2026-11-16"', ' due="2026-11-16" more="1"', "line 7, Claim.more: is no attribute"),
        ("<Debtor>Ola Eksempel</Debtor>", "<Debitor/>", "line 8, Debitor: is no element of this file inside Claim"),
        ('sum="1304.10"', 'sum="1304.11"', "line 10, Control.sum: is a control total that does not agree"),
        ('xmlns="urn:example:claims"', 'xmlns="urn:other"', "line 2, Claims: is no element of this file"),
        ("<Claims ", '<!DOCTYPE Claims [<!ENTITY a "b">]><Claims ', "document type declaration"),
        ("</Claims>", "", "not well-formed"),
        ("\n  <Control", "loose\n  <Control", "holds text where none belongs"),
    ],
)
def test_a_wrong_document_is_refused_with_its_place(before, after, told):
    assert XML.count(before) >= 1
    with pytest.raises(DecodeError) as refused:
        read(drafted("xml"), XML.replace(before, after).encode())
    assert told in str(refused.value)


def test_records_stand_where_they_must_or_nothing_is_written():
    file = drafted("fixed")
    row = {"invoice_number": "1", "due_date": two_claims()[0].due_date, "balance": 1, "customer_kind": "company"}
    start = {"client_number": "4711", "date": two_claims()[0].due_date}
    assert b"99" in written(file, [("start", start), ("claim", row), ("end", {})])
    for rows, told in (
        ([("claim", row), ("end", {})], "without start"),
        ([("start", start), ("end", {}), ("claim", row)], "behind the end"),
        ([("start", start), ("start", start)], "once"),
        ([("start", start), ("clam", row)], "no record of claims"),
        ([("start", start), ("claim", {**row, "balnce": 1})], "no field balnce"),
        ([("start", start), ("claim", {**row, "balance": "1"})], "must be"),
        ([("start", start), ("claim", {**row, "due_date": ["1"]})], "claim: .*"),
        ([("start", start), ("claim", {**row, "customer_kind": "public"})], "must be one of 'B', 'P'"),
    ):
        with pytest.raises(EncodeError, match=told):
            written(file, rows)


def test_a_long_file_needs_no_more_memory_than_a_short_one(tmp_path):
    """Ten times the records within a quarter of a mebibyte: what is kept is a chunk and the totals."""

    def peak(count):
        file, path = ProfileFile(loads(SMALL.encode()), "claims"), tmp_path / str(count)
        tracemalloc.start()
        with path.open("wb") as out, file.write(out) as writer:
            for number in range(count):
                writer.put("claim", {"number": str(number + 1), "balance": 100})
            writer.put("end")
        with path.open("rb") as back:
            assert sum(1 for _ in file.read(back)) == count + 1
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(10_000) < peak(1_000) + (1 << 18)


def test_no_bytes_whatever_end_in_another_error_than_ours():
    chance = random.Random(27)
    profiles = [load(path) for path in shipped().values()]
    files = [ProfileFile(made, key) for made in profiles for key in made.files]
    files += [drafted(kind) for kind in KINDS]
    sample = XML.encode()
    damaged = 0
    for file in files:
        for _ in range(6):
            content = bytearray(chance.choice([sample, b"99" * 200, chance.randbytes(300), b'"\n;\x00', CSV.encode()]))
            content[chance.randrange(len(content))] = chance.randrange(256)
            trial = attempt(file, io.BytesIO(bytes(content)))
            damaged += bool(trial.fault)
            try:
                read(file, bytes(content))
            except GatewayError as error:
                assert str(error)  # noqa: PT017 - that it may be refused is the point; nothing else may be raised
    assert damaged > len(files)


def test_a_trial_shows_the_fault_where_it_stands():
    good = written(shipped_file("nk003-standard", "claims"), [("claim", _row(number)) for number in range(1, 5)])
    content = good.replace(b"2026110320261103", b"2026130320261103")
    trial = attempt(shipped_file("nk003-standard", "claims"), io.BytesIO(content), records=1)
    assert trial.fault == "line 3, claim.invoice_date: must be a date written YYYYMMDD: '20261303'"
    first, third = trial.view.records
    assert (first.line, third.line, trial.view.total) == (1, 3, 4)
    wrong = [field for field in third.fields if field.is_wrong]
    assert [(field.tag, field.value) for field in wrong] == [("201-208", "20261303")]
    assert third.findings[0].text == "claim.invoice_date must be a date written YYYYMMDD"


def _row(number):
    day = two_claims()[0].invoice_date.replace(day=number)
    return {
        "client_number": "1", "debtor_number": "2", "debtor_name": "A", "address": "B", "postcode": "1", "town": "C",
        "invoice_number": str(number), "reference": "", "invoice_date": day, "due_date": day, "balance": number,
    }  # fmt: skip
