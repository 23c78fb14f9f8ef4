"""What Kravport writes in kravport-sls-1 (intrum-sls.md B.1 to B.7), and that it reads its own files back strictly."""

import dataclasses
import io
import re
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import (
    CustomerKind,
    Direction,
    Envelope,
    FactoringAssignment,
    LinkKind,
    Origin,
    Service,
    Totals,
)
from gateway.domain.instructions import Action, Instruction
from gateway.errors import DataError, DecodeError, EncodeError
from gateway.formats.xmltree import XmlSchema
from plugins.intrum import SCHEMA, plugin
from tests.plugins.sls_builders import (
    CORPUS,
    EXAMPLES,
    OSLO,
    MemorySink,
    agreement,
    claim,
    customer,
    effect,
    item,
    payment,
    seal,
)

needs_examples = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the shared example files are not here")
NOWHERE = datetime(2026, 11, 22, 18, 0, 3, tzinfo=OSLO)


def export(claims, *, of=None, with_seal=None, updates=False):
    sink = MemorySink()
    hook = plugin.export_linked_items if updates else plugin.export_invoice
    (envelope,) = hook(iter(claims), of or agreement(), with_seal or seal(), sink)
    return envelope, sink.files[envelope.filename]


def verify(envelope, content, of=None):
    return plugin.verify_envelope(envelope, of or agreement(), io.BytesIO(content))


# --- golden files: written by hand from the specification ------------------------------------------------------------


def golden_invoices():
    first = customer(
        name='Berg & Dal "Bygg" <AS>',
        address2="Bygg C",
        email="faktura@bergdal.test",
        phone="+47 57 00 00 00",
        language="nn",
    )
    second = customer(
        "20002",
        kind=CustomerKind.PUBLIC,
        name="Sandvik  kommune ",
        organisation_number="964338442",
        address1="\tRådhusplassen\n1",
        postcode="4300",
        city="SANDNES",
    )
    credit, debit = Direction.CREDIT, Direction.DEBIT
    items = (
        payment("kp-e-11", day=date(2026, 10, 20), payment_reference="RF18539007547034", bank_reference="B 1"),
        item(
            "kp-e-12",
            LinkKind.CREDIT_NOTE,
            credit,
            1,
            day=date(2026, 10, 21),
            number="1009",
            voucher_number="77",
            text="Rounding",
        ),
        item("kp-e-13", LinkKind.VOUCHER_LINE, credit, 44, day=date(2026, 10, 22)),
        item(
            "kp-e-14",
            LinkKind.CHARGE,
            debit,
            470_00,
            day=date(2026, 10, 23),
            charge_kind="compensation",
            voucher_number="78",
            text="Late payment",
        ),
    )
    older = {"invoice_date": date(2026, 10, 1)}
    return [
        claim(
            "kp-c-1001",
            original=9_999_999_999_999,
            items=items,
            card=first,
            reminder_number="31",
            due_date=date(2026, 10, 15),
            payment_reference="000001234567-",
            text="Snow clearing, week 41",
            **older,
        ),
        claim(
            "kp-c-1002",
            original=1,
            items=(
                item("kp-e-21", LinkKind.DISBURSEMENT, debit, 500, day=date(2026, 10, 20)),
                item("kp-e-22", LinkKind.VOUCHER_LINE, credit, 1000, day=date(2026, 10, 20), voucher_number="80"),
            ),
            card=second,
            due_date=date(2026, 10, 1),
            payment_reference="",
            **older,
        ),
    ]


def test_invoices_are_the_golden_bytes():
    at = seal(
        invoices=7,
        created_at=datetime(2026, 11, 23, 18, 0, tzinfo=OSLO),
        file_id="3d0c5c5e-7a11-4b6e-9a4e-{number:012d}",
    )
    envelope, content = export(golden_invoices(), with_seal=at)
    assert content == (CORPUS / "invoices.007").read_bytes()
    assert envelope == Envelope(
        "invoices",
        7,
        "invoices.007",
        "application/xml",
        "NOK",
        Totals(2, 6, 10_000_000_000_000 + 500, 110_45, 470_00),
    )
    assert verify(envelope, content) == envelope.totals


