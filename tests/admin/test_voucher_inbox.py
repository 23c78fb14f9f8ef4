"""R-PM-12: an agency's money comes to the list, is posted directly, or comes to the voucher inbox; one of them."""

from __future__ import annotations

from html import unescape

import pytest

from gateway.errors import DataError
from gateway.services import agreements
from tests.admin.reading import rows, send
from tests.rules.world import ACTOR

DESTINATIONS = {
    "list": {"posts_automatically": False, "uses_voucher_inbox": False},
    "direct": {"posts_automatically": True, "uses_voucher_inbox": False},
    "inbox": {"posts_automatically": False, "uses_voucher_inbox": True},
}


def settle(world, destination: str) -> None:
    agreements.change_agreement(world.house, world.agreement_id, DESTINATIONS[destination], ACTOR)


def shown(client, tab: str) -> set[int]:
    return set(rows(client.get(f"/panel/payments/?tab={tab}").text))


@pytest.mark.rule("R-PM-12")
@pytest.mark.parametrize(("destination", "tab"), [("list", "to_post"), ("direct", "posted"), ("inbox", "inbox")])
def test_r_pm_12_money_comes_to_the_one_place_that_was_agreed(worked, destination, tab):
    world, client = worked.fjord, worked.login("bookkeeper@example.test")
    (before,) = world.payments()
    settle(world, destination)
    world.far.pay("100054", 1250)
    world.far.tell("payments")
    new = ({row.id for row in world.payments()} - {before.id}).pop()
    found = {name for name in ("to_post", "certain", "unclear", "inbox", "posted") if new in shown(client, name)}
    assert found == ({"to_post", "certain"} if destination == "list" else {tab})
    assert world.open("100054") == (0 if destination == "direct" else 1250)


@pytest.mark.rule("R-PM-12")
def test_r_pm_12_what_came_to_the_inbox_is_judged_and_posted_by_a_person(worked):
    world, client = worked.fjord, worked.login("bookkeeper@example.test")
    settle(world, "inbox")
    (payment,) = world.payments(state="proposed")
    assert shown(client, "inbox") == {payment.id}
    said = unescape(send(client, "/panel/payments/post", "/panel/payments/?tab=inbox", rowid=payment.id).text)
    assert "1 innbetaling bokført" in said
    assert shown(client, "inbox") == set()


@pytest.mark.rule("R-PM-12")
def test_r_pm_12_never_two_places(worked):
    both = {"posts_automatically": True, "uses_voucher_inbox": True}
    with pytest.raises(DataError, match="not both"):
        agreements.change_agreement(worked.house, worked.fjord.agreement_id, both, ACTOR)
