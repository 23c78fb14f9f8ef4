"""Money as the agency's bank tells it: OCR giro, CREMUL and camt.054.001.08 with the claims' own references (lowell.md 4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from gateway.testing.cremul_files import CremulLine, CremulPayment, CremulShape, cremul_file
from plugins.sls_sandbox.answers import money
from plugins.sls_sandbox.state import AgreementFacts

_KID = re.compile("[0-9]{1,24}[0-9-]")
_CAMT = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"


class Credit(NamedTuple):
    """One booking on the creditor's account; *is_reversal* takes money out again. Amount in minor units.

    *invoice_number* is named where the agency was never told the reference.
    """

    bank_reference: str
    amount_minor: int
    day: date
    reference: str
    is_reversal: bool = False
    invoice_number: str = ""


def is_kid(reference: str) -> bool:
    """Return whether *reference* can stand in the KID field; only such reach an OCR file (payments.md 2)."""
    return _KID.fullmatch(reference) is not None


def ocr_giro(credits_: Sequence[Credit], facts: AgreementFacts, number: int, today: date) -> bytes:
    """Return an OCR giro transmission with one assignment: 80-byte records, control sums in records 88 and 89."""
    days = sorted(credit.day for credit in credits_)
    total, count = sum(credit.amount_minor for credit in credits_), len(credits_)
    assignment = [f"NY090020{0:09d}{number:07d}{_bban(facts.creditor_account)}{0:045d}"]
    for place, credit in enumerate(credits_, 1):
        assignment += _transaction(place, credit, facts)
    records = len(assignment) + 1
    dates = f"{today:%d%m%y}{days[0]:%d%m%y}{days[-1]:%d%m%y}"
    assignment.append(f"NY090088{count:08d}{records:08d}{total:017d}{dates}{0:021d}")
    start = f"NY00001000008080{number:07d}{0:08d}{0:049d}"
    end = f"NY000089{count:08d}{records + 2:08d}{total:017d}{today:%d%m%y}{0:033d}"
    return "".join(f"{record}\r\n" for record in (start, *assignment, end)).encode("ascii")


def _transaction(place: int, credit: Credit, facts: AgreementFacts) -> tuple[str, str]:
    """Records 30 and 31 of type 10, a debited account: the agency's own, the only hint that the money is from it."""
    archive = _figures(credit)[-9:]
    amount = (
        f"NY091030{place:07d}{credit.day:%d%m%y}{'0101'}1{1:05d}0{credit.amount_minor:017d}"
        f"{credit.reference:>25}{0:06d}"
    )
    payer = f"NY091031{place:07d}{0:010d}{archive:0>9}{0:07d}{credit.day:%d%m%y}{_bban(facts.agency_account)}{0:022d}"
    return amount, payer


def cremul(credits_: Sequence[Credit], facts: AgreementFacts, number: int) -> bytes:
    """Return an extended credit advice with one line per day of booking; of each payment the KID is told."""
    lines = []
    for day in sorted({credit.day for credit in credits_}):
        payments = tuple(
            CremulPayment(
                credit.amount_minor, kid=credit.reference, name=facts.agency_name, payer=_bban(facts.agency_account),
                archive=f"*{_figures(credit):0>8}", order=f"{number:03d}{_figures(credit):0>9}",
            )
            for credit in credits_
            if credit.day == day
        )  # fmt: skip
        reference, account = f"{number:04d}{day:%m%d}", _bban(facts.creditor_account)
        lines.append(CremulLine(payments, reference, account, facts.currency, booking_day=day, value_day=day))
    return cremul_file([lines], CremulShape(number=number))


def _figures(credit: Credit) -> str:
    return re.sub("[^0-9]", "", credit.bank_reference)


def _bban(account: str) -> str:
    """Return the Norwegian account number of an account or IBAN: its last eleven digits."""
    return account[-11:]


