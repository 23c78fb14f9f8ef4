"""The creditor's own bank over REST (R-PM-02), and who sends an invoice's reminders (R-LS-11)."""

from __future__ import annotations

import pytest

from gateway.services import inbound
from gateway.testing.payment_files import OcrPayment, ocr_file
from gateway.web.openapi import BYTES
from tests.web.conftest import CUSTOMER, INVOICE, make_app

CONTENT = ocr_file([[OcrPayment(125_000, INVOICE["payment_reference"])]])


def push(world, content: bytes = CONTENT, **headers: str):
    return world.api("POST", "/bank-files", body=content, media_type=BYTES, **headers)


@pytest.mark.rule("R-PM-02")
def test_a_file_is_kept_read_and_shown_without_an_agencys_name(world):
    world.api("PUT", "/customers/c-1", CUSTOMER)
    world.api("PUT", "/invoices/i-1", INVOICE)
    answer = push(world, Content_Disposition='attachment; filename="../OCR.dat"')
    assert (answer.status_code, answer.json["duplicate"]) == (202, False)
    inbound.process(world.house, int(answer.json["inbound_file_id"]))
    (row,) = world.api("GET", "/payments").json["items"]
    assert (row["label"], row["invoice"], row["state"], row["amount"]) == ("", "i-1", "proposed", "1250.00")
    assert world.others_api("GET", "/payments").json["items"] == []


@pytest.mark.rule("R-PM-10")
def test_the_same_bytes_again_are_a_duplicate_and_each_creditors_own(world):
    first = push(world).json["inbound_file_id"]
    again = push(world)
    assert (again.status_code, again.json["inbound_file_id"], again.json["duplicate"]) == (200, first, True)
    theirs = world.others_api("POST", "/bank-files", body=CONTENT, media_type=BYTES)
    assert (theirs.status_code, theirs.json["duplicate"]) == (202, False)


def test_what_is_no_file_is_refused(world):
    assert push(world, b"").json["code"] == "request.invalid"
    assert world.api("POST", "/bank-files", {"a": 1}).json["code"] == "request.media_type"
    assert (
        world.api_of(world.fjord, ["ledger:read"])("POST", "/bank-files", body=b"x", media_type=BYTES).status_code
        == 403
    )


def test_a_file_too_large_is_refused_and_leaves_nothing(world):
    small = type(world.api)(make_app(world.house, bulk=100), world.api._key)
    assert small("POST", "/bank-files", body=CONTENT, media_type=BYTES).status_code == 413
    assert push(world).json["duplicate"] is False


@pytest.mark.rule("R-LS-11")
def test_an_invoice_says_who_reminds(world):
    world.api("PUT", "/customers/c-1", CUSTOMER)
    world.api("PUT", "/invoices/i-1", INVOICE)
    assert world.api("GET", "/invoices/i-1").json["reminded_by"] is None
    world.agreement("lowell")
    assert world.api("GET", "/invoices/i-1").json["reminded_by"] == "Lowell"
    assert [row["reminded_by"] for row in world.api("GET", "/invoices").json["items"]] == ["Lowell"]
