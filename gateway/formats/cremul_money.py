"""The money of a CREMUL file: amounts read exactly, compared on every level, turned into payments (payments.md 4.2)."""

from __future__ import annotations

import re
from hashlib import blake2b

from gateway.domain.exchange import Direction, Payment, Reference
from gateway.domain.money import format_minor, parse_minor
from gateway.domain.reasons import said
from gateway.errors import DecodeError
from gateway.formats.audit import Audit, Ordinals
from gateway.formats.cremul_line import (
    CHARGES,
    DOCUMENT_AMOUNT,
    DOCUMENT_KINDS,
    INVALID_KID,
    Document,
    Line,
    Money,
    Transaction,
    case_number,
    primary,
    text_references,
)
from gateway.formats.cremul_shape import KID
from gateway.formats.edifact import Segment, Segments, component

MAX_KEY_CHARACTERS = 160
"""A longer identity is stored as its digest: references have at most 35 characters where a bank keeps to the message."""

_AMOUNT = re.compile(r"[0-9]{1,15}(?:[.,][0-9]{0,5})?")
"""An amount has at most 18 characters; there is no sign and no mark between thousands."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_KID = re.compile(KID)


class Books:
    """Keeps the sums of a file. *ready* holds payments to hand on; *accounts* counts transactions per account.

    *is_message_counted* says that every amount of the present message has agreed so far, and the number of its lines.
    """

    def __init__(self, audit: Audit, segments: Segments) -> None:
        self._audit, self._segments = audit, segments
        self._ordinal, self._message_ordinal = Ordinals().next, Ordinals().next
        self.ready: list[Payment] = []
        self.accounts: dict[str, int] = {}
        self.begin_message()

    # --- messages ---

    def begin_message(self) -> None:
        """Start to count lines."""
        self._lines = 0
        self._stated_lines: str | None = None
        self._is_repeated = False
        self._was_blocked = self._audit.is_blocked

    def name_message(self, number: str) -> None:
        """Take the message's own number, which no second message of the file should have."""
        self._is_repeated = bool(number) and self._message_ordinal(number) > 1

    @property
    def is_message_counted(self) -> bool:
        """Whether lines and amounts of the message were compared and agree."""
        return self._stated_lines is not None and self._audit.is_blocked == self._was_blocked

    def state_lines(self, stated: str) -> None:
        """Keep how many lines the message states (CNT)."""
        if self._stated_lines not in {None, stated}:
            self._audit.compare("lines", stated, self._stated_lines, self._segments.place("CNT"))
        self._stated_lines = stated

    def end_message(self) -> None:
        """Compare how many lines the message states with those it has."""
        stated = self._stated_lines
        if stated is not None and not (
            stated.isascii() and stated.isdecimal() and stated.lstrip("0") == str(self._lines)
        ):
            self._audit.compare("lines", stated, str(self._lines), self._segments.place("CNT"))

    # --- amounts ---

    def _money(self, segment: Segment, currency: str) -> Money | None:
        """Return the amount of a MOA segment; *currency* where it names none. What cannot be read blocks the file."""
        text, currency = component(segment, 1, 1), component(segment, 1, 2) or currency
        place = f"MOA {component(segment, 1)}"
        reason: str = said("wrong.no_sign")
        if not _CURRENCY.fullmatch(currency):
            text, reason = currency, said("wrong.currency")
        elif _AMOUNT.fullmatch(text):
            try:
                return parse_minor(text.replace(",", "."), currency), currency
            except DecodeError as error:
                reason = error.reason
        self._audit.block("file.invalid", self._segments.place(place), text, reason=reason)
        return None

    def _keep(self, money: dict[str, Money], segment: Segment, currency: str) -> bool:
        """Keep an amount by its qualifier; False when it cannot be read."""
        qualifier, found = component(segment, 1), self._money(segment, currency)
        if found and money.setdefault(qualifier, found) != found:
            reason = said("wrong.two_amounts")
            self._audit.block(
                "file.invalid", self._segments.place(f"MOA {qualifier}"), component(segment, 1, 1), reason=reason
            )
        return found is not None

    def read_line_money(self, line: Line, segment: Segment) -> None:
        """Take a MOA segment of a line."""
        if line.context == "" and not self._keep(line.money, segment, ""):
            line.is_unreadable = True

    def read_transaction_money(self, line: Line, transaction: Transaction, segment: Segment) -> None:
        """Take a MOA segment of a transaction, for what it stands behind."""
        context, qualifier = transaction.context, component(segment, 1)
        if not component(segment, 1, 1):
            return
        if context == "":
            if not self._keep(transaction.money, segment, line.currency):
                transaction.is_unreadable = True
        elif context == "charges" and qualifier == CHARGES:
            charge = self._money(segment, line.currency)
            transaction.charges += [charge] if charge else []
        elif context == "document" and qualifier == DOCUMENT_AMOUNT:
            document = transaction.documents[-1]
            transaction.documents[-1] = document._replace(money=self._money(segment, line.currency))

    def document(self, segment: Segment) -> Document:
        """Return what a DOC segment names."""
        kind = DOCUMENT_KINDS.get(component(segment, 1), "")
        raw = segment[2][0] if len(segment) > 2 else ""
        self._audit.check_reference(raw, self._segments.place("DOC"))
        if kind == "kid" and raw.strip() and not _KID.fullmatch(raw.strip()):
            self._audit.warn("ocr.kid_shape", self._segments.place("DOC 999"), raw)
        return Document(raw, kind)

    # --- lines ---

    def begin_line(self) -> Line:
        """Begin a line at the present segment."""
        self._lines += 1
        return Line(self._lines, self._segments.number, self._segments.start)

    def open_line(self, line: Line, message_status: str, *, is_test: bool) -> None:
        """Judge what stands above the transactions of *line*."""
        line.open(message_status)
        line.why_not = "file.test" if is_test else "" if line.status == "BOOK" else "payment.not_booked"
        if line.minor is None and not line.is_unreadable:
            reason = said("wrong.comes_without", what="LIN", other="MOA 60/346/349/362")
            self._audit.block("file.invalid", self._place(line), reason=reason)
        if line.bank_reference:
            state = "" if line.status == "BOOK" else f"{line.status}:"
            key = f"cremul:{line.account}:{state}{line.bank_reference}"
            key = key if len(key) <= MAX_KEY_CHARACTERS // 2 else f"cremul:#{_digest(key)}"
            ordinal = self._ordinal(key)
            if ordinal > 1 and self._is_repeated:
                self._audit.block("cremul.repeated_message", self._place(line), line.bank_reference)
            line.key = key if ordinal == 1 else f"{key}~{ordinal}"

    def close_line(self, line: Line) -> None:
        """Compare the amount of *line* with the sum of its transactions."""
        if not line.count:
            self._audit.transactions += 1
            if line.minor is not None:
                self.ready.append(
                    self._payment(line, Transaction(line.number, line.start), line.minor, line.currency, 1)
                )
        elif line.is_summable and line.minor is not None and line.sum != line.minor:
            stated, computed = format_minor(line.minor, line.currency), format_minor(line.sum, line.currency)
            self._audit.compare("sum of its transactions", stated, computed, self._place(line, f"MOA {line.qualifier}"))
        if line.minor is not None:
            self._audit.count(line.currency, line.minor, 0)
        self.accounts[line.account] = self.accounts.get(line.account, 0) + max(line.count, 1)

    def _place(self, line: Line, field: str = "") -> str:
        told = f"LIN {line.ordinal}" + (f", {field}" if field else "")
        return self._segments.place(told, number=line.number, start=line.start)

    # --- transactions ---

    def close_transaction(self, line: Line, transaction: Transaction, *, is_last: bool) -> None:
        """Turn a transaction into a payment; *is_last* says that its line ends with it."""
        line.count += 1
        self._audit.transactions += 1
        if transaction.is_unreadable or line.minor is None:
            line.is_summable = False
            return
        minor, currency, why_not = transaction.amount(line.currency), line.currency, ""
        if minor is None and is_last and line.count == 1:
            minor = line.minor  # the only transaction of a line is the line
        if minor is None:
            line.is_summable = False
            why_not = "cremul.amount_missing"
            self._audit.warn(why_not, self._transaction_place(transaction), value=line.currency, currency=line.currency)
            minor, currency = next(iter(transaction.money.values()), (0, line.currency))
        else:
            line.sum += minor
        self.ready.append(self._payment(line, transaction, minor, currency, line.count, why_not))

    def _transaction_place(self, transaction: Transaction, field: str = "") -> str:
        told = f"transaction {self._audit.transactions}" + (f", {field}" if field else "")
        return self._segments.place(told, number=transaction.number, start=transaction.start)

    def _payment(
        self, line: Line, transaction: Transaction, minor: int, currency: str, place: int, why_not: str = ""
    ) -> Payment:
        charges, agrees = transaction.charged(minor, currency)
        if not agrees:
            self._audit.warn("cremul.charges", self._transaction_place(transaction, "MOA 23"))
        references, first = self._references(line, transaction, minor, charges, currency)
        party = next((document.party for document in transaction.documents if document.party), "")
        is_invoice = first and first.kind in {"invoice", "case"}
        case = case_number(first.value, party) if first and first.kind == "case" else ""
        archive, value = transaction.archive, first.value if first else ""
        key = self._key(line, transaction, place, f"{minor}{currency}", value)
        why_not = line.why_not or why_not
        return Payment(
            position=self._audit.transactions, amount_minor=minor, currency=currency, direction=Direction.CREDIT,
            status=line.status, posts=not why_not, why_not=why_not,
            reference=value, reference_raw=first.raw if first else "", reference_kind=first.kind if first else "",
            references=references, booking_date=transaction.booking_date or line.booking_date,
            value_date=transaction.value_date or line.value_date, order_date=transaction.order_date,
            payer_name=transaction.payer_name, payer_account=transaction.payer_account,
            payer_address=transaction.payer_address, account=line.account,
            bank_reference=archive or line.bank_reference, statement_reference=line.bank_reference,
            text=" ".join(transaction.texts), key=key, case_number=case,
            invoice_number=value if is_invoice and not case and len(references) < 2 else "", charges_minor=charges,
        )  # fmt: skip

    def _key(self, line: Line, transaction: Transaction, place: int, amount: str, reference: str) -> str:
        """Return the identity across files (payments.md 8): the bank's references, or all facts where it gives none."""
        archive = transaction.archive
        key = f"{line.key}:{archive}:{place}"
        if line.key and len(key) <= MAX_KEY_CHARACTERS:
            return key
        if line.key:
            return f"cremul:#{_digest(key)}"
        facts = (
            line.status, line.account, transaction.references.get("ACK", ""), archive, amount, reference,
            str(line.value_date or line.booking_date or ""), transaction.payer_account, transaction.payer_name,
            *transaction.texts,
        )  # fmt: skip
        key = f"cremul:{line.account[:34]}:{archive[:40]}:#{_digest(chr(31).join(facts))}"
        ordinal = self._ordinal(key)
        return key if ordinal == 1 else f"{key}~{ordinal}"

    def _references(
        self, line: Line, transaction: Transaction, minor: int, charges: int, currency: str
    ) -> tuple[tuple[Reference, ...], Reference | None]:
        """Return all references, or none where one covers the whole amount; and the one to match on."""
        total = transaction.document_total(currency)
        agrees = total in {None, minor, minor + charges}
        if not agrees:
            self._disagree(transaction, total or 0, minor, currency)
        is_invalid = (transaction.category or line.category) == INVALID_KID
        found = transaction.named(is_kid_invalid=is_invalid, has_parts=total == minor)
        first = primary(found)
        if len(found) == 1 and first and agrees:
            return (), first
        return (*found, *text_references(transaction.texts)), first

    def _disagree(self, transaction: Transaction, total: int, minor: int, currency: str) -> None:
        """Documents do not add up to their payment. The bank writes the amounts behind a KID, payers those of a list."""
        stated, computed = format_minor(total, currency), format_minor(minor, currency)
        place = self._transaction_place(transaction, "MOA 12")
        if all(document.kind == "kid" for document in transaction.documents):
            self._audit.compare("sum of its documents", stated, computed, place)
        else:
            self._audit.warn("cremul.allocation", place, stated, stated=stated, computed=computed)


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
