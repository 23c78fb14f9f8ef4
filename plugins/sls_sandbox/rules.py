"""The agency's intake: each object of a delivered file is judged and, when accepted, entered in the ledger (B.9, B.13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lxml import etree

from plugins.sls_sandbox.reading import NAMESPACE, effect, local, minor, said
from plugins.sls_sandbox.state import AgreementFacts, State

_PERSONAL = {"no-fnr", "se-pnr", "fi-hetu", "dk-cpr", "birthdate"}
_LEGAL = {"no-orgnr", "fi-ytunnus", "dk-cvr"}  # a Swedish sole trader's organisation number is a personal number
_STATES = {
    "withdraw": "closed",
    "hold": "paused",
    "release": "active",
    "dispute": "disputed",
    "dispute-resolved": "active",
}


class Answer(NamedTuple):
    """What is said about one object. *code* is empty when it is accepted."""

    object_type: str
    object_id: str
    status: str
    case_number: str = ""
    code: str = ""
    text: str = ""


@dataclass(slots=True)
class _Case:
    """A claim as it is known now, and what the objects of this file would add."""

    claim_id: str
    case_number: str
    open_amount: int
    state: str


class Intake:
    """Judges the objects of one file, in document order. Works inside the caller's transaction."""

    def __init__(self, state: State, facts: AgreementFacts) -> None:
        self._state, self._facts = state, facts
        self._refusals = {(row["kind"], row["key"]): row for row in state.all("SELECT * FROM refusal")}

    def invoices(self, customer: etree._Element) -> Iterator[Answer]:
        """Judge one ``Customer`` of an ``Invoices`` file."""
        number = said(customer, "customerNumber")
        verdict = self._customer(number, customer[0])
        yield verdict
        for invoice in customer.iterfind(f"{{{NAMESPACE}}}Invoice"):
            yield from self._new_invoice(number, invoice, customer_is_in=verdict.status != "rejected")

    def updates(self, customer: etree._Element) -> Iterator[Answer]:
        """Judge one ``Customer`` of an ``Updates`` file."""
        number = said(customer, "customerNumber")
        for child in customer:
            if local(child) == "CustomerDetails":
                yield self._customer(number, child)
            else:
                yield from self._changed_invoice(child)

    # --- customers -----------------------------------------------------------------------------------------------

    def _customer(self, number: str, card: etree._Element) -> Answer:
        told = self._told_to_refuse("customer", number)
        code, text = told or self._identity_fault(card)
        return Answer("customer", number, "rejected" if code else "accepted", "", code, text)

    def _identity_fault(self, card: etree._Element) -> tuple[str, str]:
        kind, identity, scheme = said(card, "kind"), said(card, "identityNumber"), said(card, "identityScheme")
        needed = self._facts.needs_national_id if kind == "private" else self._facts.needs_organisation_number
        if needed and not identity:
            return "IDENTITY_MISSING", f"{kind} customer without identity number"
        if bool(identity) is not bool(scheme):
            return "IDENTITY_WRONG", "identityScheme must be given exactly with identityNumber"
        if scheme in (_LEGAL if kind == "private" else _PERSONAL):
            return "KIND_WRONG", f"{kind} with {scheme}"
        return ("", "") if has_right_check_digit(scheme, identity) else ("IDENTITY_WRONG", "check digit")

    # --- new invoices --------------------------------------------------------------------------------------------

    def _new_invoice(self, customer_number: str, invoice: etree._Element, *, customer_is_in: bool) -> Iterator[Answer]:
        header, claim_id = invoice[0], said(invoice, "claimId")
        items = [child for child in list(invoice)[1:] if local(child) != "InvoiceLine"]
        content = _content(header, "openAmount") + _content(invoice)
        row = self._state.one("SELECT * FROM claim WHERE claim_id = ?", claim_id)
        if row is not None and row["header"] == content:
            case = _Case(claim_id, row["case_number"], row["original"] + row["effect"], row["state"])
            yield Answer("invoice", claim_id, "duplicate", case.case_number)
            yield from self._items(case, items, said(header, "openAmount"))
            return
        code, text = ("NOT_ALLOWED", "claimId is known with another content") if row is not None else ("", "")
        if not customer_is_in:
            code, text = "CUSTOMER_REJECTED", ""
        original = minor(said(header, "originalAmount"))
        if not code:
            code, text = self._told_to_refuse("claim", claim_id) or self._header_fault(invoice, header, items, original)
        if code:
            yield Answer("invoice", claim_id, "rejected", "", code, text)
            yield from (_refused(item, "INVOICE_REJECTED") for item in items)
            return
        case = _Case(claim_id, f"C-{self._state.next_in('case'):06d}", original, "active")
        self._state.connection.execute(
            "INSERT INTO claim (claim_id, invoice_number, customer_number, case_number, header, reference, original)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                claim_id,
                said(invoice, "invoiceNumber"),
                customer_number,
                case.case_number,
                content,
                said(header, "paymentReference"),
                original,
            ),
        )
        yield Answer("invoice", claim_id, "accepted", case.case_number)
        yield from self._items(case, items, said(header, "openAmount"))

    def _header_fault(
        self, invoice: etree._Element, header: etree._Element, items: list[etree._Element], original: int
    ) -> tuple[str, str]:
        service = said(header, "service")
        if said(header, "dueDate") < said(header, "invoiceDate"):
            return "DUE_DATE", "due date before invoice date"
        if service not in self._facts.services:
            return "NOT_ALLOWED", f"the agreement has no service {service}"
        if service == "collection" and not (said(invoice, "reminderNumber") and said(header, "reminderDate")):
            return "REMINDER_MISSING", "collection without reminder data"
        expected = original + sum(effect(item) for item in items)
        if minor(said(header, "openAmount")) != expected:
            return "OPEN_AMOUNT", f"openAmount {said(header, 'openAmount')}, the items give {expected} minor units"
        return "", ""

    # --- later items ---------------------------------------------------------------------------------------------

    def _changed_invoice(self, invoice: etree._Element) -> Iterator[Answer]:
        claim_id, told_case = said(invoice, "claimId"), said(invoice, "caseNumber")
        row = self._state.one("SELECT * FROM claim WHERE claim_id = ?", claim_id)
        if row is None or (told_case and told_case != row["case_number"]):
            yield from (_refused(child, "UNKNOWN_INVOICE") for child in invoice)
            return
        case = _Case(claim_id, row["case_number"], row["original"] + row["effect"], row["state"])
        if row["state"] == "closed":
            yield from (self._known_or(child, case, "ALREADY_CLOSED") for child in invoice)
            return
        children = list(invoice)
        if children and local(children[0]) == "InvoiceHeader":
            yield self._changed_header(row["original"], case, invoice, children.pop(0))
        yield from self._items(case, children, said(invoice, "openAmount"))

    def _changed_header(self, original: int, case: _Case, invoice: etree._Element, header: etree._Element) -> Answer:
        code = ""
        if minor(said(header, "originalAmount")) != original:
            code = "AMOUNT"
        elif said(header, "dueDate") < said(header, "invoiceDate"):
            code = "DUE_DATE"
        elif said(header, "openAmount") != said(invoice, "openAmount"):
            code = "OPEN_AMOUNT"
        else:
            self._state.connection.execute(
                "UPDATE claim SET reference = ? WHERE claim_id = ?", (said(header, "paymentReference"), case.claim_id)
            )
        return Answer("header", case.claim_id, "rejected" if code else "accepted", "", code)

    def _items(self, case: _Case, items: list[etree._Element], told: str) -> Iterator[Answer]:
        """Judge linked items and instructions of one claim; *told* is the open amount after all of them."""
        new = [item for item in items if self._known(item, case) is None]
        expected = case.open_amount + sum(effect(item) for item in new if local(item) != "Instruction")
        agrees = minor(told) == expected
        for item in items:
            if agrees or item not in new:
                yield self._item(case, item)
            else:
                yield _refused(item, "OPEN_AMOUNT", f"openAmount {told}, the items give {expected} minor units")

    def _item(self, case: _Case, item: etree._Element) -> Answer:
        known = self._known(item, case)
        if known is not None:
            return known
        item_id, name = said(item, "itemId"), local(item)
        code, text = self._told_to_refuse("item", item_id) or self._item_fault(case, item, name)
        if code:
            return _refused(item, code, text)
        change = effect(item) if name != "Instruction" else 0
        execute = self._state.connection.execute
        execute(
            "INSERT INTO item VALUES (?, ?, ?, ?, ?)",
            (item_id, case.claim_id, name, change, _content(item) + case.claim_id),
        )
        execute("UPDATE claim SET effect = effect + ? WHERE claim_id = ?", (change, case.claim_id))
        if name == "Instruction" and (state := _STATES.get(said(item, "action"))):
            execute("UPDATE claim SET state = ? WHERE claim_id = ?", (state, case.claim_id))
        return Answer(_object_type(item), item_id, "accepted")

    def _item_fault(self, case: _Case, item: etree._Element, name: str) -> tuple[str, str]:
        if name == "Payment" and said(item, "bankReference"):
            payout = self._state.one("SELECT 1 FROM settlement WHERE bank_reference = ?", said(item, "bankReference"))
            return ("ECHO", "that is our own payout") if payout else ("", "")
        if name == "Unlink":
            former = self._state.one("SELECT * FROM item WHERE item_id = ?", said(item, "unlinksItemId"))
            if former is None or former["claim_id"] != case.claim_id or former["element"] in {"Charge", "Unlink"}:
                return "UNKNOWN_ITEM", "unlinksItemId is not an item of this invoice"
            return ("", "") if former["effect"] == -effect(item) else ("AMOUNT", "not the opposite of the item named")
        return "", ""

    def _known(self, item: etree._Element, case: _Case) -> Answer | None:
        """Return the answer to an item that was taken before: same content again, or another one under its id."""
        item_id = said(item, "itemId")
        row = self._state.one("SELECT content FROM item WHERE item_id = ?", item_id)
        if row is None:
            return None
        if row["content"] == _content(item) + case.claim_id:
            return Answer(_object_type(item), item_id, "duplicate")
        return _refused(item, "NOT_ALLOWED", "itemId is known with another content")

    def _known_or(self, child: etree._Element, case: _Case, code: str) -> Answer:
        known = self._known(child, case) if said(child, "itemId") else None
        return known or _refused(child, code)

    def _told_to_refuse(self, kind: str, key: str) -> tuple[str, str] | None:
        row = self._refusals.get((kind, key))
        return (row["code"], row["text"]) if row else None


