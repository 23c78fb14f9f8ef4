"""A seeded maker of valid camt.054 and camt.053 files, and what a correct reader must find in them.

For tests, benchmarks and plugin authors. All names, accounts and numbers are invented. The same seed gives the same
bytes. `camt_pieces` writes files of any size: `ManyCamtEntries` makes the payments while they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from gateway.domain.money import format_minor
from gateway.formats.xmltree import xml_escape
from gateway.testing.payment_files import ACCOUNT, FIRST_DAY, NAMES

MESSAGES = {"camt.054": ("BkToCstmrDbtCdtNtfctn", "Ntfctn"), "camt.053": ("BkToCstmrStmt", "Stmt")}
_HAS_PTY = frozenset({"08", "09", "10", "11", "12", "13"})
"""Versions in which a party's name stands in ``Pty``, and an entry's status in ``Sts/Cd``."""

_STREETS = ("Eksempelveien 1", "Prøvegata 22 B", "Försöksgatan 7")


@dataclass(frozen=True, slots=True)
class CamtPayment:
    """One ``TxDtls``. *documents* are (code, number, amount) each in a ``Strd`` of its own.

    *address* is street, building, postcode, town and country, or empty; *address_lines* stand as ``AdrLine``. *charges*
    were taken on the way, so that the payer paid that much more. *extra* is markup put at the end.
    """

    amount_minor: int
    reference: str = ""
    is_credit: bool = True
    name: str = "Kari Eksempel"
    payer: str = "86011117947"
    bank_reference: str = ""
    texts: tuple[str, ...] = ()
    documents: tuple[tuple[str, str, int], ...] = ()
    extra: str = ""
    end_to_end: str = "NOTPROVIDED"
    payer_id: str = ""
    address: tuple[str, ...] = ()
    address_lines: tuple[str, ...] = ()
    order_day: date | None = None
    charges_minor: int = 0
    return_reason: str = ""


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
    text: str = ""

    @property
    def signed_minor(self) -> int:
        """What the account shows, negative for a debit."""
        if self.amount_minor is not None:
            return self.amount_minor if self.is_credit in {True, None} else -self.amount_minor
        return sum(payment.amount_minor if payment.is_credit else -payment.amount_minor for payment in self.payments)


@dataclass(frozen=True, slots=True)
class CamtShape:
    """How the document is written. *version* empty means without a namespace.

    *has_balances* writes an opening balance of zero and the closing balance that follows from the booked entries.
    """

    message: str = "camt.054"
    version: str = "08"
    currency: str = "NOK"
    prefix: str = ""
    break_lines: str = ""
    has_summary: bool = True
    has_balances: bool = False
    has_envelope: bool = False
    account: str = ACCOUNT


# --- payments at random ----------------------------------------------------------------------------------------------


def random_camt_entries(seed: int, count: int) -> list[CamtEntry]:
    """Return entries that hold *count* transactions together, in the shapes seen from Nordic banks."""
    rng, made, left = Random(seed), list[CamtEntry](), count  # noqa: S311 - test data
    while left:
        size = rng.choice((1, 1, 1, rng.randint(1, min(left, 5)), min(left, rng.choice((1, 20)))))
        left -= size
        payments = tuple(_payment(rng) for _ in range(size))
        made.append(
            CamtEntry(
                payments,
                status=rng.choice(("BOOK", "BOOK", "BOOK", "BOOK", "PDNG", "INFO")),
                is_reversal=rng.random() < 0.1,
                day=FIRST_DAY + timedelta(days=rng.randrange(20)),
                bank_reference=rng.choice(("", " 90000000", f"{rng.randrange(10**11):011d}")),
                batch=str(size) if rng.random() < 0.5 else "",
                text=rng.choice(("", "", "Innbetaling")),
            )
        )
    return made


def _payment(rng: Random) -> CamtPayment:
    amount, form = rng.randrange(1, 10**9), rng.random()
    documents: tuple[tuple[str, str, int], ...] = ()
    if form < 0.2:
        documents = (("CINV", f"F{rng.randrange(10**6)}", amount + 500), ("CREN", f"K{rng.randrange(10**6)}", 500))
    has_address = rng.random() < 0.4
    return CamtPayment(
        amount_minor=amount,
        reference=_reference(rng) if form > 0.4 else "",
        is_credit=rng.random() > 0.1,
        name=rng.choice(NAMES),
        payer=f"{rng.randrange(10**11):011d}" if rng.random() > 0.2 else "",
        bank_reference=f"{rng.randrange(10**9):09d}" if rng.random() > 0.3 else "",
        texts=("Faktura 1005", "takk for  sist") if 0.2 <= form <= 0.4 else (),
        documents=documents,
        end_to_end=rng.choice(("NOTPROVIDED", f"E{rng.randrange(10**6)}")),
        payer_id=rng.choice(("", "", "910000004")),
        address=(rng.choice(_STREETS), "", f"{rng.randrange(10**4):04d}", "ÅS", "NO") if has_address else (),
        address_lines=() if has_address else rng.choice(((), ("Postboks 1", "0001 OSLO"))),
        order_day=rng.choice((None, FIRST_DAY - timedelta(days=rng.randrange(3)))),
        charges_minor=rng.choice((0,) * 9 + (rng.randrange(1, 10**4),)),
        return_reason=rng.choice(("",) * 9 + ("AC04",)),
    )


def _reference(rng: Random) -> str:
    digits = "".join(rng.choices("0123456789", k=rng.randrange(1, 25)))
    return rng.choice((digits + rng.choice("0123456789-"), f"RF{digits[:20]:0>6}"))


class ManyCamtEntries:
    """Entries of one shape, as a bank sends them by the hundred thousand: made anew each time they are gone through.

    Args:
        seed: decides amounts, references and payers.
        count: transactions.
        per_entry: transactions booked together; the last entry may have fewer.
    """

    def __init__(self, seed: int, count: int, per_entry: int = 1) -> None:
        self._seed, self._count, self._per_entry = seed, count, per_entry

    def __iter__(self) -> Iterator[CamtEntry]:
        """Yield the entries."""
        rng, made = Random(self._seed), 0  # noqa: S311 - test data
        while made < self._count:
            size = min(self._per_entry, self._count - made)
            payments = tuple(self._payment(rng, number) for number in range(made + 1, made + size + 1))
            made += size
            yield CamtEntry(payments, batch=str(size), bank_reference=f"{made:011d}")

    def _payment(self, rng: Random, number: int) -> CamtPayment:
        return CamtPayment(
            amount_minor=rng.randrange(5000, 2_500_000),
            reference=f"{rng.randrange(10**6):06d}{number:09d}",
            name=NAMES[number % 2],
            payer=f"{rng.randrange(10**11):011d}",
            bank_reference=f"A{number}",
            end_to_end=f"E{number}",
            address=(_STREETS[number % len(_STREETS)], "", "0001", "OSLO", "NO"),
            order_day=FIRST_DAY,
        )


# --- the document ----------------------------------------------------------------------------------------------------


def camt_file(entries: Iterable[CamtEntry], shape: CamtShape | None = None) -> bytes:
    """Return a document with one section that holds *entries*."""
    return b"".join(camt_pieces(list(entries), shape))


def camt_pieces(entries: Iterable[CamtEntry], shape: CamtShape | None = None) -> Iterator[bytes]:
    """Yield the document piece by piece; *entries* is gone through twice, since the summary stands before them."""
    shape = shape or CamtShape()
    shape = shape if shape.version else replace(shape, prefix="")  # a prefix must be that of a namespace
    message, part = MESSAGES[shape.message]
    mark = f":{shape.prefix}" if shape.prefix else ""
    namespace = f' xmlns{mark}="urn:iso:std:iso:20022:tech:xsd:{shape.message}.001.{shape.version}"'
    count, totals = _sums(entries)
    head = f"<GrpHdr><MsgId>M{count}</MsgId><CreDtTm>2026-11-23T05:30:00+01:00</CreDtTm></GrpHdr><{part}><Id>1</Id>"
    head += "<CreDtTm>2026-11-23T05:30:00+01:00</CreDtTm>"
    head += f"<Acct><Id><Othr><Id>{shape.account}</Id></Othr></Id><Ccy>{shape.currency}</Ccy></Acct>"
    head += _balances(totals, shape) if shape.has_balances else ""
    head += _summary(totals, shape) if shape.has_summary else ""
    envelope = (
        '<env:Envelope xmlns:env="urn:example:envelope"><AppHdr><Fr>x</Fr></AppHdr>' if shape.has_envelope else ""
    )
    yield f'<?xml version="1.0" encoding="UTF-8"?>{shape.break_lines}'.encode()
    root = f"{shape.prefix}:Document" if shape.prefix else "Document"
    yield f"{envelope}<{root}{namespace if shape.version else ''}>".encode()
    yield _written(f"<{message}>{head}", shape)
    for entry in entries:
        yield _written(_entry(entry, shape), shape)
    yield _written(f"</{part}></{message}>", shape)
    yield f"</{root}>{'</env:Envelope>' if shape.has_envelope else ''}\n".encode()


def _written(text: str, shape: CamtShape) -> bytes:
    """Return markup with the prefix and the line breaks of *shape*."""
    if shape.prefix:
        text = text.replace("</", "\0").replace("<", f"<{shape.prefix}:").replace("\0", f"</{shape.prefix}:")
    return (text.replace("><", f">{shape.break_lines}<") + shape.break_lines).encode()


Totals = dict[str, tuple[int, int]]
"""Number and sum of entries: ``credit``, ``debit`` and, signed, ``booked``."""


def _sums(entries: Iterable[CamtEntry]) -> tuple[int, Totals]:
    totals: Totals = {"credit": (0, 0), "debit": (0, 0), "booked": (0, 0)}
    for entry in entries:
        signed = entry.signed_minor
        for name, amount in (("credit" if signed >= 0 else "debit", abs(signed)), ("booked", signed)):
            if name != "booked" or entry.status == "BOOK":
                totals[name] = totals[name][0] + 1, totals[name][1] + amount
    return totals["credit"][0] + totals["debit"][0], totals


def _amount(minor: int, currency: str, name: str = "Amt") -> str:
    return f'<{name} Ccy="{currency}">{format_minor(abs(minor), currency)}</{name}>'


def _indicator(signed: int) -> str:
    return f"<CdtDbtInd>{'DBIT' if signed < 0 else 'CRDT'}</CdtDbtInd>"


def _balances(totals: Totals, shape: CamtShape) -> str:
    return "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(minor, shape.currency)}{_indicator(minor)}"
        f"<Dt><Dt>{FIRST_DAY}</Dt></Dt></Bal>"
        for code, minor in (("OPBD", 0), ("CLBD", totals["booked"][1]))
    )


def _summary(totals: Totals, shape: CamtShape) -> str:
    (credits_, credit), (debits, debit) = totals["credit"], totals["debit"]
    net = format_minor(abs(credit - debit), shape.currency)
    is_old = shape.version == "02"
    turn = _indicator(credit - debit)
    of_all = (
        f"<TtlNetNtryAmt>{net}</TtlNetNtryAmt>{turn}" if is_old else f"<TtlNetNtry><Amt>{net}</Amt>{turn}</TtlNetNtry>"
    )
    parts = []
    for name, number, minor, more in (
        ("TtlNtries", credits_ + debits, credit + debit, of_all),
        ("TtlCdtNtries", credits_, credit, ""),
        ("TtlDbtNtries", debits, debit, ""),
    ):
        total = format_minor(minor, shape.currency)
        parts.append(f"<{name}><NbOfNtries>{number}</NbOfNtries><Sum>{total}</Sum>{more}</{name}>")
    return f"<TxsSummry>{''.join(parts)}</TxsSummry>"


# --- entries and transactions ----------------------------------------------------------------------------------------


def _has_pty(shape: CamtShape) -> bool:
    return not shape.version or shape.version in _HAS_PTY


def _entry(entry: CamtEntry, shape: CamtShape) -> str:
    signed = entry.signed_minor
    status = f"<Cd>{entry.status}</Cd>" if _has_pty(shape) else entry.status
    reversal = "<RvslInd>true</RvslInd>" if entry.is_reversal else ""
    booked = f"<BookgDt><Dt>{entry.day}</Dt></BookgDt>" if entry.status == "BOOK" else ""
    reference = f"<AcctSvcrRef>{entry.bank_reference}</AcctSvcrRef>" if entry.bank_reference else ""
    batch = f"<Btch><NbOfTxs>{entry.batch}</NbOfTxs>{_total(entry, shape)}</Btch>" if entry.batch else ""
    details = batch + "".join(_transaction(payment, shape, signed >= 0) for payment in entry.payments)
    text = f"<AddtlNtryInf>{xml_escape(entry.text)}</AddtlNtryInf>" if entry.text else ""
    return (
        f"<Ntry>{_amount(signed, shape.currency)}{_indicator(signed)}{reversal}<Sts>{status}</Sts>"
        f"{booked}<ValDt><DtTm>{entry.day}T23:59:59-11:00</DtTm></ValDt>{reference}"
        "<BkTxCd><Prtry><Cd>233</Cd></Prtry></BkTxCd>"
        + (f"<NtryDtls>{details}</NtryDtls>" if details else "")
        + f"{text}</Ntry>"
    )


def _total(entry: CamtEntry, shape: CamtShape) -> str:
    if not entry.payments:
        return ""
    minor = sum(payment.amount_minor if payment.is_credit else -payment.amount_minor for payment in entry.payments)
    return _amount(minor, shape.currency, "TtlAmt") + _indicator(minor)


def _transaction(payment: CamtPayment, shape: CamtShape, entry_is_credit: bool) -> str:
    amount = _amount(payment.amount_minor, shape.currency)
    is_old = shape.version == "02"
    detail = f"<AmtDtls><TxAmt>{amount}</TxAmt></AmtDtls>" if is_old or not payment.charges_minor else ""
    direction = _indicator(1 if payment.is_credit else -1)
    if not is_old:
        detail = f"{amount}{direction}{detail}"
    elif payment.is_credit != entry_is_credit:
        detail = direction + detail
    refs = f"<AcctSvcrRef>{payment.bank_reference}</AcctSvcrRef>" if payment.bank_reference else ""
    payer = f"<DbtrAcct><Id><Othr><Id>{payment.payer}</Id></Othr></Id></DbtrAcct>" if payment.payer else ""
    order = f"<AccptncDtTm>{payment.order_day}T07:00:00+01:00</AccptncDtTm>" if payment.order_day else ""
    reason = f"<RtrInf><Rsn><Cd>{payment.return_reason}</Cd></Rsn></RtrInf>" if payment.return_reason else ""
    return (
        f"<TxDtls><Refs>{refs}<EndToEndId>{payment.end_to_end}</EndToEndId></Refs>{detail}"
        f"{_charges(payment, shape)}<RltdPties>{_debtor(payment, shape)}{payer}</RltdPties>{_remittance(payment, shape)}"
        + (f"<RltdDts>{order}</RltdDts>" if order else "")
        + f"{reason}{payment.extra}</TxDtls>"
    )


def _charges(payment: CamtPayment, shape: CamtShape) -> str:
    if not payment.charges_minor:
        return ""
    amount = _amount(payment.charges_minor, shape.currency) + _indicator(-1)
    return f"<Chrgs>{amount}</Chrgs>" if shape.version == "02" else f"<Chrgs><Rcrd>{amount}</Rcrd></Chrgs>"


def _debtor(payment: CamtPayment, shape: CamtShape) -> str:
    names = ("StrtNm", "BldgNb", "PstCd", "TwnNm", "Ctry")
    given = [(name, text) for name, text in zip(names, payment.address, strict=False) if text]
    given += [("AdrLine", line) for line in payment.address_lines]
    lines = "".join(f"<{name}>{xml_escape(text)}</{name}>" for name, text in given)
    address = f"<PstlAdr>{lines}</PstlAdr>" if lines else ""
    number = f"<Id><OrgId><Othr><Id>{payment.payer_id}</Id></Othr></OrgId></Id>" if payment.payer_id else ""
    party = f"<Nm>{xml_escape(payment.name)}</Nm>{address}{number}"
    return f"<Dbtr><Pty>{party}</Pty></Dbtr>" if _has_pty(shape) else f"<Dbtr>{party}</Dbtr>"


def _remittance(payment: CamtPayment, shape: CamtShape) -> str:
    parts: Sequence[str] = [f"<Ustrd>{xml_escape(text)}</Ustrd>" for text in payment.texts]
    if payment.reference:
        kind = "<Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>"
        parts = [*parts, f"<Strd><CdtrRefInf>{kind}<Ref>{payment.reference}</Ref></CdtrRefInf></Strd>"]
    for code, number, minor in payment.documents:
        amount = _amount(minor, shape.currency, "CdtNoteAmt" if code == "CREN" else "RmtdAmt")
        if shape.version in {"12", "13"}:
            amount = f"<RmtAmtAndTp><Tp><Prtry>paid</Prtry></Tp>{_amount(minor, shape.currency)}</RmtAmtAndTp>"
        kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        document = f"<RfrdDocInf>{kind}<Nb>{number}</Nb></RfrdDocInf><RfrdDocAmt>{amount}</RfrdDocAmt>"
        parts = [*parts, f"<Strd>{document}</Strd>"]
    return f"<RmtInf>{''.join(parts)}</RmtInf>" if parts else ""
