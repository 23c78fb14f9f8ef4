"""R-PM: incoming payments from the agency."""

from __future__ import annotations

import re

import pytest

from gateway.db.tables import InboundFile, LedgerEntry
from gateway.domain.reasons import remedy
from gateway.errors import Refused
from gateway.jobs import handlers
from gateway.services import placing, schedule
from gateway.testing.cremul_files import CremulLine, CremulPayment, cremul_file
from tests.rules.world import ACTOR, World

KID = "1000000000017"


def at_agency(world: World, *invoices: tuple[str, float], **more) -> World:
    """Invoices that the agency has taken."""
    world.customer()
    for number, kroner in invoices:
        world.invoice(number, kroner, **more)
    world.evening()
    world.far.night()
    return world


def automatic(house, clock, tmp_path, agency="lowell") -> World:
    return World(house, clock, tmp_path, agency, options={"posts_automatically": True}).start()


def one(world: World):
    (row,) = world.payments()
    return row


@pytest.mark.rule("R-PM-01", "R-OP-07")
def test_r_pm_01_a_file_pushed_at_six_gives_rows_without_anyone_pressing_anything(fjord, monkeypatch):
    monkeypatch.setattr("gateway.transports.SETTLE_SECONDS", 0)
    at_agency(fjord, ("1", 1250))
    fjord.clock.advance(hours=12)
    fjord.far.pay("1", 1250)
    assert fjord.far.agency.write_payments(fjord.clock())
    do = handlers(fjord.house)
    schedule.tick(fjord.house)
    for topic in ("fetch", "read"):
        for task in fjord.due(topic):
            do[topic](task)
    assert (one(fjord).state, one(fjord).amount_minor) == ("proposed", 125_000)


@pytest.mark.rule("R-PM-02", "A-07")
def test_r_pm_02_the_row_says_which_agency(house, clock, tmp_path):
    both = [World(house, clock, tmp_path / agency, agency, key=agency).start() for agency in ("intrum", "lowell")]
    moment = clock.moment
    for world in both:
        clock.moment = moment
        at_agency(world, ("1", 100))
        world.far.pay("1", 100)
        world.far.tell()
    assert [one(world).label for world in both] == ["Intrum Justitia", "Lowell"]
    assert both[1].payments(label="Intrum Justitia") == []


@pytest.mark.rule("R-PM-03", "A-16")
def test_r_pm_03_a_proposal_until_a_person_posts(fjord):
    at_agency(fjord, ("1", 1250))
    fjord.far.pay("1", 1250)
    fjord.far.tell()
    assert (one(fjord).state, fjord.open("1")) == ("proposed", 1250)
    assert len(fjord.group("1")) == 1
    result = fjord.post()
    assert result.posted == (one(fjord).id,)
    (entry,) = [row for row in fjord.group("1") if row.kind == "payment"]
    assert (entry.amount_minor, entry.origin, entry.payment_id) == (-125_000, "agency", one(fjord).id)
    assert (one(fjord).state, one(fjord).posted_by) == ("posted", ACTOR)
    assert fjord.audit("payment.posted")[0].actor == ACTOR


@pytest.mark.rule("R-PM-04", "A-17")
def test_r_pm_04_equal_amounts_close_and_one_ore_less_does_not(fjord):
    at_agency(fjord, ("1", 1250), ("2", 1250))
    fjord.far.pay("1", 1250)
    fjord.far.pay("2", 1249.99)
    fjord.far.tell()
    fjord.post()
    assert (fjord.open("1"), fjord.open("2")) == (0, 0.01)
    assert fjord.entry("1").closed_at is not None
    assert fjord.entry("2").closed_at is None
    assert len(fjord.group("2")) == 2, "linked all the same"


