"""Webhooks: committed before answered, genuine or refused, repeated without effect (P1, P2, P8)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from standardwebhooks import Webhook

from gateway.db import blobs
from gateway.db.tables import InboundArrival, InboundFile, Task
from gateway.errors import Busy
from gateway.services import agreements, inbound
from gateway.web import webhooks as module
from gateway.web.signatures import SignatureCheck
from tests.web.conftest import make_app

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret, also thirty-two b").decode()
BODY = b"NY000010000000000000000000000000" * 100


def signed(world, body: bytes, *secrets: str, message_id: str = "msg_1", at: datetime | None = None) -> dict[str, str]:
    """Headers as the scheme's own library makes them."""
    moment = at or world.house.now()
    signatures = [Webhook(secret).sign(message_id, moment, body.decode()) for secret in secrets or (SECRET,)]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def push(world, token: str, body: bytes = BODY, agency: str = "lowell", **options):
    return world.app.test_client().post(f"/webhooks/{agency}/{token}", data=body, **options)


def files(world) -> list[InboundFile]:
    with world.house.database.session() as session:
        return list(session.scalars(select(InboundFile)))


class TestStoring:
    def test_bytes_are_committed_and_reading_is_promised(self, world):
        agreement_id, token = world.agreement()
        answer = push(world, token, headers={"Content-Disposition": 'attachment; filename="../../etc/OCR 1.txt"'})

        assert answer.status_code == 202
        (file,) = files(world)
        assert answer.json == {"inbound_file_id": file.id, "duplicate": False}
        assert (file.agreement_id, file.filename, file.state) == (agreement_id, "OCR 1.txt", "stored")
        assert (file.sha256, file.size) == (hashlib.sha256(BODY).hexdigest(), len(BODY))
        assert blobs.open_blob(world.house.database, file.blob_id).read() == BODY
        with world.house.database.read() as connection:
            assert connection.execute(select(Task.topic, Task.ref_id, Task.state)).one() == ("read", file.id, "pending")

    def test_no_2xx_without_a_commit(self, world, monkeypatch):
        """P1: when storing fails the sender must come again."""
        _, token = world.agreement()

        def fails(*_, **__):
            raise RuntimeError("the disk is full")

        monkeypatch.setattr(inbound, "store", fails)
        answer = push(world, token)
        assert (answer.status_code, "disk" in answer.text) == (500, False)
        assert files(world) == []

    def test_books_that_are_worked_on_ask_the_sender_to_come_again(self, world, monkeypatch):
        _, token = world.agreement()

        def busy(*_, **__):
            raise Busy("at work")

        monkeypatch.setattr(inbound, "store", busy)
        answer = push(world, token)
        assert (answer.status_code, answer.json["code"]) == (503, "request.busy")
        assert int(answer.headers["Retry-After"]) > 0

    def test_the_same_bytes_again(self, world):
        _, token = world.agreement()
        first, again = push(world, token), push(world, token)

        assert (again.status_code, again.json) == (200, {**first.json, "duplicate": True})
        assert len(files(world)) == 1
        with world.house.database.read() as connection:
            assert connection.execute(select(func.count()).select_from(InboundArrival)).scalar_one() == 2

    def test_the_same_message_after_a_year_changes_nothing(self, world, clock):
        _, token = world.agreement(secret=SECRET)
        first = push(world, token, headers=signed(world, BODY))
        clock.advance(days=365)
        again = push(world, token, headers=signed(world, BODY))
        other = push(world, token, b"other bytes", headers=signed(world, b"other bytes"))

        assert (again.status_code, again.json) == (200, {**first.json, "duplicate": True})
        assert other.status_code == 422, "bytes that are not kept may not be answered with a 2xx"
        assert "webhook.id_reused" in other.get_data(as_text=True)
        assert len(files(world)) == 1

    def test_anything_is_stored_and_nothing_is_read(self, world):
        _, token = world.agreement()

        assert push(world, token, b"\x00\xff<!DOCTYPE x>" * 1000).status_code == 202
        assert files(world)[0].state == "stored"

    def test_large_bodies_go_through_the_disk(self, world):
        _, token = world.agreement()
        body = bytes(range(256)) * (12 << 10)

        assert push(world, token, body).status_code == 202
        assert files(world)[0].size == len(body)

    def test_too_large_is_refused_and_not_stored(self, world):
        _, token = world.agreement()
        small = make_app(world.house, webhook=1000).test_client()

        assert small.post(f"/webhooks/lowell/{token}", data=b"x" * 1001).status_code == 413
        assert small.post(f"/webhooks/lowell/{token}", data=b"x" * 1000).status_code == 202
        assert len(files(world)) == 1

    def test_too_large_without_a_length_is_refused_too(self, world):
        _, token = world.agreement()
        small = make_app(world.house, webhook=1000).test_client()
        chunked = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        answer = small.post(
            f"/webhooks/lowell/{token}", input_stream=io.BytesIO(b"x" * 5000), environ_overrides=chunked
        )

        assert (answer.status_code, files(world)) == (413, [])

    def test_a_body_that_breaks_off_is_not_stored(self, world):
        _, token = world.agreement()
        answer = world.app.test_client().post(
            f"/webhooks/lowell/{token}",
            input_stream=io.BytesIO(BODY),
            environ_overrides={"CONTENT_LENGTH": str(len(BODY) + 1)},
        )

        assert (answer.status_code, files(world)) == (400, [])

    def test_an_empty_body_is_no_file(self, world):
        _, token = world.agreement()

        assert push(world, token, b"").status_code == 400


