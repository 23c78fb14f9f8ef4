"""Moving many rows: ids in blocks, COPY on PostgreSQL, executemany on SQLite (architecture section 7)."""

from __future__ import annotations

import gc
from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from itertools import islice
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, FromClause, Select, Table, text

T = TypeVar("T")

BATCH_ROWS = 5000
"""Rows handed to the driver at once: few round trips, and never more than this in memory."""


def table_of(mapped: type[Any]) -> Table:
    """Return the table behind a mapped class, for Core statements."""
    return cast("Table", cast("FromClause", mapped.__table__))


def batches(rows: Iterable[T], size: int = BATCH_ROWS) -> Iterator[list[T]]:
    """Cut *rows* into lists of at most *size*, reading no further ahead than one list."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def take_ids(connection: Connection, count: int) -> Sequence[int]:
    """Return *count* new ids, unique over all tables of this installation, ascending.

    PostgreSQL draws them from a sequence, which never makes two transactions wait for each other. SQLite has one writer
    at a time anyway, so a counter row inside the transaction does, and rolls back with it.
    """
    if count == 0:
        return ()
    if connection.dialect.name == "postgresql":
        rows = connection.execute(text("select nextval('kravport_id') from generate_series(1, :n)"), {"n": count})
        return list(rows.scalars())
    last = connection.execute(text("update id_block set last = last + :n returning last"), {"n": count}).scalar_one()
    return range(last - count + 1, last + 1)


def insert_rows(
    connection: Connection, mapped: type[Any], columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> int:
    """Insert *rows* (values in the order of *columns*) and return how many; columns left out take their default.

    Values are Python values: moments with zone, dicts and lists for JSON columns. A default that the database itself
    knows is left to it, so that tables filled by the evening need not be sent the same word a hundred thousand times.
    """
    table = table_of(mapped)
    fill = {
        column.name: column.default.arg(None) if column.default.is_callable else column.default.arg  # type: ignore[attr-defined]
        for column in table.columns
        if column.name not in columns and column.default is not None and column.server_default is None
    }
    names = [*columns, *fill]
    tail = tuple(_bound(connection, table, list(fill), [tuple(fill.values())])[0]) if fill else ()
    write = _copy if connection.dialect.name == "postgresql" else _executemany
    count = 0
    with quiet_collector():
        for batch in batches(rows):
            bound = _bound(connection, table, columns, batch)
            write(connection, table, names, [(*row, *tail) for row in bound] if tail else bound)
            count += len(batch)
    return count


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep Python's cycle collector away from bulk work: it walks every row alive and finds no cycle among them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def read_ahead(connection: Connection, query: Select[Any]) -> Iterator[Iterator[Any]]:
    """Yield the rows of *query* one by one; the server goes on finding the next ones while the caller works.

    Memory holds one batch. Nothing else may be asked of *connection* meanwhile. Rows have an attribute per column, and
    are tuples.
    """
    if connection.dialect.name != "postgresql":
        with closing(connection.execute(query.execution_options(yield_per=BATCH_ROWS))) as rows:
            yield iter(rows)
        return
    compiled = query.compile(connection.engine, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params()
    processors: Mapping[str, Any] = compiled._bind_processors  # noqa: SLF001  # what SQLAlchemy itself would do
    bound = {name: processors[name](value) if name in processors else value for name, value in values.items()}
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor(row_factory=_named) as cursor,
        closing(cursor.stream(str(compiled), bound, size=_STREAMED_ROWS)) as rows,
    ):
        yield rows


_STREAMED_ROWS = 500
"""Few enough to fit the socket's buffer, which is how far the server gets ahead of us."""


def _named(cursor: Any) -> Any:
    columns = tuple(column.name for column in cursor.description or ())
    return partial(tuple.__new__, _row_type(columns))


@cache
def _row_type(columns: tuple[str, ...]) -> Any:
    return namedtuple("Row", columns, rename=True)  # noqa: PYI024  # columns are the query's


ANALYZE_ROWS = 2000
"""A change of this size makes PostgreSQL's statistics wrong enough for loops where a hash belongs."""


def refresh_statistics(connection: Connection, changed: int, *mapped: type[Any]) -> None:
    """Tell the planner about a large change before the next statement needs it; autovacuum would a minute later."""
    if changed >= ANALYZE_ROWS and connection.dialect.name == "postgresql":
        for one in mapped:
            connection.execute(text(f'analyze "{table_of(one).name}"'))


def _executemany(connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    quoted, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
    statement = f'insert into "{table.name}" ({quoted}) values ({marks})'  # noqa: S608  # names of our own tables
    cursor = connection.connection.cursor()
    cursor.executemany(statement, rows)
    cursor.close()


def _copy(connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    quoted = ", ".join(f'"{name}"' for name in names)
    with connection.connection.cursor().copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)


def _bound(connection: Connection, table: Table, names: Sequence[str], rows: list[Any]) -> list[Any]:
    """Return the values as the driver takes them: what SQLAlchemy would do per statement, done per column."""
    dialect = connection.dialect
    processors = [table.columns[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
    if not any(processors):
        return rows
    columns = [
        column if process is None else [process(value) for value in column]
        for process, column in zip(processors, zip(*rows, strict=True), strict=True)
    ]
    return list(zip(*columns, strict=True))
