"""What an evening is for Ophelos: claims, items and instructions become planned calls, and are read back strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import chain
from typing import Any, BinaryIO

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Direction,
    Envelope,
    Finding,
    LinkedItem,
    LinkKind,
    Seal,
    Severity,
    Sink,
    Totals,
)
from gateway.domain.instructions import Action, Instruction
from gateway.domain.money import MAX_MINOR
from gateway.domain.reasons import said
from gateway.errors import DecodeError, EncodeError
from gateway.formats.calls import MEDIA_TYPE, CallFile, Head, Planned, write_calls
from plugins.intrum.ophelos.terms import (
    ACTIONS,
    CASE_KEY,
    CHANGES,
    CHARGES,
    CLAIMS,
    CUSTOMER_KEY,
    ITEM_KEY,
    LAYOUT,
    NAME,
    SEARCHABLE,
    organisation_of,
    own_id,
)

OPEN, PAYMENT, LINE = "open", "payment", "line"
"""Calls beside the actions: a new debt with its customer; a payment; a line item."""
_TEXT_MAX = 200
_UNTIL_THE_END = "T23:59:59Z"
_WORDS = {LinkKind.CREDIT_NOTE: "Credit note", LinkKind.CHARGE: "Fee"}


# --- what is held ----------------------------------------------------------------------------------------------------


def customer_faults(customer: Customer) -> Iterator[Finding]:
    """Yield why a card cannot be sent: a debtor whom nobody can reach, or a value that has no place."""
    if not (customer.email.strip() or customer.phone.strip()):
        yield Finding(Severity.BLOCKING, "customer.email_missing", "email")
    yield from _texts(customer, "name", "email", "phone", "language")
    number, identity = customer.customer_number, _figures(customer.national_id)
    if not SEARCHABLE.fullmatch(number) or (identity and identity in _figures(number)):  # metadata is no place for it
        yield _unfit("customer_number", "" if identity else number)


def claim_faults(claim: Claim, agreement: Agreement) -> Iterator[Finding]:
    """Yield why a claim cannot be sent: its currency, an amount, a charge of a kind nobody has placed."""
    if agreement.currency not in LAYOUT.currencies:
        yield _unfit("currency", agreement.currency)
    yield from _texts(claim, "invoice_number")
    if not 0 < claim.original_minor <= MAX_MINOR:
        yield _unfit("original_minor", str(claim.original_minor))
    for item in claim.items:
        yield from _item_faults(item)


def _item_faults(item: LinkedItem) -> Iterator[Finding]:
    wanted = Direction.DEBIT if item.kind is LinkKind.CHARGE else Direction.CREDIT
    if item.kind not in LAYOUT.carries or item.direction is not wanted:
        yield _unfit("kind", f"{item.kind} {item.direction}")
    if item.kind is LinkKind.CHARGE and item.charge_kind not in CHARGES:
        yield _unfit("charge_kind", item.charge_kind)
    if not 0 < item.amount_minor <= MAX_MINOR:
        yield _unfit("amount_minor", str(item.amount_minor))
    yield from _texts(item, "number")


def _texts(row: Any, *names: str) -> Iterator[Finding]:
    for name in names:
        value = getattr(row, name)
        if len(value) > _TEXT_MAX or not value.isprintable():
            yield _unfit(name, value)


def _figures(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def _unfit(place: str, value: str) -> Finding:
    return Finding(Severity.BLOCKING, "layout.does_not_fit", place, value, {"field": place})


# --- what is written -------------------------------------------------------------------------------------------------


def export_new(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write new claims, each followed by what is linked to it; no claim, no file."""
    return _export(CLAIMS, claims, agreement, seal, sink, lambda claim: _new(claim, agreement))