class TestAddress:
    def test_only_the_right_address_is_there(self, world):
        _, token = world.agreement()
        _, draft = world.agreement("intrum", state="draft")

        for agency, wrong in (("lowell", token[:-1]), ("lowell", "x"), ("intrum", token), ("intrum", draft)):
            answer = push(world, wrong, agency=agency)
            assert (answer.status_code, answer.json["code"]) == (404, "request.not_found")
        assert push(world, token[:-1]).json == push(world, "x").json
        assert files(world) == []

    def test_a_new_token_ends_the_old_one(self, world):
        agreement_id, token = world.agreement()
        fresh = agreements.new_webhook_token(world.house, agreement_id, "test")

        assert (push(world, token).status_code, push(world, fresh).status_code) == (404, 202)

    def test_only_post(self, world):
        _, token = world.agreement()

        assert world.app.test_client().get(f"/webhooks/lowell/{token}").status_code == 405


class TestSignature:
    def test_what_the_library_signs_is_taken(self, world):
        _, token = world.agreement(secret=SECRET)

        assert push(world, token, headers=signed(world, BODY)).status_code == 202

    @pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_every_header_is_needed(self, world, missing):
        _, token = world.agreement(secret=SECRET)
        headers = {name: value for name, value in signed(world, BODY).items() if name != missing}

        assert push(world, token, headers=headers).status_code == 401
        assert files(world) == []

    def test_what_was_altered_is_refused(self, world):
        _, token = world.agreement(secret=SECRET)
        good = signed(world, BODY)
        altered = [
            (BODY + b" ", good),
            (b"M" + BODY[1:], good),
            (BODY, {**good, "webhook-id": "msg_2"}),
            (BODY, {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}),
            (BODY, {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}),
            (BODY, {**good, "webhook-signature": "v1,"}),
            (BODY, {**good, "webhook-signature": "v1," + "A" * 44}),
            (BODY, signed(world, BODY, OTHER)),
        ]
        for body, headers in altered:
            answer = push(world, token, body, headers=headers)
            assert (answer.status_code, answer.json["code"]) == (401, "signature.invalid")
        assert files(world) == []

    @pytest.mark.parametrize(("seconds", "status"), [(300, 202), (301, 401), (-300, 202), (-301, 401), (10**9, 401)])
    def test_old_and_future_messages(self, world, seconds, status):
        _, token = world.agreement(secret=SECRET)
        at = world.house.now() - timedelta(seconds=seconds)

        assert push(world, token, headers=signed(world, BODY, at=at)).status_code == status

    @pytest.mark.parametrize("timestamp", ["soon", "1e9", "-5", "9" * 400, "٣٤", "1764000000.5"])
    def test_timestamps_that_are_none(self, world, timestamp):
        _, token = world.agreement(secret=SECRET)
        headers = {**signed(world, BODY), "webhook-timestamp": timestamp.encode().decode("latin-1")}

        assert push(world, token, headers=headers).status_code == 401

    def test_two_live_secrets_during_rotation(self, world):
        agreement_id, token = world.agreement(secret=SECRET)
        agreements.set_secret(world.house, agreement_id, "webhook_secret", OTHER, "test")

        assert (
            push(world, token, b"by the old", headers=signed(world, b"by the old", SECRET, message_id="1")).status_code
            == 202
        )
        assert (
            push(world, token, b"by the new", headers=signed(world, b"by the new", OTHER, message_id="2")).status_code
            == 202
        )
        assert (
            push(world, token, b"by both", headers=signed(world, b"by both", SECRET, OTHER, message_id="3")).status_code
            == 202
        )

    def test_without_a_secret_the_token_is_enough_and_the_id_still_counts(self, world):
        _, token = world.agreement()
        first = push(world, token, b"one", headers={"webhook-id": "m"})
        again = push(world, token, b"one", headers={"webhook-id": "m"})

        assert again.json == {**first.json, "duplicate": True}
        assert push(world, token, b"two", headers={"webhook-id": "m"}).status_code == 422

    def test_nothing_is_stored_before_the_signature_is_checked(self, world, monkeypatch):
        _, token = world.agreement(secret=SECRET)
        monkeypatch.setattr(module.inbound, "store", lambda *_: pytest.fail("stored an unchecked body"))

        assert push(world, token, headers=signed(world, BODY, OTHER)).status_code == 401


