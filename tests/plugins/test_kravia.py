"""Kravia: the documented calls, exactly; answers read by the names of the agreement; nothing guessed (kravia.md)."""

from __future__ import annotations

import io
import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from gateway import https
from gateway.domain.calls import Answer
from gateway.domain.exchange import CustomerKind, Direction, InboundKind, LinkedItem, LinkKind, Origin
from gateway.errors import DecodeError, DeliveryError, DeliveryInDoubt, EncodeError, FileQuarantined
from gateway.formats.calls import decoded, encoded
from gateway.testing.agency_kit import (
    MemorySink,
    as_inbound,
    sample_agreement,
    sample_claim,
    sample_customer,
    sample_item,
    sample_seal,
)
from gateway.testing.api_calls import SandboxCalls
from gateway.testing.api_conformance import ApiConformance
from plugins import kravia
from plugins.kravia import asking, bodies, fetching
from plugins.kravia.sandbox import TOKEN, make_sandbox

FACTS = {"client_number": "4711", "currency": "NOK"}
BASE = "https://api.kravia.example/api/v2"
TRANSPORT = {"kind": "https", "base_url": BASE, "auth": {"kind": "header"}}


class TestKravia(ApiConformance):
    plugin = kravia.plugin
    make_sandbox = staticmethod(make_sandbox)
    sandbox_facts = FACTS
    api_base = "/api/v2"

    def api_headers(self, client):
        return {"Authorization": TOKEN}


# --- bodies ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def agreement():
    return sample_agreement(kravia.PROFILE, {}, client_number="10001")


@pytest.fixture
def example(shared):
    def read(name):
        return json.loads((shared / "formats/agencies/examples" / name).read_bytes(), parse_float=Decimal)

    return read


def claim_of(**changes):
    customer = sample_customer("NO")._replace(
        customer_number="10023", name="Nordfjord Bygg og Anlegg", organisation_number="987654325", email="post@example.test",
        address1="Storgata 12",
    )  # fmt: skip
    values = {
        "claim_id": "kp-7f3a-500124", "invoice_number": "500124", "invoice_date": date(2026, 10, 11), "due_date": date(2026, 11, 10),
        "original_minor": 460_000, "open_minor": 460_000, "text": "Invoice 500124", "customer": customer,
    }  # fmt: skip
    return sample_claim("NO", 1)._replace(**values | changes)


def item_of(kind, item_id, day, minor, **more):
    return LinkedItem(item_id, kind, day, minor, Direction.CREDIT, Origin.CREDITOR, **more)


def sent(body):
    return json.loads(encoded(body), parse_float=Decimal)


def test_bodies_are_those_of_the_guides(agreement, example):
    register = bodies.registration(claim_of(), agreement)
    assert sent(register) == example("kravia_register_case.json")
    assert list(register) == list(example("kravia_register_case.json")), "in the order of the guide"
    payment = item_of(LinkKind.DIRECT_PAYMENT, "kp-voucher-88121", date(2026, 11, 21), 120_000)
    assert sent(bodies.payment(payment, 1553199, "NOK")) == example("kravia_direct_payment.json")
    note = item_of(LinkKind.CREDIT_NOTE, "kp-credit-500131", date(2026, 11, 22), 60_000, number="500131")
    assert sent(bodies.credit_note(note, 1553199, "NOK")) == example("kravia_credit_note.json")


def test_a_person_is_named_by_a_number_that_is_private(agreement):
    person = claim_of().customer._replace(kind=CustomerKind.PRIVATE, organisation_number="", national_id="01018012345")
    (planned,) = bodies.calls_for([claim_of(customer=person)], agreement, are_new=True)
    assert planned.private == ("01018012345",)
    assert (planned.body["ssn"], planned.body["organizationNumber"], planned.body["isPrivateIndividual"]) == (
        "01018012345", None, "true",
    )  # fmt: skip


def test_what_has_no_call_or_no_place_is_never_written(agreement):
    own = sample_item(1, LinkKind.DIRECT_PAYMENT)._replace(origin=Origin.AGENCY)
    line = sample_item(2, LinkKind.VOUCHER_LINE)
    for item in (own, line):
        with pytest.raises(EncodeError):
            list(bodies.calls_for([claim_of(items=(item,), case_number="7")], agreement, are_new=False))
    held = {finding.code for finding in bodies.claim_faults(claim_of(open_minor=0), agreement)}
    assert held == {"amount.not_carried"}
    assert not list(bodies.claim_faults(claim_of(open_minor=0, case_number="7"), agreement)), "paid in full is told"
    (unfit,) = bodies.claim_faults(claim_of(), agreement.__class__(**{**vars_of(agreement), "client_number": "A1"}))
    assert unfit.place == "client_number"
    assert not kravia.LAYOUT.instructions, "withdrawal, respite and dispute are told by a person"


