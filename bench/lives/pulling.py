"""An agency that fetches: it asks our doors over HTTP for its cases, answers them and reports money, all of it on a bad line.

It is written from docs/agency-pull.md and shares no code with the doors. What it did not hear the answer to it does again.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from bench.lives.far import Far, Stage
from gateway.services import creditors
from gateway.web.api import api_blueprint

if TYPE_CHECKING:
    from bench.lives.counterparts import Counterpart
    from tests.rules.world import World

ACTOR = "bench"
LINE = frozenset({"timeout_after_commit", "connection_refused_before", "truncated", "expired_token"})
POST = frozenset({"duplicate", "late", "wrong_order"})
WAYS = LINE | POST
"""Of its calls: done and the answer lost; never made; cut off; made with a key that is no longer good. Of what it has to say:
said twice; hours later; later things first."""
_STRIKES_PERCENT = 15
_PAGE = 3
_BULK_BYTES = 4 << 20
_POLL_SECONDS = 0.05


class _Unheard(Exception):
    """The agency does not know what became of its call."""


class _Errand(NamedTuple):
    """Something the agency will say at *due*: a method, a path behind ``/agency`` and a body."""

    due: datetime
    number: int
    method: str
    path: str
    body: bytes


class Fetching(Far):
    """The agency, its cases, and what it has still to say.

    Args:
        terms: who it is.
        stage: where it lives.
    """

    def __init__(self, terms: Counterpart, stage: Stage) -> None:
        super().__init__(terms, stage)
        self._cursors = {"cases": "", "changes": ""}
        self._owed: dict[str, int] = {}
        self._case_of: dict[str, str] = {}
        self._seen, self._wrong = Counter[str](), list[str]()
        self._unreported = list[dict[str, Any]]()
        self._errands, self._numbers = list[_Errand](), 0
        self._payments = 0
        self._session, self._address, self._key = requests.Session(), "", ""
        self._doors: BaseWSGIServer | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Serve our own doors, once there is a house to serve (`begin`)."""
        try:
            yield
        finally:
            self._session.close()
            if self._doors:
                self._doors.shutdown()
                self._thread.join()
                self._doors.server_close()

    def agreement(self) -> Mapping[str, Any]:
        """Say that the agency fetches."""
        return {"transport": {"kind": "pull"}}

    def begin(self, world: World) -> None:
        """Give the agency its key and open the doors."""
        super().begin(world)
        self._key = creditors.add_agency_key(world.house, world.agreement_id, "agency", ACTOR)
        app = Flask("doors")
        app.register_blueprint(api_blueprint(world.house, _BULK_BYTES))
        self._doors = make_server("127.0.0.1", 0, app, request_handler=_Silent)
        self._thread = threading.Thread(target=self._doors.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()
        self._address = f"http://127.0.0.1:{self._doors.port}/api/v1/agency"

    def happened(self) -> Counter[str]:
        """Return how often each way struck."""
        return self.own

    # --- its day -----------------------------------------------------------------------------------------------------

    def work(self, now: datetime) -> None:
        """Fetch what is new, then say what is due; what fails is tried again at the next look."""
        for kind in self._cursors:
            self._fetch(kind, now)
        due = [errand for errand in self._errands if errand.due <= now]
        for errand in sorted(due, key=lambda one: (one.due, one.number)):
            try:
                answer = self._call(errand.method, errand.path, errand.body)
            except _Unheard:
                continue
            if answer.status_code not in {200, 202}:
                self._wrong.append(f"{errand.path}: {answer.status_code} {answer.text[:200]}")
            self._errands.remove(errand)

    def waits(self) -> int:
        """Return how much it has still to say."""
        return len(self._errands) + len(self._unreported)

    def balances(self) -> Mapping[str, int]:
        """Return what is owed of each case that was taken."""
        return dict(self._owed)

    def pay(self, claim: str, minor: int, on: date) -> None:
        """Let a debtor pay."""
        self._owed[claim] -= minor
        self._payments += 1
        parts = {"principal_minor": minor, "interest_minor": 0, "fees_minor": 0, "unallocated_minor": 0}
        row = {"payment_id": f"AP-{self._payments}", "kind": "payment", "claim_id": claim, "amount_minor": minor}
        self._unreported.append({**row, "received_date": on.isoformat(), **parts})

    def tell(self, now: datetime) -> None:
        """Report the money."""
        if not self._unreported:
            return
        rows, self._unreported = self._unreported, []
        total = sum(row["amount_minor"] for row in rows)
        told = {"currency": self.terms.currency, "count": len(rows), "total_minor": total, "payments": rows}
        document = {"format": "kravport-pull-1", "report": "payments", "message_id": f"m-{self._next()}", **told}
        self._promise("POST", "/reports", document, now)

    def doubles(self) -> Iterable[str]:
        """Yield what was handed out in two files."""
        yield from (f"{name} was handed out {count} times" for name, count in self._seen.items() if count > 1)

    def faults(self) -> Iterable[str]:
        """Yield what our doors should not have said."""
        yield from self._wrong

    # --- fetching ----------------------------------------------------------------------------------------------------

    def _fetch(self, kind: str, now: datetime) -> None:
        while True:
            try:
                answer = self._call("GET", f"/{kind}?limit={_PAGE}&after={self._cursors[kind]}")
            except _Unheard:
                return
            page = answer.json()
            for message in page[kind]:
                self._take(kind, message, now)
            is_end = page["next"] == self._cursors[kind]
            self._cursors[kind] = page["next"]
            if is_end:
                return

    def _take(self, kind: str, message: Mapping[str, Any], now: datetime) -> None:
        claim, named = message["claim_id"], "{kind}-{sequence}".format(**message["delivery"])
        self._seen[f"{claim} of {named}"] += 1
        if kind == "cases":
            self._open(claim, message, now)
        elif claim not in self._owed:
            self._wrong.append(f"a change of {claim}, which is no case here")
        else:
            self._owed[claim] += self._effect(message)

    def _open(self, claim: str, message: Mapping[str, Any], now: datetime) -> None:
        if message["debtor"]["customer_number"] in self.refused:
            answer: dict[str, Any] = {"accepted": False, "reason_code": "DECEASED", "reason_text": "refused on purpose"}
        else:
            self._seen[f"case {claim}"] += 1
            owed = message["invoice"]["original_minor"] + self._effect(message)
            if owed != message["invoice"]["open_minor"]:
                self._wrong.append(
                    f"{claim}: its items come to {owed}, its invoice says {message['invoice']['open_minor']}"
                )
            self._owed[claim] = owed
            answer = {"accepted": True, "case_number": self._case_of.setdefault(claim, f"C-{len(self._case_of) + 1}")}
        self._promise("PUT", f"/cases/{claim}/answer", answer, now)

    def _effect(self, message: Mapping[str, Any]) -> int:
        """Return what the items of a message add to the balance; each may come once."""
        self._seen.update(f"item {item['item_id']}" for item in message["items"])
        signs = {"debit": 1, "credit": -1}
        return sum(signs[item["direction"]] * item["amount_minor"] for item in message["items"])

    # --- the line ----------------------------------------------------------------------------------------------------

    def _promise(self, method: str, path: str, body: Mapping[str, Any], now: datetime) -> None:
        content, due = json.dumps(body).encode(), now
        if self.strikes("late", _STRIKES_PERCENT):
            due += timedelta(minutes=self.stage.dice.randrange(60, 20 * 60))
        elif self.strikes("wrong_order", _STRIKES_PERCENT):
            due += timedelta(minutes=self.stage.dice.randrange(1, 90))
        self._errands.append(_Errand(due, self._next(), method, path, content))
        if self.strikes("duplicate", _STRIKES_PERCENT):
            again = due + timedelta(minutes=self.stage.dice.randrange(600))
            self._errands.append(_Errand(again, self._next(), method, path, content))

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _call(self, method: str, path: str, body: bytes = b"") -> requests.Response:
        """Make a call; raises `_Unheard` where the agency cannot know what became of it, or must do it again."""
        if self.strikes("connection_refused_before", _STRIKES_PERCENT):
            raise _Unheard
        if self.strikes("expired_token", _STRIKES_PERCENT):
            self._must_refuse(self._made(method, path, body, f"{self._key[:-4]}0000"), 401)
        if body and self.strikes("truncated", _STRIKES_PERCENT):
            cut = body[: self.stage.dice.randrange(1, len(body))]
            self._must_refuse(self._made(method, path, cut, self._key), 422)
        answer = self._made(method, path, body, self._key)
        if self.strikes("timeout_after_commit", _STRIKES_PERCENT):
            raise _Unheard
        return answer

    def _made(self, method: str, path: str, body: bytes, key: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return self._session.request(method, self._address + path, data=body or None, headers=headers, timeout=30)

    def _must_refuse(self, answer: requests.Response, status: int) -> None:
        if answer.status_code != status:
            self._wrong.append(
                f"{answer.request.path_url}: {answer.status_code} instead of {status}: {answer.text[:200]}"
            )
        raise _Unheard


class _Silent(WSGIRequestHandler):
    """Says nothing of each request."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """Keep quiet."""
