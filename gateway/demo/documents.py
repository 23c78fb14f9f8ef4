"""The demo's invoices and credit notes as UBL files: for a layout that hands over the document itself.

They are taken by ``kravport ingest``, as an operator does. What is no document (payments, links) goes the usual way, by the
names that the entries of those files have.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from gateway.accounting.files import decode_file
from gateway.demo.ledger import DemoCreditor, Record

_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
_SCHEMES, _TAX_PER_MILLE = {"NO": "0192", "SE": "0007", "FI": "0212"}, {"NO": 250, "SE": 250, "FI": 255}
_KINDS = {"invoice": "Invoice", "credit_note": "CreditNote"}


class Issued(NamedTuple):
    """Documents by the name of their file, and the records that are none."""

    documents: Mapping[str, bytes]
    records: list[Record]


def issued(creditor: DemoCreditor, earlier: Iterable[Record], records: Iterable[Record]) -> Issued:
    """Return what the accounting system of *creditor* tells, as documents where it can.

    Args:
        creditor: whose invoices they are.
        earlier: what it told on the days before.
        records: as its ledger tells them today; customers come with their documents.
    """
    before, today = list(earlier), list(records)
    cards = {record["external_id"]: record for record in (*before, *today) if record["type"] == "customer"}
    names = dict[str, str]()
    documents = {}
    for record in (*before, *today):
        if record["type"] in _KINDS:
            content = _document(creditor, cards[record["customer"]], record)
            documents[record["external_id"]] = content
            document = decode_file(io.BytesIO(content), record["external_id"])
            if document.entry is not None and document.customer is not None:
                names[record["external_id"]] = document.entry.external_id
                names[record["customer"]] = document.customer.external_id
    rest = [_renamed(record, names) for record in today if record["type"] not in {*_KINDS, "customer"}]
    own = {record["external_id"] for record in today}
    return Issued({f"{name}.xml": content for name, content in documents.items() if name in own}, rest)


def _renamed(record: Record, names: Mapping[str, str]) -> Record:
    """Call what a record speaks of as the entries of the documents are called."""
    changed = dict(record)
    if "entries" in record:
        changed["entries"] = [names.get(one, one) for one in record["entries"]]
    if "customer" in record:
        changed["customer"] = names[record["customer"]]
    return changed


# --- one document ----------------------------------------------------------------------------------------------------


def _document(creditor: DemoCreditor, card: Mapping[str, Any], record: Record) -> bytes:
    """Return a whole document; the tax is inside the amount, as of any goods."""
    root, currency, minor = _KINDS[record["type"]], creditor.currency, record["amount_minor"]
    net = (minor * 2000 // (1000 + _TAX_PER_MILLE[creditor.country]) + 1) // 2
    head = "".join(_head(root, record, currency))
    parties = _party("AccountingSupplierParty", creditor.country, _seller(creditor))
    parties += _party("AccountingCustomerParty", card["country"], _buyer(card))
    body = (
        head
        + parties
        + _means(creditor, record)
        + _sums(creditor, currency, minor, net)
        + _line(root, creditor, record, net)
    )
    spaces = f'xmlns="{_UBL}{root}-2" xmlns:cac="{_UBL}CommonAggregateComponents-2" xmlns:cbc="{_UBL}CommonBasicComponents-2"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {spaces}>{body}</{root}>\n'.encode()


def _basic(name: str, value: object, **attributes: str) -> str:
    said = "".join(f" {key}={quoteattr(one)}" for key, one in attributes.items() if one)
    return f"<cbc:{name}{said}>{escape(str(value))}</cbc:{name}>" if value != "" else ""


def _whole(name: str, *parts: str) -> str:
    inside = "".join(parts)
    return f"<cac:{name}>{inside}</cac:{name}>" if inside else ""


def _amount(name: str, minor: int, currency: str) -> str:
    return _basic(name, f"{minor // 100}.{minor % 100:02d}", currencyID=currency)


def _head(root: str, record: Record, currency: str) -> Iterator[str]:
    yield _basic("CustomizationID", "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0")
    yield _basic("ProfileID", "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0")
    yield _basic("ID", record["number"]) + _basic("IssueDate", record["booked"])
    if root == "Invoice":
        yield _basic("DueDate", record.get("due", ""))
    yield _basic(f"{root}TypeCode", "380" if root == "Invoice" else "381") + _basic("DocumentCurrencyCode", currency)
    yield _basic("BuyerReference", f"ORD-{record['number']}")
    for number in record.get("credits", ()):
        yield _whole("BillingReference", _whole("InvoiceDocumentReference", _basic("ID", number)))


def _party(name: str, country: str, parts: tuple[str, str, str]) -> str:
    """*parts* stand in front of the address, in it, and behind it."""
    before, address, behind = parts
    place = _whole("PostalAddress", address, _whole("Country", _basic("IdentificationCode", country)))
    return _whole(name, _whole("Party", before, place, behind))


def _seller(creditor: DemoCreditor) -> tuple[str, str, str]:
    number, scheme = creditor.organisation_number.replace("-", ""), _SCHEMES[creditor.country]
    tax_number = f"{creditor.country}{number}{'MVA' if creditor.country == 'NO' else ''}"
    registers = {"VAT": tax_number} | ({"TAX": "Foretaksregisteret"} if creditor.country == "NO" else {})
    tax = "".join(
        _whole("PartyTaxScheme", _basic("CompanyID", value), _whole("TaxScheme", _basic("ID", name)))
        for name, value in registers.items()
    )
    legal = _whole(
        "PartyLegalEntity", _basic("RegistrationName", creditor.name), _basic("CompanyID", number, schemeID=scheme)
    )
    return _basic("EndpointID", number, schemeID=scheme), "", tax + legal


def _buyer(card: Mapping[str, Any]) -> tuple[str, str, str]:
    number, scheme = card.get("organisation_number", "").replace("-", ""), _SCHEMES[card["country"]]
    ident = _whole("PartyIdentification", _basic("ID", card["customer_number"]))
    address = (
        _basic("StreetName", card["address1"])
        + _basic("CityName", card["city"])
        + _basic("PostalZone", card["postcode"])
    )
    legal = _basic("RegistrationName", card["name"]) + _basic("CompanyID", number, schemeID=scheme)
    contact = _whole("Contact", _basic("Telephone", card["phone"]), _basic("ElectronicMail", card["email"]))
    endpoint = _basic("EndpointID", number or card["email"], schemeID=scheme if number else "EM")
    return endpoint + ident, address, _whole("PartyLegalEntity", legal) + contact


def _means(creditor: DemoCreditor, record: Record) -> str:
    reference = _basic("PaymentID", record.get("payment_reference", ""))
    account = _whole("PayeeFinancialAccount", _basic("ID", creditor.payment_account))
    terms = "" if record.get("due") else _whole("PaymentTerms", _basic("Note", "-"))
    return _whole("PaymentMeans", _basic("PaymentMeansCode", 30), reference, account) + terms


def _tax(creditor: DemoCreditor) -> str:
    per_mille = _TAX_PER_MILLE[creditor.country]
    percent = f"{per_mille // 10}.{per_mille % 10}"
    return _basic("ID", "S") + _basic("Percent", percent) + _whole("TaxScheme", _basic("ID", "VAT"))


def _sums(creditor: DemoCreditor, currency: str, minor: int, net: int) -> str:
    tax = _amount("TaxAmount", minor - net, currency)
    part = _whole("TaxSubtotal", _amount("TaxableAmount", net, currency), tax, _whole("TaxCategory", _tax(creditor)))
    sums = {"LineExtension": net, "TaxExclusive": net, "TaxInclusive": minor, "Payable": minor}
    totals = "".join(_amount(f"{name}Amount", value, currency) for name, value in sums.items())
    return _whole("TaxTotal", tax, part) + _whole("LegalMonetaryTotal", totals)


def _line(root: str, creditor: DemoCreditor, record: Record, net: int) -> str:
    quantity = "InvoicedQuantity" if root == "Invoice" else "CreditedQuantity"
    item = _whole("Item", _basic("Name", record.get("text", "-")), _whole("ClassifiedTaxCategory", _tax(creditor)))
    price = _whole("Price", _amount("PriceAmount", net, creditor.currency))
    amount = _amount("LineExtensionAmount", net, creditor.currency)
    return _whole(f"{root}Line", _basic("ID", 1), _basic(quantity, 1, unitCode="EA"), amount, item, price)
