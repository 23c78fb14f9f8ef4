"""Writer and sandbox agency together: they share nothing but the schema, so agreement between them means something."""

import contextlib
import random
import re
from datetime import date, timedelta

import pytest
from lxml import etree

from gateway.domain.exchange import CustomerKind, Direction, FactoringAssignment, LinkKind
from gateway.formats.kravport_sls import InboundReader
from plugins.intrum import SCHEMA, plugin
from plugins.intrum.sandbox import make_sandbox
from plugins.sls_sandbox import SandboxAgency
from tests.plugins.sls_builders import (
    NOW,
    FolderSink,
    agreement,
    claim,
    customer,
    effect,
    inbound,
    item,
    payment,
    seal,
)

FACTS = {"client_number": "4711", "ledger_id": "4711-NOK", "currency": "NOK", "country": "NO"}
ON = date(2026, 11, 24)


@pytest.fixture
def agency(tmp_path):
    with make_sandbox(tmp_path, FACTS) as made:
        yield made


def send(agency, claims, *, updates=False, **numbers):
    hook = plugin.export_linked_items if updates else plugin.export_invoice
    (envelope,) = hook(claims, agreement(), seal(**numbers), FolderSink(agency.upload))
    return envelope


def receipt(agency, name):
    """Take one receipt out of the mailbox, as the host does."""
    path = agency.download / name
    content = path.read_bytes()
    path.unlink()
    etree.XMLSchema(file=str(SCHEMA)).assertValid(etree.fromstring(content))
    return plugin.import_receipt(inbound(content), (agreement(),))


def answers(got):
    return {(row.object_type, row.object_id): row.reason_code for row in got.objects}


# --- receipts --------------------------------------------------------------------------------------------------------


def test_a_clean_file_is_accepted_and_every_invoice_gets_a_case_number(agency):
    send(agency, [claim("kp-c-1", items=[payment("kp-e-1")]), claim("kp-c-2")])
    assert agency.work(NOW) == 1
    got = receipt(agency, "receipt-invoices.001")
    assert (got.kind, got.sequence, got.status) == ("invoices", 1, "accepted")
    assert got.file_id == seal().file_ids["invoices"]
    assert [(row.object_type, row.object_id, row.case_number) for row in got.objects] == [
        ("customer", "20001", ""),
        ("invoice", "kp-c-1", "C-000001"),
        ("payment", "kp-e-1", ""),
        ("invoice", "kp-c-2", "C-000002"),
    ]
    assert agency.balances() == {"kp-c-1": 1150_00, "kp-c-2": 1250_00}
    assert list(agency.upload.iterdir()) == []


def test_objects_are_rejected_one_by_one(agency):
    nameless = customer("20002", organisation_number="", identity_scheme="")
    private = customer("20003", kind=CustomerKind.PRIVATE, organisation_number="", identity_scheme="")
    wrong = customer("20004", organisation_number="987654326")
    confused = customer("20005", kind=CustomerKind.PRIVATE, organisation_number="", national_id="987654325")
    claims = [
        claim("kp-c-1"),
        claim("kp-c-2", card=nameless, items=[payment("kp-e-2")]),
        claim("kp-c-3", card=private),
        claim("kp-c-4", card=wrong),
        claim("kp-c-5", card=confused),
        claim("kp-c-6", card=customer("20006"), open_minor=1, items=[payment("kp-e-6")]),
    ]
    send(agency, claims)
    agency.work(NOW)
    got = receipt(agency, "receipt-invoices.001")
    assert got.status == "partly"
    assert answers(got) == {
        ("customer", "20001"): "",
        ("invoice", "kp-c-1"): "",
        ("customer", "20002"): "IDENTITY_MISSING",
        ("invoice", "kp-c-2"): "CUSTOMER_REJECTED",
        ("payment", "kp-e-2"): "INVOICE_REJECTED",
        ("customer", "20003"): "IDENTITY_MISSING",
        ("invoice", "kp-c-3"): "CUSTOMER_REJECTED",
        ("customer", "20004"): "IDENTITY_WRONG",
        ("invoice", "kp-c-4"): "CUSTOMER_REJECTED",
        ("customer", "20005"): "KIND_WRONG",
        ("invoice", "kp-c-5"): "CUSTOMER_REJECTED",
        ("customer", "20006"): "",
        ("invoice", "kp-c-6"): "OPEN_AMOUNT",
        ("payment", "kp-e-6"): "INVOICE_REJECTED",
    }
    assert agency.balances() == {"kp-c-1": 1250_00}


