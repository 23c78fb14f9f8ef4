"""Kravia's answers, of which nothing is published: the only place that knows what is looked for in them (kravia.md 8).

Every name and word below is INVENTED by Kravport, so that the sandbox has something to answer. An agreement replaces them by
its settings ``answer_names`` and ``answer_states`` once real answers were seen. What they do not fit is kept raw and means
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from gateway.domain.calls import Answer
from gateway.domain.exchange import Agreement
from gateway.domain.money import parse_minor
from gateway.errors import DecodeError
from gateway.formats.calls import decoded

_ID = re.compile("[A-Za-z0-9-]{1,40}")


class Names(NamedTuple):
    """Where things stand in answers; a dot leads into an object, an empty name is the answer itself. All invented."""

    invoice_id: str = "invoiceId"
    claim_id: str = "accountingInvoiceId"
    invoice_number: str = "invoiceNo"
    found: str = "invoices"
    updated: str = "lastUpdatedTime"
    status: str = "status"
    payments: str = "payments"
    our_payment_id: str = "accountingPaymentId"
    settlements: str = "settlements"
    settlement_id: str = "settlementId"
    currency: str = "currencyCode"
    paid_out: str = "amount"
    bank_reference: str = "bankReference"
    parts: str = "collected"
    payment_id: str = "paymentId"
    paid_on: str = "date"
    amount: str = "amount"
    capital: str = "capital"


STATES: Mapping[str, str] = {
    "Registered": "received", "Active": "active", "Paused": "paused", "Disputed": "disputed", "Paid": "closed paid",
    "Credited": "closed credited", "Withdrawn": "closed withdrawn", "WrittenOff": "closed written-off",
}  # fmt: skip
"""What a status means: a state, and of a closed case why. Invented; a status that is not here stays raw."""


def names_of(agreement: Agreement) -> Names:
    """Return the names that hold for an agreement."""
    given = agreement.settings.get("answer_names")
    known = {name: str(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    return Names()._replace(**{name: known[name] for name in Names._fields if name in known})


def state_of(agreement: Agreement, status: str) -> tuple[str, str]:
    """Return state and closing code of a raw status; ``unknown`` for one that nobody has mapped."""
    given = agreement.settings.get("answer_states")
    states = given if isinstance(given, Mapping) else STATES
    state, _, closing = str(states.get(status, "unknown")).partition(" ")
    return state, closing


def at(value: object, name: str) -> Any:
    """Return what stands in *value* under *name*, None where nothing does."""
    for part in filter(None, name.split(".")):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def texts(value: object, *names: str) -> tuple[str, ...] | None:
    """Return texts and whole numbers as texts; None where one is missing or something else."""
    found = [at(value, name) for name in names]
    fits = all(isinstance(one, str | int) and not isinstance(one, bool) and one != "" for one in found)
    return tuple(str(one) for one in found) if fits else None


def ident(value: object, name: str) -> str:
    """Return an id, empty where there is none or where it could lead anywhere else when it stands in an address."""
    found = texts(value, name)
    return found[0] if found and _ID.fullmatch(found[0]) else ""


def rows(value: object, name: str) -> list[Any] | None:
    """Return a list, None where there is none."""
    found = at(value, name)
    return found if isinstance(found, list) else None


def minor(value: object, name: str, currency: str) -> int | None:
    """Return an amount in minor units, None where there is none; raises ``DecodeError`` for one with too many decimals."""
    found = at(value, name)
    if not isinstance(found, int | Decimal) or isinstance(found, bool):
        return None
    return parse_minor(format(found, "f") if isinstance(found, Decimal) else str(found), currency)


def moment(text: str) -> datetime | None:
    """Return a time in any ISO form, with a zone where it has one; None for anything else."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def order(when: datetime) -> datetime:
    """Return what times are compared by: the same clock, whether or not it names its zone."""
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def invoice_id(names: Names, answer: Answer) -> str:
    """Return Kravia's id out of the answer to a registration; empty where it does not stand where it is looked for."""
    try:
        return ident(decoded(answer.body), names.invoice_id)
    except DecodeError:
        return ""
