"""An office to look at: two creditors with agreements, a ledger with something of everything, and three people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask

from admin import register_panel
from gateway.domain.exchange import CustomerKind
from gateway.domain.ledger import EntryKind
from gateway.services import marks, people
from tests.rules.world import World

PASSWORD = "a long enough password"
HOSTILE = "<script>alert(1)</script>"
FORMULA = "=1+1"
SECRET_KEY = "a panel key that no installation has"


@dataclass
class Office:
    """What the tests of the panel stand in. *fjord* is the reader's creditor, *other* somebody else's."""

    house: Any
    clock: Any
    fjord: World
    other: World
    app: Flask

    def login(self, email: str, language: str = "nb") -> Any:
        """Return a test client that is logged in."""
        client = self.app.test_client()
        answer = client.post("/login", data={"email": email, "password": PASSWORD, "csrf_token": token(client)})
        assert answer.status_code == 302, answer.text
        return client


def token(client: Any, path: str = "/login") -> str:
    """Return the token of the form on a page."""
    page = client.get(path, follow_redirects=True).text
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def make_app(house: Any) -> Flask:
    """Return a small application with nothing but the panel."""
    app = Flask("panel_alone", static_folder=None)
    register_panel(app, house, secret_key=SECRET_KEY)
    app.testing = False
    return app


def open_office(house: Any, clock: Any, root: Path) -> Office:
    """Make everything."""
    fjord = World(house, clock, root / "fjord", key="fjord").start()
    other = World(house, clock, root / "other", "intrum", country="SE", currency="SEK", key="sjo").start()
    fjord.use_factoring()
    _ledger(fjord)
    other.customer("90001", name="Somebody Else's Customer")
    other.invoice("70001", 100, "c90001", payment_reference="0070001")
    add_people(house, fjord.creditor_id)
    return Office(house, clock, fjord, other, make_app(house))


def add_people(house: Any, creditor_id: int) -> None:
    """Add one person of each role."""
    for role in people.ROLES:
        creditors = [] if role == "admin" else [creditor_id]
        people.add_user(house, f"{role}@example.test", PASSWORD, [role], creditors, "nb", "test")
    people.add_user(house, "both@example.test", PASSWORD, ["bookkeeper", "operator"], [creditor_id], "en", "test")


def _ledger(world: World) -> None:
    world.customer("10001")
    world.customer("10002", name="Bjørk Bygg AS", organisation_number="999999948")
    world.customer("10003", name="Furu Møbler AS", organisation_number="", address1="", city="")
    world.customer("10004", name=HOSTILE, organisation_number="999999913", address2=FORMULA)
    world.customer("10005", name=FORMULA, kind=CustomerKind.PRIVATE, organisation_number="")
    world.invoice("100051", 33000, "c10001", payment_reference="0010005104")
    world.invoice("100052", 12500, "c10002")
    world.invoice("100053", 4290, "c10003")
    world.invoice("100054", 1250, "c10004", text=HOSTILE)
    world.invoice("100055", 640.5, "c10005", text=FORMULA)
    world.invoice("100056", 8940, "c10002", booked=date(2026, 10, 27), due=date(2026, 11, 10))
    world.invoice("100001", 10000, "c10001")
    world.invoice("100002", 15000, "c10001")
    world.payment("152", 10000)
    world.credit_note("100003", 15000, "100002")
    world.link("100001", "152", "100002", "100003")
    world.payment("153", 500, customer="c10002")
    world.item("300", EntryKind.OTHER, -100, "c10002", counter_account="7830")
    world.link("100056", "300")
    marks.mark_invoice(world.house, world.entry_id("100052"), True, "bookkeeper@example.test")


def work_an_evening(office: Office) -> None:
    """Live through 18:00 and the night at both creditors, so that envelopes, receipts, files and payments exist."""
    for world, paid, kroner in ((office.fjord, "100051", 33000), (office.other, "70001", 100)):
        world.evening()
        world.far.night()
        world.far.pay(paid, kroner)
        world.far.tell("ocr_giro" if world is office.fjord else "payments")
        world.take_file("broken.xml", b"<?xml version='1.0'?>\n<Document><oops></Document>")
    office.fjord.invoice("100060", 7777, "c10001", payment_reference="0010006001")
    office.fjord.invoice("100061", 4500, "c10002")


def some_id(world: World, mapped: Any) -> int:
    """Return the newest id of a table that belongs to a world's creditor."""
    if mapped.__tablename__ == "envelope":
        return max(row.id for row in world.rows(mapped, mapped.agreement_id == world.agreement_id))
    return max(row.id for row in world.rows(mapped, mapped.creditor_id == world.creditor_id))
