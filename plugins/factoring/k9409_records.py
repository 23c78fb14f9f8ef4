"""The 128 and 254 character records of "Elcon" K9409, what fits into them, and the strict reading of finished files.

Source: factoring-sgfinans.md sections 2 and 3; field numbers F and K are that page's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, BinaryIO, TypeVar

from gateway.domain.exchange import Agreement, Claim, Customer, CustomerKind, Finding, LinkedItem
from gateway.errors import DecodeError, EncodeError
from gateway.formats.record import columns, const, day, decode, digits, number, one_of, record, text
from gateway.formats.record_line import Liner
from plugins.factoring.faults import (
    amount_faults,
    blocking,
    is_digits,
    is_in,
    is_number,
    item_faults,
    number_fault,
    unfit,
)
from plugins.factoring.kid import follows

R = TypeVar("R")
INVOICE, CREDIT_NOTE = "1", "9"
CURRENCY = "NOK"
END = "\r\n"
CREDITS = "Kreditnota til "
"""Begins F11 of a credit note; the number of the invoice follows. F8, five wide, cannot hold eight digits."""


@record(length=128)
class LedgerItem:
    """F1-F16: an invoice or a credit note. The amount is always positive, the code tells the direction."""

    transaction_code: str = one_of(1, 1, INVOICE, CREDIT_NOTE)
    client_number: str = digits(2, 4)
    debtor_number: str = digits(6, 9)
    invoice_number: str = digits(15, 8)
    invoice_date: date = day(23, pattern="%y%m%d")
    due_date: date = day(29, pattern="%y%m%d")
    amount_minor: int = number(35, 11)
    undocumented_f8: str = text(46, 5, default="")
    unused_f9: str = text(51, 10, default="")
    order_number: str = text(61, 15, default="")
    comment: str = text(76, 25, default="")
    salesperson: str = text(101, 4, default="")
    project: str = text(105, 7, default="")
    currency: str = const(112, CURRENCY)
    currency_amount_minor: int = number(115, 11, default=0)
    unused_f16: str = text(126, 3, default="")


@record(length=254)
class DebtorCard:
    """K1-K20: a customer. K5 holds nine digits in eleven positions; how they are filled is a setting."""

    control: str = const(1, "K")
    version: str = const(2, "9409")
    client_number: str = digits(6, 4)
    debtor_number: str = digits(10, 9)
    organisation_number: str = text(19, 11)
    name: str = text(30, 35)
    first_name: str = text(65, 20, default="")
    postal_address: str = text(85, 30)
    postcode: str = digits(115, 4)
    post_place: str = text(119, 23)
    contact: str = text(142, 20, default="")
    telephone: str = text(162, 12, default="")
    country_name: str = text(174, 20, default="NORGE")
    country: str = one_of(194, 2, "NO", default="NO")
    country_numeric: str = one_of(196, 3, "578", default="578")
    bank_account: str = text(199, 11, default="")
    district: str = text(210, 4, default="")
    name_2: str = text(214, 35, default="")
    currency: str = const(249, CURRENCY)
    unused_k20: str = text(252, 3, default="")


# --- from claims to lines --------------------------------------------------------------------------------------------


def client_number(agreement: Agreement) -> str:
    """Return the agreement's client number as the records carry it, zeros left."""
    return agreement.client_number.rjust(4, "0")


_DAY = date(2000, 1, 1)
_ITEM = Liner(
    LedgerItem(
        transaction_code=INVOICE, client_number="0" * 4, debtor_number="0" * 9, invoice_number="0" * 8, invoice_date=_DAY,
        due_date=_DAY, amount_minor=0,
    ),
    "transaction_code", "client_number", "debtor_number", "invoice_number", "invoice_date", "due_date", "amount_minor", "comment",
    end=END,
)  # fmt: skip
_CARD = Liner(
    DebtorCard(
        client_number="0" * 4, debtor_number="0" * 9, organisation_number="", name="", postal_address="", postcode="0000",
        post_place="",
    ),
    "client_number", "debtor_number", "organisation_number", "name", "postal_address", "postcode", "post_place", "telephone",
    end=END,
)  # fmt: skip


def invoice_line(claim: Claim, agreement: Agreement) -> str:
    """Return F1-F16 of an invoice; F11 holds its text only where the agreement says so."""
    return _ITEM.line(
        INVOICE,
        client_number(agreement),
        claim.customer.customer_number.rjust(9, "0"),
        claim.invoice_number.rjust(8, "0"),
        claim.invoice_date,
        claim.due_date,
        claim.original_minor,
        claim.text if agreement.settings.get("comment") == "text" else "",
    )


def credit_note_line(item: LinkedItem, claim: Claim, agreement: Agreement) -> str:
    """Return F1-F16 of a credit note; its comment names the invoice it credits."""
    return _ITEM.line(
        CREDIT_NOTE,
        client_number(agreement),
        claim.customer.customer_number.rjust(9, "0"),
        item.number.rjust(8, "0"),
        item.date,
        item.date,
        item.amount_minor,
        CREDITS + claim.invoice_number,
    )


def customer_line(customer: Customer, agreement: Agreement) -> str:
    """Return K1-K20 of a company."""
    fill = " " if agreement.settings.get("org_number_fill") == "blank" else "0"
    return _CARD.line(
        client_number(agreement),
        customer.customer_number.rjust(9, "0"),
        _org_digits(customer).ljust(11, fill),
        customer.name,
        _postal_address(customer),
        customer.postcode,
        customer.city,
        _telephone(customer),
    )


