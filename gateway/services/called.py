"""The calls an envelope becomes at an agency with an API: noted before they are made, so that none is made twice (ADR 0029)."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, delete, exists, insert, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import AgencyCall
from gateway.domain.calls import Answer, Request
from gateway.domain.exchange import Agreement
from gateway.domain.identifiers import masked
from gateway.formats import calls
from gateway.https import CallOpen
from gateway.services import inbound
from gateway.services.house import House

_CALL = table_of(AgencyCall)
_PRIVATE_CHARACTERS_MIN = 4
"""Shorter values are no identity of anybody, and masking them would eat the rest of the text."""


class EnvelopeJournal:
    """What is known of the calls of one envelope (`gateway.https.Journal`); *begun* and *answers* count what happened now."""

    def __init__(self, house: House, envelope_id: int) -> None:
        self._house, self._envelope_id = house, envelope_id
        self.begun = self.answers = 0

    def begin(self, key: str, request: Request) -> Answer | None:
        """Note that a call is about to be made; return its answer where it was made before.

        Raises:
            CallOpen: it was begun before and never answered.
        """
        with self._house.database.write(patiently=True) as connection:
            row = connection.execute(select(*_CALL.columns).where(*self._of(key))).one_or_none()
            if row is None:
                connection.execute(insert(_CALL).values(**self._note(key, request)))
                self.begun += 1
                return None
        if row.state == "begun":
            raise CallOpen
        return Answer(row.status, row.answer)

    def known(self, key: str) -> Answer | None:
        """Return the noted answer of a call."""
        with self._house.database.read() as connection:
            row = connection.execute(select(*_CALL.columns).where(*self._of(key))).one_or_none()
        return None if row is None or row.state == "begun" else Answer(row.status, row.answer)

    def answered(self, key: str, request: Request, answer: Answer) -> None:
        """Note the answer of a call."""
        body = _masked(answer.body, request.private)
        values = {"state": "answered", "status": answer.status, "answer": body, "answered_at": self._house.now()}
        with self._house.database.write(patiently=True) as connection:
            connection.execute(update(_CALL).where(*self._of(key)).values(**values))
        self.answers += 1

    def undone(self, key: str) -> None:
        """Forget a call that nothing became of."""
        with self._house.database.write(patiently=True) as connection:
            connection.execute(delete(_CALL).where(*self._of(key), _CALL.c.state == "begun"))

    def open_for(self, key: str) -> timedelta:
        """Return how long ago a call was begun that has no answer."""
        with self._house.database.read() as connection:
            begun = connection.execute(select(_CALL.c.begun_at).where(*self._of(key))).scalar_one()
        return self._house.now() - cast("datetime", begun)

    def _of(self, key: str) -> tuple[Any, Any]:
        return _CALL.c.envelope_id == self._envelope_id, _CALL.c.key == key

    def _note(self, key: str, request: Request) -> dict[str, Any]:
        sent = b"\n".join([json.dumps([request.method, request.path, request.query]).encode(), request.body])
        return {
            "envelope_id": self._envelope_id,
            "key": key,
            "method": request.method,
            "path": _masked(request.path.encode(), request.private).decode(),
            "request": _masked(request.body, request.private),
            "request_sha256": hashlib.sha256(sent).hexdigest(),
            "begun_at": self._house.now(),
        }


class Repeated:
    """Notes nothing: for calls that say the same however often they are made (`gateway.https.Journal`)."""

    def begin(self, key: str, request: Request) -> Answer | None:  # noqa: ARG002  # the protocol's
        """Let the call be made."""
        return None

    def known(self, key: str) -> Answer | None:  # noqa: ARG002  # the protocol's
        """Nothing is noted."""
        return None

    def answered(self, key: str, request: Request, answer: Answer) -> None:
        """Nothing to note."""

    def undone(self, key: str) -> None:
        """Nothing to forget."""

    def open_for(self, key: str) -> timedelta:  # noqa: ARG002  # the protocol's
        """Nothing is ever open."""
        return timedelta(0)


def store_answers(house: House, agreement: Agreement, envelope: Any) -> None:
    """Keep the answers to all calls of an envelope as one inbound file; an envelope without calls has none."""
    with house.database.read() as connection, tempfile.TemporaryFile() as file:
        rows = connection.execute(_of_envelope(envelope.id)).all()
        if not rows:
            return
        head = calls.Head(
            agreement.agency_key, agreement.profile, envelope.kind, envelope.sequence, envelope.file_id,
            envelope.currency, agreement.is_sandbox,
        )  # fmt: skip
        calls.write_answers(cast("BinaryIO", file), head, _answers(rows))
        file.seek(0)
        inbound.store(house, agreement.agreement_id, "https", f"answers-{envelope.id}.jsonl", cast("BinaryIO", file))


def clarify(connection: Connection, envelope_id: int, *, arrived: bool, key: str = "") -> bool:
    """Note what a person found out about the call *key* that nobody answered, or about all; False where there is none."""
    mine = [_CALL.c.envelope_id == envelope_id, _CALL.c.state == "begun", *([_CALL.c.key == key] if key else [])]
    if not connection.execute(select(exists().where(*mine))).scalar_one():
        return False
    connection.execute(update(_CALL).where(*mine).values(state="said") if arrived else delete(_CALL).where(*mine))
    return True


def calls_of(connection: Connection, envelope_id: int, after: str, limit: int) -> list[Any]:
    """Return noted calls of an envelope by their keys, those after *after*, for people to read."""
    mine = (_CALL.c.envelope_id == envelope_id, _CALL.c.key > after)
    return list(connection.execute(select(*_CALL.columns).where(*mine).order_by(_CALL.c.key).limit(limit)).all())


def open_calls_of(connection: Connection, envelope_id: int) -> list[str]:
    """Return the keys of calls that nobody answered."""
    mine = (_CALL.c.envelope_id == envelope_id, _CALL.c.state == "begun")
    return list(connection.execute(select(_CALL.c.key).where(*mine).order_by(_CALL.c.key)).scalars())


def _of_envelope(envelope_id: int) -> Any:
    return select(*_CALL.columns).where(_CALL.c.envelope_id == envelope_id).order_by(_CALL.c.begun_at, _CALL.c.key)


def _answers(rows: Iterable[Any]) -> Iterator[tuple[str, Answer]]:
    for row in rows:
        yield row.key, Answer(row.status, row.answer)


def _masked(content: bytes, private: Iterable[str]) -> bytes:
    """Hide private values, as they stand in plain text and in JSON."""
    for value in private:
        if len(value) < _PRIVATE_CHARACTERS_MIN:
            continue
        for form in {value, json.dumps(value)[1:-1]}:
            content = content.replace(form.encode(), masked(value).encode())
    return content