def vars_of(agreement):
    return {name: getattr(agreement, name) for name in agreement.__dataclass_fields__}


# --- calls -----------------------------------------------------------------------------------------------------------


class Journal:
    """Notes in memory; a call begun a day ago may be looked for at once."""

    def __init__(self):
        self.notes = {}

    def begin(self, key, request):
        if key in self.notes and self.notes[key] is None:
            raise https.CallOpen
        return self.notes.setdefault(key, None)

    def known(self, key):
        return self.notes.get(key)

    def renewed(self, key, request):
        assert self.notes[key] is None

    def answered(self, key, request, answer):
        self.notes[key] = answer

    def undone(self, key):
        self.notes.pop(key)

    def open_for(self, key):
        return timedelta(days=1)


def delivered(agreement, claims, journal, *, are_new=True):
    sink = MemorySink()
    hook = kravia.plugin.export_invoice if are_new else kravia.plugin.export_linked_items
    (envelope,) = hook(claims, agreement, sample_seal(kravia.PROFILE, agreement), sink)
    calls = https.open_calls(TRANSPORT, {"api_token": "token of ours"}, journal)
    kravia.plugin.deliver(envelope, io.BytesIO(sink.files[envelope.filename]), agreement, calls)


def test_items_of_a_new_claim_follow_it_by_the_id_it_got(agreement, net):
    register = net.post(f"{BASE}/invoice/register", json={"invoiceId": 1553199})
    payment = net.post(f"{BASE}/invoice/payment", json={})
    delivered(agreement, [claim_of(items=(sample_item(1, LinkKind.DIRECT_PAYMENT),))], Journal())
    assert register.calls[0].request.headers["Authorization"] == "token of ours"
    assert json.loads(payment.calls[0].request.body)["invoices"][0]["invoiceId"] == 1553199


def test_of_a_refused_claim_nothing_more_is_told(agreement, net):
    net.post(f"{BASE}/invoice/register", status=422, json={"message": "no"})
    payment = net.post(f"{BASE}/invoice/payment", json={})
    journal = Journal()
    delivered(agreement, [claim_of(items=(sample_item(1, LinkKind.DIRECT_PAYMENT),))], journal)
    assert payment.call_count == 0
    assert [answer.status for answer in journal.notes.values()] == [422]


def row(number, claim, updated="2026-11-23T18:00:00"):
    return {"invoiceId": number, "accountingInvoiceId": claim, "lastUpdatedTime": updated}


@pytest.mark.rule("P4")
@pytest.mark.parametrize(
    ("listed", "posts"), [([row(7, "kp-other"), row(8, "kp-7f3a-500124")], 0), ([row(7, "kp-other")], 1), ([], 1)]
)
def test_a_registration_nobody_answered_is_searched_for_before_it_is_made_again(agreement, net, listed, posts):
    register = net.post(f"{BASE}/invoice/register", json={"invoiceId": 9})
    search = net.get(f"{BASE}/invoice/search", json={"invoices": listed})
    journal = Journal()
    journal.notes["invoice:kp-7f3a-500124:register"] = None
    delivered(agreement, [claim_of()], journal)
    assert register.call_count == posts
    asked = search.calls[0].request.params
    assert asked == {
        "byAscending": "True", "lastUpdatedTime": "2026-11-22T00:00:00", "orderBy": "11", "skip": "0", "top": "20",
    }  # fmt: skip
    answer = journal.notes["invoice:kp-7f3a-500124:register"]
    assert json.loads(answer.body)["invoiceId"] == (9 if posts else 8)


@pytest.mark.rule("P4")
@pytest.mark.parametrize(
    "answer", [{"somethingElse": []}, {"invoices": [{"invoiceId": 7, "lastUpdatedTime": "2026-11-23"}]}]
)
def test_a_search_that_cannot_be_read_proves_nothing(agreement, net, answer):
    register = net.post(f"{BASE}/invoice/register", json={})
    net.get(f"{BASE}/invoice/search", json=answer)
    journal = Journal()
    journal.notes["invoice:kp-7f3a-500124:register"] = None
    with pytest.raises(DeliveryInDoubt):
        delivered(agreement, [claim_of()], journal)
    assert register.call_count == 0


