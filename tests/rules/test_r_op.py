"""R-OP: evening, morning, payments and alarms; from practice."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.db.tables import Counter, Envelope, InboundArrival, InboundFile, StagedPayment, TransferItem, TransferRun
from gateway.domain.exchange import Service
from gateway.domain.ledger import EntryKind
from gateway.domain.reasons import is_known, sentence
from gateway.errors import DataError, DeliveryError, Refused
from gateway.services import agreements, delivery, schedule, watch
from gateway.services.evening import make_evening
from tests.rules.world import ACTOR, World

KID = "1000000000017"


def alarms(world: World, *, ticks: bool = True) -> list[tuple[str, str]]:
    """Codes and object types of what rings for this creditor; every alarm has a name, an object and a since-when."""
    if ticks:
        schedule.tick(world.house)
    found = watch.alarms(world.house, [world.creditor_id])
    assert all(is_known(alarm.code) and alarm.object_id and alarm.since <= world.clock() for alarm in found)
    assert all("{" not in sentence(alarm.code, "en", alarm.values) for alarm in found)
    return [(alarm.code, alarm.object_type) for alarm in found]


@pytest.fixture
def one_sent(fjord) -> World:
    fjord.customer()
    fjord.invoice("1", 1250, payment_reference=KID)
    fjord.evening()
    return fjord


# --- agreements --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-01")
@pytest.mark.parametrize("missing", [{"transport": {}}, {"client_number": ""}])
def test_r_op_01_no_agreement_becomes_active_with_a_missing_field(house, clock, tmp_path, missing):
    world = World(house, clock, tmp_path, "lowell", options=missing).start_draft()
    with pytest.raises(Refused) as refused:
        agreements.activate(house, world.agreement_id, ACTOR)
    assert refused.value.code == "agreement.field_missing"
    assert refused.value.values["field"] == next(iter(missing))
    assert world.agreement().state == "draft"


@pytest.mark.rule("R-OP-01")
@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {}}, {"currency": "USD"}, {"profile": "no-such-layout"}, {"transfer_time": "25:00"},
        {"environment": "moon"}, {"service": "factoring"},
    ],
)  # fmt: skip
def test_r_op_01_what_the_agencys_profile_does_not_know_is_refused_at_once(house, clock, tmp_path, wrong):
    with pytest.raises(DataError):
        World(house, clock, tmp_path, "lowell", options=wrong).start_draft()


@pytest.mark.rule("R-OP-02")
def test_r_op_02_a_number_that_was_used_is_never_edited(one_sent):
    with pytest.raises(Refused) as refused:
        agreements.change_agreement(one_sent.house, one_sent.agreement_id, {"client_number": "4999"}, ACTOR)
    assert refused.value.code == "agreement.has_sent"
    assert one_sent.agreement().client_number == "4711"


@pytest.mark.rule("R-OP-02")
def test_r_op_02_before_anything_was_sent_it_may_be_corrected(fjord):
    agreements.change_agreement(fjord.house, fjord.agreement_id, {"client_number": "4999"}, ACTOR)
    assert fjord.agreement().client_number == "4999"


@pytest.mark.rule("R-OP-18")
def test_r_op_18_an_unconfirmed_layout_reaches_no_production(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"environment": "production"}).start_draft()
    with pytest.raises(Refused) as refused:
        agreements.activate(house, world.agreement_id, ACTOR)
    assert refused.value.code == "delivery.unconfirmed_profile"


@pytest.mark.rule("R-OP-18")
def test_r_op_18_nor_by_turning_the_environment_after_sealing(one_sent):
    agreements.change_agreement(one_sent.house, one_sent.agreement_id, {"environment": "production"}, ACTOR)
    (envelope,) = one_sent.rows(Envelope)
    with pytest.raises(DataError, match="R-OP-18"):
        delivery.deliver(one_sent.house, envelope.id)
    assert not (one_sent.root / "lowell" / "upload").exists()


# --- messages out and back ----------------------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-03", "R-OP-16")
def test_r_op_03_every_message_out_is_taken_and_later_items_carry_the_case_number(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.night()
    fjord.payment("p", 100)
    fjord.credit_note("k", 50, credits_="1")
    fjord.item("out", EntryKind.PAYMENT_OUT, 30)
    fjord.item("line", EntryKind.OTHER, 20)
    fjord.item("fee", EntryKind.CHARGE, 38, charge_kind="reminder-fee")
    fjord.tie("1", "p", "k", "out", "line", "fee")
    evening = fjord.evening()
    kinds = {kind for kind, _ in evening.carried["1"].items}
    assert kinds == {"Payment", "CreditNote", "Disbursement", "VoucherLine", "Charge"}
    case = fjord.claim("1").case_number
    assert case.startswith("C-")
    assert f'caseNumber="{case}"'.encode() in b"".join(evening.files.values())
    fjord.far.night()
    fjord.untie("p")
    assert fjord.evening().carried["1"].items == (("Unlink", 100),)
    fjord.far.night()
    assert fjord.far.balances() == {"1": 1000}
    assert {row.state for row in fjord.rows(TransferItem)} == {"accepted"}


@pytest.mark.rule("R-OP-03")
def test_r_op_03_every_message_back_is_taken(one_sent):
    one_sent.far.night()
    day = one_sent.clock().date()
    one_sent.far.pay("1", 250)
    settlement = one_sent.far.agency.settle(day, fees_minor=1000)
    one_sent.far.tell()
    one_sent.far.agency.set_case(one_sent.far.claim_id("1"), "disputed", day)
    one_sent.far.tell("cases")
    one_sent.far.agency.snapshot(one_sent.clock())
    one_sent.far.collect()
    one_sent.far.agency.write_payout(settlement, one_sent.clock())
    one_sent.far.collect()
    files = {row.filename.split(".")[0]: (row.state, row.kind) for row in one_sent.rows(InboundFile)}
    assert files == {
        "receipt-invoices": ("imported", "receipt"),
        "payments": ("imported", "payments"),
        "cases": ("imported", "case_status"),
        "snapshot": ("imported", "snapshot"),
        "camt054": ("imported", "payments"),
    }
    assert one_sent.claim("1").agency_state == "disputed"


@pytest.mark.rule("R-OP-04", "R-PM-08")
def test_r_op_04_money_from_the_agencys_own_account_is_no_direct_payment(house, clock, tmp_path):
    options = {"agency_accounts": ["1503.00.00029"]}
    world = World(house, clock, tmp_path, "lowell", options=options).start()
    world.customer()
    world.invoice("1", 1000)
    world.invoice("2", 1000)
    world.payment("payout", 400, paid_from_account="15030000029")
    world.payment("direct", 400, paid_from_account="15030000010")
    world.tie("1", "payout")
    world.tie("2", "direct")
    evening = world.evening()
    assert (evening.sent, evening.held) == ({"1", "2", "direct"}, {})
    assert evening.carried["1"].items == ()


@pytest.mark.rule("R-OP-04")
def test_r_op_04_the_payout_on_the_statement_matches_no_invoice(one_sent):
    one_sent.far.night()
    one_sent.far.pay("1", 1250)
    settlement = one_sent.far.agency.settle(one_sent.clock().date())
    one_sent.far.tell()
    one_sent.far.agency.write_payout(settlement, one_sent.clock())
    one_sent.far.collect()
    payout = one_sent.payments()[-1]
    assert (payout.amount_minor, payout.entry_id, payout.state) == (125_000, None, "unmatched")
    assert one_sent.agency_balance("1") == 0


# --- evening -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-05")
def test_r_op_05_a_file_that_waits_at_17_59_is_read_before_the_run_is_built(one_sent, monkeypatch):
    """The agency refused the invoice; the run must know that before it sends what was linked since."""
    monkeypatch.setattr("gateway.transports.SETTLE_SECONDS", 0)
    world = one_sent
    world.far.agency.refuse("claim", world.claim("1").claim_id, "NOT_ALLOWED")
    world.far.deliver()
    world.payment("p", 250)
    world.tie("1", "p")
    world.clock.moment = datetime(2026, 11, 24, 16, 59, tzinfo=UTC)
    world.far.agency.work(world.clock())
    world.clock.moment = datetime(2026, 11, 24, 17, 0, 1, tzinfo=UTC)
    result = make_evening(world.house, world.agreement_id, date(2026, 11, 24))
    assert (result.items, result.holds) == (0, {"receipt.rejected": 2})


@pytest.mark.rule("R-OP-05")
def test_r_op_05_a_mailbox_that_is_away_does_not_stop_the_evening(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 100)

    def away(*_args):
        raise DeliveryError("no route")

    monkeypatch.setattr("gateway.services.mailbox.fetch", away)
    fjord.clock.moment = datetime(2026, 11, 23, 17, 0, 1, tzinfo=UTC)
    assert make_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23)).invoices == 1


@pytest.mark.rule("R-OP-05", "R-LS-08", "A-04")
def test_r_op_05_collection_holds_while_an_unlinked_payment_has_not_been_looked_at(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"service": Service.COLLECTION.value}).start()
    world.customer()
    world.invoice("1", 1000)
    world.payment("p", 400)
    assert "link.possible_match" in world.evening().held["1"]
    world.tie("1", "p")
    assert "link.possible_match" not in world.held_in(world.preview())["1"]


@pytest.mark.rule("R-OP-06", "R-LS-14")
def test_r_op_06_an_empty_evening_takes_no_counter_and_makes_no_file(fjord):
    assert fjord.evening().files == {}
    assert fjord.rows(Counter) == []
    fjord.customer()
    fjord.invoice("1", 100)
    assert list(fjord.evening().files) == ["invoices.001"]
    assert fjord.evening().files == {}
    fjord.invoice("2", 100)
    assert list(fjord.evening().files) == ["invoices.002"]


@pytest.mark.rule("R-OP-06", "P4")
def test_r_op_06_what_is_delivered_is_byte_for_byte_what_was_sealed_and_once(one_sent):
    (content,) = (row for row in one_sent.rows(Envelope))
    delivery.deliver(one_sent.house, content.id)
    delivery.deliver(one_sent.house, content.id)
    files = sorted((one_sent.root / "lowell" / "upload").iterdir())
    assert [path.name for path in files] == ["invoices.001"]
    from tests.rules.far import files_of

    assert files[0].read_bytes() == files_of(one_sent.house, [content.id])["invoices.001"]
    assert one_sent.row(Envelope, content.id).state == "delivered"


@pytest.mark.rule("R-OP-07", "R-PM-10")
def test_r_op_07_the_same_bytes_are_noted_and_not_parsed(one_sent, monkeypatch):
    one_sent.far.night()
    one_sent.far.pay("1", 250)
    name = one_sent.far.agency.write_payments(one_sent.clock())
    content = (one_sent.far.agency.download / name).read_bytes()
    first = one_sent.take_file(name, content)
    monkeypatch.setattr("gateway.services.inbound._read", None)  # would fail if anything were read again
    one_sent.clock.advance(hours=1)
    second = one_sent.take_file("another-name.xml", content)
    assert second.id == first.id
    arrivals = one_sent.rows(InboundArrival, InboundArrival.inbound_file_id == first.id)
    assert sorted(arrival.filename for arrival in arrivals) == ["another-name.xml", name]


def told(world: World, *without: str, **changed: str) -> None:
    """Let the agency tell a payment in a file that lacks some attributes, or has others."""
    world.far.pay("1", 1250)
    name = world.far.agency.write_payments(world.clock())
    path = world.far.agency.download / name
    content = path.read_bytes()
    for attribute in without:
        content, count = re.subn(rf' {attribute}="[^"]*"'.encode(), b"", content)
        assert count == 1, attribute
    for attribute, value in changed.items():
        content, count = re.subn(rf' {attribute}="[^"]*"'.encode(), f' {attribute}="{value}"'.encode(), content)
        assert count == 1, attribute
    path.unlink()
    assert world.take_file(name, content).state == "imported"


@pytest.mark.rule("R-OP-08", "R-PM-09")
@pytest.mark.parametrize(
    ("rule", "without"),
    [
        ("case_number", ("claimId", "invoiceNumber", "paymentReference")),
        ("claim_id", ("caseNumber", "invoiceNumber", "paymentReference")),
        ("payment_reference", ("caseNumber", "claimId", "invoiceNumber")),
        ("invoice_number", ("caseNumber", "claimId", "paymentReference")),
    ],
)
def test_r_op_08_each_step_matches_and_is_remembered(one_sent, rule, without):
    one_sent.far.night()
    told(one_sent, *without)
    (row,) = one_sent.payments()
    assert (row.match_rule, row.entry_id, row.state) == (rule, one_sent.entry_id("1"), "proposed")


@pytest.mark.rule("R-OP-08", "R-PM-09")
def test_r_op_08_equal_balance_is_only_pointed_at(one_sent):
    one_sent.far.night()
    told(one_sent, "caseNumber", "claimId", "invoiceNumber", "paymentReference")
    (row,) = one_sent.payments()
    assert (row.match_rule, row.entry_id, row.suggested_entry_id) == ("equal_amount", None, one_sent.entry_id("1"))
    assert row.state == "unmatched"


@pytest.mark.rule("R-OP-08")
def test_r_op_08_an_earlier_step_wins(one_sent):
    one_sent.invoice("2", 1250)
    one_sent.evening()
    one_sent.far.night()
    told(one_sent, invoiceNumber="2")
    (row,) = one_sent.payments()
    assert (row.match_rule, row.entry_id) == ("case_number", one_sent.entry_id("1"))


@pytest.mark.rule("R-OP-08", "R-PM-09", "A-16")
def test_r_op_08_an_invoice_number_alone_never_posts_by_itself(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"posts_automatically": True}).start()
    world.customer()
    world.invoice("1", 1250)
    world.evening()
    world.far.night()
    told(world, "caseNumber", "claimId")
    (row,) = world.payments()
    assert (row.match_rule, row.state) == ("invoice_number", "proposed")


@pytest.mark.rule("R-OP-09")
@pytest.mark.parametrize(
    ("code", "prepare"),
    [
        ("difference.zero_by_credit", lambda w: (w.credit_note("k", 1250), w.tie("1", "k"))),
        ("difference.zero_by_payment", lambda w: (w.payment("p", 1250), w.tie("1", "p"))),
        ("difference.our_balance_lower", lambda w: (w.payment("p", 250), w.tie("1", "p"))),
        ("difference.our_balance_higher", lambda w: (w.item("x", EntryKind.OTHER, 250), w.tie("1", "x"))),
    ],
)
def test_r_op_09_differences_are_named_and_post_nothing(house, clock, tmp_path, code, prepare):
    world = World(house, clock, tmp_path, "lowell", options={"posts_automatically": True}).start()
    world.customer()
    world.invoice("1", 1250, payment_reference=KID)
    world.evening()
    world.far.night()
    prepare(world)
    before = world.open("1")
    told(world)
    (row,) = world.payments()
    assert (row.difference, row.state, world.open("1")) == (code, "proposed", before)
    assert row.amount_minor == 125_000


@pytest.mark.rule("R-OP-09")
@pytest.mark.parametrize(
    ("code", "without", "changed"),
    [
        ("difference.unidentified", ("caseNumber", "claimId", "invoiceNumber", "paymentReference"), {}),
        ("difference.not_in_ledger", ("caseNumber", "claimId", "paymentReference"), {"invoiceNumber": "777"}),
    ],
)
def test_r_op_09_unidentified_and_unknown(one_sent, code, without, changed):
    one_sent.far.night()
    one_sent.payment("p", 1)
    one_sent.tie("1", "p")
    told(one_sent, *without, **changed)
    (row,) = one_sent.payments()
    assert (row.difference, row.state, row.entry_id) == (code, "unmatched", None)


@pytest.mark.rule("R-OP-10")
def test_r_op_10_a_closed_case_moves_no_money(one_sent):
    one_sent.far.night()
    one_sent.far.agency.set_case(
        one_sent.far.claim_id("1"), "closed", one_sent.clock().date(), stage="ledger", close_code="paid"
    )
    one_sent.far.tell("cases")
    assert one_sent.claim("1").agency_state == "closed"
    assert (one_sent.open("1"), one_sent.agency_balance("1"), one_sent.payments()) == (1250, 1250, [])


# --- alarms ------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-12", "P6")
def test_r_op_12_no_receipt_in_the_agreed_time(one_sent):
    one_sent.far.agency.lose_receipts(1)
    one_sent.far.night()
    one_sent.clock.advance(hours=24)
    assert alarms(one_sent) == []
    one_sent.clock.advance(minutes=1)
    assert alarms(one_sent) == [("receipt.missing", "envelope")]
    one_sent.far.agency.repeat_receipt("invoices", 1, one_sent.clock())
    one_sent.far.collect()
    assert alarms(one_sent) == []


@pytest.mark.rule("R-OP-12", "P6")
def test_r_op_12_the_agreed_time_is_the_agreements(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"receipt_hours": 2}).start()
    world.customer()
    world.invoice("1", 100)
    world.evening()
    world.far.agency.lose_receipts(1)
    world.far.night()
    clock.advance(hours=2, minutes=1)
    assert alarms(world) == [("receipt.missing", "envelope")]


@pytest.mark.rule("R-OP-12", "P6")
def test_r_op_12_a_gap_in_the_agencys_counters_rings_until_the_file_comes(one_sent):
    one_sent.far.night()
    for kroner in (100, 200, 300):
        one_sent.far.pay("1", kroner)
        one_sent.far.agency.write_payments(one_sent.clock())
    waiting = {path.name: path.read_bytes() for path in one_sent.far.agency.download.iterdir()}
    one_sent.take_file("payments.001", waiting["payments.001"])
    one_sent.take_file("payments.003", waiting["payments.003"])
    (alarm,) = watch.alarms(one_sent.house, [one_sent.creditor_id])
    assert (alarm.code, alarm.values["expected"], alarm.values["found"]) == ("sequence.gap", "002", "003")
    one_sent.take_file("payments.002", waiting["payments.002"])
    assert alarms(one_sent) == []


@pytest.mark.rule("R-OP-12", "P6")
def test_r_op_12_a_series_that_begins_anew_is_no_gap(one_sent):
    """After 999 comes 1; and what was handed in twice is no step back."""
    one_sent.far.night()
    for number in (998, 999, 1, 2):
        one_sent.far.pay("1", 10)
        name = one_sent.far.agency.write_payments(one_sent.clock())
        path = one_sent.far.agency.download / name
        one_sent.take_file(f"payments.{number:03d}", path.read_bytes())
        path.unlink()
    assert alarms(one_sent) == []


@pytest.mark.rule("R-OP-12", "R-OP-03", "P6")
@pytest.mark.parametrize(("kind", "mends"), [("claim", "1"), ("customer", "10001")])
def test_r_op_12_rejected_items_ring_and_go_again_once_mended(one_sent, kind, mends):
    world = one_sent
    key = world.claim("1").claim_id if kind == "claim" else mends
    world.far.agency.refuse(kind, key, "NOT_ALLOWED", "blocked")
    world.far.night()
    assert alarms(world) == [("receipt.rejected", "envelope")]
    assert world.evening().held == {"1": {"receipt.rejected"}}
    world.far.agency.accept(kind, key)
    world.clock.advance(minutes=1)
    world.customer(address1="Storgata 2")
    assert world.evening().sent == {"1"}
    assert alarms(world) == []
    world.far.night()
    assert world.far.balances() == {"1": 1250}


@pytest.mark.rule("R-OP-12", "R-OP-10", "P6")
def test_r_op_12_a_proposal_without_payout_and_money_without_invoice(one_sent):
    one_sent.far.night()
    one_sent.far.pay("1", 250)
    one_sent.far.agency.pay_unallocated(500, one_sent.clock().date())
    one_sent.far.tell()
    one_sent.clock.advance(days=3)
    assert alarms(one_sent) == []
    one_sent.clock.advance(minutes=1)
    assert set(alarms(one_sent)) >= {("payment.waiting_for_bank", "payment")}
    one_sent.post()
    assert ("payment.waiting_for_bank", "payment") not in alarms(one_sent)


@pytest.mark.rule("R-OP-12", "A-02", "P6")
def test_r_op_12_unsent_a_quarter_past_is_an_alarm(one_sent):
    one_sent.clock.moment = datetime(2026, 11, 23, 17, 15, 5, tzinfo=UTC)
    assert ("delivery.unsent", "envelope") not in alarms(one_sent)
    one_sent.clock.advance(seconds=1)
    assert ("delivery.unsent", "envelope") in alarms(one_sent)


@pytest.mark.rule("R-OP-12", "R-LS-04", "P6")
def test_r_op_12_an_evening_that_was_not_made_is_an_alarm(fjord):
    fjord.clock.moment = datetime(2026, 11, 23, 17, 15, 1, tzinfo=UTC)
    assert alarms(fjord, ticks=False) == [("run.missed", "agreement")]
    assert alarms(fjord) == []


@pytest.mark.rule("R-OP-17")
def test_r_op_17_the_agreement_can_say_when_it_last_ran_and_what_is_next(fjord):
    fjord.customer()
    for number in "123":
        fjord.invoice(number, 100)
    fjord.evening()
    schedule.tick(fjord.house)
    fjord.invoice("4", 100)
    fjord.invoice("5", 0)
    plan = fjord.preview()
    (last,) = fjord.rows(TransferRun)
    assert (last.business_date, last.invoices_sent) == (date(2026, 11, 23), 3)
    assert plan.next_run_at == datetime(2026, 11, 24, 17, tzinfo=UTC)
    assert (plan.invoice_count, len(plan.held), plan.sum_minor) == (1, 1, 10_000)


@pytest.mark.rule("R-OP-07", "P10")
def test_r_op_07_nothing_of_an_unfinished_reading_stays(one_sent):
    one_sent.far.night()
    one_sent.far.pay("1", 250)
    one_sent.far.tell()
    assert one_sent.rows(StagedPayment) == []
    assert timedelta(0) <= one_sent.clock() - one_sent.rows(InboundFile)[-1].received_at
