"""The sandbox factor's bank: writes the camt.054, OCR giro and KTL files that tell of the factor's money.

A second, independent way of writing these formats on purpose: a mistake of the gateway's readers must not hide here.
Sources: payments.md section 2 (OCR giro positions) and section 5 (camt paths), factoring-fall.md section 6 (KTL rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from xml.sax.saxutils import escape

OCR_GIRO, CAMT_054, KTL = "ocr", "camt.054", "ktl"
ENDINGS = {OCR_GIRO: "ocr", CAMT_054: "xml", KTL: "ktl"}
_NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"


class Transfer(NamedTuple):
    """Money for one invoice. *amount_minor* is in øre or cents, *kid* its reference, *archive* the bank's reference of nine digits."""

    kid: str
    amount_minor: int
    archive: str


class Accounts(NamedTuple):
    """The creditor's account and the factor's, eleven digits each (a BBAN of fourteen in Finland), and the name the bank shows for the factor."""

    creditor: str
    factor: str
    factor_name: str


def write(via: str, number: int, transfers: Sequence[Transfer], accounts: Accounts, at: datetime) -> bytes:
    """Return file number *number* with *transfers*, booked on the day of *at*; *via* is one of the formats."""
    if via == OCR_GIRO:
        return _ocr_giro(number, transfers, accounts, at)
    if via == KTL:
        return _ktl(transfers, accounts, at)
    if via == CAMT_054:
        return _camt(number, transfers, accounts, at)
    raise ValueError(f"no such bank file: {via!r}")


def _ocr_giro(number: int, transfers: Sequence[Transfer], accounts: Accounts, at: datetime) -> bytes:
    day, total = at.strftime("%d%m%y"), sum(transfer.amount_minor for transfer in transfers)
    lines = [
        f"NY000010{8080:08d}{number:07d}{99:08d}".ljust(80, "0"),
        f"NY090020{1:09d}{number:07d}{accounts.creditor:0>11}".ljust(80, "0"),
    ]
    for position, transfer in enumerate(transfers, start=1):
        lines += [
            f"NY091030{position:07d}{day}00000{position:05d}0{transfer.amount_minor:017d}{transfer.kid:>25}000000",
            f"NY091031{position:07d}{0:010d}{transfer.archive:0>9}{0:07d}{day}{accounts.factor:0>11}".ljust(80, "0"),
        ]
    inside = 2 * len(transfers) + 2
    lines += [
        f"NY090088{len(transfers):08d}{inside:08d}{total:017d}{day}{day}{day}".ljust(80, "0"),
        f"NY000089{len(transfers):08d}{inside + 2:08d}{total:017d}{day}".ljust(80, "0"),
    ]
    return "".join(line + "\r\n" for line in lines).encode("iso-8859-1")


def _ktl(transfers: Sequence[Transfer], accounts: Accounts, at: datetime) -> bytes:
    """Factoring rows: what debtors paid to the factor, with the control total that counts them."""
    day, total = at.strftime("%y%m%d"), sum(transfer.amount_minor for transfer in transfers)
    account = accounts.creditor[-14:].rjust(14, "0")  # an IBAN ends in the BBAN
    rows = [f"0{day}{at:%H%M}47{1:09d}1".ljust(90)]
    for transfer in transfers:
        name = accounts.factor_name.upper()[:12].ljust(12)
        archive = f"F{transfer.archive}".ljust(16)
        rows.append(f"S{account}{day}{day}{archive}{transfer.kid:0>20}{name}1J{transfer.amount_minor:010d}0A0")
    rows.append(f"9{len(transfers):06d}{total:011d}{0:06d}{0:011d}".ljust(90))
    return "".join(row + "\r\n" for row in rows).encode("iso-8859-1")


def _camt(number: int, transfers: Sequence[Transfer], accounts: Accounts, at: datetime) -> bytes:
    total, stamp, day = (
        sum(transfer.amount_minor for transfer in transfers),
        at.isoformat(timespec="seconds"),
        at.date(),
    )
    details = "".join(_details(transfer, accounts) for transfer in transfers)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{_NAMESPACE}"><BkToCstmrDbtCdtNtfctn>
<GrpHdr><MsgId>FACTOR{number:07d}</MsgId><CreDtTm>{stamp}</CreDtTm></GrpHdr>
<Ntfctn><Id>FACTOR{number:07d}-1</Id><CreDtTm>{stamp}</CreDtTm>
<Acct><Id><Othr><Id>{accounts.creditor}</Id><SchmeNm><Cd>BBAN</Cd></SchmeNm></Othr></Id><Ccy>NOK</Ccy></Acct>
<TxsSummry><TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>{_decimal(total)}</Sum></TtlCdtNtries></TxsSummry>
<Ntry><NtryRef>{number}</NtryRef><Amt Ccy="NOK">{_decimal(total)}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>
<AcctSvcrRef>F{number:08d}</AcctSvcrRef><BkTxCd><Prtry><Cd>230</Cd><Issr>NETS</Issr></Prtry></BkTxCd>
<NtryDtls><Btch><NbOfTxs>{len(transfers)}</NbOfTxs></Btch>
{details}</NtryDtls></Ntry></Ntfctn>
</BkToCstmrDbtCdtNtfctn></Document>
""".encode()


def _details(transfer: Transfer, accounts: Accounts) -> str:
    return f"""<TxDtls><Refs><AcctSvcrRef>{transfer.archive}</AcctSvcrRef></Refs>
<Amt Ccy="NOK">{_decimal(transfer.amount_minor)}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<RltdPties><Dbtr><Pty><Nm>{escape(accounts.factor_name)}</Nm></Pty></Dbtr>
<DbtrAcct><Id><Othr><Id>{accounts.factor}</Id><SchmeNm><Cd>BBAN</Cd></SchmeNm></Othr></Id></DbtrAcct></RltdPties>
<RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>{transfer.kid}</Ref></CdtrRefInf></Strd></RmtInf>
</TxDtls>
"""


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"
