"""Every outgoing format: claims a second written with all checks, beside the same without one and beside peers.

    make bench-exports              all formats, 10 000 and 100 000 claims
    python -m bench.exports --sizes 1000 --formats fall-nordea --no-peers

Layouts of fixed columns stand beside f-strings, one per record, printed from the same columns; kravport-sls-1 beside lxml's
incremental writer, which writes the same elements; files of calls beside ``json.dumps`` of the same bodies; assigned
documents, which are exported and marked, beside lxml reading and writing each of them. Peers are those of
`bench.peers.invoice_writers`, whatever the format: the fastest counts. Each measurement is a process of its own, so that its
peak of memory is its own.
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
from typing import Any, BinaryIO, cast

from bench.export_formats import CALLS, FACTONOR, FORMATS, HOOKED, PEPPOL, SLS, claims, ours, profile_file
from bench.export_limits import Writer, by_json, documents_by_lxml, factonor, fixed_width, sls_by_xmlfile
from bench.peer_environment import Peers, asked, compared
from gateway.testing.agency_kit import MemorySink

ROUNDS, ROUNDS_OF_MANY, MANY = 5, 2, 20_000
MOST = {PEPPOL: 2_000}
"""Formats that take a millisecond a claim and more are asked no more than this."""
PEER_MODULE, PEER_INVOICES = "bench.peers.invoice_writers", 1_000
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


def limit(form: str) -> Writer:
    """Return what writes the same without a check; columns are held against our bytes first."""
    if form in {SLS, PEPPOL}:
        return sls_by_xmlfile if form == SLS else documents_by_lxml
    mine = MemorySink()
    ours(form)(claims(500 if form in CALLS else 3, form), mine)
    if form in CALLS:
        return by_json(next(iter(mine.files.values())))
    file = profile_file(form)
    name, *others = mine.files
    writer = fixed_width(file.layout, mine.files[name])
    if form == FACTONOR:
        writer = factonor(writer, HOOKED[form].client)
    theirs = io.BytesIO()
    writer(claims(3, form), theirs)
    body = b"".join(mine.files[one] for one in (name, *others))
    if not body.startswith(theirs.getvalue()) or (others and body != theirs.getvalue()):
        raise AssertionError(f"{form}: the f-strings write something else\n{theirs.getvalue()!r}\n{body!r}")
    return writer


def measure(form: str, side: str, count: int) -> dict[str, float]:
    """Return claims a second of one side, the best of some rounds, without the time to make the claims; peak MiB."""
    write: Callable[[Any, Any], object] = ours(form) if side == "ours" else limit(form)
    best = min(_seconds(write, form, count) for _ in range(ROUNDS if count <= MANY else ROUNDS_OF_MANY))
    return {"per_second": count / best, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _seconds(write: Callable[[Any, Any], object], form: str, count: int) -> float:
    begun = time.process_time()
    for _ in claims(count, form):
        pass
    made = time.process_time()
    write(claims(count, form), Nowhere())
    return time.process_time() - made - (made - begun)


# --- the table -------------------------------------------------------------------------------------------------------

WIDTHS = (24, 8, 10, 10, 9, 9, 8, 9)
HEADS = ("format", "claims", "claims/s", "limit/s", "of limit", "peer/s", "of peer", "peak MiB")


def main() -> int:
    """Print the table, or the figures of one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--no-peers", action="store_true", help="measure ours and the limits only")
    parser.add_argument("--one", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.formats[0], options.one, options.sizes[0])))
        return 0
    peers = Peers({}, "not asked") if options.no_peers else asked(PEER_MODULE, PEER_INVOICES)
    print(_line(HEADS))
    for form in options.formats:
        for count in sorted({min(size, MOST.get(form, size)) for size in options.sizes}):
            print(_row(form, count, peers), flush=True)
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in peers.rates.items())
    print(f"\npeers, invoices a second: {peers.absent or told} ({PEER_INVOICES} invoices)")
    return 0


def _row(form: str, count: int, peers: Peers) -> str:
    mine, bare = (_apart(form, side, count) for side in SIDES)
    told = compared(mine["per_second"], bare["per_second"], peers)
    best = told["peers_per_second"].get(told["best_peer"])
    rates = round(mine["per_second"]), told["limit_per_second"], f"{told['of_limit']:.2f}"
    return _line((form, count, *rates, best, told["of_best_peer"], round(mine["peak_mib"])))


def _line(cells: Sequence[object]) -> str:
    """Return a line of the table: the format to the left, figures to the right."""
    first, *rest = ("-" if cell is None else str(cell) for cell in cells)
    return f"{first:<{WIDTHS[0]}}" + "".join(f"{cell:>{width}}" for cell, width in zip(rest, WIDTHS[1:], strict=True))


def _apart(form: str, side: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.exports", "--one", side, "--formats", form, "--sizes", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
