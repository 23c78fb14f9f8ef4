"""R-OP-03 and R-OP-11: what a person tells the agency beside money, and that a payment goes before the closing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from lxml import etree

from gateway.db.tables import ClaimInstruction, Envelope
from gateway.domain.exchange import Receipt
from gateway.domain.instructions import Action
from gateway.domain.ledger import EntryKind
from gateway.errors import DataError, Refused
from gateway.services import agreements, delivery, instructions, marks, receipts, schedule, transfer, watch
from gateway.services.cards import agreement_of
from plugins.factoring.kid import make_kid
from tests.rules.far import NS
from tests.rules.world import ACTOR, World


@pytest.fixture
def at_agency(fjord) -> World:
    """Invoice 1 of 1 000.00 is at Lowell, with a case number."""
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.night()
    return fjord


def tell(world: World, action: Action, name: str = "1", **parts) -> int:
    return instructions.instruct(world.house, world.entry_id(name), action, ACTOR, **parts)


def told_in(files: dict[str, bytes]) -> list[tuple[str, dict[str, str]]]:
    """Name and attributes of everything said about invoices in files of ours, in file order."""
    return [
        (etree.QName(child).localname, dict(child.attrib))
        for content in files.values()
        for invoice in etree.fromstring(content).iter(f"{NS}Invoice")
        for child in invoice
    ]


def alarms(world: World) -> tuple[watch.Alarm, ...]:
    schedule.tick(world.house)
    return watch.alarms(world.house, [world.creditor_id])


def state_of(world: World, instruction_id: int) -> str:
    return world.row(ClaimInstruction, instruction_id).state


@pytest.mark.rule("R-OP-03", "R-FA-11")
def test_r_op_03_a_withdrawal_ends_the_claim_at_both_ends(at_agency):
    world = at_agency
    made = tell(world, Action.WITHDRAW, reason="Sold by mistake")
    evening = world.evening()
    ((element, said),) = told_in(evening.files)
    assert (element, said["action"], said["reason"], said["date"]) == (
        "Instruction", "withdraw", "Sold by mistake", "2026-11-23",
    )  # fmt: skip
    assert (evening.sent, evening.held) == (set(), {})
    world.far.night()
    assert (state_of(world, made), world.claim("1").state) == ("accepted", "withdrawn")
    ((_, state),) = world.far.agency.states().items()
    assert state == "closed"
    assert world.evening().files == {}


@pytest.mark.rule("R-OP-03")
@pytest.mark.parametrize(
    ("action", "state"),
    [(Action.HOLD, "paused"), (Action.DISPUTE, "disputed"), (Action.WRITTEN_OFF, "active")],
)
def test_r_op_03_each_instruction_is_taken_by_the_sandbox_agency(at_agency, action, state):
    made = tell(at_agency, action)
    at_agency.evening()
    at_agency.far.night()
    assert state_of(at_agency, made) == "accepted"
    assert list(at_agency.far.agency.states().values()) == [state]
    assert at_agency.far.balances() == {"1": 1000}, "an instruction moves no money"
    assert at_agency.agency_balance("1") == 1000


@pytest.mark.rule("R-OP-03")
@pytest.mark.parametrize(("first", "then"), [(Action.HOLD, Action.RELEASE), (Action.DISPUTE, Action.DISPUTE_RESOLVED)])
def test_r_op_03_what_was_stopped_goes_on_again(at_agency, first, then):
    with pytest.raises(Refused, match="nothing_to_end"):
        tell(at_agency, then)
    tell(at_agency, first)
    at_agency.evening()
    at_agency.far.night()
    tell(at_agency, then)
    at_agency.evening()
    at_agency.far.night()
    assert list(at_agency.far.agency.states().values()) == ["active"]


@pytest.mark.rule("R-OP-03")
def test_r_op_03_a_respite_names_its_last_day(at_agency):
    tell(at_agency, Action.HOLD, until=date(2026, 12, 31))
    ((_, said),) = told_in(at_agency.evening().files)
    assert said["until"] == "2026-12-31"
    for wrong in ({"action": Action.DISPUTE}, {"until": date(2026, 11, 1)}, {"reason": "x" * 201}, {"reason": "a\0b"}):
        parts = {"action": Action.HOLD, "until": date(2026, 12, 31)} | wrong
        with pytest.raises(DataError):
            tell(at_agency, **parts)


@pytest.mark.rule("R-OP-03")
def test_r_op_03_a_faulty_card_does_not_keep_a_withdrawal_back(at_agency):
    tell(at_agency, Action.WITHDRAW)
    at_agency.customer(address1="")
    assert [name for name, _ in told_in(at_agency.evening().files)] == ["Instruction"]


@pytest.mark.rule("R-OP-03")
def test_r_op_03_a_claim_no_agency_has_is_marked_and_not_withdrawn(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    with pytest.raises(Refused, match=r"instruction\.no_claim"):
        tell(fjord, Action.WITHDRAW)


@pytest.mark.rule("R-OP-03")
def test_r_op_03_a_wish_can_be_taken_back_until_it_goes(at_agency):
    made = tell(at_agency, Action.DISPUTE)
    instructions.cancel(at_agency.house, made, ACTOR)
    assert at_agency.evening().files == {}
    made = tell(at_agency, Action.DISPUTE)
    at_agency.evening()
    with pytest.raises(Refused, match=r"instruction\.gone"):
        instructions.cancel(at_agency.house, made, ACTOR)
    with pytest.raises(Refused, match="told_already"):
        tell(at_agency, Action.DISPUTE)
    assert [row.facts["what"] for row in at_agency.audit("claim.instructed")] == ["dispute", "dispute"]


@pytest.mark.rule("R-OP-03")
def test_r_op_03_where_the_layout_is_silent_a_person_is_told_what_to_do(house, clock, tmp_path):
    """The factor's records have no message for it: the person tells the factor and says so here."""
    kid = make_kid("sgfinans-16", client="4711", customer="10001", invoice="1")
    world = World(house, clock, tmp_path, "factoring").start()
    world.use_factoring()
    world.customer()
    world.invoice("1", 1000, payment_reference=kid)
    assert world.evening().sent == {"1"}
    with pytest.raises(Refused) as refused:
        tell(world, Action.WITHDRAW)
    assert refused.value.code == "instruction.not_carried"
    assert refused.value.values["number"] == "1"
    with pytest.raises(Refused, match="reason_needed"):
        tell(world, Action.WITHDRAW, by_hand=True)
    made = tell(world, Action.WITHDRAW, by_hand=True, reason="Told Nordea by telephone, Ola")
    assert (state_of(world, made), world.claim("1").state) == ("by_hand", "withdrawn")
    assert world.evening().files == {}


