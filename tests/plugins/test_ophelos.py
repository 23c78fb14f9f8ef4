"""Ophelos' API from this side: what is sent, what is searched, what each answer means; every fact written out by hand."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import re
from dataclasses import replace
from datetime import date
from typing import ClassVar

import pytest
import responses

from gateway.domain.exchange import Direction, InboundKind, LinkKind, Severity
from gateway.domain.instructions import Action, Instruction
from gateway.errors import DataError, DecodeError, EncodeError
from gateway.formats.calls import CallFile, encoded
from gateway.services.called import Repeated
from gateway.testing.agency_kit import (
    NOW,
    MemorySink,
    as_inbound,
    sample_agreement,
    sample_claim,
    sample_item,
    sample_seal,
)
from gateway.testing.api_conformance import ApiConformance
from plugins.intrum import PROFILE, ophelos, plugin
from plugins.intrum.sandbox import make_sandbox
from tests.plugins.ophelos_cases import AGREEMENT, BASE, CLAIM, LAYOUT, listing, made, way


class TestOphelos(ApiConformance):
    plugin = plugin
    layout, market = LAYOUT, "FI"
    settings: ClassVar = {"organisation_id": "org_1"}
    make_sandbox = staticmethod(make_sandbox)
    sandbox_facts: ClassVar = {"layout": LAYOUT}

    def claim(self, agreement, number):
        """What comes later needs the debt's id."""
        return sample_claim(agreement.market, number)._replace(case_number="deb_1")

    def api_headers(self, client):
        form = {"grant_type": "client_credentials", "client_id": "kravport", "client_secret": "sandbox"}
        token = client.post("/oauth/token", data={**form, "audience": "ophelos-api"}).get_json()["access_token"]
        return {"Authorization": f"Bearer {token}"}


def planned(*claims, **more):
    return list(CallFile(io.BytesIO(made(claims, **more))))


@pytest.fixture
def calls():
    return way(Repeated())


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_a_new_claim_says_what_the_manual_shows_and_nothing_of_ours():
    claim = CLAIM._replace(text="betaler aldri, se intern note")
    [one] = planned(claim)
    assert one.body == {
        "customer": {
            "kind": "unknown", "full_name": "Nordfjord Bygg 1", "preferred_locale": "fi",
            "contact_details": [
                {"type": "email", "value": "post@nordfjord.example", "primary": True, "source": "client"},
                {"type": "phone_number", "value": "22334455", "primary": True, "source": "client"},
            ],
            "metadata": {"gw_customer": "4711:10001"},
        },
        "debt": {
            "organisation_id": "org_1", "account_number": "5001", "currency": "EUR",
            "metadata": {"gw_case": "4711:kp-1"},
            "invoices": [
                {
                    "reference": "5001", "invoiced_on": "2026-11-02", "due_on": "2026-11-16",
                    "description": "Invoice 5001",
                    "line_items": [
                        {
                            "kind": "debt", "description": "Invoice 5001", "amount": 100_001, "currency": "EUR",
                            "transaction_at": "2026-11-02T00:00:00Z",
                        }
                    ],
                }
            ],
        },
    }  # fmt: skip


def test_items_and_instructions_in_their_own_words():
    charge = sample_item(3, LinkKind.CHARGE)._replace(direction=Direction.DEBIT, charge_kind="interest", number="")
    items = (sample_item(1, LinkKind.DIRECT_PAYMENT), sample_item(2, LinkKind.CREDIT_NOTE), charge)
    told = Instruction("kp-i-9", Action.HOLD, date(2026, 11, 23), date(2026, 12, 1), "Avtalt")
    resolved = Instruction("kp-i-10", Action.DISPUTE_RESOLVED, date(2026, 11, 23), reason="Rettet")
    claim = CLAIM._replace(items=items, instructions=(told, resolved), case_number="deb_1")
    at = "2026-11-18T00:00:00Z"
    assert [one.body["told"] for one in planned(claim, are_new=False)] == [
        {"amount": 10_000, "currency": "EUR", "transaction_at": at, "transaction_ref": "kp-900001-1", "metadata": {"gw_item": "kp-900001-1"}},
        {"kind": "credit", "description": "Credit note 8002", "amount": -10_000, "currency": "EUR", "transaction_at": at, "metadata": {"gw_item": "kp-900002-1"}},
        {"kind": "interest", "description": "Fee", "amount": 10_000, "currency": "EUR", "transaction_at": at, "metadata": {"gw_item": "kp-900003-1"}},
        {"reason": "Avtalt (kp-i-9)", "end_at": "2026-12-01T23:59:59Z"},
        {},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"currency": "NOK"}, "currency"),
        ({"original_minor": 0}, "original_minor"),
        ({"invoice_number": "5" * 201}, "invoice_number"),
        ({"items": (sample_item(1, LinkKind.VOUCHER_LINE),)}, "kind"),
        ({"items": (sample_item(1, LinkKind.CHARGE)._replace(direction=Direction.DEBIT, charge_kind="other"),)}, "charge_kind"),
        ({"customer": CLAIM.customer._replace(email="", phone=" ")}, "email"),
        ({"customer": CLAIM.customer._replace(customer_number="1' OR '1'='1")}, "customer_number"),
        ({"customer": CLAIM.customer._replace(national_id="010180-123", customer_number="c-010180123")}, "customer_number"),
    ],
)  # fmt: skip
def test_what_has_no_place_is_held_and_never_written(change, place):
    agreement = replace(AGREEMENT, currency=change.get("currency", "EUR"))
    claim = CLAIM._replace(**{name: value for name, value in change.items() if name != "currency"})
    found = [*plugin.check_customer(claim.customer, agreement), *plugin.check_claim(claim, agreement)]
    assert [(one.place, one.severity) for one in found] == [(place, Severity.BLOCKING)]
    with pytest.raises(EncodeError, match=place):
        made([claim], agreement)


