"""Webhooks of a sandbox: posted until they are taken, and where the agency misbehaves late, twice or in the wrong order."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import requests
import structlog

if TYPE_CHECKING:
    from gateway.testing.api_sandbox.sandbox import ApiSandbox

_log = structlog.get_logger()
PUSH_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Push:
    """One webhook that waits. *number* stays the same however often it is posted."""

    number: int
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def pushes_of(connection: sqlite3.Connection) -> list[Push]:
    """Return what waits to be taken, oldest first."""
    rows = connection.execute("SELECT * FROM api_push WHERE NOT is_taken ORDER BY number").fetchall()
    return [Push(row["number"], row["url"], row["body"], json.loads(row["headers"])) for row in rows]


def post(push: Push) -> bool:
    """Post one webhook; whether it was taken with 2xx."""
    try:
        answer = requests.post(
            push.url, data=push.body, headers=dict(push.headers), timeout=PUSH_SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        _log.info("webhook unreachable", push=push.number, error=type(error).__name__)
        return False
    _log.info("pushed", push=push.number, status=answer.status_code)
    return 200 <= answer.status_code < 300


class Pusher:
    """Posts what a sandbox has queued with `ApiSandbox.push`.

    What it holds back it holds in memory: after a kill a late webhook comes at once, and none is lost.

    Args:
        sandbox: whose webhooks, and whose trouble.
        post: posts one and says whether it was taken.
    """

    def __init__(self, sandbox: ApiSandbox, post: Callable[[Push], bool] = post) -> None:
        self._sandbox, self._post = sandbox, post
        self._due: dict[int, datetime] = {}
        self._again: list[tuple[datetime, Push]] = []

    def work(self, now: datetime) -> int:
        """Post all that is due at *now*; return how many were taken that waited."""
        waiting = self._sandbox.pushes()
        for push in waiting:
            if push.number not in self._due:
                self._due[push.number] = now + self._lateness()
                if self._sandbox.trouble.strikes("duplicate_webhook"):
                    self._again.append((self._due[push.number] + self._sandbox.trouble.minutes(0, 600), push))
        due = [push for push in waiting if self._due[push.number] <= now]
        taken = sum(self._offer(push, now) for push in sorted(due, key=lambda push: self._due[push.number]))
        for item in [item for item in self._again if item[0] <= now]:
            self._post(self._sandbox.signed(item[1], now))
            self._again.remove(item)
        return taken

    def _lateness(self) -> timedelta:
        trouble = self._sandbox.trouble
        if trouble.strikes("late_webhook"):
            return trouble.minutes(60, 30 * 60)
        return trouble.minutes(1, 90) if trouble.strikes("wrong_order_webhook") else timedelta()

    def _offer(self, push: Push, now: datetime) -> bool:
        is_taken = self._post(self._sandbox.signed(push, now))
        if is_taken:
            self._sandbox.taken(push)
            self._due.pop(push.number, None)
        return is_taken
