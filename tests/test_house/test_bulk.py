"""Bulk rows: the same values whichever way they reach the database, and work behind the caller's back."""

from __future__ import annotations

import gc
import threading
from datetime import date

import pytest
from sqlalchemy import JSON, BigInteger, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gateway.db.behind import Behind
from gateway.db.bulk import insert_rows, quiet_collector, read_ahead, table_of


class _Tables(DeclarativeBase):
    pass


class Row(_Tables):
    """A value of each kind that the evening writes."""

    __tablename__ = "bulk_row"
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    large: Mapped[int] = mapped_column(BigInteger)
    is_so: Mapped[bool]
    values: Mapped[dict[str, object]] = mapped_column(JSON)
    day: Mapped[date | None]
    run_id: Mapped[int]


COLUMNS = ("number", "text", "large", "is_so", "values", "day")
ROWS = [
    (1, "a", 2**62, True, {"reason": 'quote " back \\ slash', "line\n": "æøå €  😀"}, date(2026, 11, 23)),
    (2, "", -1, False, {}, None),
    (3, "null", 0, False, {"none": None, "zero": 0, "nested": ["x", True]}, None),
]


@pytest.mark.parametrize("is_behind", [False, True])
def test_values_come_back_as_they_went(database, is_behind):
    with database.write() as connection:
        table_of(Row).create(connection)
        assert insert_rows(connection, Row, COLUMNS, ROWS, {"run_id": 7}, is_behind=is_behind) == 3
    query = select(*(getattr(Row, name) for name in ("run_id", *COLUMNS))).order_by(Row.number)
    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(query)] == [(7, *row) for row in ROWS]
        with read_ahead(connection, query) as rows:
            assert [tuple(row) for row in rows] == [(7, *row) for row in ROWS]


def test_a_null_character_is_no_end_of_the_text_behind(sqlite_database):
    with sqlite_database.write() as connection:
        table_of(Row).create(connection)
        same = {"large": 1, "is_so": False, "values": {}, "day": None, "run_id": 1}
        insert_rows(connection, Row, ("number", "text"), [(1, "a\0b")], same, is_behind=True)
        assert connection.execute(select(Row.text)).scalar_one() == "a\0b"


@pytest.mark.parametrize(("number", "text"), [(2**63, "x"), (-(2**63) - 1, "x"), (1, "\ud800")])
@pytest.mark.parametrize("is_behind", [False, True])
def test_what_no_column_holds_is_refused_either_way(sqlite_database, number, text, is_behind):
    same = {"number": 1, "is_so": False, "values": {}, "day": None, "run_id": 1}
    with sqlite_database.write() as connection:
        table_of(Row).create(connection)
        with pytest.raises((OverflowError, UnicodeEncodeError)):
            insert_rows(connection, Row, ("text", "large"), [(text, number)], same, is_behind=is_behind)


@pytest.mark.parametrize("is_behind", [False, True])
def test_the_drivers_errors_come_as_everybody_knows_them(database, is_behind):
    same = {"large": 1, "is_so": False, "values": {}, "day": None, "run_id": 1}

    def insert_twice():
        with database.write() as connection:
            table_of(Row).create(connection)
            insert_rows(connection, Row, ("number", "text"), [(1, "a"), (1, "b")], same, is_behind=is_behind)

    with pytest.raises(IntegrityError):
        insert_twice()


def test_the_last_of_several_wakes_the_collector():
    first, second = quiet_collector(), quiet_collector()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_one_piece_of_work_at_a_time_in_their_order():
    done, may_end = [], threading.Event()
    with Behind() as behind:
        behind.hand(lambda: (may_end.wait(5), done.append(1)))
        assert done == [], "the caller does not wait for what it hands over"
        may_end.set()
        behind.hand(lambda: done.append(2))
        behind.settle()
        assert done == [1, 2]


def test_what_the_work_raises_is_raised_to_the_caller_once():
    with Behind() as behind:
        behind.hand(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            behind.settle()
        behind.settle()


def test_leaving_raises_what_nobody_asked_about():
    def leave():
        with Behind() as behind:
            behind.hand(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        leave()


def test_leaving_waits_for_the_work_under_way():
    done, begun = [], threading.Event()

    def slow():
        begun.set()
        threading.Event().wait(0.05)
        done.append(1)

    def leave():
        with Behind() as behind:
            behind.hand(slow)
            begun.wait(5)
            raise KeyError

    with pytest.raises(KeyError):
        leave()
    assert done == [1]
