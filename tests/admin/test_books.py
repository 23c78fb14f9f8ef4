"""Incoming payments, customers, links, voucher lines and moved payments on the screen (R-PM, R-CD, R-LK, R-VL, R-RV)."""

from __future__ import annotations

import re
from html import unescape

import pytest

from gateway.db.tables import Customer, IncomingPayment
from gateway.domain.ledger import EntryKind
from gateway.services import placing, posting
from tests.admin.reading import send, speak, with_envelope
from tests.rules.world import ACTOR


@pytest.mark.rule("R-LS-13", "R-PM-02")
def test_payments_carry_the_name_users_know_and_filter_by_it(worked):
    client = worked.login("admin@example.test")
    every = client.get("/panel/payments/").text
    assert "Lowell</span>" in every
    assert "Intrum Justitia</span>" in every
    for label, other in (("Lowell", "Intrum Justitia"), ("Intrum Justitia", "Lowell")):
        table = client.get(f"/panel/payments/?label={label}").text.split("<tbody>")[1]
        assert f"{label}</span>" in table
        assert f"{other}</span>" not in table
    own = client.get("/panel/payments/?label=-").text
    assert "data-row" not in own, "a payment from an agency stands under the own bank"


@pytest.mark.rule("R-PM-01")
def test_the_list_is_under_bank_incoming_payments(worked):
    client = worked.login("bookkeeper@example.test")
    labels = {"nb": ["Økonomi", "Bank", "Innbetalinger"], "sv": ["Ekonomi", "Bank", "Inbetalning"]}
    for language, path in labels.items():
        page = speak(client, language).get("/panel/payments/").text
        assert re.findall(r"<li>(.*?)</li>", page.split('class="crumb"')[1].split("</ol>")[0]) == path
        assert "100051" in page


