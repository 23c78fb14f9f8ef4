"""The payment file readers at size: ours beside the limits and beside what others offer, with peak memory and growth.

    make bench-payments                                 1 000 to 1 000 000 payments; some minutes
    python -m bench.payments --sizes 1000 10000 --formats ocr_giro --json

Each measurement is a process of its own; rates are payments per second of processor time. Every reader must find the
same count, sum and references, else it is marked wrong. Absolute figures change with the machine and the hour: compare
ratios of one run. Peers that are not in the development environment get one of their own (`bench.peer_environment`)
unless ``--no-peers`` is given; those that need the whole file in memory are asked up to `PEER_SIZE` payments.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.payment_inputs import FORMATS, expected, write
from bench.peer_environment import peer_python

PEERS = {
    "ocr_giro": ("netsgiro",),
    "bgmax": (),
    "camt.054": ("pyiso20022", "bankstatementparser"),
    "cremul": ("pydifact",),
    "ktl": (),
    "autogiro": (),
    "total_in": (),
}
LIMITED = ("ocr_giro", "bgmax", "camt.054", "cremul")
"""The formats that `limit.c` knows."""

PEER_SIZE = 10_000
C_SOURCE = Path(__file__).with_name("limit.c")


def main() -> int:
    """Measure and print a table; whoever reads it compares it with what issue or release promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of the table")
    parser.add_argument("--no-peers", action="store_true", help="measure ours and the limits only")
    options = parser.parse_args()
    if not options.json:
        print(
            f"{'format':<9} {'payments':>9} {'reader':<20} {'a second':>11} {'of regex':>8} {'of C':>6} {'peak MiB':>8}"
        )
    with tempfile.TemporaryDirectory(prefix="kravport-bench-") as folder:
        c_limit = _compiled(Path(folder))
        for form in options.formats:
            for size in options.sizes:
                path = Path(folder) / "payments.xml"  # whatever the format: one peer refuses a name without a suffix
                write(path, form, size)
                for row in _rows(form, size, path, c_limit, () if options.no_peers else PEERS[form]):
                    print(json.dumps(row) if options.json else _line(row), flush=True)
                path.unlink()
    return 0


def _compiled(folder: Path) -> Path | None:
    """Return the limit in C, or None where there is no compiler; without expat it knows no camt."""
    compiler = shutil.which("cc")
    made = folder / "limit"
    for flags in (["-DWITH_EXPAT", "-lexpat"], []):
        command = [str(compiler), "-O2", *flags[:1], "-o", str(made), str(C_SOURCE), *flags[1:]]
        if compiler and subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0:
            return made
    return None


def _rows(
    form: str, size: int, path: Path, c_limit: Path | None, peers: tuple[str, ...]
) -> Iterator[dict[str, object]]:
    """Yield one row a reader: the limits first, then ours, then the peers."""
    wanted = expected(size, form)
    rates: dict[str, float] = {}
    commands = {"C": [str(c_limit), form, str(path)]} if c_limit and form in LIMITED else {}
    for name in ("regex", "ours", *(peers if size <= PEER_SIZE else ())):
        commands[name] = [sys.executable, "-m", "bench.payment_readers", name, form, str(path)]
    for name, command in commands.items():
        told = _told(command)
        if told.get("absent") and (python := peer_python("peers.txt")):
            told = _told([str(python), *command[1:]])
        row = {"format": form, "payments": size, "reader": name}
        if told.get("absent") or told.get("failed"):
            yield {**row, "result": told.get("failed") or "not installed"}
            continue
        rates[name] = size / max(float(told["seconds"]), 1e-6)
        row |= {"per_second": round(rates[name]), "peak_mib": round(told["peak_mib"], 1)}
        row |= {
            f"of_{limit.lower()}": round(rates[name] / rates[limit], 3) for limit in ("regex", "C") if limit in rates
        }
        yield {**row, "result": "" if wanted.items() <= told.items() else "WRONG"}


def _told(command: list[str]) -> dict[str, object]:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return json.loads(done.stdout) if done.stdout else {"failed": "no answer"}


def _line(row: dict[str, object]) -> str:
    """Return a row of the table."""
    cells = (row.get("per_second", "-"), row.get("of_regex", "-"), row.get("of_c", "-"), row.get("peak_mib", "-"))
    rate, of_regex, of_c, peak = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
    head = f"{row['format']:<9} {row['payments']:>9} {row['reader']:<20}"
    return f"{head} {rate:>11} {of_regex:>8} {of_c:>6} {peak:>8}  {row['result']}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