def test_updates_are_judged_item_by_item(agency):
    send(agency, [claim("kp-c-1", items=[payment("kp-e-1")])])
    agency.work(NOW)
    unlink = item("kp-e-2", LinkKind.UNLINK, Direction.DEBIT, 100_00, unlinks_item_id="kp-e-1")
    fee = item("kp-e-3", LinkKind.CHARGE, Direction.DEBIT, 35_00, charge_kind="reminder-fee")
    unknown = item("kp-e-9", LinkKind.UNLINK, Direction.DEBIT, 1, unlinks_item_id="nothing")
    claims = [
        claim("kp-c-1", items=[unlink, fee], open_minor=1250_00, case_number="C-000001"),
        claim("kp-c-7", items=[payment("kp-e-7")]),
    ]
    send(agency, claims, updates=True)
    agency.work(NOW)
    got = receipt(agency, "receipt-updates.001")
    assert answers(got) == {
        ("unlink", "kp-e-2"): "",
        ("charge", "kp-e-3"): "",
        ("payment", "kp-e-7"): "UNKNOWN_INVOICE",
    }
    send_update(agency, 2, claim("kp-c-1", items=[payment("kp-e-4")], open_minor=0))
    assert answers(receipt(agency, "receipt-updates.002")) == {("payment", "kp-e-4"): "OPEN_AMOUNT"}
    send_update(agency, 3, claim("kp-c-1", items=[unknown], open_minor=1250_01))
    assert answers(receipt(agency, "receipt-updates.003")) == {("unlink", "kp-e-9"): "UNKNOWN_ITEM"}
    assert agency.balances() == {"kp-c-1": 1250_00}


def send_update(agency, number, *claims):
    hook = plugin.export_linked_items
    hook(claims, agreement(), seal(updates=number), FolderSink(agency.upload))
    agency.work(NOW)


def test_the_same_item_again_is_a_duplicate_and_another_under_its_id_is_not(agency):
    send(agency, [claim("kp-c-1", items=[payment("kp-e-1")])])
    agency.work(NOW)
    send_update(agency, 1, claim("kp-c-1", items=[payment("kp-e-1")], open_minor=1150_00))
    got = receipt(agency, "receipt-updates.001")
    assert (got.status, answers(got)) == ("accepted", {("payment", "kp-e-1"): ""})
    assert agency.balances() == {"kp-c-1": 1150_00}
    send_update(agency, 2, claim("kp-c-1", items=[payment("kp-e-1", 5)], open_minor=1150_00))
    assert answers(receipt(agency, "receipt-updates.002")) == {("payment", "kp-e-1"): "NOT_ALLOWED"}


def test_a_closed_case_takes_nothing_more_and_an_echo_is_seen(agency):
    send(agency, [claim("kp-c-1"), claim("kp-c-2")])
    agency.work(NOW)
    agency.pay("kp-c-1", 100_00, ON)
    agency.settle(ON)
    agency.set_case("kp-c-2", "closed", ON, close_code="withdrawn")
    echo = payment("kp-e-1", bank_reference="S-1-4711-20261124")
    late = payment("kp-e-2")
    send_update(agency, 1, claim("kp-c-1", items=[echo]), claim("kp-c-2", items=[late]))
    assert answers(receipt(agency, "receipt-updates.001")) == {
        ("payment", "kp-e-1"): "ECHO",
        ("payment", "kp-e-2"): "ALREADY_CLOSED",
    }


