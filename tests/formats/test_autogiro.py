"""Swedish Autogiro: what a wrong reader would post though nobody paid, or give back twice (payments.md 7, 8, 11)."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.exchange import Direction
from gateway.domain.reasons import is_known
from gateway.formats.autogiro import AutogiroNewReader, AutogiroOldReader
from gateway.formats.autogiro_rejected import COMMENTS, AutogiroRejectedReader
from gateway.formats.detect import detect
from gateway.formats.explain import explain
from gateway.formats.fixed_width import CHUNK_BYTES
from gateway.testing.autogiro_files import (
    IN,
    OUT,
    REFUND,
    GiroPayment,
    autogiro_file,
    autogiro_old_file,
    autogiro_rejected_file,
    random_giro_payments,
)
from tests.conftest import SHARED
from tests.formats.giro_reading import check, check_every_cut, check_every_flipped_byte, check_shapes, read_every_way
from tests.formats.test_damage import mutated, mutations

CORPUS = Path(__file__).parents[1] / "corpus" / "payments"
SAMPLES = SHARED / "samples" / "payments"
seeds = st.integers(0, 10**6)


def rejected(seed, count):
    """Return orders with comment codes in the place of statuses."""
    codes = [*COMMENTS, "99"]
    orders = random_giro_payments(seed, count, kinds=(IN, OUT))
    return [replace(order, status=codes[number % len(codes)]) for number, order in enumerate(orders)]


def made(kind, seed, count=14, newline="\r\n"):
    """Return (orders, file) of one of the three kinds."""
    if kind == "new":
        orders = random_giro_payments(seed, count)
        return orders, autogiro_file(orders, newline=newline)
    if kind == "old":
        orders = random_giro_payments(seed, count, kinds=(IN, OUT))
        return orders, autogiro_old_file(orders, newline=newline)
    orders = rejected(seed, count)
    return orders, autogiro_rejected_file(orders, newline=newline)


KINDS = ("new", "old", "rejected")


# --- what is read ----------------------------------------------------------------------------------------------------


def test_the_new_example_reads_as_it_was_written():
    got = read_every_way((CORPUS / "autogiro_new.txt").read_bytes())
    assert (got.verdict, got.codes, got.transactions) == ("accepted", {"autogiro.refund_revoked"}, 7)
    assert got.totals == {"SEK": {"credit": 215050, "debit": 127550}}
    first, no_cover, plain, waits, ended, out, refund = got.payments
    assert (first.reference, first.amount_minor, first.direction, first.posts) == (
        "F1001",
        125050,
        Direction.CREDIT,
        True,
    )
    assert (first.booking_date, first.value_date) == (date(2026, 11, 5), date(2026, 11, 5))
    assert (first.account, first.payer_account, first.status) == ("50501055", "5001", "BOOK")
    assert first.statement_reference == "50501055:2026:00001"
    assert (no_cover.posts, no_cover.why_not, no_cover.status) == (False, "autogiro.no_cover", "INFO")
    assert (no_cover.booking_date, no_cover.statement_reference) == (None, "")
    assert (plain.reference, plain.posts, plain.all_references[0].value) == ("0001003", True, "0001003")
    assert (waits.why_not, waits.status) == ("autogiro.cover_awaited", "PDNG")
    assert ended.why_not == "autogiro.account_ended"
    assert (out.direction, out.is_reversal, out.reference, out.posts) == (Direction.DEBIT, False, "ÅTER 7", True)
    assert (refund.direction, refund.is_reversal, refund.posts) == (Direction.DEBIT, True, True)
    assert all(payment.references == () for payment in got.payments)


def test_the_old_example_reads_as_it_was_written():
    got = read_every_way((CORPUS / "autogiro_old.txt").read_bytes())
    assert (got.verdict, got.findings, got.transactions) == ("accepted", (), 3)
    assert [(p.amount_minor, p.posts, p.why_not, p.direction.value, p.reference) for p in got.payments] == [
        (40000, True, "", "credit", "F2001"),
        (1000, False, "autogiro.no_cover", "credit", "F2002"),
        (700, True, "", "debit", "F2003"),
    ]
    assert got.payments[0].booking_date == date(2026, 11, 6)


def test_rejected_payments_are_information_with_their_reasons():
    got = read_every_way((CORPUS / "autogiro_rejected.txt").read_bytes())
    assert (got.verdict, got.codes) == ("accepted", {"autogiro.rejected"})
    assert [(p.amount_minor, p.posts, p.status, p.why_not, p.booking_date) for p in got.payments] == [
        (12500, False, "INFO", "autogiro.mandate_missing", None),
        (500, False, "INFO", "autogiro.rejected", None),
        (3000, False, "INFO", "autogiro.date_passed", None),
    ]
    assert all(is_known(code) for code in COMMENTS.values())


def test_explain_says_in_words_why_an_order_is_not_posted():
    with explain(CORPUS / "autogiro_rejected.txt", language="sv") as explanation:
        text = explanation.as_text()
    assert "betalaren saknar medgivande" in text


@given(seeds)
def test_what_was_written_is_read_back(seed):
    orders, data = made("new", seed)
    got = read_every_way(data)
    assert got.verdict == "accepted", got.places
    assert [
        (
            p.amount_minor,
            p.reference,
            p.payer_account,
            p.account,
            p.posts,
            p.direction is Direction.CREDIT,
            p.is_reversal,
        )
        for p in got.payments
    ] == [
        (o.amount_minor, o.reference, o.payer, o.bankgiro, o.is_executed, o.kind == IN, o.kind == REFUND)
        for o in orders
    ]
    assert sum(
        p.amount_minor for p in got.payments if p.posts and not p.is_reversal and p.direction == "credit"
    ) == sum(o.amount_minor for o in orders if o.kind == IN and o.status == "0")


@given(seeds)
def test_both_layouts_tell_the_same_orders_under_the_same_keys(seed):
    orders = random_giro_payments(seed, 12, kinds=(IN, OUT))
    new, old = read_every_way(autogiro_file(orders)), read_every_way(autogiro_old_file(orders))
    assert new.verdict == old.verdict == "accepted"
    facts = [[(p.key, p.amount_minor, p.reference, p.posts, p.why_not) for p in got.payments] for got in (new, old)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(seed=seeds)
def test_line_ends_marks_and_padding_change_nothing(kind, seed):
    check_shapes(made(kind, seed)[1], 80)


def test_tabs_that_only_fill_a_line_change_nothing_but_are_told():
    order = GiroPayment(100, status="1")
    data = autogiro_old_file([order, replace(order, status="0")])
    filled = data.replace(b"1\r\n", b"1\t\t  \r\n").replace(b"FAKTNR1001" + b" " * 17 + b"\r\n", b"FAKTNR1001\t\t\r\n")
    assert filled.count(b"\t") == 4
    got = read_every_way(filled)
    assert (got.verdict, got.codes, got.payments) == ("accepted", {"file.tab"}, read_every_way(data).payments)


def test_a_tab_before_the_status_stops_the_file():
    """Behind it a refused payment would look like an executed one."""
    data = autogiro_old_file([GiroPayment(100, status="1")])
    got = read_every_way(data.replace(b"FAKTNR1001" + b" " * 16, b"FAKTNR1001\t\t"))
    assert got.verdict == "quarantined"


# --- what is money ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["1", "2", "9", "7", " "])
def test_only_an_executed_payment_is_money(status):
    got = read_every_way(autogiro_file([GiroPayment(100), GiroPayment(200, status=status)]))
    assert got.verdict == "accepted"
    assert [p.posts for p in got.payments] == [True, False]
    assert ("autogiro.unknown_status" in got.codes) == (status in "7 ")


def test_an_unexecuted_payment_called_executed_stops_the_file():
    """The deposit of the new layout counts executed payments only; a status is as good as an amount."""
    data = autogiro_file([GiroPayment(100), GiroPayment(200, status="1")])
    got = read_every_way(data.replace(b"1\r\n82", b"0\r\n82").replace(b"1\r\n09", b"0\r\n09"))
    assert (got.verdict, got.codes) == ("quarantined", {"file.control_total"})


def test_a_payment_tried_again_is_not_taken_for_known():
    """First without cover, then executed on a later day under the same order: the second one is the money."""
    waits, paid = GiroPayment(100, status="9"), GiroPayment(100)
    keys = [read_every_way(autogiro_file([order])).payments[0].key for order in (waits, paid)]
    assert keys[0] != keys[1]


def test_a_refund_names_the_payment_it_gives_back():
    paid = GiroPayment(100, "0000000000001001")
    before = read_every_way(autogiro_file([paid])).payments[0]
    got = read_every_way(autogiro_file([replace(paid, kind=REFUND, status="02")]))
    back = got.payments[0]
    assert (back.reverses_key, back.is_reversal, back.direction) == (before.key, True, Direction.DEBIT)
    assert back.key != before.key
    assert got.codes == {"autogiro.refund_revoked"}
    old = read_every_way(autogiro_old_file([paid])).payments[0]
    assert back.reverses_key == old.key


def test_two_equal_payments_are_two_and_an_overlapping_file_repeats_the_keys():
    twin = GiroPayment(100)
    got = read_every_way(autogiro_file([twin, twin]))
    assert (len(got.payments), len({p.key for p in got.payments})) == (2, 1)
    orders = random_giro_payments(3, 10, kinds=(IN,))
    early, late = (
        read_every_way(autogiro_file(some, created=stamp)) for some, stamp in ((orders[:6], "1"), (orders, "2"))
    )
    assert {p.key for p in early.payments} <= {p.key for p in late.payments}


def test_a_rejected_order_with_a_broken_amount_or_date_is_told():
    """They are the creditor's own mistakes, which the list is there to report."""
    data = autogiro_rejected_file([GiroPayment(100, status="08"), GiroPayment(200, status="12")])
    broken = (
        data.replace(b"000000000100", b"0000000001x0")
        .replace(b"20261102", b"20261302")
        .replace(b"0920261302", b"0920261102")
    )
    got = read_every_way(broken)
    assert (got.verdict, got.codes) == ("accepted", {"autogiro.wrong_amount"}), got.places
    assert [(p.amount_minor, p.value_date) for p in got.payments] == [(0, None), (200, None)]
    assert "0000000001x0" in got.places
    assert read_every_way(data.replace(b"000000000200", b"0000000002x0")).verdict == "quarantined"


