"""Planned calls become requests. Ophelos has no idempotency key: whatever was begun and not answered is looked for first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from gateway.domain.calls import Answer, Calls, Found, Request
from gateway.domain.exchange import Agreement
from gateway.errors import DecodeError, DeliveryError, DeliveryInDoubt
from gateway.formats.calls import Planned, each_once, encoded
from plugins.intrum.ophelos.objects import Thing, object_of, objects_of, reason_of, status_of, why_refused
from plugins.intrum.ophelos.paging import listed, search_path
from plugins.intrum.ophelos.planning import LINE, OPEN, PAYMENT
from plugins.intrum.ophelos.terms import CASE_KEY, CUSTOMER_KEY, ITEM_KEY, STATUSES, UNKNOWN, headers_of

DEBT_STEP = "debt"
"""The step of a new claim whose answer names the debt: Ophelos' number of the case."""
_FRESH = "initializing"
_AFTER: Mapping[str, frozenset[str]] = {
    "withdraw": frozenset({"withdrawn"}),
    "pause": frozenset({"paused"}),
    "dispute": frozenset({"disputed", "queried"}),
}
"""Statuses a debt has once an action took."""
_ENDED: Mapping[str, frozenset[str]] = {"resume": _AFTER["pause"], "resolve-dispute": _AFTER["dispute"]}
"""Statuses it has no longer after the others; which follow instead, Ophelos decides. The end of a case is no such."""


def deliver(content: BinaryIO, agreement: Agreement, calls: Calls) -> None:
    """Make the calls of a sealed file, each once.

    A call that is refused is answered: the others go on. So they do while one is in doubt.

    Raises:
        DeliveryInDoubt: of at least one call nobody knows yet whether it arrived.
        DeliveryError: of at least one claim or item Ophelos does not show, or not so that it can be read, what it has:
            that one is not sent, for the danger of doubles.
    """
    each_once(content, _Evening(agreement, calls).make)