@pytest.mark.rule("R-PM-03", "R-PM-04")
def test_a_person_posts_and_the_invoice_closes(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    (payment,) = world.payments(state="proposed")
    assert world.open("100051") == 33000
    said = unescape(send(client, "/panel/payments/post", "/panel/payments/", rowid=payment.id).text)
    assert "1 innbetaling bokført, 1 faktura lukket." in said
    assert world.open("100051") == 0
    again = unescape(send(client, "/panel/payments/post", "/panel/payments/", rowid=payment.id).text)
    assert "alert-warning" in again
    assert world.open("100051") == 0


@pytest.mark.rule("R-PM-05")
def test_what_was_paid_too_much_stands_under_overpaid(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    (payment,) = world.payments(state="proposed")
    placing.match(world.house, payment.id, world.entry_id("100054"), ACTOR)
    posting.post(world.house, [payment.id], ACTOR)
    page = unescape(client.get("/panel/payments/?tab=overpaid").text)
    assert "31\N{NO-BREAK SPACE}750,00 for mye, ukoblet" in page


@pytest.mark.rule("R-OP-09")
def test_a_difference_shows_both_amounts(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    (payment,) = world.payments(state="proposed")
    placing.match(world.house, payment.id, world.entry_id("100054"), ACTOR)
    page = unescape(client.get("/panel/payments/").text)
    assert "Vår saldo 1\N{NO-BREAK SPACE}250,00 er lavere enn byråets 33\N{NO-BREAK SPACE}000,00." in page


@pytest.mark.rule("R-PM-09")
def test_evidence_is_said_in_words(worked):
    page = worked.login("bookkeeper@example.test").get("/panel/payments/").text
    evidence = page.split('class="evidence"')[1].split("</ul>")[0]
    assert "KID" in evidence
    assert "beløp" in evidence
    assert "%" not in evidence


def test_a_payment_is_matched_unmatched_and_set_aside(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    (payment,) = world.payments(state="proposed")
    send(client, f"/panel/payments/{payment.id}/unmatch")
    assert world.row(IncomingPayment, payment.id).state == "unmatched"
    said = unescape(send(client, f"/panel/payments/{payment.id}/match", number="no such number").text)
    assert "ingen faktura har nummer" in said
    send(client, f"/panel/payments/{payment.id}/match", number="100054")
    assert world.row(IncomingPayment, payment.id).entry_id == world.entry_id("100054")
    send(client, f"/panel/payments/{payment.id}/ignore", reason="")
    assert world.row(IncomingPayment, payment.id).state == "proposed", "set aside without a reason"
    send(client, f"/panel/payments/{payment.id}/ignore", reason="booked by hand")
    assert world.row(IncomingPayment, payment.id).state == "ignored"


@pytest.mark.rule("R-CD-07")
def test_one_press_leads_from_the_finding_to_the_field(office, client):
    customer_id = office.fjord.customer_id("c10003")
    today = client.get("/panel/").text
    link = unescape(re.search(r'href="(/panel/customers/\d+\?field=[a-z0-9]+#[a-z0-9]+)"', today)[1])
    assert link == f"/panel/customers/{customer_id}?field=address1#address1"
    card = client.get(link).text
    field = re.search(r'<input [^>]*id="address1"[^>]*>', card)[0]
    assert "autofocus" in field
    assert 'aria-invalid="true"' in field


@pytest.mark.rule("R-CD-08")
def test_a_card_mended_in_the_row_lets_the_invoice_go(office, client):
    world = office.fjord
    customer_id, entry_id = world.customer_id("c10003"), world.entry_id("100053")
    assert entry_id not in with_envelope(client.get("/panel/invoices/").text)
    send(
        client, "/panel/customers/correct", "/panel/customers/",
        **{f"{customer_id}:address1": "Storgata 2", f"{customer_id}:city": "BERGEN", f"{customer_id}:postcode": "0155"},
    )  # fmt: skip
    assert entry_id in with_envelope(client.get("/panel/invoices/").text)
    assert world.audit("customer.corrected")[-1].facts == {"fields": ["address1", "city"]}, (
        "an unchanged field was saved"
    )


def test_a_national_id_is_kept_but_never_shown(office, client):
    world = office.fjord
    customer_id = world.customer_id("c10005")
    send(client, f"/panel/customers/{customer_id}/correct", national_id="15888899901")
    for page in (
        f"/panel/customers/{customer_id}",
        "/panel/audit/",
        "/panel/customers/?tab=all",
        "/panel/audit/export.csv",
    ):
        assert "15888899901" not in client.get(page).text
    send(client, f"/panel/customers/{customer_id}/correct", national_id="")
    with world.house.database.read() as connection:
        from admin.queries import cards

        assert cards.own(connection, customer_id).national_id_encrypted, "an empty field wiped the number"


@pytest.mark.rule("R-LK-08", "R-LK-09")
def test_a_mixed_group_is_explained_and_split_as_proposed(office, client):
    world = office.fjord
    entry_id = world.entry_id("100001")
    page = f"/panel/invoices/{entry_id}"
    text = unescape(client.get(page).text)
    assert "Flere fakturaer er koblet sammen" in text
    groups = re.search(r'name="groups" value="([^"]+)"', text)[1]
    send(client, f"{page}/split", page, groups=groups)
    assert world.entry("152").group_id == world.entry("100001").group_id
    assert world.entry("100003").group_id == world.entry("100002").group_id != world.entry("100001").group_id
    assert entry_id in with_envelope(client.get("/panel/invoices/").text)


@pytest.mark.rule("R-LK-10")
def test_a_payment_is_divided_over_invoices(office, client):
    world = office.fjord
    world.invoice("400001", 100, "c10002")
    world.invoice("400002", 150, "c10002")
    world.payment("401", 250, customer="c10002")
    world.link("400001", "400002", "401")
    first, second, payment = (world.entry_id(name) for name in ("400001", "400002", "401"))
    form = {f"part_{first}": "100,00", f"part_{second}": "150"}
    send(client, f"/panel/invoices/{payment}/divide", f"/panel/invoices/{first}", **form)
    assert (world.open("400001"), world.open("400002")) == (0, 0)


def test_linking_by_hand_and_undoing_it(office, client):
    world = office.fjord
    invoice, loose = world.entry_id("100056"), world.entry_id("153")
    send(client, f"/panel/invoices/{invoice}/link", f"/panel/invoices/{invoice}", other=loose)
    assert world.row_of(loose).group_id == world.row_of(invoice).group_id
    send(client, f"/panel/invoices/{loose}/unlink", f"/panel/invoices/{invoice}")
    assert world.row_of(loose).group_id == loose


@pytest.mark.rule("R-VL-03")
def test_the_flag_column_is_hidden_until_chosen_and_remembered(office, client):
    page = f"/panel/invoices/{office.fjord.entry_id('100056')}"
    assert '<th scope="col">FlagSyncDisabled</th>' not in client.get(page).text
    send(client, "/panel/choices/column_flag", page, value="shown")
    assert '<th scope="col">FlagSyncDisabled</th>' in client.get(page).text
    again = office.login("bookkeeper@example.test")
    assert '<th scope="col">FlagSyncDisabled</th>' in again.get(page).text


@pytest.mark.rule("R-VL-02", "R-VL-04")
def test_the_warning_triangle_is_at_the_far_right_and_toggles(office, client):
    world = office.fjord
    line, invoice = world.entry_id("300"), world.entry_id("100056")
    page = f"/panel/invoices/{invoice}"
    text = client.get(page).text
    lines = text.split('id="lines-h"')[1].split("</section>")[0]
    by_row = lines.split("<tr>")[2:]
    assert "warn-toggle" not in by_row[0], "the mark is offered on the invoice itself"
    last_cell = by_row[1].rpartition("<td")[2]
    assert "warn-toggle" in last_cell
    assert last_cell.rindex("warn-toggle") > last_cell.rfind("i-unlink")
    assert 'aria-label="Overføres ikke til ' in last_cell
    assert "#i-warning" in last_cell
    for action, is_marked in (("mark", True), ("unmark", False)):
        send(client, f"/panel/invoices/{line}/line", page, do=action)
        assert world.row_of(line).do_not_transfer is is_marked


@pytest.mark.rule("R-VL-10")
def test_a_suspicious_line_waits_for_a_person(office, client):
    world = office.fjord
    line, page = world.entry_id("300"), f"/panel/invoices/{world.entry_id('100056')}"
    assert "Det er en innbetaling" in client.get(page).text
    send(client, f"/panel/invoices/{line}/judge", page, do="payment")
    assert "300" not in world.held_in(world.preview())


@pytest.mark.rule("R-VL-07", "R-VL-08")
def test_both_balances_are_shown_when_they_differ(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    world.item("501", EntryKind.WRITE_OFF, -1250, "c10004", do_not_transfer=True)
    world.link("100054", "501")
    page = client.get(f"/panel/invoices/{world.entry_id('100054')}").text
    text = re.sub(r">\s+<", "><", unescape(page))
    assert 'Åpent hos dere</dt><dd class="big">0,00' in text
    assert 'Åpent hos Lowell</dt><dd class="big">1\N{NO-BREAK SPACE}250,00' in text
    assert "Avskrevet i bøkene, fortsatt hos Lowell" in text


@pytest.mark.rule("R-RV-04")
def test_a_payment_is_moved_in_one_act(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    (payment,) = world.payments(state="proposed")
    posting.post(world.house, [payment.id], ACTOR)
    posted = next(row for row in world.group("100051") if row.kind == "payment")
    page = f"/panel/invoices/{world.entry_id('100051')}"
    assert "Flytt innbetaling" in client.get(page).text
    send(client, f"/panel/invoices/{posted.id}/move", page, number="100060")
    assert world.open("100051") == 33000
    assert sum(row.amount_minor for row in world.group("100051")) == 3300000
    said = unescape(send(client, f"/panel/invoices/{posted.id}/move", page, number="nothing").text)
    assert "no invoice has the number" in said


@pytest.mark.rule("R-PM-03")
def test_a_posting_that_comes_back_from_the_books_is_joined_by_a_press(worked):
    client, world = worked.login("bookkeeper@example.test"), worked.fjord
    (payment,) = world.payments(state="proposed")
    posting.post(world.house, [payment.id], ACTOR)
    before = world.open("100051")
    invoice = world.entry("100051")
    customer = world.row(Customer, invoice.customer_id).external_id
    world.payment("v152", payment.principal_minor / 100, customer=customer)
    world.link("100051", "v152")
    page = f"/panel/invoices/{invoice.id}"
    assert "Det er de samme pengene" in client.get(page).text
    send(client, f"/panel/invoices/{world.entry_id('v152')}/join", page)
    assert world.open("100051") == before
    assert "Det er de samme pengene" not in client.get(page).text
