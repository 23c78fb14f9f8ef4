"""Seeded histories of payment files: whatever their order, copies and overlaps, each piece of money is in the books once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from random import Random

import pytest

from gateway.db.tables import LedgerEntry
from gateway.errors import Refused
from gateway.services import placing
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.rules.world import ACTOR, World
from tests.services.payment_worlds import took
from tests.services.test_payment_identity import FILES, PROFILE

FORMATS = sorted(set(FILES) - {"autogiro rejected"})
_numbers = count(1)


def new_world(house, clock, root, **more) -> World:
    """A creditor of its own in the same house."""
    key = f"history{next(_numbers)}"
    options = {"settings": {"ledger_id": "4711", "agency_id": "SANDBOX", "payment_profiles": [PROFILE]}}
    values = {"country": "SE", "currency": "SEK", "options": options, "key": key} | more
    world = World(house, clock, root / key, "intrum", **values).start()
    world.customer()
    return world


def state(world: World) -> dict[str, object]:
    """What the books say, without a word of which row it was."""
    entries = world.rows(LedgerEntry, LedgerEntry.creditor_id == world.creditor_id)
    payments = world.payments()
    return {
        "open": {row.external_id: row.open_minor for row in entries if row.kind == "invoice"},
        "total": sum(row.amount_minor for row in entries),
        "payments": Counter((row.amount_minor, row.reference, row.state, row.difference) for row in payments),
    }


def check_postings(world: World) -> None:
    """Each posted payment is in the ledger with its amount, once; of no other is anything there."""
    entries = world.rows(LedgerEntry, LedgerEntry.creditor_id == world.creditor_id)
    standing: Counter[int] = Counter()
    for row in entries:
        if row.payment_id is not None:
            standing[row.payment_id] -= row.amount_minor
    assert standing == Counter({row.id: row.principal_minor for row in world.payments(state="posted")})
    made = sum(row.amount_minor for row in entries if row.kind == "invoice")
    assert sum(row.amount_minor for row in entries) == made - standing.total()


def slices(rng: Random, orders: Sequence[int]) -> list[list[int]]:
    """Overlapping downloads that together tell every order, and some that tell no more than others."""
    cuts = sorted(rng.sample(range(len(orders) + 1), 2))
    pieces = [orders[: cuts[1]], orders[cuts[0] :]]
    pieces += [orders[a:b] for a, b in (sorted(rng.sample(range(len(orders) + 1), 2)) for _ in range(2))]
    return [list(piece) for piece in pieces if piece]


@pytest.mark.rule("R-PM-10", "P10")
@pytest.mark.parametrize("seed", range(6))
def test_order_copies_and_overlaps_of_files_are_no_facts(house, clock, tmp_path, seed):
    rng = Random(seed)
    name = FORMATS[seed * 2 % len(FORMATS)]
    orders = sorted(rng.choices(range(1, 6), k=8))
    pieces = slices(rng, orders)
    told = [FILES[name](piece, copy) for copy, piece in enumerate([*pieces, pieces[0]], 1)]
    states = []
    for _ in range(2):
        world = new_world(house, clock, tmp_path)
        for number in range(1, 6):
            world.invoice(str(number), 3, payment_reference=f"1{number}")
        rng.shuffle(told)
        for data in told:
            assert world.take_file("file", data).state == "imported"
        at_least = Counter[int]()
        for piece in pieces:
            at_least |= Counter(piece)
        assert Counter(row.amount_minor - 100 for row in world.payments()) == at_least
        world.post()
        check_postings(world)
        states.append(state(world))
    assert states[0] == states[1]


@pytest.mark.rule("R-PM-10", "P10")
@pytest.mark.parametrize("seed", range(3))
def test_the_same_money_in_three_formats_is_posted_once_whichever_came_first(house, clock, tmp_path, seed):
    rng = Random(seed)
    paid = [(rng.choice((100, 200)), f"1{rng.randrange(1, 4)}") for _ in range(6)]
    camt = [CamtEntry(tuple(CamtPayment(amount, kid, payer="86011117947") for amount, kid in paid))]
    told = [
        ocr_file([[OcrPayment(amount, kid) for amount, kid in paid]]),
        camt_file(camt),
        camt_file(camt, CamtShape(message="camt.053")),
    ]
    states = []
    for _ in range(2):
        world = new_world(house, clock, tmp_path, country="NO", currency="NOK")
        for number in range(1, 4):
            world.invoice(str(number), 3, payment_reference=f"1{number}")
        rng.shuffle(told)
        rows = [row for data in told for row in took(world, data)]
        duplicates = [row for row in rows if row.difference == "payment.possible_duplicate"]
        assert len(duplicates) == 2 * len(paid), "queued, neither dropped nor posted"
        world.post()
        for row in rng.sample(duplicates, len(duplicates)):
            placing.same_money(house, row.id, ACTOR)
        assert world.post().posted == ()
        check_postings(world)
        assert -sum(row.amount_minor for row in world.rows(LedgerEntry, LedgerEntry.creditor_id == world.creditor_id) if row.kind == "payment") == sum(amount for amount, _ in paid)  # fmt: skip
        states.append(state(world)["open"])
    assert states[0] == states[1]


@pytest.mark.rule("R-PM-03", "R-PM-05", "R-PM-08")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_people_place_post_and_take_back_the_sums_hold_and_the_way_there_is_no_fact(
    house, clock, tmp_path, seed
):
    rng = Random(seed)
    lived, straight = (new_world(house, clock, tmp_path, country="NO", currency="NOK") for _ in range(2))
    amounts = [rng.choice((100, 150, 300, 450)) for _ in range(5)]
    payments = tuple(CamtPayment(amount, f"1{1 + n % 3}", bank_reference=f"A{n}") for n, amount in enumerate(amounts))
    for world in (lived, straight):
        for number in range(1, 4):
            world.invoice(str(number), 3, payment_reference=f"1{number}")
        took(world, camt_file([CamtEntry(payments)]))
    before = state(lived)
    for _ in range(30):
        row, invoice = rng.choice(lived.payments()), lived.entry_id(str(rng.randrange(1, 4)))
        act = rng.choice(("match", "unmatch", "post", "ignore"))
        with suppress(Refused):
            if act == "match":
                placing.match(house, row.id, invoice, ACTOR)
            elif act == "unmatch":
                placing.unmatch(house, row.id, ACTOR)
            elif act == "ignore":
                placing.ignore(house, row.id, ACTOR, "for the test")
            else:
                lived.post(id=row.id)
        check_postings(lived)
    for row in lived.payments():
        placing.unmatch(house, row.id, ACTOR)
    assert {name: state(lived)[name] for name in ("open", "total")} == {
        name: before[name] for name in ("open", "total")
    }
    assert lived.not_linked() == set()
    for row in lived.payments():
        placing.match(house, row.id, lived.entry_id(row.reference[1:]), ACTOR)
    lived.post()
    straight.post()
    check_postings(lived)
    assert {name: state(lived)[name] for name in ("open", "total")} == {
        name: state(straight)[name] for name in ("open", "total")
    }
