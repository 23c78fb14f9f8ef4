"""The daily run: exactly once a day, also on the days the clocks change (R-LS-04, A-02)."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.calendar import business_date, cutoff, due_run, local_date, next_run
from gateway.errors import ConfigurationError, DataError

OSLO = "Europe/Oslo"
EVENING = time(18)
ZONES = st.sampled_from([OSLO, "Europe/Stockholm", "Europe/Helsinki"])
TIMES = st.times().map(lambda moment: moment.replace(microsecond=0))
DAYS = st.dates(date(2024, 1, 1), date(2030, 12, 31))
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=2555)).map(lambda since: datetime(2024, 1, 1, tzinfo=UTC) + since)


def oslo(*parts, fold=0):
    return datetime(*parts, tzinfo=ZoneInfo(OSLO), fold=fold)


@pytest.mark.rule("R-LS-04")
def test_last_second_belongs_to_the_day_and_the_hour_to_the_next():
    assert business_date(oslo(2026, 11, 23, 17, 59, 59), EVENING, OSLO) == date(2026, 11, 23)
    assert business_date(oslo(2026, 11, 23, 18, 0, 0), EVENING, OSLO) == date(2026, 11, 24)


@pytest.mark.rule("R-LS-04")
def test_cutoff_follows_the_local_clock_over_the_year():
    assert cutoff(date(2026, 1, 15), EVENING, OSLO) == datetime(2026, 1, 15, 17, tzinfo=UTC)
    assert cutoff(date(2026, 7, 15), EVENING, OSLO) == datetime(2026, 7, 15, 16, tzinfo=UTC)
    assert cutoff(date(2026, 7, 15), EVENING, "Europe/Helsinki") == datetime(2026, 7, 15, 15, tzinfo=UTC)


@pytest.mark.parametrize("minute", [0, 1, 30, 59])
def test_time_the_clocks_skip_is_the_end_of_the_gap(minute):
    # 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC
    assert cutoff(date(2026, 3, 29), time(2, minute), OSLO) == datetime(2026, 3, 29, 1, tzinfo=UTC)


def test_time_that_comes_twice_is_its_first_coming():
    # 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC; 02:30 is 00:30 and 01:30 UTC
    assert cutoff(date(2026, 10, 25), time(2, 30), OSLO) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second_coming = oslo(2026, 10, 25, 2, 30, fold=1)
    assert business_date(second_coming, time(2, 30), OSLO) == date(2026, 10, 26)
    assert next_run(second_coming, time(2, 30), OSLO) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@given(DAYS, TIMES, ZONES)
@example(date(2026, 3, 29), time(2, 30), OSLO)
@example(date(2026, 10, 25), time(2, 30), OSLO)
@example(date(2027, 3, 28), time(3, 30), "Europe/Helsinki")
def test_run_keeps_its_local_day_and_time_but_in_a_gap(day, local_time, zone):
    instant = cutoff(day, local_time, zone)
    local = instant.astimezone(ZoneInfo(zone))
    assert local.date() == day
    if local.time() != local_time:  # the clocks skipped it: the minute before lies an hour back on the clock
        before = (instant - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
        assert local.utcoffset() - before.utcoffset() == timedelta(hours=1)
        assert before.time() < local_time < local.time()


@given(DAYS, TIMES, ZONES, st.integers(2, 400))
def test_chain_of_runs_has_every_day_once(day, local_time, zone, length):
    instant = cutoff(day, local_time, zone)
    for n in range(1, min(length, 30)):
        instant = next_run(instant, local_time, zone)
        assert local_date(instant, zone) == day + timedelta(days=n)


@pytest.mark.parametrize("zone", [OSLO, "Europe/Stockholm", "Europe/Helsinki"])
@pytest.mark.parametrize("local_time", [EVENING, time(2, 30), time(0), time(23, 59, 59)])
def test_seven_years_of_runs(zone, local_time):
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(7 * 365 + 2)]
    instants = [cutoff(day, local_time, zone) for day in days]
    assert days[-1] == date(2030, 12, 31)
    assert all(timedelta(hours=22) < later - sooner < timedelta(hours=26) for sooner, later in pairwise(instants))
    assert [next_run(instant - timedelta(seconds=1), local_time, zone) for instant in instants] == instants


@given(INSTANTS, TIMES, ZONES)
def test_entry_goes_with_the_next_run(instant, local_time, zone):
    run = next_run(instant, local_time, zone)
    assert run > instant
    assert cutoff(business_date(instant, local_time, zone), local_time, zone) == run


def test_run_that_is_due():
    before, at = oslo(2026, 11, 23, 17, 59, 59), oslo(2026, 11, 23, 18)
    assert due_run(date(2026, 11, 22), before, EVENING, OSLO) is None
    run = due_run(date(2026, 11, 22), at, EVENING, OSLO)
    assert (run.business_date, run.cutoff, run.missed) == (date(2026, 11, 23), at, ())
    assert due_run(date(2026, 11, 23), oslo(2026, 11, 24, 9), EVENING, OSLO) is None


def test_missed_runs_are_caught_up_once_and_named():
    run = due_run(date(2026, 11, 19), oslo(2026, 11, 23, 9), EVENING, OSLO)
    assert run.business_date == date(2026, 11, 22)
    assert run.cutoff == oslo(2026, 11, 22, 18)
    assert run.missed == (date(2026, 11, 20), date(2026, 11, 21))
    assert due_run(run.business_date, oslo(2026, 11, 23, 9), EVENING, OSLO) is None


def test_new_agreement_has_missed_nothing():
    run = due_run(None, oslo(2026, 11, 23, 9), EVENING, OSLO)
    assert (run.business_date, run.missed) == (date(2026, 11, 22), ())


@given(
    st.lists(st.timedeltas(timedelta(minutes=1), timedelta(days=3)), min_size=1, max_size=40), TIMES, ZONES, INSTANTS
)
def test_ticker_at_any_moments_runs_no_day_twice_and_forgets_none(steps, local_time, zone, start):
    last, now, seen = business_date(start, local_time, zone) - timedelta(days=1), start, []
    first = last
    for step in steps:
        now += step
        run = due_run(last, now, local_time, zone)
        if run:
            seen += [*run.missed, run.business_date]
            last = run.business_date
    assert seen == [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert last == business_date(now, local_time, zone) - timedelta(days=1)


def test_what_cannot_be_told():
    with pytest.raises(ConfigurationError):
        cutoff(date(2026, 1, 1), EVENING, "Europe/Atlantis")
    with pytest.raises(DataError):
        cutoff(date(2026, 1, 1), time(18, tzinfo=UTC), OSLO)
    with pytest.raises(DataError):
        next_run(datetime(2026, 1, 1), EVENING, OSLO)  # noqa: DTZ001  that is the point
