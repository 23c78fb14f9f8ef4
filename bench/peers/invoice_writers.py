"""Peers: what others write invoices to XML with, one invoice with its customer at a time.

    PYTHON -m bench.peers.invoice_writers 1000        prints {"Jinja2": invoices per second, ...}

Runs under the environment of `bench.peer_environment`. Jinja2, lxml and xsdata write the very claim of `bench.floor.claim`;
drafthorse (Cross Industry Invoice), python-ubl and Tryton (UBL) write an invoice of one line in the only format they know.
Tryton's is its own template, filled from plain objects instead of its database, which flatters it. None reads a database
or checks against a schema: ours does both, and marks what it sent.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import field, make_dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from importlib.metadata import distribution
from operator import or_
from types import SimpleNamespace

from lxml import etree

from bench.floor import claim

Writer = Callable[[int], bytes]
ROUND_SECONDS = 0.5
"""The fast ones write the invoices again until so much time has passed."""
ISSUED, DUE = date(2026, 11, 23), date(2026, 12, 7)
NAMESPACES = {
    "drafthorse": "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}",
    "python-ubl": "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}",
    "Tryton": "{urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2}",
}


def facts(n: int) -> dict[str, dict[str, str]]:
    """Return the attributes of each element of a claim."""
    return {
        "Customer": {"customerNumber": f"{n}"},
        "CustomerDetails": {
            "kind": "company", "name": f"Kunde {n} Åsgård", "identityNumber": "999999980",
            "identityScheme": "no-orgnr", "address1": f"Storgata {n}", "postcode": "0155", "city": "OSLO",
            "country": "NO", "email": f"post{n}@kunde.example", "phone": "22334455", "language": "nb",
        },
        "Invoice": {"invoiceNumber": f"{n}", "claimId": f"kp-{n}", "reminderNumber": f"{n}"},
        "InvoiceHeader": {
            "invoiceDate": "2026-11-23", "dueDate": "2026-12-07", "originalAmount": f"{n}.00",
            "openAmount": f"{n}.00", "paymentReference": f"{n:015d}", "service": "ledger",
        },
        "Payment": {
            "itemId": f"kp-{n}-1", "date": "2026-11-23", "amount": f"{n}.00", "voucherNumber": f"v{n}",
        },
    }  # fmt: skip


def jinja2() -> Writer:
    """A template with escaping on, as web invoices are written."""
    from jinja2 import Environment

    def opened(element: str) -> str:
        cells = " ".join(f'{name}="{{{{ {name} }}}}"' for name in facts(1)[element])
        return f"<{element} {cells}"

    invoice = f"{opened('Invoice')}>{opened('InvoiceHeader')}/>{opened('Payment')}/></Invoice>"
    text = f"{opened('Customer')}>{opened('CustomerDetails')}/>{invoice}</Customer>"
    template = Environment(autoescape=True).from_string(text)
    return lambda n: template.render(reduce(or_, facts(n).values())).encode()


def lxml() -> Writer:
    """A tree of elements, as OCA writes them."""

    def write(n: int) -> bytes:
        told = facts(n)
        customer = etree.Element("Customer", told["Customer"])
        etree.SubElement(customer, "CustomerDetails", told["CustomerDetails"])
        invoice = etree.SubElement(customer, "Invoice", told["Invoice"])
        etree.SubElement(invoice, "InvoiceHeader", told["InvoiceHeader"])
        etree.SubElement(invoice, "Payment", told["Payment"])
        return etree.tostring(customer, encoding="utf-8")

    return write


def xsdata() -> Writer:
    """Dataclasses written by xsdata, as it generates them from a schema."""
    from xsdata.formats.dataclass.serializers import XmlSerializer
    from xsdata.formats.dataclass.serializers.config import SerializerConfig

    def model(name: str, *children: type) -> type:
        cells = [(key, str, field(metadata={"type": "Attribute"})) for key in facts(1)[name]]
        below = [(child.__name__, child, field(metadata={"type": "Element"})) for child in children]
        return make_dataclass(name, cells + below)

    details, header, payment = model("CustomerDetails"), model("InvoiceHeader"), model("Payment")
    invoice = model("Invoice", header, payment)
    customer = model("Customer", details, invoice)
    serializer = XmlSerializer(config=SerializerConfig(xml_declaration=False))

    def write(n: int) -> bytes:
        told = facts(n)
        below = invoice(
            **told["Invoice"], InvoiceHeader=header(**told["InvoiceHeader"]), Payment=payment(**told["Payment"])
        )
        made = customer(**told["Customer"], CustomerDetails=details(**told["CustomerDetails"]), Invoice=below)
        return serializer.render(made).encode()

    return write


def drafthorse() -> Writer:
    """ZUGFeRD and Factur-X, without its check against the schema."""
    from drafthorse.models.document import Document
    from drafthorse.models.tradelines import LineItem

    def write(n: int) -> bytes:
        document = Document()
        document.context.guideline_parameter.id = "urn:cen.eu:en16931:2017"
        document.header.id, document.header.type_code = f"{n}", "380"
        document.header.issue_date_time = ISSUED
        agreement, settlement = document.trade.agreement, document.trade.settlement
        agreement.seller.name, agreement.buyer.name = "Bench AS", f"Kunde {n} Åsgård"
        address = agreement.buyer.address
        address.line_one, address.postcode, address.city_name = f"Storgata {n}", "0155", "OSLO"
        address.country_id = "NO"
        settlement.currency_code, settlement.payment_reference = "NOK", f"{n:015d}"
        line = LineItem()
        line.document.line_id, line.product.name = "1", "Bench"
        line.agreement.net.amount = line.settlement.monetary_summation.total_amount = Decimal(n)
        document.trade.items.add(line)
        settlement.monetary_summation.grand_total = settlement.monetary_summation.due_amount = Decimal(n)
        return document.serialize(schema=None)

    return write


def python_ubl() -> Writer:
    """UBL 2.1 as Peppol wants it."""
    from ubl.models import Invoice, InvoiceLine, Item, Party, PaymentMeans, PostalAddress

    def party(name: str, street: str):
        address = PostalAddress(street_name=street, city_name="OSLO", postal_zone="0155", country="NO")
        return Party(name=name, registration="999999980", country_code="NO", postal_address=address)

    def write(n: int) -> bytes:
        return Invoice(
            id=f"{n}", issue_date=ISSUED, due_date=DUE, document_currency_code="NOK",
            supplier=party("Bench AS", "Storgata"), customer=party(f"Kunde {n} Åsgård", f"Storgata {n}"),
            lines=[InvoiceLine(id="1", line_extension_amount=Decimal(n), item=Item(name="Bench"))],
            payment_means=[PaymentMeans(payment_id=f"{n:015d}")],
        ).to_xml_string(pretty_print=False).encode()  # fmt: skip

    return write


def tryton() -> Writer:
    """Tryton's template of a Peppol invoice, rendered by Genshi as `edocument.ubl.invoice` does."""
    from genshi.template import TemplateLoader

    folder = distribution("trytond_edocument_ubl").locate_file("trytond/modules/edocument_ubl/template")
    template = TemplateLoader([str(folder)]).load("2/Invoice.xml")
    account = SimpleNamespace(iban_compact="NO9386011117947", bank=None, __name__="bank.account")
    means = [SimpleNamespace(unece_code="30", instrument=account)]
    number = SimpleNamespace(eas_code="0192", eas="999999980", iso_6523="0192", code_compact="999999980", unece_code="")

    def party(name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, identifier_eas=number, identifier_iso6523=number, identifiers=[number])

    def address(street: str) -> SimpleNamespace:
        country = SimpleNamespace(code="NO", name="Norway")
        return SimpleNamespace(street=street, city="OSLO", postal_code="0155", subdivision=None, country=country)

    def write(n: int) -> bytes:
        amount = Decimal(n)
        invoice = SimpleNamespace(
            number=f"{n}", invoice_date=ISSUED, currency=SimpleNamespace(code="NOK"), reference="", origin_invoices=[],
            lines_to_pay=[SimpleNamespace(maturity_date=DUE, amount=amount)], payment_means=means, payment_term=None,
            customer_payment_reference=f"{n:015d}", untaxed_amount=amount, tax_amount=Decimal(0), total_amount=amount,
        )  # fmt: skip
        product = SimpleNamespace(name="Bench", identifier_get=lambda _: "")
        line = SimpleNamespace(
            unit=None, quantity=1, amount=amount, unit_price=amount, description="", product=product, invoice_taxes=[],
            product_customer_code="", product_supplier_code="",
        )  # fmt: skip
        this = SimpleNamespace(
            invoice=invoice, type_code="380", sale_reference="", sale_number="", allowance_charge=[], taxes=[],
            lines=[line], prepaid_amount=Decimal(0), allowed_additional_documents=lambda _: [],
            accounting_supplier_party=party("Bench AS"), accounting_supplier_address=address("Storgata"),
            accounting_supplier_tax_identifier=None, accounting_customer_party=party(f"Kunde {n} Åsgård"),
            accounting_customer_address=address(f"Storgata {n}"), accounting_customer_tax_identifier=None,
        )  # fmt: skip
        made = template.generate(this=this, specification="peppol-bis-3", Decimal=Decimal)
        return made.render().encode()

    return write


