"""Reads what an agency answers in kravport-sls-1: receipts, payments, cases, snapshots (intrum-sls.md B.9 to B.12).

Every file is checked against the schema in a first pass, because a document may turn out invalid only at its last
line; the second pass yields rows and compares the control totals before it ends.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gateway.domain.exchange import (
    Agreement,
    CaseStatus,
    Direction,
    Finding,
    InboundFile,
    InboundKind,
    ObjectReceipt,
    Payment,
    Receipt,
    Reference,
    Severity,
)
from gateway.errors import DecodeError, FileQuarantined, FileRefused
from gateway.formats.kravport_sls.layout import NAMESPACE, PROFILE, amount
from gateway.formats.kravport_sls.verifier import compiled, demand_utf8, minor_units
from gateway.formats.xmltree import Doctype, iter_elements

_ROOTS = {
    "Receipt": InboundKind.RECEIPT,
    "Payments": InboundKind.PAYMENTS,
    "Cases": InboundKind.CASE_STATUS,
    "Snapshot": InboundKind.SNAPSHOT,
}
_MOST_FINDINGS = 50
"""A file wrong in every row says so fifty times; more helps nobody and costs memory."""

_LONGEST_NUMBER = 40
"""Characters of a count or total; the schema allows counts of any length, and Python refuses thousands of digits."""

_REFERENCE_KINDS = {"NO": "kid", "SE": "ocr"}
"""What a payment reference is called where the ledger is; elsewhere its kind is not known and stays empty."""


class Settlement(NamedTuple):
    """One payout to the creditor's account (B.10). *bank_reference* feeds the echo filter; amounts in minor units."""

    settlement_id: str
    payout_date: date
    gross_minor: int
    fees_minor: int
    vat_minor: int
    net_minor: int
    pay_to_account: str
    bank_reference: str


class Balance(NamedTuple):
    """One case as the agency sees it on a day (B.12); amounts in minor units."""

    case_number: str
    claim_id: str
    invoice_number: str
    as_of: date
    state: str
    principal_open_minor: int
    interest_open_minor: int
    fees_open_minor: int


