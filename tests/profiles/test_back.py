"""What comes back by a profile: payments, receipts and case statuses as the host takes them."""

from __future__ import annotations

import io
from datetime import date

import pytest

from gateway.domain.exchange import Direction, ObjectReceipt
from gateway.errors import FileQuarantined
from gateway.profiles import ProfileError, ProfileFile, ProfilePayments, case_statuses, loads, receipt
from tests.profiles.builders import SMALL

BACK = (
    SMALL
    + """
[file.money]
direction = "in"
kind = "fixed"

[file.money.record.payment]
each = "given"
becomes = "payment"
length = 40
columns = [
  { at = "1-2", name = "code", const = "20" },
  { at = "3-12", name = "id", type = "digits", to = "key" },
  { at = "13-20", name = "day", type = "date", form = "YYYYMMDD", to = "booking_date" },
  { at = "21-28", name = "amount", type = "amount", to = "amount_minor" },
  { at = "29", name = "side", type = "code", codes = { credit = "+", debit = "-" }, to = "direction" },
  { at = "30-40", name = "kid", type = "digits", align = "left", fill = " ", optional = true, to = "reference" },
]

[file.money.record.end]
each = "file"
length = 40
columns = [
  { at = "1-2", name = "code", const = "99" },
  { at = "3-10", name = "sum", type = "amount", signed = true, total = { sum = ["payment[side=credit].amount"], minus = ["payment[side=debit].amount"] } },
  { at = "11-40", name = "rest", type = "filler" },
]

[file.answer]
direction = "in"
kind = "delimited"
separator = ";"

[file.answer.record.head]
each = "file"
becomes = "receipt"
fields = [
  { name = "what", const = "ANSWER" },
  { name = "number", type = "number", longest = 6, to = "sequence" },
]

[file.answer.record.claim]
each = "given"
becomes = "object_receipt"
fields = [
  { name = "invoice", longest = 20, to = "object_id" },
  { name = "taken", type = "code", codes = { true = "OK", false = "NO" }, to = "is_accepted" },
  { name = "why", longest = 40, optional = true, to = "reason_text" },
]

[file.cases]
direction = "in"
kind = "xml"

[file.cases.element.Cases]
each = "file"

[file.cases.element.Case]
inside = "Cases"
each = "given"
becomes = "case_status"
attributes = [
  { name = "no", longest = 20, to = "case_number" },
  { name = "st", type = "code", codes = { active = "A", closed = "C" }, to = "state" },
  { name = "on", type = "date", form = "DD.MM.YYYY", to = "date" },
]
"""
)


def back(key):
    return ProfileFile(loads(BACK.encode()), key)


MONEY = (
    b"20"
    b"0000000007"
    b"20261120"
    b"00012500"
    b"+"
    b"2345676    "
    b"\n"
    b"20"
    b"0000000008"
    b"20261121"
    b"00000500"
    b"-"
    b"           "
    b"\n"
    b"99"
    b"00012000" + b" " * 30 + b"\n"
)


def test_payments_come_with_their_sides_keys_and_totals():
    stream = ProfilePayments(back("money"), io.BytesIO(MONEY), "NOK")
    first, second = list(stream)
    assert (first.position, first.key, first.amount_minor, first.currency) == (1, "p7", 12500, "NOK")
    assert (first.reference, first.booking_date, first.direction) == ("2345676", date(2026, 11, 20), Direction.CREDIT)
    assert (second.direction, second.reference) == (Direction.DEBIT, "")
    assert (stream.totals, stream.transactions) == ({"NOK": {"credit": 12500, "debit": 500}}, 2)
    assert stream.format == "small/money"


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [(b"00012000", b"00012001", "line 3, end.sum"), (b"20261121", b"20261199", "line 2, payment.day"),
     (b"-", b"?", "line 2, payment.side")],
)  # fmt: skip
def test_a_payment_file_that_contradicts_itself_goes_to_quarantine(before, after, place):
    with pytest.raises(FileQuarantined) as stopped:
        list(ProfilePayments(back("money"), io.BytesIO(MONEY.replace(before, after)), "NOK"))
    (finding,) = stopped.value.findings
    assert (finding.code, finding.place) == ("file.invalid", place)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ("1001;OK;\r\n1002;OK;\r\n", "accepted"),
        ("1001;OK;\r\n1002;NO;Unknown\r\n", "partly"),
        ("1001;NO;x\r\n", "rejected"),
    ],
)
def test_a_receipt_answers_the_only_file_we_send(rows, status):
    found = receipt(back("answer"), io.BytesIO(f"ANSWER;12\r\n{rows}".encode()))
    assert (found.kind, found.sequence, found.status) == ("claims", 12, status)
    if status == "partly":
        assert found.objects[1] == ObjectReceipt("invoice", "1002", is_accepted=False, reason_text="Unknown")


def test_a_receipt_that_names_no_file_goes_to_quarantine():
    with pytest.raises(FileQuarantined):
        receipt(back("answer"), io.BytesIO(b"1001;OK;\r\n"))


def test_case_statuses_are_told_in_our_codes():
    (found,) = case_statuses(back("cases"), io.BytesIO(b'<Cases><Case no="C-1" st="C" on="23.11.2026"/></Cases>'))
    assert (found.case_number, found.state, found.date, found.raw_code) == ("C-1", "closed", date(2026, 11, 23), "")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('to = "amount_minor"', 'to = "amount"', "payment has no amount"),
        ('to = "amount_minor"', 'to = "reference"', "reference needs type text"),
        (', to = "amount_minor"', "", "needs a field with to = amount_minor"),
        ("codes = { credit", "codes = { plus", "must be of credit, debit"),
        ('from = "claim.open_minor"', 'to = "amount_minor"', "belongs to a field that comes in"),
    ],
)
def test_what_a_record_becomes_is_judged_when_the_profile_is_read(before, after, told):
    with pytest.raises(ProfileError, match=told):
        loads(BACK.replace(before, after, 1).encode())
