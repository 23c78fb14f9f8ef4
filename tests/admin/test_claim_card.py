"""The agency's side of an invoice on the screen: withdraw, hold, dispute, write off, and who reminds (R-OP-03, R-LS-11)."""

from __future__ import annotations

import re
from html import unescape

import pytest

from gateway.db.tables import ClaimInstruction
from gateway.domain.instructions import Action
from gateway.services import instructions
from tests.admin.reading import rows, send, speak
from tests.rules.world import ACTOR

TELL = "/instruct"


def page_of(world, name: str) -> str:
    return f"/panel/invoices/{world.entry_id(name)}"


def told(world) -> list[tuple[str, str]]:
    return [(row.action, row.state) for row in world.rows(ClaimInstruction)]


@pytest.mark.rule("R-OP-03", "R-FA-11")
def test_a_sent_invoice_is_withdrawn_from_its_page_and_the_wish_taken_back(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    page = page_of(world, "100054")
    shown = unescape(send(client, page + TELL, page, action="withdraw", reason="Solgt ved en feil").text)
    assert "Beskjeden går i kveld." in shown
    assert "Solgt ved en feil" in shown
    assert told(world) == [("withdraw", "wanted")]
    (made,) = world.rows(ClaimInstruction)
    send(client, page + "/instruct-cancel", page, instruction=made.id)
    assert told(world) == [("withdraw", "cancelled")]


@pytest.mark.rule("R-OP-03")
def test_what_makes_no_sense_is_refused_in_words(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    page = page_of(world, "100054")
    assert "kan oppheves" in unescape(send(client, page + TELL, page, action="release").text)
    assert "ingen dato" in unescape(send(client, page + TELL, page, action="hold", until="yesterday").text)
    assert send(client, page + TELL, page, action="burn").status_code == 400
    assert told(world) == []


@pytest.mark.rule("R-OP-03")
def test_what_was_said_otherwise_is_noted_with_a_reason(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    page = page_of(world, "100054")
    said = unescape(send(client, page + TELL, page, action="withdraw", by_hand="1").text)
    assert "hvordan og til hvem" in said
    send(client, page + TELL, page, action="withdraw", by_hand="1", reason="Portalen, sak 4")
    assert told(world) == [("withdraw", "by_hand")]
    assert world.claim("100054").state == "withdrawn"


def test_nobody_cancels_an_instruction_about_another_invoice(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    other = worked.other
    made = instructions.instruct(other.house, other.entry_id("70001"), Action.HOLD, ACTOR)
    page = page_of(world, "100054")
    assert send(client, page + "/instruct-cancel", page, instruction=made).status_code == 404
    assert other.row(ClaimInstruction, made).state == "wanted"


@pytest.mark.rule("R-VL-09", "R-VL-12", "R-CO-59")
def test_a_write_off_marks_its_line_and_tells_the_agency_only_when_asked(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    page = page_of(world, "100054")
    assert "Avskriv" in client.get(page).text
    send(client, page + "/write-off", page, account="tap")
    assert world.open("100054") == 1250, "a loss account is a number"
    shown = unescape(send(client, page + "/write-off", page, account="7830", tells_agency="1").text)
    assert "Avskrevet i bøkene, fortsatt hos Lowell" in shown
    assert (world.open("100054"), told(world)) == (0, [("written-off-by-creditor", "wanted")])
    (line,) = (row for row in world.group("100054") if row.kind == "write_off")
    assert line.do_not_transfer


@pytest.mark.rule("R-LS-11", "R-LS-12", "R-FA-12")
def test_an_invoices_page_says_who_reminds(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    sent, kept = (unescape(client.get(page_of(world, name)).text) for name in ("100054", "100052"))
    assert "Lowell følger opp fakturaen og sender purringene." in sent
    assert "reminder.agency_owns" in sent
    assert "Dere purrer denne fakturaen selv." in kept
    assert "reminder.agency_owns" not in kept


@pytest.mark.rule("R-OP-19")
def test_a_temporary_number_stands_in_parentheses_until_the_agency_gives_its_own(office, client):
    """No number is invented: (midl. 17) and then C-000123."""
    world = office.fjord
    world.evening()
    number = world.claim("100051").reminder_number
    assert f"(midl. {number})" in unescape(client.get(page_of(world, "100051")).text)
    page = unescape(speak(client, "en").get(page_of(world, "100051")).text)
    assert f"(tmp {number})" in page


@pytest.mark.rule("R-OP-19")
def test_the_receipt_brings_the_agencys_number_in_its_place(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    page = unescape(client.get(page_of(world, "100051")).text)
    assert re.fullmatch("C-[0-9]{6}", world.claim("100051").case_number)
    assert world.claim("100051").case_number in page
    assert "(midl." not in page


@pytest.mark.rule("R-LK-13")
def test_one_click_leads_from_a_negative_row_to_the_two_items_to_link(office, client):
    """A row below zero comes from an item that is not linked; it leads to the customer's items, with a button to link."""
    world = office.fjord
    payment, invoice = world.entry_id("153"), world.entry_id("100052")
    link = f'href="/panel/invoices/{payment}"'
    assert link in client.get("/panel/").text + client.get(page_of(world, "100052")).text
    page = unescape(client.get(f"/panel/invoices/{payment}").text)
    assert "-500,00" in page.replace("\N{MINUS SIGN}", "-")
    form = re.search(rf'action="/panel/invoices/{invoice}/link".*?</form>', page, re.DOTALL)[0]
    assert f'name="other" value="{payment}"' in form
    send(client, f"/panel/invoices/{invoice}/link", f"/panel/invoices/{payment}", other=payment)
    assert world.entry("153").group_id == world.entry("100052").group_id


@pytest.mark.rule("R-LK-13")
@pytest.mark.parametrize("kroner", [0, -200])
def test_a_zero_or_negative_invoice_leads_to_what_should_be_linked_to_it(office, client, kroner):
    world = office.fjord
    world.customer("10009", name="Rad AS", organisation_number="999999956")
    world.invoice("100090", kroner, "c10009")
    world.invoice("100091", 200, "c10009")
    loose = world.credit_note("100092", 200, customer="c10009")
    row = rows(client.get("/panel/invoices/").text)[world.entry_id("100090")]
    assert f"/panel/invoices/{world.entry_id('100090')}" in row
    page = client.get(page_of(world, "100090")).text
    assert f"/panel/invoices/{world.entry_id(loose)}" in page
