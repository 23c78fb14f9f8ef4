"""The sandbox itself: a Flask application whose every request is one transaction, with OAuth2, a log and webhooks."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from flask import Flask, Request, Response, request
from werkzeug.wrappers import Response as Answer

from gateway import clock
from gateway.demo.misbehaviour import API
from gateway.testing.api_sandbox.calls import Books, Call, calls_of
from gateway.testing.api_sandbox.oauth2 import OAuth2, bearer, bearer_fault, client_of, refusal, same, token_answer
from gateway.testing.api_sandbox.pushes import Push, pushes_of
from gateway.testing.api_sandbox.trouble import Mishap, Trouble

STATE_FILE = "api.sqlite"
_P = ParamSpec("_P")
_R = TypeVar("_R")


class ApiSandbox:
    """The other end of an agency with an API.

    Register the agency's calls on `app`. A request is one transaction: what a call writes in `transaction` is kept when its
    answer is below 400 and undone otherwise, and it is kept before the answer leaves. So a kill at any line loses nothing
    that was answered, and a line that drops changes nothing that was done.

    Args:
        root: the sandbox's folder; made when it is not there, taken up again when it is.
        tables: ``CREATE TABLE IF NOT EXISTS`` statements of the agency; names that begin with ``api_`` are taken.
        oauth2: makes a token endpoint.
        sign_push: returns the headers that sign a webhook at the moment it is posted.
        now: tells the moment.
    """

    orders: frozenset[str] = frozenset()
    """Names of methods that an order of ``kravport sandbox`` may call, beside those every agency has."""

    def __init__(
        self,
        root: Path,
        tables: str = "",
        oauth2: OAuth2 | None = None,
        sign_push: Callable[[Push, datetime], Mapping[str, str]] = lambda _push, _moment: {},
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.now = root, now
        self.app = Flask(__name__, static_folder=None)
        self.app.wsgi_app = _Desk(self, self.app.wsgi_app)  # type: ignore[method-assign]
        self.misbehave(())
        self._books, self._sign = Books(root / STATE_FILE, tables), sign_push
        if oauth2:
            self.app.add_url_rule(oauth2.path, "api_token", lambda: token_answer(self, oauth2), methods=["POST"])

    @property
    def api(self) -> ApiSandbox:
        """The sandbox itself: `kravport sandbox` looks for ``api`` at an agency that keeps one or is one."""
        return self

    def way_in(self, address: str, ca_pem: str) -> Mapping[str, Mapping[str, Any]]:
        """Return ``transport`` and ``secrets`` of an agreement that leads to the sandbox, served at *address*."""
        transport = {"kind": "https", "base_url": address, "ca": ca_pem, "auth": {"kind": "header"}}
        return {"transport": transport, "secrets": {"api_token": "sandbox"}}

    def work(self, now: datetime) -> int:  # noqa: ARG002  # for sandboxes that have something to do of their own accord
        """Do the day's work; a sandbox that only answers has none."""
        return 0

    def close(self) -> None:
        """Close the state."""
        self._books.close()

    # --- what the agency's calls use ---------------------------------------------------------------------------------

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give the database for one transaction; within a request it is part of the request's own."""
        return self._books.transaction()

    def created(self, kind: str, key: str) -> None:
        """Note that an object came to be, by the name the client knows it by. Tests count these with `creations`."""
        with self.transaction() as connection:
            connection.execute("INSERT INTO api_created VALUES (?, ?)", (kind, key))

    def push(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Queue a webhook; it is posted until it is taken with 2xx. Within a request it is queued with its effect."""
        row = (url, json.dumps(dict(headers or {})), body)
        with self.transaction() as connection:
            connection.execute("INSERT INTO api_push (url, headers, body) VALUES (?, ?, ?)", row)

    def needs_bearer(self, scope: str = "") -> Callable[[Callable[_P, _R]], Callable[_P, _R | Response]]:
        """Guard a call: it needs a token of the token endpoint that has not ended (RFC 6750), and *scope* where given."""
        return self._guard(lambda: bearer_fault(self, scope))

    def needs_header(self, name: str, value: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R | Response]]:
        """Guard a call: the header *name* must be *value*, a secret that never changes."""
        return self._guard(lambda: None if same(request.headers.get(name, ""), value) else refusal(401, "unauthorized"))

    @staticmethod
    def _guard(fault: Callable[[], Response | None]) -> Callable[[Callable[_P, _R]], Callable[_P, _R | Response]]:
        def guarded(call: Callable[_P, _R]) -> Callable[_P, _R | Response]:
            @wraps(call)
            def first_the_guard(*args: _P.args, **kwargs: _P.kwargs) -> _R | Response:
                refused = fault()
                return call(*args, **kwargs) if refused is None else refused

            return first_the_guard

        return guarded

    # --- what runs it, and what tests read ----------------------------------------------------------------------------

    def misbehave(
        self, ways: Collection[str], dice: random.Random | int = 1, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """From now on let those *ways* of `gateway.demo.misbehaviour.API` happen; none ends all trouble.

        Args:
            ways: names.
            dice: or the seed of them; the same seed makes the same trouble for the same requests.
            sleep: waits so many seconds, for answers that come late.
        """
        dice = dice if isinstance(dice, random.Random) else random.Random(dice)  # noqa: S311  # guards nothing
        self.trouble = Trouble(frozenset(ways) & API, dice, self.now, sleep)

    def calls(self) -> list[Call]:
        """Return every request that came, oldest first."""
        with self.transaction() as connection:
            return calls_of(connection)

    def creations(self) -> Counter[tuple[str, str]]:
        """Return how often each object was created, by kind and key; more than once is a double."""
        with self.transaction() as connection:
            return Counter((row["kind"], row["key"]) for row in connection.execute("SELECT * FROM api_created"))

    def pushes(self) -> Sequence[Push]:
        """Return the webhooks that wait to be taken."""
        with self.transaction() as connection:
            return pushes_of(connection)

    def signed(self, push: Push, now: datetime) -> Push:
        """Return *push* with the signature of the moment it is posted."""
        return replace(push, headers={**push.headers, **self._sign(push, now)})

    def taken(self, push: Push) -> None:
        """Note that a webhook was taken."""
        with self.transaction() as connection:
            connection.execute("UPDATE api_push SET is_taken = 1 WHERE number = ?", (push.number,))


class _Desk:
    """Stands around the application: one transaction per request, the log, and the line's trouble."""

    def __init__(self, sandbox: ApiSandbox, inner: Callable[..., Iterable[bytes]]) -> None:
        self._sandbox, self._inner = sandbox, inner

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        trouble, asked = self._sandbox.trouble, Request(environ)
        body = asked.get_data()
        environ["wsgi.input"] = io.BytesIO(body)
        mishap, answer = trouble.before(), None
        with self._sandbox.transaction() as connection:
            way = mishap.way if mishap else self._expire(connection, asked)
            if mishap is None:
                answer = self._answered(connection, environ)
                mishap = trouble.after(answer)
            self._note(
                connection, asked, body, answer, " ".join(filter(None, (way, mishap.way if answer and mishap else "")))
            )
        return self._carried(answer, mishap)(environ, start_response)

    def _answered(self, connection: sqlite3.Connection, environ: dict[str, Any]) -> Answer:
        connection.execute("SAVEPOINT request")
        answer = Answer.from_app(self._inner, environ, buffered=True)
        if answer.status_code >= 400:
            connection.execute("ROLLBACK TO request")
        connection.execute("RELEASE request")
        return answer

    def _expire(self, connection: sqlite3.Connection, asked: Request) -> str:
        """End a good token before its time, where the dice say so; the agency then refuses it by itself."""
        token = bearer(asked)
        if client_of(connection, token, self._sandbox.now()) is None or not self._sandbox.trouble.strikes(
            "expired_token"
        ):
            return ""
        connection.execute("DELETE FROM api_token WHERE token = ?", (token,))
        return "expired_token"

    def _note(
        self, connection: sqlite3.Connection, asked: Request, body: bytes, answer: Answer | None, way: str
    ) -> None:
        status = answer.status_code if answer else 0
        row = (self._sandbox.now().isoformat(), asked.method, asked.path, asked.query_string.decode("latin-1"), body)
        connection.execute(
            "INSERT INTO api_call (moment, method, path, query, body, status, is_committed, trouble)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, status, 0 < status < 400, way),
        )

    def _carried(self, answer: Answer | None, mishap: Mishap | None) -> Callable[..., Iterable[bytes]]:
        """Return what reaches the client of an answer whose effect is kept by now."""
        sent = mishap.answer if mishap and mishap.sent_bytes is None else answer
        if sent is None:
            assert mishap is not None
            raise ConnectionAbortedError(mishap.way)
        self._sandbox.trouble.dawdle()
        if mishap and mishap.sent_bytes is not None:
            content = sent.get_data()
            sent.headers["Content-Length"] = str(len(content))
            sent.response = _broken_off(content[: mishap.sent_bytes])
        return sent


def _broken_off(content: bytes) -> Iterator[bytes]:
    yield content
    raise ConnectionAbortedError("truncated_answer")
