"""Fetching what waits in an agency's mailbox, and remembering what stays there so that it is not fetched again.

An agency with an API has no mailbox: its plugin asks it, from the watermark of the last look on.

A mailbox that keeps its files shows the same ones at every look, for years. A file is passed over when its stamp is the
one it had, under two conditions that keep a replaced file from being missed:

* It was downloaded twice under that stamp, the second time some seconds after the first. Most SFTP servers tell the time
  to the second; a file replaced within the second in which it was written keeps its stamp. By the second download that
  second is over on the server's own clock, whatever ours says, so later replacements show and this one was downloaded.
* It was downloaded within a day. Tools that copy a file's time along can replace it unseen; then it is found a day later.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.agencies import Agency
from gateway.db import outbox
from gateway.db.bulk import batches, table_of
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import Agreement as AgreementRow
from gateway.db.tables import InboundFile as FileRow
from gateway.db.tables import IncomingPayment, MailboxFile
from gateway.domain.exchange import Agreement, Can
from gateway.domain.transport import Transport, Waiting, is_pull
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt, PluginError
from gateway.https import is_api, open_calls
from gateway.services import called, inbound
from gateway.services.agreements import secrets_of
from gateway.services.cards import agreement_of
from gateway.services.house import House
from gateway.transports import open_transport, plain_name

PROVEN_AFTER = timedelta(seconds=3)
"""Longer than the coarsest time stamps of file systems, two seconds."""
LOOK_AGAIN = timedelta(hours=24)


def fetch(house: House, agreement_id: int) -> int:
    """Fetch what waits in an agreement's mailbox; return how many files were downloaded.

    A file is removed there only after it is committed here (P1).

    Raises:
        DeliveryError: the mailbox cannot be reached, or at least one file not be read or removed; the others are here.
    """
    with house.database.read() as connection:
        agreement, row = agreement_of(connection, agreement_id)
    if row.state != "active" or not row.transport or is_pull(row.transport):
        return 0
    if is_api(row.transport):
        return _ask(house, agreement, row)
    transport = open_transport(row.transport, secrets_of(house, row))
    waiting = transport.waiting()
    memory = _Memory(house, agreement_id, row.transport) if row.transport.get("keeps_files") else None
    fetched = 0
    faults: list[DeliveryError] = []
    for file in waiting:
        if memory and memory.has(file):
            continue
        try:
            stored = _download(house, row, transport, file.name)
            fetched += 1
            if memory:
                memory.note(file, stored.sha256)
            transport.remove(file.name)
        except DeliveryError as error:  # one file that cannot be read or removed must not keep the others out
            faults.append(error)
    if memory:
        memory.forget_all_but({file.name for file in waiting})
    if faults:
        raise faults[0]
    return fetched


def fetch_now(house: House, agreement_id: int) -> None:
    """Promise to look into an agreement's mailbox at once instead of at its next turn, and ring.

    A look that has not begun will see what we were told of, too: a thousand webhooks of an evening are one look, or two.
    """
    now = house.now()
    with house.database.write() as connection:
        if not outbox.hasten(connection, "fetch", select(literal(agreement_id)), now):
            part = now.isoformat(timespec="microseconds")
            outbox.promise(connection, "fetch", agreement_id, now, repeatable=True, part=part)
    house.ring()


REFERENCE = "kravport-"
"""Before the number of an inbound file: what an agency may call the booking of its money by."""
PAGES_MAX = 200
"""Pages read at one look: what is left comes at the next, and other agencies have their turn."""


def _ask(house: House, agreement: Agreement, row: Any) -> int:
    """Ask an API what it has to tell; each page's files are stored before its watermark (ADR 0029)."""
    agency = house.agencies[agreement.agency_key]
    if not agency.fetches:
        return 0
    calls, since, fetched = open_calls(row.transport, secrets_of(house, row)), row.fetched_until, 0
    for _ in range(PAGES_MAX):
        page = agency.fetch(agreement, calls, since)
        for file in page.files:
            stored = inbound.store(house, row.id, "https", plain_name(file.filename), io.BytesIO(file.content))
            fetched += stored.is_new
        if page.since != since:
            since = page.since
            with house.database.write() as connection:
                mine = (AgreementRow.id == row.id, AgreementRow.fetched_until != since)
                connection.execute(update(AgreementRow).where(*mine).values(fetched_until=since))
        elif page.is_more:
            raise PluginError(f"{agreement.agency_key}: fetch says that there is more, and goes no further")
        if not page.is_more:
            break
    if Can.ACKNOWLEDGE in agency.profile.can:
        _acknowledge(house, agency, agreement, row)
    return fetched


