"""How far a large file has come is told while it is stored, read, matched and posted, and is no longer told afterwards."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from gateway.db.tables import FileProgress, InboundFile, IncomingPayment, StagedPayment
from gateway.services import inbound, payments, progress, retention
from gateway.services.progress import FileWork, under_way
from gateway.services.retention import Ages
from gateway.testing.camt_files import CamtEntry, CamtPayment, camt_file
from tests.rules.far import store

PAYMENTS = camt_file([CamtEntry(tuple(CamtPayment(100 + n, f"{n}") for n in range(1, 8)))])


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(progress, "TOLD_EVERY_SECONDS", 0)


def told(world):
    return [(one.stage, one.percent, one.rows) for one in under_way(world.house)]


def spying(monkeypatch, world, name: str) -> list[object]:
    """Note what is told at the moment *name* of the payments service is called."""
    seen: list[object] = []
    real = getattr(payments, name)

    def spy(*arguments, **named):
        seen.extend(told(world))
        return real(*arguments, **named)

    monkeypatch.setattr(payments, name, spy)
    return seen


def test_a_file_waits_is_read_matched_and_posted(fjord, monkeypatch):
    monkeypatch.setattr(payments, "BATCH_ROWS", 7)
    matching, posting = (spying(monkeypatch, fjord, name) for name in ("lock_books", "post_file"))
    stored = store(fjord, "payments.xml", PAYMENTS)
    assert told(fjord) == [("waiting", None, 0)]
    inbound.process(fjord.house, stored.inbound_file_id)
    assert matching == [("matching", 0, 7)]
    in_posting = ("matching", 0, 7) if fjord.house.database.is_sqlite else ("posting", 66, 7)
    assert posting == [in_posting], "inside its one transaction SQLite can tell nothing"
    assert told(fjord) == []
    assert fjord.rows(FileProgress) == []


def test_reading_is_told_in_bytes_and_rows(fjord):
    stored = store(fjord, "payments.xml", PAYMENTS)
    work = FileWork(fjord.house, fjord.creditor_id, "payments.xml", stored.inbound_file_id)
    with fjord.house.database.write() as connection:
        connection.execute(InboundFile.__table__.update().values(state="reading"))
    work.at_byte(250)
    work.reading(1000, 3)
    assert told(fjord) == [("reading", 25, 3)]
    work.over()
    assert told(fjord) == [("reading", None, 0)]


def test_a_reader_that_begins_anew_replaces_what_its_killed_predecessor_told(fjord):
    stored = store(fjord, "payments.xml", PAYMENTS)
    for rows in (5, 2):
        FileWork(fjord.house, fjord.creditor_id, "payments.xml", stored.inbound_file_id).reading(1000, rows)
    assert [row.rows for row in fjord.rows(FileProgress)] == [2]


def test_bytes_are_counted_while_they_are_stored(fjord, monkeypatch):
    monkeypatch.setattr(inbound, "SMALL_BYTES", 0)
    told_in_time: list[object] = []
    real = FileWork.storing

    def storing(self, position, size):
        real(self, position, size)
        told_in_time.extend((one.inbound_file_id, one.stage, one.percent) for one in under_way(fjord.house))

    monkeypatch.setattr(FileWork, "storing", storing)
    content = bytes(4 << 20)
    inbound.store(fjord.house, fjord.agreement_id, "webhook", "big.xml", io.BytesIO(content))
    if not fjord.house.database.is_sqlite:
        assert told_in_time == [(None, "storing", percent) for percent in (25, 50, 75, 100)]
    assert told(fjord) == [("waiting", None, 0)]


def test_a_sender_that_was_cut_off_is_forgotten(fjord):
    if fjord.house.database.is_sqlite:
        pytest.skip("on SQLite storing is not told")
    FileWork(fjord.house, fjord.creditor_id, "cut.xml").storing(10, 100)
    assert told(fjord) == [("storing", 10, 0)]
    fjord.clock.moment += progress.SILENT_AFTER + timedelta(seconds=1)
    assert told(fjord) == []
    fjord.clock.advance(days=2)
    retention.sweep(fjord.house, Ages(90, 400, 30))
    assert fjord.rows(FileProgress) == []


def test_nobody_sees_anothers_files(fjord):
    store(fjord, "payments.xml", PAYMENTS)
    assert under_way(fjord.house, [fjord.creditor_id + 1]) == []
    (mine,) = under_way(fjord.house, [fjord.creditor_id])
    assert (mine.creditor, mine.filename, mine.size) == ("fjord", "payments.xml", len(PAYMENTS))


class _Killed(BaseException):
    """What no handler catches, as no handler catches kill -9."""


@pytest.mark.rule("P1")
@pytest.mark.parametrize("step", ["lock_books", "_show", "post_file", "_finish"])
def test_a_worker_killed_in_any_step_leaves_nothing_half_done(fjord, monkeypatch, step):
    stored = store(fjord, "payments.xml", PAYMENTS)

    def kill(*_arguments, **_named):
        raise _Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payments, step, kill)
        with pytest.raises(_Killed):
            inbound.process(fjord.house, stored.inbound_file_id)
    assert fjord.rows(IncomingPayment) == []
    assert fjord.row(InboundFile, stored.inbound_file_id).state == "reading"
    inbound.process(fjord.house, stored.inbound_file_id)
    assert len(fjord.rows(IncomingPayment)) == 7
    assert fjord.rows(StagedPayment) == []
