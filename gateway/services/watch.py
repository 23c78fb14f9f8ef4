"""What should have happened and did not: alarms with a name, an object and since when (R-OP-12, P6). Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true
from sqlalchemy.orm import aliased

from gateway.db.tables import (
    Agreement,
    Claim,
    ClaimInstruction,
    Creditor,
    Envelope,
    InboundFile,
    IncomingPayment,
    LedgerEntry,
    Task,
    TransferItem,
)
from gateway.domain.transport import is_pull
from gateway.services import plugins
from gateway.services.house import House

UNSENT_AFTER = timedelta(minutes=15)
UNFETCHED_AFTER = timedelta(hours=2)
"""How long an agency that fetches may leave a case lying (R-OP-13; agencies README 6)."""
UNMATCHED_AFTER = timedelta(days=3)
ALARMS_MAX = 200


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that needs a person: reason code, what it is about, since when, values of its sentence."""

    code: str
    object_type: str
    object_id: int
    creditor_id: int
    since: datetime
    values: Mapping[str, Any]


def alarms(house: House, creditor_ids: Sequence[int] | None = None) -> tuple[Alarm, ...]:
    """Return what needs a person, oldest first; of these creditors, or of all."""
    now = house.now()
    with house.database.read() as connection:
        mine = _among(Agreement.creditor_id, creditor_ids)
        found = [
            *_envelopes(connection, now, mine),
            *_rejected(connection, mine),
            *_instructions(connection, mine),
            *_closed_without_money(connection, now, mine),
            *_gaps(connection, mine),
            *_runs(connection, now, mine),
            *_files(connection, _among(InboundFile.creditor_id, creditor_ids)),
            *_only_sources(connection, _among(InboundFile.creditor_id, creditor_ids)),
            *_tasks(connection, now, creditor_ids),
            *_stopped(connection, creditor_ids),
            *_payments(connection, now, _among(IncomingPayment.creditor_id, creditor_ids)),
        ]
        broken = [*_plugins(house, connection, now)]
    return tuple(sorted(found, key=lambda alarm: alarm.since)[:ALARMS_MAX] + broken)


def _plugins(house: House, connection: Connection, now: datetime) -> Iterator[Alarm]:
    for one in plugins.standings(house.agencies, now, connection):
        if one.problem:
            yield Alarm("plugin.broken", "plugin", 0, 0, now, {"agency": one.key, "reason": one.problem})
        for fault in one.faults:
            values = {"agency": one.key, "reason": f"{fault.hook}: {fault.reason}"}  # seen by people of any creditor
            yield Alarm("plugin.broken", "plugin", 0, 0, fault.at, values)


def _among(column: Any, creditor_ids: Sequence[int] | None) -> ColumnElement[bool]:
    return true() if creditor_ids is None else column.in_(creditor_ids)