class _Evening:
    """The calls of one file. Of those before, it remembers the customer and the debt that the next ones may need."""

    def __init__(self, agreement: Agreement, calls: Calls) -> None:
        self._agreement, self._calls, self._headers = agreement, calls, headers_of(agreement)
        self._customer, self._debt, self._doubtful = ("", ""), ("", ""), ""

    def make(self, planned: Planned) -> None:
        """Make one planned call, or all steps of it up to the first that is refused."""
        try:
            self._make(planned)
        except DecodeError as error:
            raise DeliveryError(f"{planned.key()}: what Ophelos shows cannot be read: {error}") from error

    def _make(self, planned: Planned) -> None:
        if planned.call == OPEN:
            self._open(planned)
            return
        claim_id, debt_id, told = (planned.body[name] for name in ("claim", "debt_id", "told"))
        if not debt_id and self._debt[0] == claim_id:
            debt_id = self._debt[1]
        if not debt_id:
            return  # the claim was refused, or is in doubt: what belongs to it has no place yet
        if planned.call in {PAYMENT, LINE}:
            where = f"/debts/{debt_id}/{'payments' if planned.call == PAYMENT else 'line_items'}"
            self._once(planned.key(), where, told, lambda: self._with_item(where, planned.object_id))
        else:
            self._once(
                planned.key(), f"/debts/{debt_id}/{planned.call}", told,
                lambda: self._after(debt_id, planned.call, told.get("reason", "")),
            )  # fmt: skip

    # --- a new claim -------------------------------------------------------------------------------------------------

    def _open(self, planned: Planned) -> None:
        self._debt = (planned.object_id, "")
        customer_id = self._customer_id(planned)
        if not customer_id:
            return
        debt = self._made(
            planned.key(DEBT_STEP), "/debts", {"customer_id": customer_id, **planned.body["debt"]}, CASE_KEY
        )
        if debt is None:
            return
        if status_of(debt) == _FRESH:
            where = f"/debts/{debt.id()}"
            ready = self._once(planned.key("ready"), f"{where}/ready", {}, lambda: self._is_ready(where))
            if not ready.is_accepted:
                return
        self._debt = (planned.object_id, debt.id())

    def _customer_id(self, planned: Planned) -> str:
        """Return the customer's id: a customer of several claims, which stand side by side, is asked for once."""
        body = planned.body["customer"]
        number = body["metadata"][CUSTOMER_KEY]
        if number == self._doubtful:  # a search so soon may miss it, and a second customer would be made
            raise DeliveryInDoubt(f"customer {number}: it is not known yet whether it was created")
        if self._customer[0] != number or not self._customer[1]:
            self._doubtful = number
            customer = self._made(planned.key("customer"), "/customers", body, CUSTOMER_KEY)
            self._doubtful, self._customer = "", (number, customer.id() if customer else "")
        return self._customer[1]

    def _made(self, key: str, where: str, body: Mapping[str, Any], own_key: str) -> Thing | None:
        """Return the object that bears our name: the one that is there, else a new one; None when it is refused.

        The call is noted in either case, so that one which was in doubt has its answer once the object is found.
        """
        noted = self._calls.known(key)
        if noted and noted.status:  # 0: a person said that it arrived, and not what it made
            return _told(noted) if noted.is_accepted else None
        name = body["metadata"][own_key]
        known = self._named(where, own_key, name)
        request = Request("GET", f"{where}/{known.id()}", headers=self._headers) if known else self._post(where, body)
        answer = self._calls.once(key, request, lambda: _as_answer(known or self._named(where, own_key, name)))
        return (known or _told(answer)) if answer.is_accepted else None

    def _named(self, where: str, own_key: str, name: str) -> Thing | None:
        path = search_path(self._agreement, where)
        query = f"metadata['{own_key}']:'{name}'"
        found = (one for one in self._listed(path, query) if one.inner("metadata").text(own_key) == name)
        return next(found, None)

    # --- what was done already ---------------------------------------------------------------------------------------

    def _is_ready(self, where: str) -> Answer | None:
        debt = self._read(where)
        return _as_answer(debt) if status_of(debt) != _FRESH else None

    def _with_item(self, where: str, item_id: str) -> Answer | None:
        for one in self._listed(where):
            if item_id in (one.inner("metadata").text(ITEM_KEY), one.text("transaction_ref")):
                return _as_answer(one)
        return None

    def _after(self, debt_id: str, action: str, reason: str) -> Answer | None:
        """Return the debt when the action shows in it: what it begins under our reason, what it ends by its absence."""
        debt = self._read(f"/debts/{debt_id}")
        status = status_of(debt)
        begun = status in _AFTER.get(action, ()) and reason_of(debt) in {"", reason}
        is_over = STATUSES.get(status, UNKNOWN).state == "closed"
        ended = action in _ENDED and status not in _ENDED[action] and not is_over
        return _as_answer(debt) if begun or ended else None

    # --- calls -------------------------------------------------------------------------------------------------------

    def _once(self, key: str, where: str, body: Mapping[str, Any], found: Found) -> Answer:
        return self._calls.once(key, self._post(where, body), found)

    def _post(self, where: str, body: Mapping[str, Any]) -> Request:
        return Request("POST", where, body=encoded(body), headers=self._headers)

    def _read(self, where: str) -> Thing:
        answer = self._calls.ask(Request("GET", where, headers=self._headers))
        if not answer.is_accepted:
            raise DeliveryError(f"Ophelos does not show {where}: {': '.join(why_refused(answer))}")
        return object_of(answer)

    def _listed(self, path: str, query: str = "") -> Iterator[Thing]:
        for page in listed(self._calls, self._agreement, path, query):
            yield from objects_of(page)


def _as_answer(thing: Thing | None) -> Answer | None:
    return None if thing is None else Answer(200, encoded(thing.values))


def _told(answer: Answer) -> Thing:
    """Return the object in an answer that took the call.

    Raises:
        DeliveryInDoubt: it was taken and cannot be read, or a person said that it arrived: its id is nowhere.
    """
    try:
        thing = object_of(answer)
        thing.id()
    except DecodeError as error:
        raise DeliveryInDoubt(f"taken, and the answer names no object: {error}") from error
    return thing