def test_updates_are_the_golden_bytes():
    first = customer()
    unlink = item("kp-e-13-u1", LinkKind.UNLINK, Direction.DEBIT, 44, day=date(2026, 6, 23), unlinks_item_id="kp-e-13")
    freight = item("kp-e-15", LinkKind.VOUCHER_LINE, Direction.DEBIT, 12_00, day=date(2026, 6, 23), text="Freight")
    paid = payment("kp-e-31", 1250_00, day=date(2026, 6, 22), voucher_number="90", origin=Origin.BANK)
    known = {"reminder_number": "31", "case_number": "C-000001"}
    claims = [
        claim("kp-c-1001", items=(unlink, freight), open_minor=900_00, card=first, **known),
        claim("kp-c-1003", items=(paid,), card=first),
    ]
    created_at = datetime.fromisoformat("2026-06-23T16:00:00+00:00")
    at = seal(updates=999, created_at=created_at, file_id="3d0c5c5e-7a11-4b6e-9a4e-{number:012d}")
    envelope, content = export(claims, with_seal=at, updates=True)
    assert content == (CORPUS / "updates.999").read_bytes()
    assert (envelope.order, envelope.totals) == (1, Totals(2, 3, 12_44, 1250_00, 0))
    assert verify(envelope, content) == envelope.totals


# --- the examples of the specification -------------------------------------------------------------------------------


def example_seal(kind, number, created_at):
    return seal(**{kind: number}, created_at=created_at, file_id="5b1f3c1e-0c0a-4a86-9a39-6d1b6a1f0{number:03d}")


NORDFJORD = customer(
    "10023",
    name="Nordfjord Bygg og Anlegg",
    address1="Storgata 12",
    postcode="0155",
    city="OSLO",
    email="post@example.test",
    phone="22334455",
    language="nb",
)


@needs_examples
def test_example_invoices_017():
    """Byte-equal but for the InvoiceLine, which the ledger model does not carry."""
    private = customer(
        "10024",
        kind=CustomerKind.PRIVATE,
        name="Ola Eksempel",
        organisation_number="",
        identity_scheme="",
        address1="Fjellveien 3",
        postcode="9010",
        city="TROMSØ",
        language="nb",
    )
    dates = {"invoice_date": date(2026, 10, 11), "due_date": date(2026, 11, 10)}
    older = {"invoice_date": date(2026, 9, 20), "due_date": date(2026, 10, 20)}
    part = payment("kp-e-88001", 500_00, day=date(2026, 10, 20), voucher_number="88001", origin=Origin.BANK)
    claims = [
        claim(
            "kp-7f3a-500124",
            original=4600_00,
            card=NORDFJORD,
            reminder_number="208",
            payment_reference="050012400100230",
            text="Service agreement",
            **dates,
        ),
        claim(
            "kp-7f3a-500110",
            original=1500_00,
            items=(part,),
            card=NORDFJORD,
            reminder_number="201",
            payment_reference="050011000100236",
            **older,
        ),
        claim(
            "kp-7f3a-500125",
            original=54_10,
            card=private,
            reminder_number="209",
            payment_reference="050012500100247",
            **dates,
        ),
    ]
    _, content = export(claims, with_seal=example_seal("invoices", 17, NOWHERE))
    printed = (EXAMPLES / "invoices.017").read_bytes()
    expected = re.sub(rb" *<InvoiceLine [^>]*/>\n", b"", printed)
    assert expected != printed
    assert content == expected


@needs_examples
def test_example_updates_042():
    credit, debit = Direction.CREDIT, Direction.DEBIT
    monday = date(2026, 11, 23)
    paid = payment(
        "kp-e-88121",
        1200_00,
        day=date(2026, 11, 21),
        payment_reference="050012400100230",
        voucher_number="88121",
        bank_reference="2611210004711",
        origin=Origin.BANK,
    )
    credited = item(
        "kp-e-88125",
        LinkKind.CREDIT_NOTE,
        credit,
        600_00,
        day=date(2026, 11, 22),
        number="500131",
        voucher_number="88125",
    )
    moved = item(
        "kp-e-88130",
        LinkKind.DISBURSEMENT,
        debit,
        500_00,
        day=monday,
        voucher_number="88130",
        text="Payment 88001 belonged to another invoice",
    )
    rounding = item(
        "kp-e-88131", LinkKind.VOUCHER_LINE, credit, 40, day=monday, voucher_number="88131", text="Rounding"
    )
    fee = item("kp-e-88132", LinkKind.CHARGE, debit, 38_00, day=monday, charge_kind="reminder-fee")
    first = {"reminder_number": "208", "case_number": "C-900124"}
    second = {"reminder_number": "201", "case_number": "C-900110"}
    claims = [
        claim("kp-7f3a-500124", original=4600_00, items=(paid, credited), card=NORDFJORD, **first),
        claim("kp-7f3a-500110", original=1000_00, items=(moved, rounding, fee), card=NORDFJORD, **second)._replace(
            instructions=(Instruction("kp-i-00012", Action.DISPUTE, monday, None, "Debtor disputes delivery"),)
        ),
    ]
    at = example_seal("updates", 42, datetime(2026, 11, 23, 18, 0, 2, tzinfo=OSLO))
    _, content = export(claims, with_seal=at, updates=True)
    assert content == (EXAMPLES / "updates.042").read_bytes()


