"""The sandbox agency itself: takes files from ``upload``, keeps a ledger, answers in ``download``."""

from __future__ import annotations

import os
import random
import re
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from lxml import etree

from plugins.sls_sandbox.answers import Letters
from plugins.sls_sandbox.bank import Credit, camt054, cremul, is_kid, ocr_giro
from plugins.sls_sandbox.reading import Delivery, Refusal
from plugins.sls_sandbox.rules import Answer, Intake
from plugins.sls_sandbox.state import AgreementFacts, State

_NAME = re.compile(r"(?:invoices|updates)\.(?!000)[0-9]{3}")
_LAST = 999
_CLAIMS = "SELECT * FROM claim ORDER BY claim_id"
_UNREPORTED = (
    "SELECT p.*, c.case_number, c.invoice_number, c.customer_number, c.reference FROM payment p"
    " LEFT JOIN claim c ON c.claim_id = p.claim_id WHERE p.reported = '' ORDER BY p.number"
)


class SandboxAgency:
    """One agency's mailbox and ledger for one agreement.

    A file is taken by a rename, worked off in one transaction together with its answer, and the answer leaves by
    another rename; so after a kill at any line the next `work` ends where an undisturbed one would have ended.

    Args:
        root: holds ``upload`` (we deliver here), ``download`` (it answers here) and its own ``state.sqlite``.
        facts: the agreement as the agency has it on file.
        schema_path: kravport-sls-1.xsd of the plugin.
        failpoint: called with the name of each step; a test raises from it to play a kill.
    """

    orders = frozenset({"write_cremul", "settle", "write_payout", "set_case", "write_cases", "snapshot"})
    """What an order of ``kravport sandbox`` may ask for, beside the usual."""

    def __init__(
        self,
        root: Path,
        facts: AgreementFacts,
        schema_path: Path,
        failpoint: Callable[[str], None] = lambda _step: None,
    ) -> None:
        self.facts, self._schema, self._failpoint = facts, etree.XMLSchema(file=str(schema_path)), failpoint
        self.upload, self.download = root / "upload", root / "download"
        self._inwork, self._staging = root / "inwork", root / "staging"
        for folder in (self.upload, self.download, self._inwork, self._staging):
            folder.mkdir(parents=True, exist_ok=True)
        self._state = State(root / "state.sqlite")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the state."""
        self._state.close()

    # --- the day's work ------------------------------------------------------------------------------------------

    def work(self, now: datetime) -> int:
        """Work off every waiting file, ``invoices`` before ``updates``; send what is due; return the files worked off.

        Args:
            now: the moment, with its offset.
        """
        done = sum(self._work_off(path, now) for path in sorted(self._inwork.iterdir()))
        for message in ("invoices", "updates"):
            for path in self._waiting(message):
                taken = self._inwork / f"{uuid.uuid4().hex}.{path.name}"
                path.rename(taken)
                self._failpoint("taken")
                done += self._work_off(taken, now)
        self._send(now)
        return done

    def _waiting(self, message: str) -> list[Path]:
        """Return the waiting files in the order of their counter, which begins again after 999."""
        last = self._last_seen(message)
        found = [path for path in self.upload.iterdir() if _NAME.fullmatch(path.name) and path.stem == message]
        return sorted(found, key=lambda path: (int(path.suffix[1:]) - last - 1) % _LAST)

    def _work_off(self, path: Path, now: datetime) -> int:
        token, _, name = path.name.partition(".")
        is_new = self._state.one("SELECT 1 FROM arrival WHERE token = ?", token) is None
        if is_new:
            with self._state.transaction() as connection:
                self._answer(Delivery(path, name), now)
                connection.execute("INSERT INTO arrival VALUES (?)", (token,))
                self._failpoint("judged")
            self._failpoint("committed")
        path.unlink()
        self._failpoint("cleared")
        return int(is_new)

    def _answer(self, delivery: Delivery, now: datetime) -> None:
        """Judge *delivery* and post its receipt: schema, addressee, Control, counter, then the business rules."""
        letters, code, text = Letters(self.facts, now), "", ""
        answers: Iterable[Answer] = ()
        try:
            delivery.examine(self._schema, self.facts)
            if former := self._former_receipt(delivery):
                self._post_receipt(former["name"], former["receipt"], now)
                return
            self._check_counter(delivery)
            intake = Intake(self._state, self.facts)
            judge = intake.invoices if delivery.message == "invoices" else intake.updates
            answers = [answer for customer in delivery.customers() for answer in judge(customer)]
        except Refusal as refusal:
            code, text = refusal.code, refusal.text
        receipt = letters.receipt(delivery, answers, code, text)
        if self._is_next(delivery) and code != "WRONG_CLIENT":
            # A refused file has used its number up: its sender corrects it in a new file with the next one.
            self._state.set_counter(f"seen.{delivery.message}", delivery.sequence)
        name = f"receipt-{delivery.message}.{delivery.sequence:03d}"
        if not code:
            self._state.connection.execute(
                "INSERT INTO answered VALUES (?, ?, ?, ?)", (delivery.message, delivery.head["fileId"], name, receipt)
            )
        self._post_receipt(name, receipt, now)

    def _former_receipt(self, delivery: Delivery) -> sqlite3.Row | None:
        """Return the receipt given earlier to the same file: a repeat changes nothing (B.2)."""
        query = "SELECT * FROM answered WHERE message = ? AND file_id = ?"
        return self._state.one(query, delivery.message, delivery.head["fileId"])

    def _last_seen(self, message: str) -> int:
        return self._state.counter(f"seen.{message}", self.facts.start_after.get(message, 0))

    def _is_next(self, delivery: Delivery) -> bool:
        return delivery.sequence == self._last_seen(delivery.message) % _LAST + 1

    def _check_counter(self, delivery: Delivery) -> None:
        last = self._last_seen(delivery.message)
        if delivery.sequence == last:
            raise Refusal("SEQUENCE_REUSED", f"{delivery.message} {last:03d} was another file")
        if not self._is_next(delivery):
            raise Refusal("SEQUENCE_GAP", f"expected {last % _LAST + 1:03d}, got {delivery.sequence:03d}")

    # --- sending -------------------------------------------------------------------------------------------------

    def _post_receipt(self, name: str, receipt: bytes, now: datetime) -> None:
        to_lose = self._state.counter("lose_receipts")
        if to_lose:
            self._state.set_counter("lose_receipts", to_lose - 1)
            return
        self._state.post(name, receipt, _utc(now + timedelta(seconds=self.facts.receipt_delay_seconds)))

    def _send(self, now: datetime) -> None:
        """Let answers out: write aside, note it as released, rename. A name that still waits there is not overtaken."""
        for path in sorted(self._staging.iterdir()):
            number, _, name = path.name.partition(".")
            row = self._state.one("SELECT is_released FROM outbox WHERE number = ?", int(number))
            if row is not None and row["is_released"]:
                path.rename(self.download / name)
        query = "SELECT * FROM outbox WHERE is_released = 0 AND due <= ? ORDER BY number"
        for row in self._state.all(query, _utc(now)):
            if (self.download / row["name"]).exists():
                continue
            staged = self._staging / f"{row['number']:08d}.{row['name']}"
            _write(staged, row["content"])
            self._failpoint("staged")
            with self._state.transaction() as connection:
                connection.execute("UPDATE outbox SET is_released = 1 WHERE number = ?", (row["number"],))
            self._failpoint("released")
            staged.rename(self.download / row["name"])
            self._failpoint("sent")

    # --- money ---------------------------------------------------------------------------------------------------

    def pay(self, claim_id: str, amount_minor: int, on: date, *, interest_minor: int = 0, fees_minor: int = 0) -> str:
        """Let the debtor pay *amount_minor* on a claim; what is not interest or fees is principal, even beyond the balance.

        Returns the payment id. The creditor's share is principal and interest.
        """
        principal = amount_minor - interest_minor - fees_minor
        if principal < 0 or amount_minor <= 0:
            raise ValueError("the parts of a payment must fit into a positive amount")
        if self._state.one("SELECT 1 FROM claim WHERE claim_id = ?", claim_id) is None:
            raise ValueError(f"no claim {claim_id!r}")
        split = (amount_minor, principal, interest_minor, fees_minor, 0, principal + interest_minor)
        return self._receive("payment", "", claim_id, on, split, self.facts.agency_name + " debtor", "")

    def overpay(self, claim_id: str, surplus_minor: int, on: date) -> str:
        """Let the debtor pay *surplus_minor* more than the balance; return the payment id."""
        return self.pay(claim_id, self.balances()[claim_id] + surplus_minor, on)

    def pay_unallocated(self, amount_minor: int, on: date, payer: str = "Ukjent Betaler", text: str = "") -> str:
        """Receive money that says nothing about what it is for; return the payment id."""
        return self._receive("payment", "", "", on, (amount_minor, 0, 0, 0, amount_minor, 0), payer, text)

    def pay_some(self, on: date, seed: int) -> list[str]:
        """Let a third of the open claims be paid, half of those in part; the same *seed* chooses the same."""
        dice, paid = random.Random(seed), []  # noqa: S311  # a repeatable choice, no secret
        for claim_id, balance in self.balances().items():
            choice = dice.randrange(6)
            if balance > 1 and choice < 2:
                paid.append(self.pay(claim_id, balance if choice else balance // 2, on))
        return paid

    def reverse(self, payment_id: str, on: date) -> str:
        """Take a payment back whole, as a returned bank payment; return the id of the reversal."""
        query = "SELECT * FROM payment WHERE payment_id = ? AND kind = 'payment'"
        row = self._state.one(query, payment_id)
        if row is None or self._state.one("SELECT 1 FROM payment WHERE reverses = ?", payment_id):
            raise ValueError(f"{payment_id!r} is no payment, or reversed already")
        split = tuple(row[name] for name in ("amount", "principal", "interest", "fees", "unallocated", "share"))
        return self._receive("reversal", payment_id, row["claim_id"], on, split, row["payer"], "Returned")

    def settle(self, on: date, *, fees_minor: int = 0, vat_minor: int = 0) -> str | None:
        """Pay out everything not yet settled; return the settlement id, or None when there is nothing."""
        with self._state.transaction() as connection:
            signed = "CASE kind WHEN 'payment' THEN share ELSE -share END"
            row = self._state.one(f"SELECT count(*) n, sum({signed}) gross FROM payment {_UNSETTLED}")  # noqa: S608  # no input in it
            if row is None or not row["n"]:
                return None
            settlement_id = f"S-{self._state.next_in('settlement')}"
            bank_reference = f"{settlement_id}-{self.facts.client_number}-{on:%Y%m%d}"
            connection.execute(f"UPDATE payment SET settlement_id = ? {_UNSETTLED}", (settlement_id,))  # noqa: S608
            connection.execute(
                "INSERT INTO settlement (settlement_id, payout, gross, fees, vat, bank_reference)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (settlement_id, on.isoformat(), row["gross"], fees_minor, vat_minor, bank_reference),
            )
        return settlement_id

    def balances(self) -> dict[str, int]:
        """Return the agency balance of every claim in minor units (B.7)."""
        return {row["claim_id"]: row["original"] + row["effect"] - row["paid"] for row in self._state.all(_CLAIMS)}

    def states(self) -> dict[str, str]:
        """Return the state of every claim, as a case file would tell it."""
        return {row["claim_id"]: row["state"] for row in self._state.all(_CLAIMS)}

    def cases(self) -> dict[str, str]:
        """Return the case number of every claim."""
        return {row["claim_id"]: row["case_number"] for row in self._state.all(_CLAIMS)}

    def doubles(self) -> list[str]:
        """Return the names of receipts that told of an object which had come in an earlier file."""
        rows = self._state.all("SELECT name, receipt FROM answered ORDER BY rowid")
        return [row["name"] for row in rows if b'status="duplicate"' in row["receipt"]]

    def _receive(
        self, kind: str, reverses: str, claim_id: str, on: date, split: tuple[int, ...], payer: str, text: str
    ) -> str:
        with self._state.transaction() as connection:
            payment_id = f"AP-{self._state.next_in('payment'):06d}"
            connection.execute(
                "INSERT INTO payment (payment_id, kind, reverses, claim_id, received, amount, principal, interest, fees,"
                " unallocated, share, payer, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (payment_id, kind, reverses, claim_id, on.isoformat(), *split, payer, text),
            )
            principal = split[1] if kind == "payment" else -split[1]
            connection.execute("UPDATE claim SET paid = paid + ? WHERE claim_id = ?", (principal, claim_id))
        return payment_id

    # --- telling the creditor --------------------------------------------------------------------------------------

    def write_payments(self, now: datetime) -> str | None:
        """Write ``payments.nnn`` with all that was not told yet; return its name, or None when there is nothing."""
        with self._state.transaction() as connection:
            payments = self._state.all(_UNREPORTED)
            settlements = self._state.all("SELECT * FROM settlement WHERE reported = ''")
            if not payments and not settlements:
                return None
            number = self._state.next_in_series("payments")
            name = f"payments.{number:03d}"
            settled = [(row, self._settled(row["settlement_id"])) for row in settlements]
            content = Letters(self.facts, now).payments(number, [_named(row) for row in payments], settled)
            for table in ("payment", "settlement"):
                connection.execute(f"UPDATE {table} SET reported = ? WHERE reported = ''", (name,))  # noqa: S608
            self._state.post(name, content, _utc(now))
        self._send(now)
        return name

    def write_ocr_giro(self, now: datetime) -> str | None:
        """Tell payments with a KID as an OCR giro file of the bank; what OCR cannot say stays for another file."""
        return self._write_bank("ocr-giro", now, lambda credit: is_kid(credit.reference) and not credit.is_reversal)

    def write_cremul(self, now: datetime) -> str | None:
        """Tell payments with a KID as a CREMUL file of the bank."""
        return self._write_bank("cremul", now, lambda credit: is_kid(credit.reference) and not credit.is_reversal)

    def write_camt054(self, now: datetime) -> str | None:
        """Tell payments and reversals as a camt.054.001.08 of the bank."""
        return self._write_bank("camt054", now, lambda _: True)

    def write_payout(self, settlement_id: str, now: datetime) -> str:
        """Tell one payout as the bank tells it, in a camt.054 with the settlement's bank reference: the echo to filter."""
        row = self._state.one("SELECT * FROM settlement WHERE settlement_id = ?", settlement_id)
        if row is None:
            raise ValueError(f"no settlement {settlement_id!r}")
        net = row["gross"] - row["fees"] - row["vat"]
        credit = Credit(row["bank_reference"], abs(net), date.fromisoformat(row["payout"]), "", net < 0)
        with self._state.transaction():
            number = self._state.next_in_series("camt054")
            name = f"camt054.{number:03d}"
            self._state.post(name, camt054([credit], self.facts, number, now), _utc(now))
        self._send(now)
        return name

    def _write_bank(self, form: str, now: datetime, carries: Callable[[Credit], bool]) -> str | None:
        with self._state.transaction() as connection:
            credits_ = [_credit(row) for row in self._state.all(_UNREPORTED) if row["share"]]
            credits_ = [credit for credit in credits_ if carries(credit)]
            if not credits_:
                return None
            number = self._state.next_in_series(form)
            name = f"{form}.{number:03d}"
            content = self._bank_file(form, credits_, number, now)
            reported = [(name, credit.bank_reference) for credit in credits_]
            connection.executemany("UPDATE payment SET reported = ? WHERE payment_id = ?", reported)
            self._state.post(name, content, _utc(now))
        self._send(now)
        return name

    def _bank_file(self, form: str, credits_: Sequence[Credit], number: int, now: datetime) -> bytes:
        if form == "ocr-giro":
            return ocr_giro(credits_, self.facts, number, now.date())
        return cremul(credits_, self.facts, number) if form == "cremul" else camt054(credits_, self.facts, number, now)

    def snapshot(self, now: datetime) -> str:
        """Write ``snapshot.nnn`` with the balance of every claim; return its name."""
        with self._state.transaction():
            number = self._state.next_in_series("snapshot")
            name = f"snapshot.{number:03d}"
            self._state.post(name, Letters(self.facts, now).snapshot(number, self._state.all(_CLAIMS)), _utc(now))
        self._send(now)
        return name

    def set_case(
        self, claim_id: str, state: str, on: date, *, stage: str = "", close_code: str = "", loss_minor: int = 0
    ) -> None:
        """Close, dispute or write off a case (states, stages and codes of B.11); told by `write_cases`."""
        with self._state.transaction() as connection:
            connection.execute("UPDATE claim SET state = ? WHERE claim_id = ?", (state, claim_id))
            connection.execute(
                "INSERT INTO event (claim_id, state, stage, close_code, loss, day) VALUES (?, ?, ?, ?, ?, ?)",
                (claim_id, state, stage, close_code, loss_minor, on.isoformat()),
            )

    def write_cases(self, now: datetime) -> str | None:
        """Write ``cases.nnn`` with what happened since the last one; return its name, or None when nothing did."""
        with self._state.transaction() as connection:
            events = self._state.all(
                "SELECT e.*, c.case_number, c.invoice_number FROM event e JOIN claim c ON c.claim_id = e.claim_id"
                " WHERE e.reported = '' ORDER BY e.number"
            )
            if not events:
                return None
            number = self._state.next_in_series("cases")
            name = f"cases.{number:03d}"
            connection.execute("UPDATE event SET reported = ? WHERE reported = ''", (name,))
            self._state.post(name, Letters(self.facts, now).cases(number, events), _utc(now))
        self._send(now)
        return name

    # --- switches ------------------------------------------------------------------------------------------------

    def refuse(self, kind: str, key: str, code: str, text: str = "") -> None:
        """From now on reject the ``customer``, ``claim`` or ``item`` called *key* with reason *code* of B.9."""
        with self._state.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO refusal VALUES (?, ?, ?, ?)", (kind, key, code, text))

    def accept(self, kind: str, key: str) -> None:
        """Take back a `refuse`."""
        with self._state.transaction() as connection:
            connection.execute("DELETE FROM refusal WHERE kind = ? AND key = ?", (kind, key))

    def lose_receipts(self, count: int = 1) -> None:
        """Lose the next *count* receipts: the files are worked off, nobody hears of it."""
        with self._state.transaction():
            self._state.set_counter("lose_receipts", count)

    def repeat_receipt(self, message: str, sequence: int, now: datetime) -> None:
        """Send the receipt of a file that was taken once more, with the same bytes."""
        name = f"receipt-{message}.{sequence:03d}"
        row = self._state.one("SELECT receipt FROM answered WHERE name = ? ORDER BY rowid DESC", name)
        if row is None:
            raise ValueError(f"{name} was never given")
        with self._state.transaction():
            self._state.post(name, row["receipt"], _utc(now))
        self._send(now)

    def skip_number(self, series: str) -> None:
        """Leave one number of ``payments``, ``cases``, ``snapshot``, ``ocr-giro`` or ``camt054`` out: a gap."""
        with self._state.transaction():
            self._state.next_in_series(series)

    def _settled(self, settlement_id: str) -> list[str]:
        query = "SELECT payment_id FROM payment WHERE settlement_id = ? ORDER BY number"
        return [row["payment_id"] for row in self._state.all(query, settlement_id)]


_UNSETTLED = "WHERE settlement_id = '' AND share > 0"


def _named(row: sqlite3.Row) -> Mapping[str, object]:
    """Return a payment row with empty text where it belongs to no claim."""
    return {key: "" if row[key] is None else row[key] for key in row.keys()}  # noqa: SIM118  # a Row iterates over values


def _credit(row: sqlite3.Row) -> Credit:
    day, reference = date.fromisoformat(row["received"]), row["reference"] or ""
    return Credit(row["payment_id"], row["share"], day, reference, row["kind"] == "reversal")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _write(path: Path, content: bytes) -> None:
    """Write *content* so that it survives a power cut before anything is said about it."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