@pytest.mark.rule("P4")
@pytest.mark.parametrize(("told", "posts"), [(["kp-900001-1"], 0), (["kp-1-1"], 1)])
def test_a_payment_nobody_answered_is_looked_for_in_the_details(agreement, net, told, posts):
    payment = net.post(f"{BASE}/invoice/payment", json={})
    net.get(f"{BASE}/invoice/7/details", json={"payments": [{"accountingPaymentId": one} for one in told]})
    journal, item = Journal(), sample_item(1, LinkKind.DIRECT_PAYMENT)
    journal.notes[f"item:{item.item_id}:payment"] = None
    delivered(agreement, [claim_of(case_number="7", items=(item,))], journal, are_new=False)
    assert payment.call_count == posts


def test_names_of_real_answers_are_settings(net):
    settings = {"answer_names": {"invoice_id": "data.id"}, "answer_states": {"Betalt": "closed paid"}}
    agreement = sample_agreement(kravia.PROFILE, settings, client_number="10001")
    net.post(f"{BASE}/invoice/register", json={"data": {"id": 12}})
    payment = net.post(f"{BASE}/invoice/payment", json={})
    delivered(agreement, [claim_of(items=(sample_item(1, LinkKind.DIRECT_PAYMENT),))], Journal())
    assert json.loads(payment.calls[0].request.body)["invoices"][0]["invoiceId"] == 12
    told = {"data": {"id": 12}, "status": "Betalt", "lastUpdatedTime": "2026-11-23T18:00:00"}
    (status,) = kravia.plugin.import_case_status(kept(fetching.INVOICE, told), (agreement,))
    assert (status.case_number, status.state, status.close_code, status.raw_code) == ("12", "closed", "paid", "Betalt")


# --- what comes back -------------------------------------------------------------------------------------------------


def kept(form, answer, number="12"):
    return as_inbound(encoded({"format": form, "creditor": "10001", "id": number, "answer": decoded(encoded(answer))}))


class Spoilt(SandboxCalls):
    """Some answers are others than the sandbox's: by their paths an answer, or None where the line breaks."""

    def __init__(self, sandbox):
        super().__init__(sandbox.app, "/api/v2", lambda: {"Authorization": TOKEN})
        self.spoilt = {}

    def ask(self, request):
        answer = self.spoilt[request.path] if request.path in self.spoilt else super().ask(request)
        if answer is None:
            raise DeliveryError("status 502")
        return answer


@pytest.fixture
def far(agreement, tmp_path):
    """A sandbox with three cases, and the way to it."""
    sandbox = make_sandbox(tmp_path, {**FACTS, "client_number": "10001"})
    calls = Spoilt(sandbox)
    register(agreement, calls, range(1, 4))
    yield sandbox, calls
    sandbox.close()


def register(agreement, calls, numbers):
    for planned in bodies.calls_for([sample_claim("NO", number) for number in numbers], agreement, are_new=True):
        assert calls.once(planned.key(), kravia.sending._post(planned, planned.body)).is_accepted


def looked(agreement, calls, since=""):
    """Look until nothing is left; return what was told by its names, and the watermark."""
    told = {}
    for _ in range(60):
        page = kravia.plugin.fetch(agreement, calls, since)
        told |= {file.filename: file for file in page.files}
        since = page.since
        if not page.is_more:
            return told, since
    pytest.fail("a look without an end")


def test_a_list_that_moves_is_read_to_its_end(agreement, far):
    """Fifty cases of the same second, and one that changes between two pages: none is passed over, and a look ends."""
    sandbox, calls = far
    register(agreement, calls, range(4, 51))
    page = kravia.plugin.fetch(agreement, calls, "")
    seen = {file.filename for file in page.files}
    sandbox.set_status("kp-1", "Paused")
    told, since = looked(agreement, calls, page.since)
    assert len(seen | set(told)) == 50
    again, _ = looked(agreement, calls, since)
    assert set(again) <= seen | set(told)


