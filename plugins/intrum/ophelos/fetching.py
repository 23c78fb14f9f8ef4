"""Asking Ophelos what is new: debts, payments and payouts that changed since the last look, each kept as a file.

Lists come newest first and are walked to their end, one page a call. The new watermark of a list is the latest change on
the *first* page of a look: whatever changes while the others are read is later than that, so it cannot be missed. A look
begins some time before the last one's end, for what is seen later than it was written. What is told again for it has the
same bytes and is taken once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gateway.domain.calls import Calls, Fetched, Page
from gateway.domain.exchange import Agreement
from gateway.domain.reasons import said
from gateway.errors import DataError, DecodeError
from gateway.formats.calls import decoded, encoded
from plugins.intrum.ophelos.objects import Thing, objects_of, status_of
from plugins.intrum.ophelos.paging import page, search_path
from plugins.intrum.ophelos.terms import CASE_KEY, ITEM_KEY, OWN_ITEM, organisation_of, our_number

FORMAT = "kravport-ophelos-1"
DEBT, PAYMENT, PAYOUT = "debt", "payment", "payout"
_LISTS = (DEBT, PAYMENT, PAYOUT)
_OVERLAPS: Mapping[str, timedelta] = {
    DEBT: timedelta(hours=6), PAYMENT: timedelta(days=3), PAYOUT: timedelta(days=3),
}  # fmt: skip
"""A payment comes from a bank or a card company, perhaps after a weekend; a debt's state is told again at its next change."""
_DEPTH_MAX = 15
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class _Mark(NamedTuple):
    """Where looking stands. *until* holds a watermark per list; of *look*, the list being walked, *after* and *top*."""

    until: Mapping[str, str]
    look: str = DEBT
    after: str = ""
    top: str = ""


def fetch(agreement: Agreement, calls: Calls, since: str) -> Page:
    """Return the next page of what is new, and where to go on.

    A page with an object that cannot be read is kept as it came, for a person; the others on it are told.

    Raises:
        DeliveryError: Ophelos refuses to be asked.
        DataError: what it shows is no list, or *since* is none of ours.
    """
    mark = _read_mark(since)
    told, after = page(calls, agreement, _path(agreement, mark), _query(mark), mark.after)
    before = _moment(mark.until.get(mark.look, ""))
    begin, files, latest, is_whole = _begin(mark), list[Fetched](), before, True
    for one in objects_of(told):
        try:
            changed = one.moment("updated_at")
            latest = max(latest, changed)
            if changed >= begin and _is_news(agreement, mark.look, one):
                files.append(_file(agreement, mark.look, one))
        except DataError:
            is_whole = False
    if not is_whole:
        odd = hashlib.sha256(told.body).hexdigest()[:16]
        files.append(Fetched(f"ophelos-{mark.look}-unreadable-{odd}.json", told.body))
    top = mark.top or (latest.isoformat() if latest > _LONG_AGO else "")
    if after:
        return Page(tuple(files), _written(mark._replace(after=after, top=top)), is_more=True)
    until = {**mark.until, mark.look: top} if top else mark.until
    later = _LISTS[_LISTS.index(mark.look) + 1 :]
    return Page(tuple(files), _written(_Mark(until, later[0] if later else DEBT)), is_more=bool(later))


def _path(agreement: Agreement, mark: _Mark) -> str:
    plain = {DEBT: "/debts", PAYMENT: f"/organisations/{organisation_of(agreement)}/payments", PAYOUT: "/payouts"}[
        mark.look
    ]
    return search_path(agreement, plain) if _query(mark) else plain


def _query(mark: _Mark) -> str:
    """Ask for days: the clause is documented with a date only."""
    return f"updated_at>={_begin(mark).astimezone(UTC).date().isoformat()}" if mark.until.get(mark.look) else ""


def _begin(mark: _Mark) -> datetime:
    """Return from when on a look tells what changed."""
    until = mark.until.get(mark.look)
    return _moment(until) - _OVERLAPS[mark.look] if until else _LONG_AGO


def _is_news(agreement: Agreement, kind: str, thing: Thing) -> bool:
    """Leave out debts that are not of our making, payments that we told ourselves (R-OP-04), others' payouts."""
    metadata = thing.inner("metadata")
    if kind == DEBT:
        return bool(our_number(agreement, metadata.text(CASE_KEY)))
    if kind == PAYMENT:
        return not (metadata.text(ITEM_KEY) or OWN_ITEM.fullmatch(thing.text("transaction_ref")))
    return not thing.values.get("organisation_id") or thing.id("organisation_id") == organisation_of(agreement)


def _file(agreement: Agreement, kind: str, thing: Thing) -> Fetched:
    told = {"format": FORMAT, "organisation": organisation_of(agreement), "kind": kind, "told": _sorted(thing.values)}
    changed, word = thing.moment("updated_at").astimezone(UTC), status_of(thing)
    status = word if word.isidentifier() else ""  # it becomes part of a name
    return Fetched(f"ophelos-{kind}-{thing.id()}-{changed:%Y%m%dT%H%M%S}-{status}.json", encoded(told) + b"\n")


def _sorted(value: Any, depth: int = 0) -> Any:
    """Return *value* with its names in order, so that the same thing told twice has the same bytes."""
    if depth > _DEPTH_MAX:
        raise DecodeError(said("wrong.nested_too_deep"))
    if isinstance(value, Mapping):
        return {name: _sorted(value[name], depth + 1) for name in sorted(value)}
    return [_sorted(one, depth + 1) for one in value] if isinstance(value, list) else value


# --- the watermark ---------------------------------------------------------------------------------------------------


def _read_mark(since: str) -> _Mark:
    if not since:
        return _Mark({})
    try:
        until, look, after, top = decoded(since.encode())
        mark = _Mark({name: until[name] for name in _LISTS if name in until}, _LISTS[_LISTS.index(look)], after, top)
        for moment in (*mark.until.values(), mark.top):
            _moment(moment)
    except (DecodeError, ValueError, TypeError):
        raise DataError(f"{since[:200]!r} is no watermark of Ophelos") from None
    return mark


def _written(mark: _Mark) -> str:
    return encoded(mark).decode()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text) if text else _LONG_AGO
