"""An agency that fetches: sealed messages handed out from a cursor on, answers gathered, reports kept (ADR 0030).

What is handed out are the bytes that were sealed; nothing is made for a caller. That an agency has something is believed
when it comes back with the cursor behind it, or answers it, and not because an answer left this house.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from sqlalchemy import Connection, and_, or_, select

from gateway.db.blobs import open_blob
from gateway.db.bulk import table_of
from gateway.db.ledger_sql import upsert_ignore
from gateway.db.tables import CaseAnswer, Claim, InboundFile, TransferItem
from gateway.db.tables import Envelope as EnvelopeRow
from gateway.errors import DataError, NotFound, Refused
from gateway.formats import pull
from gateway.formats.calls import encoded
from gateway.services import inbound
from gateway.services.cards import agreement_of, layout_of
from gateway.services.confirmations import may_leave_sandbox
from gateway.services.delivery import note_fetched
from gateway.services.house import House

CHANNEL = "pull"
_E, _T, _C, _A = table_of(EnvelopeRow), table_of(TransferItem), table_of(Claim), table_of(CaseAnswer)
_CURSOR = re.compile(f"({pull.CASES}|{pull.CHANGES})-([0-9]{{1,18}})-([0-9]{{1,9}})-([0-9]{{1,15}})")
_FILES_MAX = 100
"""Sealed files looked into for one page; years of evenings are asked for page by page."""


class BadCursor(DataError):
    """A cursor that was not given out here."""


class _Place(NamedTuple):
    """Where a cursor stands: a run, a file by its order in it, and the bytes of the file that were handed out."""

    run: int
    order: int
    offset: int


_START = _Place(0, 0, 0)


class Page(NamedTuple):
    """Messages in the order they were sealed, and the cursor to ask on with; the same again when there are none yet."""

    messages: list[dict[str, Any]]
    next: str


class ReportState(NamedTuple):
    """What became of a report: the state of its file, and its findings as stored."""

    state: str
    findings: list[dict[str, Any]]


def fetch(house: House, agreement_id: int, kind: str, after: str, limit: int) -> Page:
    """Return the messages of one kind behind a cursor; what lies before it is delivered by that.

    Args:
        house: the house.
        agreement_id: whose; nobody else's files are ever looked at.
        kind: ``cases`` or ``changes``.
        after: `Page.next` of the page before; empty for all there is.
        limit: most messages.

    Raises:
        BadCursor: *after* is none of this agreement and kind.
        Refused: ``delivery.unconfirmed_profile``, or ``agreement.not_active``: what was taken before is delivered all
            the same.
    """
    with house.database.read() as connection:
        agreement, row = agreement_of(connection, agreement_id)
        place = _place(house, connection, agreement_id, kind, after)
        is_news = bool(_proven(connection, agreement_id, kind, place))
    if not agreement.is_sandbox and not may_leave_sandbox(house, layout_of(house, agreement)):
        raise Refused("delivery.unconfirmed_profile", profile=row.profile, agency=row.display_name)
    if is_news:
        _note(house, agreement_id, kind, place)
    if row.state != "active":
        raise Refused("agreement.not_active")
    with house.database.read() as connection:
        waiting = _waiting(connection, agreement_id, kind, place)
    return _page(house, kind, waiting, place, limit)


def _note(house: House, agreement_id: int, kind: str, place: _Place) -> None:
    with house.database.write() as connection:
        for envelope_id in _proven(connection, agreement_id, kind, place):
            note_fetched(house, connection, envelope_id, is_answered=kind == pull.CASES)


def _proven(connection: Connection, agreement_id: int, kind: str, place: _Place) -> list[int]:
    """Return the sealed files that lie whole before the cursor."""
    run, order, offset = place
    there = and_(
        _E.c.run_id == run, or_(_E.c.delivery_order < order, and_(_E.c.delivery_order == order, _E.c.size <= offset))
    )
    mine = (_E.c.agreement_id == agreement_id, _E.c.kind == kind, _E.c.state == "sealed")
    query = select(_E.c.id).where(*mine, or_(_E.c.run_id < run, there)).order_by(_E.c.run_id, _E.c.delivery_order)
    return list(connection.execute(query).scalars())


def _waiting(connection: Connection, agreement_id: int, kind: str, place: _Place) -> list[Any]:
    """Return the files behind the cursor, up to the first whose predecessors the agency has not taken.

    A change never overtakes the case it belongs to: the two kinds have cursors of their own, and one order.
    """
    here = and_(_E.c.run_id == place.run, _E.c.delivery_order >= place.order)
    mine, behind = _E.c.agreement_id == agreement_id, or_(_E.c.run_id > place.run, here)
    query = select(_E).where(mine, _E.c.kind == kind, behind).order_by(_E.c.run_id, _E.c.delivery_order)
    found = list(connection.execute(query.limit(_FILES_MAX)))
    first = select(_E.c.run_id, _E.c.delivery_order).where(mine, _E.c.kind != kind, _E.c.state == "sealed")
    other = connection.execute(first.order_by(_E.c.run_id, _E.c.delivery_order).limit(1)).one_or_none()
    if other is None or kind == pull.CASES:
        return found
    return [one for one in found if (one.run_id, one.delivery_order) < tuple(other)]


def _page(house: House, kind: str, waiting: list[Any], place: _Place, limit: int) -> Page:
    messages: list[dict[str, Any]] = []
    begun = place
    for envelope in waiting:
        start = begun.offset if (envelope.run_id, envelope.delivery_order) == begun[:2] else 0
        named = {"kind": envelope.kind, "sequence": envelope.sequence, "file_id": envelope.file_id}
        with _opened(house, envelope, start) as stream:
            for offset, line in _lines(stream, start):
                if "body" in line:
                    if len(messages) == limit:
                        return Page(messages, _written(kind, place))
                    messages.append({"delivery": named, **line["body"]})
                place = _Place(envelope.run_id, envelope.delivery_order, offset)
    return Page(messages, _written(kind, place))


def _opened(house: House, envelope: Any, start: int) -> BinaryIO:
    """Open a sealed file where a line begins."""
    if start > envelope.size:
        raise BadCursor("is behind the end of its file")
    stream = open_blob(house.database, envelope.blob_id, start=max(start - 1, 0))
    if start and stream.read(1) != b"\n":
        stream.close()
        raise BadCursor("is not at the beginning of a message")
    return stream


def _lines(stream: BinaryIO, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines of a sealed file, each with the offset behind it. Head and totals are lines without a body."""
    offset = start
    for line in stream:
        offset += len(line)
        yield offset, json.loads(line)