def _acknowledge(house: House, agency: Agency, agreement: Agreement, row: Any) -> None:
    """Tell an agency which of its files are booked to the last payment. A repeat says the same, so no call is noted.

    One that it does not want to hear (booked by hand there) keeps no other back; it is told again at the next look.
    """
    with house.database.read() as connection:
        booked = connection.execute(_booked(row.id)).all()
    calls = open_calls(row.transport, secrets_of(house, row), called.Repeated())
    faults: list[str] = []
    for file in booked:
        try:
            agency.acknowledge(inbound.inbound_file(house, file), f"{REFERENCE}{file.id}", agreement, calls)
        except (DataError, DeliveryError, DeliveryInDoubt) as error:
            faults.append(f"file {file.id} is not acknowledged: {error}")
            continue
        with house.database.write() as connection:
            connection.execute(update(FileRow).where(FileRow.id == file.id).values(acknowledged_at=house.now()))
    if faults:
        raise DeliveryError(faults[0])


def _booked(agreement_id: int) -> Select[Any]:
    """Files of payments that are imported, not acknowledged, and wait for nobody any more."""
    file, payment = table_of(FileRow), table_of(IncomingPayment)
    waiting = exists().where(payment.c.file_id == file.c.id, payment.c.state.in_(("proposed", "unmatched")))
    mine = (file.c.agreement_id == agreement_id, file.c.kind == "payments", file.c.state == "imported")
    query = select(*file.columns).where(*mine, file.c.acknowledged_at.is_(None), file.c.channel == "https", ~waiting)
    return query.order_by(file.c.id).limit(PAGES_MAX)


def _download(house: House, row: Any, transport: Transport, name: str) -> inbound.StoredFile:
    with tempfile.TemporaryFile() as content:
        transport.get(name, content)
        content.seek(0)
        return inbound.store(house, row.id, row.transport.get("kind", "mailbox"), name, content)


class _Memory:
    """What one mailbox held at earlier looks. What was seen in another one, before the agreement moved, counts nothing."""

    def __init__(self, house: House, agreement_id: int, transport: Mapping[str, Any]) -> None:
        self._house, self._agreement_id = house, agreement_id
        self._place = hashlib.sha256(json.dumps(transport, sort_keys=True).encode()).hexdigest()[:16]
        query = select(*MailboxFile.__table__.columns).where(MailboxFile.agreement_id == agreement_id)
        with house.database.read() as connection:
            self._known: dict[str, Any] = {row.name: row for row in connection.execute(query)}

    def has(self, file: Waiting) -> bool:
        """Whether *file* need not be downloaded."""
        known = self._same(file)
        return known is not None and known.proven_at is not None and self._house.now() - known.proven_at < LOOK_AGAIN

    def note(self, file: Waiting, sha256: str) -> None:
        """Remember *file* as it was when its name was read, just before it was downloaded."""
        now, known = self._house.now(), self._same(file)
        is_same = known is not None and known.sha256 == sha256
        first = known.fetched_at if known is not None and is_same else now
        values: dict[str, Any] = {"stamp": self._stamp(file), "sha256": sha256, "fetched_at": first}
        values["proven_at"] = now if file.stamp and now - first >= PROVEN_AFTER else None
        with self._house.database.write() as connection:
            _upsert(connection, {"agreement_id": self._agreement_id, "name": file.name}, values)

    def forget_all_but(self, names: set[str]) -> None:
        """Forget what is no longer there: should it come back, it is looked at anew."""
        gone = sorted(set(self._known) - names)
        if not gone:
            return
        with self._house.database.write() as connection:
            for some in batches(gone, IN_LIST_MAX):
                which = (MailboxFile.agreement_id == self._agreement_id, MailboxFile.name.in_(some))
                connection.execute(delete(MailboxFile).where(*which))

    def _same(self, file: Waiting) -> Any:
        known = self._known.get(file.name)
        return known if known is not None and known.stamp == self._stamp(file) else None

    def _stamp(self, file: Waiting) -> str:
        return f"{self._place} {file.stamp}"


def _upsert(connection: Connection, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = module.insert(MailboxFile).values(**key, **values)
    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=dict(values)))
