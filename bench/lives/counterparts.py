"""Who there is to live with: every agency under every layout that anything can be sent by, and what may go wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.lives import pulling
from bench.lives.apis import Kravia, LowellAssignments, Ophelos
from bench.lives.far import DEALINGS, Far
from bench.lives.mailboxes import Factor, LedgerService, Nk003
from gateway.demo.misbehaviour import API, LINE, POST
from gateway.domain.identifiers import KidCheck, make_kid, make_ocr, make_viitenumero
from plugins.factoring.kid import make_kid as make_factors_kid

_MAILBOX = POST | LINE
_RECEIPTS = frozenset({"lost_receipt", "skipped_number"})
_OF_A_KEY = API - {"expired_token"}
_WEBHOOKS = frozenset(way for way in API if way.endswith("_webhook"))
_SWEDISH = {"creditor_account": "SE4550000000058398257466", "agency_account": "SE3550000000054910000003"}
_BANK = {"creditor_account": "15030000010", "agency_account": "15030000029"}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """One agency under one layout.

    *far* plays it. *facts* are its sandbox's, *options* the agreement's. *later* are
    kinds of items it can be told after the hand-over; *first* those that may be linked before it. *reference* makes what is
    printed on an invoice to be paid by, of its number and its customer's. *tells* are the ways in which money is told.
    """

    agency: str
    layout: str
    far: type[Far]
    ways: frozenset[str]
    country: str = "NO"
    currency: str = "NOK"
    facts: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    later: tuple[str, ...] = ("payment", "credit_note")
    first: tuple[str, ...] = ("payment", "credit_note")
    reference: Callable[[str, str], str] = lambda number, _: make_kid(f"{int(number):07d}", KidCheck.MOD10)
    tells: tuple[str, ...] = ("write_payments", "write_camt054")
    factors_account: str = "15030000029"
    issues_documents: bool = False
    knows_by_number: bool = False
    sets_credit_notes_apart: bool = False

    @property
    def name(self) -> str:
        """Agency and layout."""
        return f"{self.agency} {self.layout}"

    @property
    def is_overdue(self) -> bool:
        """Whether only invoices long overdue are handed over."""
        return self.options.get("service") == "collection"


def _ledger_service(agency: str, layout: str, **more: Any) -> Counterpart:
    currency = more.get("currency", "NOK")
    client = {"client_number": "4711", "ledger_id": f"4711-{currency}", "currency": currency}
    facts = {**client, "country": more.get("country", "NO"), **more.pop("facts", {})}
    settings = {"ledger_id": f"4711-{currency}", "agency_id": "SANDBOX"}
    options = {"settings": settings, **more.pop("options", {})}
    ways = _MAILBOX | _RECEIPTS | DEALINGS
    return Counterpart(agency, layout, LedgerService, ways, facts=facts, options=options, **more)


def _factor(layout: str, client: str, **more: Any) -> Counterpart:
    settings = more.pop("settings", {})
    facts = {"layout": layout, "client_number": client, **_BANK, **settings, **more.pop("facts", {})}
    options = {"client_number": client, "settings": settings, "service": "factoring"}
    ways = _MAILBOX | {"partial_settlement"}
    return Counterpart(
        "factoring", layout, Factor, ways, facts=facts, options=options, later=("credit_note",),
        first=("credit_note",), knows_by_number=True, **more,
    )  # fmt: skip


def _fall(dialect: str) -> Counterpart:
    return _factor(
        f"fall-{dialect}", "1234", country="FI", currency="EUR", settings={"business_id": "2345678-0", "late_interest": "1150"},
        facts={"creditor_account": "15903000000776", "agency_account": "15903000000784"}, tells=("ktl",), card=_FINN,
        reference=lambda number, _: make_viitenumero(number), sets_credit_notes_apart=True,
        factors_account=_FI_ACCOUNTS["agency_account"],
    )  # fmt: skip


_FINN = {"organisation_number": "2345678-0", "country": "FI", "postcode": "00100", "city": "HELSINKI"}
_LOWELL_FI = {
    "environment": "test", "subclient_id": "900001", "assignment_type": "Collection", "receivable_type": "Sales",
    "voluntary_collection_forbidden": False,
}  # fmt: skip
_FI_ACCOUNTS = {"creditor_account": "FI5542345670000081", "agency_account": "FI2112345600000785"}

COUNTERPARTS: tuple[Counterpart, ...] = (
    _ledger_service(
        "intrum", "kravport-sls-1", country="SE", currency="SEK", facts=_SWEDISH,
        reference=lambda number, _: make_ocr(number, with_length_digit=True),
    ),
    _ledger_service(
        "intrum", "kravport-no-flow-1", facts={"layout": "kravport-no-flow-1"},
        tells=("write_ocr_giro", "write_camt054"),
    ),
    Counterpart(
        "intrum", "ophelos-2025-04-01", Ophelos, API | DEALINGS, country="SE", currency="EUR",
        facts={"layout": "ophelos-2025-04-01"}, options={"settings": {"organisation_id": "org_1"}},
    ),
    _ledger_service(
        "lowell", "kravport-sls-1", tells=("write_payments", "write_camt054", "write_ocr_giro", "write_cremul")
    ),
    Counterpart(
        "lowell", "lowell-fi-assignment-1", LowellAssignments, (API - _WEBHOOKS) | POST | DEALINGS, country="FI",
        currency="EUR", card=_FINN, facts={"layout": "lowell-fi-assignment-1", "subclient_id": "900001", **_FI_ACCOUNTS},
        options={
            "service": "collection", "settings": _LOWELL_FI, "agency_accounts": [_FI_ACCOUNTS["agency_account"]],
            "payment_account": _FI_ACCOUNTS["creditor_account"],
        },
        later=(), reference=lambda number, _: make_viitenumero(number),
    ),
    _factor(
        "sgfinans-9409", "1234", settings={"kid_scheme": "sgfinans-16"}, tells=("ocr", "camt.054"),
        reference=lambda number, customer: make_factors_kid("sgfinans-16", client="1234", customer=customer, invoice=number),
    ),
    _factor(
        "factonor", "123", facts={"kid_scheme": "factonor-16"}, tells=("ocr", "camt.054"), sets_credit_notes_apart=True,
        reference=lambda number, customer: make_factors_kid("factonor-16", client="123", customer=customer, invoice=number),
    ),
    _factor(
        "peppol-factored", "1234", settings={"factor_party_id": "999999999"}, tells=("ocr", "camt.054"),
        facts={"pay_to_account": _BANK["agency_account"], "creditor_account": _BANK["creditor_account"]},
        issues_documents=True,
    ),
    *map(_fall, ("nordea", "op", "danske", "aktia")),
    _ledger_service("esp", "kravport-sls-1", options={"service": "reminder"}),
    Counterpart(
        "esp", "nk003-advanced", Nk003, _MAILBOX | {"partial_settlement"},
        facts={"client_number": "4711", "our_reference": "Kari"}, knows_by_number=True, later=(),
        options={"service": "collection", "settings": {"our_reference": "Kari"}, "agency_accounts": ["15030000025"]},
    ),
    Counterpart(
        "esp", "kravport-pull-1", pulling.Fetching,
        DEALINGS | pulling.WAYS,
        options={"service": "reminder", "settings": {}},
    ),
    Counterpart(
        "kravia", "kravia-2", Kravia, _OF_A_KEY | DEALINGS,
        facts={"client_number": "10001", "currency": "NOK"},
        options={"service": "collection", "client_number": "10001", "settings": {}},
    ),
)  # fmt: skip
