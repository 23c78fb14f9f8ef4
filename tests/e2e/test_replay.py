"""Show 6: every inbound file ten times, shuffled, through the front door: the state does not change (P2)."""

from __future__ import annotations

import io
import os
import random
import shutil

import pytest
from sqlalchemy import select

from gateway.app import open_house
from gateway.config import Settings
from gateway.db import audit
from gateway.db.blobs import open_blob
from gateway.db.tables import Creditor, InboundArrival, InboundFile
from gateway.demo import tally
from gateway.errors import Refused
from gateway.jobs import Desk
from gateway.services import inbound

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("evenings"), pytest.mark.timeout(300)]


@pytest.fixture
def house(embedded, tmp_path, monkeypatch):
    """The installation as the evening left it, in a copy of its own."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("kravport.sqlite", "kravport.sqlite-wal", "secret-key", "clock"):
        if (embedded.home / name).exists():
            shutil.copy(embedded.home / name, home / name)
    monkeypatch.setenv("KRAVPORT_SIMULATED_CLOCK", str(home / "clock"))
    opened = open_house(Settings.from_environment({**os.environ, "KRAVPORT_HOME": str(home)}))
    yield opened
    opened.database.close()


def stored_files(house):
    f = InboundFile
    with house.database.read() as connection:
        rows = connection.execute(select(f.id, f.agreement_id, f.filename, f.blob_id).order_by(f.id)).all()
    contents = []
    for row in rows:
        with open_blob(house.database, row.blob_id) as stream:
            contents.append((row, stream.read()))
    return contents


def test_ten_times_every_file_changes_nothing(house, embedded):
    before = tally.state(house.database)
    assert before == embedded.state
    files = stored_files(house)
    assert len(files) > 10
    arrivals = files * 10
    random.Random(6).shuffle(arrivals)
    desk = Desk(house, "replayer")
    for number, (row, content) in enumerate(arrivals):
        taken = inbound.store(house, row.agreement_id, "webhook", f"again-{number}", io.BytesIO(content), f"m{number}")
        assert (taken.is_new, taken.inbound_file_id) == (False, row.id)
        desk.drain()
    assert tally.state_hash(tally.state(house.database)) == tally.state_hash(before)
    with house.database.read() as connection:
        assert len(connection.execute(select(InboundArrival.id)).all()) >= len(arrivals)


def test_a_file_that_took_effect_cannot_be_replayed_by_hand(house):
    for row, _content in stored_files(house):
        with pytest.raises(Refused):
            inbound.replay(house, row.id, "test")


def test_the_audit_trail_of_the_evening_is_whole(house):
    with house.database.read() as connection:
        for creditor_id in (0, *connection.execute(select(Creditor.id)).scalars()):
            assert audit.verify(connection, creditor_id) is None