def _written(kind: str, place: _Place) -> str:
    return "" if place == _START else "-".join(map(str, (kind, *place)))


def _place(house: House, connection: Connection, agreement_id: int, kind: str, after: str) -> _Place:
    """Return where a cursor stands. It says what the agency has, so nothing is believed that was not given out to it."""
    if not after:
        return _START
    found = _CURSOR.fullmatch(after)
    if found is None or found[1] != kind:
        raise BadCursor(f"is no cursor of {kind}")
    place = _Place(*map(int, found.groups()[1:]))
    mine = (_E.c.agreement_id == agreement_id, _E.c.kind == kind)
    query = select(_E).where(*mine, _E.c.run_id == place.run, _E.c.delivery_order == place.order)
    envelope = connection.execute(query).first()
    if envelope is None:
        raise BadCursor("names no file of this agreement")
    _opened(house, envelope, place.offset).close()
    return place


# --- answers ---------------------------------------------------------------------------------------------------------


def answer(house: House, agreement_id: int, claim_id: str, given: Mapping[str, Any]) -> bool:
    """Keep the agency's answer to a case; return False when it is the one it gave before.

    With the last answer of a file they become its receipt, all of them together.

    Raises:
        NotFound: no case of that id waits at this agency.
        Refused: ``receipt.repeated``: it was answered otherwise; ``agreement.not_active``.
    """
    with house.database.write() as connection:
        _refuse_draft(connection, agreement_id)
        envelope_id = _envelope_of(connection, agreement_id, claim_id)
        kept = select(_A.c.answer).where(_A.c.envelope_id == envelope_id, _A.c.claim_id == claim_id)
        is_new = connection.execute(kept).first() is None
        row = {"envelope_id": envelope_id, "claim_id": claim_id, "answer": dict(given), "answered_at": house.now()}
        upsert_ignore(connection, CaseAnswer, [row])  # it may come twice at once
        if connection.execute(kept).scalar_one() != given:
            raise Refused("receipt.repeated")
    _conclude(house, agreement_id, envelope_id)
    return is_new


