"""Order of arrival never matters (R-LK-07, P9), and a change between preview and run changes exactly its own (P13)."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from gateway.domain.ledger import EntryKind, LinkRecord
from gateway.services import marks, transfer
from tests.rules.world import ACTOR, Evening, World, planned

SEEDS = range(8)


def books(seed: int, world: World) -> tuple[list, list]:
    """Entries and links of invented books: right links, mixed groups, crossed credit notes, loose items."""
    dice = random.Random(seed)
    entries, links = [], []
    for n in range(12):
        number, customer = f"{100 + n}", f"c{10001 + n % 3}"
        kroner = dice.choice([100, 250, 1000])
        entries.append(
            world.make_entry(
                number,
                EntryKind.INVOICE,
                kroner,
                customer,
                number=number,
                due=date(2026, 12, 7),
                reminder_number=str(700 + n),
            )
        )
        members = [number]
        for m in range(dice.randrange(3)):
            name, part = f"{number}-{m}", kroner * dice.choice([25, 50, 100]) / 100
            kind = dice.choice([EntryKind.PAYMENT, EntryKind.CREDIT_NOTE, EntryKind.PAYMENT_OUT, EntryKind.OTHER])
            credits_ = (number if dice.random() < 0.7 else "100",) if kind is EntryKind.CREDIT_NOTE else ()
            raises = kind in {EntryKind.PAYMENT_OUT, EntryKind.OTHER}
            entries.append(
                world.make_entry(
                    name, kind, part if raises else -part, customer, number=name if credits_ else "", credits=credits_
                )
            )
            if dice.random() < 0.8:
                members.append(name)
        if len(members) > 1:
            links.append(members)
    if dice.random() < 0.7 and len(links) > 3:
        same = [members for members in links if int(members[0]) % 3 == int(links[0][0]) % 3]
        if len(same) > 1:
            links.remove(same[1])
            same[0].extend(same[1])
    return entries, [LinkRecord(f"l{n}", tuple(members)) for n, members in enumerate(links)]


def outcome(world: World) -> tuple:
    evening = world.evening()
    carried = {
        number: (told.reminder, told.open, told.is_new, sorted(told.items)) for number, told in evening.carried.items()
    }
    return evening.sent, evening.held, carried


@pytest.mark.rule("R-LK-07", "R-LK-06", "P9")
@pytest.mark.parametrize("seed", SEEDS)
def test_r_lk_07_order_of_arrival_never_matters(sqlite_house, clock, tmp_path, seed):
    dice, found, moment = random.Random(seed), [], clock.moment
    for turn in range(4):
        clock.moment = moment
        world = World(sqlite_house, clock, tmp_path / str(turn), "lowell", key=f"w{turn}").start()
        for number in ("10001", "10002", "10003"):
            world.customer(number)
        entries, links = books(seed, world)
        if turn:
            dice.shuffle(entries)
            dice.shuffle(links)
            links = [LinkRecord(name, tuple(dice.sample(members, len(members)))) for name, members in links]
        if turn % 2:
            world.take(*entries, *links)
        else:
            for record in (*entries, *links):
                world.take(record)
        found.append(outcome(world))
    assert found[0][0], "nothing went: the books prove nothing"
    assert all(one == found[0] for one in found[1:])


def run_now(world: World, plan) -> Evening:
    world.clock.moment = plan.cutoff + timedelta(seconds=5)
    return Evening(world, transfer.run_evening(world.house, world.agreement_id, plan.cutoff.date()))


CHANGES = {
    "an invoice is marked": (lambda w: marks.mark_invoice(w.house, w.entry_id("100"), True, ACTOR), "100"),
    "a link is made": (lambda w: w.tie("100", "loose"), "100"),
    "a link is removed": (lambda w: w.untie("paid"), "103"),
    "the source mixes two groups": (lambda w: w.link("100", "103", ref="mixed"), "100 103"),
    "a payment comes": (lambda w: (w.payment("new", 10), w.tie("106", "new")), "106"),
    "an invoice comes": (lambda w: w.invoice("200", 10), "200"),
    "a line is marked": (lambda w: marks.mark_line(w.house, w.entry_id("paid"), True, ACTOR), "103"),
}


@pytest.mark.rule("P13", "R-FA-10")
@pytest.mark.parametrize("change", CHANGES)
def test_p13_what_changed_after_the_preview_differs_and_nothing_else(fjord, change):
    act, numbers = CHANGES[change]
    fjord.use_factoring()
    fjord.customer()
    for number in ("100", "103", "106"):
        fjord.invoice(number, 500)
    fjord.payment("loose", 50)
    fjord.payment("paid", 60)
    fjord.tie("103", "paid")
    plan = fjord.preview()
    before = {**dict.fromkeys(planned(plan, fjord), frozenset()), **fjord.held_in(plan)}
    act(fjord)
    evening = run_now(fjord, plan)
    after = {**dict.fromkeys(evening.sent, frozenset()), **evening.held}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    concerned = {row.external_id for number in numbers.split() for row in fjord.group(number)} | {"paid"}
    assert changed, "the change had no effect: the test proves nothing"
    assert changed <= concerned
