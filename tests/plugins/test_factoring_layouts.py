"""The layouts beside SG Finans: each written byte for byte by the hooks, and everything they hold rather than write."""

import io
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest

from gateway.demo.ledger import creditors_of
from gateway.domain.exchange import (
    TO_FACTORING,
    CustomerKind,
    Envelope,
    FactoringAssignment,
    LinkKind,
    Seal,
    Severity,
    Totals,
)
from gateway.errors import DataError, DecodeError, EncodeError
from gateway.formats.ktl import KtlReader
from gateway.profiles.shipped import shipped
from gateway.testing.agency_kit import MemorySink
from plugins.factoring import plugin
from plugins.factoring.kid import make_kid
from plugins.factoring.sandbox import make_sandbox
from plugins.factoring.viite import make_laskuraha
from tests.plugins.factoring_cases import COMPANY, FINNISH, NOW, claim, codes, credit_note, terms
from tests.profiles.builders import CORPUS

DIALECTS = {"nordea": "SOLOMYSA.DAT", "op": "OKOMYSA.DAT", "danske": "SAFA.DAT", "aktia": "AKTIAMYSA.TXT"}
MARK = FactoringAssignment("F-1", "Example Factor", "Postboks 1", "", "86011117947", "Assigned.")


@pytest.fixture
def examples(shared):
    return shared / "formats" / "agencies" / "examples"


def fall(dialect="nordea", **settings):
    usual = {"business_id": "2345678-0", "late_interest": "1150", "reference_scheme": "laskuraha"}
    return replace(terms(f"fall-{dialect}", "1234", "FI", "EUR", **(usual | settings)), creditor_name="Vuono Oy")


def finnish(number="100031", minor=99_90, items=(), customer=FINNISH, **more):
    more = {"invoice_date": date(2026, 11, 15), "due_date": date(2026, 11, 29), **more}
    return claim(number, minor, customer, items, make_laskuraha("1234", number), **more)


BUYER = COMPANY._replace(customer_number="20001")


def factonor(number="5081", items=(), customer=BUYER, **more):
    reference = make_kid("factonor-16", client="123", customer=customer.customer_number, invoice=number)
    return claim(number, 1250_00, customer, items, reference, **more)


FACTONOR = terms("factonor", "123")


def exported(agreement, *claims, later=False, sequence=12, day=datetime(2026, 11, 23, 17, 30)):  # noqa: DTZ001
    """Return the envelopes and bytes by name, each sealed as the host does: marked, verified."""
    moment = day.replace(tzinfo=timezone(timedelta(hours=1)))
    kinds = ("invoices", "customers")
    seal = Seal(dict.fromkeys(kinds, sequence), dict.fromkeys(kinds, "a"), moment, day.date(), "1", "F", is_test=True)
    sink, marked = MemorySink(), MemorySink()
    hook = plugin.export_linked_items if later else plugin.export_invoice
    envelopes = hook(list(claims), agreement, seal, sink)
    for made in envelopes:
        content = sink.files[made.filename]
        assert plugin.verify_envelope(made, agreement, io.BytesIO(content)) == made.totals
        done = plugin.mark_factoring_envelope(made, MARK, agreement, io.BytesIO(content), marked)
        assert (done, marked.files[made.filename]) == (replace(made, factoring_agreement="F-1"), content)
    return envelopes, sink.files


# --- golden files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_of_fall_is_written_byte_for_byte(dialect):
    """The golden files have the credit note's own reference: the scheme makes it, for the ledger has none."""
    note = credit_note("100032", 10_00, date(2026, 11, 20))
    ((envelope,), files) = exported(fall(dialect), finnish(items=[note]))
    assert files == {envelope.filename: (CORPUS / f"fall-{dialect}.txt").read_bytes()}
    assert (envelope.kind, envelope.sequence, envelope.totals) == ("invoices", 12, Totals(1, 1, 99_90, 10_00))


@pytest.mark.parametrize(("dialect", "name"), DIALECTS.items())
def test_each_dialect_of_fall_is_the_published_example(dialect, name, examples):
    buyer = FINNISH._replace(
        customer_number="4711", name="Ostaja Oy", organisation_number="2345678-0", address1="Kauppakatu 1",
        postcode="33100", city="TAMPERE",
    )  # fmt: skip
    note = credit_note("100020", 124_00, date(2026, 11, 22))
    days = {"invoice_date": date(2026, 11, 22), "due_date": date(2026, 12, 6)}
    owner = replace(fall(dialect, business_id="12345671"), creditor_name="Esimerkki Oy")
    moment = datetime(2026, 11, 22, 9, 30)  # noqa: DTZ001
    _, files = exported(owner, finnish("100019", 1240_00, [note], buyer, **days), sequence=7, day=moment)
    assert list(files.values()) == [
        (examples / f"fall_{'' if dialect == 'nordea' else dialect + '_'}{name}").read_bytes()
    ]


