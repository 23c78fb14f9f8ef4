"""Kravia over real TLS, from the evening to the settlement that is acknowledged; then the same on a line that misbehaves."""

from __future__ import annotations

from datetime import date

import pytest

from gateway import https
from gateway.db.tables import Claim, Envelope, InboundFile
from gateway.jobs import Desk
from gateway.services import agreements, inbound, schedule
from gateway.testing.api_sandbox import serving
from plugins.kravia.sandbox import TOKEN, make_sandbox
from tests.rules.world import ACTOR, World

WAYS = ("timeout_after_commit", "connection_refused_before", "server_error", "rate_limited", "truncated_answer")
LATE = {"booked": date(2026, 9, 1), "due": date(2026, 9, 30), "reminder_date": date(2026, 10, 10)}


@pytest.fixture
def kravia(house, clock, tmp_path, monkeypatch):
    """Fjord AS with an agreement with Kravia's sandbox, reached over HTTPS."""
    sandbox = make_sandbox(tmp_path / "kravia", {"client_number": "10001", "currency": "NOK"})
    sandbox.now = clock
    monkeypatch.setattr(https.time, "sleep", lambda seconds: clock.advance(seconds=seconds))
    with serving(sandbox) as door:
        transport = {
            "kind": "https", "base_url": f"{door.address}/api/v2", "ca": door.ca_pem, "auth": {"kind": "header"},
        }  # fmt: skip
        terms = {"service": "collection", "client_number": "10001", "settings": {}, "transport": transport}
        world = World(house, clock, tmp_path, "kravia", options=terms).start_draft()
        agreements.set_secret(house, world.agreement_id, "api_token", TOKEN, ACTOR)
        agreements.activate(house, world.agreement_id, ACTOR)
        world.customer()
        yield world, sandbox
    sandbox.close()


def work(world, **later):
    world.clock.advance(**later)
    schedule.tick(world.house)
    Desk(world.house, "worker-1").drain()


def evening(world):
    world.clock.moment = world.preview().cutoff
    work(world, seconds=5)
    work(world, seconds=5)


def until(world, is_so, what):
    for _ in range(200):
        if is_so():
            return
        work(world, minutes=16)
    pytest.fail(f"waited in vain for {what}")


def agree(world, sandbox):
    """Both sides' balances by claim id; what the agency refused it does not have."""
    ours = {
        row.claim_id: row.told_minor - row.agency_paid_minor for row in world.rows(Claim, Claim.state != "rejected")
    }
    return ours == sandbox.balances()


@pytest.mark.rule("R-OP-04", "R-OP-09", "R-VL-08")
def test_from_the_evening_to_the_settlement(kravia):
    world, sandbox = kravia
    for number, kroner in (("1001", 4600), ("1002", 1200), ("1003", 300)):
        world.invoice(number, kroner, **LATE)
    world.payment("p1", 600)
    world.link("1001", "p1")
    refused = f"kp-{world.entry_id('1003')}"
    sandbox.refuse("claim", refused, "DEBTOR_UNKNOWN", "no such debtor")
    evening(world)
    assert {row.state for row in world.rows(Envelope)} == {"partly"}
    assert [world.claim(number).state for number in ("1001", "1002", "1003")] == ["accepted", "accepted", "rejected"]
    assert world.claim("1001").case_number.isdigit()
    assert "no such debtor" in world.sent_items("1003")[0].reason_text
    assert agree(world, sandbox)
    assert world.agency_balance("1001") == 4000

    world.credit_note("k1", 200)
    world.link("1002", "k1")
    evening(world)
    assert world.agency_balance("1002") == 1000
    assert agree(world, sandbox)

    claim = world.claim("1002").claim_id
    sandbox.pay(claim, 100_000 + 4_500, date(2026, 11, 25), interest_minor=4_500)
    sandbox.set_status(claim, "Paid")
    settlement = sandbox.write_payments(world.clock())
    until(world, world.payments, "the payment")
    (payment,) = world.payments()
    assert (payment.amount_minor, payment.principal_minor, payment.match_rule) == (104_500, 100_000, "case_number")
    assert (payment.state, sandbox.booked()) == ("proposed", {settlement: ""})
    until(world, lambda: world.claim("1002").agency_state == "closed", "the state of the case")
    world.post()
    until(world, lambda: sandbox.booked()[settlement], "the acknowledgement")
    (file,) = world.rows(InboundFile, InboundFile.kind == "payments")
    assert sandbox.booked() == {settlement: f"kravport-{file.id}"}
    assert agree(world, sandbox)
    evening(world)
    assert [call.path for call in sandbox.calls() if call.method == "POST"].count("/api/v2/invoice/payment") == 1, (
        "no echo"
    )


@pytest.mark.rule("P1")
def test_what_cannot_be_read_is_quarantined_and_read_again_once_the_names_are_mended(kravia):
    world, sandbox = kravia
    world.invoice("1001", 4600, **LATE)
    evening(world)
    agreements.change_agreement(world.house, world.agreement_id, named({"paid_out": "sum", "found": "items"}), ACTOR)
    claim = world.claim("1001").claim_id
    sandbox.pay(claim, 100_000, date(2026, 11, 25))
    sandbox.write_payments(world.clock())
    sandbox.set_status(claim, "Paused")
    until(world, lambda: quarantined(world).keys() >= {"settlement-1.json"}, "the settlement")
    assert not world.payments()
    [unread] = quarantined(world).keys() - {"settlement-1.json"}
    assert unread.startswith("unread-")
    agreements.change_agreement(world.house, world.agreement_id, named({}), ACTOR)
    inbound.replay(world.house, quarantined(world)["settlement-1.json"], ACTOR)
    until(world, lambda: world.claim("1001").agency_state == "paused", "the state of the case")
    assert [payment.amount_minor for payment in world.payments()] == [100_000]
    assert quarantined(world).keys() == {unread}


def named(names):
    return {"settings": {"answer_names": names}}


def quarantined(world):
    return {row.filename: row.id for row in world.rows(InboundFile, InboundFile.state == "quarantined")}


@pytest.mark.slow
@pytest.mark.rule("P1", "P4")
@pytest.mark.parametrize("seed", [3, 4])
def test_whatever_the_line_does_each_claim_is_registered_once(kravia, seed):
    world, sandbox = kravia
    sandbox.misbehave(WAYS, seed, world.clock.advance)
    for number in range(1001, 1009):
        world.invoice(str(number), number, **LATE)
    world.payment("p1", 100)
    world.link("1001", "p1")
    evening(world)
    until(world, lambda: all(row.receipt_at for row in world.rows(Envelope)), "the receipts")
    world.payment("p2", 50)
    world.link("1002", "p2")
    evening(world)
    until(world, lambda: all(row.receipt_at for row in world.rows(Envelope)), "the later receipts")
    sandbox.pay_some(date(2026, 11, 25), seed)
    sandbox.write_payments(world.clock())
    until(world, world.payments, "the payments")
    world.post()
    until(world, lambda: all(sandbox.booked().values()), "the acknowledgement")
    assert set(sandbox.creations().values()) == {1}
    assert len(sandbox.creations()) == 10
    assert agree(world, sandbox)
    assert sum(sandbox.trouble.happened.values()) > 8