def test_it_can_be_told_to_reject_and_to_accept_again(agency):
    agency.refuse("customer", "20001", "ADDRESS_MISSING", "street unknown")
    agency.refuse("claim", "kp-c-2", "NOT_ALLOWED")
    agency.refuse("item", "kp-e-2", "AMOUNT")
    second = customer("20002")
    third = customer("20003")
    claims = [claim("kp-c-1"), claim("kp-c-2", card=second), claim("kp-c-3", card=third, items=[payment("kp-e-2")])]
    send(agency, claims)
    agency.work(NOW)
    got = receipt(agency, "receipt-invoices.001")
    assert answers(got)["customer", "20001"] == "ADDRESS_MISSING"
    assert got.objects[0].reason_text == "street unknown"
    assert answers(got)["invoice", "kp-c-2"] == "NOT_ALLOWED"
    assert answers(got)["payment", "kp-e-2"] == "AMOUNT"
    agency.accept("customer", "20001")
    send(agency, [claim("kp-c-1")], invoices=2)
    agency.work(NOW)
    assert receipt(agency, "receipt-invoices.002").status == "accepted"


def test_a_marked_file_is_taken_like_any_other(agency):
    plain = FolderSink(agency.download)
    (envelope,) = plugin.export_invoice([claim("kp-c-1", items=[payment()])], agreement(), seal(), plain)
    notice = FactoringAssignment("F-77", "Nordisk Faktorering AS", "", "", "NO9386011117947", "")
    with (agency.download / envelope.filename).open("rb") as source:
        plugin.mark_factoring_envelope(envelope, notice, agreement(), source, FolderSink(agency.upload))
    agency.work(NOW)
    assert receipt(agency, "receipt-invoices.001").status == "accepted"
    assert agency.balances() == {"kp-c-1": 1150_00}


# --- whole files -----------------------------------------------------------------------------------------------------


def altered(agency, old, new, name="invoices.001"):
    path = agency.upload / name
    content = path.read_bytes()
    assert content.count(old) == 1, content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b'creditTotal="100.00"', b'creditTotal="100.01"', "CONTROL_TOTAL"),
        (b'invoiceCount="1"', b'invoiceCount="' + b"1" * 5000 + b'"', "CONTROL_TOTAL"),
        (b'test="true"', b'test="false"', "WRONG_MODE"),
        (b'senderId="4711"', b'senderId="4712"', "WRONG_CLIENT"),
        (b'ledgerId="4711-NOK"', b'ledgerId="4711-SEK"', "WRONG_LEDGER"),
        (b"urn:kravport:sls:1", b"urn:other", "WRONG_PROFILE"),
        (b'kind="company"', b'kind="firma"', "SCHEMA"),
        (b'fileSequence="001"', b'fileSequence="002"', "SCHEMA"),
        (b"</Invoices>", b"", "NOT_WELL_FORMED"),
        (b"<Invoices ", b"<!DOCTYPE Invoices><Invoices ", "NOT_WELL_FORMED"),
    ],
)
def test_a_wrong_file_is_refused_whole(agency, old, new, code):
    send(agency, [claim("kp-c-1", items=[payment()])])
    altered(agency, old, new)
    agency.work(NOW)
    got = receipt(agency, "receipt-invoices.001")
    assert (got.status, got.reason_code, got.objects) == ("rejected", code, ())
    assert agency.balances() == {}


def test_an_update_with_an_empty_invoice_is_refused(agency):
    send(agency, [claim("kp-c-1", items=[payment()])], updates=True)
    path = agency.upload / "updates.001"
    path.write_bytes(re.sub(rb" *<Payment [^>]*/>\n", b"", path.read_bytes()))
    agency.work(NOW)
    assert receipt(agency, "receipt-updates.001").reason_code == "SCHEMA"


