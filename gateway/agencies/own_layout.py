"""An operator's own profile as a layout of an installed agency: what the TOML says is all there is (ADR 0033).

The hooks of one profile stand here and are called as a plugin's are, with the same checks; `with_own.WithOwnLayouts` asks
them for agreements of that layout and the plugin for all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import BinaryIO

from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
    CaseStatus,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    InboundFile,
    InboundKind,
    LayoutProfile,
    PaymentStream,
    Receipt,
    Seal,
    Sink,
    Totals,
)
from gateway.errors import DataError, DecodeError, EncodeError
from gateway.formats.marking import copied_as_assigned
from gateway.hookspecs import API_VERSION, AgencyHooks, hookimpl
from gateway.profiles import (
    ClaimCheck,
    Profile,
    ProfileFile,
    ProfilePayments,
    carries,
    case_statuses,
    export,
    instructions,
    layout_profile,
    receipt,
    verify,
)
from gateway.profiles.declaration import OUT, FileLayout
from gateway.profiles.sources import CLAIM, DOCUMENT

_KINDS = {
    "payment": InboundKind.PAYMENTS,
    "receipt": InboundKind.RECEIPT,
    "object_receipt": InboundKind.RECEIPT,
    "case_status": InboundKind.CASE_STATUS,
}
"""What a file is whose records become these."""
_ABILITIES = {
    InboundKind.PAYMENTS: Can.IMPORT_PAYMENTS,
    InboundKind.RECEIPT: Can.IMPORT_RECEIPT,
    InboundKind.CASE_STATUS: Can.IMPORT_CASE_STATUS,
}
_EVERY = reduce(
    or_, _ABILITIES.values(), Can.EXPORT_INVOICE | Can.EXPORT_LINKED_ITEMS | Can.CHECK_CUSTOMER | Can.MARK_FACTORING
)
_AGREEMENT = "agreement.client_number"


class OwnLayout(AgencyHooks):
    """The hooks of one profile: all that an agency does whose files the profile describes.

    The first file that goes out takes new claims; the second, where there is one, what comes later for them. A profile
    with one file that has its claims as documents uses it for later credit notes too.

    Args:
        profile: the profile.
        agency: whose layout it becomes.

    Raises:
        DataError: the profile cannot be used without code; says why.
    """

    api_version = API_VERSION

    def __init__(self, profile: Profile, agency: AgencyProfile) -> None:
        new, later = outgoing(profile)
        self.profile = profile
        self.layout: LayoutProfile = layout_profile(profile)
        self._agency = replace(agency, can=_EVERY, layouts=(self.layout,))
        self._out = {layout.key: ProfileFile(profile, layout.key) for layout in (new, later) if layout}
        self._in = {key: kind for key, layout in profile.files.items() if (kind := _kind_of(layout))}
        self._incoming = {key: ProfileFile(profile, key) for key in self._in}
        self._new, self._later = self._out[new.key], self._out[later.key] if later else None
        self._checks = [ClaimCheck(file) for file in self._out.values()]

    @property
    def can(self) -> Can:
        """What the profile has files for."""
        known = Can.EXPORT_INVOICE | (Can.EXPORT_LINKED_ITEMS if self._later else Can(0))
        return reduce(or_, (_ABILITIES[kind] for kind in self._in.values()), known)

    @hookimpl
    def agency_profile(self) -> AgencyProfile:
        """Return the agency's manifest with this layout alone."""
        return self._agency

    # --- out ---------------------------------------------------------------------------------------------------------

    @hookimpl
    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:  # noqa: ARG002  # a hook
        """Return what of a card has no place in the file of new claims."""
        return self._checks[0].customer_faults(customer)

    @hookimpl
    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:  # noqa: ARG002  # a hook
        """Return what has no place in the file of new claims, nor in that of later items."""
        if self.layout.nets_at_handover:
            return self._checks[0].claim_faults(claim._replace(items=()))
        checks = self._checks if claim.items or claim.instructions else self._checks[:1]
        found = [finding for check in checks for finding in check.claim_faults(claim)]
        return tuple({(finding.place, finding.value): finding for finding in found}.values())

    @hookimpl
    def export_invoice(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write the file of new claims."""
        return export(self._new, claims, agreement, seal, sink)

    @hookimpl
    def export_linked_items(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink
    ) -> tuple[Envelope, ...]:
        """Write the file of later items; raises ``EncodeError`` where the profile has none (the host hands none over)."""
        if self._later is None:
            raise EncodeError(f"{self.profile.name} has no file for what comes later")
        return export(self._later, claims, agreement, seal, sink, are_new=False)

    @hookimpl
    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Copy a file whose records name the agreement: that name is all the mark a layout of records has.

        Raises:
            EncodeError: no record names the agreement, or the assignment has no number.
            DecodeError: a record names another one.
        """
        if not assignment.agreement_number:
            raise EncodeError("the assignment has no agreement number to mark the envelope with")
        file = self._out[envelope.kind]
        places = {
            part.key: [number for number, one in enumerate(part.values) if one.source == _AGREEMENT]
            for part in file.layout.parts.values()
        }
        named = 0
        for row in file.read_values(source):
            for number in places[row.part.key]:
                named += 1
                if row.values[number] != agreement.client_number:
                    raise DecodeError("names another agreement", field=row.part.key, value=str(row.values[number]))
        if not named:
            raise EncodeError(f"{self.profile.name} names the agreement nowhere, so nothing in it marks an assignment")
        source.seek(0)
        return copied_as_assigned(envelope, assignment.agreement_number, source, sink)

    @hookimpl
    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> Totals:  # noqa: ARG002  # a hook
        """Return the totals of a finished file."""
        return verify(self._out[envelope.kind], envelope, source)

    # --- in ----------------------------------------------------------------------------------------------------------

    @hookimpl
    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:  # noqa: ARG002  # a hook
        """Say which file of the profile reads up to its first record that means something; None for no one."""
        key = self._key_of(file)
        return self._in[key] if key else None

    @hookimpl
    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments; where the records name no currency all agreements must have the same."""
        key = self._known(file)
        currencies = {one.currency for one in agreements if one.profile == self.layout.name}
        names_it = any(
            one.to == "currency" for part in self._incoming[key].layout.parts.values() for one in part.values
        )
        if len(currencies) != 1 and not names_it:
            raise DataError(f"{self.profile.name} names no currency, and its agreements have several")
        return ProfilePayments(self._incoming[key], file.open(), min(currencies, default=""))

    @hookimpl
    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:  # noqa: ARG002  # a hook
        """Return the agency's answer."""
        with file.open() as stream:
            return receipt(self._incoming[self._known(file)], stream)

    @hookimpl
    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterator[CaseStatus]:  # noqa: ARG002  # a hook
        """Yield what the agency says about its cases."""
        with file.open() as stream:
            yield from case_statuses(self._incoming[self._known(file)], stream)

    def _known(self, file: InboundFile) -> str:
        key = self._key_of(file)
        if key is None:
            raise DataError(f"{file.filename} is no file of {self.profile.name}")
        return key

    def _key_of(self, file: InboundFile) -> str | None:
        return next((key for key, one in self._incoming.items() if _begins(one, file)), None)


def _begins(known: ProfileFile, file: InboundFile) -> bool:
    """Return whether *file* reads as *known* up to the first record that becomes something, or to its end."""
    is_any = False
    with file.open() as stream:
        try:
            for row in known.read_values(stream):
                if row.part.becomes:
                    return True
                is_any = True
        except DecodeError:
            return False
    return is_any


def _kind_of(layout: FileLayout) -> InboundKind | None:
    return next((_KINDS[part.becomes] for part in layout.parts.values() if part.becomes), None)


def outgoing(profile: Profile) -> tuple[FileLayout, FileLayout | None]:
    """Return the file of new claims and the one of later items, None where nothing comes later.

    Raises:
        DataError: the profile alone does not say which file takes what; says why.
    """
    out = sorted((one for one in profile.files.values() if one.direction == OUT), key=lambda layout: layout.order)
    if not 1 <= len(out) <= 2:
        raise DataError(f"{len(out)} files go out: one with new claims, and one with later items at most, need no code")
    for layout in out:
        if layout.needs_plugin or not any(part.each in {CLAIM, DOCUMENT} for part in layout.parts.values()):
            raise DataError(f"file.{layout.key} has no record for a claim: only a plugin can write it")
    later = _later(out)
    if later is None and (carries(out[0]) or instructions(out[0])):
        raise DataError(f"file.{out[0].key} takes linked items or instructions, and no second file takes later ones")
    return out[0], later


def _later(out: Sequence[FileLayout]) -> FileLayout | None:
    if len(out) > 1:
        return out[1]
    are_documents = not any(part.each == CLAIM for part in out[0].parts.values())
    return out[0] if are_documents and carries(out[0]) else None