def export_changes(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write later items and instructions of debts that Ophelos has; they need the debt's id."""
    return _export(CHANGES, claims, agreement, seal, sink, lambda claim: _later(claim, agreement))


def _export(
    kind: str,
    claims: Iterable[Claim],
    agreement: Agreement,
    seal: Seal,
    sink: Sink,
    plan: Callable[[Claim], Iterator[Planned]],
) -> tuple[Envelope, ...]:
    stream = iter(claims)
    first = next(stream, None)
    if first is None:
        return ()
    head = Head(
        agreement.agency_key, NAME, kind, seal.sequences[kind], seal.file_ids[kind], agreement.currency, seal.is_test
    )
    filename = f"ophelos-{kind}-{head.sequence:09d}.jsonl"
    with sink.open(filename) as into:
        planned = (one for claim in chain([first], stream) for one in plan(_sound(claim, agreement)))
        totals = write_calls(into, head, planned)
    return (Envelope(kind, head.sequence, filename, MEDIA_TYPE, head.currency, totals),)


def _sound(claim: Claim, agreement: Agreement) -> Claim:
    """Return *claim*; what cannot be sent stops the file here, and the host then holds the claim with its reasons."""
    for fault in chain(customer_faults(claim.customer), claim_faults(claim, agreement)):
        raise EncodeError(f"invoice {claim.invoice_number}: {fault.place} {fault.value!r} has no place at Ophelos")
    return claim


def _new(claim: Claim, agreement: Agreement) -> Iterator[Planned]:
    body = {"customer": _customer(claim.customer, agreement), "debt": _debt(claim, agreement)}
    yield Planned("invoice", claim.claim_id, OPEN, body, Totals(claims=1, debit_minor=claim.original_minor))
    yield from _items(claim, agreement, "")
    for told in claim.instructions:
        yield _instruction(told, claim, "")


def _later(claim: Claim, agreement: Agreement) -> Iterator[Planned]:
    if not claim.case_number:
        raise EncodeError(
            f"invoice {claim.invoice_number}: Ophelos has not told its debt id yet; what follows goes when it has"
        )
    planned = chain(
        _items(claim, agreement, claim.case_number),
        (_instruction(told, claim, claim.case_number) for told in claim.instructions),
    )
    for number, one in enumerate(planned):
        yield one if number else one._replace(totals=one.totals._replace(claims=1))


def _items(claim: Claim, agreement: Agreement, debt_id: str) -> Iterator[Planned]:
    for item in claim.items:
        is_payment = item.kind is LinkKind.DIRECT_PAYMENT
        told = _payment(item, agreement) if is_payment else _line(item, agreement)
        body = {"claim": claim.claim_id, "debt_id": debt_id, "told": told}
        yield Planned("item", item.item_id, PAYMENT if is_payment else LINE, body, _totals_of(told))


def _instruction(told: Instruction, claim: Claim, debt_id: str) -> Planned:
    """The reason ends in our id of the instruction: by it a call is found that was made and never answered.

    Where a dispute is resolved, Ophelos' pages show none.
    """
    words: dict[str, Any] = {"reason": f"{told.reason} ({told.item_id})".strip()}
    if told.action is Action.DISPUTE_RESOLVED:
        words = {}
    if told.action is Action.HOLD and told.until:
        words["end_at"] = f"{told.until.isoformat()}{_UNTIL_THE_END}"
    body = {"claim": claim.claim_id, "debt_id": debt_id, "told": words}
    return Planned("instruction", told.item_id, ACTIONS[told.action], body, Totals(instructions=1))


def _customer(customer: Customer, agreement: Agreement) -> dict[str, Any]:
    ways = (("email", customer.email), ("phone_number", customer.phone))
    contacts = [
        {"type": way, "value": value, "primary": True, "source": "client"} for way, value in ways if value.strip()
    ]
    # Which kind a company is, nobody has published; the facts' own example of one says "unknown".
    body: dict[str, Any] = {
        "kind": "individual" if customer.kind is CustomerKind.PRIVATE else "unknown",
        "full_name": customer.name,
        "contact_details": contacts,
        "metadata": {CUSTOMER_KEY: own_id(agreement, customer.customer_number)},
    }
    return body | ({"preferred_locale": customer.language} if customer.language else {})


def _debt(claim: Claim, agreement: Agreement) -> dict[str, Any]:
    """Descriptions are shown to the customer: they name the invoice and hold no text of ours."""
    description = f"Invoice {claim.invoice_number}"
    line = {
        "kind": "debt",
        "description": description,
        "amount": claim.original_minor,
        "currency": agreement.currency,
        "transaction_at": _moment(claim.invoice_date),
    }
    invoice = {
        "reference": claim.invoice_number,
        "invoiced_on": claim.invoice_date.isoformat(),
        "due_on": claim.due_date.isoformat(),
        "description": description,
        "line_items": [line],
    }
    return {
        "organisation_id": organisation_of(agreement),
        "account_number": claim.invoice_number,
        "currency": agreement.currency,
        "metadata": {CASE_KEY: own_id(agreement, claim.claim_id)},
        "invoices": [invoice],
    }


def _payment(item: LinkedItem, agreement: Agreement) -> dict[str, Any]:
    return {
        "amount": item.amount_minor,
        "currency": agreement.currency,
        "transaction_at": _moment(item.date),
        "transaction_ref": item.item_id,
        "metadata": {ITEM_KEY: item.item_id},
    }


def _line(item: LinkedItem, agreement: Agreement) -> dict[str, Any]:
    is_charge = item.kind is LinkKind.CHARGE
    return {
        "kind": CHARGES[item.charge_kind] if is_charge else "credit",
        "description": f"{_WORDS[item.kind]} {item.number}".strip(),
        "amount": item.amount_minor if is_charge else -item.amount_minor,
        "currency": agreement.currency,
        "transaction_at": _moment(item.date),
        "metadata": {ITEM_KEY: item.item_id},
    }


def _moment(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


# --- what is read again ----------------------------------------------------------------------------------------------


def verify(envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
    """Return the totals of a finished file, counted anew from the bodies of its calls.

    Raises:
        DecodeError: it is not this envelope's, or a call does not say what its totals say.
    """
    file = CallFile(source)
    expected = (agreement.agency_key, NAME, envelope.kind, envelope.sequence, envelope.currency)
    if (file.head.agency, file.head.layout, file.head.kind, file.head.sequence, file.head.currency) != expected:
        raise DecodeError(said("wrong.other_head"), field="head", value=str(file.head))
    for planned in file:
        try:
            found = _recounted(planned)
        except (KeyError, TypeError, IndexError):
            raise DecodeError(said("wrong.own_form"), field="key", value=planned.key()) from None
        if found._replace(claims=planned.totals.claims) != planned.totals:
            raise DecodeError(said("wrong.amounts_differ"), field="key", value=planned.key())
    return file.totals


def _recounted(planned: Planned) -> Totals:
    if planned.object_type == "invoice" and planned.call == OPEN:
        lines = [line for invoice in planned.body["debt"]["invoices"] for line in invoice["line_items"]]
        return Totals(claims=1, debit_minor=sum(line["amount"] for line in lines))
    if planned.object_type == "item" and planned.call in {PAYMENT, LINE}:
        return _totals_of(planned.body["told"])
    if planned.object_type == "instruction" and planned.call in ACTIONS.values():
        return Totals(instructions=1)
    raise KeyError(planned.call)


def _totals_of(told: Mapping[str, Any]) -> Totals:
    """Return what a payment or line item adds: charges stand apart, all else lowers the claim."""
    if told.get("kind") in CHARGES.values():
        return Totals(items=1, charge_minor=told["amount"])
    return Totals(items=1, credit_minor=abs(told["amount"]))
