"""What every service function is given: the database, the agencies, the box of secrets, the bell and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.agencies import Agencies
from gateway.db.uow import Database
from gateway.secretbox import SecretBox


@dataclass(frozen=True, slots=True)
class House:
    """Made once by the composition root (`gateway.app`), handed to every service.

    *ring* wakes the workers after a commit. It never raises and may do nothing: a lost bell costs a minute, because the
    sweep finds the row.
    """

    database: Database
    agencies: Agencies
    secrets: SecretBox
    ring: Callable[[], None]
    now: Callable[[], datetime]
