"""The family of assigned Peppol documents: the creditor's own UBL invoices and credit notes, marked, one file for each.

The sealed envelope is an archive of them, so that one number, one hash and one day's work stay one thing; `deliver` puts
each document into the mailbox by itself. Beside them lies a list of what was marked, with the hash of each document before
and after. Source: factoring-peppol.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple, cast

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    LayoutProfile,
    LinkedItem,
    LinkKind,
    Seal,
    Series,
    Sink,
    Totals,
)
from gateway.domain.identifiers import organisation_number_fault
from gateway.domain.transport import Transport
from gateway.errors import DataError, DecodeError, DeliveryError, DeliveryInDoubt, EncodeError
from gateway.formats.ubl import Party, UblDocument, read_ubl
from plugins.factoring.assigned import Factor, mark
from plugins.factoring.family import MEMORY, Family, require_number
from plugins.factoring.faults import Seen, blocking, refuse, unfit
from plugins.factoring.kid import SCHEMES, follows
from plugins.factoring.ubl_places import MAX_BYTES

DOCUMENTS, LIST = "documents", "assignments.jsonl"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_STAMP = (1980, 1, 1, 0, 0, 0)
"""Day of every file in the archive: the same claims make the same bytes."""
_LIST_MAX = 64 * 1024 * 1024
NORWAY = "0192"
_COUNTRIES = {NORWAY: "NO", "0007": "SE", "0184": "DK", "0212": "FI"}
"""Schemes of organisation numbers whose check digits the network's rules ask for (PEPPOL-COMMON-R041 and its siblings)."""

LAYOUT = LayoutProfile(
    name="peppol-factored",
    title="Peppol BIS Billing 3, assigned: the creditor's own documents, marked",
    source="OpenPEPPOL peppol-bis-invoice-3 (payee, type codes, rules); no factor's own description",
    series={DOCUMENTS: Series()},
    carries=frozenset({LinkKind.CREDIT_NOTE}),
    receipt_within_hours=None,
    markets=frozenset({"NO", "SE", "DK", "FI"}),
    currencies=frozenset({"NOK", "SEK", "DKK", "EUR"}),
    settings=frozenset({"factor_party_id"}),
    needs_documents=True,
)
_LIMITS = (
    "Which factors take it, at which address and with which clause, each must say: sandbox only until confirmed.",
    "Only invoices and credit notes that were taken as UBL files can be marked; others are held.",
    "The debtor must get the marked document: an invoice sent unmarked is not made assigned by a second copy.",
    "The documents go into the mailbox of the agreement; Kravport is no access point of the Peppol network.",
)


class _Document(NamedTuple):
    """One document of an archive."""

    name: str
    content: bytes


