"""Messages signed as Tripletex signs: HMAC-SHA512 over ``idempotency-key & body``, no time, ids kept for good (P8)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.db.tables import InboundFile, Task
from gateway.services import agreements
from gateway.web.signatures import SignatureCheck
from tests.conftest import EVENING
from tests.web.conftest import World
from tests.web.test_webhooks import files, push
from tests.web.test_webhooks import signed as standard

SECRET = "a shared secret of the subscription"
OTHER = "the next shared secret of the subscription"
BODY = b'{"subscriptionId":7,"event":"closeGroup.create","id":4711,"value":{"id":4711}}'


def signed(body: bytes = BODY, secret: str = SECRET, key: str = "key-1") -> dict[str, str]:
    digest = hmac.digest(secret.encode(), key.encode() + b"&" + body, hashlib.sha512)
    return {"Idempotency-Key": key, "X-Request-Signature": base64.b64encode(digest).decode()}


def is_genuine(headers: dict[str, str], body: bytes, *secrets: str) -> bool:
    check = SignatureCheck({name.lower(): text for name, text in headers.items()}, secrets or (SECRET,), EVENING)
    check.feed(body)
    return check.is_genuine()


def test_a_sum_made_by_another_program():
    """By ``openssl dgst -sha512 -hmac``."""
    headers = {
        "Idempotency-Key": "b5f1c9d2-0b1e-4b5e-9a53-0f3a2c7d1e10",
        "X-Request-Signature": "IHFQZ2uEiLZ7wu9uZmYBvNBQFzp0b3aH0mnaIILyvI74ZFFewU26Pc6F1o75KIviRYAvpGrj4dc9BYYjEobZAg==",
    }
    assert is_genuine(headers, BODY)
    assert not is_genuine(headers, BODY + b" ")


@given(st.binary(max_size=300), st.text("abc-_.09", min_size=1, max_size=50), st.integers(1, 60))
def test_sums_made_in_pieces(body, key, size):
    headers = {name.lower(): text for name, text in signed(body, key=key).items()}
    check = SignatureCheck(headers, [OTHER, SECRET], EVENING)
    for start in range(0, len(body), size):
        check.feed(body[start : start + size])

    assert (check.is_genuine(), check.message_id) == (True, key)
    check.feed(b"!")
    assert not check.is_genuine()


@pytest.fixture
def world(house):
    return World(house)


class TestReceiving:
    def test_a_genuine_message_is_kept_whatever_its_age(self, world, clock):
        _, token = world.agreement(secret=SECRET)
        headers = signed()
        clock.advance(days=400)

        assert push(world, token, BODY, headers=headers).status_code == 202
        assert [file.sha256 for file in files(world)] == [hashlib.sha256(BODY).hexdigest()]

    def test_what_was_altered_is_refused(self, world):
        _, token = world.agreement(secret=SECRET)
        good = signed()
        altered = [
            (BODY + b" ", good),
            (BODY, {**good, "Idempotency-Key": "key-2"}),
            (BODY, {**good, "X-Request-Signature": "A" * 88}),
            (BODY, {**good, "X-Request-Signature": ""}),
            (BODY, {**good, "X-Request-Signature": "v1," + good["X-Request-Signature"]}),
            (BODY, {"X-Request-Signature": good["X-Request-Signature"]}),
            (BODY, {"Idempotency-Key": "key-1"}),
            (BODY, signed(secret=OTHER)),
            (BODY, {**good, "Idempotency-Key": "x" * 201}),
        ]
        for body, headers in altered:
            answer = push(world, token, body, headers=headers)
            assert (answer.status_code, answer.json["code"]) == (401, "signature.invalid")
        assert files(world) == []

    @pytest.mark.parametrize("moved", [0, 1])
    def test_the_border_between_key_and_body_cannot_be_moved(self, world, moved):
        """Both give the same sum, so a message somebody saw could be sent again under a key nobody has seen."""
        _, token = world.agreement(secret=SECRET)
        body = b'{"event":"x","value":"a&b"}'
        good = signed(body)
        key = "key-1&" + body.partition(b"&")[0].decode() if moved else "key-1"
        rest = body.partition(b"&")[2] if moved else body
        status = push(world, token, rest, headers={**good, "Idempotency-Key": key}).status_code

        assert status == (401 if moved else 202)

    def test_a_repeated_message_changes_nothing_after_a_year(self, world, clock):
        _, token = world.agreement(secret=SECRET)
        first = push(world, token, BODY, headers=signed())
        clock.advance(days=366)
        again = push(world, token, BODY, headers=signed())

        assert (again.status_code, again.json) == (200, {**first.json, "duplicate": True})
        with world.house.database.read() as connection:
            assert connection.execute(select(func.count()).select_from(Task)).scalar_one() == 1

    def test_an_id_that_comes_with_other_bytes_is_not_answered_2xx(self, world):
        _, token = world.agreement(secret=SECRET)
        push(world, token, BODY, headers=signed())

        assert push(world, token, b"{}", headers=signed(b"{}")).status_code == 422

    def test_two_live_secrets_during_rotation(self, world):
        agreement_id, token = world.agreement(secret=SECRET)
        agreements.set_secret(world.house, agreement_id, "webhook_secret", OTHER, "test")

        for number, secret in enumerate((SECRET, OTHER)):
            body = b"%d" % number
            assert push(world, token, body, headers=signed(body, secret, f"k{number}")).status_code == 202

    def test_beside_a_standard_signature_that_one_decides(self, world):
        """A message that is too old for one scheme must not be let in by half of the other."""
        _, token = world.agreement(secret=SECRET)
        both = {**standard(world, BODY, "whsec_" + base64.b64encode(b"x" * 32).decode()), **signed()}

        assert push(world, token, BODY, headers=both).status_code == 401


def test_the_same_message_many_times_at_once(house):
    """One file, whoever is first; the others hear of it instead of an error."""
    world = World(house)
    _, token = world.agreement(secret=SECRET)
    start, answers = threading.Barrier(6), []

    def send() -> None:
        start.wait()
        answers.append(push(world, token, BODY, headers=signed()))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [202]
    with world.house.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(InboundFile)).scalar_one() == 1
