"""Invented claims for the tests of profiles, and the shortest profile that is right."""

from __future__ import annotations

import io
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Direction,
    LinkedItem,
    LinkKind,
    Origin,
    Seal,
    Service,
)
from gateway.profiles import ProfileFile, load
from gateway.profiles.shipped import shipped

CORPUS = Path(__file__).parents[1] / "corpus" / "profiles"
CREATED = datetime(2026, 11, 23, 17, 30, tzinfo=timezone(timedelta(hours=1)))

SMALL = """\
[profile]
name = "small"
title = "Small"
source = "Invented for a test"
encoding = "ascii"
newline = "lf"

[file.claims]
direction = "out"
kind = "fixed"
filename = "claims.{sequence:03}"

[file.claims.record.claim]
each = "claim"
length = 20
columns = [
  { at = "1-2", name = "code", const = "10" },
  { at = "3-9", name = "number", type = "digits", from = "claim.invoice_number" },
  { at = "10-20", name = "balance", type = "amount", from = "claim.open_minor" },
]

[file.claims.record.end]
length = 20
columns = [
  { at = "1-2", name = "code", const = "99" },
  { at = "3-9", name = "claims", type = "number", total = { count = ["claim"] } },
  { at = "10-20", name = "sum", type = "amount", total = { sum = ["claim.balance"] } },
]
"""


def shipped_file(name, key):
    return ProfileFile(load(shipped()[name]), key)


def written(file, rows):
    """Return the bytes of a file of these (record, values)."""
    out = io.BytesIO()
    with file.write(out) as writer:
        for key, values in rows:
            writer.put(key, values)
    return out.getvalue()


def read(file, content):
    return list(file.read(io.BytesIO(content)))


def agreement(client="4711", currency="NOK", market="NO", creditor="Vuono Oy", **settings):
    return Agreement(
        1, "agency", 1, creditor, "Agency", client, Service.COLLECTION, market, currency, "profile", is_sandbox=True,
        settings=settings,
    )  # fmt: skip


def seal(key, sequence):
    file_id = "00000000-0000-4000-8000-000000000001"
    return Seal({key: sequence}, {key: file_id}, CREATED, CREATED.date(), "4711", "AGENCY", is_test=True)


def company(number="20001", **changes):
    card = Customer(
        number, CustomerKind.COMPANY, "Tindevik Verksted AS", "987 654 325", "", "no-orgnr", "Industriveien 4", "", "6800",
        "FØRDE", "NO", "post@tindevik.test", "22334455", "nb",
    )  # fmt: skip
    return card._replace(**changes)


def person(number="20002", **changes):
    card = Customer(
        number, CustomerKind.PRIVATE, "Ola Eksempel", "", "", "", "Fjellveien 3", "", "9010", "TROMSØ", "NO",
        "ola.eksempel@far-too-long.test", "", "nb",
    )  # fmt: skip
    return card._replace(**changes)


def claim(number, customer, day, due, minor, *, text="", reference="", items=()):
    return Claim(f"c-{number}", number, "", "", day, due, minor, minor, reference, text, customer, tuple(items))


def credit_note(number, day, minor, reference="", **changes):
    item = LinkedItem(
        f"i-{number}", LinkKind.CREDIT_NOTE, day, minor, Direction.CREDIT, Origin.CREDITOR, number,
        payment_reference=reference,
    )  # fmt: skip
    return item._replace(**changes)


def two_claims():
    """A company's and a private person's, as both NK003 golden files tell them."""
    first = claim("500124", company(), date(2026, 11, 1), date(2026, 11, 15), 1250_00, text="Deler og montering")
    return [first, claim("500125", person(), date(2026, 11, 2), date(2026, 11, 16), 54_10)]
