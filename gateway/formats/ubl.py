"""Read a UBL 2 document: invoice, credit note or reminder, whatever profile it claims to follow.

Only what the document says, in its own signs and words; what it is worth as a ledger entry is judged elsewhere
(`gateway.accounting.documents`). Invoice lines and embedded files are passed over, so memory does not grow with them.
Source: UBL 2.1 and accounting/files.md 2.2.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

from gateway.domain.money import parse_minor
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.xmltree import iter_elements

_NAMESPACE = "urn:oasis:names:specification:ubl:schema:xsd:"
ROOTS = {f"{_NAMESPACE}{name}-2": name for name in ("Invoice", "CreditNote", "Reminder")}
"""Namespaces of the documents this module reads, and the root element that must stand in each."""

_PARTS = frozenset(f"{_NAMESPACE}Common{kind}Components-2" for kind in ("Aggregate", "Basic"))
_PASSED_OVER = frozenset({"InvoiceLine", "CreditNoteLine", "TaxTotal", "Delivery", "UBLExtensions", "Signature"})
_BINARY = "EmbeddedDocumentBinaryObject"

MAX_ELEMENTS = 50_000
"""Elements kept of one document: the head of the longest real one has a few hundred, a reminder per invoice some more."""

MAX_TEXT = 1_000_000
"""Characters kept of one document; notes are the only long texts."""

MAX_MINOR = 10**15
"""Minor units of one amount; past this a slip of the keyboard or an attack, and no database column would hold it."""

_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_BLANK = " \t\r\n"
_BREAKS = str.maketrans("\t\r\n", "   ")
_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Party:
    """A party as the document names it. *legal_id* and *party_id* are as found, each with the scheme it came with.

    *vat_number* is the tax registration; the transport address (``EndpointID``) is left out: it identifies nobody (U4).
    """

    name: str = ""
    legal_id: str = ""
    legal_scheme: str = ""
    party_id: str = ""
    party_scheme: str = ""
    vat_number: str = ""
    address1: str = ""
    address2: str = ""
    postcode: str = ""
    city: str = ""
    country: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class PaymentMeans:
    """One way to pay that the document offers."""

    code: str
    references: tuple[str, ...]
    account: str
    branch: str
    due: date | None


@dataclass(frozen=True, slots=True)
class Charge:
    """An allowance (*is_charge* false) or charge on document level, minor units as printed."""

    is_charge: bool
    reason_code: str
    reason: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """An embedded file by the name and media type it claims; the two may disagree, so trust neither."""

    name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class UblDocument:
    """What a UBL document says. Amounts are minor units of *currency* with the document's own sign."""

    root: str
    customization: str
    profile: str
    number: str
    type_code: str
    issue_date: date
    due_date: date | None
    currency: str
    total_minor: int | None
    prepaid_minor: int
    rounding_minor: int
    payable_minor: int
    supplier: Party
    customer: Party
    payee: Party | None
    means: tuple[PaymentMeans, ...]
    references: tuple[str, ...]
    charges: tuple[Charge, ...]
    attachments: tuple[Attachment, ...]
    notes: tuple[str, ...]
    terms: tuple[str, ...]
    order_number: str
    buyer_reference: str


def read_ubl(stream: BinaryIO) -> UblDocument:
    """Return the UBL document in *stream*.

    Raises:
        DecodeError: not a UBL invoice, credit note or reminder, or a fact it cannot do without is missing, doubled or
            unreadable; it names the path and the value.
    """
    root = _tree(stream)
    currency = _currency(root)
    totals = root.only("LegalMonetaryTotal") or root
    means = tuple(_means(part) for part in root.every("PaymentMeans"))
    return UblDocument(
        root=root.name,
        customization=root.text_of("CustomizationID"),
        profile=root.text_of("ProfileID"),
        number=root.demand("ID"),
        type_code=root.text_of(f"{root.name}TypeCode"),
        issue_date=_day(root, "IssueDate"),
        due_date=_optional_day(root, "DueDate"),
        currency=currency,
        total_minor=_optional_amount(totals, "TaxInclusiveAmount", currency),
        prepaid_minor=_optional_amount(totals, "PrepaidAmount", currency) or 0,
        rounding_minor=_optional_amount(totals, "PayableRoundingAmount", currency) or 0,
        payable_minor=_amount(totals, "PayableAmount", currency),
        supplier=_party(root.only("AccountingSupplierParty")),
        customer=_party(root.only("AccountingCustomerParty")),
        payee=_party(payee) if (payee := root.only("PayeeParty")) else None,
        means=means,
        references=_references(root),
        charges=tuple(_charge(part, currency) for part in root.every("AllowanceCharge")),
        attachments=tuple(_attachments(root)),
        notes=root.texts("Note"),
        terms=tuple(text for part in root.every("PaymentTerms") for text in part.texts("Note")),
        order_number=root.text_of("OrderReference", "ID"),
        buyer_reference=root.text_of("BuyerReference"),
    )


