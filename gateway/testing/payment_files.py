"""Seeded makers of valid payment files, with what a correct reader must find in them.

For tests and for plugin authors. All names, accounts and numbers are invented. The same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random

from gateway.domain.money import format_minor
from gateway.formats.ocr_layout import (
    AmountItem1,
    AmountItem2,
    AmountItem3,
    AssignmentEnd,
    AssignmentStart,
    TransmissionEnd,
    TransmissionStart,
)
from gateway.formats.record import encode
from gateway.formats.xmltree import xml_escape

ACCOUNT = "12345678903"
FIRST_DAY = date(2026, 11, 2)
NAMES = ("Kari Eksempel", "Ola Prøve", "Åse & Sønn AS", "Göran Försök", "Mønster <Nord> AS", "Test Testesen")

# --- OCR giro --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OcrPayment:
    """One OCR giro transaction; *is_credit_note* writes the sign ``-``, *text* makes record 32 (types 20, 21)."""

    amount_minor: int
    kid: str
    day: date | None = FIRST_DAY
    kind: str = "10"
    is_credit_note: bool = False
    archive: str = "100000001"
    payer: str = "86011117947"
    text: str = ""

    @property
    def control_minor(self) -> int:
        """What the transaction adds to the control sum: reversals are added although they take money away."""
        return -self.amount_minor if self.is_credit_note and self.kind not in {"18", "20"} else self.amount_minor

    @property
    def is_credit(self) -> bool:
        """Whether it is money in to the creditor."""
        return not self.is_credit_note and self.kind not in {"18", "20"}


def random_ocr_payments(seed: int, count: int) -> list[OcrPayment]:
    """Return *count* transactions of all types, sorted by date as the bank sorts them."""
    rng = Random(seed)  # noqa: S311 - test data
    made = []
    for _ in range(count):
        kind = rng.choice(("10", "10", "10", "11", "13", "14", "15", "16", "17", "18", "19", "20", "21"))
        has_text = kind in {"20", "21"}
        made.append(
            OcrPayment(
                amount_minor=rng.choice((0, 1, rng.randrange(10**6), rng.randrange(10**13))),
                kid="" if has_text else _kid(rng),
                day=FIRST_DAY + timedelta(days=rng.randrange(20)),
                kind=kind,
                is_credit_note=kind < "18" and rng.random() < 0.1,
                archive=f"{rng.randrange(10**9):09d}",
                payer="0" * 11 if kind >= "18" or rng.random() < 0.1 else f"{rng.randrange(10**11):011d}",
                text=rng.choice(("ordre 77", "kjøp på nett", "A" * 40)) if has_text else "",
            )
        )
    return sorted(made, key=lambda payment: payment.day or FIRST_DAY)


def _kid(rng: Random) -> str:
    digits = "".join(rng.choices("0123456789", k=rng.randrange(1, 25)))
    return digits + rng.choice("0123456789-")


def ocr_file(
    assignments: Iterable[Sequence[OcrPayment]],
    *,
    newline: str = "\n",
    account: str = ACCOUNT,
    encoding: str = "latin-1",
) -> bytes:
    """Return a transmission with one assignment for each sequence of payments; *newline* may be empty."""
    lines = [
        encode(TransmissionStart(data_transmitter="00008080", transmission_number="0000042", data_recipient="00012345"))
    ]
    count = total = 0
    for number, payments in enumerate(assignments, 1):
        lines += _assignment(number, payments, account)
        count += len(payments)
        total += sum(payment.control_minor for payment in payments)
    end = TransmissionEnd(
        transaction_count=count, record_count=len(lines) + 1, total_minor=abs(total), generated_date="231126"
    )
    return "".join(line + newline for line in [*lines, encode(end)]).encode(encoding)


def _assignment(number: int, payments: Sequence[OcrPayment], account: str) -> list[str]:
    lines = [encode(AssignmentStart(agreement_id="001234567", assignment_number=f"{number:07d}", account=account))]
    for place, payment in enumerate(payments, 1):
        lines += _records(place, payment)
    days = [f"{payment.day:%d%m%y}" for payment in payments if payment.day]
    end = AssignmentEnd(
        service_code="09", transaction_count=len(payments), record_count=len(lines) + 1,
        total_minor=abs(sum(payment.control_minor for payment in payments)), generated_date="231126",
        earliest_date=days[0] if days else "000000", latest_date=days[-1] if days else "000000",
    )  # fmt: skip
    return [*lines, encode(end)]


def _records(place: int, payment: OcrPayment) -> list[str]:
    number = f"{place:07d}"
    first = AmountItem1(
        transaction_type=payment.kind, transaction_number=number, settlement_date=payment.day, lump_sum="0100100001",
        sign="-" if payment.is_credit_note else "0", amount_minor=payment.amount_minor, kid=payment.kid,
    )  # fmt: skip
    second = AmountItem2(
        transaction_type=payment.kind, transaction_number=number, form_number="0000000000",
        archive_reference=payment.archive, order_date=payment.day, payer_account=payment.payer,
    )  # fmt: skip
    lines = [encode(first), encode(second)]
    if payment.text:
        third = AmountItem3(transaction_type=payment.kind, transaction_number=number, message=payment.text)
        lines.append(encode(third))
    return lines


# --- camt ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CamtPayment:
    """One ``TxDtls``. *documents* are (code, number, amount) each in a ``Strd`` of its own."""

    amount_minor: int
    reference: str = ""
    is_credit: bool = True
    name: str = "Kari Eksempel"
    payer: str = "86011117947"
    bank_reference: str = ""
    texts: tuple[str, ...] = ()
    documents: tuple[tuple[str, str, int], ...] = ()
    extra: str = ""


@dataclass(frozen=True, slots=True)
class CamtEntry:
    """One ``Ntry``; its amount and direction are those of its payments' signed sum unless *amount_minor* is given."""

    payments: tuple[CamtPayment, ...] = ()
    amount_minor: int | None = None
    is_credit: bool | None = None
    status: str = "BOOK"
    is_reversal: bool = False
    day: date = FIRST_DAY
    bank_reference: str = "900000001"
    batch: str = ""

    @property
    def signed_minor(self) -> int:
        """What the account shows, negative for a debit."""
        if self.amount_minor is not None:
            return self.amount_minor if self.is_credit in {True, None} else -self.amount_minor
        return sum(payment.amount_minor if payment.is_credit else -payment.amount_minor for payment in self.payments)


