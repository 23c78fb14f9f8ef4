"""Intrum Norway's exchange of ``LS`` and ``RD`` files (intrum-no-files.md): the process is known, the records are not.

Known are files, directions, names and rules: new cases (LS) out, a receipt with case numbers in, payments and corrections (RD)
out, a case update in; money by the bank alone. The messages here are Kravport's own, kravport-no-flow-1: kravport-sls-1 under these
names, for sandboxes only. A client's records, from the contract document, are a profile of the operator's own (docs/profiles.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import BinaryIO

from gateway.domain.exchange import Agreement, Claim, Envelope, LayoutProfile, Seal, Sink
from gateway.errors import EncodeError

NAME, MARKET, CURRENCY = "kravport-no-flow-1", "NO", "NOK"
LS, RD, KV, SO = "LS", "RD", "KV", "SO"
"""How names of files begin: new cases, corrections, and (our choice) receipts and case updates."""
LIMITS = (
    "kravport-no-flow-1 is Kravport's own test of the Norwegian LS and RD process; it is not Intrum's and never leaves the sandbox.",
    "Intrum's records for Norway are not public: a client's contract document becomes a profile of your own.",
)
Export = Callable[[Iterable[Claim], Agreement, Seal, Sink], tuple[Envelope, ...]]
"""Either hook that writes: new cases, or what comes later."""
_CLIENT = re.compile("[A-Za-z0-9-]{1,20}")


def layout_of(sls: LayoutProfile) -> LayoutProfile:
    """Return the manifest's entry of the process, whose messages are those of *sls*."""
    return replace(
        sls,
        name=NAME,
        title="Kravport's own test of the Norwegian LS and RD process; not Intrum's layout",
        markets=frozenset({MARKET}),
        currencies=frozenset({CURRENCY}),
    )


def written(
    prefix: str, write: Export, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
) -> tuple[Envelope, ...]:
    """Let *write*, which knows the messages, write a file called ``{prefix}_{client}_{day}_{time}``."""
    name = _named(prefix, agreement, seal)
    return tuple(replace(one, filename=name) for one in write(claims, agreement, seal, _Under(sink, name)))


class _Under:
    """A sink that calls the one file written into it otherwise."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink, self._name = sink, name

    def open(self, filename: str) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002  # a sink's signature
        """Open the file under the name of the process."""
        return self._sink.open(self._name)


def _named(prefix: str, agreement: Agreement, seal: Seal) -> str:
    """Underscores and the pattern of day and time are our choice; the client number is kept exactly, prefix and all."""
    if not _CLIENT.fullmatch(agreement.client_number):
        raise EncodeError(f"client number {agreement.client_number!r} cannot stand in a file name")
    return f"{prefix}_{agreement.client_number}_{seal.created_at:%Y%m%d_%H%M%S}"