def test_factonor_writes_customers_first_and_its_own_kid():
    note = credit_note("5082", 250_00, date(2026, 11, 20))
    days = {"invoice_date": date(2026, 11, 1), "due_date": date(2026, 11, 15)}
    second = COMPANY._replace(customer_number="20002", name="Sørfjord Rør", organisation_number="987 654 325")
    envelopes, files = exported(FACTONOR, factonor(items=[note], **days), factonor("5083", customer=second))
    assert [(one.filename, one.order, one.totals) for one in envelopes] == [
        ("KUNDE.DAT", 0, Totals()),
        ("FAKTURA.DAT", 1, Totals(2, 1, 2500_00, 250_00)),
    ]
    golden = (CORPUS / "factonor-invoices.txt").read_bytes().split(b"\r\n")
    kids = [make_kid("factonor-16", client="123", customer="20001", invoice=one).encode() for one in ("5081", "5082")]
    written = files["FAKTURA.DAT"].split(b"\r\n")
    for line, told, kid in zip(written[:2], golden, kids, strict=False):
        assert line == told[:52] + kid + told[68:], "as the golden file, but for the KID: its own breaks the scheme"
    assert files["KUNDE.DAT"].decode("iso-8859-1").split("\r\n") == [
        "V123;20001;Nordfjord Bygg og Anlegg;Storgata 12;;0155 OSLO;22 33 44 55;;987654325;F;;NO;post@example.org;Nordfjord Bygg og Anlegg",
        "V123;20002;Sørfjord Rør;Storgata 12;;0155 OSLO;22 33 44 55;;987654325;F;;NO;post@example.org;Sørfjord Rør",
        "",
    ]


@pytest.mark.parametrize("agreement", [fall(dialect) for dialect in DIALECTS] + [FACTONOR], ids=lambda one: one.profile)
def test_later_credit_notes_go_alone(agreement):
    note = credit_note("5090", 10_00, date(2026, 11, 20))
    known = factonor(items=[note]) if agreement is FACTONOR else finnish(items=[note])
    ((envelope,), files) = exported(agreement, known, later=True)
    assert envelope.totals == Totals(claims=1, items=1, credit_minor=10_00)
    assert b"5090" in files[envelope.filename]


# --- the manifest ----------------------------------------------------------------------------------------------------


def test_every_shipped_profile_is_a_layout_with_its_market_currency_and_bytes():
    profile = plugin.agency_profile()
    names = {name for name in shipped() if name.startswith(("fall-", "factonor", "svea-"))}
    found = {layout.name: layout for layout in profile.layouts if layout.sha256}
    assert set(found) == names
    assert {(*one.markets, *one.currencies) for one in found.values()} == {("FI", "EUR"), ("NO", "NOK")}
    assert all(layout.carries == {LinkKind.CREDIT_NOTE} and not layout.confirmed for layout in profile.layouts)
    assert profile.markets >= {"NO", "FI"}
    assert profile.currencies >= {"NOK", "EUR"}
    assert all(any(limit.startswith(name) for limit in profile.limits) for name in names)


@pytest.mark.parametrize("change", [{"currency": "EUR"}, {"market": "FI"}, {"client_number": "12345678"}])
@pytest.mark.parametrize("agreement", [terms("sgfinans-9409", "1234"), FACTONOR], ids=lambda one: one.profile)
def test_an_agreement_that_does_not_fit_its_layout_holds_everything(agreement, change):
    wrong, plain = replace(agreement, **change), factonor() if agreement is FACTONOR else claim()
    assert ("layout.does_not_fit", next(iter(change))) in codes(plugin.check_claim(plain, wrong))
    with pytest.raises(EncodeError):
        exported(wrong, plain)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"currency": "SEK"}, "currency"),
        ({"market": "NO"}, "market"),
        ({"client_number": "1234567"}, "client_number"),
        ({"creditor_name": "Y" * 31}, "creditor_name"),
        ({"creditor_name": "Łódź"}, "creditor_name"),
    ],
)
def test_terms_that_no_dialect_of_fall_has_room_for_hold_everything(change, place):
    for dialect in DIALECTS:
        wrong = replace(fall(dialect, reference_scheme="finnish"), **change)
        assert codes(plugin.check_claim(finnish(), wrong)) == {("layout.does_not_fit", place)}
        with pytest.raises(EncodeError):
            exported(wrong, finnish())