@pytest.mark.rule("R-OP-03")
def test_r_op_03_after_a_withdrawal_nothing_more_of_it_goes(at_agency):
    world = at_agency
    tell(world, Action.WITHDRAW)
    world.evening()
    world.payment("p", 400)
    world.tie("1", "p")
    assert world.evening().held == {"p": {"claim.withdrawing"}}, "on its way, not yet answered"
    world.far.night()
    evening = world.evening()
    assert (evening.held, evening.files) == ({"p": {"claim.withdrawn"}}, {})
    assert (evening.result.excluded, world.evening().held) == (1, {}), "told once, then over"
    with pytest.raises(Refused, match=r"claim\.withdrawn"):
        tell(world, Action.DISPUTE)


@pytest.mark.rule("R-OP-03", "R-FA-11")
def test_r_op_03_an_invoice_that_came_back_can_be_kept_out(at_agency):
    world = at_agency
    world.use_factoring()
    with pytest.raises(Refused, match=r"exclusion\.already_sent"):
        marks.mark_invoice(world.house, world.entry_id("1"), True, ACTOR)
    tell(world, Action.WITHDRAW)
    world.evening()
    world.far.night()
    marks.mark_invoice(world.house, world.entry_id("1"), True, ACTOR)
    assert world.entry("1").do_not_transfer