class Moving:
    """A hundred cases of one second; whenever a page was shown, *moved* of the first of them are updated again."""

    SECOND = datetime(2026, 11, 23, 18)  # noqa: DTZ001  # Kravia's times name no zone

    def __init__(self, moved, *, for_ever=False):
        self._moved, self._for_ever, self._asked = moved, for_ever, 0
        self._cases = dict.fromkeys(range(1000, 1100), self.SECOND)

    def ask(self, request):
        if request.path != "/invoice/search":
            return Answer(200, b'{"settlements":[]}')
        self._asked += 1
        query = dict(request.query)
        cases = sorted((when, number) for number, when in self._cases.items())
        listed = [one for one in cases if one[0].isoformat() >= query.get("lastUpdatedTime", "")]
        shown = listed[int(query["skip"]) :][: int(query["top"])]
        for when, number in cases[: self._moved]:
            if when == self.SECOND or self._for_ever:
                self._cases[number] = self.SECOND + timedelta(seconds=self._asked)
        told = [row(number, f"kp-{number}", when.isoformat()) for when, number in shown]
        return Answer(200, encoded({"invoices": told}))


@pytest.mark.rule("P4")
@pytest.mark.parametrize("moved", [0, 5, 6, 10])
def test_however_many_cases_move_between_two_pages_none_is_passed_over(agreement, moved):
    since = Moving.SECOND - timedelta(days=1)
    for number in range(1000, 1100, 3):
        assert asking.registered(Moving(moved), kravia.Names(), f"kp-{number}", since) == str(number)
    assert asking.registered(Moving(moved), kravia.Names(), "kp-absent", since) == ""
    assert len(looked(agreement, Moving(moved))[0]) == 100


@pytest.mark.rule("P4")
def test_of_a_list_that_never_rests_nothing_is_believed_to_be_absent():
    with pytest.raises(DeliveryError, match="moves"):
        asking.registered(Moving(3, for_ever=True), kravia.Names(), "kp-absent", None)