def test_a_setting_the_layout_needs_and_a_layout_nobody_has():
    assert codes(plugin.check_claim(finnish(), fall(business_id=""))) == {("factoring.setting_missing", "business_id")}
    silent = fall(late_interest="")
    assert codes(plugin.check_claim(finnish(), silent)) == {("factoring.setting_missing", "late_interest")}, (
        "it is not 0 %"
    )
    _, files = exported(fall(late_interest="0000"), finnish())
    assert files["SOLOMYSA.DAT"].split(b"\r\n")[1][200:209] == b"FIEUR0000"
    assert ("factoring.setting_missing", "kid_scheme") in codes(
        plugin.check_claim(claim(), terms("sgfinans-9409", "1234"))
    )
    with pytest.raises(DataError, match="no factoring layout"):
        plugin.check_claim(claim(), terms("fall-sampo", "1234"))


# --- what is held ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "code", "place"),
    [
        ({"customer_number": "0081"}, "factoring.customer_number", "customer_number"),
        ({"customer_number": "1234567"}, "factoring.customer_number", "customer_number"),
        ({"country": "SE"}, "layout.does_not_fit", "country"),
        ({"name": "K" * 31}, "layout.does_not_fit", "buyer.name"),
        ({"city": "JYVÄSKYLÄN MAALAISKUNTA"}, "layout.does_not_fit", "buyer.postcode_city"),
        ({"name": "Łódź Oy"}, "layout.does_not_fit", "buyer.name"),
    ],
)
def test_cards_that_fall_holds(card, code, place):
    held = FINNISH._replace(**card)
    assert codes(plugin.check_customer(held, fall())) == {(code, place)}
    with pytest.raises(EncodeError):
        exported(fall(), finnish(customer=held))


@pytest.mark.parametrize(
    ("change", "code", "place"),
    [
        ({"payment_reference": ""}, "factoring.reference_scheme", "payment_reference"),
        ({"payment_reference": "12340001000320"}, "factoring.reference_scheme", "payment_reference"),
        ({"original_minor": -1}, "amount.not_carried", "original_minor"),
        ({"due_date": date(2069, 1, 1)}, "layout.does_not_fit", "due_date"),
        ({"items": (credit_note(kind=LinkKind.DIRECT_PAYMENT),)}, "item.not_carried", "items"),
        ({"items": (credit_note("0017"),)}, "factoring.invoice_number", "items"),
    ],
)
def test_claims_that_fall_holds(change, code, place):
    held = finnish()._replace(**change)
    assert (code, place) in codes(plugin.check_claim(held, fall()))
    with pytest.raises(EncodeError):
        exported(fall(), held)


def test_danske_has_nine_digits_for_an_invoice_and_the_others_ten():
    ten = finnish()._replace(invoice_number="1234567890", payment_reference="1232")
    own = {"reference_scheme": "finnish"}
    assert codes(plugin.check_claim(ten, fall("danske", **own))) == {("factoring.invoice_number", "invoice_number")}
    assert plugin.check_claim(ten, fall("op", **own)) == ()


def test_a_credit_note_without_reference_is_held_where_the_column_must_have_one():
    noted = finnish(items=[credit_note("100032")])
    assert codes(plugin.check_claim(noted, fall(reference_scheme="finnish"))) == {
        ("layout.does_not_fit", "invoice.reference_number")
    }
    assert plugin.check_claim(noted, fall("op", reference_scheme="finnish")) == ()


def test_text_is_shortened_only_where_agreed_and_the_finding_stays():
    long = FINNISH._replace(name="Kelloseppien ja Kultaseppien Liitto ry", city="JYVÄSKYLÄN MAALAISKUNTA")
    agreed = fall(shorten_text=True)
    found = plugin.check_customer(long, agreed)
    assert {(one.severity, one.code, one.place, one.value) for one in found} == {
        (Severity.WARNING, "factoring.text_shortened", "name", "Kelloseppien ja Kultaseppien L"),
        (Severity.WARNING, "factoring.text_shortened", "city", "JYVÄSKYLÄN MAA"),
    }
    _, files = exported(agreed, finnish(customer=long))
    record = files["SOLOMYSA.DAT"].split(b"\r\n")[1].decode("iso-8859-1")
    assert (record[31:61], record[111:131]) == ("Kelloseppien ja Kultaseppien L", "00100 JYVÄSKYLÄN MAA")
    number = FINNISH._replace(organisation_number="11223344-5678901")
    assert ("layout.does_not_fit", "buyer.business_id") in codes(plugin.check_customer(number, agreed))


