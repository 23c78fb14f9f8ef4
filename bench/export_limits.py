"""What the same bytes cost without a single check: an f-string a record, lxml's incremental writer, ``json.dumps``.

The f-strings are printed from the columns of a profile as a hand would write them: whatever is the same in the whole file
stands in the string, the rest is taken straight from the claim and padded. `bench.exports` holds the bytes against ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice
from typing import Any, BinaryIO

from lxml import etree

from gateway.domain.exchange import Claim
from gateway.domain.money import format_minor
from gateway.profiles import FileLayout
from gateway.profiles.declaration import Field, Part
from gateway.profiles.kinds import DATES
from gateway.profiles.sources import AS_INVOICE, CUSTOMER, PLACES

Writer = Callable[[Iterable[Claim], BinaryIO], None]


def fixed_width(layout: FileLayout, ours: bytes) -> Writer:
    """Return a writer of *layout* by f-strings.

    Args:
        layout: of columns, with invoices only.
        ours: a finished file of a few claims; what never changes is read off it.
    """
    lines = ours.decode(layout.encoding).split(layout.newline)
    head = layout.newline.join(lines[: len(layout.head)])
    body = [part for part in layout.parts.values() if not part.is_single]
    repeated = [part for part in body if not part.kinds or "invoice" in part.kinds]
    once = [part for part in repeated if part.each == CUSTOMER]
    per_claim = [part for part in repeated if part.each != CUSTOMER and part.each in {"claim", "document"}]
    samples = dict(zip((part.key for part in once + per_claim), lines[len(layout.head) :], strict=False))
    source = ["def write(claims, out):", "    last, put = None, out.write"]
    source.append(f"    put({_text(head + layout.newline if layout.head else '', layout)})")
    source.append("    for c in claims:")
    source.append("        u = c.customer")
    if once:
        source += ["        if u is not last:", "            last = u"]
        source += [f"            put({_record(part, samples[part.key], layout)})" for part in once]
    source += [f"        put({_record(part, samples[part.key], layout)})" for part in per_claim]
    made: dict[str, Any] = {}
    exec("\n".join(source), made)  # our own text, printed from a profile that was checked
    writer: Writer = made["write"]
    return writer


def _record(part: Part, sample: str, layout: FileLayout) -> str:
    pieces = [_piece(one, sample) for one in sorted(part.fields, key=lambda one: one.start)]
    return f'f"{"".join(pieces)}{_escaped(layout.newline)}".encode("{layout.encoding}")'


def _piece(one: Field, sample: str) -> str:
    """Return one column as a part of an f-string: a literal where the whole file says the same."""
    rule, source = one.rule, AS_INVOICE.get(one.source, one.source)
    place = PLACES.get(source)
    if source == "customer.postcode_city":
        return f"{{u.postcode + ' ' + u.city:<{rule.longest}}}"
    if place is None or place.root not in {"customer", "claim"} or rule.type == "code":
        return _escaped(sample[one.start - 1 : one.stop])
    value = f"{'u' if place.root == CUSTOMER else 'c'}.{place.get}"
    if rule.type == "date":
        return f"{{{value}:{DATES[rule.form or 'YYYYMMDD']}}}"
    for sign in rule.without:
        value += f".replace({sign!r}, '')"
    if rule.is_upper:
        value += ".upper()"
    if rule.empty:
        value = f"({value} or {rule.empty!r})"
    side = ">" if one.align == "right" else "<"
    return f"{{{value}:{one.fill}{side}{rule.longest}}}"


def _text(text: str, layout: FileLayout) -> str:
    return f'"{_escaped(text)}".encode("{layout.encoding}")'.replace("{{", "{").replace("}}", "}")


def _escaped(text: str) -> str:
    return repr(text)[1:-1].replace('"', '\\"').replace("{", "{{").replace("}", "}}")


def sls_by_xmlfile(claims: Iterable[Claim], out: BinaryIO) -> None:
    """Write the customers of a kravport-sls-1 file by lxml's ``xmlfile``: elements as they are needed, nothing kept."""
    with etree.xmlfile(out, encoding="UTF-8") as document, document.element("Customers"):
        for claim in claims:
            customer = claim.customer
            with document.element("Customer", customerNumber=customer.customer_number):
                document.write(etree.Element("CustomerDetails", _details(customer)))
                with document.element("Invoice", _invoice(claim)):
                    document.write(etree.Element("InvoiceHeader", _header(claim)))


def _details(customer: Any) -> dict[str, str]:
    return {
        "kind": customer.kind.value, "name": customer.name, "identityNumber": customer.identity_number,
        "identityScheme": customer.identity_scheme, "address1": customer.address1, "postcode": customer.postcode,
        "city": customer.city, "country": customer.country, "email": customer.email, "phone": customer.phone,
        "language": customer.language,
    }  # fmt: skip


def _invoice(claim: Claim) -> dict[str, str]:
    return {"invoiceNumber": claim.invoice_number, "claimId": claim.claim_id, "reminderNumber": claim.reminder_number}


def _header(claim: Claim) -> dict[str, str]:
    return {
        "invoiceDate": claim.invoice_date.isoformat(), "dueDate": claim.due_date.isoformat(),
        "originalAmount": format_minor(claim.original_minor, "NOK"), "openAmount": format_minor(claim.open_minor, "NOK"),
        "paymentReference": claim.payment_reference, "service": "ledger",
    }  # fmt: skip


Cards = Callable[[Iterable[Claim]], Iterator[bytes]]


def two_files(invoices: Writer, cards: Cards) -> Writer:
    """Return a writer of a file of invoices and one of customers, some hundred claims of one behind those of the other."""

    def write(claims: Iterable[Claim], out: BinaryIO) -> None:
        stream = iter(claims)
        while some := list(islice(stream, 500)):
            invoices(some, out)
            out.writelines(cards(some))

    return write


def factonor_cards(claims: Iterable[Claim]) -> Iterator[bytes]:
    """Yield the lines of FactoNor's customers."""
    for claim in claims:
        u = claim.customer
        yield (
            f"V123;{u.customer_number};{u.name};{u.address1};{u.address2};{u.postcode} {u.city};{u.phone};;"
            f"{u.organisation_number};F;;{u.country};{u.email};{u.name}\r\n"
        ).encode("iso-8859-1")


def k9409_cards(claims: Iterable[Claim]) -> Iterator[bytes]:
    """Yield the 254 characters of each customer."""
    for claim in claims:
        u = claim.customer
        yield (
            f"K94091234{u.customer_number:0>9}{u.organisation_number:0<11}{u.name:<35}{'':20}{u.address1:<30}{u.postcode}"
            f"{u.city:<23}{'':20}{u.phone:<12}NORGE{'':15}NO578{'':50}NOK   \r\n"
        ).encode("iso-8859-1")


def by_json(ours: bytes) -> Writer:
    """Return a writer of the lines of *ours*, one a claim, again and again; decimals are text in them."""
    _, *lines = [json.loads(line, parse_float=str) for line in ours.splitlines()]

    def write(claims: Iterable[Claim], out: BinaryIO) -> None:
        for _, line in zip(claims, cycle(lines), strict=False):
            out.write(f"{json.dumps(line, ensure_ascii=False, separators=(',', ':'))}\n".encode())

    return write


def documents_by_lxml(claims: Iterable[Claim], out: BinaryIO) -> None:
    """Read and write the document of each claim, unchanged."""
    out.writelines(
        etree.tostring(etree.fromstring(claim.document), encoding="UTF-8", xml_declaration=True) for claim in claims
    )