def test_what_follows_waits_until_ophelos_has_named_the_debt():
    item = sample_item(1, LinkKind.CREDIT_NOTE)
    with pytest.raises(EncodeError, match="debt id"):
        made([CLAIM._replace(items=(item,))], are_new=False)


def test_a_file_that_says_other_amounts_than_its_totals_is_refused():
    whole = made([CLAIM])
    sink = MemorySink()
    [envelope] = plugin.export_invoice([CLAIM], AGREEMENT, sample_seal(PROFILE, AGREEMENT), sink)
    assert plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(whole)) == envelope.totals
    for damaged in (
        whole.replace(b'"amount":100001', b'"amount":100002'),
        whole.replace(b'"sequence":1', b'"sequence":2'),
    ):
        with pytest.raises(DecodeError):
            plugin.verify_envelope(envelope, AGREEMENT, io.BytesIO(damaged))


# --- looking ---------------------------------------------------------------------------------------------------------


def thing(name, updated, **more):
    return {
        "id": name,
        "object": "debt",
        "updated_at": updated,
        "organisation": "org_1",
        "metadata": {"gw_case": "4711:kp-1"},
        **more,
    }


def looked(calls, since):
    """Look until nothing is left; return names of the files and the watermark."""
    names = []
    while True:
        page = ophelos.fetch(AGREEMENT, calls, since)
        names += [re.sub(r"-[0-9T]+-\w*\.json", "", file.filename) for file in page.files]
        since = page.since
        if not page.is_more:
            return names, since


def test_pages_are_walked_and_a_change_while_walking_is_not_missed(net, calls):
    link = {"Link": f'<{BASE}/debts?limit=100>; rel="first", <{BASE}/debts?after=deb_2>; rel="next"'}
    net.get(
        f"{BASE}/debts",
        **listing(thing("deb_3", "2026-11-22T10:00:00Z"), thing("deb_2", "2026-11-20T10:00:00Z"), **link),
    )
    # deb_1 changed after the first page was read: later than whatever stood there
    net.get(f"{BASE}/debts", match=[responses.matchers.query_param_matcher({"limit": "100", "after": "deb_2"})],
            **listing(thing("deb_1", "2026-11-22T12:00:00Z"), thing("deb_0", "2026-11-21T09:00:00Z", metadata={"gw_case": "9999:kp-1"})))  # fmt: skip
    own = thing("pay_1", "2026-11-22T10:00:00Z", transaction_ref="kp-9-1")
    net.get(
        f"{BASE}/organisations/org_1/payments",
        **listing(thing("pay_2", "2026-11-22T10:00:00Z", transaction_ref="ch_1"), own),
    )
    net.get(f"{BASE}/payouts", **listing())
    names, since = looked(calls, "")
    assert names == ["ophelos-debt-deb_3", "ophelos-debt-deb_2", "ophelos-debt-deb_1", "ophelos-payment-pay_2"]
    net.get(
        f"{BASE}/debts/search",
        **listing(thing("deb_1", "2026-11-22T12:00:00Z"), thing("deb_2", "2026-11-20T10:00:00Z")),
    )
    net.get(f"{BASE}/organisations/org_1/payments/search", **listing())
    assert looked(calls, since)[0] == ["ophelos-debt-deb_1"], "again, because it is later than the first page was"
    assert net.calls[-3].request.params["query"] == "updated_at>=2026-11-22"