@needs_examples
def test_example_updates_043():
    unlink = item(
        "kp-e-88131-u1",
        LinkKind.UNLINK,
        Direction.DEBIT,
        40,
        day=date(2026, 11, 24),
        unlinks_item_id="kp-e-88131",
        text="Rounding taken off again",
    )
    known = {"reminder_number": "201", "case_number": "C-900110"}
    claims = [claim("kp-7f3a-500110", items=(unlink,), open_minor=1500_00, card=NORDFJORD, **known)]
    at = example_seal("updates", 43, datetime(2026, 11, 24, 18, 0, 2, tzinfo=OSLO))
    _, content = export(claims, with_seal=at, updates=True)
    assert content == (EXAMPLES / "updates.043").read_bytes()


@needs_examples
def test_the_schema_of_the_plugin_is_the_published_one():
    assert SCHEMA.read_bytes() == (EXAMPLES.parents[1] / "kravport-sls-1.xsd").read_bytes()


# --- nothing is cut, guessed or hidden -------------------------------------------------------------------------------

LONG = {
    "Invoice/@invoiceNumber": claim(invoice_number="9" * 31),
    "Invoice/@claimId": claim("c" * 37, invoice_number="1"),
    "Invoice/@reminderNumber": claim(reminder_number="9" * 21),
    "InvoiceHeader/@text": claim(text="x" * 201),
    "InvoiceHeader/@paymentReference": claim(payment_reference="1" * 26),
    "Customer/@customerNumber": claim(card=customer("2" * 21)),
    "CustomerDetails/@name": claim(card=customer(name="n" * 101)),
    "CustomerDetails/@address1": claim(card=customer(address1="a" * 61)),
    "CustomerDetails/@postcode": claim(card=customer(postcode="0" * 21)),
    "CustomerDetails/@city": claim(card=customer(city="c" * 41)),
    "CustomerDetails/@phone": claim(card=customer(phone="1" * 31)),
    "CustomerDetails/@email": claim(card=customer(email=f"{'a' * 250}@b.no")),
    "Payment/@itemId": claim(items=[payment("i" * 37)]),
    "Payment/@bankReference": claim(items=[payment(bank_reference="b" * 37)]),
    "Payment/@voucherNumber": claim(items=[payment(voucher_number="v" * 31)]),
    "Payment/@text": claim(items=[payment(text="t" * 201)]),
}
WRONG = {
    "InvoiceHeader/@paymentReference": claim(payment_reference="12-34"),
    "Payment/@paymentReference": claim(items=[payment(payment_reference="abc")]),
    "Payment/@amount": claim(items=[payment(amount_minor=0)]),
    "InvoiceHeader/@originalAmount": claim(original=0),
    "InvoiceHeader/@openAmount": claim(open_minor=-(10**13)),
    "InvoiceHeader/@dueDate": claim(due_date=date(2026, 10, 31)),
    "CustomerDetails/@kind": claim(card=customer(kind=None)),
    "CustomerDetails/@country": claim(card=customer(country="")),
    "CustomerDetails/@city": claim(card=customer(city=" \t ")),
    "CustomerDetails/@email": claim(card=customer(email="nobody")),
    "CustomerDetails/@language": claim(card=customer(language="NB")),
    "CustomerDetails/@identityScheme": claim(card=customer(identity_scheme="")),
    "CustomerDetails/@name": claim(card=customer(name="Bell\x07")),
    "InvoiceHeader/@text": claim(text="half a \ud800 pair"),
    "Charge/@kind": claim(items=[item("i", LinkKind.CHARGE, Direction.DEBIT, 1, charge_kind="fine")]),
    "CreditNote/@creditNoteNumber": claim(items=[item("i", LinkKind.CREDIT_NOTE, Direction.CREDIT, 1)]),
    "Unlink": claim(items=[item("i", LinkKind.UNLINK, Direction.DEBIT, 1, unlinks_item_id="j")]),
    "Payment": claim(items=[payment(origin=Origin.AGENCY)]),
    "item": claim(items=[item("i", LinkKind.DIRECT_PAYMENT, Direction.DEBIT, 1)]),
}


