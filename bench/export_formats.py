"""What `bench.exports` has written: claims one at a time, and for each format agreement, seal and writer as the host has them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib import import_module
from typing import Any, BinaryIO, NamedTuple, cast

from bench.profiles import k9409
from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    FactoringAssignment,
    Seal,
    Service,
)
from gateway.domain.identifiers import make_viitenumero
from gateway.profiles import ProfileFile, export, load
from gateway.profiles.shipped import shipped
from gateway.testing.agency_kit import sample_agreement, sample_seal
from plugins.factoring.kid import make_kid

SLS, FLOW, K9409, FACTONOR = "kravport-sls-1", "kravport-no-flow-1", "sgfinans-9409", "factonor"
SVEA, STANDARD, PEPPOL = "svea-fi", "nk003-standard", "peppol-factored"
COLUMNS = ", columns"
"""Behind a layout: its columns alone, without what the plugin asks of claim and customer besides."""
CALLS = ("kravia-2", "ophelos-2025-04-01", "lowell-fi-assignment-1")
"""Formats that are a call a line."""
NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
DAY, DUE = date(2026, 11, 2), date(2026, 11, 16)
Write = Callable[[Iterator[Claim], Any], object]
"""Writes claims into a sink."""


class Terms(NamedTuple):
    """Whose plugin writes a format, and under which agreement; no plugin where the layout is a profile alone."""

    plugin: str
    market: str
    client: str
    settings: Mapping[str, object] = {}


_LEDGER = {"ledger_id": "1234-NOK", "agency_id": "BENCH"}
_FALL = Terms("factoring", "FI", "1234", {"business_id": "1234567-1", "late_interest": "1150"})
FORMATS: Mapping[str, Terms] = {
    "nk003-advanced": Terms("esp", "NO", "1234", {"our_reference": "Bench"}),
    STANDARD: Terms("", "NO", "1234"),
    K9409: Terms("factoring", "NO", "1234", {"kid_scheme": "standard-15", "comment": "text"}),
    f"{K9409}{COLUMNS}": Terms("", "NO", "1234", {"comment": "text"}),
    **{f"fall-{dialect}": _FALL for dialect in ("nordea", "op", "danske", "aktia")},
    f"fall-nordea{COLUMNS}": Terms("", "FI", "1234", _FALL.settings),
    SVEA: Terms("", "FI", "1234567"),
    FACTONOR: Terms("factoring", "NO", "123"),
    SLS: Terms("intrum", "NO", "1234", _LEDGER),
    FLOW: Terms("intrum", "NO", "1234", _LEDGER),
    PEPPOL: Terms("factoring", "NO", "1234", {"factor_party_id": "999999999"}),
    "kravia-2": Terms("kravia", "NO", "10001"),
    "ophelos-2025-04-01": Terms("intrum", "FI", "4711", {"organisation_id": "org_1"}),
    "lowell-fi-assignment-1": Terms("lowell", "FI", "4711", {
        "environment": "test", "subclient_id": "123456", "assignment_type": "Collection", "receivable_type": "Sales",
        "voluntary_collection_forbidden": False,
    }),
}  # fmt: skip
"""Every format that goes out, by layout."""
ASSIGNMENT = FactoringAssignment(
    "A-1",
    "Example Factoring AS",
    "",
    "999999999",
    "NO9386011117947",
    "Assigned to Example Factoring AS, pay to it only.",
)


# --- what is written -------------------------------------------------------------------------------------------------


def claims(count: int, form: str) -> Iterator[Claim]:
    """Yield *count* invoices, one a customer, as the host hands them over: one at a time."""
    is_finnish, has_document, refer = FORMATS[form].market == "FI", form == PEPPOL, _REFERENCES.get(form, _plain)
    country, scheme, org = ("FI", "fi-ytunnus", "1122334-4") if is_finnish else ("NO", "no-orgnr", "999999980")
    for n in range(1, count + 1):
        customer = Customer(
            f"{100_000 + n}", CustomerKind.COMPANY, f"Kunde {n} Øy", org, "", scheme, f"Storgata {n}", "",
            "00155" if is_finnish else "0155", "OSLO", country, f"p{n}@k.example", "22334455", "nb",
        )  # fmt: skip
        yield Claim(
            f"kp-{n}", f"{100_000 + n}", f"{n}", "", DAY, DUE, 100_000 + n, 100_000 + n, refer(n), "", customer,
            document=_document(n) if has_document else b"",
        )  # fmt: skip


def _plain(n: int) -> str:
    return f"1{n:08d}7"


def _kid(scheme: str, client: str) -> Callable[[int], str]:
    return lambda n: make_kid(scheme, client=client, customer=f"{100_000 + n}", invoice=f"{100_000 + n}")


def _viite(n: int) -> str:
    return make_viitenumero(f"1{n:08d}")


_REFERENCES: Mapping[str, Callable[[int], str]] = {
    K9409: _kid("standard-15", "1234"), FACTONOR: _kid("factonor-16", "123"),
    **{form: _viite for form, terms in FORMATS.items() if terms.market == "FI"},
}  # fmt: skip
_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"


def _document(n: int) -> bytes:
    """Return a UBL invoice of one line, as the peers write it."""
    amount = f"{(100_000 + n) // 100}.{(100_000 + n) % 100:02d}"
    line = (
        f'<cac:InvoiceLine><cbc:ID>1</cbc:ID><cbc:InvoicedQuantity unitCode="EA">1</cbc:InvoicedQuantity>'
        f'<cbc:LineExtensionAmount currencyID="NOK">{amount}</cbc:LineExtensionAmount>'
        "<cac:Item><cbc:Name>Vare</cbc:Name></cac:Item></cac:InvoiceLine>\n"
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Invoice xmlns="{_UBL}Invoice-2"'
        f' xmlns:cac="{_UBL}CommonAggregateComponents-2" xmlns:cbc="{_UBL}CommonBasicComponents-2">\n'
        f"<cbc:ID>{100_000 + n}</cbc:ID><cbc:IssueDate>{DAY}</cbc:IssueDate><cbc:DueDate>{DUE}</cbc:DueDate>"
        "<cbc:InvoiceTypeCode>380</cbc:InvoiceTypeCode><cbc:DocumentCurrencyCode>NOK</cbc:DocumentCurrencyCode>\n"
        f"{_party('Supplier', 'Fjord AS', '999999964')}{_party('Customer', f'Kunde {n} Øy', '999999980')}"
        f"<cac:PaymentMeans><cbc:PaymentMeansCode>30</cbc:PaymentMeansCode><cbc:PaymentID>{_plain(n)}</cbc:PaymentID>"
        "<cac:PayeeFinancialAccount><cbc:ID>NO1215030000010</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>\n"
        f'<cac:LegalMonetaryTotal><cbc:PayableAmount currencyID="NOK">{amount}</cbc:PayableAmount></cac:LegalMonetaryTotal>\n'
        f"{line}</Invoice>\n"
    ).encode()


def _party(role: str, name: str, number: str) -> str:
    return (
        f"<cac:Accounting{role}Party><cac:Party><cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName>"
        f"<cac:PartyLegalEntity><cbc:RegistrationName>{name}</cbc:RegistrationName><cbc:CompanyID>{number}</cbc:CompanyID>"
        f"</cac:PartyLegalEntity></cac:Party></cac:Accounting{role}Party>\n"
    )


# --- what writes it --------------------------------------------------------------------------------------------------


def profile_file(form: str) -> ProfileFile:
    """Return the file of a layout's new claims; of K9409, which is declared in code, the same columns as a profile."""
    layout = form.removesuffix(COLUMNS)
    if layout == K9409:
        return k9409()
    profile = load(shipped()[layout])
    key = next(key for key, layout in profile.files.items() if layout.direction == "out" and "update" not in key)
    return ProfileFile(profile, key)


