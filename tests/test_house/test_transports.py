"""Mailboxes: what arrives, what certainly did not, and what nobody knows. Against a real SFTP server."""

from __future__ import annotations

import io
import os
import threading
import time

import asyncssh
import pytest

from gateway import transports
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt
from gateway.transports import open_transport, plain_name
from tests.test_house import sftp

BYTES = b"<krav/>\r\n" * 3
SECRETS = {"sftp_password": sftp.PASSWORD}


@pytest.fixture
def server(tmp_path):
    with sftp.running(tmp_path / "mailbox") as running:
        yield running


@pytest.fixture(params=["folder", "sftp"])
def mailbox(request, tmp_path):
    """(transport, upload folder, download folder) of each kind."""
    if request.param == "folder":
        root = tmp_path / "box"
        (root / "download").mkdir(parents=True)
        yield open_transport({"kind": "folder", "root": str(root)}, {}), root / "upload", root / "download"
        return
    running = request.getfixturevalue("server")
    yield open_transport(running.settings(), SECRETS), running.root / "in", running.root / "out"


def put(transport, content=BYTES, name="krav-1.xml", size=None):
    return transport.put(name, io.BytesIO(content), len(content) if size is None else size)


def names(transport):
    return [file.name for file in transport.waiting()]


def test_put_delivers_the_bytes_and_leaves_no_temporary_file(mailbox):
    transport, upload, _ = mailbox
    assert put(transport) == "krav-1.xml"
    assert [path.name for path in upload.iterdir()] == ["krav-1.xml"]
    assert (upload / "krav-1.xml").read_bytes() == BYTES


def test_a_large_file_arrives_whole(mailbox):
    transport, upload, _ = mailbox
    content = bytes(range(256)) * 40_000
    put(transport, content)
    assert (upload / "krav-1.xml").read_bytes() == content


def test_sending_the_same_bytes_again_counts_as_delivered(mailbox):
    transport, upload, _ = mailbox
    put(transport)
    assert put(transport) == "krav-1.xml"
    assert [path.name for path in upload.iterdir()] == ["krav-1.xml"]


@pytest.mark.parametrize("other", [BYTES + b"more", BYTES[:-1], b"x" + BYTES[1:], b""])
def test_other_bytes_under_a_delivered_name_never_replace_it(mailbox, other):
    transport, upload, _ = mailbox
    put(transport)
    with pytest.raises(DataError, match="another file of that name"):
        put(transport, other)
    assert (upload / "krav-1.xml").read_bytes() == BYTES


def test_a_size_that_differs_is_not_delivered(mailbox):
    transport, upload, _ = mailbox
    with pytest.raises(DeliveryError, match="bytes arrived"):
        put(transport, size=len(BYTES) + 1)
    assert not (upload / "krav-1.xml").exists()


def test_a_half_written_temporary_file_of_an_earlier_life_is_no_obstacle(mailbox):
    transport, upload, _ = mailbox
    upload.mkdir(exist_ok=True)
    (upload / ".krav-1.xml.part").write_bytes(b"half" * 100)
    put(transport)
    assert (upload / "krav-1.xml").read_bytes() == BYTES


def test_list_names_complete_files_only(mailbox):
    transport, _, download = mailbox
    for name in ("b.txt", "a.txt", ".hidden", "c.tmp", "d.PART", "e.filepart", "f~"):
        (download / name).write_bytes(BYTES)
    (download / "folder").mkdir()
    (download / "link.txt").symlink_to("/etc/hostname")
    assert names(transport) == ["a.txt", "b.txt"]


def test_a_file_that_still_grows_waits(mailbox):
    transport, _, download = mailbox
    (download / "done.txt").write_bytes(BYTES)
    over = threading.Event()

    def grow():
        with (download / "grows.txt").open("ab") as file:
            while not over.wait(0.02):
                file.write(b"x")
                file.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    time.sleep(0.1)
    try:
        assert names(transport) == ["done.txt"]
    finally:
        over.set()
        thread.join()
    assert names(transport) == ["done.txt", "grows.txt"]


def test_a_stamp_stays_while_the_file_does_and_changes_with_it(mailbox):
    transport, _, download = mailbox
    (download / "a.txt").write_bytes(BYTES)
    (before,) = transport.waiting()
    assert before.stamp
    assert transport.waiting() == [before]
    for content, seconds in ((BYTES + b"more", 1_000_000), (BYTES, 1_000_001)):
        (download / "a.txt").write_bytes(content)
        os.utime(download / "a.txt", (seconds, seconds))
        (after,) = transport.waiting()
        assert after.stamp != before.stamp
        before = after


