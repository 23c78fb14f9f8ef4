"""Calls to Ophelos: searched for before they are made, read again where they conflict, and what a refusal says."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date

import pytest
import responses

from gateway.domain.calls import Answer
from gateway.domain.exchange import InboundKind, LinkKind
from gateway.domain.instructions import Action, Instruction
from gateway.errors import DeliveryError, DeliveryInDoubt
from gateway.formats.calls import encoded
from gateway.testing.agency_kit import as_inbound, sample_claim, sample_item
from plugins.intrum import ophelos, plugin
from tests.plugins.ophelos_cases import AGREEMENT, BASE, CLAIM, LAYOUT, Noting, delivered, listing, made, way


@pytest.mark.parametrize(("setting", "where"), [({}, "/customers/search"), ({"search_address": "list"}, "/customers")])
def test_each_call_names_its_version_and_tenant_and_searches_where_it_is_told(net, setting, where):
    agreement = replace(AGREEMENT, settings={**AGREEMENT.settings, **setting})
    journal = Noting()
    calls = way(journal)
    customer = {"id": "cus_9", "metadata": {"gw_customer": "4711:10001"}}
    stranger = {"id": "cus_8", "metadata": {"gw_customer": "4711:10002"}}
    net.get(BASE + where, **listing(stranger, customer))
    net.get(f"{BASE}/customers/cus_9", json=customer)
    net.get(BASE + where.replace("customers", "debts"), **listing())
    net.post(f"{BASE}/debts", json={"id": "deb_1", "status": {"value": "initializing"}}, status=201)
    net.post(f"{BASE}/debts/deb_1/ready", json={"id": "deb_1", "status": {"value": "prepared"}})
    for _ in range(2):  # a delivery that is tried again asks for nothing it knows
        ophelos.deliver(io.BytesIO(made([CLAIM], agreement)), agreement, calls)
    asked = [call.request for call in net.calls]
    assert [request.method for request in asked] == ["GET", "GET", "GET", "POST", "POST"]
    assert asked[0].params == {"query": "metadata['gw_customer']:'4711:10001'", "limit": "100"}
    assert {(one.headers["Ophelos-Version"], one.headers["OPHELOS_TENANT_ID"]) for one in asked} == {
        ("2025-04-01", "ten_7")
    }
    assert json.loads(asked[3].body)["customer_id"] == "cus_9"
    assert list(journal.notes) == ["invoice:kp-1:customer", "invoice:kp-1:debt", "invoice:kp-1:ready"]


def test_a_customer_in_doubt_is_not_made_again_for_the_next_invoice(net):
    net.get(f"{BASE}/customers/search", **listing())
    net.post(f"{BASE}/customers", status=500)
    with pytest.raises(DeliveryInDoubt):
        delivered(made([CLAIM, sample_claim("FI", 2)._replace(customer=CLAIM.customer)]))
    assert sum(call.request.method == "POST" for call in net.calls) == 1


@pytest.mark.rule("P4")
@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403, "json": {"message": "no scope"}},
        {"body": "<html>maintenance</html>"},
        {"json": {"object": "list", "data": {}}},
        {"json": {"object": "list", "data": [{"id": "cus_1", "metadata": "none"}]}},
        {"json": {"object": "list", "data": []}, "headers": {"Link": '<x>; rel="next"'}},
    ],
)
def test_a_search_that_shows_nothing_keeps_its_own_claim_back_and_no_other(net, answer):
    other = sample_claim("FI", 2)._replace(customer=CLAIM.customer._replace(customer_number="10002"))
    found = listing({"id": "cus_9", "metadata": {"gw_customer": "4711:10002"}})
    for number, shown in (("10001", answer), ("10002", found)):
        query = {"query": f"metadata['gw_customer']:'4711:{number}'", "limit": "100"}
        net.get(f"{BASE}/customers/search", match=[responses.matchers.query_param_matcher(query)], **shown)
    net.get(f"{BASE}/customers/cus_9", json={"id": "cus_9"})
    net.get(f"{BASE}/debts/search", **listing())
    debt = net.post(f"{BASE}/debts", json={"id": "deb_2", "status": "prepared"}, status=201)
    with pytest.raises(DeliveryError):
        delivered(made([CLAIM, other]))
    assert [json.loads(call.request.body)["account_number"] for call in debt.calls] == ["5002"]


@pytest.mark.parametrize(
    ("action", "status", "reason", "noted"),
    [
        (Action.WITHDRAW, "withdrawn", "Avtalt (kp-i-9)", 200),
        (Action.WITHDRAW, "withdrawn", "theirs", 409),
        (Action.HOLD, "paused", "Avtalt (kp-i-9)", 200),
        (Action.HOLD, "paying", None, 409),
        (Action.RELEASE, "contacted", None, 200),
        (Action.RELEASE, "paused", None, 409),
        (Action.RELEASE, "withdrawn", None, 409),
        (Action.DISPUTE_RESOLVED, "assessing", None, 200),
        (Action.DISPUTE_RESOLVED, "disputed", None, 409),
    ],
)
def test_after_a_conflict_the_debt_is_read_and_decides(net, action, status, reason, noted):
    told = Instruction("kp-i-9", action, date(2026, 11, 23), reason="Avtalt")
    content = made([CLAIM._replace(instructions=(told,), case_number="deb_1")], are_new=False)
    word = {"withdraw": "withdraw", "hold": "pause", "release": "resume", "dispute-resolved": "resolve-dispute"}[
        action.value
    ]
    net.post(f"{BASE}/debts/deb_1/{word}", status=409, json={"message": "state"})
    net.get(f"{BASE}/debts/deb_1", json={"id": "deb_1", "status": {"value": status, "reason": reason}})
    assert [answer.status for answer in delivered(content).notes.values()] == [noted]


@pytest.mark.parametrize(("there", "noted"), [("kp-900001-1", 200), ("kp-900002-1", 409)])
def test_after_a_conflict_an_item_is_looked_for(net, there, noted):
    content = made(
        [CLAIM._replace(items=(sample_item(1, LinkKind.DIRECT_PAYMENT),), case_number="deb_1")], are_new=False
    )
    net.post(f"{BASE}/debts/deb_1/payments", status=409, json={"message": "known"})
    net.get(f"{BASE}/debts/deb_1/payments", **listing({"id": "pay_1", "transaction_ref": there}))
    assert [answer.status for answer in delivered(content).notes.values()] == [noted]


def test_after_a_conflict_a_customer_made_meanwhile_is_taken(net):
    found = {"id": "cus_9", "metadata": {"gw_customer": "4711:10001"}}
    net.get(f"{BASE}/customers/search", **listing())
    net.get(f"{BASE}/customers/search", **listing(found))
    net.post(f"{BASE}/customers", status=409, json={"message": "exists"})
    net.get(f"{BASE}/debts/search", **listing())
    debt = net.post(f"{BASE}/debts", json={"id": "deb_1", "status": "prepared"}, status=201)
    delivered(made([CLAIM]))
    assert json.loads(debt.calls[0].request.body)["customer_id"] == "cus_9"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(422, b'{"errors":{"currency":["is not included"],"amount":["a","b"]}}'), ("422", "currency: is not included; amount: a, b")),
        (Answer(409, b'{"message":"already withdrawn"}'), ("409", "already withdrawn")),
        (Answer(400, b"<html>bad</html>"), ("400", "<html>bad</html>")),
        (Answer(404, b'{"errors":[]}'), ("404", '{"errors":[]}')),
    ],
)  # fmt: skip
def test_a_refusal_is_told_field_by_field_and_else_in_its_own_words(answer, told):
    key = "invoice:kp-1:debt"
    head = {"format": "kravport-answers-1", "agency": "intrum", "layout": LAYOUT, "kind": "claims", "sequence": 1,
            "file_id": "f", "currency": "EUR", "is_test": True}  # fmt: skip
    lines = (head, {"key": "invoice:kp-2:debt", "status": 201, "body": '{"id":"deb_2"}'},
             {"key": key, "status": answer.status, "body": answer.body.decode()})  # fmt: skip
    file = as_inbound(b"".join(encoded(line) + b"\n" for line in lines))
    assert plugin.identify_inbound(file, (AGREEMENT,)) is InboundKind.RECEIPT
    taken, refused = plugin.import_receipt(file, (AGREEMENT,)).objects
    assert (taken.object_id, taken.is_accepted, taken.case_number) == ("kp-2", True, "deb_2")
    assert (refused.object_id, refused.is_accepted, refused.reason_code, refused.reason_text) == ("kp-1", False, *told)