@pytest.mark.parametrize("is_old", [False, True])
def test_rejected_payments_of_both_layouts(is_old):
    orders = rejected(1, 10)
    got = read_every_way(autogiro_rejected_file(orders, is_old=is_old))
    assert got.verdict == "accepted"
    assert not any(payment.posts for payment in got.payments)
    assert [p.amount_minor for p in got.payments] == [o.amount_minor for o in orders]
    assert detect(autogiro_rejected_file(orders, is_old=is_old)).format == "autogiro_rejected" + "_old" * is_old


# --- control totals and damage ---------------------------------------------------------------------------------------

_SPANS = {
    "new": {b"82": (31, 43), b"32": (31, 43), b"77": (31, 43), b"15": (50, 68), b"16": (50, 79), b"17": (50, 79), b"09": (14, 68)},
    "old": {b"82": (31, 43), b"32": (31, 43), b"09": (28, 52)},
    "rejected": {b"82": (30, 42), b"32": (30, 42), b"09": (14, 50)},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(seed=seeds, data_=st.data())
def test_a_flipped_digit_in_any_amount_or_count_stops_the_file(kind, seed, data_):
    """Of the new layout only executed amounts are counted: there is no total over what nobody paid."""
    _, data = made(kind, seed)
    places = [
        number * 82 + offset
        for number, line in enumerate(data.split(b"\r\n"))
        if line[:2] in _SPANS[kind] and (kind != "new" or line[:2] not in {b"82", b"32"} or line[79:80] == b"0")
        for offset in range(*_SPANS[kind][line[:2]])
        if line[offset : offset + 1].isdigit()
    ]
    place = data_.draw(st.sampled_from(places))
    digit = data_.draw(st.sampled_from([digit for digit in b"0123456789" if digit != data[place]]))
    got = read_every_way(data[:place] + bytes([digit]) + data[place + 1 :])
    assert (got.verdict, got.codes & {"file.control_total"}) == ("quarantined", {"file.control_total"})


@pytest.mark.parametrize("newline", ["\n", "\r\n", ""])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_at_any_byte_never_takes_effect(kind, newline):
    data = made(kind, 4, 6, newline)[1]
    end = data.rindex(b"09" + b"20261102" + b"9900")
    check_every_cut(data, whole=end + {"new": 68, "old": 68, "rejected": 50}[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_of_a_small_file(kind):
    check_every_flipped_byte(made(kind, 8, 4)[1])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, deadline=None)
@given(seed=seeds, newline=st.sampled_from(["\n", "\r\n"]), steps=mutations)
def test_mutated(kind, seed, newline, steps):
    check(mutated(made(kind, seed, newline=newline)[1], steps))


@settings(deadline=None)
@given(noise=st.binary(max_size=300))
@pytest.mark.parametrize("kind", KINDS)
def test_noise_behind_a_good_beginning(kind, noise):
    check(made(kind, 1, 3)[1][:82] + noise)


def test_an_order_outside_its_section_stops_the_file():
    data = autogiro_file([GiroPayment(100), GiroPayment(200, kind=OUT)])
    got = read_every_way(data.replace(b"\r\n16", b"\r\n15"))
    assert got.verdict == "quarantined"
    assert "line 5" in got.places


def test_unknown_records_are_passed_over_and_told():
    data = autogiro_file([GiroPayment(100)])
    got = read_every_way(data.replace(b"\r\n09", b"\r\n83 NEW" + b" " * 74 + b"\r\n09"))
    assert (got.verdict, got.codes, len(got.payments)) == ("accepted", {"file.unknown_record"}, 1)


def test_sections_without_anything_executed_may_be_counted_or_not():
    data = autogiro_file([GiroPayment(100), GiroPayment(200, status="1", day=date(2026, 11, 3))])
    assert b"9900000002" in data
    assert read_every_way(data).verdict == "accepted"
    assert read_every_way(data.replace(b"9900000002", b"9900000001")).verdict == "accepted"
    assert read_every_way(data.replace(b"9900000002", b"9900000003")).verdict == "quarantined"


def test_several_deliveries_in_one_file_are_read():
    one = autogiro_file([GiroPayment(100)])
    got = read_every_way(one + autogiro_file([GiroPayment(200)]))
    assert (got.verdict, [p.amount_minor for p in got.payments]) == ("accepted", [100, 200])
    assert read_every_way(one[:-82] + one).verdict == "quarantined"
    mixed = read_every_way(one + autogiro_rejected_file([GiroPayment(100, status="01")]))
    assert mixed.verdict == "quarantined"
    assert "content AVVISADE" in mixed.places


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"01AUTOGIRO              20261105            AG-MEDAVI           8888880050501055", "without payments"),
        (b"0120261105AUTOGIRO9900MAK/\xc4NDRINGSLISTA", "without payments"),
        (b"0120261105AUTOGIRO                                            8888880050501055", "as sent to Bankgirot"),
    ],
)
def test_other_files_of_autogiro_are_named_and_refused(head, said):
    found = detect(head)
    assert (found.format, found.name) == (None, "autogiro")
    assert said in found.reason
    assert read_every_way(head).verdict == "refused"


