"""The attributes of kravport-sls-1 that Kravport writes, each declared once: order, type, mandatory or not.

How a declaration becomes a tag is `gateway.formats.xml_element`; sections are those of intrum-sls.md (B.1, B.3).
"""

from __future__ import annotations

from gateway.domain.exchange import Series
from gateway.domain.instructions import Action
from gateway.domain.money import exponent, format_minor
from gateway.errors import EncodeError
from gateway.formats.xml_element import (
    ACCOUNT,
    DAY,
    EMAIL,
    FILE_ID,
    MOMENT,
    REFERENCE,
    Element,
    Pair,
    exact,
    one_of,
    text,
)

NAMESPACE = "urn:kravport:sls:1"
PROFILE = "kravport-sls-1"
LABEL = "Kravport reference profile kravport-sls-1. Chosen by Kravport, not by any agency. Unconfirmed: sandbox only."
INVOICES = "invoices"
UPDATES = "updates"
SERIES = {INVOICES: Series(1, 999), UPDATES: Series(1, 999)}
"""Both counters run 001 to 999 and start again; 000 does not exist (B.2)."""

KEY20, KEY30, KEY36 = text(20, "Key20"), text(30, "Key30"), text(36, "Key36")
TEXT40, TEXT60, TEXT100 = text(40, "Text40"), text(60, "Text60"), text(100, "Text100")
TEXT200, TEXT500 = text(200, "Text200"), text(500, "Text500")
POSITIVE_AMOUNT = exact("PositiveAmount", r"(?!0+\.00)[0-9]{1,11}\.[0-9]{2}")
SIGNED_AMOUNT = exact("SignedAmount", r"-?[0-9]{1,11}\.[0-9]{2}")
CURRENCY, COUNTRY, LANGUAGE = (
    exact("Currency", "[A-Z]{3}"),
    exact("Country", "[A-Z]{2}"),
    exact("Language", "[a-z]{2}"),
)
SEQUENCE = exact("Sequence", "[0-9]{2}[1-9]|[0-9][1-9]0|[1-9]00")
BOOLEAN = one_of("boolean", "true", "false")
SCHEME = one_of(
    "IdentityScheme",
    *("no-orgnr", "no-fnr", "se-orgnr", "se-pnr", "fi-ytunnus", "fi-hetu", "dk-cvr", "dk-cpr", "birthdate", "other"),
)
DIRECTION = one_of("Direction", "debit", "credit")
CHARGE_KIND = one_of("ChargeKind", "interest", "reminder-fee", "notice-fee", "compensation", "other")
KIND = one_of("CustomerKind", "private", "company", "public")
SERVICE = one_of("Service", "ledger", "collection")
ACTION = one_of("Action", *Action)
METHOD = one_of("PaymentMethod", "bank", "card", "cash", "setoff", "other")


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
    {"profile": one_of("profile", PROFILE), "message": one_of("message", INVOICES, UPDATES), "fileId": FILE_ID}
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
INVOICE_AND_HEADER = Pair(NEW_INVOICE, HEADER)
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