@pytest.mark.rule("R-PM-04", "A-17")
def test_r_pm_04_the_sum_of_several_items_closes(fjord):
    at_agency(fjord, ("1", 1000))
    fjord.credit_note("k", 300)
    fjord.tie("1", "k")
    for part in (400, 300):
        fjord.far.pay("1", part)
    fjord.far.tell()
    fjord.post()
    assert fjord.open("1") == 0


@pytest.mark.rule("R-PM-05")
def test_r_pm_05_a_surplus_stays_as_an_unlinked_credit(fjord):
    at_agency(fjord, ("1", 1000))
    fjord.far.pay("1", 1200)
    fjord.far.tell()
    assert one(fjord).difference == "difference.our_balance_lower"
    fjord.post()
    assert fjord.open("1") == 0
    (surplus,) = [row for row in fjord.rows(LedgerEntry, LedgerEntry.kind == "payment") if row.group_id == row.id]
    assert (surplus.amount_minor, surplus.customer_id) == (-20_000, fjord.customer_id())
    assert fjord.not_linked() == {surplus.external_id}


@pytest.mark.rule("R-PM-06", "A-18")
def test_r_pm_06_no_bank_agreement_of_the_creditor_is_needed(fjord):
    assert fjord.agreement().payment_account == ""
    assert fjord.agreement().state == "active"


@pytest.mark.rule("R-PM-06", "A-18")
@pytest.mark.parametrize("how", ["ocr_giro", "camt054", "payments"])
def test_r_pm_06_money_comes_in_the_banks_formats_and_the_agencys(fjord, how):
    at_agency(fjord, ("1", 1250), payment_reference=KID)
    fjord.far.pay("1", 1250)
    fjord.far.tell(how)
    assert (one(fjord).entry_id, one(fjord).state, one(fjord).label) == (fjord.entry_id("1"), "proposed", "Lowell")
    fjord.post()
    assert fjord.open("1") == 0
    assert fjord.agency_balance("1") == fjord.far.balances()["1"] == 0


@pytest.mark.rule("R-PM-06", "A-18")
def test_r_pm_06_also_in_cremul_as_the_agencys_bank_may_tell_it(fjord):
    at_agency(fjord, ("1", 1250), payment_reference=KID)
    line = CremulLine((CremulPayment(125_000, KID, payer="15030000029"),))
    fjord.take_file("cremul.edi", cremul_file([[line]]))
    assert (one(fjord).entry_id, one(fjord).state, one(fjord).label) == (fjord.entry_id("1"), "proposed", "Lowell")
    fjord.post()
    assert fjord.evening().sent == set(), "Lowell's own money is never echoed"


@pytest.mark.rule("R-PM-07")
@pytest.mark.parametrize("kroner", [1250, 1000])
def test_r_pm_07_paid_and_never_transferred(fjord, kroner):
    """The agency's bank names a KID of ours for an invoice that the agency was never given."""
    at_agency(fjord, ("1", kroner), payment_reference=KID)
    fjord.far.pay("1", kroner)
    assert fjord.far.agency.write_ocr_giro(fjord.clock())
    (path,) = fjord.far.agency.download.iterdir()
    other = World(fjord.house, fjord.clock, fjord.root / "other", "lowell", key="other").start()
    other.customer()
    other.invoice("9", 1250, payment_reference=KID)
    row = other.take_file(path.name, path.read_bytes())
    assert row.state == "imported"
    assert one(other).difference == "payment.item_not_transferred"
    assert one(other).entry_id == other.entry_id("9")
    assert "start-up load" in remedy("payment.item_not_transferred", "en")


@pytest.mark.rule("R-PM-07", "A-16")
def test_r_pm_07_is_never_posted_automatically(house, clock, tmp_path):
    world = at_agency(automatic(house, clock, tmp_path), ("1", 1250), payment_reference=KID)
    world.far.pay("1", 1250)
    assert world.far.agency.write_ocr_giro(clock())
    (path,) = world.far.agency.download.iterdir()
    other = World(
        house, clock, tmp_path / "other", "lowell", key="other", options={"posts_automatically": True}
    ).start()
    other.customer()
    other.invoice("9", 1250, payment_reference=KID)
    other.take_file(path.name, path.read_bytes())
    assert (one(other).state, other.open("9")) == ("proposed", 1250)


