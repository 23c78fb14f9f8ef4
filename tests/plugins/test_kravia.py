"""Kravia: the documented calls, exactly; answers read by the names of the agreement; nothing guessed (kravia.md)."""

from __future__ import annotations

from gateway.testing.api_conformance import ApiConformance
from plugins import kravia
from plugins.kravia.sandbox import TOKEN, make_sandbox

FACTS = {"client_number": "4711", "currency": "NOK"}


class TestKravia(ApiConformance):
    plugin = kravia.plugin
    make_sandbox = staticmethod(make_sandbox)
    sandbox_facts = FACTS
    api_base = "/api/v2"

    def api_headers(self, client):
        return {"Authorization": TOKEN}
