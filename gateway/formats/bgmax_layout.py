"""The records of a BgMax file: 80 columns (source: "Bankgiro Inbetalningar, Teknisk manual" 2019; payments.md 3).

Fields that carry no money and join no records are read as text: a bank that fills them otherwise sends a good file all
the same.
"""

from __future__ import annotations

from datetime import date

from gateway.formats.fixed_width import END_OF_LINE
from gateway.formats.record import const, day, filler, number, one_of, record, text
from gateway.formats.record_pattern import pattern

WIDTH = 80


@record(length=WIDTH)
class FileStart:
    """TK01, once. *created* is the time stamp that tells files apart; *mark* is ``P`` (production) or ``T`` (test)."""

    record_type: str = const(1, "01")
    layout: str = text(3, 20)
    version: str = text(23, 2)
    created: str = text(25, 20)
    mark: str = one_of(45, 1, "P", "T")
    filler_1: str = filler(46, 35, " ")


@record(length=WIDTH)
class SectionStart:
    """TK05: payments to one receiver in one currency."""

    record_type: str = const(1, "05")
    bankgiro: str = text(3, 10)
    plusgiro: str = text(13, 10, default="")
    currency: str = text(23, 3)
    filler_1: str = filler(26, 55, " ")


@record(length=WIDTH)
class PaymentRecord:
    """TK20: one payment. *amount_minor* is the whole of it, whatever the extra references say.

    *reference_code*: 0 or 1 blank, 2 a valid OCR number, 3 an invalid one or several in one field, 4 valid and 5 invalid
    by an extended agreement. *channel*: 1 electronic, 2 supplier payment, 3 paper, 4 Autogiro.
    """

    record_type: str = const(1, "20")
    payer_bankgiro: str = text(3, 10)
    reference: str = text(13, 25)
    amount_minor: int = number(38, 18)
    reference_code: str = text(56, 1)
    channel: str = text(57, 1)
    serial: str = text(58, 12)
    image: str = text(70, 1, default="0")
    filler_1: str = filler(71, 10, " ")


@record(length=WIDTH)
class DeductionRecord:
    """TK21: a credit note taken off. *deduction_code*: 0 whole, 1 partial with a remainder, 2 the last part."""

    record_type: str = const(1, "21")
    payer_bankgiro: str = text(3, 10)
    reference: str = text(13, 25)
    amount_minor: int = number(38, 18)
    reference_code: str = text(56, 1)
    channel: str = text(57, 1)
    serial: str = text(58, 12)
    image: str = text(70, 1, default="0")
    deduction_code: str = text(71, 1)
    filler_1: str = filler(72, 9, " ")


@record(length=WIDTH)
class ExtraReference:
    """TK22: one more reference. Its amount is 0 unless the receiver has extended form registration."""

    record_type: str = const(1, "22")
    payer_bankgiro: str = text(3, 10)
    reference: str = text(13, 25)
    amount_minor: int = number(38, 18)
    reference_code: str = text(56, 1)
    channel: str = text(57, 1)
    serial: str = text(58, 12)
    image: str = text(70, 1, default="0")
    filler_1: str = filler(71, 10, " ")


@record(length=WIDTH)
class NegativeExtraReference:
    """TK23: as TK22, with an amount to be taken off."""

    record_type: str = const(1, "23")
    payer_bankgiro: str = text(3, 10)
    reference: str = text(13, 25)
    amount_minor: int = number(38, 18)
    reference_code: str = text(56, 1)
    channel: str = text(57, 1)
    serial: str = text(58, 12)
    image: str = text(70, 1, default="0")
    filler_1: str = filler(71, 10, " ")


@record(length=WIDTH)
class FreeText:
    """TK25: up to 90 for one payment, in the order that means something."""

    record_type: str = const(1, "25")
    text: str = text(3, 50)
    filler_1: str = filler(53, 28, " ")


@record(length=WIDTH)
class PayerName:
    """TK26."""

    record_type: str = const(1, "26")
    name: str = text(3, 35)
    more_name: str = text(38, 35, default="")
    filler_1: str = filler(73, 8, " ")


@record(length=WIDTH)
class PayerAddress:
    """TK27."""

    record_type: str = const(1, "27")
    street: str = text(3, 35)
    postcode: str = text(38, 9)
    filler_1: str = filler(47, 34, " ")


@record(length=WIDTH)
class PayerCity:
    """TK28."""

    record_type: str = const(1, "28")
    city: str = text(3, 35)
    country: str = text(38, 35, default="")
    country_code: str = text(73, 2, default="")
    filler_1: str = filler(75, 6, " ")


@record(length=WIDTH)
class PayerNumber:
    """TK29: an organisation number; of a sole trader it is a person's."""

    record_type: str = const(1, "29")
    organisation_number: str = text(3, 12)
    filler_1: str = filler(15, 66, " ")


@record(length=WIDTH)
class Deposit:
    """TK15 ends a section: the sum on the bank account, and the only date. *transaction_count* is that of TK20 and TK21.

    *serial* is the deposit's number within receiver and year, which the bank statement shows.
    """

    record_type: str = const(1, "15")
    bank_account: str = text(3, 35, align="right", fill="0")
    payment_date: date | None = day(38, pattern="%Y%m%d", empty="00000000")
    serial: str = text(46, 5)
    total_minor: int = number(51, 18)
    currency: str = text(69, 3)
    transaction_count: int = number(72, 8)
    sign: str = text(80, 1, default="K")


@record(length=WIDTH)
class FileEnd:
    """TK70: how many records of four kinds the file holds."""

    record_type: str = const(1, "70")
    payment_count: int = number(3, 8)
    deduction_count: int = number(11, 8)
    extra_reference_count: int = number(19, 8)
    deposit_count: int = number(27, 8)
    filler_1: str = filler(35, 46, " ")


RECORDS = (
    FileStart, SectionStart, PaymentRecord, DeductionRecord, ExtraReference, NegativeExtraReference, FreeText, PayerName,
    PayerAddress, PayerCity, PayerNumber, Deposit, FileEnd,
)  # fmt: skip

MONEY_FIELDS = ("payer_bankgiro", "reference", "amount_minor", "reference_code", "serial")
MONEY = pattern(PaymentRecord, *MONEY_FIELDS)
PAYER = (PayerName, PayerAddress, PayerCity, PayerNumber)
"""The records that may follow a payment, once each."""

NAMES = pattern(PayerName, spans=[("names", "name", "more_name")])
NUMBER = pattern(PayerNumber, "organisation_number")


def _maybe(*records: str) -> str:
    # Atomic, not possessive: after a possessive group that fails, Python 3.11.2 goes on behind what it had read of it.
    return "".join(f"(?>{columns}{END_OF_LINE}|)" for columns in records)


UNIT = (
    MONEY
    + END_OF_LINE
    + f"(?P<details>(?>(?:2[235].{{0,78}}+{END_OF_LINE}){{0,180}}))"
    + _maybe(NAMES)
    + f"(?P<address>{_maybe(pattern(PayerAddress), pattern(PayerCity))})"
    + _maybe(NUMBER)
    + "(?=2[01]|15)"
)
"""A payment with all that belongs to it; *details* are extra references and free texts, *address* TK27 and TK28, each line
by line.
"""
