"""``POST /webhooks/<agency>/<token>``: an agency pushes a file. Store first, answer then, look inside later (T8, P1, P8)."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

from flask import Blueprint, Response, jsonify, request

from gateway.agencies import Agency
from gateway.services import inbound
from gateway.services.house import House
from gateway.services.inbound import WebhookTarget
from gateway.services.mailbox import fetch_now
from gateway.web.problems import Problem, answer_with_problems
from gateway.web.signatures import SignatureCheck
from gateway.web.spool import sent_filename, spooled

MAX_BYTES = 512 << 20
"""A payment file of half a million transactions; an operator may allow more."""

OWN_BYTES_MAX = 1 << 20
"""A push signed in an agency's own way tells of an event; files come in the standard one."""
_MESSAGE_ID_MAX = 200
_PUSHES, _WITHIN_SECONDS = 300, 60
"""Pushes of one agreement in an agency's own way, within so long: each costs a row, and not all of them are signed."""


def webhook_blueprint(house: House, max_bytes: int = MAX_BYTES) -> Blueprint:
    """Return the address that agencies push files to.

    A 2xx leaves only after the bytes are committed: 202 for a new file, 200 with ``duplicate`` for one that is here
    already, by message id or by content. Nothing of the file is read before. With an agreed secret the body must be
    signed, after Standard Webhooks or as Tripletex does (`gateway.web.signatures`).

    Args:
        house: the house.
        max_bytes: largest body.
    """
    blueprint, allowance = Blueprint("webhooks", __name__, url_prefix="/webhooks"), Allowance(_PUSHES, _WITHIN_SECONDS)
    answer_with_problems(blueprint)

    @blueprint.post("/<agency>/<token>")
    def receive(agency: str, token: str) -> tuple[Response, int]:
        target = inbound.find_webhook(house, agency, token)
        if target is None:
            raise Problem("request.not_found")
        plugin = house.agencies.loaded.get(agency)
        layout = plugin.profile.layout(target.layout) if plugin else None
        is_own_way = plugin is not None and plugin.checks_webhooks and not (layout and layout.standard_webhooks)
        if plugin and is_own_way:
            if wait := allowance.wait(target.agreement_id):
                raise Problem("request.too_many", retry_after=wait)
            stored = _own_way(house, plugin, target)
        else:
            stored = _take(house, target, max_bytes)
        body: dict[str, Any] = {"inbound_file_id": stored.inbound_file_id, "duplicate": not stored.is_new}
        return jsonify(body), 202 if stored.is_new else 200

    return blueprint


def _own_way(house: House, plugin: Agency, target: WebhookTarget) -> inbound.StoredFile:
    """Store a push whose signature its agency's plugin knows; a bell is answered by a look at the agency's API."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    with spooled(OWN_BYTES_MAX) as body:
        content = body.content.read()
        told = plugin.check_webhook(headers, content, target.secrets, house.now())
        if told.fault:
            raise Problem("signature.invalid", told.fault)
        message_id = told.message_id if _is_id(told.message_id) else ""
        body.content.seek(0)
        channel = inbound.BELL if told.is_bell else "webhook"
        stored = inbound.store(house, target.agreement_id, channel, sent_filename("webhook"), body.content, message_id)
    if told.is_bell and stored.is_new:
        fetch_now(house, target.agreement_id)
    return stored


class Allowance:
    """So many takes of each key within so long, counted in this process alone.

    Args:
        most: takes.
        seconds: within which.
        clock: tells seconds.
    """

    def __init__(self, most: int, seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._taken: defaultdict[int, deque[float]] = defaultdict(partial(deque, maxlen=most))

    def wait(self, key: int) -> int:
        """Take one for *key* and return 0, or return after how many seconds there will be one again."""
        taken, now = self._taken[key], self._clock()
        if len(taken) == taken.maxlen and (left := taken[0] + self._seconds - now) > 0:
            return ceil(left)
        taken.append(now)
        return 0


def _take(house: House, target: WebhookTarget, max_bytes: int) -> inbound.StoredFile:
    """Read, check and store the body. Without an agreed secret the token in the address is the authority."""
    check = SignatureCheck(request.headers, target.secrets, house.now()) if target.secrets else None
    if check and check.fault:
        raise Problem("signature.invalid", check.fault)
    with spooled(max_bytes, check.feed if check else None) as body:
        if check and not check.is_genuine():
            raise Problem("signature.invalid", "no signature fits the body")
        if not body.size:
            raise Problem("request.invalid", "the body is empty")
        return inbound.store(
            house, target.agreement_id, "webhook", sent_filename("webhook"), body.content, _message_id(check)
        )


def _message_id(check: SignatureCheck | None) -> str:
    """Return the sender's id of the message; an odd one is no id, the content then tells copies apart."""
    if check:
        return check.message_id
    given = request.headers.get("webhook-id") or request.headers.get("idempotency-key", "")
    return given if _is_id(given) else ""


def _is_id(given: str) -> bool:
    return len(given) <= _MESSAGE_ID_MAX and given.isprintable()
