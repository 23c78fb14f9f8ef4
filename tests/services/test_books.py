"""What leaves, and what an agency is told, when the ledger is linked, marked and corrected in unusual order."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import update

from gateway.db.tables import IncomingPayment, LedgerEntry
from gateway.domain.exchange import ObjectReceipt, Receipt
from gateway.domain.ledger import EntryKind, OrderStatus
from gateway.errors import NotFound, Refused
from gateway.services import ingest, links, placing, posting, receipts
from gateway.services.cards import agreement_of
from tests.rules.test_r_pm import at_agency
from tests.rules.world import ACTOR, World


def answer(world: World, envelope, *objects: ObjectReceipt) -> None:
    """Let the agency answer *envelope* in a file of any form."""
    receipt = Receipt(
        kind=envelope.kind, sequence=envelope.sequence, file_id=envelope.file_id, status="partly", reason_code="",
        reason_text="", objects=objects,
    )  # fmt: skip
    with world.house.database.write() as connection:
        agreement, _ = agreement_of(connection, world.agreement_id)
        receipts._apply(connection, agreement, envelope, receipt, world.house.now(), nets=False)


def test_items_of_a_refused_invoice_go_again_with_it_or_it_looks_unpaid(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.payment("p", 250)
    fjord.link("1", "p")
    first = fjord.evening()
    refused = ObjectReceipt("invoice", fjord.claim("1").claim_id, False, "", "E1", "address")
    answer(fjord, first.envelopes[0], refused)  # says nothing of the item
    fjord.clock.advance(hours=1)
    fjord.customer(city="BERGEN")
    again = fjord.evening()
    assert again.sent == {"1", "p"}
    assert again.carried["1"].open == 750
    assert fjord.agency_balance("1") == 750


def test_parts_of_a_line_that_must_stay_do_not_leave(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.invoice("2", 500)
    fjord.payment("p", 1500, do_not_transfer=True)
    parts = {fjord.entry_id("1"): 100_000, fjord.entry_id("2"): 50_000}
    links.split_payment(fjord.house, fjord.entry_id("p"), parts, ACTOR)
    assert fjord.evening().sent == {"1", "2"}


def test_what_the_agency_was_never_told_is_not_taken_back_there(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.invoice("2", 1000)
    fjord.payment("p", 1000, do_not_transfer=True)
    fjord.link("1", "p")
    posting.move_payment(fjord.house, fjord.entry_id("p"), fjord.entry_id("2"), ACTOR)
    assert fjord.evening().sent == {"1", "2"}
    assert (fjord.agency_balance("1"), fjord.agency_balance("2")) == (1000, 1000)


def test_a_mark_of_the_source_comes_too_late_for_what_has_gone(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.evening()
    fjord.clock.advance(hours=1)
    taken = fjord.take(
        fjord.make_entry(
            "1", EntryKind.INVOICE, 1000, number="1", due=date(2026, 12, 7), booked=date(2026, 11, 23),
            do_not_transfer=True,
        )
    )  # fmt: skip
    assert [finding.code for finding in taken.findings] == ["exclusion.already_sent"]
    fjord.payment("p", 400)
    fjord.link("1", "p")
    assert fjord.evening().sent == {"p"}, "the agency goes on reminding of what is paid"


def test_a_group_whose_anchor_left_is_not_found_in_again(fjord):
    fjord.customer()
    fjord.payment("p", 100)
    fjord.payment("q", 200)
    fjord.invoice("1", 1000)
    fjord.link("p", "q", ref="A")
    fjord.link("1", "p", ref="B")
    assert fjord.entry("q").group_id == fjord.entry_id("q")
    fjord.link(ref="B")
    assert fjord.entry("p").group_id != fjord.entry("q").group_id
    assert fjord.not_linked() == {"p", "q"}


def test_amounts_of_two_currencies_are_never_summed(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.invoice("2", 1000)
    fjord.payment("p", 1000, currency="SEK")
    fjord.payment("q", 1000, currency="SEK")
    with pytest.raises(ingest.IngestRejected, match="several currencies"):
        fjord.link("1", "p")
    with pytest.raises(NotFound):
        links.split_payment(fjord.house, fjord.entry_id("p"), {fjord.entry_id("1"): 100_000}, ACTOR)
    fjord.invoice("3", 1000, currency="SEK")
    fjord.link("3", "q")
    with pytest.raises(NotFound):
        posting.move_payment(fjord.house, fjord.entry_id("q"), fjord.entry_id("2"), ACTOR)
    assert (fjord.open("1"), fjord.open("2")) == (1000, 1000)


def test_euros_named_with_a_claim_in_kroner_do_not_close_it(house, clock, tmp_path):
    world = World(house, clock, tmp_path, "lowell", options={"posts_automatically": True}).start()
    at_agency(world, ("1", 1250))
    world.far.pay("1", 1250)
    name = world.far.agency.write_payments(clock())
    path = next(world.far.agency.download.glob("payments*"))
    content = path.read_bytes().replace(b'currency="NOK"', b'currency="EUR"')
    assert name
    assert b'currency="EUR"' in content
    world.take_file(path.name, content)
    assert world.open("1") == 1250
    assert all(row.state != "posted" for row in world.payments())


def test_an_order_in_the_group_does_not_count_as_a_second_invoice(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.invoice("2", 500, order_status=OrderStatus.ORDER)
    fjord.payment("p", 400)
    fjord.link("1", "2", "p")
    assert fjord.open("1") == 600


def test_information_without_money_is_matched_to_no_claim(fjord):
    at_agency(fjord, ("1", 1000))
    fjord.far.pay("1", 1000)
    fjord.far.tell()
    (row,) = fjord.payments()
    placing.unmatch(fjord.house, row.id, ACTOR)
    with fjord.house.database.write() as connection:
        connection.execute(update(IncomingPayment).values(posts=False, why_not="payment.information_only"))
    with pytest.raises(Refused, match="information_only"):
        placing.match(fjord.house, row.id, fjord.entry_id("1"), ACTOR)
    assert fjord.agency_balance("1") == 1000


def test_two_faults_of_one_claim_do_not_stop_the_evening(fjord):
    fjord.customer()
    fjord.invoice("1", 1000, text="\x0c")
    fjord.payment("p", 10, text="\x0c", bank_reference="\x0c", voucher_number="v" * 300)
    fjord.payment("q", 10, voucher_number="w" * 300)
    fjord.link("1", "p", "q")
    fjord.invoice("2", 500)
    assert "2" in fjord.evening().sent


def test_a_posted_payment_stays_with_its_invoice_when_the_source_dissolves_its_link(fjord):
    at_agency(fjord, ("1", 1000))
    fjord.payment("p", 100)
    fjord.link("1", "p", ref="A")
    fjord.far.pay("1", 400)
    fjord.far.tell()
    fjord.post()
    fjord.link(ref="A")
    assert fjord.open("1") == 600
    (posted,) = [row for row in fjord.rows(LedgerEntry) if row.payment_id]
    assert posted.group_id == fjord.entry("1").group_id


def _pay(world: World, key: str, kroner: float, **changes) -> int:
    """Put one incoming payment on invoice 1 as an agency's file would, and return its id."""
    from gateway.db.bulk import insert_rows, take_ids
    from gateway.db.tables import Blob, InboundFile

    values = {
        "position": 1, "amount_minor": round(kroner * 100), "principal_minor": round(kroner * 100), "currency": "NOK",
        "direction": "credit", "is_reversal": False, "status": "BOOK", "posts": True, "why_not": "", "reference": "",
        "references": [], "booking_date": date(2026, 11, 23), "value_date": None, "payer_name": "", "payer_account": "",
        "account": "", "bank_reference": "", "text": "", "key": key, "claim_ref": "", "case_number": "", "charges_minor": 0,
        "invoice_number": "", "reverses_key": "", "creditor_id": world.creditor_id, "agreement_id": world.agreement_id,
        "label": "Lowell", "state": "proposed", "entry_id": world.entry_id("1"),
    } | changes  # fmt: skip
    with world.house.database.write() as connection:
        blob = connection.execute(Blob.__table__.insert().values(sha256=key, size=0).returning(Blob.id)).scalar_one()
        file = {"channel": "test", "filename": key, "blob_id": blob, "sha256": key, "size": 0, "state": "imported"}
        file |= {"agreement_id": world.agreement_id, "creditor_id": world.creditor_id, "received_at": world.clock()}
        table = InboundFile.__table__
        file_id = connection.execute(table.insert().values(**file).returning(table.c.id)).scalar_one()
        (payment_id,) = take_ids(connection, 1)
        row = {"id": payment_id, "file_id": file_id} | values
        insert_rows(connection, IncomingPayment, tuple(row), [tuple(row.values())])
    return payment_id