def ours(form: str) -> Write:
    """Return what writes *form* with all checks: the plugin's hook of new claims, or the profile where no plugin writes it.

    Assigned documents are marked as well, which is what makes them assigned.
    """
    terms = FORMATS[form]
    if not terms.plugin:
        return _by_profile(form, terms)
    plugin: Any = import_module(f"plugins.{terms.plugin}").plugin
    profile = plugin.agency_profile()
    agreement = sample_agreement(profile, terms.settings, client_number=terms.client, market=terms.market, layout=form)
    seal = sample_seal(profile, agreement)
    if form != PEPPOL:
        return lambda given, sink: plugin.export_invoice(given, agreement, seal, sink)

    def marked(given: Iterator[Claim], sink: Any) -> object:
        with tempfile.TemporaryFile() as kept:
            (envelope,) = plugin.export_invoice(given, agreement, seal, Into(cast("BinaryIO", kept)))
            kept.seek(0)
            return plugin.mark_factoring_envelope(envelope, ASSIGNMENT, agreement, kept, sink)

    return marked


def _by_profile(form: str, terms: Terms) -> Write:
    file = profile_file(form)
    if form == SVEA:
        return lambda given, sink: _svea(file, given, sink)
    currency = "EUR" if terms.market == "FI" else "NOK"
    agreement = Agreement(
        1,
        "bench",
        1,
        "Fjord AS",
        "Bench",
        terms.client,
        Service.LEDGER,
        terms.market,
        currency,
        form,
        is_sandbox=True,
        settings=terms.settings,
    )
    seal = Seal({file.layout.key: 1}, {}, NOW, NOW.date(), terms.client, "BENCH", is_test=True)
    return lambda given, sink: export(file, given, agreement, seal, sink)


def _svea(file: ProfileFile, given: Iterator[Claim], sink: Any) -> None:
    """Write Svea's invoices without their rows, which the ledger does not hold: the plugin holds them back for it."""
    told = {"agreement_number": FORMATS[SVEA].client, "sign": "invoice", "vat_amount": 0, "vat_sign": "invoice"}
    with sink.open("svea") as stream, file.write(stream) as writer:
        single = {"agreement_number": told["agreement_number"], "date": NOW.date()}
        writer.put("start", single)
        for claim in given:
            card = claim.customer
            own = {
                "invoice_number": claim.invoice_number, "customer_number": card.customer_number, "name": card.name,
                "street": card.address1, "postcode": card.postcode, "town": card.city, "telephone": card.phone,
                "country": card.country, "invoice_date": claim.invoice_date, "due_date": claim.due_date,
                "amount": claim.original_minor, "email": card.email, "business_id": card.organisation_number,
                "language": card.language,
            }  # fmt: skip
            writer.put("invoice", told | own)
        writer.put("end", single)


class Into:
    """A sink whose only file is *stream*."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    @contextmanager
    def open(self, _filename: str) -> Iterator[BinaryIO]:
        """Return the stream."""
        yield self._stream
