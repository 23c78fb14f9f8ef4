"""Lowell's Assignment API: the body of the published table, and nothing taken from an answer that nobody has described (lowell.md 1)."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import ClassVar

import pytest

from gateway.domain.calls import Answer
from gateway.domain.exchange import CustomerKind, Direction, Origin
from gateway.domain.identifiers import make_viitenumero
from gateway.formats.calls import encoded
from gateway.testing.agency_kit import sample_agreement, sample_claim, sample_customer, sample_item
from gateway.testing.api_conformance import ApiConformance
from plugins import lowell
from plugins.lowell import assignment
from plugins.lowell.assignment_sandbox import CLIENT, REALM, SECRET
from plugins.lowell.sandbox import make_sandbox

LAYOUT = "lowell-fi-assignment-1"
SETTINGS = {
    "environment": "test", "subclient_id": "900001", "assignment_type": "Collection", "receivable_type": "Sales",
    "voluntary_collection_forbidden": False,
}  # fmt: skip
OF_THE_EXAMPLE_ONLY = ("descriptionLines", "nationality", "reminderFee", "lines")
"""Optional fields of the example that a claim of Kravport's does not hold: order number, nationality, own charges, rows."""


class TestLowellAssignment(ApiConformance):
    plugin = lowell.plugin
    layout, market = LAYOUT, "FI"
    settings = SETTINGS
    make_sandbox = staticmethod(make_sandbox)
    sandbox_facts: ClassVar = {"layout": LAYOUT, "subclient_id": "900001"}

    def api_headers(self, client):
        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
        return {"Authorization": f"Bearer {client.post(REALM, data=form).get_json()['access_token']}"}

    def claim(self, agreement, number):
        return sample_claim("FI", number)._replace(payment_reference=make_viitenumero(f"{5000 + number}"))

    def test_payments_are_read_whole_and_have_an_identity(self):
        """No call tells of money: it comes through the bank."""


@pytest.fixture
def agreement():
    return sample_agreement(
        lowell.PROFILE, {**SETTINGS, "interest_rate_code": "FI_Consumer"}, market="FI", layout=LAYOUT
    )


def claim_of(**changes):
    customer = sample_customer("FI")._replace(
        name="Ostaja Oy", organisation_number="23456780", address1="Kauppakatu 1", postcode="33100", city="TAMPERE",
        phone="0401234567", email="ap@example.test",
    )  # fmt: skip
    values = {
        "claim_id": "AGW-2026-000123", "invoice_number": "100019", "invoice_date": date(2026, 10, 15),
        "due_date": date(2026, 10, 29), "reminder_date": date(2026, 11, 6), "original_minor": 124_000, "open_minor": 124_000,
        "payment_reference": "12340001000197", "text": "Consulting October", "customer": customer,
    }  # fmt: skip
    return sample_claim("FI", 1)._replace(**values | changes)


def without(value, names):
    if isinstance(value, dict):
        return {name: without(one, names) for name, one in value.items() if name not in names}
    return [without(one, names) for one in value] if isinstance(value, list) else value


def test_the_body_is_that_of_the_example(agreement, shared):
    text = (shared / "formats/agencies/examples/lowell_assignment_request.json").read_bytes()
    example = without(json.loads(text, parse_float=Decimal), OF_THE_EXAMPLE_ONLY)
    sent = json.loads(encoded(assignment.assignment(claim_of(), agreement)), parse_float=Decimal)
    assert sent == example
    assert [list(sent), list(sent["debtors"][0])] == [list(example), list(example["debtors"][0])], "in its order"


def test_what_was_paid_by_the_hand_over_is_in_the_balance(agreement):
    item = sample_item(1, "direct_payment")._replace(direction=Direction.CREDIT, origin=Origin.CREDITOR)
    planned = assignment._planned(claim_of(items=(item,), open_minor=114_000), agreement)
    invoice = planned.body["invoices"][0]
    assert (invoice["openPrincipal"], invoice["originalInvoice"]["originalPrincipal"]) == (Decimal(1140), Decimal(1240))
    assert planned.totals[:4] == (1, 1, 124_000, 10_000)


@pytest.mark.parametrize(
    ("order", "name", "told"),
    [
        ("first last", "Maija Meikäläinen", ("Maija", "Meikäläinen")),
        ("last first", "Meikäläinen Maija", ("Maija", "Meikäläinen")),
        ("first last", "Maija Liisa Meikäläinen", None),
        ("", "Maija Meikäläinen", None),
    ],
)
def test_a_persons_name_is_never_guessed_apart(agreement, order, name, told):
    named = sample_agreement(lowell.PROFILE, {**SETTINGS, "person_names": order}, market="FI", layout=LAYOUT)
    person = claim_of().customer._replace(
        kind=CustomerKind.PRIVATE, name=name, national_id="010180-9026", organisation_number=""
    )
    held = [finding.place for finding in lowell.plugin.check_customer(person, named)]
    assert held == ([] if told else ["name"])
    if told:
        debtor = assignment.assignment(claim_of(customer=person), named)["debtors"][0]
        assert (debtor["type"], debtor["firstName"], debtor["lastName"], debtor["id"]) == (
            "Private",
            *told,
            "010180-9026",
        )


@pytest.mark.parametrize(
    ("changes", "place"),
    [({"payment_reference": ""}, "payment_reference"), ({"payment_reference": "12340001000198"}, "payment_reference"), ({"open_minor": 0}, "open_minor")],
)  # fmt: skip
def test_what_keeps_a_claim_out_is_said(agreement, changes, place):
    assert [finding.place for finding in lowell.plugin.check_claim(claim_of(**changes), agreement)] == [place]
    assert lowell.plugin.check_claim(claim_of(), agreement) == ()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"assignment":"LA-000123","state":"Received"}', "LA-000123"),
        (b'{"id":"kp-17","result":{"number":8812345}}', "8812345"),
        (b'{"a":"LA-000123","b":"LB-000123"}', ""),
        (b'{"created":"2026-11-23T18:00:00","ok":true,"count":1}', ""),
        (b"created", ""),
    ],
)
def test_a_candidate_is_shown_only_where_there_is_one(body, found):
    assert assignment.candidate(body) == found


def test_where_an_answer_points_is_shown_too():
    answer = Answer(201, b"", {"location": "/assignments/LA-000123"})
    assert assignment._awaits(answer).endswith("Answer: /assignments/LA-000123")
