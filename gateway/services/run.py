"""One run of one agreement: groups become claims in files, and everything that does not go is written down.

Rows reach the database in batches while the plugin writes the file, so that neither holds an evening in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from gateway.db import audit, blobs, outbox
from gateway.db.behind import Behind
from gateway.db.bulk import batches, insert_rows, quiet_collector, refresh_statistics, table_of, take_ids
from gateway.db.ledger_sql import IN_LIST_MAX, upsert_ignore
from gateway.db.tables import (
    Claim,
    Counter,
    Creditor,
    Envelope,
    Pending,
    RunHold,
    TransferItem,
    TransferRun,
)
from gateway.domain.exchange import Claim as ClaimOut
from gateway.domain.exchange import Customer, Direction, FactoringAssignment, LinkKind, Seal
from gateway.domain.transfer import SHOWN_ONCE, Hold
from gateway.errors import PluginError
from gateway.services import documents, instructions, sealing
from gateway.services.house import House
from gateway.services.plan import Judged, judged_groups, ledger_facts, refresh_pending_checks
from gateway.services.plan_context import PlanContext, factoring_settings
from gateway.services.plan_rows import waits_for_the_switch
from gateway.services.spool import Spool, Verification

T = TypeVar("T")

FLUSH_ROWS = 5000
UPDATES_LAST = 100
"""Added to the delivery order of updates: new invoices of an evening arrive before them (intrum-sls.md B.2)."""
_VALUE = {member: member.value for enum in (LinkKind, Direction) for member in enum}
_ITEM_COLUMNS = ("claim_entry_id", "entry_id", "item_id", "kind", "direction", "amount_minor", "version")
_CLAIM_COLUMNS = ("entry_id", "claim_id", "reminder_number", "told_minor")
_HOLD_COLUMNS = ("entry_id", "code", "group_id", "is_exclusion", "values", "next_date")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did: counts of invoices, items, held and excluded entries; *holds* counts them by reason code."""

    run_id: int
    invoices: int
    items: int
    held: int
    excluded: int
    envelope_ids: tuple[int, ...]
    holds: Mapping[str, int] = field(default_factory=dict)


class Tally:
    """What groups turn into, the same for preview and run: claims that go, and notes of everything else."""

    def __init__(self, house: House, ctx: PlanContext, first_reminder_number: int) -> None:
        self.house, self.ctx = house, ctx
        self.numbering = sealing.Numbering(first_reminder_number)
        self.misfits: sealing.Misfits = {}
        self.misfit_cards: dict[int, str] = {}
        self._has_looked = False
        self._cards: dict[int, Customer] = {}
        self._zone = ZoneInfo(ctx.row.time_zone)

    def claims(self, groups: Iterator[Judged]) -> Iterator[tuple[int, ClaimOut]]:
        """Yield (entry id, claim) of every group that goes; note each group."""
        for judged in groups:
            invoice = judged.verdict.invoice
            if self._has_looked and invoice and judged.verdict.goes:
                self._hold_misfit(judged)
            self.noted(judged)
            if invoice and judged.verdict.goes:
                number = self.numbering.of(judged)
                claim = sealing.to_claim(self.house, judged, number, self._cards, self._zone)
                if self.ctx.layout.needs_documents:
                    entries = {sealing.item_id_of(item): item.member.entry_id for item in judged.verdict.items}
                    claim = documents.attached(self.house, claim, judged, entries)
                self.going(judged, claim)
                yield invoice.entry_id, claim

    def until_it_fits(self, connection: Connection, attempt: Callable[[], T]) -> T:
        """Make files until the layout carries what is left of them: what it cannot carry is held alone (A-24)."""
        while True:
            try:
                return attempt()
            except sealing.UnwritableClaim as fault:
                self._learn(connection, fault)

    def _learn(self, connection: Connection, fault: sealing.UnwritableClaim) -> None:
        if not self._has_looked:
            self._find_misfits(connection, next_seal(connection, self.ctx, self.house))
            self._has_looked = True
            if fault.entry_id in self.misfits:
                return
        # Alone it fits and beside others not, as a second card with the number of another customer. The card is held,
        # not the claim: it may have thousands, and each would cost an attempt.
        (card_id,) = self._cards
        if fault.entry_id in self.misfits or card_id in self.misfit_cards:
            raise fault
        self.misfit_cards[card_id] = fault.reason

    def _find_misfits(self, connection: Connection, seal: Seal) -> None:
        """Learn which claims the layout cannot carry, by trying each alone."""
        found: dict[int, Sequence[tuple[str, Mapping[str, object]]]] = {}
        ledger = ledger_facts(connection, self.ctx)
        for are_known in (False, True):
            dry = Tally(self.house, self.ctx, 1)
            with closing(judged_groups(connection, self.ctx, ledger, are_known=are_known)) as groups:
                found |= sealing.misfits(self.house, self.ctx, seal, dry.claims(groups), are_new=not are_known)
        self.misfits = found

    def noted(self, judged: Judged) -> None:
        """Take note of a group's holds and warnings."""

    def going(self, judged: Judged, claim: ClaimOut) -> None:
        """Take note of what goes of a group."""

    def _hold_misfit(self, judged: Judged) -> None:
        verdict = judged.verdict
        assert verdict.invoice is not None
        reasons = self.misfits.get(verdict.invoice.entry_id, ())
        if not reasons and judged.customer.card_id in self.misfit_cards:
            reasons = [("claim.not_writable", {"reason": self.misfit_cards[judged.customer.card_id]})]
        if not reasons:
            return
        held = [item.member.entry_id for item in verdict.items]
        held += [verdict.invoice.entry_id] if verdict.sends_invoice or verdict.instructions else []
        verdict.holds += [Hold(entry_id, code, values) for entry_id in held for code, values in reasons]
        verdict.items, verdict.instructions, verdict.sends_invoice = [], [], False


