"""Nothing personal and nothing secret in a log line (P22)."""

from __future__ import annotations

import pytest

from gateway.demo.people import national_id
from gateway.logs import mask, masked_text


@pytest.mark.parametrize("country", ["NO", "SE"])
@pytest.mark.parametrize("number", [0, 17, 59])
def test_national_ids_are_masked_wherever_they_stand(country, number):
    given = national_id(country, number)
    for text in (given, f"customer {given} refused", f"value='{given}'", f'{{"id":"{given}"}}'):
        assert given not in masked_text(text)
        assert "***" in masked_text(text)


@pytest.mark.parametrize(
    "given",
    [
        "010170 12345", "010170-12345", "19800101-2385", "800101-2385", "800101+2385", "198001012385", "8112189876",
        "131052-308T", "131052A308T", "131052+308T",
    ],
)  # fmt: skip
def test_every_way_of_writing_them(given):
    assert masked_text(f"x {given} y") == "x *** y"


def test_amounts_times_and_references_stay_readable():
    text = "invoice 10001, 125000 øre, 2026-11-23T17:00:00+00:00, envelope 270, KID 00100012000004, attempt 3, 8112189877 in all"
    assert masked_text(text) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://krav:hemmelig@db/x", "hemmelig"),
        ("key kp_abcdef_S3cret-Part_of it", "S3cret"),
        ("POST /webhooks/lowell/tokentoken123 202", "tokentoken123"),
    ],
)
def test_secrets_in_text_are_masked(text, secret):
    assert secret not in masked_text(text)


def test_fields_with_secret_names_are_masked_whole():
    line = mask(None, "info", {"event": "x", "password": "p", "api_key": "k", "facts": {"webhook_secret": "s", "n": 1}})
    assert line == {"event": "x", "password": "***", "api_key": "***", "facts": {"webhook_secret": "***", "n": 1}}


def test_nested_values_are_looked_through():
    given = national_id("NO", 3)
    line = mask(None, "info", {"event": "x", "rows": [given, {"a": (given,)}], "error": ValueError(given)})
    assert given not in str(line)


def test_numbers_stay_numbers():
    assert mask(None, "info", {"event": "x", "count": 3, "ok": True, "none": None}) == {
        "event": "x",
        "count": 3,
        "ok": True,
        "none": None,
    }
