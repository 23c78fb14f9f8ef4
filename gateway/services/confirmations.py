"""Who confirmed a layout profile with its agency, and on what document (R-OP-18).

A confirmation is bound to the bytes of the profile: whoever changes one sign of it must ask the agency again. The host asks
here, in one place, before an agreement is activated for production and before each delivery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection, insert, select, update

from gateway.db import audit
from gateway.db.tables import ProfileConfirmation
from gateway.domain.exchange import LayoutProfile
from gateway.errors import DataError, NotFound
from gateway.profiles import Profile
from gateway.services.house import House

INSTALLATION = 0
"""Chain of the audit trail for what belongs to no creditor."""

LONGEST = 200


def is_confirmed(connection: Connection, layout: LayoutProfile) -> bool:
    """Return whether files of *layout* may go to production."""
    return layout.confirmed or (bool(layout.sha256) and confirmation_of(connection, layout.sha256) is not None)


def may_leave_sandbox(house: House, layout: LayoutProfile) -> bool:
    """Return the same for whoever stands in no transaction."""
    with house.database.read() as connection:
        return is_confirmed(connection, layout)


def confirmation_of(connection: Connection, sha256: str) -> ProfileConfirmation | None:
    """Return the confirmation that holds for a profile with these bytes, or None."""
    c = ProfileConfirmation
    columns = (
        c.id,
        c.profile,
        c.document,
        c.document_version,
        c.document_date,
        c.told_by,
        c.confirmed_by,
        c.confirmed_at,
    )
    query = select(*columns).where(c.sha256 == sha256, c.withdrawn_at.is_(None)).order_by(c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else ProfileConfirmation(sha256=sha256, **row._asdict())


def confirm(
    house: House,
    profile: Profile,
    content: bytes,
    *,
    document: str,
    version: str,
    dated: date,
    told_by: str,
    actor: str,
) -> int:
    """Note that the agency confirmed *profile*; return the number of the confirmation.

    Args:
        house: the house.
        profile: what was confirmed, as read from *content*.
        content: its bytes.
        document: title of the agency's document that it follows.
        version: of that document.
        dated: its date.
        told_by: who at the agency said so, and how.
        actor: the operator.

    Raises:
        DataError: *content* is not what *profile* was read from, the profile is nobody's layout, still asks something of the agency, or one of the four is missing.
    """
    _refuse_unknown(profile, content, {"document": document, "version": version, "told by": told_by})
    if dated > house.now().date():
        raise DataError(f"the document's date {dated.isoformat()} lies in the future")
    with house.database.write() as connection:
        if confirmation_of(connection, profile.sha256) is not None:
            raise DataError(f"{profile.name} is confirmed already; withdraw that first")
        values = {
            "sha256": profile.sha256, "profile": profile.name, "document": document.strip(),
            "document_version": version.strip(), "document_date": dated, "told_by": told_by.strip(),
            "confirmed_by": actor, "confirmed_at": house.now(),
        }  # fmt: skip
        new = connection.execute(
            insert(ProfileConfirmation)
            .values(**values, content=content.decode("utf-8-sig"))
            .returning(ProfileConfirmation.id)
        ).scalar_one()
        _record(house, connection, actor, "profile.confirmed", profile, document=document, version=version,
                dated=dated.isoformat(), told_by=told_by)  # fmt: skip
    return int(new)


def _refuse_unknown(profile: Profile, content: bytes, stated: Mapping[str, str]) -> None:
    """Refuse to confirm what is not known: other bytes, nobody's layout, an open question, a paper without a name."""
    if hashlib.sha256(content).hexdigest() != profile.sha256:
        raise DataError(f"{profile.name} was changed while it was read")
    for name, text in stated.items():
        if not text.strip() or len(text) > LONGEST:
            raise DataError(f"{name} must be said, in at most {LONGEST} characters")
    if profile.is_sandbox_only:
        raise DataError(f"{profile.name} is nobody's layout: it goes to sandboxes only and cannot be confirmed")
    if profile.questions:
        left = "; ".join(f"{key}: {question}" for key, question in profile.questions)
        raise DataError(f"{profile.name} still asks the agency: {left}")


def withdraw(house: House, profile: Profile, actor: str) -> None:
    """Take the confirmation of *profile* back: its files stay in sandboxes from now on. Raises ``NotFound``."""
    c = ProfileConfirmation
    with house.database.write() as connection:
        done = connection.execute(
            update(c)
            .where(c.sha256 == profile.sha256, c.withdrawn_at.is_(None))
            .values(withdrawn_by=actor, withdrawn_at=house.now())
        )
        if not done.rowcount:
            raise NotFound(f"{profile.name} is not confirmed as it stands")
        _record(house, connection, actor, "profile.withdrawn", profile)


def _record(house: House, connection: Connection, actor: str, action: str, profile: Profile, **facts: str) -> None:
    facts |= {"sha256": profile.sha256}
    audit.record(connection, INSTALLATION, house.now(), actor, action, "profile", profile.name, **facts)
