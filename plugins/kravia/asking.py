"""Looking things up at Kravia: its list of updates, walked so that nothing is passed over, and the details of an invoice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple, NoReturn

from gateway.domain.calls import Answer, Calls, Request
from gateway.errors import DecodeError, DeliveryError
from gateway.formats.calls import decoded
from plugins.kravia.answers import Names, ident, moment, order, rows, texts

TOP = 20
"""Invoices per page: the figure of the guide's example; whether more are given is unknown."""
_OVERLAP_ROWS = 5
_TRIES = 3
_SKIP_MAX = 1_000_000
_TEXT_BYTES = 500
_SECOND = timedelta(seconds=1)


class Unreadable(DeliveryError):
    """Kravia answered, and nobody knows what: asking again may help, when the names it is read by were mended."""


class Place(NamedTuple):
    """A place in the list of updates: those since a moment (None: since ever), less the first *skip* of them."""

    since: datetime | None = None
    skip: int = 0


class Row(NamedTuple):
    """One line of the list. *claim_id* is ours, empty where Kravia has none or shows none."""

    invoice_id: str
    claim_id: str
    updated: datetime


def page(calls: Calls, names: Names, place: Place) -> tuple[list[Row], Place | None]:
    """Return a page of the list, oldest update first, and the place of the next; None after the last.

    Raises:
        DeliveryError: the list does not come; `Unreadable`, when it is not as the names say.
    """
    told = rows(asked(calls, "/invoice/search", *_query(place)), names.found)
    if told is None:
        unexpected("/invoice/search", f"has no list {names.found!r}")
    found = [_row(names, one) for one in told]
    return found, after(place, found) if len(found) >= TOP else None


def _query(place: Place) -> Iterator[tuple[str, str]]:
    yield "byAscending", "True"
    if place.since:
        yield "lastUpdatedTime", place.since.isoformat()
    yield from (("orderBy", "11"), ("skip", str(place.skip)), ("top", str(TOP)))


def after(place: Place, done: list[Row]) -> Place:
    """Return the place that follows some rows of a page; the list moves while it is read, so a little is read twice.

    An invoice that is updated meanwhile goes to the end, and those after it move up. So begin anew a second before the newest
    update where that goes on, and count only among updates of the same second.
    """
    since = done[-1].updated - _SECOND
    if place.since is None or order(since) > order(place.since):
        return Place(since)
    if place.skip > _SKIP_MAX:
        unexpected("/invoice/search", "does not end")
    return Place(place.since, place.skip + max(1, len(done) - _OVERLAP_ROWS))


def _row(names: Names, told: object) -> Row:
    number, claim, changed = ident(told, names.invoice_id), texts(told, names.claim_id), texts(told, names.updated)
    updated = moment(changed[0]) if changed else None
    if not number or updated is None:
        unexpected("/invoice/search", f"has a line without {names.invoice_id!r} or {names.updated!r}")
    return Row(number, claim[0] if claim else "", updated)


def registered(calls: Calls, names: Names, claim_id: str, since: datetime | None) -> str:
    """Return Kravia's id of one of our claims, updated since a moment, empty where it has none.

    Raises:
        DeliveryError: the list does not come; `Unreadable`, also when it says nothing of our ids.
    """
    place: Place | None = Place(since)
    while place:
        found, place = page(calls, names, place)
        for row in found:
            if row.claim_id == claim_id:
                return row.invoice_id
        if found and not any(row.claim_id for row in found):
            unexpected("/invoice/search", f"does not say {names.claim_id!r}")
    return ""


def details(calls: Calls, invoice_id: str) -> Any:
    """Return what Kravia says about an invoice."""
    return asked(calls, f"/invoice/{invoice_id}/details")


def asked(calls: Calls, path: str, *query: tuple[str, str]) -> Any:
    """Return the answer to a question, read as JSON; raises ``DeliveryError`` for a refusal or anything else."""
    answer = _patiently(calls, Request("GET", path, query))
    if not answer.is_accepted:
        unexpected(path, told(answer))
    try:
        return decoded(answer.body)
    except DecodeError as error:
        raise Unreadable(f"GET {path}: {error}") from error


def _patiently(calls: Calls, request: Request) -> Answer:
    """Ask again at once where the line broke: one lost answer of a hundred would else end the whole look."""
    for _ in range(_TRIES - 1):
        try:
            return calls.ask(request)
        except DeliveryError as error:
            if error.retry_after:
                raise
    return calls.ask(request)


def told(answer: Answer) -> str:
    """Return status and words of an answer, whose form nobody knows."""
    return f"{answer.status} {answer.body[:_TEXT_BYTES].decode(errors='replace')}".rstrip()


def unexpected(path: str, what: str) -> NoReturn:
    """Raise that the answer to a question cannot be used."""
    raise Unreadable(f"GET {path}: {what}")
