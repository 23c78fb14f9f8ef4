"""The records of a Nets OCR giro transmission: 80 columns (source: "OCR giro - System manual"; payments.md 2).

Fields that carry no money and join no records are read as text: a bank that fills them with blanks instead of zeros
sends a good file all the same.
"""

from __future__ import annotations

from datetime import date

from gateway.formats.fixed_width import END_OF_LINE
from gateway.formats.record import const, day, digits, filler, number, one_of, record, text
from gateway.formats.record_pattern import pattern

WIDTH = 80
NO_DATE = "000000"


@record(length=WIDTH)
class TransmissionStart:
    """Record 10, once. The three numbers together identify the transmission."""

    format_code: str = const(1, "NY")
    service_code: str = const(3, "00")
    transmission_type: str = const(5, "00")
    record_type: str = const(7, "10")
    data_transmitter: str = text(9, 8)
    transmission_number: str = text(17, 7)
    data_recipient: str = text(24, 8)
    filler_1: str = filler(32, 49)


@record(length=WIDTH)
class AssignmentStart:
    """Record 20: one service and one account."""

    format_code: str = const(1, "NY")
    service_code: str = const(3, "09")
    assignment_type: str = text(5, 2, default="00")
    record_type: str = const(7, "20")
    agreement_id: str = text(9, 9)
    assignment_number: str = text(18, 7)
    account: str = digits(25, 11)
    filler_1: str = filler(36, 45)


@record(length=WIDTH)
class AmountItem1:
    """Record 30, the first half of every transaction.

    *lump_sum* is centre, day code, partial settlement and serial number: with the date it names the sum on the bank
    statement that this payment is part of.
    """

    format_code: str = const(1, "NY")
    service_code: str = const(3, "09")
    transaction_type: str = digits(5, 2)
    record_type: str = const(7, "30")
    transaction_number: str = digits(9, 7)
    settlement_date: date | None = day(16, empty=NO_DATE)
    lump_sum: str = text(22, 10)
    sign: str = one_of(32, 1, "0", "-")
    amount_minor: int = number(33, 17)
    kid: str = text(50, 25, align="right")
    filler_1: str = filler(75, 6)


@record(length=WIDTH)
class AmountItem2:
    """Record 31, the other half of every transaction."""

    format_code: str = const(1, "NY")
    service_code: str = const(3, "09")
    transaction_type: str = digits(5, 2)
    record_type: str = const(7, "31")
    transaction_number: str = digits(9, 7)
    form_number: str = text(16, 10)
    archive_reference: str = text(26, 9)
    filler_1: str = filler(35, 7)
    order_date: date | None = day(42, empty=NO_DATE)
    payer_account: str = text(48, 11)
    filler_2: str = filler(59, 22)


@record(length=WIDTH)
class AmountItem3:
    """Record 32: what the payer wrote; types 20 and 21 only."""

    format_code: str = const(1, "NY")
    service_code: str = const(3, "09")
    transaction_type: str = digits(5, 2)
    record_type: str = const(7, "32")
    transaction_number: str = digits(9, 7)
    message: str = text(16, 40)
    filler_1: str = filler(56, 25)


@record(length=WIDTH)
class AssignmentEnd:
    """Record 88. *record_count* includes records 20 and 88. The dates are read as text: a wrong one is a warning."""

    format_code: str = const(1, "NY")
    service_code: str = digits(3, 2)
    assignment_type: str = text(5, 2, default="00")
    record_type: str = const(7, "88")
    transaction_count: int = number(9, 8)
    record_count: int = number(17, 8)
    total_minor: int = number(25, 17)
    generated_date: str = text(42, 6)
    earliest_date: str = text(48, 6)
    latest_date: str = text(54, 6)
    filler_1: str = filler(60, 21)


@record(length=WIDTH)
class TransmissionEnd:
    """Record 89. *record_count* includes every record of the file."""

    format_code: str = const(1, "NY")
    service_code: str = const(3, "00")
    transmission_type: str = const(5, "00")
    record_type: str = const(7, "89")
    transaction_count: int = number(9, 8)
    record_count: int = number(17, 8)
    total_minor: int = number(25, 17)
    generated_date: str = text(42, 6)
    filler_1: str = filler(48, 33)


RECORDS = (
    TransmissionStart, AssignmentStart, AmountItem1, AmountItem2, AmountItem3, AssignmentEnd, TransmissionEnd
)  # fmt: skip


def _transaction(kind: str, same_kind: str) -> str:
    """Return the pattern of amount items 1 and 2, which is all there is of most transactions.

    *kind* matches the transaction type, *same_kind* repeats it; *lump_sum* of the groups goes from the settlement date on.
    """
    first = pattern(
        AmountItem1, "transaction_number", "sign", "amount_minor", "kid", narrowed={"transaction_type": kind},
        spans=[("identity", "settlement_date", "kid"), ("lump_sum", "settlement_date", "lump_sum")],
    )  # fmt: skip
    second = pattern(
        AmountItem2, "archive_reference", "order_date", "payer_account",
        narrowed={"transaction_type": same_kind, "transaction_number": "(?P=transaction_number)"},
    )  # fmt: skip
    return first + END_OF_LINE + second + END_OF_LINE


TRANSACTION = _transaction("(?P<kind>[0-9]{2})", "(?P=kind)")
UNIT = _transaction("1(?P<kind>[0-7])", "1(?P=kind)") + "(?=NY09..(?:30|88))"
"""A transaction with bank money behind it and no free text."""
