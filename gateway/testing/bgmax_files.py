"""Seeded maker of valid BgMax files. For tests and for plugin authors; all names and numbers are invented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from gateway.domain.identifiers import make_ocr
from gateway.formats.bgmax_layout import (
    DeductionRecord,
    Deposit,
    ExtraReference,
    FileEnd,
    FileStart,
    FreeText,
    NegativeExtraReference,
    PayerAddress,
    PayerCity,
    PayerName,
    PayerNumber,
    PaymentRecord,
    SectionStart,
)
from gateway.formats.record import encode

FIRST_DAY = date(2026, 8, 3)
CREATED = "20260803053000000000"
"""Before BgMax began to lack payments; a later stamp makes the reader warn."""

_NAMES = ("Göran Försök", "Märta Exempel AB", "Prov & Son KB", "Åsa Påhittad", "Test Testsson")
_STREETS = ("Storgatan 2", "Lilla Vägen 17 B", "Box 1226")
_TOWNS = (("552 12", "Jönköping"), ("12345", "Storåker"), ("98138", "Kiruna"))


@dataclass(frozen=True, slots=True)
class BgPayment:
    """A payment with all its records; *deduction* (``0``, ``1``, ``2``) makes it a TK21.

    *extras* are (reference, amount) with 0 for none and a negative amount for a TK23; *address* is street, postcode,
    city, country.
    """

    amount_minor: int
    reference: str = ""
    code: str = "2"
    serial: str = "000000000001"
    deduction: str = ""
    extras: tuple[tuple[str, int], ...] = ()
    texts: tuple[str, ...] = ()
    name: str = ""
    address: tuple[str, str, str, str] | None = None
    organisation_number: str = ""
    payer_bankgiro: str = "0000000000"

    @property
    def signed_minor(self) -> int:
        """What it adds to the deposit."""
        return -self.amount_minor if self.deduction else self.amount_minor


@dataclass(frozen=True, slots=True)
class BgSection:
    """Payments to one receiver, and the deposit they make. The deposit must not be negative."""

    payments: tuple[BgPayment, ...]
    bankgiro: str = "9912346"
    currency: str = "SEK"
    day: date = FIRST_DAY
    serial: str = "00001"


def random_bg_sections(seed: int, count: int) -> list[BgSection]:
    """Return sections that hold *count* payments together, of all shapes, in two currencies."""
    rng, made, left = Random(seed), list[BgSection](), count  # noqa: S311 - test data
    while left:
        size = rng.randint(1, min(left, 6))
        payments = tuple(_payment(rng, count - left + number) for number in range(size))
        if sum(payment.signed_minor for payment in payments) < 0:
            continue
        left -= size
        made.append(
            BgSection(
                payments,
                bankgiro=rng.choice(("9912346", "50501055")),
                currency=rng.choice(("SEK", "SEK", "EUR")),
                day=FIRST_DAY + timedelta(days=rng.randrange(20)),
                serial=f"{len(made) + 1:05d}",
            )
        )
    return made


def _payment(rng: Random, number: int) -> BgPayment:
    form, amount = rng.random(), rng.choice((1, rng.randrange(1, 10**6), rng.randrange(1, 10**13)))
    ocr = make_ocr("".join(rng.choices("0123456789", k=rng.randrange(1, 24))))
    extras: tuple[tuple[str, int], ...] = ()
    if form < 0.1:
        extras = ((ocr, amount + 300), ("K77", -300))
    elif form < 0.2:
        extras = tuple((f"{rng.randrange(10**6)}", 0) for _ in range(rng.randint(1, 3)))
    reference, code = rng.choice(((ocr, "2"), (ocr, "4"), ("F 1001, F1002", "3"), ("", "1")))
    return BgPayment(
        amount_minor=amount,
        reference="" if form < 0.1 else reference,
        code="0" if form < 0.1 else code,
        serial="" if rng.random() < 0.1 else f"{number + 1:012d}",
        deduction=rng.choice("012") if form > 0.9 else "",
        extras=extras,
        texts=tuple(f"Faktura {rng.randrange(9999)}, tack!" for _ in range(rng.choice((0, 0, 0, 1, 3)))),
        name=rng.choice(_NAMES) if rng.random() < 0.8 else "",
        address=_address(rng),
        organisation_number=f"55{rng.randrange(10**8):08d}" if rng.random() < 0.5 else "",
        payer_bankgiro=f"{rng.randrange(10**8):010d}" if rng.random() < 0.7 else "0000000000",
    )


def _address(rng: Random) -> tuple[str, str, str, str] | None:
    if rng.random() < 0.3:
        return None
    postcode, city = rng.choice(_TOWNS)
    return (rng.choice(_STREETS), postcode, city, rng.choice(("", "", "", "Norge")))


def bgmax_file(
    sections: Iterable[BgSection],
    *,
    newline: str = "\r\n",
    mark: str = "P",
    created: str = CREATED,
    encoding: str = "latin-1",
) -> bytes:
    """Return a file of *sections*; *newline* may be empty."""
    records: list[object] = [FileStart(layout="BGMAX", version="01", created=created, mark=mark)]
    for section in sections:
        records += _section(section)
    counts = {kind: sum(isinstance(item, kind) for item in records) for kind in _COUNTED}
    end = FileEnd(
        payment_count=counts[PaymentRecord],
        deduction_count=counts[DeductionRecord],
        extra_reference_count=counts[ExtraReference] + counts[NegativeExtraReference],
        deposit_count=counts[Deposit],
    )
    return "".join(encode(record) + newline for record in [*records, end]).encode(encoding)


_COUNTED: tuple[type, ...] = (PaymentRecord, DeductionRecord, ExtraReference, NegativeExtraReference, Deposit)


def _section(section: BgSection) -> Iterator[object]:
    yield SectionStart(bankgiro=f"{section.bankgiro:0>10}", currency=section.currency)
    for payment in section.payments:
        yield from _records(payment)
    yield Deposit(
        bank_account="58410000010098",
        payment_date=section.day,
        serial=section.serial,
        total_minor=sum(payment.signed_minor for payment in section.payments),
        currency=section.currency,
        transaction_count=len(section.payments),
    )


def _records(payment: BgPayment) -> Iterator[object]:
    is_aligned_right = payment.code == "2"
    reference = f"{payment.reference:>25}" if is_aligned_right else payment.reference
    payer, serial = payment.payer_bankgiro, payment.serial
    if payment.deduction:
        yield DeductionRecord(
            payer_bankgiro=payer, reference=reference, amount_minor=payment.amount_minor, reference_code=payment.code,
            channel="1", serial=serial, deduction_code=payment.deduction,
        )  # fmt: skip
    else:
        yield PaymentRecord(
            payer_bankgiro=payer, reference=reference, amount_minor=payment.amount_minor, reference_code=payment.code,
            channel="1", serial=serial,
        )  # fmt: skip
    for number, minor in payment.extras:
        kind: type[ExtraReference | NegativeExtraReference] = NegativeExtraReference if minor < 0 else ExtraReference
        yield kind(
            payer_bankgiro=payer,
            reference=number,
            amount_minor=abs(minor),
            reference_code="2",
            channel="1",
            serial=serial,
        )
    for text in payment.texts:
        yield FreeText(text=text)
    yield from _payer(payment)


def _payer(payment: BgPayment) -> Iterator[object]:
    if payment.name:
        yield PayerName(name=payment.name)
    if payment.address:
        street, postcode, city, country = payment.address
        yield PayerAddress(street=street, postcode=postcode)
        yield PayerCity(city=city, country=country, country_code="NO" if country else "")
    if payment.organisation_number:
        yield PayerNumber(organisation_number=payment.organisation_number.rjust(12, "0"))
