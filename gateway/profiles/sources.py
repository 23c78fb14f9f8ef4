"""Where the values of an outgoing file come from: the closed list of names a profile may write behind ``from``.

A name is a place in what the host hands to an export (`gateway.domain.exchange`), never an expression: a profile computes
nothing. What an agency wants computed (a postcode and a town in one column) has a name here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from gateway.domain.exchange import Agreement, Claim, Customer, LinkedItem, LinkKind, Origin, Seal

FILE, CUSTOMER, CLAIM, DOCUMENT, ITEM, INSTRUCTION, GIVEN = (
    "file", "customer", "claim", "document", "item", "instruction", "given",
)  # fmt: skip
ROOTS = (FILE, CUSTOMER, CLAIM, DOCUMENT, ITEM, INSTRUCTION)
EACH = {
    FILE: "once in the file",
    CUSTOMER: "for each customer, before the claims of that customer",
    CLAIM: "for each claim",
    DOCUMENT: "for each invoice, and for each credit note linked to it",
    ITEM: "for each linked item of a claim",
    INSTRUCTION: "for each instruction of a claim",
    GIVEN: "only when a plugin writes it",
}
"""How often a record or element is written, and when."""

_REACH = {
    FILE: (FILE,),
    CUSTOMER: (FILE, CUSTOMER),
    CLAIM: (FILE, CUSTOMER, CLAIM),
    DOCUMENT: (FILE, CUSTOMER, CLAIM, DOCUMENT),
    ITEM: (FILE, CUSTOMER, CLAIM, ITEM),
    INSTRUCTION: (FILE, CUSTOMER, CLAIM, INSTRUCTION),
    GIVEN: (FILE,),
}
INVOICE, CREDIT_NOTE = "invoice", "credit_note"
SETTING = "setting."
"""Begins the name of a setting of the agreement: ``setting.business_id``."""


class Document(NamedTuple):
    """An invoice or a credit note as factoring files see it: one shape for both.

    *credited_number* names the invoice that a credit note belongs to, and an invoice itself. A credit note is due on its
    own date.
    """

    kind: str
    number: str
    date: dt.date
    due_date: dt.date
    amount_minor: int
    payment_reference: str
    credited_number: str
    text: str


def credit_notes(claim: Claim) -> Iterator[Document]:
    """Yield the credit notes among the items of *claim*."""
    for item in claim.items:
        if item.kind is LinkKind.CREDIT_NOTE:
            yield Document(
                CREDIT_NOTE, item.number, item.date, item.date, item.amount_minor, item.payment_reference,
                claim.invoice_number, item.text,
            )  # fmt: skip


AS_INVOICE: dict[str, str] = {
    "document.kind": f"={INVOICE}", "document.number": "claim.invoice_number", "document.date": "claim.invoice_date",
    "document.due_date": "claim.due_date", "document.amount_minor": "claim.original_minor",
    "document.payment_reference": "claim.payment_reference", "document.credited_number": "claim.invoice_number",
    "document.text": "claim.text",
}  # fmt: skip
"""Where an invoice has what a document has: nearly every document is one, and need not be made of its claim first. What
begins with = is the value itself; no profile can write that."""


class Place(NamedTuple):
    """One name: whose value it is, how to get it, and the types of field that can hold it."""

    root: str
    get: str | Callable[[Any], Any]
    kinds: tuple[str, ...]


_TEXT = ("text", "digits", "code")
_NUMBER = ("text", "digits")
_DAY, _AMOUNT, _CODE = ("date",), ("amount",), ("code",)


class FileFacts(NamedTuple):
    """What is the same in the whole file; settings stand beside it."""

    agreement: Agreement
    seal: Seal
    sequence: int
    file_id: str
    currency: str
    country: str


def _customer(name: str, kinds: tuple[str, ...] = _TEXT) -> Place:
    return Place(CUSTOMER, name, kinds)


def _postcode_city(customer: Customer) -> str:
    return f"{customer.postcode} {customer.city}".strip()


def _method(item: LinkedItem) -> str:
    """Told by the bank means paid by bank; who else paid how is not known, and is not guessed."""
    return "bank" if item.origin is Origin.BANK else ""


def _many(root: str, kinds: tuple[str, ...], *names: str) -> dict[str, Place]:
    return {f"{root}.{name}": Place(root, name, kinds) for name in names}


PLACES: Mapping[str, Place] = {
    "agreement.client_number": Place(FILE, "agreement.client_number", _TEXT),
    "agreement.creditor_name": Place(FILE, "agreement.creditor_name", _TEXT),
    "agreement.service": Place(FILE, "agreement.service.value", _CODE),
    "agreement.currency": Place(FILE, "currency", _TEXT),
    "agreement.market": Place(FILE, "country", _TEXT),
    "seal.sequence": Place(FILE, "sequence", ("number",)),
    "seal.file_id": Place(FILE, "file_id", ("text",)),
    "seal.created_at": Place(FILE, "seal.created_at", ("date", "time", "moment")),
    "seal.business_date": Place(FILE, "seal.business_date", _DAY),
    "seal.sender_id": Place(FILE, "seal.sender_id", _TEXT),
    "seal.receiver_id": Place(FILE, "seal.receiver_id", _TEXT),
    "seal.is_test": Place(FILE, "seal.is_test", _CODE),
    **_many(CUSTOMER, _TEXT, "organisation_number", "identity_number", "identity_scheme", "customer_number"),
    **_many(CUSTOMER, _TEXT, "name", "address1", "address2", "postcode", "city", "country", "email", "phone", "language"),
    "customer.kind": _customer("kind", _CODE),
    "customer.postcode_city": Place(CUSTOMER, _postcode_city, ("text",)),
    **_many(CLAIM, _TEXT, "claim_id", "invoice_number", "reminder_number", "case_number", "payment_reference", "text"),
    **_many(CLAIM, _DAY, "invoice_date", "due_date", "reminder_date"),
    **_many(CLAIM, _AMOUNT, "original_minor", "open_minor"),
    "document.kind": Place(DOCUMENT, "kind", _CODE),
    **_many(DOCUMENT, _TEXT, "number", "payment_reference", "credited_number", "text"),
    **_many(DOCUMENT, _DAY, "date", "due_date"),
    **_many(DOCUMENT, _AMOUNT, "amount_minor"),
    **_many(ITEM, _TEXT, "item_id", "number", "voucher_number", "payment_reference", "bank_reference", "text"),
    **_many(ITEM, _TEXT, "charge_kind", "unlinks_item_id"),
    **_many(ITEM, _CODE, "kind", "direction"),
    "item.method": Place(ITEM, _method, _TEXT),
    **_many(ITEM, _DAY, "date"),
    **_many(ITEM, _AMOUNT, "amount_minor"),
    **_many(INSTRUCTION, _TEXT, "item_id", "reason"),
    **_many(INSTRUCTION, _CODE, "action"),
    "instruction.date": Place(INSTRUCTION, "day", _DAY),
    "instruction.until": Place(INSTRUCTION, "until", _DAY),
}  # fmt: skip


def fault_of(name: str, kind: str, each: str) -> str:
    """Return why a field of type *kind*, written for each *each*, cannot come from *name*; empty where it can."""
    if name.startswith(SETTING):
        return "" if kind in _TEXT else f"a setting is text, not {kind}"
    place = PLACES.get(name)
    if place is None:
        family = [known for known in PLACES if known.partition(".")[0] == name.partition(".")[0]]
        return f"is no source; there are {', '.join(family or sorted({n.partition('.')[0] for n in PLACES}))}"
    if kind not in place.kinds:
        return f"{name} needs type {' or '.join(place.kinds)}, not {kind}"
    if place.root not in _REACH[each]:
        return f"{name} is not known where something is written {EACH[each]}"
    return ""


class Pull:
    """Gets the values of the fields of one record from what is at hand, as fast as a plugin's own code would.

    Args:
        names: for each field its source; empty where there is none, and nothing is written.
        facts: what is the same in the whole file.

    *fixed* are the values that never change in this file, by place.
    """

    def __init__(self, names: Sequence[str], facts: FileFacts) -> None:
        self.fixed = {number: _fixed(name, facts) for number, name in enumerate(names) if root_of(name) == FILE}
        self._base: list[Any] = [self.fixed.get(number, "") for number in range(len(names))]
        self._gets: list[tuple[int, list[int], Callable[[Any], Any]]] = []
        self._computed: list[tuple[int, int, Callable[[Any], Any]]] = []
        for root in ROOTS[1:]:
            self._gather(root, [(index, name) for index, name in enumerate(names) if root_of(name) == root])

    def _gather(self, root: str, wanted: list[tuple[int, str]]) -> None:
        number = ROOTS.index(root)
        plain = [(index, get) for index, name in wanted if isinstance(get := PLACES[name].get, str)]
        if plain:
            self._gets.append((number, [index for index, _ in plain], attrgetter(*(get for _, get in plain))))
        for index, name in wanted:
            if callable(get := PLACES[name].get):
                self._computed.append((number, index, get))

    def direct(self) -> tuple[int, Callable[[Any], tuple[Any, ...]]] | None:
        """Return root and getter where one call gets all the values in their order; None where it takes more."""
        if len(self._gets) != 1 or self._computed or self.fixed or len(self._base) < 2:
            return None
        root, indexes, get = self._gets[0]
        return (root, get) if len(indexes) == len(self._base) else None

    def quickest(self) -> tuple[list[int], Callable[[Sequence[Any]], tuple[Any, ...]]]:
        """Return the places of the values that vary, in the order in which they are quickest to get, and what gets them."""
        places = [place for _, some, _ in self._gets for place in some] + [place for _, place, _ in self._computed]
        gets = [(root, get if len(some) > 1 else _alone(get)) for root, some, get in self._gets]
        return places, _joined([*gets, *((root, _alone(compute)) for root, _, compute in self._computed)])

    def values(self, at_hand: Sequence[Any]) -> list[Any]:
        """Return the values in the order of the fields. *at_hand* has one object for each of `ROOTS`."""
        found = self._base.copy()
        for root, indexes, get in self._gets:
            got = get(at_hand[root])
            if len(indexes) == 1:
                found[indexes[0]] = got
            else:
                for index, value in zip(indexes, got, strict=True):
                    found[index] = value
        for root, index, compute in self._computed:
            found[index] = compute(at_hand[root])
        return found


def _alone(get: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    return lambda of: (get(of),)


def _joined(gets: Sequence[tuple[int, Callable[[Any], tuple[Any, ...]]]]) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
    """Return what gets the values of all *gets*, each from its root, one behind the other."""
    if not gets:
        return lambda _: ()
    root, get = gets[0]
    if len(gets) == 1:
        return lambda at_hand: get(at_hand[root])
    others = _joined(gets[1:])
    return lambda at_hand: get(at_hand[root]) + others(at_hand)


def _fixed(name: str, facts: FileFacts) -> Any:
    """Return a value that is the same in the whole file; an empty setting is empty text."""
    if not name:
        return ""
    if name.startswith("="):
        return name[1:]
    if name.startswith(SETTING):
        return str(facts.agreement.settings.get(name.removeprefix(SETTING), ""))
    place = PLACES[name].get
    assert isinstance(place, str)
    return attrgetter(place)(facts)


def getter(name: str) -> Callable[[Any], Any]:
    """Return what gets the value called *name* from the thing it belongs to."""
    get = PLACES[name].get
    return attrgetter(get) if isinstance(get, str) else get


def root_of(name: str) -> str:
    """Return whose value *name* is (one of `ROOTS`)."""
    return FILE if not name or name.startswith((SETTING, "=")) else PLACES[name].root
