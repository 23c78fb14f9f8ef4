"""Running the house: promises (outbox), audit trail, people, heartbeats."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from gateway.db.tables.base import Base, drawn_id
from gateway.db.tables.ledger import Creditor


class Task(Base):
    """A promise to do something outside the transaction that made it (architecture section 6).

    *takeovers* counts the workers that died over it since it was last done. *lane*: who does it (`gateway.db.outbox.LANES`).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("topic", "ref_id", "part"),
        Index("ix_outbox_state_due_at", "state", "due_at"),
        CheckConstraint("state in ('pending', 'leased', 'done', 'failed', 'in_doubt', 'stopped')", name="state"),
        CheckConstraint("lane in ('main', 'large')", name="lane"),
    )
    id: Mapped[int] = drawn_id()
    topic: Mapped[str]
    ref_id: Mapped[int]
    part: Mapped[str] = mapped_column(default="")
    lane: Mapped[str] = mapped_column(default="main")
    repeatable: Mapped[bool]
    state: Mapped[str] = mapped_column(default="pending")
    due_at: Mapped[datetime]
    owner: Mapped[str] = mapped_column(default="")
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    takeovers: Mapped[int] = mapped_column(default=0)
    finished_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")


class AuditEvent(Base):
    """What was done, by whom, when. Append-only; each row's hash covers the row before it (P17).

    *creditor_id* 0 is the installation itself.
    """

    __tablename__ = "audit_event"
    creditor_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    object_type: Mapped[str]
    object_id: Mapped[str]
    facts: Mapped[dict[str, Any]]
    hash: Mapped[str]


class Heartbeat(Base):
    """When a process of a kind was last alive; read by the health page."""

    __tablename__ = "heartbeat"
    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]


user_role = Table(
    "user_role",
    Base.metadata,
    Column("user_id", ForeignKey("user_account.id"), primary_key=True),
    Column("role_id", ForeignKey("role.id"), primary_key=True),
)
user_creditor = Table(
    "user_creditor",
    Base.metadata,
    Column("user_id", ForeignKey("user_account.id"), primary_key=True),
    Column("creditor_id", ForeignKey("creditor.id"), primary_key=True),
)


class Role(Base):
    """``bookkeeper`` works in a creditor's books, ``admin`` also changes agreements, ``operator`` sees the machine."""

    __tablename__ = "role"
    id: Mapped[int] = drawn_id()
    name: Mapped[str] = mapped_column(unique=True)


class User(Base):
    """A person who logs in to the panel. *creditors* are those the person may see; admins see all."""

    __tablename__ = "user_account"
    id: Mapped[int] = drawn_id()
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    password: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    fs_uniquifier: Mapped[str] = mapped_column(unique=True)
    language: Mapped[str] = mapped_column(default="nb")
    preferences: Mapped[dict[str, Any]] = mapped_column(default=dict)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    roles: Mapped[list[Role]] = relationship(secondary=user_role)
    creditors: Mapped[list[Creditor]] = relationship(secondary=user_creditor)
