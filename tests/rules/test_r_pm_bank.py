"""R-PM-02, second half: money that the creditor's own bank tells of, which is nobody's but the creditor's (origin bank)."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime

import pytest

from gateway.db.tables import InboundArrival, InboundFile
from gateway.domain.identifiers import make_viitenumero
from gateway.errors import DataError
from gateway.formats.total_in import PROFILE
from gateway.services import creditors, inbound, watch
from gateway.services.evening import make_evening
from gateway.testing.ktl_files import KtlPayment, ktl_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from gateway.testing.total_in_files import TotalInPayment, total_in_file
from plugins.factoring.sandbox import make_sandbox
from plugins.factoring.viite import make_laskuraha
from tests.rules.world import ACTOR, World

KID = "1000000000017"
DEBTOR, PAYOUT = "86011117947", "15030000029"


@pytest.fixture
def fjord_with_two(house, clock, tmp_path) -> World:
    """Invoices 1 and 2 of 1 250.00 are at Lowell, which pays out from a known account."""
    world = World(house, clock, tmp_path, "lowell", options={"agency_accounts": ["1503.00.00029"]}).start()
    world.customer()
    world.invoice("1", 1250, payment_reference=KID)
    world.invoice("2", 1250, payment_reference="2000000000024")
    world.evening()
    world.far.night()
    return world


def keep(world: World, *payments: OcrPayment, name: str = "OCR.dat") -> inbound.StoredFile:
    return inbound.store_own(world.house, world.creditor_id, "api", name, io.BytesIO(ocr_file([payments])))


def take(world: World, *payments: OcrPayment) -> InboundFile:
    stored = keep(world, *payments)
    inbound.process(world.house, stored.inbound_file_id)
    return world.row(InboundFile, stored.inbound_file_id)


def paid(kroner: int, kid: str = KID, **parts: str) -> OcrPayment:
    return OcrPayment(kroner * 100, kid, date(2026, 11, 23), **({"payer": DEBTOR} | parts))


@pytest.mark.rule("R-PM-02")
def test_r_pm_02_money_from_the_creditors_own_bank_has_no_agency_label(fjord_with_two):
    world = fjord_with_two
    world.far.pay("2", 1250)
    world.far.tell()
    assert take(world, paid(1250)).state == "imported"
    assert {(row.label, row.entry_id) for row in world.payments()} == {
        ("Lowell", world.entry_id("2")), ("", world.entry_id("1")),
    }  # fmt: skip
    (own,) = world.payments(label="")
    assert (own.agreement_id, own.state, own.difference, own.match_rule) == (None, "proposed", "", "payment_reference")


@pytest.mark.rule("R-PM-02", "R-PM-03", "R-LS-05")
def test_r_pm_02_once_posted_it_goes_to_the_agency_as_a_direct_payment(fjord_with_two):
    world = fjord_with_two
    take(world, paid(1250))
    assert world.evening().files == {}, "a proposal is nobody's business"
    world.post(label="")
    assert world.open("1") == 0
    evening = world.evening()
    assert evening.carried["1"].items == (("Payment", 1250),)
    (content,) = evening.files.values()
    assert b'method="bank"' in content
    world.far.night()
    assert world.far.balances() == {"1": 0, "2": 1250}
    assert world.agency_balance("1") == 0


@pytest.mark.rule("R-PM-02")
def test_r_pm_02_an_invoice_that_no_agency_has_is_paid_like_any_other(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell").start_draft()
    world.customer()
    world.invoice("1", 1250, payment_reference=KID)
    take(world, paid(1250))
    (row,) = world.payments()
    assert (row.state, row.difference) == ("proposed", "")


@pytest.mark.rule("R-OP-04", "R-PM-08")
def test_r_op_04_the_agencys_payout_on_the_own_statement_is_told_apart_by_its_account(fjord_with_two):
    """Even where it bears an invoice's reference: it is the agency's money, and is never echoed."""
    world = fjord_with_two
    take(world, paid(1250, payer=PAYOUT), paid(1250, "2000000000024"))
    (payout,) = world.payments(label="Lowell")
    assert (payout.state, payout.entry_id, payout.difference) == ("unmatched", None, "payment.agency_payout")
    assert (payout.agreement_id, payout.suggested_entry_id) == (world.agreement_id, world.entry_id("1"))
    world.post()
    assert world.evening().sent == {f"payment:{row.id}" for row in world.payments(label="")}


@pytest.mark.rule("R-PM-02", "R-OP-07", "R-PM-10")
def test_r_pm_02_the_same_bytes_from_the_bank_are_noted_and_not_read(fjord_with_two):
    first, second = keep(fjord_with_two, paid(1250)), keep(fjord_with_two, paid(1250), name="copy.dat")
    assert (first.is_new, second.is_new) == (True, False)
    assert first.inbound_file_id == second.inbound_file_id
    noted = fjord_with_two.rows(InboundArrival, InboundArrival.inbound_file_id == first.inbound_file_id)
    assert [row.filename for row in noted] == ["OCR.dat", "copy.dat"]


@pytest.mark.rule("R-OP-05", "R-PM-02")
def test_r_op_05_the_banks_file_is_read_before_the_run_too(fjord_with_two):
    world = fjord_with_two
    stored = keep(world, paid(1250))
    world.clock.moment = datetime(2026, 11, 24, 17, 0, 1, tzinfo=UTC)
    make_evening(world.house, world.agreement_id, date(2026, 11, 24))
    assert world.row(InboundFile, stored.inbound_file_id).state == "imported"


@pytest.mark.rule("R-PM-02", "R-OP-12")
def test_r_pm_02_a_damaged_file_of_the_bank_rings_and_has_no_effect(fjord_with_two):
    world = fjord_with_two
    content = ocr_file([[paid(1250)]])[:-200]
    stored = inbound.store_own(world.house, world.creditor_id, "api", "OCR.dat", io.BytesIO(content))
    inbound.process(world.house, stored.inbound_file_id)
    (alarm,) = [one for one in watch.alarms(world.house, [world.creditor_id]) if one.object_type == "inbound_file"]
    assert (alarm.object_id, world.payments()) == (stored.inbound_file_id, [])


@pytest.mark.rule("R-PM-02", "R-OP-12")
def test_r_op_12_money_from_the_bank_that_nobody_places_rings_as_well(fjord_with_two):
    world = fjord_with_two
    take(world, paid(777, "999999999999999"))
    world.clock.advance(days=3, minutes=1)
    found = watch.alarms(world.house, [world.creditor_id])
    take(world, paid(1250))
    world.clock.advance(days=3, minutes=1)
    assert [one.code for one in found if one.object_type == "payment"] == ["payment.unplaced"]
    again = [one.code for one in watch.alarms(world.house, [world.creditor_id]) if one.object_type == "payment"]
    assert again == ["payment.unplaced"], "a proposal of the bank waits for no bank"


# --- formats of the creditor's own bank ------------------------------------------------------------------------------


@pytest.mark.rule("R-PM-02")
def test_an_unverified_format_of_the_bank_is_read_only_once_its_profile_was_named(fjord_with_two):
    world = fjord_with_two
    content = total_in_file([[TotalInPayment(125_000, KID, "00000000000000001")]])

    def read() -> InboundFile:
        stored = inbound.store_own(world.house, world.creditor_id, "api", "TIN.txt", io.BytesIO(content))
        inbound.process(world.house, stored.inbound_file_id)
        return world.row(InboundFile, stored.inbound_file_id)

    refused = read()
    assert (refused.state, [one["code"] for one in refused.findings]) == ("refused", ["file.unverified_format"])
    with pytest.raises(DataError, match="no format profile"):
        creditors.set_payment_rules(world.house, world.creditor_id, {"profiles": ["total_in"]}, ACTOR)
    creditors.set_payment_rules(world.house, world.creditor_id, {"profiles": [PROFILE]}, ACTOR)
    inbound.replay(world.house, refused.id, ACTOR)
    assert read().state == "imported"
    assert [row.amount_minor for row in world.payments()] == [125_000]


@pytest.fixture
def sold(house, clock, tmp_path) -> World:
    """A Finnish creditor; invoices 1 and 2 of 1 000.00 are with the factoring company."""
    options = {"treated_as_factoring": True}
    world = World(house, clock, tmp_path, "lowell", country="FI", currency="EUR", options=options).start()
    world.use_factoring(account_number="FI2112345600000785")
    world.customer()
    for number, reference in (("1", VIITE), ("2", make_viitenumero("7654321"))):
        world.invoice(number, 1000, payment_reference=reference)
    world.evening()
    world.far.night()
    return world


def take_ktl(world: World, *payments: KtlPayment) -> list:
    stored = inbound.store_own(world.house, world.creditor_id, "api", "KTL", io.BytesIO(ktl_file([payments])))
    inbound.process(world.house, stored.inbound_file_id)
    return world.payments()


VIITE = make_viitenumero("1234567")


@pytest.mark.rule("R-PM-02", "R-PM-08", "R-FA-01")
def test_a_factoring_row_in_the_banks_file_is_the_factoring_companys_money(sold):
    rows = take_ktl(
        sold, KtlPayment(100_000, VIITE, kind="S"), KtlPayment(50_000, make_viitenumero("7654321"), archive="2")
    )
    theirs, ours = rows
    assert (theirs.label, theirs.agreement_id, theirs.difference) == (
        "Lowell",
        sold.agreement_id,
        "payment.to_factoring",
    )
    assert (ours.label, ours.agreement_id, ours.difference) == ("", None, "difference.our_balance_higher")
    assert [row.state for row in rows] == ["proposed", "proposed"]
    assert (sold.agency_balance("1"), sold.agency_balance("2")) == (0, 1000)
    sold.post()
    assert (sold.open("1"), sold.open("2")) == (0, 500)
    evening = sold.evening()
    assert evening.carried["2"].items == (("Payment", 500),)
    assert "1" not in evening.carried, "the factoring company knows what it was paid"


@pytest.mark.rule("R-PM-10", "R-PM-02")
def test_what_the_factoring_company_told_itself_is_the_first_question_about_a_factoring_row(sold):
    sold.take_file("KTL", ktl_file([[KtlPayment(100_000, VIITE, archive="7")]]))
    assert sold.agency_balance("1") == 0
    (_, row) = take_ktl(sold, KtlPayment(100_000, VIITE, kind="S"))
    assert (row.label, row.state, row.difference) == ("Lowell", "unmatched", "payment.possible_duplicate")
    assert sold.agency_balance("1") == 0, "counted once"


@pytest.mark.rule("R-PM-02")
def test_without_a_factoring_company_a_person_says_whose_the_money_is(sold):
    sold.use_factoring(use_factoring=False, account_number="FI2112345600000785")
    (row,) = take_ktl(sold, KtlPayment(100_000, VIITE, kind="S"))
    assert (row.label, row.state, row.difference, row.entry_id) == ("", "unmatched", "payment.to_factoring", None)
    assert row.suggested_entry_id == sold.entry_id("1")
    assert sold.agency_balance("1") == 1000


@pytest.mark.rule("R-PM-02", "R-PM-08", "R-FA-01")
def test_a_finnish_factor_gets_its_file_and_what_it_was_paid_comes_back_as_factoring_rows(house, clock, tmp_path):
    """The whole way of FALL: sealed and marked, read by the far side, paid, and told by the bank's own file."""
    terms = {"business_id": "9999999-0", "reference_scheme": "laskuraha", "late_interest": "1150"}
    options = {"profile": "fall-nordea", "client_number": "1234", "settings": terms, "display_name": "Nordea Rahoitus"}
    world = World(house, clock, tmp_path, "factoring", country="FI", currency="EUR", options=options).start()
    world.use_factoring(account_number="FI2112345600000785")
    world.customer(organisation_number="9999902-8", country="FI", postcode="00100", city="HELSINKI")
    world.invoice("5001", 1000, payment_reference=make_laskuraha("1234", "5001"))
    world.credit_note("5002", 100, "5001")
    world.link("5001", "5002")
    evening = world.evening()
    assert evening.held == {}
    (file,) = evening.files.items()
    facts = {**terms, "layout": "fall-nordea", "client_number": "1234", "creditor_account": "12345600000785",
             "agency_account": "12345600000999"}  # fmt: skip
    far = make_sandbox(tmp_path / "far", facts)
    (tmp_path / "far" / "upload" / file[0]).write_bytes(file[1])
    far.work(clock())
    assert far.balances() == {"5001": 100_000, "5002": -10_000}
    name = far.pay({"5001": 90_000}, clock())
    content = (tmp_path / "far" / "download" / name).read_bytes()
    stored = inbound.store_own(house, world.creditor_id, "api", name, io.BytesIO(content))
    inbound.process(house, stored.inbound_file_id)
    (row,) = world.payments()
    assert (row.label, row.agreement_id, row.difference) == (
        "Nordea Rahoitus",
        world.agreement_id,
        "payment.to_factoring",
    )
    world.post()
    assert (world.open("5001"), world.agency_balance("5001")) == (0, 0)
