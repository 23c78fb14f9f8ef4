"""An agency's text with NUL or half a character in it: written out where it crosses into the host, and all else goes on (P18)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.db.tables import Envelope, InboundFile, Task
from gateway.domain.exchange import CaseStatus, Direction, InboundKind, ObjectReceipt, Receipt
from gateway.errors import DeliveryError
from tests.rules.far import store
from tests.services.test_broken_plugins import Stream, evening, odd, payment, sound, work

__all__ = ["odd", "sound"]


@pytest.mark.rule("P18")
def test_a_text_that_no_database_takes_is_written_out_and_the_rest_takes_effect(sound, odd):
    fjord, _ = sound
    evening(fjord)
    claim_id = fjord.claim("1001").claim_id
    (envelope,) = fjord.rows(Envelope, Envelope.agreement_id == fjord.agreement_id, Envelope.claims == 1)
    taken = ObjectReceipt("invoice", claim_id, True, "C\0\ud83d")
    status = CaseStatus("", claim_id, "", "active", "", "", date(2026, 11, 24), "", "half \ud83d")
    paid = payment(direction=Direction.CREDIT, payer_address="A\nB")
    rows = [paid._replace(position=n, key=f"lowell:{sign}") for n, sign in enumerate("\0\1", 1)]
    receipt = Receipt(envelope.kind, envelope.sequence, "", "accepted", "", "", (taken,))
    for kind, told in (("receipt", receipt), ("case_status", [status]), ("payments", Stream(*rows))):
        odd.instead["identify_inbound"] = lambda *_, kind=kind: InboundKind(kind)
        odd.instead[f"import_{kind}"] = lambda *_, told=told: told
        stored = store(fjord, f"odd-{kind}", kind.encode())
        work(fjord, seconds=1)
        file = fjord.row(InboundFile, stored.inbound_file_id)
        assert (file.state, file.transactions) == ("imported", len(rows) if kind == "payments" else 1)
    claim = fjord.claim("1001")
    assert (claim.case_number, claim.agency_state_text) == ("C\\u0000\\ud83d", "half \\ud83d")
    assert [(row.key, row.payer_address) for row in fjord.payments()] == [
        ("lowell:\\u0000", "A\nB"),
        ("lowell:\\u0001", "A\nB"),
    ], "two payments stay two"


@pytest.mark.rule("P18")
def test_an_error_that_quotes_what_no_database_takes_is_kept(sound, odd):
    fjord, _ = sound

    def quotes(*_):
        raise DeliveryError("far side: \0\ud83d")

    odd.instead["deliver"] = quotes
    evening(fjord)
    tried = fjord.rows(Task, Task.topic == "deliver", Task.last_error.startswith("far side"))
    assert [(task.state, task.last_error) for task in tried] == [("pending", "far side: \\u0000\\ud83d")]
