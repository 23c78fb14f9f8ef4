"""A way to an agency's mailbox, as services and plugins use it; `gateway.transports` makes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

PULL = "pull"


def is_pull(settings: Mapping[str, object]) -> bool:
    """Return whether a transport is none of ours: the agency comes and fetches (ADR 0030)."""
    return settings.get("kind") == PULL


@dataclass(frozen=True, slots=True)
class Waiting:
    """A complete file in a mailbox. *stamp* is all the mailbox says about it unopened, such as size and time of change.

    Another stamp means another file; the same stamp means the same file as far as the mailbox can tell. Empty: it
    cannot tell at all.
    """

    name: str
    stamp: str


class Transport(Protocol):
    """A way to an agency's mailbox. Failures are ``DeliveryError`` (not arrived) or ``DeliveryInDoubt``."""

    def put(self, filename: str, content: BinaryIO, size: int) -> str:
        """Upload under a temporary name, compare the size, rename; return the name at the far side."""

    def waiting(self) -> Sequence[Waiting]:
        """Return the complete files waiting for us, in order of their names."""

    def get(self, filename: str, into: BinaryIO) -> None:
        """Copy one waiting file into *into*."""

    def remove(self, filename: str) -> None:
        """Take a file out of the mailbox after its bytes are committed here."""

    def read_back(self, filename: str, into: BinaryIO) -> bool:
        """Copy a file we delivered earlier, as the far side has it, into *into*; False if it is not there."""
