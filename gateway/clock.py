"""The only place that reads the clock (P21). Everything below the edges is handed a moment.

With ``KRAVPORT_SIMULATED_CLOCK`` naming a file, all processes of one installation share a shifted clock: the file holds
the shift in seconds. Demo and end-to-end tests use it to live through an evening at any time of day.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

SHIFT_FILE_VARIABLE = "KRAVPORT_SIMULATED_CLOCK"


def now() -> datetime:
    """Return the present moment in UTC."""
    name = os.environ.get(SHIFT_FILE_VARIABLE)
    return datetime.now(UTC) + (_shift(Path(name)) if name else timedelta())


def shift_to(moment: datetime, file: Path) -> None:
    """Make the simulated clock of all processes that share *file* read *moment* from now on."""
    seconds = (moment - datetime.now(UTC)).total_seconds()
    fresh = file.with_suffix(".new")
    fresh.write_text(str(seconds))
    fresh.replace(file)


def _shift(file: Path) -> timedelta:
    return timedelta(seconds=float(file.read_text())) if file.exists() else timedelta()
