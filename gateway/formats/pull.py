"""kravport-pull-1: the form of an agency that fetches its cases and reports back by Kravport's own API (ADR 0030).

Kravport's own in both directions, so nothing of an agency's is guessed. What goes out is sealed as a file of messages, one a
line (`gateway.formats.calls`), and handed out line by line; what comes back is one JSON document, a *report*. Shapes and
limits stand once, in ``pull.schema.json``, which is also what the API's description shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any, BinaryIO

from jsonschema import Draft202012Validator, FormatChecker

from gateway.domain.exchange import (
    Agreement,
    CaseStatus,
    Claim,
    Customer,
    Direction,
    Envelope,
    Finding,
    InboundFile,
    InboundKind,
    LayoutProfile,
    LinkedItem,
    LinkKind,
    ObjectReceipt,
    Payment,
    Receipt,
    Seal,
    Series,
    Sink,
    Totals,
)
from gateway.domain.instructions import Action
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.calls import MEDIA_TYPE, CallFile, Head, Planned, decoded, write_calls

PROFILE = "kravport-pull-1"
CASES, CHANGES = "cases", "changes"
RECEIPT, STATUS, CLOSE, PAYMENTS, SETTLEMENT = "receipt", "status", "close", "payments", "settlement"
_KINDS = {
    RECEIPT: InboundKind.RECEIPT, STATUS: InboundKind.CASE_STATUS, CLOSE: InboundKind.CASE_STATUS,
    PAYMENTS: InboundKind.PAYMENTS, SETTLEMENT: InboundKind.SETTLEMENT,
}  # fmt: skip
REPORT_BYTES_MAX = 4 << 20
"""Some ten thousand payments; a report is read whole, so an agency with more sends several."""
_FAULTS_MAX = 100

LAYOUT = LayoutProfile(
    PROFILE,
    "Kravport's own interface for agencies that fetch",
    "Kravport: docs/agency-pull.md and the OpenAPI document. The agency writes its client to it; nothing of it is guessed",
    confirmed=True,
    series={CASES: Series(), CHANGES: Series()},
    unlink_has_message=True,
    instructions=frozenset(Action),
)


# --- out -------------------------------------------------------------------------------------------------------------


def write_cases(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write new claims, one a line; without a claim no file is opened and nothing is returned."""
    return _write(CASES, claims, agreement, seal, sink, _case)


