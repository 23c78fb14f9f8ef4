"""The panel in a real browser: the three things a bookkeeper does, small screens, keys, and what a page must not do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from admin.screenshots import chromium
from tests.admin.office import PASSWORD
from tests.admin.reading import TOOLTIP
from tests.admin.test_crawler import address, pages

pytestmark = pytest.mark.browser
WAIT_MS = 15_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield started
        started.close()


class Visitor:
    """A person at a browser; collects what no page may do."""

    def __init__(self, browser: Browser, base: str, **options) -> None:
        self.base, self.faults = base, []
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        self.context.set_default_timeout(WAIT_MS)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        self.page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        self.page.on("request", self._seen)

    def _seen(self, request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc:
            self.faults.append(f"asked {request.url}")

    def login(self, email="bookkeeper@example.test") -> Page:
        self.page.goto(f"{self.base}/login")
        self.page.fill("#email", email)
        self.page.fill("#password", PASSWORD)
        self.page.press("#password", "Enter")
        self.page.wait_for_url("**/panel/")
        return self.page

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page


def serve(office) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, office.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def visit(browser, request) -> Iterator:
    """Return a function that opens a browser window on an office; at the end no page may have misbehaved."""
    opened, servers = [], []

    def open_(office, **options) -> Visitor:
        server = serve(office)
        servers.append(server)
        opened.append(Visitor(browser, next(server), **options))
        return opened[-1]

    yield open_
    for visitor in opened:
        visitor.context.close()
    for server in servers:
        next(server, None)
    faults = [fault for visitor in opened for fault in visitor.faults]
    assert not faults, faults


@pytest.mark.rule("R-FA-06", "R-FA-08")
def test_mark_an_invoice_and_see_the_envelope_go(office, visit):
    visitor = visit(office)
    page = visitor.login()
    page.click("nav >> text=Ordre/faktura")
    row = page.locator("tr", has_text="100051")
    expect(row.locator("a.env")).to_have_count(1)
    expect(page.locator("[data-bulk-actions]")).to_be_hidden()
    row.locator("input[name=rowid]").check()
    expect(page.locator("[data-bulk-text]")).to_have_text("1 valgt, 33\N{NO-BREAK SPACE}000,00\N{NO-BREAK SPACE}NOK")
    page.click("text=Merk «ikke overføre»")
    expect(page.locator(".alert-success")).to_contain_text("1 faktura merket")
    row = page.locator("tr", has_text="100051")
    expect(row.locator("a.env")).to_have_count(0)
    expect(row).to_contain_text("Ikke overføre")
    assert office.fjord.entry("100051").do_not_transfer


@pytest.mark.rule("R-CD-07", "R-CD-08")
def test_mend_a_customer_and_see_the_invoice_become_ready(office, visit):
    visitor = visit(office)
    page = visitor.login()
    page.locator("tr", has_text="Postadressen er ikke fullstendig").locator("text=Rett kunden").click()
    assert page.evaluate("document.activeElement.id") == "address1", "the cursor is not in the field"
    page.fill("#address1", "Storgata 2")
    page.fill("#city", "BERGEN")
    page.keyboard.press("Control+s")
    expect(page.locator(".alert-success")).to_contain_text("Fakturaene går av seg selv")
    visitor.open("/panel/invoices/")
    expect(page.locator("tr", has_text="100053").locator("a.env")).to_have_count(1)


@pytest.mark.rule("R-PM-03", "R-PM-04")
def test_post_payments_and_see_the_invoice_closed(worked, visit):
    visitor = visit(worked)
    page = visitor.login()
    page.click("nav >> text=Innbetalinger")
    expect(page.locator("tbody tr")).to_contain_text(["Lowell"])
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("[data-bulk-button]")).to_have_text("Bokfør")
    page.keyboard.press("b")
    expect(page.locator(".alert-success")).to_contain_text("1 innbetaling bokført, 1 faktura lukket.")
    visitor.open(f"/panel/invoices/{worked.fjord.entry_id('100051')}")
    expect(page.locator("h1")).to_contain_text("Betalt")
    assert worked.fjord.open("100051") == 0


@pytest.mark.rule("R-FA-09")
def test_keyboard_focus_shows_the_tooltip(office, visit):
    page = visit(office).login()
    page.click("nav >> text=Ordre/faktura")
    envelope = page.locator("a.env").first
    page.locator("thead input").focus()
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "env":
            break
    shown = page.evaluate("getComputedStyle(document.activeElement, '::after').content")
    assert shown == f'"{TOOLTIP["nb"]}"'
    assert envelope.get_attribute("title") == TOOLTIP["nb"]


def test_keys_and_menus(office, visit):
    page = visit(office).login()
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.wait_for_url("**/panel/invoices/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("jx")
    expect(page.locator("tr.is-selected")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("tr.is-selected")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("tr.is-selected")).to_have_count(0)
    page.locator("summary[aria-label=Visning]").click()
    expect(page.locator("button", has_text="Mørkt")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("button", has_text="Mørkt")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("100051")
    page.keyboard.press("Enter")
    page.wait_for_url("**/panel/invoices/*")
    expect(page.locator("h1")).to_contain_text("Faktura 100051")


def test_dark_mode_and_language_hold(office, visit):
    page = visit(office).login()
    page.locator("summary[aria-label=Visning]").click()
    page.click("button:has-text('Mørkt')")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 20, 23)"
    page.locator("summary", has_text="NO").click()
    page.click("button:has-text('Svenska')")
    expect(page.locator("html")).to_have_attribute("lang", "sv")
    expect(page.locator("nav[aria-label=Huvudmeny]")).to_contain_text("Inbetalning")


@pytest.mark.parametrize("width", [390, 1280, 2560])
def test_every_page_fits_its_window_and_names_its_parts(worked, visit, width):
    visitor = visit(worked, viewport={"width": width, "height": 844})
    page = visitor.login("admin@example.test")
    for rule in pages(worked.app):
        if rule.rule.endswith((".csv", "/file")) or rule.endpoint == "panel_choices.index_view":
            continue
        visitor.open(address(rule, worked.fjord))
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{rule.rule} scrolls sideways by {overflow} px at {width}"
        assert page.locator("h1").count() == 1, f"{rule.rule} has not one heading of the first level"
        nameless = page.evaluate(NAMELESS)
        assert not nameless, f"{rule.rule}: {nameless}"
    assert width == 1280 or not page.locator("nav h2").first.is_visible() or width == 2560


NAMELESS = """() => {
  const named = (e) => (e.getAttribute("aria-label") || e.getAttribute("title") || e.textContent || "").trim()
    || (e.labels && [...e.labels].some((l) => l.textContent.trim()));
  const parts = [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea")];
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  return parts.filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 120))
    .concat(ids.filter((id, n) => ids.indexOf(id) !== n).map((id) => "twice: " + id))
    .concat([...document.querySelectorAll("th:not([scope])")].map((e) => "no scope: " + e.textContent))
    .concat([...document.querySelectorAll("[aria-describedby], [aria-labelledby]")]
      .flatMap((e) => (e.getAttribute("aria-describedby") || e.getAttribute("aria-labelledby")).split(" "))
      .filter((id) => !document.getElementById(id)).map((id) => "points nowhere: " + id));
}"""


def test_marking_works_without_script(office, visit):
    visitor = visit(office, java_script_enabled=False)
    page = visitor.login()
    visitor.open("/panel/invoices/")
    page.locator("tr", has_text="100051").locator("input[name=rowid]").check()
    page.click("text=Merk «ikke overføre»")
    expect(page.locator(".alert-success")).to_contain_text("1 faktura merket")
    page.locator("summary", has_text="NO").click()
    page.click("button:has-text('English')")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_an_injected_script_does_not_run(office, visit):
    """The content policy is the second net: even markup that slipped through would not run."""
    visitor = visit(office)
    page = visitor.login()
    ran = page.evaluate("""() => { const s = document.createElement("div");
        s.innerHTML = "<img src=x onerror='window.ran = true'>"; document.body.append(s);
        return new Promise((done) => setTimeout(() => done(Boolean(window.ran)), 500)); }""")
    assert ran is False
    assert visitor.faults, "the policy did not object"
    visitor.faults.clear()
