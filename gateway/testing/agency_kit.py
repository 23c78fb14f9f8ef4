"""Invented customers and claims, a seal, a sink and files as the host hands them: what tests of an agency plugin need."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO

from gateway.domain.exchange import (
    AgencyProfile,
    Agreement,
    Claim,
    Customer,
    CustomerKind,
    Direction,
    InboundFile,
    LinkedItem,
    LinkKind,
    Origin,
    Seal,
    Service,
)
from gateway.domain.identifiers import identity_scheme, mod10

NOW = datetime(2026, 11, 23, 17, 5, tzinfo=UTC)
"""A Monday evening in winter, when the samples' files are made."""
_PLACES = {
    "NO": ("999999980", "0155", "OSLO", "nb"),
    "SE": ("5599999918", "11122", "STOCKHOLM", "sv"),
    "DK": ("99999993", "1050", "KØBENHAVN", "da"),
    "FI": ("99999992", "00100", "HELSINKI", "fi"),
}
"""Organisation number that nobody has, postcode, city and language, per market."""


def sample_customer(market: str, number: int = 1) -> Customer:
    """Return a company that every check of the host lets pass; another *number* is another company card."""
    organisation_number, postcode, city, language = _PLACES.get(market, _PLACES["NO"])
    return Customer(
        f"{10000 + number}", CustomerKind.COMPANY, f"Nordfjord Bygg {number}", organisation_number, "",
        identity_scheme(market, CustomerKind.COMPANY, organisation_number), f"Storgata {number}", "", postcode, city,
        market, "post@nordfjord.example", "22334455", language,
    )  # fmt: skip


def sample_claim(market: str, number: int, items: Sequence[LinkedItem] = ()) -> Claim:
    """Return invoice *number* (from 1) of some customer, 1 000.00 and *number* times 0.01, with *items* linked to it."""
    invoice, total = f"{5000 + number}", 100_000 + number
    told = total + sum(item.amount_minor if item.direction is Direction.DEBIT else -item.amount_minor for item in items)
    return Claim(
        f"kp-{number}", invoice, f"{7000 + number}", "", date(2026, 11, 2), date(2026, 11, 16), total, told, invoice + mod10(invoice), "",
        sample_customer(market, (number + 2) // 3), tuple(items), reminder_date=date(2026, 11, 20),
    )  # fmt: skip


def sample_item(number: int, kind: LinkKind) -> LinkedItem:
    """Return a linked item that lowers a claim by 100.00."""
    named = f"{8000 + number}"
    return LinkedItem(
        f"kp-{900000 + number}-1", kind, date(2026, 11, 18), 10_000, Direction.CREDIT, Origin.CREDITOR, named, named
    )


def sample_seal(profile: AgencyProfile, agreement: Agreement, run: int = 1) -> Seal:
    """Return the seal of the *run*-th evening of an agreement."""
    layout = profile.layout(agreement.profile)
    series = layout.series if layout else {}
    now = NOW + timedelta(days=run - 1)
    return Seal(
        sequences={kind: counter.first + run - 1 for kind, counter in series.items()},
        file_ids={kind: f"00000000-0000-4000-8000-{place:06d}{run:06d}" for place, kind in enumerate(sorted(series))},
        created_at=now,
        business_date=now.date(),
        sender_id=agreement.client_number,
        receiver_id=str(agreement.settings.get("agency_id", agreement.agency_key.upper())),
        is_test=agreement.is_sandbox,
    )


def sample_agreement(
    profile: AgencyProfile,
    settings: Mapping[str, object],
    *,
    client_number: str = "4711",
    market: str = "",
    layout: str = "",
) -> Agreement:
    """Return a sandbox agreement of Fjord AS; *market* is Norway, or the first there is, *layout* the first, unless named."""
    market = market or ("NO" if "NO" in profile.markets else min(profile.markets))
    services = sorted(profile.services, key=lambda one: (one is not Service.LEDGER, one.value))
    service = services[0] if services else Service.LEDGER
    usual = {"NO": "NOK", "SE": "SEK", "DK": "DKK", "FI": "EUR"}.get(market, "EUR")
    return Agreement(
        1, profile.key, 1, "Fjord AS", profile.name, client_number, service, market,
        usual if usual in profile.currencies else min(profile.currencies), layout or profile.layouts[0].name, is_sandbox=True,
        settings=settings,
    )  # fmt: skip


def as_inbound(content: bytes, filename: str = "answer") -> InboundFile:
    """Return *content* as the host hands a stored file to a plugin."""
    return InboundFile(1, filename, NOW, len(content), content[: 64 << 10], lambda: io.BytesIO(content))


class MemorySink:
    """Keeps files as they are written, by name.

    Raises:
        AssertionError: two files open at once, or one name twice; the host allows neither.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.written = 0
        self._open = ""

    @contextmanager
    def open(self, filename: str) -> Iterator[BinaryIO]:
        """Return the stream for *filename*."""
        assert not self._open, f"{filename} was opened before {self._open} was closed"
        assert filename not in self.files, f"{filename} was opened twice"
        self._open, stream = filename, _Noted(self)
        yield stream
        self.files[filename], self._open = stream.getvalue(), ""


class _Noted(io.BytesIO):
    """Tells its sink how much has reached it so far."""

    def __init__(self, sink: MemorySink) -> None:
        super().__init__()
        self._sink = sink

    def write(self, data: Any, /) -> int:
        count = super().write(data)
        self._sink.written += count
        return count


def handed(claims: Iterable[Claim], sink: MemorySink, seen: list[int]) -> Iterator[Claim]:
    """Yield *claims* once; note in *seen* how many bytes had reached *sink* when each was asked for."""
    for claim in claims:
        seen.append(sink.written)
        yield claim
