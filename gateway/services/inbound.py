"""Files from agencies: stored before anything looks inside, identified by content, taken whole or not at all (T6 to T9)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.db import audit, blobs, outbox
from gateway.db.blobs import Watch
from gateway.db.bulk import table_of
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import InboundArrival, StagedPayment, WebhookMessage
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, Finding, InboundFile, InboundKind, PaymentStream, Severity
from gateway.errors import (
    DataError,
    DecodeError,
    FileQuarantined,
    FileRefused,
    NotFound,
    PluginError,
    PluginUnavailable,
    Refused,
)
from gateway.formats.detect import open_payments
from gateway.services import bank, case_status, payments, receipts
from gateway.services.agreements import secrets_of, token_hash
from gateway.services.cards import agreement_of, finding_json
from gateway.services.house import House
from gateway.services.progress import FileWork

HEAD_BYTES = 64 << 10
SMALL_BYTES = 256 << 10
"""Files up to this share a transaction with others that arrive at the same moment; a larger one would keep them waiting."""
FINDINGS_MAX = 200
"""Findings kept per file: past this a person needs the file, not the list."""
LARGE_BYTES = 1 << 20
"""Larger files are read in the lane for large ones: these take about a second, those may take minutes."""

_G, _F, _M = table_of(AgreementRow), table_of(FileRow), table_of(WebhookMessage)
_SAME_BYTES = select(_F.c.id).where(_F.c.agreement_id == _G.c.id, _F.c.sha256 == bindparam("sha256"))
_SAME_MESSAGE = (
    select(_F.c.sha256)
    .join(_M, _M.c.inbound_file_id == _F.c.id)
    .where(_M.c.agreement_id == _G.c.id, _M.c.message_id == bindparam("message_id"))
)
# A push is answered while its sender waits, and building its statements anew cost more than running them.
_WEBHOOK = select(_G.c.id, _G.c.creditor_id, _G.c.agency_key, _G.c.profile, _G.c.secrets_encrypted).where(
    _G.c.webhook_token_hash == bindparam("token_hash"), _G.c.state == "active"
)
_LOOK = select(
    _G.c.creditor_id, _SAME_BYTES.scalar_subquery().label("known"), _SAME_MESSAGE.scalar_subquery().label("seen")
).where(_G.c.id == bindparam("agreement_id"))
_NEW_FILE = insert(_F).returning(_F.c.id)
_NEW_ARRIVAL = insert(table_of(InboundArrival))
_NEW_MESSAGE = insert(_M)


BELL = "bell"
"""The channel of a push that only says that there is something to ask for. No fact is taken from it, whatever it says:
whoever knows the address can send it."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Where an arrival ended: a new inbound file, or one that was there already. *sha256* in hex."""

    inbound_file_id: int
    is_new: bool
    sha256: str


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Whose webhook address was called, under which layout, and the secrets it may be signed with (newest first)."""

    agreement_id: int
    creditor_id: int
    secrets: tuple[str, ...]
    layout: str


def find_webhook(house: House, agency_key: str, token: str) -> WebhookTarget | None:
    """Return the agreement behind ``/webhooks/<agency_key>/<token>``, or None."""
    with house.database.read() as connection:
        row = connection.execute(_WEBHOOK, {"token_hash": token_hash(token)}).one_or_none()
    if row is None or not hmac.compare_digest(row.agency_key, agency_key):
        return None
    kept = secrets_of(house, row)
    secrets = tuple(kept[name] for name in ("webhook_secret", "webhook_secret_old") if kept.get(name))
    return WebhookTarget(row.id, row.creditor_id, secrets, row.profile)


def store(
    house: House, agreement_id: int, channel: str, filename: str, content: BinaryIO, message_id: str = ""
) -> StoredFile:
    """Keep an inbound file's bytes and promise to read them, in one transaction; then the sender may be told "taken".

    The same bytes for the same agreement are noted as another arrival and not read again (R-OP-07, R-PM-10). A repeated
    message id changes nothing, however late (P8).

    Raises:
        Refused: ``webhook.id_reused``, when a message id that was seen before comes with other bytes: they are not
            accepted, so that nothing accepted is ever lost (P1).
    """
    arrival = _Arrival(agreement_id, channel, filename[:255], content, message_id, *blobs.digest(content))
    try:
        stored = _write(house, arrival)
    except IntegrityError:  # a copy of the same bytes was committed while this one was being stored: look again
        stored = _write(house, arrival)
    house.ring()
    return stored


def _write(house: House, arrival: _Arrival) -> StoredFile:
    if arrival.size <= SMALL_BYTES:
        return house.database.write_together(lambda connection: _store(house, connection, arrival))
    with house.database.write() as connection:
        return _store(house, connection, arrival)


def store_own(house: House, creditor_id: int, channel: str, filename: str, content: BinaryIO) -> StoredFile:
    """Keep a file of the creditor's own bank, as `store` does with an agency's; raises ``NotFound``."""
    arrival = _Arrival(None, channel, filename[:255], content, "", *blobs.digest(content))
    try:
        stored = _store_own(house, creditor_id, arrival)
    except IntegrityError:  # as above
        content.seek(0)
        stored = _store_own(house, creditor_id, arrival)
    house.ring()
    return stored


def _store_own(house: House, creditor_id: int, arrival: _Arrival) -> StoredFile:
    with house.database.write() as connection:
        now, known = house.now(), _F.c.agreement_id.is_(None) & (_F.c.sha256 == arrival.sha256)
        bank.own_bank(connection, creditor_id)
        same = connection.execute(select(_F.c.id).where(_F.c.creditor_id == creditor_id, known)).scalar_one_or_none()
        file_id = _insert(house, connection, arrival, creditor_id) if same is None else same
        noted = {"inbound_file_id": file_id, "channel": arrival.channel, "filename": arrival.filename, "at": now}
        connection.execute(_NEW_ARRIVAL, noted)
    return StoredFile(file_id, same is None, arrival.sha256)


@dataclass(frozen=True, slots=True)
class _Arrival:
    agreement_id: int | None
    channel: str
    filename: str
    content: BinaryIO
    message_id: str
    sha256: str
    size: int


def _store(house: House, connection: Connection, arrival: _Arrival) -> StoredFile:
    arrival.content.seek(0)
    now = house.now()
    asked = {"agreement_id": arrival.agreement_id, "sha256": arrival.sha256, "message_id": arrival.message_id}
    found = connection.execute(_LOOK, asked).one_or_none()
    if found is None:
        raise NotFound(f"no agreement {arrival.agreement_id}")
    if found.seen not in {None, arrival.sha256}:
        raise Refused("webhook.id_reused")
    file_id = _insert(house, connection, arrival, found.creditor_id) if found.known is None else found.known
    is_new = found.known is None or _is_told_at_last(connection, arrival, file_id, now)
    noted = {"inbound_file_id": file_id, "channel": arrival.channel, "filename": arrival.filename, "at": now}
    connection.execute(_NEW_ARRIVAL, noted)
    if arrival.message_id and found.seen is None:
        kept = {"agreement_id": arrival.agreement_id, "message_id": arrival.message_id}
        connection.execute(_NEW_MESSAGE, kept | {"inbound_file_id": file_id, "received_at": now})
    return StoredFile(file_id, is_new, arrival.sha256)


def _is_told_at_last(connection: Connection, arrival: _Arrival, file_id: int, now: datetime) -> bool:
    """Let bytes that anybody could ring with be read now that the agency itself tells them; return whether it was so."""
    if arrival.channel == BELL:
        return False
    rung = update(FileRow).where(FileRow.id == file_id, FileRow.channel == BELL)
    values = {"channel": arrival.channel, "filename": arrival.filename, "state": "stored", "findings": []}
    if connection.execute(rung.values(**values)).rowcount == 0:
        return False
    _promise_reading(connection, file_id, arrival.size, now, part="told")  # the bell's may be at work this moment
    return True


def _insert(house: House, connection: Connection, arrival: _Arrival, creditor_id: int) -> int:
    now, work = house.now(), FileWork(house, creditor_id, arrival.filename)
    known = (arrival.sha256, arrival.size)
    stored = blobs.store(connection, arrival.content, known, lambda position: work.storing(position, arrival.size))
    work.over()
    values = {
        "agreement_id": arrival.agreement_id,
        "creditor_id": creditor_id,
        "channel": arrival.channel,
        "filename": arrival.filename,
        "blob_id": stored.blob_id,
        "sha256": arrival.sha256,
        "size": arrival.size,
        "received_at": now,
    }
    file_id: int = connection.execute(_NEW_FILE, values).scalar_one()
    _promise_reading(connection, file_id, arrival.size, now)
    return file_id


def _promise_reading(connection: Connection, file_id: int, size: int, now: datetime, part: str = "") -> None:
    lane = "large" if size > LARGE_BYTES else "main"
    outbox.promise(connection, "read", file_id, now, repeatable=True, part=part, lane=lane)


def process(house: House, inbound_file_id: int) -> None:
    """Read one stored file: all of it takes effect in one transaction, or none of it does.

    Raises:
        PluginUnavailable: its agency's plugin is not there or does not answer; the file waits.
    """
    with house.database.write() as connection:
        row = _row(connection, inbound_file_id)
        if row.state not in {"stored", "reading"}:
            return
        connection.execute(update(FileRow).where(FileRow.id == row.id).values(state="reading"))
        connection.execute(delete(StagedPayment).where(StagedPayment.file_id == row.id))
        agreement = _sender(connection, row)
    work = FileWork(house, row.creditor_id, row.filename, row.id)
    try:
        _read(house, row, agreement, work)
    except FileRefused as error:
        _conclude(house, row, "refused", error.findings)
    except FileQuarantined as error:
        _conclude(house, row, "quarantined", error.findings)
    except PluginUnavailable:
        raise  # nothing is wrong with the file: its promise is kept, and tried again later
    except (DataError, PluginError) as error:
        _conclude(house, row, "quarantined", [_fault(error)])
    finally:
        work.over()


def _sender(connection: Connection, row: Any) -> Agreement:
    if row.agreement_id is None:
        return bank.own_bank(connection, row.creditor_id)
    return agreement_of(connection, row.agreement_id)[0]


def _fault(error: DataError | PluginError) -> Finding:
    """Return what a person is told about a file that its reader gave up on: place, value, and why in any language."""
    if not isinstance(error, DecodeError):
        return Finding(Severity.BLOCKING, "file.invalid", "", "", {"reason": str(error)[:200]})
    places = [f"line {error.line}" if error.line else "", ".".join(filter(None, (error.path, error.field)))]
    return Finding(
        Severity.BLOCKING, "file.invalid", " ".join(filter(None, places)), error.value, {"reason": error.reason}
    )


def _read(house: House, row: Any, agreement: Agreement, work: FileWork) -> None:
    file = inbound_file(house, row, work.at_byte)
    if agreement.agreement_id == bank.NOBODYS:
        payments.take(house, row, agreement, _bank_file(file, agreement), work)
        return
    agency = house.agencies[agreement.agency_key]
    kind = InboundKind.NOTICE if row.channel == BELL else agency.identify_inbound(file, (agreement,))
    if kind is InboundKind.RECEIPT:
        receipts.take(house, row, agreement, agency.import_receipt(file, (agreement,)))
    elif kind is InboundKind.CASE_STATUS:
        case_status.take(house, row, agreement, agency.import_case_status(file, (agreement,)))
    elif kind in {InboundKind.SETTLEMENT, InboundKind.SNAPSHOT, InboundKind.NOTICE}:
        assert kind is not None
        _conclude(house, row, "imported", [Finding(Severity.INFO, "file.kept_only", "", kind.value)], kind.value)
    else:
        stream = agency.import_payments(file, (agreement,)) if kind else _bank_file(file, agreement)
        payments.take(house, row, agreement, stream, work)


def _bank_file(file: InboundFile, agreement: Agreement) -> PaymentStream:
    named = agreement.settings.get(bank.PAYMENT_PROFILES, ())
    return open_payments(file.open(), file.head, named if isinstance(named, list | tuple) else ())


def inbound_file(house: House, row: Any, watch: Watch = None) -> InboundFile:
    """Return a stored file as plugins and readers see it; *watch* is told how many bytes were read of it."""
    return InboundFile(
        file_id=row.id,
        filename=row.filename,
        received_at=row.received_at,
        size=row.size,
        head=blobs.read_chunk(house.database, row.blob_id, 0)[:HEAD_BYTES],
        open=lambda: blobs.open_blob(house.database, row.blob_id, watch),
    )


def _conclude(house: House, row: Any, state: str, findings: Any, kind: str = "payments") -> None:
    with house.database.write() as connection:
        now = house.now()
        if _row(connection, row.id).state != "reading":
            return  # another worker read it meanwhile, and what it found stands
        connection.execute(delete(StagedPayment).where(StagedPayment.file_id == row.id))
        as_json = [finding_json(finding) for finding in list(findings)[:FINDINGS_MAX]]
        connection.execute(
            update(FileRow)
            .where(FileRow.id == row.id)
            .values(state=state, findings=as_json, finished_at=now, kind=kind)
        )
        codes = sorted({finding["code"] for finding in as_json})
        audit.record(
            connection, row.creditor_id, now, audit.SYSTEM, f"file.{state}", "inbound_file", row.id, codes=codes
        )


def replay(house: House, inbound_file_id: int, actor: str) -> None:
    """Read a quarantined or refused file once more (after the agreement or the program was mended)."""
    with house.database.write() as connection:
        row = _row(connection, inbound_file_id)
        if row.state not in {"quarantined", "refused", "set_aside"}:
            raise Refused("file.already_taken")
        now = house.now()
        connection.execute(
            update(FileRow).where(FileRow.id == row.id).values(state="stored", findings=[], finished_at=None)
        )
        if not outbox.again(connection, "read", row.id, now):  # its promise may have been swept away by now
            _promise_reading(connection, row.id, row.size, now)
        audit.record(connection, row.creditor_id, now, actor, "file.replayed", "inbound_file", row.id)
    house.ring()


def set_aside(house: House, inbound_file_id: int, actor: str, reason: str) -> None:
    """Take a quarantined file off the list with a written reason; its bytes stay."""
    if not reason.strip():
        raise Refused("file.reason_needed")
    with house.database.write() as connection:
        row = _row(connection, inbound_file_id)
        if row.state not in {"quarantined", "refused"}:
            raise Refused("file.already_taken")
        connection.execute(update(FileRow).where(FileRow.id == row.id).values(state="set_aside"))
        audit.record(
            connection, row.creditor_id, house.now(), actor, "file.set_aside", "inbound_file", row.id, reason=reason
        )


def _row(connection: Connection, inbound_file_id: int) -> Any:
    columns = table_of(FileRow).columns
    query = select(*columns).where(columns.id == inbound_file_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no inbound file {inbound_file_id}")
    return row
