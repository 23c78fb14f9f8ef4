"""Idempotency-Key (P7): the answer to a write is committed with its effect, and a repetition is given that answer.

A request claims its key before it works, so that a second one that comes meanwhile is told so instead of waiting. The
claim is only a courtesy and expires: what decides is that one answer can be kept per key, in the transaction of the
effect. Of two that work at once because the first was thought dead, one is rolled back whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.db.tables import KeptAnswer
from gateway.errors import DataError
from gateway.services.house import House

CLAIM = timedelta(seconds=60)
"""After this a request that has no answer is taken for dead, and its repetition goes ahead."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key. *fingerprint* is equal for requests that mean the same, byte for byte."""

    api_key_id: int
    idempotency_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: HTTP status and body."""

    status: int
    body: str


class KeyReused(DataError):
    """The key was used for another request; nothing is done."""


class AtWork(DataError):
    """The same request is being worked on at this moment, for at most *seconds* more."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"the same request is at work; come again in {seconds} seconds")


class AnsweredMeanwhile(DataError):
    """Another process has answered the same request; what was done in this transaction must be rolled back."""


def claim(house: House, request: KeyedRequest) -> Answer | None:
    """Return the answer this request was given before, or None: then it is the caller's to work on.

    Raises:
        KeyReused: the key belongs to another request.
        AtWork: somebody else works on the same request.
    """
    with house.database.read() as connection:
        row = connection.execute(select(KeptAnswer).where(_is(request))).mappings().one_or_none()
    # Told from a reading transaction: on SQLite a writing one would wait until the request at work is done.
    answer = _known(house, request, row, house.now()) if row is not None else None
    if answer is not None:
        return answer
    with house.database.write() as connection:
        now = house.now()
        made = connection.execute(
            _row(connection, request, claimed_at=now).on_conflict_do_nothing().returning(KeptAnswer.claimed_at)
        )
        if made.first() is not None:
            return None
        row = connection.execute(select(KeptAnswer).where(_is(request)).with_for_update()).mappings().one_or_none()
        if row is None:  # given up by its owner between the two statements
            raise AtWork(1)
        answer = _known(house, request, row, now)
        if answer is None:
            connection.execute(update(KeptAnswer).where(_is(request)).values(claimed_at=now))
        return answer


def _known(house: House, request: KeyedRequest, row: Any, now: datetime) -> Answer | None:
    if row["fingerprint"] != request.fingerprint:
        raise KeyReused("the Idempotency-Key was used for another request")
    if row["status"] is not None:
        return Answer(row["status"], house.secrets.decrypt(row["body_encrypted"]))
    left = row["claimed_at"] + CLAIM - now
    if left > timedelta():
        raise AtWork(math.ceil(left.total_seconds()))
    return None


def keep(house: House, connection: Connection, request: KeyedRequest, answer: Answer) -> None:
    """Keep the answer in the transaction of the effect.

    Raises:
        AnsweredMeanwhile: there is an answer already.
    """
    kept = {"status": answer.status, "body_encrypted": house.secrets.encrypt(answer.body), "claimed_at": house.now()}
    done = connection.execute(
        _row(connection, request, **kept)
        .on_conflict_do_update(
            index_elements=[KeptAnswer.api_key_id, KeptAnswer.idempotency_key],
            set_=kept,
            where=KeptAnswer.status.is_(None) & (KeptAnswer.fingerprint == request.fingerprint),
        )
        .returning(KeptAnswer.status)
    )
    if done.first() is None:
        raise AnsweredMeanwhile("answered by another process")


def keep_refusal(house: House, request: KeyedRequest, answer: Answer) -> None:
    """Keep the answer to a request that was refused: it has no effect whose transaction it could join.

    Raises:
        AnsweredMeanwhile: there is an answer already.
    """
    with house.database.write() as connection:
        keep(house, connection, request, answer)


def give_up(house: House, request: KeyedRequest) -> None:
    """Let go of a claim after a failure of ours, so that the sender may come again at once."""
    with house.database.write() as connection:
        unanswered = KeptAnswer.status.is_(None) & (KeptAnswer.fingerprint == request.fingerprint)
        connection.execute(delete(KeptAnswer).where(_is(request), unanswered))


def _is(request: KeyedRequest) -> ColumnElement[bool]:
    return (KeptAnswer.api_key_id == request.api_key_id) & (KeptAnswer.idempotency_key == request.idempotency_key)


def _row(connection: Connection, request: KeyedRequest, **values: Any) -> Any:
    module = postgresql if connection.dialect.name == "postgresql" else sqlite
    return module.insert(KeptAnswer).values(
        api_key_id=request.api_key_id,
        idempotency_key=request.idempotency_key,
        fingerprint=request.fingerprint,
        **values,
    )
