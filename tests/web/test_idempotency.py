"""Idempotency-Key: one effect and one answer per key, whatever is repeated, mixed up or killed (P7)."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.db.tables import AuditEvent, KeptAnswer
from gateway.services import idempotency
from gateway.web import api as api_module
from gateway.web import once as once_module
from gateway.web.openapi import NDJSON
from tests.conftest import SECRET_KEY
from tests.web.conftest import CUSTOMER, INVOICE, World


@pytest.fixture
def world(house):
    """On both databases: what is tested here is what they do."""
    return World(house)


def put(api, key, value=CUSTOMER, path="/customers/c-1", **headers):
    return api("PUT", path, value, Idempotency_Key=key, **headers)


def same(one, other) -> bool:
    return (one.status_code, one.data, one.mimetype) == (other.status_code, other.data, other.mimetype)


def ingestions(world) -> int:
    query = select(func.count()).select_from(AuditEvent).where(AuditEvent.action == "ledger.ingested")
    with world.house.database.read() as connection:
        return connection.execute(query).scalar_one()


class TestSameKey:
    def test_the_same_request_is_given_the_same_answer(self, world):
        first, again = put(world.api, "k"), put(world.api, "k")

        assert (first.status_code, first.json["result"]) == (201, "created")
        assert same(first, again), "without the key it would be 200 and unchanged"
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"

    def test_the_answer_stays_although_the_books_have_moved_on(self, world):
        first = put(world.api, "k")
        put(world.api, "later", {**CUSTOMER, "name": "Nytt navn AS"})

        assert same(put(world.api, "k"), first)
        assert ingestions(world) == 2, "the repetition must not bring the old name back"

    def test_a_bulk_load_is_answered_the_same(self, world):
        body = b"".join(
            json.dumps({"type": "customer", "external_id": f"c-{n}", **CUSTOMER, "customer_number": str(n)}).encode()
            + b"\n"
            for n in range(5)
        )
        first, again = (
            world.api("POST", "/ledger", body=body, media_type=NDJSON, Idempotency_Key="load") for _ in range(2)
        )

        assert (first.status_code, first.json["created"]) == (200, 5)
        assert same(first, again)

    def test_a_refusal_is_an_answer_too(self, world):
        first = put(world.api, "k", INVOICE, "/invoices/i-1")
        put(world.api, "customer")

        assert first.status_code == 422
        assert same(put(world.api, "k", INVOICE, "/invoices/i-1"), first), "what was mended needs a new key"
        assert put(world.api, "k2", INVOICE, "/invoices/i-1").status_code == 201

    def test_a_body_that_cannot_be_read_is_answered_the_same(self, world):
        first, again = (world.api("PUT", "/customers/c", body=b"{", Idempotency_Key="k") for _ in range(2))

        assert first.status_code == 422
        assert same(first, again)

    @pytest.mark.parametrize(
        "other",
        [
            {"value": {**CUSTOMER, "city": "Oslo"}},
            {"path": "/customers/c-2"},
            {"X_Source": "another"},
        ],
        ids=["body", "address", "source"],
    )
    def test_another_request_is_refused_and_does_nothing(self, world, other):
        put(world.api, "k")
        answer = put(world.api, "k", **other)

        assert (answer.status_code, answer.json["code"]) == (422, "idempotency.reused")
        assert ingestions(world) == 1

    def test_the_quotes_of_the_draft_standard_belong_to_no_key(self, world):
        assert same(put(world.api, '"abc"'), put(world.api, "abc"))

    @pytest.mark.parametrize("key", ["x" * 256, "a b", '""', "\x7f", "nøkkel"])
    def test_what_is_no_key_is_refused(self, world, key):
        answer = put(world.api, key.encode().decode("latin-1"))

        assert (answer.status_code, answer.json["code"]) == (400, "request.invalid")
        assert ingestions(world) == 0

    def test_without_a_key_nothing_is_kept(self, world):
        put(world.api, "")

        with world.house.database.read() as connection:
            assert connection.execute(select(KeptAnswer)).all() == []

    def test_reading_takes_no_notice(self, world):
        first = world.api("GET", "/invoices", Idempotency_Key="k")
        put(world.api, "c")
        put(world.api, "k", INVOICE, "/invoices/i-1")

        assert first.json["items"] == []
        assert len(world.api("GET", "/invoices", Idempotency_Key="k").json["items"]) == 1


class TestWhose:
    def test_two_creditors_never_meet_each_others_keys(self, world):
        assert put(world.api, "k").status_code == 201
        assert put(world.others_api, "k", {**CUSTOMER, "name": "En annen AS"}).status_code == 201

    def test_two_keys_of_one_creditor_neither(self, world):
        put(world.api, "1")
        answer = put(world.api_of(world.fjord), "1")

        assert answer.json["result"] == "unchanged"

    def test_a_key_without_the_right_to_write_is_shown_nothing(self, world):
        put(world.api, "k")
        answer = put(world.api_of(world.fjord, ("ledger:read",)), "k")

        assert (answer.status_code, answer.json["code"]) == (403, "key.scope")

    def test_a_national_id_in_an_answer_cannot_be_read_in_the_database(self, world):
        number = "12345678901"
        answer = put(world.api, "k", {**CUSTOMER, "kind": "person", "national_id": number})
        with world.house.database.read() as connection:
            kept = connection.execute(select(KeptAnswer.body_encrypted)).scalar_one()

        assert answer.status_code == 422
        assert number.encode() not in kept
        assert world.house.secrets.decrypt(kept) == answer.get_data(as_text=True)


class TestFailures:
    def test_while_the_first_is_at_work_the_second_is_told_so(self, world, monkeypatch):
        seconds = []

        def keep(*given):
            seconds.append(put(world.api, "k"))
            seconds.append(put(world.api, "k", {**CUSTOMER, "city": "Oslo"}))
            idempotency_keep(*given)

        idempotency_keep = idempotency.keep
        monkeypatch.setattr(once_module.idempotency, "keep", keep)
        assert put(world.api, "k").status_code == 201
        meanwhile, other = seconds
        assert (meanwhile.status_code, meanwhile.json["code"]) == (409, "idempotency.at_work")
        assert 0 < int(meanwhile.headers["Retry-After"]) <= idempotency.CLAIM.total_seconds()
        assert (other.status_code, other.json["code"]) == (422, "idempotency.reused")

    def test_after_a_failure_of_ours_the_same_key_may_come_again_at_once(self, world, monkeypatch):
        with monkeypatch.context() as broken:
            broken.setattr(api_module, "ingest", lambda *_, **__: 1 // 0)
            assert put(world.api, "k").status_code == 500

        assert put(world.api, "k").json["result"] == "created"

    def test_one_that_was_thought_dead_and_one_that_took_over_have_one_effect(self, world, clock, monkeypatch):
        """The first comes back after the second has answered: its transaction is undone, its sender told the same."""
        answers = []
        monkeypatch.setattr(once_module.idempotency, "claim", lambda *_: None)
        put(world.api, "c")
        real = api_module.ingest

        def late(*given, **named):
            monkeypatch.setattr(api_module, "ingest", real)
            answers.append(put(world.api, "k", INVOICE, "/invoices/i-1"))
            monkeypatch.undo()
            return real(*given, **named)

        monkeypatch.setattr(api_module, "ingest", late)
        first = put(world.api, "k", INVOICE, "/invoices/i-1")

        assert [answer.status_code for answer in answers] == [201]
        assert same(first, answers[0])
        assert ingestions(world) == 2

    def test_the_answers_of_the_last_thirty_days_are_there(self, world, clock):
        first = put(world.api, "k")
        clock.advance(days=30)

        assert same(put(world.api, "k"), first)


KILLED = """
    import os, signal, sys
    from gateway.agencies import Agencies
    from gateway.db.uow import Database
    from gateway.secretbox import SecretBox
    from gateway.services.house import House
    from gateway.web import once
    from tests.conftest import EVENING
    from tests.web.conftest import make_app

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    url, secret, key, moment, body = sys.argv[1:]
    if moment == "before commit":
        once.idempotency.keep = die
    house = House(Database(url), Agencies(()), SecretBox(secret), die, lambda: EVENING)
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    make_app(house).test_client().put("/api/v1/customers/c-1", data=body, headers=headers)
"""


class TestKilled:
    """The process dies by SIGKILL, without answering."""

    def _die(self, world, moment: str) -> None:
        arguments = [world.house.database.url, SECRET_KEY, world.api._key, moment, json.dumps(CUSTOMER)]
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), *arguments], check=False)
        assert done.returncode == -signal.SIGKILL

    def test_between_commit_and_answer(self, world):
        self._die(world, "after commit")
        answer = put(world.api, "k")

        assert (answer.status_code, answer.json["result"]) == (201, "created"), "the answer that was never heard"
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert ingestions(world) == 1

    def test_before_the_commit(self, world, clock):
        self._die(world, "before commit")
        assert ingestions(world) == 0
        assert put(world.api, "k").status_code == 409

        clock.advance(seconds=idempotency.CLAIM.total_seconds())
        assert put(world.api, "k").json["result"] == "created"
        assert put(world.api, "k").headers["Idempotent-Replayed"] == "true"


REQUESTS = [
    ("PUT", "/customers/c-1", CUSTOMER),
    ("PUT", "/customers/c-1", {**CUSTOMER, "city": "Oslo"}),
    ("POST", "/customers", {**CUSTOMER, "external_id": "c-1"}),
    ("PUT", "/invoices/i-1", INVOICE),
    ("PUT", "/invoices/i-1", {**INVOICE, "amount": "1.00"}),
    ("PUT", "/customers/c-1", {"name": 1}),
]
STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(REQUESTS), st.integers(0, 7 * 24)), max_size=12)


def test_any_mixture_of_methods_bodies_and_times(sqlite_house, clock):
    """Against the simplest model: the first answer under a key is the only one, and only its own request hears it."""
    world, runs = World(sqlite_house), itertools.count()

    @settings(max_examples=60, deadline=None)
    @given(STEPS)
    def mixture(steps):
        run, first = next(runs), {}
        for name, (method, path, value), hours in steps:
            clock.advance(hours=hours / 12)
            answer = world.api(method, path, value, Idempotency_Key=f"{run}-{name}")
            request = (method, path, json.dumps(value))
            known, before = first.setdefault(name, (request, answer))
            if known == request:
                assert same(answer, before)
            else:
                assert (answer.status_code, answer.json["code"]) == (422, "idempotency.reused")

    mixture()
