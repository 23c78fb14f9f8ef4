"""The closed lists of what crosses the line between Kravport and an agency. `gateway.domain.exchange` offers them too."""

from __future__ import annotations

from enum import Enum, Flag, StrEnum, auto


class Can(Flag):
    """What an agency takes. Panel and services ask this, never the plugin's name."""

    EXPORT_INVOICE = auto()
    EXPORT_LINKED_ITEMS = auto()
    IMPORT_PAYMENTS = auto()
    IMPORT_RECEIPT = auto()
    IMPORT_CASE_STATUS = auto()
    IMPORT_SETTLEMENT = auto()
    MARK_FACTORING = auto()
    CHECK_CUSTOMER = auto()
    ACKNOWLEDGE = auto()


class Service(Enum):
    """What the creditor bought (glossary 12, 13, 14, 18)."""

    LEDGER = "ledger"
    COLLECTION = "collection"
    FACTORING = "factoring"
    REMINDER = "reminder"


class Severity(Enum):
    """How much a finding matters: ``BLOCKING`` holds the item or stops the file."""

    INFO = "info"
    WARNING = "warning"
    BLOCKING = "blocking"


class CustomerKind(Enum):
    """R-CD-01. A card whose kind is not known has ``None`` in its place; it is never guessed."""

    PRIVATE = "private"
    COMPANY = "company"
    PUBLIC = "public"


class Origin(Enum):
    """Who told us. What came from the agency is never sent back to it (R-OP-04)."""

    CREDITOR = "creditor"
    AGENCY = "agency"
    BANK = "bank"


class LinkKind(StrEnum):
    """What a linked item is; decides whether it lowers or raises the claim together with its direction."""

    DIRECT_PAYMENT = "direct_payment"
    CREDIT_NOTE = "credit_note"
    DISBURSEMENT = "disbursement"
    VOUCHER_LINE = "voucher_line"
    CHARGE = "charge"
    UNLINK = "unlink"


class Direction(StrEnum):
    """``DEBIT`` raises what the customer owes, ``CREDIT`` lowers it."""

    DEBIT = "debit"
    CREDIT = "credit"


class InboundKind(Enum):
    """What an inbound file is."""

    PAYMENTS = "payments"
    RECEIPT = "receipt"
    CASE_STATUS = "case_status"
    SETTLEMENT = "settlement"
    SNAPSHOT = "snapshot"
    NOTICE = "notice"
    """Says that something happened and nothing else: kept, no more."""