@pytest.mark.parametrize(
    ("place", "wrong"), [*LONG.items(), *WRONG.items()], ids=[f"long {k}" for k in LONG] + [f"wrong {k}" for k in WRONG]
)
def test_what_does_not_fit_is_refused_with_claim_and_attribute(place, wrong):
    with pytest.raises(EncodeError) as refused:
        export([wrong])
    assert f"claim {wrong.claim_id}" in str(refused.value)
    assert place in str(refused.value)


@pytest.mark.parametrize("place", [place for place in LONG if "Customer" not in place])
def test_check_claim_finds_beforehand_what_the_writer_would_refuse(place):
    findings = plugin.check_claim(LONG[place], agreement())
    assert [(found.code, found.place) for found in findings] == [("layout.does_not_fit", place)]
    assert plugin.check_claim(claim(items=[payment()]), agreement()) == ()


def test_the_error_names_the_value_but_not_a_whole_identity_number():
    with pytest.raises(EncodeError, match="'" + "n" * 101 + "'"):
        export([LONG["CustomerDetails/@name"]])
    with pytest.raises(EncodeError) as refused:
        export([claim(card=customer(organisation_number="123456789012345678901"))])
    assert "123456789012345678901" not in str(refused.value)


def test_without_claims_no_file_is_made():
    sink = MemorySink()
    assert plugin.export_invoice(iter(()), agreement(), seal(), sink) == ()
    assert sink.files == {}


def test_an_update_without_items_is_refused():
    with pytest.raises(EncodeError, match="must have an item"):
        export([claim()], updates=True)


def test_customers_must_come_ordered_and_alike():
    with pytest.raises(EncodeError, match="ordered"):
        export([claim(card=customer("3")), claim("kp-c-2", card=customer("20"))])
    with pytest.raises(EncodeError, match="two different cards"):
        export([claim(card=customer()), claim("kp-c-2", card=customer(city="BERGEN"))])


def test_a_currency_with_other_decimals_is_refused():
    with pytest.raises(EncodeError, match="ISK"):
        export([claim()], of=agreement(currency="ISK"))


def test_sequence_000_and_1000_do_not_exist():
    for number in (0, 1000):
        with pytest.raises(EncodeError, match="fileSequence"):
            export([claim()], with_seal=seal(invoices=number))


def test_collection_needs_reminder_data():
    collecting = agreement(service=Service.COLLECTION)
    with pytest.raises(EncodeError, match="reminder"):
        export([claim()], of=collecting)
    _, content = export([claim(reminder_number="5", reminder_date=date(2026, 11, 18))], of=collecting)
    assert b'service="collection" reminderDate="2026-11-18"' in content


# --- random data -----------------------------------------------------------------------------------------------------

tricky = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1, max_size=36).filter(
    lambda text: text.strip(" \t\r\n")
)
kinds = st.sampled_from(
    [
        (LinkKind.DIRECT_PAYMENT, Direction.CREDIT),
        (LinkKind.CREDIT_NOTE, Direction.CREDIT),
        (LinkKind.DISBURSEMENT, Direction.DEBIT),
        (LinkKind.VOUCHER_LINE, Direction.DEBIT),
        (LinkKind.VOUCHER_LINE, Direction.CREDIT),
        (LinkKind.CHARGE, Direction.DEBIT),
    ]
)


@st.composite
def random_claims(draw):
    claims = []
    for number in range(draw(st.integers(1, 4))):
        card = customer(f"{number:03d}", name=draw(tricky), address1=draw(tricky), city=draw(tricky))
        for place in range(draw(st.integers(1, 2))):
            items = []
            for index in range(draw(st.integers(0, 3))):
                kind, direction = draw(kinds)
                items.append(
                    item(
                        f"e-{number}-{place}-{index}",
                        kind,
                        direction,
                        draw(st.integers(1, 10**13 - 1)),
                        number="77",
                        charge_kind="other",
                        text=draw(tricky | st.just("")),
                    )
                )
            original = draw(st.integers(1, 10**12))
            claims.append(
                claim(f"c-{number}-{place}", original=original, open_minor=0, items=items, card=card, text=draw(tricky))
            )
    return claims


@settings(max_examples=60, deadline=None)
@given(random_claims())
def test_any_data_gives_a_valid_file_with_the_totals_handed_in(claims):
    envelope, content = export(claims)
    XmlSchema(SCHEMA).validate_stream(io.BytesIO(content))
    items = [linked for each in claims for linked in each.items]
    principal = [effect(linked) for linked in items]
    assert verify(envelope, content) == Totals(
        len(claims),
        len(items),
        sum(each.original_minor for each in claims) + sum(change for change in principal if change > 0),
        -sum(change for change in principal if change < 0),
        sum(linked.amount_minor for linked in items if linked.kind is LinkKind.CHARGE),
    )


