"""Random ledger histories against the sandbox agency: R-LS-15, R-LS-16, R-FA-10, P12, P13, P15 (promises section 6).

Nothing here knows how the evening decides. After each evening it is checked that the preview was right (inside
`World.evening`), that no kept-out entry stands in any file, that nothing goes twice, that every candidate is accounted
for, that the agency's own books agree with ours claim by claim, and that the ledger's sums hold.

``KRAVPORT_HISTORIES`` sets the number of histories; the nightly run uses thousands.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.agencies import Agencies
from gateway.db import schema
from gateway.db.tables import Claim, Customer, LedgerEntry, RunHold, TransferItem
from gateway.db.uow import Database
from gateway.domain.ledger import EntryKind, LinkRecord, OrderStatus
from gateway.domain.transfer import SHOWN_ONCE
from gateway.errors import DataError
from gateway.secretbox import SecretBox
from gateway.services import inbound, links, marks, placing, posting, writeoff
from gateway.services.house import House
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.conftest import SECRET_KEY, StandingClock
from tests.rules.world import ACTOR, World

HISTORIES = int(os.environ.get("KRAVPORT_HISTORIES", "12"))
STEPS = 30
PHASES = [Phase.explicit, Phase.generate] + ([Phase.shrink] if HISTORIES > 100 else [])
"""Making a failing history shorter takes minutes; in CI the steps it printed are enough."""
_ITEM = re.compile(rb' itemId="kp-(\d+)-(\d+)"')
_CLAIM = re.compile(rb' claimId="kp-(\d+)"')
KRONER = st.sampled_from([1, 10, 100, 250, 400, 1000])
PICK = st.integers(0, 10_000)
_KINDS = [
    "payment",
    "payment",
    "credit_note",
    "out",
    "bank line",
    "loss",
    "marked loss",
    "charge",
    "charge back",
    "line up",
]


class Histories(RuleBasedStateMachine):
    """One creditor with two customers and one agency, lived through in random order."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="kravport-history-"))
        shutil.copyfile(self.template, self.folder / "kravport.sqlite")
        self.clock = StandingClock(datetime(2026, 11, 23, 8, tzinfo=UTC))
        self.database = Database(f"sqlite:///{self.folder / 'kravport.sqlite'}")
        self.house = House(self.database, Agencies.load(), SecretBox(SECRET_KEY), lambda: None, self.clock)
        self.world = World(self.house, self.clock, self.folder, "lowell").start()
        self.made = self.told_at = 0
        self.item_ids: set[bytes] = set()
        self.link_refs: list[str] = []
        self.agency_payments: list[str] = []

    def teardown(self) -> None:
        self.world.far.agency.close()
        self.database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize()
    def begin(self) -> None:
        self.world.use_factoring()
        for number in ("10001", "10002"):
            self.world.customer(number)
        for kroner in (1000, 5000):
            self.world.invoice(self.name("1"), kroner)
        self.world.invoice(self.name("1"), 400, customer="c10002")

    # --- helpers ------------------------------------------------------------------------------------------------------

    def entries(self, *kinds: str, customer: int | None = None) -> list:
        rows = self.world.rows(LedgerEntry)
        return sorted(
            (r for r in rows if (not kinds or r.kind in kinds) and (customer is None or r.customer_id == customer)),
            key=lambda r: r.id,
        )

    def chosen(self, pick: int, *kinds: str, customer: int | None = None):
        found = self.entries(*kinds, customer=customer)
        return found[pick % len(found)] if found else None

    def name(self, prefix: str) -> str:
        self.made += 1
        self.clock.advance(seconds=20)
        return f"{prefix}{self.made:04d}"

    # --- the books ----------------------------------------------------------------------------------------------------

    @rule(kroner=st.sampled_from([0, -50, 100, 1000, 1000, 5000]), two=st.booleans(), is_order=st.booleans())
    def invoice(self, kroner: int, two: bool, is_order: bool) -> None:
        status = OrderStatus.ORDER if is_order and kroner == 100 else OrderStatus.INVOICED
        self.world.invoice(self.name("1"), kroner, customer="c10002" if two else "c10001", order_status=status)

    @rule()
    def orders_are_invoiced(self) -> None:
        for row in self.entries("invoice"):
            if row.order_status == "order":
                customer = self.world.row(Customer, row.customer_id).external_id
                self.world.invoice(row.number, row.amount_minor / 100, customer=customer)

    @precondition(lambda self: self.made)
    @rule(kind=st.sampled_from(_KINDS), kroner=KRONER, pick=PICK, is_linked=st.booleans())
    def item(self, kind: str, kroner: int, pick: int, is_linked: bool) -> None:
        """Add an item, mostly linked to some invoice at once."""
        invoice = self.chosen(pick, "invoice")
        if invoice is None:
            return
        customer = self.world.row(Customer, invoice.customer_id).external_id
        name = self.name("e")
        make = {
            "payment": lambda: self.world.payment(name, kroner, customer=customer),
            "credit_note": lambda: self.world.credit_note(
                name, kroner, credits_=invoice.number if pick % 3 else "", customer=customer
            ),
            "out": lambda: self.world.item(name, EntryKind.PAYMENT_OUT, kroner, customer=customer, is_bank=True),
            "bank line": lambda: self.world.item(name, EntryKind.OTHER, -kroner, customer=customer, is_bank=True),
            "loss": lambda: self.world.item(name, EntryKind.OTHER, -kroner, customer=customer, counter_account="7830"),
            "marked loss": lambda: self.world.item(
                name, EntryKind.WRITE_OFF, -kroner, customer=customer, counter_account="7830", do_not_transfer=True
            ),
            "charge": lambda: self.world.item(
                name, EntryKind.CHARGE, kroner, customer=customer, charge_kind="interest"
            ),
            "charge back": lambda: self.world.item(
                name, EntryKind.CHARGE, -kroner, customer=customer, charge_kind="interest"
            ),
            "line up": lambda: self.world.item(name, EntryKind.OTHER, kroner, customer=customer),
        }
        make[kind]()
        if is_linked:
            with suppress(DataError):
                self.world.tie(invoice.external_id, name)

    @precondition(lambda self: self.made > 1)
    @rule(picks=st.lists(PICK, min_size=2, max_size=4), two=st.booleans())
    def source_links(self, picks: list[int], two: bool) -> None:
        """The accounting system links what it likes, several invoices together too (A-14)."""
        customer = self.world.customer_id("c10002" if two else "c10001")
        found = [self.chosen(pick, customer=customer) for pick in picks]
        names = {row.external_id for row in found if row is not None and row.source == "test"}
        if len(names) > 1:
            ref = f"l{len(self.link_refs)}"
            self.link_refs.append(ref)
            self.world.take(LinkRecord(ref, tuple(sorted(names))))

    @precondition(lambda self: self.link_refs)
    @rule(pick=PICK)
    def source_dissolves(self, pick: int) -> None:
        self.world.take(LinkRecord(self.link_refs[pick % len(self.link_refs)], ()))

    @precondition(lambda self: self.made)
    @rule(pick=PICK)
    def source_reverses(self, pick: int) -> None:
        row = self.chosen(pick, "payment")
        if row is not None and row.source == "test" and row.reversed_by_id is None:
            customer = self.world.row(Customer, row.customer_id).external_id
            values = {"customer": customer, "reverses": row.external_id}
            self.world.item(self.name("r"), EntryKind.REVERSAL, -row.amount_minor / 100, **values)

    @rule(is_right=st.booleans(), two=st.booleans())
    def card(self, is_right: bool, two: bool) -> None:
        self.clock.advance(minutes=1)
        self.world.customer("10002" if two else "10001", city="OSLO" if is_right else "")

    # --- a person -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.made > 1)
    @rule(picks=st.lists(PICK, min_size=2, max_size=3), two=st.booleans())
    def tie(self, picks: list[int], two: bool) -> None:
        customer = self.world.customer_id("c10002" if two else "c10001")
        found = {row.id for row in (self.chosen(pick, customer=customer) for pick in picks) if row is not None}
        with suppress(DataError):
            links.link(self.house, self.world.creditor_id, sorted(found), ACTOR)

    @precondition(lambda self: self.made)
    @rule(pick=PICK)
    def untie(self, pick: int) -> None:
        row = self.chosen(pick, "payment", "credit_note", "payment_out", "other", "charge", "invoice")
        if row is not None:
            links.unlink(self.house, row.id, ACTOR)

    @precondition(lambda self: self.made)
    @rule(pick=PICK)
    def split_group(self, pick: int) -> None:
        row = self.chosen(pick, "invoice")
        proposal = links.propose_split(self.house, row.group_id) if row is not None else ()
        if proposal:
            links.confirm_split(self.house, row.group_id, proposal, ACTOR)

    @precondition(lambda self: self.made)
    @rule(pick=PICK, others=st.tuples(PICK, PICK))
    def split_payment(self, pick: int, others: tuple[int, int]) -> None:
        row = self.chosen(pick, "payment")
        if row is None or row.amount_minor >= -200:
            return
        found = [self.chosen(other, "invoice", customer=row.customer_id) for other in others]
        invoices = sorted({invoice.id for invoice in found if invoice is not None})
        if len(invoices) == 2:
            first, second = invoices
            with suppress(DataError):
                parts = {first: 100, second: -row.amount_minor - 100}
                links.split_payment(self.house, row.id, parts, ACTOR)

    @precondition(lambda self: self.made)
    @rule(pick=PICK, mark=st.booleans(), what=st.sampled_from(["invoice", "customer", "line", "judge"]))
    def mark(self, pick: int, mark: bool, what: str) -> None:
        kinds = ("invoice",) if what == "invoice" else ("payment", "other", "write_off", "credit_note")
        row = self.chosen(pick, *kinds)
        if row is None:
            return
        acts = {
            "invoice": lambda: marks.mark_invoice(self.house, row.id, mark, ACTOR),
            "customer": lambda: marks.mark_customer(self.house, row.customer_id, mark, ACTOR),
            "line": lambda: marks.mark_line(self.house, row.id, mark, ACTOR),
            "judge": lambda: marks.judge_line(self.house, row.id, mark, ACTOR),
        }
        with suppress(DataError):
            acts[what]()

    @precondition(lambda self: self.made)
    @rule(pick=PICK)
    def write_off(self, pick: int) -> None:
        row = self.chosen(pick, "invoice")
        if row is not None and row.order_status == "invoiced":
            with suppress(DataError):
                writeoff.write_off(self.house, row.id, ACTOR, loss_account="7830")

    @precondition(lambda self: self.made)
    @rule(pick=PICK, to=PICK, is_returned=st.booleans())
    def move_payment(self, pick: int, to: int, is_returned: bool) -> None:
        row, target = self.chosen(pick, "payment"), self.chosen(to, "invoice")
        if row is not None and target is not None:
            with suppress(DataError):
                posting.move_payment(self.house, row.id, None if is_returned else target.id, ACTOR, "wrong invoice")

    @precondition(lambda self: self.made)
    @rule(pick=PICK)
    def reverse_plainly(self, pick: int) -> None:
        row = self.chosen(pick, "payment")
        if row is not None and row.reversed_by_id is None:
            with suppress(DataError):
                posting.reverse_payment(self.house, row.id, ACTOR)

    # --- the agency ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.made)
    @rule(pick=PICK, kroner=KRONER, is_posted=st.booleans())
    def agency_receives(self, pick: int, kroner: int, is_posted: bool) -> None:
        claims = sorted(self.world.far.agency.balances())
        if claims:
            self.clock.advance(minutes=1)
            claim_id = claims[pick % len(claims)]
            self.agency_payments.append(self.world.far.agency.pay(claim_id, kroner * 100, self.clock().date()))
            self.world.far.tell()
        if is_posted:
            self.world.post()

    @precondition(lambda self: self.agency_payments)
    @rule()
    def agency_takes_back(self) -> None:
        self.clock.advance(minutes=1)
        self.world.far.agency.reverse(self.agency_payments.pop(), self.clock().date())
        self.world.far.tell()
        self.world.post()

    @precondition(lambda self: self.made)
    @rule(pick=PICK, kroner=KRONER, is_posted=st.booleans())
    def bank_tells(self, pick: int, kroner: int, is_posted: bool) -> None:
        """The creditor's own bank tells of money, and a person places it."""
        invoice = self.chosen(pick, "invoice")
        if invoice is not None:
            archive = self.name("9").rjust(9, "0")
            data = ocr_file([[OcrPayment(kroner * 100, "", payer="0" * 11, archive=archive)]])
            stored = inbound.store_own(self.house, self.world.creditor_id, "api", "OCR", io.BytesIO(data))
            inbound.process(self.house, stored.inbound_file_id)
            placing.match(self.house, self.world.payments()[-1].id, invoice.id, ACTOR)
        if is_posted:
            self.world.post()

    @precondition(lambda self: self.made)
    @rule(pick=PICK, to=PICK, is_posted=st.booleans())
    def placed_anew(self, pick: int, to: int, is_posted: bool) -> None:
        """Somebody takes back where a payment went; what the agency itself counts goes where it was."""
        placed = [row for row in self.world.payments() if row.state in {"proposed", "posted"} and row.posts]
        target = self.chosen(to, "invoice")
        if placed and target is not None:
            row = placed[pick % len(placed)]
            with suppress(DataError):
                placing.unmatch(self.house, row.id, ACTOR)
                place = target.id if row.agreement_id is None else row.entry_id
                placing.match(self.house, row.id, place, ACTOR)
        if is_posted:
            self.world.post()

    @precondition(lambda self: self.made)
    @rule(pick=PICK, kind=st.sampled_from(["claim", "item"]))
    def agency_will_refuse(self, pick: int, kind: str) -> None:
        row = self.chosen(pick)
        if row is not None:
            key = f"kp-{row.id}" if kind == "claim" else f"kp-{row.id}-{1 + pick % 2}"  # 2 is often an unlink
            self.world.far.agency.refuse(kind, key, "NOT_ALLOWED", "for the test")

    # --- the evening --------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.made != self.told_at)
    @rule()
    def another_evening(self) -> None:
        """The same once more, so that a history has several evenings."""
        self.evening()

    @rule()
    def evening(self) -> None:
        self.told_at = self.made
        candidates = self.candidates()
        evening = self.world.evening()
        self.check_files(evening.files)
        self.check_account(evening, candidates)
        self.world.far.night()
        self.check_balances()

    def candidates(self) -> set[int]:
        """Entries the agency should get tonight if nothing stands in the way, found without the services' own query."""
        known = {
            row.entry_id
            for row in self.world.rows(TransferItem, TransferItem.is_current)
            if row.state != "rejected" and row.kind != "unlink"
        }
        entries = [row for row in self.entries() if row.order_status == "invoiced"]
        claims = {row.group_id for row in entries if row.kind == "invoice"}
        return {
            row.id
            for row in entries
            if row.group_id in claims and row.id not in known and row.origin != "agency" and row.kind != "reversal"
        }

    def check_files(self, files: dict[str, bytes]) -> None:
        """No kept-out entry in any byte of a file (P15), nothing twice (R-LS-14), no echo (R-PM-08)."""
        cards = {row.id: row for row in self.world.rows(Customer)}
        entries = {row.id: row for row in self.entries()}
        for content in files.values():
            told = [(entries[int(entry)], b"%s-%s" % (entry, version)) for entry, version in _ITEM.findall(content)]
            for row, item_id in told:
                assert not row.do_not_transfer, f"marked line {row.external_id} in a file"
                assert row.origin != "agency", f"agency money {row.external_id} in a file"
                assert item_id not in self.item_ids, f"{item_id!r} went twice"
                self.item_ids.add(item_id)
            is_new = b"<InvoiceHeader " in content
            for row in (entries[int(entry)] for entry in _CLAIM.findall(content)):
                # A customer's mark keeps out what has not gone; the agency is still told of a claim it has.
                is_out = row.do_not_transfer or (is_new and cards[row.customer_id].do_not_transfer)
                assert not is_out, f"kept-out {row.number} in a file"

    def check_account(self, evening, candidates: set[int]) -> None:
        """Candidates = sent + held + excluded (R-LS-16)."""
        ids = {row.external_id: row.id for row in self.entries()}
        sent, held = {ids[name] for name in evening.sent}, {ids[name] for name in evening.held}
        # What no later evening can change is listed in the first and not looked at again.
        told_once = {row.entry_id for row in self.world.rows(RunHold, RunHold.code.in_(SHOWN_ONCE))}
        forgotten = candidates - sent - held - told_once
        assert not forgotten, f"neither sent nor held: {self.world.names(forgotten)}"
        unlinked = {row.entry_id for row in self.world.rows(TransferItem, TransferItem.kind == "unlink")}
        assert sent <= candidates | unlinked
        result = evening.result
        assert result.invoices + result.items == len(sent)
        assert result.held + result.excluded >= len(held)

    def check_balances(self) -> None:
        """The agency's own books against ours, claim by claim (R-LS-15)."""
        accepted = {
            row.claim_id: row.told_minor - row.agency_paid_minor
            for row in self.world.rows(Claim)
            if row.state == "accepted"
        }
        assert self.world.far.agency.balances() == accepted

    @invariant()
    def sums_hold(self) -> None:
        """What is open of an invoice is the sum over its group (P12)."""
        groups: dict[int, list] = {}
        for row in self.entries():
            if row.order_status == "invoiced":  # an order owes nothing yet and counts for nobody
                groups.setdefault(row.group_id, []).append(row)
        for members in groups.values():
            invoices = [row for row in members if row.kind == "invoice"]
            for row in invoices:
                whole = sum(m.amount_minor for m in members) if len(invoices) == 1 else row.amount_minor
                assert row.open_minor == whole, f"{row.number} shows {row.open_minor}, its group holds {whole}"
                assert (row.closed_at is not None) is (whole == 0)


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("histories") / "empty.sqlite"
    made = Database(f"sqlite:///{path}")
    with made.write() as connection:
        schema.create(connection)
    with made.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    return path


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.rule("R-LS-15", "R-LS-16", "R-FA-10", "R-VL-06", "R-LS-14", "R-PM-08", "P12", "P13", "P15")
def test_r_ls_15_16_random_histories(template):
    Histories.template = template
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        ),
    )
