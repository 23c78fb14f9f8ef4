"""Evenings of a creditor with Ophelos, over real TLS with the sandbox: there once, whatever breaks; and back again."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from gateway import https
from gateway.db.tables import AgencyCall, Claim, ClaimInstruction, Envelope, InboundFile
from gateway.domain.instructions import Action
from gateway.jobs import Desk
from gateway.services import agreements, inbound, instructions, mailbox, schedule
from gateway.testing.api_sandbox import Pusher, serving
from gateway.web.webhooks import webhook_blueprint
from plugins.intrum.ophelos_sandbox import OphelosSandbox
from tests.rules.world import ACTOR, World

LAYOUT = "ophelos-2025-04-01"
HOOK_KEY = "a key that both sides know"


@dataclass
class Ophelos:
    """A creditor in euros, its agreement with Ophelos, and the sandbox behind it."""

    world: World
    far: OphelosSandbox

    def work(self, **later: float) -> None:
        """Let time pass, and the worker do what is due."""
        self.world.clock.advance(**later)
        schedule.tick(self.world.house)
        Desk(self.world.house, "worker-1").drain()

    def evening(self) -> None:
        """Make the evening's run, and let it arrive."""
        self.world.clock.moment = self.world.preview().cutoff
        self.work(seconds=5)

    def hours(self, count: int, step: int = 1) -> None:
        for _ in range(0, count, step):
            self.work(hours=step)

    def look(self) -> None:
        """Ask what is new, and read it."""
        mailbox.fetch(self.world.house, self.world.agreement_id)
        self.work(seconds=1)

    def pay(self, name: str, euros: float) -> str:
        return self.far.pay(self.world.claim(name).claim_id, round(euros * 100), self.world.clock().date(), "succeeded")

    def statuses(self) -> dict[str, str]:
        """Statuses of the debts, by our names of the invoices."""
        return {debt["account_number"]: debt["status"]["value"] for debt in self.debts()}

    def debts(self) -> list[dict[str, Any]]:
        client = self.far.app.test_client()
        form = {"grant_type": "client_credentials", "client_id": "kravport", "client_secret": "sandbox"}
        token = client.post("/oauth/token", data={**form, "audience": "ophelos-api"}).get_json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Ophelos-Version": "2025-04-01"}
        told = client.get("/debts?limit=100", headers=headers).get_json()
        assert not told["has_more"]
        return list(reversed(told["data"]))

    def differences(self) -> dict[str, tuple[int, int]]:
        """Claims whose balance is another on the two sides."""
        theirs = self.far.balances()
        ours = {row.claim_id: row.told_minor - row.agency_paid_minor for row in self.world.rows(Claim)}
        assert ours.keys() == theirs.keys()
        return {claim: (ours[claim], theirs[claim]) for claim in ours if ours[claim] != theirs[claim]}


@pytest.fixture
def creditor(house, clock, tmp_path, monkeypatch):
    yield from opened(house, clock, tmp_path, monkeypatch)


@pytest.fixture
def sqlite_creditor(sqlite_house, clock, tmp_path, monkeypatch):
    """For what is Ophelos' affair and not the database's."""
    yield from opened(sqlite_house, clock, tmp_path, monkeypatch)


