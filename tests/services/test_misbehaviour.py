"""An agency that misbehaves in every way at once: in the end both ledgers agree, and nothing was told or taken twice."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from bench.lives import COUNTERPARTS, live
from gateway.agencies import Agencies
from gateway.demo.misbehaviour import POST, WAYS, Postman, checked_ways
from gateway.domain.exchange import Can
from gateway.errors import ConfigurationError, DeliveryError, DeliveryInDoubt
from gateway.transports import open_transport

NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)


NEVER_SENT = {("factoring", "svea-fi"), ("intrum", "intrum-fi-type10")}
"""Layouts that are explained and read only."""
LIVED = (
    ("lowell kravport-sls-1", 12),
    ("factoring sgfinans-9409", 5),
    ("factoring fall-nordea", 5),
    ("esp nk003-advanced", 5),
    ("esp kravport-pull-1", 5),
)
"""Those whose trouble no other test has; ``python -m bench.misbehaviour`` lives thousands of evenings with every counterpart."""


@pytest.mark.slow
@pytest.mark.rule("P1", "P4", "P8", "R-VL-08")
@pytest.mark.parametrize(("name", "seed"), LIVED, ids=[name for name, _ in LIVED])
def test_a_life_with_trouble_ends_with_equal_ledgers(name, seed):
    (terms,) = (one for one in COUNTERPARTS if one.name == name)
    ended = live(seed, 1, terms, terms.ways)
    assert ended.faults == []
    assert ended.claims
    assert sum(ended.struck.values()) > 2


def test_every_layout_that_can_be_sent_by_has_a_life():
    sent = {
        (agency.profile.key, layout.name)
        for agency in Agencies.load()
        if Can.EXPORT_INVOICE in agency.profile.can
        for layout in agency.profile.layouts
    }
    assert sent - {(terms.agency, terms.layout) for terms in COUNTERPARTS} == NEVER_SENT


class Quiet:
    """An agency that answers with what a test puts into its download folder."""

    def __init__(self, root):
        for name in ("upload", "download"):
            (root / name).mkdir()
        self.root, self.seen = root, []

    def work(self, now):
        self.seen += sorted(path.name for path in (self.root / "upload").iterdir())
        return 0


def letters(tmp_path, way, seed=3, count=12):
    """Return what lay in the mailbox hour by hour, when *count* letters were posted at once."""
    postman = Postman(Quiet, tmp_path, {way}, random.Random(seed))
    for number in range(count):
        (postman.root / "download" / f"payments.{number:03d}").write_bytes(b"%03d whole" % number)
    arrived = []
    for hour in range(48):
        postman.work(NOW + timedelta(hours=hour))
        for path in sorted((tmp_path / "download").iterdir()):
            arrived.append((hour, path.name, path.read_bytes()))
            path.unlink()
    assert postman.waits() == 0
    return postman, arrived


@pytest.mark.parametrize("way", sorted(POST))
def test_every_letter_arrives_whole_whatever_happens_on_the_way(tmp_path, way):
    postman, arrived = letters(tmp_path, way)
    whole = {(name, content) for _, name, content in arrived if content.endswith(b"whole")}
    assert whole == {(f"payments.{n:03d}", b"%03d whole" % n) for n in range(12)}
    assert postman.happened[way] > 0
    hours = [hour for hour, _, _ in arrived]
    names = [name for _, name, _ in arrived]
    assert (max(hours) > 2) == (way in {"late", "truncated", "duplicate"})
    assert (len(set(names)) < len(names)) == (way in {"duplicate", "truncated"})
    assert (names == sorted(names)) == (way not in POST)


def test_the_same_seed_makes_the_same_trouble(tmp_path):
    for name in ("one", "two", "other"):
        (tmp_path / name).mkdir()
    one, two, other = (
        letters(tmp_path / name, "late", seed)[1] for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize("ways", [["rude"], [], "late", None])
def test_a_way_that_does_not_exist_is_refused(ways):
    with pytest.raises(ConfigurationError, match="wrong_host_key"):
        checked_ways(ways)


@pytest.mark.slow
@pytest.mark.rule("P4")
def test_the_sandbox_command_serves_a_bad_line(tmp_path):
    """Over real SFTP: an upload that arrived though nobody said so is in doubt, a strange key is no upload at all."""
    config = {
        "root": str(tmp_path),
        "agencies": [
            {
                "key": "lowell", "password": "pw", "misbehaviour": {"seed": 5, "ways": sorted(WAYS)},
                "facts": {"client_number": "4711", "ledger_id": "L", "currency": "NOK", "country": "NO"},
            }
        ],
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen([sys.executable, "-m", "gateway.cli", "sandbox", str(tmp_path / "config.json")])
    try:
        met = uploads(tmp_path)
    finally:
        process.terminate()
        process.wait(10)
    assert met == {"delivered", "DeliveryError", "DeliveryInDoubt"}


def uploads(root):
    """Upload until each thing that can happen has happened; return what did."""
    ready, deadline, met = root / "ready.json", time.monotonic() + 60, set()
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    door = json.loads(ready.read_text())
    settings = {
        "kind": "sftp", "host": "127.0.0.1", "port": door["port"], "user": "lowell", "host_key": door["host_key"],
        "upload": "/upload", "download": "/download",
    }  # fmt: skip
    line, number = open_transport(settings, {"sftp_password": "pw"}), 0
    while len(met) < 3 and time.monotonic() < deadline:
        number, name = number + 1, f"letter.{number}"
        try:
            line.put(name, io.BytesIO(b"hello"), 5)
            met.add("delivered")
        except (DeliveryError, DeliveryInDoubt) as error:
            is_there = any((root / "lowell" / box / "upload" / name).exists() for box in ("", "agency"))
            is_told = is_there == isinstance(error, DeliveryInDoubt)
            met.add(type(error).__name__ if is_told else f"{error}, and the file is there: {is_there}")
    return met
