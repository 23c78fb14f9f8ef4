"""Every route with every role and with another tenant's ids (P19): nothing foreign is read, nothing changes unasked."""

from __future__ import annotations

import re

import pytest
from flask_admin.base import BaseView
from sqlalchemy import select

from admin.access import DOERS, READERS
from admin.base import _Closed
from admin.views import INDEX, VIEWS
from gateway.db.tables import Base, Customer, Envelope, InboundFile, IncomingPayment, LedgerEntry
from gateway.services.people import ROLES
from tests.admin.office import some_id, token

OPEN_TO_ALL = {"/login", "/logout", "/panel/language", "/", "/panel", "/assets/<path:filename>", "/verify"}
CACHES = {"customer_check"}
"""What a page may write although it only shows: the checks of changed cards, which the run would write alike."""


def routes(app):
    return [rule for rule in app.url_map.iter_rules() if _is_page(rule)]


def _is_page(rule):
    return rule.rule.startswith("/panel") and rule.rule not in OPEN_TO_ALL and not rule.endpoint.endswith(".static")


def pages(app):
    return [rule for rule in routes(app) if "GET" in rule.methods]


def changes(app):
    return [rule for rule in routes(app) if "POST" in rule.methods]


def address(rule, world):
    ids = {
        "entry_id": some_id(world, LedgerEntry),
        "customer_id": some_id(world, Customer),
        "agreement_id": world.agreement_id,
        "envelope_id": some_id(world, Envelope),
        "file_id": some_id(world, InboundFile),
        "payment_id": some_id(world, IncomingPayment),
        "creditor_id": world.creditor_id,
        "task_id": 1,
        "name": "theme",
    }
    return re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", lambda found: str(ids[found[1]]), rule.rule)


def contents(office):
    """Everything stored, table by table, except caches."""
    found = {}
    with office.house.database.read() as connection:
        for table in Base.metadata.sorted_tables:
            if table.name not in CACHES:
                found[table.name] = [tuple(row) for row in connection.execute(select(table))]
    return found


def view_of(app, rule):
    return app.view_functions[rule.endpoint]


def test_every_page_derives_from_the_closed_base():
    for view in (INDEX, *VIEWS):
        assert issubclass(view, _Closed), f"{view.__name__} is open by default"
        assert issubclass(view, BaseView)
        assert view.key in READERS, f"{view.__name__} stands in no row of the access table"


def test_every_changing_route_names_an_act_of_the_access_table(office):
    assert changes(office.app), "the crawler saw no changing route at all"
    for rule in changes(office.app):
        assert "GET" not in rule.methods or rule.rule == "/panel/agreements/new", f"{rule.rule} changes and shows"
        name = rule.endpoint.partition(".")[2]
        view = next(v for v in (INDEX, *VIEWS) if rule.endpoint.startswith(f"panel_{v.key}."))
        assert getattr(getattr(view, name), "_panel_act", None) in DOERS, f"{rule.rule} names no act"


def test_flask_admins_own_changing_routes_do_not_exist(office):
    for rule in office.app.url_map.iter_rules():
        last = rule.endpoint.partition(".")[2]
        assert last not in {
            "create_view",
            "edit_view",
            "delete_view",
            "action_view",
            "ajax_update",
            "ajax_lookup",
            "export",
        }


def test_strangers_are_sent_to_the_login(worked):
    client = worked.app.test_client()
    for rule in pages(worked.app):
        answer = client.get(address(rule, worked.fjord))
        assert answer.status_code == 302, f"{rule.rule} answered {answer.status_code}"
        assert "/login" in answer.location


def test_strangers_change_nothing_even_with_a_token(worked):
    client = worked.app.test_client()
    form = {"csrf_token": token(client)}
    before = contents(worked)
    for rule in changes(worked.app):
        answer = client.post(address(rule, worked.fjord), data=form)
        assert answer.status_code in {302, 403}, f"{rule.rule} answered {answer.status_code}"
    assert contents(worked) == before


@pytest.mark.parametrize("role", ROLES)
def test_pages_open_for_their_readers_only_and_change_nothing(worked, role):
    client = worked.login(f"{role}@example.test")
    before = contents(worked)
    for rule in pages(worked.app):
        key = rule.endpoint.partition(".")[0].removeprefix("panel_")
        answer = client.get(address(rule, worked.fjord))
        if role in READERS[key]:
            assert answer.status_code in {200, 302}, f"{role} at {rule.rule}: {answer.status_code}"
        else:
            assert answer.status_code == 403, f"{role} may read {rule.rule}"
        answer.get_data()
    assert contents(worked) == before, "a page changed something"


