"""R-LS: ledger service."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.db.tables import Envelope, Task, TransferItem, TransferRun
from gateway.domain.ledger import EntryKind
from gateway.domain.reasons import sentence
from gateway.errors import Refused
from gateway.jobs import handlers
from gateway.services import agreements, marks, schedule, transfer
from tests.rules.world import ACTOR, ORDER, World, planned


@pytest.mark.rule("R-LS-01", "A-01")
def test_r_ls_01_an_invoiced_order_is_a_candidate_at_once(fjord):
    fjord.customer()
    fjord.invoice("5001", 100, order_status=ORDER)
    assert planned(fjord.preview(), fjord) == set()
    fjord.invoice("5001", 100)
    assert planned(fjord.preview(), fjord) == {"5001"}
    assert fjord.evening().sent == {"5001"}


@pytest.mark.rule("R-LS-02")
def test_r_ls_02_small_and_undue_goes_beside_large_and_due(fjord):
    fjord.customer()
    fjord.invoice("1", 1, due=date(2027, 2, 23))
    fjord.invoice("2", 100_000, due=date(2026, 11, 24))
    assert fjord.evening().sent == {"1", "2"}


@pytest.mark.rule("R-LS-02", "A-03")
@pytest.mark.parametrize("kroner", [0, -50])
def test_r_ls_02_zero_and_negative_invoices_are_held_and_listed(fjord, kroner):
    fjord.customer()
    fjord.invoice("1", kroner)
    fjord.invoice("2", 10)
    evening = fjord.evening()
    assert evening.sent == {"2"}
    assert evening.held == {"1": {"amount.not_carried"}}
    assert evening.result.held == 1


@pytest.mark.rule("R-LS-03")
def test_r_ls_03_payment_and_credit_note_go_with_their_invoice(fjord):
    fjord.customer()
    fjord.invoice("1001", 1000)
    fjord.payment("p", 250)
    fjord.credit_note("k", 100)
    fjord.link("1001", "p", "k")
    (invoice,) = fjord.preview().invoices
    assert (invoice.open_minor, len(invoice.items)) == (65_000, 2)
    evening = fjord.evening()
    assert evening.sent == {"1001", "p", "k"}
    assert evening.carried["1001"].open == 650
    assert sorted(evening.carried["1001"].items) == [("CreditNote", 100), ("Payment", 250)]
    fjord.far.night()
    assert fjord.far.balances() == {"1001": 650}


@pytest.mark.rule("R-LS-04", "A-02")
@pytest.mark.parametrize(
    ("second", "goes"),
    [(datetime(2026, 11, 23, 16, 59, 59, tzinfo=UTC), True), (datetime(2026, 11, 23, 17, tzinfo=UTC), False)],
)
def test_r_ls_04_the_cut_off_is_sharp(fjord, second, goes):
    fjord.customer()
    fjord.clock.moment = second
    fjord.invoice("1", 100)
    fjord.clock.moment = datetime(2026, 11, 23, 17, 0, 5, tzinfo=UTC)
    transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23))
    assert bool(fjord.sent_items("1")) is goes
    transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 24))
    assert len(fjord.sent_items("1")) == 1


@pytest.mark.rule("R-LS-04", "A-02")
def test_r_ls_04_an_order_invoiced_at_the_cut_off_waits_although_it_was_there_before(fjord):
    fjord.customer()
    fjord.invoice("1", 100, order_status=ORDER)
    fjord.clock.moment = datetime(2026, 11, 23, 17, tzinfo=UTC)
    fjord.invoice("1", 100)
    transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23))
    assert fjord.sent_items("1") == []
    assert fjord.evening().sent == {"1"}


def runs_promised(world: World, moments: list[datetime]) -> list[date]:
    """Let the scheduler tick at *moments* and the worker do what was promised; return the dates of the runs made."""
    run = handlers(world.house)["run"]
    for moment in moments:
        world.clock.moment = moment
        schedule.tick(world.house)
        for task in world.rows(Task):
            if task.topic == "run" and task.state == "pending":
                run(task)
    return sorted(row.business_date for row in world.rows(TransferRun))


@pytest.mark.rule("R-LS-04", "A-02")
def test_r_ls_04_every_calendar_day_has_one_run(fjord):
    """From Friday to Monday, and over Christmas Day: no day is left out, and ticking each hour makes none twice."""
    for first in (datetime(2026, 11, 27, 0, tzinfo=UTC), datetime(2026, 12, 24, 0, tzinfo=UTC)):
        moments = [first + timedelta(hours=n) for n in range(4 * 24)]
        made = runs_promised(fjord, moments)
        days = [first.date() + timedelta(days=n) for n in range(4)]
        assert [day for day in made if day >= first.date()] == days


@pytest.mark.rule("R-LS-04", "A-02")
@pytest.mark.parametrize("sunday", [date(2027, 3, 28), date(2027, 10, 31)])
def test_r_ls_04_once_on_the_day_the_clocks_change(fjord, sunday):
    start = datetime.combine(sunday - timedelta(days=1), datetime.min.time(), UTC)
    fjord.clock.moment = start
    agreements.change_agreement(fjord.house, fjord.agreement_id, {"transfer_time": "02:30"}, ACTOR)
    made = runs_promised(fjord, [start + timedelta(minutes=10 * n) for n in range(3 * 144)])
    assert made.count(sunday) == 1
    assert made == sorted(set(made))


@pytest.mark.rule("R-LS-05")
def test_r_ls_05_later_links_follow(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    assert fjord.evening().sent == {"1"}
    fjord.far.night()
    fjord.clock.moment = datetime(2026, 11, 24, 8, tzinfo=UTC)
    fjord.payment("p", 250)
    fjord.link("1", "p")
    evening = fjord.evening()
    assert evening.sent == {"p"}
    assert not evening.carried["1"].is_new
    assert [e.kind for e in evening.envelopes] == ["updates"]
    fjord.far.night()
    assert fjord.far.balances() == {"1": 750}


@pytest.mark.rule("R-LS-05")
def test_r_ls_05_a_link_made_after_the_cut_off_goes_the_next_evening(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.payment("p", 250)
    fjord.evening()
    fjord.link("1", "p")
    assert transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23)).items == 0
    assert fjord.evening().sent == {"p"}


@pytest.mark.rule("R-LS-05")
def test_r_ls_05_a_removed_link_is_told_by_the_layouts_message(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.payment("p", 250)
    fjord.link("1", "p")
    fjord.evening()
    fjord.far.night()
    fjord.untie("p")
    evening = fjord.evening()
    assert evening.carried["1"].items == (("Unlink", 250),)
    fjord.far.night()
    assert fjord.far.balances() == {"1": 1000}
    fjord.tie("1", "p")
    assert fjord.evening().carried["1"].items == (("Payment", 250),)
    fjord.far.night()
    assert fjord.far.balances() == {"1": 750}
    assert [item.version for item in fjord.sent_items("p")] == [1, 2, 3]


@pytest.mark.rule("R-LS-05")
def test_r_ls_05_a_link_made_and_removed_the_same_day_is_nobodys_business(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.payment("p", 250)
    fjord.tie("1", "p")
    fjord.untie("p")
    evening = fjord.evening()
    assert evening.sent == set()
    assert evening.files == {}


@pytest.mark.rule("R-LS-05")
def test_r_ls_05_an_item_moved_to_another_invoice_leaves_the_first_one_before_it_reaches_the_second(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.invoice("2", 1000)
    fjord.payment("p", 250)
    fjord.tie("1", "p")
    fjord.evening()
    fjord.far.night()
    fjord.untie("p")
    fjord.tie("2", "p")
    first = fjord.evening()
    assert first.carried["1"].items == (("Unlink", 250),)
    assert first.held == {"p": {"link.unlink_first"}}
    fjord.far.night()
    assert fjord.evening().carried["2"].items == (("Payment", 250),)
    fjord.far.night()
    assert fjord.far.balances() == {"1": 1000, "2": 750}


@pytest.fixture
def with_payment(fjord):
    """Invoice 1 of 1000 with payment p of 250, both with the agency."""
    fjord.use_factoring()
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.payment("p", 250)
    fjord.link("1", "p")
    fjord.evening()
    fjord.far.night()
    fjord.clock.advance(hours=1)
    return fjord


@pytest.mark.rule("R-LS-05", "R-CD-08")
def test_r_ls_05_a_removed_link_is_not_forgotten_while_the_card_holds_it(with_payment):
    with_payment.customer(city="")
    with_payment.untie("p")
    evening = with_payment.evening()
    assert evening.sent == set()
    assert evening.held == {"p": {"customer.address_missing"}}
    with_payment.clock.advance(hours=1)
    with_payment.customer()
    assert with_payment.evening().carried["1"].items == (("Unlink", 250),)


@pytest.mark.rule("R-LS-05", "R-FA-07", "A-43")
def test_r_ls_05_a_removed_link_of_a_claim_the_agency_has_is_told_although_the_customer_is_kept_out(with_payment):
    marks.mark_customer(with_payment.house, with_payment.customer_id(), True, ACTOR)
    with_payment.untie("p")
    assert with_payment.evening().carried["1"].items == (("Unlink", 250),)
    with_payment.far.night()
    assert with_payment.far.balances() == {"1": 1000}


@pytest.mark.rule("R-LS-06", "R-FA-06")
def test_r_ls_06_a_marked_invoice_and_what_is_linked_to_it_stay(fjord):
    fjord.use_factoring()
    fjord.customer()
    fjord.invoice("1001", 100)
    fjord.invoice("1002", 200)
    fjord.payment("p", 50)
    fjord.link("1002", "p")
    marks.mark_invoice(fjord.house, fjord.entry_id("1002"), True, ACTOR)
    evening = fjord.evening()
    assert evening.sent == {"1001"}
    assert evening.held == {"1002": {"exclusion.invoice"}, "p": {"exclusion.invoice"}}
    assert (evening.result.held, evening.result.excluded) == (0, 2)
    assert b"1002" not in b"".join(evening.files.values())


@pytest.mark.rule("R-LS-07", "A-53")
def test_r_ls_07_unlinked_items_stay_and_are_listed(fjord):
    fjord.customer()
    fjord.payment("p", 500)
    evening = fjord.evening()
    assert evening.sent == set()
    (row,) = fjord.preview().not_linked
    assert (row.customer_name, row.amount_minor, row.code) == ("Nordfjord Bygg", -50_000, "link.not_linked")


@pytest.mark.rule("R-LS-07", "R-LK-10")
def test_r_ls_07_what_closes_itself_is_not_listed_as_not_linked(fjord):
    """A split payment and its counter line, or a payment paid out again: nothing is left that could be linked."""
    fjord.customer()
    fjord.invoice("1", 500)
    fjord.payment("p", 500)
    fjord.item("out", EntryKind.PAYMENT_OUT, 500)
    fjord.link("p", "out")
    assert fjord.not_linked() == set()
    assert fjord.warned() == {}


@pytest.mark.rule("R-LS-08", "R-LK-04", "A-04")
def test_r_ls_08_an_unlinked_payment_warns_and_the_invoice_goes(fjord):
    fjord.customer()
    fjord.invoice("1", 10_000)
    fjord.payment("p", 10_000)
    assert fjord.warned() == {"1": {"link.possible_match"}}
    fjord.tie("1", "p")
    assert fjord.warned() == {}
    fjord.untie("p")
    assert fjord.evening().sent == {"1"}


@pytest.mark.rule("R-LS-08")
def test_r_ls_08_another_customers_payment_warns_nobody(fjord):
    fjord.customer()
    fjord.customer("10002")
    fjord.invoice("1", 10_000)
    fjord.payment("p", 10_000, customer="c10002")
    assert fjord.warned() == {}


@pytest.mark.rule("R-LS-09", "A-05")
def test_r_ls_09_the_banner_knows_number_and_sum_of_open_invoices(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell")
    world.start_draft()
    world.customer()
    world.invoice("1", 100)
    world.invoice("2", 250.50, due=date(2027, 6, 1))
    world.invoice("3", 70)
    world.payment("p", 70)
    world.link("3", "p")
    agreements.activate(house, world.agreement_id, ACTOR)
    found = transfer.preview_startup(house, world.agreement_id)
    assert (found.open_invoices, found.sum_minor, found.already_accepted) == (2, 35_050, 0)
    assert world.agreement().startup_loaded_at is None
    said = sentence("startup.recommended", "en", {"count": found.open_invoices, "amount": "350.50"})
    assert said == "No start-up load has been made: 2 open invoices, 350.50."


@pytest.mark.rule("R-LS-09", "R-LS-10", "A-05")
def test_r_ls_10_the_start_up_load_sends_open_invoices_with_their_items_once(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell")
    world.start_draft()
    world.customer()
    world.invoice("1", 100, due=date(2027, 6, 1))
    world.payment("p1", 40)
    world.link("1", "p1")
    world.invoice("2", 70)
    world.payment("p2", 70)
    world.link("2", "p2")
    agreements.activate(house, world.agreement_id, ACTOR)
    assert planned(world.preview(), world) == set(), "what is older than the agreement goes only by the start-up load"
    clock.advance(minutes=1)
    first = transfer.startup_load(house, world.agreement_id, ACTOR)
    assert (first.invoices, first.items) == (1, 1)
    world.far.night()
    assert world.far.balances() == {"1": 60}
    with pytest.raises(Refused) as refused:
        transfer.startup_load(house, world.agreement_id, ACTOR)
    assert refused.value.code == "startup.reason_needed"
    again = transfer.startup_load(house, world.agreement_id, ACTOR, "the agency lost its mailbox")
    assert (again.invoices, again.items, again.envelope_ids) == (0, 0, ())
    assert [row.facts["reason"] for row in world.audit("startup.loaded")] == ["", "the agency lost its mailbox"]


@pytest.mark.rule("R-LS-10", "P15")
def test_r_ls_10_the_start_up_load_respects_marks(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell")
    world.start_draft()
    world.use_factoring()
    world.customer()
    world.invoice("1", 100)
    marks.mark_invoice(house, world.entry_id("1"), True, ACTOR)
    agreements.activate(house, world.agreement_id, ACTOR)
    clock.advance(minutes=1)
    done = transfer.startup_load(house, world.agreement_id, ACTOR)
    assert (done.invoices, done.excluded) == (0, 1)


@pytest.mark.rule("R-LS-13", "A-07")
@pytest.mark.parametrize(("agency", "name"), [("lowell", "Lowell"), ("intrum", "Intrum Justitia")])
def test_r_ls_13_agencies_are_called_what_users_call_them(house, clock, tmp_path, agency, name):
    world = World(house, clock, tmp_path, agency).start()
    assert world.agreement().display_name == name
    agreements.change_agreement(world.house, world.agreement_id, {"display_name": "Our agency"}, ACTOR)
    assert world.agreement().display_name == "Our agency"


@pytest.mark.rule("R-LS-14")
def test_r_ls_14_a_second_run_of_the_same_evening_changes_nothing(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    first = fjord.evening()
    again = transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23))
    assert (again.run_id, again.envelope_ids) == (first.result.run_id, first.result.envelope_ids)
    assert len(fjord.rows(Envelope)) == 1
    later = fjord.evening()
    assert (later.sent, later.files) == (set(), {})
    assert len(fjord.rows(TransferItem)) == 1


@pytest.mark.rule("R-LS-14", "R-OP-06")
def test_r_ls_14_a_crash_inside_the_run_leaves_nothing_and_the_next_run_sends_once(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 100)

    class Crash(BaseException):
        """Like a killed process: nothing catches it."""

    def crash(*_args, **_kwargs):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr("gateway.services.run.outbox.promise", crash)
        with pytest.raises(Crash):
            fjord.evening()
    assert fjord.rows(Envelope) == []
    assert fjord.rows(TransferRun) == []
    transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23))
    (envelope,) = fjord.rows(Envelope)
    assert (envelope.sequence, envelope.filename) == (1, "invoices.001")


@pytest.mark.rule("R-LS-15", "R-LS-16")
def test_r_ls_15_16_the_books_agree_and_nothing_is_silent(fjord):
    """A whole week in small; random histories are in test_histories.py."""
    fjord.customer()
    fjord.customer("10002", city="")
    fjord.invoice("1", 1000)
    fjord.invoice("2", 500)
    fjord.invoice("3", 300, customer="c10002")
    fjord.payment("p", 100)
    fjord.link("1", "p")
    evening = fjord.evening()
    assert evening.sent | set(evening.held) == {"1", "2", "3", "p"}
    assert evening.result.invoices + evening.result.items + evening.result.held + evening.result.excluded == 4
    assert evening.next_dates["3"] == date(2026, 11, 24)
    fjord.far.night()
    fjord.far.pay("2", 200)
    fjord.far.tell()
    assert fjord.far.balances() == {"1": 900, "2": 300}
    assert {name: fjord.agency_balance(name) for name in "12"} == {"1": 900, "2": 300}
