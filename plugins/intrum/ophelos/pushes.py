"""Webhooks of Ophelos: signed in their own way, and believed in nothing but that something happened."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from gateway.domain.calls import Webhook
from gateway.errors import DecodeError
from gateway.formats.calls import decoded
from plugins.intrum.ophelos.objects import Thing

HEADER = "ophelos-signature"
TOLERANCE_SECONDS = 300


def check(headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: datetime) -> Webhook:
    """Return what a push is worth: a bell when one of *secrets* signed it within five minutes of *now*.

    ``Ophelos-Signature: t=<unix seconds>,v1=<hex>`` is HMAC-SHA256 over ``t``, a dot and the body as it came.
    """
    if not secrets:
        return Webhook("no signing key is agreed for this webhook")
    parts = [part.strip().partition("=") for part in headers.get(HEADER, "").split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    signatures = [value for name, _, value in parts if name == "v1"]
    if len(stamps) != 1 or not signatures or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) < 13):
        return Webhook(f"the header {HEADER} is missing or not of the form t=...,v1=...")
    if abs(now.timestamp() - int(stamps[0])) > TOLERANCE_SECONDS:
        return Webhook("the signature is older or newer than five minutes")
    signed = stamps[0].encode() + b"." + body
    right = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets]
    given = [signature.encode() for signature in signatures]
    if not any([hmac.compare_digest(one, other) for one in right for other in given]):  # noqa: C419  # each is compared
        return Webhook("no signature fits the body")
    try:
        return Webhook(message_id=Thing(decoded(body)).id())
    except DecodeError:
        return Webhook("the event has no id")