@pytest.mark.rule("P1")
@pytest.mark.parametrize(
    ("path", "answer", "untold"),
    [
        ("/settlements", Answer(200, b'{"payouts":[]}'), {"settlement-1.json"}),
        ("/settlements", Answer(200, b"<html>\xff"), {"settlement-1.json"}),
        ("/settlements", Answer(404, b'{"trace":"7"}'), {"settlement-1.json"}),
        ("/settlements", Answer(200, b'{"settlements":[{"id":3},{"settlementId":1}]}'), set()),
        ("/settlements", Answer(200, b'{"settlements":[{"settlementId":2,"a":"\\ud83d"},{"settlementId":1}]}'), set()),
        ("/invoice/1553003/details", Answer(404, b'{"trace":"8"}'), {"invoice-1553003.json"}),
        ("/invoice/1553003/details", Answer(200, b"<html>"), {"invoice-1553003.json"}),
        ("/invoice/search", Answer(200, b'{"items":[]}'), {f"invoice-{number}.json" for number in range(1_553_001, 1_553_004)}),
        ("/invoice/search", Answer(200, b'{"invoices":[{"invoiceId":1},{"invoiceId":1553001,"lastUpdatedTime":"2026-11-23"}]}'),
         {f"invoice-{number}.json" for number in range(1_553_002, 1_553_004)}),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_kept_for_a_person_and_keeps_nothing_else_back(agreement, far, path, answer, untold):
    sandbox, calls = far
    sandbox.pay("kp-1", 100, date(2026, 11, 25))
    sandbox.write_payments(datetime(2026, 11, 25))  # noqa: DTZ001  # the sandbox takes its day
    whole, _ = looked(agreement, calls)
    calls.spoilt[path] = answer
    told, since = looked(agreement, calls)
    [unread] = set(told) - set(whole)
    assert set(whole) - set(told) == untold
    if answer.is_accepted and answer.body.isascii():
        assert decoded(told[unread].content)["answer"].encode() == answer.body
    file = as_inbound(told[unread].content)
    assert kravia.plugin.identify_inbound(file, (agreement,)) is InboundKind.CASE_STATUS
    with pytest.raises(DecodeError, match=f"{path}: Kravia's answer cannot be read"):
        list(kravia.plugin.import_case_status(file, (agreement,)))
    assert unread in looked(agreement, calls, since)[0], "the same at every look"
    calls.spoilt.clear()
    sandbox.set_status("kp-3", "Paid")
    assert untold - {"invoice-1553003.json"} <= set(looked(agreement, calls, since)[0])
    assert b"Paid" in looked(agreement, calls, since)[0]["invoice-1553003.json"].content


def test_settlements_that_do_not_come_hold_no_invoice_back(agreement, far, clock):
    sandbox, calls = far
    sandbox.now, calls.spoilt["/settlements"] = clock, None
    told, since = {}, ""
    for status in ("Active", "Paused", "Paid"):
        clock.advance(days=1)
        sandbox.set_status("kp-1", status)
        for _ in range(3):
            told, since = until_it_fails(agreement, calls, told, since)
        assert status.encode() in told["invoice-1553001.json"].content
    assert len(told) == 3


def until_it_fails(agreement, calls, told, since):
    try:
        page = kravia.plugin.fetch(agreement, calls, since)
    except DeliveryError:
        return told, since
    return told | {file.filename: file for file in page.files}, page.since


def settlement(*parts, amount, **more):
    told = [
        {"paymentId": number, "invoiceId": 7, "amount": whole, "capital": capital, "date": "2026-11-25"}
        for number, (whole, capital) in enumerate(parts, 1)
    ]
    return kept(
        fetching.SETTLEMENT, {"settlementId": 12, "currencyCode": "NOK", "amount": amount, "collected": told, **more}
    )


def test_a_settlement_is_payments_and_its_sum_is_proven(agreement):
    good = settlement(
        (Decimal("1045.00"), Decimal(1000)), (Decimal("-10.50"), Decimal("-10.5")), amount=Decimal("1034.50")
    )
    assert kravia.plugin.identify_inbound(good, (agreement,)) is InboundKind.PAYMENTS
    first, second = kravia.plugin.import_payments(good, (agreement,))
    assert (first.amount_minor, first.principal_minor, first.direction, first.case_number) == (
        104_500, 100_000, Direction.CREDIT, "7",
    )  # fmt: skip
    assert (second.amount_minor, second.direction, second.is_reversal) == (1050, Direction.DEBIT, True)
    assert (first.key, second.key) == ("kravia:10001:1", "kravia:10001:2")
    for wrong in (settlement((10, 10), amount=9), settlement((10, 10), amount=10, currencyCode="EUR")):
        with pytest.raises(FileQuarantined):
            list(kravia.plugin.import_payments(wrong, (agreement,)))
    with pytest.raises(DecodeError):
        list(kravia.plugin.import_payments(settlement((10, 11), amount=10), (agreement,)))


@pytest.mark.rule("R-PM-10")
def test_a_payment_that_stands_twice_in_a_settlement_is_booked_neither_once_nor_twice(agreement):
    part = {"paymentId": 9, "invoiceId": 7, "amount": 440, "capital": 440, "date": "2026-11-25"}
    file = settlement(amount=880, collected=[part, part])
    with pytest.raises(DecodeError, match=r"collected\.[12]\.paymentId"):
        list(kravia.plugin.import_payments(file, (agreement,)))


def test_money_that_no_name_fits_is_quarantined_until_the_names_are_mended(agreement):
    file = kept(fetching.SETTLEMENT, {"id": 12, "sum": 5})
    assert kravia.plugin.identify_inbound(file, (agreement,)) is InboundKind.PAYMENTS
    with pytest.raises(DecodeError, match="under the names of the agreement"):
        list(kravia.plugin.import_payments(file, (agreement,)))


@pytest.mark.parametrize(
    "file",
    [
        kept(fetching.INVOICE, {"id": 12, "state": "Open"}),
        as_inbound(
            b'{"header":{"algorithm":"MD5"},"data":{"timestamp":1,"eventType":"CaseUpdate","claimId":7},"signature":"0"}'
        ),
    ],
)
def test_what_no_name_fits_is_kept_and_means_nothing(agreement, file):
    assert kravia.plugin.identify_inbound(file, (agreement,)) is InboundKind.NOTICE


def test_a_webhook_is_a_bell_whoever_signed_it(example):
    told = kravia.plugin.check_webhook(encoded(example("kravia_webhook_event.json")))
    assert (told.fault, told.is_bell) == ("", True)
    assert kravia.plugin.check_webhook(b"<html>").fault
    assert kravia.plugin.check_webhook(b'{"data": {}}').fault


def test_a_settlement_that_is_not_taken_as_booked_is_told_again(net):
    net.patch(f"{BASE}/settlements/12/bookkeep", status=409, json={"message": "closed"})
    calls = https.open_calls(TRANSPORT, {"api_token": "t"}, Journal())
    with pytest.raises(DeliveryError, match=r"409 .+closed"):
        kravia.plugin.acknowledge(settlement((1, 1), amount=1), "kravport-5", calls)
    assert net.calls[0].request.params == {"internalAccountingId": "kravport-5"}


def test_an_answer_nobody_can_read_gives_no_case_number():
    assert kravia.answers.invoice_id(kravia.Names(), Answer(200, b"\xff")) == ""
    assert kravia.answers.invoice_id(kravia.Names(), Answer(200, b'{"invoiceId":"../7"}')) == ""
