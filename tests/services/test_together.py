"""Two at once: whoever changes the books waits for the other, or one of them reads what the other is about to change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.services import cards, delivery, ingest, posting, preview, run, transfer
from gateway.services.run import Run
from tests.rules.far import store
from tests.rules.test_r_pm import at_agency
from tests.rules.world import ACTOR

WAIT = 0.7
"""Long enough for the other thread to come as far as it can."""


class Slowly:
    """Wraps a function: its first caller stops before it, and says so."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.reached, self._calls = function, threading.Event(), 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._calls += 1
        if self._calls == 1:
            self.reached.set()
            time.sleep(WAIT)
        return self.function(*args, **kwargs)


def together(slow: Slowly, first: Callable[[], object], second: Callable[[], object]) -> None:
    """Do *first*, and *second* while it stands in *slow*."""
    faults: list[BaseException] = []

    def guarded(what: Callable[[], object]) -> None:
        try:
            what()
        except BaseException as error:  # noqa: BLE001  # told to the test's own thread below
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(what,)) for what in (first, second)]
    threads[0].start()
    assert slow.reached.wait(10)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert not faults, faults


def test_two_payments_of_one_invoice_posted_at_once_are_not_counted_once(fjord, monkeypatch):
    at_agency(fjord, ("1", 1000))
    fjord.far.pay("1", 400)
    fjord.far.pay("1", 300)
    fjord.far.tell()
    one, two = (row.id for row in fjord.payments(state="proposed"))
    slow = Slowly(posting.audit.record)
    monkeypatch.setattr(posting.audit, "record", slow)
    together(slow, lambda: posting.post(fjord.house, [one], ACTOR), lambda: posting.post(fjord.house, [two], ACTOR))
    assert fjord.open("1") == 300


def test_two_full_payments_posted_at_once_leave_a_surplus_not_a_negative_invoice(fjord, monkeypatch):
    at_agency(fjord, ("1", 1000))
    for _ in range(2):
        fjord.far.pay("1", 1000)
    fjord.far.tell()
    ids = [row.id for row in fjord.payments() if row.entry_id]
    slow = Slowly(posting.insert_entries)
    monkeypatch.setattr(posting, "insert_entries", slow)
    together(slow, lambda: posting.post(fjord.house, ids[:1], ACTOR), lambda: posting.post(fjord.house, ids[1:], ACTOR))
    assert fjord.open("1") == 0
    (surplus,) = [row for row in fjord.rows(ingest.LedgerEntry) if row.external_id.endswith(":surplus")]
    assert surplus.group_id == surplus.id


def test_a_link_that_comes_while_the_run_works_is_not_forgotten(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.clock.advance(hours=1)
    fjord.payment("p", 250)
    fjord.link("1", "p", ref="A")
    fjord.payment("q", 100)
    plan = fjord.preview()
    fjord.clock.moment = plan.cutoff + timedelta(seconds=5)
    slow = Slowly(Run._clear_pending)
    monkeypatch.setattr(Run, "_clear_pending", lambda run: slow(run))  # noqa: PLW0108  # a method binds, `slow` does not
    together(
        slow,
        lambda: transfer.run_evening(fjord.house, fjord.agreement_id, plan.cutoff.date()),
        lambda: fjord.link("1", "p", "q", ref="A"),
    )
    assert fjord.evening().sent == {"q"}


def test_a_file_that_arrives_while_the_run_works_is_taken_at_once(fjord, monkeypatch):
    if fjord.house.database.is_sqlite:
        pytest.skip("SQLite has one writer; ADR 0004 names the price")
    fjord.customer()
    fjord.invoice("1", 1000)
    plan = fjord.preview()
    fjord.clock.moment = plan.cutoff + timedelta(seconds=5)
    slow, order = Slowly(Run._clear_pending), []
    monkeypatch.setattr(Run, "_clear_pending", lambda self: (slow(self), order.append("run")))

    def push() -> None:
        store(fjord, "payments.001", b"bytes")
        order.append("file")

    together(slow, lambda: transfer.run_evening(fjord.house, fjord.agreement_id, plan.cutoff.date()), push)
    assert order == ["file", "run"]


def test_two_previews_that_find_the_same_cards_unchecked_both_answer(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 1000)
    with fjord.house.database.write() as connection:
        connection.execute(cards.delete(cards.CustomerCheck))
    slow = Slowly(cards.insert_rows)
    monkeypatch.setattr(cards, "insert_rows", slow)
    look = lambda: preview.preview(fjord.house, fjord.agreement_id)  # noqa: E731
    together(slow, look, look)


@pytest.fixture
def two_claims(fjord, monkeypatch):
    """Two claims at the agency with a payment each; the run stands between writing down the one and the other.

    The customer who comes first in the run's file has the claim that comes last in everybody else's order.
    """
    fjord.customer("10002")
    fjord.customer("10001")
    for number, customer in (("1", "c10002"), ("2", "c10001")):
        fjord.invoice(number, 1000, customer)
    fjord.evening()
    for number, customer in (("1", "c10002"), ("2", "c10001")):
        fjord.payment(f"p{number}", 100, customer=customer)
        fjord.link(number, f"p{number}")
    slow, calls, flush = Slowly(Run._flush), [], Run._flush
    monkeypatch.setattr(run, "FLUSH_ROWS", 1)

    def between(self: Run) -> None:
        calls.append(self)
        (slow if len(calls) == 2 else flush)(self)

    monkeypatch.setattr(Run, "_flush", between)
    plan = fjord.preview()
    fjord.clock.moment = plan.cutoff + timedelta(seconds=5)
    fjord.slow, fjord.run = slow, lambda: transfer.run_evening(fjord.house, fjord.agreement_id, plan.cutoff.date())
    return fjord


def test_a_delivery_recorded_while_the_run_works_stops_neither_and_stays_recorded(two_claims):
    (sent,) = two_claims.rows(run.Envelope)
    together(two_claims.slow, two_claims.run, lambda: delivery._delivered(two_claims.house, sent.id, sent.filename))
    assert two_claims.row(run.Envelope, sent.id).state == "delivered"
    assert {two_claims.agency_balance(number) for number in "12"} == {900}
    assert "delivered" in {two_claims.claim(number).state for number in "12"}, "the run left alone what it had not said"


def test_cases_told_while_the_run_works_stop_neither(two_claims):
    two_claims.far.night()
    for number in "12":
        two_claims.far.agency.set_case(two_claims.far.claim_id(number), "disputed", two_claims.clock().date())
    name = two_claims.far.agency.write_cases(two_claims.clock())
    content = (two_claims.far.agency.download / name).read_bytes()
    together(two_claims.slow, two_claims.run, lambda: two_claims.take_file(name, content))
    assert {two_claims.agency_balance(number) for number in "12"} == {900}
    assert all(two_claims.claim(number).agency_state for number in "12")
