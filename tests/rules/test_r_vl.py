"""R-VL: voucher lines that the agency must not see (column and icon are the panel's, tests/admin)."""

from __future__ import annotations

import pytest

from gateway.domain.ledger import EntryKind
from gateway.errors import Refused
from gateway.services import marks, writeoff
from tests.rules.world import ACTOR, World

LOSS = "7830"


def loss(world: World, name: str, kroner: float, **more) -> str:
    values = {"counter_account": LOSS, "voucher_number": "300"} | more
    return world.item(name, EntryKind.OTHER, -kroner, **values)


@pytest.fixture
def with_agency(fjord) -> World:
    """An invoice of 5 000.00 that the agency has taken."""
    fjord.customer()
    fjord.invoice("1", 5_000)
    fjord.evening()
    fjord.far.night()
    return fjord


@pytest.mark.rule("R-VL-01", "R-VL-06")
def test_r_vl_01_of_two_lines_only_the_unmarked_one_goes(with_agency):
    world = with_agency
    world.item("a", EntryKind.OTHER, 100, voucher_number="300", line_number=1)
    world.item("b", EntryKind.OTHER, 200, voucher_number="300", line_number=2)
    world.tie("1", "a", "b")
    marks.mark_line(world.house, world.entry_id("b"), True, ACTOR)
    evening = world.evening()
    assert (evening.sent, evening.held) == ({"a"}, {"b": {"exclusion.line"}})
    assert evening.carried["1"].items == (("VoucherLine", 100),)
    world.far.night()
    assert world.far.balances() == {"1": 5_100}


@pytest.mark.rule("R-VL-01", "A-19")
def test_r_vl_01_the_sources_mark_counts_and_a_later_reading_never_takes_it_away(with_agency):
    world = with_agency
    world.item("a", EntryKind.OTHER, 100, do_not_transfer=True)
    world.link("1", "a")
    world.item("a", EntryKind.OTHER, 100, text="read again", do_not_transfer=False)
    assert world.entry("a").do_not_transfer
    assert world.evening().held == {"a": {"exclusion.line"}}
    marks.mark_line(world.house, world.entry_id("a"), False, ACTOR)
    assert world.evening().sent == {"a"}


@pytest.mark.rule("R-VL-02")
def test_r_vl_02_an_invoice_is_no_voucher_line(with_agency):
    with pytest.raises(Refused) as refused:
        marks.mark_line(with_agency.house, with_agency.entry_id("1"), True, ACTOR)
    assert refused.value.code == "line.is_invoice"


@pytest.mark.rule("R-VL-05")
@pytest.mark.parametrize(("marked", "warns"), [((True, True, False), True), ((True, True, True), False)])
def test_r_vl_05_a_half_marked_write_off_voucher_warns(fjord, marked, warns):
    fjord.customer()
    lines = [
        fjord.make_entry(
            f"l{n}",
            EntryKind.WRITE_OFF,
            -100,
            voucher_number="300",
            line_number=n,
            counter_account=LOSS,
            do_not_transfer=is_marked,
        )
        for n, is_marked in enumerate(marked)
    ]
    found = fjord.take(*lines).findings
    assert [(f.code, f.value) for f in found] == ([("writeoff.line_not_marked", "300")] if warns else [])
    assert all(fjord.entry(f"l{n}") for n in range(3)), "a warning stops nothing"


@pytest.mark.rule("R-VL-07", "R-VL-08", "R-RM-40")
def test_r_vl_07_a_marked_loss_closes_the_books_and_not_the_claim(with_agency):
    world = with_agency
    loss(world, "loss", 5_000, do_not_transfer=True)
    world.link("1", "loss")
    evening = world.evening()
    assert (evening.sent, evening.files) == (set(), {})
    assert evening.held == {"loss": {"exclusion.line"}}
    assert (world.open("1"), world.agency_balance("1")) == (0, 5_000)
    assert world.far.balances() == {"1": 5_000}


@pytest.mark.rule("R-VL-09", "A-49", "R-CO-57", "R-CO-58")
def test_r_vl_09_our_own_write_off_makes_the_line_with_the_mark_set(with_agency):
    world = with_agency
    world.payment("p", 1_000)
    world.tie("1", "p")
    line_id = writeoff.write_off(world.house, world.entry_id("1"), ACTOR, loss_account=LOSS, text="Konkurs")
    line = next(row for row in world.group("1") if row.id == line_id)
    assert (line.kind, line.amount_minor, line.counter_account) == ("write_off", -400_000, LOSS)
    assert (line.do_not_transfer, line.do_not_transfer_by) == (True, ACTOR)
    assert world.open("1") == 0
    evening = world.evening()
    assert evening.sent == {"p"}
    assert evening.held == {line.external_id: {"exclusion.line"}}
    world.far.night()
    assert world.far.balances() == {"1": 4_000}
    assert world.agency_balance("1") == 4_000
    (event,) = world.audit("invoice.written_off")
    assert (event.actor, event.facts["amount_minor"]) == (ACTOR, 400_000)


