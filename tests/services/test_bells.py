"""A push that anybody could send only rings; what a refused acknowledgement holds up is itself alone."""

from __future__ import annotations

import io
import json
from datetime import date

import pytest

from gateway.db.tables import InboundFile
from gateway.services import agreements, inbound
from gateway.web.webhooks import Allowance
from tests.rules.world import ACTOR
from tests.services.test_kravia_life import LATE, evening, kravia, until, work
from tests.web.conftest import make_app

__all__ = ["kravia"]

EVENT = {"header": {"algorithm": "MD5"}, "signature": "0" * 32}


def forged(world) -> bytes:
    """A push that is both: an event as Kravia sends it, and a settlement as Kravport keeps it."""
    claim = world.claim("1001")
    paid = {"paymentId": 9, "invoiceId": int(claim.case_number), "accountingInvoiceId": claim.claim_id, "invoiceNo": "1001",
            "date": "2026-11-25", "amount": 4600, "capital": 4600}  # fmt: skip
    settlement = {"format": "kravport-kravia-settlement-1", "creditor": "10001", "id": "777",
                  "answer": {"currencyCode": "NOK", "amount": 4600, "collected": [paid]}}  # fmt: skip
    event = {"data": {"timestamp": 1, "eventType": "CaseUpdate", "claimId": 1}, **EVENT}
    return json.dumps(settlement | event, separators=(",", ":")).encode()


@pytest.fixture
def rung(kravia):
    """The agreement with a case at Kravia, and what pushes to its address."""
    world, _ = kravia
    world.invoice("1001", 4600, **LATE)
    evening(world)
    token = agreements.new_webhook_token(world.house, world.agreement_id, ACTOR)
    client = make_app(world.house).test_client()
    return world, lambda body: client.post(f"/webhooks/kravia/{token}", data=body)


@pytest.mark.rule("P8")
def test_no_fact_is_taken_from_a_push_that_anybody_could_send(rung):
    world, push = rung
    content = forged(world)
    assert push(content).status_code == 202
    work(world, seconds=5)
    work(world, seconds=5)
    (file,) = world.rows(InboundFile, InboundFile.channel == inbound.BELL)
    assert (file.kind, file.state, world.payments()) == ("notice", "imported", [])
    told = inbound.store(world.house, world.agreement_id, "https", "settlement.json", io.BytesIO(content))
    assert (told.inbound_file_id, told.is_new) == (file.id, True), (
        "the agency itself tells the same bytes: now they count"
    )
    work(world, seconds=5)
    assert [payment.amount_minor for payment in world.payments()] == [460_000]
    assert push(content).json == {"inbound_file_id": file.id, "duplicate": True}
    work(world, seconds=5)
    (file,) = world.rows(InboundFile, InboundFile.id == file.id)
    assert (file.channel, file.kind, len(world.payments())) == ("https", "payments", 1)


def test_a_flood_of_pushes_is_told_to_come_again(rung, monkeypatch):
    monkeypatch.setattr("gateway.web.webhooks._PUSHES", 3)
    world, _ = rung
    token = agreements.new_webhook_token(world.house, world.agreement_id, ACTOR)
    client = make_app(world.house).test_client()
    bodies = [
        json.dumps({"data": {"timestamp": n, "eventType": "CaseUpdate", "claimId": n}, **EVENT}) for n in range(4)
    ]
    answers = [client.post(f"/webhooks/kravia/{token}", data=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_an_allowance_is_there_again_as_the_takes_grow_old():
    now = [0.0]
    allowance = Allowance(2, 60, lambda: now[0])
    assert [allowance.wait(1), allowance.wait(1), allowance.wait(1), allowance.wait(2)] == [0, 0, 60, 0]
    now[0] = 59.5
    assert allowance.wait(1) == 1
    now[0] = 60.0
    assert [allowance.wait(1), allowance.wait(1), allowance.wait(1)] == [0, 0, 60]


@pytest.mark.rule("P1")
def test_a_settlement_that_the_agency_will_not_hear_of_keeps_no_other_back(kravia):
    world, sandbox = kravia
    for number in ("1001", "1002"):
        world.invoice(number, 1000, **LATE)
    evening(world)
    ids = []
    for number in ("1001", "1002"):
        sandbox.pay(world.claim(number).claim_id, 50_000, date(2026, 11, 25))
        ids.append(sandbox.write_payments(world.clock()))
    until(world, lambda: len(world.payments()) == len(ids), "the payments")
    world.post()
    with sandbox.transaction() as books:  # somebody booked it by hand, in the agency's own pages
        books.execute("delete from settlement where id = ?", (ids[0],))
    until(world, lambda: sandbox.booked().get(ids[1]), "the acknowledgement of the second")
