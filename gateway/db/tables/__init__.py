"""Every table, mapped. Invariants are constraints here, not only code elsewhere (architecture section 6)."""

from gateway.db.tables.agreements import (
    Agreement,
    ApiKey,
    Counter,
    FactoringSettings,
    KeptAnswer,
    ProfileConfirmation,
    WebhookMessage,
)
from gateway.db.tables.base import Base
from gateway.db.tables.inbound import (
    FileProgress,
    InboundArrival,
    InboundFile,
    IncomingPayment,
    MailboxFile,
    PaymentPart,
    StagedPayment,
)
from gateway.db.tables.ledger import Creditor, Customer, LedgerDocument, LedgerEntry
from gateway.db.tables.operation import AuditEvent, Heartbeat, Role, Task, User, user_creditor, user_role
from gateway.db.tables.transfer import (
    AgencyCall,
    Blob,
    BlobChunk,
    CaseAnswer,
    Claim,
    ClaimInstruction,
    CustomerCheck,
    Envelope,
    Pending,
    RunHold,
    TransferItem,
    TransferRun,
)

__all__ = [
    "AgencyCall", "Agreement", "ApiKey", "AuditEvent", "Base", "Blob", "BlobChunk", "CaseAnswer", "Claim", "ClaimInstruction", "Counter",
    "Creditor", "Customer", "CustomerCheck", "Envelope", "FactoringSettings", "FileProgress", "Heartbeat", "InboundArrival",
    "InboundFile", "IncomingPayment", "KeptAnswer", "LedgerDocument", "LedgerEntry", "MailboxFile", "PaymentPart", "Pending", "ProfileConfirmation", "Role", "RunHold",
    "StagedPayment", "Task", "TransferItem", "TransferRun", "User", "WebhookMessage", "user_creditor", "user_role",
]  # fmt: skip
