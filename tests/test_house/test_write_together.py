"""Small works of many threads share a transaction, and nobody's failure is anybody else's (P1, P8)."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import event, insert, select

from gateway.db.heartbeat import beat
from gateway.db.tables import Heartbeat
from tests.conftest import EVENING


def named(name: str):
    def work(connection):
        connection.execute(insert(Heartbeat).values(name=name, at=EVENING, facts={}))
        return name

    return work


def names(database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(Heartbeat.name)).scalars())


def at_once(database, *works) -> list[object]:
    """Let a thread do each work, all waiting for the same turn; return results or errors in the order of *works*."""
    found: list[object] = [None] * len(works)

    def do(number: int, work) -> None:
        try:
            found[number] = database.write_together(work)
        except BaseException as error:  # noqa: BLE001
            found[number] = error

    threads = [threading.Thread(target=do, args=(number, work)) for number, work in enumerate(works)]
    with database._turn:
        for thread in threads:
            thread.start()
        while len(database._works) < len(works):
            time.sleep(0.001)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a thread waits for a turn that never comes"
    return found


def test_what_is_returned_is_committed(database):
    assert database.write_together(named("one")) == "one"
    assert names(database) == {"one"}


def test_many_works_share_one_commit(database):
    commits = []
    event.listen(database.engine, "commit", commits.append)
    wanted = [str(number) for number in range(40)]
    assert at_once(database, *map(named, wanted)) == wanted
    assert len(commits) == 1
    assert names(database) == set(wanted)


def test_more_than_one_transaction_may_hold_are_done_all_the_same(database, monkeypatch):
    monkeypatch.setattr("gateway.db.uow.TOGETHER_MAX", 3)
    wanted = [str(number) for number in range(10)]
    assert at_once(database, *map(named, wanted)) == wanted
    assert names(database) == set(wanted)


def test_one_that_fails_undoes_itself_and_nobody_else(database):
    def fails(connection):
        named("half")(connection)
        raise LookupError("mine")

    found = at_once(database, named("a"), fails, named("b"), named("a"), named("c"))
    assert [result for result in found if isinstance(result, str)].count("a") == 1
    assert isinstance(found[1], LookupError)
    assert {"b", "c"} <= set(map(str, found))
    assert sum(isinstance(result, Exception) for result in found) == 2, "the second 'a' breaks a key, alone"
    assert names(database) == {"a", "b", "c"}


def test_a_thread_that_is_ended_takes_nobody_along(database, monkeypatch):
    """Whoever has the turn is interrupted in the middle of everybody's work."""
    interrupted, write = [], database.write

    def interrupts():
        if not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        return write()

    monkeypatch.setattr(database, "write", interrupts)
    found = at_once(database, *map(named, "abcd"))
    assert [type(result) for result in found].count(KeyboardInterrupt) == 1
    assert names(database) == {result for result in found if isinstance(result, str)}
    assert len(names(database)) == 3
    assert not database._works


def test_it_waits_for_writers_that_go_alone(database):
    with database.write() as connection:
        connection.execute(select(1))
        thread = threading.Thread(target=lambda: database.write_together(named("one")))
        thread.start()
    thread.join(20)
    beat(database, "other", EVENING)
    assert names(database) == {"one", "other"}


@pytest.mark.parametrize("count", [1, 200])
def test_under_load_every_result_is_its_own(database, count):
    wanted = [str(number) for number in range(count)]
    found: list[str] = []

    def do(some: list[str]) -> None:
        found.extend(database.write_together(named(name)) for name in some)

    threads = [threading.Thread(target=do, args=(wanted[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(wanted)
    assert names(database) == set(wanted)
