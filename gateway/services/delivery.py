"""Delivering sealed envelopes: lease, upload with no transaction open, record the outcome (T4, T5).

An upload whose outcome is unknown is never repeated blindly (P4): what the far side has is read back and compared byte
for byte; where it cannot tell, a receipt or a person decides. An agency with an API gets the calls that the envelope
holds; each has a note of its own, and a delivery goes on where the last one stopped (ADR 0029).
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, select, update
from sqlalchemy.exc import SQLAlchemyError

from gateway.db import audit, outbox
from gateway.db.blobs import CHUNK_BYTES, open_blob
from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX, lock_books
from gateway.db.tables import Claim, Task, TransferItem
from gateway.db.tables import Envelope as EnvelopeRow
from gateway.domain.exchange import Agreement, Envelope, Totals
from gateway.domain.transport import Transport, is_pull
from gateway.errors import Busy, DataError, DeliveryError, DeliveryInDoubt, NotFound, Refused
from gateway.https import NoMailbox, is_api, open_calls
from gateway.services import called
from gateway.services.agreements import secrets_of
from gateway.services.cards import agreement_of, layout_of
from gateway.services.confirmations import may_leave_sandbox
from gateway.services.followers import WAITS, free_followers
from gateway.services.house import House
from gateway.transports import open_transport

_UNSENT = ("sealed", "in_doubt")


def deliver(house: House, envelope_id: int) -> None:
    """Upload one envelope; a delivered one is left alone.

    Raises:
        DeliveryError: not arrived, may be tried again (also while an earlier file of the agreement waits).
        DeliveryInDoubt: perhaps arrived.
        Busy: others work on the creditor's books; nothing was sent.
        DataError: may not be delivered at all (an unconfirmed layout to a production end point, R-OP-18).
    """
    with house.database.read() as connection:
        row = _envelope(connection, envelope_id)
        if row.state not in _UNSENT:
            return
        agreement, agreement_row = agreement_of(connection, row.agreement_id)
        if is_pull(agreement_row.transport):
            return  # the agency comes for it (`gateway.services.pull`)
        _wait_for_earlier(connection, row)
    if not house.database.is_sqlite:
        # Whoever holds the books would hold up the record of this upload, and with it this worker: look before it.
        with house.database.write() as connection:
            lock_books(connection, agreement.creditor_id)
    try:
        _refuse_unconfirmed(house, agreement)
        name = _handed_over(house, row, agreement, agreement_row)
    except DeliveryInDoubt as error:
        _doubt(house, envelope_id, str(error))
        raise
    except (DeliveryError, DataError) as error:
        _note_error(house, envelope_id, str(error))
        raise
    try:
        _delivered(house, envelope_id, name)
    except SQLAlchemyError as error:  # the bytes are there: tried again they would be sent twice (P4)
        raise DeliveryInDoubt("uploaded, and the database would not record it") from error


def _handed_over(house: House, row: Any, agreement: Agreement, agreement_row: Any) -> str:
    """Let the agency's plugin hand over an envelope; return its name at the far side."""
    agency, settings = house.agencies[agreement.agency_key], agreement_row.transport
    secrets, envelope = secrets_of(house, agreement_row), as_envelope(row)
    if not is_api(settings):
        transport = open_transport(settings, secrets)
        with open_blob(house.database, row.blob_id) as content:
            return agency.deliver(envelope, agreement, transport, content, row.size)
    journal = called.EnvelopeJournal(house, row.id)
    calls = open_calls(settings, secrets, journal)
    try:
        with open_blob(house.database, row.blob_id) as content:
            name = agency.deliver(envelope, agreement, NoMailbox(), content, row.size, calls)
    except DeliveryInDoubt as error:
        if (
            row.state == "in_doubt" and journal.begun
        ):  # a new doubt of this round: what is looked for can be found next time
            raise DeliveryError(str(error)) from error
        raise
    except DeliveryError as error:
        if journal.answers:  # it got somewhere: an agency that asks for pauses must not use up the attempts
            raise Busy(str(error), retry_after=error.retry_after) from error
        raise
    called.store_answers(house, agreement, row)
    return name


