"""The schema and its versions: create, migrate, and tell whether a database is what this code expects.

Alembic runs inside one unit of work, so that a migration which fails half way leaves nothing behind: both SQLite and
PostgreSQL take DDL back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from gateway.db.tables import Base
from gateway.db.uow import Database
from gateway.errors import ConfigurationError

MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 7421
"""Advisory lock of PostgreSQL: two machines that start together migrate one after the other."""


def create(connection: Connection) -> None:
    """Create the newest schema in an empty database at once; tests use it, and a test holds it to the migrations."""
    Base.metadata.create_all(connection)
    create_id_source(connection)
    tune_storage(connection)


def create_id_source(connection: Connection) -> None:
    """Create what `gateway.db.bulk.take_ids` draws from."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("create sequence kravport_id"))
        return
    connection.execute(text("create table id_block (last bigint not null)"))
    connection.execute(text("insert into id_block (last) values (0)"))


def tune_storage(connection: Connection) -> None:
    """Leave room in the pages of tables whose rows change, so that PostgreSQL changes them in place.

    Staged payments are read again from the stored file after a crash, so writing them to the log as well would only cost.
    """
    if connection.dialect.name != "postgresql":
        return
    for table, percent in (("ledger_entry", 60), ("claim", 50), ("staged_payment", 40), ("pending", 80)):
        connection.execute(text(f"alter table {table} set (fillfactor = {percent})"))
    connection.execute(text("alter table staged_payment set unlogged"))


def drop_id_source(connection: Connection) -> None:
    """Undo `create_id_source`."""
    is_postgres = connection.dialect.name == "postgresql"
    connection.execute(text("drop sequence kravport_id" if is_postgres else "drop table id_block"))


def upgrade(database: Database, revision: str = "head") -> bool:
    """Bring the schema to *revision* in one transaction; return whether anything had to be done."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        before = current(connection)
        command.upgrade(_alembic(connection), revision)
        return current(connection) != before


def downgrade(database: Database, revision: str) -> None:
    """Take the schema back to *revision* (``base``: nothing left)."""
    with database.write() as connection:
        command.downgrade(_alembic(connection), revision)


def current(connection: Connection) -> str:
    """Return the revision of the schema, empty for an empty database."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def newest() -> str:
    """Return the revision this code expects."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    assert head is not None, "the migrations have a head"
    return head


def is_empty(connection: Connection) -> bool:
    """Return whether no table of ours or of anybody else stands in the database."""
    return not inspect(connection).get_table_names()


def draft(database: Database, number: str, message: str) -> str:
    """Write the next migration from the difference between *database* and the mapped tables; for developers.

    Returns:
        Path of the file, to be read and completed by a person before it is committed.
    """
    with database.write() as connection:
        made = command.revision(_alembic(connection), message, autogenerate=True, rev_id=number)
    assert made is not None
    assert not isinstance(made, list)
    return made.path


def differences(connection: Connection) -> list[Any]:
    """Return how the schema in the database differs from the mapped tables; empty when migrations are complete."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_object": _is_mapped_or_missing}
    )
    return list(compare_metadata(context, Base.metadata))


def _is_mapped_or_missing(_item: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    return not (kind == "table" and name == "id_block")


def require_current(database: Database) -> None:
    """Refuse to work on a schema of another version.

    Raises:
        ConfigurationError: the database is older or newer than this code, and how to mend it.
    """
    with database.read() as connection:
        found = current(connection)
    if found != newest():
        known = found or "empty"
        raise ConfigurationError(f"the database is at {known}, this version needs {newest()}: run 'kravport migrate'")


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