def camt054(credits_: Sequence[Credit], facts: AgreementFacts, number: int, now: datetime) -> bytes:
    """Return a camt.054.001.08 notification with one entry per booking."""
    moment, message = now.isoformat(timespec="seconds"), f"{facts.agency_id}-{facts.client_number}-{number:03d}"
    header = f"<GrpHdr>{_leaf('MsgId', message)}{_leaf('CreDtTm', moment)}</GrpHdr>"
    notice = f"{_leaf('Id', message)}{_leaf('CreDtTm', moment)}<Acct>{_account(facts.creditor_account)}"
    notice += f"{_leaf('Ccy', facts.currency)}</Acct>{_summary(credits_)}"
    entries = "\n".join(_entry(credit, facts) for credit in credits_)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{_CAMT}">\n<BkToCstmrDbtCdtNtfctn>\n{header}\n'
        f"<Ntfctn>{notice}\n{entries}\n</Ntfctn>\n</BkToCstmrDbtCdtNtfctn>\n</Document>\n"
    ).encode()


def _summary(credits_: Sequence[Credit]) -> str:
    ins = [credit.amount_minor for credit in credits_ if not credit.is_reversal]
    outs = [credit.amount_minor for credit in credits_ if credit.is_reversal]
    net = sum(ins) - sum(outs)
    return (
        f"<TxsSummry><TtlNtries><NbOfNtries>{len(credits_)}</NbOfNtries><Sum>{money(sum(ins) + sum(outs))}</Sum>"
        f"<TtlNetNtry><Amt>{money(abs(net))}</Amt><CdtDbtInd>{'CRDT' if net >= 0 else 'DBIT'}</CdtDbtInd></TtlNetNtry>"
        f"</TtlNtries><TtlCdtNtries><NbOfNtries>{len(ins)}</NbOfNtries><Sum>{money(sum(ins))}</Sum></TtlCdtNtries>"
        f"<TtlDbtNtries><NbOfNtries>{len(outs)}</NbOfNtries><Sum>{money(sum(outs))}</Sum></TtlDbtNtries></TxsSummry>"
    )


def _entry(credit: Credit, facts: AgreementFacts) -> str:
    side = "DBIT" if credit.is_reversal else "CRDT"
    amount = f"<Amt Ccy={quoteattr(facts.currency)}>{money(credit.amount_minor)}</Amt><CdtDbtInd>{side}</CdtDbtInd>"
    reversal = "<RvslInd>true</RvslInd>" if credit.is_reversal else ""
    day = f"<BookgDt><Dt>{credit.day}</Dt></BookgDt><ValDt><Dt>{credit.day}</Dt></ValDt>"
    reference = _leaf("AcctSvcrRef", credit.bank_reference)
    return (
        f"<Ntry>{amount}{reversal}<Sts><Cd>BOOK</Cd></Sts>{day}{reference}"
        "<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>VCOM</SubFmlyCd></Fmly></Domn></BkTxCd>"
        f"<NtryDtls><TxDtls><Refs>{reference}<EndToEndId>NOTPROVIDED</EndToEndId></Refs>{amount}"
        f"<RltdPties><Dbtr><Pty>{_leaf('Nm', facts.agency_name)}</Pty></Dbtr>"
        f"<DbtrAcct>{_account(facts.agency_account)}</DbtrAcct></RltdPties>{_remittance(credit)}"
        "</TxDtls></NtryDtls></Ntry>"
    )


def _remittance(credit: Credit) -> str:
    named = ""
    if credit.invoice_number:
        named += f"<RfrdDocInf>{_coded('CINV')}{_leaf('Nb', credit.invoice_number)}</RfrdDocInf>"
    if credit.reference:
        named += f"<CdtrRefInf>{_coded('SCOR')}{_leaf('Ref', credit.reference)}</CdtrRefInf>"
    return f"<RmtInf><Strd>{named}</Strd></RmtInf>" if named else ""


def _coded(code: str) -> str:
    return f"<Tp><CdOrPrtry>{_leaf('Cd', code)}</CdOrPrtry></Tp>"


def _account(account: str) -> str:
    if account[:2].isalpha():
        return f"<Id>{_leaf('IBAN', account)}</Id>"
    return f"<Id><Othr>{_leaf('Id', account)}<SchmeNm><Cd>BBAN</Cd></SchmeNm></Othr></Id>"


def _leaf(name: str, text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<{name}>{escaped}</{name}>"