class InboundReader:
    """Reads the files of one agency.

    Args:
        agency_key: key of the plugin; only agreements of this agency are looked at.
        schema_path: kravport-sls-1.xsd.
    """

    def __init__(self, agency_key: str, schema_path: Path) -> None:
        self.agency_key, self._schema_path = agency_key, schema_path

    def identify(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Return what *file* is by root, namespace and `Identification`, or None when it is not for us (B.2)."""
        root, attributes = _opening(file.head)
        kind = _ROOTS.get(root)
        if kind is None or attributes.get("message") != root.lower() or attributes.get("profile") != PROFILE:
            return None
        return kind if self._addressed(attributes, agreements) else None

    def payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> AgencyPayments:
        """Return the payments of *file* as a stream; iterating raises as `gateway.domain.exchange.PaymentStream`."""
        return AgencyPayments(self, file, agreements)

    def receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return the agency's answer to one of our files (B.9).

        Raises:
            FileRefused, FileQuarantined: not a valid receipt for one of *agreements*, or it contradicts itself.
        """
        document, answer, objects = _Document(self, file, agreements, "Receipt"), dict[str, str](), []
        for name, attributes, line in document:
            if name == "FileReceipt":
                answer = dict(attributes)
                document.demand(answer["fileSequence"] == document.head["fileSequence"], line, "fileSequence differs")
            elif name == "ObjectReceipt":
                document.counted[attributes["status"]] += 1
                refused = attributes["status"] == "rejected"
                document.demand(not refused or "reasonCode" in attributes, line, "a rejection without reasonCode")
                objects.append(_object_receipt(attributes))
            elif name == "Control":
                _compare_receipt(document, attributes, answer)
        document.close()
        return Receipt(
            answer["message"],
            int(answer["fileSequence"]),
            answer.get("fileId", ""),
            answer["status"],
            answer.get("reasonCode", ""),
            answer.get("reasonText", ""),
            tuple(objects),
        )

    def cases(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterator[CaseStatus]:
        """Yield the states of cases (B.11); *raw_code* and *raw_text* are the agency's own words. Raises as `receipt`.

        A credit-loss amount is appended to *raw_text*: a status moves no money, and a person must see it.
        """
        document = _Document(self, file, agreements, "Cases")
        for name, attributes, line in document:
            if name == "CaseStatus":
                document.counted["case"] += 1
                closed = attributes["state"] == "closed"
                document.demand(closed or "closeCode" not in attributes, line, "closeCode on a case that is not closed")
                yield _case_status(attributes, document.head["currency"])
            elif name == "Control":
                document.compare(attributes, {"caseCount": document.counted["case"]})
        document.close()

    def snapshot(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterator[Balance]:
        """Yield the balances the agency sees (B.12). Raises as `receipt`."""
        document = _Document(self, file, agreements, "Snapshot")
        for name, attributes, _ in document:
            if name == "Balance":
                balance = _balance(attributes)
                document.counted["balance"] += 1
                document.counted["principal"] += balance.principal_open_minor
                yield balance
            elif name == "Control":
                counted = document.counted
                document.compare(
                    attributes,
                    {"balanceCount": counted["balance"], "principalTotal": amount(counted["principal"])},
                )
        document.close()

    def _addressed(self, head: Mapping[str, str], agreements: tuple[Agreement, ...]) -> tuple[Agreement, ...]:
        """Return the agreements the file is for: our client number, and the agency's id as agreed."""
        return tuple(
            agreement
            for agreement in agreements
            if agreement.agency_key == self.agency_key
            and agreement.client_number == head.get("receiverId")
            and agreement.settings.get("agency_id") == head.get("senderId")
        )

    def validate(self, file: InboundFile) -> None:
        """Check the whole of *file* against the schema; raise ``FileRefused`` or ``FileQuarantined``."""
        try:
            demand_utf8(file.head)
            with file.open() as stream:
                compiled(self._schema_path).validate_stream(stream)
        except Doctype as error:
            raise FileRefused([_finding("file.doctype", error)]) from error
        except DecodeError as error:
            raise FileQuarantined([_finding("file.invalid", error)]) from error

    def mismatch(self, head: Mapping[str, str], agreements: tuple[Agreement, ...]) -> Finding | None:
        """Return why *head* (Identification and Ledger together) is for none of *agreements*, or None."""
        candidates = self._addressed(head, agreements)
        if not candidates:
            return _invalid(
                "Identification", f"sender {head['senderId']} and receiver {head['receiverId']} are unknown"
            )
        is_test = head["test"] in {"true", "1"}
        candidates = tuple(agreement for agreement in candidates if agreement.is_sandbox is is_test)
        if not candidates:
            return Finding(Severity.BLOCKING, "file.test", "Identification/test", head["test"])
        if "ledgerId" not in head:
            return None
        candidates = tuple(a for a in candidates if a.settings.get("ledger_id") == head["ledgerId"])
        if not candidates:
            return _invalid("Ledger/ledgerId", f"ledger {head['ledgerId']} is unknown")
        if all(agreement.currency != head["currency"] for agreement in candidates):
            values = {"currency": head["currency"]}
            return Finding(Severity.BLOCKING, "file.unknown_currency", "Ledger/currency", head["currency"], values)
        return None


@dataclass
class AgencyPayments:
    """The payments of one ``Payments`` file, in file order; *settlements* is complete after the iteration (B.10).

    A payment's key is agency and ``paymentId``. What is not principal lowers no invoice: a payment without principal
    does not post.
    """

    _reader: InboundReader
    _file: InboundFile
    _agreements: tuple[Agreement, ...]
    format: str = f"{PROFILE} payments"
    findings: list[Finding] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments; raise ``FileRefused`` or ``FileQuarantined`` when the file may not take effect."""
        self.findings, self.settlements = [], []
        document = _Document(self._reader, self._file, self._agreements, "Payments")
        counted = document.counted
        for name, attributes, line in document:
            if name == "AgencyPayment":
                kind, paid = attributes["kind"], minor_units(attributes["amount"])
                counted[f"{kind}Count"] += 1
                counted[f"{kind}Total"] += paid
                _check_payment(document, attributes, line)
                position = counted["paymentCount"] + counted["reversalCount"]
                yield _payment(position, attributes, document.head, self._reader.agency_key)
            elif name == "Settlement":
                settlement = _settlement(attributes)
                self.settlements.append(settlement)
                counted["settlementCount"] += 1
                counted["settlementNetTotal"] += settlement.net_minor
                net = settlement.gross_minor - settlement.fees_minor - settlement.vat_minor
                document.demand(net == settlement.net_minor, line, "gross - fees - vat is not net")
            elif name == "Control":
                document.compare(attributes, {key: _stated(key, counted[key]) for key in attributes})
        document.close()


class _Document:
    """One inbound file: its head, its rows, what was counted and what was found wrong."""

    def __init__(self, reader: InboundReader, file: InboundFile, agreements: tuple[Agreement, ...], root: str) -> None:
        self._reader, self._file, self._agreements, self._root = reader, file, agreements, root
        self.head: dict[str, str] = {}
        self.counted = Counter[str]()
        self._findings: list[Finding] = []

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, str], int]]:
        """Yield name, attributes and line of the elements after the head, in document order."""
        self._reader.validate(self._file)
        last = "Identification" if self._root == "Receipt" else "Ledger"
        with self._file.open() as stream:
            for depth, (name, namespace, attributes, line) in enumerate(_starts(stream)):
                if depth == 0:
                    if name != self._root or namespace != NAMESPACE:
                        raise FileRefused([_invalid(name, f"is not a {self._root}")])
                elif name in {"Identification", "Ledger"}:
                    self.head |= attributes
                    self._admit(name == last)
                else:
                    yield name, attributes, line

    def _admit(self, is_whole: bool) -> None:
        if self.head["message"] != self._root.lower():
            raise FileQuarantined([_invalid("Identification/message", f"does not agree with {self._root}")])
        wrong = self._reader.mismatch(self.head, self._agreements) if is_whole else None
        if wrong:
            raise FileQuarantined([wrong])

    def demand(self, holds: bool, line: int, reason: str) -> None:
        """Note a contradiction unless *holds*."""
        if not holds and len(self._findings) < _MOST_FINDINGS:
            self._findings.append(_invalid(f"line {line}", reason))

    def compare(self, control: Mapping[str, str], computed: Mapping[str, str | int]) -> None:
        """Note every control total that is not what was counted; counts compare as numbers ("03" is 3)."""
        for name, value in computed.items():
            if _number(control[name]) != _number(str(value)):
                values = {"stated": control[name], "computed": value}
                self._findings.append(
                    Finding(Severity.BLOCKING, "file.control_total", f"Control/{name}", control[name], values)
                )

    def close(self) -> None:
        """Raise ``FileQuarantined`` when anything was noted."""
        if self._findings:
            raise FileQuarantined(self._findings)


class _Sips(io.BytesIO):
    """Gives a few bytes at a time, so that damage further down does not hide the head of a file."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(128)


def _starts(stream: BinaryIO) -> Iterator[tuple[str, str, Mapping[str, str], int]]:
    for event, name, namespace, attributes, line in iter_elements(stream):
        if event == "start":
            yield name, namespace, {key: _collapsed(value) for key, value in attributes.items()}, line


def _collapsed(value: str) -> str:
    """Return *value* as the schema sees it: its types collapse white space, the parser does not."""
    return " ".join(filter(None, value.split(" "))) if " " in value else value


def _opening(head: bytes) -> tuple[str, Mapping[str, str]]:
    """Return root name and attributes of `Identification`, or nothing where *head* does not open one of our files."""
    root = ""
    try:
        demand_utf8(head)
        for name, namespace, attributes, _ in _starts(_Sips(head)):
            if namespace != NAMESPACE:
                break
            if root:
                return (root, attributes) if name == "Identification" else ("", {})
            root = name
    except DecodeError:
        return "", {}
    return "", {}


# --- rows ------------------------------------------------------------------------------------------------------------


def _object_receipt(attributes: Mapping[str, str]) -> ObjectReceipt:
    return ObjectReceipt(
        attributes["objectType"],
        attributes["objectId"],
        attributes["status"] != "rejected",
        attributes.get("caseNumber", ""),
        attributes.get("reasonCode", ""),
        attributes.get("reasonText", ""),
    )


def _compare_receipt(document: _Document, control: Mapping[str, str], answer: Mapping[str, str]) -> None:
    counted = document.counted
    counts = {f"{status}Count": counted[status] for status in ("accepted", "duplicate", "rejected")}
    document.compare(control, counts | {"objectCount": sum(counted.values())})
    status, objects = answer["status"], sum(counted.values())
    agrees = {
        "accepted": not counted["rejected"],
        "partly": counted["rejected"] > 0,
        "rejected": not objects and "reasonCode" in answer,
    }
    document.demand(agrees[status], 0, f"status {status} does not agree with the objects")


def _check_payment(document: _Document, row: Mapping[str, str], line: int) -> None:
    parts = {name: minor_units(row[name]) for name in ("principal", "interest", "fees", "unallocated")}
    paid, share = minor_units(row["amount"]), minor_units(row["creditorShare"])
    document.demand(sum(parts.values()) == paid, line, "principal, interest, fees and unallocated are not amount")
    document.demand(share <= paid - parts["unallocated"], line, "creditorShare is more than was allocated")
    is_reversal = row["kind"] == "reversal"
    document.demand(is_reversal is ("reversesPaymentId" in row), line, "reversesPaymentId goes with a reversal only")
    named = {"caseNumber", "claimId", "invoiceNumber"} & row.keys()
    document.demand(parts["unallocated"] < paid or not named, line, "wholly unallocated, yet names what it is for")


def _payment(position: int, row: Mapping[str, str], head: Mapping[str, str], agency_key: str) -> Payment:
    is_reversal, principal = row["kind"] == "reversal", minor_units(row["principal"])
    reverses = row.get("reversesPaymentId", "")
    series = f"{agency_key}:{head['receiverId']}"  # unique within one agreement's ledger, not within the agency
    why_not = ""
    if not principal:
        unplaced = row["unallocated"] == row["amount"]
        why_not = "difference.unidentified" if unplaced else "payment.no_principal"
    return Payment(
        position,
        minor_units(row["amount"]),
        head["currency"],
        Direction.DEBIT if is_reversal else Direction.CREDIT,
        is_reversal=is_reversal,
        posts=not why_not,
        why_not=why_not,
        reference=row.get("paymentReference", ""),
        reference_raw=row.get("paymentReference", ""),
        references=_references(row, head["country"]),
        booking_date=date.fromisoformat(row["receivedDate"]),
        payer_name=row.get("payerName", ""),
        payer_account=row.get("payerAccount", ""),
        text=row.get("text", ""),
        key=f"{series}:{row['paymentId']}",
        claim_id=row.get("claimId", ""),
        case_number=row.get("caseNumber", ""),
        invoice_number=row.get("invoiceNumber", ""),
        principal_minor=principal,
        reverses_key=f"{series}:{reverses}" if reverses else "",
    )


def _references(row: Mapping[str, str], country: str) -> tuple[Reference, ...]:
    found = []
    if reference := row.get("paymentReference"):
        kind = "rf" if reference.startswith("RF") else _REFERENCE_KINDS.get(country, "")
        found.append(Reference(reference, reference, kind))
    for attribute, kind in (("caseNumber", "case"), ("invoiceNumber", "invoice")):
        if value := row.get(attribute):
            found.append(Reference(value, value, kind))
    return tuple(found)


def _settlement(row: Mapping[str, str]) -> Settlement:
    return Settlement(
        row["settlementId"],
        date.fromisoformat(row["payoutDate"]),
        minor_units(row["gross"]),
        minor_units(row["fees"]),
        minor_units(row["vat"]),
        minor_units(row["net"]),
        row["payToAccount"],
        row.get("bankReference", ""),
    )


def _case_status(row: Mapping[str, str], currency: str) -> CaseStatus:
    words = [row.get("rawText", "")]
    if loss := row.get("creditLossAmount"):
        words.append(f"(creditLossAmount {loss} {currency})")
    return CaseStatus(
        row["caseNumber"],
        row.get("claimId", ""),
        row.get("invoiceNumber", ""),
        row["state"],
        row.get("stage", ""),
        row.get("closeCode", ""),
        date.fromisoformat(row["date"]),
        row.get("rawCode", ""),
        " ".join(filter(None, words)),
    )


def _balance(row: Mapping[str, str]) -> Balance:
    return Balance(
        row["caseNumber"],
        row.get("claimId", ""),
        row["invoiceNumber"],
        date.fromisoformat(row["asOf"]),
        row["state"],
        minor_units(row["principalOpen"]),
        minor_units(row["interestOpen"]),
        minor_units(row["feesOpen"]),
    )


# --- findings --------------------------------------------------------------------------------------------------------


def _number(text: str) -> int | str:
    """Return a count, or a total in minor units; a number no file can hold stays text and equals nothing."""
    return minor_units(text) if len(text) <= _LONGEST_NUMBER else text


def _stated(name: str, value: int) -> str | int:
    return value if name.endswith("Count") else amount(value)


def _finding(code: str, error: DecodeError) -> Finding:
    return Finding(Severity.BLOCKING, code, f"line {error.line}", error.value, {"reason": error.reason})


def _invalid(place: str, reason: str) -> Finding:
    return Finding(Severity.BLOCKING, "file.invalid", place, "", {"reason": reason})
