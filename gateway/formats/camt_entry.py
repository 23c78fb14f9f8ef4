"""Entries of a camt document and the transactions inside them (payments.md 5.2).

The direction a transaction states is its own; an entry's ``RvslInd`` says only that it undoes an earlier booking and
never flips a sign again. Money that is not booked is handed on, but does not post.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from hashlib import blake2b

from gateway.domain.exchange import Direction, Payment, Reference
from gateway.formats.audit import Audit, Ordinals
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_parts import account_number, allocated, local_day, primary, references_of
from gateway.formats.camt_paths import Values
from gateway.formats.camt_section import Section

MAX_WAITING = 10_000
"""Transactions kept while an entry has not said its amount, direction and status, which the schema puts before them."""

MAX_KEY_CHARACTERS = 160
"""A longer identity is stored as its digest: references are at most 35 characters where a bank keeps to the schema."""

_new = tuple.__new__
_CREDIT, _DEBIT = Direction.CREDIT, Direction.DEBIT
_IS_CREDIT = {"CRDT": True, "DBIT": False}
_REMAINING_FIELDS = ("", "", "", None, "")  # claim, case, invoice number, principal, reversed key: agencies' own


class Entry:
    """The entry being read. *amount* is None where it could not be read; *sum* is signed, in the entry's currency.

    *is_summable* turns false when a transaction has no amount in the entry's currency: then nothing can be compared.
    """

    def __init__(self, values: Values, section: Section) -> None:
        self.values, self.section = values, section
        self.is_open = False
        self.amount: int | None = None
        self.currency = self.status = self.bank_reference = self.account = ""
        self.is_credit, self.is_reversal, self.is_summable = True, False, True
        self.booking_date: date | None = None
        self.value_date: date | None = None
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


class Transactions:
    """Turns the values of transactions into payments; *ready* holds those that may be handed on; *message* is ``camt.054`` or ``camt.053``."""

    def __init__(self, audit: Audit, amounts: Amounts, place: Callable[[str], str], accounts: dict[str, int]) -> None:
        self._audit, self._amounts, self._place, self._accounts = audit, amounts, place, accounts
        self.message = ""
        self._next_ordinal = Ordinals().next
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
            reason = "has transactions before its amount, direction and status"
            self._audit.quarantine("file.invalid", self._place("Ntry"), reason=reason)

    def _read_money(self, entry: Entry, values: Values) -> None:
        """Put ``money`` (minor units and currency, or None) and ``is_credit`` into *values*; add to the batch."""
        money = self._money(values, "amount", "TxDtls/Amt")
        detail = self._money(values, "detail_amount", "TxDtls/AmtDtls/TxAmt/Amt")
        if money and detail and money[1] == detail[1] and money[0] != detail[0] and "charges" not in values:
            place, stated = self._place("TxDtls/AmtDtls/TxAmt/Amt"), values["detail_amount"][0]
            self._audit.compare("amount of the transaction", stated, values["amount"][0], place)
        money = money or detail
        direction = values.get("direction") or entry.values.get("direction", "")
        values["is_credit"] = is_credit = self._direction(direction, "TxDtls/CdtDbtInd")
        values["money"] = money
        if money:
            minor, currency = money
            entry.batch_sums[currency] = entry.batch_sums.get(currency, 0) + (minor if is_credit else -minor)
        else:
            entry.is_batch_whole = False

    def _money(self, values: Values, key: str, path: str) -> tuple[int, str] | None:
        stated = values.get(key)
        if stated is None:
            return None
        minor = self._amounts.minor(stated[0], stated[1], path)
        if minor is None:
            values["is_garbled"] = True
            return None
        return minor, stated[1]

    def _direction(self, text: str, path: str) -> bool:
        is_credit = _IS_CREDIT.get(text.strip())
        if is_credit is None:
            self._audit.block("file.invalid", self._place(path), text, reason="must be CRDT or DBIT")
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
        entry.amount = self._amounts.minor(text, entry.currency, self._place("Ntry/Amt"))
        entry.is_credit = self._direction(values.get("direction", ""), "Ntry/CdtDbtInd")
        entry.status = (values.get("status") or values.get("status_text", "")).strip()
        entry.is_reversal = values.get("reversal", "").strip() in {"true", "1"}
        entry.booking_date = self._day(values, "booking_date")
        entry.value_date = self._day(values, "value_date")
        entry.bank_reference = (values.get("bank_reference", "").strip() or values.get("entry_reference", "")).strip()
        entry.account = entry.section.account
        if entry.amount is None:
            entry.section.add_unreadable()
        else:
            booked = entry.status == "BOOK"
            entry.section.add(entry.amount, entry.currency, is_credit=entry.is_credit, is_booked=booked)
            self._audit.count(entry.currency, *((entry.amount, 0) if entry.is_credit else (0, entry.amount)))
        waiting, entry.waiting = entry.waiting, []
        for transaction in waiting:
            self._settle(entry, transaction)

    def _day(self, values: Values, key: str) -> date | None:
        raw = values.get(key)
        if raw is None:
            return None
        day = local_day(raw)
        if day is None:
            self._audit.block("file.invalid", self._place(f"Ntry, {key}"), raw, reason="is not a date")
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
            self._audit.compare("sum of its transactions", signed, entry.sum, self._place("Ntry/Amt"))
        self._accounts[entry.account] = self._accounts.get(entry.account, 0) + max(entry.count, 1)

    def close_batch(self, entry: Entry, values: Values) -> None:
        """Compare what ``Btch`` states with the transactions of its ``NtryDtls``."""
        place, computed = self._place("NtryDtls/Btch"), entry.batch_count
        if "count" in values:
            stated = self._amounts.count(values["count"], f"{place}/NbOfTxs")
            entry.largest_batch = max(entry.largest_batch, stated or 0)
            if stated is not None and self.message == "camt.054":
                self._audit.compare("transactions", stated, computed, f"{place}/NbOfTxs")
            elif stated is not None and computed not in {0, stated}:
                self._audit.warn("camt.batch_count", f"{place}/NbOfTxs", str(stated), stated=stated, computed=computed)
        if "total" in values and computed:
            text, currency = values["total"]
            minor = self._amounts.minor(text, currency, f"{place}/TtlAmt")
            if minor is not None and entry.is_batch_whole and entry.batch_sums.keys() == {currency}:
                self._audit.compare("sum", minor, abs(entry.batch_sums[currency]), f"{place}/TtlAmt")

    # --- the payment ---

    def _payment(
        self, entry: Entry, values: Values, money: tuple[int, str], *, is_credit: bool, why_not: str = ""
    ) -> Payment:
        minor, currency = money
        references, text = self._references(values, money)
        first = primary(references)
        status = entry.status
        own = "" if values is entry.values else values.get("bank_reference", "").strip()
        payer = values.get("payer_account", "")
        payer = account_number(payer) if payer else ""
        if status != "BOOK":
            why_not = "payment.not_booked"
        key = self._key(entry, values, f"{'C' if is_credit else 'D'}{minor}{currency}", first, own, payer)
        return _new(Payment, (
            values["position"], minor, currency, _CREDIT if is_credit else _DEBIT,
            entry.is_reversal or "return" in values, status, not why_not, why_not,
            first.value if first else "", first.raw if first else "", tuple(references),
            entry.booking_date, entry.value_date, (values.get("payer") or values.get("ultimate_payer") or "").strip(),
            payer, entry.account, own or entry.bank_reference, text, key, *_REMAINING_FIELDS,
        ))  # fmt: skip

    def _references(self, values: Values, money: tuple[int, str]) -> tuple[list[Reference], str]:
        """Return references and free text. Every part of the text is kept too: banks cut words at 35 or 140."""
        found: list[Reference] = []
        parts: list[str] = list(values.get("texts", ()))
        has_all, currencies = True, set()
        for remittance in values.get("remittances", ()):
            references = references_of(remittance)
            if "remitted" in remittance or "credited" in remittance:
                references, currency = allocated(remittance, references, self._amounts, self._place("Strd"))
                currencies.add(currency)
            elif references:
                has_all = False
            found += references
            parts += remittance.get("texts", ())
        if currencies:
            found = self._checked(
                found, money, has_all=has_all and currencies == {money[1]}, position=values["position"]
            )
        found += [Reference(part, part.strip(), "text") for part in parts if part.strip()]
        text = " ".join(part.strip() for part in parts) or values.get("additional", "").strip()
        return found, text

    def _checked(
        self, references: list[Reference], money: tuple[int, str], *, has_all: bool, position: int
    ) -> list[Reference]:
        """Return *references* with their parts only if these add up to the payment; payers mistype them."""
        total = sum(reference.amount_minor or 0 for reference in references)
        if has_all and total == money[0]:
            return references
        if has_all:
            place = f"transaction {position}, Strd/RfrdDocAmt"
            self._audit.warn("camt.allocation", place, str(total), stated=total, computed=money[0])
        return [Reference(raw, value, kind) for raw, value, kind, _ in references]

    def _key(self, entry: Entry, values: Values, amount: str, first: Reference | None, own: str, payer: str) -> str:
        """Return the identity across files (payments.md 8): nothing in it changes when a copy is ordered again."""
        state = "" if entry.status == "BOOK" else f"{entry.status}:"
        identity = f"{self.message}:{entry.account}:{state}{amount}:{own}"
        if not own or len(identity) > MAX_KEY_CHARACTERS:
            end_to_end = values.get("end_to_end", "").strip()
            facts = (
                identity, entry.bank_reference, str(entry.booking_date or entry.value_date or ""),
                first.value if first else "", "" if end_to_end == "NOTPROVIDED" else end_to_end, payer,
            )  # fmt: skip
            digest = blake2b("\x1f".join(facts).encode(errors="surrogatepass"), digest_size=16).hexdigest()
            identity = f"{self.message}:{entry.account[:34]}:{amount[:40]}:#{digest}"
        return f"{identity}:{self._next_ordinal(identity)}"