@pytest.mark.rule("R-PM-08", "R-OP-04")
def test_r_pm_08_agency_money_is_never_echoed(fjord):
    at_agency(fjord, ("1", 1250), ("2", 500))
    fjord.far.pay("1", 1000)
    fjord.far.pay("2", 700)
    fjord.far.tell()
    fjord.post()
    evening = fjord.evening()
    assert (evening.sent, evening.held, evening.files) == (set(), {}, {})
    fjord.far.night()
    assert fjord.far.balances() == {"1": 250, "2": -200}
    assert {name: fjord.agency_balance(name) for name in "12"} == {"1": 250, "2": -200}


@pytest.mark.rule("R-PM-08", "R-LK-10")
def test_r_pm_08_not_even_a_surplus_that_is_split_over_other_invoices(fjord):
    from gateway.services import links

    at_agency(fjord, ("1", 1000), ("2", 300))
    fjord.far.pay("1", 1200)
    fjord.far.tell()
    fjord.post()
    (surplus,) = [row for row in fjord.rows(LedgerEntry, LedgerEntry.kind == "payment") if row.group_id == row.id]
    links.split_payment(fjord.house, surplus.id, {fjord.entry_id("2"): 20_000}, ACTOR)
    assert fjord.open("2") == 100
    assert fjord.evening().sent == set()


@pytest.mark.rule("R-PM-09", "R-OP-08")
def test_r_pm_09_right_amount_without_reference_is_only_a_proposal(house, clock, tmp_path):
    world = at_agency(automatic(house, clock, tmp_path), ("1", 1250))
    world.far.agency.pay_unallocated(125_000, clock().date())
    world.far.tell("payments")
    row = one(world)
    assert row.entry_id is None
    assert row.state != "posted"
    assert world.open("1") == 1250


@pytest.mark.rule("R-PM-09", "R-OP-08", "A-16")
@pytest.mark.parametrize(
    ("kroner", "posts"),
    [(1250, True), (1249.99, False), (1250.01, False)],
)
def test_r_pm_09_automatic_posting_needs_exact_reference_and_exact_amount(house, clock, tmp_path, kroner, posts):
    world = at_agency(automatic(house, clock, tmp_path), ("1", 1250), payment_reference=KID)
    world.far.pay("1", kroner)
    world.far.tell("ocr_giro")
    assert (one(world).state == "posted") is posts
    assert world.open("1") == (0 if posts else 1250)


@pytest.mark.rule("R-PM-10", "R-OP-07", "P10")
def test_r_pm_10_the_same_file_ten_times_is_one_set_of_rows(fjord):
    at_agency(fjord, ("1", 1250), payment_reference=KID)
    fjord.far.pay("1", 1250)
    name = fjord.far.agency.write_camt054(fjord.clock())
    content = (fjord.far.agency.download / name).read_bytes()
    for _ in range(10):
        row = fjord.take_file(name, content)
    assert len(fjord.payments()) == 1
    assert fjord.agency_balance("1") == 0
    fjord.post()
    again = fjord.take_file(name, content)
    assert (again.id, len(fjord.payments()), fjord.open("1")) == (row.id, 1, 0)


@pytest.mark.rule("R-PM-10", "P10")
def test_r_pm_10_a_copy_with_a_new_message_id_gives_findings_and_no_rows(fjord):
    at_agency(fjord, ("1", 1250), payment_reference=KID)
    fjord.far.pay("1", 1250)
    name = fjord.far.agency.write_camt054(fjord.clock())
    content = (fjord.far.agency.download / name).read_bytes()
    fjord.take_file(name, content)
    copy = re.sub(rb"<MsgId>[^<]*</MsgId>", b"<MsgId>ANOTHER-1</MsgId>", content)
    assert copy != content
    row = fjord.take_file("copy.xml", copy)
    assert (row.state, [f["code"] for f in row.findings]) == ("imported", ["file.rewrapped"])
    assert len(fjord.payments()) == 1
    assert fjord.agency_balance("1") == 0