def next_seal(connection: Connection, ctx: PlanContext, house: House) -> Seal:
    """Return the seal of an agreement's next files; the numbers are consumed only by `Run`."""
    query = select(Counter.kind, Counter.last).where(Counter.agreement_id == ctx.agreement.agreement_id)
    last = {row.kind: row.last for row in connection.execute(query)}
    return sealing.make_seal(ctx, last, house.now(), ctx.layout.series)


class _Rows:
    """Rows waiting for the next flush."""

    def __init__(self) -> None:
        self.items: list[tuple[Any, ...]] = []
        self.claims: list[tuple[Any, ...]] = []
        self.holds: list[tuple[Any, ...]] = []
        self.replaced: list[int] = []
        self.told: list[dict[str, Any]] = []
        self.offered_again: list[int] = []
        self.waiting: list[int] = []
        self.instructed: list[str] = []

    def __len__(self) -> int:
        return max(len(self.items), len(self.holds))


class Run(Tally):
    """One run inside the caller's transaction, with the agreement locked."""

    def __init__(
        self,
        house: House,
        connection: Connection,
        ctx: PlanContext,
        business_date: date,
        kind: str,
        reason: str = "",
        ahead: Connection | None = None,
    ) -> None:
        super().__init__(house, ctx, 1)
        self.connection, self.business_date, self.kind, self.reason = connection, business_date, kind, reason
        self.ahead = ahead
        self.now = house.now()
        self.agreement_id = ctx.agreement.agreement_id

    def make(self) -> RunResult:
        """Make the run; claims the layout cannot carry are held and the files are made again without them (A-24)."""
        with quiet_collector():
            if refresh_pending_checks(self.house, self.connection, self.ctx):
                self.ahead = None  # only this transaction sees what was just found
            return self.until_it_fits(self.connection, self._attempt)

    def _attempt(self) -> RunResult:
        query = select(Creditor.next_reminder_number).where(Creditor.id == self.ctx.agreement.creditor_id)
        self.numbering.next_number = self.connection.execute(query.with_for_update(key_share=True)).scalar_one()
        self.counts = {"invoices": 0, "items": 0, "held": 0, "excluded": 0}
        self.codes: dict[str, int] = {}
        self.rows = _Rows()
        self.waiting: list[int] = []
        self.ledger = ledger_facts(self.connection, self.ctx)
        ahead, self.ahead = self.ahead, None  # PostgreSQL ends the transaction of a stream that was left in the middle
        with Verification() as self.verification, self.connection.begin_nested(), Behind() as self.behind:
            self.run_id = self._open()
            # Known claims first: a claim made in this run must not be met again as a known one. Delivery goes by order.
            updates = self._export(are_known=True, ahead=ahead)
            result = self._close([*self._export(are_known=False, ahead=ahead), *updates])
            self.verification.settle()
        return result

    def _open(self) -> int:
        values = {
            "agreement_id": self.agreement_id,
            "kind": self.kind,
            "business_date": self.business_date,
            "cutoff": self.ctx.cutoff,
            "started_at": self.now,
            "reason": self.reason,
        }
        return self.connection.execute(insert(TransferRun).values(**values).returning(TransferRun.id)).scalar_one()

    def _export(self, *, are_known: bool, ahead: Connection | None) -> list[int]:
        """Write new claims, or later items of known ones; return the ids of the envelopes."""
        seal, spool = next_seal(self.connection, self.ctx, self.house), Spool()
        (self.carrier_id,) = take_ids(self.connection, 1)
        try:
            read = judged_groups(
                self.connection, self.ctx, self.ledger, are_known=are_known, ahead=ahead, settled=self.behind.settle
            )
            with closing(read) as groups:
                claims = self.claims(groups)
                made = sealing.export(self.house, self.ctx.agreement, seal, claims, spool, are_new=not are_known)
            self._flush()
            self.behind.settle()
            assignment = assignment_of(self.connection, self.ctx)
            sealed = sealing.finish(self.house, self.ctx, seal, made, spool, assignment, self.verification)
            return self._store(sealed, UPDATES_LAST if are_known else 0)
        finally:
            spool.close()

    # --- notes -------------------------------------------------------------------------------------------------------

    def noted(self, judged: Judged) -> None:
        """Remember holds, and groups to look at again tomorrow."""
        verdict = judged.verdict
        if verdict.waits:
            self.waiting.append(verdict.group_id)
        if not verdict.holds:
            return
        entries: dict[int, bool] = {}
        for hold in verdict.holds:
            values = {key: str(value) for key, value in hold.values.items()}
            is_over = hold.is_exclusion or hold.code in SHOWN_ONCE
            again = None if is_over else self.business_date + timedelta(days=1)
            row = (hold.entry_id, hold.code, verdict.group_id, hold.is_exclusion, values, again)
            self.rows.holds.append(row)
            self.codes[hold.code] = self.codes.get(hold.code, 0) + 1
            entries[hold.entry_id] = hold.is_exclusion
        self.counts["excluded"] += sum(entries.values())
        self.counts["held"] += len(entries) - sum(entries.values())
        if len(self.rows) >= FLUSH_ROWS:
            self._flush()

    def going(self, judged: Judged, claim: ClaimOut) -> None:
        """Remember what the agency is told about a claim."""
        verdict = judged.verdict
        invoice = verdict.invoice
        assert invoice is not None
        if verdict.sends_invoice:
            self._note_invoice(judged, claim)
        if judged.claim is not None:
            self.rows.told.append({"b_entry": invoice.entry_id, "b_told": claim.open_minor})
            self.rows.offered_again += [invoice.entry_id] * verdict.sends_invoice
        for item in verdict.items:
            if item.version > 1:
                self.rows.replaced.append(item.member.entry_id)
            self.rows.items.append(
                (
                    invoice.entry_id,
                    item.member.entry_id,
                    sealing.item_id_of(item),
                    _VALUE[item.kind],
                    _VALUE[item.direction],
                    abs(item.member.amount_minor),
                    item.version,
                )
            )
        self.rows.instructed += [said.item_id for said in verdict.instructions]
        self.counts["items"] += len(verdict.items)
        if len(self.rows) >= FLUSH_ROWS:
            self._flush()

    def _note_invoice(self, judged: Judged, claim: ClaimOut) -> None:
        invoice = judged.verdict.invoice
        assert invoice is not None
        version = invoice.sent_version + 1
        if version > 1:
            self.rows.replaced.append(invoice.entry_id)
        if judged.claim is None:
            row = (invoice.entry_id, claim.claim_id, claim.reminder_number, claim.open_minor)
            self.rows.claims.append(row)
        sent = (f"{claim.claim_id}/{version}", "invoice", "debit", abs(invoice.amount_minor), version)
        self.rows.items.append((invoice.entry_id, invoice.entry_id, *sent))
        self.counts["invoices"] += 1

    def _flush(self) -> None:
        """Hand the rows to the database, which takes them while the next ones are made."""
        rows, self.rows = self.rows, _Rows()
        self.behind.hand(partial(self._write, rows))

    def _write(self, rows: _Rows) -> None:
        connection = self.connection
        item, claim = table_of(TransferItem), table_of(Claim)
        for some in batches(rows.replaced, IN_LIST_MAX):
            mine = and_(item.c.agreement_id == self.agreement_id, item.c.entry_id.in_(some), item.c.is_current)
            connection.execute(update(item).where(mine).values(is_current=False))
        mine_now = {"agreement_id": self.agreement_id, "run_id": self.run_id, "envelope_id": self.carrier_id}
        new = {"agreement_id": self.agreement_id, "state": "sealed", "first_sent_at": self.now}
        insert_rows(connection, TransferItem, _ITEM_COLUMNS, rows.items, mine_now, is_behind=True)
        insert_rows(connection, Claim, _CLAIM_COLUMNS, rows.claims, new, is_behind=True)
        insert_rows(connection, RunHold, _HOLD_COLUMNS, rows.holds, {"run_id": self.run_id}, is_behind=True)
        instructions.note_sealed(connection, rows.instructed, self.carrier_id)
        if rows.told:
            mine = and_(claim.c.agreement_id == self.agreement_id, claim.c.entry_id == bindparam("b_entry"))
            connection.execute(update(claim).where(mine).values(told_minor=bindparam("b_told")), rows.told)
        for some in batches(rows.offered_again, IN_LIST_MAX):
            mine = and_(claim.c.agreement_id == self.agreement_id, claim.c.entry_id.in_(some))
            connection.execute(update(claim).where(mine).values(state="sealed"))

    # --- files -------------------------------------------------------------------------------------------------------

    def _store(self, sealed: Iterable[sealing.Sealed], order: int) -> list[int]:
        """Store the files of one direction; its items are tied already to the one that carries claims."""
        stored: list[int] = []
        carriers = 0
        for one in sealed:
            carries = bool(one.envelope.totals.claims or one.envelope.totals.items)
            carriers += carries
            if carriers > 1:
                raise PluginError(f"{self.ctx.agreement.agency_key}: claims stand in several files of one run")
            envelope_id = self.carrier_id if carries else take_ids(self.connection, 1)[0]
            self._envelope(envelope_id, one, order)
            stored.append(envelope_id)
        return stored

    def _envelope(self, envelope_id: int, sealed: sealing.Sealed, order: int) -> None:
        made, connection = sealed.envelope, self.connection
        stored = blobs.store(connection, sealed.content)
        cycle = self._consume(made.kind, made.sequence)
        hours = self.ctx.layout.receipt_within_hours
        connection.execute(
            insert(Envelope).values(
                id=envelope_id,
                agreement_id=self.agreement_id,
                run_id=self.run_id,
                kind=made.kind,
                sequence=made.sequence,
                cycle=cycle,
                file_id=sealed.file_id,
                filename=made.filename,
                media_type=made.media_type,
                blob_id=stored.blob_id,
                sha256=stored.sha256,
                size=stored.size,
                claims=made.totals.claims,
                items=made.totals.items,
                debit_minor=made.totals.debit_minor,
                credit_minor=made.totals.credit_minor,
                charge_minor=made.totals.charge_minor,
                instructions=made.totals.instructions,
                currency=made.currency,
                delivery_order=made.order + order,
                factoring_agreement=made.factoring_agreement,
                sealed_at=self.now,
                receipt_due_at=self.now + timedelta(hours=hours) if hours else None,
            )
        )
        if sealed.sha256_before:
            hashes = {"sha256_before": sealed.sha256_before, "sha256_after": stored.sha256}
            audit.record(
                connection, self.ctx.agreement.creditor_id, self.now, audit.SYSTEM, "envelope.assigned", "envelope",
                envelope_id, agreement=made.factoring_agreement, **hashes,
            )  # fmt: skip
        is_repeatable = self.house.agencies[self.ctx.agreement.agency_key].profile.delivery_is_idempotent
        is_repeatable |= self.ctx.is_api  # each call has a note of its own, and is not repeated with the rest
        outbox.promise(connection, "deliver", envelope_id, self.now, repeatable=is_repeatable)

    def _consume(self, kind: str, sequence: int) -> int:
        """Take the number; a series that began anew counts as its next cycle, so that no file is named twice."""
        mine = and_(Counter.agreement_id == self.agreement_id, Counter.kind == kind)
        row = {"agreement_id": self.agreement_id, "kind": kind, "last": 0}
        upsert_ignore(self.connection, Counter, [row])
        last, cycle = self.connection.execute(select(Counter.last, Counter.cycle).where(mine)).one()
        cycle += sequence <= last
        self.connection.execute(update(Counter).where(mine).values(last=sequence, cycle=cycle))
        return int(cycle)

    # --- end ---------------------------------------------------------------------------------------------------------

    def _close(self, envelopes: Sequence[int]) -> RunResult:
        refresh_statistics(self.connection, self.counts["invoices"] + self.counts["items"], Claim, TransferItem)
        creditor = update(Creditor).where(Creditor.id == self.ctx.agreement.creditor_id)
        self.connection.execute(creditor.values(next_reminder_number=self.numbering.next_number))
        self._clear_pending()
        counts = self.counts
        self.connection.execute(
            update(TransferRun)
            .where(TransferRun.id == self.run_id)
            .values(
                finished_at=self.now,
                invoices_sent=counts["invoices"],
                items_sent=counts["items"],
                held=counts["held"],
                excluded=counts["excluded"],
            )
        )
        facts = {**counts, "holds": self.codes, "envelopes": list(envelopes), "business_date": str(self.business_date)}
        creditor_id = self.ctx.agreement.creditor_id
        audit.record(
            self.connection,
            creditor_id,
            self.now,
            audit.SYSTEM,
            "run.finished",
            "agreement",
            self.agreement_id,
            **facts,
        )
        return RunResult(self.run_id, **counts, envelope_ids=tuple(envelopes), holds=self.codes)

    def _clear_pending(self) -> None:
        """Forget the groups that are settled; those held or too late are looked at again tomorrow."""
        held = select(RunHold.group_id).where(RunHold.run_id == self.run_id, RunHold.code.not_in(SHOWN_ONCE))
        mine = and_(Pending.agreement_id == self.agreement_id, Pending.group_id.not_in(held))
        if not self.ctx.row.may_create_cases:
            mine = and_(mine, ~waits_for_the_switch(self.ctx))
        self.connection.execute(delete(Pending).where(mine).execution_options(synchronize_session=False))
        for some in batches(self.waiting, IN_LIST_MAX):
            rows = [{"agreement_id": self.agreement_id, "group_id": g, "queued_at": self.now} for g in some]
            upsert_ignore(self.connection, Pending, rows)


def assignment_of(connection: Connection, ctx: PlanContext) -> FactoringAssignment | None:
    """Return the assignment to mark a run's files with, None where the agency is not treated as a factor (R-FA-01)."""
    row = ctx.row
    settings = factoring_settings(connection, row.creditor_id)
    is_factor = row.service == "factoring" or (row.treated_as_factoring and settings and settings.use_factoring)
    if not is_factor or settings is None:
        return None
    return FactoringAssignment(
        agreement_number=settings.customer_number,
        factor_name=settings.name,
        factor_address=settings.address,
        factor_party_id=str(row.settings.get("factor_party_id", "")),
        pay_to_account=settings.account_number,
        notice=settings.invoice_text,
    )
