"""A task that kills its worker is not given to worker after worker for ever: it stops, rings, and waits for a person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from gateway.db import outbox
from gateway.db.tables import Envelope, Task
from gateway.errors import Refused
from gateway.services import delivery, schedule, tasks, watch
from tests.rules.world import ACTOR, World


def dies(world: World, topic: str) -> bool:
    """Let a worker take a task of *topic* and die over it; its machine starts it again. False when none was due."""
    leased = outbox._lease(world.house.database, (topic,), world.clock(), "w")
    if leased is None:
        return False
    world.clock.advance(seconds=5)
    outbox.release(world.house.database, "w", world.clock())
    return True


def deaths(world: World, topic: str, hours: int = 48) -> int:
    """Count the workers that a task of *topic* kills in so many hours."""
    count = 0
    for _ in range(hours * 12):
        schedule.tick(world.house)
        count += dies(world, topic)
        world.clock.advance(minutes=5)
    return count


def task(world: World, topic: str):
    (row,) = world.rows(Task, Task.topic == topic, Task.part == "")
    return row


def codes(world: World) -> set[str]:
    return {alarm.code for alarm in watch.alarms(world.house)}


@pytest.mark.rule("P5", "P6")
def test_a_mailbox_that_kills_its_worker_stops_and_rings(fjord):
    assert deaths(fjord, "fetch") == outbox.TAKEOVERS_MAX
    stopped = task(fjord, "fetch")
    assert (stopped.state, stopped.last_error) == ("stopped", "killed its worker 5 times")
    (alarm,) = [alarm for alarm in watch.alarms(fjord.house) if alarm.code == "task.stopped"]
    assert (alarm.object_id, alarm.creditor_id, alarm.values["task"]) == (stopped.id, fjord.creditor_id, "fetch")


@pytest.mark.rule("P5")
def test_a_person_has_it_tried_again_from_the_beginning(fjord):
    deaths(fjord, "fetch")
    tasks.retry(fjord.house, task(fjord, "fetch").id, ACTOR)
    assert "task.stopped" not in codes(fjord)
    assert deaths(fjord, "fetch") == outbox.TAKEOVERS_MAX
    tasks.retry(fjord.house, task(fjord, "fetch").id, ACTOR)
    assert outbox.run_one(fjord.house.database, {"fetch": lambda _task: None}, fjord.clock, "w")
    assert task(fjord, "fetch").state == "done"


@pytest.mark.rule("P5")
def test_a_machine_that_was_switched_off_now_and_then_stops_nothing(fjord):
    """Between two deaths the task was done: the count is of one task at one stretch."""
    for _ in range(outbox.TAKEOVERS_MAX * 2):
        schedule.tick(fjord.house)
        assert dies(fjord, "fetch")
        fjord.clock.advance(minutes=16)
        assert outbox.run_one(fjord.house.database, {"fetch": lambda _task: None}, fjord.clock, "w")
        fjord.clock.advance(minutes=16)
    assert task(fjord, "fetch").state == "done"


def sealed(world: World, *, repeatable: bool) -> int:
    world.customer()
    world.invoice("1", 100)
    world.evening()
    with world.house.database.write() as connection:
        connection.execute(update(Task).where(Task.topic == "deliver").values(repeatable=repeatable))
    (row,) = world.rows(Envelope)
    return row.id


@pytest.mark.rule("P4", "P5")
def test_an_upload_that_kills_its_worker_stops_too(fjord):
    sealed(fjord, repeatable=True)
    assert deaths(fjord, "deliver", hours=4) == outbox.TAKEOVERS_MAX
    assert task(fjord, "deliver").state == "stopped"
    assert "task.stopped" in codes(fjord)


@pytest.mark.rule("P4", "P5")
def test_reading_back_a_doubtful_upload_does_not_start_the_count_anew(fjord):
    envelope_id = sealed(fjord, repeatable=False)
    count = 0
    for _ in range(outbox.TAKEOVERS_MAX * 3):
        count += dies(fjord, "deliver")
        if task(fjord, "deliver").state == "in_doubt":
            delivery.read_back(fjord.house, envelope_id)
        fjord.clock.advance(minutes=5)
    assert (count, task(fjord, "deliver").state) == (outbox.TAKEOVERS_MAX, "stopped")
    with pytest.raises(Refused):
        tasks.retry(fjord.house, task(fjord, "deliver").id, ACTOR)
    delivery.confirm_delivery(fjord.house, envelope_id, ACTOR, arrived=False)
    assert task(fjord, "deliver").state == "pending"


@pytest.mark.rule("P4")
def test_a_stopped_upload_that_did_arrive_is_done_on_a_persons_word(fjord):
    envelope_id = sealed(fjord, repeatable=True)
    deaths(fjord, "deliver", hours=4)
    delivery.confirm_delivery(fjord.house, envelope_id, ACTOR, arrived=True)
    assert task(fjord, "deliver").state == "done"
    assert "task.stopped" not in codes(fjord)


@pytest.mark.rule("P5")
def test_a_lease_that_ran_out_counts_like_a_restart(fjord):
    sealed(fjord, repeatable=True)
    for _ in range(outbox.TAKEOVERS_MAX):
        assert outbox._lease(fjord.house.database, ("deliver",), fjord.clock(), "w")
        fjord.clock.moment += outbox.LEASE + timedelta(seconds=1)
        assert outbox.sweep(fjord.house.database, fjord.clock()) == 1
    assert task(fjord, "deliver").state == "stopped"
