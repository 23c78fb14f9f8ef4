"""The physical limits beside which the evening is measured, on the same machine in the same run.

* matching and posting: the same facts as bare set-based SQL on four narrow tables, rows already in memory;
* writing: the same bytes of XML by f-strings without checks.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCHEMA = (
    "create table invoice (id bigint primary key, kid text not null, amount bigint not null, open bigint not null)",
    "create unique index invoice_kid on invoice (kid)",
    "create table payment (id bigint primary key, kid text not null, amount bigint not null, invoice bigint)",
    "create table entry (id bigint primary key, invoice bigint not null, amount bigint not null)",
    "create index entry_invoice on entry (invoice)",
)
POST = (
    "update payment set invoice = i.id from invoice i where i.kid = payment.kid and i.open = payment.amount",
    "insert into entry select id, invoice, -amount from payment where invoice is not null",
    "update invoice set open = open - p.amount from payment p where p.invoice = invoice.id",
)


def post_sqlite(count: int) -> float:
    """Return payments a second of the floor on SQLite, durable."""
    with tempfile.TemporaryDirectory() as folder:
        link = sqlite3.connect(Path(folder) / "floor.sqlite")
        link.execute("pragma journal_mode = wal")
        link.execute("pragma synchronous = full")
        return _post(link, count, lambda table, rows: link.executemany(_insert(table, len(rows[0]), "?"), rows))


def post_postgres(url: str, count: int) -> float:
    """Return payments a second of the floor on PostgreSQL."""
    import psycopg

    with psycopg.connect(url) as link:
        link.execute("drop schema if exists floor cascade")
        link.execute("create schema floor")
        link.execute("set search_path to floor")

        def load(table: str, rows: list[tuple[Any, ...]]) -> None:
            with link.cursor().copy(f"copy {table} from stdin") as copy:
                for row in rows:
                    copy.write_row(row)

        rate = _post(link, count, load)
        link.execute("drop schema floor cascade")
        return rate


def _post(link: Any, count: int, load: Callable[[str, list[tuple[Any, ...]]], object]) -> float:
    for statement in SCHEMA:
        link.execute(statement)
    load("invoice", [(n, f"{n:015d}", 1000 + n, 1000 + n) for n in range(count)])
    link.commit()
    link.execute("analyze")
    begin = time.perf_counter()
    load("payment", [(count + n, f"{n:015d}", 1000 + n, None) for n in range(count)])
    for statement in POST:
        link.execute(statement)
    link.commit()
    return count / (time.perf_counter() - begin)


def _insert(table: str, width: int, mark: str) -> str:
    return f"insert into {table} values ({', '.join([mark] * width)})"


def write_xml(count: int) -> float:
    """Return claims a second of plain f-strings, one write each."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w", encoding="utf-8") as file:
        for n in range(count):
            file.write(claim(n))
        file.flush()
    return count / (time.perf_counter() - begin)


def claim(n: int) -> str:
    """Return the XML of a customer with one invoice and one payment."""
    return (
        f'    <Customer customerNumber="{n}">\n      <CustomerDetails kind="company" name="Kunde {n} Åsgård" '
        f'identityNumber="999999980" identityScheme="no-orgnr" address1="Storgata {n}" postcode="0155" '
        f'city="OSLO" country="NO" email="post{n}@kunde.example" phone="22334455" language="nb"/>\n'
        f'      <Invoice invoiceNumber="{n}" claimId="kp-{n}" reminderNumber="{n}">\n        <InvoiceHeader '
        f'invoiceDate="2026-11-23" dueDate="2026-12-07" originalAmount="{n}.00" openAmount="{n}.00" '
        f'paymentReference="{n:015d}" service="ledger"/>\n        <Payment itemId="kp-{n}-1" date="2026-11-23" '
        f'amount="{n}.00" voucherNumber="v{n}"/>\n      </Invoice>\n    </Customer>\n'
    )
