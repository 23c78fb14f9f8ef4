"""The factoring plugin against the golden files, and everything it must hold rather than write."""

import io
from dataclasses import replace
from datetime import date

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agencies import Agencies
from gateway.domain.exchange import (
    Can,
    CustomerKind,
    Direction,
    FactoringAssignment,
    LinkKind,
    Totals,
)
from gateway.errors import DecodeError, DeliveryError, EncodeError
from gateway.formats.record import decode, encode
from gateway.testing.agency_kit import MemorySink
from plugins.factoring import CUSTOMERS, INVOICES, plugin
from plugins.factoring.k9409_records import END, DebtorCard, LedgerItem, customer_line, in_charset
from tests.plugins.factoring_cases import (
    AGREEMENT,
    COMPANY,
    SEAL,
    SECOND,
    agreement,
    claim,
    codes,
    credit_note,
    kid,
)

ASSIGNMENT = FactoringAssignment("F-1234", "Example Factor", "Postboks 1", "", "86011117947", "Assigned.")


@pytest.fixture
def examples(shared):
    return shared / "formats" / "agencies" / "examples"


def export(*claims, terms=AGREEMENT):
    sink = MemorySink()
    return plugin.export_invoice(list(claims), terms, SEAL, sink), sink.files


# --- golden files ----------------------------------------------------------------------------------------------------


def test_golden_invoice_file_from_records(examples):
    common = {"client_number": "1234", "debtor_number": "000100017"}
    invoice = LedgerItem(
        transaction_code="1", invoice_number="00005067", invoice_date=date(2026, 10, 15),
        due_date=date(2026, 10, 29), amount_minor=125000, order_number="ORD-77", comment="Vinterdekk og montering",
        **common,
    )  # fmt: skip
    credited = LedgerItem(
        transaction_code="9", invoice_number="00005070", invoice_date=date(2026, 10, 20),
        due_date=date(2026, 10, 20), amount_minor=25000, comment="Kreditnota til 5067", **common,
    )  # fmt: skip
    made = b"".join(in_charset(encode(item) + END, "iso-8859-1") for item in (invoice, credited))
    assert made == (examples / "sgfinans_Faktura.SGF").read_bytes()


def test_golden_files_from_the_hook(examples):
    terms = agreement(comment="text")
    envelopes, files = export(claim(text="Vinterdekk og montering", items=[credit_note()]), terms=terms)
    golden = (examples / "sgfinans_Faktura.SGF").read_bytes()
    without_order_number = golden[:60] + b" " * 15 + golden[75:]  # F10: a claim has no order number
    assert files == {
        "Faktura.SGF": without_order_number,
        "Kunde.SGK": (examples / "sgfinans_Kunde_orgzero.SGK").read_bytes(),
    }
    assert [(e.kind, e.sequence, e.order, e.totals) for e in envelopes] == [
        (CUSTOMERS, 7, 0, Totals()),
        (INVOICES, 9, 1, Totals(1, 1, 125000, 25000, 0)),
    ]


def test_golden_customer_file_with_blank_fill(examples):
    _, files = export(claim(), terms=agreement(org_number_fill="blank"))
    assert files["Kunde.SGK"] == (examples / "sgfinans_Kunde.SGK").read_bytes()


# --- exports ---------------------------------------------------------------------------------------------------------


def test_each_customer_stands_once_and_files_have_the_agreements_names():
    terms = agreement(invoice_filename="Faktura.NFF", customer_filename="Kunde.NFK")
    claims = [claim("1001"), claim("1002"), claim("1003", customer=SECOND)]
    envelopes, files = export(*claims, terms=terms)
    assert [envelope.filename for envelope in envelopes] == ["Kunde.NFK", "Faktura.NFF"]
    assert files["Kunde.NFK"].count(b"\r\n") == 2
    assert files["Faktura.NFF"].count(b"\r\n") == 3
    assert "Ålesund".encode("iso-8859-1") in files["Kunde.NFK"]


