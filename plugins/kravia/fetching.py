"""What Kravia has to tell: each changed invoice with its details, each settlement, as files that say the same when seen again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from gateway.domain.calls import Calls, Fetched, Page
from gateway.domain.exchange import Agreement
from gateway.errors import DeliveryError, EncodeError
from gateway.formats.calls import encoded
from plugins.kravia.answers import ident, moment, names_of, order, rows
from plugins.kravia.asking import Place, Row, after, asked, details, page, unexpected

INVOICE, SETTLEMENT = "kravport-kravia-invoice-1", "kravport-kravia-settlement-1"
"""Kravport's own wrapping of one answer: which, of whom, and the answer as it came."""
OVERLAP = timedelta(minutes=5)
"""A look begins this long before the end of the last: what was saved meanwhile under an earlier time is not missed."""


_MONEY = "settlements"
_NEVER = "-"


def look(agreement: Agreement, calls: Calls, since: str) -> Page:
    """Return some changed invoices, or at the end of a look the settlements that are not booked.

    Args:
        agreement: whose.
        calls: the way to Kravia.
        since: the newest update seen; in the middle of a look also the rows to skip, at its end a word for what is left.
    """
    text, _, step = since.partition(" ")
    if step == _MONEY:
        return Page(tuple(_settlements(agreement, calls)), "" if text == _NEVER else text)
    seen = moment(text)
    place = Place(seen, int(step)) if step else Place(seen and seen - OVERLAP)
    found, following = page(calls, names_of(agreement), place)
    files = _details(agreement, calls, found)
    if len(files) < len(found):
        following = after(place, found[: len(files)])
    if following is None:
        newest = max((row.updated for row in found), key=order, default=seen)
        last = max(filter(None, (seen, newest)), key=order, default=None)
        return Page(files, f"{last.isoformat() if last else _NEVER} {_MONEY}", is_more=True)
    assert following.since is not None, "what follows a row begins at its time"
    return Page(files, f"{following.since.isoformat()} {following.skip}", is_more=True)


def _details(agreement: Agreement, calls: Calls, found: Iterable[Row]) -> tuple[Fetched, ...]:
    """Return the details of the rows up to the first that does not come: what came is kept, and the look goes on there."""
    files: list[Fetched] = []
    for row in found:
        try:
            files.append(_file(agreement, INVOICE, row.invoice_id, details(calls, row.invoice_id)))
        except DeliveryError:
            if not files:
                raise
            break
    return tuple(files)


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
