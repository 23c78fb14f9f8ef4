"""What must be true of any bytes: the contract of `PaymentStream`, of `detect` and of ``explain``."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from operator import lt
from typing import BinaryIO

from gateway.domain.exchange import TO_FACTORING, Direction, Finding, Payment, PaymentStream, Reference, Severity
from gateway.domain.reasons import LANGUAGES, is_known, sentence
from gateway.errors import FileQuarantined, FileRefused
from gateway.formats.audit import MAX_FINDINGS, SHOWN
from gateway.formats.detect import HEAD_BYTES, PROFILES, detect, open_payments
from gateway.formats.explain import EXIT_CODES, explain
from tests.formats.giro_reading import read_as
from tests.formats.reading import Read
from tests.fuzz.watch import PEAK_BYTES, SECONDS, bounded_time, measured

Way = Callable[[BinaryIO], PaymentStream]

LARGEST_MINOR = 2**63 - 1
"""A database keeps no larger amount: a file with one must be quarantined by its reader, not break the import."""

INDEXED_CHARACTERS = 600
"""Keys and references are indexed; PostgreSQL refuses to index more than 2,700 bytes, and a character takes up to four."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_INDEXED = ("reference", "key", "case_number", "claim_id", "invoice_number", "reverses_key")


class Broken(Exception):
    """A rule does not hold. *rule* tells one finding from another, whatever the input."""

    def __init__(self, rule: str, detail: object = "") -> None:
        self.rule = rule
        super().__init__(f"{rule}: {detail!r:.2000}")


def hold(truth: object, rule: str, detail: object = "") -> None:
    """Raise `Broken` where *truth* is not."""
    if not truth:
        raise Broken(rule, detail)


# --- readers ---------------------------------------------------------------------------------------------------------


def judge(data: bytes, ways: Sequence[Way]) -> Read:
    """Read *data* in all *ways*, hold the first to what is true of any file and the others to the first."""
    with bounded_time():
        got = read_as(ways[0], data)
        check(got)
        for way in ways[1:]:
            for name, mine, theirs in zip(Read._fields, _sorted(got), _sorted(read_as(way, data)), strict=True):
                hold(mine == theirs, f"the ways of reading differ in their {name}", (mine, theirs))
    return got


def _sorted(got: Read) -> Read:
    """Return the same with findings in an order of their own: a payment is judged when it ends, which is now here, now there."""
    return got._replace(findings=tuple(sorted(got.findings, key=str)))


def check_flat(data: bytes, way: Way, seconds: int = SECONDS) -> None:
    """Read *data*, which may be large, keeping nothing of it, within bounds of time and memory."""
    with measured() as peak, bounded_time(seconds):
        try:
            for _ in way(io.BytesIO(data)):
                pass
        except (FileQuarantined, FileRefused):
            pass  # whatever the answer, it must not have cost more
    hold(peak.size <= PEAK_BYTES, "takes too much memory", peak.size)


def check(got: Read) -> None:
    """Hold what was read to the contract."""
    _check_findings(got)
    positions = [0, *(payment.position for payment in got.payments)]
    hold(all(map(lt, positions, positions[1:])), "positions ascend", positions)
    for payment in got.payments:
        _check_payment(payment)
    _check_totals(got)
    if got.verdict == "accepted":
        _check_accepted(got)


def _check_findings(got: Read) -> None:
    hold(len(got.findings) <= MAX_FINDINGS + 1, "findings are counted beyond a number", len(got.findings))
    is_blocked = any(finding.severity is Severity.BLOCKING for finding in got.findings)
    hold(is_blocked == (got.verdict != "accepted"), "the verdict is that of the findings", got.findings)
    for finding in got.findings:
        _check_finding(finding)


def _check_finding(finding: Finding) -> None:
    hold(is_known(finding.code), "a finding has a known code", finding)
    hold(isinstance(finding.place, str) and isinstance(finding.value, str), "place and value are text", finding)
    hold(len(finding.place) <= SHOWN and len(finding.value) <= SHOWN, "place and value are short", finding)
    for language in LANGUAGES:
        told = sentence(finding.code, language, finding.values)
        hold(len(told) <= 2000, "a sentence is short", told)
        (told + finding.place + finding.value).encode()