@pytest.mark.rule("R-OP-11")
def test_r_op_11_in_one_file_the_payment_stands_before_the_closing(at_agency):
    tell(at_agency, Action.WITHDRAW)
    at_agency.payment("p", 1000)
    at_agency.tie("1", "p")
    assert [name for name, _ in told_in(at_agency.evening().files)] == ["Payment", "Instruction"]
    at_agency.far.night()
    assert at_agency.far.balances() == {"1": 0}
    assert list(at_agency.far.agency.states().values()) == ["closed"]


@pytest.mark.rule("R-OP-11")
def test_r_op_11_between_files_the_closing_waits_for_a_payment_that_cannot_go_yet(at_agency):
    """A line that looks like a loss waits for a person; until it has gone as a payment the claim is not closed."""
    world = at_agency
    tell(world, Action.WITHDRAW)
    world.item("line", EntryKind.OTHER, -400, counter_account="7830")
    world.tie("1", "line")
    evening = world.evening()
    assert evening.held == {"line": {"line.looks_like_write_off"}, "1": {"instruction.payment_first"}}
    assert evening.files == {}
    marks.judge_line(world.house, world.entry_id("line"), True, ACTOR)
    assert [name for name, _ in told_in(world.evening().files)] == ["Payment", "Instruction"]


@pytest.mark.rule("R-OP-11")
def test_r_op_11_a_payment_linked_after_the_cut_off_is_waited_for(at_agency):
    world = at_agency
    cutoff = world.preview().cutoff
    tell(world, Action.WITHDRAW)
    world.payment("p", 1000)
    world.clock.moment = cutoff + timedelta(seconds=1)
    world.tie("1", "p")
    first = transfer.run_evening(world.house, world.agreement_id, cutoff.date())
    assert (first.envelope_ids, first.holds) == ((), {"instruction.payment_first": 1})
    assert [name for name, _ in told_in(world.evening().files)] == ["Payment", "Instruction"]


@pytest.mark.rule("R-OP-12", "R-OP-03", "P6")
def test_r_op_12_a_refused_instruction_rings_until_a_person_has_seen_to_it(at_agency):
    world = at_agency
    made = tell(world, Action.WITHDRAW)
    world.far.agency.refuse("item", world.row(ClaimInstruction, made).item_id, "NOT_ALLOWED", "at the bailiff")
    world.evening()
    world.far.night()
    (alarm,) = alarms(world)
    assert (alarm.code, alarm.values["reason"]) == ("instruction.refused", "at the bailiff")
    assert world.claim("1").state == "accepted", "the agency still has it"
    world.far.agency.accept("item", world.row(ClaimInstruction, made).item_id)
    (envelope,) = world.rows(Envelope, Envelope.kind == "updates")
    assert receipts.offer_again(world.house, envelope.id, ACTOR, "agreed with the agency") == 1
    world.evening()
    world.far.night()
    assert alarms(world) == ()
    assert world.claim("1").state == "withdrawn"


@pytest.mark.rule("R-OP-03")
def test_r_op_03_withdrawn_while_the_agency_refused_it_is_over_too(fjord):
    """Otherwise a mended card would offer again what the creditor took back."""
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.agency.refuse("claim", fjord.claim("1").claim_id, "NOT_ALLOWED")
    made = tell(fjord, Action.WITHDRAW)
    fjord.far.night()
    assert (state_of(fjord, made), fjord.claim("1").state) == ("cancelled", "withdrawn")
    fjord.clock.advance(minutes=1)
    fjord.customer(address1="Storgata 2")
    assert fjord.evening().sent == set()
    assert alarms(fjord) == ()


