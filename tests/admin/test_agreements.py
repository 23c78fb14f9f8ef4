"""Agreements, envelopes, files, the audit trail and what a person chooses for itself."""

from __future__ import annotations

import re
from html import unescape

import pytest
from sqlalchemy import text, update

from gateway.db.tables import Agreement, Envelope, InboundFile
from gateway.domain.calls import Answer, Request
from gateway.services import agreements, called, people, transfer
from tests.admin.office import PASSWORD, make_app, token
from tests.admin.reading import send


@pytest.mark.rule("R-OP-17")
def test_an_agreement_shows_last_and_next(worked):
    client = worked.login("bookkeeper@example.test")
    text = unescape(client.get("/panel/agreements/").text)
    assert re.search(r"Sist: 23\.11\.2026\s18:00, \d+ poster\. Neste: \S+\s\S+, \d+ poster, \d+ holdt\.", text)


@pytest.mark.rule("R-LS-09")
def test_an_agreement_without_start_up_load_recommends_it(office):
    client = office.login("admin@example.test")
    text = unescape(client.get(f"/panel/agreements/{office.fjord.agreement_id}").text)
    said = transfer.preview_startup(office.house, office.fjord.agreement_id)
    assert f"{said.open_invoices} åpne fakturaer på" in text


@pytest.mark.rule("R-LS-10")
def test_a_start_up_load_is_confirmed_once_and_repeated_with_a_reason(office):
    client = office.login("admin@example.test")
    page = f"/panel/agreements/{office.fjord.agreement_id}"
    send(client, f"{page}/load", page)
    assert office.fjord.agreement().startup_loaded_at is None, "loaded without a confirmed preview"
    send(client, f"{page}/load", page, confirmed="1")
    assert office.fjord.agreement().startup_loaded_at is not None
    said = unescape(send(client, f"{page}/load", page, confirmed="1", reason="").text)
    assert "alert-danger" in said
    assert len(office.fjord.audit("startup.loaded")) == 1
    send(client, f"{page}/load", page, confirmed="1", reason="the agency lost the file")
    assert len(office.fjord.audit("startup.loaded")) == 2


def test_the_settings_form_is_drawn_from_the_plugins_schema(office):
    client = office.login("admin@example.test")
    page = f"/panel/agreements/{office.fjord.agreement_id}"
    text = client.get(page).text
    for name in office.house.agencies["lowell"].profile.settings_schema["properties"]:
        assert f'name="plugin_{name}"' in text
    form = {
        "plugin_ledger_id": "NEW-1",
        "plugin_agency_id": "SANDBOX",
        "client_number": "4711",
        "may_create_cases": "1",
    }
    send(client, page, page, **form)
    assert office.fjord.agreement().settings["ledger_id"] == "NEW-1"
    assert office.fjord.agreement().transport["kind"] == "folder", "saving the form changed where files go"


def test_an_agreement_is_drafted_activated_and_ended(office):
    client = office.login("admin@example.test")
    form = {
        "agency": "lowell", "creditor": office.fjord.creditor_id, "service": "ledger", "client_number": "0042", "market": "SE",
        "currency": "SEK", "profile": office.house.agencies["lowell"].profile.layouts[0].name,
        "plugin_ledger_id": "L", "plugin_agency_id": "A",
    }  # fmt: skip
    send(client, "/panel/agreements/new", **form)
    (drafted,) = office.fjord.rows(Agreement, Agreement.client_number == "0042")
    assert drafted.state == "draft"
    page = f"/panel/agreements/{drafted.id}"
    assert "alert-danger" in send(client, f"{page}/activate", page).text, "active without a way to deliver"
    sftp = {
        "transport_kind": "sftp",
        "transport_host": "sftp.example",
        "transport_user": "u",
        "transport_host_key": "ssh-ed25519 A",
    }
    send(client, page, page, client_number="0042", plugin_ledger_id="L", plugin_agency_id="A", **sftp)
    send(client, f"{page}/activate", page)
    assert office.fjord.agreement(drafted.id).state == "active"
    send(client, f"{page}/end", page)
    assert office.fjord.agreement(drafted.id).state == "ended"


