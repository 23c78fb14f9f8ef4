"""ESP: two layouts, neither of them ESP's; each handed over, answered and paid as far as it goes (esp.md)."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.domain.exchange import Can, Service
from gateway.errors import DataError, Refused
from gateway.services import agreements
from gateway.testing.agency_kit import NOW
from plugins.esp import SCHEMA, plugin
from plugins.esp.sandbox import make_sandbox
from plugins.intrum import SCHEMA as INTRUM_SCHEMA
from tests.rules.world import ACTOR, World

NK003 = {"service": "collection", "profile": "nk003-advanced", "settings": {"our_reference": "Kari"}}
SLS = {"profile": "kravport-sls-1", "settings": {"ledger_id": "4711-NOK", "agency_id": "SANDBOX"}}
LONG_DUE = {"booked": date(2026, 10, 1), "due": date(2026, 10, 15), "reminder_date": date(2026, 10, 30)}


def world_of(house, clock, tmp_path, **options):
    return World(house, clock, tmp_path, "esp", options=options).start()


@pytest.mark.rule("R-RM-04", "A-25")
def test_esp_shows_no_layout_as_its_own_and_says_what_is_missing():
    profile = plugin.agency_profile()
    assert profile.services == {Service.REMINDER, Service.COLLECTION}
    assert Can.MARK_FACTORING not in profile.can
    assert [(layout.name, layout.confirmed) for layout in profile.layouts] == [
        ("kravport-sls-1", False),
        ("nk003-advanced", False),
        ("kravport-pull-1", True),
    ]
    assert profile.layouts[2].title == "Kravport's own interface for agencies that fetch"
    assert "Chosen by Kravport, not by any agency" in profile.layouts[0].source
    assert "not ESP's own" in profile.layouts[1].title
    assert "nothing can be sent to ESP yet" in profile.limits[0]


@pytest.mark.rule("R-OP-18", "A-25")
@pytest.mark.parametrize("options", [{**SLS, "service": "reminder"}, NK003])
def test_neither_layout_leaves_the_sandbox(house, clock, tmp_path, options):
    world = World(house, clock, tmp_path, "esp", options={**options, "environment": "production"})
    world.start_draft()
    with pytest.raises(Refused, match=r"delivery\.unconfirmed_profile"):
        agreements.activate(house, world.agreement_id, ACTOR)


def test_each_layout_asks_for_its_own_settings(house, clock, tmp_path):
    with pytest.raises(DataError, match="needs the setting agency_id, ledger_id"):
        world_of(house, clock, tmp_path, service="reminder", profile="kravport-sls-1", settings={})


@pytest.mark.rule("R-FA-01")
def test_an_agency_whose_files_cannot_be_marked_is_no_factor(sqlite_house, clock, tmp_path):
    """Said when the agreement is made: the evening would stop at the first file."""
    with pytest.raises(DataError, match="cannot mark files as assigned"):
        world_of(sqlite_house, clock, tmp_path, **SLS, service="reminder", treated_as_factoring=True)


def test_the_schema_is_the_same_file_everywhere():
    """Plugins may not import each other, so each ships it; this test is what keeps the copies one fact."""
    assert SCHEMA.read_bytes() == INTRUM_SCHEMA.read_bytes()


# --- kravport-sls-1 --------------------------------------------------------------------------------------------------


@pytest.mark.rule("R-RM-04", "R-OP-03")
@pytest.mark.parametrize(("service", "said"), [("reminder", "ledger"), ("collection", "collection")])
def test_a_claim_is_handed_over_answered_and_paid(house, clock, tmp_path, service, said):
    world = world_of(house, clock, tmp_path, service=service, **SLS)
    world.customer()
    world.invoice("1", 1000, **LONG_DUE)
    (content,) = world.evening().files.values()
    assert f'service="{said}"'.encode() in content
    world.far.night()
    assert world.claim("1").case_number == "C-000001"
    world.payment("p1", 200)
    world.link("1", "p1")
    world.evening()
    world.far.night()
    assert world.far.balances() == {"1": 800.0} == {"1": world.agency_balance("1")}
    world.far.pay("1", 800)
    world.far.tell()
    world.post()
    assert (world.open("1"), world.far.balances()) == (0, {"1": 0.0})


# --- NK003 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def nk003(house, clock, tmp_path):
    world = world_of(house, clock, tmp_path, **NK003, agency_accounts=["15030000025"])
    world.customer(email="post@a-long-domain.example")
    return world


def record(invoice, balance):
    """One record, column by column as the vendor's page prints the widths."""
    fields = (
        ("NK003", 5), ("004711", 6), ("000010001", 9), ("00999999980", 11), ("Nordfjord Bygg", 40), ("Storgata 1", 40),
        ("0155", 25), ("OSLO", 35), ("0", 20), (invoice, 20), ("Kari", 30), ("", 20), ("20261001", 8), ("20261015", 8),
        (f"{balance:09d}", 9), ("F", 1),
    )  # fmt: skip
    return "".join(value.ljust(width) for value, width in fields).encode("iso-8859-1") + b"\r\n"


