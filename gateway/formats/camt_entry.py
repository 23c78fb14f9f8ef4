"""Entries of a camt document and the transactions inside them (payments.md 5.2).

The direction a transaction states is its own; an entry's ``RvslInd`` says only that it undoes an earlier booking and
never flips a sign again. Money that is not booked is handed on, but does not post.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from gateway.domain.exchange import Payment, Reference
from gateway.domain.money import format_minor
from gateway.domain.reasons import said
from gateway.formats.audit import Audit
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_parts import (
    IS_CREDIT,
    account_number,
    address,
    allocated,
    local_day,
    references_of,
)
from gateway.formats.camt_paths import Values
from gateway.formats.camt_payment import Booking, Payer, Payments, Told, told
from gateway.formats.camt_section import Section

MAX_WAITING = 10_000
"""Transactions kept while an entry has not said its amount, direction and status, which the schema puts before them."""

Money = tuple[int, str]
"""Minor units and their currency."""


class Entry:
    """The entry being read. *amount* is None where it could not be read; *sum* is signed, in the entry's currency.

    *is_summable* turns false when a transaction has no amount in the entry's currency: then nothing can be compared.
    *booking* is what its payments share, known as soon as it *is_open*.
    """

    booking: Booking

    def __init__(self, values: Values, section: Section) -> None:
        self.values, self.section = values, section
        self.is_open = False
        self.amount: int | None = None
        self.currency = ""
        self.is_credit = self.is_summable = True
        self.count = self.sum = self.largest_batch = 0
        self.held: Values | None = None
        self.waiting: list[Values] = []
        self.start_batch()

    @property
    def has_header(self) -> bool:
        """Whether amount, direction and status have been read."""
        values = self.values
        return "amount" in values and "direction" in values and ("status" in values or "status_text" in values)

    def start_batch(self) -> None:
        """Begin to add up one ``NtryDtls``."""
        self.batch_count = 0
        self.batch_sums: dict[str, int] = {}
        self.is_batch_whole = True

    def add(self, minor: int, currency: str, *, is_credit: bool) -> None:
        """Add the amount of a transaction to its batch."""
        self.batch_sums[currency] = self.batch_sums.get(currency, 0) + (minor if is_credit else -minor)


class Transactions:
    """Turns the values of transactions into payments; *ready* holds those that may be handed on."""

    def __init__(
        self, audit: Audit, amounts: Amounts, place: Callable[[str], str], payments: Payments, accounts: dict[str, int]
    ) -> None:
        self._audit, self._amounts, self._place = audit, amounts, place
        self._payments, self._accounts = payments, accounts
        self.ready: list[Payment] = []

    # --- one transaction ---

    def add(self, entry: Entry, values: Values) -> None:
        """Take a transaction that has been read."""
        self._audit.transactions = values["position"] = self._audit.transactions + 1
        entry.count += 1
        entry.batch_count += 1
        self._read_money(entry, values)
        if entry.is_open or entry.has_header:
            self._open(entry)
            self._settle(entry, values)
        elif len(entry.waiting) < MAX_WAITING:
            entry.waiting.append(values)
        else:
            reason = said("wrong.head_late")
            self._audit.quarantine("file.invalid", self._place("Ntry"), reason=reason)

    def _read_money(self, entry: Entry, values: Values) -> None:
        """Put ``money`` (or None), ``charges_minor`` and ``is_credit`` into *values*; add to the batch."""
        money = self._money(values, "amount", "TxDtls/Amt")
        detail = self._money(values, "detail_amount", "TxDtls/AmtDtls/TxAmt/Amt")
        charges = values.get("charges")
        if money and detail and money[1] == detail[1] and money[0] != detail[0] and not charges:
            place, stated = self._place("TxDtls/AmtDtls/TxAmt/Amt"), values["detail_amount"][0]
            self._audit.compare("amount of the transaction", stated, values["amount"][0], place)
        values["money"] = money = money or detail
        direction = values.get("direction") or entry.values.get("direction", "")
        values["is_credit"] = is_credit = self._direction(direction, "TxDtls/CdtDbtInd")
        if money:
            entry.add(*money, is_credit=is_credit)
            values["charges_minor"] = self._charges(values, money) if charges else 0
        else:
            entry.is_batch_whole = False

    def _money(self, values: Values, key: str, path: str) -> Money | None:
        stated = values.get(key)
        if stated is None:
            return None
        minor = self._amounts.minor(stated[0], stated[1], path)
        if minor is None:
            values["is_garbled"] = True
            return None
        return minor, stated[1]

    def _charges(self, values: Values, money: Money) -> int:
        """Return what was taken on the way, in the currency of the payment.

        Charges that stand beside the amount (``ChrgInclInd`` false) did not lower it, nor did any where the payer
        instructed exactly what arrived.
        """
        instructed = values.get("instructed_amount")
        if instructed and instructed[1] == money[1] and self._money(values, "instructed_amount", "InstdAmt") == money:
            return 0
        total = 0
        for charge in values["charges"]:
            records = charge.get("records") or [charge]
            taken = [record for record in records if "amount" in record and _lowers(record)]
            if "total" in charge and len(taken) == len([r for r in records if "amount" in r]):
                taken = [{"amount": charge["total"]}]
            for text, currency in (record["amount"] for record in taken):
                if currency == money[1]:
                    total += self._amounts.minor(text, currency, "TxDtls/Chrgs") or 0
        return total

    def _direction(self, text: str, path: str) -> bool:
        is_credit = IS_CREDIT.get(text.strip())
        if is_credit is None:
            self._audit.block(
                "file.invalid", self._place(path), text, reason=said("wrong.not_one_of", choices=", ".join(IS_CREDIT))
            )
        return is_credit is not False

    def _settle(self, entry: Entry, values: Values) -> None:
        """Emit a transaction with an amount in the entry's currency; hold another until it is known to be alone."""
        if entry.held:
            self._give_up(entry, entry.held)
            entry.held = None
        money = values["money"]
        if "is_garbled" in values:
            entry.is_summable = False
        elif money and money[1] == entry.currency:
            entry.sum += money[0] if values["is_credit"] else -money[0]
            self.ready.append(self._payment(entry, values, money, is_credit=values["is_credit"]))
        else:
            entry.held = values

    def _give_up(self, entry: Entry, values: Values) -> None:
        """Emit one of several transactions whose share of the entry is not stated: nothing is guessed."""
        entry.is_summable = False
        why_not = "" if values["money"] else "camt.amount_missing"
        if why_not:
            self._audit.warn(why_not, f"transaction {values['position']}")
        money = values["money"] or (0, entry.currency)
        self.ready.append(self._payment(entry, values, money, is_credit=values["is_credit"], why_not=why_not))

    # --- one entry ---

    def _open(self, entry: Entry) -> None:
        """Read the header of *entry* and count it; then settle what waited for it."""
        if entry.is_open:
            return
        entry.is_open = True
        values = entry.values
        text, entry.currency = values.get("amount", ("", ""))
        entry.amount = self._amounts.minor(text, entry.currency, "Ntry/Amt")
        entry.is_credit = self._direction(values.get("direction", ""), "Ntry/CdtDbtInd")
        entry.booking = booking = self._payments.booking(
            entry.section.account,
            (values.get("status") or values.get("status_text", "")).strip(),
            (self._day(values, "booking_date", "Ntry/BookgDt"), self._day(values, "value_date", "Ntry/ValDt")),
            (values.get("bank_reference", "").strip() or values.get("entry_reference", "")).strip(),
            is_reversal=values.get("reversal", "").strip() in {"true", "1"},
        )
        if entry.amount is None:
            entry.section.add_unreadable()
        else:
            is_booked = booking.status == "BOOK"
            self.count_entries(entry.section, (entry.amount, entry.currency), 1, entry.is_credit, is_booked=is_booked)
        waiting, entry.waiting = entry.waiting, []
        for transaction in waiting:
            self._settle(entry, transaction)

    def count_entries(self, section: Section, money: Money, entries: int, is_credit: bool, *, is_booked: bool) -> None:
        """Add *entries* with the sum *money* to the totals."""
        minor, currency = money
        section.add(minor, currency, is_credit=is_credit, is_booked=is_booked, entries=entries)
        self._audit.count(currency, *((minor, 0) if is_credit else (0, minor)))

    def count_account(self, account: str, transactions: int) -> None:
        """Add *transactions* to those of *account*."""
        self._accounts[account] = self._accounts.get(account, 0) + transactions

    def _day(self, values: Values, key: str, path: str) -> date | None:
        raw = values.get(key)
        if raw is None:
            return None
        day = local_day(raw)
        if day is None:
            self._audit.block("file.invalid", self._place(path), raw, reason=said("wrong.not_a_day"))
        return day

    def close(self, entry: Entry) -> None:
        """Hand on what waited for the end of *entry*, and compare the sum of its transactions with its amount."""
        self._open(entry)
        if not entry.count:
            self._audit.transactions += 1
            entry.values["position"] = self._audit.transactions
        if entry.amount is None:
            return
        signed, money = entry.amount if entry.is_credit else -entry.amount, (entry.amount, entry.currency)
        if not entry.count:
            why_not = "camt.lump_sum" if entry.largest_batch > 1 else ""
            self.ready.append(self._payment(entry, entry.values, money, is_credit=entry.is_credit, why_not=why_not))
        elif entry.held and entry.count == 1:
            self.ready.append(self._payment(entry, entry.held, money, is_credit=entry.is_credit))
        elif entry.held:
            self._give_up(entry, entry.held)
        elif entry.is_summable:
            self._audit.compare_sum("sum of its transactions", signed, entry.sum, money[1], self._place("Ntry/Amt"))
        self.count_account(entry.booking.account, max(entry.count, 1))

    def close_batch(self, entry: Entry, values: Values) -> None:
        """Compare what ``Btch`` states with the transactions of its ``NtryDtls``."""
        path, computed = "NtryDtls/Btch", entry.batch_count
        if "count" in values:
            stated = self._amounts.count(values["count"], f"{path}/NbOfTxs")
            entry.largest_batch = max(entry.largest_batch, stated or 0)
            if stated is not None and self._payments.message == "camt.054":
                self._audit.compare("transactions", stated, computed, self._place(f"{path}/NbOfTxs"))
            elif stated is not None and computed not in {0, stated}:
                place = self._place(f"{path}/NbOfTxs")
                self._audit.warn("camt.batch_count", place, str(stated), stated=stated, computed=computed)
        if "total" in values and computed:
            text, currency = values["total"]
            minor = self._amounts.minor(text, currency, f"{path}/TtlAmt")
            if minor is not None and entry.is_batch_whole and entry.batch_sums.keys() == {currency}:
                self._audit.compare_sum(
                    "sum", minor, abs(entry.batch_sums[currency]), currency, self._place(f"{path}/TtlAmt")
                )

    # --- the payment ---

    def _payment(self, entry: Entry, values: Values, money: Money, *, is_credit: bool, why_not: str = "") -> Payment:
        is_detail = values is not entry.values
        name = (values.get("payer") or values.get("ultimate_payer") or "").strip()
        account, *where = map(values.get, ("payer_account", "street", "building", "postcode", "town", "country"))
        payer = Payer(
            name,
            account_number(account) if account else "",
            values.get("payer_id", "").strip(),
            address([text or "" for text in where], values.get("address_lines", ())),
        )
        return self._payments.make(
            entry.booking, values["position"], *money,
            values.get("bank_reference", "").strip() if is_detail else "", values.get("end_to_end", ""),
            payer, self._told(values, money), self._day(values, "order_date", "TxDtls/RltdDts/AccptncDtTm"),
            is_credit, "return" in values, values.get("charges_minor", 0) if money == values.get("money") else 0, why_not,
        )  # fmt: skip

    def _told(self, values: Values, money: Money) -> Told:
        """Return references and free text. Every part of the text is kept too: banks cut words at 35 or 140."""
        found: list[Reference] = []
        parts: list[str] = list(values.get("texts", ()))
        has_all, is_said, currencies = True, False, set()
        for remittance in values.get("remittances", ()):
            references = references_of(remittance)
            if remittance.keys() & {"remitted", "credited", "due", "amounts"}:
                references, currency = allocated(remittance, references, self._amounts)
                currencies.add(currency)
                is_said |= bool(remittance.keys() & {"remitted", "credited"})
            elif references:
                has_all = False
            for reference in references:
                self._audit.check_reference(reference.value, f"transaction {values['position']}, RmtInf/Strd")
            found += references
            parts += remittance.get("texts", ())
        is_divided = False
        if currencies:
            is_whole = has_all and currencies == {money[1]}
            is_divided = self._settle_parts(found, money, values["position"], is_whole=is_whole, is_said=is_said)
        text = values.get("additional", "").strip() or values.get("return_reason", "")
        return told(found, parts, text, is_divided=is_divided)

    def _settle_parts(
        self, references: list[Reference], money: Money, position: int, *, is_whole: bool, is_said: bool
    ) -> bool:
        """Take the parts off *references* unless they add up to the payment, since payers mistype them.

        Return whether the file said something else than the amount of the payment. *is_said* tells what was paid for
        each document; what was due for it is worth no warning.
        """
        total = sum(reference.amount_minor or 0 for reference in references)
        if is_whole and total == money[0]:
            return False
        if is_whole and is_said:
            place = f"transaction {position}, Strd/RfrdDocAmt"
            stated, computed = format_minor(total, money[1]), format_minor(money[0], money[1])
            self._audit.warn("camt.allocation", place, stated, stated=stated, computed=computed)
        references[:] = [Reference(raw, value, kind) for raw, value, kind, _ in references]
        return is_said


def _lowers(record: Values) -> bool:
    """Return whether a charge is part of the difference between what was paid and what arrived."""
    is_debit = record.get("direction", "").strip() in {"", "DBIT"}
    return is_debit and record.get("is_included", "").strip() not in {"false", "0"}
