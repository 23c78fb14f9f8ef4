"""One booked line (LIN) of a CREMUL message, and the transactions (SEQ) inside it (payments.md 4.2).

The same segment means one thing on the line, another in a transaction, and others again behind charges, a document or
an instruction. So amounts are kept by where they stood, and taken by rule when the line or the transaction is whole.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import NamedTuple

from gateway.domain.exchange import Reference
from gateway.formats.edifact import Segment

BOOKED = frozenset({"454", "455", "X1"})
"""Kinds of message (BGM) that tell of booked money; X1 is the Danish banks'."""
PREADVICE = "435"
LINE_AMOUNTS = (("60", "BOOK"), ("346", "BOOK"), ("349", "PDNG"), ("362", "INFO"))
"""Amounts of a line by preference, and what each makes of it: final, total, to be posted, for information."""
TRANSACTION_AMOUNTS = ("60", "143", "119", "98", "36")
"""Posted, transferred, received, original, converted. The first in the currency of the line is the payment's."""
ORIGINAL_AMOUNTS = ("98", "36")
CHARGES, DOCUMENT_AMOUNT = "23", "12"
INVALID_KID = "231"
DANISH = frozenset({"IBK", "IBB", "UBB", "CON"})
CATEGORIES = DANISH | {"230", "231", "232", "233", "234", "240", "BKT"}
DOCUMENT_KINDS = {"999": "kid", "380": "invoice", "998": "invoice", "381": "credit_note"}
TEXT_REFERENCES = frozenset({"CR", "AFO"})
"""References of a transaction in the payer's own words."""

Money = tuple[int, str]
"""Minor units and their currency."""


class Document(NamedTuple):
    """What a DOC segment and those behind it say; *party* is the number of the invoicee (NAD+IV)."""

    number: str
    kind: str
    money: Money | None = None
    party: str = ""


class Transaction:
    """What the segments of one SEQ group say, before any of it is judged."""

    def __init__(self, number: int, start: int) -> None:
        self.number, self.start = number, start
        self.context = ""
        self.money: dict[str, Money] = {}
        self.charges: list[Money] = []
        self.documents: list[Document] = []
        self.texts: list[str] = []
        self.references: dict[str, str] = {}
        self.category = self.payer_name = self.payer_account = self.payer_address = ""
        self.order_date: date | None = None
        self.booking_date: date | None = None
        self.value_date: date | None = None
        self.is_unreadable = False

    @property
    def archive(self) -> str:
        """What the bank files the transaction under."""
        return next((self.references[kind] for kind in ("ACD", "AEK", "ACK") if kind in self.references), "")

    def amount(self, currency: str) -> int | None:
        """Return the amount in the currency of the line; None where it states none."""
        for qualifier in TRANSACTION_AMOUNTS:
            minor, stated = self.money.get(qualifier, (0, ""))
            if stated == currency:
                return minor
        return None

    def charged(self, minor: int, currency: str) -> tuple[int, bool]:
        """Return what was taken on the way from a payment of *minor*, and whether what the file says of it agrees.

        The payer paid that much more; it is told by the original amount, or by documents that add up to it.
        """
        stated = sum(part for part, unit in self.charges if unit == currency)
        gross = [money[0] for key in ORIGINAL_AMOUNTS if (money := self.money.get(key)) and money[1] == currency]
        documents = self.document_total(currency)
        if stated and minor + stated in {*gross, documents}:
            return stated, True
        more = gross[0] - minor if gross and gross[0] > minor else 0
        return more, not stated or not gross or gross[0] == minor

    def document_total(self, currency: str) -> int | None:
        """Return what the documents add up to, credit notes taken off; None when one does not say."""
        total = 0
        for document in self.documents:
            if not document.money or document.money[1] != currency:
                return None
            total += -document.money[0] if document.kind == "credit_note" else document.money[0]
        return total if self.documents else None

    def named(self, *, is_kid_invalid: bool, has_parts: bool) -> list[Reference]:
        """Return what the payment names: documents in their order, then a Danish payment id."""
        found = []
        for raw, kind, money, party in self.documents:
            if number := raw.strip():
                is_case = kind == "invoice" and case_number(number, party)
                told = "case" if is_case else "" if kind == "kid" and is_kid_invalid else kind
                part = money[0] if money and has_parts else None
                found.append(Reference(raw, number, told, -part if part and kind == "credit_note" else part))
        payment_id = self.references.get("BID", "")
        if payment_id:
            found.append(Reference(payment_id, without_card_type(payment_id), "ocr"))
        return found


