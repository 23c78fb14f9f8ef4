"""The sweep takes what only served the machine, and nothing that a person, a replay or the law may ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from gateway.db import outbox
from gateway.db.heartbeat import beat
from gateway.db.tables import (
    AuditEvent,
    Base,
    Envelope,
    Heartbeat,
    InboundArrival,
    InboundFile,
    KeptAnswer,
    Task,
    WebhookMessage,
)
from gateway.errors import Refused
from gateway.jobs import Scheduler
from gateway.services import creditors, delivery, idempotency, inbound, retention, schedule
from gateway.services.idempotency import Answer, KeyedRequest
from gateway.services.retention import Ages, sweep
from tests.rules.far import store
from tests.rules.world import ACTOR
from tests.services.test_stuck import work

AGES = Ages(tasks_days=90, arrivals_days=400, answers_days=30)
LONG_AGO = {"days": 401}
SWEPT = {"outbox", "inbound_arrival", "kept_answer", "heartbeat"}


def sizes(world) -> dict[str, int]:
    with world.house.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
        }


def sweep_all(world) -> int:
    swept = 0
    while count := sweep(world.house, AGES):
        swept += count
    return swept


def tasks(world) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in world.rows(Task):
        found[row.topic] = found.get(row.topic, 0) + 1
    return found


@pytest.fixture
def busy(fjord):
    """An evening sent, a file that is no payment file, the same bytes again, and a mailbox looked into."""
    fjord.customer()
    fjord.invoice("1", 100)
    schedule.tick(fjord.house)
    fjord.clock.advance(minutes=30, seconds=1)
    schedule.tick(fjord.house)
    work(fjord)
    store(fjord, "odd.bin", b"no payment file", "message-1")
    work(fjord)
    store(fjord, "odd-again.bin", b"no payment file", "message-1")
    beat(fjord.house.database, "worker-of-old", fjord.clock(), pid=1)
    assert tasks(fjord) == {"run": 1, "deliver": 1, "fetch": 1, "read": 1}
    assert {row.state for row in fjord.rows(Task)} == {"done"}
    return fjord


def test_nothing_goes_before_its_age(busy):
    before = sizes(busy)
    busy.clock.advance(days=90)
    assert sweep_all(busy) == 0
    assert sizes(busy) == before


def test_only_book_keeping_goes(busy):
    before = sizes(busy)
    busy.clock.advance(**LONG_AGO)
    assert sweep_all(busy) > 0
    after = sizes(busy)
    assert {name for name in before if after[name] != before[name]} == SWEPT - {"kept_answer"}
    assert after["inbound_arrival"] == after["heartbeat"] == 0
    assert tasks(busy) == {"deliver": 1}, "the agency has not answered: a person may still send the file once more"
    assert busy.rows(AuditEvent)
    assert busy.rows(WebhookMessage)


def test_what_is_not_done_stays_for_ever(fjord):
    states = ("pending", "leased", "failed", "in_doubt", "done")
    with fjord.house.database.write() as connection:
        for number, state in enumerate(states):
            outbox.promise(connection, "read", number, fjord.clock(), repeatable=True)
            values = {"state": state, "finished_at": fjord.clock()}
            connection.execute(update(Task).where(Task.ref_id == number).values(**values))
    fjord.clock.advance(days=4000)
    sweep_all(fjord)
    assert sorted(row.state for row in fjord.rows(Task)) == sorted(states[:-1])


def test_a_promise_that_was_due_long_ago_and_is_just_done_stays(fjord):
    with fjord.house.database.write() as connection:
        outbox.promise(connection, "read", 1, fjord.clock(), repeatable=True)
        fjord.clock.advance(**LONG_AGO)
        connection.execute(update(Task).values(state="done", finished_at=fjord.clock()))
    assert sweep_all(fjord) == 0


def test_a_file_sent_long_ago_can_still_be_sent_once_more(busy):
    (envelope,) = busy.rows(Envelope)
    busy.clock.advance(**LONG_AGO)
    sweep_all(busy)
    delivery.resend(busy.house, envelope.id, ACTOR, "the agency lost it")
    assert [row.state for row in busy.rows(Task)] == ["pending"]
    work(busy)
    assert busy.row(Envelope, envelope.id).state == "delivered"


def test_the_promise_of_an_answered_file_goes(busy):
    with busy.house.database.write() as connection:
        connection.execute(update(Envelope).values(receipt_at=busy.clock()))
    (envelope,) = busy.rows(Envelope)
    busy.clock.advance(**LONG_AGO)
    sweep_all(busy)
    assert tasks(busy) == {}
    with pytest.raises(Refused, match=r"delivery\.answered"):
        delivery.resend(busy.house, envelope.id, ACTOR, "again")


def test_a_file_of_long_ago_can_still_be_replayed(busy):
    (file,) = busy.rows(InboundFile)
    assert file.state == "refused"
    busy.clock.advance(**LONG_AGO)
    sweep_all(busy)
    inbound.replay(busy.house, file.id, ACTOR)
    work(busy)
    assert busy.row(InboundFile, file.id).finished_at == busy.clock()


@pytest.mark.rule("P8")
def test_a_message_of_long_ago_is_still_known(busy):
    """Neither new under its own id, nor with other bytes, nor the same bytes under a new id."""
    busy.clock.advance(**LONG_AGO)
    sweep_all(busy)
    assert not store(busy, "odd.bin", b"no payment file", "message-1").is_new
    assert not store(busy, "odd.bin", b"no payment file", "message-2").is_new
    with pytest.raises(Refused, match=r"webhook\.id_reused"):
        store(busy, "odd.bin", b"other bytes", "message-1")
    assert "read" not in tasks(busy), "nothing is read again"


def test_a_swept_evening_is_not_made_again(busy):
    busy.clock.advance(**LONG_AGO)
    sweep_all(busy)
    schedule.tick(busy.house)
    days = {row.part for row in busy.rows(Task, Task.topic == "run")}
    assert days
    assert "2026-11-23" not in days


def test_answers_go_after_their_thirty_days_and_no_sooner(fjord):
    creditors.add_api_key(fjord.house, fjord.creditor_id, "books", ["ledger:write"], ACTOR)
    (key_id,) = (row.id for row in fjord.rows(creditors.ApiKey))
    keyed = KeyedRequest(key_id, "k", "f")
    assert idempotency.claim(fjord.house, keyed) is None
    fjord.clock.advance(minutes=10)
    idempotency.keep_refusal(fjord.house, keyed, Answer(422, "{}"))
    fjord.clock.advance(days=30)
    assert sweep_all(fjord) == 0, "counted from the answer, not from the request"
    assert idempotency.claim(fjord.house, keyed) == Answer(422, "{}")
    fjord.clock.advance(seconds=1)
    assert sweep_all(fjord) == 1
    assert fjord.rows(KeptAnswer) == []


def test_much_goes_in_small_batches(fjord, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 10)
    file_id = store(fjord, "a", b"bytes").inbound_file_id
    rows = [{"inbound_file_id": file_id, "channel": "sftp", "filename": "a", "at": fjord.clock()} for _ in range(24)]
    with fjord.house.database.write() as connection:
        connection.execute(insert(InboundArrival), rows)
    fjord.clock.advance(**LONG_AGO)
    store(fjord, "a", b"bytes")
    assert [sweep(fjord.house, AGES) for _ in range(4)] == [10, 10, 5, 0]
    assert [row.at for row in fjord.rows(InboundArrival)] == [fjord.clock()]


def test_a_living_process_keeps_its_sign_of_life(fjord):
    beat(fjord.house.database, "old", fjord.clock(), pid=1)
    fjord.clock.advance(days=90, seconds=1)
    beat(fjord.house.database, "new", fjord.clock() - timedelta(days=90), pid=2)
    sweep_all(fjord)
    assert [row.name for row in fjord.rows(Heartbeat)] == ["new"]


def test_the_scheduler_sweeps_between_its_ticks_until_nothing_is_left(busy, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 1)
    scheduler = Scheduler(busy.house, 1, AGES)
    busy.clock.advance(**LONG_AGO)
    schedule.tick(busy.house)  # what is due by the clock is promised first
    for _ in range(10):
        scheduler._tick()
    assert busy.rows(InboundArrival) == []
    busy.clock.advance(**LONG_AGO)
    store(busy, "odd.bin", b"no payment file")
    busy.clock.advance(**LONG_AGO)
    scheduler._tick()
    assert len(busy.rows(InboundArrival)) == 1, "an hour's rest"
