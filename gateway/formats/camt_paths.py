"""The elements of camt.053 and camt.054 that matter.

The tree below is the only place that knows where a value lies (payments.md 5.1); versions .02 to .13 fit into one tree,
because a value that moved has both its places here. Elements are matched by local name within the document's own
namespace; whatever is not in the tree is skipped with everything inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Values = dict[str, Any]
"""What one group holds: text by name, ``(text, currency)`` for an amount, a list of texts where several may stand."""

Tree = Mapping[str, "Mapping[str, Any] | _Leaf | _Group"]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """An element whose text is kept as *key*; it may still have *children* (``Sts`` in .02 is text, in .08 a parent)."""

    key: str
    has_currency: bool = False
    is_repeated: bool = False
    children: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Group:
    """An element whose values are gathered and handed to the reader when it ends, or *into* a list of those around it.

    *known* lists the schema's other children; an element that is in neither is worth a warning.
    """

    name: str
    children: Mapping[str, Any]
    known: frozenset[str] = frozenset()
    into: str = ""


def _text(key: str, **children: Any) -> _Leaf:
    return _Leaf(key, children=children)


def _amount(key: str) -> _Leaf:
    return _Leaf(key, has_currency=True)


def _texts(key: str) -> _Leaf:
    return _Leaf(key, is_repeated=True)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _account(key: str) -> Tree:
    return {"Id": {"IBAN": _text(key), "Othr": {"Id": _text(key)}}}


def _day(key: str) -> Tree:
    return {"Dt": _text(key), "DtTm": _text(key)}


def _party(key: str, **more: Any) -> Tree:
    party = {"Nm": _text(key), **more}
    return {**party, "Pty": party}


def _part(name: str, children: Tree, into: str) -> _Group:
    """Return a group that is a part of the one around it. What else stands in it is of no interest."""
    return _Group(name, children, into=into)


_ADDRESS = {
    "StrtNm": _text("street"),
    "BldgNb": _text("building"),
    "PstCd": _text("postcode"),
    "TwnNm": _text("town"),
    "Ctry": _text("country"),
    "AdrLine": _texts("address_lines"),
}
_PARTY_ID = {kind: {"Othr": {"Id": _text("payer_id")}} for kind in ("OrgId", "PrvtId")}

_DOCUMENT = _part("document", {"Tp": {"CdOrPrtry": {"Cd": _text("code")}}, "Nb": _text("number")}, "documents")

_REMITTANCE = _part(
    "remittance",
    {
        "RfrdDocInf": _DOCUMENT,
        "RfrdDocAmt": {
            "DuePyblAmt": _amount("due"),
            "RmtdAmt": _amount("remitted"),
            "CdtNoteAmt": _amount("credited"),
            "RmtAmtAndTp": _part("typed", {"Amt": _amount("amount")}, "amounts"),  # from .12 on, instead of all others
        },
        "CdtrRefInf": {
            "Tp": {"CdOrPrtry": {"Cd": _text("code"), "Prtry": _text("proprietary")}, "Issr": _text("issuer")},
            "Ref": _text("reference"),
        },
        "AddtlRmtInf": _texts("texts"),
    },
    "remittances",
)

_CHARGE = {"Amt": _amount("amount"), "CdtDbtInd": _text("direction"), "ChrgInclInd": _text("is_included")}
_CHARGES = _part(
    "charge",
    {"TtlChrgsAndTaxAmt": _amount("total"), "Rcrd": _part("record", _CHARGE, "records"), **_CHARGE},
    "charges",
)

_TRANSACTION = _Group(
    "transaction",
    {
        "Refs": {"AcctSvcrRef": _text("bank_reference"), "EndToEndId": _text("end_to_end")},
        "Amt": _amount("amount"),
        "CdtDbtInd": _text("direction"),
        "AmtDtls": {
            "InstdAmt": {"Amt": _amount("instructed_amount")},
            "TxAmt": {"Amt": _amount("detail_amount")},
        },
        "Chrgs": _CHARGES,
        "RltdPties": {
            "Dbtr": _party("payer", PstlAdr=_ADDRESS, Id=_PARTY_ID),
            "UltmtDbtr": _party("ultimate_payer"),
            "DbtrAcct": _account("payer_account"),
        },
        "RmtInf": {"Ustrd": _texts("texts"), "Strd": _REMITTANCE},
        "RltdDts": {"AccptncDtTm": _text("order_date")},
        "RtrInf": _text("return", Rsn={"Cd": _text("return_reason"), "Prtry": _text("return_reason")}),
        "AddtlTxInf": _text("additional"),
    },
    _names(
        "Avlbty BkTxCd Intrst RltdAgts LclInstrm PmtTpInf Purp RltdRmtInf RltdPric RltdQties FinInstrmId Tax"
        " CorpActn SfkpgAcct CshDpst CardTx SplmtryData"
    ),
)

_DETAILS = _Group(
    "details",
    {
        "Btch": {"NbOfTxs": _text("count"), "TtlAmt": _amount("total"), "CdtDbtInd": _text("direction")},
        "TxDtls": _TRANSACTION,
    },
)

_ENTRY = _Group(
    "entry",
    {
        "NtryRef": _text("entry_reference"),
        "Amt": _amount("amount"),
        "CdtDbtInd": _text("direction"),
        "RvslInd": _text("reversal"),
        "Sts": _text("status_text", Cd=_text("status"), Prtry=_text("status")),
        "BookgDt": _day("booking_date"),
        "ValDt": _day("value_date"),
        "AcctSvcrRef": _text("bank_reference"),
        "NtryDtls": _DETAILS,
        "AddtlNtryInf": _text("additional"),
    },
    _names("Avlbty BkTxCd ComssnWvrInd AddtlInfInd AmtDtls Chrgs TechInptChanl Intrst CardTx"),
)

_BALANCE = _Group(
    "balance",
    {
        "Tp": {"CdOrPrtry": {"Cd": _text("code")}},
        "Amt": _amount("amount"),
        "CdtDbtInd": _text("direction"),
    },
)

_SUMMARY = {
    "TtlNtries": {
        "NbOfNtries": _text("count"),
        "Sum": _text("sum"),
        "TtlNetNtryAmt": _text("net"),
        "TtlNetNtry": {"Amt": _text("net"), "CdtDbtInd": _text("net_direction")},
        "CdtDbtInd": _text("net_direction"),
    },
    "TtlCdtNtries": {"NbOfNtries": _text("credit_count"), "Sum": _text("credit_sum")},
    "TtlDbtNtries": {"NbOfNtries": _text("debit_count"), "Sum": _text("debit_sum")},
}

_PAGES = {"PgNb": _text("page"), "LastPgInd": _text("is_last_page")}

_SECTION = _Group(
    "section",
    {
        "Id": _text("id"),
        "ElctrncSeqNb": _text("sequence"),
        "NtfctnPgntn": _PAGES,
        "StmtPgntn": _PAGES,
        "CpyDplctInd": _text("copy"),
        "Acct": {**_account("account"), "Ccy": _text("currency")},
        "Bal": _BALANCE,
        "TxsSummry": _Group("summary", _SUMMARY),
        "Ntry": _ENTRY,
    },
    _names("RptgSeq LglSeqNb CreDtTm FrToDt RptgSrc RltdAcct Intrst AddtlNtfctnInf AddtlStmtInf"),
)

_HEADER = _Group("header", {"MsgId": _text("message"), "CreDtTm": _text("created"), "MsgPgntn": _PAGES})


def _message(part: str) -> _Group:
    return _Group("message", {"GrpHdr": _HEADER, part: _SECTION}, _names("SplmtryData"))


MESSAGES = {
    "BkToCstmrDbtCdtNtfctn": ("camt.054", _message("Ntfctn")),
    "BkToCstmrStmt": ("camt.053", _message("Stmt")),
}
"""Message element to the name of the message and its tree."""


class Node:
    """One element of the tree, made ready for one namespace and one reader."""

    __slots__ = (
        "children", "close", "has_currency", "into", "is_group", "is_repeated", "key", "known", "name", "open",
    )  # fmt: skip

    def __init__(self, spec: Any, prefix: str, reader: object) -> None:
        group = spec if isinstance(spec, _Group) else None
        leaf = spec if isinstance(spec, _Leaf) else None
        children = spec if group is None and leaf is None else spec.children
        self.children = {prefix + name: Node(child, prefix, reader) for name, child in children.items()}
        self.known = frozenset(prefix + name for name in group.known) if group and group.known else None
        self.key = leaf.key if leaf else None
        self.has_currency = bool(leaf and leaf.has_currency)
        self.is_repeated = bool(leaf and leaf.is_repeated)
        self.is_group = group is not None
        self.name, self.into = (group.name, group.into) if group else ("", "")
        self.open: Callable[[Values], None] | None = getattr(reader, f"begin_{group.name}", None) if group else None
        self.close: Callable[[Values], None] | None = getattr(reader, f"end_{group.name}", None) if group else None


def prefix_of(namespace: str) -> str:
    """Return what the XML parser puts before local names of *namespace*."""
    return f"{namespace} " if namespace else ""


def nodes_of(element: str, namespace: str, reader: object) -> Node:
    """Return the tree of the message *element* for a document in *namespace*, with the methods of *reader* in place."""
    return Node(MESSAGES[element][1], prefix_of(namespace), reader)
