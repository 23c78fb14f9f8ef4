"""Every outgoing format: claims a second written with all checks, beside the same bytes without one.

    python -m bench.exports --sizes 10000 100000

Fixed-width layouts stand beside f-strings, one per record, printed from the same columns; kravport-sls-1 beside lxml's
incremental writer, which writes the same elements. Peers are those of `bench.peers.invoice_writers`. Each measurement is a
process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, BinaryIO, cast

from bench.export_limits import Writer, fixed_width, sls_by_xmlfile
from bench.profiles import k9409
from gateway.domain.exchange import Agreement, Claim, Customer, CustomerKind, Seal, Service
from gateway.formats import kravport_sls
from gateway.profiles import ProfileFile, export, load
from gateway.profiles.shipped import shipped

FIXED = ("k9409", "nk003-advanced", "nk003-standard", "fall-nordea", "fall-op", "fall-danske", "fall-aktia")
FORMATS = (*FIXED, "kravport-sls-1")
NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
SETTINGS = {"ledger_id": "1234-NOK", "agency_id": "BENCH", "business_id": "1234567-1", "comment": "text"}
DAY, DUE = date(2026, 11, 2), date(2026, 11, 16)
ROUNDS = 5
SIDES = ("ours", "limit")


class Nowhere:
    """A sink that keeps nothing: what is measured is the writing."""

    @contextmanager
    def open(self, _filename: str) -> Iterator[BinaryIO]:
        """Return a stream into nothing."""
        yield cast("BinaryIO", self)

    def write(self, piece: bytes) -> int:
        """Forget *piece*."""
        return len(piece)

    def writelines(self, pieces: Sequence[bytes]) -> None:
        """Forget *pieces*."""
        for _ in pieces:
            pass

    def flush(self) -> None:
        """Nothing to flush."""


class Kept(io.BytesIO):
    """A sink of one file, kept."""

    @contextmanager
    def open(self, _filename: str) -> Iterator[BinaryIO]:
        """Return the stream."""
        yield self


def claims(count: int, form: str) -> Iterator[Claim]:
    """Yield *count* invoices, one a customer, as the host hands them over: one at a time."""
    is_finnish = form.startswith(("fall", "svea"))
    country, scheme, org = ("FI", "fi-ytunnus", "1122334-4") if is_finnish else ("NO", "no-orgnr", "999999980")
    for n in range(1, count + 1):
        customer = Customer(
            f"{100_000 + n}", CustomerKind.COMPANY, f"Kunde {n} Øy", org, "", scheme, f"Storgata {n}", "", "00155" if is_finnish else "0155",
            "OSLO", country, f"p{n}@k.example", "22334455", "nb",
        )  # fmt: skip
        yield Claim(f"kp-{n}", f"{100_000 + n}", f"{n}", "", DAY, DUE, 100_000 + n, 100_000 + n, f"1{n:08d}7", "", customer)


def terms(form: str) -> tuple[Agreement, Seal]:
    """Return agreement and seal for *form*."""
    currency, market = ("EUR", "FI") if form.startswith(("fall", "svea")) else ("NOK", "NO")
    agreement = Agreement(
        1, "bench", 1, "Fjord AS", "Bench", "1234", Service.LEDGER, market, currency, form, is_sandbox=True, settings=SETTINGS
    )  # fmt: skip
    kinds = ("invoices", "cases", "handover")
    ids = {kind: "00000000-0000-4000-8000-000000000001" for kind in kinds}
    return agreement, Seal(dict.fromkeys(kinds, 1), ids, NOW, NOW.date(), "1234", "BENCH", is_test=True)


def profile_file(form: str) -> ProfileFile:
    """Return the file of a layout's new claims."""
    if form == "k9409":
        return k9409()
    profile = load(shipped()[form])
    key = next(key for key, layout in profile.files.items() if layout.direction == "out" and "update" not in key)
    return ProfileFile(profile, key)


def ours(form: str) -> Callable[[Iterator[Claim], Any], object]:
    """Return what writes *form* with all checks."""
    agreement, seal = terms(form)
    if form == "kravport-sls-1":
        return lambda given, sink: kravport_sls.write_invoices(given, agreement, seal, sink)
    file = profile_file(form)
    seal.sequences[file.layout.key] = 1  # type: ignore[index]  # a plain dict, made above
    return lambda given, sink: export(file, given, agreement, seal, sink)


def limit(form: str) -> Writer:
    """Return what writes the same without a check; columns are held against our bytes first."""
    if form == "kravport-sls-1":
        return sls_by_xmlfile
    layout, mine = profile_file(form).layout, Kept()
    ours(form)(claims(3, form), mine)
    writer, theirs = fixed_width(layout, mine.getvalue()), io.BytesIO()
    writer(list(claims(3, form)), theirs)
    body = mine.getvalue()
    if not body.startswith(theirs.getvalue()):
        raise AssertionError(f"{form}: the f-strings write something else\n{theirs.getvalue()!r}\n{body!r}")
    return writer


def measure(form: str, side: str, count: int) -> dict[str, float]:
    """Return claims a second of one side, the best of some rounds, without the time to make the claims; peak MiB."""
    write: Callable[[Any, Any], object] = ours(form) if side == "ours" else limit(form)
    best = min(_seconds(write, form, count) for _ in range(ROUNDS if count <= 20_000 else 2))
    return {"per_second": count / best, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _seconds(write: Callable[[Any, Any], object], form: str, count: int) -> float:
    made = time.process_time()
    for _ in claims(count, form):
        pass
    started = time.process_time()
    write(claims(count, form), Nowhere())
    return time.process_time() - started - (started - made)


def main() -> int:
    """Print the table, or the figures of one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.formats[0], options.one, options.sizes[0])))
        return 0
    print(f"{'format':<16}{'claims':>8}{'claims/s':>10}{'limit/s':>10}{'of limit':>10}{'peak MiB':>10}")
    for form in options.formats:
        for count in options.sizes:
            mine, bare = (_apart(form, side, count) for side in SIDES)
            share = mine["per_second"] / bare["per_second"]
            print(f"{form:<16}{count:>8}{mine['per_second']:>10.0f}{bare['per_second']:>10.0f}{share:>10.2f}{mine['peak_mib']:>10.0f}")
    return 0


def _apart(form: str, side: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.exports", "--one", side, "--formats", form, "--sizes", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
