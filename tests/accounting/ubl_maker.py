"""Writes UBL documents with invented data; every part can be replaced, so each test shows only what it is about."""

from __future__ import annotations

import io

from gateway.accounting.files import decode_file

BIS = "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
BILLING = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
EHF2 = "urn:www.cenbii.eu:transaction:biitrns010:ver2.0:extended:urn:www.difi.no:ehf:faktura:ver2.0"
REMINDER = BIS + "#conformant#urn:fdc:anskaffelser.no:2019:ehf:reminder:3.0"
REMINDER_PROFILE = "urn:fdc:anskaffelser.no:2019:ehf:postaward:g3:06:1.0"


def tag(name: str, text: str, **attributes: str) -> str:
    given = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<cbc:{name}{given}>{text}</cbc:{name}>" if text is not None else ""


def box(name: str, *parts: str) -> str:
    return f"<cac:{name}>{''.join(parts)}</cac:{name}>"


def party(name: str, number: str = "", scheme: str = "0192", *, own_number: str = "", own_scheme: str = "") -> str:
    """A party as EHF 3 writes it: transport address, own number, postal address, legal entity."""
    scheme_of = {"schemeID": own_scheme} if own_scheme else {}
    return box(
        "Party",
        tag("EndpointID", "987654325", schemeID="0192"),
        box("PartyIdentification", tag("ID", own_number, **scheme_of)) if own_number else "",
        box("PartyName", tag("Name", f"{name} butikk")),
        box(
            "PostalAddress",
            tag("StreetName", "Fjordveien 7"),
            tag("CityName", "Bergen"),
            tag("PostalZone", "5003"),
            box("Country", tag("IdentificationCode", "NO")),
        ),
        box(
            "PartyLegalEntity",
            tag("RegistrationName", name),
            tag("CompanyID", number, **({"schemeID": scheme} if scheme else {})) if number else "",
        ),
        box("Contact", tag("Telephone", "55 00 00 00"), tag("ElectronicMail", "post@eksempel.invalid")),
    )


def means(*references: str, code: str = "30", account: str = "", due: str = "") -> str:
    return box(
        "PaymentMeans",
        tag("PaymentMeansCode", code),
        tag("PaymentDueDate", due) if due else "",
        *(tag("PaymentID", reference) for reference in references),
        box("PayeeFinancialAccount", tag("ID", account)) if account else "",
    )


def totals(payable: str, *, inclusive: str = "", prepaid: str = "", rounding: str = "", currency: str = "NOK") -> str:
    def amount(name: str, text: str) -> str:
        return tag(name, text, currencyID=currency) if text else ""

    return box(
        "LegalMonetaryTotal",
        amount("TaxInclusiveAmount", inclusive or payable),
        amount("PrepaidAmount", prepaid),
        amount("PayableRoundingAmount", rounding),
        amount("PayableAmount", payable),
    )


SUPPLIER = party("Fjord AS", "974760673")
BUYER = party("Kunde og Sønn AS", "971526920", own_number="10023")


def credited(*numbers: str) -> str:
    return "".join(box("BillingReference", box("InvoiceDocumentReference", tag("ID", number))) for number in numbers)


def document(
    root: str = "Invoice",
    *,
    customization: str = BIS,
    profile: str = BILLING,
    number: str | None = "1001",
    type_code: str | None = "",
    issued: str = "2026-11-02",
    due: str | None = "2026-11-16",
    currency: str = "NOK",
    references: str = "",
    supplier: str = SUPPLIER,
    buyer: str = BUYER,
    payee: str = "",
    payment: str = "",
    terms: str = "",
    charges: str = "",
    amounts: str = "",
    extra: str = "",
) -> bytes:
    """Return a document; *type_code* empty means the usual one, None leaves it out."""
    code = type_code or {"Invoice": "380", "CreditNote": "381"}.get(root, "")
    parts = (
        tag("CustomizationID", customization),
        tag("ProfileID", profile),
        tag("ID", number),
        tag("IssueDate", issued),
        tag("DueDate", due) if root == "Invoice" else "",
        tag(f"{root}TypeCode", code) if type_code is not None and code else "",
        tag("DocumentCurrencyCode", currency),
        references,
        extra,
        box("AccountingSupplierParty", supplier),
        box("AccountingCustomerParty", buyer),
        box("PayeeParty", payee) if payee else "",
        payment or means("2345676", account="86011117947"),
        box("PaymentTerms", tag("Note", terms)) if terms else "",
        charges,
        amounts or totals("1250.00", currency=currency),
        box(f"{root}Line", tag("ID", "1"), box("Item", tag("Name", "Ved"))),
    )
    space = "urn:oasis:names:specification:ubl:schema:xsd:"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{space}{root}-2"'
        f' xmlns:cac="{space}CommonAggregateComponents-2" xmlns:cbc="{space}CommonBasicComponents-2">'
        f"{''.join(parts)}</{root}>"
    ).encode()


def decoded(content: bytes | None = None, **parts: object):
    return decode_file(io.BytesIO(document(**parts) if content is None else content), "a file")


def codes(found) -> set[str]:
    return {finding.code for finding in found.findings}
