"""What went to which agency: runs, holds, sealed envelopes, claims and items at the agency."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables.base import Base, drawn_id, given_id

CLUSTERED = {"sqlite_with_rowid": False}
"""SQLite keeps the rows in the tree of their key: half the pages to write for tables that an evening fills."""


class Pending(Base):
    """A link group that the next run of an agreement must look at.

    Written wherever the ledger changes, so that the evening costs what changed and not what exists.
    """

    __tablename__ = "pending"
    __table_args__ = CLUSTERED
    agreement_id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(primary_key=True)
    queued_at: Mapped[datetime]


class CustomerCheck(Base):
    """Findings on one customer card for one agreement, valid for one version of the card (R-CD)."""

    __tablename__ = "customer_check"
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"), primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"), primary_key=True)
    customer_version: Mapped[int]
    is_blocking: Mapped[bool]
    findings: Mapped[list[Any]]
    checked_at: Mapped[datetime]


class TransferRun(Base):
    """One evening of one agreement (or a start-up load). Candidates = sent + held + excluded (R-LS-16)."""

    __tablename__ = "transfer_run"
    __table_args__ = (
        Index(
            "uq_transfer_run_evening",
            "agreement_id",
            "business_date",
            unique=True,
            sqlite_where=text("kind = 'evening'"),
            postgresql_where=text("kind = 'evening'"),
        ),
    )
    id: Mapped[int] = drawn_id()
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"))
    kind: Mapped[str] = mapped_column(default="evening")
    business_date: Mapped[date]
    cutoff: Mapped[datetime]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    invoices_sent: Mapped[int] = mapped_column(default=0)
    items_sent: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    excluded: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(default="")


class RunHold(Base):
    """An entry that did not go in a run, with reason code and what fills its sentence (R-LS-16)."""

    __tablename__ = "run_hold"
    run_id: Mapped[int] = mapped_column(ForeignKey("transfer_run.id"), primary_key=True)
    entry_id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    group_id: Mapped[int]
    is_exclusion: Mapped[bool]
    values: Mapped[dict[str, Any]]
    next_date: Mapped[date | None]


class Claim(Base):
    """An invoice that an agency has, or was offered (glossary 52).

    *told_minor* is the open amount as last told to the agency; *agency_paid_minor* what the agency reported as paid to
    it on the principal. Agency balance = told - paid (R-VL-08, R-LS-15). *waits_for_money_since*: the agency closed it as
    paid, and no later word of its has taken that back (R-OP-10).
    """

    __tablename__ = "claim"
    __table_args__ = (
        UniqueConstraint("agreement_id", "claim_id"),
        Index(
            "ix_claim_case_number",
            "agreement_id",
            "case_number",
            sqlite_where=text("case_number <> ''"),
            postgresql_where=text("case_number <> ''"),
        ),
        Index(
            "ix_claim_waits_for_money_since",
            "waits_for_money_since",
            sqlite_where=text("waits_for_money_since is not null"),
            postgresql_where=text("waits_for_money_since is not null"),
        ),
        CheckConstraint(
            "state in ('sealed', 'delivered', 'accepted', 'rejected', 'withdrawn', 'closed')", name="state"
        ),
        CLUSTERED,
    )
    agreement_id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(primary_key=True)
    claim_id: Mapped[str]
    reminder_number: Mapped[str]
    case_number: Mapped[str] = mapped_column(default="", server_default="")
    agency_state: Mapped[str] = mapped_column(default="", server_default="")
    agency_state_text: Mapped[str] = mapped_column(default="", server_default="")
    state: Mapped[str]
    told_minor: Mapped[int]
    agency_paid_minor: Mapped[int] = mapped_column(default=0, server_default="0")
    waits_for_money_since: Mapped[datetime | None]
    first_sent_at: Mapped[datetime]


class TransferItem(Base):
    """One object in one sealed file. The current item of an entry says what the agency knows of it.

    *version* counts what was sent about the same entry: a rejected item goes again, an unlinked one is taken back, each
    as a new version with an item id of its own, made of both. The key begins with the claim, because that is how its
    items are read; one index less is a tenth of what an evening costs.
    """

    __tablename__ = "transfer_item"
    __table_args__ = (
        Index(
            "uq_transfer_item_current",
            "agreement_id",
            "entry_id",
            unique=True,
            sqlite_where=text("is_current"),
            postgresql_where=text("is_current"),
        ),
        Index("ix_transfer_item_envelope_id", "envelope_id", "item_id"),
        CheckConstraint("state in ('sealed', 'accepted', 'rejected')", name="state"),
        CLUSTERED,
    )
    agreement_id: Mapped[int] = mapped_column(primary_key=True)
    claim_entry_id: Mapped[int] = mapped_column(primary_key=True)
    entry_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int]
    envelope_id: Mapped[int | None]
    item_id: Mapped[str]
    kind: Mapped[str]
    direction: Mapped[str]
    amount_minor: Mapped[int]
    is_current: Mapped[bool] = mapped_column(default=True, server_default=true())
    state: Mapped[str] = mapped_column(default="sealed", server_default="sealed")
    answered_at: Mapped[datetime | None]
    reason_code: Mapped[str] = mapped_column(default="", server_default="")
    reason_text: Mapped[str] = mapped_column(default="", server_default="")


class ClaimInstruction(Base):
    """What a person told the agency about a claim beside money, or will tell it tonight (R-OP-03).

    *state*: ``wanted`` until it is in a file, then as that file's items; ``cancelled`` before it went, or when the
    agency refused the claim itself; ``by_hand`` where the layout has no such message and the person says to have told
    the agency otherwise. *item_id* is never used twice.
    """

    __tablename__ = "claim_instruction"
    __table_args__ = (
        UniqueConstraint("item_id"),
        Index("ix_claim_instruction_agreement_id_entry_id", "agreement_id", "entry_id"),
        CheckConstraint("state in ('wanted', 'sealed', 'accepted', 'rejected', 'cancelled', 'by_hand')", name="state"),
    )
    id: Mapped[int] = given_id()
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"))
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entry.id"))
    item_id: Mapped[str]
    action: Mapped[str]
    day: Mapped[date]
    until: Mapped[date | None]
    reason: Mapped[str] = mapped_column(default="")
    state: Mapped[str]
    wanted_by: Mapped[str]
    wanted_at: Mapped[datetime]
    envelope_id: Mapped[int | None]
    answered_at: Mapped[datetime | None]
    reason_code: Mapped[str] = mapped_column(default="")
    reason_text: Mapped[str] = mapped_column(default="")


class Envelope(Base):
    """One sealed outgoing file, stored byte for byte and never edited (glossary 115)."""

    __tablename__ = "envelope"
    __table_args__ = (
        UniqueConstraint("agreement_id", "kind", "sequence", "cycle"),
        CheckConstraint(
            "state in ('sealed', 'delivered', 'in_doubt', 'failed', 'accepted', 'partly', 'rejected')", name="state"
        ),
    )
    id: Mapped[int] = given_id()
    agreement_id: Mapped[int] = mapped_column(ForeignKey("agreement.id"))
    run_id: Mapped[int] = mapped_column(ForeignKey("transfer_run.id"))
    kind: Mapped[str]
    sequence: Mapped[int]
    cycle: Mapped[int] = mapped_column(default=0)
    file_id: Mapped[str]
    filename: Mapped[str]
    media_type: Mapped[str]
    blob_id: Mapped[int] = mapped_column(ForeignKey("blob.id"))
    sha256: Mapped[str]
    size: Mapped[int]
    claims: Mapped[int]
    items: Mapped[int]
    debit_minor: Mapped[int]
    credit_minor: Mapped[int]
    charge_minor: Mapped[int]
    instructions: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str]
    delivery_order: Mapped[int] = mapped_column(default=0)
    factoring_agreement: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="sealed")
    sealed_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    remote_name: Mapped[str] = mapped_column(default="")
    receipt_due_at: Mapped[datetime | None]
    receipt_at: Mapped[datetime | None]
    last_error: Mapped[str] = mapped_column(default="")


class AgencyCall(Base):
    """One call of an agency's API that an envelope becomes, noted before it is made (ADR 0029).

    ``begun`` without an answer: nobody knows. ``said``: a person found out that it arrived. *request* and *answer* are as
    sent and received, but for private values, which are masked; *request_mac* is the keyed hash of the bytes as sent.
    """

    __tablename__ = "agency_call"
    __table_args__ = (CheckConstraint("state in ('begun', 'answered', 'said')", name="state"),)
    envelope_id: Mapped[int] = mapped_column(ForeignKey("envelope.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="begun")
    method: Mapped[str]
    path: Mapped[str]
    request: Mapped[bytes]
    request_mac: Mapped[str]
    begun_at: Mapped[datetime]
    status: Mapped[int] = mapped_column(default=0)
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    answer: Mapped[bytes] = mapped_column(default=b"")
    answered_at: Mapped[datetime | None]


class CaseAnswer(Base):
    """What an agency that fetches answered to one case, until all of its file are answered (ADR 0030). *answer* is its JSON."""

    __tablename__ = "case_answer"
    envelope_id: Mapped[int] = mapped_column(ForeignKey("envelope.id"), primary_key=True)
    claim_id: Mapped[str] = mapped_column(primary_key=True)
    answer: Mapped[dict[str, Any]]
    answered_at: Mapped[datetime]


class Blob(Base):
    """Bytes kept for good, in chunks of one MiB so that neither database nor process holds a large file whole."""

    __tablename__ = "blob"
    id: Mapped[int] = drawn_id()
    sha256: Mapped[str]
    size: Mapped[int]


class BlobChunk(Base):
    """One chunk of a blob, numbered from 0."""

    __tablename__ = "blob_chunk"
    blob_id: Mapped[int] = mapped_column(ForeignKey("blob.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]
