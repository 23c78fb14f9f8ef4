"""Peer: python-accounting posts receipts and assigns them to invoices, on SQLite.

    PYTHON accounting.py 200        prints {"python-accounting": receipts matched, posted and assigned per second}

Runs under the environment of `bench.peer_environment`. Invoices are posted before the clock starts. As favourable as the
library allows: SQLite's write-ahead log (it commits each voucher by itself), an index on the reference, no VAT.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from python_accounting.database.session import get_session
from python_accounting.models import Account, Assignment, Base, Currency, Entity, Ledger, LineItem, Transaction
from python_accounting.transactions import ClientInvoice, ClientReceipt
from sqlalchemy import Index, create_engine, func, select

NOW = datetime.now(UTC).replace(tzinfo=None)
"""Naive, as the library compares it with naive dates; of this year, as it opens no other period."""
Index("transaction_reference", Transaction.reference)


class Books:
    """An entity with the three accounts that an invoice and its payment touch."""

    def __init__(self, session) -> None:
        self.session = session
        self.entity = Entity(name="Bench AS")
        session.add(self.entity)
        session.commit()
        currency = Currency(name="Norwegian kroner", code="NOK", entity_id=self.entity.id)
        session.add(currency)
        session.commit()
        kinds = Account.AccountType
        self.client, self.revenue, self.bank = (
            Account(name=kind.name, account_type=kind, currency_id=currency.id, entity_id=self.entity.id)
            for kind in (kinds.RECEIVABLE, kinds.OPERATING_REVENUE, kinds.BANK)
        )
        session.add_all([self.client, self.revenue, self.bank])
        session.commit()

    def post(self, kind: type, other: Account, reference: str, amount: Decimal):
        """Post one invoice or receipt of one line."""
        voucher = kind(
            narration="Bench", reference=reference, transaction_date=NOW, account_id=self.client.id,
            entity_id=self.entity.id,
        )  # fmt: skip
        line = LineItem(narration="Bench", account_id=other.id, amount=amount, entity_id=self.entity.id)
        self.session.add_all([voucher, line])
        self.session.flush()
        voucher.line_items.add(line)
        voucher.post(self.session)
        return voucher

    def pay(self, reference: str, amount: Decimal) -> None:
        """Find the invoice of a reference, post the receipt and assign it."""
        invoice = self.session.scalars(select(ClientInvoice).where(ClientInvoice.reference == reference)).one()
        receipt = self.post(ClientReceipt, self.bank, reference, amount)
        assignment = Assignment(
            assignment_date=NOW, transaction_id=receipt.id, assigned_id=invoice.id, assigned_type="ClientInvoice",
            entity_id=self.entity.id, amount=amount,
        )  # fmt: skip
        self.session.add(assignment)
        self.session.flush()

    def check(self, payments: list[tuple[str, Decimal]]) -> None:
        """Compare with what was paid: ledger rows, and what each invoice is cleared with."""
        invoice, cleared = Transaction.reference, func.sum(Assignment.amount)
        told = self.session.execute(
            select(invoice, cleared).join(Assignment, Assignment.assigned_id == Transaction.id).group_by(Transaction.id)
        )
        assert sorted((reference, Decimal(amount)) for reference, amount in told) == payments
        assert self.session.scalar(select(func.count()).select_from(Ledger)) == 4 * len(payments)


def main() -> None:
    """Post invoices, then time their payment."""
    warnings.simplefilter("ignore")
    payments = [(f"{n:015d}", Decimal(1000 + n)) for n in range(int(sys.argv[1]))]
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'books.sqlite'}")
        Base.metadata.create_all(engine)
        with engine.connect() as link:
            link.exec_driver_sql("pragma journal_mode = wal")
        with get_session(engine) as session:
            books = Books(session)
            for reference, amount in payments:
                books.post(ClientInvoice, books.revenue, reference, amount)
            session.commit()
            begin = time.perf_counter()
            for reference, amount in payments:
                books.pay(reference, amount)
            session.commit()
            seconds = time.perf_counter() - begin
            books.check(payments)
    print(json.dumps({"python-accounting": len(payments) / seconds}))


if __name__ == "__main__":
    main()