@pytest.mark.rule("R-VL-12", "R-CO-57", "R-CO-58", "R-CO-59")
def test_r_vl_12_the_write_off_function_can_tell_the_agency_as_information(with_agency):
    """The other style: voucher booked, its line marked, the status at the agency, and the claim stays."""
    world = with_agency
    line_id = writeoff.write_off(world.house, world.entry_id("1"), ACTOR, loss_account=LOSS, tells_agency=True)
    line = world.row_of(line_id)
    assert (line.do_not_transfer, line.amount_minor, world.open("1")) == (True, -500_000, 0)
    (content,) = world.evening().files.values()
    assert content.count(b"<Instruction ") == 1
    assert b'action="written-off-by-creditor"' in content
    assert b"withdraw" not in content
    world.far.night()
    assert (world.far.balances(), world.agency_balance("1")) == ({"1": 5_000}, 5_000)
    assert list(world.far.agency.states().values()) == ["active"]
    assert world.claim("1").state == "accepted"


@pytest.mark.rule("R-VL-12")
def test_r_vl_12_nothing_is_booked_when_the_agency_is_to_be_told_and_cannot_be(fjord):
    fjord.customer()
    fjord.invoice("1", 5_000)
    with pytest.raises(Refused, match=r"instruction\.no_claim"):
        writeoff.write_off(fjord.house, fjord.entry_id("1"), ACTOR, loss_account=LOSS, tells_agency=True)
    assert fjord.open("1") == 5_000


@pytest.mark.rule("R-VL-09")
def test_r_vl_09_there_must_be_something_to_write_off(with_agency):
    world = with_agency
    writeoff.write_off(world.house, world.entry_id("1"), ACTOR, loss_account=LOSS)
    with pytest.raises(Refused) as refused:
        writeoff.write_off(world.house, world.entry_id("1"), ACTOR, loss_account=LOSS)
    assert refused.value.code == "writeoff.nothing_open"
    world.item("late", EntryKind.OTHER, 50, is_bank=True)
    world.tie("1", "late")
    writeoff.write_off(world.house, world.entry_id("1"), ACTOR, loss_account=LOSS)
    assert world.open("1") == 0


@pytest.mark.rule("R-VL-09", "R-LK-03")
def test_r_vl_09_a_mixed_group_cannot_be_written_off(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.invoice("2", 100)
    fjord.link("1", "2")
    with pytest.raises(Refused) as refused:
        writeoff.write_off(fjord.house, fjord.entry_id("1"), ACTOR, loss_account=LOSS)
    assert refused.value.code == "group.several_invoices"


@pytest.mark.rule("R-VL-10")
def test_r_vl_10_a_line_that_looks_like_a_loss_waits_for_a_person(with_agency):
    world = with_agency
    loss(world, "loss", 1_000)
    loss(world, "fee", 300)
    world.item("bank", EntryKind.OTHER, -500, is_bank=True, counter_account="1920")
    world.tie("1", "loss", "bank", "fee")
    evening = world.evening()
    assert evening.sent == {"bank"}
    assert evening.held == {"loss": {"line.looks_like_write_off"}, "fee": {"line.looks_like_write_off"}}
    marks.judge_line(world.house, world.entry_id("loss"), True, ACTOR)
    marks.judge_line(world.house, world.entry_id("fee"), False, ACTOR)
    after = world.evening()
    assert (after.sent, after.held) == ({"loss"}, {"fee": {"exclusion.line"}})
    assert after.carried["1"].items == (("Payment", 1_000),)
    world.far.night()
    assert world.far.balances() == {"1": 3_500}


@pytest.mark.rule("R-VL-10")
def test_r_vl_10_a_line_that_raises_the_claim_goes(with_agency):
    with_agency.item("more", EntryKind.OTHER, 250, counter_account="3000")
    with_agency.tie("1", "more")
    assert with_agency.evening().sent == {"more"}


@pytest.mark.rule("R-VL-11", "A-11")
def test_r_vl_11_a_line_that_has_gone_cannot_be_marked(with_agency):
    world = with_agency
    world.payment("p", 100)
    world.tie("1", "p")
    world.evening()
    for act in (marks.mark_line, lambda *a: marks.judge_line(a[0], a[1], False, a[3])):
        with pytest.raises(Refused) as refused:
            act(world.house, world.entry_id("p"), True, ACTOR)
        assert refused.value.code == "exclusion.already_sent"
    assert not world.entry("p").do_not_transfer


@pytest.mark.rule("R-VL-09", "L11")
def test_what_is_made_here_has_a_name_that_cannot_be_made_twice(with_agency):
    """Doing the same twice is refused by the database, not only by the code before it."""
    world = with_agency
    row = world.entry("1")
    from gateway.services.entries import derived_entry, insert_entries

    made = derived_entry(row, "write-off-1", now=world.clock(), kind="write_off", amount_minor=-1)
    with pytest.raises(Exception, match=r"(?i)unique"), world.house.database.write() as connection:
        insert_entries(connection, [made, made])
