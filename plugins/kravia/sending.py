"""Handing an envelope over: each planned call once, looked up at Kravia before it is made a second time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from gateway.domain.calls import Answer, Calls, Request
from gateway.domain.exchange import Agreement, Envelope
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt
from gateway.formats.calls import Planned, each_once, encoded
from plugins.kravia.answers import Names, at, invoice_id, names_of, rows
from plugins.kravia.asking import Unreadable, details, registered
from plugins.kravia.bodies import REGISTER, invoice_in, with_invoice

_DAY = re.compile("-([0-9]{8})-")


def hand_over(envelope: Envelope, content: BinaryIO, agreement: Agreement, calls: Calls) -> None:
    """Make the calls of a sealed file; raises as `gateway.formats.calls.each_once`."""
    each_once(content, _Delivery(calls, names_of(agreement), _sealed_on(envelope)).hand_over)


def _sealed_on(envelope: Envelope) -> datetime | None:
    """Return the day before that in the name of one of our files: nothing of it is at Kravia earlier, on anybody's clock."""
    found = _DAY.search(envelope.filename)
    if found is None:
        return None
    return datetime.strptime(found[1], "%Y%m%d") - timedelta(days=1)  # noqa: DTZ007  # Kravia's times name no zone


class _Delivery:
    """One envelope on its way. Items follow their claim, so only the last claim is remembered: is it there, by what id."""

    def __init__(self, calls: Calls, names: Names, since: datetime | None) -> None:
        self._calls, self._names, self._since = calls, names, since
        self._claim_id, self._is_there, self._invoice = "", True, ""

    def hand_over(self, planned: Planned) -> None:
        """Make one planned call."""
        if planned.call == REGISTER:
            self._register(planned)
            return
        body, invoice = planned.body, invoice_in(planned.call, planned.body)
        if isinstance(invoice, str):
            if invoice == self._claim_id and not self._is_there:
                return  # of a claim that was refused, or that nobody has heard of yet, nothing can be told
            invoice = self._id_of(invoice)
            body = with_invoice(planned.call, body, invoice)
        request = _post(planned, body)
        self._calls.once(planned.key(), request, lambda: self._told(invoice, planned.object_id))

    def _register(self, planned: Planned) -> None:
        self._claim_id, self._is_there, self._invoice = planned.object_id, False, ""
        answer = self._calls.once(
            planned.key(), _post(planned, planned.body), lambda: self._registered(planned.object_id)
        )
        self._is_there, self._invoice = answer.is_accepted, invoice_id(self._names, answer)

    def _registered(self, claim_id: str) -> Answer | None:
        """Return the answer to a registration that arrived and was not answered."""
        try:
            found = registered(self._calls, self._names, claim_id, self._since)
        except Unreadable as error:
            raise DeliveryInDoubt(f"{claim_id}: {error}") from error
        return Answer(200, encoded(_nested(self._names.invoice_id, _number(found)))) if found else None

    def _told(self, invoice: int, item_id: str) -> Answer | None:
        """Return the answer to a change that arrived and was not answered."""
        payments = rows(details(self._calls, str(invoice)).values, self._names.payments)
        if payments is None:
            raise DeliveryInDoubt(f"{item_id}: the details of invoice {invoice} have no list {self._names.payments!r}")
        is_there = any(at(payment, self._names.our_payment_id) == item_id for payment in payments)
        return Answer(200, b"{}") if is_there else None

    def _id_of(self, claim_id: str) -> int:
        known = self._invoice if claim_id == self._claim_id else ""
        found = known or registered(self._calls, self._names, claim_id, None)
        if not found:
            raise DeliveryError(f"{claim_id} is not at Kravia yet, so nothing can be told about it")
        return _number(found)


def _number(found: str) -> int:
    if not (found.isascii() and found.isdigit()):
        raise DataError(f"Kravia's id {found[:40]!r} is no number")
    return int(found)


def _nested(name: str, value: Any) -> Any:
    """Return *value* where `answers.at` finds it under *name*."""
    for part in reversed([part for part in name.split(".") if part]):
        value = {part: value}
    return value


def _post(planned: Planned, body: Any) -> Request:
    return Request("POST", f"/invoice/{planned.call}", body=encoded(body), private=planned.private)
