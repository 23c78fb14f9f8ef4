"""Alembic's way in: the connection and its transaction are handed over by `gateway.db.schema`, which also commits."""

from __future__ import annotations

from alembic import context
from sqlalchemy.sql.schema import SchemaItem

from gateway.db.tables import Base

_NOT_MAPPED = {"id_block"}


def _is_ours(_item: SchemaItem, name: str | None, kind: str, _reflected: bool, _other: SchemaItem | None) -> bool:
    return not (kind == "table" and name in _NOT_MAPPED)


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    include_object=_is_ours,
)
with context.begin_transaction():
    context.run_migrations()