def test_counters_gap_reuse_repeat_and_wrap(tmp_path):
    with make_sandbox(tmp_path, {**FACTS, "start_after": {"invoices": 997}}) as agency:
        send(agency, [claim("kp-c-1")], invoices=999)
        agency.work(NOW)
        assert receipt(agency, "receipt-invoices.999").reason_code == "SEQUENCE_GAP"
        send(agency, [claim("kp-c-1")], invoices=998)
        before = (agency.upload / "invoices.998").read_bytes()
        agency.work(NOW)
        first = (agency.download / "receipt-invoices.998").read_bytes()
        assert receipt(agency, "receipt-invoices.998").status == "accepted"
        (agency.upload / "invoices.998").write_bytes(before)
        agency.work(NOW + timedelta(hours=1))
        assert (agency.download / "receipt-invoices.998").read_bytes() == first
        receipt(agency, "receipt-invoices.998")
        other = seal(invoices=998, file_id="bbbbbbbb-0000-4000-8000-{number:012d}")
        plugin.export_invoice([claim("kp-c-2")], agreement(), other, FolderSink(agency.upload))
        agency.work(NOW)
        assert receipt(agency, "receipt-invoices.998").reason_code == "SEQUENCE_REUSED"
        for number, claim_id in ((999, "kp-c-3"), (1, "kp-c-4")):
            send(agency, [claim(claim_id)], invoices=number)
        assert agency.work(NOW) == 2
        assert receipt(agency, "receipt-invoices.999").status == "accepted"
        assert receipt(agency, "receipt-invoices.001").status == "accepted"
        assert sorted(agency.balances()) == ["kp-c-1", "kp-c-3", "kp-c-4"]


def test_invoices_are_read_before_updates_and_unfinished_uploads_not_at_all(agency):
    send(agency, [claim("kp-c-1", items=[payment("kp-e-1")], open_minor=1150_00)], updates=True)
    send(agency, [claim("kp-c-1")])
    (agency.upload / "invoices.002.part").write_bytes(b"<half")
    assert agency.work(NOW) == 2
    assert receipt(agency, "receipt-updates.001").status == "accepted"
    assert agency.balances() == {"kp-c-1": 1150_00}
    assert [path.name for path in agency.upload.iterdir()] == ["invoices.002.part"]


def test_receipts_can_be_lost_repeated_and_late(tmp_path):
    with make_sandbox(tmp_path, {**FACTS, "receipt_delay_seconds": 60}) as agency:
        agency.lose_receipts()
        send(agency, [claim("kp-c-1")])
        agency.work(NOW)
        agency.work(NOW + timedelta(hours=1))
        assert list(agency.download.iterdir()) == []
        agency.repeat_receipt("invoices", 1, NOW)
        assert receipt(agency, "receipt-invoices.001").status == "accepted"
        send(agency, [claim("kp-c-2")], invoices=2)
        agency.work(NOW)
        assert list(agency.download.iterdir()) == []
        agency.work(NOW + timedelta(seconds=60))
        assert receipt(agency, "receipt-invoices.002").status == "accepted"


# --- money -----------------------------------------------------------------------------------------------------------


def money(agency, name):
    content = (agency.download / name).read_bytes()
    etree.XMLSchema(file=str(SCHEMA)).assertValid(etree.fromstring(content))
    stream = plugin.import_payments(inbound(content), (agreement(),))
    return list(stream), stream


def test_payments_come_back_with_their_split_and_lower_the_balance(agency):
    send(agency, [claim("kp-c-1"), claim("kp-c-2")])
    agency.work(NOW)
    paid = agency.pay("kp-c-1", 1300_00, ON, interest_minor=20_00, fees_minor=30_00)
    agency.overpay("kp-c-2", 200_00, ON)
    agency.pay_unallocated(77_00, ON)
    agency.reverse(paid, ON)
    assert agency.settle(ON, fees_minor=100_00, vat_minor=25_00) == "S-1"
    assert agency.write_payments(NOW) == "payments.001"
    rows, stream = money(agency, "payments.001")
    assert [(row.claim_id, row.amount_minor, row.principal_minor, row.is_reversal) for row in rows] == [
        ("kp-c-1", 1300_00, 1250_00, False),
        ("kp-c-2", 1450_00, 1450_00, False),
        ("", 77_00, 0, False),
        ("kp-c-1", 1300_00, 1250_00, True),
    ]
    assert rows[3].reverses_key == rows[0].key == f"intrum:4711:{paid}"
    assert rows[0].case_number == "C-000001"
    assert rows[0].reference == "2345676"
    assert [(row.gross_minor, row.net_minor) for row in stream.settlements] == [(1450_00, 1325_00)]
    assert agency.balances() == {"kp-c-1": 1250_00, "kp-c-2": -200_00}
    assert agency.write_payments(NOW) is None
    agency.skip_number("payments")
    agency.pay("kp-c-1", 1, ON)
    assert agency.write_payments(NOW) == "payments.003"


