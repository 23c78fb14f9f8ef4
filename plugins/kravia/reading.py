"""Kravia's answers as stored files: what of them is money, what is the state of a case, and what is only kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from gateway.domain.exchange import (
    Agreement,
    CaseStatus,
    Direction,
    Finding,
    InboundFile,
    InboundKind,
    Payment,
    Severity,
)
from gateway.domain.money import format_minor
from gateway.domain.reasons import said
from gateway.errors import DecodeError, FileQuarantined
from gateway.formats.calls import answers_head, decoded
from plugins.kravia.answers import Names, at, ident, minor, moment, names_of, rows, state_of, texts
from plugins.kravia.fetching import INVOICE, SETTLEMENT, UNREAD

FORMAT = "kravia-settlement"
_EVENT_BYTES_MAX = 4096


def identify(file: InboundFile, agreement: Agreement) -> InboundKind | None:
    """Say what *file* is. An invoice that the names of the agreement do not fit is kept, and means nothing.

    Money that they do not fit is none to be kept quietly: a person reads it again once the names are mended.
    """
    head = answers_head(file.head)
    if head is not None:
        return InboundKind.RECEIPT if (head.agency, head.layout) == ("kravia", agreement.profile) else None
    if _begins(file, INVOICE):
        return InboundKind.CASE_STATUS if status(file, agreement) else InboundKind.NOTICE
    if _begins(file, SETTLEMENT):
        return InboundKind.PAYMENTS
    if _begins(file, UNREAD):
        return InboundKind.CASE_STATUS
    return InboundKind.NOTICE if is_event(file.head) and file.size <= _EVENT_BYTES_MAX else None


def is_event(body: bytes) -> bool:
    """Whether *body* is a webhook of Kravia's form. Nothing of it is ever taken for true: its signature proves nothing."""
    if len(body) > _EVENT_BYTES_MAX:
        return False
    try:
        told = decoded(body)
    except DecodeError:
        return False
    return all(texts(told, name) for name in ("header.algorithm", "data.eventType", "data.claimId", "signature"))


def status(file: InboundFile, agreement: Agreement) -> CaseStatus | None:
    """Return what the details of an invoice say about its case; None where they do not say it under the names known.

    Raises:
        DecodeError: the file was kept because nobody could read what Kravia answered.
    """
    whole, names = _told(file), names_of(agreement)
    if _begins(file, UNREAD):
        raise DecodeError("Kravia's answer cannot be read", path=str(at(whole, "path")), value=str(at(whole, "why")))
    told = at(whole, "answer")
    found, claim, number = (texts(told, name) for name in (names.status, names.claim_id, names.invoice_number))
    case_number, changed = ident(told, names.invoice_id), texts(told, names.updated)
    when = moment(changed[0]) if changed else None
    if found is None or not case_number or when is None:
        return None
    state, closing = state_of(agreement, found[0])
    return CaseStatus(
        case_number,
        claim[0] if claim else "",
        number[0] if number else "",
        state,
        "",
        closing,
        when.date(),
        found[0],
        "",
    )


class SettlementPayments:
    """The payments of one settlement, as a stream (`gateway.domain.exchange.PaymentStream`)."""

    def __init__(self, file: InboundFile, agreement: Agreement) -> None:
        self._settlement = _Settlement(file, agreement)
        self.format, self.findings = FORMAT, list[Finding]()

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments; nothing of a settlement whose sum is not that of its parts.

        Raises:
            FileQuarantined: it contradicts itself.
        """
        yield from self._settlement.payments()


def settlement_id(file: InboundFile) -> str:
    """Return the id of a settlement that was stored."""
    return ident(_told(file), "id")


class _Settlement:
    """One settlement, read by the names of its agreement."""

    def __init__(self, file: InboundFile, agreement: Agreement) -> None:
        told = _told(file)
        self._told, self._names, self._agreement = at(told, "answer"), names_of(agreement), agreement
        self._id = ident(told, "id")
        self._currency = (texts(self._told, self._names.currency) or ("",))[0]
        self._parts = rows(self._told, self._names.parts)
        self._sum = minor(self._told, self._names.paid_out, self._currency)

    def payments(self) -> Iterator[Payment]:
        """Yield a payment for each part, when their sum is the settlement's and none of them stands twice."""
        if not self._id or not self._currency or self._sum is None or self._parts is None:
            raise DecodeError("is no settlement under the names of the agreement", path="answer")
        if self._currency != self._agreement.currency:
            values: dict[str, object] = {"currency": self._currency}
            raise _refused("file.unknown_currency", self._names.currency, values)
        found = [self._payment(place, part) for place, part in enumerate(self._parts, 1)]
        keys = Counter(one.key for one in found)
        for one in found:
            if keys[one.key] > 1:  # whether it is one payment or two, nobody can tell
                place = f"{self._names.parts}.{one.position}"
                raise DecodeError(said("wrong.stands_twice"), path=place, field=self._names.payment_id, value=one.key)
        total = sum(one.amount_minor if one.direction is Direction.CREDIT else -one.amount_minor for one in found)
        if total != self._sum:
            stated, computed = (format_minor(one or 0, self._currency) for one in (self._sum, total))
            raise _refused("file.control_total", self._names.paid_out, {"stated": stated, "computed": computed})
        yield from found

    def _payment(self, place: int, part: Any) -> Payment:
        names, at_part = self._names, f"{self._names.parts}.{place}"
        payment_id, invoice = texts(part, names.payment_id), ident(part, names.invoice_id)
        amount, capital = (minor(part, name, self._currency) for name in (names.amount, names.capital))
        if (
            payment_id is None
            or amount is None
            or capital is None
            or abs(capital) > abs(amount)
            or amount * capital < 0
        ):
            raise DecodeError("is no part of a settlement", path=at_part)
        claim, number = (texts(part, name) for name in (names.claim_id, names.invoice_number))
        bank = texts(self._told, names.bank_reference)
        return Payment(
            place, abs(amount), self._currency, Direction.CREDIT if amount >= 0 else Direction.DEBIT,
            is_reversal=amount < 0, posts=bool(capital), why_not="" if capital else "payment.no_principal",
            booking_date=_day(part, names), key=f"kravia:{self._agreement.client_number}:{payment_id[0]}",
            claim_id=claim[0] if claim else "", case_number=invoice, invoice_number=number[0] if number else "",
            principal_minor=abs(capital), statement_reference=bank[0] if bank else "", text=f"Kravia {self._id}",
        )  # fmt: skip


def _refused(code: str, place: str, values: Mapping[str, object]) -> FileQuarantined:
    return FileQuarantined([Finding(Severity.BLOCKING, code, place, values=values)])


def _day(part: Any, names: Names) -> date | None:
    found = texts(part, names.paid_on)
    when = moment(found[0]) if found else None
    return when.date() if when else None


def _begins(file: InboundFile, form: str) -> bool:
    return file.head.startswith(b'{"format":"%s",' % form.encode())


def _told(file: InboundFile) -> Any:
    with file.open() as stream:
        return decoded(stream.read())