class Line:
    """One LIN group. *status* is ``BOOK``, ``PDNG`` or ``INFO`` once it is opened; *minor* is None when unreadable."""

    def __init__(self, ordinal: int, number: int, start: int) -> None:
        self.ordinal, self.number, self.start = ordinal, number, start
        self.context = ""
        self.money: dict[str, Money] = {}
        self.references: dict[str, str] = {}
        self.category = self.account = self.currency = self.qualifier = self.status = self.why_not = self.key = ""
        self.booking_date: date | None = None
        self.value_date: date | None = None
        self.minor: int | None = None
        self.is_open = self.is_ordinary = self.is_unreadable = False
        self.is_summable = True
        self.count = self.sum = 0

    @property
    def bank_reference(self) -> str:
        """The bank's reference of the posted amount, which stands on the account statement too."""
        return self.references.get("ACK", "")

    def open(self, message_status: str) -> None:
        """Choose the amount, and say whether it is booked: both line and message must say so."""
        self.is_open = True
        for qualifier, status in LINE_AMOUNTS:
            if qualifier in self.money:
                self.minor, self.currency = self.money[qualifier]
                self.qualifier = qualifier
                self.status = status if message_status == "BOOK" or status == "INFO" else message_status
                break
        else:
            self.is_summable = False
            self.status = message_status


def primary(references: list[Reference]) -> Reference | None:
    """Return the reference to match on: a KID or payment id, else a case or document; None for text or an invalid KID."""
    for kinds in (("kid", "ocr"), ("case", "invoice"), ("credit_note",)):
        for reference in references:
            if reference.kind in kinds:
                return reference
    return None


@lru_cache(maxsize=4096)
def case_number(number: str, party: str) -> str:
    """Return the case number of an agency that pays with "case / customer number"; empty where it is no such pair.

    The other part must be the customer number that NAD+IV states: two invoice numbers look the same without it.
    """
    parts = [part.strip() for part in number.split("/")]
    if len(parts) != 2 or not party or party not in parts:
        return ""
    return parts[0] if parts[1] == party else parts[1]


def text_references(texts: list[str]) -> tuple[Reference, ...]:
    """Return every part of a free text as a reference: banks cut words, and a person looks for numbers in it."""
    return tuple(Reference(text, text, "text") for text in texts)


def without_card_type(payment_id: str) -> str:
    """Return a Danish payment id without the card type in front (``71/…``)."""
    kind, mark, rest = payment_id.partition("/")
    return rest if mark and len(kind) == 2 and kind.isdecimal() else payment_id


@lru_cache(maxsize=4096)
def day_of(raw: str) -> date | None:
    """Return the day that ``YYYYMMDD`` names, or None."""
    if len(raw) != 8 or not (raw.isascii() and raw.isdecimal()):
        return None
    try:
        return date(int(raw[:4]), int(raw[4:6]), int(raw[6:]))
    except ValueError:
        return None


def payer(elements: Segment) -> tuple[str, str]:
    """Return name and address (lines divided by line ends) from NAD, its elements from the fourth on.

    The name stands with the address in the first of them, or by itself in the second.
    """
    parts = [[part.strip() for part in element if part.strip()] for element in elements[:6]]
    plain, name, street, city, _, postcode = parts + [[]] * (6 - len(parts))
    town = " ".join([*postcode[:1], *city[:1]])
    if not name:
        name, plain = plain[:1], plain[1:]
    return " ".join(name), "\n".join([*plain, *street, *([town] if town else [])])
