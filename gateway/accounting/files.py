"""One file as a ledger source: what it is, what it says, what it becomes. Decided by content, never by name.

``decode_file`` answers for any bytes and raises for none of them: a file that cannot be taken is a `Document` of kind
``REFUSED`` with a sentence. ``to_records`` turns a decoded file into records for `gateway.services.ingest`, and is where
a file of somebody else's is refused. Source: accounting/files.md section 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

from gateway.accounting.documents import (
    DocumentKind,
    due_date,
    entry_of,
    judge,
    payment_reference,
    payment_references,
    reminder_fee,
)
from gateway.accounting.jsonlines import LinesRejected, read_records
from gateway.accounting.parties import bare_number, customer_record, registered_number
from gateway.domain import reasons
from gateway.domain.exchange import Finding, Severity
from gateway.domain.ledger import CustomerRecord, EntryRecord, LedgerRecord, LinkRecord
from gateway.domain.money import format_minor
from gateway.errors import DecodeError, Refused
from gateway.formats.ubl import ROOTS, Party, UblDocument, read_ubl
from gateway.formats.xmltree import Doctype, iter_elements

MAX_BYTES = 100 * 1024 * 1024
"""Of one XML document: what a Peppol access point may refuse to carry. JSON Lines are read as a stream, without limit."""

_HEAD_BYTES = 4096
_SIE4 = re.compile(rb"#[A-Z]{3,}[ \t]")
_SIE5, _SAFT = "http://www.sie.se/sie5", "urn:StandardAuditFile-Taxation-Financial:NO"


@dataclass(frozen=True, slots=True)
class CreditorFacts:
    """What tells our creditor in a document. *accepts_any_supplier* is for looking at files, not for a real ledger."""

    organisation_number: str
    name: str
    country: str
    accepts_any_supplier: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded file.

    *form* names the format (``peppol-bis-3``, ``ehf-2``, ``json-lines`` …). *ubl* is what a UBL document says;
    *counts* how many records of each type a JSON Lines file holds, which *source* gives once more.
    """

    name: str
    kind: DocumentKind
    form: str
    findings: tuple[Finding, ...] = ()
    hold_code: str = ""
    ubl: UblDocument | None = None
    customer: CustomerRecord | None = None
    entry: EntryRecord | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    source: BinaryIO | None = None

    def as_dict(self, language: str = "en") -> dict[str, Any]:
        """Return the document as plain values for JSON: facts, findings with their sentences, the record it makes."""
        made: dict[str, Any] = {"file": self.name, "kind": self.kind.value, "format": self.form}
        if self.ubl is not None:
            made |= _facts(self.ubl)
        if self.customer is not None:
            made["customer"] = _plain(self.customer)
        made["entry"] = _plain(self.entry) if self.entry is not None else None
        if self.counts:
            made["counts"] = dict(self.counts)
        made["hold_code"] = self.hold_code
        made["findings"] = [finding_as_dict(finding, language) for finding in self.findings]
        return made


def decode_file(stream: BinaryIO, name: str) -> Document:
    """Return what the file in *stream* is and says; any bytes get an answer.

    Args:
        stream: seekable; for JSON Lines it must stay open until `to_records` is done with the document.
        name: for showing only; it decides nothing.
    """
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        return _xml(stream, name)
    if text.startswith(b"{"):
        return _json_lines(stream, name)
    if _SIE4.match(text):
        return _refused(name, "sie-4", "file.sie4")
    return _refused(name, "unknown", "file.not_a_ledger", _kind_of(text))


def to_records(document: Document, creditor: CreditorFacts) -> Iterator[tuple[str, LedgerRecord]]:
    """Return the (place, record) pairs that *document* gives the ledger of *creditor*; none for a reminder or held file.

    Raises:
        Refused: the file cannot be taken at all (its first finding says why), or ``supplier.not_creditor``: the document
            is not one that our creditor issued, such as an incoming invoice uploaded by mistake.
        LinesRejected: while iterating over a JSON Lines file.
    """
    if document.kind is DocumentKind.REFUSED:
        first = document.findings[0]
        raise Refused(first.code, **first.values)
    if document.ubl is not None and not is_own(document.ubl.supplier, creditor):
        raise Refused("supplier.not_creditor", supplier=document.ubl.supplier.name)
    return _records(document)


def is_own(supplier: Party, creditor: CreditorFacts) -> bool:
    """Return whether *supplier* is our creditor: by number where the document gives one, else by exactly the same name."""
    if creditor.accepts_any_supplier or not creditor.organisation_number:
        return True
    number = registered_number(supplier)
    if number:
        country = creditor.country
        return bare_number(number, country) == bare_number(creditor.organisation_number, country)
    return bool(supplier.name) and supplier.name.casefold() == creditor.name.casefold()


def _records(document: Document) -> Iterator[tuple[str, LedgerRecord]]:
    if document.source is not None:
        document.source.seek(0)
        yield from read_records(document.source)
    if document.customer is not None and document.entry is not None and document.ubl is not None:
        yield f"{document.ubl.root}/AccountingCustomerParty", document.customer
        yield document.ubl.root, document.entry


# --- XML -------------------------------------------------------------------------------------------------------------


