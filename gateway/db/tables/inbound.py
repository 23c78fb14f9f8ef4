"""What came back: inbound files, payments waiting for a person or posted, settlements."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables.base import Base, drawn_id, given_id


class InboundArrival(Base):
    """A file that arrived, first time or again. The bytes are stored before anything looks inside."""

    __tablename__ = "inbound_arrival"
    __table_args__ = (Index("ix_inbound_arrival_inbound_file_id", "inbound_file_id"),)
    id: Mapped[int] = drawn_id()
    inbound_file_id: Mapped[int] = mapped_column(ForeignKey("inbound_file.id"))
    channel: Mapped[str]
    filename: Mapped[str]
    at: Mapped[datetime]


class MailboxFile(Base):
    """A file that stays in an agency's mailbox after it was fetched, as it was then, so that it is not fetched again.

    *stamp* is what the mailbox says about a file without opening it (`gateway.domain.transport.Waiting`). *proven_at* is
    set once a second download, later than *fetched_at*, has shown the same stamp and the same bytes.
    """

    __tablename__ = "mailbox_file"
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    stamp: Mapped[str]
    sha256: Mapped[str]
    fetched_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]


class InboundFile(Base):
    """One inbound file, by its bytes. The same bytes from the same source are noted and not parsed again (R-OP-07).

    Without an agreement it came from the creditor's own bank.
    """

    __tablename__ = "inbound_file"
    __table_args__ = (
        UniqueConstraint("agreement_id", "sha256"),
        Index(
            "uq_inbound_file_own_bank",
            "creditor_id",
            "sha256",
            unique=True,
            sqlite_where=text("agreement_id is null"),
            postgresql_where=text("agreement_id is null"),
        ),
        Index("ix_inbound_file_state_id", "state", "id"),
        CheckConstraint(
            "state in ('stored', 'reading', 'imported', 'quarantined', 'refused', 'set_aside')", name="state"
        ),
    )
    id: Mapped[int] = drawn_id()
    agreement_id: Mapped[int | None] = mapped_column(ForeignKey("agreement.id"))
    creditor_id: Mapped[int] = mapped_column(ForeignKey("creditor.id"))
    channel: Mapped[str]
    filename: Mapped[str]
    blob_id: Mapped[int] = mapped_column(ForeignKey("blob.id"))
    sha256: Mapped[str]
    size: Mapped[int]
    received_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default="stored")
    kind: Mapped[str] = mapped_column(default="")
    format: Mapped[str] = mapped_column(default="")
    transactions: Mapped[int] = mapped_column(default=0)
    totals: Mapped[dict[str, Any]] = mapped_column(default=dict)
    findings: Mapped[list[Any]] = mapped_column(default=list)
    finished_at: Mapped[datetime | None]
    acknowledged_at: Mapped[datetime | None]
    """When its agency heard that its money was booked, where the agency wants to hear it."""


class FileProgress(Base):
    """How far the work on a large file has come: told in small transactions of their own, gone when the work is over.

    *done* and *total* count what *stage* counts: bytes while ``storing`` and ``reading``, steps while ``matching`` and
    ``posting``. No foreign key: a file that is being stored has no row yet, and later that row is locked.
    """

    __tablename__ = "file_progress"
    __table_args__ = (CheckConstraint("stage in ('storing', 'reading', 'matching', 'posting')", name="stage"),)
    token: Mapped[str] = mapped_column(primary_key=True)
    creditor_id: Mapped[int]
    inbound_file_id: Mapped[int | None]
    filename: Mapped[str]
    stage: Mapped[str]
    done: Mapped[int]
    total: Mapped[int]
    rows: Mapped[int]
    started_at: Mapped[datetime]
    at: Mapped[datetime]


class _PaymentColumns:
    """Columns that a staged and an incoming payment share, so that one ``insert … select`` moves a file."""

    file_id: Mapped[int]
    position: Mapped[int]
    amount_minor: Mapped[int]
    principal_minor: Mapped[int]
    currency: Mapped[str]
    direction: Mapped[str]
    is_reversal: Mapped[bool]
    status: Mapped[str]
    posts: Mapped[bool]
    why_not: Mapped[str]
    reference: Mapped[str]
    references: Mapped[list[Any]]
    booking_date: Mapped[date | None]
    value_date: Mapped[date | None]
    payer_name: Mapped[str]
    payer_account: Mapped[str]
    payer_address: Mapped[str] = mapped_column(default="")
    account: Mapped[str]
    bank_reference: Mapped[str]
    text: Mapped[str]
    key: Mapped[str]
    claim_ref: Mapped[str]
    case_number: Mapped[str]
    invoice_number: Mapped[str]
    reverses_key: Mapped[str]
    charges_minor: Mapped[int]
    state: Mapped[str] = mapped_column(default="unmatched")
    entry_id: Mapped[int | None]
    suggested_entry_id: Mapped[int | None]
    match_rule: Mapped[str] = mapped_column(default="")
    difference: Mapped[str] = mapped_column(default="")
    twin_id: Mapped[int | None]
    evidence: Mapped[list[Any] | None]


class StagedPayment(_PaymentColumns, Base):
    """A payment read from a file whose totals are not proven yet. Never shown, never posted; wiped on a new attempt."""

    __tablename__ = "staged_payment"
    __table_args__ = (UniqueConstraint("file_id", "position"),)
    id: Mapped[int] = given_id()


class IncomingPayment(_PaymentColumns, Base):
    """A payment under Bank - Incoming payments (R-PM). The id is also that of the ledger entry it becomes.

    *state*: ``proposed`` (certain match, waits for a person), ``unmatched`` (a person must place it), ``posted``,
    ``ignored`` (information only, or set aside by a person). *match_rule* names the step of R-OP-08 that fired: the
    value it saw stands in the column of that name, or in *evidence* (`gateway.services.near.Evidence`) where it was
    found otherwise; *difference* is one of the eight reasons (R-OP-09) or a ``payment.*`` code. *twin_id* is the other
    row that tells the same money: of a possible duplicate the earlier one, of an announcement its booking and of the
    booking its announcement. *reference* is in the form in which references are compared; as it was written it stands
    in *references*.
    """

    __tablename__ = "incoming_payment"
    __table_args__ = (
        UniqueConstraint("file_id", "position"),
        Index(
            "uq_incoming_payment_key",
            "creditor_id",
            "key",
            unique=True,
            sqlite_where=text("key <> ''"),
            postgresql_where=text("key <> ''"),
        ),
        Index(
            "ix_incoming_payment_reverses_key",
            "creditor_id",
            "reverses_key",
            sqlite_where=text("reverses_key <> ''"),
            postgresql_where=text("reverses_key <> ''"),
        ),
        Index("ix_incoming_payment_creditor_id_state_id", "creditor_id", "state", "id"),
        Index("ix_incoming_payment_entry_id", "entry_id"),
        Index("ix_incoming_payment_creditor_id_reference", "creditor_id", "reference"),
        Index(
            "ix_incoming_payment_without_reference",
            "creditor_id",
            "amount_minor",
            sqlite_where=text("reference = ''"),
            postgresql_where=text("reference = ''"),
        ),
        Index(
            "ix_incoming_payment_announced",
            "creditor_id",
            "amount_minor",
            sqlite_where=text("status <> 'BOOK' and twin_id is null"),
            postgresql_where=text("status <> 'BOOK' and twin_id is null"),
        ),
        CheckConstraint("state in ('proposed', 'unmatched', 'posted', 'ignored')", name="state"),
    )
    id: Mapped[int] = given_id()
    file_id: Mapped[int]
    """No foreign key: the file's row is locked while its payments are written, and files are never deleted."""
    told_again_in: Mapped[int | None]
    """The last file that told the same payment again, by its key; no row was made of it there."""
    creditor_id: Mapped[int]
    agreement_id: Mapped[int | None]
    label: Mapped[str]
    posted_at: Mapped[datetime | None]
    posted_by: Mapped[str] = mapped_column(default="")


class PaymentPart(Base):
    """A part of a payment that names several documents (payments.md 5.2): one row per invoice or credit note.

    *amount_minor* is the part as the file states it, or what was open where it states none; a credit note's is negative,
    so the parts of a payment add up to it. Posting makes one entry per invoice; *seen* is how the file names the document.
    """

    __tablename__ = "payment_part"
    payment_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry_id: Mapped[int]
    amount_minor: Mapped[int]
    kind: Mapped[str]
    seen: Mapped[str]
