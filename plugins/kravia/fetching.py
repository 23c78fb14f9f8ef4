"""What Kravia has to tell: each changed invoice with its details, each settlement, as files that say the same when seen again."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.domain.calls import Calls, Fetched, Page
from gateway.domain.exchange import Agreement
from gateway.errors import DeliveryError, EncodeError
from gateway.formats.calls import encoded
from plugins.kravia.answers import ident, moment, names_of, order, rows
from plugins.kravia.asking import Place, Row, Told, Unreadable, after, asked, details, page

INVOICE, SETTLEMENT = "kravport-kravia-invoice-1", "kravport-kravia-settlement-1"
"""Kravport's own wrapping of one answer: which, of whom, and the answer as it came."""
UNREAD = "kravport-kravia-unread-1"
"""The same of an answer that cannot be read, for a person; the look goes on."""
OVERLAP = timedelta(minutes=5)
"""A look begins this long before the end of the last: what was saved meanwhile under an earlier time is not missed."""


_MONEY = "settlements"
_NEVER = "-"
_SECOND = timedelta(seconds=1)


def look(agreement: Agreement, calls: Calls, since: str) -> Page:
    """Return some changed invoices, or at the end of a look the settlements that are not booked.

    Args:
        agreement: whose.
        calls: the way to Kravia.
        since: the newest update seen; in the middle of a look the place in the list, at its end a word for what is left.
    """
    text, *step = since.split(" ")
    seen = moment(text)
    if step == [_MONEY]:
        return _money(agreement, calls, seen)
    if step:
        skip, last, anew = step
        return _changes(agreement, calls, seen, Place(seen, int(skip), "" if last == _NEVER else last, int(anew)))
    return _changes(agreement, calls, seen, Place(seen and seen - OVERLAP))


def _changes(agreement: Agreement, calls: Calls, seen: datetime | None, place: Place) -> Page:
    """Return invoices of a page of the list; a list that cannot be read is kept, and looked at again from *seen* on."""
    try:
        found, following, answer, fault = page(calls, names_of(agreement), place)
    except Unreadable as error:
        return Page((_unread(agreement, error),), _end_of_list(seen), is_more=True)
    files = _details(agreement, calls, found)
    if len(files) < len(found):
        following = after(place, found[: len(files)])
    if fault:
        files.append(_unread(agreement, answer.unreadable(fault)))
    if following is None:
        newest = max((row.updated for row in found), key=order, default=seen)
        return Page(
            tuple(files), _end_of_list(max(filter(None, (seen, newest)), key=order, default=None)), is_more=True
        )
    return Page(tuple(files), _middle_of_list(following), is_more=True)


def _middle_of_list(place: Place) -> str:
    assert place.since is not None, "what follows a row begins at its time"
    return f"{place.since.isoformat()} {place.skip} {place.last or _NEVER} {place.anew}"


def _end_of_list(seen: datetime | None) -> str:
    return f"{seen.isoformat() if seen else _NEVER} {_MONEY}"


def _money(agreement: Agreement, calls: Calls, seen: datetime | None) -> Page:
    """Return the settlements that are not booked. While they do not come, what else is new is told first."""
    try:
        files = _settlements(agreement, calls)
    except DeliveryError:
        newer = Place(seen and seen + _SECOND)
        if not page(calls, names_of(agreement), newer).rows:
            raise
        return _changes(agreement, calls, seen, newer)
    return Page(tuple(files), seen.isoformat() if seen else "")


def _details(agreement: Agreement, calls: Calls, found: Iterable[Row]) -> list[Fetched]:
    """Return the details of the rows up to the first that does not come: what came is kept, and the look goes on there."""
    files: list[Fetched] = []
    for row in found:
        try:
            files.append(_file(agreement, INVOICE, row.invoice_id, details(calls, row.invoice_id)))
        except Unreadable as error:
            files.append(_unread(agreement, error))
        except DeliveryError:
            if not files:
                raise
            break
    return files


def _settlements(agreement: Agreement, calls: Calls) -> list[Fetched]:
    """Return the settlements; what of the list cannot be read is kept with all of it."""
    names = names_of(agreement)
    try:
        answer = asked(calls, "/settlements", ("ExcludeClosed", "true"))
        told = rows(answer.values, names.settlements)
        if told is None:
            raise answer.unreadable(f"has no list {names.settlements!r}")
    except Unreadable as error:
        return [_unread(agreement, error)]
    files = []
    for one in told:
        number = ident(one, names.settlement_id)
        try:
            if not number:
                raise answer.unreadable(f"has a settlement without {names.settlement_id!r}")
            files.append(_file(agreement, SETTLEMENT, number, answer._replace(values=one)))
        except Unreadable as error:
            files.append(_unread(agreement, error))
    return list(dict.fromkeys(files))


def _file(agreement: Agreement, form: str, number: str, told: Told) -> Fetched:
    wrapped = {"format": form, "creditor": agreement.client_number, "id": number, "answer": told.values}
    kind = form.split("-")[2]
    try:
        return Fetched(f"{kind}-{number}.json", encoded(wrapped))
    except EncodeError as error:
        raise told.unreadable(f"{kind} {number}: {error}") from error


def _unread(agreement: Agreement, error: Unreadable) -> Fetched:
    """Keep an answer for a person. Of a refusal the words are left out: they may be others at every look."""
    body = error.answer.body if error.answer.is_accepted else b""
    told = {"format": UNREAD, "creditor": agreement.client_number, "path": error.path, "why": error.why}
    try:
        content = encoded({**told, "answer": body.decode()})
    except UnicodeDecodeError:
        content = encoded({**told, "base64": b64encode(body).decode()})
    return Fetched(f"unread-{hashlib.sha256(content).hexdigest()[:16]}.json", content)
