"""Agreements with agencies, factoring settings and the keys that accounting systems and agencies use."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables.base import Base, drawn_id


class Agreement(Base):
    """One creditor's contract with one agency for one service (R-OP-01). A new client number is a new row (R-OP-02).

    *transport* and *settings* hold no secret; *secrets_encrypted* does and is write-only. *webhook_token_hash* finds the
    agreement of ``POST /webhooks/<agency>/<token>``. *next_run_at* is the evening's row that the ticker reads: 18:00
    is a moment in the database, not a timer in a process. The agency's money comes to the list of incoming payments, is
    posted directly (*posts_automatically*), or comes to the voucher inbox (*uses_voucher_inbox*): one of them (R-PM-12).
    """

    __tablename__ = "agreement"
    __table_args__ = (
        UniqueConstraint("creditor_id", "agency_key", "client_number", "service"),
        CheckConstraint("state in ('draft', 'active', 'ended')", name="state"),
        CheckConstraint("not (posts_automatically and uses_voucher_inbox)", name="payments_to_one_place"),
        Index(
            "uq_agreement_one_creates_cases",
            "creditor_id",
            "currency",
            unique=True,
            sqlite_where=text("may_create_cases and state = 'active'"),
            postgresql_where=text("may_create_cases and state = 'active'"),
        ),
    )
    id: Mapped[int] = drawn_id()
    creditor_id: Mapped[int] = mapped_column(ForeignKey("creditor.id"))
    agency_key: Mapped[str]
    display_name: Mapped[str]
    service: Mapped[str]
    client_number: Mapped[str]
    market: Mapped[str]
    currency: Mapped[str]
    profile: Mapped[str]
    environment: Mapped[str] = mapped_column(default="sandbox")
    state: Mapped[str] = mapped_column(default="draft")
    may_create_cases: Mapped[bool] = mapped_column(default=True)
    treated_as_factoring: Mapped[bool] = mapped_column(default=False)
    posts_automatically: Mapped[bool] = mapped_column(default=False)
    uses_voucher_inbox: Mapped[bool] = mapped_column(default=False)
    payment_account: Mapped[str] = mapped_column(default="")
    agency_accounts: Mapped[list[Any]] = mapped_column(default=list)
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    payment_rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What its payments are judged by (`gateway.domain.references.payment_rules`); empty: the creditor's own."""
    transport: Mapped[dict[str, Any]] = mapped_column(default=dict)
    secrets_encrypted: Mapped[bytes | None]
    webhook_token_hash: Mapped[str | None] = mapped_column(unique=True)
    transfer_time: Mapped[str] = mapped_column(default="18:00")
    fetch_minutes: Mapped[int] = mapped_column(default=15)
    next_run_at: Mapped[datetime | None]
    next_fetch_at: Mapped[datetime | None]
    last_business_date: Mapped[date | None]
    receipt_hours: Mapped[int] = mapped_column(default=24)
    fetched_until: Mapped[str] = mapped_column(default="")
    startup_loaded_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ProfileConfirmation(Base):
    """Who confirmed a layout profile with its agency, and on what document (R-OP-18).

    It is bound to the bytes of the profile by *sha256*, so that any edit takes it away; *content* keeps what was confirmed.
    One that was withdrawn confirms nothing, and stays.
    """

    __tablename__ = "profile_confirmation"
    __table_args__ = (Index("ix_profile_confirmation_sha256", "sha256"),)
    id: Mapped[int] = drawn_id()
    sha256: Mapped[str]
    profile: Mapped[str]
    content: Mapped[str]
    document: Mapped[str]
    document_version: Mapped[str]
    document_date: Mapped[date]
    told_by: Mapped[str]
    confirmed_by: Mapped[str]
    confirmed_at: Mapped[datetime]
    withdrawn_by: Mapped[str] = mapped_column(default="")
    withdrawn_at: Mapped[datetime | None]


class Counter(Base):
    """Last number used per agreement and envelope kind; consumed only in the transaction that seals a file."""

    __tablename__ = "counter"
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(default=0)
    cycle: Mapped[int] = mapped_column(default=0)


class FactoringSettings(Base):
    """Factoring settings of a creditor (R-FA-01 to R-FA-05)."""

    __tablename__ = "factoring_settings"
    creditor_id: Mapped[int] = mapped_column(ForeignKey("creditor.id"), primary_key=True)
    use_factoring: Mapped[bool] = mapped_column(default=False)
    customer_number: Mapped[str] = mapped_column(default="")
    name: Mapped[str] = mapped_column(default="")
    address: Mapped[str] = mapped_column(default="")
    account_number: Mapped[str] = mapped_column(default="")
    invoice_text: Mapped[str] = mapped_column(default="")
    posting_mode: Mapped[str] = mapped_column(default="normal")


class ApiKey(Base):
    """A key of an accounting system for one creditor, or of an agency for one of its agreements (*agreement_id*).

    Only a hash is kept; *prefix* finds the row.
    """

    __tablename__ = "api_key"
    id: Mapped[int] = drawn_id()
    creditor_id: Mapped[int] = mapped_column(ForeignKey("creditor.id"))
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.id"))
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class WebhookMessage(Base):
    """Ids of webhook messages taken, kept for good: a replay is answered like the first time and changes nothing."""

    __tablename__ = "webhook_message"
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    message_id: Mapped[str] = mapped_column(primary_key=True)
    inbound_file_id: Mapped[int]
    received_at: Mapped[datetime]


class KeptAnswer(Base):
    """The answer to a write of the REST API that carried an Idempotency-Key, kept to be given again (P7).

    A row without *status* is a request at work since *claimed_at*, one with it was answered then. *fingerprint* covers everything of the request that
    may change its meaning. The body is encrypted: an answer that names a wrong value may repeat a national id.
    """

    __tablename__ = "kept_answer"
    __table_args__ = (Index("ix_kept_answer_claimed_at", "claimed_at"),)
    api_key_id: Mapped[int] = mapped_column(ForeignKey("api_key.id"), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    claimed_at: Mapped[datetime]
    status: Mapped[int | None]
    body_encrypted: Mapped[bytes | None]
