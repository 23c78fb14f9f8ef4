"""What came from Ophelos, as files: answers to our calls, debts, payments, payouts, and webhooks that only rang."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.domain.calls import Answer
from gateway.domain.exchange import CaseStatus, Direction, Finding, InboundFile, InboundKind, Payment, Receipt
from gateway.errors import DecodeError
from gateway.formats.calls import answers_head, decoded, encoded, receipt
from plugins.intrum.ophelos.delivering import DEBT_STEP, reason_of, status_of
from plugins.intrum.ophelos.fetching import DEBT, FORMAT, PAYMENT, PAYOUT
from plugins.intrum.ophelos.objects import Thing, object_of, why_refused
from plugins.intrum.ophelos.terms import CASE_KEY, NAME, SETTLED, STATUSES, UNKNOWN, Meaning

FILE_BYTES_MAX = 16 << 20
"""No answer of an API is larger, so no object in one is."""
_MONEY = {"succeeded", "refunded", "disputed"}
"""Payments that are or were money; the others are intentions, kept and no more."""
_KEY = "ophelos"


def identify(file: InboundFile, agency_key: str, organisations: set[str]) -> InboundKind | None:
    """Say what *file* is, None when it is none of Ophelos' for these organisations."""
    if head := answers_head(file.head):
        return InboundKind.RECEIPT if (head.agency, head.layout) == (agency_key, NAME) else None
    told = _parsed(file)
    if told.get("format") == FORMAT and told.get("organisation") in organisations:
        kind, thing = told.get("kind"), told.get("told")
        if kind == PAYMENT and isinstance(thing, dict) and thing.get("status") not in _MONEY:
            return InboundKind.NOTICE
        kinds = {DEBT: InboundKind.CASE_STATUS, PAYMENT: InboundKind.PAYMENTS, PAYOUT: InboundKind.SETTLEMENT}
        return kinds.get(str(kind))
    is_event = told.get("object") == "event" and isinstance(told.get("type"), str) and bool(told.get("id"))
    return InboundKind.NOTICE if is_event else None


def read_receipt(file: InboundFile) -> Receipt:
    """Return what Ophelos answered, object by object; a debt's id is its case number."""
    return receipt(file, _case_number, why_refused)


def read_status(file: InboundFile) -> Iterator[CaseStatus]:
    """Yield the state of the debt in *file*."""
    debt = _thing(file, DEBT)
    status = debt.inner("status") if not isinstance(debt.values.get("status"), str) else Thing({})
    word = status_of(debt)
    meaning = _settled(debt) if word == SETTLED else STATUSES.get(word, UNKNOWN)
    own = debt.inner("metadata").text(CASE_KEY)
    changed = status if status.values.get("updated_at") else debt
    words = (reason_of(debt), status.text("whodunnit"), _as_words(status.values.get("context")))
    yield CaseStatus(
        debt.id(),
        own.rpartition(":")[2],
        debt.text("account_number"),
        meaning.state,
        meaning.stage,
        meaning.close_code,
        changed.day("updated_at"),
        word,
        " ".join(filter(None, words)),
    )


class PaymentFile:
    """The payment in a file (`PaymentStream`)."""

    format = NAME

    def __init__(self, file: InboundFile) -> None:
        self._file, self.findings = file, list[Finding]()

    def __iter__(self) -> Iterator[Payment]:
        """Yield it: a refund, or one that its payer disputes, takes the whole of it back (R-PM-11)."""
        thing = _thing(self._file, PAYMENT)
        status, key = thing.text("status"), f"{_KEY}:{thing.id()}"
        is_back = status != "succeeded"
        if status not in _MONEY or thing.amount("amount") <= 0:
            raise thing.fault("is no payment that succeeded", "status" if status not in _MONEY else "amount")
        yield Payment(
            1,
            thing.amount("amount"),
            thing.text("currency"),
            Direction.DEBIT if is_back else Direction.CREDIT,
            is_reversal=is_back,
            booking_date=thing.day("transaction_at"),
            text=thing.text("transaction_ref"),
            key=f"{key}:{status}" if is_back else key,
            case_number=thing.id("debt") if thing.values.get("debt") else "",
            reverses_key=key if is_back else "",
        )


def _settled(debt: Thing) -> Meaning:
    """A settlement may be for less: what remains tells, and where that is not told a person is asked."""
    summary = debt.inner("summary")
    if "amount_remaining" not in summary.values:
        return Meaning("closed")
    return Meaning("closed", "", "partly-paid" if summary.amount("amount_remaining") else "paid")


def _as_words(context: object) -> str:
    if context is None or isinstance(context, str):
        return context or ""
    return encoded(context).decode()


def _case_number(step: str, answer: Answer) -> str:
    return object_of(answer).id() if step == DEBT_STEP else ""


def _thing(file: InboundFile, kind: str) -> Thing:
    told = Thing(_parsed(file))
    if told.text("kind") != kind:
        raise told.fault(f"is no {kind}", "kind")
    return told.inner("told")


def _parsed(file: InboundFile) -> dict[str, Any]:
    """Return the object that *file* is; an empty one where it is none. Whatever does not begin so is not even read."""
    if file.size > FILE_BYTES_MAX or file.head.lstrip()[:1] != b"{":
        return {}
    with file.open() as stream:
        try:
            told = decoded(stream.read(FILE_BYTES_MAX))
        except DecodeError:
            return {}
    return told if isinstance(told, dict) else {}
