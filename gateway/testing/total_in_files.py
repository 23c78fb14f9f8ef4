"""Seeded maker of Total IN files as our own reading of the format has them. All names and numbers are invented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from random import Random

from gateway.formats.record import encode
from gateway.formats.total_in_layout import (
    DEDUCTION,
    PAYMENT,
    ExtraReferences,
    FileEnd,
    FileStart,
    Messages,
    PayerAddress,
    PayerCity,
    PayerName,
    PaymentRecord,
    SectionEnd,
    SectionStart,
)

FIRST_DAY = date(2026, 8, 3)
CREATED = "20260803053000000000"
"""Before payments by alias numbers moved to the banks' new platform; a later stamp makes the reader warn."""


@dataclass(frozen=True, slots=True)
class TotalInPayment:
    """A payment (record 20) or, with *is_deduction*, a credit note taken off (25), with all its records."""

    amount_minor: int
    reference: str = ""
    serial: str = "00000000000000001"
    is_deduction: bool = False
    extras: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    name: str = ""
    city: str = ""
    payer_bankgiro: str = ""

    @property
    def signed_minor(self) -> int:
        """What it adds to the section."""
        return -self.amount_minor if self.is_deduction else self.amount_minor


def random_total_in_payments(seed: int, count: int) -> list[TotalInPayment]:
    """Return *count* payments whose deductions stay below what is paid."""
    rng = Random(seed)  # noqa: S311 - test data
    made, total = list[TotalInPayment](), 0
    for number in range(count):
        amount = rng.choice((1, rng.randrange(1, 10**6), rng.randrange(1, 10**11)))
        is_deduction = total >= amount and rng.random() < 0.2
        total += -amount if is_deduction else amount
        made.append(
            TotalInPayment(
                amount_minor=amount,
                reference=rng.choice(("", str(rng.randrange(10**12)), "Faktura 77")),
                serial=f"{number + 1:017d}",
                is_deduction=is_deduction,
                extras=tuple(f"{rng.randrange(10**6)}" for _ in range(rng.choice((0, 0, 1, 3)))),
                texts=tuple(f"Tack å lov {rng.randrange(99)}" for _ in range(rng.choice((0, 0, 1, 2)))),
                name=rng.choice(("", "Prov & Son KB")),
                city=rng.choice(("", "Storåker")),
                payer_bankgiro=rng.choice(("", "50501055")),
            )
        )
    return made


def total_in_file(
    sections: Iterable[Iterable[TotalInPayment]], *, newline: str = "\r\n", created: str = CREATED
) -> bytes:
    """Return a file with one section of SEK for each group of payments."""
    records: list[object] = [FileStart(created=created, delivery_number="01", file_type="TL1")]
    for section in sections:
        payments = list(section)
        records.append(SectionStart(account="1234567", currency="SEK", posting_date=FIRST_DAY))
        records += [record for payment in payments for record in _records(payment)]
        total = sum(payment.signed_minor for payment in payments)
        records.append(SectionEnd(transaction_count=len(payments), total_minor=total, statement_reference="REF1"))
    records.append(FileEnd(line_count=len(records) + 1))
    return "".join(encode(record) + newline for record in records).encode("latin-1")


def _records(payment: TotalInPayment) -> Iterator[object]:
    yield PaymentRecord(
        record_type=DEDUCTION if payment.is_deduction else PAYMENT, reference=payment.reference,
        amount_minor=payment.amount_minor, serial=payment.serial, payer_bankgiro=payment.payer_bankgiro,
    )  # fmt: skip
    for place in range(0, len(payment.extras), 2):
        yield ExtraReferences(first=payment.extras[place], second="".join(payment.extras[place + 1 : place + 2]))
    for place in range(0, len(payment.texts), 2):
        yield Messages(first=payment.texts[place], second="".join(payment.texts[place + 1 : place + 2]))
    if payment.name:
        yield PayerName(first=payment.name)
    if payment.city:
        yield PayerAddress(first="Storgatan 2")
        yield PayerCity(postcode="552 12", city=payment.city)