# --- the tree of what is kept ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """An element of the document's head."""

    name: str
    line: int
    attributes: Mapping[str, str]
    children: list[_Node] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The content without the blanks of the layout around it; a line break inside is a blank."""
        text = "".join(self.pieces).strip(_BLANK)
        if text.isascii() and text.isprintable():
            return text
        if _CONTROL.search(text):
            raise DecodeError(said("wrong.control_character"), line=self.line, path=self.name)
        return unicodedata.normalize("NFC", text.translate(_BREAKS))

    def every(self, name: str) -> Iterator[_Node]:
        return (child for child in self.children if child.name == name)

    def only(self, name: str) -> _Node | None:
        """Return the child called *name*; two of what may stand once are a contradiction, not a choice."""
        found = list(self.every(name))
        if len(found) > 1:
            raise DecodeError(
                said("wrong.stands_twice"), line=found[1].line, path=self.name, field=name, value=found[1].text
            )
        return found[0] if found else None

    def text_of(self, *path: str) -> str:
        node: _Node | None = self
        for name in path:
            node = node.only(name) if node else None
        return node.text if node else ""

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(child.text for child in self.every(name) if child.text)

    def demand(self, name: str) -> str:
        text = self.text_of(name)
        if not text:
            raise DecodeError(said("wrong.missing"), line=self.line, path=self.name, field=name)
        return text


def _tree(stream: BinaryIO) -> _Node:
    """Return the document without lines, extensions and embedded bytes."""
    above: list[_Node] = []
    root: _Node | None = None
    skipped = elements = characters = 0
    for event, name, namespace, attributes, line in iter_elements(stream, with_text=True):
        if event == "start":
            if root is None:
                root = _root(name, namespace, line)
                above.append(root)
            elif skipped or name in _PASSED_OVER or namespace not in _PARTS:
                skipped += 1
            else:
                elements += 1
                _limit(elements, MAX_ELEMENTS, line)
                node = _Node(name, line, attributes)
                above[-1].children.append(node)
                above.append(node)
        elif event == "end":
            if skipped:
                skipped -= 1
            else:
                above.pop()
        elif not skipped and above[-1].name != _BINARY:
            characters += len(name)
            _limit(characters, MAX_TEXT, line)
            above[-1].pieces.append(name)
    assert root is not None  # the parser refuses a document without one
    return root


def _root(name: str, namespace: str, line: int) -> _Node:
    if ROOTS.get(namespace) != name:
        raise DecodeError(said("wrong.not_ubl"), line=line, path=name, value=namespace)
    return _Node(name, line, {})


def _limit(count: int, limit: int, line: int) -> None:
    if count > limit:
        raise DecodeError(said("wrong.too_much"), line=line)


# --- parts -----------------------------------------------------------------------------------------------------------


def _currency(root: _Node) -> str:
    currency = root.demand("DocumentCurrencyCode")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise DecodeError(said("wrong.currency"), path=root.name, field="DocumentCurrencyCode", value=currency)
    return currency


def _day(node: _Node, name: str) -> date:
    node.demand(name)
    day = _optional_day(node, name)
    assert day is not None  # the text is there
    return day


def _optional_day(node: _Node, name: str) -> date | None:
    """Return a calendar day as printed; a zone behind it says where the day was written and changes nothing."""
    text = node.text_of(name)
    if not text:
        return None
    found = _DATE.fullmatch(text)
    try:
        return date.fromisoformat(found[1] if found else "")
    except ValueError:
        raise DecodeError(said("wrong.not_a_day"), line=node.line, path=node.name, field=name, value=text) from None


def _amount(node: _Node, name: str, currency: str) -> int:
    found = _optional_amount(node, name, currency)
    if found is None:
        raise DecodeError(said("wrong.missing"), line=node.line, path=node.name, field=name)
    return found


def _optional_amount(node: _Node, name: str, currency: str) -> int | None:
    found = node.only(name)
    if found is None:
        return None
    given = found.attributes.get("currencyID", "")
    if given != currency:
        raise DecodeError(
            said("wrong.other_currency", currency=currency), line=found.line, path=node.name, field=name, value=given
        )
    try:
        minor = parse_minor(found.text, currency)
    except DecodeError as error:
        raise DecodeError(error.reason, line=found.line, path=node.name, field=name, value=found.text) from None
    if abs(minor) > MAX_MINOR:
        raise DecodeError(said("wrong.too_large"), line=found.line, path=node.name, field=name)
    return minor


def _party(holder: _Node | None) -> Party:
    """Return the party inside *holder*, which is a party itself where UBL says so (``PayeeParty``)."""
    node = (holder.only("Party") or holder) if holder else None
    if node is None:
        return Party()
    legal, address, contact = (
        _first(node, "PartyLegalEntity"), _first(node, "PostalAddress"), _first(node, "Contact")
    )  # fmt: skip
    company, identification = legal.only("CompanyID"), _first(node, "PartyIdentification").only("ID")
    lines = [text for part in address.every("AddressLine") for text in part.texts("Line")]
    return Party(
        name=legal.text_of("RegistrationName") or _first(node, "PartyName").text_of("Name"),
        legal_id=company.text if company else "",
        legal_scheme=company.attributes.get("schemeID", "") if company else "",
        party_id=identification.text if identification else "",
        party_scheme=identification.attributes.get("schemeID", "") if identification else "",
        vat_number=_vat_number(node),
        address1=_joined(address.text_of("StreetName"), address.text_of("BuildingNumber")),
        address2=", ".join(text for text in (address.text_of("AdditionalStreetName"), *lines) if text),
        postcode=address.text_of("PostalZone"),
        city=address.text_of("CityName"),
        country=address.text_of("Country", "IdentificationCode"),
        contact=contact.text_of("Name"),
        phone=contact.text_of("Telephone"),
        email=contact.text_of("ElectronicMail"),
    )


def _first(node: _Node, name: str) -> _Node:
    """Return the first child called *name*, or an empty one: parties may legally carry several of these."""
    return next(node.every(name), _Node(name, node.line, {}))


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _vat_number(party: _Node) -> str:
    schemes = party.every("PartyTaxScheme")
    return next((s.text_of("CompanyID") for s in schemes if s.text_of("TaxScheme", "ID") == "VAT"), "")


def _means(node: _Node) -> PaymentMeans:
    account = _first(node, "PayeeFinancialAccount")
    return PaymentMeans(
        code=node.text_of("PaymentMeansCode"),
        references=node.texts("PaymentID"),
        account=account.text_of("ID"),
        branch=account.text_of("FinancialInstitutionBranch", "ID"),
        due=_optional_day(node, "PaymentDueDate"),
    )


def _references(root: _Node) -> tuple[str, ...]:
    """Return the numbers of the invoices that the document is about, each once, in order."""
    holders = [root, *root.every("ReminderLine")]
    found = (
        text
        for holder in holders
        for reference in holder.every("BillingReference")
        for document in reference.every("InvoiceDocumentReference")
        for text in document.texts("ID")
    )
    return tuple(dict.fromkeys(found))


def _charge(node: _Node, currency: str) -> Charge:
    return Charge(
        is_charge=node.text_of("ChargeIndicator") in {"true", "1"},
        reason_code=node.text_of("AllowanceChargeReasonCode"),
        reason="; ".join(node.texts("AllowanceChargeReason")),
        amount_minor=_amount(node, "Amount", currency),
    )


def _attachments(root: _Node) -> Iterator[Attachment]:
    for reference in root.every("AdditionalDocumentReference"):
        for holder in reference.every("Attachment"):
            for embedded in holder.every(_BINARY):
                yield Attachment(embedded.attributes.get("filename", ""), embedded.attributes.get("mimeCode", ""))
