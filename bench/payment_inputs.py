"""Writes payment files of any size for `bench.payments`: the same seeded payments in every format, at constant memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

SEED = 2026
MODULUS = 2**61 - 1
SECTION = 500
"""Payments that are booked as one sum."""

_DOUBLED = str.maketrans("0123456789", "0246813579")
_NAMES = ("Kari Eksempel", "Ola Prøve", "Åse Mønster", "Göran Försök", "Märta Påhittad")
_STREETS = ("Storgata", "Kirkeveien", "Lilla Vägen", "Skolebakken")
_TOWNS = (("0155", "OSLO"), ("5003", "BERGEN"), ("9008", "TROMSØ"))


class Paid(NamedTuple):
    """One payment; the reference is valid as a KID and as an OCR number."""

    number: int
    reference: str
    minor: int
    name: str
    street: str
    postcode: str
    town: str
    account: str


def paid(count: int) -> Iterator[Paid]:
    """Yield *count* payments, each time the same."""
    rng = random.Random(SEED)
    for number in range(1, count + 1):
        base = f"{rng.randrange(100_000, 999_999)}{number:08d}"
        total = sum(map(int, base[-2::-2])) + sum(map(int, base[::-2].translate(_DOUBLED)))
        postcode, town = _TOWNS[number % 3]
        yield Paid(
            number, f"{base}{-total % 10}", rng.randrange(5_000, 2_500_000), _NAMES[number % 5],
            f"{_STREETS[number % 4]} {number % 97 + 1}", postcode, town, f"{rng.randrange(10**10, 10**11)}",
        )  # fmt: skip


def expected(count: int, form: str = "") -> dict[str, int]:
    """Return what a reader of *form* must find; one that mixes up references fails the third figure."""
    total = references = 0
    for payment in paid(count):
        total += payment.minor
        references += int(_viite(payment) if form == "ktl" else payment.reference)
    return {"count": count, "total_minor": total, "references": references % MODULUS}


def write(path: Path, form: str, count: int) -> None:
    """Write the payments as *form*, one of `FORMATS`."""
    head, section, end = FORMATS[form]
    facts = expected(count)
    with path.open("w", encoding="utf-8" if form.startswith("camt") else "latin-1", newline="") as file:
        file.write(head(facts))
        payments, serial = paid(count), 0
        while group := list(islice(payments, SECTION)):
            serial += 1
            file.write(section(serial, group))
        file.write(end(facts, serial))


def _sum(group: list[Paid]) -> int:
    return sum(payment.minor for payment in group)


# --- OCR giro --------------------------------------------------------------------------------------------------------


def _ocr_head(_: dict[str, int]) -> str:
    return f"NY000010{8080:08d}{42:07d}{12345:08d}{'':0<49}\n"


def _ocr_section(serial: int, group: list[Paid]) -> str:
    lines = [f"NY090020{1234567:09d}{serial:07d}15032080119{'':0<45}\n"]
    for place, p in enumerate(group, 1):
        lines.append(f"NY091030{place:07d}201126{'':0<10}0{p.minor:017d}{p.reference:>25}{'':0<6}\n")
        lines.append(f"NY091031{place:07d}{'':0<10}{p.number:09d}{'':0<7}201126{p.account}{'':0<22}\n")
    count = len(group)
    lines.append(f"NY090088{count:08d}{2 * count + 2:08d}{_sum(group):017d}{'201126' * 3}{'':0<21}\n")
    return "".join(lines)


def _ocr_end(facts: dict[str, int], serial: int) -> str:
    records = 2 * facts["count"] + 2 * serial + 2
    return f"NY000089{facts['count']:08d}{records:08d}{facts['total_minor']:017d}201126{'':0<33}\n"


# --- BgMax -----------------------------------------------------------------------------------------------------------


def _bgmax_head(_: dict[str, int]) -> str:
    return f"{'01BGMAX':<22}0120260803053000000000P{'':35}\n"


def _bgmax_section(serial: int, group: list[Paid]) -> str:
    lines = [f"05{9912346:010d}{'':10}SEK{'':55}\n"]
    for p in group:
        lines.append(f"20{p.number:010d}{p.reference:>25}{p.minor:018d}21{p.number:012d}0{'':10}\n")
        lines.append(f"26{p.name:<78}\n27{p.street:<35}{p.postcode:<43}\n28{p.town:<78}\n")
    lines.append(f"15{58410000010098:035d}20260803{serial % 100_000:05d}{_sum(group):018d}SEK{len(group):08d}K\n")
    return "".join(lines)


def _bgmax_end(facts: dict[str, int], serial: int) -> str:
    return f"70{facts['count']:08d}{0:08d}{0:08d}{serial:08d}{'':46}\n"


# --- camt ------------------------------------------------------------------------------------------------------------


def _decimal(minor: int, mark: str = ".") -> str:
    return f"{minor // 100}{mark}{minor % 100:02d}"


def _camt_head(_: dict[str, int]) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08">'
        "<BkToCstmrDbtCdtNtfctn><GrpHdr><MsgId>BENCH1</MsgId><CreDtTm>2026-11-20T05:00:00</CreDtTm></GrpHdr><Ntfctn>"
        "<Id>N1</Id><CreDtTm>2026-11-20T05:00:00</CreDtTm><Acct><Id><Othr><Id>15032080119</Id></Othr></Id>"
        "<Ccy>NOK</Ccy></Acct>\n"
    )


def _camt_section(serial: int, group: list[Paid]) -> str:
    head = (
        f'<Ntry><Amt Ccy="NOK">{_decimal(_sum(group))}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>'
        "<BookgDt><Dt>2026-11-20</Dt></BookgDt><ValDt><Dt>2026-11-20</Dt></ValDt>"
        f"<AcctSvcrRef>S{serial}</AcctSvcrRef><BkTxCd><Prtry><Cd>230</Cd></Prtry></BkTxCd><NtryDtls>"
        f"<Btch><NbOfTxs>{len(group)}</NbOfTxs></Btch>\n"
    )
    parts = [
        f"<TxDtls><Refs><AcctSvcrRef>{p.number:09d}</AcctSvcrRef><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
        f'<Amt Ccy="NOK">{_decimal(p.minor)}</Amt><CdtDbtInd>CRDT</CdtDbtInd><RltdPties><Dbtr><Pty><Nm>{p.name}</Nm>'
        f"<PstlAdr><StrtNm>{p.street}</StrtNm><PstCd>{p.postcode}</PstCd><TwnNm>{p.town}</TwnNm></PstlAdr></Pty></Dbtr>"
        f"<DbtrAcct><Id><Othr><Id>{p.account}</Id></Othr></Id></DbtrAcct></RltdPties><RmtInf><Strd><CdtrRefInf><Tp>"
        f"<CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>{p.reference}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>\n"
        for p in group
    ]
    return head + "".join(parts) + "</NtryDtls></Ntry>\n"


def _camt_end(_: dict[str, int], __: int) -> str:
    return "</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>\n"


# --- CREMUL ----------------------------------------------------------------------------------------------------------


def _cremul_head(_: dict[str, int]) -> str:
    return "UNA:+,? 'UNB+UNOC:3+00810506482+00975945065+261120:0530+1'"


def _cremul_section(serial: int, group: list[Paid]) -> str:
    day = "20261120:102"
    lines = [
        f"UNH+{serial}+CREMUL:D:96A:UN", f"BGM+455+2026{serial:010d}", f"DTM+137:{day}", "LIN+1", f"DTM+202:{day}",
        "BUS++DO++230:25:124", f"MOA+60:{_decimal(_sum(group), ',')}:NOK", f"RFF+ACK:{serial:011d}", "FII+BF+15032080119",
    ]  # fmt: skip
    for place, p in enumerate(group, 1):
        amount = _decimal(p.minor, ",")
        lines += [
            f"SEQ++{place}", f"DTM+203:{day}", f"FII+OR+{p.account}", f"RFF+ACD:{p.number:09d}", f"MOA+60:{amount}",
            f"NAD+PL+++{p.name}+{p.street}+{p.town}++{p.postcode}", "PRC+8", f"DOC+999+{p.reference}", f"MOA+12:{amount}",
            "GIS+37",
        ]  # fmt: skip
    lines.append("CNT+LI:1")
    lines.append(f"UNT+{len(lines) + 1}+{serial}")
    return "'".join(lines) + "'"


def _cremul_end(_: dict[str, int], serial: int) -> str:
    return f"UNZ+{serial}+1'"


# --- KTL -------------------------------------------------------------------------------------------------------------


def _ktl_section(_: int, group: list[Paid]) -> str:
    """Return a batch of its own: the row that ends one has room for 999 999 payments."""
    rows = [f"02611200530{'':2}{'':9}1{'':67}\n"]
    rows += [
        f"3{12345600000785:014d}261120261120{p.number:016d}{_viite(p):0>20}{p.name[:12]:<12}1J{p.minor:010d}0A \n"
        for p in group
    ]
    return "".join(rows) + f"9{len(group):06d}{_sum(group):011d}{0:06d}{0:011d}{'':55}\n"


def _nothing(*_: object) -> str:
    return ""


def _viite(payment: Paid) -> str:
    """Return the reference with the check digit of Finland."""
    base = payment.reference[:-1]
    weights = "731" * 5
    total = sum(int(digit) * int(weight) for digit, weight in zip(reversed(base), weights, strict=False))
    return f"{base}{-total % 10}"


# --- Autogiro --------------------------------------------------------------------------------------------------------


def _autogiro_head(_: dict[str, int]) -> str:
    return f"{'01AUTOGIRO':<24}20261120053000000000{'BET. SPEC & STOPP TK':<20}{1234:06d}{9912346:010d}\n"


def _autogiro_section(serial: int, group: list[Paid]) -> str:
    head = f"15{58410000010098:035d}20261120{serial % 100_000:05d}{_sum(group):018d}{'':3}{len(group):08d} \n"
    return head + "".join(
        f"82202611200{'':4}{p.number:016d}{p.minor:012d}{9912346:010d}{p.reference:<16}{'':10}0\n" for p in group
    )


def _autogiro_end(facts: dict[str, int], serial: int) -> str:
    return f"09202611209900{serial:06d}{facts['count']:012d}{0:06d}{0:012d}{0:06d}{0:012d}{'':12}\n"


# --- Total IN --------------------------------------------------------------------------------------------------------


def _total_in_head(_: dict[str, int]) -> str:
    return f"{'00TOTALIN':<14}2026112005300000000001TL1{'':41}\n"


def _total_in_section(serial: int, group: list[Paid]) -> str:
    lines = [f"10{'1234567':<36}SEK20261120{'':31}\n"]
    for p in group:
        lines.append(f"20{p.reference:<35}{p.minor:015d}{p.number:017d}{p.number:08d}{'':3}\n")
        lines.append(f"50{p.name:<78}\n51{p.street:<78}\n52{p.postcode:<9}{p.town:<69}\n")
    lines.append(f"90{len(group):05d}{_sum(group):015d}{serial:015d}{'':43}\n")
    return "".join(lines)


def _total_in_end(facts: dict[str, int], serial: int) -> str:
    return f"99{4 * facts['count'] + 2 * serial + 2:015d}{'':63}\n"


Form = tuple[
    Callable[[dict[str, int]], str], Callable[[int, list[Paid]], str], Callable[[dict[str, int], int], str]
]  # fmt: skip
FORMATS: dict[str, Form] = {
    "ocr_giro": (_ocr_head, _ocr_section, _ocr_end),
    "bgmax": (_bgmax_head, _bgmax_section, _bgmax_end),
    "camt.054": (_camt_head, _camt_section, _camt_end),
    "cremul": (_cremul_head, _cremul_section, _cremul_end),
    "ktl": (_nothing, _ktl_section, _nothing),
    "autogiro": (_autogiro_head, _autogiro_section, _autogiro_end),
    "total_in": (_total_in_head, _total_in_section, _total_in_end),
}
