"""The other end: a factor that reads our files strictly, keeps its own ledger and pays through its bank.

It shares no code with the writer; positions are sliced as the page prints them (factoring-sgfinans.md sections 2 and
3). State lies in ``state.sqlite`` and every step is one transaction, so that the process may be killed at any moment:
an uploaded file takes effect exactly once, and a payment is written to the bank file that was promised with it.

Folders under *root*: ``upload`` is where the gateway delivers, ``download`` where the bank's files lie for it.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from plugins.factoring.bank import CAMT_054, OCR_GIRO, Accounts, Transfer, write

_TABLES = """
create table if not exists upload (sha256 text primary key, filename text, received text, problem text not null);
create table if not exists customer (number integer primary key, organisation_number text, name text);
create table if not exists item (
    code text, number integer, customer integer, amount_minor integer, dated text, due text, credits integer,
    primary key (code, number));
create table if not exists payment (id integer primary key, file integer, invoice integer, amount_minor integer);
create table if not exists bank_file (number integer primary key, filename text, content blob, is_written integer);
"""

_KIDS = {
    "standard-15": "{invoice:07d}{customer:07d}",
    "sgfinans-16": "9{client:04d}{invoice:08d}00",
    "kfinans-20": "{customer:07d}{client:04d}{invoice:07d}1",
    "dnb-20": "5{client:04d}{invoice:07d}{customer:07d}",
    "factonor-16": "{client:03d}{customer:06d}{invoice:06d}",
}


class UnreadableFile(Exception):
    """The factor does not take this file."""


class Sandbox:
    """A factor in a folder; see `make_sandbox`."""

    def __init__(self, root: Path, facts: Mapping[str, str]) -> None:
        self._root, self._facts = root, facts
        self._upload, self._download = root / "upload", root / "download"
        for folder in (self._upload, self._download):
            folder.mkdir(parents=True, exist_ok=True)
        with self._state() as state:
            state.executescript(_TABLES)

    def work(self, now: datetime) -> int:
        """Take every uploaded file, customers first, and write what the bank still owes; return the files handled."""
        names = [self._facts.get("customer_filename", "Kunde.SGK"), self._facts.get("invoice_filename", "Faktura.SGF")]
        handled = 0
        for path in [self._upload / name for name in names]:
            if path.is_file():
                self._take(path, now)
                handled += 1
        return handled + self._write_bank_files()

    def pay(self, amounts: Mapping[str, int], now: datetime, *, via: str = CAMT_054) -> str:
        """Pay the creditor for invoices in one bank file (``camt.054`` or ``ocr``); return its name.

        Args:
            amounts: øre by invoice number; more or less than the open amount is allowed, as debtors do.
            now: the bank books on this day.
            via: format of the bank file.
        """
        with self._state() as state:
            (number,) = state.execute("select coalesce(max(number), 0) + 1 from bank_file").fetchone()
            transfers = []
            for invoice, amount_minor in amounts.items():
                row = state.execute("insert into payment values (null, ?, ?, ?)", (number, int(invoice), amount_minor))
                transfers.append(Transfer(self._kid(state, int(invoice)), amount_minor, f"{row.lastrowid:09d}"))
            filename = f"factor-{number:06d}.{'ocr' if via == OCR_GIRO else 'xml'}"
            content = write(via, number, transfers, self._accounts(), now)
            state.execute("insert into bank_file values (?, ?, ?, 0)", (number, filename, content))
        self._write_bank_files()
        return filename

    def balances(self) -> dict[str, int]:
        """Return what each debtor still owes in øre, by invoice number: the total less credit notes and payments."""
        query = """
            select number, amount_minor
                - coalesce((select sum(amount_minor) from item c where c.code = '9' and c.credits = i.number), 0)
                - coalesce((select sum(amount_minor) from payment p where p.invoice = i.number), 0)
            from item i where code = '1' order by number"""
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
                problem = self._problem_with(state, content, is_cards=content.startswith(b"K"))
                row = (sha256, path.name, now.isoformat(), problem and f"{path.name}: {problem}")
                state.execute("insert into upload values (?, ?, ?, ?)", row)
        path.unlink()

    def _problem_with(self, state: sqlite3.Connection, content: bytes, *, is_cards: bool) -> str:
        state.execute("savepoint file")
        try:
            for line in _lines(content, 254 if is_cards else 128):
                (self._take_card if is_cards else self._take_item)(state, line)
        except UnreadableFile as error:
            state.execute("rollback to file")
            return str(error)
        return ""

    def _take_card(self, state: sqlite3.Connection, line: str) -> None:
        if line[0:5] != "K9409" or line[193:198] != "NO578" or line[248:254] != "NOK   ":
            raise UnreadableFile("not a customer record of version 9409 for Norway")
        self._check_client(line[5:9])
        number, organisation_number, rest = _int(line[9:18]), line[18:27], line[27:29]
        if not organisation_number.isdigit() or rest not in ("00", "  "):
            raise UnreadableFile(f"customer {number}: organisation number {line[18:29]!r}")
        name, address, place = line[29:84].rstrip(), line[84:114].rstrip(), line[118:141].rstrip()
        if not (name and address and place and line[114:118].isdigit()):
            raise UnreadableFile(f"customer {number}: name or address is missing")
        state.execute("insert or replace into customer values (?, ?, ?)", (number, organisation_number, name))

    def _take_item(self, state: sqlite3.Connection, line: str) -> None:
        self._check_client(line[1:5])
        code, customer, number, amount_minor = line[0], _int(line[5:14]), _int(line[14:22]), _int(line[34:45])
        if code not in "19" or line[45:60].strip() or line[111:125] != "NOK00000000000" or line[125:].strip():
            raise UnreadableFile(f"item {number}: not an invoice or credit note in NOK")
        if not state.execute("select 1 from customer where number = ?", (customer,)).fetchone():
            raise UnreadableFile(f"item {number}: customer {customer} is unknown")
        credited = None
        if code == "9":
            named = re.fullmatch(r"Kreditnota til ([1-9][0-9]{0,7}) *", line[75:100])
            credited = named and int(named[1])
            if not state.execute("select 1 from item where code = '1' and number = ?", (credited,)).fetchone():
                raise UnreadableFile(f"credit note {number}: names no invoice we have")
        row = (code, number, customer, amount_minor, _day(line[22:28]), _day(line[28:34]), credited)
        try:
            state.execute("insert into item values (?, ?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as error:
            raise UnreadableFile(f"item {number}: came before") from error

    def _check_client(self, number: str) -> None:
        if number != self._facts["client_number"].rjust(4, "0"):
            raise UnreadableFile(f"client number {number} is not ours")

    def _kid(self, state: sqlite3.Connection, invoice: int) -> str:
        row = state.execute("select customer from item where code = '1' and number = ?", (invoice,)).fetchone()
        if row is None:
            raise UnreadableFile(f"the factor has no invoice {invoice} to be paid for")
        scheme, client = self._facts["kid_scheme"], int(self._facts["client_number"])
        base = _KIDS[scheme].format(client=client, customer=row[0], invoice=invoice)
        return base + _check_character(base, is_mod11=scheme == "dnb-20")

    def _accounts(self) -> Accounts:
        facts = self._facts
        return Accounts(facts["creditor_account"], facts["agency_account"], facts.get("agency_name", "Factor AS"))

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

    *facts*: ``client_number``, ``kid_scheme``, ``creditor_account`` and ``agency_account`` (eleven digits each); optional
    ``agency_name``, ``customer_filename``, ``invoice_filename``.
    """
    return Sandbox(root, facts)


