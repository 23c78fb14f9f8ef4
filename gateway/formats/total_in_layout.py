"""The records of a Total IN file (Nordea Plusgiro, Sweden): 80 columns, **unverified** (payments.md 6).

The bank's own description could not be read and no real file has been seen: the columns are those that one program of a
third party cuts out. Where they are doubtful a wrong one shows as a control total that does not agree.
"""

from __future__ import annotations

from datetime import date

from gateway.formats.record import const, day, filler, number, one_of, record, text

WIDTH = 80
PAYMENT, DEDUCTION = "20", "25"


@record(length=WIDTH)
class FileStart:
    """Record 00. *created* tells files apart; *file_type* is ``TL1`` or ``TL2``."""

    record_type: str = const(1, "00")
    product: str = const(3, "TOTALIN")
    filler_1: str = filler(10, 5, " ")
    created: str = text(15, 20)
    delivery_number: str = text(35, 2)
    file_type: str = text(37, 3)
    filler_2: str = filler(40, 41, " ")


@record(length=WIDTH)
class SectionStart:
    """Record 10: payments to one account, in one currency, on one day."""

    record_type: str = const(1, "10")
    account: str = text(3, 36)
    currency: str = text(39, 3)
    posting_date: date | None = day(42, pattern="%Y%m%d", empty="00000000")
    filler_1: str = filler(50, 31, " ")


@record(length=WIDTH)
class PaymentRecord:
    """Record 20 (payment) or 25 (deduction: a credit note taken off)."""

    record_type: str = one_of(1, 2, PAYMENT, DEDUCTION)
    reference: str = text(3, 35)
    amount_minor: int = number(38, 15)
    serial: str = text(53, 17)
    payer_bankgiro: str = text(70, 8)
    filler_1: str = filler(78, 3, " ")


@record(length=WIDTH)
class ExtraReferences:
    """Record 30: two more references of a payment."""

    record_type: str = const(1, "30")
    first: str = text(3, 35)
    second: str = text(38, 35, default="")
    filler_1: str = filler(73, 8, " ")


@record(length=WIDTH)
class Messages:
    """Record 40: two lines of what the payer wrote; orders of Swish arrive here."""

    record_type: str = const(1, "40")
    first: str = text(3, 35)
    second: str = text(38, 35, default="")
    filler_1: str = filler(73, 8, " ")


@record(length=WIDTH)
class PayerName:
    """Record 50."""

    record_type: str = const(1, "50")
    first: str = text(3, 35)
    second: str = text(38, 35, default="")
    filler_1: str = filler(73, 8, " ")


@record(length=WIDTH)
class PayerAddress:
    """Record 51."""

    record_type: str = const(1, "51")
    first: str = text(3, 35)
    second: str = text(38, 35, default="")
    filler_1: str = filler(73, 8, " ")


@record(length=WIDTH)
class PayerCity:
    """Record 52."""

    record_type: str = const(1, "52")
    postcode: str = text(3, 9)
    city: str = text(12, 35)
    country_code: str = text(47, 2, default="")
    filler_1: str = filler(49, 32, " ")


@record(length=WIDTH)
class SectionEnd:
    """Record 90: number and sum of the section; the widths are doubtful."""

    record_type: str = const(1, "90")
    transaction_count: int = number(3, 5)
    total_minor: int = number(8, 15)
    statement_reference: str = text(23, 15)
    filler_1: str = filler(38, 43, " ")


@record(length=WIDTH)
class FileEnd:
    """Record 99. *line_count* includes records 00 and 99."""

    record_type: str = const(1, "99")
    line_count: int = number(3, 15)
    filler_1: str = filler(18, 63, " ")


RECORDS = (
    FileStart, SectionStart, PaymentRecord, ExtraReferences, Messages, PayerName, PayerAddress, PayerCity, SectionEnd,
    FileEnd,
)  # fmt: skip
