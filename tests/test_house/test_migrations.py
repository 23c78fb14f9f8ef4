"""Migrations give exactly the schema the code maps, on both databases, and come back down."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text

from gateway.db import schema
from gateway.db.bulk import take_ids
from gateway.db.uow import Database
from gateway.errors import ConfigurationError

both = pytest.mark.parametrize(
    "empty_database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)


@pytest.fixture
def empty(empty_database_url):
    database = Database(empty_database_url)
    yield database
    database.close()


def shape(database: Database) -> dict[str, object]:
    """Tables, columns, indexes, unique and check constraints, as the database itself tells them."""
    with database.read() as connection:
        seen = inspect(connection)
        return {
            table: (
                {column["name"]: (str(column["type"]), column["nullable"]) for column in seen.get_columns(table)},
                {(i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in seen.get_indexes(table)},
                {(u["name"], tuple(u["column_names"])) for u in seen.get_unique_constraints(table)},
                {c["name"] for c in seen.get_check_constraints(table)},
                {(tuple(f["constrained_columns"]), f["referred_table"]) for f in seen.get_foreign_keys(table)},
            )
            for table in seen.get_table_names()
            if table != "alembic_version"
        }


@both
def test_migrations_give_the_mapped_schema(empty, request):
    assert schema.upgrade(empty) is True
    migrated = shape(empty)
    with empty.write() as connection:
        assert schema.differences(connection) == []
    schema.downgrade(empty, "base")
    with empty.write() as connection:
        schema.create(connection)
    assert shape(empty) == migrated


@both
def test_a_second_upgrade_does_nothing(empty):
    schema.upgrade(empty)
    with empty.write() as connection:
        taken = list(take_ids(connection, 3))
    assert schema.upgrade(empty) is False
    with empty.write() as connection:
        assert min(take_ids(connection, 1)) > max(taken)


@both
def test_down_and_up_again(empty):
    schema.upgrade(empty)
    schema.downgrade(empty, "base")
    with empty.read() as connection:
        assert inspect(connection).get_table_names() in ([], ["alembic_version"])
    assert schema.upgrade(empty) is True


@both
def test_a_database_of_another_version_is_refused(empty):
    with pytest.raises(ConfigurationError, match="run 'kravport migrate'"):
        schema.require_current(empty)
    schema.upgrade(empty)
    schema.require_current(empty)
    with empty.write() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(ConfigurationError, match="9999"):
        schema.require_current(empty)


@both
def test_a_migration_that_fails_leaves_nothing_behind(empty, monkeypatch):
    monkeypatch.setattr(schema, "current", lambda connection: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        schema.upgrade(empty)
    with empty.read() as connection:
        assert schema.is_empty(connection)
