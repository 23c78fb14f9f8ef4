"""Which payments are one: copies, overlaps, two formats, announcement and booking; over every format (payments.md 8)."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.formats.detect import HEAD_BYTES, open_payments
from gateway.formats.total_in import PROFILE
from gateway.services import placing
from gateway.testing.autogiro_files import (
    GiroPayment,
    autogiro_file,
    autogiro_old_file,
    autogiro_rejected_file,
    random_giro_payments,
)
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file, random_bg_sections
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file, random_camt_entries
from gateway.testing.cremul_files import CremulLine, CremulPayment, CremulShape, cremul_file, random_cremul_lines
from gateway.testing.ktl_files import KtlPayment, ktl_file, random_ktl_payments
from gateway.testing.payment_files import FIRST_DAY, OcrPayment, ocr_file, random_ocr_payments
from gateway.testing.total_in_files import TotalInPayment, random_total_in_payments, total_in_file
from tests.rules.world import ACTOR, World

KID = "1000000000017"
Orders = Sequence[int]
"""Payments by number: the same number is the same money, told twice where it stands twice."""


def camt(entries: Sequence[CamtEntry], copy: int, message: str = "camt.054") -> bytes:
    data = camt_file(entries, CamtShape(message=message))
    assert data.count(b"</MsgId>") == 1
    return data.replace(b"</MsgId>", b"-%d</MsgId>" % copy).replace(b"T05:30:00", b"T05:30:%02d" % copy)


def cremul_lines(orders: Orders, archive: str = "*9{:07}") -> list[CremulLine]:
    """One lump sum for each kind of payment: what the bank has booked as one, it tells as one."""
    return [
        CremulLine(tuple([CremulPayment(100 + n, f"1{n}", archive=archive.format(n))] * count), f"0041{n:05}")
        for n, count in Counter(orders).items()
    ]


def bg_section(orders: Orders, serial: str) -> BgSection:
    return BgSection(tuple(BgPayment(100 + n, f"1{n}", serial=serial.format(n)) for n in orders))


def camt_entry(orders: Orders, own: str) -> CamtEntry:
    return CamtEntry(tuple(CamtPayment(100 + n, f"1{n}", bank_reference=own.format(n)) for n in orders))


FILES: dict[str, Callable[[Orders, int], bytes]] = {
    "ocr": lambda orders, copy: ocr_file([[OcrPayment(100 + n, f"1{n}") for n in orders]]).replace(
        b"0000042", b"000004%d" % copy
    ),
    "camt.054": lambda orders, copy: camt([camt_entry(orders, "A{}")], copy),
    "camt.053 without references": lambda orders, copy: camt([camt_entry(orders, "")], copy, "camt.053"),
    "bgmax": lambda orders, copy: bgmax_file(
        [bg_section(orders, "0000000001{:02}")], created=f"2026110205300{copy:07}"
    ),
    "bgmax without serials": lambda orders, copy: bgmax_file(
        [bg_section(orders, "000000000000")], created=f"2026110205300{copy:07}"
    ),
    "cremul": lambda orders, copy: cremul_file([cremul_lines(orders)], CremulShape(number=copy)),
    "cremul without archive": lambda orders, copy: cremul_file([cremul_lines(orders, "")], CremulShape(number=copy)),
    "autogiro": lambda orders, copy: autogiro_file(
        [GiroPayment(100 + n, f"F{n}") for n in orders], created=f"20261102053000{copy:06}"
    ),
    "autogiro old": lambda orders, copy: (
        autogiro_old_file([GiroPayment(100 + n, f"F{n}") for n in orders]) + b"\r\n" * copy
    ),
    "autogiro rejected": lambda orders, copy: (
        autogiro_rejected_file([GiroPayment(100 + n, f"F{n}", status="01") for n in orders]) + b"\r\n" * copy
    ),
    "ktl": lambda orders, copy: ktl_file([[KtlPayment(100 + n, archive=f"E{n:015}") for n in orders]]).replace(
        b"0530", b"053%d" % copy
    ),
    "total_in": lambda orders, copy: total_in_file(
        [[TotalInPayment(100 + n, f"1{n}", f"{n:017}") for n in orders]], created=f"2026110205300{copy:07}"
    ),
}


@pytest.fixture
def world(house, clock, tmp_path) -> World:
    """A creditor that takes every format from one sender."""
    options = {"settings": {"ledger_id": "4711", "agency_id": "SANDBOX", "payment_profiles": [PROFILE]}}
    return World(house, clock, tmp_path, "intrum", country="SE", currency="SEK", options=options).start()


def take(world: World, data: bytes, name: str = "file") -> list[tuple[str, int]]:
    """Let a file come in; return what was told of earlier ones: code and count."""
    row = world.take_file(name, data)
    assert row.state == "imported", row.findings
    return [(f["code"], int(f["values"]["count"])) for f in row.findings if f["code"] == "file.rewrapped"]


def amounts(world: World) -> list[int]:
    return sorted(row.amount_minor for row in world.payments())


@pytest.mark.rule("R-PM-10", "P10")
@pytest.mark.parametrize("name", FILES)
def test_a_copy_with_other_ids_brings_nothing_and_says_so(world, name):
    assert take(world, FILES[name]([1, 2, 2, 3], 1)) == []
    assert amounts(world) == [101, 102, 102, 103], "two equal payments of one file are two payments"
    assert take(world, FILES[name]([1, 2, 2, 3], 2)) == [("file.rewrapped", 4)]
    assert amounts(world) == [101, 102, 102, 103]


@pytest.mark.rule("R-PM-10", "P10")
@pytest.mark.parametrize("name", FILES)
def test_an_overlapping_file_adds_the_new_ones_and_one_more_of_the_equal_ones(world, name):
    take(world, FILES[name]([1, 2, 2], 1))
    assert take(world, FILES[name]([2, 2, 2, 3], 2)) == [("file.rewrapped", 2)]
    assert amounts(world) == [101, 102, 102, 102, 103]
    assert take(world, FILES[name]([3, 2, 2, 2, 1], 3)) in (
        [("file.rewrapped", 3), ("file.rewrapped", 2)], [("file.rewrapped", 2), ("file.rewrapped", 3)],
    )  # fmt: skip
    assert amounts(world) == [101, 102, 102, 102, 103]


@pytest.mark.rule("R-PM-10")
@pytest.mark.parametrize("name", ["bgmax", "autogiro"])
def test_a_section_that_came_before_is_left_out_of_a_file_with_another(world, name):
    later = FIRST_DAY + timedelta(days=1)
    if name == "bgmax":
        one, two = (
            BgSection((BgPayment(100, "17", serial=f"{n:012}"),), day=d) for n, d in ((1, FIRST_DAY), (2, later))
        )
        first, second = bgmax_file([one]), bgmax_file([one, two], created="20261103053000000000")
    else:
        order, again = GiroPayment(100, "17"), GiroPayment(100, "17", day=later)
        first, second = autogiro_file([order]), autogiro_file([order, again], created="20261103053000000000")
    take(world, first)
    assert take(world, second) == [("file.rewrapped", 1)]
    assert [row.booking_date or row.value_date for row in world.payments()] == [FIRST_DAY, later]


def giro(*orders: GiroPayment, serial: int) -> bytes:
    """A file with one deposit of its own, which the bank has numbered *serial*."""
    return autogiro_file(orders, created=f"20261102053000{serial:06}", first_serial=serial)


@pytest.mark.rule("R-PM-10")
def test_two_equal_autogiro_orders_in_two_deposits_are_both_real(world):
    order = GiroPayment(100, "17")
    take(world, giro(order, serial=1))
    assert take(world, giro(order, serial=2)) == []
    assert [row.bank_reference[-1] for row in world.payments()] == ["1", "2"]
    for copy in ((1, [order]), (2, [order])):
        again = giro(*copy[1], serial=copy[0]) + b"\r\n"
        assert take(world, again) == [("file.rewrapped", 1)]
    assert take(world, giro(order, order, serial=2)) == [("file.rewrapped", 1)], "one more in the second deposit"
    assert amounts(world) == [100, 100, 100]
    assert take(world, autogiro_old_file([order])) == [("file.rewrapped", 1)], "the old layout names no deposit"
    assert amounts(world) == [100, 100, 100]


@pytest.mark.rule("R-PM-10", "R-PM-11")
def test_a_refund_follows_one_of_two_equal_autogiro_orders_and_two_refunds_follow_both(world):
    order, refund = GiroPayment(100, "17"), GiroPayment(100, "17", kind="77", status="01")
    for serial in (1, 2):
        take(world, giro(order, serial=serial))
    for serial in (3, 4):
        take(world, giro(refund, serial=serial))
    paid, back = (world.payments(is_reversal=is_back) for is_back in (False, True))
    assert sorted(row.key for row in paid) == sorted(row.reverses_key for row in back)


# --- the contract of a reader's keys ---------------------------------------------------------------------------------


RANDOM: dict[str, Callable[[int, int], bytes]] = {
    "ocr": lambda seed, n: ocr_file([random_ocr_payments(seed, n)]),
    "bgmax": lambda seed, n: bgmax_file(random_bg_sections(seed, n)),
    "camt.054": lambda seed, n: camt_file(random_camt_entries(seed, n)),
    "camt.053": lambda seed, n: camt_file(random_camt_entries(seed, n), CamtShape(message="camt.053")),
    "cremul": lambda seed, n: cremul_file([random_cremul_lines(seed, n)]),
    "autogiro": lambda seed, n: autogiro_file(random_giro_payments(seed, n)),
    "ktl": lambda seed, n: ktl_file([random_ktl_payments(seed, n)]),
    "total_in": lambda seed, n: total_in_file([random_total_in_payments(seed, n)]),
}


def keys(data: bytes) -> list[str]:
    return [payment.key for payment in open_payments(io.BytesIO(data), data[:HEAD_BYTES], [PROFILE])]


@pytest.mark.parametrize("name", RANDOM)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_payment_has_a_key_that_no_number_of_ours_can_meet(name, seed):
    found = keys(RANDOM[name](seed, 20))
    assert found
    assert all(key[:1].isalpha() for key in found)
    assert keys(RANDOM[name](seed, 20)) == found


@pytest.mark.parametrize("name", FILES)
def test_other_money_has_another_key_and_the_same_money_the_same(name):
    """What staging numbers must not be one: different money; what a reader numbers itself counts from one in each file."""
    one, two, twice = (Counter(keys(FILES[name](orders, 1))) for orders in ([1, 3], [2, 3], [1, 1, 3]))
    assert len(one & two) == 1
    assert one <= twice
    assert keys(FILES[name]([1, 2, 2], 2)) == keys(FILES[name]([1, 2, 2], 1))


# --- the same money in two formats -----------------------------------------------------------------------------------


ACCOUNT, PAYER = "12345678903", "86011117947"
TOLD = {
    "ocr": lambda payer=PAYER, day=FIRST_DAY: ocr_file([[OcrPayment(125000, KID, day, payer=payer)]]),
    "camt.054": lambda payer=PAYER, day=FIRST_DAY: camt(
        [CamtEntry((CamtPayment(125000, KID, payer=payer),), day=day)], 1
    ),
    "camt.053": lambda payer=PAYER, day=FIRST_DAY: camt(
        [CamtEntry((CamtPayment(125000, KID, payer=payer),), day=day)], 1, "camt.053"
    ),
    "cremul": lambda payer=PAYER, day=FIRST_DAY: cremul_file(
        [[CremulLine((CremulPayment(125000, KID, payer=payer),), booking_day=day, value_day=day)]]
    ),
}


@pytest.fixture
def posting(house, clock, tmp_path) -> World:
    """An agreement that posts by itself; invoice 1 of 1 250.00 is at the agency."""
    world = World(house, clock, tmp_path, "lowell", options={"posts_automatically": True}).start()
    world.customer()
    world.invoice("1", 1250, payment_reference=KID)
    world.evening()
    world.far.night()
    return world


@pytest.mark.rule("R-PM-10", "P10")
@pytest.mark.parametrize("first", TOLD)
@pytest.mark.parametrize("second", TOLD)
def test_the_same_payment_in_two_formats_waits_as_a_possible_duplicate(posting, first, second):
    if first == second:
        return
    take(posting, TOLD[first]())
    assert take(posting, TOLD[second]()) == [], "it is never dropped"
    posted, queued = posting.payments()
    assert (posted.state, posting.open("1")) == ("posted", 0)
    assert (queued.state, queued.difference, queued.twin_id) == ("unmatched", "payment.possible_duplicate", posted.id)
    assert (queued.entry_id, queued.suggested_entry_id) == (None, posting.entry_id("1"))


@pytest.mark.rule("R-PM-10", "R-OP-10")
@pytest.mark.parametrize("is_banks_first", [True, False])
def test_the_agencys_report_and_its_banks_file_are_a_pair_though_they_name_the_money_differently(
    posting, is_banks_first
):
    """The agency names our claim, its bank the case: nothing is equal but invoice, amount and day."""
    posting.invoice("2", 1250)
    posting.evening()
    posting.far.night()
    posting.far.pay("2", 400)
    assert posting.far.agency.write_payments(posting.clock())
    (path,) = posting.far.agency.download.iterdir()
    by_bank = CamtEntry((CamtPayment(40_000, posting.claim("2").case_number),), day=posting.clock().date())
    told = [path.read_bytes(), camt([by_bank], 1)]
    for data in reversed(told) if is_banks_first else told:
        take(posting, data)
    first, second = posting.payments()
    assert {first.reference, second.reference} == {"", posting.claim("2").case_number}
    assert (first.state, second.state, second.difference) == ("proposed", "unmatched", "payment.possible_duplicate")
    assert (second.twin_id, second.suggested_entry_id) == (first.id, posting.entry_id("2"))
    assert posting.agency_balance("2") == 850, "counted once"
    assert placing.same_money(posting.house, second.id, ACTOR) == first.id


@pytest.mark.rule("R-PM-10")
def test_two_equal_payments_that_the_agency_reports_itself_are_two(posting):
    posting.invoice("2", 1250)
    posting.evening()
    posting.far.night()
    for _ in range(2):
        posting.far.pay("2", 400)
        posting.far.tell()
        posting.clock.advance(minutes=1)
    assert [row.state for row in posting.payments()] == ["proposed", "proposed"]


@pytest.mark.rule("R-PM-10")
@pytest.mark.parametrize("other", [{"payer": "15032080119"}, {"day": FIRST_DAY + timedelta(days=3)}], ids=str)
def test_what_differs_in_payer_or_day_is_no_duplicate(posting, other):
    take(posting, TOLD["ocr"]())
    take(posting, TOLD["camt.054"](**other))
    assert [row.difference for row in posting.payments()] == ["", "difference.zero_by_payment"]


@pytest.mark.rule("R-PM-10")
def test_a_payer_that_one_format_does_not_tell_is_no_difference(posting):
    take(posting, TOLD["ocr"](payer="0" * 11))
    take(posting, TOLD["camt.054"]())
    assert posting.payments()[1].difference == "payment.possible_duplicate"


@pytest.mark.rule("R-PM-10")
def test_money_without_a_reference_is_compared_by_payer_amount_and_day(posting):
    for message in ("camt.054", "camt.053"):
        take(posting, camt([CamtEntry((CamtPayment(777, texts=("takk",)),))], 1, message))
    take(posting, camt([CamtEntry((CamtPayment(777, texts=("takk",), payer="15032080119"),))], 2, "camt.053"))
    assert [row.difference for row in posting.payments()] == [
        "difference.unidentified", "payment.possible_duplicate", "difference.unidentified",
    ]  # fmt: skip


# --- announced and booked --------------------------------------------------------------------------------------------


def camt_state(status: str, own: str = "A1", day: date = FIRST_DAY, count: int = 1) -> bytes:
    payments = tuple([CamtPayment(125000, KID, bank_reference=own)] * count)
    return camt([CamtEntry(payments, status=status, day=day)], 1 if status == "BOOK" else 2)


ANNOUNCED = {
    "camt": (camt_state("PDNG"), camt_state("BOOK")),
    "camt with another reference": (camt_state("PDNG", "P1"), camt_state("BOOK", "B2")),
    "camt a day later": (camt_state("PDNG", ""), camt_state("BOOK", "", FIRST_DAY + timedelta(days=1))),
    "cremul 435": tuple(
        cremul_file([[CremulLine((CremulPayment(125000, KID),))]], CremulShape(kind=kind)) for kind in ("435", "455")
    ),
    "cremul 349": tuple(
        cremul_file([[CremulLine((CremulPayment(125000, KID),), qualifier=qualifier)]]) for qualifier in ("349", "60")
    ),
}


@pytest.mark.rule("R-PM-10", "R-PM-03")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["announced first", "booked first"])
@pytest.mark.parametrize("name", ANNOUNCED)
def test_announcement_and_booking_join_and_the_booking_posts(posting, name, order):
    for place in order:
        assert take(posting, ANNOUNCED[name][place], str(place)) == []
    (announced,) = posting.payments(state="ignored")
    (booked,) = posting.payments(state="posted")
    assert (announced.twin_id, booked.twin_id) == (booked.id, announced.id)
    assert (announced.difference, booked.difference) == ("payment.booked_since", "")
    assert posting.open("1") == 0


@pytest.mark.rule("R-PM-03")
def test_of_two_equal_announcements_each_joins_one_booking(posting):
    take(posting, camt_state("PDNG", "", count=2))
    take(posting, camt_state("BOOK", "", count=1))
    assert sorted(row.twin_id is None for row in posting.payments(status="PDNG")) == [False, True]
    take(posting, camt_state("BOOK", "", count=2))
    booked = {row.id: row.twin_id for row in posting.payments(status="BOOK")}
    assert {row.twin_id: row.id for row in posting.payments(status="PDNG")} == booked


@pytest.mark.rule("R-PM-03")
def test_last_months_announcement_is_not_this_months_booking(posting):
    take(posting, camt_state("PDNG", ""))
    take(posting, camt_state("BOOK", "", FIRST_DAY + timedelta(days=30)))
    assert {row.twin_id for row in posting.payments()} == {None}


@pytest.mark.rule("R-PM-03")
def test_an_announcement_alone_posts_nothing_and_takes_nobodys_place(posting):
    take(posting, camt_state("PDNG"))
    (row,) = posting.payments()
    assert (row.state, row.difference, posting.open("1")) == ("ignored", "payment.not_booked", 1250)
