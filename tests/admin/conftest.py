"""An office on SQLite: the panel is the same on every database, its services are tested on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.admin.office import Office, open_office, work_an_evening


@pytest.fixture
def office(sqlite_house: Any, clock: Any, tmp_path: Path) -> Office:
    return open_office(sqlite_house, clock, tmp_path / "agencies")


@pytest.fixture
def worked(office: Office) -> Office:
    """The office on the morning after its first evening."""
    work_an_evening(office)
    return office
