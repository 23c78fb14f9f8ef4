"""Our own plugins keep what every plugin keeps: the public suite, run on each."""

from __future__ import annotations

from gateway.testing.agency_kit import sample_claim
from gateway.testing.conformance import AgencyConformance
from plugins import esp, factoring, intrum, lowell
from plugins.factoring.kid import make_kid
from plugins.factoring.sandbox import make_sandbox as make_factor
from plugins.intrum.sandbox import make_sandbox as make_intrum
from plugins.lowell.sandbox import make_sandbox as make_lowell

SETTINGS = {"ledger_id": "4711-NOK", "agency_id": "SANDBOX"}
FACTOR_SETTINGS = {"kid_scheme": "sgfinans-16"}
FACTOR_FACTS = {
    "client_number": "4711", "kid_scheme": "sgfinans-16", "creditor_account": "15030000017", "agency_account": "15030000025",
}  # fmt: skip
FACTS = {"client_number": "4711", "ledger_id": "4711-NOK", "currency": "NOK", "country": "NO"}


class TestIntrum(AgencyConformance):
    plugin = intrum.plugin
    settings = SETTINGS
    make_sandbox = staticmethod(make_intrum)
    sandbox_facts = FACTS


class TestLowell(AgencyConformance):
    plugin = lowell.plugin
    settings = SETTINGS
    make_sandbox = staticmethod(make_lowell)
    sandbox_facts = FACTS


class TestFactoring(AgencyConformance):
    plugin = factoring.plugin
    settings = FACTOR_SETTINGS
    make_sandbox = staticmethod(make_factor)
    sandbox_facts = FACTOR_FACTS

    def claim(self, agreement, number):
        """The factor prescribes the payment reference."""
        plain = sample_claim(agreement.market, number)
        customer = plain.customer.customer_number
        kid = make_kid("sgfinans-16", client="4711", customer=customer, invoice=plain.invoice_number)
        return plain._replace(payment_reference=kid)


class TestEsp(AgencyConformance):
    plugin = esp.plugin