@dataclass(frozen=True, slots=True)
class CamtShape:
    """How the document is written. *version* empty means without a namespace."""

    message: str = "camt.054"
    version: str = "08"
    currency: str = "NOK"
    prefix: str = ""
    break_lines: str = ""
    has_summary: bool = True
    has_envelope: bool = False
    account: str = ACCOUNT
    names: dict[str, tuple[str, str]] = field(
        default_factory=lambda: {
            "camt.054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
            "camt.053": ("BkToCstmrStmt", "Stmt"),
        }
    )


def random_camt_entries(seed: int, count: int) -> list[CamtEntry]:
    """Return entries that hold *count* transactions together, in the shapes seen from Nordic banks."""
    rng, made, left = Random(seed), list[CamtEntry](), count  # noqa: S311 - test data
    while left:
        size = rng.randint(1, min(left, 5))
        left -= size
        payments = tuple(_camt_payment(rng) for _ in range(size))
        made.append(
            CamtEntry(
                payments,
                status=rng.choice(("BOOK", "BOOK", "BOOK", "PDNG", "INFO")),
                is_reversal=rng.random() < 0.1,
                day=FIRST_DAY + timedelta(days=rng.randrange(20)),
                bank_reference=rng.choice(("", " 90000000", f"{rng.randrange(10**11):011d}")),
                batch=str(size) if rng.random() < 0.5 else "",
            )
        )
    return made


def _camt_payment(rng: Random) -> CamtPayment:
    amount, form = rng.randrange(1, 10**9), rng.random()
    documents: tuple[tuple[str, str, int], ...] = ()
    if form < 0.2:
        documents = (("CINV", f"F{rng.randrange(10**6)}", amount + 500), ("CREN", f"K{rng.randrange(10**6)}", 500))
    return CamtPayment(
        amount_minor=amount,
        reference=_kid(rng) if form > 0.4 else "",
        is_credit=rng.random() > 0.1,
        name=rng.choice(NAMES),
        payer=f"{rng.randrange(10**11):011d}" if rng.random() > 0.2 else "",
        bank_reference=f"{rng.randrange(10**9):09d}" if rng.random() > 0.3 else "",
        texts=("Faktura 1005", "takk for  sist") if 0.2 <= form <= 0.4 else (),
        documents=documents,
    )


def camt_file(entries: Iterable[CamtEntry], shape: CamtShape | None = None) -> bytes:
    """Return a document with one section that holds *entries*."""
    shape = shape or CamtShape()
    message, part = shape.names[shape.message]
    made = list(entries)
    body = f"<GrpHdr><MsgId>M{len(made)}</MsgId><CreDtTm>2026-11-23T05:30:00+01:00</CreDtTm></GrpHdr>"
    summary = _summary(made, shape) if shape.has_summary else ""
    account = f"<Acct><Id><Othr><Id>{shape.account}</Id></Othr></Id><Ccy>{shape.currency}</Ccy></Acct>"
    body += f"<{part}><Id>1</Id>{account}{summary}" + "".join(_entry(entry, shape) for entry in made) + f"</{part}>"
    mark = f":{shape.prefix}" if shape.prefix else ""
    namespace = f"urn:iso:std:iso:20022:tech:xsd:{shape.message}.001.{shape.version}"
    text = f"<{message}>{body}</{message}>"
    if shape.prefix:
        text = text.replace("</", "\0").replace("<", f"<{shape.prefix}:").replace("\0", f"</{shape.prefix}:")
    root = f"{shape.prefix}:Document" if shape.prefix else "Document"
    text = f"<{root}" + (f' xmlns{mark}="{namespace}"' if shape.version else "") + f">{text}</{root}>"
    if shape.has_envelope:
        text = f'<Envelope xmlns="urn:example:envelope"><AppHdr><Fr>x</Fr></AppHdr>{text}</Envelope>'
    text = text.replace("><", f">{shape.break_lines}<") if shape.break_lines else text
    return f'<?xml version="1.0" encoding="UTF-8"?>{shape.break_lines}{text}\n'.encode()


