"""An agency with layouts of the operator's own: each agreement is asked of its layout's profile, or of the plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pluggy

from gateway.agencies.agency import Agency, Fault
from gateway.agencies.calling import Patience
from gateway.agencies.crossing import StatusesLookedAt
from gateway.agencies.own_layout import OwnLayout
from gateway.domain.calls import Calls
from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Claim,
    Customer,
    Envelope,
    FactoringAssignment,
    Finding,
    InboundFile,
    InboundKind,
    PaymentStream,
    Receipt,
    Seal,
    Sink,
)
from gateway.domain.transport import Transport
from gateway.errors import DataError
from gateway.hookspecs import PROJECT, AgencyHooks
from gateway.profiles import load


class Taken(NamedTuple):
    """The profiles of a folder that can be used, and why the others cannot."""

    layouts: tuple[OwnLayout, ...]
    refused: tuple[str, ...]


def own_layouts(paths: Iterable[Path], agency: AgencyProfile) -> Taken:
    """Read an agency's profiles; one that is wrong stops no other, nor the plugin.

    Args:
        paths: TOML files.
        agency: the manifest of the plugin they are for.
    """
    found: dict[str, OwnLayout] = {}
    refused = []
    for path in sorted(paths):
        try:
            made = OwnLayout(load(path), agency)
            if made.layout.name in found or agency.layout(made.layout.name):
                raise DataError(f"there is a layout {made.layout.name} already")
        except (DataError, OSError) as error:
            refused.append(f"profile {path.name} is not used: {str(error).splitlines()[0]}")
        else:
            found[made.layout.name] = made
    return Taken(tuple(found.values()), tuple(refused))


class WithOwnLayouts(Agency):
    """A plugin, and beside it the profiles that an operator wrote for its agency."""

    def __init__(
        self, manager: pluggy.PluginManager, plugin: AgencyHooks, patience: Patience, own: Sequence[OwnLayout]
    ) -> None:
        super().__init__(manager, plugin, patience)
        self._own: Mapping[str, Agency] = {one.layout.name: _alone(one, self.profile.key, patience) for one in own}
        self.profile = _joined(self.profile, own)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the plugin and with the layouts now."""
        return (*super().faults, *(fault for one in self._own.values() for fault in one.faults))

    def check_customers(self, customers: Sequence[Customer], agreement: Agreement) -> list[tuple[Finding, ...]]:
        """As `Agency.check_customers`."""
        own = self._own.get(agreement.profile)
        return own.check_customers(customers, agreement) if own else super().check_customers(customers, agreement)

    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """As `Agency.check_claim`."""
        own = self._own.get(agreement.profile)
        return own.check_claim(claim, agreement) if own else super().check_claim(claim, agreement)

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """As `Agency.export`."""
        export = own.export if (own := self._own.get(agreement.profile)) else super().export
        return export(claims, agreement, seal, sink, are_new=are_new)

    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """As `Agency.mark_factoring_envelope`."""
        own = self._own.get(agreement.profile)
        mark = own.mark_factoring_envelope if own else super().mark_factoring_envelope
        return mark(envelope, assignment, agreement, source, sink)

    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> None:
        """As `Agency.verify_envelope`."""
        own = self._own.get(agreement.profile)
        (own.verify_envelope if own else super().verify_envelope)(envelope, agreement, source)

    def deliver(
        self,
        envelope: Envelope,
        agreement: Agreement,
        transport: Transport,
        content: BinaryIO,
        size: int,
        calls: Calls | None = None,
    ) -> str:
        """As `Agency.deliver`; a file of a profile is uploaded plainly."""
        deliver = own.deliver if (own := self._own.get(agreement.profile)) else super().deliver
        return deliver(envelope, agreement, transport, content, size, calls)

    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """As `Agency.identify_inbound`; a profile that an agreement names is asked before the plugin."""
        own = self._of_file(file, agreements)
        return (own.identify_inbound if own else super().identify_inbound)(file, agreements)

    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """As `Agency.import_payments`."""
        own = self._of_file(file, agreements)
        return (own.import_payments if own else super().import_payments)(file, agreements)

    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """As `Agency.import_receipt`."""
        own = self._of_file(file, agreements)
        return (own.import_receipt if own else super().import_receipt)(file, agreements)

    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> StatusesLookedAt:
        """As `Agency.import_case_status`."""
        own = self._of_file(file, agreements)
        return (own.import_case_status if own else super().import_case_status)(file, agreements)

    def _of_file(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Agency | None:
        asked = dict.fromkeys(one.profile for one in agreements if one.profile in self._own)
        return next((self._own[name] for name in asked if self._own[name].identify_inbound(file, agreements)), None)


def _alone(layout: OwnLayout, key: str, patience: Patience) -> Agency:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(AgencyHooks)
    manager.register(layout, name=f"{key}, {layout.layout.name}")
    return Agency(manager, layout, patience)


def _joined(profile: AgencyProfile, own: Sequence[OwnLayout]) -> AgencyProfile:
    """Return the plugin's manifest with the profiles: layouts, abilities, settings they ask for, what they cannot do."""
    asked = {
        name: {"type": "string", "title": name, "description": f"{one.layout.name}: setting.{name}"}
        for one in own
        for name in one.layout.settings
    }
    known = profile.settings_schema.get("properties")
    properties = {**asked, **(known if isinstance(known, Mapping) else {})}
    can = profile.can
    for one in own:
        can |= one.can
    return replace(
        profile,
        can=can,
        layouts=(*profile.layouts, *(one.layout for one in own)),
        settings_schema={**profile.settings_schema, "properties": properties} if asked else profile.settings_schema,
        limits=(*profile.limits, *(f"{one.layout.name}: {text}" for one in own for text in one.profile.limits)),
    )
