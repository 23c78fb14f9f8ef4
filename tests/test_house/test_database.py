"""The database fixture itself: ids, transactions, isolation between tests."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gateway.db.bulk import take_ids


def test_ids_ascend_and_are_never_given_twice(database):
    with database.write() as connection:
        first = list(take_ids(connection, 3))
    with database.write() as connection:
        second = list(take_ids(connection, 2))
    assert len({*first, *second}) == 5
    assert sorted(first + second) == first + second


def test_an_exception_takes_the_whole_transaction_back(database):
    def fail_half_way():
        with database.write() as connection:
            connection.execute(text("insert into role (name) values ('x')"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with database.read() as connection:
        assert connection.execute(text("select count(*) from role")).scalar_one() == 0
