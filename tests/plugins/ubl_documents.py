"""Invented UBL documents of Fjord AS as its accounting system issues them: whole ones, which pass every published rule."""

UBL = "urn:oasis:names:specification:ubl:schema:xsd:"


def head(root, charset="UTF-8"):
    return (
        f'<?xml version="1.0" encoding="{charset}"?>\n<{root} xmlns="{UBL}{root}-2" '
        f'xmlns:cac="{UBL}CommonAggregateComponents-2" xmlns:cbc="{UBL}CommonBasicComponents-2">'
    )


PROCESS = (
    "<cbc:CustomizationID>urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0</cbc:CustomizationID>"
    "<cbc:ProfileID>urn:fdc:peppol.eu:2017:poacc:billing:01:1.0</cbc:ProfileID>"
)
ORDER = "<cbc:BuyerReference>ORD-77</cbc:BuyerReference>"


MEANS = (
    "<cac:PaymentMeans><cbc:PaymentMeansCode>30</cbc:PaymentMeansCode><cbc:PaymentID>111</cbc:PaymentID>"
    "<cac:PayeeFinancialAccount><cbc:ID>NO1215030000010</cbc:ID><cbc:Name>Fjord</cbc:Name></cac:PayeeFinancialAccount>"
    "</cac:PaymentMeans>"
)
SELLER = (
    '<cac:AccountingSupplierParty><cac:Party><cbc:EndpointID schemeID="0192">999999964</cbc:EndpointID>'
    "<cac:PartyName><cbc:Name>Fjord AS</cbc:Name></cac:PartyName><cac:PostalAddress><cac:Country>"
    "<cbc:IdentificationCode>NO</cbc:IdentificationCode></cac:Country></cac:PostalAddress>"
    "<cac:PartyTaxScheme><cbc:CompanyID>NO999999964MVA</cbc:CompanyID><cac:TaxScheme><cbc:ID>VAT</cbc:ID>"
    "</cac:TaxScheme></cac:PartyTaxScheme><cac:PartyTaxScheme><cbc:CompanyID>Foretaksregisteret</cbc:CompanyID>"
    "<cac:TaxScheme><cbc:ID>TAX</cbc:ID></cac:TaxScheme></cac:PartyTaxScheme>"
    "<cac:PartyLegalEntity><cbc:RegistrationName>Fjord AS</cbc:RegistrationName>"
    '<cbc:CompanyID schemeID="0192">999999964</cbc:CompanyID></cac:PartyLegalEntity></cac:Party>'
    "</cac:AccountingSupplierParty>"
)
BUYER = (
    '<cac:AccountingCustomerParty><cac:Party><cbc:EndpointID schemeID="0192">999999980</cbc:EndpointID>'
    "<cac:PartyIdentification><cbc:ID>100017</cbc:ID></cac:PartyIdentification>"
    "<cac:PostalAddress><cbc:StreetName>Storgata 1</cbc:StreetName>"
    "<cbc:CityName>OSLO</cbc:CityName><cbc:PostalZone>0155</cbc:PostalZone><cac:Country><cbc:IdentificationCode>NO"
    "</cbc:IdentificationCode></cac:Country></cac:PostalAddress><cac:PartyLegalEntity><cbc:RegistrationName>Bygg &amp; "
    'Anlegg &lt;AS&gt;</cbc:RegistrationName><cbc:CompanyID schemeID="0192">999999980</cbc:CompanyID>'
    "</cac:PartyLegalEntity></cac:Party></cac:AccountingCustomerParty>"
)
_ZERO = "<cbc:ID>Z</cbc:ID><cbc:Percent>0</cbc:Percent><cac:TaxScheme><cbc:ID>VAT</cbc:ID></cac:TaxScheme>"


def _amount(name, minor, currency):
    return f'<cbc:{name} currencyID="{currency}">{minor // 100}.{minor % 100:02d}</cbc:{name}>'


def totals(minor, currency="NOK"):
    """All of it at the zero rate: any amount adds up."""
    names = ("LineExtensionAmount", "TaxExclusiveAmount", "TaxInclusiveAmount", "PayableAmount")
    tax = _amount("TaxAmount", 0, currency)
    return (
        f"<cac:TaxTotal>{tax}<cac:TaxSubtotal>{_amount('TaxableAmount', minor, currency)}{tax}"
        f"<cac:TaxCategory>{_ZERO}</cac:TaxCategory></cac:TaxSubtotal></cac:TaxTotal>"
        f"<cac:LegalMonetaryTotal>{''.join(_amount(name, minor, currency) for name in names)}</cac:LegalMonetaryTotal>"
    )


def line(root, quantity, minor, currency):
    return (
        f"<cac:{root}Line><cbc:ID>1</cbc:ID><cbc:Note>Linje</cbc:Note><!-- a > b -->"
        f'<cbc:{quantity} unitCode="EA">1</cbc:{quantity}>{_amount("LineExtensionAmount", minor, currency)}'
        f"<cac:Item><cbc:Name>Varer</cbc:Name><cac:ClassifiedTaxCategory>{_ZERO}</cac:ClassifiedTaxCategory></cac:Item>"
        f"<cac:Price>{_amount('PriceAmount', minor, currency)}</cac:Price></cac:{root}Line></{root}>\n"
    )


def invoice_document(
    number, minor, currency="NOK", *, note="", means=MEANS, code="380", extra="", total=None, buyer=BUYER
):
    """An invoice issued 2026-10-15, due two weeks later, to be paid by reference 111."""
    return (
        f"{head('Invoice')}{extra}{PROCESS}<cbc:ID>{number}</cbc:ID><cbc:IssueDate>2026-10-15</cbc:IssueDate>"
        f"<cbc:DueDate>2026-10-29</cbc:DueDate><cbc:InvoiceTypeCode>{code}</cbc:InvoiceTypeCode>{note}"
        f"<cbc:DocumentCurrencyCode>{currency}</cbc:DocumentCurrencyCode>{ORDER}{SELLER}{buyer}{means}"
        f"{totals(minor, currency) if total is None else total}{line('Invoice', 'InvoicedQuantity', minor, currency)}"
    ).encode()


def credit_note_document(number, minor, credits_="5067"):
    """A credit note of the same day for invoice *credits_*."""
    return (
        f"{head('CreditNote')}{PROCESS}<cbc:ID>{number}</cbc:ID><cbc:IssueDate>2026-10-15</cbc:IssueDate>"
        "<cbc:CreditNoteTypeCode>381</cbc:CreditNoteTypeCode><cbc:DocumentCurrencyCode>NOK</cbc:DocumentCurrencyCode>"
        f"{ORDER}<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>{credits_}</cbc:ID>"
        f"</cac:InvoiceDocumentReference></cac:BillingReference>{SELLER}{BUYER}{MEANS}"
        f"<cac:PaymentTerms><cbc:Note>Avregnes</cbc:Note></cac:PaymentTerms>{totals(minor)}"
        f"{line('CreditNote', 'CreditedQuantity', minor, 'NOK')}"
    ).encode()