def read_back(house: House, envelope_id: int) -> None:
    """Find out what became of a doubtful upload by reading the far side.

    Equal bytes: delivered. Absent from a mailbox that keeps its files: it never arrived and is due again. Anything else
    stays in doubt for a person. An agency with an API is asked for the calls that have no answer, and gets the rest.
    """
    with house.database.read() as connection:
        row = _envelope(connection, envelope_id)
        _agreement, agreement_row = agreement_of(connection, row.agreement_id)
    if row.state not in _UNSENT:
        return
    if is_api(agreement_row.transport):
        with suppress(DeliveryInDoubt):  # noted by then; a person decides
            deliver(house, envelope_id)
        return
    transport = open_transport(agreement_row.transport, secrets_of(house, agreement_row))
    found = _remote_sha256(transport, row.filename)
    if found == row.sha256:
        _delivered(house, envelope_id, row.filename)
    elif found is None and agreement_row.transport.get("keeps_files"):
        with house.database.write() as connection:
            _set(connection, envelope_id, state="sealed", last_error="")
            outbox.again(connection, "deliver", envelope_id, house.now(), forgives=False)
        house.ring()
    else:
        _doubt(house, envelope_id, "the far side cannot tell whether the file arrived")


def resolve_doubts(house: House) -> int:
    """Promise a reading back for every upload whose worker died or whose outcome is unknown; return how many."""
    with house.database.write() as connection:
        query = select(Task.ref_id, Task.attempts, Task.due_at)
        doubtful = connection.execute(query.where(Task.topic == "deliver", Task.state == "in_doubt")).all()
        made = 0
        for envelope_id, attempts, due_at in doubtful:
            # Each doubt is read back once, also the second of a task whose attempts were counted anew.
            part = f"{attempts}@{due_at.isoformat()}"
            made += outbox.promise(connection, "read_back", envelope_id, house.now(), repeatable=True, part=part)
    return made


def resend(house: House, envelope_id: int, actor: str, reason: str) -> None:
    """Send an envelope's bytes once more, knowingly; raises ``Refused`` without a reason, or once it was answered."""
    if not reason.strip():
        raise Refused("resend.reason_needed")
    with house.database.write() as connection:
        row = _envelope(connection, envelope_id)
        if row.receipt_at is not None:
            raise Refused("delivery.answered")  # the agency has it; what it refused is offered again in a new file
        _set(connection, envelope_id, state="sealed", last_error="")
        outbox.again(connection, "deliver", envelope_id, house.now())
        creditor_id = _creditor(connection, row)
        audit.record(
            connection, creditor_id, house.now(), actor, "envelope.resent", "envelope", envelope_id, reason=reason
        )
    house.ring()


def confirm_delivery(house: House, envelope_id: int, actor: str, arrived: bool, call: str = "") -> None:
    """Record what a person found out about a doubtful upload: it arrived, or it did not and goes again.

    Args:
        house: the house.
        envelope_id: which.
        actor: who found it out.
        arrived: what the agency says.
        call: key of the one call that this is said of, where an API left several unanswered; empty for all of them.

    Raises:
        Refused: ``delivery.not_in_doubt``: there is nothing of it to be told. ``delivery.under_way``: it is delivered, or
            looked for, right now.
    """
    with house.database.write() as connection:
        _refuse_under_way(connection, envelope_id)
        row = _envelope(connection, envelope_id)
        if row.state not in {"in_doubt", "failed", "sealed"}:
            raise Refused("delivery.not_in_doubt")
        audit.record(
            connection, _creditor(connection, row), house.now(), actor, "envelope.clarified", "envelope", envelope_id,
            arrived=arrived, **({"call": call} if call else {}),
        )  # fmt: skip
        has_calls = called.clarify(connection, envelope_id, arrived=arrived, key=call)
        if call and not has_calls:
            raise Refused("delivery.not_in_doubt")
        if not arrived or has_calls:  # what was said of one call says nothing of those after it
            _set(connection, envelope_id, state="sealed", last_error="")
            outbox.again(connection, "deliver", envelope_id, house.now())
        else:
            _note_delivered(house, connection, envelope_id, row.filename)
    house.ring()


def _refuse_under_way(connection: Connection, envelope_id: int) -> None:
    """What is in a worker's hands is not known to anybody yet; what is not stays out of them until this is over."""
    work = Task.topic.in_(("deliver", "read_back")), Task.ref_id == envelope_id
    if "leased" in connection.execute(select(Task.state).where(*work).with_for_update()).scalars():
        raise Refused("delivery.under_way")


def as_envelope(row: Any) -> Envelope:
    """Return the value that crosses to a plugin, from an envelope's row."""
    return Envelope(
        kind=row.kind,
        sequence=row.sequence,
        filename=row.filename,
        media_type=row.media_type,
        currency=row.currency,
        totals=Totals(row.claims, row.items, row.debit_minor, row.credit_minor, row.charge_minor, row.instructions),
        order=row.delivery_order,
        factoring_agreement=row.factoring_agreement,
    )


