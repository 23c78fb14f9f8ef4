"""Answers of an API that come as a whole in bounded time and size, or not at all (ADR 0029).

The limit that requests knows starts anew with every byte that comes.
"""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

ANSWER_BYTES_MAX = 8 << 20
"""A larger answer is none we asked for."""
WHOLE_ANSWER_SECONDS = 60.0
"""From the moment the request is sent until the last byte of the answer."""


class _TimedReader(io.RawIOBase):
    """What comes from a socket, until a moment. The socket's own limit starts anew with every byte."""

    def __init__(self, raw: io.RawIOBase, ends: float) -> None:
        self._raw, self._ends = raw, ends

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come; raises ``TimeoutError`` when the time is over."""
        if time.monotonic() >= self._ends:
            raise TimeoutError("the answer takes too long")
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Close the socket's side, too."""
        self._raw.close()
        super().close()


class _TimedAnswer(HTTPResponse):
    """An answer that must be there as a whole in a certain time, head and body."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        raw = sock.makefile("rb", buffering=0)
        self.fp = io.BufferedReader(_TimedReader(raw, time.monotonic() + WHOLE_ANSWER_SECONDS))


class _TimedConnection(HTTPSConnection):
    response_class = _TimedAnswer


class _TimedPool(HTTPSConnectionPool):
    ConnectionCls = _TimedConnection


class TimedAdapter(HTTPAdapter):
    """Mounted in a session: an answer of its is there as a whole after `WHOLE_ANSWER_SECONDS`, or given up."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make connections whose answers are timed."""
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = {"https": _TimedPool}


def body_of(response: requests.Response) -> bytes:
    """Return the body of a streamed answer; raises ``requests.RequestException`` where it breaks off or has no end."""
    pieces, size = [], 0
    for piece in response.iter_content(1 << 16):
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise requests.ConnectionError(f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
        pieces.append(piece)
    return b"".join(pieces)
