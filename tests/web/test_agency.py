"""An agency that fetches: two of them on one house, with the real application and the OpenAPI document as a judge (ADR 0030)."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta

import pytest

from gateway.db.blobs import open_blob
from gateway.db.tables import CaseAnswer, Envelope, InboundFile
from gateway.errors import DataError, Refused
from gateway.formats import pull as messages
from gateway.services import agreements, creditors, delivery, inbound, pull, watch
from tests.rules.world import ACTOR, World
from tests.web.conftest import Api, make_app

FETCHES = {
    "service": "reminder", "profile": "kravport-pull-1", "settings": {}, "transport": {"kind": "pull"},
    "environment": "production",
}  # fmt: skip
DUE = {"booked": date(2026, 11, 2), "due": date(2026, 11, 16), "payment_reference": "2345676"}


class Fetching(World):
    """A creditor whose agency fetches, and that agency."""

    def let_in(self, app):
        self.key_of_agency = creditors.add_agency_key(self.house, self.agreement_id, "ESP", ACTOR)
        self.agency_api = Api(app, self.key_of_agency)
        return self

    def cases(self, after="", limit=100):
        answer = self.agency_api("GET", f"/agency/cases?limit={limit}&after={after}")
        assert answer.status_code == 200, answer.json
        return [case["claim_id"] for case in answer.json["cases"]], answer.json["next"]

    def changes(self, after=""):
        return self.agency_api("GET", f"/agency/changes?after={after}").json

    def answer(self, claim_id, **value):
        return self.agency_api("PUT", f"/agency/cases/{claim_id}/answer", value)

    def accept(self, *numbers):
        for number, name in enumerate(numbers, 1):
            assert self.answer(self.claim(name).claim_id, accepted=True, case_number=f"C-{number}").status_code == 200
        self.read()

    def report(self, report, message_id, **value):
        document = {"format": "kravport-pull-1", "report": report, "message_id": message_id, **value}
        answer = self.agency_api("POST", "/agency/reports", document)
        self.read()
        return answer

    def read(self):
        for file in self.rows(
            InboundFile, InboundFile.agreement_id == self.agreement_id, InboundFile.state == "stored"
        ):
            inbound.process(self.house, file.id)

    def states(self):
        envelopes = self.rows(Envelope, Envelope.agreement_id == self.agreement_id)
        return [envelope.state for envelope in sorted(envelopes, key=lambda one: (one.run_id, one.delivery_order))]

    def alarms(self):
        return {alarm.code for alarm in watch.alarms(self.house, [self.creditor_id])}


def made(house, clock, tmp_path, app, key):
    world = Fetching(
        house, clock, tmp_path, "esp", key=key, options={**FETCHES, "client_number": f"{len(key)}"}
    ).start()
    world.customer(national_id="")
    return world.let_in(app)


@pytest.fixture
def app(house):
    return make_app(house)


@pytest.fixture
def fjord(house, clock, tmp_path, app):
    """Three invoices, one of them with a payment linked to it, sealed for the agency."""
    world = made(house, clock, tmp_path, app, "fjord")
    for number in ("1", "2", "3"):
        world.invoice(number, 1000, **DUE)
    world.payment("p1", 250.5)
    world.link("1", "p1")
    world.evening()
    return world


def payment(claim_id, minor, **changes):
    parts = {"principal_minor": minor, "interest_minor": 0, "fees_minor": 0, "unallocated_minor": 0}
    row = {"payment_id": "AP-1", "kind": "payment", "received_date": "2026-11-24", "amount_minor": minor, **parts}
    return {**row, **({"claim_id": claim_id} if claim_id else {}), **changes}


def told(*rows):
    return {
        "currency": "NOK",
        "count": len(rows),
        "total_minor": sum(row["amount_minor"] for row in rows),
        "payments": list(rows),
    }


# --- cases -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-CO-39", "R-OP-03")
def test_a_case_says_all_that_an_agency_needs_and_is_what_was_sealed(fjord):
    answer = fjord.agency_api("GET", "/agency/cases").json
    first = answer["cases"][0]
    assert first["delivery"]["kind"] == "cases"
    assert first["debtor"]["identity_number"] == "999999980"
    assert first["invoice"] == {
        "number": "1", "date": "2026-11-02", "due_date": "2026-11-16", "currency": "NOK", "original_minor": 100000,
        "open_minor": 74950, "payment_reference": "2345676",
    }  # fmt: skip
    assert [(item["kind"], item["direction"], item["amount_minor"]) for item in first["items"]] == [
        ("direct_payment", "credit", 25050)
    ]
    (sealed,) = [
        json.loads(line) for line in _sealed(fjord).splitlines() if b'"claim_id":"' + first["claim_id"].encode() in line
    ]
    assert sealed["body"] == {name: value for name, value in first.items() if name != "delivery"}


def _sealed(world):
    (envelope,) = world.rows(Envelope, Envelope.agreement_id == world.agreement_id)
    with open_blob(world.house.database, envelope.blob_id) as stream:
        return stream.read()


@pytest.mark.rule("R-OP-13")
def test_what_was_fetched_is_believed_when_the_agency_comes_back_with_the_cursor(fjord):
    (envelope,) = fjord.rows(Envelope, Envelope.agreement_id == fjord.agreement_id)
    delivery.deliver(fjord.house, envelope.id)
    assert fjord.states() == ["sealed"], "nobody uploads"
    ids, cursor = fjord.cases(limit=2)
    assert (len(ids), fjord.states()) == (2, ["sealed"])
    assert fjord.cases(limit=2) == (ids, cursor), "the same question has the same answer"
    rest, end = fjord.cases(cursor, limit=2)
    assert len({*ids, *rest}) == 3
    assert fjord.states() == ["sealed"], "the answer may have been lost on its way"
    assert fjord.cases(end) == ([], end)
    assert fjord.states() == ["delivered"]
    fjord.clock.moment += timedelta(hours=25)
    assert fjord.alarms() >= {"receipt.missing"}


@pytest.mark.rule("R-OP-13")
def test_a_case_that_lies_unfetched_for_two_hours_rings(fjord):
    fjord.clock.moment += watch.UNFETCHED_AFTER
    assert "delivery.unfetched" not in fjord.alarms()
    fjord.clock.moment += timedelta(seconds=1)
    assert "delivery.unfetched" in fjord.alarms()
    _, end = fjord.cases()
    fjord.cases(end)
    assert "delivery.unfetched" not in fjord.alarms()


@pytest.mark.rule("R-OP-16", "R-OP-12")
def test_answers_become_the_receipt_of_their_file_with_the_last_of_them(fjord):
    one, two, three = (fjord.claim(name).claim_id for name in ("1", "2", "3"))
    assert fjord.answer(one, accepted=True, case_number="C-1").json["result"] == "taken"
    assert fjord.answer(one, accepted=True, case_number="C-1").json["result"] == "unchanged"
    otherwise = fjord.answer(one, accepted=True, case_number="C-9")
    assert (otherwise.status_code, otherwise.json["errors"][0]["reason"]) == (422, "receipt.repeated")
    assert fjord.answer(two, accepted=False, reason_code="NO_ADDRESS", reason_text="Not known there").status_code == 200
    fjord.read()
    assert fjord.states() == ["sealed"]
    assert fjord.answer(three, accepted=True, case_number="C-3").status_code == 200
    assert fjord.answer(three, accepted=True, case_number="C-3").json["result"] == "unchanged"
    fjord.read()
    assert fjord.states() == ["partly"]
    assert [(fjord.claim(name).state, fjord.claim(name).case_number) for name in ("1", "2", "3")] == [
        ("accepted", "C-1"), ("rejected", ""), ("accepted", "C-3"),
    ]  # fmt: skip
    assert fjord.sent_items("p1")[0].state == "accepted", "an item shares the fate of its case"
    assert "NO_ADDRESS" in fjord.sent_items("2")[0].reason_text
    assert len(fjord.rows(InboundFile, InboundFile.agreement_id == fjord.agreement_id)) == 1


@pytest.mark.rule("R-OP-03", "R-OP-11")
def test_changes_never_overtake_their_case(fjord):
    fjord.accept("1", "2", "3")
    fjord.invoice("4", 500, **DUE)
    fjord.payment("p2", 100)
    fjord.link("2", "p2")
    fjord.evening()
    assert fjord.changes() == {"changes": [], "next": ""}, "case 4 of the same evening has not been taken yet"
    _, cursor = fjord.cases()
    fjord.cases(cursor)
    page = fjord.changes()
    (change,) = page["changes"]
    assert (change["case_number"], change["open_minor"], change["items"][0]["amount_minor"]) == ("C-2", 90000, 10000)
    assert fjord.changes(page["next"]) == {"changes": [], "next": page["next"]}
    assert fjord.states() == ["accepted", "delivered", "delivered"]
    fjord.accept("4")
    fjord.clock.moment += timedelta(days=2)
    assert "receipt.missing" not in fjord.alarms(), "a change needs no answer"


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-OP-10", "R-PM-08")
def test_money_states_and_closings_are_reported(fjord):
    fjord.accept("1", "2", "3")
    one, two, _ = (fjord.claim(name).claim_id for name in ("1", "2", "3"))
    paid = fjord.report(
        "payments",
        "m-1",
        **told(payment(one, 74950), payment("", 100, payment_id="AP-2", principal_minor=0, unallocated_minor=100)),
    )
    assert paid.status_code == 202
    assert [(row.state, row.amount_minor) for row in fjord.payments()] == [("proposed", 74950), ("unmatched", 100)]
    fjord.post()
    assert (fjord.entry("1").open_minor, fjord.agency_balance("1")) == (0, 0)
    assert (
        fjord.report(
            "status", "m-2", statuses=[{"claim_id": two, "state": "disputed", "stage": "demand", "date": "2026-11-24"}]
        ).status_code
        == 202
    )
    assert fjord.claim("2").agency_state == "disputed"
    closing = {
        "claim_id": two,
        "close_code": "written-off",
        "date": "2026-11-25",
        "loss_minor": 100000,
        "raw_code": "X7",
    }
    assert fjord.report("close", "m-3", closings=[closing]).status_code == 202
    assert (fjord.claim("2").agency_state, fjord.entry("2").open_minor) == ("closed", 100000), (
        "a closing moves no money"
    )
    assert "X7" in fjord.claim("2").agency_state_text
    settlement = {
        "settlement_id": "S-1", "payout_date": "2026-11-26", "gross_minor": 74950, "fees_minor": 1000, "vat_minor": 250,
        "net_minor": 73700, "payment_ids": ["AP-1"],
    }  # fmt: skip
    kept = fjord.report("settlement", "m-4", currency="NOK", settlements=[settlement])
    state = fjord.agency_api("GET", f"/agency/reports/{kept.json['report_id']}").json
    assert (state["state"], state["findings"][0]["code"]) == ("imported", "file.kept_only")
    taken_back = payment(one, 74950, payment_id="AP-3", kind="reversal", reverses_payment_id="AP-1")
    fjord.report("payments", "m-5", **told(taken_back))
    assert fjord.payments()[-1].is_reversal


def test_a_repeat_changes_nothing_and_another_message_under_its_id_is_refused(fjord):
    fjord.accept("1", "2", "3")
    claim_id = fjord.claim("1").claim_id
    first = fjord.report("payments", "m-1", **told(payment(claim_id, 100)))
    again = fjord.report("payments", "m-1", **told(payment(claim_id, 100)))
    assert (again.status_code, again.json) == (200, {**first.json, "duplicate": True})
    other = fjord.report("payments", "m-1", **told(payment(claim_id, 200)))
    assert (other.status_code, other.json["errors"][0]["reason"]) == (422, "webhook.id_reused")
    fjord.report("payments", "m-2", **told(payment(claim_id, 100)))
    assert [row.amount_minor for row in fjord.payments()] == [100], "the payment's own id is known from another report"


@pytest.mark.rule("R-PM-08")
def test_payment_ids_are_an_agreements_own(fjord, app):
    second = fjord.agree("esp", **{**FETCHES, "client_number": "5", "service": "collection", "may_create_cases": False})
    agreements.activate(fjord.house, second, ACTOR)
    others_api = Api(app, creditors.add_agency_key(fjord.house, second, "ESP collection", ACTOR))
    fjord.report("payments", "m-1", **told(payment("", 30000, principal_minor=0, unallocated_minor=30000)))
    others = told(payment("", 44000, principal_minor=0, unallocated_minor=44000))
    report = {"format": "kravport-pull-1", "report": "payments", "message_id": "m-1", **others}
    kept = others_api("POST", "/agency/reports", report)
    inbound.process(fjord.house, int(kept.json["report_id"]))
    assert [row.amount_minor for row in fjord.payments()] == [30000, 44000]


@pytest.mark.parametrize("sign", ["\0", "\n", "\ud83d", "\u2028"])
def test_a_text_with_a_control_character_or_half_a_character_is_refused(fjord, sign):
    claim_id = fjord.claim("1").claim_id
    assert fjord.answer(claim_id, accepted=True, case_number=f"A{sign}").status_code == 422
    assert fjord.answer(claim_id, accepted=False, reason_code="X", reason_text=f"A{sign}").status_code == 422
    for changes in ({"payment_id": f"A{sign}"}, {"text": f"{sign}x"}):
        assert fjord.report("payments", "m-1", **told(payment(claim_id, 100, **changes))).status_code == 422
    assert fjord.answer(claim_id, accepted=True, case_number="A").status_code == 200
    assert not fjord.rows(InboundFile, InboundFile.agreement_id == fjord.agreement_id)
    assert (
        fjord.agency_api("PUT", "/agency/cases/kp%00/answer", {"accepted": True, "case_number": "A"}).status_code == 404
    )


def test_the_same_answer_twice_at_once_is_taken_once(fjord, monkeypatch):
    claim_id = fjord.claim("1").claim_id
    real, barrier = pull.upsert_ignore, threading.Barrier(2)

    def both_have_looked(*arguments):
        with suppress(threading.BrokenBarrierError):  # SQLite lets one writer in at a time
            barrier.wait(timeout=10 if fjord.house.database.engine.dialect.name == "postgresql" else 0.1)
        real(*arguments)

    monkeypatch.setattr(pull, "upsert_ignore", both_have_looked)
    with ThreadPoolExecutor() as pool:
        given = {"accepted": True, "case_number": "C-1"}
        both = [pool.submit(pull.answer, fjord.house, fjord.agreement_id, claim_id, given) for _ in range(2)]
        assert any(one.result() for one in both)
    assert len(fjord.rows(CaseAnswer)) == 1


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (told(payment("kp-1", 100), payment("kp-1", 100)), "payments.1.payment_id"),
        ({"count": 2}, "count, total_minor"),
        ({"currency": "nok"}, "currency"),
        ({"payments": [payment("kp-1", 100, principal_minor=90)]}, "payments.0"),
        ({"payments": [payment("kp-1", 100, kind="reversal")]}, "payments.0"),
        ({"payments": [payment("", 100)]}, "payments.0"),
        ({"payments": [payment("kp-1", 100, received_date="2026-11-31")]}, "payments.0.received_date"),
        ({"payments": [payment("kp-1", 100, amount_minor=1.5)]}, "payments.0.amount_minor"),
        ({"payments": [payment("kp-1", 100, iban="NO1")]}, "payments.0"),
        ({"report": "receipt"}, "report"),
        ({"format": "kravport-pull-2"}, "format"),
    ],
)
def test_a_report_that_does_not_hold_says_where(changes, place):
    value = {
        "format": "kravport-pull-1",
        "report": "payments",
        "message_id": "m-1",
        **told(payment("kp-1", 100)),
        **changes,
    }
    assert place in [found for found, _ in messages.report_faults(value)]


def test_a_report_that_does_not_hold_is_refused_and_not_kept(fjord):
    answer = fjord.report("payments", "m-1", **{**told(payment("kp-1", 100)), "count": 2})
    assert (answer.status_code, answer.json["code"]) == (422, "record.rejected")
    assert [error["field"] for error in answer.json["errors"]] == ["count, total_minor"]
    assert not fjord.rows(InboundFile, InboundFile.agreement_id == fjord.agreement_id)


def test_a_report_in_another_currency_is_quarantined_and_says_so(fjord):
    answer = fjord.report("payments", "m-1", **{**told(payment("kp-1", 100)), "currency": "SEK"})
    state = fjord.agency_api("GET", f"/agency/reports/{answer.json['report_id']}").json
    assert (state["state"], state["findings"][0]["place"]) == ("quarantined", "currency")
    assert fjord.payments() == []


# --- whose -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("P19")
def test_an_agency_sees_nothing_of_anothers(fjord, house, clock, tmp_path, app):
    other = made(house, clock, tmp_path, app, "otherwise")
    other.invoice("9", 700, **DUE)
    other.evening()
    mine, cursor = fjord.cases()
    theirs, _ = other.cases()
    assert (len(mine), len(theirs)) == (3, 1)
    assert not {*mine} & {*theirs}
    assert other.agency_api("GET", f"/agency/cases?after={cursor}").status_code == 400, "somebody else's cursor"
    assert other.answer(mine[0], accepted=True, case_number="C-1").status_code == 404
    kept = fjord.report("status", "m-1", statuses=[{"claim_id": mine[0], "state": "active", "date": "2026-11-24"}])
    assert other.agency_api("GET", f"/agency/reports/{kept.json['report_id']}").status_code == 404
    other.report("status", "m-1", statuses=[{"claim_id": mine[1], "state": "paused", "date": "2026-11-24"}])
    assert [fjord.claim(name).agency_state for name in ("1", "2", "3")].count("paused") == 0


def test_a_key_opens_its_own_doors_only(fjord, app):
    ledger = Api(app, creditors.add_api_key(fjord.house, fjord.creditor_id, "ledger", creditors.SCOPES, ACTOR))
    assert ledger("GET", "/agency/cases").status_code == 403
    assert fjord.agency_api("GET", "/invoices").status_code == 403
    wrong = Api(app, fjord.key_of_agency[:-1] + ("A" if fjord.key_of_agency[-1] != "A" else "B"))
    assert wrong("GET", "/agency/cases").status_code == Api(app, "")("GET", "/agency/cases").status_code == 401
    found = creditors.find_api_key(fjord.house, fjord.key_of_agency)
    creditors.revoke_api_key(fjord.house, found.api_key_id, ACTOR)
    assert fjord.agency_api("GET", "/agency/cases").status_code == 401


def test_a_cursor_of_somebodys_own_making_is_refused(fjord):
    first = fjord.cases(limit=1)[1].removeprefix("cases-")
    for after in ("x", "1-2-3", "cases-1-2", "cases--1-0-0", "cases-1-0-" + "9" * 20, first, f"changes-{first}"):
        assert fjord.agency_api("GET", f"/agency/cases?after={after}").json["code"] == "request.query"


@pytest.mark.rule("R-OP-13")
def test_a_cursor_that_was_not_given_out_for_this_proves_nothing(fjord):
    assert fjord.agency_api("GET", "/agency/cases?after=cases-999999999-0-0").status_code == 400
    assert fjord.states() == ["sealed"]
    _, end = fjord.cases()
    place, _, size = end.rpartition("-")
    assert fjord.agency_api("GET", f"/agency/cases?after={place}-{int(size) + 1}").status_code == 400
    assert fjord.states() == ["sealed"]
    fjord.cases(end)
    fjord.accept("1", "2", "3")
    fjord.payment("p2", 100)
    fjord.link("2", "p2")
    fjord.evening()
    fjord.invoice("4", 1000, **DUE)
    fjord.evening()
    _, later = fjord.cases(end)
    assert fjord.agency_api("GET", f"/agency/changes?after={later}").status_code == 400
    assert fjord.states() == ["accepted", "sealed", "sealed"]
    assert len(fjord.changes()["changes"]) == 1


def test_a_cursor_into_the_middle_of_a_message_is_refused(fjord):
    place, _, offset = fjord.cases(limit=1)[1].rpartition("-")
    for wrong in (int(offset) - 1, int(offset) + 7, 10**9):
        assert fjord.agency_api("GET", f"/agency/cases?after={place}-{wrong}").status_code == 400
    with pytest.raises(pull.BadCursor):
        pull.fetch(fjord.house, fjord.agreement_id, "cases", f"{place}-{int(offset) + 1}", 10)


@pytest.mark.rule("R-OP-02")
def test_an_agreement_that_ended_hands_out_nothing_and_still_takes_what_the_agency_tells(fjord):
    _, cursor = fjord.cases()
    agreements.end(fjord.house, fjord.agreement_id, ACTOR)
    for path in ("cases", f"cases?after={cursor}", "changes"):
        refused = fjord.agency_api("GET", f"/agency/{path}")
        assert (refused.status_code, refused.json["errors"][0]["reason"]) == (422, "agreement.not_active")
    assert fjord.states() == ["delivered"], "what it asks on from, it has"
    fjord.accept("1", "2", "3")
    assert [fjord.claim(name).case_number for name in ("1", "2", "3")] == ["C-1", "C-2", "C-3"]
    assert fjord.report("payments", "m-1", **told(payment(fjord.claim("1").claim_id, 74950))).status_code == 202
    assert [row.amount_minor for row in fjord.payments()] == [74950]


def test_a_key_of_a_draft_opens_nothing(fjord, app):
    draft = fjord.agree("esp", **{**FETCHES, "client_number": "9"})
    api = Api(app, creditors.add_agency_key(fjord.house, draft, "ESP", ACTOR))
    status = {"statuses": [{"claim_id": fjord.claim("1").claim_id, "state": "active", "date": "2026-11-24"}]}
    report = {"format": "kravport-pull-1", "report": "status", "message_id": "m-1", **status}
    answer = {"accepted": True, "case_number": "C-1"}
    calls = (("GET", "cases"), ("GET", "changes"), ("PUT", "cases/kp-1/answer", answer), ("POST", "reports", report))
    for method, path, *value in calls:
        refused = api(method, f"/agency/{path}", *value)
        assert (refused.status_code, refused.json["errors"][0]["reason"]) == (422, "agreement.not_active")


def test_fetching_and_its_layout_go_together(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "esp", options={**FETCHES, "transport": {"kind": "folder", "root": "x"}})
    with pytest.raises(DataError, match="go together"):
        world.start()
    with pytest.raises(Refused, match=r"agreement\.field_missing"):
        agreements.activate(house, world.agree("esp", **{**FETCHES, "transport": {}}), ACTOR)
