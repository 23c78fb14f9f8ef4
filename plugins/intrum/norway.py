"""Intrum Norway's exchange of ``LS`` and ``RD`` files (intrum-no-files.md): the process is known, the records are not.

Known are files, directions, names and rules: new cases (LS) out, a receipt with case numbers in, payments and corrections (RD)
out, a case update in; money by the bank alone. So the process runs with two kinds of layout, neither of which is Intrum's:

* `Flow`, Kravport's own kravport-no-flow-1: the messages of kravport-sls-1 under these names, for sandboxes only.
* `OwnFiles`, the slot for a client: a TOML profile written from the client's own contract document. Every
  ``profiles/intrum-no-*.toml`` beside this plugin is one; its files are called `CASES`, `RECEIPT`, `CORRECTIONS`, `UPDATE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

from gateway.domain.exchange import (
    Agreement,
    CaseStatus,
    Claim,
    Customer,
    Envelope,
    Finding,
    InboundFile,
    InboundKind,
    LayoutProfile,
    Receipt,
    Seal,
    Sink,
    Totals,
)
from gateway.errors import DataError, DecodeError, EncodeError
from gateway.profiles import (
    ClaimCheck,
    Profile,
    ProfileFile,
    case_statuses,
    export,
    layout_profile,
    load,
    receipt,
    verify,
)
from plugins.sls_agency import LedgerServiceAgency

MARKET, CURRENCY = "NO", "NOK"
CASES, RECEIPT, CORRECTIONS, UPDATE = "cases", "receipt", "corrections", "case_update"
LS, RD, KV, SO = "LS", "RD", "KV", "SO"
"""How names of files begin: new cases, corrections, and (our choice) receipts and case updates."""
LIMITS = (
    "kravport-no-flow-1 is Kravport's own test of the Norwegian LS and RD process; it is not Intrum's and never leaves the sandbox.",
    "Intrum's records for Norway are not public: a client's contract document becomes a profile of its own (intrum-no-*.toml).",
)
_CLIENT = re.compile("[A-Za-z0-9-]{1,20}")
_OUT = {CASES: "out", CORRECTIONS: "out", RECEIPT: "in", UPDATE: "in"}


class Files(Protocol):
    """What speaks one layout of the process."""

    layout: LayoutProfile

    def customer_faults(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of a card has no place."""

    def claim_faults(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what of a claim has no place."""

    def write_new(self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
        """Write new cases (LS)."""

    def write_later(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write payments and corrections (RD)."""

    def read_back(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:
        """Return the totals of a finished file."""

    def identify(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Say whether a file is the receipt or the case update of this layout."""

    def read_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return the agency's answer to a file."""

    def read_update(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterable[CaseStatus]:
        """Yield what the agency says about its cases."""


class Flow:
    """kravport-no-flow-1: what travels is kravport-sls-1, names and timing are those of the process.

    Args:
        sls: speaks kravport-sls-1.
        layout: its entry in the manifest.
    """

    NAME = "kravport-no-flow-1"

    def __init__(self, sls: LedgerServiceAgency, layout: LayoutProfile) -> None:
        self._sls = sls
        self.layout = replace(
            layout,
            name=self.NAME,
            title="Kravport's own test of the Norwegian LS and RD process; not Intrum's layout",
            markets=frozenset({MARKET}),
            currencies=frozenset({CURRENCY}),
        )
        self.customer_faults, self.claim_faults = sls.check_customer, sls.check_claim
        self.read_back, self.identify = sls.verify_envelope, sls.identify_inbound
        self.read_receipt, self.read_update = sls.import_receipt, sls.import_case_status

    def write_new(self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
        """Write ``LS_{client}_{day}_{time}``."""
        name = _named(LS, agreement, seal)
        return _called(name, self._sls.export_invoice(claims, agreement, seal, _Under(sink, name)))

    def write_later(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write ``RD_{client}_{day}_{time}``."""
        name = _named(RD, agreement, seal)
        return _called(name, self._sls.export_linked_items(claims, agreement, seal, _Under(sink, name)))


class _Under:
    """A sink that calls the one file written into it otherwise."""

    def __init__(self, sink: Sink, name: str) -> None:
        self._sink, self._name = sink, name

    def open(self, filename: str) -> AbstractContextManager[BinaryIO]:  # noqa: ARG002  # a sink's signature
        """Open the file under the name of the process."""
        return self._sink.open(self._name)


def _called(name: str, envelopes: Sequence[Envelope]) -> tuple[Envelope, ...]:
    return tuple(replace(envelope, filename=name) for envelope in envelopes)


def _named(prefix: str, agreement: Agreement, seal: Seal) -> str:
    """Underscores and the pattern of day and time are our choice; the client number is kept exactly, prefix and all."""
    if not _CLIENT.fullmatch(agreement.client_number):
        raise EncodeError(f"client number {agreement.client_number!r} cannot stand in a file name")
    return f"{prefix}_{agreement.client_number}_{seal.created_at:%Y%m%d_%H%M%S}"


class OwnFiles:
    """One client's own record layouts; nothing of them is in code.

    Args:
        profile: the client's profile.

    Raises:
        DataError: it does not have the four files of the process, each in its direction.
    """

    def __init__(self, profile: Profile) -> None:
        wrong = [key for key, way in _OUT.items() if key not in profile.files or profile.files[key].direction != way]
        if wrong:
            told = ", ".join(f"file.{key} ({_OUT[key]})" for key in wrong)
            raise DataError(f"{profile.name}: the Norwegian process needs {told}")
        self.layout = replace(layout_profile(profile), markets=frozenset({MARKET}))
        self._files = {key: ProfileFile(profile, key) for key in _OUT}
        self._new, self._later = ClaimCheck(self._files[CASES]), ClaimCheck(self._files[CORRECTIONS])

    def customer_faults(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:  # noqa: ARG002
        """Return what of a card has no place in the LS file."""
        return self._new.customer_faults(customer)

    def claim_faults(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:  # noqa: ARG002
        """Return what has no place in the LS file, nor (items and instructions) in the RD file."""
        found = (*self._new.claim_faults(claim), *(self._later.claim_faults(claim) if claim.items else ()))
        return tuple({finding.place: finding for finding in found}.values())

    def write_new(self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
        """Write the LS file as the profile has it."""
        return export(self._files[CASES], claims, agreement, seal, sink)

    def write_later(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write the RD file as the profile has it."""
        return export(self._files[CORRECTIONS], claims, agreement, seal, sink, are_new=False)

    def read_back(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:  # noqa: ARG002
        """Return the totals of a finished file."""
        return verify(self._files[envelope.kind], envelope, source)

    def identify(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:  # noqa: ARG002
        """Say which of the two files that come back can be read from its beginning."""
        kinds = {RECEIPT: InboundKind.RECEIPT, UPDATE: InboundKind.CASE_STATUS}
        return next((kind for key, kind in kinds.items() if self._begins(key, file)), None)

    def _begins(self, key: str, file: InboundFile) -> bool:
        with file.open() as stream:
            try:
                return next(self._files[key].read_values(stream), None) is not None
            except DecodeError:
                return False

    def read_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:  # noqa: ARG002
        """Return the agency's answer to a file."""
        with file.open() as stream:
            return receipt(self._files[RECEIPT], stream)

    def read_update(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterator[CaseStatus]:  # noqa: ARG002
        """Yield what the agency says about its cases."""
        with file.open() as stream:
            yield from case_statuses(self._files[UPDATE], stream)


def own_files(paths: Iterable[Path]) -> tuple[dict[str, OwnFiles], list[str]]:
    """Return the slots that are filled, by layout, and why the others are not: one bad profile stops nobody else."""
    found: dict[str, OwnFiles] = {}
    faults = []
    for path in sorted(paths):
        try:
            made = OwnFiles(load(path))
        except (DataError, OSError) as error:
            faults.append(f"{path.name} is not used: {str(error).splitlines()[0]}")
        else:
            found[made.layout.name] = made
    return found, faults
