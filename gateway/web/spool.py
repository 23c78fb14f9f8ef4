"""A request's body as a file: streamed to disk, hashed on the way, never whole in memory."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple, cast

from flask import request
from werkzeug.http import parse_options_header

_CHUNK_BYTES = 1 << 16
_IN_MEMORY_BYTES = 1 << 20
"""Bodies up to this stay in memory; nearly all do."""


class Spooled(NamedTuple):
    """A body that was read to its end. *content* stands at its beginning."""

    content: BinaryIO
    size: int
    sha256: str


_UNSAFE = re.compile(r"[^\w .()+-]")


def sent_filename(default: str) -> str:
    """Return the name the sender gives the file, for showing only: a bare name, never a path."""
    _, options = parse_options_header(request.headers.get("Content-Disposition"))
    name = re.split(r"[/\\]", options.get("filename", ""))[-1]
    return _UNSAFE.sub("_", name)[:120].strip() or default


@contextmanager
def spooled(max_bytes: int, watch: Callable[[bytes], None] | None = None) -> Iterator[Spooled]:
    """Read the body of the present request and hand it over as a file that vanishes afterwards.

    Args:
        max_bytes: where reading stops; the application's own limit does not matter here.
        watch: is shown every chunk, for signatures over the body.

    Raises:
        RequestEntityTooLarge: the body is larger; at most *max_bytes* were written.
        ClientDisconnected: it ended before the length it announced.
    """
    request.max_content_length = max_bytes
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
        while chunk := request.stream.read(_CHUNK_BYTES):
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            if watch:
                watch(chunk)
        file.seek(0)
        yield Spooled(cast("BinaryIO", file), size, digest.hexdigest())
