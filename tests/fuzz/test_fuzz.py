"""A little fuzzing in every run, with a fixed seed; and proof that the fuzzer would see what it looks for."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import pytest

from gateway.domain.exchange import Direction, Finding, Payment, Reference, Severity
from gateway.errors import FileQuarantined
from gateway.testing.ktl_files import KtlPayment, ktl_file
from gateway.testing.payment_files import OcrPayment, ocr_file
from tests.formats.reading import Read
from tests.fuzz import watch
from tests.fuzz.campaign import CRASHERS, fault_of, fuzz, keep, minimised
from tests.fuzz.judge import Broken, check, check_flat, check_sums, judge
from tests.fuzz.targets import TARGETS

INPUTS = 500
CRASHED = sorted(CRASHERS.glob("*/*.bin"))
GOOD = Payment(
    1, 100, "NOK", Direction.CREDIT, reference="19", reference_raw=" 19", key="k", value_date=date(2026, 11, 2)
)


# --- the readers -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_no_damage_breaks_a_reader(name):
    report = fuzz(TARGETS[name], seed=20261123, is_over=lambda executions: executions >= INPUTS)
    smallest = {
        fault: minimised(TARGETS[name].judge, data, fault, 300) if len(data) < 10**5 else data[:1000]
        for fault, data in report.failures.items()
    }
    assert smallest == {}, "\n".join(report.traces.values())
    assert report.verdicts["accepted"] > INPUTS / 50, "hardly any input got past the first check"
    assert report.verdicts["quarantined"] > INPUTS / 10
    assert report.kinds > 50, "the inputs all end alike"


@pytest.mark.parametrize("path", CRASHED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_broke_a_reader_once_breaks_none_again(path):
    data = path.read_bytes()
    for name in {path.parent.name, "detect", "explain"}:
        TARGETS[name].judge(data)
    check_flat(data, TARGETS[path.parent.name].way)


def test_what_broke_is_kept_for_targets_that_exist():
    assert CRASHED
    assert {path.parent.name for path in CRASHED} <= TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_begins_with_files_that_are_accepted(name):
    verdicts = [TARGETS[name].judge(data).verdict for data in TARGETS[name].seeds()]
    assert verdicts == ["accepted"] * len(verdicts)
    assert len(verdicts) > 12, "no file of the corpus belongs to it"


# --- the fuzzer itself -----------------------------------------------------------------------------------------------


class Careless:
    """A reader that takes what *bad* is among: it raises, hangs, hoards, or answers otherwise the slow way."""

    format, transactions = "careless", 0

    def __init__(self, stream, *, does, bad=b"7"):
        self._stream, self._does, self._bad = stream, does, bad
        self.findings, self.totals = [], {}

    def __iter__(self):
        data = self._stream.read()
        if self._bad in data:
            self._does(self, data)
        self.findings.append(Finding(Severity.BLOCKING, "file.truncated"))
        raise FileQuarantined(self.findings)
        yield


def careless(does):
    return lambda stream: Careless(stream, does=does)


def raises(reader, data):
    raise KeyError(data)


def hangs(reader, data):
    while True:
        pass


def hoards(reader, data):
    reader.kept = [bytes(1 << 20) for _ in range(64)]
    reader.kept = [part.replace(b"\0", b"\1") for part in reader.kept]  # pages that were never written take no room


def differs(reader, data):
    reader.totals = {"NOK": {"credit": 1, "debit": 0}}


def test_an_exception_in_a_reader_is_found_and_made_small():
    target = replace(TARGETS["ocr_giro"], judge=lambda data: judge(data, [careless(raises)]))
    report = fuzz(target, 1, lambda executions: executions >= 20)
    assert list(report.failures) == ["KeyError"]
    assert "KeyError" in report.traces["KeyError"]
    assert minimised(target.judge, report.failures["KeyError"], "KeyError") == b"7"


def test_ways_of_reading_that_differ_are_found():
    ways = [careless(differs), careless(lambda reader, data: None)]
    assert judge(b"1", ways).verdict == "quarantined"
    with pytest.raises(Broken, match="differ in their totals"):
        judge(b"7", ways)


def test_a_reader_that_hangs_is_stopped():
    with pytest.raises(watch.TooSlow), watch.bounded_time(0.05):
        list(careless(hangs)(io.BytesIO(b"7")))
    with watch.bounded_time(0.05):
        pass
    assert sum(range(10**6)) > 0  # long after the watch is gone, nothing stops us


def test_a_reader_that_hoards_is_found():
    check_flat(b"1" * 1000, careless(hoards))
    with pytest.raises(Broken, match="takes too much memory"):
        check_flat(b"7", careless(hoards))


def test_the_same_seed_gives_the_same_inputs():
    def inputs(seed):
        seen = []
        target = replace(TARGETS["ktl"], judge=lambda data: seen.append(data) or TARGETS["ktl"].judge(data))
        fuzz(target, seed, lambda executions: executions >= 30)
        return seen

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


def test_what_broke_is_kept_under_its_name(tmp_path):
    path = keep(tmp_path / "ktl", "KeyError in ktl.py, _read_line", b"x")
    assert path.read_bytes() == b"x"
    assert path.name.startswith("keyerror-in-ktl-py-read-line-")


# --- the rules -------------------------------------------------------------------------------------------------------


def read_with(*payments, verdict="accepted", findings=(), totals=None):
    stated = {"NOK": {"credit": 100, "debit": 0}} if totals is None else totals
    return Read(verdict, list(payments), tuple(findings), stated, len(payments))


def test_a_payment_as_it_should_be_breaks_no_rule():
    check(read_with(GOOD))
    check_sums(read_with(GOOD))


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"amount_minor": -1}, "an amount is a number"),
        ({"amount_minor": 1.5}, "an amount is a number"),
        ({"amount_minor": 2**63}, "an amount can be stored"),
        ({"charges_minor": -1}, "so are charges"),
        ({"currency": "kr"}, "three letters"),
        ({"currency": ""}, "three letters"),
        ({"direction": "credit"}, "a direction is one"),
        ({"posts": False}, "says why"),
        ({"posts": False, "why_not": "no.such_code"}, "known code"),
        ({"status": "PDNG"}, "only booked money posts"),
        ({"key": ""}, "identity"),
        ({"value_date": "2026-11-02"}, "a date is one"),
        ({"reference": "20"}, "a reference is as found"),
        ({"references": (Reference("27", "27"),)}, "a reference is listed"),
        ({"references": (Reference("19", "19", "kid", 0.5),)}, "its part is a number"),
        ({"position": 2}, "positions count the payments"),
        ({"position": 0}, "positions ascend"),
        ({"text": "a\0b"}, "a text can be stored"),
        ({"payer_name": "\ud800"}, "codec can't encode"),
        ({"key": "a\x01"}, "a key holds no control character"),
        ({"reference": "9" * 601, "reference_raw": "9" * 601}, "a reference can be indexed"),
    ],
)
def test_a_payment_that_breaks_a_rule_is_found(wrong, rule):
    with pytest.raises((Broken, UnicodeEncodeError), match=rule):
        check(read_with(GOOD._replace(**wrong)))


@pytest.mark.parametrize(
    ("got", "rule"),
    [
        (read_with(verdict="quarantined"), "the verdict is that of the findings"),
        (read_with(findings=[Finding(Severity.BLOCKING, "file.truncated")]), "the verdict is that of the findings"),
        (read_with(findings=[Finding(Severity.WARNING, "no.such_code")]), "known code"),
        (read_with(findings=[Finding(Severity.WARNING, "file.truncated", value="x" * 201)]), "short"),
        (read_with(findings=[Finding(Severity.WARNING, "file.truncated")] * 202), "counted beyond"),
        (read_with(totals={"NOK": {"credit": -1, "debit": 0}}), "totals are numbers"),
        (read_with(totals={"NOK": {"credit": 1}}), "by direction"),
        (read_with(totals={"": {"credit": 0, "debit": 0}}), "totals are by currency"),
        (read_with(GOOD)._replace(transactions=2), "transactions are the payments"),
        (read_with(GOOD, GOOD), "positions ascend"),
    ],
)  # fmt: skip
def test_an_answer_that_breaks_a_rule_is_found(got, rule):
    with pytest.raises(Broken, match=rule):
        check(got)


def test_totals_that_are_not_the_sum_are_found():
    with pytest.raises(Broken, match="sums of the payments"):
        check_sums(read_with(GOOD, totals={"NOK": {"credit": 99, "debit": 0}}))


def test_a_fault_is_named_by_where_in_the_reader_it_arose():
    def run(data):
        ocr_file([[OcrPayment("not a number", "19")]])

    name, trace = fault_of(run, b"")
    assert " in record.py, " in name
    assert "Traceback" in trace
    assert fault_of(lambda data: ktl_file([[KtlPayment(1)]]), b"") is None
