"""What Kravia has to tell: each changed invoice with its details, each settlement, as files that say the same when seen again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from gateway.domain.calls import Calls, Fetched, Page
from gateway.domain.exchange import Agreement
from gateway.errors import DeliveryError, EncodeError
from gateway.formats.calls import encoded
from plugins.kravia.answers import ident, moment, names_of, order, rows
from plugins.kravia.asking import Place, Row, asked, details, page, unexpected

INVOICE, SETTLEMENT = "kravport-kravia-invoice-1", "kravport-kravia-settlement-1"
"""Kravport's own wrapping of one answer: which, of whom, and the answer as it came."""
OVERLAP = timedelta(minutes=5)
"""A look begins this long before the end of the last: what was saved meanwhile under an earlier time is not missed."""


def look(agreement: Agreement, calls: Calls, since: str) -> Page:
    """Return a page of changed invoices; the last of a look brings the settlements that are not booked, too.

    Args:
        agreement: whose.
        calls: the way to Kravia.
        since: the newest update seen, or in the middle of a look the place in it (`_as_text`).
    """
    names = names_of(agreement)
    place = _begin(since)
    found, following = page(calls, names, place)
    files = [_file(agreement, INVOICE, row.invoice_id, details(calls, row.invoice_id)) for row in _once(found)]
    if following:
        return Page(tuple(files), _as_text(following), is_more=True)
    return Page((*files, *_settlements(agreement, calls)), _watermark(since, place, found))


def _begin(since: str) -> Place:
    text, _, skip = since.partition(" ")
    when = moment(text)
    if when is None:
        return Place()
    return Place(when, int(skip)) if skip else Place(when - OVERLAP)


def _as_text(place: Place) -> str:
    assert place.since is not None, "the first page alone has no moment to begin at"
    return f"{place.since.isoformat()} {place.skip}"


def _watermark(since: str, place: Place, found: list[Row]) -> str:
    """Return the newest update seen by now; a look that brings only what was known moves nothing."""
    text, _, skip = since.partition(" ")
    known = [when for when in (place.since if skip else moment(text), *(row.updated for row in found)) if when]
    return max(known, key=order).isoformat() if known else ""


def _once(found: Iterable[Row]) -> Iterable[Row]:
    return {row.invoice_id: row for row in found}.values()


def _settlements(agreement: Agreement, calls: Calls) -> list[Fetched]:
    names, path = names_of(agreement), "/settlements"
    told = rows(asked(calls, path, ("ExcludeClosed", "true")), names.settlements)
    if told is None:
        unexpected(path, f"has no list {names.settlements!r}")
    files = []
    for one in told:
        number = ident(one, names.settlement_id)
        if not number:
            unexpected(path, f"has a settlement without {names.settlement_id!r}")
        files.append(_file(agreement, SETTLEMENT, number, one))
    return files


def _file(agreement: Agreement, form: str, number: str, answer: object) -> Fetched:
    told = {"format": form, "creditor": agreement.client_number, "id": number, "answer": answer}
    kind = form.split("-")[2]
    try:
        return Fetched(f"{kind}-{number}.json", encoded(told))
    except EncodeError as error:
        raise DeliveryError(f"{kind} {number}: {error}") from error