def _refused(element: etree._Element, code: str, text: str = "") -> Answer:
    parent = element.getparent()
    assert parent is not None
    object_id = said(element, "itemId") or said(parent, "claimId")
    return Answer(_object_type(element), object_id, "rejected", "", code, text)


def _object_type(element: etree._Element) -> str:
    return "header" if local(element) == "InvoiceHeader" else local(element).lower()


def _content(element: etree._Element, *without: str) -> str:
    """Return name and attributes as text, to tell a repetition from another content under the same id (B.13, 1)."""
    return repr((local(element), sorted((str(k), str(v)) for k, v in element.attrib.items() if k not in without)))


# --- check digits ----------------------------------------------------------------------------------------------------


def has_right_check_digit(scheme: str, number: str) -> bool:
    """Return False for a number whose check digit is wrong; schemes without a rule here are taken as they are."""
    digits = "".join(sign for sign in number if sign.isdigit())
    if scheme == "no-orgnr":
        return len(digits) == 9 and _mod11(digits, (3, 2, 7, 6, 5, 4, 3, 2, 1))
    if scheme == "no-fnr":
        first, second = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1, 0), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
        return len(digits) == 11 and _mod11(digits, first) and _mod11(digits, second)
    if scheme in {"se-orgnr", "se-pnr"}:
        return len(digits) in {10, 12} and _luhn(digits[-10:])
    if scheme == "fi-ytunnus":
        return len(digits) == 8 and _mod11(digits, (7, 9, 10, 5, 8, 4, 2, 1))
    return True


def _mod11(digits: str, weights: tuple[int, ...]) -> bool:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11 == 0


def _luhn(digits: str) -> bool:
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(digits)]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0
