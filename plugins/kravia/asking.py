"""Looking things up at Kravia: its list of updates, walked so that nothing is passed over, and the details of an invoice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from gateway.domain.calls import Answer, Calls, Request
from gateway.errors import DecodeError, DeliveryError
from gateway.formats.calls import decoded
from plugins.kravia.answers import Names, ident, moment, order, rows, texts

TOP = 20
"""Invoices per page: the figure of the guide's example; whether more are given is unknown."""
_OVERLAP_ROWS = 5
_ANEW_MAX = 10
"""So often a second's updates are read anew; a list that then still does not go on where it ended is read as it comes."""
_WALKS_MAX = 5
_TRIES = 3
_SKIP_MAX = 1_000_000
_TEXT_BYTES = 500
_SECOND = timedelta(seconds=1)


class Unreadable(DeliveryError):
    """Kravia answered, and nobody knows what: asking again may help, when the names it is read by were mended.

    Args:
        path: what was asked for.
        answer: what came.
        why: what is wrong with it; the same at every look.
    """

    def __init__(self, path: str, answer: Answer, why: str) -> None:
        self.path, self.answer, self.why = path, answer, why
        super().__init__(f"GET {path}: {why if answer.is_accepted else told(answer)}")


class Told(NamedTuple):
    """What was answered to a question: read as JSON, and as it came."""

    values: Any
    path: str
    answer: Answer

    def unreadable(self, why: str) -> Unreadable:
        """Return the error that says what is wrong with it."""
        return Unreadable(self.path, self.answer, why)


class Place(NamedTuple):
    """A place in the list of updates: those since a moment (None: since ever), less the first *skip* of them.

    *last* is the mark of a row that was read and stands there still, unless more has moved than is read twice; *anew*
    counts how often the updates since that moment were begun again for that.
    """

    since: datetime | None = None
    skip: int = 0
    last: str = ""
    anew: int = 0


class Row(NamedTuple):
    """One line of the list. *claim_id* is ours, empty where Kravia has none or shows none."""

    invoice_id: str
    claim_id: str
    updated: datetime

    @property
    def mark(self) -> str:
        """What is another once the invoice has moved."""
        return f"{self.invoice_id}@{self.updated.isoformat()}"


class Listed(NamedTuple):
    """A page of the list as it was *told*: its rows, oldest update first, and the place of the next, None after the last.

    *fault* says what of it is no row, empty where all is.
    """

    rows: list[Row]
    following: Place | None
    told: Told
    fault: str


def page(calls: Calls, names: Names, place: Place) -> Listed:
    """Return a page of the list; none of its rows and the place to begin anew, where it does not go on from the last.

    Raises:
        DeliveryError: the list does not come; `Unreadable`, when nothing of it is as the names say.
    """
    answer = asked(calls, "/invoice/search", *_query(place))
    lines = rows(answer.values, names.found)
    if lines is None:
        raise answer.unreadable(f"has no list {names.found!r}")
    found = [row for row in (_row(names, line) for line in lines) if row]
    is_whole = len(found) == len(lines)
    fault = "" if is_whole else f"has a line without {names.invoice_id!r} or {names.updated!r}"
    if fault and not found:
        raise answer.unreadable(fault)
    if place.skip > _SKIP_MAX:
        raise answer.unreadable("does not end")
    if place.last and place.anew < _ANEW_MAX and all(row.mark != place.last for row in found):
        return Listed([], Place(place.since, anew=place.anew + 1), answer, fault)
    return Listed(found, after(place, found) if len(lines) >= TOP else None, answer, fault)


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
    step = max(1, len(done) - _OVERLAP_ROWS)
    return place._replace(skip=place.skip + step, last=done[-1].mark if step < len(done) else "")


def _row(names: Names, told: object) -> Row | None:
    number, claim, changed = ident(told, names.invoice_id), texts(told, names.claim_id), texts(told, names.updated)
    updated = moment(changed[0]) if changed else None
    return Row(number, claim[0] if claim else "", updated) if number and updated else None


def registered(calls: Calls, names: Names, claim_id: str, since: datetime | None) -> str:
    """Return Kravia's id of one of our claims, updated since a moment, empty where it has none.

    That it has none is believed when the list, read twice from end to end, has not moved.

    Raises:
        DeliveryError: the list does not come, or does not come to rest; `Unreadable`, also when it says nothing of our ids.
    """
    seen_before = ""
    for _ in range(_WALKS_MAX):
        found, seen = _walked(calls, names, claim_id, since)
        if found or seen == seen_before:
            return found
        seen_before = seen
    raise DeliveryError(f"GET /invoice/search: moves while {claim_id} is looked for")


def _walked(calls: Calls, names: Names, claim_id: str, since: datetime | None) -> tuple[str, str]:
    """Return Kravia's id of a claim, else a fingerprint of all that the list showed."""
    place: Place | None = Place(since)
    seen = hashlib.sha256()
    while place:
        found, place, answer, fault = page(calls, names, place)
        for row in found:
            if row.claim_id == claim_id:
                return row.invoice_id, ""
            seen.update(f"{row.mark} ".encode())
        if found and not any(row.claim_id for row in found):
            fault = f"does not say {names.claim_id!r}"
        if fault:
            raise answer.unreadable(fault)
    return "", seen.hexdigest()


def details(calls: Calls, invoice_id: str) -> Told:
    """Return what Kravia says about an invoice."""
    return asked(calls, f"/invoice/{invoice_id}/details")


def asked(calls: Calls, path: str, *query: tuple[str, str]) -> Told:
    """Return the answer to a question; raises ``DeliveryError`` where none comes, `Unreadable` for a refusal or anything else."""
    answer = _patiently(calls, Request("GET", path, query))
    if not answer.is_accepted:
        raise Unreadable(path, answer, f"status {answer.status}")
    try:
        return Told(decoded(answer.body), path, answer)
    except DecodeError as error:
        raise Unreadable(path, answer, error.reason) from error


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
