"""A real SFTP server in a thread, whose manners a test can spoil."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh

USER, PASSWORD = "krav", "port"


class _Account(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == (USER, PASSWORD)


class SftpServer:
    """Serves *root*. ``manner``: ``good``, ``drops-on-rename`` (before doing it), ``drops-after-rename``,
    ``refuses-rename``, ``short`` (loses the last byte of what is written), ``drops-on-write``."""

    def __init__(self, root: Path) -> None:
        self.root, self.manner, self.port, self.renames = root, "good", 0, 0
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self._connections: list[asyncssh.SSHServerConnection] = []

    @property
    def host_key(self) -> str:
        return self.key.export_public_key().decode().strip()

    def drop_all(self) -> None:
        for connection in self._connections:
            connection.abort()

    async def listen(self) -> asyncssh.SSHAcceptor:
        server = self

        class Mailbox(asyncssh.SFTPServer):
            def __init__(self, chan):
                super().__init__(chan, chroot=str(server.root))
                server._connections.append(chan.get_connection())

            def write(self, file_obj, offset, data):
                if server.manner == "drops-on-write":
                    server.drop_all()
                    raise asyncssh.SFTPFailure("gone")
                if server.manner == "short":
                    data = data[:-1]
                return super().write(file_obj, offset, data)

            def rename(self, oldpath, newpath):
                server.renames += 1
                if server.manner == "refuses-rename":
                    raise asyncssh.SFTPPermissionDenied("not yours")
                if server.manner == "drops-after-rename":
                    super().rename(oldpath, newpath)
                if server.manner.startswith("drops"):
                    server.drop_all()
                    raise asyncssh.SFTPFailure("never reaches the client")
                return super().rename(oldpath, newpath)

        acceptor = await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[self.key], server_factory=_Account, sftp_factory=Mailbox
        )
        self.port = acceptor.get_port()
        return acceptor

    async def close(self, acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()
        self.drop_all()
        await asyncio.gather(*(connection.wait_closed() for connection in self._connections), return_exceptions=True)

    def settings(self, **changes: object) -> dict[str, object]:
        return {
            "kind": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "host_key": self.host_key,
            "upload": "/in",
            "download": "/out",
            **changes,
        }


@contextmanager
def running(root: Path) -> Iterator[SftpServer]:
    """Run a server over *root*, with folders ``in`` and ``out``, until the block ends."""
    for folder in ("in", "out"):
        (root / folder).mkdir(parents=True)
    server, loop, ready = SftpServer(root), asyncio.new_event_loop(), threading.Event()

    def serve() -> None:
        acceptor = loop.run_until_complete(server.listen())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(server.close(acceptor))
        loop.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