def test_paying_some_is_repeatable(tmp_path):
    def played(folder):
        with make_sandbox(tmp_path / folder, FACTS) as agency:
            send(agency, [claim(f"kp-c-{number}", invoice_number=str(number)) for number in range(40)])
            agency.work(NOW)
            paid = agency.pay_some(ON, seed=7)
            return paid, agency.balances()

    paid, balances = played("a")
    assert (paid, balances) == played("b")
    assert 3 < len(paid) < 30


def test_cases_and_snapshot_are_read_back(agency):
    send(agency, [claim("kp-c-1"), claim("kp-c-2")])
    agency.work(NOW)
    agency.pay("kp-c-1", 1250_00, ON)
    agency.set_case("kp-c-1", "closed", ON, close_code="paid")
    agency.set_case("kp-c-2", "closed", ON, close_code="written-off", loss_minor=1250_00)
    assert agency.write_cases(NOW) == "cases.001"
    assert agency.write_cases(NOW) is None
    content = (agency.download / "cases.001").read_bytes()
    rows = list(plugin.import_case_status(inbound(content), (agreement(),)))
    assert [(row.case_number, row.close_code, row.raw_text) for row in rows] == [
        ("C-000001", "paid", ""),
        ("C-000002", "written-off", "(creditLossAmount 1250.00 NOK)"),
    ]
    content = (agency.download / agency.snapshot(NOW)).read_bytes()
    balances = InboundReader("intrum", SCHEMA).snapshot(inbound(content), (agreement(),))
    assert {row.claim_id: row.principal_open_minor for row in balances} == agency.balances()


def test_wrong_requests_are_refused(agency):
    with pytest.raises(ValueError, match="no claim"):
        agency.pay("nobody", 1, ON)
    with pytest.raises(ValueError, match="no payment"):
        agency.reverse("AP-1", ON)
    with pytest.raises(ValueError, match="never given"):
        agency.repeat_receipt("invoices", 1, NOW)
    assert agency.settle(ON) is None


# --- random histories ------------------------------------------------------------------------------------------------


class Creditor:
    """A ledger kept by plain arithmetic: the oracle both sides must agree with."""

    def __init__(self, seed):
        self.dice, self.claims, self.items, self.told, self.paid = random.Random(seed), {}, {}, {}, {}

    def new_claims(self, count):
        made = []
        for _ in range(count):
            number = len(self.claims) + 1
            original = self.dice.randrange(1, 500_000)
            self.claims[f"kp-c-{number}"] = original
            self.told[f"kp-c-{number}"], self.paid[f"kp-c-{number}"] = original, 0
            items = [self.new_item(f"kp-c-{number}") for _ in range(self.dice.randrange(3))]
            made.append(self.as_claim(f"kp-c-{number}", items))
        return sorted(made, key=lambda each: each.customer.customer_number)

    def new_item(self, claim_id):
        kind, direction = self.dice.choice(
            [
                (LinkKind.DIRECT_PAYMENT, Direction.CREDIT),
                (LinkKind.CREDIT_NOTE, Direction.CREDIT),
                (LinkKind.DISBURSEMENT, Direction.DEBIT),
                (LinkKind.VOUCHER_LINE, self.dice.choice(list(Direction))),
                (LinkKind.CHARGE, Direction.DEBIT),
            ]
        )
        number = len(self.items) + 1
        made = item(f"kp-e-{number}", kind, direction, self.dice.randrange(1, 50_000), number="9", charge_kind="other")
        self.items[made.item_id] = (claim_id, made)
        self.told[claim_id] += effect(made)
        return made

    def unlink(self):
        """Remove the link of an item sent earlier, once."""
        free = [
            (claim_id, made)
            for claim_id, made in self.items.values()
            if made.kind not in {LinkKind.CHARGE, LinkKind.UNLINK} and f"{made.item_id}-u" not in self.items
        ]
        claim_id, former = self.dice.choice(free)
        opposite = Direction.DEBIT if former.direction is Direction.CREDIT else Direction.CREDIT
        made = item(
            f"{former.item_id}-u", LinkKind.UNLINK, opposite, former.amount_minor, unlinks_item_id=former.item_id
        )
        self.items[made.item_id] = (claim_id, made)
        self.told[claim_id] += effect(made)
        return claim_id, made

    def updates(self, count):
        touched = {}
        for _ in range(count):
            claim_id = self.dice.choice(list(self.claims))
            touched.setdefault(claim_id, []).append(self.new_item(claim_id))
        return touched

    def as_claim(self, claim_id, items):
        card = customer(f"{int(claim_id[5:]) % 7:02d}")
        return claim(claim_id, original=self.claims[claim_id], items=items, open_minor=self.told[claim_id], card=card)

    def balances(self):
        return {claim_id: self.told[claim_id] - self.paid[claim_id] for claim_id in self.claims}


