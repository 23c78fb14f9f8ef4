from __future__ import annotations

import threading
from datetime import date

import pytest

from gateway.db.tables import ClaimInstruction, Envelope, InboundFile, LedgerEntry
from gateway.domain.exchange import ObjectReceipt
from gateway.domain.instructions import Action
from gateway.domain.ledger import EntryKind
from gateway.errors import Refused
from gateway.services import delivery, instructions, links, posting, receipts, transfer, writeoff
from tests.rules.test_r_op_instructions import tell, told_in, state_of
from tests.rules.test_refused_unlink import *  # noqa
from tests.rules.world import ACTOR


@pytest.fixture
def at_lowell(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.night()
    return fjord


def test_s1_misfit_stream(fjord):
    fjord.customer()
    count = 6000
    names = ["000" + "x" * 90] + [f"{n:06d}" for n in range(1, count)]
    values = {"due": date(2026, 12, 7), "booked": date(2026, 11, 23)}
    fjord.take(*(fjord.make_entry(n, EntryKind.INVOICE, 100, number=n, **values) for n in names))
    cut = fjord.preview().cutoff
    fjord.clock.moment = cut
    done = transfer.run_evening(fjord.house, fjord.agreement_id, cut.date())
    assert done.invoices == count - 1
    assert done.held == 1


def test_s2_due_gone(at_lowell):
    w = at_lowell
    w.clock.advance(hours=1)
    w.invoice("1", 1000, due=None)
    tell(w, Action.WITHDRAW)
    e = w.evening()
    print(e.files, e.held)


def test_s3_twice_moved_after_join(at_lowell):
    w = at_lowell
    w.invoice("2", 1000)
    w.invoice("3", 1000)
    w.payment("p", 400)
    w.link("1", "p")
    p = w.entry_id("p")
    out, into = posting.move_payment(w.house, p, w.entry_id("2"), ACTOR)
    w.clock.advance(hours=1)
    ref = w.row_of(out).external_id
    w.item("o", EntryKind.PAYMENT_OUT, 400, is_bank=True, back_reference=ref)
    assert w.entry_id("o") == out
    with pytest.raises(Refused, match="already_moved"):
        posting.move_payment(w.house, p, w.entry_id("3"), ACTOR)


def test_s3b_twice_split_after_join(at_lowell):
    w = at_lowell
    w.invoice("2", 1000)
    w.invoice("3", 1000)
    w.payment("p", 400)
    p = w.entry_id("p")
    links.split_payment(w.house, p, {w.entry_id("2"): 20000, w.entry_id("3"): 20000}, ACTOR)
    w.clock.advance(hours=1)
    w.item("o", EntryKind.PAYMENT_OUT, 400, is_bank=True, back_reference=f"split:{p}")
    with pytest.raises(Refused, match="already_split"):
        links.split_payment(w.house, p, {w.entry_id("2"): 20000, w.entry_id("3"): 20000}, ACTOR)


def test_s4_one_posting_two_records(house, clock, tmp_path):
    from tests.rules.test_r_pm import at_agency
    from tests.rules.world import World
    from tests.rules.test_posted_twice import reference
    world = at_agency(World(house, clock, tmp_path).start(), ("1", 1000), payment_reference="1000000000017")
    world.far.pay("1", 400)
    world.far.tell("camt054")
    world.post()
    ours = world.entry(reference(world))
    same = {"bank_reference": ours.bank_reference, "payment_reference": ours.payment_reference, "is_bank": True}
    a = world.make_entry("a", EntryKind.PAYMENT, -400, back_reference=ours.external_id, **same)
    b = world.make_entry("b", EntryKind.PAYMENT, -400, **same)
    world.take(a, b)
    assert world.entry("a").id == ours.id
    assert world.entry("b").id != ours.id


def test_s5_withdrawn_on_its_way_while_refused(fjord):
    w = fjord
    w.customer()
    w.invoice("1", 1000)
    w.evening()
    w.far.agency.refuse("claim", w.claim("1").claim_id, "NOT_ALLOWED")
    made = tell(w, Action.WITHDRAW)
    w.evening()
    (first, second) = sorted(w.rows(Envelope), key=lambda e: e.id)
    delivery.deliver(w.house, first.id)
    w.far.agency.work(w.clock())
    w.far.collect()
    w.clock.advance(minutes=1)
    w.customer(address1="Storgata 2")
    e = w.evening()
    print(state_of(w, made), w.claim("1").state)
    assert e.sent == set()
    w.far.night()
    print(state_of(w, made), w.claim("1").state)


def test_s6_unanswered_instruction(at_lowell):
    from tests.services.test_books import answer
    from gateway.domain.exchange import Receipt
    from gateway.services.cards import agreement_of
    w = at_lowell
    made = tell(w, Action.WITHDRAW)
    (env,) = w.evening().envelopes
    receipt = Receipt(kind=env.kind, sequence=env.sequence, file_id=env.file_id, status="accepted", reason_code="", reason_text="", objects=())
    with w.house.database.write() as c:
        agreement, _ = agreement_of(c, w.agreement_id)
        found = receipts._apply(c, agreement, env, receipt, w.clock())
    assert [(f.code, f.place) for f in found] == [("receipt.object_missing", w.row(ClaimInstruction, made).item_id)]


def test_s7_delivered_during_run(fjord, monkeypatch):
    from gateway.services import sealing
    w = fjord
    w.customer()
    w.invoice("1", 1000)
    w.evening()
    (env,) = w.rows(Envelope)
    w.payment("p", 100)
    w.link("1", "p")
    real = sealing.export
    thread = threading.Thread(target=delivery._delivered, args=(w.house, env.id, "x"))

    def export(*a, **k):
        if not k["are_new"] and not isinstance(a[4], sealing.NullSink) and not thread.ident:
            claims = list(a[3])
            thread.start()
            thread.join(2)
            return real(*a[:3], iter(claims), *a[4:], **k)
        return real(*a, **k)

    cut = w.preview().cutoff
    w.clock.moment = cut
    monkeypatch.setattr(sealing, "export", export)
    transfer.run_evening(w.house, w.agreement_id, cut.date())
    thread.join()
    assert w.claim("1").state == "delivered"


def test_s9_third_write_off(at_lowell):
    w = at_lowell
    off = lambda: writeoff.write_off(w.house, w.entry_id("1"), ACTOR, loss_account="7830")
    first = off()
    w.item("r", EntryKind.OTHER, 100, is_bank=True, do_not_transfer=True)
    w.tie("1", "r")
    second = off()
    w.item("s", EntryKind.OTHER, 100, is_bank=True, do_not_transfer=True)
    w.tie("1", "s")
    w.item("w1", EntryKind.WRITE_OFF, -1000, back_reference=w.row_of(first).external_id)
    assert w.entry_id("w1") == first
    off()
    assert w.open("1") == 0


def test_s10_offered_again_after_a_new_one(at_lowell):
    w = at_lowell
    made = tell(w, Action.WITHDRAW)
    w.far.agency.refuse("item", w.row(ClaimInstruction, made).item_id, "NOT_ALLOWED", "x")
    w.evening()
    w.far.night()
    again = tell(w, Action.WITHDRAW)
    (envelope,) = w.rows(Envelope, Envelope.kind == "updates")
    receipts.offer_again(w.house, envelope.id, ACTOR, "agreed")
    assert len(told_in(w.evening().files)) == 1
