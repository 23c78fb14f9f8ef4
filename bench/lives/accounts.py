"""Our books of a life: what we say the agency has, and whether every item of ours is in a state that has a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import exists, func, select

from bench.lives.counterparts import Counterpart
from bench.lives.far import Far
from gateway.db.tables import (
    Claim,
    Envelope,
    InboundFile,
    IncomingPayment,
    LedgerEntry,
    RunHold,
    TransferItem,
    TransferRun,
)
from tests.rules.world import World

_ANSWERED = ("accepted", "partly", "rejected")


class Accounts:
    """Reads a creditor's books.

    Args:
        world: whose.
        terms: under which names the agency knows claims.
    """

    def __init__(self, world: World, terms: Counterpart) -> None:
        self._world, self._terms = world, terms

    def name_of(self, number: str) -> str:
        """Return the name by which the agency knows the invoice of that number."""
        return number if self._terms.knows_by_number else f"kp-{self._world.entry_id(number)}"

    def ours(self) -> dict[str, int]:
        """Return told less paid of every claim the agency has taken, in minor units, by the agency's names."""
        name = LedgerEntry.number if self._terms.knows_by_number else Claim.claim_id
        query = select(name, Claim.told_minor - Claim.agency_paid_minor).join(
            LedgerEntry, LedgerEntry.id == Claim.entry_id
        )
        found = {str(claim): int(minor) for claim, minor in self._rows(query.where(Claim.state != "rejected"))}
        return self._apart(found) if self._terms.sets_credit_notes_apart else found

    def _apart(self, found: dict[str, int]) -> dict[str, int]:
        """Take credit notes off their invoices: the layout does not say which they belong to."""
        notes, invoices = LedgerEntry.__table__.alias(), LedgerEntry.__table__.alias()
        query = (
            select(invoices.c.number, notes.c.number, TransferItem.amount_minor)
            .join(notes, notes.c.id == TransferItem.entry_id)
            .join(invoices, invoices.c.id == TransferItem.claim_entry_id)
            .where(TransferItem.is_current, TransferItem.kind == "credit_note")
        )
        for invoice, note, minor in self._rows(query):
            found[invoice] += minor
            found[note] = found.get(note, 0) - minor
        return found

    @staticmethod
    def theirs(far: Far) -> dict[str, int]:
        """Return the agency's own ledger."""
        return dict(far.balances())

    def differences(self, far: Far) -> Iterator[str]:
        """Yield the claims on which the two ledgers differ."""
        ours, theirs = self.ours(), self.theirs(far)
        for claim in sorted({*ours, *theirs}):
            if ours.get(claim) != theirs.get(claim):
                yield f"{claim}: we {ours.get(claim)}, agency {theirs.get(claim)}"

    def unsettled(self) -> Iterator[str]:
        """Yield what is still under way, and what is nowhere."""
        silent = Envelope.state.not_in(_ANSWERED) & ~(
            (Envelope.state == "delivered") & Envelope.receipt_due_at.is_(None)
        )
        yield from (f"{row.filename} is {row.state}" for row in self._world.rows(Envelope, silent))
        unread = InboundFile.state.in_(("stored", "reading"))
        yield from (f"{row.filename} is {row.state}" for row in self._world.rows(InboundFile, unread))
        is_final = exists().where(Envelope.id == TransferItem.envelope_id, Envelope.state == "delivered", ~silent)
        is_held = (TransferItem.state == "rejected") & self._held(TransferItem.entry_id, "", "receipt.rejected")
        waiting = (TransferItem.is_current, TransferItem.state != "accepted", ~is_final, ~is_held)
        yield from (f"item {row.item_id} is {row.state}" for row in self._world.rows(TransferItem, *waiting))
        open_payments = IncomingPayment.state != "posted"
        yield from (f"payment {row.key} is {row.state}" for row in self._world.rows(IncomingPayment, open_payments))
        yield from (f"entry {name} is nowhere" for name in self._nowhere())
        yield from (f"entry {name} was echoed" for name in self._echoed())

    def set_aside(self) -> int:
        """Return how many files were not taken."""
        return len(self._world.rows(InboundFile, InboundFile.state.in_(("quarantined", "refused", "set_aside"))))

    def _nowhere(self) -> Iterable[str]:
        """Name linked entries of ours that are neither with the agency nor held by the last run for a reason of its own."""
        sent = exists().where(TransferItem.entry_id == LedgerEntry.id, TransferItem.is_current)
        held = self._held(LedgerEntry.id, "")
        own = (LedgerEntry.origin != "agency", LedgerEntry.payment_id.is_(None))
        return [row[0] for row in self._rows(select(LedgerEntry.external_id).where(*own, ~sent, ~held))]

    @staticmethod
    def _held(entry_id: Any, *but: str) -> Any:
        """Say of an entry that the last run holds it for a reason other than *but*."""
        last = select(func.max(TransferRun.id)).scalar_subquery()
        return exists().where(RunHold.entry_id == entry_id, RunHold.run_id == last, RunHold.code.not_in(but))

    def _echoed(self) -> Iterable[str]:
        """Name the agency's own money that was sent back to it (R-OP-04)."""
        sent = exists().where(TransferItem.entry_id == LedgerEntry.id)
        return [
            row[0] for row in self._rows(select(LedgerEntry.external_id).where(LedgerEntry.origin == "agency", sent))
        ]

    def _rows(self, query: Any) -> list[Any]:
        with self._world.house.database.read() as connection:
            return list(connection.execute(query))


def as_text(counts: Mapping[str, int]) -> str:
    """Return counts in one line."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
