"""Seeded maker of valid Finnish files of reference payments (KTL). All names and numbers are invented."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from gateway.domain.identifiers import make_viitenumero
from gateway.formats.ktl_layout import FACTORING, TRANSFER, BatchEnd, BatchStart, Transaction
from gateway.formats.record import encode

FIRST_DAY = date(2026, 11, 2)
ACCOUNT = "12345600000785"
_NAMES = ("OSTAJA OY", "MALLI MAIJA", "ESIMERKKI ÄÅ", "")


@dataclass(frozen=True, slots=True)
class KtlPayment:
    """A row 3, 5 or S (*kind*); *correction* other than ``0`` takes money back."""

    amount_minor: int
    reference: str = ""
    kind: str = TRANSFER
    correction: str = "0"
    archive: str = "EXAMPLE000000001"
    name: str = "OSTAJA OY"
    booked: date = FIRST_DAY
    paid: date | None = FIRST_DAY
    return_code: str = "0"
    account: str = ACCOUNT

    @property
    def is_correction(self) -> bool:
        """Whether the row takes money back."""
        return self.correction != "0"


def random_ktl_payments(seed: int, count: int, *, kinds: str = "3335S") -> list[KtlPayment]:
    """Return *count* payments of the *kinds*, a tenth of them corrections."""
    rng = Random(seed)  # noqa: S311 - test data
    made = []
    for number in range(count):
        digits = "".join(rng.choices("0123456789", k=rng.randrange(2, 19)))
        booked = FIRST_DAY + timedelta(days=rng.randrange(20))
        made.append(
            KtlPayment(
                amount_minor=rng.choice((1, rng.randrange(1, 10**6), rng.randrange(1, 10**7))),
                reference="" if rng.random() < 0.1 else make_viitenumero(f"{rng.randrange(1, 10)}{digits}"),
                kind=rng.choice(kinds),
                correction="1" if rng.random() < 0.1 else "0",
                archive=f"{booked:%y%m%d}{number:010d}",
                name=rng.choice(_NAMES),
                booked=booked,
                paid=None if rng.random() < 0.1 else booked - timedelta(days=rng.randrange(4)),
                account=rng.choice((ACCOUNT, ACCOUNT, "23456700000123")),
            )
        )
    return made


def ktl_file(batches: Iterable[Sequence[KtlPayment]], *, newline: str = "\r\n", counts_factoring: bool = True) -> bytes:
    """Return a file with one batch (rows 0 to 9) for each sequence; *counts_factoring* says whether row 9 has rows S."""
    lines = []
    for batch in batches:
        start = BatchStart(
            written=FIRST_DAY, written_at="0530", bank="47", service_id="012345678", currency_code="1"
        )  # fmt: skip
        counted = [payment for payment in batch if counts_factoring or payment.kind != FACTORING]
        normal = [payment.amount_minor for payment in counted if not payment.is_correction]
        back = [payment.amount_minor for payment in counted if payment.is_correction]
        end = BatchEnd(
            payment_count=len(normal), payment_minor=sum(normal), correction_count=len(back), correction_minor=sum(back)
        )
        lines += [encode(start), *map(_row, batch), encode(end)]
    return "".join(line + newline for line in lines).encode("latin-1")


def _row(payment: KtlPayment) -> str:
    return encode(
        Transaction(
            record_type=payment.kind, account=payment.account, booking_date=payment.booked, payment_date=payment.paid,
            archive_id=payment.archive, reference=payment.reference, payer_name=payment.name, currency_code="1",
            name_source="J", amount_minor=payment.amount_minor, correction=payment.correction, channel="A",
            return_code=payment.return_code,
        )
    )  # fmt: skip