def _lines(content: bytes, length: int) -> Iterator[str]:
    if not content.endswith(b"\r\n"):
        raise UnreadableFile("is empty or cut off")
    for count, line in enumerate(content.decode("iso-8859-1")[:-2].split("\r\n"), start=1):
        if len(line) != length:
            raise UnreadableFile(f"line {count}: {len(line)} characters, not {length}")
        yield line


def _int(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not int(text):
        raise UnreadableFile(f"{text!r} is not a number above zero")
    return int(text)


def _day(text: str) -> str:
    try:
        return datetime.strptime(text, "%y%m%d").date().isoformat()  # noqa: DTZ007  a calendar day has no zone
    except ValueError as error:
        raise UnreadableFile(f"{text!r} is not a day") from error


def _check_character(base: str, *, is_mod11: bool) -> str:
    """The factor's own arithmetic: mod 10 over the spelled-out products, mod 11 with its two exceptions."""
    if is_mod11:
        rest = 11 - sum(int(sign) * (2 + place % 6) for place, sign in enumerate(reversed(base))) % 11
        return {10: "-", 11: "0"}.get(rest, str(rest))
    spelled = "".join(str(int(sign) * (2 - place % 2)) for place, sign in enumerate(reversed(base)))
    return str((10 - sum(map(int, spelled)) % 10) % 10)
