"""Asking Ophelos what is new: debts, payments and payouts that changed since the last look, each kept as a file.

Lists come newest first and are walked to their end, one page a call. The new watermark of a list is the latest change on
the *first* page of a look: whatever changes while the others are read is later than that, so it cannot be missed. What is
told again for it has the same bytes and is taken once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.domain.calls import Calls, Fetched, Page
from gateway.domain.exchange import Agreement
from gateway.errors import DataError, DecodeError
from gateway.formats.calls import decoded, encoded
from plugins.intrum.ophelos.objects import Thing, objects_of
from plugins.intrum.ophelos.paging import page, search_path
from plugins.intrum.ophelos.terms import ITEM_KEY, OWN_ITEM, organisation_of

FORMAT = "kravport-ophelos-1"
DEBT, PAYMENT, PAYOUT = "debt", "payment", "payout"
_LISTS = (DEBT, PAYMENT, PAYOUT)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class _Mark(NamedTuple):
    """Where looking stands. *until* holds a watermark per list; of *look*, the list being walked, *after* and *top*."""

    until: Mapping[str, str]
    look: str = DEBT
    after: str = ""
    top: str = ""


def fetch(agreement: Agreement, calls: Calls, since: str) -> Page:
    """Return the next page of what is new, and where to go on.

    Raises:
        DataError: Ophelos refuses to be asked, or *since* is none of ours.
    """
    mark = _read_mark(since)
    told, after = page(calls, agreement, _path(agreement, mark), _query(mark), mark.after)
    before = _moment(mark.until.get(mark.look, ""))
    found = [one for one in objects_of(told) if one.moment("updated_at") >= before]
    files = tuple(_file(agreement, mark.look, one) for one in found if _is_news(agreement, mark.look, one))
    top = mark.top or (max(one.moment("updated_at") for one in found).isoformat() if found else "")
    if after:
        return Page(files, _written(mark._replace(after=after, top=top)), is_more=True)
    until = {**mark.until, mark.look: top} if top else mark.until
    later = _LISTS[_LISTS.index(mark.look) + 1 :]
    return Page(files, _written(_Mark(until, later[0] if later else DEBT)), is_more=bool(later))


def _path(agreement: Agreement, mark: _Mark) -> str:
    plain = {DEBT: "/debts", PAYMENT: f"/organisations/{organisation_of(agreement)}/payments", PAYOUT: "/payouts"}[
        mark.look
    ]
    return search_path(agreement, plain) if _query(mark) else plain


def _query(mark: _Mark) -> str:
    """Ask for days: the clause is documented with a date only."""
    until = mark.until.get(mark.look, "")
    return f"updated_at>={_moment(until).astimezone(UTC).date().isoformat()}" if until else ""


def _is_news(agreement: Agreement, kind: str, thing: Thing) -> bool:
    """Leave out what is another creditor's of the tenant, and payments that we told ourselves (R-OP-04)."""
    if kind == PAYMENT:
        return not (thing.inner("metadata").text(ITEM_KEY) or OWN_ITEM.fullmatch(thing.text("transaction_ref")))
    whose = "organisation" if thing.values.get("organisation") else "organisation_id"
    return not thing.values.get(whose) or thing.id(whose) == organisation_of(agreement)


def _file(agreement: Agreement, kind: str, thing: Thing) -> Fetched:
    told = {"format": FORMAT, "organisation": organisation_of(agreement), "kind": kind, "told": _sorted(thing.values)}
    changed = thing.moment("updated_at").astimezone(UTC)
    return Fetched(f"ophelos-{kind}-{thing.id()}-{changed:%Y%m%dT%H%M%S}.json", encoded(told) + b"\n")


def _sorted(value: Any) -> Any:
    """Return *value* with its names in order, so that the same thing told twice has the same bytes."""
    if isinstance(value, Mapping):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


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
