"""Signatures over bodies that are still arriving: Standard Webhooks 1.0, and the scheme of Tripletex (P8).

Standard Webhooks is HMAC-SHA256 over ``id.timestamp.body``. Tripletex is HMAC-SHA512 over ``key&body`` with the header
``idempotency-key``; it knows no time, so that only the memory of ids, which are never forgotten, stops a replay. The
schemes' own libraries want the whole body in memory; a payment file may have hundreds of megabytes, so the same sum is
made chunk by chunk here and compared with the library in tests.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

TOLERANCE_SECONDS = 300
"""How far the sender's clock may be from ours (P8)."""

_PREFIX = "whsec_"
_MAX_SIGNATURES = 10
_MAX_ID = 200


class Headers(Protocol):
    """Headers of a request, found by names in any case."""

    def get(self, name: str, default: str, /) -> str:
        """Return the header's value, *default* where it is absent."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """What the headers claim, in the words of one scheme. *begin* is signed before the body; *fault* says what is wrong."""

    message_id: str
    begin: bytes
    given: Sequence[str]
    version: bytes
    digest: str
    key: Callable[[str], bytes]
    fault: str


class SignatureCheck:
    """The check of one message. Feed it the body, then ask whether it is genuine.

    The sender's headers choose the scheme: who does not hold the secret can sign in neither.

    Args:
        headers: of the request.
        secrets: the live ones; any may have signed. For Standard Webhooks ``whsec_`` and base64, or bare text from
            senders that know no base64; for Tripletex the subscription's ``hmacSharedSecret`` as it is.
        now: the present moment.
    """

    def __init__(self, headers: Headers, secrets: Sequence[str], now: datetime) -> None:
        is_tripletex = headers.get("x-request-signature", "") and not headers.get("webhook-signature", "")
        signed = _tripletex(headers) if is_tripletex else _standard(headers, now)
        self.message_id, self.fault = signed.message_id, signed.fault
        self._given, self._version = [one.encode() for one in signed.given], signed.version
        self._sums = [hmac.new(signed.key(secret), signed.begin, signed.digest) for secret in secrets]

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        for one in self._sums:
            one.update(chunk)

    def is_genuine(self) -> bool:
        """Return whether one live secret made one of the given signatures, in time that tells nothing about it."""
        right = [self._version + base64.b64encode(one.digest()) for one in self._sums]
        matches = [hmac.compare_digest(ours, theirs) for ours in right for theirs in self._given]
        return not self.fault and any(matches)


def _standard(headers: Headers, now: datetime) -> _Signed:
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")[:_MAX_SIGNATURES]
    fault = _id_fault("webhook-id", message_id) or _time_fault(timestamp, now)
    if not message_id or not timestamp or not any(given):
        fault = "webhook-id, webhook-timestamp and webhook-signature are needed"
    begin = f"{message_id}.{timestamp}.".encode()
    return _Signed(message_id, begin, given, b"v1,", "sha256", _key, fault)


def _tripletex(headers: Headers) -> _Signed:
    message_id, given = headers.get("idempotency-key", ""), headers.get("x-request-signature", "").strip()
    fault = _id_fault("idempotency-key", message_id)
    if not message_id:
        fault = "idempotency-key and x-request-signature are needed"
    elif "&" in message_id:
        # Else whoever saw one message could move the border between key and body and have it taken for a new one.
        fault = "idempotency-key holds the sign that ends it"
    return _Signed(message_id, f"{message_id}&".encode(), [given], b"", "sha512", str.encode, fault)


def _id_fault(name: str, message_id: str) -> str:
    return "" if len(message_id) <= _MAX_ID and message_id.isprintable() else f"{name} is not an id"


def _time_fault(timestamp: str, now: datetime) -> str:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):  # year 33658
        return "webhook-timestamp is not a number of seconds"
    if abs(now.timestamp() - int(timestamp)) > TOLERANCE_SECONDS:
        return f"webhook-timestamp is more than {TOLERANCE_SECONDS} seconds away"
    return ""


def _key(secret: str) -> bytes:
    """Return the key behind a secret: its base64, as the scheme's library reads it; an empty key would fit anybody."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX) + "==", validate=False)
    except (binascii.Error, ValueError):
        key = b""
    return key or secret.encode()
