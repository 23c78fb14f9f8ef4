"""ESP: loads, describes itself, and can do nothing it has no description for."""

import pytest

from gateway.agencies import Agencies
from gateway.domain.exchange import Agreement, Can, Seal, Service
from gateway.errors import HookNotSupported
from plugins.esp import plugin
from tests.plugins.factoring_cases import COMPANY, NOW, MemorySink, claim

AGREEMENT = Agreement(
    1, "esp", 1, "Fjord AS", "ESP", "1", Service.REMINDER, "NO", "NOK", "kravport-sls-1", is_sandbox=True
)


@pytest.fixture
def esp():
    agencies = Agencies([("esp", plugin)])
    assert agencies.broken == {}
    return agencies["esp"]


@pytest.mark.rule("R-RM-04")
def test_esp_promises_nothing_and_says_why(esp):
    assert esp.profile.can == Can(0)
    assert esp.profile.services == {Service.REMINDER, Service.COLLECTION}
    assert all(not layout.confirmed for layout in esp.profile.layouts)
    assert "Chosen by Kravport, not by any agency" in esp.profile.layout("kravport-sls-1").title
    assert "nothing can be sent to ESP yet" in esp.profile.limits[0]


def test_esp_exports_nothing_even_when_asked(esp):
    seal = Seal({}, {}, NOW, NOW.date(), "1", "ESP", is_test=True)
    for are_new in (True, False):
        with pytest.raises(HookNotSupported):
            esp.export([claim()], AGREEMENT, seal, MemorySink(), are_new=are_new)


def test_esp_has_no_opinion_on_customers(esp):
    assert esp.check_customer(COMPANY, AGREEMENT) == ()
