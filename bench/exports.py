"""Every outgoing format: claims a second written with all checks, beside the same without one and beside peers.

    make bench-exports              all formats, 10 000 and 100 000 claims
    python -m bench.exports --sizes 1000 --formats fall-nordea --no-peers

Ours is the plugin's hook of new claims, with every check it makes. Layouts of fixed columns stand beside f-strings, one per
record, printed from the same columns; layouts of XML beside lxml's incremental writer, which writes the same elements; files
of calls beside ``json.dumps`` of the same bodies; assigned documents, which are exported and marked, beside lxml reading and
writing each of them. Peers exist for XML only (`bench.peers.invoice_writers`), the fastest counts: of those that write
documents for the assigned ones. Each measurement is a process of its own; MiB are what its peak was above where it began.
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

from lxml import etree

from bench.export_formats import CALLS, FACTONOR, FLOW, FORMATS, K9409, PEPPOL, SLS, claims, ours, profile_file
from bench.export_limits import (
    Writer,
    by_json,
    documents_by_lxml,
    factonor_cards,
    fixed_width,
    k9409_cards,
    sls_by_xmlfile,
    two_files,
)
from bench.peer_environment import Peers, asked, compared
from gateway.testing.agency_kit import MemorySink

ROUNDS, ROUNDS_OF_MANY, MANY = 5, 2, 20_000
MOST = {PEPPOL: 2_000}
"""Formats that take a millisecond a claim and more are asked no more than this."""
PEER_MODULE, PEER_INVOICES = "bench.peers.invoice_writers", 1_000
OF_DOCUMENTS = ("drafthorse", "python-ubl", "Tryton")
"""Peers that write the document that a debtor gets; the others write the very elements of kravport-sls-1."""
SIDES = ("ours", "limit")
KINDS = 500
"""Calls that the limit of a file of calls writes again and again."""
CARDS = {FACTONOR: factonor_cards, K9409: k9409_cards}
"""What writes the second file of a format that has two."""


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
    if form == PEPPOL:
        return documents_by_lxml
    mine, theirs = MemorySink(), io.BytesIO()
    ours(form)(claims(KINDS if form in CALLS else 3, form), mine)
    if form in CALLS:
        return by_json(next(iter(mine.files.values())))
    is_xml, name = form in {SLS, FLOW}, next(iter(mine.files))
    writer = sls_by_xmlfile if is_xml else fixed_width(profile_file(form).layout, mine.files[name])
    if cards := CARDS.get(form):
        writer = two_files(writer, cards)
    writer(claims(3, form), theirs)
    body, told = b"".join(mine.files.values()), theirs.getvalue()
    if _elements(body) != _elements(told) if is_xml else not body.startswith(told):
        raise AssertionError(f"{form}: the limit writes something else\n{told!r}\n{body!r}")
    return writer


def _elements(content: bytes) -> list[tuple[str, dict[str, str]]]:
    """Return the customers of a document with all that stands in them."""
    customers = etree.fromstring(content).iter("{*}Customer")
    return [(etree.QName(one).localname, dict(one.attrib)) for customer in customers for one in customer.iter()]


def measure(form: str, side: str, count: int) -> dict[str, float]:
    """Return claims a second of one side, the best of some rounds, without the time to make the claims; peak MiB."""
    write: Callable[[Any, Any], object] = ours(form) if side == "ours" else limit(form)
    before = _peak_mib()
    best = min(_seconds(write, form, count) for _ in range(ROUNDS if count <= MANY else ROUNDS_OF_MANY))
    return {"per_second": count / best, "mib": _peak_mib() - before}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _seconds(write: Callable[[Any, Any], object], form: str, count: int) -> float:
    begun = time.process_time()
    for _ in claims(count, form):
        pass
    made = time.process_time()
    write(claims(count, form), Nowhere())
    return time.process_time() - made - (made - begun)


# --- the table -------------------------------------------------------------------------------------------------------

WIDTHS = (24, 8, 10, 10, 9, 9, 8, 9)
HEADS = ("format", "claims", "claims/s", "limit/s", "of limit", "peer/s", "of peer", "MiB")


def main() -> int:
    """Print the table, or the figures of one side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
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
            print(_row(form, count, _peers_of(form, peers)), flush=True)
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in peers.rates.items())
    print(f"\npeers, invoices a second: {peers.absent or told} ({PEER_INVOICES} invoices)")
    return 0


def _peers_of(form: str, peers: Peers) -> Peers:
    """Return the peers that write what *form* is; the columns of a factor or an agency are nobody else's."""
    if form in {SLS, FLOW}:
        return peers
    return Peers({name: rate for name, rate in peers.rates.items() if form == PEPPOL and name in OF_DOCUMENTS})


def _row(form: str, count: int, peers: Peers) -> str:
    mine, bare = (_apart(form, side, count) for side in SIDES)
    told = compared(mine["per_second"], bare["per_second"], peers)
    best = told["peers_per_second"].get(told["best_peer"])
    rates = round(mine["per_second"]), told["limit_per_second"], f"{told['of_limit']:.2f}"
    return _line((form, count, *rates, best, told["of_best_peer"], f"{mine['mib']:.1f}"))


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
