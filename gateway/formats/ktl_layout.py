"""The records of a Finnish file of incoming reference payments (KTL, SVM, TL, VIPN): 90 columns (factoring-fall.md 6).

Fields that carry no money and join no records are read as text: a bank that fills them otherwise sends a good file all
the same.
"""

from __future__ import annotations

from datetime import date

from gateway.formats.fixed_width import END_OF_LINE
from gateway.formats.record import const, day, digits, filler, number, one_of, record, text
from gateway.formats.record_pattern import pattern

WIDTH = 90
DAY = "%y%m%d"
NO_DAY = "000000"
EURO = "1"
TRANSFER, DIRECT_DEBIT, FACTORING = "3", "5", "S"


@record(length=WIDTH)
class BatchStart:
    """Row 0: *service_id* is the receiver's number in the bank's service."""

    record_type: str = const(1, "0")
    written: date | None = day(2, pattern=DAY, empty=NO_DAY)
    written_at: str = text(8, 4)
    bank: str = text(12, 2)
    service_id: str = text(14, 9)
    currency_code: str = text(23, 1)
    filler_1: str = filler(24, 67, " ")


@record(length=WIDTH)
class Transaction:
    """Row 3 (reference transfer), 5 (direct debit) or S (a payment of an invoice that belongs to a factoring company).

    *correction* is ``0`` for a payment; anything else takes money back. *channel*: ``A`` from the customer, ``K`` from a
    branch, ``J`` by the bank's system. *return_code* is of direct debits.
    """

    record_type: str = one_of(1, 1, TRANSFER, DIRECT_DEBIT, FACTORING)
    account: str = text(2, 14, align="right")
    booking_date: date | None = day(16, pattern=DAY, empty=NO_DAY)
    payment_date: date | None = day(22, pattern=DAY, empty=NO_DAY)
    archive_id: str = text(28, 16)
    reference: str = text(44, 20, align="right", fill="0")
    payer_name: str = text(64, 12)
    currency_code: str = one_of(76, 1, EURO)
    name_source: str = text(77, 1)
    amount_minor: int = number(78, 10)
    correction: str = digits(88, 1)
    channel: str = text(89, 1)
    return_code: str = text(90, 1)


@record(length=WIDTH)
class BatchEnd:
    """Row 9: payments and corrections apart. Banks differ in whether it counts rows S."""

    record_type: str = const(1, "9")
    payment_count: int = number(2, 6)
    payment_minor: int = number(8, 11)
    correction_count: int = number(19, 6)
    correction_minor: int = number(25, 11)
    filler_1: str = filler(36, 55, " ")


RECORDS = (BatchStart, Transaction, BatchEnd)

COLUMNS = pattern(
    Transaction,
    "record_type", "account", "booking_date", "payment_date", "archive_id", "reference", "payer_name", "amount_minor",
    "correction", "return_code", spans=[("identity", "record_type", "reference")],
)  # fmt: skip
UNIT = COLUMNS + END_OF_LINE
"""One payment is one record, so nothing has to follow it."""