def opened(house, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(https, "WAIT_SECONDS_MAX", 0.0)  # a wait is kept by the simulated clock, never slept
    with closing(OphelosSandbox(tmp_path / "far", {}, now=clock)) as far, serving(far) as door:
        way = far.way_in(door.address, door.ca_pem)
        options = {
            "profile": LAYOUT,
            "settings": {"organisation_id": "org_1"},
            "transport": way["transport"],
        }
        world = World(house, clock, tmp_path, "intrum", "SE", "EUR", options).start()
        agreements.change_agreement(house, world.agreement_id, {"fetch_minutes": 240}, ACTOR)
        agreements.set_secret(
            house, world.agreement_id, "api_client_secret", way["secrets"]["api_client_secret"], ACTOR
        )
        agreements.set_secret(house, world.agreement_id, "webhook_secret", HOOK_KEY, ACTOR)
        world.customer()
        world.customer("10002", name="Sjöbodens Plåt", phone="")
        for number, euros in (("1001", 1250), ("1002", 80.5), ("1003", 300)):
            world.invoice(number, euros, customer="c10002" if number == "1003" else "c10001")
        yield Ophelos(world, far)


def test_an_evening_there_and_the_money_back(creditor):
    world, far = creditor.world, creditor.far
    world.payment("p1", 250)
    world.link("1001", "p1")
    creditor.evening()
    assert creditor.statuses() == {"1001": "prepared", "1002": "prepared", "1003": "prepared"}
    assert set(far.creations().values()) == {1}
    assert sum(kind == "customer" for kind, _ in far.creations()) == 2, "two invoices of one customer, one customer"
    debts = {debt["account_number"]: debt for debt in creditor.debts()}
    assert {number: world.claim(number).case_number for number in debts} == {
        number: debt["id"] for number, debt in debts.items()
    }
    assert debts["1001"]["summary"]["amount_remaining"] == 100_000
    assert world.rows(Envelope)[0].state == "accepted"
    creditor.pay("1002", 80.5)
    creditor.pay("1003", 100)
    far.pay_out(world.clock().date())
    creditor.look()
    kinds = sorted(row.kind for row in world.rows(InboundFile))
    assert kinds == ["case_status"] * 3 + ["payments"] * 2 + ["receipt", "settlement"], "our own payment is no news"
    assert {(row.match_rule, row.state) for row in world.payments()} == {("case_number", "proposed")}
    world.post()
    assert (world.open("1002"), world.open("1003")) == (0, 200)
    assert {name: world.claim(name).agency_state for name in debts} == {
        "1001": "received", "1002": "closed", "1003": "received",
    }  # fmt: skip
    assert creditor.differences() == {}
    creditor.evening()
    assert far.creations().total() == len(far.creations()), "the agency's own money is not told back to it"
    assert creditor.differences() == {}


def test_later_items_and_instructions_go_to_the_debt(creditor):
    world, far = creditor.world, creditor.far
    creditor.evening()
    world.credit_note("501", 50, credits_="1001")
    world.link("1001", "501")
    for name, action in (("1001", Action.HOLD), ("1002", Action.WITHDRAW), ("1003", Action.DISPUTE)):
        instructions.instruct(world.house, world.entry_id(name), action, ACTOR, reason="Avtalt")
    creditor.evening()
    assert creditor.statuses() == {"1001": "paused", "1002": "withdrawn", "1003": "disputed"}
    assert {row.state for row in world.rows(ClaimInstruction)} == {"accepted"}
    for name, action in (("1001", Action.RELEASE), ("1003", Action.DISPUTE_RESOLVED)):
        instructions.instruct(world.house, world.entry_id(name), action, ACTOR)
    creditor.evening()
    creditor.look()
    assert creditor.statuses() == {"1001": "resumed", "1002": "withdrawn", "1003": "assessing"}
    assert {name: world.claim(name).agency_state for name in ("1001", "1002", "1003")} == {
        "1001": "active", "1002": "closed", "1003": "active",
    }  # fmt: skip
    paused = next(call for call in far.calls() if call.path.endswith("/pause"))
    assert json.loads(paused.body)["reason"].startswith("Avtalt (kp-i-")
    assert far.balances()[world.claim("1001").claim_id] == 120_000


def test_a_refused_claim_stays_with_its_reason_and_the_others_go(sqlite_creditor):
    creditor = sqlite_creditor
    world = creditor.world
    creditor.far.refuse("1002", "due_on", "lies too far back")
    world.payment("p1", 20)
    world.link("1002", "p1")
    world.customer("10002", email="", phone="")
    creditor.evening()
    assert creditor.statuses() == {"1001": "prepared"}
    assert world.claim("1003") is None, "a debtor whom nobody can reach is held before anything is sent"
    assert (world.claim("1001").state, world.claim("1002").state) == ("accepted", "rejected")
    [item] = world.sent_items("1002")
    assert (item.state, item.reason_code, item.reason_text) == ("rejected", "422", "422: due_on: lies too far back")
    assert world.sent_items("p1")[-1].state == "rejected", "what belongs to it goes again with it"


def test_a_refund_is_a_reversal_of_its_payment(sqlite_creditor):
    creditor = sqlite_creditor
    world = creditor.world
    creditor.evening()
    paid = creditor.pay("1003", 300)
    creditor.look()
    world.post()
    assert world.open("1003") == 0
    creditor.world.clock.advance(minutes=5)
    creditor.far.refund(paid)
    creditor.look()
    [back] = world.payments(is_reversal=True)
    assert (back.reverses_key, back.amount_minor, back.state) == (f"ophelos:{paid}", 30_000, "proposed")
    world.post(is_reversal=True)
    assert world.open("1003") == 300
    assert world.claim("1003").agency_state == "active"


@pytest.mark.rule("R-OP-08", "R-PM-03")
def test_money_that_comes_before_the_receipt_finds_its_claim_by_the_debt_that_ophelos_told(sqlite_creditor):
    creditor = sqlite_creditor
    world, lost = creditor.world, []

    class Silent(creditor.far.trouble.__class__):
        """The last debt is made ready, and nobody hears of it."""

        def strikes(self, way):
            ready = sum(kind == "action" for kind, _ in creditor.far.creations())
            is_now = way == "timeout_after_commit" and ready == 3 and not lost
            lost.extend([way] if is_now else [])
            return is_now

    creditor.far.trouble.__class__ = Silent
    creditor.evening()
    assert (world.rows(Envelope)[0].receipt_at, len(creditor.debts()), len(lost)) == (None, 3, 1)
    creditor.pay("1003", 300)
    creditor.look()
    assert [(row.match_rule, row.entry_id) for row in world.payments()] == [("case_number", world.entry_id("1003"))]
    assert world.rows(Envelope)[0].receipt_at is None


# --- trouble ---------------------------------------------------------------------------------------------------------

TROUBLE = (
    ("timeout_after_commit", "rate_limited", "truncated_answer"),
    ("server_error", "expired_token", "connection_refused_before"),
)


@pytest.mark.slow
@pytest.mark.rule("P1", "P4", "P8")
@pytest.mark.parametrize("ways", TROUBLE, ids="-".join)
def test_whatever_breaks_everything_is_there_once_and_the_ledgers_agree(sqlite_creditor, ways):
    creditor = sqlite_creditor
    world, far = creditor.world, creditor.far
    far.misbehave(ways, 3)
    for number in range(2001, 2005):
        world.invoice(str(number), 100, customer="c10002")
    world.payment("p1", 250)
    world.link("1001", "p1")
    creditor.evening()
    creditor.hours(4)
    world.credit_note("501", 40, credits_="1003")
    world.link("1003", "501")
    instructions.instruct(world.house, world.entry_id("1002"), Action.HOLD, ACTOR, reason="Avtalt")
    creditor.evening()
    creditor.hours(4)
    struck = dict(far.trouble.happened)
    far.misbehave(())
    creditor.hours(32, 4)
    paid = [creditor.pay(name, 100) for name in ("2001", "2002", "2003")]
    far.misbehave(ways, 4)
    creditor.hours(3)
    far.misbehave(())
    creditor.hours(8, 4)
    assert all(struck[way] > 3 for way in ways)
    assert {row.state for row in world.rows(Envelope)} == {"accepted"}
    assert world.rows(AgencyCall, AgencyCall.state != "answered") == []
    created = far.creations()
    assert set(created.values()) == {1}
    assert sorted(kind for kind, _ in created) == ["action"] * 8 + ["customer"] * 2 + ["debt"] * 7 + ["item"] * 2
    assert sorted(row.key for row in world.payments()) == sorted(f"ophelos:{one}" for one in paid)
    world.post()
    assert creditor.differences() == {}


def test_webhooks_only_ring(sqlite_creditor):
    """Late, twice and in the wrong order: each new one brings a look, and no fact is taken from any."""
    creditor = sqlite_creditor
    world, far = creditor.world, creditor.far
    token = agreements.new_webhook_token(world.house, world.agreement_id, ACTOR)
    address = f"/webhooks/intrum/{token}"
    told = {"url": f"https://kravport.example{address}", "secret": HOOK_KEY}
    (far.root / "webhook.json").write_text(json.dumps(told))
    app = Flask("door")
    app.register_blueprint(webhook_blueprint(world.house))
    door, statuses = app.test_client(), []

    def post(push):
        statuses.append(door.post(address, data=push.body, headers=dict(push.headers)).status_code)
        return statuses[-1] in {200, 202}

    creditor.evening()
    creditor.pay("1003", 300)
    far.misbehave({"duplicate_webhook", "late_webhook", "wrong_order_webhook"}, 4)
    pusher = Pusher(far, post)
    for _ in range(14):
        pusher.work(world.clock())
        creditor.work(hours=3)
    assert far.pushes() == []
    assert set(statuses) == {202, 200}, "200: it was here before"
    assert [payment.key[:12] for payment in world.payments()] == ["ophelos:pay_"]
    rung = [row for row in world.rows(InboundFile) if row.channel == inbound.BELL]
    assert {(row.kind, row.state) for row in rung} == {("notice", "imported")}
    assert len(rung) == statuses.count(202) == 7
    forged = {"Ophelos-Signature": "t=1,v1=00"}
    assert door.post(address, data=b'{"id":"evt_1","object":"event","type":"x"}', headers=forged).status_code == 401
    assert door.post(address, data=b"{}").status_code == 401


def test_files_of_the_other_layout_are_still_pushed_by_standard_webhooks(sqlite_house, clock, tmp_path):
    world = World(sqlite_house, clock, tmp_path, "intrum", "SE", "SEK").start()
    token = agreements.new_webhook_token(world.house, world.agreement_id, ACTOR)
    app = Flask("door")
    app.register_blueprint(webhook_blueprint(world.house))
    answer = app.test_client().post(f"/webhooks/intrum/{token}", data=b"whatever it is, the token is the authority")
    assert answer.status_code == 202
