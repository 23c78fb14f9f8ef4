"""Builders for tests of kravport-sls-1. All persons and numbers are invented."""

import io
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

from gateway.domain.exchange import (
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Direction,
    InboundFile,
    LinkedItem,
    LinkKind,
    Origin,
    Seal,
    Service,
)

CORPUS = Path(__file__).parents[1] / "corpus" / "sls"
EXAMPLES = Path(__file__).parents[3] / "shared" / "formats" / "agencies" / "examples" / "kravport-sls-1"
OSLO = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 23, 17, 5, tzinfo=UTC)


class MemorySink:
    """Keeps files in memory, as the host keeps them until they are sealed."""

    def __init__(self):
        self.files = {}
        self.writes = 0

    @contextmanager
    def open(self, filename):
        assert filename not in self.files
        stream = io.BytesIO()
        yield stream
        self.files[filename] = stream.getvalue()


class FolderSink:
    def __init__(self, folder):
        self.folder = folder

    def open(self, filename):
        return (self.folder / filename).open("wb")


def agreement(**changes):
    facts = {
        "agreement_id": 1,
        "agency_key": "intrum",
        "creditor_id": 1,
        "creditor_name": "Fjord AS",
        "display_name": "Intrum Justitia",
        "client_number": "4711",
        "service": Service.LEDGER,
        "market": "NO",
        "currency": "NOK",
        "profile": "kravport-sls-1",
        "is_sandbox": True,
        "settings": {"ledger_id": "4711-NOK", "agency_id": "SANDBOX"},
    }
    return Agreement(**(facts | changes))


def seal(*, invoices=1, updates=1, created_at=NOW, file_id="{kind}a0b0c0d-0000-4000-8000-{number:012d}"):
    numbers = {"invoices": invoices, "updates": updates}
    ids = {kind: file_id.format(kind=len(kind) % 8, number=number) for kind, number in numbers.items()}
    return Seal(numbers, ids, created_at, created_at.date(), "4711", "SANDBOX", is_test=True)


def customer(number="20001", **changes):
    card = {
        "kind": CustomerKind.COMPANY,
        "name": "Tindevik Verksted AS",
        "organisation_number": "987654325",
        "national_id": "",
        "identity_scheme": "no-orgnr",
        "address1": "Industriveien 4",
        "address2": "",
        "postcode": "6800",
        "city": "FØRDE",
        "country": "NO",
        "email": "",
        "phone": "",
        "language": "",
    }
    return Customer(number, **(card | changes))


def payment(item_id="kp-e-1", amount_minor=100_00, **changes):
    return item(item_id, LinkKind.DIRECT_PAYMENT, Direction.CREDIT, amount_minor, **changes)


def item(item_id, kind, direction, amount_minor, *, day=date(2026, 11, 20), origin=Origin.CREDITOR, **changes):
    return LinkedItem(item_id, kind, day, amount_minor, direction, origin, **changes)


def claim(claim_id="kp-c-1", *, original=1250_00, items=(), open_minor=None, card=None, **changes):
    facts = {
        "invoice_number": claim_id.rpartition("-")[2],
        "reminder_number": "",
        "case_number": "",
        "invoice_date": date(2026, 11, 1),
        "due_date": date(2026, 11, 15),
        "payment_reference": "2345676",
        "text": "",
    }
    told = original + sum(effect(it) for it in items) if open_minor is None else open_minor
    return Claim(
        claim_id,
        original_minor=original,
        open_minor=told,
        customer=card or customer(),
        items=tuple(items),
        **(facts | changes),
    )


def effect(linked):
    if linked.kind is LinkKind.CHARGE:
        return 0
    return linked.amount_minor if linked.direction is Direction.DEBIT else -linked.amount_minor


def inbound(content, name="payments.001"):
    return InboundFile(1, name, NOW, len(content), content[:65536], lambda: io.BytesIO(content))