@pytest.mark.rule("P1")
def test_money_that_is_seen_later_than_it_was_written_is_told(net, calls):
    """Another payment was seen first, after midnight; the query asks for the days before it, too."""
    ours = [thing("pay_2", "2026-11-23T00:00:05Z", transaction_ref="ch_2")]
    net.get(f"{BASE}/debts", **listing())
    net.get(f"{BASE}/organisations/org_1/payments", **listing(*ours))
    net.get(f"{BASE}/payouts", **listing())
    names, since = looked(calls, "")
    assert names == ["ophelos-payment-pay_2"]
    late = [thing("pay_1", "2026-11-22T23:59:58Z", transaction_ref="ch_1"), thing("pay_0", "2026-11-21T08:00:00Z")]
    search = net.get(f"{BASE}/organisations/org_1/payments/search", **listing(*ours, *late))
    names, _ = looked(calls, since)
    assert set(names) == {"ophelos-payment-pay_2", "ophelos-payment-pay_1", "ophelos-payment-pay_0"}
    assert search.calls[0].request.params["query"] == "updated_at>=2026-11-20"


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "deb_2", "updated_at": "yesterday"},
        {"id": "deb/2", "updated_at": "2026-11-22T10:00:00Z", "metadata": {"gw_case": "4711:kp-2"}},
        {"id": "deb_2", "updated_at": "2026-11-22T10:00:00Z", "metadata": {"gw_case": "4711:kp-2", "deep": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}},
        {"id": "deb_2", "updated_at": "2026-11-22T10:00:00Z", "metadata": {"gw_case": "4711:kp-2", "half": "\ud800"}},
        "no object",
    ],
)  # fmt: skip
def test_an_object_nobody_can_read_keeps_none_of_the_others_back(net, calls, odd):
    net.get(f"{BASE}/debts", **listing(odd, thing("deb_1", "2026-11-22T10:00:00Z")))
    page = ophelos.fetch(AGREEMENT, calls, "")
    assert [file.filename[:18] for file in page.files] == ["ophelos-debt-deb_1", "ophelos-debt-unrea"]
    assert plugin.identify_inbound(as_inbound(page.files[1].content), (AGREEMENT,)) is None, "a person sees it"
    assert page.is_more


@pytest.mark.parametrize(
    "since", ["2026-11-22", "[]", '[{"debt":"yesterday"},"debt","",""]', '[{},"people","",""]', "[1,2,3,4]"]
)
def test_a_watermark_of_somebody_else_is_refused(calls, since):
    with pytest.raises(DataError, match="watermark"):
        ophelos.fetch(AGREEMENT, calls, since)


def test_a_next_page_that_leads_nowhere_ends_the_look(net, calls):
    net.get(f"{BASE}/debts", **listing(Link='<x>; rel="next"'))
    with pytest.raises(DecodeError, match="next page"):
        ophelos.fetch(AGREEMENT, calls, "")


# --- what comes back -------------------------------------------------------------------------------------------------


def told(kind, **values):
    return as_inbound(
        encoded({"format": "kravport-ophelos-1", "organisation": "org_1", "kind": kind, "told": values}) + b"\n"
    )


def status_of(value, **more):
    status = {"value": value, "reason": None, "whodunnit": "ophelos", "updated_at": "2026-11-22T23:30:00Z"}
    file = told("debt", id="deb_1", account_number="5001", metadata={"gw_case": "4711:kp-1"}, status=status, **more)
    assert plugin.identify_inbound(file, (AGREEMENT,)) is InboundKind.CASE_STATUS
    [found] = plugin.import_case_status(file, (AGREEMENT,))
    return found


MEANT = {
    "received": "initializing prepared",
    "paused": "paused legal_protection",
    "active": "analysing resumed contacted contact_established contact_failed enriching arranging paying defaulted"
    " follow_up_required adjusted assessing recovering open",
    "disputed": "queried disputed",
    "closed withdrawn": "withdrawn deleted returned",
    "closed written-off": "discharged",
    "closed paid": "paid closed",
    "closed": "process_exhausted settled",
    "unknown": "enchanted",
}
"""By our state and closing code, the statuses of the facts; one that is not among them is never guessed."""


@pytest.mark.parametrize(
    ("meaning", "value"), [(meaning, value) for meaning, values in MEANT.items() for value in values.split()]
)
def test_every_status_means_what_the_facts_say(meaning, value):
    found = status_of(value)
    assert f"{found.state} {found.close_code}".strip() == meaning
    assert (found.case_number, found.claim_id, found.invoice_number) == ("deb_1", "kp-1", "5001")
    assert (found.raw_code, found.raw_text, found.date) == (value, "ophelos", date(2026, 11, 22))


