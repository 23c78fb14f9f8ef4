"""Invented claims, agreements and files for the factoring tests: the builders of the profiles, as a factor has them."""

from dataclasses import replace
from datetime import UTC, date, datetime

from gateway.domain.exchange import Seal, Service, Severity
from plugins.factoring import CUSTOMERS, INVOICES
from plugins.factoring.kid import make_kid
from tests.profiles import builders

NOW = datetime(2026, 10, 20, 16, 0, tzinfo=UTC)
SEAL = Seal(
    {CUSTOMERS: 7, INVOICES: 9}, {CUSTOMERS: "a", INVOICES: "b"}, NOW, NOW.date(), "1234", "FACTOR", is_test=True
)
COMPANY = builders.company(
    "100017", name="Nordfjord Bygg og Anlegg", organisation_number="987654325", address1="Storgata 12", postcode="0155",
    city="OSLO", email="post@example.org", phone="22 33 44 55",
)  # fmt: skip
SECOND = COMPANY._replace(customer_number="100018", name="Sørfjord Rør", city="Ålesund", postcode="6002")
FINNISH = builders.company(
    "81", name="Kelloseppä Oy", organisation_number="1122334-4", address1="Rantatie 5", postcode="00100",
    city="HELSINKI", country="FI", identity_scheme="fi-ytunnus", language="fi",
)  # fmt: skip


def terms(layout, client, market="NO", currency="NOK", **settings):
    """An agreement with a factor for one *layout*."""
    plain = builders.agreement(client, currency, market, "Fjord AS", **settings)
    return replace(
        plain, agency_key="factoring", display_name="Nordea Finance", service=Service.FACTORING, profile=layout
    )


def agreement(**settings):
    return terms("sgfinans-9409", "1234", **{"kid_scheme": "sgfinans-16", **settings})


AGREEMENT = agreement()


def kid(invoice, customer="100017", client="1234", scheme="sgfinans-16"):
    return make_kid(scheme, client=client, customer=customer, invoice=invoice)


def credit_note(number="5070", amount_minor=25000, day=date(2026, 10, 20), **more):
    return builders.credit_note(number, day, amount_minor, **more)


def claim(number="5067", original_minor=125000, customer=COMPANY, items=(), reference=None, **more):
    """An invoice; its reference is the KID of `AGREEMENT` unless one is given."""
    found = kid(number, customer.customer_number) if reference is None else reference
    made = builders.claim(
        number, customer, date(2026, 10, 15), date(2026, 10, 29), original_minor, reference=found, items=items
    )
    return made._replace(**more)


def codes(findings):
    """Return (code, place) of *findings*, all of which must block."""
    assert all(finding.severity is Severity.BLOCKING for finding in findings)
    return {(finding.code, finding.place) for finding in findings}
