"""Lowell's Assignment API v1 in Finland: one call per claim, its request known and its answer not (lowell.md 1).

What is not known has no default: environment and code lists are settings of the agreement. What an answer says is kept and shown
to a person; nothing of it is taken for Lowell's reference. Changes after the hand-over have no call: the layout carries none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import chain
from typing import Any, BinaryIO

from gateway.domain.calls import Answer, Calls, Request
from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Direction,
    Envelope,
    Finding,
    InboundFile,
    LayoutProfile,
    LinkKind,
    Receipt,
    Seal,
    Series,
    Severity,
    Sink,
    Totals,
)
from gateway.domain.identifiers import is_rf, is_viitenumero
from gateway.domain.money import format_minor
from gateway.errors import DataError, DecodeError, EncodeError
from gateway.formats.calls import (
    MEDIA_TYPE,
    Head,
    Planned,
    answers_head,
    decoded,
    each_once,
    encoded,
    receipt,
    write_calls,
)

ASSIGNMENTS = "assignments"
_NEEDED = ("environment", "subclient_id", "assignment_type", "receivable_type", "voluntary_collection_forbidden")

LAYOUT = LayoutProfile(
    "lowell-fi-assignment-1",
    "Lowell Assignment API v1, Finland",
    "api.lowell.com/docs and Lowell's public sample applications of 2021",
    series={ASSIGNMENTS: Series()},
    needs_national_id=True,
    carries=frozenset(),
    markets=frozenset({"FI"}),
    currencies=frozenset({"EUR"}),
    settings=frozenset(_NEEDED),
    nets_at_handover=True,
)

LIMITS = (
    "Assignment API: what it answers is not published; a claim that was taken waits for Lowell's reference.",
    "Assignment API: payments, credit notes and instructions after the hand-over have no call; a person tells Lowell.",
    "Assignment API: a person is named only where the agreement says in which order names are written.",
    "Assignment API: money and states come by no call; money comes through the bank.",
)

FIRST_LAST, LAST_FIRST = "first last", "last first"
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "environment": {
        "type": "string", "pattern": "^[a-z0-9-]{1,40}$", "title": "Assignment API: environment", "examples": ["test"],
        "description": "First part of the address; test is known, that of production is in Lowell's papers.",
    },
    "subclient_id": {
        "type": "string", "pattern": "^[0-9]{6}$", "title": "Assignment API: sub-client", "examples": ["123456"],
        "description": "The creditor's account at Lowell, six digits.",
    },
    "assignment_type": {
        "type": "string", "minLength": 1, "title": "Assignment API: type", "examples": ["Collection"],
        "description": "Lowell's word for the service; Reminder and Collection were seen.",
    },
    "assignment_class": {
        "type": "string", "minLength": 1, "title": "Assignment API: class",
        "description": "A classification agreed with Lowell; not sent where it is empty.",
    },
    "receivable_type": {
        "type": "string", "minLength": 1, "title": "Assignment API: type of receivable", "examples": ["Sales"],
        "description": "Lowell's code for what was sold; Sales and SO were seen.",
    },
    "interest_rate_code": {
        "type": "string", "minLength": 1, "title": "Assignment API: interest, as a code",
        "description": "Lowell's code, such as FI_Consumer. One of the two fields for interest, or none.",
    },
    "interest_rate": {
        "type": "string", "minLength": 1, "title": "Assignment API: interest, as a rate",
        "description": "Where Lowell reads the other field. One of the two, or none.",
    },
    "voluntary_collection_forbidden": {
        "type": "boolean", "title": "Assignment API: voluntary collection is forbidden", "examples": [False],
        "description": "What is said of every debtor of this agreement.",
    },
    "person_names": {
        "enum": [FIRST_LAST, LAST_FIRST], "title": "Assignment API: order of people's names",
        "description": "As your cards write them. Without it private customers are held.",
    },
}  # fmt: skip

_BUSINESS_ID = re.compile("([0-9]{7})-?([0-9])")
_ID_LIKE = re.compile("(?=.*[0-9])[A-Za-z0-9][A-Za-z0-9-]{3,39}")
_DAY_LIKE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
_TEXT_BYTES, _DEPTH_MAX = 400, 20


# --- what cannot be said ---------------------------------------------------------------------------------------------


def customer_faults(customer: Customer, agreement: Agreement) -> Iterator[Finding]:
    """Yield what of a card has no place in an assignment."""
    if customer.address2.strip():
        yield _unfit("address2", customer.address2)
    if customer.kind is CustomerKind.PRIVATE:
        if not _person(customer, agreement):
            yield _unfit("name", customer.name)
    elif customer.organisation_number and not _BUSINESS_ID.fullmatch(customer.organisation_number):
        yield _unfit("organisation_number", customer.organisation_number)


def claim_faults(claim: Claim, agreement: Agreement) -> Iterator[Finding]:
    """Yield why a claim cannot be assigned."""
    if not (is_viitenumero(claim.payment_reference) or is_rf(claim.payment_reference)):
        yield _unfit("payment_reference", claim.payment_reference)
    if claim.open_minor <= 0:
        values = {"agency": agreement.display_name}
        yield Finding(Severity.BLOCKING, "amount.not_carried", "open_minor", str(claim.open_minor), values)
    if agreement.settings.get("interest_rate") and agreement.settings.get("interest_rate_code"):
        yield _unfit("interest_rate", str(agreement.settings["interest_rate"]))


def _unfit(place: str, value: str) -> Finding:
    return Finding(Severity.BLOCKING, "layout.does_not_fit", place, value, {"field": place})


def _person(customer: Customer, agreement: Agreement) -> tuple[str, str] | None:
    """Return first and last name where the card leaves no doubt which is which."""
    words, order = customer.name.split(), agreement.settings.get("person_names")
    if len(words) != 2 or order not in {FIRST_LAST, LAST_FIRST}:
        return None
    return (words[0], words[1]) if order == FIRST_LAST else (words[1], words[0])


# --- out -------------------------------------------------------------------------------------------------------------


def export(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write one call per claim; raises ``EncodeError`` when a value does not fit."""
    stream = iter(claims)
    first = next(stream, None)
    if first is None:
        return ()
    sequence, file_id = seal.sequences[ASSIGNMENTS], seal.file_ids[ASSIGNMENTS]
    head = Head("lowell", LAYOUT.name, ASSIGNMENTS, sequence, file_id, agreement.currency, is_test=agreement.is_sandbox)
    filename = f"{ASSIGNMENTS}-{sequence:06d}.jsonl"
    with sink.open(filename) as out:
        totals = write_calls(out, head, (_planned(claim, agreement) for claim in chain((first,), stream)))
    return (Envelope(ASSIGNMENTS, sequence, filename, MEDIA_TYPE, agreement.currency, totals),)


