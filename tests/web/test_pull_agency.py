"""The agency that fetches, to practise with: it talks to the real application, and both ledgers agree at the end (ADR 0030)."""

from __future__ import annotations

import json

import pytest
import requests

from gateway.testing.pull_agency import ACCESS, PullAgency
from tests.web.conftest import make_app
from tests.web.test_agency import DUE, made

URL = "https://kravport.test"


class Wire:
    """A session whose other end is the application; the first answer to each method is lost on its way back."""

    def __init__(self, app):
        self._client, self.trust_env, self._loses = app.test_client(), True, {"GET", "PUT", "POST"}

    def request(self, method, url, *, json, headers, timeout):
        answer = self._client.open(url.removeprefix(URL), base_url=URL, method=method, json=json, headers=headers)
        if method in self._loses:
            self._loses.remove(method)
            raise requests.ConnectionError
        made = requests.Response()
        made.status_code, made._content = answer.status_code, answer.data
        return made


@pytest.fixture
def fjord(sqlite_house, clock, tmp_path):
    return made(sqlite_house, clock, tmp_path, make_app(sqlite_house), "fjord")


@pytest.mark.rule("R-CO-39", "R-OP-03", "R-OP-13")
def test_both_ledgers_agree_whatever_answer_is_lost(fjord, tmp_path, monkeypatch):
    agency = PullAgency(tmp_path / "esp", "NOK", Wire(make_app(fjord.house)))
    monkeypatch.setattr("gateway.testing.pull_agency.LOOK_SECONDS", 0)

    def work():
        for _ in range(4):
            agency.work(fjord.clock())
            fjord.read()

    for number in ("1", "2", "3"):
        fjord.invoice(number, 1000, **DUE)
    fjord.payment("p1", 250.5)
    fjord.link("1", "p1")
    fjord.evening()
    assert agency.work(fjord.clock()) == 0, "nobody has told it where to ask"
    (tmp_path / "esp" / ACCESS).write_text(json.dumps({"url": URL, "key": fjord.key_of_agency}))
    agency.refuse("claim", fjord.claim("3").claim_id, "NO_ADDRESS", "Invented")
    work()
    assert fjord.states() == ["partly"]
    assert fjord.claim("1").case_number == "PULL-000001"
    first, second = (fjord.claim(name).claim_id for name in ("1", "2"))
    assert agency.balances() == {first: 749_50, second: 1000_00}

    agency.pay(second, 400_00, fjord.clock().date())
    assert agency.write_payments(fjord.clock()) == "payments/1"
    assert agency.write_payments(fjord.clock()) == ""
    work()
    assert [payment.amount_minor for payment in fjord.payments()] == [400_00]
    fjord.payment("p2", 49.5)
    fjord.link("1", "p2")  # and no longer p1
    fjord.evening()
    work()
    assert agency.balances() == {first: 950_50, second: 600_00}
    assert fjord.agency_balance("1") == 950.5
