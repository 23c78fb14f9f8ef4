"""Fetching what waits in an agency's mailbox, and remembering what stays there so that it is not fetched again.

A mailbox that keeps its files shows the same ones at every look, for years. A file is passed over when its stamp is the
one it had, under two conditions that keep a replaced file from being missed:

* It was downloaded twice under that stamp, the second time some seconds after the first. Most SFTP servers tell the time
  to the second; a file replaced within the second in which it was written keeps its stamp. By the second download that
  second is over on the server's own clock, whatever ours says, so later replacements show and this one was downloaded.
* It was downloaded within a day. Tools that copy a file's time along can replace it unseen; then it is found a day later.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.bulk import batches
from gateway.db.ledger_sql import IN_LIST_MAX
from gateway.db.tables import MailboxFile
from gateway.domain.transport import Transport, Waiting
from gateway.errors import DeliveryError
from gateway.services import inbound
from gateway.services.agreements import secrets_of
from gateway.services.cards import agreement_of
from gateway.services.house import House
from gateway.transports import open_transport

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
        _, row = agreement_of(connection, agreement_id)
    if row.state != "active" or not row.transport:
        return 0
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
