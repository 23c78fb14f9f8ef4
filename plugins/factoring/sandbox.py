"""The other end: a factor that reads our files strictly, keeps its own ledger and pays through its bank.

It shares no code with the writer: `far_files`, `far_fall`, `far_svea` and `far_ubl` read what the pages print, `far_references`
does its own arithmetic, and `bank` writes the files that its money comes by. State lies in ``state.sqlite`` and every step
is one transaction, so that the process may be killed at any moment: an uploaded file takes effect exactly once, and a
payment is written to the bank file that was promised with it.

Folders under *root*: ``upload`` is where the gateway delivers, ``download`` where the bank's files lie for it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from plugins.factoring.bank import CAMT_054, ENDINGS, KTL, Accounts, Transfer, write
from plugins.factoring.far_fall import DIALECTS, fall
from plugins.factoring.far_files import FACTONOR, K9409, Batch, Card, Item, Layout, Said, UnreadableFile
from plugins.factoring.far_references import is_finnish, reference_of
from plugins.factoring.far_svea import SVEA
from plugins.factoring.far_ubl import PEPPOL

_TABLES = """
create table if not exists upload (sha256 text primary key, filename text, received text, problem text not null);
create table if not exists customer (number integer primary key, organisation_number text, name text);
create table if not exists batch (number integer primary key);
create table if not exists item (
    is_credit integer, number integer, customer integer, amount_minor integer, dated text, due text, credits integer,
    reference text, primary key (is_credit, number));