def _envelope_of(connection: Connection, agreement_id: int, claim_id: str) -> int:
    query = (
        select(_T.c.envelope_id)
        .join(_C, and_(_C.c.agreement_id == _T.c.agreement_id, _C.c.entry_id == _T.c.entry_id))
        .where(_C.c.agreement_id == agreement_id, _C.c.claim_id == claim_id, _T.c.kind == "invoice", _T.c.is_current)
    )
    found: int | None = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound(f"no case {claim_id}")
    return found


def _conclude(house: House, agreement_id: int, envelope_id: int) -> None:
    """Make the receipt of a file whose cases are all answered. Made twice, it has the same bytes and is known by them."""
    with house.database.read() as connection:
        envelope = connection.execute(select(_E).where(_E.c.id == envelope_id)).one()
        given = connection.execute(
            select(_A.c.claim_id, _A.c.answer).where(_A.c.envelope_id == envelope_id).order_by(_A.c.claim_id)
        ).all()
        if envelope.receipt_at is not None or len(given) < envelope.claims:
            return
        items = _items_of(connection, envelope_id)
    answers = [{"claim_id": row.claim_id, **row.answer, "items": items.get(row.claim_id, [])} for row in given]
    named = {"kind": envelope.kind, "sequence": envelope.sequence, "file_id": envelope.file_id}
    content = encoded({"format": pull.PROFILE, "report": pull.RECEIPT, **named, "answers": answers})
    inbound.store(
        house, agreement_id, CHANNEL, f"receipt-{envelope.kind}-{envelope.sequence:06d}.json", io.BytesIO(content)
    )


def _items_of(connection: Connection, envelope_id: int) -> dict[str, list[str]]:
    """Return the linked items that went with each case: they share its fate."""
    query = (
        select(_C.c.claim_id, _T.c.item_id)
        .join(_C, and_(_C.c.agreement_id == _T.c.agreement_id, _C.c.entry_id == _T.c.claim_entry_id))
        .where(_T.c.envelope_id == envelope_id, _T.c.kind != "invoice")
        .order_by(_T.c.item_id)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.claim_id, []).append(row.item_id)
    return found


# --- reports ---------------------------------------------------------------------------------------------------------


def report(house: House, agreement_id: int, name: str, content: bytes, message_id: str) -> inbound.StoredFile:
    """Keep a report byte for byte and promise to read it; a message id that came before changes nothing.

    Raises:
        Refused: ``webhook.id_reused``: that message id came with other bytes; ``agreement.not_active``.
    """
    with house.database.read() as connection:
        _refuse_draft(connection, agreement_id)
    return inbound.store(house, agreement_id, CHANNEL, f"{name}.json", io.BytesIO(content), message_id)


def _refuse_draft(connection: Connection, agreement_id: int) -> None:
    """Of an ended agreement an agency may still tell: the claims that it has go on, and their money is the creditor's."""
    if agreement_of(connection, agreement_id)[1].state == "draft":
        raise Refused("agreement.not_active")


def report_state(house: House, agreement_id: int, report_id: int) -> ReportState:
    """Say what became of a report; raises ``NotFound`` also for somebody else's."""
    file = table_of(InboundFile)
    query = select(file.c.state, file.c.findings).where(file.c.id == report_id, file.c.agreement_id == agreement_id)
    with house.database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no report {report_id}")
    return ReportState(row.state, row.findings)