def write_changes(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write later items and instructions of known claims, one claim a line."""
    return _write(CHANGES, claims, agreement, seal, sink, _change)


def verify(envelope: Envelope, source: BinaryIO) -> Totals:
    """Return the totals of a finished file, added up from the messages themselves.

    Raises:
        DecodeError: the file is not as it was written, is another one, or a line's totals are not those of its amounts.
    """
    file = CallFile(source)
    head = file.head
    if (head.layout, head.kind, head.sequence, head.currency) != (
        PROFILE,
        envelope.kind,
        envelope.sequence,
        envelope.currency,
    ):
        raise DecodeError(said("wrong.other_head"), line=1, value=f"{head.kind} {head.sequence}")
    for number, one in enumerate(file, start=2):
        if _totals_of(one.body) != one.totals:
            raise DecodeError(said("wrong.amounts_differ"), line=number, field=one.object_id)
    return file.totals


def _write(
    kind: str,
    claims: Iterable[Claim],
    agreement: Agreement,
    seal: Seal,
    sink: Sink,
    told: Callable[[Claim, Agreement], dict[str, Any]],
) -> tuple[Envelope, ...]:
    rest = iter(claims)
    first = next(rest, None)
    if first is None:
        return ()
    sequence = seal.sequences[kind]
    head = Head(agreement.agency_key, PROFILE, kind, sequence, seal.file_ids[kind], agreement.currency, seal.is_test)
    name = f"{kind}-{sequence:06d}.jsonl"
    with sink.open(name) as stream:
        totals = write_calls(stream, head, (_planned(told(claim, agreement)) for claim in chain((first,), rest)))
    return (Envelope(kind, sequence, name, MEDIA_TYPE, agreement.currency, totals, int(kind == CHANGES)),)


def _planned(body: dict[str, Any]) -> Planned:
    return Planned("invoice", body["claim_id"], "tell", body, _totals_of(body))


def _totals_of(body: Mapping[str, Any]) -> Totals:
    """Return what a message tells: its invoice where it is a case, its items, its instructions."""
    sums = {"debit": body.get("invoice", {}).get("original_minor", 0), "credit": 0, "charge": 0}
    for item in body["items"]:
        sums["charge" if item["kind"] == LinkKind.CHARGE else item["direction"]] += item["amount_minor"]
    told = len(body.get("instructions", ()))
    return Totals(1, len(body["items"]), sums["debit"], sums["credit"], sums["charge"], told)


def _case(claim: Claim, agreement: Agreement) -> dict[str, Any]:
    return _known(
        claim_id=claim.claim_id,
        reminder_number=claim.reminder_number,
        service=agreement.service.value,
        debtor=_debtor(claim.customer),
        invoice=_known(
            number=claim.invoice_number,
            date=claim.invoice_date.isoformat(),
            due_date=claim.due_date.isoformat(),
            currency=agreement.currency,
            original_minor=claim.original_minor,
            open_minor=claim.open_minor,
            payment_reference=claim.payment_reference,
            reminder_date=claim.reminder_date.isoformat() if claim.reminder_date else "",
            text=claim.text,
        ),
        items=[_item(item) for item in claim.items],
    )


def _change(claim: Claim, agreement: Agreement) -> dict[str, Any]:
    return _known(
        claim_id=claim.claim_id,
        case_number=claim.case_number,
        reminder_number=claim.reminder_number,
        invoice_number=claim.invoice_number,
        currency=agreement.currency,
        open_minor=claim.open_minor,
        items=[_item(item) for item in claim.items],
        instructions=[
            _known(
                item_id=said.item_id,
                action=said.action.value,
                date=said.day.isoformat(),
                until=said.until.isoformat() if said.until else "",
                reason=said.reason,
            )
            for said in claim.instructions
        ],
    )


_CARD = ("name", "identity_number", "identity_scheme", "address1", "address2", "postcode", "city", "country", "email", "phone", "language")  # fmt: skip
_ITEM = ("number", "voucher_number", "payment_reference", "bank_reference", "text", "charge_kind", "unlinks_item_id")


def _debtor(customer: Customer) -> dict[str, Any]:
    kind = customer.kind.value if customer.kind else ""
    rest = {name: getattr(customer, name) for name in _CARD}
    return _known(customer_number=customer.customer_number, kind=kind, **rest)


def _item(item: LinkedItem) -> dict[str, Any]:
    rest = {name: getattr(item, name) for name in _ITEM}
    return _known(
        item_id=item.item_id, kind=item.kind.value, date=item.date.isoformat(), amount_minor=item.amount_minor,
        direction=item.direction.value, **rest,
    )  # fmt: skip


def _known(**values: Any) -> dict[str, Any]:
    """Leave out what is not known: an empty text says nothing, and a reader would take it for something."""
    return {name: value for name, value in values.items() if value != ""}


# --- in --------------------------------------------------------------------------------------------------------------


@cache
def schema() -> Mapping[str, Any]:
    """Return the shapes of all messages, by name. Treat it as read-only."""
    text = resources.files(__package__).joinpath("pull.schema.json").read_text("utf-8")
    shapes: Mapping[str, Any] = json.loads(text)["$defs"]
    return shapes


@cache
def _validator(shape: str) -> Draft202012Validator:
    whole = {"$ref": f"#/$defs/{shape}", "$defs": schema()}
    return Draft202012Validator(whole, format_checker=FormatChecker(formats=("date",)))


_SHAPES = {STATUS: "StatusReport", CLOSE: "CloseReport", PAYMENTS: "PaymentReport", SETTLEMENT: "SettlementReport"}


def answer_faults(value: object) -> list[tuple[str, str]]:
    """Return (place, what is wrong) of the answer to a case; empty for one that can be taken."""
    return _shape_faults("CaseAnswer", value)


def report_faults(value: object) -> list[tuple[str, str]]:
    """Return (place, what is wrong) of a report; empty for one that can be taken."""
    named = value.get("report") if isinstance(value, dict) else None
    if not isinstance(named, str) or named not in _SHAPES:
        return [("report", f"must be one of {', '.join(_SHAPES)}")]
    assert isinstance(value, dict)
    return _shape_faults(_SHAPES[named], value) or list(_contradictions(value))


def _shape_faults(shape: str, value: object) -> list[tuple[str, str]]:
    errors = sorted(_validator(shape).iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    return [(".".join(map(str, error.absolute_path)), error.message[:200]) for error in errors[:_FAULTS_MAX]]


def _contradictions(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what no shape can say: sums that must agree."""
    rows = report.get("payments", ())
    seen: set[str] = set()
    for number, row in enumerate(rows):
        if row["payment_id"] in seen:
            yield f"payments.{number}.payment_id", "stands twice in this report"
        seen.add(row["payment_id"])
        parts = sum(row[f"{name}_minor"] for name in ("principal", "interest", "fees", "unallocated"))
        if parts != row["amount_minor"]:
            yield f"payments.{number}", f"principal, interest, fees and unallocated come to {parts}, not to the amount"
        if (row["kind"] == "reversal") != ("reverses_payment_id" in row):
            yield f"payments.{number}", "reverses_payment_id goes with a reversal, and only with one"
        if "claim_id" not in row and row["unallocated_minor"] != row["amount_minor"]:
            yield f"payments.{number}", "names no claim, so all of it is unallocated"
    if "count" in report:
        found = (len(rows), sum(row["amount_minor"] for row in rows))
        if (report["count"], report["total_minor"]) != found:
            yield "count, total_minor", f"the payments come to {found[0]}, {found[1]}"
    for number, row in enumerate(report.get("settlements", ())):
        if row["gross_minor"] - row["fees_minor"] - row["vat_minor"] != row["net_minor"]:
            yield f"settlements.{number}", "gross less fees less VAT is not net"


def identify(file: InboundFile) -> InboundKind | None:
    """Say which report *file* is, None where it is none."""
    if PROFILE.encode() not in file.head or file.size > REPORT_BYTES_MAX:
        return None
    try:
        value = _document(file)
    except DecodeError:
        return None
    return _KINDS.get(str(value.get("report"))) if value.get("format") == PROFILE else None


def receipt(file: InboundFile) -> Receipt:
    """Return the answers to one file of cases, as the host wrote them down together."""
    value = _document(file)
    objects: list[ObjectReceipt] = []
    try:
        for one in value["answers"]:
            rest = (one.get("case_number", ""), one.get("reason_code", ""), one.get("reason_text", ""))
            objects.append(ObjectReceipt("invoice", one["claim_id"], one["accepted"], *rest))
            objects += [ObjectReceipt("item", item_id, one["accepted"], "", *rest[1:]) for item_id in one["items"]]
        head = (value["kind"], value["sequence"], value["file_id"])
    except (KeyError, TypeError, AttributeError):
        raise DecodeError(said("wrong.own_form")) from None
    refused = sum(not one.is_accepted for one in objects)
    return Receipt(*head, "partly" if refused else "accepted", "", "", tuple(objects))


def statuses(file: InboundFile) -> Iterator[CaseStatus]:
    """Yield states and closings of cases; raises ``DecodeError``."""
    report = _report(file)
    for row in chain(report.get("statuses", ()), report.get("closings", ())):
        loss = f"(loss_minor {row['loss_minor']})" if "loss_minor" in row else ""
        yield CaseStatus(
            row.get("case_number", ""),
            row["claim_id"],
            "",
            row.get("state", "closed"),
            row.get("stage", ""),
            row.get("close_code", ""),
            date.fromisoformat(row["date"]),
            row.get("raw_code", ""),
            " ".join(filter(None, (row.get("raw_text", ""), loss))),
        )


class PulledPayments:
    """The payments of a report, in its order (`PaymentStream`); raises ``DecodeError`` when the report may not be taken.

    Args:
        file: the report.
        agreement: whose it is: an agency's payment ids are unique within an agreement.
    """

    format = f"{PROFILE} payments"

    def __init__(self, file: InboundFile, agreement: Agreement) -> None:
        self._file, self._agreement = file, agreement
        self.findings: list[Finding] = []

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments."""
        report = _report(self._file)
        if report["currency"] != self._agreement.currency:
            raise DecodeError(
                said("wrong.other_currency", currency=self._agreement.currency),
                field="currency",
                value=report["currency"],
            )
        series = f"{self._agreement.agency_key}:{self._agreement.agreement_id}"
        for position, row in enumerate(report["payments"], start=1):
            yield _payment(position, row, report["currency"], series)


def _payment(position: int, row: Mapping[str, Any], currency: str, series: str) -> Payment:
    is_reversal, reverses = row["kind"] == "reversal", row.get("reverses_payment_id", "")
    why_not = "" if row["principal_minor"] else "payment.no_principal"
    if row["unallocated_minor"] == row["amount_minor"]:
        why_not = "difference.unidentified"
    return Payment(
        position,
        row["amount_minor"],
        currency,
        Direction.DEBIT if is_reversal else Direction.CREDIT,
        is_reversal=is_reversal,
        posts=not why_not,
        why_not=why_not,
        booking_date=date.fromisoformat(row["received_date"]),
        payer_name=row.get("payer_name", ""),
        payer_account=row.get("payer_account", ""),
        text=row.get("text", ""),
        key=f"{series}:{row['payment_id']}",
        claim_id=row.get("claim_id", ""),
        case_number=row.get("case_number", ""),
        principal_minor=row["principal_minor"],
        reverses_key=f"{series}:{reverses}" if reverses else "",
    )


def _report(file: InboundFile) -> dict[str, Any]:
    """Return a report that holds; it may have come by another door than the API, so it is looked at again."""
    value = _document(file)
    for place, fault in report_faults(value):
        raise DecodeError(fault, path=place)
    return value


def _document(file: InboundFile) -> dict[str, Any]:
    with file.open() as stream:
        value = decoded(stream.read(REPORT_BYTES_MAX + 1))
    if not isinstance(value, dict):
        raise DecodeError(said("wrong.not_an_object"))
    return value
