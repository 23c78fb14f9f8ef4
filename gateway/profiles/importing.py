"""What comes back by a profile, as the host takes it: payments, receipts, case statuses.

A record that ``becomes`` one of these names, field by field behind ``to``, what each value is. Nothing else is read into
it: an amount without a place for it stays in the file, and the raw bytes are kept by the host (rule 13 of the agencies).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from gateway.domain.exchange import CaseStatus, Direction, Finding, ObjectReceipt, Payment, Receipt, Severity
from gateway.errors import DecodeError, FileQuarantined
from gateway.formats.audit import Audit, Ordinals
from gateway.profiles.declaration import OUT, Part, Profile
from gateway.profiles.files import ProfileFile

PAYMENT, RECEIPT, OBJECT_RECEIPT, CASE_STATUS = "payment", "receipt", "object_receipt", "case_status"
_TEXT, _DAY, _AMOUNT, _YES_NO = ("text", "digits", "code"), ("date",), ("amount",), ("code",)


def _names(kinds: tuple[str, ...], *names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, kinds)


BECOMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "": {},
    PAYMENT: {
        **_names(_AMOUNT, "amount_minor", "principal_minor"),
        **_names(_DAY, "booking_date", "value_date", "order_date"),
        **_names(_YES_NO, "direction", "is_reversal"),
        **_names(_TEXT, "currency", "reference", "payer_name", "payer_account", "payer_id", "account", "bank_reference"),
        **_names(_TEXT, "text", "key", "claim_id", "case_number", "invoice_number"),
    },
    RECEIPT: {
        **_names(("number", "digits"), "sequence"),
        **_names(_TEXT, "kind", "file_id", "status", "reason_code", "reason_text"),
    },
    OBJECT_RECEIPT: {
        **_names(_YES_NO, "is_accepted"),
        **_names(_TEXT, "object_type", "object_id", "case_number", "reason_code", "reason_text"),
    },
    CASE_STATUS: {
        **_names(_DAY, "date"),
        **_names(_TEXT, "case_number", "claim_id", "invoice_number", "state", "stage", "close_code", "raw_code", "raw_text"),
    },
}  # fmt: skip
"""What a record that comes back may become: the values of each, and the types of field that can fill them."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    PAYMENT: ("amount_minor",), RECEIPT: ("sequence",), OBJECT_RECEIPT: ("object_id", "is_accepted"),
    CASE_STATUS: ("case_number", "state", "date"),
}  # fmt: skip
"""Without these it would be none."""

CODES = {"direction": {"credit", "debit"}, "is_reversal": {"true", "false"}, "is_accepted": {"true", "false"}}
"""Values of ours that a code must have, where the host knows no other."""


class ProfilePayments:
    """The payments of a file, one by one (`PaymentStream`).

    Args:
        file: what the file is.
        stream: its bytes.
        currency: of the agreement, for records that name none.
    """

    def __init__(self, file: ProfileFile, stream: BinaryIO, currency: str) -> None:
        self.format = f"{file.profile.name}/{file.layout.key}"
        self._file, self._stream, self._currency = file, stream, currency
        self._audit, self._ordinals = Audit(), Ordinals()
        self.findings, self.totals = self._audit.findings, self._audit.totals
        self.identity, self.accounts = "", dict[str, int]()

    @property
    def transactions(self) -> int:
        """How many payments were read."""
        return self._audit.transactions

    def __iter__(self) -> Iterator[Payment]:
        """Yield the payments in file order.

        Raises:
            FileQuarantined: the file is not what the profile says, or its control totals do not agree.
        """
        try:
            for part, values in _told(self._file, self._stream, PAYMENT):
                yield self._payment(part, values)
        except DecodeError as error:
            _quarantine(self._audit, error)

    def _payment(self, part: Part, values: dict[str, Any]) -> Payment:
        audit = self._audit
        audit.transactions += 1
        place = f"transaction {audit.transactions}, {part.key}"
        found = {name: value for name, value in values.items() if value not in ("", None)}
        found["direction"] = Direction(found.get("direction", Direction.CREDIT))
        found["is_reversal"] = found.get("is_reversal") == "true"
        found.setdefault("currency", self._currency)
        amount = found["amount_minor"]
        if amount < 0:  # the sign is theirs; with us the direction says it
            back = Direction.DEBIT if found["direction"] is Direction.CREDIT else Direction.CREDIT
            found |= {"amount_minor": -amount, "direction": back}
        reference = found.get("reference", "")
        audit.check_reference(reference, place)
        is_credit = found["direction"] is Direction.CREDIT
        audit.count(
            found["currency"], found["amount_minor"] if is_credit else 0, 0 if is_credit else found["amount_minor"]
        )
        account = found.get("account", "")
        self.accounts[account] = self.accounts.get(account, 0) + 1
        found["key"] = self._key(found)
        return Payment(position=audit.transactions, reference_raw=reference, **found)

    def _key(self, found: Mapping[str, Any]) -> str:
        """Return the agency's own id, with a letter before it; none where it gives none. Equal ids are numbered."""
        if "key" not in found:
            return ""
        key = f"p{found['key']}"
        count = self._ordinals.next(key)
        return key if count == 1 else f"{key}#{count}"


