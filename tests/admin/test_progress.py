"""What the panel shows of a large file while it is stored and read, and of books that are being worked on."""

from __future__ import annotations

import io

import pytest
from lxml import html
from sqlalchemy import insert, update

from admin.texts import LANGUAGES, text
from gateway.db.tables import FileProgress, InboundFile
from gateway.errors import Busy
from gateway.services import inbound
from tests.admin.office import token
from tests.admin.reading import speak


def tell(office, file_id, stage, done, rows, creditor_id=None):
    told = {
        "token": f"{file_id}-{stage}", "creditor_id": creditor_id or office.fjord.creditor_id, "inbound_file_id": file_id,
        "filename": "arriving.xml", "stage": stage, "done": done, "total": 200, "rows": rows,
        "started_at": office.clock(), "at": office.clock(),
    }  # fmt: skip
    with office.house.database.write() as connection:
        connection.execute(insert(FileProgress).values(told))


@pytest.fixture
def reading(office):
    """A file that is being read; gives its id."""
    stored = inbound.store_own(office.house, office.fjord.creditor_id, "file", "large.xml", io.BytesIO(b"bytes"))
    with office.house.database.write() as connection:
        connection.execute(update(InboundFile).values(state="reading"))
    return stored.inbound_file_id


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", ["reading", "matching", "posting"])
def test_stage_per_cent_and_rows_stand_in_list_and_page(office, reading, stage, language):
    tell(office, reading, stage, 90, 812_000)
    client = speak(office.login("both@example.test"), language)
    said = text(language, f"inbound.stage_{stage}", percent=45, n=812_000)
    assert "45 %" in said
    for address in ("/panel/inbound/?tab=reading", f"/panel/inbound/{reading}"):
        page = client.get(address).text
        assert said in " ".join(html.fromstring(page).text_content().split())
        assert "data-reload" in page
    bar = html.fromstring(client.get(f"/panel/inbound/{reading}").text).xpath("//progress")[0]
    assert (bar.get("value"), bar.get("max")) == ("45", "100")


def test_a_file_on_its_way_in_is_shown_to_its_creditor_only(office, client):
    tell(office, None, "storing", 50, 0)
    page = client.get("/panel/inbound/?tab=reading").text
    assert "arriving.xml" in page
    assert text("nb", "inbound.stage_storing", percent=25) in page
    with office.house.database.write() as connection:
        connection.execute(update(FileProgress).values(creditor_id=office.other.creditor_id))
    assert "arriving.xml" not in client.get("/panel/inbound/?tab=reading").text


def test_a_page_with_nothing_to_wait_for_does_not_reload(office, client):
    assert "data-reload" not in client.get("/panel/inbound/?tab=reading").text
    assert "data-reload" not in client.get("/panel/inbound/").text


def test_books_that_are_worked_on_are_told_as_such(office, reading, monkeypatch):
    def busy(*_):
        raise Busy("at work")

    monkeypatch.setattr(inbound, "replay", busy)
    client = office.login("both@example.test", "en")
    address = f"/panel/inbound/{reading}"
    form = {"csrf_token": token(client, "/panel/"), "back": address}
    answer = client.post(f"{address}/replay", data=form, follow_redirects=True)
    assert answer.status_code == 200
    assert text("en", "error.busy") in html.fromstring(answer.text).text_content()
