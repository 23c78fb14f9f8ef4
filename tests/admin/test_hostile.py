"""Names with scripts and formulas in every page and export; strict headers everywhere (P19)."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import admin
from admin.export import safe_cell
from tests.admin.office import FORMULA, HOSTILE, token
from tests.admin.test_crawler import address, pages

TEMPLATES = sorted((Path(admin.__file__).parent / "templates").rglob("*.html"))


class Reader(HTMLParser):
    """Collects what a strict content policy forbids."""

    def __init__(self):
        super().__init__()
        self.faults, self.scripts, self.ids = [], 0, []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.faults += [f"{tag} {name}" for name in named if name.startswith("on") or name == "style"]
        if tag == "script":
            self.scripts += 1
            if not named.get("nonce") or not named.get("src", "").startswith("/assets/"):
                self.faults.append(f"script {named}")
        if tag == "style" or (tag == "link" and not str(named.get("href")).startswith("/assets/")):
            self.faults.append(f"{tag} {named}")
        if "id" in named:
            self.ids.append(named["id"])


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def test_no_page_runs_what_a_customer_is_called(worked):
    client = worked.login("admin@example.test")
    seen = 0
    for rule in pages(worked.app):
        for query in ("", "?tab=all", "?show=receipt", "?tab=posted", "?tab=sent", f"?q={HOSTILE}"):
            answer = client.get(address(rule, worked.fjord) + query, follow_redirects=True)
            answer.get_data()  # a stream that nobody reads keeps its request open
            if "html" not in answer.content_type:
                continue
            assert HOSTILE not in answer.text, f"{rule.rule}{query} shows a script as it is"
            seen += "&lt;script&gt;" in answer.text
            found = read(answer.text)
            assert not found.faults, f"{rule.rule}: {found.faults}"
            assert found.scripts == 1, f"{rule.rule} has {found.scripts} scripts"
            assert len(found.ids) == len(set(found.ids)), f"{rule.rule}{query} has an id twice"
    assert seen > 3, "the hostile name was hardly shown, so nothing was tested"


def test_the_card_of_the_hostile_customer(office):
    client = office.login("admin@example.test")
    text = client.get(f"/panel/customers/{office.fjord.customer_id('c10004')}").text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    assert FORMULA in text


def test_headers_are_strict_on_every_answer(office):
    client = office.login("admin@example.test")
    nonces = set()
    for path in ("/panel/", "/login", "/panel/nothing", "/assets/panel.css", "/panel/invoices/"):
        answer = client.get(path, buffered=True)
        answer.close()
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        nonces.add(policy.split("'nonce-")[1].split("'")[0])
        if not path.startswith("/assets"):
            assert answer.headers["Cache-Control"] == "no-store"
    assert len(nonces) == 5, "a nonce was used twice"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_inline_behaviour(path):
    text = path.read_text()
    assert not re.search(r"\son[a-z]+\s*=|\sstyle\s*=|javascript:", text), "an inline handler or style"
    assert "|safe" not in text.replace("{{ sprite()|safe }}", ""), "something is shown unescaped"


@pytest.mark.parametrize("page", ["invoices", "payments", "audit"])
def test_exports_hold_no_formula(worked, page):
    client = worked.login("bookkeeper@example.test")
    answer = client.get(f"/panel/{page}/export.csv?tab=posted" if page == "payments" else f"/panel/{page}/export.csv")
    assert answer.content_type.startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff")), delimiter=";"))
    assert len(rows) > 1 or page == "payments"
    for cell in (cell for row in rows for cell in row):
        assert not cell.startswith(("=", "+", "@", "\t")), f"{cell} would be run"


def test_the_formula_customer_is_exported_as_text(office):
    text = office.login("bookkeeper@example.test").get("/panel/invoices/export.csv").text
    assert f";'{FORMULA};" in text


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("  =cmd()", "'  =cmd()"),
        ("+47 22", "'+47 22"),
        ("@sum", "'@sum"),
        ("-2+3", "'-2+3"),
        ("\tx", "'\tx"),
        ("-12,50", "-12,50"),
        ("Fjord AS", "Fjord AS"),
        (None, ""),
        (17, "17"),
    ],
)
def test_a_cell(cell, safe):
    assert safe_cell(cell) == safe


def test_downloads_are_never_shown_by_the_browser(worked):
    client = worked.login("admin@example.test")
    for rule in pages(worked.app):
        if rule.rule.endswith("/file"):
            answer = client.get(address(rule, worked.fjord), buffered=True)
            assert answer.headers["Content-Disposition"].startswith("attachment;")
            assert answer.content_type == "application/octet-stream"


def test_a_stale_form_says_so_in_words(office):
    client = office.login("admin@example.test")
    answer = client.post("/panel/choices/theme", data={"value": "dark", "csrf_token": "old"})
    assert answer.status_code == 400
    assert "Ingenting er endret" in answer.text


def test_too_large_a_form_is_refused(office):
    client = office.login("admin@example.test")
    form = {"csrf_token": token(client, "/panel/"), "value": "x" * (2 << 20)}
    assert client.post("/panel/choices/theme", data=form).status_code == 413
