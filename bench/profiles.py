"""Layouts given as data beside the same layouts in code: the same bytes, and at most 1.3 times their time.

    python -m bench.profiles --claims 30000

Both sides take turns; the least processor time of each counts. kravport-sls-1 is written, and its receipts are read, by the
code and by the shipped profile; the 128 columns of K9409 are written and read by the declared record and by a profile made of
its columns. No layout in code has separators: `bench.by_hand` is what one would be, with the same checks.
"""

from __future__ import annotations

import argparse
import gc
import io
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench import by_hand
from gateway.domain.exchange import Agreement, Claim, LinkKind, Seal, Service
from gateway.formats import kravport_sls
from gateway.formats.kravport_sls.reader import InboundReader
from gateway.formats.record import Layout, columns
from gateway.profiles import ProfileFile, export, load, loads
from gateway.profiles.shipped import shipped
from gateway.testing.agency_kit import MemorySink, as_inbound, sample_claim, sample_item
from plugins.factoring import k9409_records as factoring
from plugins.intrum import SCHEMA

LIMIT = 1.3
ROUNDS = 6
NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
AGREEMENT = Agreement(
    1, "bench", 1, "Fjord AS", "Bench", "1234", Service.LEDGER, "NO", "NOK", "bench", is_sandbox=True,
    settings={"ledger_id": "1234-NOK", "agency_id": "BENCH", "comment": "text"},
)  # fmt: skip
SEAL = Seal(
    {"invoices": 1, "claims": 1},
    {"invoices": "00000000-0000-4000-8000-000000000001"},
    NOW,
    NOW.date(),
    "1234",
    "BENCH",
    is_test=True,
)
SOURCES = {
    "client_number": "agreement.client_number", "debtor_number": "customer.customer_number",
    "invoice_number": "document.number", "invoice_date": "document.date", "due_date": "document.due_date",
    "amount_minor": "document.amount_minor", "comment": "document.text",
}  # fmt: skip


def claims(count: int) -> list[Claim]:
    """Three invoices a customer, every fourth with a payment; a customer's claims share its card, as the host has them."""
    found: list[Claim] = []
    for n in range(1, count + 1):
        made = sample_claim("NO", n, [sample_item(n, LinkKind.DIRECT_PAYMENT)] if n % 4 == 0 else ())._replace(
            text="Text"
        )
        if found and found[-1].customer == made.customer:
            made = made._replace(customer=found[-1].customer)
        found.append(made)
    return found


def k9409() -> ProfileFile:
    """Return the columns of K9409 as a profile."""
    lines = []
    for name, column in columns(factoring.LedgerItem):
        where = f"{column.start}-{column.stop}" if column.width > 1 else str(column.start)
        lines.append(f'{{ at = "{where}", name = "{name}", {_kind(name, column)} }},')
    text = (
        '[profile]\nname = "k9409"\ntitle = "K9409"\nsource = "bench"\nencoding = "iso-8859-1"\n[file.invoices]\n'
        'direction = "out"\nkind = "fixed"\nfilename = "F.SGF"\n[file.invoices.record.item]\neach = "document"\nlength = 128\n'
        "columns = [\n" + "\n".join(lines) + "\n]\n"
    )
    return ProfileFile(loads(text.encode()), "invoices")


def _kind(name: str, column) -> str:
    source = f', from = "{SOURCES[name]}"' if name in SOURCES else ""
    if column.const is not None:
        return f'const = "{column.const}"'
    if name == "transaction_code":
        return 'type = "code", codes = { invoice = "1", credit_note = "9" }, from = "document.kind"'
    if not source:
        return f'type = "filler", fill = "{"0" if column.kind == "number" else " "}"'
    if column.kind.startswith("date"):
        return f'type = "date", form = "YYMMDD"{source}'
    return {"digits": 'type = "digits"', "number": 'type = "amount"'}.get(column.kind, "optional = true") + source