@pytest.mark.rule("R-LS-15")
@pytest.mark.parametrize("seed", range(8))
def test_after_every_evening_both_ledgers_agree(tmp_path, seed):
    creditor = Creditor(seed)
    with make_sandbox(tmp_path, FACTS) as agency:
        for evening in range(1, 6):
            former = creditor.updates(6) if evening > 1 else {}
            if evening > 1:
                claim_id, made = creditor.unlink()
                former.setdefault(claim_id, []).append(made)
            updates = [creditor.as_claim(claim_id, items) for claim_id, items in former.items()]
            updates.sort(key=lambda each: each.customer.customer_number)
            send(agency, creditor.new_claims(5), invoices=evening)
            if updates:
                plugin.export_linked_items(updates, agreement(), seal(updates=evening - 1), FolderSink(agency.upload))
            agency.work(NOW)
            assert receipt(agency, f"receipt-invoices.{evening:03d}").status == "accepted"
            if updates:
                assert receipt(agency, f"receipt-updates.{evening - 1:03d}").status == "accepted"
            for payment_id in agency.pay_some(ON, seed=evening):
                if creditor.dice.random() < 0.2:
                    agency.reverse(payment_id, ON)
            name = agency.write_payments(NOW)
            rows = money(agency, name)[0] if name else []
            for row in rows:
                creditor.paid[row.claim_id] += -row.principal_minor if row.is_reversal else row.principal_minor
            assert agency.balances() == creditor.balances()


# --- killed at any step ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


def play(root, kill_at):
    """Play one evening, killing the agency once at the *kill_at*-th step; return what is left, and the steps taken."""
    steps = []

    def failpoint(step):
        steps.append(step)
        if len(steps) == kill_at:
            raise Killed

    facts = make_sandbox(root, FACTS)
    facts.close()
    claims = [claim("kp-c-1", items=[payment("kp-e-1")]), claim("kp-c-2", open_minor=1)]
    with SandboxAgency(root, facts.facts, SCHEMA, failpoint) as agency:
        send(agency, claims)
        send(agency, [claim("kp-c-1", items=[payment("kp-e-2", 50_00)], open_minor=1100_00)], updates=True)
        with contextlib.suppress(Killed):
            agency.work(NOW)
    with SandboxAgency(root, facts.facts, SCHEMA, failpoint) as agency:
        agency.work(NOW)
        files = {path.name: path.read_bytes() for path in agency.download.iterdir()}
        left = [path.name for folder in ("upload", "inwork", "staging") for path in (root / folder).iterdir()]
        return (files, left, agency.balances(), agency.cases()), steps


def test_killed_at_any_step_it_ends_where_it_would_have_ended(tmp_path):
    undisturbed, steps = play(tmp_path / "whole", 0)
    files, left, balances, cases = undisturbed
    assert sorted(files) == ["receipt-invoices.001", "receipt-updates.001"]
    assert (left, balances, cases) == ([], {"kp-c-1": 1100_00}, {"kp-c-1": "C-000001"})
    assert {"taken", "judged", "committed", "cleared", "staged", "released", "sent"} == set(steps)
    for kill_at in range(1, len(steps) + 1):
        assert play(tmp_path / str(kill_at), kill_at)[0] == undisturbed, steps[kill_at - 1]
