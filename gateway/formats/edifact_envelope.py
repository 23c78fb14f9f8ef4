"""The envelopes of an EDIFACT interchange: UNB … UNZ around messages UNH … UNT, and what they count (payments.md 4.1)."""

from __future__ import annotations

from collections.abc import Callable

from gateway.domain.reasons import said
from gateway.formats.audit import Audit, Ordinals
from gateway.formats.edifact import Segment, component

_TEST_INDICATOR = 11
"""The element of UNB that marks a test (data element 0035)."""


class Envelope:
    """Follows the envelopes and compares their counts.

    *identity* names the first interchange by sender, control reference and stamp (payments.md 8). *is_message_open* holds
    from UNH to UNT; *is_test* says that the present interchange is marked as a test.
    """

    def __init__(self, audit: Audit, place: Callable[[str], str]) -> None:
        self._audit, self._place = audit, place
        self.identity = ""
        self.is_open = self.is_message_open = self.is_test = False
        self._messages = self._groups = self._begun = 0
        self._reference = self._message_reference = ""
        self._seen = Ordinals().next

    @property
    def is_complete(self) -> bool:
        """Whether an interchange has begun and ended."""
        return bool(self.identity) and not self.is_open

    def begin(self, segment: Segment) -> None:
        """Take UNB."""
        if self.is_open:
            self._fault("UNB", "wrong.comes_again", begin="UNB", end="UNZ")
        self.is_open, self._messages, self._groups = True, 0, 0
        self._reference = component(segment, 5)
        stamp = f"{component(segment, 4)}:{component(segment, 4, 1)}"
        identity = f"edifact:{component(segment, 2)}:{self._reference}:{stamp}"
        if self._seen(identity) > 1:
            self._fault("UNB", "wrong.stands_twice", self._reference)
        self.identity = self.identity or identity
        self.is_test = component(segment, _TEST_INDICATOR) == "1"
        if self.is_test:
            self._audit.warn("file.test", self._place("UNB"))

    def begin_group(self) -> None:
        """Take UNG: then UNZ counts groups instead of messages."""
        self._groups += 1

    def begin_message(self, segment: Segment, number: int) -> str:
        """Take UNH, the segment *number*, and return the type of the message."""
        if not self.is_open:
            self._fault("UNH", "wrong.outside", frame="UNB-UNZ")
        if self.is_message_open:
            self._fault("UNH", "wrong.comes_again", begin="UNH", end="UNT")
        self.is_message_open = True
        self._messages += 1
        self._begun, self._message_reference = number, component(segment, 1)
        return component(segment, 2)

    def end_message(self, segment: Segment, number: int, *, is_counted: bool) -> None:
        """Take UNT, the segment *number*.

        Old files state wrong counts and references there; that is a warning when the message is otherwise *is_counted*,
        that is when the amounts and the number of its lines have been compared (payments.md 4.1).
        """
        if not self.is_message_open:
            self._fault("UNT", "wrong.comes_without", what="UNT", other="UNH")
            return
        self.is_message_open = False
        stated, computed = _count(component(segment, 1)), number - self._begun + 1
        place = self._place("UNT")
        if stated != computed and not is_counted:
            self._audit.compare("segments", component(segment, 1), str(computed), place)
        elif stated != computed:
            self._audit.warn(
                "edifact.segment_count", place, component(segment, 1), stated=component(segment, 1), computed=computed
            )
        if component(segment, 2) != self._message_reference:
            self._audit.warn("edifact.message_reference", place, component(segment, 2), stated=self._message_reference)

    def end(self, segment: Segment) -> None:
        """Take UNZ."""
        if not self.is_open:
            self._fault("UNZ", "wrong.comes_without", what="UNZ", other="UNB")
        if self.is_message_open:
            self._fault("UNZ", "wrong.comes_before", what="UNZ", other="UNT")
        stated, computed = component(segment, 1), self._groups or self._messages
        if _count(stated) != computed:
            self._audit.compare("messages", stated, str(computed), self._place("UNZ"))
        self._audit.compare("control reference", component(segment, 2), self._reference, self._place("UNZ"))
        self.is_open = self.is_message_open = False

    def _fault(self, field: str, code: str, value: str = "", **values: object) -> None:
        self._audit.block("file.invalid", self._place(field), value, reason=said(code, **values))


def _count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None