def write_nothing(claims: Iterable[Claim]) -> tuple[Envelope, ...]:
    """Refuse later items, for which there is no call; the host hands none over. No claim, no file."""
    for claim in claims:
        raise EncodeError(f"claim {claim.claim_id}: the Assignment API has no call for later items")
    return ()


def _planned(claim: Claim, agreement: Agreement) -> Planned:
    """Return the call for one claim; what was linked to it by now is in the open amount, without a place of its own."""
    sums = {Direction.DEBIT: claim.original_minor, Direction.CREDIT: 0}
    for item in claim.items:
        if item.kind is LinkKind.CHARGE:
            raise EncodeError(f"claim {claim.claim_id}: the Assignment API has no place for charge {item.item_id}")
        sums[item.direction] += item.amount_minor
    totals = Totals(1, len(claim.items), sums[Direction.DEBIT], sums[Direction.CREDIT])
    private = (claim.customer.national_id,) if claim.customer.national_id else ()
    return Planned("invoice", claim.claim_id, "assign", assignment(claim, agreement), totals, private)


def assignment(claim: Claim, agreement: Agreement) -> dict[str, Any]:
    """Return the body of ``POST .../assignments``, in the order of the published example; what is not known is left out."""
    settings = agreement.settings
    return _known({
        "id": claim.claim_id,
        "subclientId": settings["subclient_id"],
        "reference": claim.payment_reference,
        "class": settings.get("assignment_class", ""),
        "type": settings["assignment_type"],
        "debtors": [_debtor(claim.customer, agreement)],
        "invoices": [_invoice(claim, agreement)],
    })  # fmt: skip


