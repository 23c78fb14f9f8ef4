"""A creditor who hears of payments by BgMax alone misses some of them, and would never know (payments.md 0)."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest

from gateway.services import inbound, watch
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file
from tests.rules.world import World

BGMAX = bgmax_file([BgSection((BgPayment(12500, "1234567897"),))], created="20261127053000000000")
CAMT = camt_file([CamtEntry((CamtPayment(12500, "1234567897"),))], CamtShape(currency="SEK"))
LAST_DAY = datetime(2026, 11, 27, 12, tzinfo=UTC)


def take(world: World, name: str, data: bytes) -> None:
    stored = inbound.store_own(world.house, world.creditor_id, "api", name, io.BytesIO(data))
    inbound.process(world.house, stored.inbound_file_id)


def told(world: World) -> list[str]:
    return [one.code for one in watch.alarms(world.house, [world.creditor_id]) if one.object_type == "inbound_file"]


@pytest.mark.parametrize(("days", "alarms"), [(0, []), (1, ["file.only_source"])])
def test_a_format_that_ended_may_not_be_the_only_source(house, clock, tmp_path, days, alarms):
    clock.moment = LAST_DAY + timedelta(days=days)
    world = World(house, clock, tmp_path, "lowell").start_draft()
    take(world, "BGMAX.txt", BGMAX)
    assert told(world) == alarms
    take(world, "camt.xml", CAMT)
    assert told(world) == [], "the successor is there"
