"""A mailbox that keeps its files: what has not changed is not fetched again, and what was replaced never missed."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.db.tables import InboundFile, MailboxFile
from gateway.domain.transport import Waiting
from gateway.errors import DeliveryError
from gateway.services import agreements, mailbox
from gateway.services.mailbox import LOOK_AGAIN, PROVEN_AFTER, fetch
from tests.rules.world import ACTOR, World


@dataclass
class Server:
    """An SFTP server as most are: it tells sizes and whole seconds of its own clock."""

    seconds: float = 1000.0
    files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    got: list[str] = field(default_factory=list)
    tells_time: bool = True
    refuses: str = ""

    def write(self, name: str, content: bytes, mtime: int | None = None) -> None:
        self.files[name] = (content, int(self.seconds) if mtime is None else mtime)

    def waiting(self):
        return [
            Waiting(name, f"{len(content)}:{mtime}" if self.tells_time else "")
            for name, (content, mtime) in sorted(self.files.items())
        ]

    def get(self, name, into: io.BytesIO):
        if name == self.refuses:
            raise DeliveryError(f"{name}: permission denied")
        self.got.append(name)
        into.write(self.files[name][0])

    def remove(self, name):
        pass

    def take_got(self) -> list[str]:
        got, self.got = self.got, []
        return got


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setattr(mailbox, "open_transport", lambda *_: server)
    return server


def passes(world, server, **parts: float) -> None:
    before = world.clock()
    server.seconds += (world.clock.advance(**parts) - before).total_seconds()


def stored(world) -> set[str]:
    return {row.sha256 for row in world.rows(InboundFile)}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def downloads(world, server) -> list[str]:
    assert fetch(world.house, world.agreement_id) == len(server.got)
    return server.take_got()


def test_an_unchanged_file_is_downloaded_twice_and_then_once_a_day(fjord, server):
    server.write("a", b"one")
    looks = []
    for _ in range(4 * 24 * 3):
        looks.append(len(downloads(fjord, server)))
        passes(fjord, server, minutes=15)
    a_day = LOOK_AGAIN.total_seconds() / 900
    assert looks[:3] == [1, 1, 0]
    assert [number for number, count in enumerate(looks) if count] == [0, 1, 1 + a_day, 1 + 2 * a_day]
    assert len(fjord.rows(InboundFile)) == 1


def test_a_new_file_among_known_ones_is_the_only_one_fetched(fjord, server):
    for name in "abc":
        server.write(name, name.encode())
    for _ in range(2):
        downloads(fjord, server)
        passes(fjord, server, minutes=15)
    server.write("b2", b"new")
    assert downloads(fjord, server) == ["b2"]


def test_a_file_replaced_within_its_second_is_not_missed(fjord, server):
    """Same name, same size, same whole second: no stamp can tell."""
    server.write("a", b"one")
    assert downloads(fjord, server) == ["a"]
    passes(fjord, server, milliseconds=300)
    server.write("a", b"two")
    assert downloads(fjord, server) == ["a"]
    assert {sha256(b"one"), sha256(b"two")} == stored(fjord)


def test_two_looks_within_a_second_prove_nothing(fjord, server):
    server.write("a", b"one")
    for content in (b"one", b"one", b"two"):
        server.write("a", content)
        assert downloads(fjord, server) == ["a"]
        passes(fjord, server, milliseconds=300)
    passes(fjord, server, seconds=PROVEN_AFTER.total_seconds())
    assert downloads(fjord, server) == ["a"]
    assert downloads(fjord, server) == []
    assert sha256(b"two") in stored(fjord)


def test_a_file_replaced_with_its_time_copied_along_is_found_within_a_day(fjord, server):
    server.write("a", b"one", mtime=7)
    for _ in range(2):
        downloads(fjord, server)
        passes(fjord, server, minutes=15)
    server.write("a", b"two", mtime=7)
    assert downloads(fjord, server) == []
    passes(fjord, server, seconds=LOOK_AGAIN.total_seconds())
    assert downloads(fjord, server) == ["a"]
    assert sha256(b"two") in stored(fjord)


def test_a_server_that_tells_no_time_is_believed_nothing(fjord, server):
    server.tells_time = False
    server.write("a", b"one")
    for _ in range(4):
        assert downloads(fjord, server) == ["a"]
        passes(fjord, server, minutes=15)


def test_what_was_taken_away_is_forgotten_and_looked_at_anew_when_it_comes_back(fjord, server):
    server.write("a", b"one", mtime=7)
    for _ in range(2):
        downloads(fjord, server)
        passes(fjord, server, minutes=15)
    del server.files["a"]
    downloads(fjord, server)
    assert fjord.rows(MailboxFile) == []
    server.write("a", b"two", mtime=7)
    assert downloads(fjord, server) == ["a"]


def test_another_mailbox_is_another_place(fjord, server):
    """The agreement moves to another server, where a file of that name, size and time is another file."""
    server.write("a", b"one", mtime=7)
    for _ in range(2):
        downloads(fjord, server)
        passes(fjord, server, minutes=15)
    moved = {"kind": "folder", "root": str(fjord.root / "elsewhere"), "keeps_files": True}
    agreements.change_agreement(fjord.house, fjord.agreement_id, {"transport": moved}, ACTOR)
    server.write("a", b"two", mtime=7)
    assert downloads(fjord, server) == ["a"]


def test_a_file_that_cannot_be_read_is_tried_again_and_the_others_are_remembered(fjord, server):
    for name in "ab":
        server.write(name, name.encode())
    server.refuses = "a"
    for _ in range(2):
        with pytest.raises(DeliveryError, match="permission"):
            fetch(fjord.house, fjord.agreement_id)
        passes(fjord, server, minutes=15)
    server.refuses = ""
    assert server.take_got() == ["b", "b"]
    assert downloads(fjord, server) == ["a"]


def test_two_agreements_remember_apart(house, clock, tmp_path, server):
    one = World(house, clock, tmp_path, "lowell").start()
    two = World(house, clock, tmp_path, "lowell", key="other").start()
    server.write("a", b"one")
    for _ in range(2):
        downloads(one, server)
        passes(one, server, minutes=15)
    assert downloads(one, server) == []
    assert downloads(two, server) == ["a"]


def test_a_mailbox_that_is_emptied_keeps_no_memory(house, clock, tmp_path):
    world = World(
        house, clock, tmp_path, options={"transport": {"kind": "folder", "root": str(tmp_path / "box")}}
    ).start()
    (tmp_path / "box" / "download").mkdir(parents=True)
    for content in (b"one", b"two"):
        (tmp_path / "box" / "download" / "a").write_bytes(content)
        assert fetch(house, world.agreement_id) == 1
    assert world.rows(MailboxFile) == []
    assert stored(world) == {sha256(b"one"), sha256(b"two")}


def test_a_folder_shows_a_replacement_even_when_its_time_was_copied_along(fjord):
    folder = fjord.root / fjord.agency / "download"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a").write_bytes(b"one")
    os.utime(folder / "a", (7, 7))
    for expected in (1, 1, 0):
        assert fetch(fjord.house, fjord.agreement_id) == expected
        fjord.clock.advance(minutes=15)
    (folder / "new").write_bytes(b"two")
    os.utime(folder / "new", (7, 7))
    (folder / "new").replace(folder / "a")
    assert fetch(fjord.house, fjord.agreement_id) == 1
    assert sha256(b"two") in stored(fjord)


MOVES = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("ab"), st.integers(0, 3)),
    st.tuples(st.just("remove"), st.sampled_from("ab")),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.2, 0.7, 1.0, 2.9, 3.0, 60.0, 90_000.0])),
    st.tuples(st.just("fetch")),
)


def test_whatever_lies_there_at_a_look_is_here_after_it(sqlite_house, clock, tmp_path, monkeypatch):
    """Contents of one size, a clock of whole seconds that differs from ours, any order of writing and looking."""
    keys = itertools.count()

    @settings(max_examples=150, deadline=None)
    @given(st.lists(MOVES, max_size=14), st.sampled_from([-3600.0, 0.0, 0.4, 7200.0]))
    def lives_through(moves, skew):
        clock.moment = max(clock.moment, datetime(2026, 11, 23, tzinfo=UTC))
        world = World(sqlite_house, clock, tmp_path, key=f"k{next(keys)}").start()
        server = Server(seconds=clock().timestamp() + skew)
        monkeypatch.setattr(mailbox, "open_transport", lambda *_: server)
        for kind, *given_ in [*moves, ("fetch",)]:
            if kind == "write":
                server.write(given_[0], b"%d" % given_[1])
            elif kind == "remove":
                server.files.pop(given_[0], None)
            elif kind == "wait":
                passes(world, server, seconds=given_[0])
            else:
                fetch(world.house, world.agreement_id)
                here = {row.sha256 for row in world.rows(InboundFile, InboundFile.agreement_id == world.agreement_id)}
                assert {sha256(content) for content, _ in server.files.values()} <= here

    lives_through()