create table if not exists payment (id integer primary key, file integer, invoice integer, amount_minor integer);
create table if not exists bank_file (number integer primary key, filename text, content blob, is_written integer);
"""

_BBAN = 14
"""Digits of a Finnish account: the end of its IBAN, and what a KTL row has room for."""

LAYOUTS: Mapping[str, Layout] = {
    "sgfinans-9409": K9409,
    "factonor": FACTONOR,
    "svea-fi": SVEA,
    "peppol-factored": PEPPOL,
    **{f"fall-{dialect}": fall(dialect) for dialect in DIALECTS},
}


class Sandbox:
    """A factor in a folder; see `make_sandbox`."""

    def __init__(self, root: Path, facts: Mapping[str, str]) -> None:
        self._root, self._facts = root, facts
        self._layout = LAYOUTS[facts.get("layout", "sgfinans-9409")]
        self._upload, self._download = root / "upload", root / "download"
        for folder in (self._upload, self._download):
            folder.mkdir(parents=True, exist_ok=True)
        with self._state() as state:
            state.executescript(_TABLES)

    def work(self, now: datetime) -> int:
        """Take every uploaded file, customers first, and write what the bank still owes; return the files handled."""
        handled = 0
        for pattern in self._layout.filenames(self._facts):
            for path in sorted(self._upload.glob(pattern)):
                self._take(path, now)
                handled += 1
        return handled + self._write_bank_files()

    def pay(self, amounts: Mapping[str, int], now: datetime, *, via: str = "") -> str:
        """Pay the creditor for invoices in one bank file; return its name.

        Args:
            amounts: minor units by invoice number; more or less than the open amount is allowed, as debtors do.
            now: the bank books on this day.
            via: ``camt.054`` (as usual in Norway), ``ocr`` or ``ktl`` (as usual in Finland).
        """
        via = via or (KTL if is_finnish(self._facts) else CAMT_054)
        with self._state() as state:
            (number,) = state.execute("select coalesce(max(number), 0) + 1 from bank_file").fetchone()
            transfers = []
            for invoice, amount_minor in amounts.items():
                row = state.execute("insert into payment values (null, ?, ?, ?)", (number, int(invoice), amount_minor))
                transfers.append(Transfer(self._reference(state, int(invoice)), amount_minor, f"{row.lastrowid:09d}"))
            filename = f"factor-{number:06d}.{ENDINGS.get(via, 'xml')}"
            content = write(via, number, transfers, self._accounts(), now)
            state.execute("insert into bank_file values (?, ?, ?, 0)", (number, filename, content))
        self._write_bank_files()
        return filename

    def balances(self) -> dict[str, int]:
        """Return what each debtor still owes in minor units, by invoice number: the total less credits and payments.

        A credit note that names no invoice stands by its own number, below zero: the factor keeps it for the customer.
        """
        query = """
            select number, (1 - 2 * is_credit) * amount_minor
                - coalesce((select sum(amount_minor) from item c where c.is_credit and c.credits = i.number), 0)
                - coalesce((select sum(amount_minor) from payment p where p.invoice = i.number), 0)
            from item i where credits is null order by number"""
        with self._state() as state:
            return {str(number): open_minor for number, open_minor in state.execute(query)}

    def problems(self) -> list[str]:
        """Return why files were not taken, oldest first. The format has no receipt: a person would telephone."""
        with self._state() as state:
            return [row[0] for row in state.execute("select problem from upload where problem != '' order by rowid")]

    def _take(self, path: Path, now: datetime) -> None:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        with self._state() as state:
            known = state.execute("select 1 from upload where sha256 = ?", (sha256,)).fetchone()
            if not known:
                problem = self._problem_with(state, path.name, content)
                row = (sha256, path.name, now.isoformat(), problem and f"{path.name}: {problem}")
                state.execute("insert into upload values (?, ?, ?, ?)", row)
        path.unlink()

    def _problem_with(self, state: sqlite3.Connection, filename: str, content: bytes) -> str:
        state.execute("savepoint file")
        try:
            for said in self._layout.read(filename, content, self._facts):
                self._note(state, said)
        except UnreadableFile as error:
            state.execute("rollback to file")
            return str(error)
        return ""

    def _note(self, state: sqlite3.Connection, said: Said) -> None:
        if isinstance(said, Card):
            state.execute("insert or replace into customer values (?, ?, ?)", said)
            return
        what = f"list {said.number}" if isinstance(said, Batch) else f"item {said.number}"
        if isinstance(said, Item):
            self._check_known(state, said)
        table = "batch" if isinstance(said, Batch) else "item"
        try:
            state.execute(f"insert into {table} values ({', '.join('?' * len(said))})", said)  # noqa: S608  two names of ours
        except sqlite3.IntegrityError as error:
            raise UnreadableFile(f"{what}: came before") from error

    def _check_known(self, state: sqlite3.Connection, item: Item) -> None:
        if not state.execute("select 1 from customer where number = ?", (item.customer,)).fetchone():
            raise UnreadableFile(f"item {item.number}: customer {item.customer} is unknown")
        has = "select 1 from item where not is_credit and number = ?"
        if item.credits is not None and not state.execute(has, (item.credits,)).fetchone():
            raise UnreadableFile(f"credit note {item.number}: names no invoice we have")

    def _reference(self, state: sqlite3.Connection, invoice: int) -> str:
        row = state.execute("select * from item where not is_credit and number = ?", (invoice,)).fetchone()
        if row is None:
            raise UnreadableFile(f"the factor has no invoice {invoice} to be paid for")
        return reference_of(Item(*row), self._facts)

    def _accounts(self) -> Accounts:
        facts = self._facts
        creditor, factor = (facts[name] for name in ("creditor_account", "agency_account"))
        if is_finnish(facts):
            creditor, factor = creditor[-_BBAN:], factor[-_BBAN:]
        return Accounts(creditor, factor, facts.get("agency_name", "Factor AS"))

    def _write_bank_files(self) -> int:
        """Write what is promised: under a temporary name, renamed, then ticked off. A second writing is the same file."""
        with self._state() as state:
            due = state.execute("select number, filename, content from bank_file where not is_written").fetchall()
        for number, filename, content in due:
            part = self._root / f"{filename}.part"
            part.write_bytes(content)
            part.replace(self._download / filename)
            with self._state() as state:
                state.execute("update bank_file set is_written = 1 where number = ?", (number,))
        return len(due)

    @contextmanager
    def _state(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._root / "state.sqlite", timeout=30)) as state, state:
            yield state


def make_sandbox(root: Path, facts: Mapping[str, str]) -> Sandbox:
    """Return the factor living in *root*, with whatever it remembers from earlier.

    *facts*: ``layout`` (``sgfinans-9409`` where it is not said), ``client_number``, ``creditor_account`` and
    ``agency_account`` (eleven digits each, in Finland fourteen or an IBAN); of SG Finans ``kid_scheme`` and, where agreed,
    ``customer_filename`` and ``invoice_filename``; of FALL ``business_id`` and ``reference_scheme``; of Peppol
    ``factor_party_id`` and, where they differ from the usual, ``type_code``, ``pay_to_account`` and ``clause``; optional
    ``agency_name``.
    """
    return Sandbox(root, facts)
