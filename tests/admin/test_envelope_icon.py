"""Factoring settings, marks and the envelope icon, each with its acceptance example (R-FA)."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.services import marks
from tests.admin.reading import TOOLTIP, rows, send, speak, with_envelope
from tests.rules.world import ACTOR


@pytest.mark.rule("R-FA-02")
@pytest.mark.parametrize(
    ("language", "path"),
    [
        ("sv", ["Administration", "Inställningar", "Ekonomi", "Factoringinställningar"]),
        ("nb", ["Firma", "Innstillinger", "Økonomi", "Factoring info"]),
    ],
)
def test_factoring_settings_are_reached_by_the_path_of_the_language(client, language, path):
    speak(client, language)
    menu = client.get("/panel/").text.split("<nav")[1].split("</nav>")[0]
    assert re.search(rf'href="/panel/factoring/"[^>]*>.*?{path[-1]}', menu)
    crumbs = client.get("/panel/factoring/").text.split('class="crumb"')[1].split("</ol>")[0]
    assert re.findall(r"<li>(.*?)</li>", crumbs) == path


@pytest.mark.rule("R-FA-03")
@pytest.mark.parametrize("field", ["customer_number", "name", "address", "account_number"])
def test_saving_without_a_field_names_the_field(office, field):
    client = office.login("admin@example.test")
    form = {
        "use_factoring": "1", "customer_number": "1", "name": "Lowell", "address": "Oslo", "account_number": "15030000029",
        "invoice_text": "", "posting_mode": "normal",
    } | {field: ""}  # fmt: skip
    page = f"/panel/factoring/?creditor={office.fjord.creditor_id}"
    said = unescape(send(client, f"/panel/factoring/{office.fjord.creditor_id}", page, **form).text)
    assert "Ingenting er lagret" in said
    assert "alert-danger" in said


@pytest.mark.rule("R-FA-05")
def test_the_posting_setting_is_normal_posting(client):
    labels = {"nb": "Normal Posting", "sv": "Normal posting"}
    for language, label in labels.items():
        page = speak(client, language).get("/panel/factoring/").text
        assert f'<option value="normal">{label}</option>' in page
    assert "Använd bokföring" in page


@pytest.mark.rule("R-FA-08", "R-FA-10")
def test_three_invoices_the_second_marked(office, client):
    world = office.fjord
    names = ["200001", "200002", "200003"]
    for name in names:
        world.invoice(name, 100)
    marks.mark_invoice(world.house, world.entry_id("200002"), True, ACTOR)
    shown = with_envelope(client.get("/panel/invoices/").text)
    assert {world.entry_id("200001"), world.entry_id("200003")} <= shown
    assert world.entry_id("200002") not in shown
    crumbs = client.get("/panel/invoices/").text.split('class="crumb"')[1].split("</ol>")[0]
    assert re.findall(r"<li>(.*?)</li>", crumbs) == ["Økonomi", "Ordre/faktura", "Søk ordre/faktura"]


@pytest.mark.rule("R-FA-08")
def test_the_envelope_stands_at_the_right_end_of_the_row(client):
    for row in rows(client.get("/panel/invoices/").text).values():
        assert 'class="env"' not in row.rpartition("<td")[0], "an envelope stands in the middle of a row"


@pytest.mark.rule("R-FA-09")
@pytest.mark.parametrize("language", list(TOOLTIP))
def test_the_tooltip_is_exact_to_the_byte(client, language):
    text = speak(client, language).get("/panel/invoices/").text
    found = re.findall(r'class="env" href="[^"]*" title="([^"]*)" aria-label="([^"]*)"', text)
    assert found, "no envelope is shown"
    for title, name in found:
        assert title.encode() == name.encode() == TOOLTIP[language].encode()


@pytest.mark.rule("R-FA-10")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choices=st.lists(st.tuples(st.sampled_from(["c10001", "c10002", "c10003"]), st.booleans()), max_size=5))
def test_rows_with_an_icon_are_the_rows_of_the_preview(office, client, choices):
    world = office.fjord
    for n, (customer, is_marked) in enumerate(choices):
        name = world.invoice(
            f"3{office.house.now().microsecond:06d}{n}{len(world.audit('ledger.ingested'))}", 10, customer
        )
        if is_marked:
            marks.mark_invoice(world.house, world.entry_id(name), True, ACTOR)
    planned = {invoice.entry_id for invoice in world.preview().invoices if invoice.is_new}
    shown, address = set(), "/panel/invoices/"
    while address:
        text = client.get(address).text
        shown |= with_envelope(text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        address = unescape(older[1]) if older else ""
    assert shown == planned
    tonight = client.get("/panel/invoices/?tab=tonight").text
    assert set(rows(tonight)) == set(sorted(planned, reverse=True)[:50])


@pytest.mark.rule("R-FA-11")
def test_a_sent_row_shows_date_and_file_and_refuses_the_mark(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    sent = world.entry_id("100054")
    row = rows(client.get("/panel/invoices/").text)[sent]
    assert 'class="env"' not in row
    assert "Sendt 23.11.2026" in row
    assert "fil 1" in row
    said = unescape(send(client, "/panel/invoices/mark", "/panel/invoices/", rowid=sent, do="mark").text)
    assert "Allerede sendt til Lowell; trekk den tilbake i stedet." in said
    assert "Ingenting er endret" in said
    assert not world.row_of(sent).do_not_transfer


@pytest.mark.rule("R-FA-06")
def test_mark_and_unmark_in_the_list_with_an_audit_trail(office, client):
    world = office.fjord
    entry_id = world.entry_id("100051")
    for action, is_marked in (("mark", True), ("unmark", False), ("mark", True)):
        send(client, "/panel/invoices/mark", "/panel/invoices/", rowid=entry_id, do=action)
        assert world.row_of(entry_id).do_not_transfer is is_marked
    acts = [row for row in world.audit("invoice.marked") if row.object_id == str(entry_id)]
    assert len(acts) == 2
    assert {row.actor for row in acts} == {"bookkeeper@example.test"}


@pytest.mark.rule("R-FA-07")
def test_a_customer_is_kept_out_as_a_whole(office, client):
    world = office.fjord
    send(client, f"/panel/customers/{world.customer_id('c10001')}/mark", do="mark")
    assert world.held_in(world.preview())["100051"] == {"exclusion.customer"}
    assert world.entry_id("100051") not in with_envelope(client.get("/panel/invoices/").text)


@pytest.mark.rule("R-FA-07", "A-43")
def test_the_card_of_a_kept_out_customer_names_what_the_agency_has(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    customer_id = world.entry("100054").customer_id
    said = unescape(
        send(client, f"/panel/customers/{customer_id}/mark", f"/panel/customers/{customer_id}", do="mark").text
    )
    assert "Faktura 100054" in said
    assert "betalinger på den sendes fortsatt" in said
