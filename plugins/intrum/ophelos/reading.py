"""What came from Ophelos, as files: answers to our calls, debts, payments, payouts, and webhooks that only rang."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.domain.calls import Answer
from gateway.domain.exchange import (
    Agreement,
    CaseStatus,
    Direction,
    Finding,
    InboundFile,
    InboundKind,
    Payment,
    Receipt,
    Severity,
)
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.calls import answers_head, decoded, encoded, receipt
from plugins.intrum.ophelos.delivering import DEBT_STEP
from plugins.intrum.ophelos.fetching import DEBT, FORMAT, PAYMENT, PAYOUT
from plugins.intrum.ophelos.objects import Thing, object_of, reason_of, status_of, why_refused
from plugins.intrum.ophelos.terms import CASE_KEY, LOOK_AT_IT, NAME, SETTLED, STATUSES, UNKNOWN, Meaning, our_number

FILE_BYTES_MAX = 16 << 20
"""No answer of an API is larger, so no object in one is."""
_MONEY = {"succeeded", "refunded"}
"""Payments that are money, or were and went back; the others are intentions and quarrels, kept and no more."""
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


class DebtFile:
    """The state of the debt in a file; *findings* say afterwards that somebody must look at it.

    Args:
        file: what was fetched.
        agreements: whose claims the debt may be.
    """

    def __init__(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> None:
        self._file, self._agreements, self.findings = file, agreements, list[Finding]()

    def __iter__(self) -> Iterator[CaseStatus]:
        """Yield it."""
        debt = _thing(self._file, DEBT)
        word = status_of(debt)
        status = debt.inner("status") if word != debt.values.get("status") else Thing({})
        meaning = _settled(debt) if word == SETTLED else STATUSES.get(word, UNKNOWN)
        if meaning is UNKNOWN or meaning.stage == LOOK_AT_IT:
            values = {"case": debt.id(), "status": word}
            self.findings.append(Finding(Severity.WARNING, "case.look_at_it", debt.id(), word, values))
        changed = status if status.values.get("updated_at") else debt
        words = (reason_of(debt), status.text("whodunnit"), _as_words(status.values.get("context")))
        yield CaseStatus(
            debt.id(),
            self._claim_id(debt),
            debt.text("account_number"),
            meaning.state,
            meaning.stage,
            meaning.close_code,
            changed.day("updated_at"),
            word,
            " ".join(filter(None, words)),
        )

    def _claim_id(self, debt: Thing) -> str:
        name = debt.inner("metadata").text(CASE_KEY)
        return next(filter(None, (our_number(agreement, name) for agreement in self._agreements)), "")


class PaymentFile:
    """The payment in a file (`PaymentStream`)."""

    format = NAME

    def __init__(self, file: InboundFile) -> None:
        self._file, self.findings = file, list[Finding]()

    def __iter__(self) -> Iterator[Payment]:
        """Yield it; a refund takes the whole of it back (R-PM-11)."""
        thing = _thing(self._file, PAYMENT)
        status, key = thing.text("status"), f"{_KEY}:{thing.id()}"
        is_back = status != "succeeded"
        if status not in _MONEY or thing.amount("amount") <= 0:
            raise thing.fault(said("wrong.unknown"), "status" if status not in _MONEY else "amount")
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
        raise told.fault(said("wrong.other_than", expected=kind), "kind")
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