@pytest.mark.rule("R-PM-10")
def test_r_pm_10_the_same_money_told_in_another_form_is_shown_and_posts_nothing(house, clock, tmp_path):
    world = at_agency(automatic(house, clock, tmp_path), ("1", 1250), ("2", 1250), payment_reference=KID)
    world.far.pay("1", 1250)
    name = world.far.agency.write_camt054(clock())
    content = (world.far.agency.download / name).read_bytes()
    world.take_file(name, content)
    other = re.sub(rb"<AcctSvcrRef>[^<]*</AcctSvcrRef>", b"<AcctSvcrRef>OTHER-REF</AcctSvcrRef>", content)
    world.take_file("other.xml", other)
    _first, second = world.payments()
    assert second.difference == "payment.possible_duplicate"
    assert (second.state, second.entry_id) == ("unmatched", None)


@pytest.mark.rule("R-PM-11")
@pytest.mark.parametrize("how", ["payments", "camt054"])
def test_r_pm_11_a_reversal_opens_the_invoice_again(fjord, how):
    at_agency(fjord, ("1", 1250), payment_reference=KID)
    paid = fjord.far.pay("1", 1250)
    fjord.far.tell(how)
    fjord.post()
    fjord.clock.advance(days=1)
    fjord.far.agency.reverse(paid, fjord.clock().date())
    fjord.far.tell(how)
    first, reversal = fjord.payments()
    assert (reversal.state, reversal.difference, reversal.entry_id) == (
        "proposed",
        "payment.reversal",
        fjord.entry_id("1"),
    )
    if how == "payments":
        assert (reversal.reverses_key, reversal.is_reversal) == (first.key, True)
    assert fjord.open("1") == 0, "a person posts it"
    fjord.post()
    assert fjord.open("1") == 1250
    assert fjord.agency_balance("1") == fjord.far.balances()["1"] == 1250
    evening = fjord.evening()
    assert (evening.sent, evening.held) == (set(), {})


@pytest.mark.rule("R-PM-11")
@pytest.mark.parametrize("first_file", [0, 1])
def test_r_pm_11_the_order_in_which_the_files_are_read_is_no_fact(fjord, first_file):
    """A worker killed over the payment's file reads it after its neighbour, the reversal's."""
    at_agency(fjord, ("1", 1250), ("2", 500))
    agency = fjord.far.agency
    paid = fjord.far.pay("1", 1250)
    files = [agency.download / agency.write_payments(fjord.clock())]
    fjord.clock.advance(days=1)
    agency.reverse(paid, fjord.clock().date())
    files.append(agency.download / agency.write_payments(fjord.clock()))
    for file in (files[first_file], files[1 - first_file]):
        fjord.take_file(file.name, file.read_bytes())
    (reversal,) = fjord.payments(is_reversal=True)
    assert (reversal.state, reversal.match_rule, reversal.difference) == ("proposed", "reversal", "payment.reversal")
    assert reversal.entry_id == fjord.entry_id("1")
    assert fjord.agency_balance("1") == 1250


# --- what a person does with a row ------------------------------------------------------------------------------------


@pytest.fixture
def lost(fjord) -> World:
    """Money that says nothing about what it is for, and an invoice it may belong to."""
    at_agency(fjord, ("1", 1250), ("2", 1250))
    fjord.far.agency.pay_unallocated(125_000, fjord.clock().date())
    fjord.far.tell("payments")
    return fjord