WRITERS = {
    "Jinja2": jinja2, "lxml": lxml, "xsdata": xsdata, "drafthorse": drafthorse, "python-ubl": python_ubl, "Tryton": tryton,
}  # fmt: skip


def check(name: str, n: int, written: bytes) -> None:
    """Compare with the claim of the floor, or number and amount where the format is another."""
    root = etree.fromstring(written)
    if space := NAMESPACES.get(name):
        amount = "DuePayableAmount" if name == "drafthorse" else "PayableAmount"
        assert [Decimal(found.text) for found in root.iter(space + amount)] == [n], written
        assert f"{n:015d}" in (found.text for found in root.iter()), written
        return
    parser = etree.XMLParser(remove_blank_text=True)
    assert etree.tostring(root, method="c14n") == etree.tostring(etree.XML(claim(n), parser), method="c14n"), written


def rate(name: str, count: int) -> float:
    """Return invoices a second after all were found right."""
    write = WRITERS[name]()
    for n in range(1, count + 1):
        check(name, n, write(n))
    done, begin = 0, time.process_time()
    while done == 0 or time.process_time() - begin < ROUND_SECONDS:
        for n in range(1, count + 1):
            write(n)
        done += count
    return done / (time.process_time() - begin)


if __name__ == "__main__":
    print(json.dumps({name: rate(name, int(sys.argv[1])) for name in WRITERS}))
