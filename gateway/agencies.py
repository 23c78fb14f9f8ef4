"""Find agency plugins and call exactly one of them, with types.

pluggy broadcasts; money is addressed. This module is the only place that touches a `PluginManager`, and turns "nobody
answered" and "somebody else answered" into errors. What no plugin is trusted with is checked here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, BinaryIO, TypeVar, cast

import pluggy

from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
    CaseStatus,
    Claim,
    Customer,
    Direction,
    Envelope,
    FactoringAssignment,
    Finding,
    InboundFile,
    InboundKind,
    LinkKind,
    PaymentStream,
    Receipt,
    Seal,
    Sink,
    Totals,
)
from gateway.domain.transport import Transport
from gateway.errors import GatewayError, HookNotSupported, PluginError
from gateway.hookspecs import ENTRY_POINT_GROUP, PROJECT, AgencyHooks

_HOOK_FOR = {
    Can.EXPORT_INVOICE: "export_invoice",
    Can.EXPORT_LINKED_ITEMS: "export_linked_items",
    Can.IMPORT_PAYMENTS: "import_payments",
    Can.IMPORT_RECEIPT: "import_receipt",
    Can.IMPORT_CASE_STATUS: "import_case_status",
    Can.MARK_FACTORING: "mark_factoring_envelope",
    Can.CHECK_CUSTOMER: "check_customer",
}
T = TypeVar("T")


class Agency:
    """One plugin, typed. Each method is one hook; an answer of another type is a `PluginError`."""

    def __init__(self, manager: pluggy.PluginManager, plugin: AgencyHooks) -> None:
        self._manager, self._plugin = manager, plugin
        self.profile = self._one("agency_profile", AgencyProfile)
        self._check_promises()

    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return the agency's own findings; none where it has no opinion."""
        if not self._implements("check_customer"):
            return ()
        found = self._one("check_customer", tuple, customer=customer, agreement=agreement)
        return tuple(_checked(Finding, finding) for finding in found)

    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what keeps one claim out of the agency's layout; none where every claim fits."""
        if not self._implements("check_claim"):
            return ()
        found = self._one("check_claim", tuple, claim=claim, agreement=agreement)
        return tuple(_checked(Finding, finding) for finding in found)

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write new claims, or later items of known ones; totals must equal what was handed over."""
        handed = _Counting(claims, are_new=are_new)
        hook = "export_invoice" if are_new else "export_linked_items"
        made = self._one(hook, tuple, claims=handed, agreement=agreement, seal=seal, sink=sink)
        envelopes = tuple(_checked(Envelope, envelope) for envelope in made)
        written = add_totals(envelope.totals for envelope in envelopes)
        if written != handed.totals:
            raise PluginError(f"{self.profile.key}: was handed {handed.totals}, wrote {written}")
        return envelopes

    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Mark a finished file as assigned; the mark may change neither items nor totals."""
        marked = self._one(
            "mark_factoring_envelope",
            Envelope,
            envelope=envelope,
            assignment=assignment,
            agreement=agreement,
            source=source,
            sink=sink,
        )
        same = ("kind", "sequence", "filename", "currency", "totals", "order")
        if any(getattr(marked, name) != getattr(envelope, name) for name in same):
            raise PluginError(f"{self.profile.key}: marking changed what the envelope holds")
        if marked.factoring_agreement != assignment.agreement_number:
            raise PluginError(f"{self.profile.key}: envelope came back unmarked")
        return marked

    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> None:
        """Read the finished bytes again; raise ``PluginError`` when they do not hold what the envelope says."""
        found = self._one("verify_envelope", Totals, envelope=envelope, agreement=agreement, source=source)
        if found != envelope.totals:
            raise PluginError(f"{self.profile.key}: {envelope.filename} says {envelope.totals}, holds {found}")

    def deliver(self, envelope: Envelope, transport: Transport, content: BinaryIO, size: int) -> str:
        """Deliver in the agency's own way, else by a plain upload; return the name at the far side."""
        if not self._implements("deliver"):
            return transport.put(envelope.filename, content, size)
        return self._one("deliver", str, envelope=envelope, transport=transport, content=content, size=size)

    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Say what a file is, or None when it is not this agency's own format."""
        if not self._implements("identify_inbound"):
            return None
        kind = self._call("identify_inbound", file=file, agreements=agreements)
        return None if kind is None else _checked(InboundKind, kind)

    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments of a file as a stream."""
        return cast("PaymentStream", self._call("import_payments", file=file, agreements=agreements))

    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return the agency's answer to one of our envelopes."""
        return self._one("import_receipt", Receipt, file=file, agreements=agreements)

    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Iterator[CaseStatus]:
        """Yield what the agency says about its cases."""
        for status in cast("Iterable[Any]", self._call("import_case_status", file=file, agreements=agreements)):
            yield _checked(CaseStatus, status)

    def _call(self, hook: str, **arguments: object) -> object:
        """Call *hook* on this plugin alone; wrappers the host registered still run around it."""
        if not self._implements(hook):
            raise HookNotSupported(f"{type(self._plugin).__module__} does not implement {hook}")
        others = [p for p in self._manager.get_plugins() if p is not self._plugin and isinstance(p, AgencyHooks)]
        return self._manager.subset_hook_caller(hook, others)(**arguments)

    def _one(self, hook: str, kind: type[T], **arguments: object) -> T:
        return _checked(kind, self._call(hook, **arguments))

    def _implements(self, hook: str) -> bool:
        return any(i.plugin is self._plugin for i in getattr(self._manager.hook, hook).get_hookimpls())

    def _check_promises(self) -> None:
        for ability, hook in _HOOK_FOR.items():
            promised, kept = ability in self.profile.can, self._implements(hook)
            if promised != kept:
                raise PluginError(f"{self.profile.key}: profile says {ability.name}={promised}, code says {kept}")


