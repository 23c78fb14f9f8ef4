"""Nobody waits behind another creditor's large file: a lane of its own, and work on busy books is put off, not waited for."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import update

from gateway.db import outbox
from gateway.db.ledger_sql import lock_books
from gateway.db.tables import Envelope, InboundFile, Task
from gateway.db.uow import Database
from gateway.errors import Busy
from gateway.jobs import Desk, SideLane
from gateway.services import evening, inbound, transfer
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from tests.rules.far import store
from tests.rules.world import World

LARGE = 1000
PAYMENTS = camt_file([CamtEntry((CamtPayment(10000, "1"), CamtPayment(20000, "2")))])


@pytest.fixture(autouse=True)
def _thousand_bytes_are_large(monkeypatch):
    monkeypatch.setattr(inbound, "LARGE_BYTES", LARGE)


def task(world: World, topic: str):
    (row,) = world.rows(Task, Task.topic == topic)
    return row


def desk(world: World, *lanes: str) -> Desk:
    return Desk(world.house, "worker-1", lanes)


def test_a_large_file_lies_in_a_lane_of_its_own(fjord):
    assert len(PAYMENTS) > LARGE
    large = store(fjord, "large.xml", PAYMENTS).inbound_file_id
    small = store(fjord, "small.xml", b"small").inbound_file_id
    assert {row.ref_id: row.lane for row in fjord.rows(Task)} == {large: "large", small: "main"}


def test_the_main_lane_goes_on_and_leaves_the_large_file_alone(fjord):
    large = store(fjord, "large.xml", PAYMENTS).inbound_file_id
    small = store(fjord, "small.xml", b"small").inbound_file_id
    assert desk(fjord, "main").drain() == 1
    assert [fjord.row(InboundFile, n).state for n in (large, small)] == ["stored", "refused"]
    assert desk(fjord, "large").drain() == 1
    assert fjord.row(InboundFile, large).state == "imported"


def test_the_side_lane_works_beside_until_it_is_stopped(fjord):
    large = store(fjord, "large.xml", PAYMENTS).inbound_file_id
    read = threading.Event()
    process = inbound.process

    def and_tell(*arguments):
        process(*arguments)
        read.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbound, "process", and_tell)
        lane = SideLane(desk(fjord, "large"), poll_seconds=60)
        lane.start()
        assert read.wait(20)
        lane.stop()
        lane.join(20)
    assert not lane.is_alive()
    assert fjord.row(InboundFile, large).state == "imported"


def test_a_large_file_read_again_stays_in_its_lane(fjord):
    broken = fjord.take_file("broken.xml", PAYMENTS[: len(PAYMENTS) - 40])
    assert broken.state == "quarantined"
    with fjord.house.database.write() as connection:
        connection.execute(Task.__table__.delete())
    inbound.replay(fjord.house, broken.id, "kari")
    assert task(fjord, "read").lane == "large"


def test_work_on_busy_books_is_put_off_and_counts_as_no_attempt(fjord):
    store(fjord, "small.xml", b"small")

    def busy(_task):
        raise Busy("file 7 is read first")

    for _ in range(20):
        assert outbox.run_one(fjord.house.database, {"read": busy}, fjord.clock, "w")
        assert not outbox.run_one(fjord.house.database, {"read": busy}, fjord.clock, "w"), "it lets others pass"
        fjord.clock.advance(seconds=outbox.BUSY_SECONDS)
    found = task(fjord, "read")
    assert (found.state, found.attempts, found.last_error) == ("pending", 0, "file 7 is read first")
    assert outbox.run_one(fjord.house.database, {"read": lambda _task: None}, fjord.clock, "w")
    assert task(fjord, "read").state == "done"


@pytest.mark.rule("R-OP-05")
def test_an_evening_waits_for_the_large_file_of_its_agency_and_does_not_read_it_itself(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    store(fjord, "large.xml", PAYMENTS)
    fjord.clock.moment = fjord.preview().cutoff + timedelta(seconds=5)
    with pytest.raises(Busy, match="read first"):
        evening.make_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23))
    desk(fjord, "large").drain()
    assert evening.make_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23)).invoices == 1


def test_an_evening_does_not_wait_for_a_large_file_that_no_reader_survives(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 100)
    monkeypatch.setattr(inbound, "_read", lambda *_: 1 / 0)
    store(fjord, "large.xml", PAYMENTS)
    desk(fjord, "large").drain()
    fjord.clock.moment = fjord.preview().cutoff + timedelta(seconds=5)
    assert evening.make_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23)).invoices == 1


# --- books that somebody else holds (PostgreSQL; SQLite has one writer) ------------------------------------------------


@contextmanager
def hurried(world: World):
    """Yield the house as a worker's main lane has it."""
    database = Database(world.house.database.url, timedelta(milliseconds=50))
    try:
        yield replace(world.house, database=database)
    finally:
        database.close()


@contextmanager
def held(world: World):
    """Hold the creditor's books, as a large file does while it is posted."""
    if world.house.database.is_sqlite:
        pytest.skip("SQLite has one writer: everybody waits for it")
    with world.house.database.write() as connection:
        lock_books(connection, world.creditor_id)
        yield


def test_a_small_file_of_the_same_creditor_is_put_off(fjord):
    store(fjord, "small.xml", PAYMENTS[:LARGE])
    other = store(fjord, "payments.xml", PAYMENTS).inbound_file_id
    with hurried(fjord) as house:
        with held(fjord), pytest.raises(Busy):
            inbound.process(house, other)
        inbound.process(house, other)
    assert fjord.row(InboundFile, other).state == "imported"


def test_an_evening_of_the_same_creditor_is_put_off(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    day = date(2026, 11, 23)
    with hurried(fjord) as house:
        with held(fjord), pytest.raises(Busy):
            transfer.run_evening(house, fjord.agreement_id, day)
        assert transfer.run_evening(house, fjord.agreement_id, day).invoices == 1


def test_nothing_is_uploaded_while_its_record_would_have_to_wait(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    with hurried(fjord) as house:
        worker = Desk(house, "worker-1", ("main",))
        with held(fjord):
            assert worker.drain() == 1
            assert task(fjord, "deliver").state == "pending"
            assert not [path for path in (fjord.root / "lowell").rglob("*") if path.is_file()]
        fjord.clock.advance(seconds=outbox.BUSY_SECONDS)
        worker.drain()
    (envelope,) = fjord.rows(Envelope)
    assert envelope.state == "delivered"


def test_what_has_happened_is_recorded_however_long_it_takes(fjord):
    with hurried(fjord) as house, held(fjord):
        values = update(Envelope).values(last_error="")
        with house.database.write(patiently=True) as connection:
            assert connection.exec_driver_sql("show lock_timeout").scalar_one() == "0"
            connection.execute(values)
        with house.database.write() as connection:
            assert connection.exec_driver_sql("show lock_timeout").scalar_one() == "50ms"