def _check_payment(payment: Payment) -> None:
    hold(
        type(payment.amount_minor) is int and payment.amount_minor >= 0, "an amount is a number, not negative", payment
    )
    hold(type(payment.charges_minor) is int and payment.charges_minor >= 0, "so are charges", payment)
    hold(type(payment.direction) is Direction, "a direction is one", payment)
    hold(payment.posts is (payment.why_not in {"", TO_FACTORING}), "what does not post says why", payment)
    hold(not payment.why_not or is_known(payment.why_not), "with a known code", payment)
    hold(payment.posts <= (payment.status == "BOOK"), "only booked money posts", payment)
    hold(payment.key, "a payment has an identity", payment)
    for day in (payment.booking_date, payment.value_date, payment.order_date):
        hold(day is None or type(day) is date, "a date is one or none", payment)
    _check_references(payment)


def _check_references(payment: Payment) -> None:
    named = payment.references or (Reference(payment.reference_raw, payment.reference),)
    hold(not payment.reference or payment.reference in {each.value for each in named}, "a reference is listed", payment)
    for reference in named:
        hold(type(reference) is Reference and reference.value in reference.raw, "a reference is as found", payment)
        hold(reference.amount_minor is None or type(reference.amount_minor) is int, "its part is a number", payment)


def _check_totals(got: Read) -> None:
    hold(type(got.transactions) is int and got.transactions >= len(got.payments), "all are counted", got.transactions)
    for total in got.totals.values():
        hold(set(total) == {"credit", "debit"}, "totals are by direction", got.totals)
        hold(all(type(minor) is int and minor >= 0 for minor in total.values()), "totals are numbers", got.totals)


def _check_accepted(got: Read) -> None:
    """Hold what takes effect to more: nothing of it is half known, and both databases keep it."""
    hold(got.transactions == len(got.payments), "transactions are the payments", (got.transactions, len(got.payments)))
    hold(all(map(_CURRENCY.fullmatch, got.totals)), "totals are by currency", got.totals)
    for number, payment in enumerate(got.payments, 1):
        hold(payment.position == number, "positions count the payments", payment)
        hold(_CURRENCY.fullmatch(payment.currency), "a currency has three letters", payment)
        hold(max(payment.amount_minor, payment.charges_minor) <= LARGEST_MINOR, "an amount can be stored", payment)
        _check_texts(payment)


def _check_texts(payment: Payment) -> None:
    texts = [field for field in payment if isinstance(field, str)]
    for text in (*texts, *(text for reference in payment.references for text in reference[:3])):
        hold("\0" not in text, "a text can be stored", payment)
        text.encode()
    for name in _INDEXED:
        hold(len(getattr(payment, name)) <= INDEXED_CHARACTERS, f"a {name} can be indexed", payment)
        hold(not _CONTROL.search(getattr(payment, name)), f"a {name} holds no control character", payment)


def check_sums(got: Read) -> None:
    """Hold the totals of an accepted file to the sums of its payments, where rows are what the account shows."""
    if got.verdict != "accepted":
        return
    sums: Counter[tuple[str, str]] = Counter()
    for payment in got.payments:
        sums[payment.currency, payment.direction.value] += payment.amount_minor
    stated = Counter(
        {(currency, side): minor for currency, total in got.totals.items() for side, minor in total.items()}
    )
    hold(+sums == +stated, "totals are the sums of the payments", (sums, stated))


# --- detection and explanation ---------------------------------------------------------------------------------------


def judge_detection(data: bytes) -> Read:
    """Detect *data* and read it as the host does; a format is named or the reason why not."""
    with bounded_time():
        found = detect(data[:HEAD_BYTES])
        hold(bool(found.format) != bool(found.reason), "a format or a reason", found)
        got = read_as(lambda stream: open_payments(stream, data[:HEAD_BYTES], PROFILES), data)
        check(got)
        if not found.format and not data.lstrip().startswith(b"00TOTALIN"):
            hold(got.verdict == "refused" and not got.payments, "what is not recognised is refused", got)
    return got


def judge_explanation(data: bytes) -> Read:
    """Explain *data*; text, JSON and the importer say the same."""
    got = judge_detection(data)
    with bounded_time(), explain(io.BytesIO(data), language="sv", profiles=PROFILES) as told:
        hold(
            (told.verdict, told.exit_code) == (got.verdict, EXIT_CODES[got.verdict]), "the verdicts agree", told.verdict
        )
        as_dict, out = told.as_dict(), io.StringIO()
        told.write_json(out)
        hold(json.loads(out.getvalue()) == json.loads(json.dumps(as_dict)), "streamed JSON is the same", out.getvalue())
        hold([payment["amount_minor"] for payment in as_dict["payments"]]
             == [payment.amount_minor for payment in got.payments], "the payments agree", as_dict)  # fmt: skip
        hold(len(as_dict["findings"]) == len(got.findings), "the findings agree", as_dict["findings"])
        told.as_text().encode()
    return got
