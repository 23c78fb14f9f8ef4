"""An agency with an API: each call is made once, whatever breaks, and its answers come back as a file (ADR 0029)."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import socket
import time
from contextlib import nullcontext

import pytest
import requests
import responses
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway import https, whole_answers
from gateway.agencies import Agencies
from gateway.cli import envelopes
from gateway.db.tables import AgencyCall, Claim, Envelope, InboundFile, Task
from gateway.domain.calls import Request
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt, PluginError, Refused
from gateway.formats.calls import read_answers
from gateway.jobs import Desk
from gateway.services import agreements, called, delivery, inbound, mailbox, schedule
from gateway.web.webhooks import webhook_blueprint
from tests.rules.world import ACTOR, World
from tests.services.api_agency import BASE, TRANSPORT, ApiAgency, FarSide

BEARER = TRANSPORT | {"auth": {"kind": "bearer"}}


@pytest.fixture
def net(monkeypatch):
    monkeypatch.setattr(https, "_tokens", {})
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def far(net):
    return FarSide(net)


@pytest.fixture
def plugin():
    return ApiAgency()


@pytest.fixture
def world(house, clock, tmp_path, plugin):
    """Fjord AS with three invoices for an agency with an API."""
    house = dataclasses.replace(house, agencies=Agencies([("lowell", plugin)]))
    world = World(house, clock, tmp_path, "lowell", options={"settings": {}, "transport": TRANSPORT}).start()
    agreements.set_secret(house, world.agreement_id, "api_client_secret", "s3cret", ACTOR)
    world.customer()
    for number in ("1001", "1002", "1003"):
        world.invoice(number, 1250)
    return world


def work(world, **later):
    world.clock.advance(**later)
    schedule.tick(world.house)
    Desk(world.house, "worker-1").drain()


def evening(world):
    world.clock.moment = world.preview().cutoff
    work(world, seconds=5)


def state(world):
    [envelope] = world.rows(Envelope)
    return envelope.state


def hours(world, count):
    for _ in range(count * 2):
        work(world, minutes=30)


def answers(world):
    return [row for row in world.rows(InboundFile) if row.channel == "https"]


@pytest.fixture(autouse=True)
def no_news(net):
    net.get(f"{BASE}/news", json={"news": [], "until": "", "more": False})


def test_each_claim_is_a_call_and_the_answers_are_the_receipt(world, far):
    evening(world)
    assert sorted(far.cases) == ["1001", "1002", "1003"]
    assert state(world) == "accepted"
    assert [claim.case_number for claim in world.rows(Claim)] == ["100", "101", "102"]
    assert far.tokens == 1
    [file] = answers(world)
    assert (file.state, file.kind) == ("imported", "receipt")


def test_private_values_are_masked_in_what_is_kept(world, far):
    evening(world)
    [envelope] = world.rows(Envelope)
    with world.house.database.read() as connection:
        noted = called.calls_of(connection, envelope.id, "", 10)
    assert len(noted) == 3
    for row in noted:
        assert b"01018012345" not in row.request + row.answer
        assert b'"ssn":"*********45"' in row.request
        assert b"*********45" in row.answer
        assert row.headers == {"content-type": "text/plain", "location": f"{BASE}/cases/*********45"}
        assert world.house.secrets.keyed_hash(_sha256(row, b"01018012345")) == row.request_mac
        assert _sha256(row, b"01018012345") not in row
    with inbound.inbound_file(world.house, answers(world)[0]).open() as content:
        whole = content.read()
    assert b"01018012345" not in whole
    told = read_answers(io.BytesIO(whole))
    assert {answer.headers["location"] for _, answer in told} == {f"{BASE}/cases/*********45"}


def _sha256(row, national_id):
    """Return what anybody could compute who guesses the number."""
    sent = row.request.replace(b"*********45", national_id)
    return hashlib.sha256(b"\n".join([json.dumps([row.method, row.path, []]).encode(), sent])).hexdigest()


@pytest.mark.parametrize("mood", ["silent", "lost", "303", "408", "500", "429", "503", "down", "expired"])
@pytest.mark.parametrize("at", [0, 2])
def test_whatever_breaks_every_case_is_there_once(world, far, mood, at):
    far.moods = [""] * at + [mood]
    evening(world)
    hours(world, 2)
    assert sorted(far.cases) == ["1001", "1002", "1003"]
    assert far.posts == 3 + (mood in {"lost", "429", "503", "down", "expired"})  # only what did nothing is made again
    assert state(world) == "accepted"
    assert len(answers(world)) == 1


def test_retry_after_is_kept(world, far):
    far.moods = ["429"]
    evening(world)
    work(world, minutes=9)
    assert far.posts == 1
    work(world, minutes=3)
    assert sorted(far.cases) == ["1001", "1002", "1003"]


@pytest.mark.rule("P4")
def test_no_search_is_believed_until_the_last_send_has_settled(world, far, net, monkeypatch):
    monkeypatch.setattr(https.time, "sleep", lambda seconds: world.clock.advance(seconds=seconds))
    far.moods = ["soon"] * https.WAITS_MAX + ["silent"]
    far.meanwhile = lambda: world.clock.advance(seconds=https.ANSWER_SECONDS if far.moods else 0)
    evening(world)
    work(world, seconds=https.SETTLE_SECONDS - 10)
    assert [call for call in net.calls if (call.request.method, "/cases?" in call.request.url) == ("GET", True)] == []
    hours(world, 1)
    assert (sorted(far.cases), state(world)) == (["1001", "1002", "1003"], "accepted")


def test_a_long_delivery_goes_on_in_rounds_that_use_up_no_attempt(world, far):
    far.meanwhile = lambda: world.clock.advance(seconds=called.ROUND.total_seconds() * 0.6)
    evening(world)
    [task] = world.rows(Task, Task.topic == "deliver")
    assert (far.posts, task.state, task.attempts, state(world)) == (2, "pending", 0, "sealed")
    work(world, seconds=5)
    assert (far.posts, state(world)) == (3, "accepted")


def test_pauses_the_agency_asks_for_do_not_use_up_the_attempts(world, far):
    for number in range(2000, 2020):
        world.invoice(str(number), 10)
    far.moods = ["", "429"] * 20
    evening(world)
    hours(world, 13)
    assert len(far.cases) == 23
    assert state(world) == "accepted"


def test_a_call_that_cannot_be_looked_for_waits_for_a_person_and_the_others_go(world, far, plugin):
    plugin.is_blind, far.moods = True, ["silent"]
    evening(world)
    hours(world, 2)
    assert (state(world), far.posts) == ("in_doubt", 3)
    delivery.confirm_delivery(world.house, world.rows(Envelope)[0].id, ACTOR, arrived=True)
    work(world, seconds=5)
    assert (state(world), far.posts) == ("accepted", 3)
    assert [claim.case_number for claim in world.rows(Claim)] == ["", "101", "102"]


def test_the_command_line_shows_the_calls_and_settles_the_one_in_doubt(world, far, plugin, monkeypatch):
    plugin.is_blind, far.moods = True, ["", "lost"]
    evening(world)
    monkeypatch.setattr(envelopes, "opened_house", lambda: nullcontext(world.house))
    run = CliRunner().invoke
    [listed] = map(json.loads, run(envelopes.envelopes, ["list", "--json"]).output.splitlines())
    assert listed["state"] == "in_doubt"
    number = str(listed["id"])
    shown = [json.loads(line) for line in run(envelopes.envelopes, ["calls", number, "--json"]).output.splitlines()]
    assert [row["state"] for row in shown] == ["answered", "begun", "answered"]
    assert "01018012345" not in str(shown)
    assert run(envelopes.envelopes, ["clarify", number, "--not-arrived"]).output == f"envelope {number} goes again\n"
    work(world, seconds=5)
    assert (state(world), sorted(far.cases)) == ("accepted", ["1001", "1002", "1003"])


def test_a_call_that_a_person_says_did_not_arrive_is_made(world, far, plugin):
    plugin.is_blind, far.moods = True, ["lost"]
    evening(world)
    hours(world, 1)
    delivery.confirm_delivery(world.house, world.rows(Envelope)[0].id, ACTOR, arrived=False)
    work(world, seconds=5)
    assert sorted(far.cases) == ["1001", "1002", "1003"]
    assert (state(world), far.posts) == ("accepted", 4)


@pytest.mark.rule("P4")
def test_of_two_calls_without_an_answer_a_person_may_say_that_one_arrived_and_the_other_did_not(world, far, plugin):
    plugin.is_blind, far.moods = True, ["silent", "lost"]
    evening(world)
    hours(world, 1)
    (envelope,) = world.rows(Envelope)
    begun = world.rows(AgencyCall, AgencyCall.state == "begun")
    number_of = {row.key: json.loads(row.request)["number"] for row in begun}
    there = {key: number in far.cases for key, number in number_of.items()}
    assert sorted(there.values()) == [False, True]
    for key, arrived in there.items():
        delivery.confirm_delivery(world.house, envelope.id, ACTOR, arrived, key)
    with pytest.raises(Refused, match=r"delivery\.not_in_doubt"):
        delivery.confirm_delivery(world.house, envelope.id, ACTOR, True, begun[0].key)
    work(world, seconds=5)
    assert (state(world), sorted(far.cases), far.posts) == ("accepted", ["1001", "1002", "1003"], 4)


@pytest.mark.rule("P4")
def test_nothing_a_person_says_undoes_a_call_under_way(world, far):
    def meanwhile():
        (envelope,) = world.rows(Envelope)
        with pytest.raises(Refused, match=r"delivery\.under_way"):
            delivery.confirm_delivery(world.house, envelope.id, ACTOR, arrived=False)
        with world.house.database.write() as connection:  # a worker that was thought dead is as good as none
            assert called.clarify(connection, envelope.id, arrived=False)

    far.meanwhile = meanwhile
    evening(world)
    assert (state(world), far.posts) == ("accepted", 3)
    assert [claim.case_number for claim in world.rows(Claim)] == ["100", "101", "102"]
    assert {row.state for row in world.rows(AgencyCall)} == {"answered"}


def test_a_refused_claim_is_held_alone_with_what_the_agency_said(world, far):
    far.moods = ["", "refused"]
    evening(world)
    assert state(world) == "partly"
    assert sorted(claim.state for claim in world.rows(Claim)) == ["accepted", "accepted", "rejected"]


def test_a_worker_killed_between_two_calls_goes_on_with_the_next(world, far, monkeypatch):
    far.moods = ["", "die"]
    post = far._post
    monkeypatch.setattr(https.HttpsCalls, "_sent", _dying(https.HttpsCalls._sent, far))
    evening(world)
    assert far.posts == 1
    far.moods, far._post = [], post
    monkeypatch.undo()
    hours(world, 3)
    assert sorted(far.cases) == ["1001", "1002", "1003"]
    assert state(world) == "accepted"


def _dying(sent, far):
    """Die as a killed process does: nothing after the second request runs."""

    def once(self, request: Request, *more):
        if request.method == "POST" and far.moods and far.moods[0] == "die":
            raise KeyboardInterrupt
        return sent(self, request, *more)

    return once


def test_pages_are_stored_before_the_watermark(world, net):
    world.clock.advance(minutes=20)
    net.replace(responses.GET, f"{BASE}/news", json={"news": ["a", "b"], "until": "w1", "more": False})
    net.post(TRANSPORT["auth"]["token_url"], json={"access_token": "t", "expires_in": 60})
    mailbox.fetch(world.house, world.agreement_id)
    assert sorted(row.filename for row in answers(world)) == ["news-a.json", "news-b.json"]
    mailbox.fetch(world.house, world.agreement_id)  # the same again: known by their bytes
    assert len(answers(world)) == 2
    assert net.calls[-1].request.params == {"since": "w1"}


def test_a_plugin_that_says_more_and_goes_no_further_is_stopped(world, net, far):
    net.replace(responses.GET, f"{BASE}/news", json={"news": [], "until": "", "more": True})
    with pytest.raises(PluginError, match="no further"):
        mailbox.fetch(world.house, world.agreement_id)


def test_a_bell_in_the_agencys_own_way_is_checked_stored_and_answered_by_a_look(world, net, far):
    house = world.house
    token = agreements.new_webhook_token(house, world.agreement_id, ACTOR)
    agreements.set_secret(house, world.agreement_id, "webhook_secret", "bell", ACTOR)
    app = Flask(__name__)
    app.register_blueprint(webhook_blueprint(house))
    push = app.test_client().post
    assert push(f"/webhooks/lowell/{token}", data="evt1", headers={"X-Secret": "no"}).status_code == 401
    assert world.rows(InboundFile) == []
    before = len([call for call in net.calls if "/news" in call.request.url])
    assert push(f"/webhooks/lowell/{token}", data="evt1", headers={"X-Secret": "bell"}).status_code == 202
    assert push(f"/webhooks/lowell/{token}", data="evt1", headers={"X-Secret": "bell"}).json["duplicate"]
    Desk(house, "worker-1").drain()
    assert len([call for call in net.calls if "/news" in call.request.url]) == before + 1
    [file] = world.rows(InboundFile)
    assert (file.state, file.kind) == ("imported", "notice")


@pytest.mark.parametrize(
    ("changes", "secrets", "fault"),
    [
        ({"base_url": "http://api.agency.example"}, {}, "base_url"),
        ({"base_url": "https://user@api.agency.example"}, {}, "base_url"),
        ({"base_url": "https://:hidden@api.agency.example"}, {}, "base_url"),
        ({"base_url": "https://api.agency.example:99999"}, {}, "base_url"),
        ({"base_url": "https://api..example"}, {}, "base_url"),
        ({"base_url": "https://[api.agency.example"}, {}, "base_url"),
        ({"auth": {"kind": "basic"}}, {}, "auth.kind"),
        ({"ca": "no certificate"}, {}, "'ca'"),
        ({}, {"api_client_secret": ""}, "api_client_secret"),
        ({}, {"api_client_secret": "two\nlines"}, "api_client_secret"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_contacted(changes, secrets, fault):
    with pytest.raises(DataError, match=fault):
        https.open_calls(TRANSPORT | changes, {"api_client_secret": "x"} | secrets)


def test_redirects_and_environment_change_nothing(net, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    net.post(TRANSPORT["auth"]["token_url"], json={"access_token": "t", "expires_in": 3600})
    net.get(f"{BASE}/cases", status=302, headers={"Location": "https://elsewhere.example/"})
    calls = https.open_calls(TRANSPORT, {"api_client_secret": "x"})
    assert not calls._session.trust_env
    with pytest.raises(DeliveryError, match="redirected"):
        calls.ask(Request("GET", "/cases"))
    with pytest.raises(DataError, match="made once"):
        calls.ask(Request("DELETE", "/cases"))
    with pytest.raises(DataError, match="no call"):
        calls.ask(Request("GET", "/../admin"))


def test_what_cannot_be_sent_leaves_no_doubt(net):
    calls = https.open_calls(BEARER, {"api_token": "x"}, called.Repeated())
    for header in (("X-Tenant", "a\nb"), ("X-Tenant", "ł"), ("X Tenant", "a")):
        with pytest.raises(DataError, match="header"):
            calls.once("k", Request("POST", "/cases", body=b"{}", headers=(header,)))
    assert len(net.calls) == 0


@pytest.mark.parametrize("life", [pytest.param(10**400, id="400 digits"), float("inf"), float("nan"), -1, "soon", None])
def test_a_token_may_say_anything_about_its_life(net, life):
    net.post(TRANSPORT["auth"]["token_url"], body=json.dumps({"access_token": "t", "expires_in": life}))
    net.get(f"{BASE}/cases", json=[])
    assert https.open_calls(TRANSPORT, {"api_client_secret": "x"}).ask(Request("GET", "/cases")).status == 200
    [kept] = https._tokens.values()
    assert 0 < kept.ends - time.monotonic() <= https.TOKEN_SECONDS_MAX


@pytest.mark.parametrize("status", [302, 408, 425, 502])
def test_no_error_tells_a_private_value(net, status):
    path, private = "/debtors/131052-308T", ("131052-308T",)
    net.get(BASE + path, status=status)
    net.post(BASE + path, status=status)
    calls = https.open_calls(BEARER, {"api_token": "x"}, called.Repeated())
    with pytest.raises(DeliveryError, match=r"/debtors/\*+8T: ") as asked:
        calls.ask(Request("GET", path, private=private))
    with pytest.raises(DeliveryInDoubt, match=r"/debtors/\*+8T: ") as made:
        calls.once("k", Request("POST", path, body=b"{}", private=private))
    assert "131052" not in f"{asked.value}{made.value}"


def test_no_error_of_the_database_tells_what_was_written(house):
    with pytest.raises(DBAPIError) as told, house.database.write() as connection:
        connection.execute(text("insert into no_such_table values (:id)"), {"id": "01018012345"})
    assert "01018012345" not in str(told.value)


def test_no_error_tells_a_secret(net):
    net.post(TRANSPORT["auth"]["token_url"], body=requests.ConnectionError("client_secret=s3cret"))
    calls = https.open_calls(TRANSPORT, {"api_client_secret": "s3cret"})
    with pytest.raises(DeliveryError) as told:
        calls.ask(Request("GET", "/cases"))
    assert "s3cret" not in str(told.value)


def test_an_answer_without_end_is_cut(net):
    net.post(TRANSPORT["auth"]["token_url"], json={"access_token": "t"})
    net.get(f"{BASE}/cases", body=b" " * (whole_answers.ANSWER_BYTES_MAX + 1))
    with pytest.raises(DeliveryError):
        https.open_calls(TRANSPORT, {"api_client_secret": "x"}).ask(Request("GET", "/cases"))
    net.replace(
        responses.POST,
        TRANSPORT["auth"]["token_url"],
        body=b" " * whole_answers.ANSWER_BYTES_MAX + b'{"access_token":"t"}',
    )
    with pytest.raises(DeliveryError, match="no token"):
        https.open_calls(TRANSPORT, {"api_client_secret": "y"}).ask(Request("GET", "/cases"))


def test_an_answer_that_drips_is_given_up(monkeypatch):
    calls = https.open_calls(BEARER, {"api_token": "x"})
    pool = calls._session.get_adapter(BASE).poolmanager.connection_from_url(BASE)
    assert pool.ConnectionCls.response_class is whole_answers._TimedAnswer
    monkeypatch.setattr(whole_answers, "WHOLE_ANSWER_SECONDS", 0)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(TimeoutError):
            whole_answers._TimedAnswer(ours).begin()


def test_nothing_is_noted_of_an_envelope_that_never_left(world, net, far):
    far.moods = ["down"] * 3
    evening(world)
    assert world.rows(AgencyCall) == []
    [task] = [task for task in world.rows(Task) if task.topic == "deliver"]
    assert (task.state, state(world)) == ("pending", "sealed")