def test_the_way_to_an_api_is_typed_and_shown_and_a_wrong_one_named(office):
    client = office.login("admin@example.test")
    page = f"/panel/agreements/{office.fjord.agreement_id}"
    form = {
        "plugin_ledger_id": "X", "plugin_agency_id": "Y", "transport_kind": "https", "transport_auth_kind": "oauth2",
        "transport_token_url": "https://id.agency.example/token", "transport_client_id": "fjord",
    }  # fmt: skip
    refused = send(client, page, page, transport_base_url="http://api.agency.example", **form)
    assert "base_url" in refused.text
    assert office.fjord.agreement().transport["kind"] == "folder"
    send(client, page, page, transport_base_url="https://api.agency.example/v1", **form)
    auth = {"kind": "oauth2", "token_url": "https://id.agency.example/token", "client_id": "fjord"}
    way = {"kind": "https", "base_url": "https://api.agency.example/v1", "auth": auth}
    assert office.fjord.agreement().transport == way
    shown = client.get(page).text
    assert 'value="https://api.agency.example/v1"' in shown
    assert 'value="fjord"' in shown


def test_an_agency_that_fetches_needs_no_way(office):
    client = office.login("admin@example.test")
    form = {
        "agency": "esp", "creditor": office.fjord.creditor_id, "service": "reminder", "client_number": "77", "market": "NO",
        "currency": "NOK", "profile": "kravport-pull-1",
    }  # fmt: skip
    send(client, "/panel/agreements/new", **form)
    (row,) = office.fjord.rows(Agreement, Agreement.client_number == "77")
    page = f"/panel/agreements/{row.id}"
    send(client, page, page, client_number="77", transport_kind="pull")
    assert office.fjord.agreement(row.id).transport == {"kind": "pull"}
    assert '<option value="pull" selected>' in client.get(page).text


def test_the_calls_of_an_envelope_are_shown_and_those_without_an_answer_named(worked):
    office = worked
    client = office.login("admin@example.test")
    (envelope_id, *_) = [row.id for row in office.fjord.rows(Envelope)]
    journal = called.EnvelopeJournal(office.house, envelope_id)
    request = Request("POST", "/cases", body=b'{"number":"1001","ssn":"01018012345"}', private=("01018012345",))
    journal.begin("invoice:1:case", request)
    journal.answered("invoice:1:case", request, Answer(422, b'{"errors":"<b>bad</b>"}', {"location": "/cases/<i>7"}))
    for number in (2, 3):
        journal.begin(f"invoice:{number}:case", request)
    shown = client.get(f"/panel/envelopes/{envelope_id}?show=calls").text
    assert "&lt;b&gt;bad" in shown
    assert "location: /cases/&lt;i&gt;7" in shown
    assert "01018012345" not in shown
    assert "invoice:2:case" in shown
    with office.house.database.write() as connection:
        connection.execute(update(Envelope).where(Envelope.id == envelope_id).values(state="in_doubt"))
    told = client.get(f"/panel/envelopes/{envelope_id}").text.split("nav-tabs")[0]
    assert "invoice:2:case" in told
    assert "invoice:1:case" not in told
    page = f"/panel/envelopes/{envelope_id}"
    send(client, f"{page}/confirm", page, arrived="yes", call="invoice:2:case")
    with office.house.database.read() as connection:
        assert called.open_calls_of(connection, envelope_id) == ["invoice:3:case"], "each call is settled by itself"


def test_a_web_form_cannot_choose_a_folder_of_the_server(office):
    client = office.login("admin@example.test")
    page = f"/panel/agreements/{office.fjord.agreement_id}"
    before = office.fjord.agreement().transport
    form = {"transport_kind": "folder", "transport_root": "/etc", "plugin_ledger_id": "X", "plugin_agency_id": "Y"}
    send(client, page, page, **form)
    assert office.fjord.agreement().transport == before


def test_a_webhook_token_is_shown_once_and_a_secret_never(office):
    client = office.login("admin@example.test")
    page = f"/panel/agreements/{office.fjord.agreement_id}"
    shown = send(client, f"{page}/webhook", page).text
    address = re.search(r"/webhooks/lowell/([\w-]+)", shown)[1]
    assert len(address) > 30
    assert address not in client.get(page).text
    send(client, f"{page}/secret", page, name="webhook_secret", value="whsec_very_secret_value")
    assert agreements.secrets_of(office.house, office.fjord.agreement())["webhook_secret"] == "whsec_very_secret_value"
    for path in (page, "/panel/audit/", "/panel/audit/export.csv"):
        assert "very_secret" not in client.get(path).text


