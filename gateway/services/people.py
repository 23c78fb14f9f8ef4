"""People of the panel: who may log in, as what, and with which preferences.

Passwords are hashed with argon2id. Five wrong ones in a row lock the account for a quarter of an hour; the answer is the
same for a wrong password, an unknown address and a locked account, and takes the same time.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, insert, select, update

from gateway.db import audit
from gateway.db.tables import Creditor, Role, User, user_creditor, user_role
from gateway.errors import DataError, NotFound
from gateway.services.house import House

ROLES = ("bookkeeper", "admin", "operator")
LANGUAGES = ("nb", "sv", "en")
FAILURES_BEFORE_LOCK = 5
LOCK = timedelta(minutes=15)
PASSWORD_CHARACTERS_MIN = 12
"""NIST SP 800-63B asks for 15 without a second factor and 8 with one; length is all that is demanded."""
PREFERENCE_CHARACTERS_MAX = 200

_hasher = PasswordHasher()


def add_user(
    house: House,
    email: str,
    password: str,
    roles: Sequence[str],
    creditor_ids: Sequence[int],
    language: str = "nb",
    actor: str = audit.SYSTEM,
    name: str = "",
) -> int:
    """Add a person who may log in, and return the id.

    Args:
        house: the house.
        email: address to log in with; kept in lower case.
        password: in clear; at least `PASSWORD_CHARACTERS_MIN` characters.
        roles: any of `ROLES`.
        creditor_ids: the creditors a bookkeeper or operator may see; an admin sees all.
        language: of the panel, one of `LANGUAGES`.
        actor: who adds.
        name: as shown in the panel; the address where empty.

    Raises:
        DataError: address taken or not an address, password too short, role or language unknown.
        NotFound: a creditor does not exist.
    """
    address = _address(email)
    _check(password, roles, language)
    with house.database.write() as connection:
        if _row_of(connection, address) is not None:
            raise DataError(f"{address} is already a user")
        _check_creditors(connection, creditor_ids)
        user_id = connection.execute(
            insert(User)
            .values(
                email=address,
                name=name,
                password=_hasher.hash(password),
                active=True,
                fs_uniquifier=secrets.token_urlsafe(32),
                language=language,
                preferences={},
                failed_logins=0,
            )
            .returning(User.id)
        ).scalar_one()
        for role in dict.fromkeys(roles):
            connection.execute(insert(user_role).values(user_id=user_id, role_id=_role_id(connection, role)))
        for creditor_id in dict.fromkeys(creditor_ids):
            connection.execute(insert(user_creditor).values(user_id=user_id, creditor_id=creditor_id))
        facts = {"roles": list(roles), "creditors": list(creditor_ids)}
        audit.record(connection, 0, house.now(), actor, "user.added", "user", user_id, **facts)
        return int(user_id)


def authenticate(house: House, email: str, password: str) -> int | None:
    """Return the id of the person whose address and password these are, or None; counts failures and locks.

    The slow comparison runs outside any transaction, so that guessing does not hold the write lock.
    """
    with house.database.read() as connection:
        row = _row_of(connection, email.strip().lower())
    stored = row.password if row is not None else _nobodys_hash()
    is_right = _is_password(stored, password)
    if row is None:
        return None
    with house.database.write() as connection:
        return row.id if _judge(house, connection, row.id, is_right=is_right) else None


def set_password(house: House, user_id: int, password: str, actor: str) -> None:
    """Give a person a new password; every session of that person ends."""
    _check(password, (), LANGUAGES[0])
    with house.database.write() as connection:
        changed = connection.execute(
            update(User)
            .where(User.id == user_id)
            .values(
                password=_hasher.hash(password),
                fs_uniquifier=secrets.token_urlsafe(32),
                failed_logins=0,
                locked_until=None,
            )
        )
        if not changed.rowcount:
            raise NotFound(f"user {user_id}")
        audit.record(connection, 0, house.now(), actor, "user.password_set", "user", user_id)


def set_active(house: House, user_id: int, *, active: bool, actor: str) -> None:
    """Let a person in again, or shut the person out at once (open sessions end with the next request)."""
    with house.database.write() as connection:
        if not connection.execute(update(User).where(User.id == user_id).values(active=active)).rowcount:
            raise NotFound(f"user {user_id}")
        action = "user.activated" if active else "user.deactivated"
        audit.record(connection, 0, house.now(), actor, action, "user", user_id)


def set_creditors(house: House, user_id: int, creditor_ids: Sequence[int], actor: str) -> None:
    """Say anew which creditors a person may see."""
    with house.database.write() as connection:
        if connection.execute(select(User.id).where(User.id == user_id)).scalar_one_or_none() is None:
            raise NotFound(f"user {user_id}")
        _check_creditors(connection, creditor_ids)
        connection.execute(delete(user_creditor).where(user_creditor.c.user_id == user_id))
        for creditor_id in dict.fromkeys(creditor_ids):
            connection.execute(insert(user_creditor).values(user_id=user_id, creditor_id=creditor_id))
        facts = {"creditors": list(creditor_ids)}
        audit.record(connection, 0, house.now(), actor, "user.creditors_set", "user", user_id, **facts)


def set_language(house: House, user_id: int, language: str) -> None:
    """Remember the language a person reads the panel in."""
    if language not in LANGUAGES:
        raise DataError(f"language {language[:20]!r} is not one of {', '.join(LANGUAGES)}")
    with house.database.write() as connection:
        connection.execute(update(User).where(User.id == user_id).values(language=language))


def set_preference(house: House, user_id: int, name: str, value: object) -> None:
    """Remember one choice of a person (theme, density, columns, creditor shown); None forgets it."""
    if len(name) > PREFERENCE_CHARACTERS_MAX or len(str(value)) > PREFERENCE_CHARACTERS_MAX:
        raise DataError("a preference is a short value")
    with house.database.write() as connection:
        before = connection.execute(select(User.preferences).where(User.id == user_id)).scalar_one_or_none()
        after = {**(before or {}), name: value}
        if value is None:
            after.pop(name)
        connection.execute(update(User).where(User.id == user_id).values(preferences=after))


# --- details ---------------------------------------------------------------------------------------------------------


def _address(email: str) -> str:
    address = email.strip().lower()
    local, at, host = address.partition("@")
    if not (local and at and host) or any(sign.isspace() for sign in address) or len(address) > 254:
        raise DataError(f"{email[:200]!r} is not an e-mail address")
    return address


def _check(password: str, roles: Sequence[str], language: str) -> None:
    if len(password) < PASSWORD_CHARACTERS_MIN:
        raise DataError(f"a password needs at least {PASSWORD_CHARACTERS_MIN} characters")
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise DataError(f"role {unknown[0]!r} is not one of {', '.join(ROLES)}")
    if language not in LANGUAGES:
        raise DataError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")


def _check_creditors(connection: Connection, creditor_ids: Sequence[int]) -> None:
    known = set(connection.execute(select(Creditor.id).where(Creditor.id.in_(creditor_ids))).scalars())
    for creditor_id in creditor_ids:
        if creditor_id not in known:
            raise NotFound(f"creditor {creditor_id}")


def _role_id(connection: Connection, name: str) -> int:
    found = connection.execute(select(Role.id).where(Role.name == name)).scalar_one_or_none()
    if found is None:
        found = connection.execute(insert(Role).values(name=name).returning(Role.id)).scalar_one()
    return int(found)


def _row_of(connection: Connection, address: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  # a Row of two columns
    return connection.execute(select(User.id, User.password).where(User.email == address)).one_or_none()


def _is_password(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    """A hash to compare with when there is no such person, so that the answer takes as long."""
    return _hasher.hash(secrets.token_urlsafe(32))


def _judge(house: House, connection: Connection, user_id: int, *, is_right: bool) -> bool:
    columns = (User.active, User.failed_logins, User.locked_until)
    row = connection.execute(select(*columns).where(User.id == user_id).with_for_update()).one()
    now = house.now()
    if not row.active or (row.locked_until is not None and row.locked_until > now):
        return False
    if is_right:
        connection.execute(update(User).where(User.id == user_id).values(failed_logins=0, locked_until=None))
        audit.record(connection, 0, now, audit.SYSTEM, "user.logged_in", "user", user_id)
        return True
    failures = row.failed_logins + 1
    locks = failures >= FAILURES_BEFORE_LOCK
    values = {"failed_logins": 0 if locks else failures, "locked_until": now + LOCK if locks else None}
    connection.execute(update(User).where(User.id == user_id).values(**values))
    if locks:
        audit.record(connection, 0, now, audit.SYSTEM, "user.locked", "user", user_id, failures=failures)
    return False