@pytest.mark.parametrize(
    ("card", "code", "place"),
    [
        ({"kind": CustomerKind.PRIVATE}, "factoring.private_customer", "kind"),
        ({"customer_number": "1234567"}, "factoring.customer_number", "customer_number"),
        ({"name": "Fjord; Fjell"}, "layout.does_not_fit", "name"),
        ({"email": "ł@fjord.example"}, "layout.does_not_fit", "email"),
    ],
)
def test_cards_that_factonor_holds(card, code, place):
    assert (code, place) in codes(plugin.check_customer(COMPANY._replace(**card), FACTONOR))


def test_factonor_wants_its_own_kid_and_svea_is_held_for_its_rows():
    foreign = factonor()._replace(payment_reference="0123020001005081")
    assert codes(plugin.check_claim(foreign, FACTONOR)) == {("factoring.kid_scheme", "payment_reference")}
    svea = terms("svea-fi", "7654321", "FI", "EUR")
    assert ("factoring.rows_missing", "rows") in codes(plugin.check_claim(finnish(), svea))
    with pytest.raises(EncodeError, match="rows of the invoice"):
        exported(svea, finnish())
    with pytest.raises(
        DataError, match="only reads svea-fi and writes nothing in it; there is sgfinans-9409, fall-nordea"
    ):
        creditors_of(plugin.agency_profile(), "svea-fi")


@pytest.mark.rule("R-FA-13")
def test_only_documents_have_a_place_for_notice_and_account():
    """In every other layout being in the file is the assignment: marking proves whose file it is and changes no byte."""
    golden = {"sgfinans-9409": ("4321", "factoring/Faktura.SGF"), "factonor": ("123", "factoring/FAKTURA.DAT"),
              "svea-fi": ("7654321", "profiles/svea-fi.txt")}  # fmt: skip
    golden |= {f"fall-{dialect}": ("1234", f"profiles/fall-{dialect}.txt") for dialect in DIALECTS}
    for layout, (client, name) in golden.items():
        content, sink = (CORPUS.parent / name).read_bytes(), MemorySink()
        agreement = terms(layout, client, kid_scheme="sgfinans-16", business_id="2345678-0")
        sealed = Envelope("invoices", 1, "sealed.txt", "text/plain", "NOK", Totals(1))
        done = plugin.mark_factoring_envelope(sealed, MARK, agreement, io.BytesIO(content), sink)
        assert (done.factoring_agreement, sink.files["sealed.txt"]) == ("F-1", content)
        assert MARK.notice.encode() not in content
        assert MARK.pay_to_account.encode() not in content
        other = replace(agreement, client_number="9")
        with pytest.raises(DecodeError, match="is not the agreement's"):
            plugin.mark_factoring_envelope(sealed, MARK, other, io.BytesIO(content), MemorySink())
    assert {one.name for one in plugin.agency_profile().layouts} - {*golden} == {"peppol-factored"}


# --- what is read again ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        (b"KRFL3001234", b"KRFL3001235", "agreement_number"),
        (b"KRFL023456780", b"KRFL023456781", "seller_id"),
        (b"000000009990", b"000000009991", "debit_sum"),
        (b"0000100031", b"0000100032", "number"),
    ],
)
def test_a_file_of_another_agreement_or_with_other_sums_is_refused(was, becomes, field):
    note = credit_note("100032", 10_00, date(2026, 11, 20), kind=LinkKind.CREDIT_NOTE)
    ((envelope,), files) = exported(fall(), finnish(items=[note]), finnish("100033"))
    twice = files["SOLOMYSA.DAT"].replace(b"0000100033", b"0000100031") if field == "number" else files["SOLOMYSA.DAT"]
    wrong = twice if field == "number" else twice.replace(was, becomes, 1)
    with pytest.raises(DecodeError, match=field):
        plugin.verify_envelope(envelope, fall(), io.BytesIO(wrong))


def test_a_customer_of_another_client_is_refused():
    (cards, _), files = exported(FACTONOR, factonor())
    wrong = files["KUNDE.DAT"].replace(b"V123", b"V124")
    with pytest.raises(DecodeError, match="client"):
        plugin.mark_factoring_envelope(cards, MARK, FACTONOR, io.BytesIO(wrong), MemorySink())
    twice = files["KUNDE.DAT"] * 2
    with pytest.raises(DecodeError, match="twice"):
        plugin.verify_envelope(cards, FACTONOR, io.BytesIO(twice))


