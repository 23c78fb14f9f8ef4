"""The records of Swedish Autogiro files from Bankgirot: 80 columns (source: "Autogiro, Teknisk manual" 2014; payments.md 7).

Three kinds of file: the payment specification in its new and its old layout, and the list of rejected payments, whose
columns stand one place further left. Fields that carry no money and join no records are read as text.
"""

from __future__ import annotations

from datetime import date

from gateway.formats.fixed_width import END_OF_LINE
from gateway.formats.record import const, day, filler, number, one_of, record, text
from gateway.formats.record_pattern import pattern

WIDTH = 80
DAY, NO_DAY = "%Y%m%d", "00000000"
IN, OUT = "82", "32"
"""TK82 debits the payer for the creditor; TK32 pays out to the payer."""
SPECIFICATION, REJECTIONS, OLD_REJECTIONS = "BET. SPEC & STOPP TK", "AVVISADE BET UPPDR", "FELLISTA REG.KONTRL"
"""What TK01 says the file holds; the specification of the old layout says nothing."""


@record(length=WIDTH)
class FileStart:
    """TK01 of the new layout. *created* is the time stamp that tells files apart; *content* names the kind of file."""

    record_type: str = const(1, "01")
    product: str = const(3, "AUTOGIRO")
    filler_1: str = filler(11, 14, " ")
    created: str = text(25, 20)
    content: str = text(45, 20)
    customer_number: str = text(65, 6)
    bankgiro: str = text(71, 10)


@record(length=WIDTH)
class OldFileStart:
    """TK01 of the old layout. *content* is blank in a payment specification."""

    record_type: str = const(1, "01")
    written: date | None = day(3, pattern=DAY, empty=NO_DAY)
    product: str = const(11, "AUTOGIRO")
    sender: str = const(19, "9900")
    content: str = text(23, 40, default="")
    customer_number: str = text(63, 6)
    bankgiro: str = text(69, 10)
    filler_1: str = filler(79, 2, " ")


@record(length=WIDTH)
class SectionStart:
    """TK15 (deposit, TK82 follow), TK16 (withdrawal, TK32) or TK17 (withdrawal for a refund, TK77).

    *total_minor* and *approved_count* are of the executed payments alone; a *serial* of zeros means that there are none.
    """

    record_type: str = one_of(1, 2, "15", "16", "17")
    bank_account: str = text(3, 35, align="right", fill="0")
    payment_date: date | None = day(38, pattern=DAY, empty=NO_DAY)
    serial: str = text(46, 5)
    total_minor: int = number(51, 18)
    filler_1: str = filler(69, 3, " ")
    approved_count: int = number(72, 8)
    filler_2: str = filler(80, 1, " ")


@record(length=WIDTH)
class PaymentRecord:
    """TK82 (in) or TK32 (out), in both layouts.

    *status*: ``0`` executed, in the old layout blank; ``1`` no cover; ``2`` account or mandate ended; ``9`` no cover yet,
    the bank tries again.
    """

    record_type: str = one_of(1, 2, IN, OUT)
    payment_date: date | None = day(3, pattern=DAY, empty=NO_DAY)
    period_code: str = text(11, 1, default="0")
    occurrences: str = text(12, 3, default="")
    filler_1: str = filler(15, 1, " ")
    payer_number: str = text(16, 16, align="right", fill="0")
    amount_minor: int = number(32, 12)
    bankgiro: str = text(44, 10, align="right", fill="0")
    reference: str = text(54, 16)
    filler_2: str = filler(70, 10, " ")
    status: str = text(80, 1, default="")


@record(length=WIDTH)
class RefundRecord:
    """TK77: an executed TK82 is given back; all before *refund_date* is that payment's own.

    *reason*: ``01`` no mandate, ``02`` mandate revoked, ``03`` wrong amount.
    """

    record_type: str = const(1, "77")
    payment_date: date | None = day(3, pattern=DAY, empty=NO_DAY)
    period_code: str = text(11, 1, default="0")
    occurrences: str = text(12, 3, default="")
    filler_1: str = filler(15, 1, " ")
    payer_number: str = text(16, 16, align="right", fill="0")
    amount_minor: int = number(32, 12)
    bankgiro: str = text(44, 10, align="right", fill="0")
    reference: str = text(54, 16)
    refund_date: date | None = day(70, pattern=DAY, empty=NO_DAY)
    reason: str = text(78, 2)
    filler_2: str = filler(80, 1, " ")


@record(length=WIDTH)
class FileEnd:
    """TK09 of the new layout: sections and executed payments of each kind."""

    record_type: str = const(1, "09")
    written: date | None = day(3, pattern=DAY, empty=NO_DAY)
    sender: str = const(11, "9900")
    deposit_count: int = number(15, 6)
    in_count: int = number(21, 12)
    withdrawal_count: int = number(33, 6)
    out_count: int = number(39, 12)
    refund_withdrawal_count: int = number(51, 6)
    refund_count: int = number(57, 12)
    filler_1: str = filler(69, 12, " ")


@record(length=WIDTH)
class OldFileEnd:
    """TK09 of the old layout: counts and sums of all payments, the unexecuted ones included."""

    record_type: str = const(1, "09")
    written: date | None = day(3, pattern=DAY, empty=NO_DAY)
    sender: str = const(11, "9900")
    filler_1: str = filler(15, 14, " ")
    out_minor: int = number(29, 12)
    out_count: int = number(41, 6)
    in_count: int = number(47, 6)
    filler_2: str = filler(53, 4)
    in_minor: int = number(57, 12)
    filler_3: str = filler(69, 12)


@record(length=WIDTH)
class RejectedRecord:
    """TK82 or TK32 of a rejected order, as the creditor sent it: *payment_date* and *amount* may be what is wrong."""

    record_type: str = one_of(1, 2, IN, OUT)
    payment_date: str = text(3, 8)
    period_code: str = text(11, 1, default="0")
    occurrences: str = text(12, 3, default="")
    payer_number: str = text(15, 16, align="right", fill="0")
    amount: str = text(31, 12, align="right", fill="0")
    reference: str = text(43, 16)
    comment_code: str = text(59, 2)
    filler_1: str = filler(61, 20, " ")


@record(length=WIDTH)
class RejectedEnd:
    """TK09 of a list of rejected payments."""

    record_type: str = const(1, "09")
    written: date | None = day(3, pattern=DAY, empty=NO_DAY)
    sender: str = const(11, "9900")
    out_count: int = number(15, 6)
    out_minor: int = number(21, 12)
    in_count: int = number(33, 6)
    in_minor: int = number(39, 12)
    filler_1: str = filler(51, 30, " ")


RECORDS = (
    FileStart, OldFileStart, SectionStart, PaymentRecord, RefundRecord, FileEnd, OldFileEnd, RejectedRecord, RejectedEnd
)  # fmt: skip

PAYMENT = pattern(
    PaymentRecord, "record_type", "payment_date", "payer_number", "amount_minor", "bankgiro", "reference", "status"
)
REJECTED = pattern(RejectedRecord, "record_type", "payment_date", "payer_number", "amount", "reference", "comment_code")
PAYMENT_UNIT, REJECTED_UNIT = PAYMENT + END_OF_LINE, REJECTED + END_OF_LINE
"""One payment is one record, so nothing has to follow it."""
