"""Reading agreements, envelopes, inbound files and promises."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from gateway.db.tables import (
    Agreement,
    Claim,
    Counter,
    Creditor,
    Envelope,
    InboundArrival,
    InboundFile,
    LedgerEntry,
    Task,
    TransferItem,
    TransferRun,
)


def agreements(connection: Connection, creditor_ids: Sequence[int]) -> list[Any]:
    """Return the agreements of some creditors with the creditor's name and zone; active ones first."""
    order = (Creditor.name, Agreement.state != "active", Agreement.state == "ended", Agreement.display_name)
    query = (
        select(*Agreement.__table__.columns, Creditor.name.label("creditor_name"), Creditor.time_zone)
        .join(Creditor, Creditor.id == Agreement.creditor_id)
        .where(Agreement.creditor_id.in_(creditor_ids))
    )
    return list(connection.execute(query.order_by(*order)))


def agreement(connection: Connection, agreement_id: int) -> Any:
    """Return one agreement with its creditor's name and zone."""
    query = (
        select(*Agreement.__table__.columns, Creditor.name.label("creditor_name"), Creditor.time_zone)
        .join(Creditor, Creditor.id == Agreement.creditor_id)
        .where(Agreement.id == agreement_id)
    )
    return connection.execute(query).one_or_none()


def last_runs(connection: Connection, agreement_ids: Sequence[int]) -> dict[int, Any]:
    """Return the last finished run per agreement."""
    last = (
        select(func.max(TransferRun.id))
        .where(TransferRun.agreement_id.in_(agreement_ids), TransferRun.finished_at.is_not(None))
        .group_by(TransferRun.agreement_id)
    )
    rows = connection.execute(select(*TransferRun.__table__.columns).where(TransferRun.id.in_(last)))
    return {row.agreement_id: row for row in rows}


def counters(connection: Connection, agreement_id: int) -> list[Any]:
    """Return the last number used per kind of file."""
    query = select(Counter.kind, Counter.last).where(Counter.agreement_id == agreement_id).order_by(Counter.kind)
    return list(connection.execute(query))


def last_envelopes(connection: Connection, agreement_ids: Sequence[int]) -> dict[int, Any]:
    """Return the newest envelope per agreement."""
    last = select(func.max(Envelope.id)).where(Envelope.agreement_id.in_(agreement_ids)).group_by(Envelope.agreement_id)
    rows = connection.execute(select(*Envelope.__table__.columns).where(Envelope.id.in_(last)))
    return {row.agreement_id: row for row in rows}


def envelopes(creditor_ids: Sequence[int]) -> Select[Any]:
    """Select envelopes with their agreement's and creditor's names, for a list."""
    return (
        select(
            *Envelope.__table__.columns,
            Agreement.display_name,
            Agreement.client_number,
            Agreement.service,
            Agreement.creditor_id,
            Creditor.name.label("creditor_name"),
            Creditor.time_zone,
        )
        .join(Agreement, Agreement.id == Envelope.agreement_id)
        .join(Creditor, Creditor.id == Agreement.creditor_id)
        .where(Agreement.creditor_id.in_(creditor_ids))
    )


def envelope_items(connection: Connection, envelope_id: int, after: str, limit: int) -> list[Any]:
    """Return items of an envelope with the agency's answer, by item id, past *after*."""
    query = (
        select(
            TransferItem.entry_id,
            TransferItem.claim_entry_id,
            TransferItem.item_id,
            TransferItem.kind,
            TransferItem.direction,
            TransferItem.amount_minor,
            TransferItem.state,
            TransferItem.reason_code,
            TransferItem.reason_text,
            LedgerEntry.number,
            LedgerEntry.voucher_number,
            LedgerEntry.currency,
            Claim.case_number,
        )
        .join(LedgerEntry, LedgerEntry.id == TransferItem.entry_id)
        .outerjoin(
            Claim,
            (Claim.agreement_id == TransferItem.agreement_id) & (Claim.entry_id == TransferItem.claim_entry_id),
        )
        .where(TransferItem.envelope_id == envelope_id, TransferItem.item_id > after)
        .order_by(TransferItem.item_id)
        .limit(limit)
    )
    return list(connection.execute(query))


def inbound_files(creditor_ids: Sequence[int]) -> Select[Any]:
    """Select inbound files with agency and creditor, for a list."""
    return (
        select(
            *InboundFile.__table__.columns,
            func.coalesce(Agreement.display_name, "").label("display_name"),
            Creditor.name.label("creditor_name"),
            Creditor.time_zone,
        )
        .outerjoin(Agreement, Agreement.id == InboundFile.agreement_id)
        .join(Creditor, Creditor.id == InboundFile.creditor_id)
        .where(InboundFile.creditor_id.in_(creditor_ids))
    )


def arrivals(connection: Connection, inbound_file_id: int) -> list[Any]:
    """Return when and how the same bytes arrived, first time first; at most a hundred."""
    a = InboundArrival
    query = select(a.channel, a.filename, a.at).where(a.inbound_file_id == inbound_file_id)
    return list(connection.execute(query.order_by(a.id).limit(100)))


def files_since(connection: Connection, creditor_ids: Sequence[int], moment: datetime, limit: int = 100) -> int:
    """Return how many files came since *moment*, counting to *limit* at most."""
    query = (
        select(InboundFile.id)
        .where(InboundFile.creditor_id.in_(creditor_ids), InboundFile.received_at >= moment)
        .order_by(InboundFile.id.desc())
        .limit(limit)
    )
    return len(connection.execute(query).all())


def task_of(connection: Connection, topic: str, ref_id: int) -> Any:
    """Return the promise (topic, ref) of the outbox."""
    query = select(*Task.__table__.columns).where(Task.topic == topic, Task.ref_id == ref_id).order_by(Task.id.desc())
    return connection.execute(query.limit(1)).one_or_none()