def _envelopes(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    e = Envelope
    query = (
        select(
            e.id, e.state, e.filename, e.sealed_at, e.delivered_at, e.receipt_due_at, e.last_error, Agreement.creditor_id,
            Agreement.display_name, Agreement.receipt_hours, Agreement.transport, Creditor.time_zone,
        )
        .join(Agreement, Agreement.id == e.agreement_id)
        .join(Creditor, Creditor.id == Agreement.creditor_id)
        .where(mine, e.receipt_at.is_(None), _is_faulty(now))
        .order_by(e.id)
        .limit(ALARMS_MAX)
    )  # fmt: skip
    for row in connection.execute(query):
        code, since = _envelope_fault(row, now)
        if code:
            latest = (row.sealed_at + UNSENT_AFTER).astimezone(ZoneInfo(row.time_zone))
            values = {
                "agency": row.display_name,
                "sequence": row.filename,
                "reason": row.last_error,
                "hours": int(UNFETCHED_AFTER / timedelta(hours=1)) if is_pull(row.transport) else row.receipt_hours,
                "time": f"{latest:%H:%M}",
            }
            yield Alarm(code, "envelope", row.id, row.creditor_id, since, values)


def _is_faulty(now: datetime) -> ColumnElement[bool]:
    """Chosen by the database: files that nobody answers stay *delivered* for ever, and must not fill the page."""
    e = Envelope
    unsent = and_(e.state == "sealed", e.sealed_at < now - UNSENT_AFTER)
    return or_(e.state.in_(("in_doubt", "failed")), unsent, and_(e.state == "delivered", e.receipt_due_at < now))


def _envelope_fault(row: Any, now: datetime) -> tuple[str, datetime]:
    if row.state == "in_doubt":
        return "delivery.in_doubt", row.sealed_at
    if row.state == "failed":
        return "delivery.failed", row.sealed_at
    if row.state == "sealed" and is_pull(row.transport):
        return ("delivery.unfetched" if row.sealed_at + UNFETCHED_AFTER < now else ""), row.sealed_at
    if row.state == "sealed" and row.sealed_at + UNSENT_AFTER < now:
        return "delivery.unsent", row.sealed_at
    if row.state == "delivered" and row.receipt_due_at is not None and row.receipt_due_at < now:
        return "receipt.missing", row.delivered_at
    return "", now


def _rejected(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    """Yield files of which the agency refused something that has not been sent anew."""
    e, t = Envelope, TransferItem
    claim = (Claim.agreement_id == t.agreement_id, Claim.entry_id == t.claim_entry_id)
    over = select(Claim.entry_id).where(*claim, Claim.state == "withdrawn").exists()  # nobody waits for it any more
    query = (
        select(
            e.id, e.receipt_at, e.filename, e.last_error, Agreement.creditor_id, Agreement.display_name,
            func.min(t.reason_text).label("reason"),
        )
        .join(Agreement, Agreement.id == e.agreement_id)
        .join(t, (t.envelope_id == e.id) & (t.state == "rejected") & t.is_current)
        .where(mine, e.state.in_(("partly", "rejected")), ~over)
        .group_by(e.id, e.receipt_at, e.filename, e.last_error, Agreement.creditor_id, Agreement.display_name)
        .order_by(e.id.desc())
        .limit(ALARMS_MAX)
    )  # fmt: skip
    for row in connection.execute(query):
        values = {"agency": row.display_name, "file": row.filename, "reason": row.last_error or row.reason}
        yield Alarm("receipt.rejected", "envelope", row.id, row.creditor_id, row.receipt_at, values)


def _instructions(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    """Yield what the agency refused of what a person told it, until that person has seen to it."""
    i = ClaimInstruction
    query = (
        select(i.id, i.envelope_id, i.answered_at, i.reason_code, i.reason_text, LedgerEntry.number)
        .add_columns(Agreement.creditor_id, Agreement.display_name)
        .join(Agreement, Agreement.id == i.agreement_id)
        .join(LedgerEntry, LedgerEntry.id == i.entry_id)
        .where(mine, i.state == "rejected")
        .order_by(i.id.desc())
        .limit(ALARMS_MAX)
    )
    for row in connection.execute(query):
        values = {"agency": row.display_name, "number": row.number, "reason": row.reason_text or row.reason_code}
        yield Alarm("instruction.refused", "envelope", row.envelope_id, row.creditor_id, row.answered_at, values)


def _closed_without_money(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    """Yield cases that the agency closed as paid days ago while the books still expect the money (R-OP-10)."""
    c, e = Claim, LedgerEntry
    query = (
        select(c.entry_id, c.waits_for_money_since, e.number, Agreement.creditor_id, Agreement.display_name)
        .join(Agreement, Agreement.id == c.agreement_id)
        .join(e, e.id == c.entry_id)
        .where(mine, c.waits_for_money_since < now - UNMATCHED_AFTER, e.closed_at.is_(None))
        .order_by(c.waits_for_money_since)
        .limit(20)
    )
    for row in connection.execute(query):
        values = {"agency": row.display_name, "number": row.number}
        yield Alarm("case.waits_for_bank", "entry", row.entry_id, row.creditor_id, row.waits_for_money_since, values)


_NUMBERED = re.compile(r"(?P<series>.+)\.(?P<number>[0-9]{3})")
"""How agencies number their files: ``payments.041``. After 999 comes 1."""
_NUMBERS = 999
_LOOKED_AT = 400
"""Latest files looked at for gaps: months of an agreement, and one page of memory."""


def _gaps(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    """Yield numbers that an agency's files left out; one that comes late fills its gap (R-OP-12)."""
    f = InboundFile
    query = (
        select(f.id, f.agreement_id, f.creditor_id, f.filename, f.received_at)
        .join(Agreement, Agreement.id == f.agreement_id)
        .where(mine, f.state == "imported", f.kind != "receipt")
        .order_by(f.id.desc())
        .limit(_LOOKED_AT)
    )
    series: dict[tuple[int, str], list[tuple[int, Any]]] = {}
    for row in reversed(connection.execute(query).all()):
        named = _NUMBERED.fullmatch(row.filename)
        if named:
            series.setdefault((row.agreement_id, named["series"]), []).append((int(named["number"]), row))
    for files in series.values():
        yield from _gaps_in(files)


def _gaps_in(files: Sequence[tuple[int, Any]]) -> Iterator[Alarm]:
    came = {number for number, _ in files}
    last = files[0][0]
    for number, row in files[1:]:
        expected = last % _NUMBERS + 1
        if number != expected and (number - last) % _NUMBERS < _NUMBERS // 2:
            if expected not in came:
                values = {"expected": f"{expected:03d}", "found": f"{number:03d}", "file": row.filename}
                yield Alarm("sequence.gap", "inbound_file", row.id, row.creditor_id, row.received_at, values)
            last = number
        elif number == expected:
            last = number


def _runs(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    query = select(Agreement.id, Agreement.creditor_id, Agreement.next_run_at, Agreement.display_name).where(
        mine, Agreement.state == "active", Agreement.next_run_at < now - UNSENT_AFTER
    )
    for row in connection.execute(query):
        values = {"agency": row.display_name, "date": row.next_run_at}
        yield Alarm("run.missed", "agreement", row.id, row.creditor_id, row.next_run_at, values)


def _files(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    f = InboundFile
    query = (
        select(f.id, f.creditor_id, f.filename, f.received_at, f.findings)
        .where(mine, f.state.in_(("quarantined", "refused")))
        .order_by(f.id.desc())
        .limit(ALARMS_MAX)
    )
    for row in connection.execute(query):
        code = row.findings[0]["code"] if row.findings else "file.invalid"
        yield Alarm(code, "inbound_file", row.id, row.creditor_id, row.received_at, {"file": row.filename})


ENDED = datetime(2026, 11, 28, tzinfo=UTC)
"""From this day on a file of `_ENDED_FORMATS` tells of a part of the payments at most (payments.md 0)."""
_ENDED_FORMATS = ("bgmax", "total_in")


def _only_sources(connection: Connection, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    """Yield creditors who hear of their payments by a format that has ended, and by none that took its place.

    Which bankgiro number a camt file covers cannot be told: it names the bank account behind the number.
    """
    f, other = InboundFile, aliased(InboundFile)
    successor = (
        select(other.id)
        .where(other.creditor_id == f.creditor_id, other.state == "imported", other.format.like("camt.%"))
        .exists()
    )
    query = (
        select(f.creditor_id, func.max(f.id).label("id"), func.min(f.received_at).label("since"))
        .where(mine, f.state == "imported", f.format.in_(_ENDED_FORMATS), f.received_at >= ENDED, ~successor)
        .group_by(f.creditor_id)
        .order_by(f.creditor_id)
        .limit(ALARMS_MAX)
    )
    for row in connection.execute(query):
        yield Alarm("file.only_source", "inbound_file", row.id, row.creditor_id, row.since, {})


TRIED_OFTEN = 4
"""Attempts after which a task that keeps failing is shown: within five minutes, not when it is given up in three days."""
_TASK_CODES = {"run": "run.failed", "fetch": "mailbox.unreachable", "read": "file.invalid"}


def _tasks(connection: Connection, now: datetime, creditor_ids: Sequence[int] | None) -> Iterator[Alarm]:
    """Yield evenings, mailboxes and files that fail again and again, and evenings that no worker takes up (P6)."""
    nobody = and_(Task.topic == "run", Task.state == "pending", Task.due_at < now - UNSENT_AFTER)
    fails = and_(Task.state.in_(("pending", "leased")), Task.attempts >= TRIED_OFTEN)
    is_file = Task.topic == "read"  # of an agency, or of the creditor's own bank
    agreement_id = case((is_file, InboundFile.agreement_id), else_=Task.ref_id)
    creditor_id = func.coalesce(InboundFile.creditor_id, Agreement.creditor_id)
    query = (
        select(
            Task.id, Task.topic, Task.finished_at, Task.due_at, Task.last_error, Task.part, InboundFile.filename,
            creditor_id.label("creditor_id"), func.coalesce(Agreement.display_name, "").label("display_name"),
        )
        .outerjoin(InboundFile, and_(is_file, InboundFile.id == Task.ref_id))
        .outerjoin(Agreement, Agreement.id == agreement_id)
        .where(_among(creditor_id, creditor_ids), creditor_id.is_not(None), Task.topic.in_(_TASK_CODES), or_(Task.state == "failed", fails, nobody))
        .order_by(Task.id)
        .limit(ALARMS_MAX)
    )  # fmt: skip
    for row in connection.execute(query):
        since = min(row.finished_at or row.due_at, now)
        values = {
            "agency": row.display_name, "date": row.part, "file": row.filename, "reason": row.last_error or "no worker",
        }  # fmt: skip
        yield Alarm(_TASK_CODES[row.topic], "task", row.id, row.creditor_id, since, values)


def _stopped(connection: Connection, creditor_ids: Sequence[int] | None) -> Iterator[Alarm]:
    """Yield promises that killed one worker after another and wait for a person now."""
    is_upload = Task.topic.in_(("deliver", "read_back"))
    agreement_id = case((is_upload, Envelope.agreement_id), else_=Task.ref_id)
    creditor_id = func.coalesce(InboundFile.creditor_id, Agreement.creditor_id)
    query = (
        select(Task.id, Task.topic, Task.takeovers, Task.finished_at, creditor_id.label("creditor_id"))
        .outerjoin(InboundFile, and_(Task.topic == "read", InboundFile.id == Task.ref_id))
        .outerjoin(Envelope, and_(is_upload, Envelope.id == Task.ref_id))
        .outerjoin(Agreement, and_(Task.topic != "read", Agreement.id == agreement_id))
        .where(Task.state == "stopped", _among(creditor_id, creditor_ids), creditor_id.is_not(None))
        .order_by(Task.id)
        .limit(ALARMS_MAX)
    )
    for row in connection.execute(query):
        values = {"task": row.topic, "count": row.takeovers}
        yield Alarm("task.stopped", "task", row.id, row.creditor_id, row.finished_at, values)


def _payments(connection: Connection, now: datetime, mine: ColumnElement[bool]) -> Iterator[Alarm]:
    p = IncomingPayment
    query = (
        select(p.id, p.creditor_id, p.label, p.agreement_id, InboundFile.received_at)
        .join(InboundFile, InboundFile.id == p.file_id)
        .where(mine, InboundFile.received_at < now - UNMATCHED_AFTER)
        .order_by(p.id)
        .limit(20)
    )
    # A proposal nobody posted: the agency told of money, and no payout has confirmed it (R-OP-10, R-OP-12).
    # One that the creditor's own bank told of waits for a person, and for no bank.
    reported = and_(p.state == "proposed", p.agreement_id.is_not(None))
    for waits, known in ((p.state == "unmatched", "payment.unmatched"), (reported, "payment.waiting_for_bank")):
        for row in connection.execute(query.where(waits)):
            code = known if row.agreement_id is not None else "payment.unplaced"
            yield Alarm(code, "payment", row.id, row.creditor_id, row.received_at, {"agency": row.label})
