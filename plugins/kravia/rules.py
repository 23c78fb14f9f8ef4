"""What the sandbox asks of the bodies it is sent, written from Kravia's guides and not from our writer (kravia.md 3 and 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_REGISTRATION: Mapping[str, tuple[type, ...]] = {
    "claimType": (str,), "creditorId": (int,), "accountingInvoiceId": (str,), "debtorName": (str,), "debtorNumber": (str,),
    "ssn": (str, type(None)), "organizationNumber": (str, type(None)), "isPrivateIndividual": (str,),
    "postalAddress": (dict,), "invoiceNo": (str,), "invoiceDate": (str,), "dueDate": (str,),
    "originalAmount": (int, Decimal), "currencyCode": (str,),
}  # fmt: skip
_OPTIONAL = {"email", "description"}
_ADDRESS = {"addressAddressLine1", "addressPostalCode", "addressCity", "addressCountryCode"}


def registration_fault(body: Mapping[str, Any], creditor: int, currency: str) -> str:
    """Return what is wrong with a registration, empty where nothing is."""
    if set(body) - _OPTIONAL != set(_REGISTRATION):
        return f"other fields than documented: {sorted(set(body) ^ set(_REGISTRATION))}"
    wrong = [name for name, kinds in _REGISTRATION.items() if not isinstance(body[name], kinds)]
    wrong += [name for name in ("invoiceDate", "dueDate") if not wrong and not re.fullmatch(_DAY, body[name])]
    if wrong:
        return f"{wrong[0]} is of another kind"
    address = body["postalAddress"]
    checks = {
        "claimType": body["claimType"] == "CollectionCase",
        "creditorId": body["creditorId"] == creditor,
        "isPrivateIndividual": body["isPrivateIndividual"] in {"true", "false"},
        "organizationNumber": body["isPrivateIndividual"] == "true" or bool(body["organizationNumber"]),
        "postalAddress": set(address) == _ADDRESS and all(isinstance(one, str) and one for one in address.values()),
        "originalAmount": body["originalAmount"] > 0,
        "currencyCode": body["currencyCode"] == currency,
    }
    return next((f"{name} is not taken" for name, is_right in checks.items() if not is_right), "")


def payment_fault(body: Mapping[str, Any]) -> str:
    """Return what is wrong with a direct payment."""
    names = ("date", "description", "AccountingPaymentId", "amount", "invoices")
    return _change_fault(body, names, ("invoiceId", "amount"), _DAY, 1)


def credit_note_fault(body: Mapping[str, Any]) -> str:
    """Return what is wrong with a credit note: its names begin with capitals, its amounts are negative."""
    names = ("Date", "Description", "AccountingPaymentId", "Amount", "Invoices")
    return _change_fault(body, names, ("InvoiceId", "Amount"), _DAY + "T[0-9]{2}:[0-9]{2}:[0-9]{2}", -1)


def _change_fault(body: Mapping[str, Any], names: tuple[str, ...], parts: tuple[str, str], day: str, sign: int) -> str:
    if set(body) != set(names):
        return f"other fields than documented: {sorted(set(body) ^ set(names))}"
    when, text, ours, amount, invoices = (body[name] for name in names)
    kinds = ((when, str), (text, str), (ours, str), (amount, int | Decimal), (invoices, list))
    if not all(isinstance(value, kind) for value, kind in kinds) or not all(map(partial(_is_part, parts), invoices)):
        return "a value is missing or of another kind"
    checks = {
        names[0]: re.fullmatch(day, when) is not None,
        names[2]: bool(ours),
        parts[1]: all(one[parts[1]] * sign > 0 for one in invoices),
        names[4]: bool(invoices) and sum(one[parts[1]] for one in invoices) == amount,
    }
    return next((f"{name} is not taken" for name, is_right in checks.items() if not is_right), "")


def _is_part(parts: tuple[str, str], told: object) -> bool:
    """Whether *told* is one of a change's invoices: Kravia's id and an amount."""
    if not isinstance(told, dict) or set(told) != set(parts):
        return False
    return type(told[parts[0]]) is int and isinstance(told[parts[1]], int | Decimal)
