"""What a UBL document is worth: invoice, credit note, reminder, or something a person must look at first.

Root element alone decides nothing: an EHF reminder is a UBL invoice too (U1), and an importer that books it claims the
money twice. Source: accounting/files.md section 2; the numbers U1 to U12 are its traps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from enum import Enum
from typing import NamedTuple

from gateway.accounting.parties import country_of_scheme, customer_record, organisation_number, registered_number
from gateway.domain.exchange import Finding, Severity
from gateway.domain.identifiers import (
    KidCheck,
    OcrLevel,
    is_account,
    is_kid,
    is_ocr,
    is_rf,
    organisation_number_fault,
)
from gateway.domain.ledger import CustomerRecord, EntryKind, EntryRecord
from gateway.formats.ubl import UblDocument

_BIS = "urn:fdc:peppol.eu:2017:poacc:billing:3.0"
_EN16931 = "urn:cen.eu:en16931:2017"
_CONFORMANT = "#conformant#"
_REMINDER = "urn:fdc:anskaffelser.no:2019:ehf:reminder:"
_REMINDER_PROFILE = "urn:fdc:anskaffelser.no:2019:ehf:postaward:g3:06:"
_EHF2 = "urn:www.difi.no:ehf:"

_INVOICE_TYPES = frozenset({
    "71", "80", "82", "84", "102", "218", "219", "326", "331", "380", "382", "383", "384", "386", "388", "389", "393",
    "395", "553", "575", "623", "780", "817", "870", "875", "876", "877",
})  # fmt: skip
_CREDIT_NOTE_TYPES = frozenset({"81", "83", "381", "396", "532"})
_FACTORED = frozenset({"393", "396"})
_SELF_BILLED = "389"
_PROBABLY_PAID = frozenset({"10", "48", "97"})
_REMINDER_FEE = "REM"


class DocumentKind(Enum):
    """What a file turned out to be. ``HELD`` has no ledger entry: a person must first say what it is."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    REMINDER = "reminder"
    HELD = "held"
    REFUSED = "refused"
    RECORDS = "records"


class Judgement(NamedTuple):
    """What a UBL document is. *form* names its format, *hold_code* why its entry may not go to an agency yet."""

    kind: DocumentKind
    form: str
    hold_code: str
    findings: tuple[Finding, ...]


def judge(document: UblDocument) -> Judgement:
    """Return what *document* is and everything there is to say about it, all at once (S11)."""
    form = _form(document)
    if form.startswith("ehf-reminder") or document.root == "Reminder":
        return Judgement(DocumentKind.REMINDER, form, "", tuple(_about_reminder(document)))
    findings = [*_about_kind(document, form), *_about_claim(document, form), *_about_payment(document)]
    findings += _about_customer(document)
    holds = [finding.code for finding in findings if finding.severity is Severity.BLOCKING]
    kind = DocumentKind.CREDIT_NOTE if _is_credit(document) else DocumentKind.INVOICE
    if any(code in _NO_ENTRY for code in holds):
        kind = DocumentKind.HELD
    return Judgement(kind, form, min(holds, key=_rank, default=""), tuple(findings))


def entry_of(document: UblDocument, judgement: Judgement) -> tuple[CustomerRecord, EntryRecord] | None:
    """Return customer card and ledger entry of a judged document, None where it makes none.

    The claim is what is left to pay at issue; what was prepaid is inside it already (U6). A credit note is negative in
    the ledger whatever its sign in the file (L1).
    """
    if judgement.kind not in {DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE}:
        return None
    is_credit = judgement.kind is DocumentKind.CREDIT_NOTE
    customer = customer_record(document.customer)
    return customer, EntryRecord(
        external_id=f"{document.root}:{document.number}:{document.issue_date.isoformat()}",
        kind=EntryKind.CREDIT_NOTE if is_credit else EntryKind.INVOICE,
        customer_external_id=customer.external_id,
        amount_minor=-abs(document.payable_minor) if is_credit else document.payable_minor,
        currency=document.currency,
        booked=document.issue_date,
        due=due_date(document),
        number=document.number,
        payment_reference=payment_reference(document),
        order_number=document.order_number,
        credits=document.references if is_credit else (),
        hold_code=judgement.hold_code,
        document_form="negative_invoice" if is_credit and document.root == "Invoice" else "",
    )


