"""One phase of the evening benchmark in a process of its own, so that its peak memory is its own.

    python -m bench.phases fill|run|pay --url URL -n 100000 --folder DIR

Prints one JSON line: seconds, peak and starting resident memory in MiB.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import text

from bench.world import EVENING, INVOICES_PER_CUSTOMER, Clock, attach, creditor, fill, kid, open_house
from gateway.services import inbound, transfer
from gateway.services.house import House

AGREEMENT = 1
SEED = 1


def do_fill(house: House, count: int, folder: Path) -> None:
    """Ingest customers, invoices and one linked part payment each."""
    creditor_id, _ = creditor(house, folder)
    fill(house, creditor_id, count)


def do_run(house: House, count: int, folder: Path) -> None:
    """Export every ready invoice with its linked item: choose, write, read back, seal."""
    result = transfer.run_evening(house, AGREEMENT, date(2026, 11, 23))
    assert (result.invoices, result.items, result.held) == (count, count, 0), result
    del folder


def do_pay(house: House, count: int, folder: Path) -> None:
    """Import, match and post one payment of the rest of every invoice."""
    path = folder / "payments.xml"
    with path.open("rb") as content:
        stored = inbound.store(house, AGREEMENT, "bench", path.name, content)
    inbound.process(house, stored.inbound_file_id)
    with house.database.read() as connection:
        posted = connection.execute(text("select count(*) from incoming_payment where state = 'posted'")).scalar_one()
        closed = connection.execute(text("select count(*) from ledger_entry where closed_at is not null")).scalar_one()
    assert posted == closed == count, (posted, closed)


def write_payments(path: Path, count: int, *, with_items: bool = True, first: int = 1) -> None:
    """Write a camt.054.001.08 file that pays the rest of every invoice of `bench.world.ledger`."""
    rng = random.Random(SEED)
    amounts = [rng.randrange(10_000, 5_000_000) for _ in range(count)]
    if with_items:
        amounts = [amount - amount // 4 for amount in amounts]
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEAD.format(total=_decimal(sum(amounts)), count=count))
        for number, amount in enumerate(amounts, first):
            reference = kid((number - 1) // INVOICES_PER_CUSTOMER + 1, number)
            file.write(_TRANSACTION.format(number=number, amount=_decimal(amount), reference=reference))
        file.write("</NtryDtls></Ntry></Ntfctn></BkToCstmrDbtCdtNtfctn></Document>\n")


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn><GrpHdr>'
    "<MsgId>BENCH1</MsgId><CreDtTm>2026-11-24T05:00:00</CreDtTm></GrpHdr><Ntfctn><Id>N1</Id>"
    "<CreDtTm>2026-11-24T05:00:00</CreDtTm><Acct><Id><Othr><Id>15032080119</Id></Othr></Id><Ccy>NOK</Ccy></Acct>"
    '<Ntry><Amt Ccy="NOK">{total}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
    "<BookgDt><Dt>2026-11-24</Dt></BookgDt><ValDt><Dt>2026-11-24</Dt></ValDt><AcctSvcrRef>S1</AcctSvcrRef>"
    "<NtryDtls><Btch><NbOfTxs>{count}</NbOfTxs></Btch>\n"
)
_TRANSACTION = (
    '<TxDtls><Refs><AcctSvcrRef>A{number}</AcctSvcrRef></Refs><Amt Ccy="NOK">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
    "<RltdPties><Dbtr><Pty><Nm>Kunde {number} Åsgård</Nm></Pty></Dbtr></RltdPties><RmtInf><Strd><CdtrRefInf><Tp>"
    "<CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>{reference}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>\n"
)
PHASES: dict[str, Callable[[House, int, Path], None]] = {"fill": do_fill, "run": do_run, "pay": do_pay}
AT = {"fill": timedelta(), "run": timedelta(minutes=31), "pay": timedelta(hours=12)}


def main() -> None:
    """Run one phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("phase", choices=PHASES)
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("-n", type=int, default=10_000)
    options = parser.parse_args()
    clock = Clock()
    clock.moment = EVENING + AT[options.phase]
    house = open_house(options.url, clock) if options.phase == "fill" else attach(options.url, clock)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    PHASES[options.phase](house, options.n, options.folder)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    house.database.close()
    print(json.dumps({"seconds": seconds, "peak_mib": peak / 1024, "start_mib": start / 1024}))


if __name__ == "__main__":
    main()
