"""The ledger: creditors, customers, entries. Who owes what, and what belongs together."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gateway.db.tables.base import Base, drawn_id, given_id


class Creditor(Base):
    """A company whose ledger feeds Kravport; one creditor is one tenant (glossary 1)."""

    __tablename__ = "creditor"
    id: Mapped[int] = drawn_id()
    key: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    organisation_number: Mapped[str] = mapped_column(default="")
    country: Mapped[str]
    currency: Mapped[str]
    time_zone: Mapped[str]
    language: Mapped[str] = mapped_column(default="nb")
    next_reminder_number: Mapped[int] = mapped_column(default=1)
    payment_rules: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Check, lengths and tolerance agreed with the creditor's own bank (`gateway.domain.references.payment_rules`)."""


class Customer(Base):
    """A customer card (glossary 7). *version* grows with every change, so that checks know when to run again.

    The national id is stored encrypted; *national_id_hash* (keyed) finds two cards with the same id without reading it.
    """

    __tablename__ = "customer"
    __table_args__ = (
        UniqueConstraint("creditor_id", "source", "external_id"),
        Index("ix_customer_creditor_id_customer_number", "creditor_id", "customer_number"),
        Index("ix_customer_creditor_id_organisation_number", "creditor_id", "organisation_number"),
    )
    id: Mapped[int] = given_id()
    creditor_id: Mapped[int] = mapped_column(ForeignKey("creditor.id"))
    source: Mapped[str]
    external_id: Mapped[str]
    customer_number: Mapped[str]
    kind: Mapped[str | None]
    name: Mapped[str]
    organisation_number: Mapped[str]
    national_id_encrypted: Mapped[bytes | None]
    national_id_hash: Mapped[str | None]
    address1: Mapped[str]
    address2: Mapped[str]
    postcode: Mapped[str]
    city: Mapped[str]
    country: Mapped[str]
    email: Mapped[str]
    phone: Mapped[str]
    language: Mapped[str]
    corrected: Mapped[dict[str, Any]] = mapped_column(default=dict)
    do_not_transfer: Mapped[bool] = mapped_column(default=False)
    do_not_transfer_by: Mapped[str] = mapped_column(default="")
    do_not_transfer_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    content_hash: Mapped[str]
    changed_at: Mapped[datetime]


