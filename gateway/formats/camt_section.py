"""One ``Ntfctn`` or ``Stmt``: its account and what it states about its entries (payments.md 5.2, controls)."""

from __future__ import annotations

from collections.abc import Callable

from gateway.domain.money import format_minor
from gateway.formats.audit import Audit
from gateway.formats.camt_amounts import Amounts
from gateway.formats.camt_parts import account_number
from gateway.formats.camt_paths import Values

OPENING = frozenset({"OPBD", "PRCD"})
CLOSING = frozenset({"CLBD"})


class Section:
    """Adds up entries and compares them with the summary and the balances at the end.

    *values* fills up while the section is read. A page of several is not compared: its summary covers all pages.
    """

    def __init__(self, audit: Audit, amounts: Amounts, place: Callable[[str], str], values: Values) -> None:
        self._audit, self._amounts, self._place, self._values = audit, amounts, place, values
        self._summary: Values = {}
        self._balances: dict[str, int] = {}
        self._sums = {True: 0, False: 0}
        self._counts = {True: 0, False: 0}
        self._booked = 0
        self._currencies: set[str] = set()
        self.is_page = False

    @property
    def account(self) -> str:
        """The account as it is compared; empty where the section has not named one yet."""
        return account_number(self._values.get("account", ""))

    @property
    def identity(self) -> str:
        """Account, id and sequence number: what makes the section unique among all the bank sends (payments.md 8)."""
        named = (self._values.get("id", "").strip(), self._values.get("sequence", "").strip())
        return ":".join((self.account, *filter(None, named)))

    def add(self, minor: int, currency: str, *, is_credit: bool, is_booked: bool, entries: int = 1) -> None:
        """Add one entry, or several with the sum of their amounts."""
        self._counts[is_credit] += entries
        self._sums[is_credit] += minor
        if is_booked:
            self._booked += minor if is_credit else -minor
        self._currencies.add(currency)

    def add_unreadable(self) -> None:
        """Note an entry without a readable amount: its fault is reported, and no sum can agree any more."""
        self._currencies |= {"?", ""}

    def balance(self, values: Values) -> None:
        """Keep an opening or closing balance."""
        code = values.get("code", "").strip()
        if code in OPENING | CLOSING and "amount" in values:
            text, currency = values["amount"]
            minor = self._amounts.minor(text, currency, "Bal/Amt")
            if minor is not None:
                signed = minor if values.get("direction", "").strip() == "CRDT" else -minor
                self._balances["opening" if code in OPENING else "closing"] = signed

    def summary(self, values: Values) -> None:
        """Keep what the section states about its entries."""
        self._summary = values

    def close(self, part: str) -> None:
        """Compare; see `Audit.compare`. *part* is the element that ends."""
        place = self._place(part)
        copy = self._values.get("copy", "").strip()
        if copy:
            self._audit.warn("camt.copy", place, copy)
        if self.is_page or self._is_paged():
            self._audit.warn("camt.page", place, self._values.get("page", ""))
            return
        self._compare_summary(part)
        if len(self._currencies) <= 1:
            self._compare_balances(place)

    def _is_paged(self) -> bool:
        return is_paged(self._values)

    def _compare_summary(self, part: str) -> None:
        stated, counts, sums = self._summary, self._counts, self._sums
        self._count(stated.get("count"), sum(counts.values()), f"{part}, TtlNtries/NbOfNtries")
        self._count(stated.get("credit_count"), counts[True], f"{part}, TtlCdtNtries/NbOfNtries")
        self._count(stated.get("debit_count"), counts[False], f"{part}, TtlDbtNtries/NbOfNtries")
        if len(self._currencies) > 1:
            if "?" not in self._currencies and any(name.endswith("sum") for name in stated):
                self._audit.warn("camt.several_currencies", self._place(part), " ".join(sorted(self._currencies)))
            return
        net = sums[True] - sums[False]
        self._sum(stated.get("sum"), sums[True] + sums[False], f"{part}, TtlNtries/Sum")
        self._sum(stated.get("credit_sum"), sums[True], f"{part}, TtlCdtNtries/Sum")
        self._sum(stated.get("debit_sum"), sums[False], f"{part}, TtlDbtNtries/Sum")
        self._sum(stated.get("net"), abs(net), f"{part}, TtlNtries/TtlNetNtry")
        self._direction(stated.get("net_direction", "").strip(), net, f"{part}, TtlNtries/TtlNetNtry/CdtDbtInd")

    def _count(self, stated: str | None, computed: int, path: str) -> None:
        if stated is not None:
            number = self._amounts.count(stated, path)
            if number is not None:
                self._audit.compare("entries", number, computed, self._place(path))

    def _sum(self, stated: str | tuple[str, str] | None, computed: int, path: str) -> None:
        text = stated[0] if isinstance(stated, tuple) else stated
        if text is not None:
            currency = next(iter(self._currencies), self._values.get("currency", "").strip() or "EUR")
            minor = self._amounts.minor(text, currency, path)
            if minor is not None:
                self._audit.compare_sum("sum", minor, computed, currency, self._place(path))

    def _direction(self, stated: str, net: int, path: str) -> None:
        """Compare on which side the net total lies; of zero, banks say either."""
        if stated and net:
            self._audit.compare("direction", stated, "CRDT" if net > 0 else "DBIT", self._place(path))

    def _compare_balances(self, place: str) -> None:
        """Warn only: the examples that three banks publish fail the equation."""
        opening, closing = self._balances.get("opening"), self._balances.get("closing")
        if opening is not None and closing is not None and opening + self._booked != closing:
            currency = next(iter(self._currencies), "") or self._values.get("currency", "").strip()
            stated, computed = format_minor(closing, currency), format_minor(opening + self._booked, currency)
            self._audit.warn("camt.balance", place, stated, stated=stated, computed=computed)


def is_paged(values: Values) -> bool:
    """Return whether a message or section is one page of several."""
    page, last = values.get("page", "").strip(), values.get("is_last_page", "").strip()
    return last in {"false", "0"} or page not in {"", "1"}
