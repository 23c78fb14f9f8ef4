"""The attributes of kravport-sls-1 that Kravport writes, each declared once: order, type, mandatory or not.

The declaration is compiled to one regular expression per element. Nearly every row matches it and is written as it
stands; a row that does not is looked at value by value, so that exactness costs nothing in the common case
(intrum-sls.md B.1, B.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gateway.domain.exchange import Series
from gateway.domain.identifiers import masked
from gateway.domain.instructions import Action
from gateway.domain.money import exponent, format_minor
from gateway.errors import EncodeError
from gateway.formats.xmltree import xml_escape_attribute

NAMESPACE = "urn:kravport:sls:1"
PROFILE = "kravport-sls-1"
LABEL = "Kravport reference profile kravport-sls-1. Chosen by Kravport, not by any agency. Unconfirmed: sandbox only."
INVOICES = "invoices"
UPDATES = "updates"
SERIES = {INVOICES: Series(1, 999), UPDATES: Series(1, 999)}
"""Both counters run 001 to 999 and start again; 000 does not exist (B.2)."""

_BLANKS = re.compile(r"[ \t\r\n]+")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_QUICK = '[^\x00-\x1f\x7f-\x9f"&<>\ud800-\udfff\ufffe\uffff]'
"""A character that needs neither refusal nor escaping."""


class DoesNotFit(EncodeError):
    """A value the layout cannot carry: *whose* it is, its *place* (``Element/@attribute``), the *fault*, the *value*."""

    def __init__(self, whose: str, place: str, fault: str, value: object) -> None:
        self.whose, self.place, self.fault, self.value = whose, place, fault, str(value)
        super().__init__(f"{whose}: {place} {fault}: {self.value!r}")


class Type(NamedTuple):
    """A type of B.3. *pattern* is what the whole value must match; *quick* matches only what can be written as is."""

    title: str
    quick: str
    pattern: re.Pattern[str] | None = None
    longest: int = 0

    def settled(self, value: str) -> str:
        """Return *value* with white space collapsed, or raise ``ValueError`` saying what is wrong with it."""
        text = _BLANKS.sub(" ", value).strip(" ")
        if _FORBIDDEN.search(text):
            raise ValueError("holds a control character")
        if self.longest and len(text) > self.longest:
            raise ValueError(f"is longer than {self.longest} characters")
        if self.pattern and text and not self.pattern.fullmatch(text):
            raise ValueError(f"is not a valid {self.title}")
        return text


def _text(longest: int, title: str) -> Type:
    return Type(title, f"{_QUICK}{{1,{longest}}}+", None, longest)


def _exact(title: str, pattern: str) -> Type:
    return Type(title, pattern, re.compile(pattern))


def _one_of(title: str, *values: str) -> Type:
    return _exact(title, "|".join(values))


KEY20, KEY30, KEY36 = _text(20, "Key20"), _text(30, "Key30"), _text(36, "Key36")
TEXT40, TEXT60, TEXT100 = _text(40, "Text40"), _text(60, "Text60"), _text(100, "Text100")
TEXT200, TEXT500 = _text(200, "Text200"), _text(500, "Text500")
EMAIL = Type("e-mail address", r"[A-Za-z0-9._+-]{1,100}@[A-Za-z0-9.-]{1,100}", re.compile("[^@ ]+@[^@ ]+"), 254)
DAY = _exact("Day", "[0-9]{4}-[0-9]{2}-[0-9]{2}")
MOMENT = _exact("Moment", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})")
POSITIVE_AMOUNT = _exact("PositiveAmount", r"(?!0+\.00)[0-9]{1,11}\.[0-9]{2}")
SIGNED_AMOUNT = _exact("SignedAmount", r"-?[0-9]{1,11}\.[0-9]{2}")
CURRENCY, COUNTRY, LANGUAGE = (
    _exact("Currency", "[A-Z]{3}"),
    _exact("Country", "[A-Z]{2}"),
    _exact("Language", "[a-z]{2}"),
)
REFERENCE = _exact("Reference", "[0-9A-Z]{1,24}[0-9A-Z-]")
ACCOUNT = _exact("Account", "[A-Z0-9]{5,34}")
FILE_ID = _exact("FileId", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SEQUENCE = _exact("Sequence", "[0-9]{2}[1-9]|[0-9][1-9]0|[1-9]00")
BOOLEAN = _one_of("boolean", "true", "false")
SCHEME = _one_of(
    "IdentityScheme",
    *("no-orgnr", "no-fnr", "se-orgnr", "se-pnr", "fi-ytunnus", "fi-hetu", "dk-cvr", "dk-cpr", "birthdate", "other"),
)
DIRECTION = _one_of("Direction", "debit", "credit")
CHARGE_KIND = _one_of("ChargeKind", "interest", "reminder-fee", "notice-fee", "compensation", "other")
KIND = _one_of("CustomerKind", "private", "company", "public")
SERVICE = _one_of("Service", "ledger", "collection")
ACTION = _one_of("Action", *Action)
METHOD = _one_of("PaymentMethod", "bank", "card", "cash", "setoff", "other")


class _Attribute(NamedTuple):
    name: str
    type: Type
    is_required: bool


class Element:
    """One element: its name, its depth and its attributes in the order in which they are written.

    Args:
        name: element name.
        depth: levels below the root; two blanks each (B.1).
        must: attributes the schema demands, by name. may: those left out when empty.
        order: attribute names in writing order, where it is not all of *must* and then all of *may*.
    """

    def __init__(
        self, name: str, depth: int, must: dict[str, Type], may: dict[str, Type] | None = None, order: str = ""
    ) -> None:
        types = must | (may or {})
        self.name = name
        self.attributes = tuple(_Attribute(key, types[key], key in must) for key in order.split() or types)
        self.end = f"{'  ' * depth}</{name}>\n"
        self._start = f"{'  ' * depth}<{name}"
        self._templates: dict[tuple[bool, ...], str] = {}
        quick = (f"(?:{a.type.quick}){'' if a.is_required else '?'}" for a in self.attributes)
        self._is_quick = re.compile("\n".join(quick)).fullmatch

    def start(self, whose: str, *values: str) -> str:
        """Return the start tag without its closing sign, indented; *values* stand in the declared order.

        Raises:
            EncodeError: a value does not fit; the message names *whose*, the attribute and the value. Nothing is cut.
        """
        row = "\n".join(values)
        if not self._is_quick(row) or (" " in row and _has_loose_blanks(row)):
            values = self._settled(whose, values)
        present = tuple(map(bool, values))
        template = self._templates.get(present) or self._template(present)
        return template % tuple(filter(None, values))

    def _template(self, present: tuple[bool, ...]) -> str:
        """Return, and remember, the tag with these attributes: rows of one element have few shapes."""
        names = [attribute.name for attribute, is_there in zip(self.attributes, present, strict=True) if is_there]
        template = self._templates[present] = self._start + "".join(f' {name}="%s"' for name in names)
        return template

    def faults(self, values: Sequence[str]) -> list[tuple[str, str, str]]:
        """Return (attribute, value, what is wrong) for every value that cannot be written."""
        found = []
        for attribute, value in zip(self.attributes, values, strict=True):
            fault = _fault(attribute, value)
            if fault:
                found.append((attribute.name, value, fault))
        return found

    def _settled(self, whose: str, values: Sequence[str]) -> tuple[str, ...]:
        for name, value, fault in self.faults(values):
            shown = masked(value) if name == "identityNumber" else value
            raise DoesNotFit(whose, f"{self.name}/@{name}", fault, shown)
        return tuple(
            xml_escape_attribute(attribute.type.settled(value))
            for attribute, value in zip(self.attributes, values, strict=True)
        )


def _has_loose_blanks(row: str) -> bool:
    return "  " in row or "\n " in row or " \n" in row or row[0] == " " or row[-1] == " "


def _fault(attribute: _Attribute, value: str) -> str:
    try:
        text = attribute.type.settled(value)
    except ValueError as fault:
        return str(fault)
    return "must not be empty" if attribute.is_required and not text else ""


def amount(minor: int) -> str:
    """Return *minor* units with the two decimals every amount of the profile has."""
    text = str(minor)
    return f"{text[:-2]}.{text[-2:]}" if minor >= 100 else format_minor(minor, "EUR")  # EUR stands for: two decimals


def check_currency(currency: str) -> None:
    """Raise ``EncodeError`` for a currency without exactly two decimals: the profile could not say its amounts."""
    if exponent(currency) != 2:
        raise EncodeError(f"{PROFILE} writes two decimals; {currency} has {exponent(currency)}")


IDENTIFICATION = Element(
    "Identification",
    1,
    {"profile": _one_of("profile", PROFILE), "message": _one_of("message", INVOICES, UPDATES), "fileId": FILE_ID}
    | {"fileSequence": SEQUENCE, "createdAt": MOMENT, "senderId": KEY20, "receiverId": KEY20, "test": BOOLEAN},
)
LEDGER = Element("Ledger", 1, {"ledgerId": KEY20, "currency": CURRENCY, "country": COUNTRY})
ASSIGNMENT = Element(
    "Assignment",
    2,
    {"agreementNumber": KEY20, "factorName": TEXT100, "payToAccount": ACCOUNT},
    {"factorPartyId": KEY20, "factorAddress": TEXT200, "notice": TEXT500},
    "agreementNumber factorName factorPartyId factorAddress payToAccount notice",
)
CUSTOMER = Element("Customer", 2, {"customerNumber": KEY20})
DETAILS = Element(
    "CustomerDetails",
    3,
    {"kind": KIND, "name": TEXT100, "address1": TEXT60, "postcode": KEY20, "city": TEXT40, "country": COUNTRY},
    {"identityNumber": KEY20, "identityScheme": SCHEME, "address2": TEXT60}
    | {"email": EMAIL, "phone": KEY30, "language": LANGUAGE},
    "kind name identityNumber identityScheme address1 address2 postcode city country email phone language",
)
NEW_INVOICE = Element("Invoice", 3, {"invoiceNumber": KEY30, "claimId": KEY36}, {"reminderNumber": KEY20})
CHANGED_INVOICE = Element(
    "Invoice",
    3,
    {"invoiceNumber": KEY30, "claimId": KEY36, "openAmount": SIGNED_AMOUNT},
    {"reminderNumber": KEY20, "caseNumber": KEY36},
    "invoiceNumber claimId reminderNumber caseNumber openAmount",
)
HEADER = Element(
    "InvoiceHeader",
    4,
    {"invoiceDate": DAY, "dueDate": DAY, "originalAmount": POSITIVE_AMOUNT, "openAmount": SIGNED_AMOUNT}
    | {"service": SERVICE},
    {"paymentReference": REFERENCE, "reminderDate": DAY, "text": TEXT200},
    "invoiceDate dueDate originalAmount openAmount paymentReference service reminderDate text",
)
_ITEM = {"itemId": KEY36, "date": DAY, "amount": POSITIVE_AMOUNT}
PAYMENT = Element(
    "Payment",
    4,
    _ITEM,
    {"paymentReference": REFERENCE, "voucherNumber": KEY30, "method": METHOD, "bankReference": KEY36, "text": TEXT200},
)
CREDIT_NOTE = Element("CreditNote", 4, _ITEM | {"creditNoteNumber": KEY30}, {"voucherNumber": KEY30, "text": TEXT200})
DISBURSEMENT = Element("Disbursement", 4, _ITEM, {"voucherNumber": KEY30, "text": TEXT200})
VOUCHER_LINE = Element("VoucherLine", 4, _ITEM | {"direction": DIRECTION}, {"voucherNumber": KEY30, "text": TEXT200})
CHARGE = Element(
    "Charge",
    4,
    _ITEM | {"kind": CHARGE_KIND},
    {"voucherNumber": KEY30, "text": TEXT200},
    "itemId kind date amount voucherNumber text",
)
INSTRUCTION = Element(
    "Instruction",
    4,
    {"itemId": KEY36, "action": ACTION, "date": DAY},
    {"until": DAY, "reason": TEXT200},
)
UNLINK = Element(
    "Unlink",
    4,
    _ITEM | {"unlinksItemId": KEY36, "direction": DIRECTION},
    {"text": TEXT200},
    "itemId unlinksItemId date amount direction text",
)