def _wait_for_earlier(connection: Connection, row: Any) -> None:
    """Files of one agreement go in the order they were sealed: an update never overtakes its invoice (B.13 rule 3)."""
    e = EnvelopeRow
    same_run = and_(e.run_id == row.run_id, e.delivery_order < row.delivery_order)
    before = and_(same_run.self_group() | (e.run_id < row.run_id), e.id != row.id)
    earlier = select(e.filename).where(
        e.agreement_id == row.agreement_id, before, e.state.in_(("sealed", "in_doubt", "failed"))
    )
    name = connection.execute(earlier.order_by(e.id).limit(1)).scalar_one_or_none()
    if name is not None:
        raise DeliveryError(f"{WAITS}{name}")


def _refuse_unconfirmed(house: House, agreement: Agreement) -> None:
    if not agreement.is_sandbox and not may_leave_sandbox(house, layout_of(house, agreement)):
        raise DataError(f"layout {agreement.profile} is not confirmed by the agency: sandbox only (R-OP-18)")


def _remote_sha256(transport: Transport, filename: str) -> str | None:
    with tempfile.TemporaryFile() as copy:
        if not transport.read_back(filename, copy):
            return None
        copy.seek(0)
        sha256 = hashlib.sha256()
        while chunk := copy.read(CHUNK_BYTES):
            sha256.update(chunk)
        return sha256.hexdigest()


def _delivered(house: House, envelope_id: int, remote_name: str) -> None:
    with house.database.write(patiently=True) as connection:
        freed = _note_delivered(house, connection, envelope_id, remote_name)
    if freed:
        house.ring()


def _note_delivered(house: House, connection: Connection, envelope_id: int, remote_name: str) -> int:
    """Record that a file lies at the far side; return how many later files need not wait for it any longer."""
    now = house.now()
    row = _envelope(connection, envelope_id)
    if row.state not in {"sealed", "in_doubt", "failed"}:
        return 0
    due = now + timedelta(hours=_receipt_hours(connection, row)) if row.receipt_due_at else None
    _set(
        connection, envelope_id, state="delivered", delivered_at=now, remote_name=remote_name, receipt_due_at=due,
        last_error="",
    )  # fmt: skip
    _mark_claims(connection, row.agreement_id, envelope_id)
    outbox.settle(connection, "deliver", envelope_id, "done", now)
    return free_followers(connection, row.agreement_id, now)


def note_fetched(house: House, connection: Connection, envelope_id: int, *, is_answered: bool) -> None:
    """Record that an agency that fetches has a file; of one that it does not answer no receipt is awaited."""
    _note_delivered(house, connection, envelope_id, "")
    if not is_answered:
        _set(connection, envelope_id, receipt_due_at=None)


def _mark_claims(connection: Connection, agreement_id: int, envelope_id: int) -> None:
    """Note which claims have arrived with an envelope.

    A run may hold some of them, in an order of its own. Those stay "sealed" until the receipt, and nobody waits. Ids are
    named, some hundreds at a time: of an agreement whose claims PostgreSQL has not counted yet it believes that there is
    one, and looks for each of them through all the others.
    """
    sent = select(TransferItem.claim_entry_id).where(
        TransferItem.envelope_id == envelope_id, TransferItem.kind == "invoice"
    )
    for some in batches(connection.execute(sent).scalars(), IN_LIST_MAX):
        mine = (Claim.agreement_id == agreement_id, Claim.entry_id.in_(some), Claim.state == "sealed")
        free = connection.execute(select(Claim.entry_id).where(*mine).with_for_update(skip_locked=True)).scalars()
        connection.execute(
            update(Claim)
            .where(Claim.agreement_id == agreement_id, Claim.entry_id.in_(free.all()))
            .values(state="delivered")
            .execution_options(synchronize_session=False)
        )


def _receipt_hours(connection: Connection, row: Any) -> int:
    _, agreement_row = agreement_of(connection, row.agreement_id)
    return int(agreement_row.receipt_hours)


def _doubt(house: House, envelope_id: int, why: str) -> None:
    with house.database.write(patiently=True) as connection:
        _set(connection, envelope_id, state="in_doubt", last_error=why)


def _note_error(house: House, envelope_id: int, why: str) -> None:
    with house.database.write(patiently=True) as connection:
        _set(connection, envelope_id, last_error=why)


def _set(connection: Connection, envelope_id: int, **values: Any) -> None:
    connection.execute(update(EnvelopeRow).where(EnvelopeRow.id == envelope_id).values(**values))


def _creditor(connection: Connection, row: Any) -> int:
    agreement, _ = agreement_of(connection, row.agreement_id)
    return agreement.creditor_id


def _envelope(connection: Connection, envelope_id: int) -> Any:
    columns = table_of(EnvelopeRow).columns
    row = connection.execute(select(*columns).where(columns.id == envelope_id)).one_or_none()
    if row is None:
        raise NotFound(f"no envelope {envelope_id}")
    return row