def _xml(stream: BinaryIO, name: str) -> Document:
    size = stream.seek(0, 2)
    stream.seek(0)
    if size > MAX_BYTES:
        return _refused(name, "unknown", "file.too_large", str(size), limit=MAX_BYTES)
    try:
        root, namespace = _root(stream)
        if ROOTS.get(namespace) != root:
            return _other_xml(name, root, namespace)
        stream.seek(0)
        return _ubl(read_ubl(stream), name)
    except Doctype as error:
        return _refused(name, "unknown", "file.doctype", str(error))
    except DecodeError as error:
        return _refused(name, "unknown", "file.invalid", str(error), reason=str(error))


def _root(stream: BinaryIO) -> tuple[str, str]:
    events = iter_elements(stream)
    _, root, namespace, _, _ = next(events)
    events.close()  # type: ignore[attr-defined]  # it is a generator
    return root, namespace


def _other_xml(name: str, root: str, namespace: str) -> Document:
    if namespace == _SIE5:
        return _refused(name, "sie-5", "file.sie5" if root == "Sie" else "file.sie5_entry", root)
    if root == "AuditFile":
        is_named = namespace == _SAFT
        return _refused(name, "saf-t", "file.saft" if is_named else "file.saft_namespace", namespace or "none")
    return _refused(name, "unknown", "file.not_a_ledger", root)


def _ubl(ubl: UblDocument, name: str) -> Document:
    judgement = judge(ubl)
    customer, entry = entry_of(ubl, judgement) or (customer_record(ubl.customer), None)
    return Document(
        name,
        judgement.kind,
        judgement.form,
        judgement.findings,
        judgement.hold_code,
        ubl=ubl,
        customer=customer,
        entry=entry,
    )


# --- JSON Lines ------------------------------------------------------------------------------------------------------


def _json_lines(stream: BinaryIO, name: str) -> Document:
    counts: Counter[str] = Counter()
    try:
        for _, record in read_records(stream):
            counts[_type_of(record)] += 1
    except LinesRejected as error:
        findings = tuple(
            Finding(
                Severity.BLOCKING,
                "record.rejected",
                f"{fault.place} {fault.field}".strip(),
                fault.value,
                {"field": f"{fault.place} {fault.field}".strip(), "reason": fault.reason},
            )
            for fault in error.rejected
        )
        return Document(name, DocumentKind.REFUSED, "json-lines", findings)
    return Document(name, DocumentKind.RECORDS, "json-lines", counts=dict(counts), source=stream)


def _type_of(record: LedgerRecord) -> str:
    if isinstance(record, EntryRecord):
        return record.kind.value
    return "link" if isinstance(record, LinkRecord) else "customer"


# --- refusing and showing --------------------------------------------------------------------------------------------

_SIGNATURES = {b"%PDF": "PDF", b"PK": "ZIP", b"\x1f\x8b": "gzip", b"\xd0\xcf\x11\xe0": "Office"}


def _kind_of(text: bytes) -> str:
    if not text:
        return "an empty file"
    found = next((f"a {kind} file" for signature, kind in _SIGNATURES.items() if text.startswith(signature)), "")
    return found or "a file of unknown kind"


def _refused(name: str, form: str, code: str, value: str = "", **values: object) -> Document:
    finding = Finding(Severity.BLOCKING, code, "", value[:200], values or {"found": value})
    return Document(name, DocumentKind.REFUSED, form, (finding,))


def _facts(ubl: UblDocument) -> dict[str, Any]:
    fee = reminder_fee(ubl)
    due = due_date(ubl)
    amounts = {
        "total": ubl.total_minor,
        "prepaid": ubl.prepaid_minor,
        "rounding": ubl.rounding_minor,
        "payable": ubl.payable_minor,
        "reminder_fee": fee,
    }
    return {
        "number": ubl.number,
        "type_code": ubl.type_code,
        "issue_date": ubl.issue_date.isoformat(),
        "due_date": due.isoformat() if due else None,
        "currency": ubl.currency,
        **{f"{name}_minor": minor for name, minor in amounts.items()},
        **{name: None if minor is None else format_minor(minor, ubl.currency) for name, minor in amounts.items()},
        "payment_reference": payment_reference(ubl),
        "payment_references": list(payment_references(ubl)),
        "pay_to": list(dict.fromkeys(means.account for means in ubl.means if means.account)),
        "credits": list(ubl.references),
        "supplier": {"name": ubl.supplier.name, "organisation_number": registered_number(ubl.supplier)},
        "payee": ubl.payee.name if ubl.payee else None,
        "terms": list(ubl.terms),
        "notes": list(ubl.notes),
        "attachments": [asdict(attachment) for attachment in ubl.attachments],
    }


def _plain(record: CustomerRecord | EntryRecord) -> dict[str, Any]:
    return {name: _json_value(value) for name, value in asdict(record).items()}


def _json_value(value: object) -> object:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else getattr(value, "value", value)


def finding_as_dict(finding: Finding, language: str = "en") -> dict[str, str]:
    """Return a finding as plain values, with the sentence of its code as ``text``."""
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "place": finding.place,
        "value": finding.value,
        "text": reasons.sentence(finding.code, language, finding.values),
    }
