"""An office on SQLite: the panel is the same on every database, its services are tested on both.

Building an office and living through an evening takes seconds, so each is built once and copied for every test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.agencies import Agencies
from gateway.db import schema
from gateway.db.uow import Database
from gateway.secretbox import SecretBox
from gateway.services.house import House
from tests.admin.office import Office, make_app, open_office, work_an_evening
from tests.conftest import EVENING, SECRET_KEY, StandingClock


@dataclass(frozen=True)
class Kept:
    """An office on disk, with what a copy needs to know."""

    folder: Path
    office: Office
    moment: datetime


def _house(folder: Path, clock: StandingClock) -> House:
    database = Database(f"sqlite:///{folder / 'kravport.sqlite'}")
    return House(
        database=database, agencies=Agencies.load(), secrets=SecretBox(SECRET_KEY), ring=lambda: None, now=clock
    )


def _keep(folder: Path, work: Callable[[Office], None]) -> Kept:
    clock = StandingClock(EVENING)
    house = _house(folder, clock)
    with house.database.write() as connection:
        schema.create(connection)
    office = open_office(house, clock, folder / "agencies")
    work(office)
    with house.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    house.database.close()
    return Kept(folder, office, clock.moment)


def _copy(kept: Kept, folder: Path, clock: StandingClock) -> Iterator[Office]:
    target = folder / "office"
    shutil.copytree(kept.folder, target)
    clock.moment = kept.moment
    house = _house(target, clock)
    agencies = target / "agencies"
    yield Office(
        house,
        clock,
        replace(kept.office.fjord, house=house, clock=clock, root=agencies / "fjord"),
        replace(kept.office.other, house=house, clock=clock, root=agencies / "other"),
        make_app(house),
    )
    house.database.close()


@pytest.fixture(scope="session")
def kept_office(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return _keep(tmp_path_factory.mktemp("office"), lambda _office: None)


@pytest.fixture(scope="session")
def kept_evening(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return _keep(tmp_path_factory.mktemp("evening"), work_an_evening)


@pytest.fixture
def office(kept_office: Kept, tmp_path: Path, clock: Any) -> Iterator[Office]:
    """Half past five on a Monday: nothing has been sent yet."""
    yield from _copy(kept_office, tmp_path, clock)


@pytest.fixture
def worked(kept_evening: Kept, tmp_path: Path, clock: Any) -> Iterator[Office]:
    """The same Monday after 18:00: files, receipts and payments exist."""
    yield from _copy(kept_evening, tmp_path, clock)


@pytest.fixture
def client(office: Office) -> Any:
    """A bookkeeper, logged in."""
    return office.login("bookkeeper@example.test")