class Agencies:
    """All agency plugins: those that loaded by key, and those that did not with the reason (P18)."""

    def __init__(self, plugins: Iterable[tuple[str, AgencyHooks]]) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(AgencyHooks)
        self.loaded: dict[str, Agency] = {}
        self.broken: dict[str, str] = {}
        for name, plugin in plugins:
            self._take(name, plugin)

    @classmethod
    def load(cls) -> Agencies:
        """Load every plugin installed under the entry-point group; a broken one stops nobody else."""
        agencies = cls(())
        for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
            agencies._take_entry(entry)
        return agencies

    def __getitem__(self, key: str) -> Agency:
        """Return the agency called *key*; raises ``PluginError`` with the reason when it is not there."""
        if key in self.loaded:
            return self.loaded[key]
        raise PluginError(f"agency plugin {key!r}: {self.broken.get(key, 'is not installed')}")

    def __iter__(self) -> Iterator[Agency]:
        return iter(self.loaded.values())

    def _take_entry(self, entry: EntryPoint) -> None:
        try:
            plugin = entry.load()
        except Exception as error:  # noqa: BLE001  # somebody else's import: whatever it raises is shown, not spread
            self.broken[entry.name] = f"cannot be imported: {type(error).__name__}: {error}"
            return
        self._take(entry.name, plugin)

    def _take(self, name: str, plugin: object) -> None:
        try:
            if not isinstance(plugin, AgencyHooks):
                raise PluginError(f"is {type(plugin).__name__}, not AgencyHooks")
            _refuse_odd_hookimpls(plugin)
            self._manager.register(plugin, name=name)
            agency = Agency(self._manager, plugin)
            if agency.profile.key != name:
                raise PluginError(f"entry point {name!r} holds agency {agency.profile.key!r}")
        except Exception as error:  # noqa: BLE001  # somebody else's code: see above
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            self.broken[name] = str(error) if isinstance(error, GatewayError) else f"{type(error).__name__}: {error}"
        else:
            self.loaded[name] = agency


class _Counting:
    """Hands claims through and counts them, so that a plugin cannot lose or invent one unnoticed."""

    def __init__(self, claims: Iterable[Claim], *, are_new: bool) -> None:
        self._claims, self._are_new, self.totals = claims, are_new, Totals()

    def __iter__(self) -> Iterator[Claim]:
        claims = items = debit = credit = charge = instructions = 0
        for claim in self._claims:
            claims += 1
            instructions += len(claim.instructions)
            if self._are_new:
                debit += claim.original_minor
            for item in claim.items:
                items += 1
                if item.kind is LinkKind.CHARGE:
                    charge += item.amount_minor
                elif item.direction is Direction.DEBIT:
                    debit += item.amount_minor
                else:
                    credit += item.amount_minor
            yield claim
        self.totals = Totals(claims, items, debit, credit, charge, instructions)


def add_totals(parts: Iterable[Totals]) -> Totals:
    """Return the sum of control totals of one currency."""
    return Totals(*(sum(column) for column in zip(Totals(), *parts, strict=True)))


def _checked(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise PluginError(f"a plugin must return {kind.__name__}, got {type(value).__name__}")
    return value


def _refuse_odd_hookimpls(plugin: AgencyHooks) -> None:
    """Refuse what pluggy would accept and then not call as written."""
    for name, member in inspect.getmembers(plugin, inspect.isroutine):
        options = getattr(member, f"{PROJECT}_impl", None)
        if options is None:
            continue
        if options["specname"]:
            raise PluginError(f"{name}: specname is not allowed")
        for parameter in inspect.signature(member).parameters.values():
            if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
                raise PluginError(f"{name}({parameter.name}): no defaults and no keyword-only parameters in hooks")
