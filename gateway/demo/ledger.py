"""The demo ledger: what three accounting systems tell in the first and in the second evening.

Each line is a record as ``POST /api/v1/records`` and ``kravport ingest`` take it. Most invoices are ordinary; the others
each show one thing the evening must get right, and say so in their text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any, cast

from gateway.demo.people import company, organisation_numbers, person
from gateway.domain.exchange import AgencyProfile, Can, LayoutProfile, Service
from gateway.domain.identifiers import KidCheck, make_kid, make_ocr, make_viitenumero
from gateway.errors import DataError

Record = dict[str, Any]
_BOOKED = ("2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20")
_DUE = ("2026-11-30", "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04")
_OVERDUE, _REMINDED = timedelta(days=60), timedelta(days=7)
_FACTONOR = "factonor"
_CLIENTS = {_FACTONOR: "123", "svea-fi": "7654321"}
"""Client numbers of layouts whose column is narrower than usual, or wider."""
_COMMON = "EUR"
"""Currency of a creditor whose agency does not take its own."""
SECOND_DAY = "2026-11-24"
LEFT_FOR_TOMORROW = frozenset({"10010", "10018", "10021", "20015", "30002", "40005"})
"""Invoices that nobody pays on the first evening, because something else happens to them on the second."""


@dataclass(frozen=True, slots=True)
class DemoCreditor:
    """One invented creditor with its agreement; *settings* are the agency plugin's, *facts* more that its sandbox needs."""

    key: str
    name: str
    organisation_number: str
    country: str
    currency: str
    time_zone: str
    language: str
    agency_key: str
    service: str
    profile: str
    client_number: str
    payment_account: str
    settings: Mapping[str, Any]
    posts_automatically: bool
    treated_as_factoring: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_factored(self) -> bool:
        """The agency is a factor: no file of its own comes back."""
        return self.service == "factoring"


@dataclass(slots=True)
class Books:
    """What one creditor's accounting system knows, in the order it tells it."""

    currency: str
    reference: Callable[[str, str], str]
    records: list[Record] = field(default_factory=list)

    def card(self, number: str, card: Record) -> str:
        """Add a customer; return its external id."""
        self.records.append({"type": "customer", "external_id": f"C{number}", "customer_number": number, **card})
        return f"C{number}"

    def invoice(self, customer: str, number: int, minor: int, **more: Any) -> str:
        """Add an invoice; return its external id."""
        place = number % len(_BOOKED)
        values = {
            "amount_minor": minor,
            "booked": _BOOKED[place],
            "due": _DUE[place],
            "payment_reference": self.reference(customer[1:], str(number)),
            "text": "Varer",
        }
        self._add("invoice", f"I{number}", customer, number=str(number), **{**values, **more})
        return f"I{number}"

    def entry(self, kind: str, external_id: str, customer: str, minor: int, **more: Any) -> str:
        """Add any other entry; return its external id."""
        self._add(kind, external_id, customer, amount_minor=minor, **{"booked": _BOOKED[4], **more})
        return external_id

    def link(self, external_id: str, *entries: str) -> None:
        """Say what belongs together; nothing dissolves the link."""
        self.records.append({"type": "link", "external_id": external_id, "entries": list(entries)})

    def _add(self, kind: str, external_id: str, customer: str, **values: Any) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        self.records.append(
            {"type": kind, "external_id": external_id, "customer": customer, "currency": self.currency, **given}
        )


