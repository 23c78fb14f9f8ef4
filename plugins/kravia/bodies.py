"""Bodies of Kravia's calls, field by field as its guides show them (kravia.md 3 and 4): also where the case of names differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Direction,
    Finding,
    LinkedItem,
    LinkKind,
    Origin,
    Severity,
    Totals,
)
from gateway.domain.identifiers import is_personal
from gateway.domain.money import format_minor
from gateway.errors import EncodeError
from gateway.formats.calls import Planned

REGISTER, PAYMENT, CREDIT_NOTE = "register", "payment", "creditnote"
"""The plugin's words for its calls: the last part of their paths."""
_ID_DIGITS_MAX = 18
"""What a whole number of 64 bits holds; ids seen have seven."""


def customer_faults(customer: Customer) -> Iterator[Finding]:
    """Yield what of a card has no place in a registration."""
    if customer.address2.strip():
        yield _unfit("address2", customer.address2)


def claim_faults(claim: Claim, agreement: Agreement) -> Iterator[Finding]:
    """Yield why a claim cannot be registered.

    Kravia has no case number for it then; one with a case number may well be told that nothing is left to pay.
    """
    if not _is_id(agreement.client_number):
        yield _unfit("client_number", agreement.client_number)
    if not claim.case_number and claim.open_minor <= 0:
        values = {"agency": agreement.display_name}
        yield Finding(Severity.BLOCKING, "amount.not_carried", "open_minor", str(claim.open_minor), values)


def _unfit(place: str, value: str) -> Finding:
    return Finding(Severity.BLOCKING, "layout.does_not_fit", place, value, {"field": place})


def calls_for(claims: Iterable[Claim], agreement: Agreement, *, are_new: bool) -> Iterator[Planned]:
    """Yield the calls that *claims* become: a registration where they are new, then one call per linked item.

    Raises:
        EncodeError: a value or an item has no place.
    """
    for claim in claims:
        if are_new:
            yield _registration(claim, agreement)
        for place, item in enumerate(claim.items):
            yield _change(claim, item, agreement.currency, claims=int(place == 0 and not are_new))


def _registration(claim: Claim, agreement: Agreement) -> Planned:
    customer = claim.customer
    private = [customer.national_id]
    if is_personal(customer.country, customer.organisation_number):
        private.append(customer.organisation_number)
    totals = Totals(claims=1, debit_minor=claim.original_minor)
    body = registration(claim, agreement)
    return Planned("invoice", claim.claim_id, REGISTER, body, totals, tuple(filter(None, private)))


def registration(claim: Claim, agreement: Agreement) -> dict[str, Any]:
    """Return the body of ``POST /invoice/register``: the invoice's whole capital; what was paid of it follows by itself."""
    customer = claim.customer
    if not _is_id(agreement.client_number):
        raise EncodeError(f"claim {claim.claim_id}: Kravia's creditor id {agreement.client_number!r} is no number")
    optional = {"email": customer.email, "description": claim.text}
    body = {
        "claimType": "CollectionCase",
        "creditorId": int(agreement.client_number),
        "accountingInvoiceId": claim.claim_id,
        "debtorName": customer.name,
        "debtorNumber": customer.customer_number,
        "email": customer.email,
        "ssn": customer.national_id or None,
        "organizationNumber": customer.organisation_number or None,
        "isPrivateIndividual": "true" if customer.kind is CustomerKind.PRIVATE else "false",
        "postalAddress": {
            "addressAddressLine1": customer.address1,
            "addressPostalCode": customer.postcode,
            "addressCity": customer.city,
            "addressCountryCode": customer.country,
        },
        "invoiceNo": claim.invoice_number,
        "invoiceDate": claim.invoice_date.isoformat(),
        "dueDate": claim.due_date.isoformat(),
        "originalAmount": _major(claim.original_minor, agreement.currency),
        "currencyCode": agreement.currency,
        "description": claim.text,
    }
    return {name: value for name, value in body.items() if optional.get(name, value) != ""}


def _change(claim: Claim, item: LinkedItem, currency: str, *, claims: int) -> Planned:
    """Return the call for one linked item.

    Of a claim without a case number the invoice is named by our claim id, which delivery replaces by what Kravia answered.
    """
    if item.origin is Origin.AGENCY:
        raise EncodeError(f"claim {claim.claim_id}: {item.item_id} came from Kravia and is never sent back (R-OP-04)")
    make = _CHANGES.get(item.kind)
    if make is None or item.direction is not Direction.CREDIT:
        raise EncodeError(f"claim {claim.claim_id}: Kravia has no call for {item.kind.value} {item.item_id}")
    call, body = make
    invoice = int(claim.case_number) if _is_id(claim.case_number) else claim.claim_id
    totals = Totals(claims=claims, items=1, credit_minor=item.amount_minor)
    return Planned("item", item.item_id, call, body(item, invoice, currency), totals)


def payment(item: LinkedItem, invoice: int | str, currency: str) -> dict[str, Any]:
    """Return the body of ``POST /invoice/payment``: money that the debtor paid the creditor."""
    amount = _major(item.amount_minor, currency)
    return {
        "date": item.date.isoformat(),
        "description": item.text or "Paid to creditor",
        "AccountingPaymentId": item.item_id,
        "amount": amount,
        "invoices": [{"invoiceId": invoice, "amount": amount}],
    }


def credit_note(item: LinkedItem, invoice: int | str, currency: str) -> dict[str, Any]:
    """Return the body of ``POST /invoice/creditnote``: amounts are negative there."""
    amount = _major(-item.amount_minor, currency)
    return {
        "Date": f"{item.date.isoformat()}T00:00:00",
        "Amount": amount,
        "AccountingPaymentId": item.item_id,
        "Description": item.text or f"Credit note {item.number}".rstrip(),
        "Invoices": [{"InvoiceId": invoice, "Amount": amount}],
    }


def invoice_in(call: str, body: Mapping[str, Any]) -> int | str:
    """Return how a change's body names its invoice: Kravia's id, or our claim id in its place."""
    many, one = _PLACES[call]
    invoice: int | str = body[many][0][one]
    return invoice


def with_invoice(call: str, body: Mapping[str, Any], invoice: int) -> dict[str, Any]:
    """Return a change's body with Kravia's id of its invoice."""
    many, one = _PLACES[call]
    return {**body, many: [{**part, one: invoice} for part in body[many]]}


_PLACES = {PAYMENT: ("invoices", "invoiceId"), CREDIT_NOTE: ("Invoices", "InvoiceId")}
_CHANGES = {LinkKind.DIRECT_PAYMENT: (PAYMENT, payment), LinkKind.CREDIT_NOTE: (CREDIT_NOTE, credit_note)}


def _is_id(number: str) -> bool:
    return number.isascii() and number.isdigit() and number[0] != "0" and len(number) <= _ID_DIGITS_MAX


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(format_minor(minor, currency))
