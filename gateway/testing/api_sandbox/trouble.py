"""What goes wrong between an API and its client, by the dice: `gateway.demo.misbehaviour.API` names the ways."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from wsgiref.handlers import format_date_time

from werkzeug.wrappers import Response

STRIKES_PERCENT = 20
RETRY_AFTER_SECONDS = 3
SLOW_SECONDS = 3.0
SPELL_CONNECTIONS = 3
"""So many connections at most see a wrong certificate before the right one is back."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """What becomes of one answer: *answer* in its place, its first *sent_bytes* only, or none at all."""

    way: str
    answer: Response | None = None
    sent_bytes: int | None = None


class Trouble:
    """Decides for every connection, request and webhook what goes wrong. It never touches what is committed.

    Args:
        ways: of `gateway.demo.misbehaviour.API`; none: all goes well.
        dice: decides; the same seed makes the same trouble for the same requests.
        now: tells the moment, for a Retry-After that is a date.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        ways: Collection[str],
        dice: random.Random,
        now: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.ways, self.happened = frozenset(ways), Counter[str]()
        self._dice, self._now, self._sleep, self._lock = dice, now, sleep, threading.Lock()
        self._certificate, self._spell = "right", 0

    def strikes(self, way: str) -> bool:
        """Whether the line misbehaves in this *way* now."""
        with self._lock:
            struck = way in self.ways and self._dice.randrange(100) < STRIKES_PERCENT
            self.happened[way] += struck
            return struck

    def minutes(self, first: int, last: int) -> timedelta:
        """Return a time between *first* and *last* minutes."""
        with self._lock:
            return timedelta(minutes=self._dice.randint(first, last))

    def certificate(self) -> str:
        """Return which certificate the next connection sees: ``right``, of a ``stranger``, or for an ``other_name``."""
        if self._spell == 0 and self.strikes("wrong_certificate"):
            with self._lock:
                self._certificate = self._dice.choice(("stranger", "other_name"))
                self._spell = self._dice.randint(1, SPELL_CONNECTIONS)
        if self._spell == 0:
            return "right"
        self._spell -= 1
        return self._certificate

    def before(self) -> Mishap | None:
        """Return what happens instead of asking the agency."""
        if self.strikes("connection_refused_before"):
            return Mishap("connection_refused_before")
        if self.strikes("rate_limited"):
            return Mishap("rate_limited", self._refusal(429, self._retry_after()))
        if self._chance() and self.strikes("server_error"):
            return Mishap("server_error", self._failure())
        return None

    def after(self, answer: Response) -> Mishap | None:
        """Return what becomes of an *answer* whose effect is kept by then."""
        if self.strikes("timeout_after_commit"):
            return Mishap("timeout_after_commit")
        if self.strikes("server_error"):
            return Mishap("server_error", self._refusal(500, ""))
        size = len(answer.get_data())
        if size and self.strikes("truncated_answer"):
            with self._lock:
                return Mishap("truncated_answer", sent_bytes=self._dice.randrange(size))
        return None

    def dawdle(self) -> None:
        """Wait, where answers come late."""
        if self.strikes("slow"):
            self._sleep(SLOW_SECONDS)

    def _failure(self) -> Response:
        """503, which says that nothing was done, with and without a wait; or 500, which says nothing (`after`)."""
        if self._chance():
            return self._refusal(500, "")
        return self._refusal(503, self._retry_after() if self._chance() else "")

    def _chance(self) -> bool:
        with self._lock:
            return self._dice.randrange(2) == 1

    def _retry_after(self) -> str:
        """Both forms of RFC 9110 section 10.2.3, the date rarely."""
        with self._lock:
            seconds, is_date = self._dice.randint(1, RETRY_AFTER_SECONDS), self._dice.randrange(4) == 0
        return format_date_time(self._now().timestamp() + seconds) if is_date else str(seconds)

    @staticmethod
    def _refusal(status: int, retry_after: str) -> Response:
        headers = {"Retry-After": retry_after} if retry_after else {}
        return Response(b"", status, headers, content_type="text/plain")
