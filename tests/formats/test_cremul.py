"""CREMUL: what a wrong reader would lose, post too early, or credit to the wrong invoice (payments.md 4, 8, 11)."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction, Payment, Reference
from gateway.formats import edifact
from gateway.formats.cremul import CremulReader
from gateway.formats.explain import explain
from gateway.testing.cremul_files import (
    CremulDocument,
    CremulLine,
    CremulPayment,
    CremulShape,
    cremul_file,
    kid_messages,
    random_cremul_lines,
    wrapped,
)
from tests.conftest import SHARED
from tests.formats.cremul_reading import read_both_ways, read_one_way

seeds = st.integers(0, 10**9)
SAMPLES = SHARED / "samples" / "payments" / "cremul"
KID = CremulPayment(25000, kid="0012345672")
DAY = date(2026, 11, 2)


def one(*payments, shape=None, **line):
    """Return what is read of a file with one line."""
    return read_both_ways(cremul_file([[CremulLine(payments, **line)]], shape))


def made(seed, count=14, shape=None):
    lines = random_cremul_lines(seed, count)
    half = len(lines) // 2
    return lines, cremul_file([lines[:half], lines[half:]], shape)


def expected(line, payment):
    references = [payment.kid] if payment.kid else []
    references += [document.number for document in payment.documents]
    return (
        payment.amount_minor, line.currency, references[0] if references else "", payment.name, payment.payer,
        line.account, payment.archive or payment.order or line.bank_reference, line.bank_reference,
        line.booking_day, line.value_day, payment.order_day, payment.charges_minor or 0, " ".join(payment.texts),
        "\n".join(part for part in (payment.address[0], f"{payment.address[2]} {payment.address[1]}".strip()) if part),
    )  # fmt: skip


def facts(payment):
    return (
        payment.amount_minor, payment.currency, payment.reference, payment.payer_name, payment.payer_account,
        payment.account, payment.bank_reference, payment.statement_reference,
        payment.booking_date, payment.value_date, payment.order_date, payment.charges_minor, payment.text,
        payment.payer_address,
    )  # fmt: skip


EXAMPLE = Path(__file__).parents[1] / "corpus" / "payments" / "cremul_agency.txt"


def test_the_example_reads_as_it_was_written():
    got = read_both_ways(EXAMPLE.read_bytes())
    assert (got.verdict, got.codes) == ("accepted", set())
    assert got.totals == {"NOK": {"credit": 474950, "debit": 0}}
    kid, agency, foreign, several = got.payments
    assert (kid.reference, kid.reference_kind, kid.amount_minor, kid.order_date) == (
        "1234567897", "kid", 125050, date(2026, 11, 19),
    )  # fmt: skip
    assert (agency.case_number, agency.payer_name, agency.payer_account, agency.booking_date) == (
        "SAK100234", "INKASSO EKSEMPEL AS", "12345678903", None,
    )  # fmt: skip
    assert (foreign.amount_minor, foreign.charges_minor, foreign.text) == (26400, 5000, "Invoice 1009")
    assert [reference.amount_minor for reference in several.references] == [80000, -10000]
    assert several.payer_name == "Åse Prøve"


def test_a_bookkeeper_is_told_the_same():
    with explain(EXAMPLE) as told:
        rows = told.as_dict()["payments"]
        text = told.as_text()
    assert (told.format, told.verdict, told.transactions) == ("cremul", "accepted", 4)
    assert [row["references"] for row in rows] == [["1234567897"], ["SAK100234 / K771"], [], ["1005", "K12"]]
    assert "4749.50 in" in text


# --- what is in it ---------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(seeds)
def test_what_was_written_is_read_back(seed):
    lines, data = made(seed)
    got = read_both_ways(data)
    assert got.verdict == "accepted", got.places
    assert got.codes == set()
    assert [facts(payment) for payment in got.payments] == [
        expected(line, payment) for line in lines for payment in line.payments
    ]
    assert all(len(payment) == len(Payment._fields) and payment.posts for payment in got.payments)
    assert [payment.position for payment in got.payments] == list(range(1, 15))
    assert got.totals == {"NOK": {"credit": sum(line.total_minor for line in lines), "debit": 0}}
    assert len({payment.key for payment in got.payments}) == 14


def test_an_ordinary_payment_is_told_whole():
    payment = replace(KID, address=("Storgata 1", "OSLO", "0155"), order_day=date(2026, 10, 31))
    got = one(payment, booking_day=DAY, category="230")
    assert got.payments == [
        Payment(
            1, 25000, "NOK", Direction.CREDIT, reference="0012345672", reference_raw="0012345672", reference_kind="kid",
            references=(), booking_date=DAY, value_date=DAY, payer_name="Kari Eksempel", payer_account="86011117947",
            payer_address="Storgata 1\n0155 OSLO", account="12345678903", bank_reference="*90000001",
            statement_reference="00412100001", order_date=date(2026, 10, 31),
            key="cremul:12345678903:00412100001:*90000001:1",
        )
    ]  # fmt: skip


@settings(deadline=None)
@given(seeds, st.sampled_from([79, 80, 512]), st.sampled_from(["\n", "\r\n"]))
def test_wrapping_changes_nothing(seed, width, newline):
    _lines, data = made(seed)
    plain = read_both_ways(data).payments
    got = read_both_ways(wrapped(data, CremulShape(width=width, newline=newline)))
    assert (got.verdict, got.payments) == ("accepted", plain), got.places


@settings(deadline=None)
@given(seeds)
def test_line_ends_marks_padding_and_service_characters_change_nothing(seed):
    lines, data = made(seed)
    plain = read_both_ways(data).payments
    shapes = {
        "a line each": CremulShape(newline="\n"),
        "CRLF": CremulShape(newline="\r\n"),
        "no UNA": CremulShape(advice=None),
        "point": CremulShape(decimal="."),
        "point declared, comma used": CremulShape(advice=":+.? '"),
        "LIN": CremulShape(line_count="LIN"),
        "other characters": CremulShape(component="^", element="*", release="\\", terminator="~"),
    }
    half = len(lines) // 2
    for name, shape in shapes.items():
        got = read_both_ways(cremul_file([lines[:half], lines[half:]], shape))
        assert (got.verdict, got.codes, got.payments) == ("accepted", set(), plain), (name, got.places)
    copies = {
        "byte order mark": b"\xef\xbb\xbf" + data,
        "blank lines": b"\r\n\n" + data + b"\n\n",
        "padded": data + b"    \r\n",
        "0x1A": data + b"\x1a",
    }
    for name, copy in copies.items():
        got = read_both_ways(copy)
        assert (got.verdict, got.payments) == ("accepted", plain), (name, got.places)


@settings(deadline=None)
@given(seeds)
def test_a_copy_in_utf8_says_the_same_with_a_warning(seed):
    _lines, data = made(seed)
    got = read_both_ways(data.decode("latin-1").encode())
    assert got.payments == read_both_ways(data).payments
    assert got.codes == (set() if data.isascii() else {"file.encoding"})


@pytest.mark.parametrize("advice", [":+,?'", ":+,? ~", ";*,? '", ""])
def test_wrong_service_characters_are_seen_through(advice):
    data = cremul_file([[CremulLine((KID,))]])
    got = read_both_ways(data.replace(b"UNA:+,? '", f"UNA{advice}".encode()))
    assert (got.verdict, got.codes) == ("accepted", {"edifact.service_characters"})
    assert [payment.reference for payment in got.payments] == ["0012345672"]


def test_pieces_of_the_file_change_nothing(monkeypatch):
    _lines, data = made(5, 60)
    whole = read_both_ways(data)
    for size in (97, 300, 1001):
        monkeypatch.setattr(edifact, "CHUNK_BYTES", size)
        assert read_both_ways(wrapped(data, CremulShape(width=80))).payments == whole.payments


def test_a_stream_that_hands_out_little_at_a_time_is_read_whole():
    class Pipe(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7))

    assert len(list(CremulReader(Pipe(cremul_file([[CremulLine((KID,))]]))))) == 1


# --- money that is none, or not yet ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "qualifier", "status"),
    [
        ("455", "60", "BOOK"), ("455", "346", "BOOK"), ("454", "60", "BOOK"), ("X1", "60", "BOOK"),
        ("435", "349", "PDNG"), ("435", "60", "PDNG"), ("455", "349", "PDNG"), ("455", "362", "INFO"),
        ("458", "60", "INFO"), ("", "60", "INFO"),
    ],
)  # fmt: skip
def test_only_what_message_and_line_call_booked_is_posted(kind, qualifier, status):
    got = one(KID, shape=CremulShape(kind=kind), qualifier=qualifier)
    payment = got.payments[0]
    assert (got.verdict, payment.status, payment.posts) == ("accepted", status, status == "BOOK")
    assert payment.why_not == ("" if status == "BOOK" else "payment.not_booked")
    assert got.totals == {"NOK": {"credit": 25000, "debit": 0}}


def test_a_preadvice_and_its_booking_share_all_of_the_key_but_the_status():
    early = one(KID, shape=CremulShape(kind="435"), qualifier="349").payments[0]
    late = one(KID).payments[0]
    assert early.key != late.key
    assert early.key.replace("PDNG:", "") == late.key


def test_a_test_interchange_posts_nothing():
    got = one(KID, shape=CremulShape(is_test=True))
    assert (got.verdict, got.payments[0].why_not) == ("accepted", "file.test")
    assert "file.test" in got.codes


# --- references ------------------------------------------------------------------------------------------------------


def test_an_agency_is_known_by_its_case_number_not_by_a_kid():
    document = CremulDocument("OM1632599 / K46576", 25000, party="K46576")
    payment = one(CremulPayment(25000, documents=(document,)), bank_reference="").payments[0]
    assert (payment.case_number, payment.reference_kind, payment.invoice_number) == ("OM1632599", "case", "")
    assert payment.reference == "OM1632599 / K46576"


def test_a_pair_without_the_customer_number_is_not_taken_for_a_case():
    payment = one(CremulPayment(25000, documents=(CremulDocument("501001 / 501002", 25000, party="K1"),))).payments[0]
    assert (payment.case_number, payment.reference_kind) == ("", "invoice")


def test_a_kid_that_the_bank_calls_invalid_is_shown_and_not_matched():
    for payment in (
        one(KID, category="231").payments[0],
        one(replace(KID, category="231"), category="230").payments[0],
    ):
        assert (payment.reference, payment.reference_kind) == ("", "")
        assert payment.references == (Reference("0012345672", "0012345672", "", 25000),)


def test_a_kid_in_free_text_is_no_reference():
    payment = one(CremulPayment(25000, texts=("KUNDEIDENTIFIKASJON (KID) 0012345672",))).payments[0]
    assert (payment.reference, payment.invoice_number, payment.case_number) == ("", "", "")
    assert [reference.kind for reference in payment.references] == ["text"]


def test_parts_of_several_documents_add_up_to_the_payment():
    documents = (CremulDocument("1001", 30000), CremulDocument("K7", 5000, code="381"))
    payment = one(CremulPayment(25000, documents=documents)).payments[0]
    assert payment.references == (
        Reference("1001", "1001", "invoice", 30000),
        Reference("K7", "K7", "credit_note", -5000),
    )
    assert (payment.reference, payment.invoice_number) == ("1001", "")


def test_a_list_that_does_not_add_up_is_left_to_a_person():
    got = one(CremulPayment(25000, documents=(CremulDocument("1001", 30000), CremulDocument("1002", 1))))
    assert (got.verdict, got.codes) == ("accepted", {"cremul.allocation"})
    assert [reference.amount_minor for reference in got.payments[0].references] == [None, None]


def test_a_document_without_a_number_is_a_text():
    payment = one(CremulPayment(25000, documents=(CremulDocument("", 25000),), texts=("faktura 12",))).payments[0]
    assert (payment.reference, payment.text) == ("", "faktura 12")


def test_a_danish_payment_id_is_the_reference():
    shape = CremulShape(kind="X1", line_count="")
    payment = CremulPayment(125050, payment_id="71/000000012345678903", qualifier="98")
    got = one(payment, shape=shape, currency="DKK", category="IBK")
    read_payment = got.payments[0]
    assert (got.verdict, read_payment.currency, read_payment.amount_minor) == ("accepted", "DKK", 125050)
    assert (read_payment.reference, read_payment.reference_kind) == ("000000012345678903", "ocr")
    assert read_payment.reference_raw == "71/000000012345678903"
    with explain(io.BytesIO(cremul_file([[CremulLine((payment,), currency="DKK")]], shape))) as told:
        assert told.format == "cremul_dk"


def test_a_category_that_slipped_to_the_left_is_found():
    data = cremul_file([[CremulLine((KID,), category="231")]]).replace(b"BUS++DO++231", b"BUS++DO+231")
    assert read_both_ways(data).payments[0].reference_kind == ""


def test_other_parties_and_banks_do_not_become_the_payer():
    data = cremul_file([[CremulLine((replace(KID, name=""),))]])
    data = data.replace(b"FII+OR+86011117947'", b"FII+OR+86011117947:Ola Eksempel+DNBANOKK:25:5::::Storbanken'")
    data = data.replace(b"NAD+PL+++'", b"NAD+BE+++Kreditor AS'").replace(b"UNT+21", b"UNT+21")
    payment = read_both_ways(data).payments[0]
    assert (payment.payer_name, payment.payer_account) == ("Ola Eksempel", "86011117947")


# --- amounts ---------------------------------------------------------------------------------------------------------


def test_charges_taken_on_the_way_are_told():
    short = CremulPayment(26400, texts=("KID 12",), qualifier="60", original_minor=31400, charges_minor=5000)
    payment = one(short).payments[0]
    assert (payment.amount_minor, payment.charges_minor) == (26400, 5000)


def test_charges_told_only_by_the_document_are_found():
    document = CremulDocument("1001", 31400)
    got = one(CremulPayment(26400, documents=(document,), charges_minor=5000))
    assert (got.verdict, got.codes, got.payments[0].charges_minor) == ("accepted", set(), 5000)


def test_charges_that_explain_nothing_are_a_warning():
    got = one(CremulPayment(26400, qualifier="60", original_minor=31400, charges_minor=100))
    assert (got.codes, got.payments[0].charges_minor) == ({"cremul.charges"}, 5000)


def test_charges_the_payer_bore_leave_the_payment_whole():
    got = one(CremulPayment(26400, qualifier="60", original_minor=26400, charges_minor=5000))
    assert (got.codes, got.payments[0].charges_minor) == (set(), 0)


def test_the_amount_in_the_currency_of_the_account_is_taken():
    data = cremul_file([[CremulLine((CremulPayment(115000), CremulPayment(1000)))]])
    foreign = data.replace(b"MOA+143:1150,00'", b"MOA+143:100,00:EUR'MOA+36:1150,00'CUX+2:EUR+3:NOK+11,5'")
    got = read_both_ways(foreign.replace(b"UNT+27", b"UNT+29"))
    assert [(payment.amount_minor, payment.currency) for payment in got.payments] == [(115000, "NOK"), (1000, "NOK")]
    assert "file.control_total" not in got.codes


def test_the_only_transaction_of_a_line_has_the_amount_of_the_line():
    data = cremul_file([[CremulLine((CremulPayment(115000),))]])
    got = read_both_ways(data.replace(b"MOA+143:1150,00'", b"MOA+143:100,00:EUR'"))
    assert (got.verdict, got.payments[0].amount_minor, got.payments[0].currency) == ("accepted", 115000, "NOK")


def test_a_share_that_is_not_stated_is_not_posted():
    data = cremul_file([[CremulLine((CremulPayment(115000), CremulPayment(1000)))]])
    got = read_both_ways(data.replace(b"MOA+143:1150,00'", b"MOA+143:100,00:EUR'"))
    first, second = got.payments
    assert (first.posts, first.why_not, first.currency) == (False, "cremul.amount_missing", "EUR")
    assert (second.posts, second.amount_minor) == (True, 1000)


def test_a_line_without_details_is_one_payment():
    got = one(amount_minor=120000)
    assert (got.transactions, got.payments[0].amount_minor, got.payments[0].posts) == (1, 120000, True)


def test_currencies_are_never_added():
    lines = [CremulLine((KID,), currency="NOK"), CremulLine((KID,), currency="DKK", bank_reference="2")]
    got = read_both_ways(cremul_file([lines]))
    assert got.totals == {"NOK": {"credit": 25000, "debit": 0}, "DKK": {"credit": 25000, "debit": 0}}


# --- identity --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(seeds)
def test_a_copy_has_the_same_keys(seed):
    lines = random_cremul_lines(seed, 12)
    first = read_both_ways(cremul_file([lines]))
    again = read_both_ways(cremul_file([lines[:1], lines[1:]], CremulShape(number=2)))
    assert [payment.key for payment in first.payments] == [payment.key for payment in again.payments]


def test_an_overlapping_file_repeats_the_keys_of_what_it_repeats():
    lines = random_cremul_lines(9, 20)
    early, late = read_both_ways(cremul_file([lines[:3]])), read_both_ways(cremul_file([lines], CremulShape(number=2)))
    assert {p.key for p in early.payments} < {p.key for p in late.payments}
    assert len({p.key for p in late.payments}) == 20


@pytest.mark.parametrize("bank_reference", ["00412100001", ""])
def test_equal_payments_are_several_payments(bank_reference):
    line = CremulLine((KID, KID), bank_reference=bank_reference)
    got = read_both_ways(cremul_file([[line, line], [line]]))
    assert got.verdict == "accepted"
    assert len(got.payments) == len({payment.key for payment in got.payments}) == 6


def test_the_same_message_twice_in_one_file_stops_it():
    data = cremul_file([[CremulLine((KID,))]])
    message = data[data.index(b"UNH") : data.index(b"UNZ")]
    got = read_both_ways(data.replace(message, message * 2).replace(b"UNZ+1", b"UNZ+2"))
    assert (got.verdict, got.codes) == ("quarantined", {"cremul.repeated_message"})


def test_several_interchanges_are_one_file_and_the_same_one_twice_is_not():
    first, second = (cremul_file([[CremulLine((KID,))]], CremulShape(number=number)) for number in (1, 2))
    got = read_both_ways(first + b"\n" + second)
    assert (got.verdict, len(got.payments)) == ("accepted", 2)
    assert len({payment.key for payment in got.payments}) == 2
    assert read_both_ways(first + first).verdict == "quarantined"


def test_identity_names_sender_reference_and_stamp():
    reader = CremulReader(io.BytesIO(cremul_file([[CremulLine((KID,))]])))
    list(reader)
    assert reader.identity == "edifact:00810506482:R1:261123:0530"
    assert reader.accounts == {"12345678903": 1}


# --- samples, size ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are absent")
@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*")) if SAMPLES.is_dir() else [])
def test_the_samples_read_the_same_both_ways_and_however_wrapped(name):
    data = (SAMPLES / name).read_bytes()
    got = read_both_ways(data)
    assert got.verdict == "accepted"
    bare = data.replace(b"\r", b"").replace(b"\n", b"").rstrip()
    for width in (79, 80, 512):
        assert read_both_ways(wrapped(bare, CremulShape(width=width))).payments == got.payments


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are absent")
def test_the_samples_name_what_they_are_known_for():
    agency = read_both_ways((SAMPLES / "no_doc380_from_collection_agency.dat").read_bytes()).payments[0]
    assert (agency.case_number, agency.amount_minor) == ("OM1632599", 253506)
    preadvice = read_both_ways((SAMPLES / "no_230_kid_single.dat").read_bytes()).payments[0]
    assert (preadvice.reference, preadvice.posts) == ("20122124330", False)
    foreign = read_both_ways((SAMPLES / "no_foreign_with_charges.dat").read_bytes()).payments
    assert [payment.charges_minor for payment in foreign] == [5000, 5000, 5000, 0]
    assert foreign[3].payer_name == "RYET?NS RYYBNN H.R."


def test_nearly_all_of_an_ordinary_file_goes_the_fast_way(monkeypatch):
    """The figures of the benchmark are those of the fast way; a shape it no longer takes would go unseen."""
    data = cremul_file(kid_messages(2000, 1))
    slow = []
    begin = CremulReader._begin_transaction
    monkeypatch.setattr(
        CremulReader,
        "_begin_transaction",
        lambda self, segment: (slow.append(1), begin(self, segment))[1],
    )
    got = read_one_way(data, leaps=True)
    assert (got.verdict, len(got.payments)) == ("accepted", 2000)
    assert len(slow) < 10


def test_findings_name_segment_and_line():
    data = cremul_file([[CremulLine((KID,))]], CremulShape(newline="\n")).replace(b"MOA+60:250,00", b"MOA+60:251,00")
    finding = read_both_ways(data).findings[0]
    line = data[: data.index(b"LIN+1")].count(b"\n") + 1
    assert (finding.code, finding.place) == (
        "file.control_total",
        f"segment {line - 1}, line {line}, LIN 1, MOA 60, sum of its transactions",
    )
    assert (finding.value, finding.values) == ("251.00", {"stated": "251.00", "computed": "250.00"})
