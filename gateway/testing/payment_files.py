"""Seeded makers of valid payment files, with what a correct reader must find in them.

For tests and for plugin authors. All names, accounts and numbers are invented. The same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from gateway.formats.ocr_layout import (
    AmountItem1,
    AmountItem2,
    AmountItem3,
    AssignmentEnd,
    AssignmentStart,
    TransmissionEnd,
    TransmissionStart,
)
from gateway.formats.record import encode

ACCOUNT = "12345678903"
FIRST_DAY = date(2026, 11, 2)
NAMES = ("Kari Eksempel", "Ola Prøve", "Åse & Sønn AS", "Göran Försök", "Mønster <Nord> AS", "Test Testesen")

# --- OCR giro --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OcrPayment:
    """One OCR giro transaction; *is_credit_note* writes the sign ``-``, *text* makes record 32 (types 20, 21)."""

    amount_minor: int
    kid: str
    day: date | None = FIRST_DAY
    kind: str = "10"
    is_credit_note: bool = False
    archive: str = "100000001"
    payer: str = "86011117947"
    text: str = ""

    @property
    def control_minor(self) -> int:
        """What the transaction adds to the control sum: reversals are added although they take money away."""
        return -self.amount_minor if self.is_credit_note and self.kind not in {"18", "20"} else self.amount_minor

    @property
    def is_credit(self) -> bool:
        """Whether it is money in to the creditor."""
        return not self.is_credit_note and self.kind not in {"18", "20"}


def random_ocr_payments(seed: int, count: int) -> list[OcrPayment]:
    """Return *count* transactions of all types, sorted by date as the bank sorts them."""
    rng = Random(seed)  # noqa: S311 - test data
    made = []
    for _ in range(count):
        kind = rng.choice(("10", "10", "10", "11", "13", "14", "15", "16", "17", "18", "19", "20", "21"))
        has_text = kind in {"20", "21"}
        made.append(
            OcrPayment(
                amount_minor=rng.choice((0, 1, rng.randrange(10**6), rng.randrange(10**13))),
                kid="" if has_text else _kid(rng),
                day=FIRST_DAY + timedelta(days=rng.randrange(20)),
                kind=kind,
                is_credit_note=kind < "18" and rng.random() < 0.1,
                archive=f"{rng.randrange(10**9):09d}",
                payer="0" * 11 if kind >= "18" or rng.random() < 0.1 else f"{rng.randrange(10**11):011d}",
                text=rng.choice(("ordre 77", "kjøp på nett", "A" * 40)) if has_text else "",
            )
        )
    return sorted(made, key=lambda payment: payment.day or FIRST_DAY)


def _kid(rng: Random) -> str:
    digits = "".join(rng.choices("0123456789", k=rng.randrange(1, 25)))
    return digits + rng.choice("0123456789-")


def ocr_file(
    assignments: Iterable[Sequence[OcrPayment]],
    *,
    newline: str = "\n",
    account: str = ACCOUNT,
    encoding: str = "latin-1",
) -> bytes:
    """Return a transmission with one assignment for each sequence of payments; *newline* may be empty."""
    lines = [
        encode(TransmissionStart(data_transmitter="00008080", transmission_number="0000042", data_recipient="00012345"))
    ]
    count = total = 0
    for number, payments in enumerate(assignments, 1):
        lines += _assignment(number, payments, account)
        count += len(payments)
        total += sum(payment.control_minor for payment in payments)
    end = TransmissionEnd(
        transaction_count=count, record_count=len(lines) + 1, total_minor=abs(total), generated_date="231126"
    )
    return "".join(line + newline for line in [*lines, encode(end)]).encode(encoding)


def _assignment(number: int, payments: Sequence[OcrPayment], account: str) -> list[str]:
    lines = [encode(AssignmentStart(agreement_id="001234567", assignment_number=f"{number:07d}", account=account))]
    for place, payment in enumerate(payments, 1):
        lines += _records(place, payment)
    days = [f"{payment.day:%d%m%y}" for payment in payments if payment.day]
    end = AssignmentEnd(
        service_code="09", transaction_count=len(payments), record_count=len(lines) + 1,
        total_minor=abs(sum(payment.control_minor for payment in payments)), generated_date="231126",
        earliest_date=days[0] if days else "000000", latest_date=days[-1] if days else "000000",
    )  # fmt: skip
    return [*lines, encode(end)]


def _records(place: int, payment: OcrPayment) -> list[str]:
    number = f"{place:07d}"
    first = AmountItem1(
        transaction_type=payment.kind, transaction_number=number, settlement_date=payment.day, lump_sum="0100100001",
        sign="-" if payment.is_credit_note else "0", amount_minor=payment.amount_minor, kid=payment.kid,
    )  # fmt: skip
    second = AmountItem2(
        transaction_type=payment.kind, transaction_number=number, form_number="0000000000",
        archive_reference=payment.archive, order_date=payment.day, payer_account=payment.payer,
    )  # fmt: skip
    lines = [encode(first), encode(second)]
    if payment.text:
        third = AmountItem3(transaction_type=payment.kind, transaction_number=number, message=payment.text)
        lines.append(encode(third))
    return lines
