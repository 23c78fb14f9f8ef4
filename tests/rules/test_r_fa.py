"""R-FA: factoring settings and the mark behind the envelope icon (the icon itself is the panel's)."""

from __future__ import annotations

import pytest
from lxml import etree
from sqlalchemy import update

from gateway.db.tables import FactoringSettings
from gateway.domain.exchange import Severity
from gateway.errors import Refused
from gateway.services import agreements, marks
from tests.rules.far import NS
from tests.rules.world import ACTOR, World, planned


@pytest.fixture
def factored(house, clock, tmp_path) -> World:
    """Fjord AS with a ledger agreement that is treated as factoring, and the switch on."""
    world = World(house, clock, tmp_path, "lowell", options={"treated_as_factoring": True}).start()
    assert not any(f.severity is Severity.BLOCKING for f in world.use_factoring())
    world.customer()
    return world


def mark(world: World, name: str, kept_out: bool = True) -> None:
    marks.mark_invoice(world.house, world.entry_id(name), kept_out, ACTOR)


def blocking(findings) -> set[tuple[str, str]]:
    return {(f.code, f.place) for f in findings if f.severity is Severity.BLOCKING}


@pytest.mark.rule("R-FA-01", "A-08")
def test_r_fa_01_marks_need_the_switch_and_outlive_it(fjord):
    fjord.customer()
    fjord.invoice("1", 100)
    fjord.invoice("2", 100)
    with pytest.raises(Refused) as refused:
        mark(fjord, "1")
    assert refused.value.code == "factoring.switch_off"
    with pytest.raises(Refused):
        marks.mark_customer(fjord.house, fjord.customer_id(), True, ACTOR)
    fjord.use_factoring()
    mark(fjord, "1")
    fjord.use_factoring(use_factoring=False)
    evening = fjord.evening()
    assert (evening.sent, evening.held) == ({"2"}, {"1": {"exclusion.invoice"}})
    mark(fjord, "1", kept_out=False)
    assert fjord.evening().sent == {"1"}, "a mark may be taken away while the switch is off"


@pytest.mark.rule("R-FA-01", "R-FA-13", "A-12")
def test_r_fa_01_while_on_the_agency_is_treated_as_a_factor(factored):
    factored.invoice("1", 100)
    (content,) = factored.evening().files.values()
    (assignment,) = etree.fromstring(content).iter(f"{NS}Assignment")
    assert assignment.get("payToAccount") == "15030000029"
    assert assignment.get("notice") == "Fordringen er overdratt til Lowell."
    factored.far.night()
    assert factored.far.balances() == {"1": 100}


@pytest.mark.rule("R-FA-13")
def test_r_fa_13_an_invoice_kept_back_stands_in_no_file_and_without_the_switch_there_is_no_notice(factored):
    factored.invoice("1", 100)
    factored.invoice("77002", 100)
    mark(factored, "77002")
    assert b"77002" not in b"".join(factored.evening().files.values())
    factored.use_factoring(use_factoring=False)
    factored.invoice("3", 100)
    assert b"<Assignment" not in b"".join(factored.evening().files.values())


@pytest.mark.rule("R-FA-03")
@pytest.mark.parametrize("field", ["customer_number", "name", "address", "account_number"])
def test_r_fa_03_a_missing_field_blocks_and_names_itself(fjord, field):
    assert blocking(fjord.use_factoring(**{field: " "})) == {("factoring.field_missing", field)}
    assert fjord.rows(FactoringSettings)[0].use_factoring is False


@pytest.mark.rule("R-FA-03")
def test_r_fa_03_the_invoice_text_may_be_empty(fjord):
    assert fjord.use_factoring(invoice_text="") == ()
    assert fjord.rows(FactoringSettings)[0].use_factoring is True


@pytest.mark.rule("R-FA-04")
def test_r_fa_04_the_account_is_checked_and_compared(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"payment_account": "15030000010"}).start()
    assert blocking(world.use_factoring(account_number="15030000030")) == {("identifier.check_digit", "account_number")}
    (finding,) = world.use_factoring()
    assert (finding.code, finding.severity) == ("factoring.account_differs", Severity.WARNING)
    assert world.use_factoring(account_number="1503.00.00010") == ()


@pytest.mark.rule("R-FA-05", "A-10")
def test_r_fa_05_any_other_posting_value_blocks(factored):
    factored.invoice("1", 100)
    assert blocking(factored.use_factoring(posting_mode="gross")) == {("factoring.posting_mode", "posting")}
    with factored.house.database.write() as connection:  # as an older version or a restored database might hold it
        connection.execute(update(FactoringSettings).values(posting_mode="gross"))
    evening = factored.evening()
    assert (evening.sent, evening.held, evening.files) == (set(), {"1": {"factoring.posting_mode"}}, {})
    with factored.house.database.write() as connection:
        connection.execute(update(FactoringSettings).values(posting_mode="normal"))
    assert factored.evening().sent == {"1"}