@pytest.mark.rule("R-PM-09")
def test_r_pm_09_unallocated_money_is_information_until_it_has_a_principal(lost):
    row = one(lost)
    assert row.principal_minor == 0
    assert lost.post(id=row.id).posted == ()


@pytest.mark.rule("R-PM-03")
def test_r_pm_03_posting_twice_or_a_posted_row_again_is_refused_by_name(fjord):
    at_agency(fjord, ("1", 1250))
    fjord.far.pay("1", 1250)
    fjord.far.tell()
    fjord.post()
    row = one(fjord)
    assert fjord.post(id=row.id).refused == {row.id: "payment.already_posted"}
    for act in (
        lambda: placing.ignore(fjord.house, row.id, ACTOR, "no"),
        lambda: placing.match(fjord.house, row.id, fjord.entry_id("1"), ACTOR),
    ):
        with pytest.raises(Refused) as refused:
            act()
        assert refused.value.code == "payment.already_posted"
    assert len(fjord.group("1")) == 2


@pytest.mark.rule("R-PM-03", "R-VL-08")
def test_r_pm_03_a_person_can_place_a_payment_elsewhere_before_posting(fjord):
    at_agency(fjord, ("1", 1250), ("2", 1250))
    fjord.far.pay("1", 1250)
    fjord.far.tell()
    row = one(fjord)
    placing.match(fjord.house, row.id, fjord.entry_id("2"), ACTOR)
    assert (fjord.agency_balance("1"), fjord.agency_balance("2")) == (1250, 0)
    placing.unmatch(fjord.house, row.id, ACTOR)
    assert (fjord.agency_balance("1"), fjord.agency_balance("2"), one(fjord).state) == (1250, 1250, "unmatched")
    placing.match(fjord.house, row.id, fjord.entry_id("1"), ACTOR)
    fjord.post()
    assert (fjord.open("1"), fjord.agency_balance("1")) == (0, 0)


@pytest.mark.rule("R-PM-03")
def test_r_pm_03_setting_aside_needs_a_reason_and_keeps_the_row(fjord):
    at_agency(fjord, ("1", 1250))
    fjord.far.pay("1", 1250)
    fjord.far.tell()
    row = one(fjord)
    with pytest.raises(Refused) as refused:
        placing.ignore(fjord.house, row.id, ACTOR, " ")
    assert refused.value.code == "payment.reason_needed"
    placing.ignore(fjord.house, row.id, ACTOR, "paid to us by mistake")
    assert (one(fjord).state, fjord.open("1")) == ("ignored", 1250)
    assert fjord.audit("payment.ignored")[0].facts["reason"] == "paid to us by mistake"


@pytest.mark.rule("R-PM-03", "R-LK-03")
def test_r_pm_03_nothing_is_posted_into_a_mixed_group(fjord):
    at_agency(fjord, ("1", 1250), ("2", 1250))
    fjord.far.pay("1", 1250)
    fjord.link("1", "2")
    fjord.far.tell()
    assert one(fjord).difference == "group.several_invoices"
    row = one(fjord)
    assert fjord.post().refused == {row.id: "group.several_invoices"}


@pytest.mark.rule("R-PM-01", "P10")
def test_r_pm_01_a_damaged_file_has_no_effect_and_says_why(fjord):
    at_agency(fjord, ("1", 1250))
    fjord.far.pay("1", 1250)
    name = fjord.far.agency.write_payments(fjord.clock())
    content = (fjord.far.agency.download / name).read_bytes()
    wrong = content.replace(b'paymentTotal="1250.00"', b'paymentTotal="1251.00"')
    assert wrong != content
    row = fjord.take_file(name, wrong)
    assert (row.state, row.findings[0]["code"], fjord.payments()) == ("quarantined", "file.control_total", [])
    assert fjord.agency_balance("1") == 1250
    assert fjord.take_file(name, content).state == "imported"
    assert [f.state for f in fjord.rows(InboundFile) if f.kind == "payments"] == ["quarantined", "imported"]
