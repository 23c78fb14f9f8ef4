"""Bank - Incoming payments, one payment: what a match rests on, its parts, its twin, and the way back."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest

from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.camt_files import CamtEntry, CamtPayment, CamtShape, camt_file
from tests.admin.reading import send
from tests.rules.world import World
from tests.services.payment_worlds import took

NUMBER = "700001"
OTHER = "700002"


@pytest.fixture
def seen(worked):
    """Invoices of 1 000.00 and 500.00, a reader of payments, and a client that is logged in."""
    world = worked.fjord
    world.invoice(NUMBER, 1000)
    world.invoice(OTHER, 500)
    return world, worked.login("bookkeeper@example.test")


def told(world: World, *payments: CamtPayment, message: str = "camt.054"):
    (row,) = took(world, camt_file([CamtEntry(payments)], CamtShape(message=message)))
    return row


def page(client, row) -> str:
    answer = client.get(f"/panel/payments/{row.id}")
    assert answer.status_code == 200
    return unescape(answer.text)


@pytest.mark.rule("R-OP-08", "R-PM-09")
def test_a_suggestion_says_what_was_seen_and_where_and_can_be_taken_back(seen):
    world, client = seen
    row = told(world, CamtPayment(100_000, texts=("takk", f"faktura {NUMBER}")))
    shown = page(client, row)
    assert f"Sett: «{NUMBER}» (melding, del 2)" in shown
    assert "fakturanr. i teksten" in shown
    assert "Ikke denne fakturaen" in shown
    send(client, f"/panel/payments/{row.id}/unmatch", f"/panel/payments/{row.id}")
    (after,) = world.payments(id=row.id)
    assert (after.suggested_entry_id, after.evidence) == (None, None)
    assert "Sett:" not in page(client, row)


def test_the_payers_address_is_kept_and_shown_as_the_file_tells_it(seen):
    world, client = seen
    paid = BgPayment(100_000, name="Kari Eksempel", address=("Storgata 1", "0155", "OSLO", "NO"))
    section = BgSection((paid, replace(paid, serial="000000000002", address=None)), currency="NOK")
    row, bare = took(world, bgmax_file([section]))
    assert row.payer_address.split("\n")[:2] == ["Storgata 1", "0155 OSLO"]
    assert "Betalerens adresse" in page(client, row)
    assert "Storgata 1, 0155 OSLO" in page(client, row)
    assert bare.payer_address == ""
    assert "Betalerens adresse" not in page(client, bare)


@pytest.mark.rule("R-LK-10")
def test_a_divided_payment_shows_each_part(seen):
    world, client = seen
    row = told(world, CamtPayment(150_000, documents=(("CINV", NUMBER, 100_000), ("CINV", OTHER, 50_000))))
    shown = page(client, row)
    assert f"Faktura {NUMBER}" in shown
    assert f"Faktura {OTHER}" in shown
    assert "delt på dokumentene den nevner" in shown
    for act, state, button in (
        ("unmatch", "unmatched", "Del på dokumentene den nevner"),
        ("divide", "proposed", "Ta forslaget tilbake"),
    ):
        send(client, f"/panel/payments/{row.id}/{act}", f"/panel/payments/{row.id}")
        assert world.payments(id=row.id)[0].state == state
        assert button in page(client, row)


@pytest.mark.rule("R-PM-10")
def test_a_possible_duplicate_names_the_payment_it_may_repeat(seen):
    world, client = seen
    first = told(world, CamtPayment(77_700, "555000555"))
    second = told(world, CamtPayment(77_700, "555000555"), message="camt.053")
    shown = page(client, second)
    assert f"som innbetaling {first.id}" in shown
    assert f'href="/panel/payments/{first.id}"' in shown


@pytest.mark.rule("R-PM-10")
@pytest.mark.parametrize(
    ("word", "act", "state"),
    [("Samme innbetaling", "same", "ignored"), ("En annen innbetaling", "another", "unmatched")],
)
def test_a_person_says_whether_it_is_the_same_and_can_take_that_back(seen, word, act, state):
    world, client = seen
    told(world, CamtPayment(77_700, "555000555"))
    second = told(world, CamtPayment(77_700, "555000555"), message="camt.053")
    assert word in page(client, second)
    send(client, f"/panel/payments/{second.id}/{act}", f"/panel/payments/{second.id}")
    (after,) = world.payments(id=second.id)
    assert after.state == state
    assert word not in page(client, second)
    if act == "same":
        assert "Ta opp igjen" in page(client, second)
        send(client, f"/panel/payments/{second.id}/unmatch", f"/panel/payments/{second.id}")
        assert word in page(client, second)


@pytest.mark.rule("R-PM-03")
def test_a_posted_payment_is_taken_back_with_one_button(seen):
    world, client = seen
    row = told(world, CamtPayment(100_000, documents=(("CINV", NUMBER, 100_000),)))
    send(client, "/panel/payments/post", f"/panel/payments/{row.id}", rowid=str(row.id))
    assert world.open(NUMBER) == 0
    assert "Ta bokføringen tilbake" in page(client, row)
    assert "Ta bokføringen tilbake" in unescape(client.get("/panel/payments/?tab=posted").text)
    send(client, f"/panel/payments/{row.id}/unmatch", f"/panel/payments/{row.id}")
    assert (world.open(NUMBER), world.payments(id=row.id)[0].state) == (1000, "unmatched")
    assert f"Bruk {NUMBER}" in page(client, row), "the way there again is one button as well"


@pytest.mark.rule("R-OP-09")
def test_charges_are_told_with_their_amount(seen):
    world, client = seen
    row = told(world, CamtPayment(95_000, documents=(("CINV", NUMBER, 95_000),), charges_minor=5000))
    assert row.difference == "payment.charges_taken"
    assert "50,00 er trukket i gebyr underveis; betaleren betalte de 1" in page(client, row)


@pytest.mark.rule("A-17", "R-OP-01")
def test_the_rules_for_payments_are_typed_with_the_agreement(office):
    client, page_of = office.login("admin@example.test"), f"/panel/agreements/{office.fjord.agreement_id}"
    form = {
        "client_number": "4711",
        "may_create_cases": "1",
        "plugin_ledger_id": "4711-NOK",
        "plugin_agency_id": "SANDBOX",
    }
    typed = {"payment_check": "mod10", "payment_lengths": "10, 13", "payment_tolerance": "100"}
    send(client, page_of, page_of, **form, **typed)
    assert office.fjord.agreement().payment_rules == {"check": "mod10", "lengths": [10, 13], "tolerance_minor": 100}
    answer = client.get(page_of).text
    assert 'value="mod10" selected' in answer
    assert 'value="10 13"' in answer
    wrong = unescape(send(client, page_of, page_of, **form, payment_check="fixed_length", payment_lengths="").text)
    assert "alert-danger" in wrong
    assert office.fjord.agreement().payment_rules["check"] == "mod10", "what is wrong changes nothing"
    send(client, page_of, page_of, **form, payment_check="", payment_lengths="", payment_tolerance="")
    assert office.fjord.agreement().payment_rules == {}
