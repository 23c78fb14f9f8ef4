"""Every error Kravport raises on purpose.

Three questions decide the class: whose fault is it, can a retry help, who must act.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.domain.exchange import Finding


class GatewayError(Exception):
    """Root of the tree. Catch this at a process boundary only."""


class DataError(GatewayError):
    """Input we were given is wrong; retrying cannot help; a person must act."""


class Refused(DataError):
    """A person or program asked for something the rules do not allow.

    Args:
        code: reason code of the rules (section 11.2), for example ``exclusion.already_sent``.
        values: what the sentence of that code fills in (``agency``, ``date`` …).
    """

    def __init__(self, code: str, **values: object) -> None:
        self.code, self.values = code, values
        super().__init__(f"{code} {values}" if values else code)


class NotFound(DataError):
    """The thing addressed does not exist, or belongs to another creditor (the two look the same)."""


class DecodeError(DataError):
    """Bytes could not be read as what they claim to be. Says where, what and why.

    Args:
        reason: what is wrong, as a sentence fragment ("must be digits").
        line: 1-based line or record number, 0 where there is none.
        path: element path in XML, or record name in fixed width.
        field: name of the field.
        value: the value found, at most 200 characters of it.
    """

    def __init__(self, reason: str, *, line: int = 0, path: str = "", field: str = "", value: str = "") -> None:
        self.reason, self.line, self.path, self.field, self.value = reason, line, path, field, value[:200]
        where = [f"line {line}"] if line else []
        where += [".".join(part for part in (path, field) if part)] if path or field else []
        super().__init__(f"{', '.join(where) or 'file'}: {reason}" + (f": {self.value!r}" if value else ""))

    def at_line(self, line: int) -> DecodeError:
        """Return the same error with its line number filled in."""
        return DecodeError(self.reason, line=line, path=self.path, field=self.field, value=self.value)


class EncodeError(DataError):
    """A value cannot be written in the agreed layout. Nothing is ever cut silently."""


class _FileError(DataError):
    """A whole file cannot be taken; *findings* say why, in words and places."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(f"{f.code} {f.place}".strip() for f in self.findings) or type(self).__name__)


class FileRefused(_FileError):
    """The file is not of a format or kind we take (a PDF, an AvtaleGiro request, a DOCTYPE)."""


class FileQuarantined(_FileError):
    """The file is of a known format but damaged or contradicts itself. Nothing in it takes effect."""


class DeliveryError(GatewayError):
    """Transport failed before the far side could have taken the file. Safe to retry.

    Args:
        reason: what failed.
        retry_after: seconds the far side asks to be left alone, 0 where it asks for none.
    """

    def __init__(self, reason: str = "", *, retry_after: float = 0) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


class DeliveryInDoubt(GatewayError):
    """Transport failed after the far side may have taken the file. Never retried by a machine."""


class Busy(GatewayError):
    """Somebody else's work on the same books or file is not over yet. Nothing was done; asking again later helps.

    Args:
        reason: whose work.
        retry_after: seconds until asking again makes sense, 0 where nobody knows.
    """

    def __init__(self, reason: str = "", *, retry_after: float = 0) -> None:
        self.retry_after = retry_after
        super().__init__(reason)


class PluginError(GatewayError):
    """An agency plugin broke its contract."""


class PluginUnavailable(PluginError):
    """An agency plugin is not there or does not answer. Nothing is wrong with the data; asking again later may help."""


class HookNotSupported(PluginError):
    """The addressed plugin does not implement this hook."""


class ConfigurationError(GatewayError):
    """A setting is missing or contradicts another; the operator must act before start-up."""
