"""A sandbox over HTTPS on this machine: TLS in the thread of each connection, so that nobody's handshake stops the others."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from gateway.testing.api_sandbox.sandbox import ApiSandbox
from gateway.testing.api_sandbox.tls import CA_FILE, contexts

_log = structlog.get_logger()
_POLL_SECONDS = 0.05
_CLIENT_SECONDS = 30
"""A client that says nothing for so long is left."""


class Served(NamedTuple):
    """Where a sandbox is found: *address* (``https://127.0.0.1:PORT``), and the only root that vouches for it."""

    address: str
    ca_pem: str
    ca_file: Path


@contextmanager
def serving(sandbox: ApiSandbox, folder: Path | None = None) -> Iterator[Served]:
    """Serve *sandbox* over HTTPS in a thread while the context lasts.

    Args:
        sandbox: its `ApiSandbox.misbehave` holds for connections, too.
        folder: of its certificates, by default ``tls`` in the sandbox's own.
    """
    folder = folder or sandbox.root / "tls"
    shown = contexts(folder)
    server = _Server(sandbox, shown)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
    thread.start()
    try:
        ca_file = folder / CA_FILE
        yield Served(f"https://127.0.0.1:{server.port}", ca_file.read_text(), ca_file)
    finally:
        server.shutdown()
        thread.join()


class _Handler(WSGIRequestHandler):
    """One connection; what it says stands in the sandbox's own log."""

    timeout = _CLIENT_SECONDS

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ARG002  # werkzeug's
        """End the connection: one of HTTP/1.1 would else wait for the next request."""
        self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        """Keep faults; an `info` is a line per request."""
        if type != "info":
            _log.info("sandbox connection", fault=message % args)


class _Server(ThreadedWSGIServer):
    """Shows each connection the certificate of the moment.

    The accepted socket is wrapped, not the listening one: else handshakes would run in the thread that accepts.
    """

    def __init__(self, sandbox: ApiSandbox, shown: Mapping[str, ssl.SSLContext]) -> None:
        super().__init__("127.0.0.1", 0, sandbox.app, _Handler)
        self._sandbox, self._shown = sandbox, shown
        self.ssl_context = shown["right"]  # tells the application that it is https; what is shown is decided below

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take the next connection; its handshake happens with its first byte."""
        plain, address = self.socket.accept()
        try:
            context = self._shown[self._sandbox.trouble.certificate()]
            return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address
        except OSError:
            plain.close()
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # socketserver's
        """Note that a connection failed; the others go on."""
        _log.exception("sandbox connection")
