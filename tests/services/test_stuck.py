"""Nothing stands still unseen: deliveries that wait, doubts that come twice, mailboxes that stay shut (P4, P5, P6)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from gateway.db import outbox
from gateway.db.tables import Envelope, Task
from gateway.domain.transport import Waiting
from gateway.errors import DeliveryError
from gateway.jobs import handlers
from gateway.services import delivery, evening, inbound, mailbox, schedule, transfer, watch
from tests.rules.far import store
from tests.rules.world import ACTOR


def work(world, **instead) -> None:
    do = {**handlers(world.house), **instead}
    while outbox.run_one(world.house.database, do, world.clock, "w"):
        pass


def task(world, topic: str, ref_id: int = 0):
    (row,) = world.rows(Task, Task.topic == topic, *([Task.ref_id == ref_id] if ref_id else []))
    return row


def codes(world) -> set[str]:
    return {alarm.code for alarm in watch.alarms(world.house)}


def two_evenings(world) -> list[int]:
    world.customer()
    world.invoice("1", 100)
    world.evening()
    world.invoice("2", 100)
    world.evening()
    return [row.id for row in sorted(world.rows(Envelope), key=lambda row: row.id)]


def test_a_file_that_waited_for_another_goes_as_soon_as_that_one_has_arrived(fjord):
    first, second = two_evenings(fjord)
    with fjord.house.database.write() as connection:
        connection.execute(update(Envelope).where(Envelope.id == first).values(state="in_doubt"))
        connection.execute(update(Task).where(Task.ref_id == first, Task.topic == "deliver").values(state="in_doubt"))
    for _ in range(12):
        work(fjord)
        fjord.clock.advance(hours=25)
    assert task(fjord, "deliver", second).state == "failed"
    delivery.confirm_delivery(fjord.house, first, ACTOR, arrived=True)
    work(fjord)
    assert fjord.row(Envelope, second).state == "delivered"


@pytest.mark.rule("P5")
def test_a_file_that_waited_for_days_is_tried_as_often_as_any_other(fjord, monkeypatch):
    first, second = two_evenings(fjord)
    with fjord.house.database.write() as connection:
        connection.execute(update(Envelope).where(Envelope.id == first).values(state="in_doubt"))
        connection.execute(update(Task).where(Task.ref_id == first, Task.topic == "deliver").values(state="in_doubt"))
    for _ in range(12):
        work(fjord)
        fjord.clock.advance(hours=25)
    with monkeypatch.context() as broken:
        broken.setattr(delivery, "open_transport", _no_line)
        delivery.confirm_delivery(fjord.house, first, ACTOR, arrived=True)
        work(fjord)
    assert (task(fjord, "deliver", second).state, task(fjord, "deliver", second).attempts) == ("pending", 1)
    fjord.clock.advance(hours=1)
    work(fjord)
    assert fjord.row(Envelope, second).state == "delivered"


def _no_line(*_):
    raise DeliveryError("no connection")


def test_a_second_doubt_about_one_file_is_read_back_like_the_first(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    (envelope,) = fjord.rows(Envelope)
    for _ in range(2):
        with fjord.house.database.write() as connection:
            connection.execute(update(Task).where(Task.topic == "deliver").values(state="in_doubt", attempts=1))
        assert delivery.resolve_doubts(fjord.house) == 1
        assert delivery.resolve_doubts(fjord.house) == 0, "one reading per doubt"
        fjord.clock.advance(seconds=1)
        delivery.read_back(fjord.house, envelope.id)
        assert task(fjord, "deliver").state == "pending"
        fjord.clock.advance(minutes=1)


def test_a_worker_that_comes_back_from_the_dead_cannot_end_anothers_task(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    database, topics = fjord.house.database, ("deliver",)
    dead = outbox._lease(database, topics, fjord.clock(), "one")
    fjord.clock.advance(minutes=2)
    outbox.sweep(database, fjord.clock())
    with database.write() as connection:
        connection.execute(update(Task).where(Task.topic == "deliver").values(state="failed"))
        assert outbox.again(connection, "deliver", dead.ref_id, fjord.clock())
    outbox._lease(database, topics, fjord.clock(), "two")
    outbox._finish(database, dead, "done", "", fjord.clock())
    assert task(fjord, "deliver").state == "leased"


def test_a_file_no_reader_survives_does_not_put_off_the_evening(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 100)
    store(fjord, "payments.001", b"poison")
    monkeypatch.setattr(inbound, "_read", lambda *_: 1 / 0)
    fjord.clock.moment = fjord.preview().cutoff + timedelta(seconds=5)
    assert evening.make_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23)).invoices == 1


def test_one_file_that_cannot_be_read_does_not_keep_the_others_in_the_mailbox(fjord, monkeypatch):
    class Mailbox:
        def waiting(self):
            return [Waiting("a", "1"), Waiting("b", "1")]

        def get(self, name, into):
            if name == "a":
                raise DeliveryError("a: permission denied")
            into.write(b"bytes of b")

        def remove(self, name):
            pass

    monkeypatch.setattr(mailbox, "open_transport", lambda *_: Mailbox())
    with pytest.raises(DeliveryError, match="permission"):
        mailbox.fetch(fjord.house, fjord.agreement_id)
    assert [row.filename for row in fjord.rows(inbound.FileRow)] == ["b"]


def test_a_mailbox_that_stays_shut_is_one_task_and_an_alarm(fjord):
    def shut(_task):
        raise DeliveryError("no route to host")

    for _ in range(40):
        schedule.tick(fjord.house)
        work(fjord, fetch=shut)
        fjord.clock.advance(minutes=15)
    assert "mailbox.unreachable" in codes(fjord)
    assert task(fjord, "fetch").state in {"pending", "failed"}
    schedule.tick(fjord.house)
    work(fjord, fetch=lambda _task: None)
    assert "mailbox.unreachable" not in codes(fjord)


def test_an_evening_no_worker_takes_up_rings(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.clock.moment = fjord.preview().cutoff + timedelta(seconds=1)
    schedule.tick(fjord.house)
    assert "run.failed" not in codes(fjord)
    fjord.clock.advance(minutes=16)
    assert "run.failed" in codes(fjord)


def test_hundreds_of_files_without_receipts_do_not_hide_the_one_that_failed(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    (envelope,) = fjord.rows(Envelope)
    columns = {k: v for k, v in envelope._mapping.items() if k != "id"}
    with fjord.house.database.write() as connection:
        for n in range(watch.ALARMS_MAX + 5):
            values = columns | {"id": 10_000 + n, "sequence": 100 + n, "state": "delivered", "receipt_due_at": None}
            connection.execute(Envelope.__table__.insert().values(**values))
        doubtful = columns | {"id": 20_000, "sequence": 900, "state": "in_doubt"}
        connection.execute(Envelope.__table__.insert().values(**doubtful))
    assert "delivery.in_doubt" in codes(fjord)


def test_an_evening_made_late_does_not_turn_the_calendar_back(fjord):
    fjord.clock.moment = fjord.preview().cutoff + timedelta(days=1, seconds=5)
    transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 24))
    transfer.run_evening(fjord.house, fjord.agreement_id, date(2026, 11, 23))
    assert fjord.agreement().last_business_date == date(2026, 11, 24)


def test_what_a_person_clears_up_is_recorded_and_true_at_once(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.evening()
    (envelope,) = fjord.rows(Envelope)
    monkeypatch.setattr(delivery, "free_followers", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        delivery.confirm_delivery(fjord.house, envelope.id, ACTOR, arrived=True)
    assert not fjord.audit("envelope.clarified")
    with fjord.house.database.read() as connection:
        assert connection.execute(select(Envelope.state)).scalar_one() == "sealed"


@pytest.mark.rule("P4")
def test_an_upload_that_the_database_would_not_record_is_read_back_and_not_repeated(fjord, monkeypatch):
    fjord.customer()
    fjord.invoice("1", 1000)
    (sent,) = fjord.evening().envelopes

    def refused(*_: object) -> int:
        raise OperationalError("update", {}, Exception("deadlock detected"))

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_note_delivered", refused)
        work(fjord)
    assert task(fjord, "deliver", sent.id).state == "in_doubt"
    schedule.tick(fjord.house)
    work(fjord)
    done = task(fjord, "deliver", sent.id)
    assert (fjord.row(Envelope, sent.id).state, done.state, done.attempts) == ("delivered", "done", 1)