def creditors() -> tuple[DemoCreditor, ...]:
    """Return the three creditors: a Norwegian with Lowell, a Swedish with Intrum, a Norwegian with a factor."""
    fjord, vik = list(organisation_numbers("NO"))[:2]
    sjo = next(organisation_numbers("SE"))
    no: Any = {"country": "NO", "currency": "NOK", "time_zone": "Europe/Oslo", "language": "nb"}
    se: Any = {"country": "SE", "currency": "SEK", "time_zone": "Europe/Stockholm", "language": "sv"}
    sls: Any = {"service": "ledger", "profile": "kravport-sls-1"}
    return (
        DemoCreditor(
            key="fjord", name="Fjord AS", organisation_number=fjord, **no, agency_key="lowell", **sls,
            client_number="4711", payment_account="15030000010", posts_automatically=True,
            settings={"ledger_id": "FJORD-1", "agency_id": "LOWELL-SANDBOX"},
        ),
        DemoCreditor(
            key="sjo", name="Sjö AB", organisation_number=sjo, **se, agency_key="intrum", **sls,
            client_number="8844", payment_account="SE4550000000058398257466", posts_automatically=False,
            treated_as_factoring=True,
            settings={"ledger_id": "SJO-1", "agency_id": "INTRUM-SANDBOX"},
        ),
        DemoCreditor(
            key="vik", name="Vik Handel AS", organisation_number=vik, **no, agency_key="factoring",
            service="factoring", profile="sgfinans-9409", client_number="1234", payment_account="15030000037",
            posts_automatically=True, settings={"kid_scheme": "standard-15"},
        ),
    )  # fmt: skip


def creditors_of(profile: AgencyProfile, layout: str = "") -> tuple[DemoCreditor, ...]:
    """Return the one creditor of an evening with this agency alone: its own of the three, else one that takes its place.

    Args:
        profile: the agency's.
        layout: name of the layout, if not that of its own creditor or its first.

    Raises:
        DataError: the agency cannot be handed anything, or nothing of what the demo's creditors have.
    """
    if Can.EXPORT_INVOICE not in profile.can:
        raise DataError(f"{profile.key} takes no invoices yet. {' '.join(profile.limits[:1])}")
    chosen = profile.layout(layout or profile.layouts[0].name)
    if chosen is None:
        raise DataError(f"{profile.key} has no layout {layout}; {choices(profile)}")
    if not chosen.series:
        raise DataError(f"{profile.key} only reads {layout} and writes nothing in it; {choices(profile)}")
    for creditor in creditors():
        if creditor.agency_key == profile.key and layout in {"", creditor.profile}:
            return (creditor,)
    for creditor in _standing_in(profile):
        if creditor.country in (chosen.markets or profile.markets):
            currencies = chosen.currencies or profile.currencies
            currency = creditor.currency if creditor.currency in currencies else _COMMON
            if currency in currencies:
                facts = {"layout": layout} if layout else {}
                return (replace(_in_place_of(creditor, profile, chosen), currency=currency, facts=facts),)
    raise DataError(
        f"{profile.key} works in {', '.join(sorted(profile.markets))}; the demo's ledgers are NO, SE and FI"
    )


def choices(profile: AgencyProfile) -> str:
    """Return which of an agency's layouts an evening can be played with, in words."""
    return f"there is {', '.join(one.name for one in profile.layouts if one.series)}"


def _standing_in(profile: AgencyProfile) -> tuple[DemoCreditor, ...]:
    """Return who may take this agency, best first: for a factor the one that sells its invoices, a Finn last."""
    fjord, sjo, vik = creditors()
    meri = replace(
        fjord, key="meri", name="Meri Oy", organisation_number=next(organisation_numbers("FI")), country="FI",
        currency="EUR", time_zone="Europe/Helsinki", language="en", client_number="2468",
        payment_account="FI2112345600000785",
    )  # fmt: skip
    return (vik, sjo, meri) if Service.FACTORING in profile.services else (fjord, sjo, meri)


def _in_place_of(creditor: DemoCreditor, profile: AgencyProfile, layout: LayoutProfile) -> DemoCreditor:
    """Return *creditor* with this agency, with the settings that have a default, and an example of those its layout needs.

    One that needs others says so when the agreement is made. An agency that can do more than collect is not asked to.
    """
    rules = cast("Mapping[str, Mapping[str, Any]]", profile.settings_schema.get("properties", {}))
    usual = {name: rule["default"] for name, rule in rules.items() if "default" in rule}
    needed = {name: _example(rules.get(name, {})) for name in layout.settings}
    at_once = (Service.LEDGER, Service.REMINDER)
    service = next((one for one in at_once if one in profile.services), min(profile.services, key=str))
    return replace(
        creditor,
        agency_key=profile.key,
        service=service.value,
        profile=layout.name,
        client_number=_CLIENTS.get(layout.name, creditor.client_number),
        settings=needed | usual,
        treated_as_factoring=False,
    )


