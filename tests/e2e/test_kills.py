"""Show 5: kill -9 of worker, web, scheduler and queue server at random moments; the end state is the undisturbed one (P1)."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.kill_evening import Evening, differences, live_through

KILLS_MIN = 25
"""Here, with every change; `python -m bench.kill_evening --kills 50` is the whole of it."""
FIRST_SEED = 100

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("evenings"), pytest.mark.timeout(900)]


def test_kills_at_any_moment_leave_no_trace(embedded, tmp_path):
    calm = Evening(embedded.state, embedded.result)
    kills, seed = Counter(), FIRST_SEED
    while kills.total() < KILLS_MIN:
        disturbed = live_through(tmp_path / f"seed-{seed}", seed)
        assert differences(calm, disturbed) == [], f"seed {seed}"
        assert disturbed.result == calm.result, f"seed {seed}"
        kills += disturbed.kills
        seed += 1
    assert {"web", "scheduler", "redis"} < set(kills)
    assert any(name.startswith("worker") for name in kills)
