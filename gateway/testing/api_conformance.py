"""The conformance suite for an agency with an API: the same promises, kept over calls instead of a mailbox (ADR 0029)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from flask.testing import FlaskClient

from gateway.agencies import Agency
from gateway.domain.exchange import Agreement, Claim
from gateway.formats.calls import CallFile, write_answers
from gateway.https import NoMailbox
from gateway.testing.agency_kit import NOW
from gateway.testing.api_calls import SandboxCalls
from gateway.testing.conformance import AgencyConformance


class ApiConformance(AgencyConformance):
    """What `AgencyConformance` asks, of a plugin whose sandbox has an ``api``.

    Set *api_base* to the path that the agreement's ``base_url`` ends with; override `api_headers` with what lets calls in.
    """

    api_base: ClassVar[str] = ""

    def api_headers(self, client: FlaskClient) -> Mapping[str, str]:  # noqa: ARG002  # for those that fetch a token with it
        """Return the headers that a call needs; asked for before each call."""
        return {}

    def calls(self, sandbox: Any) -> SandboxCalls:
        """Return the way to the sandbox's API."""
        app = sandbox.api.app
        return SandboxCalls(app, self.api_base, lambda: self.api_headers(app.test_client()))

    def hand_over(
        self, agency: Agency, agreement: Agreement, claims: Iterable[Claim], sandbox: Any, root: Path
    ) -> None:
        """Make the calls of an evening; an envelope that was delivered before goes through its notes again."""
        envelopes, sink = self.made(agency, agreement, claims)
        notes = self.__dict__.setdefault("notes", {})
        (root / "download").mkdir(exist_ok=True)
        for envelope in sorted(envelopes, key=lambda one: one.order):
            content, calls = sink.files[envelope.filename], notes.setdefault(envelope.filename, self.calls(sandbox))
            agency.deliver(envelope, agreement, NoMailbox(), io.BytesIO(content), len(content), calls)
            with (root / "download" / f"answers-{envelope.filename}").open("wb") as out:
                write_answers(out, CallFile(io.BytesIO(content)).head, calls.noted.items())
        sandbox.work(NOW)

    def collect(self, agency: Agency, agreement: Agreement, sandbox: Any, root: Path) -> None:
        """Ask for all there is to tell; an agency that cannot be asked tells nothing."""
        if not agency.fetches:
            return
        calls, since, is_more = self.calls(sandbox), "", True
        while is_more:
            page = agency.fetch(agreement, calls, since)
            for file in page.files:
                (root / "download" / file.filename).write_bytes(file.content)
            since, is_more = page.since, page.is_more