def _amount(minor: int, currency: str) -> str:
    return f'<Amt Ccy="{currency}">{format_minor(abs(minor), currency)}</Amt>'


def _indicator(signed: int) -> str:
    return f"<CdtDbtInd>{'DBIT' if signed < 0 else 'CRDT'}</CdtDbtInd>"


def _summary(entries: Sequence[CamtEntry], shape: CamtShape) -> str:
    sides = {True: [e for e in entries if e.signed_minor >= 0], False: [e for e in entries if e.signed_minor < 0]}
    parts = []
    for name, group in (("TtlNtries", entries), ("TtlCdtNtries", sides[True]), ("TtlDbtNtries", sides[False])):
        total = format_minor(sum(abs(entry.signed_minor) for entry in group), shape.currency)
        parts.append(f"<{name}><NbOfNtries>{len(group)}</NbOfNtries><Sum>{total}</Sum></{name}>")
    return f"<TxsSummry>{''.join(parts)}</TxsSummry>"


def _entry(entry: CamtEntry, shape: CamtShape) -> str:
    signed = entry.signed_minor
    status = f"<Cd>{entry.status}</Cd>" if shape.version not in {"02", "04"} else entry.status
    reversal = "<RvslInd>true</RvslInd>" if entry.is_reversal else ""
    reference = f"<AcctSvcrRef>{entry.bank_reference}</AcctSvcrRef>" if entry.bank_reference else ""
    batch = f"<Btch><NbOfTxs>{entry.batch}</NbOfTxs></Btch>" if entry.batch else ""
    details = batch + "".join(_transaction(payment, shape, signed >= 0) for payment in entry.payments)
    return (
        f"<Ntry>{_amount(signed, shape.currency)}{_indicator(signed)}{reversal}<Sts>{status}</Sts>"
        f"<BookgDt><Dt>{entry.day}</Dt></BookgDt><ValDt><DtTm>{entry.day}T23:59:59-11:00</DtTm></ValDt>{reference}"
        "<BkTxCd><Prtry><Cd>233</Cd></Prtry></BkTxCd>"
        + (f"<NtryDtls>{details}</NtryDtls>" if details else "")
        + "</Ntry>"
    )


def _transaction(payment: CamtPayment, shape: CamtShape, entry_is_credit: bool) -> str:
    amount = _amount(payment.amount_minor, shape.currency)
    money = f"<AmtDtls><TxAmt>{amount}</TxAmt></AmtDtls>"
    direction = _indicator(1 if payment.is_credit else -1)
    if shape.version != "02":
        money = f"{amount}{direction}{money}"
    elif payment.is_credit != entry_is_credit:
        money = direction + money
    name = f"<Nm>{xml_escape(payment.name)}</Nm>"
    name = f"<Pty>{name}</Pty>" if shape.version == "08" else name
    refs = f"<AcctSvcrRef>{payment.bank_reference}</AcctSvcrRef>" if payment.bank_reference else ""
    payer = f"<DbtrAcct><Id><Othr><Id>{payment.payer}</Id></Othr></Id></DbtrAcct>" if payment.payer else ""
    return (
        f"<TxDtls><Refs>{refs}<EndToEndId>NOTPROVIDED</EndToEndId></Refs>{money}"
        f"<RltdPties><Dbtr>{name}</Dbtr>{payer}</RltdPties>{_remittance(payment, shape)}{payment.extra}</TxDtls>"
    )


def _remittance(payment: CamtPayment, shape: CamtShape) -> str:
    parts = [f"<Ustrd>{xml_escape(text)}</Ustrd>" for text in payment.texts]
    if payment.reference:
        kind = "<Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>"
        parts.append(f"<Strd><CdtrRefInf>{kind}<Ref>{payment.reference}</Ref></CdtrRefInf></Strd>")
    for code, number, minor in payment.documents:
        element = "CdtNoteAmt" if code == "CREN" else "RmtdAmt"
        amount = f'<{element} Ccy="{shape.currency}">{format_minor(minor, shape.currency)}</{element}>'
        kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        parts.append(f"<Strd><RfrdDocInf>{kind}<Nb>{number}</Nb></RfrdDocInf><RfrdDocAmt>{amount}</RfrdDocAmt></Strd>")
    return f"<RmtInf>{''.join(parts)}</RmtInf>" if parts else ""