def receipt(file: ProfileFile, stream: BinaryIO) -> Receipt:
    """Return the answer that a file is to one of ours.

    A layout that does not say which kind of file it answers, answers the only one that the profile sends. Without a status
    of the whole it follows from the objects.

    Raises:
        FileQuarantined: the file is not what the profile says.
    """
    audit, head = Audit(), dict[str, Any]()
    objects = list[ObjectReceipt]()
    try:
        for part, values in _told(file, stream, RECEIPT, OBJECT_RECEIPT):
            if part.becomes == RECEIPT:
                head = values
            else:
                usual = {"object_type": "invoice", "case_number": "", "reason_code": "", "reason_text": ""}
                accepted = values.pop("is_accepted") == "true"
                objects.append(ObjectReceipt(**(usual | values), is_accepted=accepted))
    except DecodeError as error:
        _quarantine(audit, error)
    if not head:
        raise FileQuarantined([Finding(Severity.BLOCKING, "file.invalid", values={"reason": "names no file of ours"})])
    texts = {name: head.get(name, "") for name in ("file_id", "reason_code", "reason_text")}
    status = head.get("status") or _status(objects)
    kept = () if status == "rejected" else tuple(objects)
    return Receipt(
        head.get("kind") or only_sent(file.profile), int(head["sequence"]), **texts, status=status, objects=kept
    )


def case_statuses(file: ProfileFile, stream: BinaryIO) -> Iterator[CaseStatus]:
    """Yield what a file says about cases; raises ``FileQuarantined`` as `receipt`."""
    try:
        for _, values in _told(file, stream, CASE_STATUS):
            yield CaseStatus(**(dict.fromkeys(BECOMES[CASE_STATUS], "") | values))
    except DecodeError as error:
        _quarantine(Audit(), error)


def only_sent(profile: Profile) -> str:
    """Return the key of the only file that *profile* sends; empty where there are several or none."""
    keys = [layout.key for layout in profile.files.values() if layout.direction == OUT]
    return keys[0] if len(keys) == 1 else ""


def _status(objects: Sequence[ObjectReceipt]) -> str:
    rejected = sum(not answer.is_accepted for answer in objects)
    return "accepted" if not rejected else "partly" if rejected < len(objects) else "rejected"


def _told(file: ProfileFile, stream: BinaryIO, *wanted: str) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Yield the records that become one of *wanted*, with the values that their fields fill."""
    places = {
        part.key: [(number, one.to) for number, one in enumerate(part.values) if one.to]
        for part in file.layout.parts.values()
    }
    for row in file.read_values(stream):
        if row.part.becomes in wanted:
            yield row.part, {name: row.values[number] for number, name in places[row.part.key]}


def _quarantine(audit: Audit, error: DecodeError) -> None:
    field = ".".join(part for part in (error.path, error.field) if part)
    place = ", ".join([*([f"line {error.line}"] if error.line else []), *([field] if field else [])])
    audit.quarantine("file.invalid", place, error.value, reason=error.reason)
