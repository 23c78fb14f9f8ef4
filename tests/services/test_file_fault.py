"""What a person reads about a file that its reader gave up on: where, what stood there, and why, in the page's language."""

from __future__ import annotations

import pytest

from gateway.domain.reasons import said, sentence
from gateway.errors import DataError, DecodeError, PluginError
from gateway.services import inbound
from tests.rules.far import store


def finding_after(world, monkeypatch, error: Exception) -> dict[str, object]:
    def fails(*_):
        raise error

    monkeypatch.setattr(inbound, "_read", fails)
    stored = store(world, "odd.xml", b"bytes")
    inbound.process(world.house, stored.inbound_file_id)
    row = world.row(inbound.FileRow, stored.inbound_file_id)
    assert row.state == "quarantined"
    (finding,) = row.findings
    assert finding["code"] == "file.invalid"
    return finding


def test_a_value_that_cannot_be_read_is_told_with_its_place(fjord, monkeypatch):
    error = DecodeError(said("wrong.not_a_day"), line=7, path="payment", field="date", value="31.02")
    finding = finding_after(fjord, monkeypatch, error)
    assert (finding["place"], finding["value"]) == ("line 7 payment.date", "31.02")
    assert sentence("file.invalid", "nb", finding["values"]).endswith("må være en dag, ÅÅÅÅ-MM-DD.")
    assert sentence("file.invalid", "sv", finding["values"]).endswith("måste vara en dag, ÅÅÅÅ-MM-DD.")


@pytest.mark.parametrize("error", [DataError("no layout fits"), PluginError("lowell: no layout fits")])
def test_another_fault_is_told_as_it_is(fjord, monkeypatch, error):
    finding = finding_after(fjord, monkeypatch, error)
    assert "no layout fits" in sentence("file.invalid", "nb", finding["values"])
    assert "{reason}" not in sentence("file.invalid", "nb", finding["values"])
