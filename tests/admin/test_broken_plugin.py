"""Every page stands while an agency's plugin does not: what is broken is said there, and all else can be worked with."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest

from gateway.agencies import Agencies
from plugins.factoring import plugin as factoring
from tests.admin.office import make_app
from tests.admin.reading import send
from tests.services.test_broken_plugins import Sound

PAGES = ("", "invoices/", "customers/", "agreements/", "agreements/new", "envelopes/", "payments/")


@pytest.mark.rule("P18")
def test_the_pages_stand_without_the_plugin(worked):
    third = Sound.__new__(Sound)
    third.key = "third"
    plugins = [("lowell", object()), ("factoring", factoring), ("third", third)]
    house = replace(worked.house, agencies=Agencies(plugins))
    office = replace(worked, house=house, app=make_app(house))
    client = office.login("admin@example.test")
    pages = [*PAGES, f"agreements/{office.fjord.agreement_id}"]
    shown = {page: client.get(f"/panel/{page}") for page in pages}
    assert {page: answer.status_code for page, answer in shown.items()} == dict.fromkeys(pages, 200)
    assert "is object, not AgencyHooks" in unescape(shown["agreements/"].text)
    assert "Third Party" in shown["agreements/new"].text
    assert "Programtillegget lowell brøt kontrakten: is object, not AgencyHooks." in unescape(shown[""].text)
    page = f"/panel/agreements/{office.fjord.agreement_id}"
    refused = send(client, f"{page}/load", page, confirmed="1", reason="once more")
    assert refused.status_code == 500
    assert "agency plugin 'lowell': is object, not AgencyHooks" in unescape(refused.text)