@pytest.mark.rule("R-FA-06")
def test_r_fa_06_the_last_state_before_the_cut_off_counts_and_each_change_is_on_record(factored):
    factored.invoice("1", 100)
    assert planned(factored.preview(), factored) == {"1"}, "a new invoice goes unless somebody says otherwise"
    for kept_out in (True, False, True):
        factored.clock.advance(minutes=5)
        mark(factored, "1", kept_out)
    assert factored.evening().held == {"1": {"exclusion.invoice"}}
    trail = [
        (row.action, row.actor) for row in (*factored.audit("invoice.marked"), *factored.audit("invoice.unmarked"))
    ]
    assert trail == [("invoice.marked", ACTOR), ("invoice.marked", ACTOR), ("invoice.unmarked", ACTOR)]
    moments = [row.at for row in (*factored.audit("invoice.marked"), *factored.audit("invoice.unmarked"))]
    assert len(set(moments)) == 3


@pytest.mark.rule("R-FA-06")
def test_r_fa_06_the_sentence_says_by_whom_and_when(factored):
    factored.invoice("1", 100)
    mark(factored, "1")
    (held,) = factored.preview().held
    assert held.values["user"] == ACTOR
    assert held.values["date"] == factored.clock()


@pytest.mark.rule("R-FA-07", "A-08", "P15")
def test_r_fa_07_a_customer_kept_out_stays_out_whatever_its_invoices_say(factored):
    factored.customer("10002")
    factored.invoice("1", 100)
    factored.invoice("2", 100)
    factored.invoice("3", 100, customer="c10002")
    mark(factored, "1")
    marks.mark_customer(factored.house, factored.customer_id(), True, ACTOR)
    mark(factored, "1", kept_out=False)
    evening = factored.evening()
    assert evening.sent == {"3"}
    assert evening.held == {"1": {"exclusion.customer"}, "2": {"exclusion.customer"}}
    marks.mark_customer(factored.house, factored.customer_id(), False, ACTOR)
    assert factored.evening().sent == {"1", "2"}


@pytest.mark.rule("R-FA-08", "R-FA-10")
def test_r_fa_08_10_what_has_an_icon_is_what_the_preview_contains(factored):
    """Three invoices, the second marked; the panel draws an icon on exactly the rows of the preview (tests/admin)."""
    for number in "123":
        factored.invoice(number, 100)
    mark(factored, "2")
    assert planned(factored.preview(), factored) == {"1", "3"}


@pytest.mark.rule("R-FA-11", "A-11")
def test_r_fa_11_a_sent_invoice_cannot_be_marked(factored):
    factored.invoice("1", 100)
    factored.evening()
    with pytest.raises(Refused) as refused:
        mark(factored, "1")
    assert refused.value.code == "exclusion.already_sent"
    assert refused.value.values["agency"] == "Lowell"
    assert not factored.entry("1").do_not_transfer


@pytest.mark.rule("R-FA-11")
def test_r_fa_11_one_that_the_agency_refused_may_be_marked(factored):
    factored.invoice("1", 100)
    factored.far.agency.refuse("claim", f"kp-{factored.entry_id('1')}", "NOT_ALLOWED")
    factored.evening()
    factored.far.night()
    mark(factored, "1")
    assert factored.evening().held == {"1": {"exclusion.invoice"}}


@pytest.mark.rule("R-FA-14", "A-12")
@pytest.mark.parametrize("first", ["factoring", "collection"])
def test_r_fa_14_real_factoring_and_collection_exclude_each_other(house, clock, tmp_path, first):
    world = World(house, clock, tmp_path, "lowell", options={"treated_as_factoring": True}).start()
    agency = {"factoring": "factoring", "collection": "intrum"}
    made = {
        service: world.agree(agency[service], service=service, client_number="17", may_create_cases=False)
        for service in agency
    }
    agreements.activate(house, made.pop(first), ACTOR)
    with pytest.raises(Refused) as refused:
        agreements.activate(house, *made.values(), ACTOR)
    assert refused.value.code == "agreement.factoring_and_collection"


@pytest.mark.rule("R-CO-22", "R-CO-24", "R-LS-14", "P16")
def test_p16_after_a_change_of_agency_old_claims_stay_and_new_ones_go_to_the_new_agency_only(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell").start()
    world.customer()
    world.invoice("1", 1000)
    world.evening()
    world.far.night()
    old, new = world.agreement_id, world.agree("intrum", client_number="4712", may_create_cases=False)
    with pytest.raises(Refused) as refused:
        agreements.activate(house, world.agree("intrum", client_number="4713"), ACTOR)
    assert refused.value.code == "agreement.other_creates_cases"
    agreements.activate(house, new, ACTOR)
    agreements.change_agreement(house, old, {"may_create_cases": False}, ACTOR)
    agreements.change_agreement(house, new, {"may_create_cases": True}, ACTOR)
    world.invoice("2", 500)
    world.payment("p", 100)
    world.tie("1", "p")
    moment = clock.moment
    assert world.evening().sent == {"p"}
    world.agreement_id, clock.moment = new, moment
    assert world.evening().sent == {"2"}
    assert [world.claim("1", old).told_minor, world.claim("1", new), world.claim("2", old)] == [90_000, None, None]
