"""An agency with an API, as small as one can be, and what it has of each call: the other end of the host's own tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import requests
import responses

from gateway.domain.calls import Answer, Fetched, Page, Request, Webhook
from gateway.domain.exchange import AgencyProfile, Can, Envelope, InboundKind, LayoutProfile, Series, Service, Totals
from gateway.errors import DeliveryInDoubt
from gateway.formats import calls as files
from gateway.hookspecs import AgencyHooks, hookimpl

BASE, TOKENS = "https://api.agency.example/v1", "https://id.agency.example/token"
TRANSPORT = {
    "kind": "https",
    "base_url": BASE,
    "auth": {"kind": "oauth2", "token_url": TOKENS, "client_id": "fjord", "audience": "cases"},
}


class ApiAgency(AgencyHooks):
    """Takes new claims by ``POST /cases``; can be searched for them unless *is_blind*."""

    api_version = "1.1"
    is_blind = False

    @hookimpl
    def agency_profile(self):
        layout = LayoutProfile("api-1", "An API", "invented", series={"cases": Series()}, carries=frozenset())
        return AgencyProfile(
            key="lowell",
            name="Agency with an API",
            markets=frozenset({"NO"}),
            currencies=frozenset({"NOK"}),
            services=frozenset({Service.LEDGER}),
            can=Can.EXPORT_INVOICE | Can.IMPORT_RECEIPT | Can.ACKNOWLEDGE,
            layouts=(layout,),
            delivery_is_idempotent=False,
        )

    @hookimpl
    def export_invoice(self, claims, agreement, seal, sink):
        planned = (
            files.Planned(
                "invoice",
                claim.claim_id,
                "case",
                {
                    "number": claim.invoice_number,
                    "amount": Decimal(claim.original_minor).scaleb(-2),
                    "ssn": "01018012345",
                },
                Totals(claims=1, debit_minor=claim.original_minor),
                ("01018012345",),
            )
            for claim in claims
        )
        head = files.Head("lowell", "api-1", "cases", seal.sequences["cases"], seal.file_ids["cases"], "NOK", True)
        with sink.open("cases.jsonl") as stream:
            totals = files.write_calls(stream, head, planned)
        return (Envelope("cases", head.sequence, "cases.jsonl", files.MEDIA_TYPE, "NOK", totals),)

    @hookimpl
    def verify_envelope(self, source):
        return files.totals_of(source)

    @hookimpl
    def deliver(self, envelope, content, calls):
        doubt = None
        for one in files.CallFile(content):
            request = Request("POST", "/cases", body=files.encoded(one.body), private=one.private)
            try:
                calls.once(one.key(), request, None if self.is_blind else self._found(calls, one.body["number"]))
            except DeliveryInDoubt as error:
                doubt = error
        if doubt:
            raise doubt
        return envelope.filename

    def _found(self, calls, number):
        def found():
            answer = calls.ask(Request("GET", "/cases", query=(("number", number),)))
            return answer if json.loads(answer.body) else None

        return found

    @hookimpl
    def identify_inbound(self, file):
        return InboundKind.RECEIPT if files.answers_head(file.head) else InboundKind.NOTICE

    @hookimpl
    def import_receipt(self, file):
        return files.receipt(file, self._case, lambda answer: ("refused", answer.body.decode()))

    def _case(self, _step, answer: Answer):
        told = json.loads(answer.body)
        return str((told[0] if isinstance(told, list) else told)["id"])

    @hookimpl
    def fetch(self, calls, since):
        told = json.loads(calls.ask(Request("GET", "/news", query=(("since", since),))).body)
        found = tuple(Fetched(f"news-{one}.json", files.encoded({"news": one})) for one in told["news"])
        return Page(found, told["until"], told["more"])

    @hookimpl
    def check_webhook(self, headers, body, secrets):
        return Webhook("" if headers.get("x-secret") in secrets else "the secret is another", body.decode()[:20])

    @hookimpl
    def acknowledge(self, file, reference, calls):
        calls.once("booked", Request("PATCH", "/booked", body=files.encoded({"as": reference, "size": file.size})))


class FarSide:
    """What the agency has, and how it answers: *moods* are used up one a ``POST``, then it answers as it should.

    *meanwhile* happens while it is at a ``POST``.
    """

    def __init__(self, mocked: responses.RequestsMock) -> None:
        self.cases: dict[str, int] = {}
        self.moods: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None
        self.tokens, self.posts, self.good = 0, 0, "t1"
        mocked.add_callback(responses.POST, TOKENS, self._token)
        mocked.add_callback(responses.POST, f"{BASE}/cases", self._post)
        mocked.add_callback(responses.GET, f"{BASE}/cases", self._search)

    def _token(self, request):
        assert "audience=cases" in request.body
        self.tokens += 1
        self.good = f"t{self.tokens}"
        return 200, {}, json.dumps({"access_token": self.good, "expires_in": 3600})

    def _post(self, request):
        self.posts += 1
        self.meanwhile()
        mood = self.moods.pop(0) if self.moods else ""
        if mood == "expired":
            self.good = "gone"
        if request.headers["Authorization"] != f"Bearer {self.good}":
            return 401, {}, ""
        if mood in {"429", "503"}:
            return int(mood), {"Retry-After": "600"}, ""
        if mood == "soon":
            return 429, {"Retry-After": "20"}, ""
        if mood == "refused":
            return 422, {}, '{"errors":{"number":["no good"]}}'
        if mood == "down":
            raise requests.ConnectTimeout
        number = json.loads(request.body)["number"]
        if mood != "lost":
            assert number not in self.cases, "twice"
            self.cases[number] = 100 + len(self.cases)
        if mood in {"silent", "lost"}:
            raise requests.ReadTimeout
        if mood in {"303", "408", "500"}:
            return int(mood), {}, "oops"
        return (
            201,
            {"Location": f"{BASE}/cases/01018012345"},
            json.dumps({"id": self.cases[number], "ssn": "01018012345"}),
        )

    def _search(self, request):
        found = self.cases.get(request.params["number"])
        return 200, {}, json.dumps([{"id": found}] if found else [])
