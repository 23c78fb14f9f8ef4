"""The page of an inbound payment file: its records as ``kravport explain`` shows them, in pages, persons masked."""

from __future__ import annotations

import io

import pytest
from lxml import html

from admin.texts import LANGUAGES
from gateway.formats.view import FIRST
from gateway.formats.view.words import catalogue
from gateway.services import inbound
from gateway.testing.bgmax_files import BgPayment, BgSection, bgmax_file
from gateway.testing.payment_files import OcrPayment, ocr_file, random_ocr_payments
from tests.admin.office import HOSTILE
from tests.admin.reading import speak
from tests.admin.test_browser import browser, visit  # noqa: F401 - fixtures

SOLE_TRADER = "8507099805"  # of the Swedish tax agency's test numbers


@pytest.fixture
def stored(office):
    """Store and read a file of the own bank; gives the address of its page."""

    def store(data, name="file.txt"):
        got = inbound.store_own(office.house, office.fjord.creditor_id, "file", name, io.BytesIO(data))
        inbound.process(office.house, got.inbound_file_id)
        return f"/panel/inbound/{got.inbound_file_id}"

    return store


def articles(text):
    return [found.get("id") for found in html.fromstring(text).xpath("//article[contains(@class, 'rec')]")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_field_is_named_in_the_readers_language(office, stored, language):
    client = speak(office.login("both@example.test"), language)
    text = client.get(stored(ocr_file([[OcrPayment(1250_50, "2345676")]]))).text
    for section, key in (("record", "ocr.AmountItem1"), ("field", "settlement_date"), ("code", "ocr.sign.0")):
        assert catalogue()[section][key][language] in text
    assert "00000000000125050" in text


def test_a_long_file_comes_in_pages(office, stored):
    client = speak(office.login("both@example.test"), "nb")
    data = ocr_file([random_ocr_payments(1, 60)])
    page, count = stored(data), data.count(b"\n")
    seen, address = [], page
    while address:
        text = client.get(address).text
        seen += articles(text)
        links = html.fromstring(text).xpath("//a[@rel='next']/@href")
        address = links[0] if links else None
    assert seen == [f"record-{number}" for number in range(1, count + 1)]
    assert f"Post 1 til {FIRST} av {count}" in client.get(page).text
    assert 'rel="prev"' in client.get(f"{page}?record={FIRST + 1}").text


@pytest.mark.parametrize("number", ["0", "-1", "x", "9" * 30, "99999999"])
def test_a_page_that_is_not_there_is_still_a_page(office, stored, number):
    page = stored(ocr_file([[OcrPayment(100, "19")]]))
    assert office.login("both@example.test").get(f"{page}?record={number}").status_code == 200


def test_a_finding_leads_to_its_record(office, stored):
    payments = [OcrPayment(100, "19")] * 100
    lines = ocr_file([payments]).split(b"\n")
    lines[150] = lines[150][:33] + b"X" + lines[150][34:]
    text = office.login("both@example.test").get(stored(b"\n".join(lines))).text
    assert articles(text)[-1] == "record-151", "a record with a finding is shown although it stands far behind"
    assert '<a href="#record-151">line 151, ' in text


def test_a_sole_traders_number_is_masked(office, stored):
    payment = BgPayment(100, "19", name="Märta", organisation_number=f"00{SOLE_TRADER}")
    text = office.login("both@example.test").get(stored(bgmax_file([BgSection((payment,))]))).text
    assert "Märta" in text
    assert SOLE_TRADER not in text
    assert "*" * 8 + SOLE_TRADER[-2:] in text


def test_what_stands_in_the_file_is_never_markup(office, stored):
    payment = OcrPayment(100, "", kind="21", text=HOSTILE)
    text = office.login("both@example.test").get(stored(ocr_file([[payment]]))).text
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_what_is_no_payment_file_is_shown_as_it_came(office, stored):
    text = office.login("both@example.test").get(stored(b"%PDF-1.4 rest")).text
    assert articles(text) == []
    assert "%PDF-1.4" in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_and_a_line_is_moved_by_keyboard(office, stored, visit, width):  # noqa: F811
    page = stored(ocr_file([[OcrPayment(1250_50, "2345676")]]))
    visitor = visit(office, viewport={"width": width, "height": 900})
    window = visitor.login("both@example.test")
    visitor.open(page)
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    line = window.locator(".rec-line").nth(2)
    line.focus()
    before = line.evaluate("box => box.scrollLeft")
    window.keyboard.press("ArrowRight")
    window.wait_for_function("([box, before, fits]) => fits || box.scrollLeft > before", arg=[
        line.element_handle(), before, line.evaluate("box => box.scrollWidth <= box.clientWidth")
    ])  # fmt: skip
    assert line.evaluate("box => box.scrollWidth <= box.clientWidth") == (width > 390)