@pytest.mark.rule("R-OP-02", "R-OP-03")
def test_r_op_02_withdrawn_under_the_old_number_and_sent_again_under_the_new(at_agency):
    world = at_agency
    old, new = world.agreement_id, world.agree("lowell", client_number="4999")
    agreements.change_agreement(world.house, old, {"may_create_cases": False}, ACTOR)
    agreements.activate(world.house, new, ACTOR)
    assert transfer.startup_load(world.house, new, ACTOR).invoices == 0, "the old number still has it"
    tell(world, Action.WITHDRAW)
    world.evening()
    world.far.night()
    assert world.claim("1").state == "withdrawn"
    assert transfer.startup_load(world.house, new, ACTOR, "agreed with Lowell").invoices == 1
    assert world.claim("1", new).reminder_number == world.claim("1", old).reminder_number


@pytest.mark.rule("R-OP-03")
def test_r_op_03_withdrawn_on_its_way_while_the_agency_refused_the_claim_it_is_not_offered_again(fjord):
    """The withdrawal is in a file already when the answer to the claim's own file comes."""
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.far.agency.refuse("claim", fjord.claim("1").claim_id, "NOT_ALLOWED")
    made = tell(fjord, Action.WITHDRAW)
    fjord.evening()
    first, _second = sorted(fjord.rows(Envelope), key=lambda envelope: envelope.id)
    delivery.deliver(fjord.house, first.id)
    fjord.far.agency.work(fjord.clock())
    fjord.far.collect()
    fjord.clock.advance(minutes=1)
    fjord.customer(address1="Storgata 2")
    evening = fjord.evening()
    assert (evening.sent, fjord.claim("1").state) == (set(), "withdrawn")
    fjord.far.night()
    assert (state_of(fjord, made), fjord.claim("1").state) == ("cancelled", "withdrawn"), "they never had it"
    assert alarms(fjord) == ()


@pytest.mark.rule("R-OP-12", "R-OP-03")
def test_r_op_12_an_instruction_that_the_receipt_is_silent_about_is_shown(at_agency):
    made = tell(at_agency, Action.WITHDRAW)
    (sent,) = at_agency.evening().envelopes
    silent = Receipt(sent.kind, sent.sequence, sent.file_id, "accepted", "", "", ())
    with at_agency.house.database.write() as connection:
        agreement, _ = agreement_of(connection, at_agency.agreement_id)
        findings = receipts._apply(connection, agreement, sent, silent, at_agency.clock(), nets=False)
    item_id = at_agency.row(ClaimInstruction, made).item_id
    assert [(one.code, one.place) for one in findings] == [("receipt.object_missing", item_id)]


@pytest.mark.rule("R-OP-03")
def test_r_op_03_what_was_said_anew_is_not_offered_again_beside_it(at_agency):
    world = at_agency
    made = tell(world, Action.WITHDRAW)
    world.far.agency.refuse("item", world.row(ClaimInstruction, made).item_id, "NOT_ALLOWED")
    world.evening()
    world.far.night()
    tell(world, Action.WITHDRAW)
    (envelope,) = world.rows(Envelope, Envelope.kind == "updates")
    assert receipts.offer_again(world.house, envelope.id, ACTOR, "agreed with the agency") == 0
    assert len(told_in(world.evening().files)) == 1


@pytest.mark.rule("R-OP-03")
def test_r_op_03_an_invoice_whose_due_date_the_books_took_back_holds_itself_and_not_the_evening(at_agency):
    at_agency.clock.advance(hours=1)
    at_agency.invoice("1", 1000, due=None)
    at_agency.invoice("2", 500)
    made = tell(at_agency, Action.WITHDRAW)
    evening = at_agency.evening()
    assert (evening.sent, evening.held) == ({"2"}, {"1": {"document.due_date_missing"}})
    at_agency.clock.advance(hours=1)
    at_agency.invoice("1", 1000)
    assert [name for name, _ in told_in(at_agency.evening().files)] == ["Instruction"]
    assert state_of(at_agency, made) == "sealed"
