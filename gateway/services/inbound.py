"""Files from agencies: stored before anything looks inside, identified by content, taken whole or not at all (T6 to T9)."""

from __future__ import annotations

import hmac
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db import audit, blobs, outbox
from gateway.db.bulk import table_of
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import InboundArrival, StagedPayment, WebhookMessage
from gateway.db.tables import InboundFile as FileRow
from gateway.domain.exchange import Agreement, Finding, InboundFile, InboundKind, PaymentStream, Severity
from gateway.errors import DataError, DeliveryError, FileQuarantined, FileRefused, NotFound, PluginError, Refused
from gateway.formats.detect import open_payments
from gateway.services import case_status, payments, receipts
from gateway.services.agreements import secrets_of, token_hash
from gateway.services.cards import agreement_of, finding_json
from gateway.services.house import House
from gateway.transports import open_transport

HEAD_BYTES = 64 << 10
FINDINGS_MAX = 200
"""Findings kept per file: past this a person needs the file, not the list."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Where an arrival ended: a new inbound file, or one that was there already."""

    inbound_file_id: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """Whose webhook address was called, and the secrets its signatures may be made with (newest first)."""

    agreement_id: int
    creditor_id: int
    secrets: tuple[str, ...]


def find_webhook(house: House, agency_key: str, token: str) -> WebhookTarget | None:
    """Return the agreement behind ``/webhooks/<agency_key>/<token>``, or None."""
    columns = table_of(AgreementRow).columns
    query = select(*columns).where(columns.webhook_token_hash == token_hash(token), columns.state == "active")
    with house.database.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or not hmac.compare_digest(row.agency_key, agency_key):
        return None
    kept = secrets_of(house, row)
    secrets = tuple(kept[name] for name in ("webhook_secret", "webhook_secret_old") if kept.get(name))
    return WebhookTarget(row.id, row.creditor_id, secrets)


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
    sha256, _size = blobs.digest(content)
    with house.database.write() as connection:
        now = house.now()
        _refuse_reused_id(connection, agreement_id, message_id, sha256)
        known = _known(connection, agreement_id, sha256)
        file_id = _insert(connection, agreement_id, channel, filename, content, now) if known is None else known
        arrival = {"inbound_file_id": file_id, "channel": channel, "filename": filename[:255], "at": now}
        connection.execute(insert(InboundArrival).values(**arrival))
        if message_id:
            _remember(connection, agreement_id, message_id, file_id, now)
    house.ring()
    return StoredFile(file_id, known is None)


def _refuse_reused_id(connection: Connection, agreement_id: int, message_id: str, sha256: str) -> None:
    seen = (
        select(FileRow.sha256)
        .join(WebhookMessage, WebhookMessage.inbound_file_id == FileRow.id)
        .where(WebhookMessage.agreement_id == agreement_id, WebhookMessage.message_id == message_id)
    )
    before = connection.execute(seen).scalar_one_or_none() if message_id else None
    if before not in {None, sha256}:
        raise Refused("webhook.id_reused")


def _known(connection: Connection, agreement_id: int, sha256: str) -> int | None:
    same = select(FileRow.id).where(FileRow.agreement_id == agreement_id, FileRow.sha256 == sha256)
    return connection.execute(same).scalar_one_or_none()


def _insert(
    connection: Connection, agreement_id: int, channel: str, filename: str, content: BinaryIO, now: datetime
) -> int:
    agreement, _ = agreement_of(connection, agreement_id)
    stored = blobs.store(connection, content)
    file_id = connection.execute(
        insert(FileRow)
        .values(
            agreement_id=agreement_id,
            creditor_id=agreement.creditor_id,
            channel=channel,
            filename=filename[:255],
            blob_id=stored.blob_id,
            sha256=stored.sha256,
            size=stored.size,
            received_at=now,
        )
        .returning(FileRow.id)
    ).scalar_one()
    outbox.promise(connection, "read", file_id, now, repeatable=True)
    return file_id