def test_nothing_to_send_makes_no_file():
    sink = MemorySink()
    assert plugin.export_invoice([], AGREEMENT, SEAL, sink) == ()
    assert plugin.export_linked_items(iter(()), AGREEMENT, SEAL, sink) == ()
    assert sink.files == {}


def test_later_credit_notes_go_without_their_invoice():
    sink = MemorySink()
    claims = [
        claim("1001", items=[credit_note("1004"), credit_note("1005")]),
        claim("1002", items=[credit_note("1006")]),
    ]
    (envelope,) = plugin.export_linked_items(claims, AGREEMENT, SEAL, sink)
    assert envelope.totals == Totals(claims=2, items=3, credit_minor=75000)
    assert plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(sink.files["Faktura.SGF"])) == envelope.totals
    assert sink.files["Faktura.SGF"][:1] == b"9"


def test_host_accepts_promises_and_totals():
    agencies = Agencies([("factoring", plugin)])
    assert agencies.broken == {}
    agency, sink = agencies["factoring"], MemorySink()
    claims = [claim("1001", items=[credit_note("1004")]), claim("1003", customer=SECOND)]
    for envelope in agency.export(claims, AGREEMENT, SEAL, sink, are_new=True):
        agency.verify_envelope(envelope, AGREEMENT, io.BytesIO(sink.files[envelope.filename]))
    later = agency.export([claims[0]], AGREEMENT, SEAL, MemorySink(), are_new=False)
    assert later[0].totals == Totals(claims=1, items=1, credit_minor=25000)


def test_profile_is_honest():
    profile = plugin.agency_profile()
    layout = profile.layout("sgfinans-9409")
    assert not layout.confirmed
    assert layout.carries == {LinkKind.CREDIT_NOTE}
    assert layout.receipt_within_hours is None
    assert not profile.can & (Can.IMPORT_PAYMENTS | Can.IMPORT_RECEIPT | Can.IMPORT_SETTLEMENT)
    assert any("Payments have no record" in sentence for sentence in profile.limits)


