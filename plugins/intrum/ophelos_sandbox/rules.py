"""What this Ophelos refuses, field by field (status 422): enumerations of its API, amounts in minor units, signs by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

CURRENCIES = {"GBP", "EUR", "USD"}
CONTACT_TYPES = {"email", "phone_number", "mobile_number", "fax_number", "address"}
SOURCES = {"client", "customer", "support_agent", "other"}
LINE_KINDS = {"debt", "interest", "fee", "vat", "credit", "discount", "refund", "creditor_refund"}
NEGATIVE = {"credit", "discount"}
INVOICE_STATUSES = {"outstanding", "paid", "draft"}


class Unprocessable(Exception):
    """What is wrong with a body, by field."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = dict(errors)


class Form:
    """A body under examination; ends with `done`.

    Args:
        body: what came.
        path: before the names of its fields.
        errors: of the form it is part of.
    """

    def __init__(self, body: object, path: str = "", errors: dict[str, list[str]] | None = None) -> None:
        self.errors: dict[str, list[str]] = defaultdict(list) if errors is None else errors
        self._path, self.body = path, body if isinstance(body, dict) else {}
        if not isinstance(body, dict):
            self.wrong("base", "is not an object")

    def wrong(self, field: str, why: str) -> None:
        """Note what is wrong with a field."""
        self.errors[f"{self._path}{field}"].append(why)

    def done(self) -> dict[str, Any]:
        """Return the body; raises `Unprocessable`."""
        if self.errors:
            raise Unprocessable(self.errors)
        return self.body

    def text(self, field: str) -> None:
        """Demand a text."""
        if not isinstance(self.body.get(field), str) or not self.body[field].strip():
            self.wrong(field, "can't be blank")

    def one_of(self, field: str, known: set[str], *, is_needed: bool = True) -> None:
        """Demand one of a list."""
        if (field in self.body or is_needed) and self.body.get(field) not in known:
            self.wrong(field, "is not included in the list")

    def amount(self, *, is_negative: bool = False) -> None:
        """Demand minor units of a sign."""
        value = self.body.get("amount")
        if type(value) is not int or not value or (value < 0) is not is_negative:
            self.wrong("amount", "must be a negative integer" if is_negative else "must be a positive integer")

    def when(self, field: str, *, is_day: bool = False) -> None:
        """Demand a date, or a date-time with its zone."""
        try:
            moment = (date if is_day else datetime).fromisoformat(self.body.get(field, ""))
        except (TypeError, ValueError):
            self.wrong(field, "is not a valid date")
            return
        if isinstance(moment, datetime) and moment.tzinfo is None:
            self.wrong(field, "has no zone")

    def rows(self, field: str) -> list[Form]:
        """Return a form for each object of a list."""
        rows = self.body.get(field, [])
        if not isinstance(rows, list):
            self.wrong(field, "is not a list")
            return []
        return [Form(row, f"{self._path}{field}[{number}].", self.errors) for number, row in enumerate(rows)]


def customer(body: object) -> dict[str, Any]:
    """Examine a customer."""
    form = Form(body)
    form.text("full_name")
    form.one_of("kind", {"unknown", "individual"}, is_needed=False)
    for contact in form.rows("contact_details"):
        contact.one_of("type", CONTACT_TYPES)
        contact.one_of("source", SOURCES, is_needed=False)
        if not contact.body.get("value"):
            contact.wrong("value", "can't be blank")
    return form.done()


def debt(body: object, customers: set[str], organisation: str) -> dict[str, Any]:
    """Examine a debt with its invoices."""
    form = Form(body)
    form.one_of("customer_id", customers)
    form.one_of("organisation_id", {organisation})
    form.one_of("currency", CURRENCIES)
    for invoice in form.rows("invoices"):
        invoice.text("reference")
        invoice.when("invoiced_on", is_day=True)
        invoice.when("due_on", is_day=True)
        invoice.one_of("status", INVOICE_STATUSES, is_needed=False)
        for row in invoice.rows("line_items"):
            _line(row, str(form.body.get("currency")))
    return form.done()


def line_item(body: object, currency: str) -> dict[str, Any]:
    """Examine a line item."""
    form = Form(body)
    _line(form, currency)
    return form.done()


def payment(body: object, currency: str) -> dict[str, Any]:
    """Examine a payment that the client reports."""
    form = Form(body)
    form.amount()
    form.one_of("currency", {currency})
    form.when("transaction_at")
    return form.done()


def _line(form: Form, currency: str) -> None:
    form.one_of("kind", LINE_KINDS)
    form.amount(is_negative=form.body.get("kind") in NEGATIVE)
    form.one_of("currency", {currency})
    form.text("description")
    form.when("transaction_at")