def due_date(document: UblDocument) -> date | None:
    """Return the due date: BIS invoices say it once, credit notes, EHF 2 and OIOUBL with each way to pay (U8).

    Two different days are no due date; a sentence in the payment terms is never read (files.md 2.2).
    """
    days = {means.due for means in document.means if means.due}
    return document.due_date or (days.pop() if len(days) == 1 else None)


def payment_references(document: UblDocument) -> tuple[str, ...]:
    """Return every payment reference the document gives, each once."""
    return tuple(dict.fromkeys(reference for means in document.means for reference in means.references))


def payment_reference(document: UblDocument) -> str:
    """Return the payment reference, empty when there is none or when several contradict each other."""
    found = payment_references(document)
    return found[0] if len(found) == 1 else ""


# --- recognising -----------------------------------------------------------------------------------------------------


_FORMS: tuple[tuple[str, Callable[[UblDocument], bool]], ...] = (
    ("ehf-reminder-3", lambda d: _REMINDER in d.customization or d.profile.startswith(_REMINDER_PROFILE)),
    ("ubl-reminder", lambda d: d.root == "Reminder"),
    ("extension", lambda d: _CONFORMANT in d.customization),
    ("peppol-bis-3", lambda d: _BIS in d.customization),
    ("en16931", lambda d: d.customization == _EN16931),
    ("ehf-2", lambda d: _EHF2 in d.customization),
    ("oioubl-2", lambda d: d.customization.startswith("OIOUBL-2")),
)
"""Formats and how each is told; the first that fits counts, since their names contain one another."""


def _form(document: UblDocument) -> str:
    return next((form for form, fits in _FORMS if fits(document)), "unknown")


def _is_credit(document: UblDocument) -> bool:
    return document.root == "CreditNote" or document.payable_minor < 0


_NO_ENTRY = frozenset(
    {
        "document.extension_unknown",
        "document.type_unknown",
        "document.negative_credit_note",
        "document.overpaid",
        "document.field_missing",
    }
)
"""Findings that leave open what the document is; without knowing that there is no entry to write."""


def _rank(code: str) -> int:
    """Return the place of *code* among several holds: a factor before what a date or a look can mend."""
    return 0 if code in _NO_ENTRY else 1 if code == "payee.not_creditor" else 2


# --- findings --------------------------------------------------------------------------------------------------------


def _blocking(code: str, place: str, value: str = "", **values: object) -> Finding:
    return Finding(Severity.BLOCKING, code, place, value, values or {"value": value})


def _warning(code: str, place: str, value: str = "", **values: object) -> Finding:
    return Finding(Severity.WARNING, code, place, value, values or {"value": value})


def _information(code: str, place: str, value: str = "") -> Finding:
    return Finding(Severity.INFO, code, place, value, {"value": value})


def _about_kind(document: UblDocument, form: str) -> Iterator[Finding]:
    if form in {"extension", "unknown"}:
        yield _blocking("document.extension_unknown", "CustomizationID", document.customization)
    if form == "en16931":
        yield _information("document.plain_en16931", "CustomizationID", document.customization)
    if form == "oioubl-2":
        yield _blocking("document.oioubl", "CustomizationID", document.customization)
    place, known = f"{document.root}TypeCode", _CREDIT_NOTE_TYPES
    if document.root == "Invoice":
        known = _INVOICE_TYPES
        if not document.type_code:
            yield _blocking("document.field_missing", place, field=place)
    if document.type_code and document.type_code not in known:
        yield _blocking("document.type_unknown", place, document.type_code)
    if document.type_code == _SELF_BILLED:
        yield _warning("document.self_billed", place, document.type_code)
    if document.payable_minor < 0 and document.root == "CreditNote":
        yield _blocking("document.negative_credit_note", "PayableAmount")
    elif document.payable_minor < 0 and (document.total_minor or 0) >= 0:
        yield _blocking("document.overpaid", "PayableAmount")


