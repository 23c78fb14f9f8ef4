"""Show 6 of the payment files, in small: a large file through the front door while another creditor's work goes on."""

from __future__ import annotations

import sys

import pytest

from bench.million import measure

pytestmark = [
    pytest.mark.slow, pytest.mark.postgres, pytest.mark.xdist_group("million"), pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]  # fmt: skip


def assert_whole(told, size):
    assert told["imported"] == told["posted"] == told["closed"] == size
    assert told["staged_left"] == 0
    assert told["second_posted"] == told["second_paid"] > 0


def test_one_worker_is_enough_for_a_large_file_and_others_small_work():
    told = measure(5_000, workers=1)
    assert_whole(told, 5_000)
    assert told["latency_ms"]["meanwhile"]["rounds"] >= 1


def test_a_worker_killed_over_a_large_file_leaves_nothing_half_done():
    told = measure(20_000, workers=2, kill="reading")
    assert told["killed"].endswith("while reading")
    assert told["after_kill"] == {"payments": 0}
    assert_whole(told, 20_000)