def test_settings_follow_their_schema():
    schema = plugin.agency_profile().settings_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"kid_scheme": "dnb-20", "org_number_fill": "blank"}, schema)
    for wrong in (
        {"kid_scheme": "long-21"},
        {"invoice_filename": "../Faktura.SGF"},
        {"business_id": "1"},
        {"kid": "x"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


# --- what is held ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "code", "place"),
    [
        (COMPANY._replace(kind=CustomerKind.PRIVATE), "factoring.private_customer", "kind"),
        (COMPANY._replace(customer_number="1234567890"), "factoring.customer_number", "customer_number"),
        (COMPANY._replace(customer_number="0017"), "factoring.customer_number", "customer_number"),
        (COMPANY._replace(customer_number="K17"), "factoring.customer_number", "customer_number"),
        (COMPANY._replace(name="AS Nordfjord"), "factoring.name_begins_with_form", "name"),
        (COMPANY._replace(name="N" * 36), "layout.does_not_fit", "name"),
        (COMPANY._replace(name="Łódź Handel"), "layout.does_not_fit", "name"),
        (COMPANY._replace(name="Fjord\tBygg"), "layout.does_not_fit", "name"),
        (COMPANY._replace(address1="Storgata 12, inngang B", address2="c/o Fjord"), "layout.does_not_fit", "address1"),
        (COMPANY._replace(city="X" * 24), "layout.does_not_fit", "city"),
        (COMPANY._replace(postcode="11151"), "layout.does_not_fit", "postcode"),
        (COMPANY._replace(phone="+47 22 33 44 55 66 77"), "layout.does_not_fit", "phone"),
        (COMPANY._replace(country="SE"), "layout.does_not_fit", "country"),
        (COMPANY._replace(organisation_number="5560001234"), "layout.does_not_fit", "organisation_number"),
    ],
)
def test_customers_that_are_held(card, code, place):
    assert codes(plugin.check_customer(card, AGREEMENT)) == {(code, place)}
    with pytest.raises(EncodeError):
        export(claim(customer=card, payment_reference=kid("5067")))


def test_good_customer_and_claim_have_no_finding():
    assert plugin.check_customer(COMPANY, AGREEMENT) == ()
    assert plugin.check_claim(claim(items=[credit_note()]), AGREEMENT) == ()


@pytest.mark.parametrize(
    ("changed", "code", "place"),
    [
        ({"payment_reference": ""}, "factoring.kid_scheme", "payment_reference"),
        ({"payment_reference": "9123400005067008"}, "factoring.kid_scheme", "payment_reference"),
        ({"payment_reference": kid("5068")}, "factoring.kid_scheme", "payment_reference"),
        ({"original_minor": 0}, "amount.not_carried", "original_minor"),
        ({"original_minor": -100}, "amount.not_carried", "original_minor"),
        ({"original_minor": 10**11}, "layout.does_not_fit", "original_minor"),
        ({"due_date": date(2069, 1, 1)}, "layout.does_not_fit", "due_date"),
        ({"invoice_date": date(1999, 12, 31)}, "layout.does_not_fit", "invoice_date"),
        ({"items": (credit_note(kind=LinkKind.DIRECT_PAYMENT),)}, "item.not_carried", "items"),
        ({"items": (credit_note(direction=Direction.DEBIT),)}, "item.not_carried", "items"),
        ({"items": (credit_note("123456789"),)}, "factoring.invoice_number", "items"),
    ],
)
def test_claims_that_are_held(changed, code, place):
    wrong = claim(**changed)
    assert codes(plugin.check_claim(wrong, AGREEMENT)) == {(code, place)}
    with pytest.raises(EncodeError, match="invoice 5067"):
        export(wrong)


def test_invoice_number_of_nine_digits_is_held_and_never_cut():
    wrong = claim()._replace(invoice_number="123456789")
    assert ("factoring.invoice_number", "invoice_number") in codes(plugin.check_claim(wrong, AGREEMENT))
    with pytest.raises(EncodeError, match="at most 8 digits"):
        export(wrong)


def test_other_currency_is_held():
    assert codes(plugin.check_claim(claim(), replace(AGREEMENT, currency="EUR"))) == {
        ("layout.does_not_fit", "currency")
    }


def test_comment_is_left_out_unless_agreed_and_then_must_fit():
    long = claim(text="Vinterdekk, montering og hjulskift")
    assert plugin.check_claim(long, AGREEMENT) == ()
    assert codes(plugin.check_claim(long, agreement(comment="text"))) == {("layout.does_not_fit", "text")}


def test_two_files_of_one_name_hold_everything():
    both = agreement(customer_filename="Fil.SGF", invoice_filename="Fil.SGF")
    assert codes(plugin.check_claim(claim(), both)) == {("layout.does_not_fit", "customer_filename")}
    with pytest.raises(EncodeError, match="invoice 5067"):
        export(claim(), terms=both)


def test_client_number_wider_than_four_cannot_be_written():
    terms = replace(AGREEMENT, client_number="12345")
    with pytest.raises(EncodeError):
        export(claim(), terms=terms)


# --- marking, verifying, delivering ----------------------------------------------------------------------------------


def test_marking_changes_no_byte_and_names_the_agreement():
    envelopes, files = export(claim(items=[credit_note()]))
    for envelope in envelopes:
        sink, content = MemorySink(), files[envelope.filename]
        marked = plugin.mark_factoring_envelope(envelope, ASSIGNMENT, AGREEMENT, io.BytesIO(content), sink)
        assert marked == replace(envelope, factoring_agreement="F-1234")
        assert sink.files[envelope.filename] == content


def test_marking_refuses_records_of_another_client():
    (_, envelope), files = export(claim())
    other = replace(AGREEMENT, client_number="4321")
    with pytest.raises(DecodeError, match="client_number"):
        plugin.mark_factoring_envelope(envelope, ASSIGNMENT, other, io.BytesIO(files["Faktura.SGF"]), MemorySink())
    nameless = replace(ASSIGNMENT, agreement_number="")
    with pytest.raises(EncodeError):
        plugin.mark_factoring_envelope(envelope, nameless, AGREEMENT, io.BytesIO(b""), MemorySink())


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content.replace(b"\r\n", b"\n"),
        lambda content: content + content,
        lambda content: content.replace(b"NOK", b"EUR"),
        lambda content: content.replace(b"261015", b"261315"),
        lambda content: b"2" + content[1:],
        lambda content: content[:40] + b"A" + content[41:],
        lambda content: b"1" * 10_000,
    ],
)
def test_damaged_file_is_not_verified(damage):
    (_, envelope), files = export(claim(items=[credit_note()]))
    with pytest.raises(DecodeError):
        plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(damage(files["Faktura.SGF"])))


