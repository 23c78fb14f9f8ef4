"""The other end: an agency that takes each layout of ESP's plugin, read strictly and by itself.

Files of kravport-sls-1 go to the shared sandbox agency; under kravport-pull-1 it fetches. NK003 is read here, by positions sliced as the page prints them
(esp.md section 3); it shares no code with the writer. No file answers NK003: money comes by the bank, in a camt.054 that names
the invoice, because the record has no room for a KID.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

from gateway.formats import pull
from gateway.testing.pull_agency import PullAgency
from plugins.sls_sandbox import AgreementFacts, SandboxAgency
from plugins.sls_sandbox.bank import Credit, camt054

SCHEMA = Path(__file__).with_name("kravport-sls-1.xsd")

_TABLES = """
create table if not exists upload (sha256 text primary key, filename text not null, problem text not null);
create table if not exists claim (
    invoice text primary key, debtor integer not null, name text not null, balance integer not null);
create table if not exists payment (
    id integer primary key, invoice text not null, amount integer not null, day text not null, file integer);
create table if not exists bank_file (number integer primary key, content blob not null, is_written integer not null);
"""
_NAME = re.compile(r"NK003_([0-9]{1,6})_([0-9]{8})_([0-9]{4,})\.txt")
_LENGTH = 287


class UnreadableFile(Exception):
    """The agency does not take this file."""


class EspSandbox(SandboxAgency):
    """The shared sandbox agency, with a desk for NK003 beside it.

    Claims of the one are known by claim id, of the other by invoice number.
    """

    def __init__(self, root: Path, facts: AgreementFacts) -> None:
        super().__init__(root, facts, SCHEMA)
        self.nk003 = Nk003Desk(root, facts)

    def work(self, now: datetime) -> int:
        """Work off every waiting file of either layout; return how many."""
        return super().work(now) + self.nk003.work(now)

    def balances(self) -> dict[str, int]:
        """Return what each debtor still owes, in minor units."""
        return super().balances() | self.nk003.balances()

    def pay(self, claim_id: str, amount_minor: int, on: date, *, interest_minor: int = 0, fees_minor: int = 0) -> str:
        """Let the debtor pay; on a claim of NK003 all of it is principal, since the layout tells no charges."""
        if claim_id in self.nk003.balances():
            return self.nk003.pay(claim_id, amount_minor, on)
        return super().pay(claim_id, amount_minor, on, interest_minor=interest_minor, fees_minor=fees_minor)

    def write_payments(self, now: datetime) -> str | None:
        """Tell payments; the bank does it for claims of NK003, which has no file for them."""
        return self.nk003.write_camt054(now) or super().write_payments(now)

    def write_camt054(self, now: datetime) -> str | None:
        """Tell payments as the creditor's bank does; those on claims of NK003 first, in a file of their own."""
        return self.nk003.write_camt054(now) or super().write_camt054(now)


