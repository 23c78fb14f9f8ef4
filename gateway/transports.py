"""Ways to an agency's mailbox: a folder, or an SFTP server whose host key is known.

What decides between "send again" and "never send again blindly" is the rename: before it was asked for, the far side
cannot have taken the file (``DeliveryError``); when the connection breaks while it is asked for, it may have
(``DeliveryInDoubt``).
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import asyncssh
import structlog

from gateway.domain.transport import Transport, Waiting
from gateway.errors import DataError, DeliveryError, DeliveryInDoubt

T = TypeVar("T")
_log = structlog.get_logger()

CONNECT_SECONDS = 20
SILENCE_SECONDS = 15
"""After this long without a sign of life the other end is asked for one; three unanswered end the connection."""
SETTLE_SECONDS = 0.5
"""A file whose size or time changes within this time is still being written and waits for the next look."""
BLOCK_BYTES = 1 << 22
"""Read and written at once; asyncssh cuts it into packets and keeps many of them in flight."""
_NAME_BYTES_MAX = 200
_UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".uploading", ".new", "~")


def open_transport(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Transport:
    """Return the way to a mailbox.

    Args:
        settings: an agreement's ``transport``: ``{"kind": "folder", "root"}`` or ``{"kind": "sftp", "host", "port",
            "user", "host_key", "upload", "download", "keeps_files"}``.
        secrets: ``sftp_password`` or ``sftp_private_key`` (OpenSSH text).

    Raises:
        DataError: a setting is missing or wrong; nothing was contacted.
    """
    kind = settings.get("kind")
    if kind == "folder":
        return FolderTransport(_needed(settings, "root"), keeps_files=bool(settings.get("keeps_files")))
    if kind == "sftp":
        return SftpTransport(settings, secrets)
    raise DataError(f"transport kind {kind!r} is neither 'folder' nor 'sftp'")


class FolderTransport:
    """A mailbox in a folder of this machine: ``root/upload`` is read by the agency, ``root/download`` by us."""

    def __init__(self, root: str, *, keeps_files: bool = False) -> None:
        if not Path(root).is_absolute():
            raise DataError(f"transport root {root!r} is not an absolute path")
        self._upload, self._download = Path(root) / "upload", Path(root) / "download"
        self._keeps_files = keeps_files

    def put(self, filename: str, content: BinaryIO, size: int) -> str:
        """Write under a temporary name, compare the size, rename. The same bytes under that name count as delivered."""
        name = plain_name(filename)
        unfinished = self._upload / f".{name}.part"
        try:
            self._upload.mkdir(parents=True, exist_ok=True)
            _write_through(unfinished, content)
            _require_size(name, unfinished.stat().st_size, size)
        except OSError as error:
            raise DeliveryError(f"{name}: {error}") from error
        return self._rename(unfinished, name)

    def waiting(self) -> list[Waiting]:
        """Return complete files waiting for us, in order of their names."""
        try:
            before = self._looks()
            if before:
                time.sleep(SETTLE_SECONDS)
            after = self._looks()
        except OSError as error:
            raise DeliveryError(f"{self._download}: {error}") from error
        return _settled(before, after)

    def get(self, filename: str, into: BinaryIO) -> None:
        """Copy one waiting file into *into*."""
        try:
            _copy_file(self._download / plain_name(filename), into)
        except OSError as error:
            raise DeliveryError(f"{filename}: {error}") from error

    def remove(self, filename: str) -> None:
        """Take a file out of the mailbox; a file that is gone already is fine."""
        if self._keeps_files:
            return
        try:
            (self._download / plain_name(filename)).unlink(missing_ok=True)
        except OSError as error:
            raise DeliveryError(f"{filename}: {error}") from error

    def read_back(self, filename: str, into: BinaryIO) -> bool:
        """Copy a file we delivered earlier into *into*; False if the agency has taken it or it never arrived."""
        try:
            _copy_file(self._upload / plain_name(filename), into)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise DeliveryError(f"{filename}: {error}") from error
        return True

    def _rename(self, unfinished: Path, name: str) -> str:
        final = self._upload / name
        try:
            final.hardlink_to(unfinished)  # unlike a rename, a link never replaces a file that is there
        except FileExistsError:
            _require_same(name, unfinished, final)
        except OSError as error:
            raise DeliveryError(f"{name}: {error}") from error
        with suppress(OSError):
            unfinished.unlink()
        return name

    def _looks(self) -> dict[str, _Look]:
        if not self._download.is_dir():
            return {}
        with os.scandir(self._download) as found:
            return {
                entry.name: _folder_look(entry.stat())
                for entry in found
                if entry.is_file(follow_symlinks=False) and _is_finished(entry.name)
            }


class SftpTransport:
    """A mailbox on an SFTP server. The server's host key is required and compared; nothing is trusted on first use."""

    def __init__(self, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._host, self._port = _needed(settings, "host"), int(settings.get("port") or 22)
        self._upload, self._download = (
            _needed(settings, "upload").rstrip("/"),
            _needed(settings, "download").rstrip("/"),
        )
        self._keeps_files = bool(settings.get("keeps_files"))
        self._options = _ssh_options(settings, secrets)

    def put(self, filename: str, content: BinaryIO, size: int) -> str:
        """Upload under a temporary name, compare the size, rename. The same bytes under that name count as delivered."""
        return self._talk(self._put(plain_name(filename), content, size))

    def waiting(self) -> list[Waiting]:
        """Return complete files waiting for us, in order of their names."""
        return self._talk(self._waiting())

    def get(self, filename: str, into: BinaryIO) -> None:
        """Copy one waiting file into *into*."""
        if not self._talk(self._get(f"{self._download}/{plain_name(filename)}", into)):
            raise DeliveryError(f"{filename}: is no longer there")

    def remove(self, filename: str) -> None:
        """Take a file out of the mailbox; a file that is gone already is fine."""
        if not self._keeps_files:
            self._talk(self._remove(f"{self._download}/{plain_name(filename)}"))

    def read_back(self, filename: str, into: BinaryIO) -> bool:
        """Copy a file we delivered earlier into *into*; False if the agency has taken it or it never arrived."""
        return self._talk(self._get(f"{self._upload}/{plain_name(filename)}", into))

    def _talk(self, conversation: Coroutine[Any, Any, T]) -> T:
        """Whatever breaks here broke before a rename: `_rename` has turned its own failures into doubt."""
        try:
            return asyncio.run(conversation)
        except (OSError, asyncssh.Error) as error:
            raise DeliveryError(f"sftp {self._host}:{self._port}: {error or type(error).__name__}") from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncssh.SFTPClient]:
        connection = await asyncssh.connect(self._host, self._port, **self._options)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await connection.start_sftp_client()
            yield client
        finally:
            connection.abort()  # nothing is left to say, and a polite goodbye may hang on a broken line

    async def _put(self, name: str, content: BinaryIO, size: int) -> str:
        unfinished, final = f"{self._upload}/.{name}.part", f"{self._upload}/{name}"
        async with self._connected() as client:
            async with client.open(unfinished, "wb") as file:
                while block := content.read(BLOCK_BYTES):
                    await file.write(block)
            _require_size(name, (await client.stat(unfinished)).size or 0, size)
            if await client.exists(final):
                await self._require_same(client, name, content, final)
                await client.remove(unfinished)
            else:
                await _rename(client, unfinished, final, name)
        return name

    async def _require_same(self, client: asyncssh.SFTPClient, name: str, content: BinaryIO, final: str) -> None:
        content.seek(0)
        async with client.open(final, "rb") as file:
            while True:
                theirs, ours = _bytes(await file.read(BLOCK_BYTES)), content.read(BLOCK_BYTES)
                if theirs != ours:
                    raise DataError(f"{name}: another file of that name lies at the far side")
                if not ours:
                    return

    async def _waiting(self) -> list[Waiting]:
        async with self._connected() as client:
            before = await self._looks(client)
            if before:
                await asyncio.sleep(SETTLE_SECONDS)
            return _settled(before, await self._looks(client))

    async def _looks(self, client: asyncssh.SFTPClient) -> dict[str, _Look]:
        found = {}
        for entry in await client.readdir(self._download):
            name = entry.filename if isinstance(entry.filename, str) else entry.filename.decode("utf-8", "replace")
            if entry.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR and _is_finished(name):
                found[name] = _sftp_look(entry.attrs)
        return found

    async def _get(self, path: str, into: BinaryIO) -> bool:
        async with self._connected() as client:
            try:
                async with client.open(path, "rb") as file:
                    while block := _bytes(await file.read(BLOCK_BYTES)):
                        into.write(block)
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return False
        return True

    async def _remove(self, path: str) -> None:
        async with self._connected() as client:
            with suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                await client.remove(path)


