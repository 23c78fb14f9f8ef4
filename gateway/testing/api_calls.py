"""The way to a sandbox's API without a network: the same calls, answered in this process, each noted as the host notes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flask import Flask

from gateway.domain.calls import Answer, Found, Request
from gateway.errors import DeliveryInDoubt


class SandboxCalls:
    """Calls of one envelope (`gateway.domain.calls.Calls`).

    Args:
        app: the sandbox's application.
        base: path that stands before every call's own.
        headers: those that let a call in, such as its token.
    """

    def __init__(self, app: Flask, base: str, headers: Callable[[], Mapping[str, str]]) -> None:
        self._client, self._base, self._headers = app.test_client(), base, headers
        self.noted: dict[str, Answer] = {}

    def ask(self, request: Request) -> Answer:
        """Make a call that changes nothing."""
        assert request.method == "GET", "a call that changes something is made once"
        return self._made(request)

    def known(self, key: str) -> Answer | None:
        """Return the noted answer of a call."""
        return self.noted.get(key)

    def once(self, key: str, request: Request, found: Found | None = None) -> Answer:  # noqa: ARG002  # nothing is lost here
        """Make a call that changes something; later its answer comes from the note."""
        if key not in self.noted:
            self.noted[key] = self._made(request)
        return self.noted[key]

    def _made(self, request: Request) -> Answer:
        headers = {"Content-Type": request.media_type, **dict(request.headers), **self._headers()}
        answer = self._client.open(
            self._base + request.path,
            method=request.method,
            query_string=list(request.query),
            data=request.body,
            headers=headers,
        )
        return Answer(answer.status_code, answer.get_data(), {name.lower(): value for name, value in answer.headers})


class LosingCalls(SandboxCalls):
    """The same on a line that drops behind every first call of a key: it arrives, and what was answered is lost."""

    def __init__(self, app: Flask, base: str, headers: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(app, base, headers)
        self._begun: set[str] = set()

    def once(self, key: str, request: Request, found: Found | None = None) -> Answer:
        """Make a call as the host does: one that was begun is looked for, and without *found* never repeated."""
        if key in self.noted:
            return self.noted[key]
        if key not in self._begun:
            self._begun.add(key)
            self._made(request)
            raise DeliveryInDoubt(f"{key}: no answer")
        if found is None:
            raise DeliveryInDoubt(f"{key}: perhaps it arrived")
        self.noted[key] = found() or self._made(request)
        return self.noted[key]