class Nk003Desk:
    """What the agency knows from NK003 files. Each step is one transaction, so that it may be killed at any moment."""

    def __init__(self, root: Path, facts: AgreementFacts) -> None:
        self._root, self._facts = root, facts
        self._upload, self._download = root / "upload", root / "download"
        with self._state() as state:
            state.executescript(_TABLES)

    def work(self, now: datetime) -> int:  # noqa: ARG002  # as every sandbox is told the moment
        """Take every uploaded file, in the order of their names; write what the bank still owes."""
        waiting = sorted(path for path in self._upload.iterdir() if _NAME.fullmatch(path.name))
        for path in waiting:
            self._take(path)
        self._write_bank_files()
        return len(waiting)

    def balances(self) -> dict[str, int]:
        """Return balance less payments, by invoice number."""
        paid = "coalesce((select sum(amount) from payment p where p.invoice = c.invoice), 0)"
        with self._state() as state:
            rows = state.execute(f"select invoice, balance - {paid} from claim c order by invoice")  # noqa: S608
            return dict(rows.fetchall())

    def problems(self) -> list[str]:
        """Return why files were not taken, oldest first. The format has no receipt: a person would telephone."""
        with self._state() as state:
            return [row[0] for row in state.execute("select problem from upload where problem != '' order by rowid")]

    def pay(self, invoice: str, amount_minor: int, on: date) -> str:
        """Let the debtor pay *amount_minor*; return the payment's reference at the bank."""
        with self._state() as state:
            values = (invoice, amount_minor, on.isoformat())
            row = state.execute("insert into payment (invoice, amount, day) values (?, ?, ?)", values)
            return f"NK-{row.lastrowid:06d}"

    def write_camt054(self, now: datetime) -> str | None:
        """Tell what was paid since the last file as one camt.054; return its name, None when there was nothing."""
        with self._state() as state:
            paid = state.execute(
                "select id, invoice, amount, day from payment where file is null order by id"
            ).fetchall()
            if not paid:
                return None
            (number,) = state.execute("select coalesce(max(number), 0) + 1 from bank_file").fetchone()
            credits_ = [
                Credit(f"NK-{key:06d}", minor, date.fromisoformat(day), "", invoice_number=invoice)
                for key, invoice, minor, day in paid
            ]
            content = camt054(credits_, self._facts, number, now)
            state.execute("insert into bank_file values (?, ?, 0)", (number, content))
            state.execute("update payment set file = ? where file is null", (number,))
        self._write_bank_files()
        return _bank_name(number)

    def _write_bank_files(self) -> None:
        """Write what is promised: under a temporary name, renamed, then ticked off. A second writing is the same file."""
        with self._state() as state:
            due = state.execute("select number, content from bank_file where not is_written").fetchall()
        for number, content in due:
            part = self._root / f"{_bank_name(number)}.part"
            part.write_bytes(content)
            part.replace(self._download / _bank_name(number))
            with self._state() as state:
                state.execute("update bank_file set is_written = 1 where number = ?", (number,))

    def _take(self, path: Path) -> None:
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        with self._state() as state:
            if not state.execute("select 1 from upload where sha256 = ?", (sha256,)).fetchone():
                problem = self._problem_with(state, path.name, content)
                state.execute("insert into upload values (?, ?, ?)", (sha256, path.name, problem))
        path.unlink()

    def _problem_with(self, state: sqlite3.Connection, name: str, content: bytes) -> str:
        state.execute("savepoint file")
        try:
            for line in _lines(content):
                self._take_line(state, line)
        except UnreadableFile as error:
            state.execute("rollback to file")
            return f"{name}: {error}"
        return ""

    def _take_line(self, state: sqlite3.Connection, line: str) -> None:
        if line[0:5] != "NK003" or line[286] != "F":
            raise UnreadableFile("not an invoice of NK003")
        if _number(line[5:11]) != int(self._facts.client_number):
            raise UnreadableFile(f"client number {line[5:11]} is not ours")
        if not (line[20:22] == "00" and line[22:31].isdigit()):
            raise UnreadableFile(f"organisation number {line[20:31]!r}")
        name, address, postcode, town = (
            part.rstrip() for part in (line[31:71], line[71:111], line[111:136], line[136:171])
        )
        if not (name and address and postcode and town):
            raise UnreadableFile("name or address is missing")
        invoice, balance = line[191:211].rstrip(), _number(line[277:286])
        if invoice == "0" or not balance:
            raise UnreadableFile("names no invoice, or nothing is open")
        if _day(line[261:269]) > _day(line[269:277]):
            raise UnreadableFile(f"invoice {invoice}: due before it was made")
        try:
            state.execute("insert into claim values (?, ?, ?, ?)", (invoice, _number(line[11:20]), name, balance))
        except sqlite3.IntegrityError as error:
            raise UnreadableFile(f"invoice {invoice}: came before") from error

    @contextmanager
    def _state(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._root / "nk003.sqlite", timeout=30)) as state, state:
            yield state


def make_sandbox(root: Path, agreement_facts: Mapping[str, Any]) -> EspSandbox | PullAgency:
    """Return the sandbox agency that lives in *root* (upload, download, state.sqlite, nk003.sqlite; pull.sqlite).

    Args:
        root: its folder; made when it is not there, taken up again when it is.
        agreement_facts: fields of `AgreementFacts`; client_number is needed, and ledger_id for kravport-sls-1. With ``layout``
            kravport-pull-1 it is an agency that fetches, and ``pull.json`` in *root* tells it where.
    """
    if agreement_facts.get("layout") == pull.PROFILE:
        return PullAgency(root, str(agreement_facts.get("currency", "NOK")))
    known = {field.name for field in dataclasses.fields(AgreementFacts)}
    facts = {name: value for name, value in agreement_facts.items() if name in known}  # NK003 has settings of its own
    usual = {"ledger_id": "", "currency": "NOK", "country": "NO", "agency_name": "ESP Credit Management"}
    return EspSandbox(root, AgreementFacts(**{**usual, **facts}))


def _bank_name(number: int) -> str:
    return f"camt054-nk003-{number:06d}.xml"


def _lines(content: bytes) -> Iterator[str]:
    if not content.endswith(b"\r\n"):
        raise UnreadableFile("is empty or cut off")
    for count, line in enumerate(content.decode("iso-8859-1")[:-2].split("\r\n"), start=1):
        if len(line) != _LENGTH:
            raise UnreadableFile(f"line {count}: {len(line)} characters, not {_LENGTH}")
        yield line


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UnreadableFile(f"{text!r} is not a number")
    return int(text)


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  # a calendar day has no zone
    except ValueError as error:
        raise UnreadableFile(f"{text!r} is not a day") from error
