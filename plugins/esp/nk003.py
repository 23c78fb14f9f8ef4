"""NK003 Advanced, as ESP's sandbox is handed it: new claims and nothing else (esp.md section 3).

The layout is an accounting vendor's and nobody's agency's; ``profiles/nk003-advanced.toml`` declares it. Here stands what
the columns alone do not say: what of a card would be lost on the way, and what must not be collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from gateway.domain.exchange import Agreement, Claim, Customer, Envelope, Finding, Seal, Severity, Sink, Totals
from gateway.errors import EncodeError
from gateway.profiles import ClaimCheck, ProfileFile, export, layout_profile, load, verify

NAME = "nk003-advanced"
_PROFILE = load(Path(__file__).with_name("profiles") / f"{NAME}.toml")
_CLAIMS = ProfileFile(_PROFILE, "claims")
_CHECK = ClaimCheck(_CLAIMS)
_COUNTRY = "NO"

LAYOUT = layout_profile(_PROFILE)
LIMITS = _PROFILE.limits


def customer_faults(customer: Customer) -> tuple[Finding, ...]:
    """Return what of a card has no place in the record, beside what does not fit its columns."""
    return (*_CHECK.customer_faults(customer), *_lost(customer))


def _lost(customer: Customer) -> Iterator[Finding]:
    if customer.country not in ("", _COUNTRY):  # a letter to an address without its country does not arrive
        yield _unfit("country", customer.country)
    if customer.address2.strip():
        yield _unfit("address2", customer.address2)
    if customer.customer_number.startswith("0"):  # zeros on the left fill the column: 017 and 17 would be one debtor
        yield _unfit("customer_number", customer.customer_number)


def claim_faults(claim: Claim, agreement: Agreement) -> tuple[Finding, ...]:
    """Return what keeps a claim out: a value that does not fit, or nothing that is left to collect."""
    if claim.open_minor <= 0:
        values = {"agency": agreement.display_name}
        return (Finding(Severity.BLOCKING, "amount.not_carried", "open_minor", str(claim.open_minor), values),)
    return _CHECK.claim_faults(claim._replace(items=()))  # items are in the balance


def write_claims(claims: Iterable[Claim], agreement: Agreement, seal: Seal, sink: Sink) -> tuple[Envelope, ...]:
    """Write new claims; raises ``EncodeError`` when a value does not fit."""
    return export(_CLAIMS, claims, agreement, seal, sink)


def write_nothing(
    claims: Iterable[Claim],
    agreement: Agreement,  # noqa: ARG001  # called as the others are
    seal: Seal,  # noqa: ARG001
    sink: Sink,  # noqa: ARG001
) -> tuple[Envelope, ...]:
    """Refuse later items: the layout has no update file, and the host hands none over. No claim, no file."""
    for claim in claims:
        raise EncodeError(f"claim {claim.claim_id}: {_PROFILE.name} has no file for later items")
    return ()


def read_back(envelope: Envelope, source: BinaryIO) -> Totals:
    """Return the totals of a finished file; raises ``DecodeError``."""
    return verify(_CLAIMS, envelope, source)


def _unfit(place: str, value: str) -> Finding:
    return Finding(Severity.BLOCKING, "layout.does_not_fit", place, value, {"field": place})