class TestAgainstTheLibrary:
    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=200), st.binary(min_size=24, max_size=64), st.integers(1, 60))
    def test_sums_made_in_pieces_are_the_librarys(self, body, key, size):
        secret, moment = "whsec_" + base64.b64encode(key).decode(), datetime(2026, 11, 23, tzinfo=UTC)
        headers = {
            "webhook-id": "msg",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg", moment, body),
        }
        check, content = SignatureCheck(headers, [secret], moment), body.encode()
        for start in range(0, len(content), size):
            check.feed(content[start : start + size])

        assert check.is_genuine()
        check.feed(b"!")
        assert not check.is_genuine()

    def test_the_published_vector(self):
        """From the Standard Webhooks specification's reference tests."""
        body = b'{"test": 2432232314}'
        headers = {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        }
        check = SignatureCheck(
            headers, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], datetime.fromtimestamp(1614265330, UTC)
        )
        check.feed(body)

        assert check.is_genuine()

    @pytest.mark.parametrize("secret", ["whsec_", "!!!", "æøå"])
    def test_a_secret_that_decodes_to_nothing_does_not_open_the_door(self, secret):
        """An empty key would make everybody's signature valid."""
        now = datetime(2026, 11, 23, tzinfo=UTC)
        empty = base64.b64encode(hmac.digest(b"", f"m.{int(now.timestamp())}.x".encode(), "sha256")).decode()
        headers = {
            "webhook-id": "m",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": f"v1,{empty}",
        }
        check = SignatureCheck(headers, [secret], now)
        check.feed(b"x")

        assert secret == "whsec_" or not check.is_genuine()


def test_on_both_databases(house):
    from tests.web.conftest import World

    world = World(house)
    _, token = world.agreement(secret=SECRET)
    answers = [push(world, token, headers=signed(world, BODY)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 200, 200]
    assert len({json.dumps(answer.json["inbound_file_id"]) for answer in answers}) == 1
