"""camt.054 and camt.053: direction, status, sums, references, and identity across files (payments.md 5, 8, 11)."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction
from gateway.formats.camt import CamtReader
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file, random_camt_entries
from tests.formats.reading import read

EXAMPLE = Path(__file__).parents[1] / "corpus" / "payments" / "camt054_v08.xml"
seeds = st.integers(0, 10**9)
shapes = st.builds(
    CamtShape,
    message=st.sampled_from(["camt.054", "camt.053"]),
    version=st.sampled_from(["02", "04", "08", "13", ""]),
    prefix=st.sampled_from(["", "ns2"]),
    break_lines=st.sampled_from(["", "\n", "\r\n\t"]),
    has_envelope=st.booleans(),
    has_balances=st.booleans(),
)


def one(payment=None, *, shape=None, **entry):
    """Read a file of one entry with one payment."""
    payments = (payment or CamtPayment(10000, "0012345672"),)
    return read(camt_file([CamtEntry(payments, **entry)], shape))


def test_the_example_reads_as_it_was_written():
    got = read(EXAMPLE.read_bytes())
    assert got.verdict == "accepted", got.places
    assert got.codes == {"camt.copy", "file.unknown_record"}
    assert got.transactions == 6
    assert got.totals == {"NOK": {"credit": 180100, "debit": 6000}}
    kid, invoices, returned, fee, pending, foreign = got.payments
    assert (kid.reference, kid.reference_raw, kid.amount_minor) == ("0012345672", " 0012345672 ", 70050)
    assert (kid.payer_name, kid.payer_account, kid.account) == ("Kari Eksempel", "15032080119", "98765432109")
    assert (kid.booking_date, kid.value_date) == (date(2026, 11, 5), date(2026, 11, 6)), "as written, not through UTC"
    assert (kid.key, kid.bank_reference) == ("camt.054:98765432109:C70050NOK:A1:1", "A1")
    assert [(r.value, r.kind, r.amount_minor) for r in invoices.references] == [
        ("1001", "invoice", 50000),
        ("K7", "credit_note", -10050),
    ]
    assert (invoices.reference, invoices.payer_name) == ("1001", "Fellesbo & Co")
    assert (returned.direction, returned.is_reversal, returned.reference) == (Direction.DEBIT, True, "")
    assert returned.text == "tilbake- betaling 1001"
    assert [r.value for r in returned.references if r.kind == "text"] == ["tilbake-", "betaling 1001"]
    assert (fee.direction, fee.is_reversal, fee.text, fee.amount_minor) == (Direction.DEBIT, True, "Gebyr", 6000)
    assert (pending.amount_minor, pending.posts, pending.why_not) == (80000, False, "payment.not_booked")
    assert (pending.reference_kind, pending.booking_date) == ("rf", None)
    assert (foreign.amount_minor, foreign.currency) == (100, "NOK"), "what the account shows, not the instructed amount"


@settings(deadline=None)
@given(seeds, shapes)
def test_what_was_written_is_read_back(seed, shape):
    entries = random_camt_entries(seed, 15)
    got = read(camt_file(entries, shape))
    assert (got.verdict, got.findings) == ("accepted", ())
    wanted = [(entry, payment) for entry in entries for payment in entry.payments]
    assert [
        (
            p.amount_minor,
            p.direction is Direction.CREDIT,
            p.payer_name,
            p.payer_account,
            p.status,
            p.posts,
            p.value_date,
        )
        for p in got.payments
    ] == [(p.amount_minor, p.is_credit, p.name, p.payer, e.status, e.status == "BOOK", e.day) for e, p in wanted]
    for payment, (entry, written) in zip(got.payments, wanted, strict=True):
        documents = [(number, -minor if code == "CREN" else minor) for code, number, minor in written.documents]
        found = [(r.value, r.amount_minor) for r in payment.references if r.kind in {"invoice", "credit_note"}]
        assert found == (documents if not written.reference else [(number, None) for number, _ in documents])
        assert payment.reference == (written.reference or (documents[0][0] if documents else ""))
        assert payment.is_reversal == (entry.is_reversal or bool(written.return_reason))
        assert payment.text == (" ".join(written.texts) or written.return_reason)
        assert (payment.order_date, payment.payer_id) == (written.order_day, written.payer_id)
        assert payment.charges_minor == written.charges_minor
        assert payment.statement_reference == entry.bank_reference.strip()
        assert payment.bank_reference == (written.bank_reference or entry.bank_reference.strip())
        street, number, *town, country = written.address or [""] * 5
        lines = (*written.address_lines, f"{street} {number}".strip(), " ".join(town).strip(), country)
        assert payment.payer_address == "\n".join(line for line in lines if line)
    assert len({payment.key for payment in got.payments}) == 15


def test_leaps_do_happen_and_keep_count_of_lines():
    entries = [CamtEntry((CamtPayment(100, "19"),) * 40)]
    data = camt_file(entries, CamtShape(break_lines="\n"))
    bad = data.rpartition(b"</Ntry>")
    broken = bad[0] + b"</Oops>" + bad[2]
    reader = CamtReader(io.BytesIO(data))
    assert len(list(reader)) == 40
    assert reader._walk.skipped_lines > 500
    line = broken[: broken.index(b"</Oops>")].count(b"\n") + 1
    assert any(finding.place == f"line {line}" for finding in read(broken).findings)


SECRETS = [
    ("a comment", b"<!-- </TxDtls> -->"),
    ("a comment with a payment", b"<!-- </TxDtls><TxDtls><Amt Ccy='NOK'>9</Amt></TxDtls> -->"),
    ("character data", b"<X><![CDATA[</TxDtls>]]></X>"),
    ("an instruction", b"<?x </TxDtls>?>"),
]


@pytest.mark.parametrize(("_", "secret"), SECRETS)
def test_what_only_looks_like_a_payment_is_none(_, secret):
    payments = (CamtPayment(100, "19"),) * 5
    data = camt_file([CamtEntry(payments)])
    middle = data.index(b"</TxDtls>") + len(b"</TxDtls>")
    for place in (middle, data.index(b"<TxDtls>"), data.index(b"<RltdPties>")):
        got = read(data[:place] + secret + data[place:])
        assert (got.verdict, len(got.payments)) == ("accepted", 5)
        copy = data[middle : data.index(b"</TxDtls>", middle) + len(b"</TxDtls>")]
        got = read(data[:place] + b"<!--" + copy + copy + b"-->" + data[place:])
        assert (got.verdict, len(got.payments)) == ("accepted", 5)


def test_texts_that_xml_writes_in_two_ways_read_the_same():
    names = ["A & B", "x]]y", "Ærlig & <Sann>", "\u00ef\u00bf", "日本", "＜wide＞"]
    entries = [CamtEntry(tuple(CamtPayment(100, "19", name=name) for name in ["Kari", *names, "Kari"]))]
    got = read(camt_file(entries))
    assert [payment.payer_name for payment in got.payments] == ["Kari", *names, "Kari"]


def test_bytes_that_are_no_utf8_stop_the_file_at_any_speed():
    data = camt_file([CamtEntry((CamtPayment(100, "19"),) * 5)])
    for count in (1, 3, 5):
        parts = data.split(b"Kari")
        broken = b"Kari".join(parts[:count]) + b"K\xe6ri" + b"Kari".join(parts[count:])
        assert read(broken).verdict == "quarantined"


def test_a_latin_1_document_is_read_as_declared():
    data = camt_file([CamtEntry((CamtPayment(100, "19", name="Åse Ærlig"),) * 5)])
    data = data.decode().replace("UTF-8", "ISO-8859-1").encode("latin-1")
    assert {payment.payer_name for payment in read(data).payments} == {"Åse Ærlig"}


def test_utf_16_is_read_as_well():
    data = camt_file([CamtEntry((CamtPayment(100, "19", name="Åse"),) * 3)]).decode().replace("UTF-8", "UTF-16")
    got = read(data.encode("utf-16"))
    assert [payment.payer_name for payment in got.payments] == ["Åse"] * 3


CHARGES = re.compile(rb"<(?:ns2:)?(Chrgs|RmtAmtAndTp)>.*?</(?:ns2:)?\1>", re.DOTALL)
AMOUNT = re.compile(rb"<(?:ns2:)?(?:Amt|Sum|NbOfTxs|NbOfNtries)(?: [^>]*)?>([0-9.]+)<")


@settings(deadline=None)
@given(seeds, shapes, st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(seed, shape, data_):
    entries = [replace(e, batch=str(len(e.payments))) for e in random_camt_entries(seed, 8)]
    data = camt_file(entries, replace(shape, message="camt.054", has_balances=False))
    free = [i for found in CHARGES.finditer(data) for i in range(*found.span())]  # nothing is compared with them
    spans = [m.span(1) for m in AMOUNT.finditer(data) if m.start() not in free]
    places = [i for start, stop in spans for i in range(start, stop) if data[i] in b"0123456789"]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([d for d in b"0123456789" if d != data[place]]))
    got = read(data[:place] + bytes([digit]) + data[place + 1 :])
    assert got.verdict == "quarantined"


def test_a_file_cut_at_any_byte_never_takes_effect():
    data = camt_file(random_camt_entries(2, 4), CamtShape(prefix="n"))
    whole = len(data.rstrip())
    for length in range(whole):
        assert read(data[:length]).verdict in {"quarantined", "refused"}, length
    assert read(data[:whole]).verdict == read(data).verdict == "accepted"


@settings(deadline=None)
@given(seeds)
def test_marks_and_blanks_around_the_document_change_nothing(seed):
    data = camt_file(random_camt_entries(seed, 6))
    plain = read(data).payments
    for shape in (b"\xef\xbb\xbf" + data, b"\r\n\n" + data, data + b"\r\n \n", data + b"\x1a", data.rstrip()):
        got = read(shape)
        assert (got.verdict, got.payments) == ("accepted", plain)


def test_a_document_type_declaration_is_refused():
    data = camt_file([CamtEntry((CamtPayment(100, "19"),))])
    for declaration in (b"<!DOCTYPE Document>", b'<!DOCTYPE Document [<!ENTITY a "b">]>'):
        got = read(data.replace(b"?>", b"?>" + declaration, 1))
        assert (got.verdict, got.codes) == ("refused", {"file.doctype"})


@pytest.mark.parametrize("status", ["PDNG", "INFO", "FUTR", "", "XXXX"])
def test_money_that_is_not_booked_is_told_but_never_posted(status):
    got = one(status=status)
    assert got.verdict == "accepted"
    assert (got.payments[0].posts, got.payments[0].why_not) == (False, "payment.not_booked")
    assert one().payments[0].key != got.payments[0].key, "the booking that follows must not look like a repetition"


@pytest.mark.parametrize(("is_reversal", "is_credit"), [(True, False), (True, True), (False, False)])
def test_a_reversal_never_flips_the_sign_again(is_reversal, is_credit):
    got = one(CamtPayment(5000, "19", is_credit=is_credit), is_reversal=is_reversal)
    assert got.verdict == "accepted"
    assert (got.payments[0].direction is Direction.CREDIT, got.payments[0].is_reversal) == (is_credit, is_reversal)


def test_a_netted_batch_keeps_both_directions():
    got = read(camt_file([CamtEntry((CamtPayment(15000, "19"), CamtPayment(5000, "27", is_credit=False)))]))
    assert got.verdict == "accepted"
    assert [p.direction for p in got.payments] == [Direction.CREDIT, Direction.DEBIT]
    assert got.totals == {"NOK": {"credit": 10000, "debit": 0}}, "the account shows the net"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("25000.000", "NOK", 2500000), ("1247.5", "SEK", 124750), ("200000", "EUR", 20000000), ("0.00", "NOK", 0),
     ("12.34000", "NOK", 1234), ("700", "ISK", 700), (" 5.00 ", "NOK", 500)],
)  # fmt: skip
def test_amounts_are_exact(text, currency, minor):
    data = camt_file([CamtEntry(amount_minor=0)], CamtShape(currency=currency, has_summary=False))
    got = read(re.sub(rb">0(\.00)?<", b">" + text.encode() + b"<", data))
    assert (got.verdict, got.payments[0].amount_minor) == ("accepted", minor)


@pytest.mark.parametrize(
    "text", ["12..34", "12,34", "-5.00", "", "1e3", "0.001", "12.345", "٥", "9" * 5000, "NaN", "+"]
)
def test_an_amount_that_is_none_stops_the_file_and_is_shown(text):
    data = camt_file([CamtEntry((CamtPayment(100, "19"),), amount_minor=0)], CamtShape(has_summary=False, version="02"))
    got = read(data.replace(b">0.00<", b">" + text.encode() + b"<"))
    assert (got.verdict, got.transactions) == ("quarantined", 1)
    finding = next(f for f in got.findings if f.code == "file.invalid")
    assert (finding.place, finding.value) == ("line 1, Ntry/Amt", text[:200])


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'Ccy="NOK"', b'Ccy="kr"'), (b'<Amt Ccy="NOK">', b"<Amt>"), (b"CRDT", b"CRED"), (b"2026-11-02", b"2026-02-30")],
)
def test_a_garbled_currency_direction_or_date_stops_the_file(old, new):
    data = camt_file([CamtEntry((CamtPayment(100, "19"),))])
    assert read(data.replace(old, new)).verdict == "quarantined"


def test_the_sum_of_transactions_must_be_the_entry():
    entry = CamtEntry((CamtPayment(100, "19"), CamtPayment(200, "27")), amount_minor=301)
    got = read(camt_file([entry]))
    assert got.codes == {"file.control_total"}
    assert got.findings[0].values == {"stated": "3.01", "computed": "3.00"}


def test_two_amounts_of_one_transaction_must_agree_unless_charges_explain_it():
    data = camt_file([CamtEntry((CamtPayment(100, "19"),))])
    other = data.replace(b'<TxAmt><Amt Ccy="NOK">1.00', b'<TxAmt><Amt Ccy="NOK">2.00')
    assert read(other).verdict == "quarantined"
    charged = other.replace(b"</TxDtls>", b"<Chrgs><TtlChrgsAndTaxAmt>1</TtlChrgsAndTaxAmt></Chrgs></TxDtls>")
    got = read(charged)
    assert (got.verdict, got.payments[0].amount_minor) == ("accepted", 100)


def test_several_transactions_without_amounts_are_told_but_not_guessed():
    data = camt_file([CamtEntry((CamtPayment(100, "19"), CamtPayment(200, "27")))], CamtShape(version="02"))
    got = read(re.sub(rb"<AmtDtls>.*?</AmtDtls>", b"", data))
    assert (got.verdict, got.codes, got.transactions) == ("accepted", {"camt.amount_missing"}, 2)
    assert [(p.amount_minor, p.posts, p.why_not, p.reference) for p in got.payments] == [
        (0, False, "camt.amount_missing", "19"),
        (0, False, "camt.amount_missing", "27"),
    ]
    assert got.totals == {"NOK": {"credit": 300, "debit": 0}}


def test_instructed_amounts_in_other_currencies_are_not_summed():
    data = camt_file([CamtEntry((CamtPayment(100, "19"), CamtPayment(200, "27")))], CamtShape(version="02"))
    got = read(re.sub(rb'(<TxAmt><Amt Ccy=)"NOK"', rb'\1"SEK"', data))
    assert (got.verdict, [p.currency for p in got.payments]) == ("accepted", ["SEK", "SEK"])
    assert got.totals.keys() == {"NOK"}


def test_transactions_may_stand_before_the_header_of_their_entry():
    data = camt_file([CamtEntry((CamtPayment(100, "19"), CamtPayment(200, "27")))]).decode()
    details = re.search("<NtryDtls>.*</NtryDtls>", data)[0]
    moved = data.replace(details, "").replace("<Ntry>", "<Ntry>" + details)
    got = read(moved.encode())
    assert got.verdict == "accepted"
    assert [(p.amount_minor, p.posts, p.booking_date) for p in got.payments] == [
        (100, True, date(2026, 11, 2)),
        (200, True, date(2026, 11, 2)),
    ]


@pytest.mark.parametrize(("message", "verdict"), [("camt.054", "quarantined"), ("camt.053", "accepted")])
def test_a_batch_of_another_count_is_a_fault_only_in_a_notification(message, verdict):
    got = one(batch="2", shape=CamtShape(message=message))
    assert got.verdict == verdict
    assert got.codes == ({"file.control_total"} if verdict == "quarantined" else {"camt.batch_count"})


def test_a_lump_sum_without_details_does_not_post():
    data = camt_file([CamtEntry(amount_minor=500, batch="3")], CamtShape(message="camt.053"))
    got = read(data)
    assert (got.verdict, got.transactions) == ("accepted", 1)
    assert (got.payments[0].posts, got.payments[0].why_not) == (False, "camt.lump_sum")


def test_balances_that_do_not_add_up_are_a_warning():
    def balance(code, amount):
        return f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="NOK">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd></Bal>'

    data = camt_file([CamtEntry((CamtPayment(100, "19"),))], CamtShape(message="camt.053")).decode()
    right = data.replace("<TxsSummry>", balance("OPBD", "10.00") + balance("CLBD", "11.00") + "<TxsSummry>")
    assert read(right.encode()).findings == ()
    wrong = read(right.replace("11.00", "12.00").encode())
    assert (wrong.verdict, wrong.codes) == ("accepted", {"camt.balance"})


def test_two_equal_payments_are_two_payments_with_two_keys():
    twin = CamtPayment(25000, "0012345672")
    got = read(camt_file([CamtEntry((twin, twin)), CamtEntry((twin,))]))
    assert got.verdict == "accepted"
    assert len({payment.key for payment in got.payments}) == 3


@settings(deadline=None)
@given(seeds)
def test_a_copy_ordered_again_has_the_same_keys(seed):
    entries = random_camt_entries(seed, 10)
    data = camt_file(entries)
    again = data.replace(b"<MsgId>M", b"<MsgId>COPY").replace(
        b"<Id>1</Id>", b"<Id>9</Id><CpyDplctInd>COPY</CpyDplctInd>"
    )
    got = read(again)
    assert got.codes == {"camt.copy"}
    assert [p.key for p in got.payments] == [p.key for p in read(data).payments]
    part = read(camt_file(entries[:2], CamtShape(has_summary=False)))
    assert {p.key for p in part.payments} <= {p.key for p in got.payments}


def test_the_structured_reference_comes_before_others():
    refs = (
        "<RmtInf><Strd><RfrdDocInf><Nb>77</Nb></RfrdDocInf></Strd><Strd><CdtrRefInf><Tp><CdOrPrtry><Prtry>QRR</Prtry>"
        "</CdOrPrtry></Tp><Ref>27digits</Ref></CdtrRefInf></Strd><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd>"
        "</CdOrPrtry></Tp><Ref>0019</Ref></CdtrRefInf></Strd></RmtInf>"
    )
    payment = one(CamtPayment(100, extra=refs)).payments[0]
    assert payment.reference == "0019"
    assert [reference.value for reference in payment.references] == ["77", "27digits", "0019"]


def test_parts_that_do_not_add_up_are_dropped_with_a_warning():
    got = one(CamtPayment(1000, documents=(("CINV", "F1", 900),)))
    assert (got.verdict, got.codes) == ("accepted", {"camt.allocation"})
    assert [(r.value, r.amount_minor) for r in got.payments[0].references] == [("F1", None)]


def test_currencies_are_never_summed_together():
    crowns = camt_file([CamtEntry((CamtPayment(100, "19"),))], CamtShape(has_summary=False)).decode()
    section = re.search("<Ntfctn>.*</Ntfctn>", crowns)[0]
    got = read(crowns.replace(section, section + section.replace("NOK", "EUR")).encode())
    assert got.totals == {"NOK": {"credit": 100, "debit": 0}, "EUR": {"credit": 100, "debit": 0}}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<Document xmlns='urn:iso:std:iso:20022:tech:xsd:pain.001.001.09'><CstmrCdtTrfInitn/></Document>", "pain.001"),
        (b"<Document xmlns='urn:x'><BkToCstmrAcctRpt/></Document>", "BkToCstmrAcctRpt"),
        (b"<E><Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.052.001.08'><BkToCstmrAcctRpt/></Document></E>", "camt.052"),
        (b"<Other><a/></Other>", "Other"),
        (b"<Document/>", "Document"),
    ],
)  # fmt: skip
def test_other_messages_are_refused_by_name(data, said):
    got = read(data)
    assert (got.verdict, got.codes) == ("refused", {"file.not_a_payment_file"})
    assert said in got.findings[0].values["reason"]


def test_memory_is_bounded_by_refusing_monsters():
    texts = b"<RmtInf>" + b"<Ustrd>x</Ustrd>" * 60000
    data = camt_file([CamtEntry((CamtPayment(100, "19"),))]).replace(b"</TxDtls>", texts + b"</RmtInf></TxDtls>")
    assert read(data).verdict == "quarantined"
