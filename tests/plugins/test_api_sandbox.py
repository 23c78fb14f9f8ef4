"""An agency with an API to practise with: real TLS, OAuth2, and trouble that never changes what was done."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import pytest
import requests

from gateway.demo import sandboxes
from gateway.demo.misbehaviour import API
from gateway.testing.api_sandbox import Pusher, serving
from tests.conftest import EVENING, StandingClock
from tests.plugins.register_sandbox import Register, bearer, token

ON_THE_LINE = ("timeout_after_commit", "connection_refused_before", "truncated_answer")


@pytest.fixture
def register(tmp_path, clock):
    with closing(Register(tmp_path / "agency", now=clock)) as made:
        yield made


# --- who may call ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "guess"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"client_id": ["fjord", "fjord"]}, 400, "invalid_request"),
        ({"scope": "cases all"}, 400, "invalid_scope"),
    ],
)
def test_a_token_is_refused_as_rfc_6749_says(register, changes, status, error):
    assert token(register.app.test_client(), **changes) == (status, {"error": error})


def test_a_token_ends_and_opens_no_more_than_its_scope(register, clock):
    client = register.app.test_client()
    good, narrow = bearer(client), bearer(client, scope="money")
    assert client.post("/cases", json={"invoice": "1"}).status_code == 401
    assert client.post("/cases", json={"invoice": "1"}, headers=narrow).status_code == 403
    clock.advance(seconds=3599)
    assert client.post("/cases", json={"invoice": "2"}, headers=good).status_code == 201
    clock.advance(seconds=1)
    ended = client.post("/cases", json={"invoice": "3"}, headers=good)
    assert (ended.status_code, ended.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert register.opened() == ["2"]


def test_a_fixed_token_is_the_whole_header(register):
    client = register.app.test_client()
    tried = [
        client.get("/fixed", headers={"Authorization": value}).status_code
        for value in ("key-of-ours", "Bearer key-of-ours")
    ]
    assert tried == [200, 401]


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_what_is_refused_is_undone_and_every_request_is_known(register):
    client = register.app.test_client()
    headers = bearer(client)
    for invoice in ("1", "refuse-2", "1"):
        client.post("/cases", json={"invoice": invoice}, headers=headers)
    assert register.opened() == ["1", "1"]
    assert register.creations() == {("case", "1"): 2}, "a double is seen"
    calls = [call for call in register.calls() if call.path == "/cases"]
    assert [(call.status, call.is_committed) for call in calls] == [(201, True), (422, False), (201, True)]
    assert (calls[1].method, json.loads(calls[1].body)) == ("POST", {"invoice": "refuse-2"})


@pytest.mark.parametrize(("invoice", "opened"), [("7", ["7"]), ("die", [])])
def test_a_kill_loses_nothing_answered_and_keeps_nothing_half(tmp_path, invoice, opened):
    """Killed when the first byte of the answer is due, and killed in the middle of the call."""
    lines = (
        "import os, sys; from pathlib import Path; from werkzeug.test import EnvironBuilder",
        "from tests.plugins.register_sandbox import Register, bearer",
        "agency = Register(Path(sys.argv[1])); headers = bearer(agency.app.test_client())",
        "environ = EnvironBuilder('/cases', method='POST', headers=headers, json={'invoice': sys.argv[2]}).get_environ()",
        "agency.app(environ, lambda *_: os.kill(os.getpid(), 9))",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines), str(tmp_path), invoice], check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(Register(tmp_path)) as again:
        assert again.opened() == opened
        assert again.creations() == {("case", name): 1 for name in opened}
        assert [call.path for call in again.calls()] == ["/oauth/token"] + ["/cases"] * len(opened)


# --- TLS -------------------------------------------------------------------------------------------------------------


def test_tls_is_verified_and_for_a_while_it_is_not_the_agency(register):
    with serving(register) as door, requests.Session() as session:
        session.trust_env = False  # else REQUESTS_CA_BUNDLE of this machine goes before the session's own root
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{door.address}/fixed")
        session.verify = str(door.ca_file)
        with socket.create_connection(
            ("127.0.0.1", int(door.address.rpartition(":")[2]))
        ):  # says nothing, stops nobody
            assert session.get(f"{door.address}/fixed", timeout=10).status_code == 401
        register.misbehave({"wrong_certificate"}, 3)
        met = [looked(session, door.address) for _ in range(24)]
        register.misbehave(())
        assert looked(session, door.address) == "401"
    assert set(met) == {"401", "unable to get local issuer certificate", "IP address mismatch"}
    assert len(register.calls()) == 2 + met.count("401"), "nothing was asked of a stranger"
    modes = {path.name: path.stat().st_mode & 0o777 for path in (register.root / "tls").glob("*.key")}
    assert set(modes.values()) == {0o600}
    assert "right.key" in modes


def looked(session, address):
    """Say what became of one connection."""
    try:
        return str(session.get(f"{address}/fixed").status_code)
    except requests.exceptions.SSLError as error:
        faults = ("IP address mismatch", "unable to get local issuer certificate")
        return next((fault for fault in faults if fault in str(error)), str(error))


# --- trouble ---------------------------------------------------------------------------------------------------------

SEEN = {
    "timeout_after_commit": {("dropped", 1)},
    "connection_refused_before": {("dropped", 0)},
    "server_error": {("500", 1), ("500", 0), ("503", 0), ("503 Retry-After", 0)},
    "rate_limited": {("429 Retry-After", 0)},
    "expired_token": {("401", 0)},
    "truncated_answer": {("broken off", 1)},
    "slow": set(),
}
"""What a client may meet beside 201, and how often its case was opened then."""


@pytest.mark.rule("P4")
@pytest.mark.parametrize("way", sorted(SEEN))
def test_trouble_happens_and_never_changes_what_was_done(register, way):
    waited = []
    if way in ON_THE_LINE:
        with serving(register) as door, requests.Session() as session:
            session.trust_env, session.verify = False, str(door.ca_file)
            met = tried(
                register, way, waited, lambda invoice, token: over_the_line(session, door.address, invoice, token)
            )
    else:
        client = register.app.test_client()
        met = tried(register, way, waited, lambda invoice, token: answer_of(client, invoice, token))
    assert {(seen, register.creations()[("case", invoice)]) for invoice, seen in met} == {("201", 1)} | SEEN[way]
    struck = sum(seen != "201" for _, seen in met)
    assert register.trouble.happened[way] == (len(waited) if way == "slow" else struck) > 0
    assert sum(call.trouble == way for call in register.calls()) == struck


def tried(register, way, waited, ask):
    """Ask for a case for every invoice; return what was seen."""
    headers = bearer(register.app.test_client())
    register.misbehave({way}, 5, waited.append)
    met = []
    for number in range(12 if way in ON_THE_LINE else 80):
        seen = ask(str(number), headers)
        met.append((str(number), seen))
        if seen == "401":
            headers = bearer(register.app.test_client())
    return met


def over_the_line(session, address, invoice, headers):
    try:
        answer = session.post(f"{address}/cases", json={"invoice": invoice}, headers=headers)
    except requests.exceptions.ChunkedEncodingError:
        return "broken off"
    except requests.exceptions.SSLError as error:  # raised for a handshake only: what breaks later is a dropped line
        return str(error)
    except requests.exceptions.ConnectionError:
        return "dropped"
    return named(answer)


def answer_of(client, invoice, headers):
    return named(client.post("/cases", json={"invoice": invoice}, headers=headers))


def named(answer):
    return f"{answer.status_code}{' Retry-After' if 'Retry-After' in answer.headers else ''}"


def test_the_same_seed_makes_the_same_trouble_of_all_kinds(tmp_path):
    lives = [life(tmp_path / name, seed) for name, seed in (("a", 4), ("b", 4), ("c", 5))]
    assert lives[0] == lives[1]
    assert lives[0][0] != lives[2][0]
    assert {way for way, count in lives[0][1].items() if count} == set(SEEN)


def life(root, seed):
    """Return what happened to 50 requests."""
    with closing(Register(root, now=StandingClock())) as register:
        client = register.app.test_client()
        headers = bearer(client)
        register.misbehave(SEEN, seed, lambda _seconds: None)
        statuses = []
        for number in range(50):
            try:
                statuses.append(named(client.post("/cases", json={"invoice": str(number)}, headers=headers)))
            except ConnectionAbortedError as error:
                statuses.append(str(error))
            if statuses[-1] == "401":
                headers = {"Authorization": f"Bearer {fresh(client)}"}
        return statuses, register.trouble.happened


def fresh(client):
    """Fetch a token, however often that takes."""
    while True:
        try:
            status, told = token(client)
        except ConnectionAbortedError:
            continue
        if status == 200:
            return told["access_token"]


# --- webhooks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["", *sorted(way for way in API if way.endswith("_webhook"))])
def test_every_webhook_is_taken_however_it_comes(register, way):
    register.misbehave({way}, 2)
    for number in range(12):
        register.push("https://kravport.example/hook", b"%d" % number)
    posted, first_tries = [], set()

    def post(push):
        """Refuse everything once."""
        is_first = push.number not in first_tries
        first_tries.add(push.number)
        if not is_first:
            posted.append((int(push.body), push.headers["Signed"]))
        return not is_first

    pusher = Pusher(register, post)
    hours = [pusher.work(EVENING + timedelta(hours=hour)) for hour in range(48)]
    assert (register.pushes(), sum(hours)) == ([], 12)
    bodies = [body for body, _ in posted]
    assert set(bodies) == set(range(12))
    assert (len(bodies) > 12) == (way == "duplicate_webhook")
    assert (list(dict.fromkeys(bodies)) != list(range(12))) == (way in {"late_webhook", "wrong_order_webhook"})
    assert (sum(hours[4:]) > 0) == (way == "late_webhook")
    assert posted[0][1] == f"{bodies[0] + 1} 17:30", "signed at the moment it is posted, with the number it keeps"


# --- the process -----------------------------------------------------------------------------------------------------


def test_the_sandbox_process_serves_an_api_beside_the_mailboxes(tmp_path, monkeypatch):
    """A webhook is pushed over TLS, to the sandbox itself for want of another server."""
    monkeypatch.setattr(sandboxes, "maker_of", lambda _key: lambda root, facts: Register(root, **facts))
    wanted = {"key": "acme", "password": "pw", "facts": {}, "misbehaviour": {"seed": 1, "ways": ["slow", "late"]}}
    box = sandboxes._mailbox(tmp_path, wanted)
    assert box.api.trouble.ways == {"slow"}
    box.api.misbehave(())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "acme" / "ca.pem"))
    (box.root / "orders" / "1.json").write_text('[{"method": "opened"}, {"method": "close"}]')
    door = asyncio.run(visited(tmp_path, box))
    assert set(door) == {"address", "ca_pem", "ca_file", "transport", "secrets"}
    assert door["ca_pem"] == (tmp_path / "tls" / "acme" / "ca.pem").read_text()
    assert [(call.path, call.body) for call in box.api.calls()] == [("/hook", b"hello")]
    assert json.loads((box.root / "orders" / "1.done").read_text()) == {"error": "no order 'close'", "results": [[]]}
    box.api.close()


async def visited(root, box):
    """Let the process run until the webhook is taken; return what ready.json says of the agency."""
    running = asyncio.create_task(sandboxes._serve(root, {"acme": box}))
    await seen((root / sandboxes.READY).exists)
    door = json.loads((root / sandboxes.READY).read_text())["https"]["acme"]
    box.api.push(f"{door['address']}/hook", b"hello", {"Content-Type": "text/plain"})
    await seen(lambda: not box.api.pushes())
    running.cancel()
    await asyncio.wait([running])
    return door


async def seen(happened):
    """Wait until another thread has done something."""
    while not happened():  # noqa: ASYNC110  # it knows no event of ours
        await asyncio.sleep(0.02)