def test_changed_amount_is_found_by_its_total():
    (_, envelope), files = export(claim())
    changed = files["Faktura.SGF"].replace(b"00000125000", b"00000125001")
    assert plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(changed)) != envelope.totals


@given(st.binary(max_size=300))
def test_no_bytes_make_verifying_fail_otherwise(content):
    envelopes, _ = export(claim())
    for envelope in envelopes:
        with pytest.raises(DecodeError):
            plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(content))


class Mailbox:
    def __init__(self, lying):
        self.lying, self.sent = lying, []

    def read_back(self, filename, into):
        into.write(self.lying.get(filename, b""))
        return filename in self.lying

    def put(self, filename, content, size):
        self.sent.append((filename, content.read(size)))
        return f"/in/{filename}"


def test_second_file_of_a_name_waits_for_the_first():
    (_, envelope), files = export(claim())
    content = files["Faktura.SGF"]
    busy, free = Mailbox({"Faktura.SGF": b"old"}), Mailbox({})
    with pytest.raises(DeliveryError, match="has not been fetched"):
        plugin.deliver(envelope, busy, io.BytesIO(content), len(content), AGREEMENT)
    assert busy.sent == []
    assert plugin.deliver(envelope, free, io.BytesIO(content), len(content), AGREEMENT) == "/in/Faktura.SGF"
    assert free.sent == [("Faktura.SGF", content)]


# --- round trips -----------------------------------------------------------------------------------------------------

NUMBERS = st.integers(1, 99_999_999).map(str)
LATIN = st.text(st.characters(codec="iso-8859-1", categories=["L", "Nd", "Zs", "Po"]), max_size=20).map(
    lambda text: " ".join(text.split())
)
DAYS = st.dates(date(2000, 1, 1), date(2068, 12, 31))


@given(st.dictionaries(NUMBERS, st.tuples(st.integers(1, 10**11 - 1), DAYS, DAYS), min_size=1, max_size=8))
def test_whatever_fits_is_found_again(invoices):
    claims = [
        claim(number, amount, invoice_date=dated, due_date=due) for number, (amount, dated, due) in invoices.items()
    ]
    (_, envelope), files = export(*claims)
    lines = files["Faktura.SGF"].decode("iso-8859-1").split("\r\n")[:-1]
    for made, line in zip(claims, lines, strict=True):
        item = decode(LedgerItem, line)
        assert encode(item) == line
        assert (int(item.invoice_number), item.amount_minor) == (int(made.invoice_number), made.original_minor)
        assert (item.invoice_date, item.due_date) == (made.invoice_date, made.due_date)
    assert envelope.totals.debit_minor == sum(amount for amount, _, _ in invoices.values())
    assert plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(files["Faktura.SGF"])) == envelope.totals


@given(NUMBERS, LATIN, LATIN, LATIN)
def test_every_card_is_held_or_written_whole(number, name, address, city):
    card = COMPANY._replace(customer_number=number, name=name, address1=address, city=city)
    if plugin.check_customer(card, AGREEMENT):
        return
    line = in_charset(customer_line(card, AGREEMENT), "iso-8859-1").decode("iso-8859-1").removesuffix(END)
    read = decode(DebtorCard, line)
    assert encode(read) == line
    assert (int(read.debtor_number), read.name, read.postal_address, read.post_place) == (
        int(number),
        name,
        address,
        city,
    )
