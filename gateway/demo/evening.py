"""The story: two evenings of three creditors, from the ledger to closed invoices and equal ledgers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from gateway.agencies import Agencies
from gateway.config import Settings
from gateway.db import outbox
from gateway.db.tables import Claim, Envelope, InboundFile, LedgerEntry, RunHold, Task, TransferItem, TransferRun
from gateway.demo import office, sandboxes, tally
from gateway.demo.ledger import LEFT_FOR_TOMORROW, creditors, creditors_of, first_day, second_day, third_day, told_by
from gateway.demo.office import Desk
from gateway.demo.stage import Stage, running, set_stage
from gateway.domain.exchange import Can
from gateway.services.delivery import confirm_delivery
from gateway.services.mailbox import fetch_now
from gateway.services.preview import preview

AFTERNOON = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
FIRST_EVENING = datetime(2026, 11, 23, 16, 59, 58, tzinfo=UTC)
SECOND_AFTERNOON = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
SECOND_EVENING = datetime(2026, 11, 24, 16, 59, 58, tzinfo=UTC)
"""18:00 in Oslo and Stockholm is 17:00 UTC; 2026-11-23 is a Monday."""
_ANSWERED = ("accepted", "partly", "rejected")


class Evening:
    """The demo on a stage that stands.

    Args:
        stage: where everything is.
        desks: the creditors as they were set up, by key.
    """

    def __init__(self, stage: Stage, desks: dict[str, Desk]) -> None:
        self.stage, self.desks, self._say = stage, desks, stage.say
        self.previews_equal_runs = True

    def first(self) -> None:
        """Ledger in, marks, 18:00, delivery, receipts."""
        for desk in self.desks.values():
            office.send_ledger(self.stage, desk, told_by(desk.creditor, first_day))
            self._say(
                f"{desk.creditor.name}: {len(told_by(desk.creditor, first_day))} ledger records taken over the REST API"
            )
        office.set_marks(self.stage, self.desks)
        if "lowell" in self._agencies():
            unpaid_card = ("refuse", ("customer", "2012", "CUSTOMER_DECEASED", "Sandbox: refused on purpose"))
            self.stage.order("lowell", unpaid_card)
        self._evening(FIRST_EVENING, "2026-11-23")

    def money(self) -> None:
        """Debtors pay the agencies; the money comes back by webhook, OCR giro and camt.054, and is posted."""
        stories = {"lowell": self._lowell_pays, "intrum": self._intrum_pays}
        files = 0
        for agency_key, desk in self._agencies().items():
            has_story = agency_key in stories and not desk.creditor.facts
            files += stories[agency_key]() if has_story else self._agency_pays(desk)
        self._settle("payments read", lambda: self._files_read() >= files)
        posted = office.post_what_waits(self.stage, self.desks.values())
        self._say(f"bookkeeper posted {posted} payments; the certain ones were posted automatically where agreed")

    def second(self) -> None:
        """Corrections, later links, 18:00 again: the agencies' own money is not echoed."""
        self._quiet()
        self.stage.jump_to(SECOND_AFTERNOON)
        for desk in self.desks.values():
            office.send_ledger(self.stage, desk, told_by(desk.creditor, second_day))
        office.mend(self.stage, self.desks)
        self._evening(SECOND_EVENING, "2026-11-24")

    def encore(self) -> None:
        """Leave something for a visitor of the panel: invoices for tomorrow evening, payments that wait to be posted."""
        for desk in self.desks.values():
            office.send_ledger(self.stage, desk, told_by(desk.creditor, third_day))
        if "intrum" not in self._agencies() or "sjo" not in self.desks:
            return
        claims, on = self._open_claims("sjo"), {"date": "2026-11-24"}
        pays = [("pay", (c, minor, on)) for c, minor in claims[12:15]]
        partly = ("pay", (claims[15][0], claims[15][1] // 3, on))
        read = self._count(InboundFile.id, InboundFile.finished_at.is_not(None))
        self.stage.order("intrum", *pays, partly, ("write_payments", ("@now",)))
        self.stage.wait(
            "the last payments", lambda: self._count(InboundFile.id, InboundFile.finished_at.is_not(None)) > read
        )

    def result(self) -> dict[str, Any]:
        """Return the numbers of the last line."""
        compared = tally.compare(self.stage, self.desks.values())
        for difference in compared.differences:
            self._say(f"LEDGERS DIFFER: {difference}")
        self._say(f"{compared.claims} claims compared with the agencies' own ledgers")
        made = tally.numbers(self.stage.house.database)
        return {
            **made,
            "ledgers_agree": not compared.differences and compared.claims > 0,
            "claims_compared": compared.claims,
            "preview_equals_run": self.previews_equal_runs,
            "echoed": self._echoed(),
        }

    # --- an evening ----------------------------------------------------------------------------------------------

    def _evening(self, moment: datetime, day: str) -> None:
        self._quiet()
        plans = {key: preview(self.stage.house, desk.agreement_id) for key, desk in self.desks.items()}
        for desk, plan in ((self.desks[key], plan) for key, plan in plans.items()):
            self._say(
                f"{desk.creditor.name} tonight: {plan.invoice_count} invoices, {plan.item_count} items, "
                f"{len(plan.held)} held, {len(plan.not_linked)} not linked"
            )
        self.stage.jump_to(moment)
        self._say(f"the clock shows {moment:%Y-%m-%d} 17:59:58 in Oslo")
        self.stage.wait("the evening runs", lambda: self._runs(day) == len(self.desks))
        for key, plan in plans.items():
            same = self._sent_and_held(self.desks[key], day) == (plan.invoice_count, plan.item_count, len(plan.held))
            self.previews_equal_runs &= same
        self.stage.wait("delivery", self._all_delivered)
        self._settle("receipts", self._all_answered)
        self._say("all envelopes delivered, receipts taken")

    def _runs(self, day: str) -> int:
        return self._count(TransferRun.id, TransferRun.business_date == date.fromisoformat(day))

    def _sent_and_held(self, desk: Desk, day: str) -> tuple[int, int, int]:
        r = TransferRun
        which = (r.agreement_id == desk.agreement_id, r.business_date == date.fromisoformat(day))
        with self.stage.house.database.read() as connection:
            row = connection.execute(select(r.id, r.invoices_sent, r.items_sent).where(*which)).one()
            holds = connection.execute(select(func.count()).where(RunHold.run_id == row.id)).scalar_one()
        return row.invoices_sent, row.items_sent, holds

    def _all_delivered(self) -> bool:
        self._ask_about_doubt()
        return not self._count(Envelope.id, Envelope.delivered_at.is_(None))

    def _ask_about_doubt(self) -> None:
        """Be the operator who telephones about an upload that broke off: the factor's mailbox cannot be read back.

        Saying "did not arrive" is safe here: the factor takes the same bytes once.
        """
        query = select(Envelope.id).where(Envelope.state == "in_doubt")
        with self.stage.house.database.read() as connection:
            doubtful = connection.execute(query).scalars().all()
        for envelope_id in doubtful:
            confirm_delivery(self.stage.house, envelope_id, office.BOOKKEEPER, arrived=False)

    def _all_answered(self) -> bool:
        silent = (Envelope.state.not_in(_ANSWERED), Envelope.receipt_due_at.is_not(None))
        return not self._count(Envelope.id, *silent)

    # --- money ---------------------------------------------------------------------------------------------------

    def _agencies(self) -> dict[str, Desk]:
        return {desk.creditor.agency_key: desk for desk in self.desks.values()}

    def _lowell_pays(self) -> int:
        """Each of these returns how many files tell of the money: here an OCR giro of the bank and two of its own."""
        claims, on = self._open_claims("fjord"), {"date": "2026-11-23"}
        self.stage.order("lowell", *[("pay", (c, minor, on)) for c, minor in claims[:9]], ("write_ocr_giro", ("@now",)))
        part, over, with_interest = claims[9], claims[10], claims[11]
        results = self.stage.order(
            "lowell",
            *[("pay", (c, minor, on)) for c, minor in claims[12:18]],
            ("pay", (part[0], part[1] // 2, on)),
            ("overpay", (over[0], 5_000, on)),
            ("pay", (with_interest[0], with_interest[1] + 1_234, on), {"interest_minor": 1_234}),
            ("pay_unallocated", (77_700, on)),
            ("pay", (*claims[18], on)),
            ("write_payments", ("@now",)),
        )
        self.stage.order("lowell", ("reverse", (results[-2], on)), ("write_payments", ("@now",)))
        return 3

    def _intrum_pays(self) -> int:
        claims, on = self._open_claims("sjo"), {"date": "2026-11-23"}
        self.stage.order("intrum", *[("pay", (c, minor, on)) for c, minor in claims[:7]], ("write_camt054", ("@now",)))
        self.stage.order(
            "intrum", *[("pay", (c, minor, on)) for c, minor in claims[7:12]], ("write_payments", ("@now",))
        )
        return 2

    def _factor_pays(self, desk: Desk) -> int:
        """A factor pays through its bank: as its country usually does, in Norway by OCR giro as well."""
        claims, also = self._open_claims(desk.creditor.key), {"via": "ocr"} if desk.creditor.country == "NO" else {}
        usual, other = dict(claims[:4]), dict(claims[4:7])
        self.stage.order(desk.creditor.agency_key, ("pay", (usual, "@now")), ("pay", (other, "@now"), also))
        return 2

    def _agency_pays(self, desk: Desk) -> int:
        """Any other agency: six claims in full, one in part, in one file of its own where its plugin reads such; else a factor's way.

        An API has no such file: its sandbox names what there is to ask for, and each of them becomes one.
        """
        key = desk.creditor.agency_key
        if Can.IMPORT_PAYMENTS not in self.stage.house.agencies[key].profile.can:
            return self._factor_pays(desk) if desk.creditor.is_factored else 0
        claims, on = self._open_claims(desk.creditor.key), {"date": "2026-11-23"}
        partly = ("pay", (claims[6][0], claims[6][1] // 2, on))
        results = self.stage.order(
            key, *[("pay", (c, minor, on)) for c, minor in claims[:6]], partly, ("write_payments", ("@now",))
        )
        return len(results[-1]) if isinstance(results[-1], list) else 1

    def _open_claims(self, key: str) -> list[tuple[str, int]]:
        """Return claims the agency has, as they are called there, with their agency balance; sorted by invoice number."""
        desk = self.desks[key]
        theirs = self.stage.their_balances(desk.creditor.agency_key)
        query = (
            select(Claim.claim_id, LedgerEntry.number, Claim.told_minor)
            .join(LedgerEntry, LedgerEntry.id == Claim.entry_id)
            .where(Claim.agreement_id == desk.agreement_id, Claim.state != "rejected", Claim.told_minor > 0)
            .where(LedgerEntry.number.not_in(LEFT_FOR_TOMORROW))
            .order_by(LedgerEntry.number)
        )
        with self.stage.house.database.read() as connection:
            rows = connection.execute(query).all()
        return [(tally.called(row[0], row[1], theirs), int(row[2])) for row in rows]

    def _files_read(self) -> int:
        return self._count(InboundFile.id, InboundFile.kind == "payments", InboundFile.finished_at.is_not(None))

    # --- waiting -------------------------------------------------------------------------------------------------

    def _settle(self, what: str, is_so: Callable[[], bool]) -> None:
        """Look into the mailboxes now and again instead of every fifteen minutes, until *is_so*."""

        def fetched() -> bool:
            if is_so():
                return True
            for desk in self.desks.values():
                fetch_now(self.stage.house, desk.agreement_id)
            self._quiet()
            return is_so()

        self.stage.wait(what, fetched)

    def _quiet(self) -> None:
        """Wait until nothing is due and nobody works, so that moving the clock overtakes nobody."""
        self.stage.wait("the queue to be empty", lambda: not self._busy())

    def _busy(self) -> bool:
        now = self.stage.house.now()
        with self.stage.house.database.read() as connection:
            leased = connection.execute(select(Task.id).where(Task.state == "leased").limit(1)).first()
            return leased is not None or outbox.due(connection, now) > 0

    def _count(self, column: Any, *which: Any) -> int:
        with self.stage.house.database.read() as connection:
            return int(connection.execute(select(func.count(column)).where(*which)).scalar_one())

    def _echoed(self) -> int:
        """Count items sent whose origin is the agency: there must be none (R-OP-04)."""
        own = select(LedgerEntry.id).where(LedgerEntry.origin == "agency")
        return self._count(TransferItem.entry_id, TransferItem.entry_id.in_(own))


def play(
    base: Settings,
    say: Callable[[str], None],
    *,
    patience_seconds: float = 45.0,
    state_file: Path | None = None,
    stays: Callable[[Stage, dict[str, Any]], None] | None = None,
    agency: str | None = None,
    layout: str = "",
) -> dict[str, Any]:
    """Play the whole demo and return the numbers of its last line.

    Args:
        base: the operator's settings: home, database and queue server to use.
        say: takes progress lines.
        patience_seconds: longest wait for any one thing.
        state_file: where to write the business state at the end (`gateway.demo.tally.state`).
        stays: called at the end, with everything still running; the demo ends when it returns.
        agency: key of the one agency to play it with; by default the three of the story.
        layout: under which of the layouts of *agency*, if not that of its own creditor or its first.

    Raises:
        DataError: the demo cannot be played with *agency*.
        DemoStuck: something that must happen did not.
    """
    wanted = creditors_of(Agencies.load()[agency].profile, layout) if agency else creditors()
    for creditor in wanted:
        sandboxes.maker_of(creditor.agency_key)  # known now, not after waiting for a process that ended
    with set_stage(base, wanted, AFTERNOON, patience_seconds, say, keeps_port=stays is not None) as stage:
        desks = {desk.creditor.key: desk for desk in office.open_desks(stage, wanted)}
        say(f"{len(desks)} creditors, their agreements and a person set up")
        with running(stage):
            say(f"queue server, web, worker and scheduler run; panel at {stage.address}")
            evening = Evening(stage, desks)
            evening.first()
            evening.money()
            evening.second()
            result = evening.result()
            if state_file is not None:
                state_file.write_text(json.dumps(tally.state(stage.house.database), indent=1, sort_keys=True))
            if stays is not None:
                evening.encore()
                stays(stage, result)
    return result