def _remember(connection: Connection, agreement_id: int, message_id: str, file_id: int, now: datetime) -> None:
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"agreement_id": agreement_id, "message_id": message_id, "inbound_file_id": file_id, "received_at": now}
    connection.execute(module.insert(WebhookMessage).values(**row).on_conflict_do_nothing())


def fetch(house: House, agreement_id: int) -> int:
    """Fetch what waits in an agreement's mailbox; a file is removed there only after it is committed here (P1)."""
    with house.database.read() as connection:
        _, row = agreement_of(connection, agreement_id)
    if row.state != "active" or not row.transport:
        return 0
    transport = open_transport(row.transport, secrets_of(house, row))
    names = sorted(transport.list())
    faults: list[DeliveryError] = []
    for name in names:
        try:
            with tempfile.TemporaryFile() as content:
                transport.get(name, content)
                content.seek(0)
                store(house, agreement_id, row.transport.get("kind", "mailbox"), name, content)
            transport.remove(name)
        except DeliveryError as error:  # one file that cannot be read or removed must not keep the others out
            faults.append(error)
    if faults:
        raise faults[0]
    return len(names)


def process(house: House, inbound_file_id: int) -> None:
    """Read one stored file: all of it takes effect in one transaction, or none of it does."""
    with house.database.write() as connection:
        row = _row(connection, inbound_file_id)
        if row.state not in {"stored", "reading"}:
            return
        connection.execute(update(FileRow).where(FileRow.id == row.id).values(state="reading", progress=0))
        connection.execute(delete(StagedPayment).where(StagedPayment.file_id == row.id))
        agreement, _ = agreement_of(connection, row.agreement_id)
    try:
        _read(house, row, agreement)
    except FileRefused as error:
        _conclude(house, row, "refused", error.findings)
    except FileQuarantined as error:
        _conclude(house, row, "quarantined", error.findings)
    except (DataError, PluginError) as error:
        _conclude(house, row, "quarantined", [Finding(Severity.BLOCKING, "file.invalid", "", str(error)[:200])])


def _read(house: House, row: Any, agreement: Agreement) -> None:
    file = inbound_file(house, row)
    agency = house.agencies[agreement.agency_key]
    kind = agency.identify_inbound(file, (agreement,))
    if kind is InboundKind.RECEIPT:
        receipts.take(house, row, agreement, agency.import_receipt(file, (agreement,)))
    elif kind is InboundKind.CASE_STATUS:
        case_status.take(house, row, agreement, agency.import_case_status(file, (agreement,)))
    elif kind in {InboundKind.SETTLEMENT, InboundKind.SNAPSHOT}:
        assert kind is not None
        _conclude(house, row, "imported", [Finding(Severity.INFO, "file.kept_only", "", kind.value)], kind.value)
    else:
        stream = agency.import_payments(file, (agreement,)) if kind else _bank_file(file)
        payments.take(house, row, agreement, stream)


def _bank_file(file: InboundFile) -> PaymentStream:
    return open_payments(file.open(), file.head)


def inbound_file(house: House, row: Any) -> InboundFile:
    """Return a stored file as plugins and readers see it."""
    return InboundFile(
        file_id=row.id,
        filename=row.filename,
        received_at=row.received_at,
        size=row.size,
        head=blobs.read_chunk(house.database, row.blob_id, 0)[:HEAD_BYTES],
        open=lambda: blobs.open_blob(house.database, row.blob_id),
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
        outbox.again(connection, "read", row.id, now)
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


def next_fetch(now: datetime, minutes: int) -> datetime:
    """Return when a mailbox is looked into next."""
    return now + timedelta(minutes=minutes)


def _row(connection: Connection, inbound_file_id: int) -> Any:
    columns = table_of(FileRow).columns
    query = select(*columns).where(columns.id == inbound_file_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no inbound file {inbound_file_id}")
    return row