def _debtor(customer: Customer, agreement: Agreement) -> dict[str, Any]:
    return _known({
        **_who(customer, agreement),
        "street": customer.address1,
        "zip": customer.postcode,
        "city": customer.city,
        "country": customer.country,
        "phone": customer.phone,
        "email": customer.email,
        "voluntaryCollectionForbidden": agreement.settings["voluntary_collection_forbidden"],
    })  # fmt: skip


def _who(customer: Customer, agreement: Agreement) -> dict[str, Any]:
    """Say who the one debtor is: ``Main``, for a claim of ours has no other."""
    if customer.kind is CustomerKind.PRIVATE:
        names = _person(customer, agreement)
        if names is None:
            raise EncodeError(f"customer {customer.customer_number}: which is the first name of {customer.name!r}?")
        who = {"type": "Private", "role": "Main", "id": customer.national_id}
        return {**who, "firstName": names[0], "lastName": names[1]}
    number = _BUSINESS_ID.fullmatch(customer.organisation_number)
    if number is None:
        raise EncodeError(f"customer {customer.customer_number}: {customer.organisation_number!r} is no business id")
    return {"type": "Company", "role": "Main", "id": f"{number[1]}-{number[2]}", "companyName": customer.name}


def _invoice(claim: Claim, agreement: Agreement) -> dict[str, Any]:
    settings = agreement.settings
    return _known({
        "invoiceNumber": claim.invoice_number,
        "invoiceDate": claim.invoice_date.isoformat(),
        "dueDate": claim.due_date.isoformat(),
        "receivableType": settings["receivable_type"],
        "openPrincipal": _major(claim.open_minor, agreement.currency),
        "interestRateCode": settings.get("interest_rate_code", ""),
        "interestRate": settings.get("interest_rate", ""),
        "interestDate": (claim.due_date + timedelta(days=1)).isoformat(),
        "reminderDate": claim.reminder_date.isoformat() if claim.reminder_date else "",
        "referenceNumber": claim.payment_reference,
        "description": claim.text,
        "originalInvoice": {"originalPrincipal": _major(claim.original_minor, agreement.currency)},
    })  # fmt: skip


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != ""}


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(format_minor(minor, currency))


def deliver(content: BinaryIO, agreement: Agreement, calls: Calls | None) -> None:
    """Make each call once. One that was begun and not answered is never repeated: what Lowell does then is unknown."""
    if calls is None:
        raise DataError("the Assignment API is reached by https; the agreement's transport is none")
    path = f"/{agreement.settings['environment']}/collection/fi/assignment-api/v1/assignments"

    def hand_over(planned: Planned) -> None:
        calls.once(planned.key(), Request("POST", path, body=encoded(planned.body), private=planned.private))

    each_once(content, hand_over)


# --- answers ---------------------------------------------------------------------------------------------------------


def is_answer(file: InboundFile) -> bool:
    """Whether *file* holds answers to calls of this layout."""
    head = answers_head(file.head)
    return head is not None and (head.agency, head.layout) == ("lowell", LAYOUT.name)


def read_receipt(file: InboundFile) -> Receipt:
    """Return what was taken, without a case number: which part of the answer is Lowell's reference nobody has published."""
    return receipt(file, lambda _step, _answer: "", lambda answer: (str(answer.status), _shown(answer)), _awaits)


def _awaits(answer: Answer) -> str:
    if not answer.status:
        return "Lowell's reference is awaited"
    found = candidate(answer.body)
    return f"Lowell's reference is awaited{f'; perhaps {found}' if found else ''}. Answer: {_shown(answer)}"


def _shown(answer: Answer) -> str:
    body = answer.body[:_TEXT_BYTES].decode(errors="replace")
    return " ".join(filter(None, [body, answer.headers.get("location", "")[:_TEXT_BYTES]]))


def candidate(body: bytes) -> str:
    """Return the one value in an answer that looks like an id and is not ours; empty where there is none or another."""
    try:
        found = set(_ids(decoded(body), 0))
    except DecodeError:
        return ""
    return found.pop() if len(found) == 1 else ""


def _ids(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping | list) and depth < _DEPTH_MAX:
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _ids(one, depth + 1)
    elif isinstance(value, str | int) and not isinstance(value, bool):
        text = str(value)
        if _ID_LIKE.fullmatch(text) and not text.startswith("kp-") and not _DAY_LIKE.fullmatch(text):
            yield text
