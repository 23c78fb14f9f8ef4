"""The conformance suite for an agency with an API: the same promises, kept over calls instead of a mailbox (ADR 0029)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from flask.testing import FlaskClient

from gateway.agencies import Agency
from gateway.domain.exchange import Agreement, Claim, Envelope, LinkKind
from gateway.errors import DeliveryError, DeliveryInDoubt
from gateway.formats.calls import CallFile, write_answers
from gateway.https import NoMailbox
from gateway.testing.agency_kit import NOW, MemorySink
from gateway.testing.api_calls import LosingCalls, SandboxCalls
from gateway.testing.conformance import AgencyConformance

_ITEMS = (LinkKind.DIRECT_PAYMENT, LinkKind.CREDIT_NOTE)
_ROUNDS = 12
"""More than the steps that one object of any plugin takes."""


class ApiConformance(AgencyConformance):
    """What `AgencyConformance` asks, of a plugin whose sandbox has an ``api``.

    Set *api_base* to the path that the agreement's ``base_url`` ends with; override `api_headers` with what lets calls in.
    """

    api_base: ClassVar[str] = ""

    def api_headers(self, client: FlaskClient) -> Mapping[str, str]:  # noqa: ARG002  # for those that fetch a token with it
        """Return the headers that a call needs; asked for before each call."""
        return {}

    def calls(self, sandbox: Any, kind: type[SandboxCalls] = SandboxCalls) -> SandboxCalls:
        """Return the way to the sandbox's API."""
        app = sandbox.api.app
        return kind(app, self.api_base, lambda: self.api_headers(app.test_client()))

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

    def test_a_call_that_nobody_answered_is_never_made_twice(
        self, agency: Agency, agreement: Agreement, tmp_path: Path
    ) -> None:
        """What was begun is looked for, or left to a person: no object is created twice, whatever is lost."""
        make = type(self).make_sandbox
        assert make is not None, "an agency with an API ships its other end"
        sandbox, claims = make(tmp_path, self.sandbox_facts), self.claims(agency, agreement, 4, _ITEMS)
        envelopes, sink = self.made(agency, agreement, claims)
        is_in_doubt = [self._insist(agency, agreement, envelope, sink, sandbox) for envelope in envelopes]
        created = sandbox.api.creations()
        assert created, "the sandbox notes what it creates (`ApiSandbox.created`)"
        assert {what: times for what, times in created.items() if times > 1} == {}
        if not any(is_in_doubt):
            assert sorted(sandbox.balances().values()) == sorted(self.far_side(claims))
        getattr(sandbox, "close", lambda: None)()

    def _insist(self, agency: Agency, agreement: Agreement, envelope: Envelope, sink: MemorySink, sandbox: Any) -> bool:
        """Deliver until all is answered; return whether doubt is left that only a person ends."""
        calls, content = self.calls(sandbox, LosingCalls), sink.files[envelope.filename]
        for _ in range(_ROUNDS):
            try:
                agency.deliver(envelope, agreement, NoMailbox(), io.BytesIO(content), len(content), calls)
            except (DeliveryError, DeliveryInDoubt):
                continue
            return False
        return True
