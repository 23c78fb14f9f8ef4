"""What `bench.exports` has written: claims one at a time, and for each format agreement, seal and writer as the host has them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
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
from gateway.domain.identifiers import make_viitenumero, mod10
from gateway.formats import kravport_sls
from gateway.profiles import ProfileFile, export, load
from gateway.profiles.shipped import shipped
from gateway.testing.agency_kit import sample_agreement, sample_seal

BY_PROFILE = ("k9409", "nk003-advanced", "nk003-standard", "fall-nordea", "fall-op", "fall-danske", "fall-aktia")
SLS, FACTONOR, PEPPOL = "kravport-sls-1", "factonor", "peppol-factored"
FALL_BY_HOOK = "factoring/fall-nordea"
"""The same columns with what the factoring plugin asks of each claim and customer besides."""
NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
DAY, DUE = date(2026, 11, 2), date(2026, 11, 16)
SETTINGS = {"ledger_id": "1234-NOK", "agency_id": "BENCH", "business_id": "1234567-1", "comment": "text"}
Write = Callable[[Iterator[Claim], Any], object]
"""Writes claims into a sink."""


class Hooked(NamedTuple):
    """A format that its plugin writes, by the hook of new claims."""

    plugin: str
    market: str
    client: str
    settings: Mapping[str, object] = {}


HOOKED: Mapping[str, Hooked] = {
    FALL_BY_HOOK: Hooked("factoring", "FI", "1234", {"business_id": "1234567-1"}),
    FACTONOR: Hooked("factoring", "NO", "123"),
    PEPPOL: Hooked("factoring", "NO", "1234", {"factor_party_id": "999999999"}),
    "kravia-2": Hooked("kravia", "NO", "10001"),
    "ophelos-2025-04-01": Hooked("intrum", "FI", "4711", {"organisation_id": "org_1"}),
    "lowell-fi-assignment-1": Hooked("lowell", "FI", "4711", {
        "environment": "test", "subclient_id": "123456", "assignment_type": "Collection", "receivable_type": "Sales",
        "voluntary_collection_forbidden": False,
    }),
}  # fmt: skip
CALLS = ("kravia-2", "ophelos-2025-04-01", "lowell-fi-assignment-1")
"""Formats that are a call a line."""
FORMATS = (*BY_PROFILE, SLS, *HOOKED)
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
    is_finnish, has_document, refer = _market(form) == "FI", form == PEPPOL, _REFERENCES.get(form, _plain)
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


def _layout(form: str) -> str:
    return form.rpartition("/")[2]


def _market(form: str) -> str:
    return HOOKED[form].market if form in HOOKED else "FI" if form.startswith("fall") else "NO"


def _plain(n: int) -> str:
    return f"1{n:08d}7"


def _factonor(n: int) -> str:
    payload = f"123{100_000 + n:06d}{100_000 + n:06d}"
    return payload + mod10(payload)


def _viite(n: int) -> str:
    return make_viitenumero(f"1{n:08d}")


_REFERENCES: Mapping[str, Callable[[int], str]] = {
    FACTONOR: _factonor, "lowell-fi-assignment-1": _viite, FALL_BY_HOOK: _viite,
}  # fmt: skip
_UBL = "urn:oasis:names:specification:ubl:schema:xsd:"


def _document(n: int) -> bytes:
    """Return a UBL invoice of ten lines, as an accounting system issues it."""
    amount = f"{(100_000 + n) // 100}.{(100_000 + n) % 100:02d}"
    lines = "".join(
        f'<cac:InvoiceLine><cbc:ID>{line}</cbc:ID><cbc:InvoicedQuantity unitCode="EA">1</cbc:InvoicedQuantity>'
        f'<cbc:LineExtensionAmount currencyID="NOK">100.00</cbc:LineExtensionAmount>'
        f"<cac:Item><cbc:Name>Vare {line}</cbc:Name></cac:Item></cac:InvoiceLine>\n"
        for line in range(1, 11)
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
        f"{lines}</Invoice>\n"
    ).encode()


def _party(role: str, name: str, number: str) -> str:
    return (
        f"<cac:Accounting{role}Party><cac:Party><cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName>"
        f"<cac:PartyLegalEntity><cbc:RegistrationName>{name}</cbc:RegistrationName><cbc:CompanyID>{number}</cbc:CompanyID>"
        f"</cac:PartyLegalEntity></cac:Party></cac:Accounting{role}Party>\n"
    )


# --- what writes it --------------------------------------------------------------------------------------------------


def profile_file(form: str) -> ProfileFile:
    """Return the file of a layout's new claims."""
    if form == "k9409":
        return k9409()
    profile = load(shipped()[_layout(form)])
    key = next(key for key, layout in profile.files.items() if layout.direction == "out" and "update" not in key)
    return ProfileFile(profile, key)


def ours(form: str) -> Write:
    """Return what writes *form* with all checks."""
    if form in HOOKED:
        return _by_hook(form)
    market, currency = ("FI", "EUR") if _market(form) == "FI" else ("NO", "NOK")
    agreement = Agreement(
        1, "bench", 1, "Fjord AS", "Bench", "1234", Service.LEDGER, market, currency, form, is_sandbox=True, settings=SETTINGS
    )  # fmt: skip
    key = "invoices" if form == SLS else (file := profile_file(form)).layout.key
    ids = {key: "00000000-0000-4000-8000-000000000001"}
    seal = Seal({key: 1}, ids, NOW, NOW.date(), "1234", "BENCH", is_test=True)
    if form == SLS:
        return lambda given, sink: kravport_sls.write_invoices(given, agreement, seal, sink)
    return lambda given, sink: export(file, given, agreement, seal, sink)


def _by_hook(form: str) -> Write:
    """Return the plugin's hook; documents are marked as well, which is what makes them assigned."""
    from importlib import import_module

    terms = HOOKED[form]
    plugin: Any = import_module(f"plugins.{terms.plugin}").plugin
    profile = plugin.agency_profile()
    agreement = sample_agreement(
        profile, terms.settings, client_number=terms.client, market=terms.market, layout=_layout(form)
    )
    seal = sample_seal(profile, agreement)
    if form != PEPPOL:
        return lambda given, sink: plugin.export_invoice(given, agreement, seal, sink)

    def marked(given: Iterator[Claim], sink: Any) -> object:
        with tempfile.TemporaryFile() as kept:
            (envelope,) = plugin.export_invoice(given, agreement, seal, Into(cast("BinaryIO", kept)))
            kept.seek(0)
            return plugin.mark_factoring_envelope(envelope, ASSIGNMENT, agreement, kept, sink)

    return marked


class Into:
    """A sink whose only file is *stream*."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    @contextmanager
    def open(self, _filename: str) -> Iterator[BinaryIO]:
        """Return the stream."""
        yield self._stream
