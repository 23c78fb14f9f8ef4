"""Standard Webhooks 1.0 signatures over bodies that are still arriving.

The scheme is HMAC-SHA256 over ``id.timestamp.body``. The scheme's own library wants the whole body in memory; a payment
file may have hundreds of megabytes, so the same sum is made chunk by chunk here and compared with the library in tests.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
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


class SignatureCheck:
    """The check of one message. Feed it the body, then ask whether it is genuine.

    Args:
        headers: of the request.
        secrets: the live ones, ``whsec_`` and base64, or bare text from senders that know no base64; any may have
            signed.
        now: the present moment.
    """

    def __init__(self, headers: Headers, secrets: Sequence[str], now: datetime) -> None:
        self.message_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        self._given = headers.get("webhook-signature", "").split(" ")[:_MAX_SIGNATURES]
        self.fault = self._fault(timestamp, now)
        begin = f"{self.message_id}.{timestamp}.".encode()
        self._sums = [hmac.new(_key(secret), begin, hashlib.sha256) for secret in secrets]

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of the body."""
        for one in self._sums:
            one.update(chunk)

    def is_genuine(self) -> bool:
        """Return whether one live secret made one of the given signatures, in time that tells nothing about it."""
        right = [b"v1," + base64.b64encode(one.digest()) for one in self._sums]
        given = [signature.encode() for signature in self._given]
        matches = [hmac.compare_digest(ours, theirs) for ours in right for theirs in given]
        return not self.fault and any(matches)

    def _fault(self, timestamp: str, now: datetime) -> str:
        if not self.message_id or not timestamp or not any(self._given):
            return "webhook-id, webhook-timestamp and webhook-signature are needed"
        if len(self.message_id) > _MAX_ID or not self.message_id.isprintable():
            return "webhook-id is not an id"
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