def _example(rule: Mapping[str, Any]) -> Any:
    return next(iter(rule.get("examples", ())), "DEMO-1")


def told_by(creditor: DemoCreditor, day: Callable[[str], list[Record]]) -> list[Record]:
    """Return what a creditor's accounting system tells on a *day*; where the agency collects, of invoices long overdue."""
    records = [
        record | {"currency": creditor.currency} if "currency" in record else record for record in day(creditor.key)
    ]
    if creditor.profile == _FACTONOR:
        records = [_as_factonor_has_it(creditor, record) for record in records]
    return [_overdue(record) for record in records] if creditor.service == Service.COLLECTION.value else records


def _as_factonor_has_it(creditor: DemoCreditor, record: Record) -> Record:
    """The KID is of its own scheme: three places of client, six of customer, six of invoice; a wrong one stays wrong."""
    if record["type"] != "invoice" or record["payment_reference"] != _kid(record["customer"][1:], record["number"]):
        return record
    base = f"{creditor.client_number:0>3}{record['customer'][1:]:0>6}{record['number']:0>6}"
    return record | {"payment_reference": make_kid(base, KidCheck.MOD10)}


def _overdue(record: Record) -> Record:
    if record["type"] != "invoice" or "due" not in record:
        return record
    booked, due = (date.fromisoformat(record[name]) - _OVERDUE for name in ("booked", "due"))
    days = {"booked": booked, "due": due, "reminder_date": due + _REMINDED}
    return record | {name: day.isoformat() for name, day in days.items()}


def first_day(key: str) -> list[Record]:
    """Return what the accounting system of creditor *key* tells before the first evening."""
    return {"fjord": _fjord, "sjo": _sjo, "vik": _vik, "meri": _meri}[key]().records


def second_day(key: str) -> list[Record]:
    """Return what changes between the first and the second evening: links, unlinking, later items, a completed order."""
    books = _empty(key)
    if key == "fjord":
        books.invoice("C2006", 10_014, 88_000, order_status="invoiced", order_number="O-14")
        books.link("L-LATE", "I10010", "P-LOOSE")
        books.link("L-UNDO")
        books.entry("credit_note", "K-LATE", "C2010", 20_000, number="90002", credits=["10021"], booked=SECOND_DAY)
        books.link("L-CREDIT2", "I10021", "K-LATE")
    elif key == "sjo":
        books.entry("payment", "P-SE2", "C3007", 40_000, booked=SECOND_DAY, bank_reference="SE-2")
        books.link("L-SE2", "I20015", "P-SE2")
    elif key == "vik":
        books.entry("credit_note", "K-VIK2", "C40", 15_000, number="90012", credits=["30002"], booked=SECOND_DAY)
        books.link("L-VIK2", "I30002", "K-VIK2")
    else:
        books.entry("credit_note", "K-FI2", "C402", 12_000, number="90022", credits=["40005"], booked=SECOND_DAY)
        books.link("L-FI2", "I40005", "K-FI2")
    return books.records


def third_day(key: str) -> list[Record]:
    """Return new invoices that wait for a third evening, so that a visitor of the panel sees what goes tonight."""
    books = _empty(key)
    customers, first = {"fjord": (("C2010", "C2011", "C2014"), 10_101), "sjo": (("C3006", "C3010"), 20_101),
                        "vik": (("C43", "C44"), 30_101), "meri": (("C405", "C406"), 40_101)}[key]  # fmt: skip
    for number, customer in enumerate(customers, start=first):
        books.invoice(customer, number, _amount(number), booked=SECOND_DAY, due="2026-12-08")
    return books.records


def _empty(key: str) -> Books:
    return Books(*{"sjo": ("SEK", _ocr), "meri": ("EUR", _viite)}.get(key, ("NOK", _kid)))


