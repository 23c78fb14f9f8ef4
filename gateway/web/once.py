"""``Idempotency-Key`` on the REST API's writes: the same request is answered the same, and takes effect once (P7)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress

from flask import Response, current_app, request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from gateway.services import idempotency
from gateway.services.creditors import ApiCaller
from gateway.services.house import House
from gateway.services.idempotency import Answer, AnsweredMeanwhile, AtWork, KeyedRequest, KeyReused
from gateway.web.problems import Problem

HEADER = "Idempotency-Key"
KEY_PATTERN = "^[!-~]{1,255}$"
REPLAYED = "Idempotent-Replayed"
"""Marks an answer that was given before; status and body are those of the first time."""

Keep = Callable[[Connection, Response], None]
"""Keeps a response in the transaction of the effect it tells of."""


def once(house: House, caller: ApiCaller, sha256: str, work: Callable[[Keep], Response]) -> Response:
    """Answer the present request, as it was answered before if it was.

    A refusal is an answer too and is kept; a failure of ours is none, so that the sender may come again.

    Args:
        house: the house.
        caller: whose keys these are: two API keys never meet each other's.
        sha256: of the whole body.
        work: does what is asked; calls what it is given in its transaction, last of all.

    Raises:
        Problem: ``idempotency.reused``, ``idempotency.at_work``, or the header is no key.
    """
    key = _key()
    if not key:
        return work(lambda *_: None)
    keyed = KeyedRequest(caller.api_key_id, key, _fingerprint(sha256))
    before = _claim(house, keyed)
    if before is not None:
        return _again(before)
    try:
        return work(lambda connection, response: idempotency.keep(house, connection, keyed, _answer(response)))
    except AnsweredMeanwhile:
        return _answered(house, keyed)
    except Exception as error:  # noqa: BLE001  # whatever it is, the API has one way to answer it
        return _refuse(house, keyed, error)


def _key() -> str:
    given = request.headers.get(HEADER, "").strip()
    key = given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given  # the IETF draft quotes it
    if given and not re.fullmatch(KEY_PATTERN, key):
        raise Problem("request.invalid", f"{HEADER} must be 1 to 255 visible ASCII characters")
    return key


def _fingerprint(sha256: str) -> str:
    """Cover all of a request that may change what it does; lengths keep two parts from running into one."""
    parts = (request.method, request.full_path, request.headers.get("X-Source", ""), request.mimetype, sha256)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


def _claim(house: House, keyed: KeyedRequest) -> Answer | None:
    try:
        return idempotency.claim(house, keyed)
    except KeyReused:
        raise Problem("idempotency.reused") from None
    except AtWork as error:
        raise Problem("idempotency.at_work", retry_after=error.seconds) from None


def _answered(house: House, keyed: KeyedRequest) -> Response:
    before = _claim(house, keyed)
    if before is None:  # what answered was swept away in between: a clock that jumped a month
        raise Problem("request.conflict")
    return _again(before)


def _refuse(house: House, keyed: KeyedRequest, error: Exception) -> Response:
    response = current_app.make_response(current_app.handle_user_exception(error))
    is_final = response.status_code < 500 and not (isinstance(error, Problem) and error.code == "request.conflict")
    if not is_final:
        with suppress(SQLAlchemyError):  # the claim expires by itself
            idempotency.give_up(house, keyed)
        return response
    try:
        idempotency.keep_refusal(house, keyed, _answer(response))
    except AnsweredMeanwhile:
        return _answered(house, keyed)
    return response


def _answer(response: Response) -> Answer:
    return Answer(response.status_code, response.get_data(as_text=True))


def _again(answer: Answer) -> Response:
    mimetype = "application/json" if answer.status < 400 else "application/problem+json"
    return Response(answer.body, answer.status, {REPLAYED: "true"}, mimetype=mimetype)