# --- the fast path ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_many_pieces(kind):
    data = made(kind, 5, 3000)[1]
    assert len(data) > 3 * CHUNK_BYTES
    plain = read_every_way(data)
    assert plain.verdict == "accepted"
    for shift in (1, 40):
        assert read_every_way(b"\r\n" * shift + data) == plain


@pytest.mark.parametrize(
    ("kind", "reader"), [("new", AutogiroNewReader), ("old", AutogiroOldReader), ("rejected", AutogiroRejectedReader)]
)
def test_most_of_a_file_takes_the_fast_path(kind, reader, monkeypatch):
    taken, take = [], reader._take
    monkeypatch.setattr(reader, "_take", lambda self, columns, count: taken.append(count) or take(self, columns, count))
    data = made(kind, 6, 2000)[1]
    assert len(list(reader(io.BytesIO(data)))) == 2000
    assert sum(taken) > 1500


# --- files made by others --------------------------------------------------------------------------------------------


def sample_rows():
    if not SAMPLES.is_dir():
        return []
    with (SAMPLES / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["format"].startswith("autogiro")]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the shared sample files are absent")
def test_there_are_samples():
    assert len(sample_rows()) >= 2


@pytest.mark.parametrize("row", sample_rows(), ids=lambda row: row["file"].rpartition("/")[2])
def test_a_sample_holds_what_its_manifest_says(row):
    data = (SAMPLES / row["file"].removeprefix("dev/")).read_bytes()
    got = read_every_way(data)
    assert (got.verdict, got.transactions) == ("accepted", int(row["transactions"]))
    assert detect(data).format == row["format"]
    sums = Counter()
    for payment in got.payments:
        if payment.is_reversal:
            kind = "refunded"
        elif payment.posts:
            kind = "executed in" if payment.direction is Direction.CREDIT else "executed out"
        else:
            kind = "not executed in" if payment.direction is Direction.CREDIT else "not executed out"
        sums[kind] += payment.amount_minor if payment.direction is Direction.CREDIT else -payment.amount_minor
    stated = re.findall(r"((?:not )?executed (?:in|out)|refunded) (-?\d+)\.(\d\d)", row["total"])
    assert len(stated) == 4
    for kind, whole, cents in stated:
        assert sums[kind] == int(whole + cents), kind
