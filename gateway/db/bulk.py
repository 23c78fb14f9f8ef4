"""Moving many rows: ids in blocks, COPY on PostgreSQL, executemany on SQLite (architecture section 7)."""

from __future__ import annotations

import gc
import json
import re
import threading
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache, partial
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, FromClause, Select, Table, text
from sqlalchemy.exc import DBAPIError

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
    connection: Connection,
    mapped: type[Any],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    same: Mapping[str, Any] = MappingProxyType({}),
    *,
    is_behind: bool = False,
) -> int:
    """Insert *rows* and return how many; columns left out take their default.

    Values are Python values: moments with zone, dicts and lists for JSON columns. A default that the database itself
    knows is left to it, so that tables filled by the evening need not be sent the same word a hundred thousand times.

    Args:
        connection: in a writing transaction.
        mapped: the class of the table.
        columns: names of the columns whose values stand in *rows*, in that order.
        rows: one sequence of values each.
        same: values that all rows share, by column.
        is_behind: the caller does something else meanwhile, on another thread (`behind.Behind`).
    """
    table = table_of(mapped)
    fill = dict(same) | {
        column.name: column.default.arg(None) if column.default.is_callable else column.default.arg  # type: ignore[attr-defined]
        for column in table.columns
        if column.name not in {*columns, *same} and column.default is not None and column.server_default is None
    }
    names = [*columns, *fill]
    tail = tuple(_bound(connection, table, list(fill), [tuple(fill.values())])[0]) if fill else ()
    write = _writer(connection, is_behind=is_behind)
    count = 0
    with quiet_collector():
        for batch in batches(rows):
            bound = _bound(connection, table, columns, batch)
            with _told_alike(connection):
                write(connection, table, names, bound, tail)
            count += len(batch)
    return count


class _Quiet:
    """Who wants the collector quiet: threads come and go in any order, and the last one wakes it."""

    lock, users, was_enabled = threading.Lock(), 0, False


_quiet = _Quiet()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep Python's cycle collector away from bulk work: it walks every row alive and finds no cycle among them."""
    with _quiet.lock:
        if not _quiet.users:
            _quiet.was_enabled = gc.isenabled()
        _quiet.users += 1
        gc.disable()
    try:
        yield
    finally:
        with _quiet.lock:
            _quiet.users -= 1
            if not _quiet.users and _quiet.was_enabled:
                gc.enable()


@contextmanager
def read_ahead(connection: Connection, query: Select[Any]) -> Iterator[Iterator[Any]]:
    """Yield the rows of *query* one by one; the server goes on finding the next ones while the caller works.

    Memory holds one batch. Nothing else may be asked of *connection* meanwhile. Rows have an attribute per column, and
    are tuples.
    """
    compiled = query.compile(connection.engine, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params()
    processors: Mapping[str, Any] = compiled._bind_processors  # noqa: SLF001  # what SQLAlchemy itself would do
    bound: Any = {name: processors[name](value) if name in processors else value for name, value in values.items()}
    driver: Any = connection.connection.driver_connection
    with _told_alike(connection):
        if connection.dialect.name == "postgresql":
            cursor = driver.cursor(row_factory=_named)
            with cursor, closing(cursor.stream(str(compiled), bound, size=_STREAMED_ROWS)) as rows:
                yield rows
        else:
            in_order = [bound[name] for name in compiled.positiontup or ()]
            with closing(driver.execute(str(compiled), in_order)) as cursor:
                yield _converted(cursor, query, connection)


@contextmanager
def _told_alike(connection: Connection) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy does: whoever calls knows only those."""
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    try:
        yield
    except base as error:
        raise DBAPIError.instance(None, None, error, base, dialect=dialect) from error


_STREAMED_ROWS = 500
"""Few enough to fit the socket's buffer, which is how far the server gets ahead of us."""


def _converted(cursor: Any, query: Select[Any], connection: Connection) -> Iterator[Any]:
    """Yield the rows as Python values: a column at a time, which costs a third of what a row at a time does."""
    dialect, made = connection.dialect, _named(cursor)
    types = [column.type.dialect_impl(dialect) for column in query.selected_columns]
    processors = [kind.result_processor(dialect, None) for kind in types]
    while rows := cursor.fetchmany(_STREAMED_ROWS):
        columns = [
            column if process is None else map(process, column)
            for process, column in zip(processors, zip(*rows, strict=True), strict=True)
        ]
        yield from map(made, zip(*columns, strict=True))


def _named(cursor: Any) -> Any:
    columns = tuple(column[0] for column in cursor.description or ())
    return partial(tuple.__new__, _row_type(columns))


@cache
def _row_type(columns: tuple[str, ...]) -> Any:
    return namedtuple("Row", columns, rename=True)  # noqa: PYI024  # columns are the query's


ANALYZE_ROWS = 2000
"""A change of this size makes PostgreSQL's statistics wrong enough for loops where a hash belongs."""


def refresh_statistics(connection: Connection, changed: int, *mapped: type[Any], only: Sequence[str] = ()) -> None:
    """Tell the planner about a large change before the next statement needs it; autovacuum would a minute later.

    *only* are the columns it will ask about, where a table has many more.
    """
    if changed >= ANALYZE_ROWS and connection.dialect.name == "postgresql":
        columns = f" ({', '.join(only)})" if only else ""
        for one in mapped:
            connection.execute(text(f'analyze "{table_of(one).name}"{columns}'))


_Write = Callable[[Connection, Table, Sequence[str], list[tuple[Any, ...]], tuple[Any, ...]], None]
"""Inserts rows whose last columns are the same in all of them."""


def _writer(connection: Connection, *, is_behind: bool) -> _Write:
    if connection.dialect.name == "postgresql":
        return _copy
    return _insert_as_one if is_behind else _executemany


def _executemany(
    connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]], tail: tuple[Any, ...]
) -> None:
    marks = ", ".join("?" * len(names))
    cursor = connection.connection.cursor()
    cursor.executemany(f"{_into(table, names)} values ({marks})", [(*row, *tail) for row in rows] if tail else rows)
    cursor.close()


_CHANGED_BY_JSON = re.compile(r"\\u0000|\\ud[89a-f]|[\[ ,-][0-9]{19}")
"""What SQLite's JSON would cut short, take for half a character or round, and its driver takes as it is or refuses."""


def _insert_as_one(
    connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]], tail: tuple[Any, ...]
) -> None:
    """Insert by one statement, dearer than one a row: its length is what other threads of Python may work for."""
    packed = json.dumps(rows)
    if _CHANGED_BY_JSON.search(packed):
        _executemany(connection, table, names, rows, tail)
        return
    width = len(names) - len(tail)
    values = [f"value ->> {number}" for number in range(width)] + ["?"] * len(tail)
    cursor = connection.connection.cursor()
    statement = f"{_into(table, names)} select {', '.join(values)} from json_each(?)"  # noqa: S608  # as above
    cursor.execute(statement, (*tail, packed))
    cursor.close()


def _into(table: Table, names: Sequence[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f'insert into "{table.name}" ({quoted})'


def _copy(
    connection: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]], tail: tuple[Any, ...]
) -> None:
    quoted = ", ".join(f'"{name}"' for name in names)
    with connection.connection.cursor().copy(f'COPY "{table.name}" ({quoted}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row((*row, *tail))


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
