"""The worlds of the rules' examples: Fjord AS with Lowell, Sjö AB with Intrum (rules.md section 0)."""

from __future__ import annotations

import pytest

from tests.rules.world import World


@pytest.fixture
def fjord(house, clock, tmp_path) -> World:
    return World(house, clock, tmp_path, "lowell").start()


@pytest.fixture
def sjo(house, clock, tmp_path) -> World:
    return World(house, clock, tmp_path, "intrum", country="SE", currency="SEK").start()
