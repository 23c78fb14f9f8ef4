"""The calls an envelope becomes at an agency with an API: noted before they are made, so that none is made twice (ADR 0029)."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, BinaryIO, cast

from sqlalchemy import Connection, delete, exists, insert, select, update

from gateway.db.bulk import table_of
from gateway.db.tables import AgencyCall
from gateway.domain.calls import Answer, Request
from gateway.domain.exchange import Agreement
from gateway.errors import DeliveryError
from gateway.formats import calls
from gateway.https import CallOpen
from gateway.services import inbound
from gateway.services.house import House

_CALL = table_of(AgencyCall)
ROUND = timedelta(minutes=10)
"""So long calls are begun in one delivery; then it rests and goes on where it stopped, far from the end of its task's time."""
_ROWS_IN_MEMORY = 16
"""Answers of the largest size fit into the memory of a worker."""


class EnvelopeJournal:
    """What is known of the calls of one envelope (`gateway.https.Journal`); *begun* and *answers* count what happened now."""

    def __init__(self, house: House, envelope_id: int) -> None:
        self._house, self._envelope_id = house, envelope_id
        self.begun = self.answers = 0
        self._round_ends: datetime | None = None

    def begin(self, key: str, request: Request) -> Answer | None:
        """Note that a call is about to be made; return its answer where it was made before.

        Raises:
            CallOpen: it was begun before and never answered.
            DeliveryError: this round has lasted long enough.
        """
        with self._house.database.write(patiently=True) as connection:
            row = connection.execute(select(*_CALL.columns).where(*self._of(key))).one_or_none()
            if row is None:
                self._rest_after_a_round()
                connection.execute(insert(_CALL).values(**self._note(key, request)))
                self.begun += 1
                return None
        if row.state == "begun":
            self._rest_after_a_round()
            raise CallOpen
        return _answer(row)

    def _rest_after_a_round(self) -> None:
        now = self._house.now()
        self._round_ends = self._round_ends or now + ROUND
        if now > self._round_ends:
            raise DeliveryError("this round has lasted long enough; the rest follows")

    def known(self, key: str) -> Answer | None:
        """Return the noted answer of a call."""
        with self._house.database.read() as connection:
            row = connection.execute(select(*_CALL.columns).where(*self._of(key))).one_or_none()
        return None if row is None or row.state == "begun" else _answer(row)

    def renewed(self, key: str, request: Request) -> None:
        """Note that a call was under way until now."""
        self._noted(key, request, {"begun_at": self._house.now()})

    def answered(self, key: str, request: Request, answer: Answer) -> None:
        """Note the answer of a call, also where its beginning was forgotten meanwhile."""
        told = {
            "state": "answered",
            "status": answer.status,
            "headers": {name: request.hidden(value.encode()).decode() for name, value in answer.headers.items()},
            "answer": request.hidden(answer.body),
            "answered_at": self._house.now(),
        }
        self._noted(key, request, told)
        self.answers += 1

    def undone(self, key: str) -> None:
        """Forget a call that nothing became of."""
        with self._house.database.write(patiently=True) as connection:
            connection.execute(delete(_CALL).where(*self._of(key), _CALL.c.state == "begun"))

    def open_for(self, key: str) -> timedelta:
        """Return how long ago a call that has no answer was begun, or last under way."""
        with self._house.database.read() as connection:
            begun = connection.execute(select(_CALL.c.begun_at).where(*self._of(key))).scalar_one()
        return self._house.now() - cast("datetime", begun)

    def _noted(self, key: str, request: Request, values: dict[str, Any]) -> None:
        with self._house.database.write(patiently=True) as connection:
            if not connection.execute(update(_CALL).where(*self._of(key)).values(**values)).rowcount:
                connection.execute(insert(_CALL).values(**self._note(key, request) | values))

    def _of(self, key: str) -> tuple[Any, Any]:
        return _CALL.c.envelope_id == self._envelope_id, _CALL.c.key == key

    def _note(self, key: str, request: Request) -> dict[str, Any]:
        sent = b"\n".join([json.dumps([request.method, request.path, request.query]).encode(), request.body])
        return {
            "envelope_id": self._envelope_id,
            "key": key,
            "method": request.method,
            "path": request.hidden(request.path.encode()).decode(),
            "request": request.hidden(request.body),
            "request_mac": self._house.secrets.keyed_hash(hashlib.sha256(sent).hexdigest()),
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

    def renewed(self, key: str, request: Request) -> None:
        """Nothing to note."""

    def answered(self, key: str, request: Request, answer: Answer) -> None:
        """Nothing to note."""

    def undone(self, key: str) -> None:
        """Nothing to forget."""

    def open_for(self, key: str) -> timedelta:  # noqa: ARG002  # the protocol's
        """Nothing is ever open."""
        return timedelta(0)


def store_answers(house: House, agreement: Agreement, envelope: Any) -> None:
    """Keep the answers to all calls of an envelope as one inbound file; an envelope without calls has none."""
    with tempfile.TemporaryFile() as file:
        with house.database.read() as connection, closing(connection.execute(_of_envelope(envelope.id))) as rows:
            first = rows.fetchone()
            if first is None:
                return
            head = calls.Head(
                agreement.agency_key, agreement.profile, envelope.kind, envelope.sequence, envelope.file_id,
                envelope.currency, agreement.is_sandbox,
            )  # fmt: skip
            answers = ((row.key, _answer(row)) for row in chain([first], rows))
            calls.write_answers(cast("BinaryIO", file), head, answers)
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
    query = select(*_CALL.columns).where(_CALL.c.envelope_id == envelope_id).order_by(_CALL.c.begun_at, _CALL.c.key)
    return query.execution_options(stream_results=True, yield_per=_ROWS_IN_MEMORY)


def _answer(row: Any) -> Answer:
    return Answer(row.status, row.answer, row.headers)