def test_get_copies_and_remove_takes_out(mailbox):
    transport, _, download = mailbox
    (download / "a.txt").write_bytes(BYTES)
    copy = io.BytesIO()
    transport.get("a.txt", copy)
    assert copy.getvalue() == BYTES
    assert (download / "a.txt").exists()
    transport.remove("a.txt")
    transport.remove("a.txt")
    assert list(download.iterdir()) == []


def test_getting_what_is_not_there_may_be_tried_again(mailbox):
    with pytest.raises(DeliveryError):
        mailbox[0].get("nothing.txt", io.BytesIO())


def test_read_back_tells_present_from_absent(mailbox):
    transport, _, _ = mailbox
    put(transport)
    copy = io.BytesIO()
    assert transport.read_back("krav-1.xml", copy) is True
    assert copy.getvalue() == BYTES
    assert transport.read_back("krav-2.xml", io.BytesIO()) is False


@pytest.mark.parametrize(
    "name", ["../up.txt", "/etc/passwd", "a/b", "a\\b", "..", ".", "", ".hidden", "a\0b", "a\nb", "x" * 300]
)
def test_a_name_that_is_a_path_is_refused(mailbox, name):
    transport, _, _ = mailbox
    for action in (
        lambda: put(transport, name=name),
        lambda: transport.get(name, io.BytesIO()),
        lambda: transport.remove(name),
        lambda: transport.read_back(name, io.BytesIO()),
    ):
        with pytest.raises(DataError, match="plain file name"):
            action()


def test_ordinary_names_pass():
    for name in ("KRAV0001.XML", "camt.054-2026_11_23.xml", "Årsoppgave 1.txt"):
        assert plain_name(name) == name


def test_a_mailbox_that_keeps_its_files_is_left_alone(tmp_path, server):
    (server.root / "out" / "a.txt").write_bytes(BYTES)
    open_transport(server.settings(keeps_files=True), SECRETS).remove("a.txt")
    assert (server.root / "out" / "a.txt").exists()


def test_a_folder_never_follows_a_link_out_of_the_mailbox(tmp_path):
    (tmp_path / "download").mkdir()
    (tmp_path / "secret").write_text("no")
    (tmp_path / "download" / "a.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(DeliveryError):
        open_transport({"kind": "folder", "root": str(tmp_path)}, {}).get("a.txt", io.BytesIO())


def test_an_unknown_host_key_stops_before_anything_is_sent(server):
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(DeliveryError, match=r"(?i)host key"):
        put(open_transport(server.settings(host_key=stranger), SECRETS))
    assert list((server.root / "in").iterdir()) == []


def test_a_wrong_password_is_a_failed_attempt(server):
    with pytest.raises(DeliveryError):
        put(open_transport(server.settings(), {"sftp_password": "wrong"}))


def test_a_server_that_is_away_is_a_failed_attempt(server):
    with pytest.raises(DeliveryError):
        put(open_transport(server.settings(port=1), SECRETS))


@pytest.mark.parametrize("manner", ["drops-on-write", "refuses-rename", "short"])
def test_before_the_rename_a_failure_means_not_arrived(server, manner):
    server.manner = manner
    with pytest.raises(DeliveryError):
        put(open_transport(server.settings(), SECRETS))
    assert not (server.root / "in" / "krav-1.xml").exists()


@pytest.mark.parametrize("manner", ["drops-on-rename", "drops-after-rename"])
def test_a_connection_lost_during_the_rename_is_doubt_and_reading_back_resolves_it(server, manner):
    server.manner = manner
    transport = open_transport(server.settings(), SECRETS)
    with pytest.raises(DeliveryInDoubt):
        put(transport)
    assert server.renames == 1
    server.manner = "good"
    assert transport.read_back("krav-1.xml", io.BytesIO()) is (manner == "drops-after-rename")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": "ftp"},
        {"kind": "folder"},
        {"kind": "folder", "root": "relative/path"},
        {"kind": "sftp", "host": "h", "user": "u", "upload": "/i", "download": "/o"},
        {"kind": "sftp", "host": "h", "user": "u", "upload": "/i", "download": "/o", "host_key": "nonsense"},
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings):
    with pytest.raises(DataError, match="transport"):
        open_transport(settings, SECRETS)


def test_sftp_with_a_private_key(server):
    """Keys are read; this server takes passwords only, so the attempt fails as a failed log-in, not as a crash."""
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    with pytest.raises(DeliveryError):
        put(open_transport(server.settings(), {"sftp_private_key": key}))
    assert transports.CONNECT_SECONDS < 60