def _kid(customer: str, invoice: str) -> str:
    """The scheme "standard-15": seven places of invoice, seven of customer, the check digit."""
    return make_kid(f"{int(invoice):07d}{int(customer):07d}", KidCheck.MOD10)


def _ocr(customer: str, invoice: str) -> str:
    return make_ocr(f"{customer}{invoice}", with_length_digit=True)


def _viite(_: str, invoice: str) -> str:
    return make_viitenumero(invoice)


def _amount(number: int) -> int:
    """An amount that looks like one: different for each invoice, with odd øre here and there."""
    return 25_000 + number % 97 * 1_350 + (number % 4 == 0) * 37


def _fjord() -> Books:
    """Thirty customers, sixty invoices; one of each kind of trouble."""
    books = _empty("fjord")
    numbers = list(organisation_numbers("NO"))[2:]
    cards = [company("NO", n, number) for n, number in enumerate(numbers)]
    cards += [person("NO", n, with_id=n % 3 != 0) for n in range(len(numbers), 27)]
    cards += [
        person("NO", 27, address1="", postcode="", city=""),
        company("NO", 28, "", address1="-"),
        person("NO", 29, kind=""),
    ]
    customers = [books.card(str(2000 + n), {k: v for k, v in card.items() if v}) for n, card in enumerate(cards)]
    for n, customer in enumerate(customers):
        for number in (10_001 + 2 * n, 10_002 + 2 * n):
            if number not in _FJORD_SPECIAL:
                books.invoice(customer, number, _amount(number))
    _fjord_specials(books)
    return books


_FJORD_SPECIAL = {10_003, 10_004, 10_005, 10_006, 10_007, 10_008, 10_009, 10_010, 10_014, 10_018, 10_020}


def _fjord_specials(books: Books) -> None:
    books.invoice("C2001", 10_003, 100_000, text="Direkte betaling i del")
    books.entry("payment", "P-PART", "C2001", 25_000, is_bank=True, bank_reference="DIR-1")
    books.link("L-PART", "I10003", "P-PART")
    books.invoice("C2001", 10_004, 64_000, text="Kreditnota")
    books.entry("credit_note", "K-1", "C2001", 14_000, number="90001", credits=["10004"])
    books.link("L-CREDIT", "I10004", "K-1")
    books.invoice("C2002", 10_005, 50_000, text="Betalt to ganger, tilbakebetalt")
    books.entry("payment", "P-TWICE1", "C2002", 50_000, is_bank=True, bank_reference="DIR-2")
    books.entry("payment", "P-TWICE2", "C2002", 50_000, is_bank=True, bank_reference="DIR-3")
    books.entry("payment_out", "U-TWICE", "C2002", 50_000, is_bank=True, bank_reference="DIR-4")
    books.link("L-TWICE", "I10005", "P-TWICE1", "P-TWICE2", "U-TWICE")
    books.invoice("C2002", 10_006, 72_500, text="Linje merket ikke overfør")
    books.entry("voucher_line", "V-FLAG", "C2002", -2_500, do_not_transfer=True, text="Øreavrunding, intern")
    books.link("L-FLAG", "I10006", "V-FLAG")
    books.invoice("C2003", 10_007, 30_000, text="To fakturaer i én gruppe")
    books.invoice("C2003", 10_008, 45_000, text="To fakturaer i én gruppe")
    books.entry("payment", "P-MIXED", "C2003", 75_000, is_bank=True, bank_reference="DIR-5")
    books.link("L-MIXED", "I10007", "I10008", "P-MIXED")
    books.invoice("C2004", 10_009, 39_000, text="Ser ut som avskrivning")
    books.entry("voucher_line", "V-LOSS", "C2004", -9_000, counter_account="7830", text="Tap")
    books.link("L-LOSS", "I10009", "V-LOSS")
    books.invoice("C2004", 10_010, 51_000, text="Betaling knyttes i morgen")
    books.entry("payment", "P-LOOSE", "C2004", 11_000, is_bank=True, bank_reference="DIR-6")
    books.invoice("C2006", 10_014, 88_000, order_status="order", order_number="O-14", text="Ordre, ikke fakturert")
    books.invoice("C2008", 10_018, 42_000, text="Knytning fjernes i morgen")
    books.entry("payment", "P-UNDO", "C2008", 12_000, is_bank=True, bank_reference="DIR-7")
    books.link("L-UNDO", "I10018", "P-UNDO")
    books.invoice("C2009", 10_020, 47_000, due=None, text="Uten forfall")