class LedgerEntry(Base):
    """One line in the customer ledger (glossary 23). Debit is positive (L1).

    *group_id* is the link group: the id of its anchor, which is its first invoice, else its first member; an entry that
    is linked to nothing is a group of its own (``group_id == id``). So an invoice's open amount is the sum over its
    group, and linking is one update. *link_ref* is the source's own id of the group, for reading it again.
    *credits_number* is the one invoice a credit note names, empty when it names none or several; *credits* keeps them all.
    One foreign key a bulk table: the customer's. The creditor is the customer's own and the agreement the payment's, and
    each further key costs a look-up per row on PostgreSQL.
    No index may hold *open_minor* or *closed_at*: they change with every payment, and PostgreSQL updates a row in place
    only while no indexed column changes.
    *open_minor* is kept for invoices only and always equals that sum (a property test holds them together).
    """

    __tablename__ = "ledger_entry"
    __table_args__ = (
        UniqueConstraint("creditor_id", "source", "external_id"),
        Index("ix_ledger_entry_group_id", "group_id"),
        Index("ix_ledger_entry_customer_id", "customer_id"),
        Index(
            "uq_ledger_entry_reminder_number",
            "creditor_id",
            "reminder_number",
            unique=True,
            sqlite_where=text("kind = 'invoice' and reminder_number <> ''"),
            postgresql_where=text("kind = 'invoice' and reminder_number <> ''"),
        ),
        Index(
            "ix_ledger_entry_payment_reference",
            "creditor_id",
            "payment_reference",
            sqlite_where=text("kind = 'invoice' and payment_reference <> ''"),
            postgresql_where=text("kind = 'invoice' and payment_reference <> ''"),
        ),
        Index(
            "ix_ledger_entry_creditor_id_number",
            "creditor_id",
            "number",
            sqlite_where=text("number <> ''"),
            postgresql_where=text("number <> ''"),
        ),
        Index(
            "ix_ledger_entry_credits_number",
            "creditor_id",
            "credits_number",
            sqlite_where=text("credits_number <> ''"),
            postgresql_where=text("credits_number <> ''"),
        ),
        Index(
            "ix_ledger_entry_unlinked_credit",
            "creditor_id",
            "customer_id",
            sqlite_where=text("group_id = id and kind in ('payment', 'credit_note')"),
            postgresql_where=text("group_id = id and kind in ('payment', 'credit_note')"),
        ),
        Index("ix_ledger_entry_creditor_id_kind_id", "creditor_id", "kind", "id"),
        Index(
            "ix_ledger_entry_amount_minor",
            "creditor_id",
            "amount_minor",
            sqlite_where=text("kind = 'invoice'"),
            postgresql_where=text("kind = 'invoice'"),
        ),
        Index(
            "ix_ledger_entry_link_ref",
            "creditor_id",
            "link_ref",
            sqlite_where=text("link_ref <> ''"),
            postgresql_where=text("link_ref <> ''"),
        ),
    )
    id: Mapped[int] = given_id()
    creditor_id: Mapped[int]
    source: Mapped[str]
    external_id: Mapped[str]
    customer_id: Mapped[int]
    kind: Mapped[str]
    number: Mapped[str] = mapped_column(default="")
    amount_minor: Mapped[int]
    currency: Mapped[str]
    booked: Mapped[date]
    due: Mapped[date | None]
    payment_reference: Mapped[str] = mapped_column(default="")
    order_number: Mapped[str] = mapped_column(default="")
    order_status: Mapped[str] = mapped_column(default="invoiced")
    invoiced_at: Mapped[datetime | None]
    voucher_number: Mapped[str] = mapped_column(default="")
    voucher_kind: Mapped[str] = mapped_column(default="")
    line_number: Mapped[int] = mapped_column(default=0)
    text: Mapped[str] = mapped_column(default="")
    credits: Mapped[list[Any]] = mapped_column(default=list)
    credits_number: Mapped[str] = mapped_column(default="")
    reverses: Mapped[str] = mapped_column(default="")
    reversed_by_id: Mapped[int | None]
    counter_account: Mapped[str] = mapped_column(default="")
    is_bank: Mapped[bool] = mapped_column(default=False)
    bank_reference: Mapped[str] = mapped_column(default="")
    paid_from_account: Mapped[str] = mapped_column(default="")
    charge_kind: Mapped[str] = mapped_column(default="")
    hold_code: Mapped[str] = mapped_column(default="")
    document_form: Mapped[str] = mapped_column(default="")
    group_id: Mapped[int]
    link_ref: Mapped[str] = mapped_column(default="")
    linked_at: Mapped[datetime | None]
    open_minor: Mapped[int] = mapped_column(default=0)
    closed_at: Mapped[datetime | None]
    origin: Mapped[str] = mapped_column(default="creditor")
    origin_agreement_id: Mapped[int | None]
    payment_id: Mapped[int | None]
    do_not_transfer: Mapped[bool] = mapped_column(default=False)
    do_not_transfer_by: Mapped[str] = mapped_column(default="")
    do_not_transfer_at: Mapped[datetime | None]
    judged_payment_by: Mapped[str] = mapped_column(default="")
    reminder_number: Mapped[str] = mapped_column(default="")
    """What the accounting system gave; the number an agency was told stands in its claim and goes before it."""
    reminder_date: Mapped[date | None]
    reminder_deadline: Mapped[date | None]
    received_at: Mapped[datetime]
    content_hash: Mapped[str]


class LedgerDocument(Base):
    """The document that the accounting system issued for an entry, where it was taken as a file: the bytes as they came."""

    __tablename__ = "ledger_document"
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entry.id"), primary_key=True)
    blob_id: Mapped[int] = mapped_column(ForeignKey("blob.id"))
