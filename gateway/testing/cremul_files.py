"""A seeded maker of valid CREMUL files, Norwegian and Danish, and what a correct reader must find in them.

For tests, benchmarks and plugin authors. All names, accounts and numbers are invented. The same seed gives the same
bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from gateway.domain.money import format_minor
from gateway.testing.payment_files import ACCOUNT, FIRST_DAY, NAMES

Segment = tuple[str | tuple[str, ...], ...]
"""A tag and its elements; an element of several components is a tuple."""


@dataclass(frozen=True, slots=True)
class CremulDocument:
    """One DOC segment: *code* 999 KID, 380 or 998 invoice, 381 credit note; *party* makes NAD+IV behind it."""

    number: str
    amount_minor: int | None = None
    code: str = "380"
    party: str = ""


@dataclass(frozen=True, slots=True)
class CremulPayment:
    """One SEQ group. *kid* makes a DOC+999 with the whole amount; *payment_id* a Danish RFF+BID.

    *original_minor* and *charges_minor* are what the payer sent and what was taken of it; *address* is street, city and
    postcode; *is_plain_name* writes name and address in the unstructured shape.
    """

    amount_minor: int
    kid: str = ""
    documents: tuple[CremulDocument, ...] = ()
    texts: tuple[str, ...] = ()
    payment_id: str = ""
    name: str = "Kari Eksempel"
    address: tuple[str, str, str] = ("", "", "")
    is_plain_name: bool = False
    payer: str = "86011117947"
    archive: str = "*90000001"
    order: str = "8803600001"
    order_day: date | None = None
    qualifier: str = "143"
    category: str = ""
    original_minor: int | None = None
    charges_minor: int | None = None


@dataclass(frozen=True, slots=True)
class CremulLine:
    """One LIN group; its amount is the sum of its payments unless *amount_minor* is given."""

    payments: tuple[CremulPayment, ...] = ()
    bank_reference: str = "00412100001"
    account: str = ACCOUNT
    currency: str = "NOK"
    qualifier: str = "60"
    category: str = ""
    booking_day: date | None = FIRST_DAY
    value_day: date | None = FIRST_DAY
    amount_minor: int | None = None

    @property
    def total_minor(self) -> int:
        """What the account shows."""
        return sum(p.amount_minor for p in self.payments) if self.amount_minor is None else self.amount_minor


@dataclass(frozen=True, slots=True)
class CremulShape:
    """How the interchange is written.

    *advice* is what UNA says where that is not what is used, None leaves UNA out; *width* wraps the bytes at that
    column, *newline* follows each segment otherwise.
    """

    kind: str = "455"
    component: str = ":"
    element: str = "+"
    release: str = "?"
    terminator: str = "'"
    decimal: str = ","
    advice: str | None = ""
    width: int = 0
    newline: str = ""
    encoding: str = "latin-1"
    line_count: str = "LI"
    is_test: bool = False
    number: int = 1


def random_cremul_lines(seed: int, count: int) -> list[CremulLine]:
    """Return lines that hold *count* transactions together, in the shapes seen from Nordic banks."""
    rng, made, left = Random(seed), list[CremulLine](), count  # noqa: S311 - test data
    while left:
        size = rng.randint(1, min(left, 6))
        left -= size
        made.append(
            CremulLine(
                tuple(_payment(rng) for _ in range(size)),
                bank_reference=f"{rng.randrange(10**10):011d}" if rng.random() < 0.8 else "",
                account=rng.choice((ACCOUNT, "98765432109")),
                category=rng.choice(("", "230", "232", "233", "234", "240")),
                booking_day=FIRST_DAY + timedelta(days=rng.randrange(20)) if rng.random() < 0.5 else None,
                value_day=FIRST_DAY + timedelta(days=rng.randrange(20)),
                qualifier=rng.choice(("60", "346")),
            )
        )
    return made


def _payment(rng: Random) -> CremulPayment:
    amount = rng.choice((0, 1, 100, rng.randrange(10**6), rng.randrange(10**13)))
    kid = "".join(rng.choices("0123456789", k=rng.randint(1, 24))) + rng.choice("0123456789-")
    form = rng.random()
    documents: tuple[CremulDocument, ...] = ()
    if 0.5 <= form < 0.6:
        documents = (CremulDocument(f"OM{rng.randrange(10**6)} / K77", amount, party="K77"),)
    elif 0.6 <= form < 0.75:
        documents = (
            CremulDocument(f"F{rng.randrange(10**6)}", amount + 500),
            CremulDocument(f"K{rng.randrange(10**6)}", 500, code="381"),
        )
    charges = rng.randrange(1, 5000) if rng.random() < 0.1 else None
    return CremulPayment(
        amount,
        kid=kid if form < 0.5 else "",
        documents=documents,
        texts=rng.choice(((), ("Faktura 1005",), ("vår ref: 'A+B'?", "beløp 10,00")))
        if form >= 0.75 or rng.random() < 0.1
        else (),
        name=rng.choice((*NAMES, "Foretaket's + Co: ?")),
        address=rng.choice(
            (("", "", ""), ("Storgata 1", "OSLO", "0155"), ("Åsveien 7", "", ""), ("", "TROMSØ", "9008"))
        ),
        is_plain_name=rng.random() < 0.2,
        payer=rng.choice(("", f"{rng.randrange(10**11):011d}")),
        archive=rng.choice(("", f"*{rng.randrange(10**8):08d}", f"{rng.randrange(10**9):09d}")),
        order=rng.choice(("", f"{rng.randrange(10**10):010d}")),
        order_day=FIRST_DAY - timedelta(days=rng.randrange(5)) if rng.random() < 0.5 else None,
        qualifier="60" if charges else rng.choice(("143", "119", "60")),
        original_minor=amount + charges if charges else None,
        charges_minor=charges,
    )


def cremul_file(messages: Iterable[Sequence[CremulLine]], shape: CremulShape | None = None) -> bytes:
    """Return an interchange with one message for each sequence of lines."""
    shape = shape or CremulShape()
    return wrapped(b"".join(cremul_pieces(messages, shape)), shape)


def cremul_pieces(messages: Iterable[Sequence[CremulLine]], shape: CremulShape) -> Iterator[bytes]:
    """Yield an interchange message by message, not wrapped: a file of any size at constant memory."""
    advice = shape.advice
    if advice == "":
        advice = shape.component + shape.element + shape.decimal + (shape.release or " ") + " " + shape.terminator
    yield b"" if advice is None else f"UNA{advice}{'' if shape.width else shape.newline}".encode()
    test = ("", "", "", "", "", "1") if shape.is_test else ()
    yield _written(
        [("UNB", ("UNOC", "3"), "00810506482", "00999999999", ("261123", "0530"), f"R{shape.number}", *test)], shape
    )
    count = 0
    for lines in messages:
        count += 1
        yield _written(_message(count, lines, shape), shape)
    yield _written([("UNZ", str(count), f"R{shape.number}")], shape)


def kid_messages(count: int, seed: int, *, batch: int = 500) -> Iterator[list[CremulLine]]:
    """Yield messages that hold *count* ordinary payments by KID, *batch* to a line: what a benchmark reads."""
    rng, made = Random(seed), 0  # noqa: S311 - test data
    while made < count:
        size = min(batch, count - made)
        payments = tuple(
            CremulPayment(
                5000 + rng.randrange(2_500_000),
                kid=f"{rng.randrange(10**15):015d}",
                name=NAMES[rng.randrange(len(NAMES))],
                address=("Kirkeveien 12", "BERGEN", "5003"),
                payer=f"{rng.randrange(10**11):011d}",
                archive=f"{rng.randrange(10**9):09d}",
                order_day=FIRST_DAY,
            )
            for _ in range(size)
        )
        made += size
        yield [CremulLine(payments, bank_reference=f"{made:011d}", category="230")]


def wrapped(data: bytes, shape: CremulShape) -> bytes:
    """Return *data* as a bank wraps it: *width* bytes a line wherever that falls, the last line padded with blanks."""
    if not shape.width:
        return data
    newline = (shape.newline or "\n").encode()
    lines = [data[place : place + shape.width] for place in range(0, len(data), shape.width)]
    return newline.join([*lines[:-1], lines[-1].ljust(shape.width)]) + newline


# --- segments --------------------------------------------------------------------------------------------------------


def _written(segments: Iterable[Segment], shape: CremulShape) -> bytes:
    after = "" if shape.width else shape.newline
    return "".join(
        shape.element.join(_element(element, shape) for element in segment) + shape.terminator + after
        for segment in segments
    ).encode(shape.encoding)


def _element(element: str | tuple[str, ...], shape: CremulShape) -> str:
    parts = (element,) if isinstance(element, str) else element
    return shape.component.join(_released(part, shape) for part in parts)


def _released(text: str, shape: CremulShape) -> str:
    if not shape.release:
        return text
    marks = {shape.component, shape.element, shape.release, shape.terminator}
    return "".join(shape.release + char if char in marks else char for char in text)


def _message(number: int, lines: Sequence[CremulLine], shape: CremulShape) -> list[Segment]:
    segments: list[Segment] = [
        ("UNH", str(number), ("CREMUL", "D", "96A", "UN")),
        ("BGM", shape.kind, f"20261123{shape.number:04d}{number:04d}"),
        ("DTM", ("137", "20261123", "102")),
        ("NAD", "MR", "00999999999"),
    ]
    for place, line in enumerate(lines, 1):
        segments += _line(place, line, shape)
    if shape.line_count:
        segments.append(("CNT", (shape.line_count, str(len(lines)))))
    return [*segments, ("UNT", str(len(segments) + 1), str(number))]


def _line(place: int, line: CremulLine, shape: CremulShape) -> list[Segment]:
    segments: list[Segment] = [("LIN", str(place))]
    segments += [("DTM", ("202", f"{line.booking_day:%Y%m%d}", "102"))] if line.booking_day else []
    segments += [("DTM", ("209", f"{line.value_day:%Y%m%d}", "102"))] if line.value_day else []
    segments.append(("BUS", "", "DO", "", (line.category, "25", "124")) if line.category else ("BUS", "", "DO"))
    segments.append(_money(line.qualifier, line.total_minor, line.currency, shape, names_currency=True))
    segments.append(("RFF", ("ACK", line.bank_reference)) if line.bank_reference else ("RFF", "AII"))
    segments.append(("FII", "BF", line.account))
    for number, payment in enumerate(line.payments, 1):
        segments += _transaction(number, payment, line.currency, shape)
    return segments


def _money(
    qualifier: str, minor: int, currency: str, shape: CremulShape, *, names_currency: bool = False
) -> tuple[str, tuple[str, ...]]:
    text = format_minor(minor, currency).replace(".", shape.decimal)
    return "MOA", (qualifier, text, currency) if names_currency else (qualifier, text)


def _transaction(number: int, payment: CremulPayment, currency: str, shape: CremulShape) -> list[Segment]:
    segments: list[Segment] = [("SEQ", "", str(number))]
    segments += [("DTM", ("203", f"{payment.order_day:%Y%m%d}", "102"))] if payment.order_day else []
    segments += [("BUS", "", "DO", "", payment.category)] if payment.category else []
    segments.append(("FII", "OR", payment.payer) if payment.payer else ("FII", "OR"))
    segments += [("RFF", ("AEK", payment.order))] if payment.order else []
    segments += [("RFF", ("ACD", payment.archive))] if payment.archive else []
    segments += [("RFF", ("BID", payment.payment_id)), ("RFF", ("KAK", "71"))] if payment.payment_id else []
    segments.append(_money(payment.qualifier, payment.amount_minor, currency, shape))
    if payment.original_minor is not None:
        segments.append(_money("98", payment.original_minor, currency, shape, names_currency=True))
    segments += _payer(payment)
    if payment.charges_minor is not None:
        segments += [("FCA", "14"), _money("23", payment.charges_minor, currency, shape)]
    return segments + _details(payment, currency, shape)


def _payer(payment: CremulPayment) -> list[Segment]:
    street, city, postcode = payment.address
    if payment.is_plain_name:
        town = f"{postcode} {city}".strip()
        return [("NAD", "PL", "", (payment.name, *(part for part in (street, town) if part)))]
    if not any(payment.address):
        return [("NAD", "PL", "", "", payment.name)]
    return [("NAD", "PL", "", "", payment.name, street, city, "", postcode)]


def _details(payment: CremulPayment, currency: str, shape: CremulShape) -> list[Segment]:
    documents = payment.documents
    if payment.kid:
        documents = (CremulDocument(payment.kid, payment.amount_minor, code="999"), *documents)
    segments: list[Segment] = [("PRC", "8" if documents else "11")] if documents or payment.texts else []
    if not documents and payment.texts:
        return [*segments, ("FTX", "PMD", "", "", payment.texts)]
    for document in documents:
        segments.append(("DOC", document.code, document.number))
        if document.amount_minor is not None:
            segments.append(_money("12", document.amount_minor, currency, shape))
        segments += [("NAD", "IV", (document.party, "", "91"))] if document.party else []
        segments += [("FTX", "PMD", "", "", payment.texts)] if payment.texts and document is documents[-1] else []
    return [*segments, ("GIS", "37")] if documents else segments