def compared(what: str, by_code: Callable[[], object], by_profile: Callable[[], object]) -> bool:
    """Print how the two compare; return whether the profile keeps to the limit."""
    assert by_code() == by_profile(), f"{what}: the two differ"
    gc.collect()
    gc.freeze()
    times = [[_seconds(run) for run in (by_code, by_profile)] for _ in range(ROUNDS)]
    code, profile = (min(row[side] for row in times) for side in (0, 1))
    print(f"{what:<28} code {code:.3f} s   profile {profile:.3f} s   ratio {profile / code:.2f}")
    return profile <= LIMIT * code


def _seconds(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def kept_by(write: Callable[[MemorySink], object]) -> bytes:
    """Return the one file that *write* makes."""
    sink = MemorySink()
    write(sink)
    (content,) = sink.files.values()
    return content


def receipts(count: int) -> bytes:
    """Return the answer to a file of *count* invoices: all accepted."""
    head = 'createdAt="2026-11-23T18:00:00+01:00" senderId="BENCH" receiverId="1234" test="true"'
    file_id = "00000000-0000-4000-8000-000000000002"
    rows = "".join(
        f'<ObjectReceipt objectType="invoice" objectId="kp-{n}" status="accepted" caseNumber="C{n}"/>\n'
        for n in range(1, count + 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Receipt xmlns="urn:kravport:sls:1">\n<Identification profile="kravport-sls-1"'
        f' message="receipt" fileId="{file_id}" fileSequence="001" {head}/>\n<FileReceipt message="invoices"'
        f' fileSequence="001" fileId="{SEAL.file_ids["invoices"]}" status="accepted" receivedAt="2026-11-23T17:30:00+01:00"/>\n'
        f'{rows}<Control objectCount="{count}" acceptedCount="{count}" duplicateCount="0" rejectedCount="0"/>\n</Receipt>\n'
    ).encode()


def main() -> int:
    """Measure; exit code 1 where a profile takes longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--claims", type=int, default=30_000)
    given = claims(parser.parse_args().claims)
    sls, fixed = ProfileFile(load(shipped()["kravport-sls-1"]), "invoices"), k9409()
    declared = Layout(factoring.LedgerItem, encoding="iso-8859-1")
    bare = [claim._replace(items=()) for claim in given]

    def in_code() -> bytes:
        return b"".join([factoring.invoice_line(claim, AGREEMENT).encode("iso-8859-1") for claim in bare])

    def written(file: ProfileFile, what: list[Claim]) -> bytes:
        return kept_by(lambda sink: export(file, what, AGREEMENT, SEAL, sink))

    def sls_in_code() -> bytes:
        return kept_by(lambda sink: kravport_sls.write_invoices(given, AGREEMENT, SEAL, sink))

    content, answer = in_code(), receipts(len(given))
    of_sls, by_separators = InboundReader("bench", SCHEMA), ProfileFile(loads(by_hand.PROFILE.encode()), "claims")
    answers, lines = ProfileFile(sls.profile, "receipt"), by_hand.written(bare)

    def objects_in_code() -> int:
        return len(of_sls.receipt(as_inbound(answer), (AGREEMENT,)).objects)

    def objects() -> int:
        return sum(1 for row in answers.read_values(io.BytesIO(answer)) if row.part.key == "ObjectReceipt")

    kept = [
        compared("XML, written", sls_in_code, lambda: written(sls, given)),
        compared("XML, read", objects_in_code, objects),
        compared("columns, written", in_code, lambda: written(fixed, bare)),
        compared(
            "columns, read",
            lambda: sum(1 for _ in declared.read(io.BytesIO(content))),
            lambda: sum(1 for _ in fixed.read_values(io.BytesIO(content))),
        ),
        compared("separators, written", lambda: by_hand.written(bare), lambda: written(by_separators, bare)),
        compared(
            "separators, read",
            lambda: sum(1 for _ in by_hand.read(io.BytesIO(lines))),
            lambda: sum(1 for _ in by_separators.read_values(io.BytesIO(lines))) - 1,  # the names of the fields
        ),
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