@pytest.mark.parametrize(
    ("value", "codes"),
    [("defaulted", ["case.look_at_it"]), ("queried", ["case.look_at_it"]), ("enchanted", ["case.look_at_it"]), ("paying", [])],
)  # fmt: skip
def test_what_waits_for_somebody_is_shown_to_a_person(value, codes):
    statuses = plugin.import_case_status(
        told("debt", id="deb_1", status=value, updated_at="2026-11-22T10:00:00Z"), (AGREEMENT,)
    )
    assert [row.raw_code for row in statuses] == [value]
    assert [finding.code for finding in statuses.findings] == codes


@pytest.mark.parametrize(("remaining", "code"), [(0, "paid"), (1, "partly-paid")])
def test_a_settlement_is_for_what_remains(remaining, code):
    assert status_of("settled", summary={"amount_remaining": remaining}).close_code == code


def test_money_its_reversal_and_what_is_neither():
    paid = {
        "id": "pay_1",
        "debt": "deb_1",
        "amount": 12_345,
        "currency": "EUR",
        "transaction_at": "2026-11-21T23:00:00Z",
    }
    [payment] = plugin.import_payments(told("payment", status="succeeded", **paid), (AGREEMENT,))
    assert (payment.key, payment.case_number, payment.amount_minor, payment.direction) == (
        "ophelos:pay_1",
        "deb_1",
        12_345,
        Direction.CREDIT,
    )
    assert payment.booking_date == date(2026, 11, 21)
    [back] = plugin.import_payments(told("payment", status="refunded", **paid), (AGREEMENT,))
    assert (back.reverses_key, back.is_reversal, back.direction) == ("ophelos:pay_1", True, Direction.DEBIT)
    kinds = {
        status: plugin.identify_inbound(told("payment", status=status, **paid), (AGREEMENT,))
        for status in ("disputed", "pending", "failed", "new")
    }
    assert kinds == {
        "disputed": InboundKind.NOTICE,
        "pending": InboundKind.NOTICE,
        "failed": InboundKind.NOTICE,
        "new": InboundKind.NOTICE,
    }
    for wrong in (12.5, "12345", True, None, -1):
        body = json.dumps(
            {
                "format": "kravport-ophelos-1",
                "organisation": "org_1",
                "kind": "payment",
                "told": {**paid, "status": "succeeded", "amount": wrong},
            }
        )
        with pytest.raises(DecodeError):
            list(plugin.import_payments(as_inbound(body.encode()), (AGREEMENT,)))


def test_a_payout_is_kept_and_another_organisation_is_not_ours():
    assert plugin.identify_inbound(told("payout", id="po_1", amount=5), (AGREEMENT,)) is InboundKind.SETTLEMENT
    other = replace(AGREEMENT, settings={"organisation_id": "org_2"})
    assert plugin.identify_inbound(told("payout", id="po_1", amount=5), (other,)) is None
    assert plugin.identify_inbound(told("payout", id="po_1", amount=5), (sample_agreement(PROFILE, {}),)) is None


# --- webhooks --------------------------------------------------------------------------------------------------------

EVENT = b'{"id":"evt_123","object":"event","type":"debt.paused"}'


def signature(key="k1", body=EVENT, at=0):
    stamp = int(NOW.timestamp()) + at
    return f"t={stamp},v1={hmac.new(key.encode(), b'%d.' % stamp + body, hashlib.sha256).hexdigest()}"


@pytest.mark.parametrize(
    ("header", "body", "fault"),
    [
        (signature(), EVENT, ""),
        (signature("k0"), EVENT, ""),  # the secret before this one
        (f"{signature()},v1=00", EVENT, ""),
        (signature(at=-300), EVENT, ""),
        (signature(at=-301), EVENT, "older or newer"),
        (signature(at=301), EVENT, "older or newer"),
        (signature("other"), EVENT, "no signature"),
        (signature(), EVENT + b" ", "no signature"),
        (signature(body=b"{}"), b"{}", "no id"),
        ("", EVENT, "missing"),
        ("v1=00", EVENT, "missing"),
        ("t=²,v1=00", EVENT, "missing"),
        ("t=1,t=2,v1=00", EVENT, "missing"),
    ],
)
def test_a_webhook_is_believed_only_when_it_was_signed_just_now(header, body, fault):
    found = plugin.check_webhook({"ophelos-signature": header}, body, ("k1", "k0"), NOW)
    assert fault in found.fault
    assert bool(found.fault) == bool(fault)
    assert (found.message_id, found.is_bell) == ("" if fault else "evt_123", True)
    assert plugin.identify_inbound(as_inbound(EVENT), (AGREEMENT,)) is InboundKind.NOTICE


def test_without_an_agreed_key_no_webhook_is_taken():
    assert plugin.check_webhook({"ophelos-signature": signature()}, EVENT, (), NOW).fault