def payment_claims():
    return [claim(f"kp-c-{number}", items=[payment(f"kp-e-{number}")], card=customer(f"{number}")) for number in (1, 2)]


# --- verify and mark -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'invoiceCount="2"', b'invoiceCount="3"'),
        (b'invoiceTotal="100000000000.00"', b'invoiceTotal="100000000000.01"'),
        (b'itemCount="6"', b'itemCount="5"'),
        (b'creditTotal="110.45"', b'creditTotal="110.44"'),
        (b'debitTotal="5.00"', b'debitTotal="5.01"'),
        (b'chargeTotal="470.00"', b'chargeTotal="0.00"'),
        (b'instructionCount="0"', b'instructionCount="1"'),
        (b'amount="100.00"', b'amount="100.01"'),
        (b'fileSequence="007"', b'fileSequence="008"'),
        (b'message="invoices"', b'message="updates"'),
        (b'senderId="4711"', b'senderId="4712"'),
        (b'test="true"', b'test="false"'),
        (b'currency="NOK"', b'currency="SEK"'),
        (b'ledgerId="4711-NOK"', b'ledgerId="4711-SEK"'),
        (b'"20002"', b'"20001"'),
        (b'kind="public"', b'kind="kommune"'),
        (b"</Invoices>", b""),
        (b"<Invoices ", b"<!DOCTYPE Invoices>\n<Invoices "),
    ],
)
def test_a_changed_file_does_not_verify(old, new):
    envelope, content = export(golden_invoices(), with_seal=seal(invoices=7))
    assert content.count(old) == 1
    with pytest.raises(DataError):
        verify(envelope, content.replace(old, new))


def test_an_update_without_children_does_not_verify():
    envelope, content = export([claim(items=[payment()])], updates=True)
    hollow = re.sub(rb" *<Payment [^>]*/>\n", b"", content).replace(b'itemCount="1"', b'itemCount="0"')
    hollow = hollow.replace(b'creditTotal="100.00"', b'creditTotal="0.00"')
    with pytest.raises(DecodeError, match="no children"):
        verify(envelope, hollow)


ASSIGNMENT = FactoringAssignment(
    "F-77",
    "Nordisk Faktorering AS",
    "Postboks 9, 0101 Oslo",
    "912345678",
    "NO9386011117947",
    "Fordringen er overdratt til Nordisk Faktorering AS.",
)


def test_a_mark_adds_one_line_and_changes_nothing_else():
    envelope, content = export(golden_invoices())
    sink = MemorySink()
    marked = plugin.mark_factoring_envelope(envelope, ASSIGNMENT, agreement(), io.BytesIO(content), sink)
    result = sink.files[marked.filename]
    assert marked == dataclasses.replace(envelope, factoring_agreement="F-77")
    before, after = content.splitlines(), result.splitlines()
    assert after[:4] + after[5:] == before
    assert after[4].decode() == (
        '    <Assignment agreementNumber="F-77" factorName="Nordisk Faktorering AS" factorPartyId="912345678"'
        ' factorAddress="Postboks 9, 0101 Oslo" payToAccount="NO9386011117947"'
        ' notice="Fordringen er overdratt til Nordisk Faktorering AS."/>'
    )
    assert verify(marked, result) == envelope.totals
    with pytest.raises(DecodeError, match="Assignment"):
        verify(envelope, result)
    with pytest.raises(DecodeError, match="already"):
        plugin.mark_factoring_envelope(marked, ASSIGNMENT, agreement(), io.BytesIO(result), MemorySink())


def test_a_mark_with_a_wrong_account_is_refused():
    envelope, content = export([claim()])
    wrong = dataclasses.replace(ASSIGNMENT, pay_to_account="8601.11.17947")
    with pytest.raises(EncodeError, match="payToAccount"):
        plugin.mark_factoring_envelope(envelope, wrong, agreement(), io.BytesIO(content), MemorySink())


def test_a_mark_of_a_foreign_file_is_refused():
    envelope, _ = export([claim()])
    with pytest.raises(DecodeError):
        plugin.mark_factoring_envelope(envelope, ASSIGNMENT, agreement(), io.BytesIO(b"<x/>"), MemorySink())


def test_time_without_offset_is_refused():
    naive = (NOWHERE + timedelta(0)).replace(tzinfo=None)
    with pytest.raises(EncodeError, match="createdAt"):
        export([claim()], with_seal=seal(created_at=naive))
