"""R-LS: ledger service."""

from __future__ import annotations

import pytest

from tests.rules.world import ORDER, planned


@pytest.mark.rule("R-LS-01")
def test_r_ls_01_an_invoiced_order_is_a_candidate_at_once(fjord):
    fjord.customer()
    fjord.invoice("5001", 100, order_status=ORDER)
    assert planned(fjord.preview(), fjord) == set()
    fjord.invoice("5001", 100)
    assert planned(fjord.preview(), fjord) == {"5001"}
    assert fjord.evening().sent == {"5001"}
