"""Evenings with agencies that misbehave, one way alone and in random combination; at the end both ledgers must agree, claim by claim.

``python -m bench.misbehaviour [--evenings 1000] [--each] [--agency esp] [--layout nk003-advanced] [--seed 1] [--jobs 2] [--json]``

Each life is a creditor with one agency under one layout for five evenings: invoices, links, payments, refusals, on a line that
breaks and with post that comes late, twice, cut off and in the wrong order (`bench.lives`). Then the trouble ends and everything
must settle by itself, or by what a person does who asks the agency on the telephone. The evenings are shared out among all
counterparts; lives of one seed are the same. With ``--each`` every counterpart has a life per way, with that trouble alone, in
the place of ``--evenings``. APIs are called over TLS on this machine, mailboxes are folders, and the clock is simulated.

Exit code 0 when every life ended well, every counterpart had claims and money, and every way struck; a life that did not is named
by its counterpart and seed, which live it again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog

from bench.lives import COUNTERPARTS, EVENINGS_OF_A_LIFE, Counterpart, Outcome, live

_CRITICAL = 50
_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Order:
    """One life to be lived: with the counterpart at *place*, as *seed* decides, with one *way* of trouble or any."""

    place: int
    seed: int
    evenings: int
    way: str = ""


@dataclass(slots=True)
class _Row:
    """What came of all lives with one counterpart."""

    lives: int = 0
    evenings: int = 0
    claims: int = 0
    payments: int = 0
    seconds: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def main() -> int:
    """Live, and tell."""
    asked = _asked()
    chosen = [
        place for place, terms in enumerate(COUNTERPARTS)
        if asked.agency in ("", terms.agency) and asked.layout in ("", terms.layout)
    ]  # fmt: skip
    if not chosen:
        sys.exit("there is no such counterpart; there is " + ", ".join(terms.name for terms in COUNTERPARTS))
    orders = list(_each(chosen, asked.seed) if asked.each else _shared(chosen, asked.evenings, asked.seed))
    began, rows = time.monotonic(), {place: _Row() for place in chosen}
    out = sys.stderr if asked.json else sys.stdout
    with ProcessPoolExecutor(asked.jobs, multiprocessing.get_context("spawn"), initializer=_quiet) as pool:
        try:
            for order, (outcome, seconds) in zip(orders, pool.map(_lived, orders), strict=True):
                _note(rows[order.place], order, outcome, seconds, out)
        except KeyboardInterrupt:  # the lives that were lived are told all the same
            pool.shutdown(wait=False, cancel_futures=True)
    lives = sum(row.lives for row in rows.values())
    for place, row in rows.items():
        row.faults += _missing(COUNTERPARTS[place], row)
    told = {COUNTERPARTS[place].name: row for place, row in rows.items()}
    (_as_json if asked.json else _as_table)(told, time.monotonic() - began)
    if lives < len(orders):
        print(f"broken off after {lives} of {len(orders)} lives", file=sys.stderr)
    return int(lives < len(orders) or any(row.faults for row in rows.values()))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evenings", type=int, default=1000, help="of all counterparts together")
    parser.add_argument("--each", action="store_true", help="a life for each way of trouble alone")
    parser.add_argument("--agency", default="")
    parser.add_argument("--layout", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="lives at the same time")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _shared(chosen: Sequence[int], evenings: int, seed: int) -> Iterator[_Order]:
    """Yield lives in turn until there are as many evenings as were asked for."""
    for number in range(-(-evenings // EVENINGS_OF_A_LIFE)):
        yield _Order(chosen[number % len(chosen)], seed + number // len(chosen), EVENINGS_OF_A_LIFE)


def _each(chosen: Iterable[int], seed: int) -> Iterator[_Order]:
    for place in chosen:
        yield from (_Order(place, seed, EVENINGS_OF_A_LIFE, way) for way in sorted(COUNTERPARTS[place].ways))


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(_CRITICAL))


def _lived(order: _Order) -> tuple[Outcome, float]:
    """Live; a way that is wanted alone and did not strike by chance is given another life."""
    began, terms = time.monotonic(), COUNTERPARTS[order.place]
    if not order.way:
        return live(order.seed, order.evenings, terms), time.monotonic() - began
    for seed in count(order.seed):
        outcome = live(seed, order.evenings, terms, frozenset({order.way}))
        if outcome.faults or outcome.struck[order.way] or seed - order.seed == 9:
            return outcome, time.monotonic() - began
    raise AssertionError


def _note(row: _Row, order: _Order, outcome: Outcome, seconds: float, out: Any) -> None:
    row.lives += 1
    row.evenings += outcome.evenings
    row.claims += outcome.claims
    row.payments += outcome.payments
    row.seconds += seconds
    row.struck.update(outcome.struck)
    if outcome.faults:
        shown = "; ".join(outcome.faults[:_FAULTS_SHOWN])
        row.faults.append(f"seed {outcome.seed}{f' with {order.way}' if order.way else ''}: {shown}")
        print(f"{outcome.counterpart}, {row.faults[-1]}", file=out, flush=True)


def _missing(terms: Counterpart, row: _Row) -> Iterator[str]:
    """Yield what a run must have had to prove anything."""
    yield from (f"{way} never struck" for way in sorted(terms.ways) if not row.struck[way])
    yield from (f"no {what}" for what, number in (("claims", row.claims), ("payments", row.payments)) if not number)


def _as_table(told: dict[str, _Row], seconds: float) -> None:
    print(
        f"{'counterpart':32} {'lives':>6} {'evenings':>8} {'claims':>7} {'payments':>8} {'faults':>6} {'s':>6}  struck"
    )
    for name, row in told.items():
        struck = ", ".join(f"{way} {number}" for way, number in sorted(row.struck.items()) if number)
        numbers = (
            f"{row.lives:6} {row.evenings:8} {row.claims:7} {row.payments:8} {len(row.faults):6} {row.seconds:6.0f}"
        )
        print(f"{name:32} {numbers}  {struck}")
        for fault in row.faults:
            print(f"{'':33}{fault}")
    rows = told.values()
    total = ", ".join(
        f"{sum(getattr(row, name) for row in rows)} {name}" for name in ("lives", "evenings", "claims", "payments")
    )
    print(f"{total}, {sum(len(row.faults) for row in rows)} faults in {seconds:.0f} s")


def _as_json(told: dict[str, _Row], seconds: float) -> None:
    names = ("lives", "evenings", "claims", "payments", "faults", "struck")
    rows = [
        {"counterpart": name, **{field: getattr(row, field) for field in names}, "seconds": round(row.seconds)}
        for name, row in told.items()
    ]
    print(json.dumps({"seconds": round(seconds), "counterparts": rows}, default=dict))


if __name__ == "__main__":
    sys.exit(main())
