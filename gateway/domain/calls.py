"""Calls to an agency's API, as plugins make them; `gateway.https` carries them, and the host notes each (ADR 0029)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol
from urllib.parse import quote

from gateway.domain.identifiers import masked

_PRIVATE_CHARACTERS_MIN = 4
"""Shorter values are no identity of anybody, and masking them would eat the rest of the text."""


class Request(NamedTuple):
    """One request. *path* stands under the agreement's base address and begins with ``/``.

    *private* names values in it that nobody needs to read later (national ids): they are masked in whatever is kept.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    media_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    private: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the request is called where people read it, without private values."""
        return f"{self.method} {self.hidden(self.path.encode(errors='replace')).decode()}"

    def hidden(self, content: bytes) -> bytes:
        """Return *content* with the private values masked, as they stand in plain text, in JSON and in an address."""
        for value in self.private:
            if len(value) >= _PRIVATE_CHARACTERS_MIN:
                for form in {value, json.dumps(value)[1:-1], quote(value, safe="")}:
                    content = content.replace(form.encode(), masked(value).encode())
        return content


class Answer(NamedTuple):
    """What the agency answered. Status 0: a person said that the call arrived, and what was answered is not known.

    *headers* holds those that say something about the body or what follows it, names in lower case.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}

    @property
    def is_accepted(self) -> bool:
        """Whether the agency has taken what the call said."""
        return self.status == 0 or 200 <= self.status < 300


Found = Callable[[], Answer | None]
"""Looks for the effect of a call that was begun and not answered: what the agency has of it, None when it has nothing."""


class Calls(Protocol):
    """The way to an agency's API. Failures are ``DeliveryError`` (nothing was done) or ``DeliveryInDoubt``."""

    def ask(self, request: Request) -> Answer:
        """Make a call that changes nothing. Any status below 500 but 401 and 429 comes back as an answer."""

    def known(self, key: str) -> Answer | None:
        """Return the answer noted for a call that was made by `once`; None while there is none. Nothing is asked."""

    def once(self, key: str, request: Request, found: Found | None = None) -> Answer:
        """Make a call that changes something, once in the life of the envelope; later the same answer comes from the note.

        Args:
            key: names the call among those of its envelope, such as ``payment:4711``; at most 120 characters.
            request: what is sent.
            found: asked before a call is repeated of which nobody knows whether it arrived; without it none is repeated.
                Asked, too, when the answer is a conflict (409): what it finds is the answer then.

        Raises:
            DeliveryError: nothing was done, later again.
            DeliveryInDoubt: perhaps it was done, and nobody can tell yet.
        """


class Fetched(NamedTuple):
    """One thing an API told, kept as a file. *content* holds nothing that another look would say differently."""

    filename: str
    content: bytes


class Page(NamedTuple):
    """What a look at an API brought. *since* is the watermark once *files* are stored; *is_more*: look again at once."""

    files: tuple[Fetched, ...]
    since: str
    is_more: bool = False


class Webhook(NamedTuple):
    """What a plugin says about a push signed in its agency's own way.

    A *fault* refuses it. A bell (*is_bell*) is stored and answered by a look at the API; no fact is taken from it. Any
    other is read as the file it is. *message_id* tells copies apart; empty: their bytes do.
    """

    fault: str = ""
    message_id: str = ""
    is_bell: bool = True