def test_a_payment_with_surplus_that_is_taken_back_leaves_nothing_behind(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    first = _pay(fjord, "a", 1200)
    back = _pay(fjord, "b", 1200, direction="debit", is_reversal=True, reverses_key="a")
    assert posting.post(fjord.house, [first], ACTOR).posted == (first,)
    assert posting.post(fjord.house, [back], ACTOR).posted == (back,)
    assert fjord.open("1") == 1000, "not 1 200: the surplus was never on the invoice"
    assert fjord.evening().sent == {"1"}, "no unlinked credit is left that would warn"


def test_taking_back_what_was_never_posted_opens_no_invoice_twice(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    _pay(fjord, "a", 1000)
    back = _pay(fjord, "b", 1000, direction="debit", is_reversal=True, reverses_key="a")
    assert posting.post(fjord.house, [back], ACTOR).refused == {back: "payment.original_not_posted"}
    assert fjord.open("1") == 1000


def test_an_entry_that_leaves_a_link_for_another_leaves_it_whether_it_was_the_anchor_or_not(fjord):
    fjord.customer()
    fjord.invoice("1", 1000)
    fjord.payment("p", 600)
    fjord.payment("q", 200)
    fjord.link("1", "p", ref="A")
    fjord.link("1", "q", ref="B")
    assert fjord.open("1") == 800, "the source says that the invoice is linked with q now, and with q only"
    assert fjord.entry("p").group_id == fjord.entry("p").id
    fjord.link("1", "p", "q", ref="C")
    assert fjord.open("1") == 200
