"""Exactly one run per business day, whatever is changed about the time of the run, and when (R-LS-04, A-02)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.db.tables import Task, TransferRun
from gateway.domain.calendar import local_date
from gateway.services import agreements, schedule, transfer
from tests.rules.world import ACTOR, World

ZONE = "Europe/Oslo"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def tick(world: World) -> None:
    """Let the ticker look, and a worker make what it promised."""
    schedule.tick(world.house)
    done = {row.business_date for row in world.rows(TransferRun, TransferRun.agreement_id == world.agreement_id)}
    for task in world.rows(Task, Task.topic == "run", Task.ref_id == world.agreement_id):
        if date.fromisoformat(task.part) not in done:
            transfer.run_evening(world.house, world.agreement_id, date.fromisoformat(task.part))


def live(world: World, until: datetime, changes: dict[datetime, str], minutes: int = 30) -> Counter[date]:
    """Live until then, changing the time of the run on the way; return how often each business date was run."""
    moments = sorted({*changes, *_every(world.clock.moment, until, minutes)})
    for moment in moments:
        world.clock.moment = moment
        if moment in changes:
            agreements.change_agreement(world.house, world.agreement_id, {"transfer_time": changes[moment]}, ACTOR)
        tick(world)
    return Counter(row.business_date for row in world.rows(TransferRun))


def _every(begin: datetime, end: datetime, minutes: int) -> list[datetime]:
    return [
        begin + timedelta(minutes=minutes * n) for n in range(int((end - begin).total_seconds() // 60 // minutes) + 1)
    ]


@pytest.fixture
def running(house, clock, tmp_path) -> World:
    clock.moment = at("2026-11-22T12:00")
    return World(house, clock, tmp_path).start()


@pytest.mark.rule("R-LS-04")
@pytest.mark.parametrize(
    ("when", "to"),
    [
        ("2026-11-23T16:30", "17:00"),
        ("2026-11-23T16:30", "20:00"),
        ("2026-11-23T18:00", "20:00"),
        ("2026-11-23T18:00", "17:00"),
        ("2026-11-23T16:59:59", "00:00"),
        ("2026-11-23T17:00", "18:01"),
        ("2026-11-23T23:30", "00:10"),
    ],
)
def test_one_run_a_day_around_a_change(running, when, to):
    runs = live(running, at("2026-11-26T12:00"), {at(when): to})
    assert runs == {date(2026, 11, day): 1 for day in range(22, 26 + (to in {"00:00", "00:10"}))}
    assert not running.audit("run.missed")


@pytest.mark.rule("R-LS-04")
def test_what_was_ready_before_the_new_time_goes_the_same_day(running):
    running.customer()
    live(running, at("2026-11-23T15:00"), {})
    running.invoice("1", 100)
    live(running, at("2026-11-23T16:45"), {at("2026-11-23T16:30"): "17:00"})
    assert running.claim("1") is not None


@pytest.mark.rule("R-LS-04")
def test_the_preview_shows_the_run_that_comes_and_not_one_that_was_made(running):
    live(running, at("2026-11-23T17:30"), {})
    agreements.change_agreement(running.house, running.agreement_id, {"transfer_time": "20:00"}, ACTOR)
    assert local_date(running.preview().cutoff, ZONE) == date(2026, 11, 24)
    assert running.agreement().next_run_at == at("2026-11-24T19:00")


TIMES = st.sampled_from(["00:00", "00:10", "02:00", "02:30", "03:00", "12:00", "18:00", "23:50", "23:59"])
CHANGES = st.lists(st.tuples(st.integers(1, 71), TIMES), max_size=4)


@pytest.mark.slow
@pytest.mark.rule("R-LS-04", "A-02")
@pytest.mark.parametrize("begin", ["2026-03-28T10:00", "2026-10-24T10:00"], ids=["clocks go on", "clocks go back"])
def test_one_run_a_day_whatever_is_changed_when_the_clocks_do(sqlite_house, clock, tmp_path, begin):
    made = 0

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(CHANGES)
    def check(changes):
        nonlocal made
        made += 1
        clock.moment = at(begin)
        world = World(sqlite_house, clock, tmp_path / str(made), key=f"w{begin[5:7]}{made}").start()
        first = world.agreement().last_business_date + timedelta(days=1)
        moments = {at(begin) + timedelta(hours=hour, minutes=7): time for hour, time in changes}
        live(world, at(begin) + timedelta(days=4), moments, minutes=240)
        days = [row.business_date for row in world.rows(TransferRun, TransferRun.agreement_id == world.agreement_id)]
        count = (max(days) - first).days + 1
        assert sorted(days) == [first + timedelta(days=n) for n in range(count)]
        assert max(days) >= local_date(clock.moment, ZONE) - timedelta(days=1)
        agreements.end(sqlite_house, world.agreement_id, ACTOR)

    check()


@pytest.mark.rule("R-LS-04")
def test_an_agreement_that_begins_anew_missed_nothing_meanwhile(running):
    live(running, at("2026-11-23T18:00"), {})
    agreements.end(running.house, running.agreement_id, ACTOR)
    running.clock.moment = at("2026-11-30T12:00")
    agreements.activate(running.house, running.agreement_id, ACTOR)
    assert running.agreement().next_run_at == at("2026-11-30T17:00")
    runs = live(running, at("2026-11-30T18:00"), {})
    assert runs == {date(2026, 11, day): 1 for day in (22, 23, 30)}
    assert not running.audit("run.missed")