@pytest.mark.parametrize("role", ROLES)
def test_no_change_without_a_token(worked, role):
    client = worked.login(f"{role}@example.test")
    before = contents(worked)
    for rule in changes(worked.app):
        for headers in ({}, {"X-CSRFToken": "made-up"}):
            answer = client.post(address(rule, worked.fjord), data={"rowid": "1"}, headers=headers)
            assert answer.status_code == 400, f"{rule.rule} took a form without token: {answer.status_code}"
    assert contents(worked) == before


@pytest.mark.parametrize("role", ROLES)
def test_acts_of_other_roles_are_refused(worked, role):
    client = worked.login(f"{role}@example.test")
    form = {"csrf_token": token(client, "/panel/")}
    before = contents(worked)
    tried = 0
    for rule in changes(worked.app):
        view = next(v for v in (INDEX, *VIEWS) if rule.endpoint.startswith(f"panel_{v.key}."))
        name = getattr(view, rule.endpoint.partition(".")[2])._panel_act
        if role not in DOERS[name] or role not in READERS[view.key]:
            tried += 1
            assert client.post(address(rule, worked.fjord), data=form).status_code == 403, f"{role} may do {rule.rule}"
    assert contents(worked) == before
    assert tried or role == "admin"


@pytest.mark.parametrize("who", ["bookkeeper", "operator", "both"])
def test_another_tenants_things_do_not_exist(worked, who):
    client = worked.login(f"{who}@example.test")
    form = {"csrf_token": token(client, "/panel/"), "reason": "x", "number": "1", "arrived": "yes", "other": "1"}
    before = contents(worked)
    for rule in routes(worked.app):
        path = address(rule, worked.other)
        if path == address(rule, worked.fjord) or "task_id" in rule.rule:
            continue
        for method in rule.methods & {"GET", "POST"}:
            answer = client.open(path, method=method, data=form if method == "POST" else None)
            assert answer.status_code in {403, 404}, f"{method} {rule.rule} with a foreign id: {answer.status_code}"
            assert "Somebody Else" not in answer.text
    assert contents(worked) == before


@pytest.mark.parametrize("who", ["bookkeeper", "operator", "both"])
def test_lists_hold_nothing_of_another_tenant(worked, who):
    client = worked.login(f"{who}@example.test")
    for rule in pages(worked.app):
        if "<" in rule.rule:
            continue
        for query in ("", "?tab=all", "?q=Somebody", "?q=70001", "?chain=0"):
            text = client.get(rule.rule + query).text
            shown = [name for name in ("Somebody Else", "Sj\u00f6 AB") if name in text]
            assert not shown, f"{rule.rule}{query} shows a foreign name"


def test_bulk_acts_with_foreign_ids_change_nothing(worked):
    client = worked.login("bookkeeper@example.test")
    form = {"csrf_token": token(client, "/panel/")}
    foreign_entry, foreign_payment = some_id(worked.other, LedgerEntry), some_id(worked.other, IncomingPayment)
    foreign_card = some_id(worked.other, Customer)
    before = contents(worked)
    assert client.post("/panel/invoices/mark", data=form | {"rowid": foreign_entry}).status_code == 404
    assert client.post("/panel/payments/post", data=form | {"rowid": foreign_payment}).status_code == 404
    assert client.post("/panel/customers/correct", data=form | {f"{foreign_card}:name": "Mine"}).status_code == 404
    assert client.post("/panel/choices/creditor", data=form | {"value": worked.other.creditor_id}).status_code == 404
    own = worked.fjord.entry_id("100061")
    assert client.post(f"/panel/invoices/{own}/link", data=form | {"other": foreign_entry}).status_code == 404
    assert contents(worked) == before


@pytest.mark.parametrize(
    "path", ["/panel/invoices/0", "/panel/invoices/99999999999999999999", "/panel/nothing", "/panel/invoices/abc"]
)
def test_what_does_not_exist_is_not_found(office, path):
    answer = office.login("admin@example.test").get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("bad", ["-1", "abc", "1;drop", "9" * 40, ""])
def test_odd_row_ids_are_refused(office, bad):
    client = office.login("admin@example.test")
    answer = client.post("/panel/invoices/mark", data={"csrf_token": token(client, "/panel/"), "rowid": bad})
    assert answer.status_code == 400


def test_a_form_leads_back_to_our_own_pages_only(office):
    client = office.login("admin@example.test")
    for target in ("https://evil.example/", "//evil.example/panel/", "/panel/\\evil", "javascript:alert(1)", "/login"):
        form = {"csrf_token": token(client, "/panel/"), "value": "dark", "back": target}
        answer = client.post("/panel/choices/theme", data=form)
        assert answer.location == "/panel/choices/", f"{target} was followed to {answer.location}"
