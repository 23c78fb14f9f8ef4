"""Seeded maker of valid Autogiro files (Bankgirot), of all three kinds. All names and numbers are invented."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from random import Random

from gateway.formats.autogiro_layout import (
    IN,
    OLD_REJECTIONS,
    OUT,
    REJECTIONS,
    SPECIFICATION,
    FileEnd,
    FileStart,
    OldFileEnd,
    OldFileStart,
    PaymentRecord,
    RefundRecord,
    RejectedEnd,
    RejectedRecord,
    SectionStart,
)
from gateway.formats.record import encode

FIRST_DAY = date(2026, 11, 2)
BANKGIRO = "9912346"
REFUND = "77"
_CUSTOMER = "471117"
_SECTIONS = {IN: "15", OUT: "16", REFUND: "17"}


@dataclass(frozen=True, slots=True)
class GiroPayment:
    """An order: *kind* ``82`` (in), ``32`` (out) or ``77`` (refund; the day is then that of the payment given back).

    *status* is ``0 1 2 9`` or unknown; of a refund the reason, of a rejected order the comment code.
    """

    amount_minor: int
    reference: str = "FAKTNR1001"
    kind: str = IN
    status: str = "0"
    day: date = FIRST_DAY
    payer: str = "101"
    bankgiro: str = BANKGIRO

    @property
    def is_executed(self) -> bool:
        """Whether money moved."""
        return self.kind == REFUND or self.status == "0"


def random_giro_payments(
    seed: int, count: int, *, kinds: Sequence[str] = (IN, IN, IN, OUT, REFUND)
) -> list[GiroPayment]:
    """Return *count* orders of the *kinds*, sorted by kind and day as Bankgirot sorts them."""
    rng = Random(seed)  # noqa: S311 - test data
    made = []
    for _ in range(count):
        kind = rng.choice(kinds)
        made.append(
            GiroPayment(
                amount_minor=rng.choice((1, rng.randrange(1, 10**6), rng.randrange(1, 10**8))),
                reference=rng.choice(("", f"FAKT {rng.randrange(10**8)}", f"{rng.randrange(10**16):016d}", "Åter å 7")),
                kind=kind,
                status=rng.choice(("01", "02", "03")) if kind == REFUND else rng.choice("0000000129"),
                day=FIRST_DAY + timedelta(days=rng.randrange(3)),
                payer=str(rng.randrange(1, 10**16)),
                bankgiro=rng.choice((BANKGIRO, BANKGIRO, "50501055")),
            )
        )
    return sorted(made, key=lambda payment: (list(_SECTIONS).index(payment.kind), payment.day))


def autogiro_file(
    payments: Iterable[GiroPayment], *, newline: str = "\r\n", created: str = "", first_serial: int = 1
) -> bytes:
    """Return a payment specification in the new layout: one section for each run of one kind and day.

    Sections have serials from *first_serial* on; the bank numbers the deposits of a bankgiro through the year.
    """
    groups = [(kind, day, list(run)) for (kind, day), run in groupby(payments, lambda p: (p.kind, p.day))]
    records: list[object] = [
        FileStart(
            created=created or f"{FIRST_DAY:%Y%m%d}053000123456", content=SPECIFICATION, customer_number=_CUSTOMER,
            bankgiro=BANKGIRO.rjust(10, "0"),
        )
    ]  # fmt: skip
    for number, (kind, day, run) in enumerate(groups, first_serial):
        records += _section(number, kind, day, run)
    executed = [payment.kind for payment in (p for _, _, run in groups for p in run) if payment.is_executed]
    sections = [kind for kind, _, _ in groups]
    records.append(
        FileEnd(
            written=FIRST_DAY, deposit_count=sections.count(IN), in_count=executed.count(IN),
            withdrawal_count=sections.count(OUT), out_count=executed.count(OUT),
            refund_withdrawal_count=sections.count(REFUND), refund_count=executed.count(REFUND),
        )
    )  # fmt: skip
    return _bytes(records, newline)


def _section(number: int, kind: str, day: date, run: Sequence[GiroPayment]) -> Iterator[object]:
    executed = [payment.amount_minor for payment in run if payment.is_executed]
    yield SectionStart(
        record_type=_SECTIONS[kind], bank_account="8901003232323", payment_date=day,
        serial=f"{number if executed else 0:05d}", total_minor=sum(executed), approved_count=len(executed),
    )  # fmt: skip
    for payment in run:
        yield _refund(payment) if kind == REFUND else _order(payment, payment.status)


def _order(payment: GiroPayment, status: str) -> PaymentRecord:
    return PaymentRecord(
        record_type=payment.kind, payment_date=payment.day, payer_number=payment.payer,
        amount_minor=payment.amount_minor, bankgiro=payment.bankgiro, reference=payment.reference, status=status,
    )  # fmt: skip


def _refund(payment: GiroPayment) -> RefundRecord:
    return RefundRecord(
        payment_date=payment.day, payer_number=payment.payer, amount_minor=payment.amount_minor,
        bankgiro=payment.bankgiro, reference=payment.reference, refund_date=payment.day + timedelta(days=5),
        reason=payment.status,
    )  # fmt: skip


def autogiro_old_file(payments: Iterable[GiroPayment], *, newline: str = "\r\n") -> bytes:
    """Return a payment specification in the old layout, which has no refunds."""
    orders = list(payments)
    start = OldFileStart(written=FIRST_DAY, customer_number=_CUSTOMER, bankgiro=BANKGIRO.rjust(10, "0"))
    (in_count, in_minor), (out_count, out_minor) = _figures(orders, IN), _figures(orders, OUT)
    end = OldFileEnd(
        written=FIRST_DAY, out_minor=out_minor, out_count=out_count, in_count=in_count, in_minor=in_minor
    )  # fmt: skip
    return _bytes([start, *(_order(order, order.status.replace("0", " ")) for order in orders), end], newline)


def autogiro_rejected_file(payments: Iterable[GiroPayment], *, newline: str = "\r\n", is_old: bool = False) -> bytes:
    """Return a list of rejected orders; the *status* of each is its comment code."""
    orders, bankgiro = list(payments), BANKGIRO.rjust(10, "0")
    start: object = FileStart(
        created=f"{FIRST_DAY:%Y%m%d}", content=REJECTIONS, customer_number=_CUSTOMER, bankgiro=bankgiro
    )
    if is_old:
        start = OldFileStart(
            written=FIRST_DAY, content=OLD_REJECTIONS, customer_number=_CUSTOMER, bankgiro=bankgiro
        )  # fmt: skip
    (in_count, in_minor), (out_count, out_minor) = _figures(orders, IN), _figures(orders, OUT)
    end = RejectedEnd(
        written=FIRST_DAY, out_count=out_count, out_minor=out_minor, in_count=in_count, in_minor=in_minor
    )  # fmt: skip
    return _bytes([start, *map(_rejected, orders), end], newline)


def _rejected(payment: GiroPayment) -> RejectedRecord:
    return RejectedRecord(
        record_type=payment.kind, payment_date=f"{payment.day:%Y%m%d}", payer_number=payment.payer,
        amount=str(payment.amount_minor), reference=payment.reference, comment_code=payment.status,
    )  # fmt: skip


def _figures(payments: Sequence[GiroPayment], kind: str) -> tuple[int, int]:
    """Return number and sum of the orders of *kind*, executed or not."""
    amounts = [payment.amount_minor for payment in payments if payment.kind == kind]
    return len(amounts), sum(amounts)


def _bytes(records: Iterable[object], newline: str) -> bytes:
    return "".join(encode(record) + newline for record in records).encode("latin-1")