def _sjo() -> Books:
    """Twenty customers, forty invoices; Intrum insists on numbers."""
    books = _empty("sjo")
    numbers = list(organisation_numbers("SE"))[1:]
    cards = [company("SE", n, number) for n, number in enumerate(numbers)]
    cards += [person("SE", n) for n in range(len(numbers), 17)]
    cards += [
        company("SE", 17, "", name="Utan Nummer AB"),
        person("SE", 18, with_id=False),
        person("SE", 19, postcode="000 00"),
    ]
    customers = [books.card(str(3000 + n), {k: v for k, v in card.items() if v}) for n, card in enumerate(cards)]
    for n, customer in enumerate(customers):
        for number in (20_001 + 2 * n, 20_002 + 2 * n):
            books.invoice(customer, number, _amount(number), text="Varor")
    books.entry("payment", "P-SE1", "C3001", 10_000, is_bank=True, bank_reference="SE-1")
    books.link("L-SE1", "I20003", "P-SE1")
    books.entry("credit_note", "K-SE1", "C3002", 5_000, number="90005", credits=["20005"])
    books.link("L-SE2C", "I20005", "K-SE1")
    return books


def _vik() -> Books:
    """Ten customers, twenty invoices; the factor takes companies with numbers only and no payments."""
    books = _empty("vik")
    numbers = list(organisation_numbers("NO"))[2:]
    cards = [company("NO", n + 40, number) for n, number in enumerate(numbers)]
    cards += [person("NO", 50), company("NO", 51, ""), company("NO", 52, "", name="AS Feil Rekkefølge")]
    customers = [books.card(str(40 + n), {k: v for k, v in card.items() if v}) for n, card in enumerate(cards)]
    for n, customer in enumerate(customers):
        for number in (30_001 + 2 * n, 30_002 + 2 * n):
            changes = {"payment_reference": "1234567897"} if number == 30_014 else {}
            books.invoice(customer, number, _amount(number), **changes)
    books.entry("credit_note", "K-VIK1", "C40", 10_000, number="90011", credits=["30001"])
    books.link("L-VIK1", "I30001", "K-VIK1")
    books.entry("payment", "P-VIK1", "C42", 20_000, is_bank=True, bank_reference="VIK-1")
    books.link("L-VIK2P", "I30005", "P-VIK1")
    return books


def _meri() -> Books:
    """Twelve customers, twenty-four invoices; nobody has a national id, for Finland keeps none for tests that are valid."""
    books = _empty("meri")
    numbers = list(organisation_numbers("FI"))[1:11]
    cards = [company("FI", n, number) for n, number in enumerate(numbers)]
    cards += [person("FI", 10, with_id=False), company("FI", 11, "", name="Numeroton Oy")]
    customers = [books.card(str(400 + n), {k: v for k, v in card.items() if v}) for n, card in enumerate(cards)]
    for n, customer in enumerate(customers):
        for number in (40_001 + 2 * n, 40_002 + 2 * n):
            books.invoice(customer, number, _amount(number), text="Tavarat")
    books.entry("credit_note", "K-FI1", "C401", 10_000, number="90021", credits=["40003"])
    books.link("L-FI1", "I40003", "K-FI1")
    return books


def lines(records: list[Record]) -> Iterator[bytes]:
    """Yield *records* as JSON Lines."""
    import json  # noqa: PLC0415  # only the sender needs it

    for record in records:
        yield json.dumps(record, ensure_ascii=False).encode() + b"\n"