async def _rename(client: asyncssh.SFTPClient, unfinished: str, final: str, name: str) -> None:
    """Ask for the rename. Refused by the server: not arrived. No answer: nobody knows."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS * 3):
            await client.rename(unfinished, final)
    except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError, OSError) as error:
        raise DeliveryInDoubt(f"{name}: the connection broke during the rename: {error}") from error
    except asyncssh.SFTPError as error:
        raise DeliveryError(f"{name}: the server refused the rename: {error}") from error


def _bytes(block: str | bytes) -> bytes:
    """The types of asyncssh do not know that a file opened as binary gives bytes."""
    assert isinstance(block, bytes)
    return block


def plain_name(filename: str) -> str:
    """Return *filename* if it names a file in one folder and nothing else.

    Raises:
        DataError: it holds a path, a control character, begins with a dot, or is too long for a mailbox.
    """
    is_plain = (
        0 < len(filename.encode("utf-8", "replace")) <= _NAME_BYTES_MAX
        and not filename.startswith(".")
        and not any(sign in "/\\" or not sign.isprintable() for sign in filename)
    )
    if not is_plain:
        raise DataError(f"{filename[:_NAME_BYTES_MAX]!r} is not a plain file name")
    return filename


def _is_finished(name: str) -> bool:
    if name.startswith(".") or name.lower().endswith(_UNFINISHED):
        return False
    try:
        plain_name(name)
    except DataError:
        _log.warning("mailbox holds a file with an impossible name", name=name)
        return False
    return True


class _Look(NamedTuple):
    """What a mailbox says about a file at one moment."""

    size: int
    stamp: str


def _settled(before: Mapping[str, _Look], after: Mapping[str, _Look]) -> list[Waiting]:
    return [Waiting(name, look.stamp) for name, look in sorted(after.items()) if before.get(name) == look]


def _folder_look(found: os.stat_result) -> _Look:
    """The time of the last change of any kind and the number on disk: a replacement that keeps size and time shows."""
    return _Look(found.st_size, f"{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}")


def _sftp_look(found: asyncssh.SFTPAttrs) -> _Look:
    """Size and time of change, which most servers know to the second; a server that tells no time tells nothing."""
    size, is_told = found.size or 0, found.size is not None and found.mtime is not None
    return _Look(size, f"{size}:{found.mtime}:{found.mtime_ns or 0}" if is_told else "")


def _needed(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"transport setting {name!r} is missing")
    return value


def _ssh_options(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    try:
        host_key = asyncssh.import_public_key(_needed(settings, "host_key"))
        private = secrets.get("sftp_private_key")
        keys = [asyncssh.import_private_key(private)] if private else []
    except (asyncssh.KeyImportError, ValueError) as error:
        raise DataError(f"transport key cannot be read: {error}") from None
    return {
        "username": _needed(settings, "user"),
        "password": secrets.get("sftp_password"),
        "client_keys": keys,
        "known_hosts": ([host_key], [], []),
        "config": None,  # what this machine's ~/.ssh says must not change where money goes
        "agent_path": None,
        "connect_timeout": CONNECT_SECONDS,
        "login_timeout": CONNECT_SECONDS,
        "keepalive_interval": SILENCE_SECONDS,
    }


def _require_size(name: str, found: int, size: int) -> None:
    if found != size:
        raise DeliveryError(f"{name}: {found} bytes arrived of {size}")


def _write_through(path: Path, content: BinaryIO) -> None:
    with path.open("wb") as file:
        while block := content.read(BLOCK_BYTES):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def _copy_file(path: Path, into: BinaryIO) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path.name} is not a file")
        while block := file.read(BLOCK_BYTES):
            into.write(block)


def _require_same(name: str, ours: Path, theirs: Path) -> None:
    with ours.open("rb") as one, theirs.open("rb") as other:
        while block := one.read(BLOCK_BYTES):
            if other.read(BLOCK_BYTES) != block:
                raise DataError(f"{name}: another file of that name lies at the far side")
        if other.read(1):
            raise DataError(f"{name}: another file of that name lies at the far side")
