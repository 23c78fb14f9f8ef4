"""A claim at Lowell in Finland: taken without a reference, refused, or in doubt; its money comes through the bank."""

from __future__ import annotations

from datetime import date

import pytest

from gateway import https
from gateway.db.tables import Envelope, InboundFile
from gateway.domain.identifiers import make_viitenumero
from gateway.jobs import Desk
from gateway.services import agreements, delivery, schedule
from gateway.testing.api_sandbox import serving
from plugins.lowell.sandbox import make_sandbox
from tests.plugins.test_lowell_assignment import LAYOUT, SETTINGS
from tests.rules.world import ACTOR, World

AGENCY_ACCOUNT, OWN_ACCOUNT = "FI2112345600000785", "FI5542345670000081"
LATE = {"booked": date(2026, 9, 1), "due": date(2026, 9, 30), "reminder_date": date(2026, 10, 10)}


@pytest.fixture
def lowell(house, clock, tmp_path, monkeypatch):
    """A Finnish creditor with an agreement with Lowell's sandbox, reached over HTTPS with OAuth2."""
    accounts = {"agency_account": AGENCY_ACCOUNT, "creditor_account": OWN_ACCOUNT}
    sandbox = make_sandbox(tmp_path / "api", {"layout": LAYOUT, "subclient_id": "900001", **accounts})
    sandbox.now = clock
    monkeypatch.setattr(https, "_tokens", {})
    with serving(sandbox) as door:
        way = sandbox.way_in(door.address, door.ca_pem)
        terms = {
            "service": "collection", "profile": LAYOUT, "settings": SETTINGS, "transport": way["transport"],
            "agency_accounts": [AGENCY_ACCOUNT], "payment_account": OWN_ACCOUNT,
        }  # fmt: skip
        world = World(house, clock, tmp_path, "lowell", country="FI", currency="EUR", options=terms).start_draft()
        for name, value in way["secrets"].items():
            agreements.set_secret(house, world.agreement_id, name, value, ACTOR)
        agreements.activate(house, world.agreement_id, ACTOR)
        world.customer(organisation_number="2345678-0", country="FI", postcode="00100")
        yield world, sandbox
    sandbox.close()


def invoice(world, number, euro):
    return world.invoice(number, euro, payment_reference=make_viitenumero(number), **LATE)


def evening(world):
    world.clock.moment = world.preview().cutoff
    for _ in range(3):
        world.clock.advance(seconds=5)
        schedule.tick(world.house)
        Desk(world.house, "worker-1").drain()


def posts(sandbox):
    return sum(call.path.endswith("/assignments") for call in sandbox.calls())


@pytest.mark.rule("R-OP-16", "R-PM-06")
def test_taken_refused_and_paid_through_the_bank(lowell):
    world, sandbox = lowell
    for number, euro in (("1001", 1240), ("1002", 300)):
        invoice(world, number, euro)
    world.payment("p1", 240)
    world.link("1001", "p1", ref="L")
    sandbox.refuse("claim", f"kp-{world.entry_id('1002')}", "E17", "debtor is unknown")
    evening(world)
    assert world.agency_balance("1001") == 1000
    assert sandbox.balances() == {world.claim("1001").claim_id: 100_000}
    assert (world.claim("1001").state, world.claim("1001").case_number) == ("accepted", "")
    assert "perhaps LA-000001" in world.sent_items("1001")[0].reason_text
    assert world.sent_items("p1")[0].state == "accepted", "it is in the balance that was taken"
    assert "debtor is unknown" in world.sent_items("1002")[0].reason_text
    assert world.evening().held["1002"] == {"receipt.rejected"}
    (answers,) = world.rows(InboundFile)
    assert [finding["code"] for finding in answers.findings] == ["receipt.rejected"]

    world.payment("p2", 100)
    world.link("1001", "p1", "p2", ref="L")
    assert world.evening().held["p2"] == {"item.not_carried"}, "a person tells Lowell"

    sandbox.pay(world.claim("1001").claim_id, 90_000, date(2026, 11, 26))
    file = sandbox.root / "download" / sandbox.write_camt054(world.clock())
    world.take_file(file.name, file.read_bytes())
    (payment,) = world.payments()
    assert (payment.label, payment.state, payment.agreement_id, payment.entry_id) == (
        "Lowell",
        "proposed",
        world.agreement_id,
        world.entry_id("1001"),
    )
    world.post()
    assert world.evening().sent == set(), "the agency's own money is never echoed"
    assert posts(sandbox) == 2


@pytest.mark.rule("P4")
def test_a_call_without_an_answer_is_never_repeated_by_a_machine(lowell):
    world, sandbox = lowell
    for number in ("1001", "1002"):
        invoice(world, number, 500)
    lost = []

    class Silent(sandbox.trouble.__class__):
        """The first assignment is done and not answered."""

        def strikes(self, way):
            is_first = way == "timeout_after_commit" and not lost and posts(sandbox) == 0 and sandbox.balances()
            lost.extend([way] if is_first else [])
            return bool(is_first)

    sandbox.trouble.__class__ = Silent
    evening(world)
    (envelope,) = world.rows(Envelope)
    assert (envelope.state, posts(sandbox), sandbox.creations().total()) == ("in_doubt", 2, 2), (
        "the other claim went on"
    )
    for _ in range(20):
        world.clock.advance(hours=2)
        schedule.tick(world.house)
        Desk(world.house, "worker-1").drain()
    assert posts(sandbox) == 2
    delivery.confirm_delivery(world.house, envelope.id, ACTOR, arrived=True)
    Desk(world.house, "worker-1").drain()
    assert (posts(sandbox), set(sandbox.creations().values())) == (2, {1})
    assert [world.claim(number).state for number in ("1001", "1002")] == ["accepted", "accepted"]
