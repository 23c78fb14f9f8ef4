"""Which payments came before under the same key: in a copy, an overlapping download, a re-ordered file (payments.md 8).

Nothing is dropped silently: what is left out is counted in a finding. Money told in another form is `services.twins`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    update,
)

from gateway.db.bulk import table_of
from gateway.db.tables import IncomingPayment, StagedPayment
from gateway.domain.exchange import Finding, Severity

_S = table_of(StagedPayment)
_P = table_of(IncomingPayment)
_FILES_NAMED = 20
"""Earlier files named in findings of their own: a download that overlaps with more is told of as one sum."""
_LOOK_AHEAD = 50
"""Numbers of one key that are looked up at a time."""


def drop_known(connection: Connection, file: Any) -> list[Finding]:
    """Take out payments that came before under the same key (a copy with a new message id, an overlapping download).

    They become findings, never rows (R-PM-10). The same key twice in one file is two payments: the second gets a key of
    its own, before the comparison, so that a later file with both brings the one that is new. Its number stands in
    front, where no key of a reader has any (`gateway.domain.exchange.Payment`).
    """
    order = func.row_number().over(partition_by=_S.c.key, order_by=_S.c.position)
    twice = select(_S.c.id, order.label("n")).where(_S.c.file_id == file.id, _S.c.key != "").subquery()
    number = literal("#", String()) + cast(twice.c.n, String()) + ":"
    taken_back = case((_S.c.reverses_key != "", number + _S.c.reverses_key), else_="")
    numbered = update(_S).where(_S.c.id == twice.c.id, twice.c.n > 1)
    connection.execute(numbered.values(key=number + _S.c.key, reverses_key=taken_back))
    earlier = _earlier(connection, file)
    if any(row.differ for row in earlier):
        _number_by_bank_reference(connection, file)
        earlier = _earlier(connection, file)
    if not earlier:
        return []
    findings = [_rewrapped(row.n, row.file_id, row.first) for row in earlier[:_FILES_NAMED]]
    if rest := earlier[_FILES_NAMED:]:
        findings.append(_rewrapped(sum(row.n for row in rest), rest[0].file_id, rest[0].first))
    told_again = update(_P).where(_P.c.creditor_id == file.creditor_id, _P.c.key == _S.c.key, _S.c.key != "")
    connection.execute(told_again.where(_S.c.file_id == file.id).values(told_again_in=file.id))
    known = select(_known(file, _S.c.id).subquery().c.id)
    connection.execute(delete(_S).where(_S.c.id.in_(known)))
    return findings


def _known(file: Any, *columns: Any) -> Any:
    """Select staged payments whose key came before, each beside the earlier row."""
    same = and_(_P.c.creditor_id == file.creditor_id, _P.c.key == _S.c.key)
    return select(*columns).join_from(_S, _P, same).where(_S.c.file_id == file.id, _S.c.key != "")


def _earlier(connection: Connection, file: Any) -> Sequence[Any]:
    """Return per earlier file how many payments it told already, and how many of them under another bank reference."""
    differ = case((_are_others(), 1), else_=0)
    found = _known(file, _P.c.file_id, _S.c.position, differ.label("differ")).subquery().c
    query = select(
        found.file_id, func.count().label("n"), func.min(found.position).label("first"),
        func.sum(found.differ).label("differ"),
    )  # fmt: skip
    return connection.execute(query.group_by(found.file_id).order_by("first")).all()


def _are_others() -> ColumnElement[bool]:
    return and_(_S.c.bank_reference != "", _P.c.bank_reference != "", _S.c.bank_reference != _P.c.bank_reference)


def _number_by_bank_reference(connection: Connection, file: Any) -> None:
    """Give equal keys their numbers anew where the bank's own references say that they are different money.

    Two orders of Autogiro may agree in all that they say, and stand in two deposits: both were paid.
    """
    differ = _known(file, _S.c.key).where(_are_others())
    for key in sorted({_plain(key) for key in connection.execute(differ).scalars()}):
        before = _equal(connection, _P, key, _P.c.creditor_id == file.creditor_id)
        staged = _equal(connection, _S, key, _S.c.file_id == file.id)
        free = [row.bank_reference for row in before]
        names = [row.key for row in before]
        for row in staged:
            place = _place_among(free, row.bank_reference)
            if place is None:
                place, name = len(names), _numbered(len(names) + 1)
                names.append(name + key)
                free.append("")
            free[place] = _TAKEN
            prefix = names[place].removesuffix(key)
            back = prefix + _plain(row.reverses_key) if row.reverses_key else ""
            connection.execute(update(_S).where(_S.c.id == row.id).values(key=names[place], reverses_key=back))


_TAKEN = "\0"
"""Stands for the bank reference of an earlier payment that another one of the file repeats."""


def _place_among(free: Sequence[str], bank_reference: str) -> int | None:
    """Return which of the earlier payments has the bank reference, else the first of which one is not known."""
    unknown = [n for n, one in enumerate(free) if one != _TAKEN and "" in {one, bank_reference}]
    return free.index(bank_reference) if bank_reference in free else next(iter(unknown), None)


def _equal(connection: Connection, table: Any, key: str, mine: ColumnElement[bool]) -> list[Any]:
    """Return the rows whose keys are *key* and its numbers, in their order."""
    found: list[Any] = []
    while True:
        some = [_numbered(n) + key for n in range(len(found) + 1, len(found) + _LOOK_AHEAD)]
        columns = (table.c.id, table.c.key, table.c.bank_reference, table.c.reverses_key)
        rows = connection.execute(select(*columns).where(mine, table.c.key.in_(some))).all()
        found += sorted(rows, key=lambda row: some.index(row.key))
        if len(rows) < len(some):
            return found


def _numbered(n: int) -> str:
    return f"#{n}:" if n > 1 else ""


def _plain(key: str) -> str:
    """Return a key without its number. A reader's own key begins with a letter."""
    return key.partition(":")[2] if key.startswith("#") else key


def _rewrapped(count: int, file_id: int, position: int) -> Finding:
    values = {"count": count, "file": file_id}
    return Finding(Severity.WARNING, "file.rewrapped", f"payment {position}", "", values)
