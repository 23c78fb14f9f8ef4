"""One plugin, typed: each method is one hook, called on that plugin alone and never waited for without end.

What no plugin is trusted with is checked here: types down to the field, totals, what a mark may change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, TypeVar

import pluggy

from gateway.agencies.calling import Gate, Patience, Raised, Silent, call
from gateway.agencies.crossing import (
    Counting,
    Gated,
    GatedCalls,
    LookedAt,
    StatusesLookedAt,
    add_totals,
    payment_of,
    readable_text,
    receipt_of,
    several,
    status_of,
)
from gateway.agencies.shapes import WrongType, checked
from gateway.domain.calls import Calls, Fetched, Page, Webhook
from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Can,
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
    Totals,
)
from gateway.domain.transport import Transport
from gateway.errors import (
    DeliveryError,
    DeliveryInDoubt,
    GatewayError,
    HookNotSupported,
    PluginError,
    PluginUnavailable,
)
from gateway.hookspecs import AgencyHooks

HOOK_FOR = {
    Can.EXPORT_INVOICE: "export_invoice",
    Can.EXPORT_LINKED_ITEMS: "export_linked_items",
    Can.IMPORT_PAYMENTS: "import_payments",
    Can.IMPORT_RECEIPT: "import_receipt",
    Can.IMPORT_CASE_STATUS: "import_case_status",
    Can.MARK_FACTORING: "mark_factoring_envelope",
    Can.CHECK_CUSTOMER: "check_customer",
    Can.ACKNOWLEDGE: "acknowledge",
}
"""The hook that keeps each promise of a profile."""

ROWS = 1000
"""Rows asked of a plugin at a time: changing threads for each would cost more than reading it."""
FAILURES_MAX = 5
"""Failures of a hook in a row, after which it is left alone for a while, as is a plugin that was silent (P18)."""
_MEBIBYTE = 1 << 20
_REASON_CHARACTERS = 300

T = TypeVar("T")


class Fault(NamedTuple):
    """A broken promise of a hook that has not succeeded since. *seconds_ago* counts from the last time.

    *reason* may be shown to anybody; *detail* may hold values of a creditor's books.
    """

    agency: str
    hook: str
    reason: str
    detail: str
    seconds_ago: int


class Agency:
    """One plugin. What it returns of another type, or raises unannounced, is a `PluginError`.

    Silent for longer than its *patience*, it is `PluginUnavailable` at once and for a while.
    """

    def __init__(self, manager: pluggy.PluginManager, plugin: AgencyHooks, patience: Patience) -> None:
        self._manager, self._plugin, self._patience = manager, plugin, patience
        self._faults: dict[str, tuple[str, str, float]] = {}
        self._failures: dict[str, int] = {}
        self._rests: dict[str, float] = {}
        self._key = manager.get_name(plugin) or ""
        self.api_version = plugin.api_version
        self.profile = self._one("agency_profile", AgencyProfile, patience.load)
        self._check_promises()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the plugin now, as far as this process knows."""
        now = time.monotonic()
        known = self._faults.copy().items()  # another thread may find one more meanwhile
        return tuple(Fault(self._key, hook, why, detail, int(now - at)) for hook, (why, detail, at) in known)

    # --- checks ------------------------------------------------------------------------------------------------------

    def check_customers(self, customers: Sequence[Customer], agreement: Agreement) -> list[tuple[Finding, ...]]:
        """Return the agency's own findings on each of *customers*; none where it has no opinion."""
        if not self._implements("check_customer"):
            return [()] * len(customers)
        ask, gate = self._caller("check_customer"), Gate()

        def check() -> list[tuple[Finding, ...]]:
            return [several(Finding, ask(customer=one, agreement=agreement)) for one in gate.handing(customers)]

        return self._answer("check_customer", check, self._patience.check, gate)

    def check_customer(self, customer: Customer, agreement: Agreement) -> tuple[Finding, ...]:
        """Return the agency's own findings on one customer."""
        return self.check_customers([customer], agreement)[0]

    def check_claim(self, claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
        """Return what keeps one claim out of the agency's layout; none where every claim fits."""
        if not self._implements("check_claim"):
            return ()
        ask = self._caller("check_claim")
        return self._answer(
            "check_claim", lambda: several(Finding, ask(claim=claim, agreement=agreement)), self._patience.check
        )

    # --- out ---------------------------------------------------------------------------------------------------------

    def export(
        self, claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink, *, are_new: bool
    ) -> tuple[Envelope, ...]:
        """Write new claims, or later items of known ones; totals must equal what was handed over."""
        gate = Gate()
        handed = Counting(gate.handing(claims), are_new=are_new)
        hook = "export_invoice" if are_new else "export_linked_items"
        ask = self._caller(hook)

        def write() -> tuple[Envelope, ...]:
            return several(Envelope, ask(claims=handed, agreement=agreement, seal=seal, sink=sink))

        envelopes = self._answer(hook, write, self._patience.hook, gate)
        if not handed.is_over:  # what it did not take nobody has counted
            raise self._blame(hook, "did not read all claims it was handed")
        written = add_totals(envelope.totals for envelope in envelopes)
        if written != handed.totals:
            raise self._blame(hook, "wrote other totals than it was handed", f"{written}, not {handed.totals}")
        return envelopes

    def mark_factoring_envelope(
        self, envelope: Envelope, assignment: FactoringAssignment, agreement: Agreement, source: BinaryIO, sink: Sink
    ) -> Envelope:
        """Mark a finished file as assigned; the mark may change neither items nor totals."""
        hook = "mark_factoring_envelope"
        marked = self._one(
            hook,
            Envelope,
            self._long_enough(_size(source)),
            envelope=envelope,
            assignment=assignment,
            agreement=agreement,
            source=source,
            sink=sink,
        )
        same = ("kind", "sequence", "filename", "currency", "totals", "order")
        if any(getattr(marked, name) != getattr(envelope, name) for name in same):
            raise self._blame(hook, "marking changed what the envelope holds")
        if marked.factoring_agreement != assignment.agreement_number:
            raise self._blame(hook, "the envelope came back unmarked")
        return marked

    def verify_envelope(self, envelope: Envelope, agreement: Agreement, source: BinaryIO) -> None:
        """Read the finished bytes again; raise ``PluginError`` when they do not hold what the envelope says."""
        seconds, hook = self._long_enough(_size(source)), "verify_envelope"
        found = self._one(hook, Totals, seconds, envelope=envelope, agreement=agreement, source=source)
        if found != envelope.totals:
            raise self._blame(
                hook, "the file does not hold what it says", f"{envelope.filename}: {found}, not {envelope.totals}"
            )

    def deliver(
        self,
        envelope: Envelope,
        agreement: Agreement,
        transport: Transport,
        content: BinaryIO,
        size: int,
        calls: Calls | None = None,
    ) -> str:
        """Deliver in the agency's own way, else by a plain upload; return the name at the far side.

        Raises:
            DeliveryInDoubt: also when the plugin broke its contract on the way; what it sent by then nobody knows (P4).
            PluginUnavailable: it was silent a moment ago, and was not asked.
        """
        if not self._implements("deliver"):
            return transport.put(envelope.filename, content, size)
        self._let_rest("deliver")
        gate = Gate()
        through, way = Gated(transport, gate), GatedCalls(calls, gate) if calls is not None else None
        ask, seconds = self._caller("deliver"), self._long_enough(size)

        def deliver() -> str:
            name = ask(envelope=envelope, agreement=agreement, transport=through, content=content, size=size, calls=way)
            return readable_text(checked(str, name))

        try:
            return self._answer("deliver", deliver, seconds, gate)
        except PluginError as error:
            if calls is not None:  # each call is noted: what was sent is known, and the rest may go later
                raise DeliveryError(str(error)) from error
            raise DeliveryInDoubt(str(error)) from error

    # --- an API ------------------------------------------------------------------------------------------------------

    @property
    def fetches(self) -> bool:
        """Whether the agency is asked what it has to tell, instead of leaving files in a mailbox."""
        return self._implements("fetch")

    def fetch(self, agreement: Agreement, calls: Calls, since: str) -> Page:
        """Return what the agency has to tell since a watermark; an empty one at the first look."""
        hook, gate = "fetch", Gate()
        ask, through = self._caller(hook), GatedCalls(calls, gate)

        def look() -> Page:
            page = checked(Page, ask(agreement=agreement, calls=through, since=since))
            if readable_text(page.since) != page.since:
                raise WrongType("Page.since holds a control character or half a character")
            return page._replace(files=several(Fetched, page.files))

        return self._answer(hook, look, self._patience.hook, gate)

    def acknowledge(self, file: InboundFile, reference: str, agreement: Agreement, calls: Calls) -> None:
        """Tell the agency that the money of one of its files was booked as *reference*."""
        hook, gate = "acknowledge", Gate()
        ask, through = self._caller(hook), GatedCalls(calls, gate)
        self._answer(
            hook,
            lambda: ask(file=file, reference=reference, agreement=agreement, calls=through),
            self._long_enough(file.size),
            gate,
        )

    @property
    def checks_webhooks(self) -> bool:
        """Whether the agency signs in a way of its own."""
        return self._implements("check_webhook")

    def check_webhook(
        self, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], now: datetime
    ) -> Webhook:
        """Return what a push is worth, checked in the agency's own way. Names of *headers* are in lower case."""
        return self._one(
            "check_webhook", Webhook, self._patience.check, headers=headers, body=body, secrets=secrets, now=now
        )

    # --- in ----------------------------------------------------------------------------------------------------------

    def identify_inbound(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> InboundKind | None:
        """Say what a file is, or None when it is not this agency's own format."""
        if not self._implements("identify_inbound"):
            return None
        ask = self._caller("identify_inbound")

        def identify() -> InboundKind | None:
            kind = ask(file=file, agreements=agreements)
            return None if kind is None else checked(InboundKind, kind)

        return self._answer("identify_inbound", identify, self._long_enough(file.size))

    def import_payments(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> PaymentStream:
        """Return the payments of a file as a stream."""
        seconds, hook = self._long_enough(file.size), "import_payments"
        ask = self._caller(hook)
        stream = self._answer(hook, lambda: ask(file=file, agreements=agreements), seconds)
        return LookedAt(self._rows(hook, payment_of, stream, seconds), stream)

    def import_receipt(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> Receipt:
        """Return the agency's answer to one of our envelopes."""
        ask = self._caller("import_receipt")

        def read() -> Receipt:
            return receipt_of(ask(file=file, agreements=agreements))

        return self._answer("import_receipt", read, self._long_enough(file.size))

    def import_case_status(self, file: InboundFile, agreements: tuple[Agreement, ...]) -> StatusesLookedAt:
        """Return what the agency says about its cases, as a stream."""
        seconds, hook = self._long_enough(file.size), "import_case_status"
        ask = self._caller(hook)
        rows: Any = self._answer(hook, lambda: ask(file=file, agreements=agreements), seconds)
        return StatusesLookedAt(self._rows(hook, status_of, rows, seconds), rows)

    # --- calling -----------------------------------------------------------------------------------------------------

    def _caller(self, hook: str) -> Callable[..., Any]:
        """Return what calls *hook* on this plugin alone; wrappers the host registered still run around it."""
        if not self._implements(hook):
            raise HookNotSupported(f"{type(self._plugin).__module__} does not implement {hook}")
        others = [
            one for one in self._manager.get_plugins() if one is not self._plugin and isinstance(one, AgencyHooks)
        ]
        return self._manager.subset_hook_caller(hook, others)

    def _one(self, hook: str, kind: type[T], seconds: float, **arguments: object) -> T:
        ask = self._caller(hook)
        return self._answer(hook, lambda: checked(kind, ask(**arguments)), seconds)

    def _rows(self, hook: str, look: Callable[[Any], T], rows: Any, seconds: float) -> Iterator[T]:
        """Yield *rows* of a plugin, each looked at."""
        source = self._answer(hook, lambda: iter(rows), seconds)
        while batch := self._answer(hook, lambda: [look(row) for row in islice(source, ROWS)], seconds):
            yield from batch

    def _answer(self, hook: str, work: Callable[[], T], seconds: float, gate: Gate | None = None) -> T:
        """Return what *work* of the plugin's *hook* returns; its errors that are ours pass, all others are its faults."""
        self._let_rest(hook)
        try:
            answer = call(work, seconds, gate)
        except Silent as silence:
            self._rests[""] = time.monotonic() + self._patience.cooling
            raise PluginUnavailable(str(self._blame(hook, str(silence)))) from None
        except Raised as told:
            error = told.error
            if isinstance(error, WrongType):
                raise self._blame(hook, str(error)) from error
            if isinstance(error, GatewayError) and not isinstance(error, PluginError):
                error.args = tuple(readable_text(one) if isinstance(one, str) else one for one in error.args)
                raise error from None
            raise self._blame(hook, f"raised {type(error).__name__}", readable_text(str(error))) from error
        self._faults.pop(hook, None)
        self._failures.pop(hook, None)
        return answer

    def _let_rest(self, hook: str) -> None:
        """Refuse to ask a plugin that was silent, or a hook that failed again and again, before its rest is over."""
        rest = max(self._rests.get("", 0), self._rests.get(hook, 0)) - time.monotonic()
        if rest > 0:
            raise PluginUnavailable(
                f"{self._key}: {hook} did not answer as it should; asked again in {int(rest) + 1} seconds at the earliest"
            )

    def _blame(self, hook: str, why: str, detail: str = "") -> PluginError:
        now = time.monotonic()
        self._faults[hook] = (why[:_REASON_CHARACTERS], detail[:_REASON_CHARACTERS], now)
        self._failures[hook] = self._failures.get(hook, 0) + 1
        if self._failures[hook] >= FAILURES_MAX:
            self._rests[hook] = now + self._patience.cooling
        return PluginError(": ".join(filter(None, (self._key, hook, why, detail))))

    def _long_enough(self, size: int) -> float:
        return self._patience.hook + self._patience.per_mebibyte * (size // _MEBIBYTE)

    def _implements(self, hook: str) -> bool:
        return any(one.plugin is self._plugin for one in getattr(self._manager.hook, hook).get_hookimpls())

    def _check_promises(self) -> None:
        can = self.profile.can
        for ability, hook in HOOK_FOR.items():
            promised, kept = ability in can, self._implements(hook)
            if promised != kept:
                raise PluginError(f"{self.profile.key}: profile says {ability.name}={promised}, code says {kept}")
        exports, imports = Can.EXPORT_INVOICE | Can.EXPORT_LINKED_ITEMS, Can.IMPORT_PAYMENTS | Can.IMPORT_RECEIPT
        for abilities, hook in ((exports, "verify_envelope"), (imports | Can.IMPORT_CASE_STATUS, "identify_inbound")):
            if can & abilities and not self._implements(hook):
                raise PluginError(f"{self.profile.key}: promises {can & abilities} and has no {hook}")


def _size(source: BinaryIO) -> int:
    here = source.tell()
    size = source.seek(0, os.SEEK_END)
    source.seek(here)
    return size