@pytest.mark.rule("R-VL-08", "R-OP-03")
def test_nk003_tells_what_is_open_and_the_money_comes_by_the_bank(nk003):
    nk003.invoice("500124", 1000, **LONG_DUE)
    nk003.payment("p1", 250.5)
    nk003.link("500124", "p1")
    evening = nk003.evening()
    assert evening.files == {"NK003_4711_20261123_0001.txt": record("500124", 74950)}
    nk003.far.night()
    assert nk003.far.agency.balances() == {"500124": 74950}
    assert nk003.agency_balance("500124") == 749.5
    nk003.far.agency.pay("500124", 74950, date(2026, 11, 24))
    nk003.far.tell("camt054")
    (payment,) = nk003.payments()
    assert (payment.state, payment.match_rule) == ("proposed", "invoice_number")
    nk003.post()
    assert (nk003.open("500124"), nk003.agency_balance("500124")) == (0, 0)
    assert nk003.far.agency.balances() == {"500124": 0}


@pytest.mark.rule("R-LS-16", "R-CD-08")
def test_what_nk003_cannot_carry_is_held_or_told(nk003):
    nk003.invoice("1", 100, **LONG_DUE)
    nk003.invoice("2", 100, **LONG_DUE)
    nk003.payment("whole", 100)
    nk003.link("2", "whole")
    nk003.customer("10002", country="SE")
    nk003.customer("10003", address2="2. etasje")
    nk003.customer("010004")
    for number in ("10002", "10003", "010004"):
        nk003.invoice(f"9{number}", 100, f"c{number}", **LONG_DUE)
    evening = nk003.evening()
    assert evening.sent == {"1"}
    assert evening.held["2"] == evening.held["whole"] == {"amount.not_carried"}
    assert evening.held["910002"] == {"customer.foreign", "identifier.check_digit", "layout.does_not_fit"}
    assert evening.held["910003"] == evening.held["9010004"] == {"layout.does_not_fit"}
    nk003.payment("late", 40)
    nk003.link("1", "late")
    later = nk003.evening()
    assert (later.sent, later.held["late"]) == (set(), {"item.not_carried"})


def test_the_desk_takes_a_file_once_and_says_what_is_wrong_with_others(tmp_path):
    with make_sandbox(tmp_path, {"client_number": "4711", "our_reference": "Kari"}) as agency:
        good = record("1", 100) + record("2", 200)
        files = {
            "NK003_4711_20261123_0001.txt": good,
            "NK003_4711_20261123_0002.txt": good,
            "NK003_4711_20261123_0003.txt": record("3", 100)[:-3],
            "NK003_4711_20261123_0004.txt": record("4", 100) + record("1", 100),
            "NK003_4711_20261123_0005.txt": record("5", 100).replace(b"004711", b"004712"),
            "NK003_4711_20261123_0006.txt": record("6", 0),
            "NK003_4711_20261123_0007.txt": record("7", 100).replace(b"20261015", b"20261032"),
        }
        for name, content in files.items():
            (agency.upload / name).write_bytes(content)
        assert agency.work(NOW) == 7
        assert agency.balances() == {"1": 100, "2": 200}
        assert [problem.partition(": ")[2] for problem in agency.nk003.problems()] == [
            "is empty or cut off",
            "invoice 1: came before",
            "client number 004712 is not ours",
            "names no invoice, or nothing is open",
            "'20261032' is not a day",
        ]
