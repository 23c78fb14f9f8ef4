"""A claim in euros, an agreement with Ophelos, and the way there, for tests of what is sent and what is asked."""

from __future__ import annotations

import io

from gateway import https
from gateway.services.called import Repeated
from gateway.testing.agency_kit import MemorySink, sample_agreement, sample_claim, sample_seal
from plugins.intrum import PROFILE, ophelos, plugin

LAYOUT, BASE = "ophelos-2025-04-01", "https://api.ophelos.example"
AGREEMENT = sample_agreement(PROFILE, {"organisation_id": "org_1", "tenant_id": "ten_7"}, market="FI", layout=LAYOUT)
CLAIM = sample_claim("FI", 1)


def made(claims, agreement=AGREEMENT, *, are_new=True):
    sink = MemorySink()
    export = plugin.export_invoice if are_new else plugin.export_linked_items
    export(claims, agreement, sample_seal(PROFILE, agreement), sink)
    [content] = sink.files.values()
    return content


class Noting(Repeated):
    """Keeps answers for a delivery that is tried again."""

    def __init__(self):
        self.notes = {}

    def begin(self, key, request):
        return self.notes.get(key)

    known = lambda self, key: self.notes.get(key)  # noqa: E731

    def answered(self, key, request, answer):
        self.notes[key] = answer


def listing(*things, **headers):
    return {"json": {"object": "list", "data": list(things)}, "headers": headers}


def way(journal):
    transport = {"kind": "https", "base_url": BASE, "auth": {"kind": "bearer"}}
    return https.open_calls(transport, {"api_token": "sk_test"}, journal)


def delivered(content, agreement=AGREEMENT):
    """Deliver a file; return what was noted."""
    journal = Noting()
    ophelos.deliver(io.BytesIO(content), agreement, way(journal))
    return journal
