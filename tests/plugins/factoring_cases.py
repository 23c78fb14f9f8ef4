"""Invented claims, agreements and files for the factoring tests."""

import io
from contextlib import contextmanager
from datetime import UTC, date, datetime

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
from plugins.factoring import CUSTOMERS, INVOICES
from plugins.factoring.kid import make_kid

NOW = datetime(2026, 10, 20, 16, 0, tzinfo=UTC)
SEAL = Seal(
    {CUSTOMERS: 7, INVOICES: 9}, {CUSTOMERS: "a", INVOICES: "b"}, NOW, NOW.date(), "1234", "FACTOR", is_test=True
)
COMPANY = Customer(
    "100017", CustomerKind.COMPANY, "Nordfjord Bygg og Anlegg", "987654325", "", "no-orgnr", "Storgata 12", "", "0155",
    "OSLO", "NO", "post@example.org", "22 33 44 55", "nb",
)  # fmt: skip
SECOND = COMPANY._replace(customer_number="100018", name="Sørfjord Rør", city="Ålesund", postcode="6002")


def agreement(**settings):
    settings = {"kid_scheme": "sgfinans-16", **settings}
    return Agreement(
        1, "factoring", 1, "Fjord AS", "Nordea Finance", "1234", Service.FACTORING, "NO", "NOK", "sgfinans-9409",
        is_sandbox=True, settings=settings,
    )  # fmt: skip


AGREEMENT = agreement()


def kid(invoice, customer="100017"):
    return make_kid("sgfinans-16", client="1234", customer=customer, invoice=invoice)


def credit_note(number="5070", amount_minor=25000, day=date(2026, 10, 20), **more):
    item = LinkedItem(f"i{number}", LinkKind.CREDIT_NOTE, day, amount_minor, Direction.CREDIT, Origin.CREDITOR, number)
    return item._replace(**more)


def claim(number="5067", original_minor=125000, customer=COMPANY, items=(), **more):
    made = Claim(
        f"c{number}", number, "208", "", date(2026, 10, 15), date(2026, 10, 29), original_minor, original_minor,
        kid(number, customer.customer_number), "", customer, tuple(items),
    )  # fmt: skip
    return made._replace(**more)


class MemorySink:
    """Keeps what was written, and proves that no two files are open at once."""

    def __init__(self):
        self.files, self._is_open = {}, False

    @contextmanager
    def open(self, filename):
        assert not self._is_open
        assert filename not in self.files
        self._is_open = True
        into = io.BytesIO()
        yield into
        self.files[filename], self._is_open = into.getvalue(), False