# --- the other end ---------------------------------------------------------------------------------------------------

FI_FACTS = {
    "client_number": "1234", "business_id": "2345678-0", "reference_scheme": "laskuraha",
    "creditor_account": "12345600000785", "agency_account": "12345600000999", "agency_name": "Example Rahoitus Oy",
}  # fmt: skip


def factor(folder, layout, **facts):
    """The far side in *folder* and where to put files."""
    made = make_sandbox(folder, {**FI_FACTS, "layout": layout, **facts})

    def put(name, content):
        (folder / "upload" / name).write_bytes(content)
        made.work(NOW)
        return made.problems()

    return made, put


@pytest.mark.parametrize(("dialect", "name"), DIALECTS.items())
def test_the_far_side_takes_the_published_examples(dialect, name, examples, tmp_path):
    far, put = factor(tmp_path, f"fall-{dialect}", business_id="1234567-1")
    content = (examples / f"fall_{'' if dialect == 'nordea' else dialect + '_'}{name}").read_bytes()
    assert put(name, content) == []
    assert far.balances() == {"100019": 124000, "100020": -12400}


def test_the_far_side_takes_factonors_published_example_behind_its_customer(examples, tmp_path):
    far, put = factor(tmp_path, "factonor", client_number="123")
    content = (examples / "factonor_FAKTURA.DAT").read_bytes()
    assert put("FAKTURA.DAT", content) == ["FAKTURA.DAT: item 5067: customer 100017 is unknown"]
    card = b"V123;100017;Tindevik AS;Storgata 1;;0155 OSLO;;;987654325;F;;NO;;Tindevik AS\r\n"
    put("KUNDE.DAT", card)
    put("FAKTURA.DAT", content + content.replace(b"5067", b"5068"))
    assert far.balances() == {"5067": 125000, "5068": 125000}
    assert make_sandbox(tmp_path, far._facts).pay({"5067": 100}, NOW) == "factor-000001.xml"


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (b"0000100031", b"0000000000", "not a number above zero"),
        (b"01000000009990", b"01000000009991", "the totals say"),
        (b"KRFL3", b"KRFL2", "is not KRFL3"),
        (b"KRFL1001234000081", b"KRFL1001234000082", "the buyer before it is another"),
        (b"FIEUR1150", b"FIEUR11A0", "is not a number"),
        (b"2611231730", b"2611232930", "no time of day"),
        (b"\r\n", b"\n", "cut off"),
    ],
)
def test_the_far_side_refuses_what_the_columns_do_not_allow(was, becomes, told, tmp_path):
    far, put = factor(tmp_path, "fall-nordea")
    _, files = exported(fall(), finnish(items=[credit_note("100032", 10_00, date(2026, 11, 20))]))
    (problem,) = put("SOLOMYSA.DAT", files["SOLOMYSA.DAT"].replace(was, becomes))
    assert told in problem
    assert far.balances() == {}


def test_a_transfer_list_comes_once(tmp_path):
    far, put = factor(tmp_path, "fall-nordea")
    for number in ("100031", "100033"):
        put("SOLOMYSA.DAT", exported(fall(), finnish(number))[1]["SOLOMYSA.DAT"])
    assert far.problems() == ["SOLOMYSA.DAT: list 12: came before"]
    assert far.balances() == {"100031": 99_90}


def test_the_factors_money_comes_as_factoring_rows_that_the_host_reads(tmp_path):
    far, put = factor(tmp_path, "fall-nordea")
    put("SOLOMYSA.DAT", exported(fall(), finnish(), finnish("100033", 50_00))[1]["SOLOMYSA.DAT"])
    content = (tmp_path / "download" / far.pay({"100031": 99_90, "100033": 20_00}, NOW)).read_bytes()
    reader = KtlReader(io.BytesIO(content))
    assert [(one.reference, one.amount_minor, one.why_not, one.payer_name, one.account) for one in reader] == [
        (make_laskuraha("1234", "100031"), 99_90, TO_FACTORING, "EXAMPLE RAHO", "12345600000785"),
        (make_laskuraha("1234", "100033"), 20_00, TO_FACTORING, "EXAMPLE RAHO", "12345600000785"),
    ]
    assert [finding.code for finding in reader.findings] == ["ktl.total_with_factoring"]
    assert far.balances() == {"100031": 0, "100033": 30_00}