class Peppol(Family):
    """Marks documents; writes none."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, _LIMITS)

    # --- what is held ------------------------------------------------------------------------------------------------

    def customer_faults(self, customer: Customer, agreement: Agreement) -> Iterator[Finding]:
        """Yield nothing: the debtor stands in the document, as the creditor's accounting system wrote it."""
        del customer, agreement
        yield from ()

    def claim_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield why the documents of *claim* cannot be marked, or are not what the ledger says."""
        yield from self.terms_faults(agreement)
        own = _Expected(claim.claim_id, claim.invoice_number, claim.original_minor, claim.payment_reference)
        yield from _document_faults(claim.document, own, agreement)
        scheme, kid = str(agreement.settings.get("kid_scheme", "")), claim.payment_reference
        numbers = {"customer": claim.customer.customer_number, "invoice": claim.invoice_number}
        if scheme in SCHEMES and not follows(scheme, kid, client=agreement.client_number, **numbers):
            yield blocking("factoring.kid_scheme", "payment_reference", kid, scheme=scheme)
        yield from self.item_faults(claim, agreement)

    def item_faults(self, claim: Claim, agreement: Agreement) -> Iterator[Finding]:
        """Yield the same of the credit notes."""
        for item in claim.items:
            if item.kind is not LinkKind.CREDIT_NOTE:
                yield blocking(
                    "item.not_carried", "items", item.number, kind=item.kind.value, agency=agreement.display_name
                )
                continue
            own = _Expected(item.item_id, item.number, -item.amount_minor, "")
            yield from _document_faults(item.document, own, agreement)

    def terms_faults(self, agreement: Agreement) -> Iterator[Finding]:
        """Yield why nothing can go under *agreement*."""
        if agreement.currency not in self.layout.currencies:
            yield unfit("currency", agreement.currency)
        if agreement.market not in self.layout.markets:
            yield unfit("market", agreement.market)
        number = str(agreement.settings.get("factor_party_id", ""))
        if not number:
            yield blocking("factoring.setting_missing", "factor_party_id", setting="factor_party_id")
        elif organisation_number_fault(
            _COUNTRIES.get(str(agreement.settings.get("factor_scheme", NORWAY)), ""), number
        ):
            yield unfit("factor_party_id", number)

    # --- the archive -------------------------------------------------------------------------------------------------

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write an archive of the documents as they were issued; the mark is set when the envelope is marked."""
        sequence = seal.sequences[DOCUMENTS]
        name, totals = f"peppol-{agreement.client_number}-{sequence:06d}.zip", Totals()
        with sink.open(name) as into, zipfile.ZipFile(into, "w") as archive:
            for claim in claims:
                faults = self.claim_faults(claim, agreement) if are_new else self.item_faults(claim, agreement)
                refuse(f"invoice {claim.invoice_number}", faults)
                if are_new:
                    _put(archive, _Document(f"invoice-{claim.claim_id}.xml", claim.document))
                for item in claim.items:
                    _put(archive, _Document(f"creditnote-{item.item_id}.xml", item.document))
                totals = _added(totals, claim, claim.items, are_new=are_new)
        return (Envelope(DOCUMENTS, sequence, name, "application/zip", agreement.currency, totals),)

    def mark(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Mark every document; the list of them says what it was before and is after."""
        number, factor = require_number(assignment), factor_of(assignment, agreement)
        with sink.open(envelope.filename) as into, zipfile.ZipFile(into, "w") as archive:
            rows = list[str]()
            for document in _documents(source):
                made = mark(document.content, factor)
                _put(archive, _Document(document.name, made.content))
                row = {"document": document.name, "agreement": number, "sha256_before": made.sha256_before}
                rows.append(json.dumps({**row, "sha256_after": made.sha256_after}))
            _put(archive, _Document(LIST, "".join(f"{row}\n" for row in rows).encode()))
        return replace(envelope, factoring_agreement=number)

    def verify(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Read every document strictly: number, amount and currency, each once; a marked one as its list says."""
        listed = _listed(source) if envelope.factoring_agreement else None
        count = items = debit = credit = 0
        seen = Seen()
        for document in _documents(source):
            told = read_ubl(io.BytesIO(document.content))
            if told.currency != agreement.currency:
                raise DecodeError("is not the agreement's", path=document.name, field="currency", value=told.currency)
            _check_listed(document, told, listed)
            seen.once("credit note" if _is_credit(told) else "invoice", told.number)
            if _is_credit(told):
                items, credit = items + 1, credit + abs(told.payable_minor)
            else:
                count, debit = count + 1, debit + told.payable_minor
        if not count and not items:
            raise DecodeError("holds no document; an empty envelope does not exist")
        if listed:
            raise DecodeError("is listed and not there", path=LIST, value=min(listed))
        return Totals(count or envelope.totals.claims, items, debit, credit)

    def deliver(self, envelope: Envelope, transport: Transport, content: BinaryIO, size: int) -> str:
        """Put each document into the mailbox under its own name; the archive itself stays here.

        One that lies there already from a broken attempt is not put again. Behind the first a failure leaves it in doubt:
        the factor may have fetched what was put, and nobody can ask it.
        """
        del size
        if not envelope.factoring_agreement:
            raise EncodeError(f"{envelope.filename} was never marked: a document that is not assigned does not leave")
        done = 0
        with SpooledTemporaryFile(
            max_size=MEMORY
        ) as archive:  # what the host hands over is read from front to back only
            copyfileobj(content, archive)
            for document in _documents(cast("BinaryIO", archive)):
                try:
                    _put_once(transport, document)
                except DeliveryError as error:
                    if done:
                        raise DeliveryInDoubt(
                            f"{done} documents of {envelope.filename} were put, then: {error}"
                        ) from error
                    raise
                done += 1
        return f"{envelope.filename}: {done} documents"


def _put_once(transport: Transport, document: _Document) -> None:
    there = io.BytesIO()
    if not transport.read_back(document.name, there):
        transport.put(document.name, io.BytesIO(document.content), len(document.content))
    elif there.getvalue() != document.content:
        raise DeliveryError(f"another {document.name} has not been fetched yet")


def factor_of(assignment: FactoringAssignment, agreement: Agreement) -> Factor:
    """Return who must be paid, by the creditor's factoring settings and the agreement's own."""
    settings = agreement.settings
    return Factor(
        name=assignment.factor_name,
        account=assignment.pay_to_account.replace(" ", ""),
        clause=" ".join(assignment.notice.split()),
        party_id=assignment.factor_party_id or str(settings.get("factor_party_id", "")),
        scheme=str(settings.get("factor_scheme", NORWAY)),
        is_coded=settings.get("type_code") == "factored",
        drops_signature=settings.get("drop_signature") is True,
    )


# --- documents -------------------------------------------------------------------------------------------------------


class _Expected(NamedTuple):
    """What a document must say: its amount is negative where it credits."""

    item_id: str
    number: str
    amount_minor: int
    reference: str


def _document_faults(content: bytes, own: _Expected, agreement: Agreement) -> Iterator[Finding]:
    """Yield why *content* is not the document of a ledger entry, or cannot be marked."""
    if not _NAME.fullmatch(own.item_id):
        yield unfit("claim_id", own.item_id)
    if not content:
        yield blocking("factoring.document_missing", "document", own.number, number=own.number)
        return
    try:
        told = read_ubl(io.BytesIO(content))
        mark(content, _stand_in(told.payee, agreement))
    except DataError as error:
        yield blocking("factoring.document_unmarkable", "document", own.number, reason=str(error))
        return
    amount_minor = -abs(told.payable_minor) if _is_credit(told) else told.payable_minor
    references = {reference for means in told.means for reference in means.references}
    for name, found, expected in (
        ("number", told.number, own.number),
        ("amount", amount_minor, own.amount_minor),
        ("currency", told.currency, agreement.currency),
        ("payment reference", ", ".join(sorted(references)), own.reference or ", ".join(sorted(references))),
    ):
        if found != expected:
            yield blocking("factoring.document_differs", "document", str(found), field=name, number=own.number)


def _stand_in(payee: Party | None, agreement: Agreement) -> Factor:
    """Return the factor as far as the agreement knows it: its number. A payee that is there must have that one.

    Name, account and clause are the creditor's settings, and no check of a claim sees them.
    """
    if payee is not None and not (payee.party_id or payee.legal_id):
        raise EncodeError(f"the document names the payee {payee.name!r} without a number: it may be anybody")
    known = factor_of(FactoringAssignment("", payee.name if payee else "a factor", "", "", "1", "a clause"), agreement)
    return replace(known, party_id=known.party_id or "-")


def _is_credit(told: UblDocument) -> bool:
    return told.root == "CreditNote" or told.payable_minor < 0


def _added(totals: Totals, claim: Claim, items: Iterable[LinkedItem], *, are_new: bool) -> Totals:
    amounts = [item.amount_minor for item in items]
    return Totals(
        totals.claims + 1,
        totals.items + len(amounts),
        totals.debit_minor + (claim.original_minor if are_new else 0),
        totals.credit_minor + sum(amounts),
    )


def _check_listed(document: _Document, told: UblDocument, listed: dict[str, str] | None) -> None:
    """Refuse a document that is not marked, or not as the list says; one that is, is taken off it."""
    if listed is None:
        return
    if told.payee is None or listed.pop(document.name, "") != hashlib.sha256(document.content).hexdigest():
        raise DecodeError("is not the document that was marked", path=document.name)


# --- bytes -----------------------------------------------------------------------------------------------------------


def _put(archive: zipfile.ZipFile, document: _Document) -> None:
    archive.writestr(zipfile.ZipInfo(document.name, _STAMP), document.content)


def _documents(source: BinaryIO) -> Iterator[_Document]:
    """Yield the documents of an archive, one at a time; the list of them is none."""
    for name, content in _members(source):
        if name != LIST:
            yield _Document(name, content)


def _listed(source: BinaryIO) -> dict[str, str]:
    """Return what the list says: the hash of each document after it was marked."""
    found = dict(_members(source, only=LIST))
    if LIST not in found:
        raise DecodeError("has no list of what was marked", path=LIST)
    try:
        rows = [json.loads(line) for line in found[LIST].splitlines()]
        return {str(row["document"]): str(row["sha256_after"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise DecodeError("cannot be read", path=LIST) from error


def _members(source: BinaryIO, only: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive of ours: stored as they are, under plain names, and nothing before the first."""
    source.seek(0)
    if source.read(4) != b"PK\x03\x04":
        raise DecodeError("is no archive of documents")
    try:
        with zipfile.ZipFile(source) as archive:
            names = set[str]()
            for info in archive.infolist():
                limit = _LIST_MAX if info.filename == LIST else MAX_BYTES
                is_plain = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1
                if (
                    not (is_plain and _NAME.fullmatch(info.filename))
                    or info.file_size > limit
                    or info.filename in names
                ):
                    raise DecodeError("is no file of such an archive", path=info.filename[:200])
                names.add(info.filename)
                if info.filename == only or not only:
                    yield info.filename, archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DecodeError(f"is damaged: {error}") from error