def _about_claim(document: UblDocument, form: str) -> Iterator[Finding]:
    if document.total_minor is None and form != "oioubl-2":
        yield _warning("document.total_missing", "TaxInclusiveAmount")
    elif form != "oioubl-2" and document.payable_minor != _expected(document):
        yield _blocking("document.totals", "PayableAmount")
    if document.payable_minor == 0:
        yield _information("document.nothing_to_pay", "PayableAmount")
    elif not _is_credit(document):
        yield _information("document.payments_unknown", "PayableAmount")
        if due_date(document) is None:
            yield _blocking("document.due_date_missing", "DueDate", "; ".join(document.terms))
    if _is_credit(document) and len(document.references) > 1:
        yield _information("document.several_credited", "BillingReference", ", ".join(document.references))


def _expected(document: UblDocument) -> int:
    return (document.total_minor or 0) - document.prepaid_minor + document.rounding_minor


def _about_payment(document: UblDocument) -> Iterator[Finding]:
    yield from _about_payee(document)
    references = payment_references(document)
    if len(references) > 1:
        yield _warning("document.several_references", "PaymentID", ", ".join(references))
    for reference in references:
        if _is_wrong_reference(reference, _money_country(document)):
            yield _warning("reference.check_digit", "PaymentID", reference)
    for means in document.means:
        if means.code in _PROBABLY_PAID:
            yield _warning("document.probably_paid", "PaymentMeansCode", means.code)
    for account in dict.fromkeys(means.account for means in document.means if means.account):
        if _is_wrong_account(account, _money_country(document)):
            yield _warning("account.check_digit", "PayeeFinancialAccount", account)


def _about_payee(document: UblDocument) -> Iterator[Finding]:
    """A payee with another id than the supplier's is a factor; so say the type codes 393 and 396 (files.md 2.4)."""
    payee, number = document.payee, ""
    if payee is not None:
        number = organisation_number(payee) or payee.party_id
        own = {registered_number(document.supplier), document.supplier.party_id} - {""}
        if not number or number in own:
            yield _warning("document.payee_named", "PayeeParty", payee.name or number)
            number = ""
    if number or document.type_code in _FACTORED:
        name = payee.name if payee else ""
        yield _blocking("payee.not_creditor", "PayeeParty", name or number or document.type_code)


def _about_customer(document: UblDocument) -> Iterator[Finding]:
    country, number = country_of_scheme(document.customer.legal_scheme), organisation_number(document.customer)
    fault = organisation_number_fault(country, number) if country and number else ""
    if fault:
        yield _warning(fault, "AccountingCustomerParty", number)


def _about_reminder(document: UblDocument) -> Iterator[Finding]:
    """A reminder names its invoice; as fee counts only what is coded so, a text is shown and asked about (U2)."""
    yield _information("document.reminder", "BillingReference", ", ".join(document.references))
    if len(document.references) != 1:
        yield _warning("document.field_missing", "BillingReference", field="BillingReference")
    charges = [charge for charge in document.charges if charge.is_charge]
    if reminder_fee(document) is None and charges:
        yield _warning("document.reminder_fee", "AllowanceCharge", "; ".join(charge.reason for charge in charges))


def reminder_fee(document: UblDocument) -> int | None:
    """Return the fee a reminder charges in minor units, None where no charge is coded as one (U2)."""
    fees = [
        charge.amount_minor for charge in document.charges if charge.is_charge and charge.reason_code == _REMINDER_FEE
    ]
    return sum(fees) if fees else None


def _money_country(document: UblDocument) -> str:
    """Return the country whose rules for references and accounts apply: that of the account, else the supplier's."""
    accounts: Iterable[str] = (means.account[:2].upper() for means in document.means)
    return next((country for country in accounts if country in {"NO", "SE"}), document.supplier.country)


def _is_wrong_reference(reference: str, country: str) -> bool:
    """Return whether a check digit fails; which modulus a bank agreement fixed is not said, so either may fit (U3)."""
    if reference[:2].upper() == "RF":
        return not is_rf(reference)
    if not (reference.isascii() and reference.isdigit()):
        return False
    if country == "NO":
        return not any(is_kid(reference, check) for check in KidCheck)
    return country == "SE" and not is_ocr(reference, OcrLevel.SOFT)


def _is_wrong_account(account: str, country: str) -> bool:
    is_international = account[:2].isalpha()
    return (is_international or country in {"NO", "SE"}) and not is_account(country, account)
