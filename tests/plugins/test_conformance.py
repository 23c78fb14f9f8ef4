"""Our own plugins keep what every plugin keeps: the public suite, run on each."""

from __future__ import annotations

from typing import ClassVar

from gateway.testing.agency_kit import sample_claim
from gateway.testing.conformance import AgencyConformance
from plugins import esp, factoring, intrum, lowell
from plugins.esp.sandbox import make_sandbox as make_esp
from plugins.factoring.kid import make_kid
from plugins.factoring.sandbox import make_sandbox as make_factor
from plugins.factoring.viite import make_laskuraha
from plugins.intrum.sandbox import make_sandbox as make_intrum
from plugins.lowell.sandbox import make_sandbox as make_lowell
from tests.plugins.fetching_desk import FetchingDesk

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


class TestIntrumInNorway(AgencyConformance):
    """The Norwegian process, with Kravport's own flow test in the place of Intrum's records."""

    plugin = intrum.plugin
    layout = "kravport-no-flow-1"
    settings = SETTINGS
    make_sandbox = staticmethod(make_intrum)
    sandbox_facts = FACTS | {"layout": "kravport-no-flow-1"}


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


class TestFall(AgencyConformance):
    plugin = factoring.plugin
    layout, market, client_number = "fall-nordea", "FI", "1234"
    settings: ClassVar = {"business_id": "9999999-0", "reference_scheme": "laskuraha", "late_interest": "0000"}
    make_sandbox = staticmethod(make_factor)
    sandbox_facts: ClassVar = {**settings, "layout": layout, "client_number": client_number}

    def claim(self, agreement, number):
        """The financier prescribes the reference."""
        plain = sample_claim(agreement.market, number)
        return plain._replace(payment_reference=make_laskuraha("1234", plain.invoice_number))

    def far_side(self, claims):
        """The file does not say which invoice a credit note belongs to: it stands by itself, below zero."""
        return [
            amount for one in claims for amount in (one.original_minor, *(-item.amount_minor for item in one.items))
        ]


class TestEsp(AgencyConformance):
    plugin = esp.plugin
    settings = SETTINGS
    make_sandbox = staticmethod(make_esp)
    sandbox_facts = FACTS


ESP_FACTS = {"client_number": "4711"}


class TestEspInNk003(AgencyConformance):
    """The same plugin under the other layout: new claims only, and no file comes back."""

    plugin = esp.plugin
    layout = "nk003-advanced"
    is_answered = False
    make_sandbox = staticmethod(make_esp)
    sandbox_facts = ESP_FACTS


class TestEspThatFetches(AgencyConformance):
    """The same plugin under Kravport's own interface for agencies that fetch."""

    plugin = esp.plugin
    layout = "kravport-pull-1"
    make_sandbox = staticmethod(FetchingDesk)