def test_the_chain_is_verified_and_a_changed_row_is_found(office):
    client = office.login("bookkeeper@example.test")
    assert "Kjeden er hel" in send(client, "/panel/audit/verify", "/panel/audit/").text
    with office.house.database.write() as connection:
        connection.execute(text("update audit_event set actor = 'nobody' where creditor_id = 1 and number = 3"))
    assert "Kjeden er brutt ved hendelse 3" in send(client, "/panel/audit/verify", "/panel/audit/").text


def test_a_quarantined_file_is_explained_replayed_and_set_aside(worked):
    client, world = worked.login("both@example.test"), worked.fjord
    file = max(world.rows(InboundFile, InboundFile.creditor_id == world.creditor_id), key=lambda row: row.id)
    assert file.state in {"quarantined", "refused"}
    page = f"/panel/inbound/{file.id}"
    assert "line 2" in client.get(page).text
    assert client.get(f"{page}/file").data.startswith(b"<?xml")
    send(client, f"{page}/set-aside", page, reason="")
    assert world.row(InboundFile, file.id).state == file.state, "set aside without a reason"
    send(client, f"{page}/set-aside", page, reason="sent again by the agency")
    assert world.row(InboundFile, file.id).state == "set_aside"
    send(client, f"{page}/replay", page)
    assert world.row(InboundFile, file.id).state == "stored"


def test_an_envelope_shows_content_bytes_and_answers(worked):
    client, world = worked.login("both@example.test"), worked.fjord
    envelope = min(world.rows(Envelope, Envelope.agreement_id == world.agreement_id), key=lambda row: row.id)
    page = f"/panel/envelopes/{envelope.id}"
    assert "invoiceNumber" in client.get(page).text
    answer = client.get(f"{page}/file")
    assert len(answer.data) == envelope.size == int(answer.headers["Content-Length"])
    assert "C-000001" in client.get(f"{page}?show=receipt").text
    assert "alert-danger" in send(client, f"{page}/resend", page, reason="").text
    assert "alert-danger" in send(client, f"{page}/confirm", page, arrived="yes").text, (
        "a receipted file is not in doubt"
    )


def test_failed_promises_are_tried_again_and_doubtful_ones_never_from_here(worked):
    client = worked.login("operator@example.test")
    with worked.house.database.write() as connection:
        ids = list(connection.execute(text("select id from outbox order by id")).scalars())
        connection.execute(text("update outbox set state = 'failed' where id = :id"), {"id": ids[0]})
        connection.execute(text("update outbox set state = 'in_doubt' where id = :id"), {"id": ids[1]})
    for task_id, state in ((ids[0], "pending"), (ids[1], "in_doubt")):
        send(client, f"/panel/jobs/{task_id}/retry", "/panel/jobs/")
        with worked.house.database.read() as connection:
            assert (
                connection.execute(text("select state from outbox where id = :id"), {"id": task_id}).scalar_one()
                == state
            )


def test_choices_are_remembered_with_the_account(office):
    client = office.login("admin@example.test")
    send(client, "/panel/choices/theme", value="dark")
    send(client, "/panel/choices/density", value="compact")
    send(client, "/panel/choices/creditor", value=office.other.creditor_id)
    page = office.login("admin@example.test").get("/panel/").text
    assert 'data-theme="dark"' in page
    assert 'data-density="compact"' in page
    assert "Sj\u00f6 AB" in page.split('class="name">')[1][:20]
    assert (
        client.post("/panel/choices/theme", data={"csrf_token": token(client, "/panel/"), "value": "x"}).status_code
        == 400
    )


def test_one_field_finds_invoice_customer_and_reference(office, client):
    entry_id = office.fjord.entry_id("100051")
    for words in ("100051", "0010005104"):
        assert client.get(f"/panel/find/?q={words}").location == f"/panel/invoices/{entry_id}"
    assert client.get("/panel/find/?q=furu").location.endswith(f"/{office.fjord.customer_id('c10003')}")
    assert "Ingen treff" in client.get("/panel/find/?q=%25").text


def test_an_empty_house_says_what_to_do(sqlite_house):
    people.add_user(sqlite_house, "new@example.test", PASSWORD, ["admin"], [], "nb", "test")
    client = make_app(sqlite_house).test_client()
    client.post("/login", data={"email": "new@example.test", "password": PASSWORD, "csrf_token": token(client)})
    for page in (
        "",
        "invoices/",
        "payments/",
        "customers/",
        "agreements/",
        "envelopes/",
        "inbound/",
        "jobs/",
        "factoring/",
        "audit/",
    ):
        assert client.get(f"/panel/{page}").status_code == 200
    assert "Klar for den første kvelden" in client.get("/panel/").text
