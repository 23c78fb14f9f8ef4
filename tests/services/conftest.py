"""The world of the rules' examples, for what the services must not get wrong between the rules."""

from __future__ import annotations

from tests.rules.conftest import fjord, sjo

__all__ = ["fjord", "sjo"]
