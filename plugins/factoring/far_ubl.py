"""How the far side reads assigned Peppol documents: with another XML parser, and by the page's words (factoring-peppol.md).

It takes nothing on trust: the rules of the page that a factor's own gate would ask for are asked for here, the arithmetic of
EN 16931 included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from plugins.factoring.far_files import Card, Facts, Item, Layout, Said, UnreadableFile, hundredths

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_NAMES = {"cac": f"{_UBL}CommonAggregateComponents-2", "cbc": f"{_UBL}CommonBasicComponents-2"}
_PROCESS = {
    "cbc:CustomizationID": "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0",
    "cbc:ProfileID": "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0",
}
_SELLER, _BUYER = "cac:AccountingSupplierParty/cac:Party/", "cac:AccountingCustomerParty/cac:Party/"
_CODES = {
    ("Invoice", False): "380",
    ("Invoice", True): "393",
    ("CreditNote", False): "381",
    ("CreditNote", True): "396",
}
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Document:
    """One document; every question names the element it asks for."""

    def __init__(self, content: bytes) -> None:
        if b"<!DOCTYPE" in content:
            raise UnreadableFile("has a document type declaration")
        try:
            self.root = ET.fromstring(content)  # noqa: S314  without a declaration there is nothing to expand or fetch
        except (ET.ParseError, ValueError, LookupError) as error:
            raise UnreadableFile("is no XML") from error
        self.name = self.root.tag.rpartition("}")[2]
        if self.name not in {"Invoice", "CreditNote"} or self.root.tag != f"{{{_UBL}{self.name}-2}}{self.name}":
            raise UnreadableFile("is no UBL invoice or credit note")

    def every(self, path: str) -> list[str]:
        return [(one.text or "").strip() for one in self.root.findall(path, _NAMES)]

    def one(self, path: str) -> str:
        found = self.every(path)
        if len(found) != 1 or not found[0]:
            raise UnreadableFile(f"{path}: {len(found)} where one is wanted")
        return found[0]

    def must(self, path: str, *expected: str) -> None:
        found = set(self.every(path))
        if not found or not found <= set(expected):
            raise UnreadableFile(f"{path}: {', '.join(sorted(found)) or 'nothing'} is not {' or '.join(expected)}")

    def minor(self, path: str) -> int:
        return hundredths(self.one(path), path)

    def total(self, path: str) -> int:
        return sum(hundredths(one, path) for one in self.every(path))


def _read(_: str, content: bytes, facts: Facts) -> Iterator[Said]:
    document = _Document(content)
    for path, expected in _PROCESS.items():
        document.must(path, expected)
    _check_assigned(document, facts)
    _check_sums(document)
    customer = document.one(f"{_BUYER}cac:PartyIdentification/cbc:ID")
    if not customer.isdigit():
        raise UnreadableFile(f"customer number {customer} is none")
    name = document.one(f"{_BUYER}cac:PartyLegalEntity/cbc:RegistrationName")
    yield Card(int(customer), "".join(document.every(f"{_BUYER}cac:PartyLegalEntity/cbc:CompanyID")), name)
    yield _item(document, int(customer))


def _check_assigned(document: _Document, facts: Facts) -> None:
    """Clause, payee and account: all three make a document assigned; the type says so where that was agreed."""
    document.must(f"cbc:{document.name}TypeCode", _CODES[document.name, facts.get("type_code") == "factored"])
    payee = document.one("cac:PayeeParty/cac:PartyName/cbc:Name")
    if payee != facts.get("agency_name", payee) or payee in document.every(f"{_SELLER}cac:PartyName/cbc:Name"):
        raise UnreadableFile(f"payee {payee} is not the factor")
    document.must("cac:PayeeParty/cac:PartyIdentification/cbc:ID", facts["factor_party_id"])
    document.must("cac:PayeeParty/cac:PartyLegalEntity/cbc:CompanyID", facts["factor_party_id"])
    document.must(
        "cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID", facts.get("pay_to_account", facts["creditor_account"])
    )
    if facts.get("clause", "") not in document.one("cbc:Note"):
        raise UnreadableFile("its note does not say that it is assigned")


def _check_sums(document: _Document) -> None:
    """EN 16931: the lines make the total, the tax comes on top, and so much is to be paid (BR-CO-10, 13, 15, 16)."""
    total = "cac:LegalMonetaryTotal/cbc:"
    lines = document.total(f"cac:{document.name}Line/cbc:LineExtensionAmount")
    net, allowances, charges = lines, *(document.total(f"{total}{name}TotalAmount") for name in ("Allowance", "Charge"))
    net += charges - allowances
    gross = net + document.total("cac:TaxTotal/cbc:TaxAmount")
    payable = gross + document.total(f"{total}PayableRoundingAmount") - document.total(f"{total}PrepaidAmount")
    for name, found in (("LineExtension", lines), ("TaxExclusive", net), ("TaxInclusive", gross), ("Payable", payable)):
        if document.minor(f"{total}{name}Amount") != found:
            raise UnreadableFile(f"{name}Amount is not {found}, which its parts make")


def _item(document: _Document, customer: int) -> Item:
    is_credit, number, dated = document.name == "CreditNote", document.one("cbc:ID"), document.one("cbc:IssueDate")
    due = (document.every("cbc:DueDate") or [dated])[0]
    amount_minor = document.minor("cac:LegalMonetaryTotal/cbc:PayableAmount")
    if not number.isdigit() or amount_minor <= 0 or not all(map(_DAY.fullmatch, (dated, due))):
        raise UnreadableFile(f"item {number}: number, day or amount is none")
    credited = None
    if is_credit:
        credited = int(document.one("cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"))
    references = set(document.every("cac:PaymentMeans/cbc:PaymentID"))
    if len(references) > 1:
        raise UnreadableFile(f"item {number}: {len(references)} references to pay by")
    return Item(is_credit, int(number), customer, amount_minor, dated, due, credited, next(iter(references), ""))


PEPPOL = Layout(lambda _: ("invoice-*.xml", "creditnote-*.xml"), _read)