def _org_digits(customer: Customer) -> str:
    return customer.organisation_number.replace(" ", "")


def _postal_address(customer: Customer) -> str:
    """The layout has one line; two are joined, and held when they do not fit together."""
    if not customer.address2:  # as nearly always
        return customer.address1.strip()
    return ", ".join(line.strip() for line in (customer.address1, customer.address2) if line.strip())


def _telephone(customer: Customer) -> str:
    return customer.phone.replace(" ", "")


# --- what keeps a customer or claim out ------------------------------------------------------------------------------

_WIDTH = {name: column.width for cls in (DebtorCard, LedgerItem) for name, column in columns(cls)}
_COMPANY_FORMS = frozenset({"AS", "ASA", "ANS", "BA", "DA", "ENK", "IKS", "KF", "KS", "NUF", "SA"})


def customer_faults(customer: Customer, agreement: Agreement) -> Iterator[Finding]:
    """Yield why *customer* cannot be written; empty for a customer the layout carries whole."""
    encoding = encoding_of(agreement)
    if customer.kind is CustomerKind.PRIVATE:
        yield blocking("factoring.private_customer", "kind")
    if not is_number(customer.customer_number, _WIDTH["debtor_number"]):
        yield number_fault("customer", "customer_number", customer.customer_number, _WIDTH["debtor_number"])
    first_word = customer.name.split(" ", 1)[0].rstrip(".").upper()
    if first_word in _COMPANY_FORMS and " " in customer.name.strip():
        yield blocking("factoring.name_begins_with_form", "name", customer.name, value=first_word)
    if customer.country not in ("", "NO"):
        yield unfit("country", customer.country)
    if customer.postcode and not (is_digits(customer.postcode) and len(customer.postcode) == _WIDTH["postcode"]):
        yield unfit("postcode", customer.postcode)
    if customer.kind is not CustomerKind.PRIVATE and customer.organisation_number and not _is_nine(customer):
        yield unfit("organisation_number", customer.organisation_number)
    texts = {"name": ("name", customer.name), "address1": ("postal_address", _postal_address(customer))}
    texts |= {"city": ("post_place", customer.city), "phone": ("telephone", _telephone(customer))}
    for place, (column, value) in texts.items():
        if not _is_writable(value, _WIDTH[column], encoding):
            yield unfit(place, value)


def claim_faults(claim: Claim, agreement: Agreement) -> Iterator[Finding]:
    """Yield why *claim* cannot be written, apart from its customer."""
    width = _WIDTH["invoice_number"]
    if not is_number(claim.invoice_number, width):
        yield number_fault("invoice", "invoice_number", claim.invoice_number, width)
    scheme = str(agreement.settings.get("kid_scheme", ""))
    customer = claim.customer.customer_number
    if not follows(
        scheme, claim.payment_reference, client=agreement.client_number, customer=customer, invoice=claim.invoice_number
    ):
        yield blocking("factoring.kid_scheme", "payment_reference", claim.payment_reference, scheme=scheme)
    yield from amount_faults(claim, agreement, _WIDTH["amount_minor"])
    wants_text = agreement.settings.get("comment") == "text"
    if wants_text and not _is_writable(claim.text, _WIDTH["comment"], encoding_of(agreement)):
        yield unfit("text", claim.text)
    for item in claim.items:
        yield from item_faults(item, agreement, number_width=width, amount_width=_WIDTH["amount_minor"])


def encoding_of(agreement: Agreement) -> str:
    """Return the charset the agreement names; the source pages are silent, so it is a setting."""
    return str(agreement.settings.get("encoding", "iso-8859-1"))


def _is_nine(customer: Customer) -> bool:
    return is_digits(_org_digits(customer)) and len(_org_digits(customer)) == len("987654325")


def _is_writable(value: str, width: int, encoding: str) -> bool:
    return len(value) <= width and value.isprintable() and value == value.strip(" ") and is_in(value, encoding)


# --- bytes -----------------------------------------------------------------------------------------------------------


def in_charset(line: str, encoding: str) -> bytes:
    """Return *line* as it stands in the file."""
    try:
        return line.encode(encoding)
    except UnicodeEncodeError as error:
        raise EncodeError(f"{error.object[error.start]!r} is not in {encoding}: {line.rstrip()!r:.200}") from error


def read_strictly(cls: type[R], source: BinaryIO, agreement: Agreement) -> Iterator[tuple[bytes, R]]:
    """Yield every line of *source* with its record; each must be what we would write for *agreement*.

    Raises:
        DecodeError: another length, charset, line end or client number, or no line at all. It names the line.
    """
    line, encoding = 0, encoding_of(agreement)
    longest = 4096  # far longer than either record: only a damaged file meets it
    for line, raw in enumerate(iter(lambda: source.readline(longest), b""), start=1):
        try:
            made: Any = decode(cls, _text(raw, encoding))
        except DecodeError as error:
            raise error.at_line(line) from error
        if made.client_number != client_number(agreement):
            raise DecodeError("is not the agreement's", line=line, field="client_number", value=made.client_number)
        yield raw, made
    if not line:
        raise DecodeError("holds no record; an empty file does not exist")


def _text(raw: bytes, encoding: str) -> str:
    if not raw.endswith(END.encode()):
        raise DecodeError("does not end in CRLF", value=repr(raw[-10:]))
    try:
        return raw[:-2].decode(encoding)
    except UnicodeDecodeError as error:
        raise DecodeError(f"is not {encoding}", value=repr(raw)) from error
